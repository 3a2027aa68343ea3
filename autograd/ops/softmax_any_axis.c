/* Softmax and its relatives as users call them: ops of one pass over the last axis (softmax.c),
   and plain ops in a trace, where the compiler fuses them, and over several axes. */
#include "autograd/ops/axes.h"
#include "autograd/ops/list.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>
#include <float.h>

static bool is_one_pass(const cb_tensor *x) {
    return cbi_in_one_pass(cb_tape_of(x)) && !cbi_is_poisoned(x);
}

/* An op over rows, along any axis. */
static cb_tensor *along(const cb_op *op, cb_tensor *x, int axis) {
    if (axis == x->rank - 1) {
        x = cb_contiguous(x);
        return cb_apply(op, 1, &x, NULL);
    }
    cb_tensor *rows = cb_contiguous(cb_transpose(x, axis, -1));
    return cb_contiguous(cb_transpose(cb_apply(op, 1, &rows, NULL), axis, -1));
}

static cb_tensor *softmax_in_ops(cb_tensor *x, int axis) {
    if (!cbi_axis_resolve(x, "softmax", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    if (cb_tensor_count(x) == 0)
        return cb_exp(x);
    if (is_one_pass(x))
        return along(&cbi_softmax_op, x, axis);
    cb_tensor *e = cb_exp(cb_sub(x, cb_stop_gradient(cb_max(x, 1, &axis, true))));
    return cb_div(e, cb_sum(e, 1, &axis, true));
}

cb_tensor *cb_softmax(cb_tensor *x, int axis) {
    cbi_within f = cbi_function_begin(x, "softmax");
    return cbi_function_end(f, softmax_in_ops(x, axis));
}

static cb_tensor *log_softmax_in_ops(cb_tensor *x, int axis) {
    if (!cbi_axis_resolve(x, "log_softmax", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    if (cb_tensor_count(x) == 0)
        return cb_log(x);
    if (is_one_pass(x))
        return along(&cbi_log_softmax_op, x, axis);
    /* Not x - logsumexp(x), which loses the digits that x and its logsumexp have in common. */
    cb_tensor *centred = cb_sub(x, cb_stop_gradient(cb_max(x, 1, &axis, true)));
    return cb_sub(centred, cb_log(cb_sum(cb_exp(centred), 1, &axis, true)));
}

cb_tensor *cb_log_softmax(cb_tensor *x, int axis) {
    cbi_within f = cbi_function_begin(x, "log_softmax");
    return cbi_function_end(f, log_softmax_in_ops(x, axis));
}

/* ---- The logarithm of a sum of exponentials -------------------------------------------------- */

/* The largest elements, through which no gradient flows, with infinite ones replaced by 0: what
   exponents are shifted by. */
static cb_tensor *shift_of(cb_tensor *x, int count, const int *axes) {
    cb_tensor *largest = cb_stop_gradient(cb_max(x, count, axes, true));
    double limit = cbi_is_poisoned(largest) || largest->dtype == CB_F64 ? DBL_MAX : (double)FLT_MAX;
    cb_tensor *finite = cb_less_equal(cb_abs(largest), cb_full_like(largest, limit));
    return cb_where(finite, largest, cb_full_like(largest, 0));
}

/* The only axis of a set; -1 when it has none or several. */
static int only_axis(const cb_tensor *x, const cbi_axes *set) {
    int found = 0, axis = -1;
    for (int i = 0; i < x->rank; i++)
        if (set->in[i]) {
            found++;
            axis = i;
        }
    return found == 1 ? axis : -1;
}

/* With the axes kept, of extent 1. */
static cb_tensor *logsumexp(cb_tensor *x, int count, const int *axes, const cbi_axes *set) {
    int axis = only_axis(x, set);
    if (axis >= 0 && is_one_pass(x))
        return along(&cbi_logsumexp_op, x, axis);
    cb_tensor *shift = shift_of(x, count, axes);
    return cb_add(cb_log(cb_sum(cb_exp(cb_sub(x, shift)), count, axes, true)), shift);
}

static cb_tensor *logsumexp_in_ops(cb_tensor *x, int count, const int *axes, bool keepdim) {
    cbi_axes set;
    if (!cbi_axes_resolve(x, "logsumexp", count, axes, &set))
        return cbi_poison(cb_tape_of(x));
    bool empty = false;
    for (int i = 0; i < x->rank; i++)
        empty = empty || (set.in[i] && x->shape[i] == 0);
    if (empty)
        return cb_log(cb_sum(x, count, axes, keepdim));
    cb_tensor *y = logsumexp(x, count, axes, &set);
    int64_t shape[CB_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!set.in[i])
            shape[rank++] = x->shape[i];
    return keepdim || cbi_is_poisoned(y) ? y : cb_reshape(y, rank, shape);
}

cb_tensor *cb_logsumexp(cb_tensor *x, int count, const int *axes, bool keepdim) {
    cbi_within f = cbi_function_begin(x, "logsumexp");
    return cbi_function_end(f, logsumexp_in_ops(x, count, axes, keepdim));
}
