/* Batch normalisation, in plain ops. */
#include <cerebra/ops.h>

#include "autograd/tape_internal.h"

/* [C] as it broadcasts against x: [C, 1, ...]. */
static cb_tensor *over_channels(cb_tensor *t, const cb_tensor *x) {
    int64_t shape[CB_MAX_RANK];
    shape[0] = x->shape[1];
    for (int i = 1; i < x->rank - 1; i++)
        shape[i] = 1;
    return cb_reshape(t, x->rank - 1, shape);
}

/* Whether t, which may be NULL, has one element a channel; what is poisoned passes. */
static bool is_of_channels(const cb_tensor *t, const cb_tensor *x) {
    return t == NULL || cbi_is_poisoned(t) || (t->rank == 1 && t->shape[0] == x->shape[1]);
}

static cb_tensor *batch_norm_in_ops(cb_tensor *x, cb_tensor *mean, cb_tensor *variance,
                                    cb_tensor *weight, cb_tensor *bias, double epsilon) {
    if (x == NULL)
        return cb_fail(weight != NULL ? weight : mean, CB_ERROR_TAPE, "batch_norm: x is NULL");
    if (cbi_is_poisoned(x))
        return x;
    if (!(epsilon >= 0))
        return cbi_function_fail(x, "batch_norm", CB_ERROR_VALUE, "an epsilon of %g is below 0",
                                 epsilon);
    if ((mean == NULL) != (variance == NULL))
        return cbi_function_fail(x, "batch_norm", CB_ERROR_VALUE,
                                 "one of mean and variance is NULL");
    if (x->rank < 2)
        return cbi_function_fail(x, "batch_norm", CB_ERROR_SHAPE, "there is no axis of channels");
    if (!is_of_channels(mean, x) || !is_of_channels(variance, x) || !is_of_channels(weight, x) ||
        !is_of_channels(bias, x))
        return cbi_function_fail(x, "batch_norm", CB_ERROR_SHAPE,
                                 "mean, variance, weight and bias must be [%lld]",
                                 (long long)x->shape[1]);
    int axes[CB_MAX_RANK], count = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != 1)
            axes[count++] = i;
    cb_tensor *centred =
        cb_sub(x, mean == NULL ? cb_mean(x, count, axes, true) : over_channels(mean, x));
    cb_tensor *spread = variance == NULL ? cb_mean(cb_square(centred), count, axes, true)
                                         : over_channels(variance, x);
    cb_tensor *scale = cb_rsqrt(cb_shift(spread, epsilon));
    if (weight != NULL)
        scale = cb_mul(scale, over_channels(weight, x));
    cb_tensor *y = cb_mul(centred, scale);
    return bias != NULL ? cb_add(y, over_channels(bias, x)) : y;
}

cb_tensor *cb_batch_norm(cb_tensor *x, cb_tensor *mean, cb_tensor *variance, cb_tensor *weight,
                         cb_tensor *bias, double epsilon) {
    cbi_within f = cbi_function_begin(x, "batch_norm");
    return cbi_function_end(f, batch_norm_in_ops(x, mean, variance, weight, bias, epsilon));
}
