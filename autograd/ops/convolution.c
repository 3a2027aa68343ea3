/* Convolutions and pooling: functions built from windows, products and reductions.

   A convolution is one matrix product: the windows of all images of the batch, as columns, times
   the filters, as rows. A group of channels has a matrix of its own, and groups are the product's
   batch. */
#include <cerebra/ops.h>

#include "autograd/ops/windows.h"
#include "autograd/tape_internal.h"

#include <math.h>

static int64_t or_one(int64_t option) {
    return option == 0 ? 1 : option;
}

/* x with so many elements of this value at both ends of its last axes. */
static cb_tensor *pad_last(cb_tensor *x, int count, const int64_t *padding, double value) {
    int64_t margin[CB_MAX_RANK] = {0};
    bool any = false;
    for (int k = 0; k < count; k++) {
        margin[x->rank - count + k] = padding[k];
        any = any || padding[k] != 0;
    }
    return any ? cb_pad(x, margin, margin, value) : x;
}

/* ---- Convolution ----------------------------------------------------------------------------- */

/* Whether shapes and options fit together; records why not. */
static bool conv_good(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *o) {
    const char *name = axes == 1 ? "conv1d" : "conv2d";
    int64_t groups = or_one(o->groups);
    if (weight == NULL || x == NULL) {
        cb_fail(x != NULL ? x : weight, CB_ERROR_TAPE, "%s: %s is NULL", name,
                x == NULL ? "x" : "the weight");
        return false;
    }
    if (cbi_is_poisoned(x) || cbi_is_poisoned(weight))
        return false;
    char shape[160];
    cb_shape_format(weight, shape, sizeof(shape));
    if (x->rank != axes + 2 || weight->rank != axes + 2) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "x and the weight %s must be of rank %d", shape,
                          axes + 2);
        return false;
    }
    if (groups < 1 || weight->shape[0] % groups != 0 || weight->shape[1] * groups != x->shape[1]) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "a weight of %s in %lld groups does not fit",
                          shape, (long long)groups);
        return false;
    }
    if (o->bias != NULL && (o->bias->rank != 1 || o->bias->shape[0] != weight->shape[0]) &&
        !cbi_is_poisoned(o->bias)) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "the bias is not [%lld]",
                          (long long)weight->shape[0]);
        return false;
    }
    return true;
}

/* The windows of x [N, C, ...] as columns [groups, C / groups * window, N * places], and the shape
   that the places have. */
static cb_tensor *columns_of(int axes, cb_tensor *x, const cb_tensor *weight, int64_t groups,
                             const cb_conv_options *o, int64_t *places) {
    int64_t grouped[CB_MAX_RANK] = {x->shape[0], groups, x->shape[1] / groups};
    int64_t stride[2], dilation[2], window = 1, count = x->shape[0];
    for (int k = 0; k < axes; k++) {
        grouped[3 + k] = x->shape[2 + k];
        stride[k] = or_one(o->stride[k]);
        dilation[k] = or_one(o->dilation[k]);
        window *= weight->shape[2 + k];
    }
    x = cb_permute(cb_reshape(x, axes + 3, grouped), axes + 3, (const int[]){1, 2, 0, 3, 4});
    cb_tensor *windows = cbi_windows(x, axes, weight->shape + 2, stride, dilation, 2);
    for (int k = 0; k < axes && !cbi_is_poisoned(windows); k++) {
        places[k] = windows->shape[3 + axes + k];
        count *= places[k];
    }
    return cb_reshape(windows, CB_SHAPE(groups, grouped[2] * window, count));
}

static cb_tensor *conv(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *options) {
    cb_conv_options none = {0};
    const cb_conv_options *o = options == NULL ? &none : options;
    if (axes < 1 || axes > 2)
        return cbi_function_fail(x, "conv", CB_ERROR_VALUE, "%d axes; there can be 1 or 2", axes);
    if (!conv_good(axes, x, weight, o))
        return cbi_poison(cb_tape_of(x != NULL ? x : weight));
    int64_t groups = or_one(o->groups), out = weight->shape[0], images = x->shape[0];
    int64_t shape[CB_MAX_RANK] = {out, images};
    cb_tensor *columns =
        columns_of(axes, pad_last(x, axes, o->padding, 0), weight, groups, o, shape + 2);
    if (cbi_is_poisoned(columns))
        return columns;
    int64_t inner = columns->shape[1], width = columns->shape[2];
    /* Without groups the product is one of matrices, whose gradients are, too. */
    cb_tensor *y =
        groups == 1 ? cb_matmul(cb_reshape(weight, CB_SHAPE(out, inner)),
                                cb_reshape(columns, CB_SHAPE(inner, width)))
                    : cb_matmul(cb_reshape(weight, CB_SHAPE(groups, out / groups, inner)), columns);
    y = cb_permute(cb_reshape(y, axes + 2, shape), axes + 2, (const int[]){1, 0, 2, 3});
    if (o->bias == NULL)
        return cb_contiguous(y);
    return cb_add(y, cb_reshape(o->bias, axes + 1, (const int64_t[]){out, 1, 1}));
}

cb_tensor *cb_conv_with(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *options) {
    cbi_within f = cbi_function_begin(x, axes == 1 ? "conv1d" : "conv2d");
    return cbi_function_end(f, conv(axes, x, weight, options));
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* Options with those that are 0 filled in. */
static cb_pool_options filled(const cb_pool_options *options) {
    cb_pool_options o = options == NULL ? (cb_pool_options){0} : *options;
    for (int k = 0; k < 2; k++) {
        o.stride[k] = o.stride[k] == 0 ? o.size[k] : o.stride[k];
        o.dilation[k] = or_one(o.dilation[k]);
    }
    return o;
}

/* Whether x can be pooled; records why not. */
static bool pool_good(const char *name, int axes, cb_tensor *x, const cb_pool_options *o) {
    if (x == NULL || cbi_is_poisoned(x))
        return false;
    if (axes < 1 || axes > 2 || x->rank < axes) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "%d pooled axes; there can be 1 or 2, of x's",
                          axes);
        return false;
    }
    if (!cb_dtype_is_float(x->dtype)) {
        cbi_function_fail(x, name, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                          cb_dtype_name(x->dtype));
        return false;
    }
    for (int k = 0; k < axes; k++)
        if (o->padding[k] < 0 || o->padding[k] > o->size[k] / 2) {
            cbi_function_fail(x, name, CB_ERROR_VALUE,
                              "a padding of %lld is outside 0..%lld, half a window",
                              (long long)o->padding[k], (long long)(o->size[k] / 2));
            return false;
        }
    return true;
}

/* The windows of x and a margin of this value, their axes first. */
static cb_tensor *pool_windows(int axes, cb_tensor *x, const cb_pool_options *o, double margin) {
    return cb_windows(pad_last(x, axes, o->padding, margin), axes, o->size, o->stride, o->dilation);
}

static cb_tensor *max_pool(int axes, cb_tensor *x, const cb_pool_options *options) {
    const cb_pool_options o = filled(options);
    if (!pool_good("max_pool", axes, x, &o))
        return cbi_poison(cb_tape_of(x));
    return cb_max(pool_windows(axes, x, &o, -HUGE_VAL), axes, (const int[]){0, 1}, false);
}

cb_tensor *cb_max_pool_with(int axes, cb_tensor *x, const cb_pool_options *options) {
    cbi_within f = cbi_function_begin(x, "max_pool");
    return cbi_function_end(f, max_pool(axes, x, options));
}

static cb_tensor *avg_pool(int axes, cb_tensor *x, const cb_pool_options *options) {
    const cb_pool_options o = filled(options);
    if (!pool_good("avg_pool", axes, x, &o))
        return cbi_poison(cb_tape_of(x));
    const int first[] = {0, 1};
    cb_tensor *windows = pool_windows(axes, x, &o, 0);
    if (!o.exclude_padding)
        return cb_mean(windows, axes, first, false);
    cb_tensor *ones = cb_full(cb_tape_of(x), x->dtype, axes, x->shape + x->rank - axes, 1);
    cb_tensor *elements = cb_sum(pool_windows(axes, ones, &o, 0), axes, first, false);
    return cb_div(cb_sum(windows, axes, first, false), elements);
}

cb_tensor *cb_avg_pool_with(int axes, cb_tensor *x, const cb_pool_options *options) {
    cbi_within f = cbi_function_begin(x, "avg_pool");
    return cbi_function_end(f, avg_pool(axes, x, options));
}
