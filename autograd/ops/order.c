/* Order along an axis: an op gives indices, and values are gathered by them, which is where their
   gradient comes from. */
#include <cerebra/ops.h>

#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

typedef struct order_options {
    int axis;
    bool descending;
    int64_t first; /* how many of the elements in order */
} order_options;

static cb_status order_shape(const cb_call *call) {
    const order_options *options = call->options;
    cb_shape_same(call);
    call->out->dtype = CB_I64;
    call->out->shape[options->axis] = options->first;
    return CB_OK;
}

static cb_status order_forward(const cb_call *call) {
    const order_options *options = call->options;
    size_t bytes;
    int64_t parts = cbi_order_parts(call->in[0], options->axis, &bytes);
    if (cb_tensor_count(call->out) == 0)
        return CB_OK;
    void *memory = cb_call_scratch(call, bytes);
    if (memory == NULL)
        return CB_ERROR_MEMORY;
    cbi_order(call->out, call->in[0], options->axis, options->descending, parts, memory);
    return CB_OK;
}

static bool order_by_rows(const cb_call *call, int input) {
    (void)input;
    return ((const order_options *)call->options)->axis != 0;
}

static const cb_option order_option_list[] = {
    CB_OPTION(order_options, axis, CB_OPTION_INT),
    CB_OPTION(order_options, descending, CB_OPTION_INT),
    CB_OPTION(order_options, first, CB_OPTION_EXTENT),
};

const cb_op cbi_order_op = {
    .name = "order",
    .formula = "y = indices of the first elements in order along an axis",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(order_options),
    .shape = order_shape,
    .forward = order_forward,
    OPTIONS(order_option_list),
    .row_by_row = order_by_rows,
};

/* ---- What users call ------------------------------------------------------------------------- */

/* The indices of the first k in order, k < 0: of all. */
static cb_tensor *order_of(cb_tensor *x, const char *name, int axis, int64_t k, bool descending) {
    if (!cbi_axis_resolve(x, name, x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    order_options options = {axis, descending, k < 0 ? x->shape[axis] : k};
    return cb_apply(&cbi_order_op, 1, &x, &options);
}

static cb_tensor *values_at(cb_tensor *x, int axis, cb_tensor *order, cb_tensor **indices) {
    if (indices != NULL)
        *indices = order;
    return cb_gather(x, axis, order);
}

cb_tensor *cb_argsort(cb_tensor *x, int axis, bool descending) {
    return order_of(x, "argsort", axis, -1, descending);
}

cb_tensor *cb_sort(cb_tensor *x, int axis, bool descending, cb_tensor **indices) {
    return values_at(x, axis, order_of(x, "sort", axis, -1, descending), indices);
}

static cb_tensor *topk_in_ops(cb_tensor *x, int axis, int64_t k, bool largest,
                              cb_tensor **indices) {
    int resolved = axis;
    if (x != NULL && !cbi_is_poisoned(x) && cbi_axis_resolve(x, "topk", x->rank, &resolved) &&
        (k < 0 || k > x->shape[resolved]))
        cbi_function_fail(x, "topk", CB_ERROR_VALUE, "there are no %lld of %lld elements",
                          (long long)k, (long long)x->shape[resolved]);
    cb_tensor *order = order_of(x, "topk", axis, k, largest);
    return values_at(x, axis, order, indices);
}

cb_tensor *cb_topk(cb_tensor *x, int axis, int64_t k, bool largest, cb_tensor **indices) {
    cbi_within f = cbi_function_begin(x, "topk");
    return cbi_function_end(f, topk_in_ops(x, axis, k, largest, indices));
}
