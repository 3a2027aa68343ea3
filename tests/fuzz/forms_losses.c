/* Losses without a reduction, which a step may use as it may any op. */
#include "forms.h"

#include <math.h>

static double magnitude(const type *t) {
    return fmax(fabs(t->low), fabs(t->high));
}

static bool infer_residual(const program *p, value *v) {
    const type *a = input_type(p, v, 0), *b = input_type(p, v, 1);
    double range = magnitude(a) + magnitude(b);
    v->type = (type){.dtype = a->dtype, .low = 0, .high = range * range};
    return a->dtype == b->dtype && cb_dtype_is_float(a->dtype) &&
           broadcast(&a->shape, &b->shape, &v->type.shape);
}

/* The target is in [0, 1]. */
static bool infer_binary_cross_entropy(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *target = input_type(p, v, 1);
    v->type.low = 0;
    bool good = infer_residual(p, v) && target->low >= 0 && target->high <= 1;
    v->type.low = 0;
    v->type.high = 2 * magnitude(x) + 1;
    return good;
}

/* The target is a class of each row of logits. */
static bool infer_cross_entropy(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *target = input_type(p, v, 1);
    extents rows = x->shape;
    if (rows.rank < 1 || !cb_dtype_is_float(x->dtype) || cb_dtype_is_float(target->dtype) ||
        rows.at[rows.rank - 1].batch)
        return false;
    double classes = (double)rows.at[--rows.rank].times;
    v->type = (type){x->dtype, rows, 0, x->high - x->low + log(classes)};
    return same_extents(&rows, &target->shape) && target->low >= 0 && target->high < classes;
}

static cb_tensor *apply_mse(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_mse(in[0], in[1], CB_REDUCE_NONE);
}

static cb_tensor *apply_huber(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_huber(in[0], in[1], v->parameter[0], CB_REDUCE_NONE);
}

static cb_tensor *apply_binary_cross_entropy(const value *v, cb_tensor *const *in,
                                             const surroundings *s) {
    (void)v, (void)s;
    return cb_binary_cross_entropy(in[0], in[1], CB_REDUCE_NONE);
}

static cb_tensor *apply_cross_entropy(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_cross_entropy(in[0], in[1], .reduction = CB_REDUCE_NONE,
                            .label_smoothing = v->parameter[0]);
}

const form form_mse = {.name = "cb_mse",
                       .text = "cb_mse($0, $1, CB_REDUCE_NONE)",
                       .infer = infer_residual,
                       .apply = apply_mse};
const form form_huber = {.name = "cb_huber",
                         .text = "cb_huber($0, $1, $p, CB_REDUCE_NONE)",
                         .infer = infer_residual,
                         .apply = apply_huber};
const form form_binary_cross_entropy = {.name = "cb_binary_cross_entropy",
                                        .text = "cb_binary_cross_entropy($0, $1, CB_REDUCE_NONE)",
                                        .infer = infer_binary_cross_entropy,
                                        .apply = apply_binary_cross_entropy};
const form form_cross_entropy = {.name = "cb_cross_entropy",
                                 .text = "cb_cross_entropy($0, $1, .reduction = CB_REDUCE_NONE, "
                                         ".label_smoothing = $p)",
                                 .infer = infer_cross_entropy,
                                 .apply = apply_cross_entropy};
