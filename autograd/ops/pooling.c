/* Pooling: functions built from windows and reductions. */
#include <cerebra/ops.h>

#include "autograd/ops/windows.h"
#include "autograd/tape_internal.h"

#include <math.h>

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

/* Options with those that are 0 filled in. */
static cb_pool_options filled(const cb_pool_options *options) {
    cb_pool_options o = options == NULL ? (cb_pool_options){0} : *options;
    for (int k = 0; k < 2; k++) {
        o.stride[k] = o.stride[k] == 0 ? o.size[k] : o.stride[k];
        o.dilation[k] = o.dilation[k] == 0 ? 1 : o.dilation[k];
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
