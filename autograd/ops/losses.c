/* Losses: functions built from ops, with no gradient of their own. Cross entropy's
   terms are an op (cross_entropy.c); here they are reduced. */
#include <cerebra/ops.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/tape_internal.h"

static cb_tensor *reduce_terms(cb_tensor *terms, cb_reduction reduction) {
    switch (reduction) {
    case CB_REDUCE_MEAN:
        return cb_mean(terms, CB_ALL_AXES, false);
    case CB_REDUCE_SUM:
        return cb_sum(terms, CB_ALL_AXES, false);
    case CB_REDUCE_NONE:
        return terms;
    }
    return cb_fail(terms, CB_ERROR_VALUE, "loss: %d is no reduction", (int)reduction);
}

/* Whether the arguments are what they should be; records why not. */
static bool check_cross_entropy(cb_tensor *logits, cb_tensor *target, double smoothing) {
    if (logits == NULL || target == NULL) {
        cb_fail(logits != NULL ? logits : target, CB_ERROR_TAPE, "cross_entropy: %s is NULL",
                logits == NULL ? "logits" : "target");
        return false;
    }
    if (cbi_is_poisoned(logits) || cbi_is_poisoned(target))
        return false;
    if (!(smoothing >= 0 && smoothing < 1)) {
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_VALUE,
                          "a label smoothing of %g is outside [0, 1)", smoothing);
        return false;
    }
    if (cb_dtype_is_float(target->dtype) || !cb_dtype_is_float(logits->dtype)) {
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_DTYPE,
                          "logits must be f32 or f64 and targets i32 or i64, not %s and %s",
                          cb_dtype_name(logits->dtype), cb_dtype_name(target->dtype));
        return false;
    }
    bool fits = logits->rank == target->rank + 1 && logits->shape[target->rank] > 0;
    for (int i = 0; i < target->rank && fits; i++)
        fits = logits->shape[i] == target->shape[i];
    char shape[160];
    if (!fits)
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_SHAPE,
                          "the target %s is not the logits' shape without the classes",
                          cb_shape_format(target, shape, sizeof(shape)));
    return fits;
}

cb_tensor *cb_cross_entropy_with(cb_tensor *logits, const cb_cross_entropy_options *options) {
    cb_tensor *target = options->target;
    if (!check_cross_entropy(logits, target, options->label_smoothing))
        return cbi_poison(cb_tape_of(logits != NULL ? logits : target));
    cb_tensor *terms = cbi_cross_entropy_terms(logits, options);
    if (!options->ignore || options->reduction != CB_REDUCE_MEAN)
        return reduce_terms(terms, options->reduction);
    cb_tensor *ignored = cb_equal(target, cb_full_like(target, (double)options->ignore_index));
    cb_tensor *counted = cb_affine(cb_cast(ignored, logits->dtype), -1, 1);
    return cb_div(cb_sum(terms, CB_ALL_AXES, false), cb_sum(counted, CB_ALL_AXES, false));
}

cb_tensor *cb_binary_cross_entropy(cb_tensor *logits, cb_tensor *target, cb_reduction reduction) {
    return reduce_terms(cb_sub(cb_softplus(logits), cb_mul(logits, target)), reduction);
}

cb_tensor *cb_mse(cb_tensor *prediction, cb_tensor *target, cb_reduction reduction) {
    return reduce_terms(cb_square(cb_sub(prediction, target)), reduction);
}

cb_tensor *cb_huber(cb_tensor *prediction, cb_tensor *target, double delta,
                    cb_reduction reduction) {
    if (!(delta > 0))
        return cbi_function_fail(prediction, "huber", CB_ERROR_VALUE,
                                 "a delta of %g is not above 0", delta);
    return reduce_terms(cb_huber_residual(cb_sub(prediction, target), delta), reduction);
}
