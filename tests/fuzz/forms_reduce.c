/* Reductions, normalisations, products and losses. */
#include "forms.h"

#include <math.h>

/* How many elements are reduced to one, and the shape that is left. 0: the axes do not fit, or
   there may be none, or many, because the batch is among them and the form does not allow it. */
static int64_t reduced(const value *v, const type *x, extents *left) {
    bool gone[MOST_RANK] = {false};
    int64_t count = 1;
    *left = (extents){.rank = 0};
    for (int i = 0; i < v->axis_count; i++) {
        int axis = v->axes[i];
        if (axis < 0 || axis >= x->shape.rank || gone[axis])
            return 0;
        gone[axis] = true;
        count *= x->shape.at[axis].times;
    }
    for (int i = 0; i < x->shape.rank; i++)
        if (!gone[i] || v->flag)
            left->at[left->rank++] = gone[i] ? fixed(1) : x->shape.at[i];
    return count;
}

static bool over_batch(const value *v, const type *x) {
    for (int i = 0; i < v->axis_count; i++)
        if (v->axes[i] >= 0 && v->axes[i] < x->shape.rank && x->shape.at[v->axes[i]].batch)
            return true;
    return false;
}

static double magnitude(const type *t) {
    return fmax(fabs(t->low), fabs(t->high));
}

/* The batch is of a size that the sum over it can be bounded for. */
static double bound_of_sum(const type *x, int64_t count, bool over_batch) {
    return magnitude(x) * (double)count * (over_batch ? 70 : 1);
}

static bool is_real(const type *t) {
    return cb_dtype_is_float(t->dtype);
}

/* ---- Reductions ------------------------------------------------------------------------------ */

static bool infer_sum(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = *x;
    int64_t count = reduced(v, x, &v->type.shape);
    if (count == 0)
        return false;
    double bound = bound_of_sum(x, count, over_batch(v, x));
    v->type.low = x->low >= 0 ? 0 : -bound;
    v->type.high = x->high <= 0 ? 0 : bound;
    return true;
}

static bool infer_extreme(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = *x;
    return reduced(v, x, &v->type.shape) > 0;
}

static bool infer_mean(const program *p, value *v) {
    return infer_extreme(p, v) && is_real(&v->type);
}

static bool infer_var(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = *x;
    int64_t count = reduced(v, x, &v->type.shape);
    double range = x->high - x->low, correction = v->parameter[0];
    v->type.low = 0;
    v->type.high = range * range * (correction > 0 ? 2 : 1);
    return is_real(x) && (double)count > correction && !(correction > 0 && over_batch(v, x));
}

static bool infer_logsumexp(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = *x;
    int64_t count = reduced(v, x, &v->type.shape);
    v->type.high += log((double)count * (over_batch(v, x) ? 70 : 1));
    return is_real(x) && count > 0;
}

#define APPLY_REDUCTION(name)                                                                      \
    static cb_tensor *apply_##name(const value *v, cb_tensor *const *in, const surroundings *s) {  \
        (void)s;                                                                                   \
        return cb_##name(in[0], v->axis_count, v->axes, v->flag);                                  \
    }
APPLY_REDUCTION(sum)
APPLY_REDUCTION(mean)
APPLY_REDUCTION(max)
APPLY_REDUCTION(min)
APPLY_REDUCTION(logsumexp)

static cb_tensor *apply_var(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_var(in[0], v->axis_count, v->axes, v->parameter[0], v->flag);
}

#define REDUCTION(form_name, infer_of, is_exact)                                                   \
    const form form_##form_name = {.name = "cb_" #form_name,                                       \
                                   .text = "cb_" #form_name "($0, $a, $f)",                        \
                                   .infer = infer_of,                                              \
                                   .apply = apply_##form_name,                                     \
                                   .exact = is_exact};
REDUCTION(sum, infer_sum, false)
REDUCTION(mean, infer_mean, false)
REDUCTION(max, infer_extreme, true)
REDUCTION(min, infer_extreme, true)
REDUCTION(logsumexp, infer_logsumexp, false)
const form form_var = {.amplifies = true,
                       .name = "cb_var",
                       .text = "cb_var($0, $a, $p, $f)",
                       .infer = infer_var,
                       .apply = apply_var};

/* ---- Along one axis -------------------------------------------------------------------------- */

static bool infer_argmax(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = (type){.dtype = CB_I64};
    int64_t count = v->axis_count == 1 ? reduced(v, x, &v->type.shape) : 0;
    v->type.high = (double)(count * (count > 0 && over_batch(v, x) ? 70 : 1) - 1);
    return count > 0;
}

static cb_tensor *apply_argmax(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_argmax(in[0], v->axes[0], v->flag);
}

static bool infer_softmax(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = (type){x->dtype, x->shape, 0, 1};
    return is_real(x) && v->axis_count == 1 && v->axes[0] >= 0 && v->axes[0] < x->shape.rank;
}

static bool infer_log_softmax(const program *p, value *v) {
    if (!infer_softmax(p, v))
        return false;
    const type *x = input_type(p, v, 0);
    extent e = x->shape.at[v->axes[0]];
    v->type.low = x->low - x->high - log((double)e.times * (e.batch ? 70 : 1));
    v->type.high = 0;
    return true;
}

#define APPLY_ALONG(name)                                                                          \
    static cb_tensor *apply_##name(const value *v, cb_tensor *const *in, const surroundings *s) {  \
        (void)s;                                                                                   \
        return cb_##name(in[0], v->axes[0]);                                                       \
    }
APPLY_ALONG(softmax)
APPLY_ALONG(log_softmax)

const form form_argmax = {.name = "cb_argmax",
                          .text = "cb_argmax($0, $x, $f)",
                          .infer = infer_argmax,
                          .apply = apply_argmax,
                          .exact = true};
const form form_softmax = {.amplifies = true,
                           .name = "cb_softmax",
                           .text = "cb_softmax($0, $x)",
                           .infer = infer_softmax,
                           .apply = apply_softmax};
const form form_log_softmax = {.amplifies = true,
                               .name = "cb_log_softmax",
                               .text = "cb_log_softmax($0, $x)",
                               .infer = infer_log_softmax,
                               .apply = apply_log_softmax};

/* The shape is one that broadcasts to that of x. */
static bool infer_sum_to(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    extents whole;
    v->type = *x;
    v->type.shape = v->shape;
    if (!broadcast(&x->shape, &v->shape, &whole) || !same_extents(&whole, &x->shape))
        return false;
    double bound = bound_of_sum(x, times_of(&x->shape) / times_of(&v->shape),
                                batch_count(&x->shape) > batch_count(&v->shape));
    v->type.low = -bound;
    v->type.high = bound;
    return true;
}

static cb_tensor *apply_sum_to(const value *v, cb_tensor *const *in, const surroundings *s) {
    int64_t shape[MOST_RANK];
    resolve(&v->shape, s->batch, shape);
    return cb_sum_to(in[0], v->shape.rank, shape);
}

const form form_sum_to = {
    .name = "cb_sum_to", .text = "cb_sum_to($0, $s)", .infer = infer_sum_to, .apply = apply_sum_to};

/* ---- Products -------------------------------------------------------------------------------- */

static bool infer_matmul(const program *p, value *v) {
    const type *a = input_type(p, v, 0), *b = input_type(p, v, 1);
    extents left = a->shape, right = b->shape;
    if (a->dtype != b->dtype || !is_real(a) || left.rank < 2 || right.rank < 2)
        return false;
    extent m = left.at[left.rank - 2], inner = left.at[left.rank - 1];
    extent n = right.at[right.rank - 1];
    if (!same_extent(inner, right.at[right.rank - 2]))
        return false;
    left.rank -= 2;
    right.rank -= 2;
    v->type = *a;
    if (!broadcast(&left, &right, &v->type.shape) || v->type.shape.rank + 2 > MOST_RANK)
        return false;
    v->type.shape.at[v->type.shape.rank++] = m;
    v->type.shape.at[v->type.shape.rank++] = n;
    v->type.high = magnitude(b) * bound_of_sum(a, inner.times, inner.batch);
    v->type.low = -v->type.high;
    return true;
}

static cb_tensor *apply_matmul(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_matmul(in[0], in[1]);
}

static bool infer_linear(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *w = input_type(p, v, 1);
    const type *bias = v->in[2] == NO_VALUE ? NULL : input_type(p, v, 2);
    if (x->dtype != w->dtype || !is_real(x) || x->shape.rank < 2 || w->shape.rank != 2)
        return false;
    extent out = w->shape.at[0], in = w->shape.at[1], *last;
    v->type = *x;
    last = &v->type.shape.at[x->shape.rank - 1];
    if (!same_extent(*last, in) ||
        (bias != NULL && (bias->dtype != x->dtype || bias->shape.rank != 1 ||
                          !same_extent(bias->shape.at[0], out))))
        return false;
    *last = out;
    v->type.high =
        magnitude(w) * bound_of_sum(x, in.times, in.batch) + (bias != NULL ? magnitude(bias) : 0);
    v->type.low = -v->type.high;
    return true;
}

static cb_tensor *apply_linear(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_linear(in[0], in[1], in[2]);
}

const form form_matmul = {
    .name = "cb_matmul", .text = "cb_matmul($0, $1)", .infer = infer_matmul, .apply = apply_matmul};
const form form_linear = {.name = "cb_linear",
                          .text = "cb_linear($0, $1, $2)",
                          .optional = 2,
                          .infer = infer_linear,
                          .apply = apply_linear};

/* ---- Layer norm ------------------------------------------------------------------------------ */

static bool fits_last(const type *x, const type *w) {
    for (int i = 1; i <= w->shape.rank; i++)
        if (!same_extent(x->shape.at[x->shape.rank - i], w->shape.at[w->shape.rank - i]) ||
            w->shape.at[w->shape.rank - i].batch)
            return false;
    return w->shape.rank >= 1 && w->dtype == x->dtype;
}

static bool infer_layer_norm(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    const type *w = v->in[1] == NO_VALUE ? NULL : input_type(p, v, 1);
    const type *b = v->in[2] == NO_VALUE ? NULL : input_type(p, v, 2);
    if (!is_real(x) || x->shape.rank < 1 || (w != NULL && w->shape.rank > x->shape.rank) ||
        (b != NULL && b->shape.rank > x->shape.rank) || x->shape.at[x->shape.rank - 1].batch ||
        (w != NULL && !fits_last(x, w)) || (b != NULL && !fits_last(x, b)) ||
        (w != NULL && b != NULL && !same_extents(&w->shape, &b->shape)))
        return false;
    const type *last = w != NULL ? w : b;
    int64_t count = last != NULL ? times_of(&last->shape) : x->shape.at[x->shape.rank - 1].times;
    double bound =
        sqrt((double)count) * (w != NULL ? magnitude(w) : 1) + (b != NULL ? magnitude(b) : 0);
    v->type = (type){x->dtype, x->shape, -bound, bound};
    return v->parameter[0] > 0;
}

static cb_tensor *apply_layer_norm(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_layer_norm(in[0], in[1], in[2], v->parameter[0]);
}

const form form_layer_norm = {.amplifies = true,
                              .name = "cb_layer_norm",
                              .text = "cb_layer_norm($0, $1, $2, $p)",
                              .optional = 1,
                              .infer = infer_layer_norm,
                              .apply = apply_layer_norm};
