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
    return cb_fail(terms, CB_ERROR_VALUE, "%d is no reduction", (int)reduction);
}

/* Whether a weight is NULL or [C], and of the logits' dtype; records why not. */
static bool check_weight(const cb_tensor *logits, const cb_tensor *weight) {
    char shape[160];
    if (weight == NULL)
        return true;
    if (cbi_is_poisoned(weight))
        return false;
    if (weight->rank != 1 || weight->shape[0] != logits->shape[logits->rank - 1])
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_SHAPE,
                          "the weight %s has not one number for each class",
                          cb_shape_format(weight, shape, sizeof(shape)));
    else if (weight->dtype != logits->dtype)
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_DTYPE,
                          "the weight is %s; it must be of the logits' dtype",
                          cb_dtype_name(weight->dtype));
    else
        return true;
    return false;
}

/* Whether the arguments are what they should be; records why not. */
static bool check_cross_entropy(cb_tensor *logits, cb_tensor *target,
                                const cb_cross_entropy_options *options) {
    double smoothing = options->label_smoothing;
    const cb_tensor *weight = options->weight;
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
    int most = sizeof(options->ignored.at) / sizeof(options->ignored.at[0]);
    if (options->ignored.count < 0 || options->ignored.count > most) {
        cbi_function_fail(logits, "cross_entropy", CB_ERROR_VALUE,
                          "%d ignored indices; there can be up to %d", options->ignored.count,
                          most);
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
    return fits && check_weight(logits, weight);
}

/* The targets, with the first of the ignored indices in place of the others. */
static cb_tensor *with_one_ignored(const cb_cross_entropy_options *options) {
    cb_tensor *target = options->target;
    for (int i = 1; i < options->ignored.count; i++)
        target = cb_masked_fill(
            target, cb_equal(target, cb_full_like(target, (double)options->ignored.at[i])),
            (double)options->ignored.at[0]);
    return target;
}

/* Makes of the terms of the targets alone those in which class c weighs w_c: times w_target, and
   with what label smoothing spreads over the classes. share: w_target, 0 where ignored is true. */
static cb_tensor *weigh(cb_tensor *terms, cb_tensor *share, cb_tensor *logits,
                        const cb_cross_entropy_options *options, cb_tensor *ignored) {
    terms = cb_mul(terms, share);
    if (options->label_smoothing == 0)
        return terms;
    /* A row that is ignored may hold anything: its gradient is 0 all the same. */
    if (ignored != NULL)
        logits = cb_masked_fill(logits, cb_unsqueeze(ignored, -1), 0);
    cb_tensor *spread = cb_mul(cb_log_softmax(logits, -1), options->weight);
    spread = cb_sum(spread, CB_AXES(-1), false);
    if (ignored != NULL)
        spread = cb_masked_fill(spread, ignored, 0);
    double each = options->label_smoothing / (double)options->weight->shape[0];
    return cb_sub(cb_scale(terms, 1 - options->label_smoothing), cb_scale(spread, each));
}

/* What each target counts: its class's weight, or 1; 0 where it is ignored. */
static cb_tensor *shares(const cb_tensor *logits, const cb_cross_entropy_options *options,
                         cb_tensor *ignored) {
    cb_tensor *target = options->target;
    if (options->weight == NULL)
        return cb_affine(cb_cast(ignored, logits->dtype), -1, 1);
    if (ignored == NULL)
        return cb_gather_rows(options->weight, target);
    /* Class 0 is there to be looked up where there is no class. */
    cb_tensor *weights = cb_gather_rows(options->weight, cb_masked_fill(target, ignored, 0));
    return cb_masked_fill(weights, ignored, 0);
}

static cb_tensor *cross_entropy(cb_tensor *logits, const cb_cross_entropy_options *options) {
    if (options == NULL)
        return cbi_function_fail(logits, "cross_entropy", CB_ERROR_VALUE, "the options are NULL");
    cb_cross_entropy_options own = *options;
    cb_tensor *ignored = NULL;
    bool mean = own.reduction == CB_REDUCE_MEAN;
    if (!check_cross_entropy(logits, own.target, options))
        return cbi_poison(cb_tape_of(logits != NULL ? logits : own.target));
    if (own.ignored.count > 0) {
        own.target = with_one_ignored(options);
        ignored = cb_equal(own.target, cb_full_like(own.target, (double)own.ignored.at[0]));
    }
    /* The op knows no weights, and so smooths only where there are none. */
    own.label_smoothing = own.weight == NULL ? options->label_smoothing : 0;
    cb_tensor *terms = cbi_cross_entropy_terms(logits, &own);
    if (own.weight == NULL && (ignored == NULL || !mean))
        return reduce_terms(terms, own.reduction);
    cb_tensor *share = shares(logits, &own, ignored);
    if (own.weight != NULL)
        terms = weigh(terms, share, logits, options, ignored);
    if (!mean)
        return reduce_terms(terms, own.reduction);
    return cb_div(cb_sum(terms, CB_ALL_AXES, false), cb_sum(share, CB_ALL_AXES, false));
}

cb_tensor *cb_cross_entropy_with(cb_tensor *logits, const cb_cross_entropy_options *options) {
    cbi_within f = cbi_function_begin(logits, "cross_entropy");
    return cbi_function_end(f, cross_entropy(logits, options));
}

cb_tensor *cb_binary_cross_entropy(cb_tensor *logits, cb_tensor *target, cb_reduction reduction) {
    cbi_within f = cbi_function_begin(logits, "binary_cross_entropy");
    cb_tensor *terms = cb_sub(cb_softplus(logits), cb_mul(logits, target));
    return cbi_function_end(f, reduce_terms(terms, reduction));
}

cb_tensor *cb_mse(cb_tensor *prediction, cb_tensor *target, cb_reduction reduction) {
    cbi_within f = cbi_function_begin(prediction, "mse");
    return cbi_function_end(f, reduce_terms(cb_square(cb_sub(prediction, target)), reduction));
}

cb_tensor *cb_huber(cb_tensor *prediction, cb_tensor *target, double delta,
                    cb_reduction reduction) {
    if (!(delta > 0))
        return cbi_function_fail(prediction, "huber", CB_ERROR_VALUE,
                                 "a delta of %g is not above 0", delta);
    cbi_within f = cbi_function_begin(prediction, "huber");
    cb_tensor *terms = cb_huber_residual(cb_sub(prediction, target), delta);
    return cbi_function_end(f, reduce_terms(terms, reduction));
}
