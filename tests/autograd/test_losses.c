/* Losses, activations, softmax and layer norm with their gradients, against PyTorch's stored
   vectors in f32; and what they refuse. */
#include "tests/support.h"

#include <cerebra/ops.h>

#include <math.h>
#include <string.h>

/* One stored case, on a tape. */
typedef struct stored {
    cb_safetensors *file;
    cb_tape *tape;
    cb_tensor *input;
} stored;

static stored stored_open(const char *name) {
    stored s = {.file = cbt_reference(name), .tape = cb_tape_new()};
    s.input = cb_variable(s.tape, cbt_find(s.file, "input"));
    return s;
}

/* The elements of a gradient are compared relative to the largest: a mean's are small. */
static void expect_gradient(const stored *s, const char *name, const cb_tensor *variable) {
    const cb_tensor *expected = cbt_find(s->file, name);
    const float *b = expected->data;
    double largest = 0;
    for (int64_t i = 0; i < cb_tensor_count(expected); i++)
        largest = fmax(largest, fabs((double)b[i]));
    cb_tensor *gradient = cb_gradient(variable);
    cr_assert_not_null(gradient);
    for (int64_t i = 0; i < cb_tensor_count(expected); i++)
        cr_expect(fabs(((const float *)gradient->data)[i] - b[i]) <= 1e-5 * largest,
                  "%s, element %lld: %.8g instead of %.8g", name, (long long)i,
                  (double)((const float *)gradient->data)[i], (double)b[i]);
}

/* Compares the output and the gradient of its projection, and ends the case. */
static void stored_check(stored s, const char *name, cb_tensor *y) {
    cr_assert_eq(cb_tape_status(s.tape), CB_OK, "%s: %s", name, cb_tape_error(s.tape));
    cr_expect(cbt_close(y, cbt_find(s.file, "output"), 1e-5), "%s", name);
    cb_tensor *projection = cb_input(s.tape, cbt_find(s.file, "projection.output"));
    cr_expect_eq(cb_backward(cb_sum(cb_mul(y, projection), CB_ALL_AXES, false)), CB_OK);
    expect_gradient(&s, "grad.input", s.input);
}

static void stored_close(stored s) {
    cb_tape_free(s.tape);
    cb_safetensors_free(s.file);
}

static cb_reduction reduction_of(const stored *s) {
    const char *name = cbt_metadata(s->file, "reduction");
    return strcmp(name, "mean") == 0  ? CB_REDUCE_MEAN
           : strcmp(name, "sum") == 0 ? CB_REDUCE_SUM
                                      : CB_REDUCE_NONE;
}

static void check_cross_entropy(const char *name) {
    stored s = stored_open(name);
    const cb_tensor *weight = cb_safetensors_find(s.file, "weight");
    int64_t ignored = (int64_t)atof(cbt_metadata(s.file, "ignore_index"));
    cb_tensor *y = cb_cross_entropy(
        s.input, cb_input(s.tape, cbt_find(s.file, "target")), .reduction = reduction_of(&s),
        .weight = weight != NULL ? cb_input(s.tape, weight) : NULL,
        .ignored = {ignored >= 0, {ignored}},
        .label_smoothing = atof(cbt_metadata(s.file, "label_smoothing")));
    stored_check(s, name, y);
    stored_close(s);
}

Test(losses, cross_entropy) {
    static const char *const kinds[] = {"plain", "ignore", "smooth", "both"};
    static const char *const reductions[] = {"mean", "sum", "none"};
    for (int i = 0; i < 24; i++) {
        char name[80];
        snprintf(name, sizeof(name), "cross_entropy_%s%s_%s", i < 12 ? "" : "weighted_",
                 kinds[i / 3 % 4], reductions[i % 3]);
        check_cross_entropy(name);
    }
    check_cross_entropy("cross_entropy_large_logits");
}

typedef cb_tensor *two_operands(const stored *s, cb_tensor *target);

static cb_tensor *apply_bce(const stored *s, cb_tensor *target) {
    return cb_binary_cross_entropy(s->input, target, reduction_of(s));
}

static cb_tensor *apply_mse(const stored *s, cb_tensor *target) {
    return cb_mse(s->input, target, reduction_of(s));
}

static cb_tensor *apply_huber(const stored *s, cb_tensor *target) {
    return cb_huber(s->input, target, atof(cbt_metadata(s->file, "delta")), reduction_of(s));
}

Test(losses, of_a_prediction_and_a_target) {
    static const struct {
        const char *prefix;
        two_operands *apply;
    } rows[] = {{"bce_with_logits", apply_bce},
                {"mse", apply_mse},
                {"huber", apply_huber},
                {"huber_half", apply_huber}};
    static const char *const reductions[] = {"mean", "sum", "none"};
    for (int i = 0; i < 12; i++) {
        char name[80];
        snprintf(name, sizeof(name), "%s_%s", rows[i / 3].prefix, reductions[i % 3]);
        stored s = stored_open(name);
        cb_tensor *target = cb_variable(s.tape, cbt_find(s.file, "target"));
        stored_check(s, name, rows[i / 3].apply(&s, target));
        expect_gradient(&s, "grad.target", target);
        stored_close(s);
    }
}

Test(losses, activations) {
    static const char *const names[] = {"elu", "elu_alpha_half", "gelu", "silu", "softplus"};
    for (int i = 0; i < 5; i++) {
        stored s = stored_open(names[i]);
        cb_tensor *y = i < 2    ? cb_elu(s.input, i == 0 ? 1 : 0.5)
                       : i == 2 ? cb_gelu(s.input)
                       : i == 3 ? cb_silu(s.input)
                                : cb_softplus(s.input);
        stored_check(s, names[i], y);
        stored_close(s);
    }
}

Test(losses, softmax) {
    static const char *const ends[] = {"last", "middle", "large"};
    for (int i = 0; i < 6; i++) {
        char name[80];
        snprintf(name, sizeof(name), "%s_%s", i < 3 ? "softmax" : "log_softmax", ends[i % 3]);
        stored s = stored_open(name);
        int axis = atoi(cbt_metadata(s.file, "dim"));
        stored_check(s, name, i < 3 ? cb_softmax(s.input, axis) : cb_log_softmax(s.input, axis));
        stored_close(s);
    }
}

Test(losses, layer_norm) {
    static const char *const names[] = {"layer_norm", "layer_norm_two_axes", "layer_norm_plain"};
    for (int i = 0; i < 3; i++) {
        stored s = stored_open(names[i]);
        cb_tensor *weight = i < 2 ? cb_variable(s.tape, cbt_find(s.file, "weight")) : NULL;
        cb_tensor *bias = i < 2 ? cb_variable(s.tape, cbt_find(s.file, "bias")) : NULL;
        stored_check(s, names[i], cb_layer_norm(s.input, weight, bias, 1e-5));
        if (i < 2) {
            expect_gradient(&s, "grad.weight", weight);
            expect_gradient(&s, "grad.bias", bias);
        }
        stored_close(s);
    }
}

Test(losses, cross_entropy_keeps_its_precision_under_a_common_offset) {
    cb_tape *tape = cb_tape_new();
    float values[] = {0.5f, -1.25f, 2};
    cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 3), values);
    cb_tensor *target = cb_full(tape, CB_I64, CB_SHAPE(1), 2);
    cb_tensor *x = cb_input(tape, &plain);
    double near = cb_item(cb_cross_entropy(x, target));
    double far = cb_item(cb_cross_entropy(cb_shift(x, 16384), target));
    cr_expect_float_eq(near, far, 1e-6, "%.9g and %.9g", near, far);
    double smooth = cb_item(cb_cross_entropy(x, target, .label_smoothing = 0.2));
    far = cb_item(cb_cross_entropy(cb_shift(x, 16384), target, .label_smoothing = 0.2));
    cr_expect_float_eq(smooth, far, 1e-6, "%.9g and %.9g", smooth, far);
    cb_tape_free(tape);
}

Test(losses, cross_entropy_of_only_ignored_targets_is_nan_as_a_mean_and_0_as_a_sum) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1);
    cb_tensor *target = cb_full(tape, CB_I32, CB_SHAPE(2), -100);
    cr_expect(isnan(cb_item(cb_cross_entropy(x, target, CB_IGNORE(-100)))));
    cr_expect_eq(cb_item(cb_cross_entropy(x, target, CB_IGNORE(-100), .reduction = CB_REDUCE_SUM)),
                 0);
    cr_expect_eq(cb_tape_status(tape), CB_OK);
    cb_tape_free(tape);
}

/* Logits that differ from row to row, and targets in 0..classes-1. */
static void fill_logits(cb_tensor *logits, cb_tensor *target, int64_t classes) {
    for (int64_t i = 0; i < cb_tensor_count(logits); i++)
        cb_tensor_set(logits, (int64_t[]){i / classes, i % classes},
                      (double)((i * 7919) % 4001) / 250 - 8);
    for (int64_t i = 0; i < cb_tensor_count(target); i++)
        cb_tensor_set(target, &i, (double)((i * 31) % classes));
}

Test(losses, cross_entropy_does_not_depend_on_threads) {
    /* Rows of no multiple of a vector, and more of them than threads share out evenly. */
    const int64_t rows = 1003, classes = 89;
    for (cb_dtype dtype = CB_F32; dtype <= CB_F64; dtype++) {
        cb_tensor *logits = cb_tensor_new(dtype, CB_SHAPE(rows, classes));
        cb_tensor *target = cb_tensor_new(CB_I64, CB_SHAPE(rows)), *first = NULL;
        int threads = cb_threads();
        double loss = 0;
        fill_logits(logits, target, classes);
        for (int t = 1; t <= 4; t++) {
            cb_set_threads(t);
            cb_tape *tape = cb_tape_new();
            cb_tensor *x = cb_variable(tape, logits);
            cb_tensor *y = cb_cross_entropy(x, cb_input(tape, target), .label_smoothing = 0.1);
            cr_assert_eq(cb_backward(y), CB_OK);
            if (t == 1) {
                loss = cb_item(y);
                first = cb_tensor_copy(cb_gradient(x), dtype);
            }
            cr_expect_eq(cb_item(y), loss, "%d threads", t);
            cr_expect(memcmp(cb_gradient(x)->data, first->data, cb_tensor_bytes(first)) == 0,
                      "%d threads", t);
            cb_tape_free(tape);
        }
        cb_set_threads(threads);
        cb_tensor_free(first);
        cb_tensor_free(logits);
        cb_tensor_free(target);
    }
}

Test(losses, cross_entropy_equals_log_softmax_in_every_length_of_row) {
    for (int64_t classes = 1; classes < 600; classes += classes < 40 ? 1 : 37) {
        cb_tensor *logits = cb_tensor_new(CB_F64, CB_SHAPE(9, classes));
        cb_tensor *target = cb_tensor_new(CB_I64, CB_SHAPE(9));
        fill_logits(logits, target, classes);
        cb_tape *tape = cb_tape_new();
        cb_tensor *x[2] = {cb_variable(tape, logits), cb_variable(tape, logits)};
        cb_tensor *t = cb_input(tape, target);
        cb_tensor *loss = cb_cross_entropy(x[0], t, .reduction = CB_REDUCE_SUM);
        cb_tensor *chosen = cb_gather(cb_log_softmax(x[1], -1), -1, cb_unsqueeze(t, -1));
        cb_tensor *expected = cb_neg(cb_sum(chosen, CB_ALL_AXES, false));
        cr_assert_eq(cb_backward(cb_add(loss, expected)), CB_OK);
        cr_expect(cbt_close(loss, expected, 1e-14), "%lld classes", (long long)classes);
        cr_expect(cbt_close(cb_gradient(x[0]), cb_gradient(x[1]), 1e-14), "%lld classes",
                  (long long)classes);
        cb_tape_free(tape);
        cb_tensor_free(logits);
        cb_tensor_free(target);
    }
}

/* The loss of one row of three logits, class 0 true; its gradient into g. */
static double one_row(const float *values, float *g) {
    cb_tape *tape = cb_tape_new();
    float copy[] = {values[0], values[1], values[2]};
    cb_tensor row = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 3), copy);
    cb_tensor *x = cb_variable(tape, &row);
    cb_tensor *loss = cb_cross_entropy(x, cb_full(tape, CB_I32, CB_SHAPE(1), 0));
    cr_expect_eq(cb_backward(loss), CB_OK);
    memcpy(g, cb_gradient(x)->data, 3 * sizeof(*g));
    double y = cb_item(loss);
    cb_tape_free(tape);
    return y;
}

Test(losses, cross_entropy_of_extreme_logits) {
    static const struct {
        float x[3];
        double loss;
        float g[3];
    } rows[] = {
        {{1e30F, 0, -1e30F}, 0, {0, 0, 0}},
        {{0, 1e30F, 0}, 1e30, {-1, 1, 0}},
        {{-3e38F, 3e38F, 0}, INFINITY, {-1, 1, 0}},
        {{0, -INFINITY, -INFINITY}, 0, {0, 0, 0}},
        {{-INFINITY, 0, -INFINITY}, INFINITY, {-1, 1, 0}},
        {{0, NAN, 0}, NAN, {NAN, NAN, NAN}},
        {{NAN, 0, 0}, NAN, {NAN, NAN, NAN}},
        {{0, 0, INFINITY}, NAN, {NAN, NAN, NAN}},
        {{-INFINITY, -INFINITY, -INFINITY}, NAN, {NAN, NAN, NAN}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        float g[3];
        double loss = one_row(rows[i].x, g);
        if (isnan(rows[i].loss))
            cr_expect(isnan(loss), "row %zu: %g", i, loss);
        else
            cr_expect(loss == rows[i].loss || fabs(loss - rows[i].loss) <= 1e-7 * rows[i].loss,
                      "row %zu: %g", i, loss);
        for (int k = 0; k < 3; k++)
            cr_expect(isnan(rows[i].g[k]) ? isnan(g[k]) : g[k] == rows[i].g[k],
                      "row %zu, logit %d: %g", i, k, (double)g[k]);
    }
}

Test(losses, cross_entropy_near_0_keeps_its_digits) {
    float g[3], row[] = {20, 0, -1};
    double expected = log1p(exp(-20) + exp(-21)), loss = one_row(row, g);
    cr_expect(fabs(loss - expected) <= 1e-6 * expected, "%.9g instead of %.9g", loss, expected);
}

Test(losses, cross_entropy_passes_over_ignored_rows_whatever_is_in_them) {
    float values[] = {1, 2, NAN, INFINITY};
    int32_t classes[] = {0, 9, 7, 9};
    cb_tensor logits = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 2), values);
    cb_tensor target = cb_tensor_wrap(CB_I32, CB_SHAPE(2), classes);
    target.stride[0] = 2; /* 0 and 7 */
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &logits);
    cb_tensor *loss = cb_cross_entropy(x, cb_input(tape, &target), CB_IGNORE(7));
    cr_assert_eq(cb_backward(loss), CB_OK);
    cr_expect_float_eq(cb_item(loss), log(1 + exp(1)), 1e-6);
    const float *g = cb_gradient(x)->data;
    cr_expect_float_eq(g[0], -1 / (1 + exp(-1)), 1e-6);
    cr_expect(g[2] == 0 && g[3] == 0);
    cb_tape_free(tape);
}

/* The loss, and its gradient into g, of five rows of which three are ignored: one in a list, or
   through a mask. */
enum { LISTED, MASKED, WAYS };
static double ignoring(int way, bool weighted, double smoothing, float *g) {
    float values[15] = {1, 2, 3, NAN, 0, 0, INFINITY, 1, 0, 2, -1, 0.5F, NAN, NAN, NAN};
    float weights[] = {0.5F, 2, 1.5F};
    int32_t classes[] = {2, 7, -100, 0, 9};
    cb_tensor logits = cb_tensor_wrap(CB_F32, CB_SHAPE(5, 3), values);
    cb_tensor target = cb_tensor_wrap(CB_I32, CB_SHAPE(5), classes);
    cb_tensor weight = cb_tensor_wrap(CB_F32, CB_SHAPE(3), weights);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &logits), *t = cb_input(tape, &target);
    cb_tensor *w = weighted ? cb_input(tape, &weight) : NULL, *loss = NULL;
    cb_tensor *outside =
        cb_maximum(cb_less(t, cb_full_like(t, 0)), cb_greater(t, cb_full_like(t, 2)));
    if (way == LISTED)
        loss = cb_cross_entropy(x, t, CB_IGNORE(-100, 7, 9), .weight = w,
                                .label_smoothing = smoothing);
    else
        loss = cb_cross_entropy(x, cb_masked_fill(t, outside, 5), CB_IGNORE(5), .weight = w,
                                .label_smoothing = smoothing);
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
    memcpy(g, cb_gradient(x)->data, 15 * sizeof(*g));
    double y = cb_item(loss);
    cb_tape_free(tape);
    return y;
}

Test(losses, cross_entropy_ignores_several_indices) {
    for (int k = 0; k < 2 * WAYS * 2; k++) {
        bool weighted = k & 1;
        double smoothing = k & 2 ? 0.3 : 0;
        float g[15];
        double loss = ignoring(k / 4, weighted, smoothing, g), sum = 0;
        /* Rows 0 (class 2) and 3 (class 0) count. */
        const double x[2][3] = {{1, 2, 3}, {2, -1, 0.5}}, w[3] = {0.5, 2, 1.5};
        const int class[] = {2, 0};
        double total = weighted ? w[2] + w[0] : 2;
        for (int r = 0; r < 2; r++) {
            double z = log(exp(x[r][0]) + exp(x[r][1]) + exp(x[r][2]));
            double all = 0, q[3];
            for (int c = 0; c < 3; c++) {
                q[c] =
                    ((c == class[r] ? 1 - smoothing : 0) + smoothing / 3) * (weighted ? w[c] : 1);
                all += q[c];
                sum += q[c] * (z - x[r][c]);
            }
            for (int c = 0; c < 3; c++)
                cr_expect_float_eq(g[9 * r + c], (all * exp(x[r][c] - z) - q[c]) / total, 1e-6);
        }
        cr_expect_float_eq(loss, sum / total, 1e-6, "case %d: %g", k, loss);
        for (int i = 3; i < 15; i++)
            cr_expect((i >= 9 && i < 12) || g[i] == 0, "case %d, logit %d: %g", k, i, (double)g[i]);
    }
}

Test(losses, cross_entropy_with_a_gradient_for_each_row) {
    /* An upstream gradient with strides, which no reduction gives. */
    cb_tensor *logits = cb_tensor_new(CB_F64, CB_SHAPE(6, 5));
    cb_tensor *target = cb_tensor_new(CB_I64, CB_SHAPE(6));
    fill_logits(logits, target, 5);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, logits);
    cb_tensor *rows = cb_reshape(x, CB_SHAPE(2, 3, 5));
    cb_tensor *classes = cb_reshape(cb_input(tape, target), CB_SHAPE(2, 3));
    cb_tensor *y = cb_cross_entropy(rows, classes, .reduction = CB_REDUCE_NONE);
    cb_tensor *weights = cb_reshape(cb_arange(tape, CB_F64, 1, 1, 6), CB_SHAPE(3, 2));
    cb_tensor *weighed = cb_mul(cb_transpose(y, 0, 1), weights);
    cr_assert_eq(cb_backward(cb_sum(weighed, CB_ALL_AXES, false)), CB_OK);
    cb_tensor *p = cb_softmax(cb_input(tape, logits), -1);
    for (int64_t i = 0; i < 6; i++)
        for (int64_t c = 0; c < 5; c++) {
            double weight = (double)(i % 3 * 2 + i / 3 + 1);
            double hot = c == (int64_t)cb_tensor_get(target, &i);
            double expected = weight * (cb_tensor_get(p, (int64_t[]){i, c}) - hot);
            cr_expect_float_eq(cb_tensor_get(cb_gradient(x), (int64_t[]){i, c}), expected, 1e-14,
                               "row %lld, class %lld", (long long)i, (long long)c);
        }
    cb_tape_free(tape);
    cb_tensor_free(logits);
    cb_tensor_free(target);
}

Test(losses, bad_arguments_are_refused) {
    cb_tape *tape = cb_tape_new();
    static const int64_t logits_shape[] = {4, 3};
#define LOGITS cb_full(tape, CB_F32, 2, logits_shape, 0)
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(4), 3));
    cbt_expect_failure(tape, CB_ERROR_INDEX, "index 3, element 0 of 4, is outside 0..2");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(4), -1));
    cbt_expect_failure(tape, CB_ERROR_INDEX, "index -1");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(1), 0));
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "cross_entropy");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(3), 0));
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "cross_entropy");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(2, 2), 0));
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "cross_entropy");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_F32, CB_SHAPE(4), 0));
    cbt_expect_failure(tape, CB_ERROR_DTYPE, "i32 or i64");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(4), 0), .label_smoothing = 1);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "label smoothing");
    cb_cross_entropy(LOGITS, NULL);
    cbt_expect_failure(tape, CB_ERROR_TAPE, "cross_entropy");
    cb_cross_entropy(NULL, cb_full(tape, CB_I64, CB_SHAPE(4), 0));
    cbt_expect_failure(tape, CB_ERROR_TAPE, "cross_entropy");
    cb_tensor *target = cb_full(tape, CB_I64, CB_SHAPE(4), 3), *weight = NULL;
    cb_cross_entropy(LOGITS, target, .weight = cb_full(tape, CB_F32, CB_SHAPE(3), 1));
    cbt_expect_failure(tape, CB_ERROR_INDEX, "cross_entropy: [4,3] x i64[4]: index 3");
    target = cb_full(tape, CB_I64, CB_SHAPE(4), 0), weight = cb_full(tape, CB_F32, CB_SHAPE(4), 1);
    cb_cross_entropy(LOGITS, target, .weight = weight);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "the weight [4] has not one number for each class");
    target = cb_full(tape, CB_I64, CB_SHAPE(4), 0), weight = cb_full(tape, CB_F64, CB_SHAPE(3), 1);
    cb_cross_entropy(LOGITS, target, .weight = weight);
    cbt_expect_failure(tape, CB_ERROR_DTYPE, "the weight is f64");
    cb_cross_entropy(LOGITS, cb_full(tape, CB_I64, CB_SHAPE(4), 0), .ignored.count = 9);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "9 ignored indices; there can be up to 8");
    cb_huber(LOGITS, LOGITS, 0, CB_REDUCE_MEAN);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "huber");
    cb_mse(LOGITS, cb_full(tape, CB_F32, CB_SHAPE(5), 0), CB_REDUCE_MEAN);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "[4,3] x [5]");
    cb_layer_norm(LOGITS, cb_full(tape, CB_F32, CB_SHAPE(1), 0), NULL, 1e-5);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "layer_norm");
    cb_layer_norm(LOGITS, cb_full(tape, CB_F32, CB_SHAPE(3), 0),
                  cb_full(tape, CB_F32, CB_SHAPE(4, 3), 0), 1e-5);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "layer_norm");
    cb_layer_norm(cb_full(tape, CB_F32, CB_SHAPE(3, 1), 0), cb_full(tape, CB_F32, CB_SHAPE(5), 0),
                  NULL, 1e-5);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "layer_norm");
    cb_tape_free(tape);
}

Test(losses, arguments_outside_their_range_are_refused) {
    float one = 1;
    cb_tensor value = cb_tensor_wrap(CB_F32, CB_SHAPE(1), &one);
    cb_tape *tape = cb_tape_new();
    for (int k = 0; k < 4; k++) {
        cb_tensor *x = cb_input(tape, &value), *y = NULL;
        switch (k) {
        case 0:
            y = cb_dropout(x, 0.5, NULL);
            break;
        case 1:
            y = cb_mse(x, x, (cb_reduction)7);
            break;
        case 2:
            y = cb_layer_norm(x, NULL, NULL, -1);
            break;
        default:
            y = cb_sum(x, -2, NULL, false);
            break;
        }
        cr_expect_eq(cb_tape_status(tape), CB_ERROR_VALUE, "case %d", k);
        cr_expect_null(y->data, "case %d", k);
        cr_expect(cb_tape_error(tape)[0] != '\0', "case %d has no message", k);
        cb_tape_reset(tape);
    }
    cb_tape_free(tape);
}
