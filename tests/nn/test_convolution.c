/* Convolutions, pooling and batch norm: PyTorch's values and gradients, in recurrent steps, errors.
 */
#include "tests/nn/module_vectors.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- PyTorch --------------------------------------------------------------------------------- */

#define EXPECT(name, constructor, parameters, ...)                                                 \
    do {                                                                                           \
        cb_params *params = cb_params_new(1);                                                      \
        cbt_expect_module(name, params, constructor(params, "m", __VA_ARGS__), parameters);        \
    } while (0)

Test(convolution, equals_pytorch) {
    EXPECT("conv1d", cb_conv1d_new, 2, 4, 5, .size = {3});
    EXPECT("conv1d_options", cb_conv1d_new, 1, 4, 6, .size = {4}, .stride = {2}, .padding = {3},
           .dilation = {2}, .groups = 2, .no_bias = true);
    EXPECT("conv2d", cb_conv2d_new, 2, 4, 3, .size = {3, 2});
    EXPECT("conv2d_options", cb_conv2d_new, 2, 4, 6, .size = {3, 2}, .stride = {2, 1},
           .padding = {1, 2}, .dilation = {1, 3}, .groups = 2);
    EXPECT("conv2d_depthwise", cb_conv2d_new, 2, 4, 8, .size = {3, 3}, .padding = {1, 1},
           .groups = 4);
    EXPECT("conv2d_pointwise", cb_conv2d_new, 1, 4, 5, .size = {1, 1}, .no_bias = true);
}

Test(pooling, equals_pytorch) {
    EXPECT("max_pool1d", cb_max_pool1d_new, 0, .size = {3});
    EXPECT("max_pool2d", cb_max_pool2d_new, 0, .size = {3, 2}, .stride = {2, 1}, .padding = {1, 1},
           .dilation = {1, 2});
    EXPECT("avg_pool1d", cb_avg_pool1d_new, 0, .size = {3}, .stride = {2}, .padding = {1});
    EXPECT("avg_pool2d", cb_avg_pool2d_new, 0, .size = {3, 2}, .stride = {2, 1}, .padding = {1, 1});
    EXPECT("avg_pool2d_exclude", cb_avg_pool2d_new, 0, .size = {3, 2}, .padding = {1, 1},
           .exclude_padding = true);
}

Test(batch_norm, equals_pytorch) {
    EXPECT("batch_norm", cb_batch_norm_new, 4, 3, .momentum = 0.25, .epsilon = 0.01);
    EXPECT("batch_norm_1d", cb_batch_norm_new, 2, 4, .momentum = 0.25, .epsilon = 0.01,
           .no_affine = true);
    EXPECT("batch_norm_2d", cb_batch_norm_new, 4, 2, .momentum = 0.25, .epsilon = 0.01);
    cb_params *params = cb_params_new(1);
    cbt_expect_evaluation("batch_norm_evaluation", params,
                          cb_batch_norm_new(params, "m", 4, .epsilon = 0.01), 4);
}

/* ---- Running statistics ---------------------------------------------------------------------- */

/* Two channels, of 1, 3 and of 2, 2: means 2 and 2, variances of a sample 2 and 0. */
static const float two_channels[] = {1, 2, 3, 2};

static double buffer(const cb_params *params, const char *name, int64_t i) {
    return cb_tensor_get(cb_params_find(params, name)->value, &i);
}

Test(batch_norm, running_statistics_are_saved_and_not_trained) {
    cb_params *params = cb_params_new(1), *other = cb_params_new(2);
    cb_module *norm = cb_batch_norm_new(params, "n", 2, .momentum = 0.5);
    cb_batch_norm_new(other, "n", 2);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5, .weight_decay = 0.5, .clip_norm = INFINITY);
    cb_tape *tape = cb_tape_new();
    const cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 2), (void *)(uintptr_t)two_channels);
    cb_tensor *y = cb_forward(norm, cb_input(tape, &x));
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
    /* 0.5 0 + 0.5 2 and 0.5 1 + 0.5 2. */
    cr_expect_eq(buffer(params, "n.running_mean", 0), 1);
    cr_expect_eq(buffer(params, "n.running_mean", 1), 1);
    cr_expect_eq(buffer(params, "n.running_var", 0), 1.5);
    cr_expect_eq(buffer(params, "n.running_var", 1), 0.5);
    cb_params_find(params, "n.running_mean")->frozen = false;
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_eq(buffer(params, "n.running_mean", 0), 1);
    cr_expect_eq(cb_optimizer_state_count(sgd), 2);
    cr_expect_eq(cb_params_elements(params), 4);
    char directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];
    cbt_directory_make(directory);
    cbt_join(path, directory, "buffers.safetensors");
    cr_expect_eq(cb_params_save(params, path, NULL), CB_OK);
    cr_expect_eq(cb_params_load(other, path, NULL), CB_OK);
    cr_expect_eq(buffer(other, "n.running_var", 0), 1.5);
    cbt_directory_remove(directory);
    cb_optimizer_free(sgd);
    cb_tape_free(tape);
    cb_params_free(params);
    cb_params_free(other);
}

static cb_tensor *normalised(const void *context, cb_tensor *const *inputs) {
    return cb_square(cb_forward(*(const cb_module *const *)context, inputs[0]));
}

Test(batch_norm, a_checkpoint_moves_the_statistics_once) {
    cb_params *params = cb_params_new(1);
    const cb_module *norm = cb_batch_norm_new(params, "n", 2, .momentum = 0.5);
    cb_tape *tape = cb_tape_new();
    const cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 2), (void *)(uintptr_t)two_channels);
    cb_tensor *in = cb_variable(tape, &x);
    cb_tensor *y = cb_checkpoint(normalised, &norm, sizeof norm, 1, &in);
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
    cr_expect_eq(buffer(params, "n.running_mean", 0), 1);
    cr_expect_eq(buffer(params, "n.running_var", 0), 1.5);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* ---- In a recurrent step --------------------------------------------------------------------- */

/* A state of images [2, 4, 4] that is convolved: a convolutional recurrent network. */
static void image_step(const void *context, cb_tensor *const *weights, cb_tensor *x,
                       cb_tensor *const *state, cb_tensor **next) {
    const cb_module *const *modules = context;
    cb_tensor *image = cb_reshape(state[0], CB_SHAPE(x->shape[0], 2, 4, 4));
    cb_tensor *y = cb_forward(modules[0], image);
    if (modules[1] != NULL)
        y = cb_forward(modules[1], y);
    y = cb_add(y, cb_conv2d(cb_reshape(x, CB_SHAPE(x->shape[0], 1, 4, 4)), weights[0], NULL,
                            .padding = {1, 1}));
    cb_tensor *pooled = cb_max_pool2d(y, .size = {3, 3}, .stride = {1, 1}, .padding = {1, 1});
    next[0] = cb_tanh(cb_reshape(cb_sub(y, cb_scale(pooled, 0.5)), CB_SHAPE(x->shape[0], 32)));
}

static cb_scan *image_scan(cb_tape *tape, const cb_module *const *modules) {
    cb_tensor *weight = cb_full(tape, CB_F64, CB_SHAPE(2, 1, 3, 3), 0.25);
    const int64_t size[] = {32};
    cb_error error;
    cb_scan *scan = cb_scan_new_with(NULL,
                                     &(cb_scan_options){.name = "image",
                                                        .dtype = CB_F64,
                                                        .input = 16,
                                                        .state_count = 1,
                                                        .state_size = size,
                                                        .weight_count = 1,
                                                        .weights = &weight,
                                                        .context_step = image_step,
                                                        .context = modules},
                                     &error);
    cr_assert_not_null(scan, "%s", error.message);
    return scan;
}

Test(convolution, a_step_with_one_is_compiled) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    const cb_module *modules[] = {
        cb_conv2d_new(params, "conv", 2, 2, .size = {3, 3}, .padding = {1, 1}), NULL};
    cb_tape *tape = cb_tape_new();
    cb_scan *scan = image_scan(tape, modules);
    cb_scan_check_report report;
    cr_expect(cb_scan_check(scan, NULL, &report), "%s", report.message);
    cr_expect(report.compiled, "%s", cb_scan_reason(scan));
    cr_expect_gt(report.compared, 0);
    cb_scan_free(scan);
    cb_tape_free(tape);
    cb_params_free(params);
}

Test(batch_norm, a_step_with_one_in_training_runs_op_by_op) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    const cb_module *modules[] = {
        cb_conv2d_new(params, "conv", 2, 2, .size = {3, 3}, .padding = {1, 1}),
        cb_batch_norm_new(params, "norm", 2, .momentum = 0.5)};
    cb_tape *tape = cb_tape_new();
    cb_scan *scan = image_scan(tape, modules);
    for (int evaluates = 1; evaluates >= 0; evaluates--) {
        cb_tape_reset(tape);
        cb_tape_evaluate(tape, evaluates);
        cb_tensor *x = cb_full(tape, CB_F64, CB_SHAPE(3, 2, 16), 0.5);
        cb_tensor *initial = cb_full(tape, CB_F64, CB_SHAPE(2, 32), 1);
        cb_tensor *weight = cb_full(tape, CB_F64, CB_SHAPE(2, 1, 3, 3), 0.25);
        cb_tensor *y = cb_scan_run(scan, x, &(cb_scan_io){.weights = &weight, .initial = &initial});
        cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
        const char *reason = cb_scan_reason(scan);
        cr_expect_eq(reason == NULL, evaluates, "%s", reason == NULL ? "" : reason);
        bool moved = buffer(params, "norm.running_var", 0) != 1;
        cr_expect_neq(moved, evaluates);
    }
    cr_expect_not_null(strstr(cb_scan_reason(scan), "statistics change"), "%s",
                       cb_scan_reason(scan));
    cb_scan_free(scan);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void expect_failed(cb_params *params, const cb_module *module, cb_status status,
                          const char *text) {
    cr_expect_null(module, "%s", text);
    cr_expect_eq(cb_params_status(params), status, "%s: %s", text, cb_params_error(params));
    cr_expect_not_null(strstr(cb_params_error(params), text), "'%s' is not in '%s'", text,
                       cb_params_error(params));
    cb_params_clear_error(params);
}

Test(convolution, bad_options_are_recorded_on_the_set) {
    cb_params *p = cb_params_new(1);
    expect_failed(p, cb_conv2d_new(p, "a", 4, 4, .size = {3}), CB_ERROR_SHAPE, "a.weight");
    expect_failed(p, cb_conv2d_new(p, "b", 4, 4, .size = {3, 3}, .groups = 3), CB_ERROR_VALUE,
                  "convolution b: 3 groups do not divide 4 and 4 channels");
    expect_failed(p, cb_conv1d_new(p, "c", 4, 4, .size = {3}, .padding = {-1}), CB_ERROR_VALUE,
                  "padding -1");
    expect_failed(p, cb_conv_new_with(p, "d", 3, 4, NULL), CB_ERROR_VALUE, "3 axes");
    expect_failed(p, cb_batch_norm_new(p, "e", 0), CB_ERROR_SHAPE, "width 0");
    expect_failed(p, cb_batch_norm_new(p, "f", 3, .epsilon = -1), CB_ERROR_VALUE,
                  "an epsilon of -1 is not");
    expect_failed(p, cb_batch_norm_new(p, "g", 3, .momentum = 2), CB_ERROR_VALUE,
                  "a momentum of 2 is outside");
    expect_failed(p, cb_batch_norm_new(p, NULL, 3), CB_ERROR_VALUE, "name");
    cb_params_free(p);
}

/* That y is poisoned, with this on its tape, which is then reset. */
static void expect_poisoned(cb_tape *tape, const cb_tensor *y, cb_status status, const char *text) {
    cr_expect_null(y->data);
    cr_expect_eq(cb_tape_status(tape), status, "%s: %s", text, cb_tape_error(tape));
    cr_expect_not_null(strstr(cb_tape_error(tape), text), "'%s' is not in '%s'", text,
                       cb_tape_error(tape));
    cb_tape_reset(tape);
}

#define X(...) cb_full(tape, CB_F32, CB_SHAPE(__VA_ARGS__), 1)

Test(convolution, what_does_not_fit_is_recorded_on_the_tape) {
    cb_tape *tape = cb_tape_new();
    expect_poisoned(tape, cb_conv2d(X(2, 3, 4), X(2, 3, 3, 3), NULL), CB_ERROR_SHAPE,
                    "conv2d: [2,3,4]: x and the weight [2,3,3,3] must be of rank 4");
    expect_poisoned(tape, cb_conv1d(X(2, 3, 4), X(2, 2, 3), NULL), CB_ERROR_SHAPE,
                    "a weight of [2,2,3] in 1 groups");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), X(3, 2, 3), NULL, .groups = 2), CB_ERROR_SHAPE,
                    "in 2 groups");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), X(3, 4, 3), X(4)), CB_ERROR_SHAPE,
                    "the bias is not [3]");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), X(3, 4, 5), NULL), CB_ERROR_SHAPE,
                    "a window of 5 with dilation 1 is larger than an extent of 4");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), X(3, 4, 3), NULL, .padding = {-1}), CB_ERROR_VALUE,
                    "negative padding");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), X(3, 4, 3), NULL, .stride = {-1}), CB_ERROR_VALUE,
                    "stride -1");
    expect_poisoned(tape, cb_conv1d(X(2, 4, 4), NULL, NULL), CB_ERROR_TAPE, "the weight is NULL");
    expect_poisoned(tape, cb_conv_with(3, X(2, 4, 4), X(2, 4, 4), NULL), CB_ERROR_VALUE, "3 axes");
    expect_poisoned(tape, cb_max_pool1d(X(2, 4), .stride = {1}), CB_ERROR_VALUE, "size 0");
    expect_poisoned(tape, cb_max_pool1d(X(2, 4), .size = {2}, .padding = {2}), CB_ERROR_VALUE,
                    "max_pool: [2,4]: a padding of 2 is outside 0..1");
    expect_poisoned(tape, cb_avg_pool2d(X(4), .size = {2, 2}), CB_ERROR_SHAPE, "2 pooled axes");
    expect_poisoned(tape, cb_windows(X(4), 0, (const int64_t[]){2}, NULL, NULL), CB_ERROR_VALUE,
                    "0 windowed axes");
    expect_poisoned(tape, cb_batch_norm(X(4), NULL, NULL, NULL, NULL, 0.1), CB_ERROR_SHAPE,
                    "no axis of channels");
    expect_poisoned(tape, cb_batch_norm(X(4, 3), X(3), NULL, NULL, NULL, 0.1), CB_ERROR_VALUE,
                    "one of mean and variance");
    expect_poisoned(tape, cb_batch_norm(X(4, 3), NULL, NULL, X(4), NULL, 0.1), CB_ERROR_SHAPE,
                    "must be [3]");
    cb_params *params = cb_params_new(1);
    cb_module *norm = cb_batch_norm_new(params, "n", 3);
    expect_poisoned(tape, cb_forward(norm, X(4, 2)), CB_ERROR_SHAPE, "axis 1 is not 3");
    expect_poisoned(tape, cb_forward(norm, X(1, 3)), CB_ERROR_SHAPE, "training needs two at least");
    cr_expect_eq(buffer(params, "n.running_var", 0), 1);
    cb_tape_evaluate(tape, true);
    cr_expect_not_null(cb_forward(norm, X(1, 3))->data);
    cb_params_free(params);
    cb_tape_free(tape);
}

Test(convolution, windows_put_their_own_axes_first) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_arange(tape, CB_I32, 1, 1, 7);
    cb_tensor *y = cb_windows(x, 1, (const int64_t[]){3}, (const int64_t[]){2}, NULL);
    const int32_t expected[] = {1, 3, 5, 2, 4, 6, 3, 5, 7};
    const cb_tensor same = cb_tensor_wrap(CB_I32, CB_SHAPE(3, 3), (void *)(uintptr_t)expected);
    cr_expect(cbt_close(y, &same, 0));
    y = cb_windows(cb_reshape(x, CB_SHAPE(1, 7)), 1, (const int64_t[]){2}, NULL,
                   (const int64_t[]){5});
    const int32_t apart[] = {1, 2, 6, 7};
    const cb_tensor wide = cb_tensor_wrap(CB_I32, CB_SHAPE(2, 1, 2), (void *)(uintptr_t)apart);
    cr_expect(cbt_close(y, &wide, 0));
    cb_tape_free(tape);
}

/* No images: nothing to compute, and gradients of zeros. */
Test(convolution, there_may_be_no_images) {
    cb_tape *tape = cb_tape_new();
    cb_tensor w = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 1, 2, 2), (float[]){1, 2, 3, 4});
    cb_tensor *weight = cb_variable(tape, &w);
    cb_tensor *y = cb_conv2d(X(0, 1, 5, 5), weight, NULL, .padding = {1, 1});
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
    cr_expect_eq(y->shape[2], 6);
    cr_expect_eq(cb_tensor_get(cb_gradient(weight), (int64_t[]){0, 0, 1, 1}), 0);
    cb_tape_free(tape);
}

Test(batch_norm, training_needs_two_values_a_channel) {
    for (int64_t n = 0; n < 3; n++) {
        cb_params *params = cb_params_new(1);
        cb_tape *tape = cb_tape_new();
        cb_forward(cb_batch_norm_new(params, "b", 3), X(n, 3));
        cr_expect_eq(cb_tape_status(tape), n < 2 ? CB_ERROR_SHAPE : CB_OK);
        cr_expect(n == 2 || strstr(cb_tape_error(tape), "training needs two at least") != NULL);
        cb_tape_free(tape);
        cb_params_free(params);
    }
}
