/* Convolution in plain ops: windows, one matrix product for the whole batch, a copy in the order of
   images. A group of channels has a matrix of its own, and groups are that product's batch. */
#include "autograd/ops/convolution.h"

#include "autograd/ops/windows.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>

/* x with zeros at both ends of its last axes. */
static cb_tensor *padded(cb_tensor *x, const cbi_conv_options *o) {
    int64_t margin[CB_MAX_RANK] = {0};
    for (int k = 0; k < o->axes; k++)
        margin[2 + k] = o->padding[k];
    return o->padding[0] != 0 || o->padding[1] != 0 ? cb_pad(x, margin, margin, 0) : x;
}

/* The axes [N, groups, C / groups, ...] as [groups, C / groups, N, ...], and back. */
static const int groups_first[] = {1, 2, 0, 3, 4}, images_first[] = {2, 0, 1, 3, 4};

/* The windows of x [N, C, ...] with its margin: [groups, C / groups, size.., N, places..]. */
static cb_tensor *plain_windows(cb_tensor *x, const cb_tensor *weight, const cbi_conv_options *o) {
    int64_t grouped[CB_MAX_RANK] = {x->shape[0], o->groups, x->shape[1] / o->groups};
    for (int k = 0; k < o->axes; k++)
        grouped[3 + k] = x->shape[2 + k];
    x = cb_permute(cb_reshape(x, o->axes + 3, grouped), o->axes + 3, groups_first);
    return cbi_windows(x, o->axes, weight->shape + 2, o->stride, o->dilation, 2);
}

/* These as the columns of a matrix for each group: [groups, C / groups * size, N * places]. Without
   groups the product is one of matrices, whose gradients are, too. */
static cb_tensor *plain_columns(cb_tensor *windows, const cbi_conv_options *o) {
    int64_t inner = windows->shape[1], width = windows->shape[2 + o->axes];
    for (int k = 0; k < o->axes; k++) {
        inner *= windows->shape[2 + k];
        width *= windows->shape[3 + o->axes + k];
    }
    return o->groups == 1 ? cb_reshape(windows, CB_SHAPE(inner, width))
                          : cb_reshape(windows, CB_SHAPE(o->groups, inner, width));
}

/* The weight as a matrix for each group. */
static cb_tensor *plain_filters(cb_tensor *weight, const cb_tensor *columns,
                                const cbi_conv_options *o) {
    int64_t out = weight->shape[0] / o->groups, inner = columns->shape[columns->rank - 2];
    return o->groups == 1 ? cb_reshape(weight, CB_SHAPE(out, inner))
                          : cb_reshape(weight, CB_SHAPE(o->groups, out, inner));
}

cb_tensor *cbi_convolution_plain(cb_tensor *x, cb_tensor *weight, cb_tensor *bias,
                                 const cbi_conv_options *o) {
    int64_t out = weight->shape[0], shape[CB_MAX_RANK] = {out, x->shape[0]};
    cb_tensor *windows = plain_windows(padded(x, o), weight, o);
    if (cbi_is_poisoned(windows))
        return windows;
    for (int k = 0; k < o->axes; k++)
        shape[2 + k] = windows->shape[3 + o->axes + k];
    cb_tensor *columns = plain_columns(windows, o);
    cb_tensor *y = cb_matmul(plain_filters(weight, columns, o), columns);
    y = cb_permute(cb_reshape(y, o->axes + 2, shape), o->axes + 2, (const int[]){1, 0, 2, 3});
    if (bias == NULL)
        return cb_contiguous(y);
    return cb_add(y, cb_reshape(bias, o->axes + 1, (const int64_t[]){out, 1, 1}));
}

void cbi_convolution_plain_gradient(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const cbi_conv_options *o = call->options;
    cb_tensor *x = call->in[0], *weight = call->in[1];
    cb_tensor *windows = plain_windows(padded(x, o), weight, o);
    cb_tensor *columns = plain_columns(windows, o);
    if (cbi_is_poisoned(columns))
        return;
    int64_t out = weight->shape[0] / o->groups, width = columns->shape[columns->rank - 1];
    cb_tensor *rows = cb_permute(g, o->axes + 2, (const int[]){1, 0, 2, 3});
    rows = o->groups == 1 ? cb_reshape(rows, CB_SHAPE(out, width))
                          : cb_reshape(rows, CB_SHAPE(o->groups, out, width));
    if (cb_call_needs(call, 0)) {
        cb_tensor *dc = cb_matmul(cb_transpose(plain_filters(weight, columns, o), -2, -1), rows);
        cb_tensor *dx = cbi_windows_back(cb_reshape(dc, windows->rank, windows->shape), x, o->axes,
                                         weight->shape + 2, o->stride, o->dilation, o->padding, 2);
        gradients[0] = cb_reshape(cb_permute(dx, o->axes + 3, images_first), x->rank, x->shape);
    }
    if (cb_call_needs(call, 1))
        gradients[1] =
            cb_reshape(cb_matmul(rows, cb_transpose(columns, -2, -1)), weight->rank, weight->shape);
    if (o->biased)
        gradients[2] =
            cb_sum(cb_reshape(rows, CB_SHAPE(weight->shape[0], width)), CB_AXES(1), false);
}
