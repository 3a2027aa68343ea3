/* Optimizers: ten steps against PyTorch's in f32 and f64, groups, options, frozen parameters. */
#include "tensor/memory.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* ---- PyTorch --------------------------------------------------------------------------------- */

/* A number or truth value of the file's metadata; 0 when there is none of that key. */
static double number(const cb_safetensors *file, const char *key) {
    const char *text = cb_safetensors_metadata(file, key);
    return text == NULL ? 0 : strcmp(text, "true") == 0 ? 1 : strtod(text, NULL);
}

static cb_optimizer_options options_of(const cb_safetensors *file) {
    cb_optimizer_options options = {
        .lr = number(file, "lr"),
        .weight_decay = number(file, "weight_decay"),
        .momentum = number(file, "momentum"),
        .dampening = number(file, "dampening"),
        .nesterov = number(file, "nesterov") != 0,
        .lr_decay = number(file, "lr_decay"),
        .initial_accumulator = number(file, "initial_accumulator_value"),
        .alpha = number(file, "alpha"),
        .epsilon = number(file, "eps"),
        .amsgrad = number(file, "amsgrad") != 0,
        .centered = number(file, "centered") != 0,
    };
    const char *betas = cb_safetensors_metadata(file, "betas");
    if (betas != NULL)
        cr_assert_eq(sscanf(betas, "[%lf, %lf]", &options.beta1, &options.beta2), 2);
    return options;
}

static const cb_tensor *entry(const cb_safetensors *file, const char *kind, int i) {
    char name[32];
    snprintf(name, sizeof name, "%s.%d", kind, i);
    return cbt_find(file, name);
}

/* Row `step` of a tensor [steps, ...], as a view. */
static cb_tensor row(const cb_tensor *t, int64_t step) {
    size_t bytes = cb_tensor_bytes(t) / (size_t)t->shape[0];
    return cb_tensor_wrap(t->dtype, t->rank - 1, t->shape + 1,
                          (char *)t->data + (size_t)step * bytes);
}

static void expect_steps(const char *name, cb_dtype dtype) {
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_safetensors *file = cbt_reference(name);
    cb_params *params = cb_params_new_dtype(1, dtype);
    for (int i = 0; i < 2; i++) {
        const cb_tensor *start = entry(file, "params", i);
        cb_param *param = cb_params_add(params, i == 0 ? "first" : "second", start->rank,
                                        start->shape, 0, &zeros);
        cr_assert_eq(cb_tensor_assign(param->value, start), CB_OK);
    }
    cb_optimizer_options options = options_of(file);
    cb_optimizer *optimizer =
        cb_optimizer_new(cb_safetensors_metadata(file, "optimizer"), params, &options);
    if (cb_safetensors_metadata(file, "group.1.lr") != NULL) {
        options.lr = number(file, "group.1.lr");
        options.weight_decay = number(file, "group.1.weight_decay");
        cr_expect_eq(cb_optimizer_group(optimizer, "second", &options), 1);
    }
    cr_assert_eq(cb_params_status(params), CB_OK, "%s: %s", name, cb_params_error(params));
    for (int64_t step = 0; step < 10; step++) {
        for (int i = 0; i < 2; i++) {
            cb_tensor gradient = row(entry(file, "grads", i), step);
            cr_assert_eq(cb_tensor_assign(cb_params_at(params, i)->gradient, &gradient), CB_OK);
        }
        cr_expect_eq(cb_optimizer_step(optimizer), CB_OK);
        for (int i = 0; i < 2; i++) {
            cb_tensor expected = row(entry(file, "steps", i), step);
            cr_expect(
                cbt_close(cb_params_at(params, i)->value, &expected, dtype == CB_F32 ? 1e-5 : 2e-7),
                "%s", name);
            cr_expect_eq(cb_tensor_get(cb_params_at(params, i)->gradient, (int64_t[]){0, 0}), 0);
        }
    }
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    cb_safetensors_free(file);
}

static const char *const files[] = {
    "optimizer_sgd",
    "optimizer_sgd_momentum",
    "optimizer_sgd_nesterov_weight_decay",
    "optimizer_sgd_dampening",
    "optimizer_sgd_groups",
    "optimizer_adagrad",
    "optimizer_adagrad_all",
    "optimizer_adam",
    "optimizer_adam_weight_decay",
    "optimizer_adam_amsgrad",
    "optimizer_adamw",
    "optimizer_rmsprop",
    "optimizer_rmsprop_momentum",
    "optimizer_rmsprop_centered",
    "optimizer_rmsprop_weight_decay",
    "optimizer_rmsprop_centered_momentum",
};

Test(optimizers, ten_steps_equal_pytorch_in_f32) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        expect_steps(files[i], CB_F32);
}

Test(optimizers, ten_steps_equal_pytorch_in_f64) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        expect_steps(files[i], CB_F64);
}

/* ---- Sets of one's own ----------------------------------------------------------------------- */

/* "a.weight", "a.bias", "b.weight", n elements each, all 1, with gradients of 1. */
static cb_params *three(int64_t n) {
    const cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1};
    const char *const names[] = {"a.weight", "a.bias", "b.weight"};
    cb_params *params = cb_params_new(1);
    for (int i = 0; i < 3; i++)
        cb_tensor_fill(cb_params_add(params, names[i], CB_SHAPE(n), 0, &one)->gradient, 1);
    return params;
}

static float value(const cb_params *params, int i) {
    return *(float *)cb_params_at(params, i)->value->data;
}

Test(optimizers, large_parameters_are_updated_whole_whatever_the_threads) {
    const int64_t n = 100003;
    int threads = cb_threads();
    for (int t = 1; t <= 3; t += 2) {
        cb_set_threads(t);
        cb_params *params = three(n);
        cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.25);
        cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
        const float *x = cb_params_at(params, 2)->value->data;
        const float *g = cb_params_at(params, 2)->gradient->data;
        int64_t right = 0;
        for (int64_t i = 0; i < n; i++)
            right += x[i] == 0.75F && g[i] == 0;
        cr_expect_eq(right, n);
        cb_optimizer_free(sgd);
        cb_params_free(params);
    }
    cb_set_threads(threads);
}

Test(optimizers, groups_take_parameters_by_prefix) {
    cb_params *params = three(2);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5);
    cr_expect_eq(cb_optimizer_group_count(sgd), 1);
    cb_optimizer_options *first = cb_optimizer_group_options(sgd, 0);
    cr_expect_eq(cb_optimizer_group(sgd, "a.", &(cb_optimizer_options){.lr = 0.25}), 1);
    cr_expect_eq(cb_optimizer_group(sgd, "a.bias", NULL), 2);
    cr_expect_eq(cb_optimizer_group_count(sgd), 3);
    cr_expect_eq(cb_optimizer_group_options(sgd, 0), first);
    cr_expect_eq(first->lr, 0.5);
    cr_expect_eq(cb_optimizer_group_options(sgd, 2)->lr, first->lr);
    cr_expect_null(cb_optimizer_group_options(sgd, 3));
    cr_expect_null(cb_optimizer_group_options(sgd, -1));
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_float_eq(value(params, 0), 0.75, 1e-7);
    cr_expect_float_eq(value(params, 1), 0.5, 1e-7);
    cr_expect_float_eq(value(params, 2), 0.5, 1e-7);
    cr_expect_eq(cb_params_status(params), CB_OK);
    cr_expect_eq(cb_optimizer_group(sgd, "c", NULL), -1);
    cr_expect_eq(cb_params_status(params), CB_ERROR_NOT_FOUND);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

/* Blocks h.1 and h.10, of a matrix and a vector each. */
static cb_params *blocks(void) {
    const cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1};
    cb_params *params = cb_params_new(1);
    cb_params_add(params, "h.1.weight", CB_SHAPE(2, 2), 0, &one);
    cb_params_add(params, "h.1.bias", CB_SHAPE(2), 0, &one);
    cb_params_add(params, "h.10.weight", CB_SHAPE(2, 2), 0, &one);
    cb_params_add(params, "h.10.bias", CB_SHAPE(2), 0, &one);
    for (int i = 0; i < 4; i++)
        cb_tensor_fill(cb_params_at(params, i)->gradient, 1);
    return params;
}

Test(optimizers, a_number_in_a_prefix_is_whole) {
    cb_params *params = blocks();
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5);
    cb_optimizer_group(sgd, "h.1", &(cb_optimizer_options){.lr = 0.25});
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    const float expected[] = {0.75F, 0.75F, 0.5F, 0.5F};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(value(params, i), expected[i], "parameter %d", i);
    cr_expect_eq(cb_optimizer_group(sgd, "h", &(cb_optimizer_options){.lr = 0.125}), 2);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

Test(optimizers, chosen_parameters_are_a_group_that_inherits) {
    cb_params *params = blocks();
    cb_optimizer *sgd =
        cb_sgd_new(params, .lr = 0.5, .momentum = 0.5, .nesterov = true, .weight_decay = 0.25);
    int group = cb_optimizer_group_where(sgd, cb_param_is_vector, NULL,
                                         CB_OPTIMIZER_OPTIONS(.weight_decay = 0));
    cr_assert_eq(group, 1);
    const cb_optimizer_options *o = cb_optimizer_group_options(sgd, group);
    cr_expect(o->lr == 0.5 && o->momentum == 0.5 && o->nesterov && o->weight_decay == 0);
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    for (int i = 0; i < 4; i++) { /* theta -= lr (1 + momentum) (g + decay theta) */
        double decay = i % 2 == 0 ? 0.25 : 0;
        cr_expect_float_eq(value(params, i), 1 - 0.75 * (1 + decay), 1e-6, "parameter %d", i);
    }
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

static bool none(const cb_param *param, void *context) {
    (void)param, (void)context;
    return false;
}

Test(optimizers, a_group_without_parameters_is_refused) {
    cb_params *params = blocks();
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5);
    cr_expect_eq(cb_optimizer_group_where(sgd, none, NULL, NULL), -1);
    cr_expect_eq(cb_params_status(params), CB_ERROR_NOT_FOUND);
    cr_expect_eq(cb_optimizer_group_where(NULL, none, NULL, NULL), -1);
    cr_expect_eq(cb_optimizer_group_where(sgd, NULL, NULL, NULL), -1);
    cr_expect_eq(cb_optimizer_group_count(sgd), 1);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

Test(optimizers, a_group_has_its_own_accumulator) {
    cb_params *params = three(1);
    cb_optimizer *adagrad = cb_adagrad_new(params, .lr = 1, .initial_accumulator = 3);
    cb_optimizer_options eight = {.lr = 1, .initial_accumulator = 8};
    cr_expect_eq(cb_optimizer_group(adagrad, "b", &eight), 1);
    cr_expect_eq(cb_optimizer_step(adagrad), CB_OK);
    cr_expect_float_eq(value(params, 0), 1 - 1 / sqrt(4), 1e-6);
    cr_expect_float_eq(value(params, 2), 1 - 1 / sqrt(9), 1e-6);
    cb_optimizer_free(adagrad);
    cb_params_free(params);
}

Test(optimizers, frozen_parameters_are_passed_by_and_count_no_steps) {
    cb_params *params = three(1);
    cb_param *frozen = cb_params_at(params, 1);
    frozen->frozen = true;
    cb_optimizer *adam = cb_adam_new(params, .lr = 0.1);
    cr_expect_eq(cb_optimizer_step(adam), CB_OK);
    cr_expect_eq(value(params, 1), 1);
    cr_expect_eq(*(float *)frozen->gradient->data, 0);
    /* Adam's first step is lr, whatever the gradient's size. */
    cr_expect_float_eq(value(params, 0), 0.9, 1e-6);
    frozen->frozen = false;
    cb_tensor_fill(frozen->gradient, 100);
    cr_expect_eq(cb_optimizer_step(adam), CB_OK);
    cr_expect_float_eq(value(params, 1), 0.9, 1e-6);
    cb_optimizer_free(adam);
    cb_params_free(params);
}

Test(optimizers, a_step_allocates_only_at_first) {
    cb_params *params = three(10);
    cb_optimizer *adam = cb_adam_new(params, .amsgrad = true);
    cb_optimizer_step(adam);
    int64_t before = cbi_allocation_count();
    cb_optimizer_step(adam);
    cr_expect_eq(cbi_allocation_count(), before);
    cb_optimizer_free(adam);
    cb_params_free(params);
}

/* ---- Clipping in the step -------------------------------------------------------------------- */

/* Parameters of one element and of several blocks, so that blocks and threads begin in the middle
   of some, with a frozen one among them; gradients of about 1 that change from step to step. */
static cb_params *many(cb_dtype dtype) {
    static const int64_t sizes[] = {1, 3, 70001, 17, 5000, 40009, 2};
    const cb_init uniform = {.kind = CB_INIT_UNIFORM, .a = -1, .b = 1};
    cb_params *params = cb_params_new_dtype(7, dtype);
    for (int i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        cb_params_add(params, name, CB_SHAPE(sizes[i]), 0, &uniform);
    }
    cb_params_at(params, 4)->frozen = true;
    return params;
}

static void draw_gradients(cb_params *params, int step) {
    cb_random random = cb_random_seed((uint64_t)step);
    const cb_init normal = {.kind = CB_INIT_NORMAL, .b = 1};
    for (int i = 0; i < cb_params_count(params); i++)
        cr_assert_eq(cb_initialise(cb_params_at(params, i)->gradient, &normal, &random), CB_OK);
}

/* Whether all values are equal bit for bit and all gradients zero. */
static bool same_values(const cb_params *a, const cb_params *b) {
    bool same = true;
    for (int i = 0; i < cb_params_count(a); i++) {
        const cb_tensor *x = cb_params_at(a, i)->value, *y = cb_params_at(b, i)->value;
        same = same && memcmp(x->data, y->data, cb_tensor_bytes(x)) == 0;
        const unsigned char *g = cb_params_at(a, i)->gradient->data;
        for (size_t k = 0; k < cb_tensor_bytes(x); k++)
            same = same && g[k] == 0;
    }
    return same;
}

/* Three steps with the option against cb_clip_gradient_norm and a step, on other threads. The norm
   of 115,033 elements is about 339. */
static void expect_fused(const char *name, cb_dtype dtype, double max_norm, int threads) {
    cb_params *fused = many(dtype), *apart = many(dtype);
    cb_optimizer_options options = {.lr = 0.01, .weight_decay = 0.1, .clip_norm = max_norm};
    cb_optimizer *first = cb_optimizer_new(name, fused, &options);
    options.clip_norm = 0;
    cb_optimizer *second = cb_optimizer_new(name, apart, &options);
    cr_expect(isnan(cb_optimizer_gradient_norm(first)));
    for (int step = 1; step <= 3; step++) {
        draw_gradients(fused, step);
        draw_gradients(apart, step);
        cb_set_threads(threads);
        cr_expect_eq(cb_optimizer_step(first), CB_OK);
        cb_set_threads(1);
        double norm = cb_clip_gradient_norm(apart, max_norm);
        cr_expect_float_eq(norm, 339, 2);
        cr_expect_eq(cb_optimizer_gradient_norm(first), norm);
        cr_expect_eq(cb_optimizer_step(second), CB_OK);
        cr_expect(isnan(cb_optimizer_gradient_norm(second)));
        cr_expect(same_values(fused, apart), "%s, %s, norm %g, %d threads, step %d", name,
                  cb_dtype_name(dtype), max_norm, threads, step);
    }
    cb_optimizer_free(first);
    cb_optimizer_free(second);
    cb_params_free(fused);
    cb_params_free(apart);
}

Test(optimizers, clipping_in_the_step_equals_clipping_before_it) {
    int threads = cb_threads();
    for (const char *const *name = cb_optimizer_names(); *name != NULL; name++) {
        for (cb_dtype dtype = CB_F32; dtype <= CB_F64; dtype++) {
            expect_fused(*name, dtype, 2.5, 3);
            expect_fused(*name, dtype, 2.5, 1);
            expect_fused(*name, dtype, 1000, 2);
        }
    }
    expect_fused("adagrad", CB_F32, HUGE_VAL, 2);
    cb_set_threads(threads);
}

Test(optimizers, the_first_group_says_how_all_are_clipped) {
    cb_params *params = three(1);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 1);
    cb_optimizer_group(sgd, "b", &(cb_optimizer_options){.lr = 1, .clip_norm = 0.125});
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_eq(value(params, 0), 0);
    cr_expect_eq(value(params, 2), 0);
    cb_optimizer_group_options(sgd, 0)->clip_norm = sqrt(3) / 2;
    for (int i = 0; i < 3; i++)
        cb_tensor_fill(cb_params_at(params, i)->gradient, 1);
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_float_eq(value(params, 0), -0.5, 1e-6);
    cr_expect_float_eq(value(params, 2), -0.5, 1e-6);
    cr_expect_float_eq(cb_optimizer_gradient_norm(sgd), sqrt(3), 1e-12);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

/* ---- Options --------------------------------------------------------------------------------- */

Test(optimizers, names_and_defaults) {
    const struct {
        const char *name;
        double lr, weight_decay, beta1, beta2, alpha, epsilon;
    } expected[] = {
        {"sgd", 1e-3, 0, 0, 0, 0, 0},           {"adagrad", 1e-2, 0, 0, 0, 0, 1e-10},
        {"adam", 1e-3, 0, 0.9, 0.999, 0, 1e-8}, {"adamw", 1e-3, 1e-2, 0.9, 0.999, 0, 1e-8},
        {"rmsprop", 1e-2, 0, 0, 0, 0.99, 1e-8},
    };
    cb_params *params = three(1);
    for (int i = 0; i < 5; i++) {
        cr_expect_str_eq(cb_optimizer_names()[i], expected[i].name);
        cb_optimizer *optimizer = cb_optimizer_new(expected[i].name, params, NULL);
        cr_assert_not_null(optimizer);
        const cb_optimizer_options *o = cb_optimizer_group_options(optimizer, 0);
        cr_expect_eq(o->lr, expected[i].lr);
        cr_expect_eq(o->weight_decay, expected[i].weight_decay);
        cr_expect_eq(o->beta1, expected[i].beta1);
        cr_expect_eq(o->beta2, expected[i].beta2);
        cr_expect_eq(o->alpha, expected[i].alpha);
        cr_expect_eq(o->epsilon, expected[i].epsilon);
        cb_optimizer_free(optimizer);
    }
    cr_expect_null(cb_optimizer_names()[5]);
    cr_expect_eq(cb_params_status(params), CB_OK);
    cb_params_free(params);
}

/* The options of the first group that an optimizer of these gets. */
static cb_optimizer_options options_got(cb_params *params, cb_optimizer *optimizer) {
    cr_assert_not_null(optimizer, "%s", cb_params_error(params));
    cb_optimizer_options got = *cb_optimizer_group_options(optimizer, 0);
    cb_optimizer_free(optimizer);
    return got;
}

Test(optimizers, a_zero_that_is_named_is_zero) {
#define NO_DECAY .weight_decay = 0
    const double first_beta = 0;
    cb_params *params = three(1);
    cb_optimizer_options o = options_got(
        params, cb_adamw_new(params, .lr = 0.5, .weight_decay = 0, .beta1 = first_beta));
    cr_expect(o.lr == 0.5 && o.weight_decay == 0 && o.beta1 == 0 && o.beta2 == 0.999);
    cr_expect_null(o.named);
    /* In a macro's arguments, and in those of another option. */
    o = options_got(params, cb_adamw_new(params, NO_DECAY));
    cr_expect(o.lr == 1e-3 && o.weight_decay == 0);
    o = options_got(params,
                    cb_adamw_new(params, .beta1 = (o.weight_decay = 0.5, o.epsilon == 0), .lr = 0));
    cr_expect(o.lr == 0 && o.weight_decay == 0.01 && o.beta1 == 0 && o.epsilon == 1e-8);
    /* In a struct, 0 is the default where the name is not given. */
    cb_optimizer_options given = {.weight_decay = 0};
    o = options_got(params, cb_optimizer_new("adamw", params, &given));
    cr_expect_eq(o.weight_decay, 0.01);
    given.named = " .beta1,.weight_decay";
    o = options_got(params, cb_optimizer_new("adamw", params, &given));
    cr_expect(o.weight_decay == 0 && o.beta1 == 0 && o.beta2 == 0.999);
    given.named = ".weight";
    cr_expect_null(cb_optimizer_new("adamw", params, &given));
    cr_expect_str_eq(cb_params_error(params), "adamw: there is no option weight");
    cb_params_free(params);
}

Test(optimizers, a_zero_that_is_named_is_zero_in_a_group) {
    cb_params *params = three(1);
    cb_optimizer *sgd =
        cb_sgd_new(params, .lr = 0.5, .momentum = 0.5, .nesterov = true, .weight_decay = 0.25);
    int group = cb_optimizer_group(
        sgd, "b", CB_OPTIMIZER_OPTIONS(.momentum = 0, .nesterov = false, .weight_decay = 0));
    cr_assert_eq(group, 1);
    const cb_optimizer_options *o = cb_optimizer_group_options(sgd, group);
    cr_expect(o->lr == 0.5 && o->momentum == 0 && !o->nesterov && o->weight_decay == 0);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

static void expect_refused(const char *name, cb_optimizer_options options, cb_status status,
                           const char *text) {
    cb_params *params = three(1);
    cr_expect_null(cb_optimizer_new(name, params, &options), "%s accepts a bad %s", name, text);
    cr_expect_eq(cb_params_status(params), status);
    cr_expect_not_null(strstr(cb_params_error(params), text), "'%s' is not in '%s'", text,
                       cb_params_error(params));
    cb_params_free(params);
}

Test(optimizers, bad_options_are_refused) {
#define OPTIONS(...) (cb_optimizer_options){__VA_ARGS__}
    expect_refused("sdg", OPTIONS(.lr = 1), CB_ERROR_NOT_FOUND, "sdg");
    expect_refused(NULL, OPTIONS(.lr = 1), CB_ERROR_NOT_FOUND, "NULL");
    expect_refused("sgd", OPTIONS(.lr = -1), CB_ERROR_VALUE, "lr -1");
    expect_refused("sgd", OPTIONS(.lr = NAN), CB_ERROR_VALUE, "lr nan");
    expect_refused("sgd", OPTIONS(.lr = HUGE_VAL), CB_ERROR_VALUE, "lr inf");
    expect_refused("sgd", OPTIONS(.momentum = -0.5), CB_ERROR_VALUE, "momentum");
    expect_refused("sgd", OPTIONS(.weight_decay = -0.5), CB_ERROR_VALUE, "weight_decay");
    expect_refused("adamw", OPTIONS(.weight_decay = -1), CB_ERROR_VALUE, "weight_decay");
    expect_refused("sgd", OPTIONS(.momentum = 0.5, .dampening = 2), CB_ERROR_VALUE, "dampening");
    expect_refused("sgd", OPTIONS(.nesterov = true), CB_ERROR_VALUE, "nesterov");
    expect_refused("sgd", OPTIONS(.nesterov = true, .momentum = 0.5, .dampening = 0.5),
                   CB_ERROR_VALUE, "nesterov");
    expect_refused("adagrad", OPTIONS(.lr_decay = -1), CB_ERROR_VALUE, "lr_decay");
    expect_refused("adagrad", OPTIONS(.initial_accumulator = -1), CB_ERROR_VALUE,
                   "initial_accumulator");
    expect_refused("adam", OPTIONS(.beta1 = 1), CB_ERROR_VALUE, "beta1");
    expect_refused("adam", OPTIONS(.beta2 = -0.5), CB_ERROR_VALUE, "beta2");
    expect_refused("rmsprop", OPTIONS(.alpha = 1.5), CB_ERROR_VALUE, "alpha");
    expect_refused("rmsprop", OPTIONS(.epsilon = -1), CB_ERROR_VALUE, "epsilon");
    expect_refused("sgd", OPTIONS(.clip_norm = -1), CB_ERROR_VALUE, "clip_norm");
    expect_refused("sgd", OPTIONS(.clip_norm = NAN), CB_ERROR_VALUE, "clip_norm");
}

Test(optimizers, options_changed_to_bad_ones_stop_the_step) {
    cb_params *params = three(1);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5);
    cb_optimizer_group_options(sgd, 0)->lr = NAN;
    cr_expect_eq(cb_optimizer_step(sgd), CB_ERROR_VALUE);
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cr_expect_eq(value(params, 0), 1);
    /* A rate of 0 is what some schedules end with. */
    cb_optimizer_group_options(sgd, 0)->lr = 0;
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_eq(value(params, 0), 1);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

/* ---- Parameters that come later -------------------------------------------------------------- */

Test(optimizers, parameters_that_are_added_later_are_updated) {
    const cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1};
    cb_params *params = cb_params_new(1);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5, .momentum = 0.5, .clip_norm = INFINITY);
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        cb_tensor_fill(cb_params_add(params, name, CB_SHAPE(1), 0, &one)->gradient, 1);
        cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
        cr_expect_eq(value(params, i), 0.5, "p%d", i);
        cr_expect_eq(cb_optimizer_gradient_norm(sgd), 1);
    }
    /* Each counts its own steps, and has its own place in the state. */
    cr_expect_eq(cb_optimizer_state_count(sgd), 80);
    cr_expect_eq(cb_tensor_get(cb_optimizer_state_at(sgd, 0).tensor, NULL), 40);
    cb_named_tensor last = cb_optimizer_state_at(sgd, 78);
    cr_expect_str_eq(last.name, "optimizer.p39.step");
    cr_expect_eq(cb_tensor_get(last.tensor, NULL), 1);
    cb_params_add(params, "late", CB_SHAPE(1), 0, &one);
    cr_expect_eq(cb_optimizer_group(sgd, "late", &(cb_optimizer_options){.lr = 0.25}), 1);
    cb_tensor_fill(cb_params_find(params, "late")->gradient, 1);
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_eq(value(params, 40), 0.75);
    cb_optimizer_free(sgd);
    cb_params_free(params);
}

Test(optimizers, null_is_an_error_and_never_a_crash) {
    cr_expect_eq(cb_optimizer_step(NULL), CB_ERROR_VALUE);
    cr_expect(isnan(cb_optimizer_gradient_norm(NULL)));
    cr_expect_null(cb_optimizer_new("sgd", NULL, NULL));
    cr_expect_eq(cb_optimizer_group(NULL, "a", NULL), -1);
    cr_expect_eq(cb_optimizer_group_count(NULL), 0);
    cr_expect_null(cb_optimizer_group_options(NULL, 0));
    cb_optimizer_free(NULL);
}

Test(optimizers, every_allocation_may_fail) {
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        cb_params *params = three(4);
        cbi_allocation_fail_after(n);
        cb_optimizer *adam = cb_adam_new(params, .lr = 0.1);
        int group = cb_optimizer_group(adam, "b", NULL);
        cb_status status = adam == NULL || group < 0 ? CB_ERROR_MEMORY : cb_optimizer_step(adam);
        cbi_allocation_fail_after(-1);
        cr_expect_eq(cb_params_status(params), status);
        if (status != CB_OK) {
            failures++;
            for (int i = 0; i < 3; i++)
                cr_expect_eq(value(params, i), 1);
        }
        cb_optimizer_free(adam);
        cb_params_free(params);
        if (status == CB_OK)
            break;
    }
    /* The optimizer, its list of slots, three slots, two groups of two each, and three times two
       state buffers. */
    cr_expect_eq(failures, 15);
}
