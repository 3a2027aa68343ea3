/* Sums and extremes over axes, and what is built from them. */
#include <cerebra/ops.h>

#include "autograd/compiler/lower.h"
#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <float.h>

typedef struct reduce_options {
    cbi_axes axes;
    bool keepdim;
} reduce_options;

/* The output's shape with the reduced axes kept as 1. */
static cb_tensor kept_shape(const cb_call *call) {
    const reduce_options *options = call->options;
    cb_tensor kept = *call->in[0];
    for (int i = 0; i < kept.rank; i++)
        if (options->axes.in[i])
            kept.shape[i] = 1;
    cbi_strides_row_major(&kept);
    return kept;
}

static cb_status reduce_shape(const cb_call *call) {
    const reduce_options *options = call->options;
    cb_tensor *out = call->out;
    out->dtype = call->in[0]->dtype;
    for (int i = 0; i < call->in[0]->rank; i++)
        if (!options->axes.in[i])
            out->shape[out->rank++] = call->in[0]->shape[i];
        else if (options->keepdim)
            out->shape[out->rank++] = 1;
    return CB_OK;
}

static cb_status choice_shape(const cb_call *call) {
    const reduce_options *options = call->options;
    for (int i = 0; i < call->in[0]->rank; i++)
        if (options->axes.in[i] && call->in[0]->shape[i] == 0)
            return cb_call_fail(call, CB_ERROR_SHAPE, "axis %d has no elements to choose from", i);
    return reduce_shape(call);
}

static cb_status reduce_with(cbi_reduction kind, const cb_call *call) {
    cb_tensor out = kept_shape(call);
    out.data = call->out->data;
    cbi_reduce(kind, &out, call->in[0]);
    return CB_OK;
}

/* g, shaped to broadcast against the input. */
static cb_tensor *with_kept_axes(const cb_call *call, cb_tensor *g) {
    cb_tensor kept = kept_shape(call);
    return cb_reshape(g, kept.rank, kept.shape);
}

static cb_status sum_forward(const cb_call *call) {
    return reduce_with(CBI_SUM, call);
}

static void sum_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_expand(with_kept_axes(call, g), call->in[0]->rank, call->in[0]->shape);
}

static bool sum_lower(cbi_lowerer *l, const cb_call *call) {
    return cbi_lower_reduction(l, CBI_SUM, ((const reduce_options *)call->options)->axes.in);
}

static bool max_lower(cbi_lowerer *l, const cb_call *call) {
    return cbi_lower_reduction(l, CBI_MAX, ((const reduce_options *)call->options)->axes.in);
}

static bool min_lower(cbi_lowerer *l, const cb_call *call) {
    return cbi_lower_reduction(l, CBI_MIN, ((const reduce_options *)call->options)->axes.in);
}

static bool reduces_rows(const cb_call *call, int input) {
    (void)input;
    return !((const reduce_options *)call->options)->axes.in[0];
}

static const cb_option reduce_option_list[] = {
    CB_OPTIONS(reduce_options, axes.in, CB_OPTION_INT),
    CB_OPTION(reduce_options, keepdim, CB_OPTION_INT),
};

static cb_tensor *sum_sample(cb_tensor *const *in) {
    return cb_sum(in[0], CB_AXES(0, -1), false);
}

static cb_tensor *sum_all_sample(cb_tensor *const *in) {
    return cb_sum(in[0], CB_ALL_AXES, true);
}

static const cb_sample sum_samples[] = {
    {"two axes", 1, {SHAPED(3, 2, 3, 4)}, sum_sample},
    {"all axes, strided", 1, {STRIDED(3, 2, 3, 4)}, sum_all_sample},
    {"empty", 1, {SHAPED(3, 2, 0, 4)}, sum_sample},
};

const cb_op cbi_sum_op = {
    .name = "sum",
    .formula = "y = sum of x over axes;  dx = g, expanded",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(reduce_options),
    .shape = reduce_shape,
    .forward = sum_forward,
    .vjp = sum_vjp,
    SAMPLES(sum_samples),
    OPTIONS(reduce_option_list),
    .row_by_row = reduces_rows,
    .lowering = &(const cbi_lowering){.lower = sum_lower},
};

static cb_status max_forward(const cb_call *call) {
    return reduce_with(CBI_MAX, call);
}

static cb_status min_forward(const cb_call *call) {
    return reduce_with(CBI_MIN, call);
}

/* Elements that tie for the extreme share its gradient. */
static void extreme_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const reduce_options *options = call->options;
    int axes[CB_MAX_RANK], count = 0;
    for (int i = 0; i < call->in[0]->rank; i++)
        if (options->axes.in[i])
            axes[count++] = i;
    cb_tensor *chosen = cb_equal(call->in[0], with_kept_axes(call, call->out));
    cb_tensor *share = cb_div(chosen, cb_sum(chosen, count, axes, true));
    gradients[0] = cb_mul(with_kept_axes(call, g), share);
}

static cb_tensor *max_sample(cb_tensor *const *in) {
    return cb_max(in[0], CB_AXES(1), false);
}

static cb_tensor *min_sample(cb_tensor *const *in) {
    return cb_min(in[0], CB_AXES(0, 2), true);
}

static const cb_sample max_samples[] = {
    {"middle axis", 1, {SHAPED(3, 2, 3, 4)}, max_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, max_sample},
    {"empty", 1, {SHAPED(3, 0, 3, 4)}, max_sample},
};
static const cb_sample min_samples[] = {
    {"two axes", 1, {SHAPED(3, 2, 3, 4)}, min_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, min_sample},
    {"empty", 1, {SHAPED(3, 2, 0, 4)}, min_sample},
};

const cb_op cbi_max_op = {
    .name = "max",
    .formula = "y = largest x over axes;  dx = g where x = y, shared by ties",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(reduce_options),
    .shape = choice_shape,
    .forward = max_forward,
    .vjp = extreme_vjp,
    SAMPLES(max_samples),
    OPTIONS(reduce_option_list),
    .row_by_row = reduces_rows,
    .lowering = &(const cbi_lowering){.lower = max_lower},
};

const cb_op cbi_min_op = {
    .name = "min",
    .formula = "y = smallest x over axes;  dx = g where x = y, shared by ties",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(reduce_options),
    .shape = choice_shape,
    .forward = min_forward,
    .vjp = extreme_vjp,
    SAMPLES(min_samples),
    OPTIONS(reduce_option_list),
    .row_by_row = reduces_rows,
    .lowering = &(const cbi_lowering){.lower = min_lower},
};

static cb_tensor *reduce(const cb_op *op, cb_tensor *x, int count, const int *axes, bool keepdim) {
    reduce_options options = {.keepdim = keepdim};
    if (!cbi_axes_resolve(x, op->name, count, axes, &options.axes))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(op, 1, &x, &options);
}

cb_tensor *cb_sum(cb_tensor *x, int count, const int *axes, bool keepdim) {
    return reduce(&cbi_sum_op, x, count, axes, keepdim);
}

cb_tensor *cb_max(cb_tensor *x, int count, const int *axes, bool keepdim) {
    return reduce(&cbi_max_op, x, count, axes, keepdim);
}

cb_tensor *cb_min(cb_tensor *x, int count, const int *axes, bool keepdim) {
    return reduce(&cbi_min_op, x, count, axes, keepdim);
}

/* ---- argmax ---------------------------------------------------------------------------------- */

static cb_status argmax_shape(const cb_call *call) {
    cb_status status = choice_shape(call);
    call->out->dtype = CB_I64;
    return status;
}

static cb_status argmax_forward(const cb_call *call) {
    const reduce_options *options = call->options;
    cb_tensor out = kept_shape(call);
    int axis = 0;
    while (!options->axes.in[axis])
        axis++;
    out.dtype = CB_I64;
    out.data = call->out->data;
    cbi_argmax(&out, call->in[0], axis);
    return CB_OK;
}

const cb_op cbi_argmax_op = {
    .name = "argmax",
    .formula = "y = index of the largest x along an axis",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(reduce_options),
    .shape = argmax_shape,
    .forward = argmax_forward,
    OPTIONS(reduce_option_list),
    .row_by_row = reduces_rows,
};

cb_tensor *cb_argmax(cb_tensor *x, int axis, bool keepdim) {
    return reduce(&cbi_argmax_op, x, 1, &axis, keepdim);
}

/* ---- Built from them ------------------------------------------------------------------------- */

/* Number of elements that are reduced to one. */
static double reduced_count(const cb_tensor *x, const cbi_axes *axes) {
    double n = 1;
    for (int i = 0; i < x->rank; i++)
        n *= axes->in[i] ? (double)x->shape[i] : 1;
    return n;
}

cb_tensor *cb_mean(cb_tensor *x, int count, const int *axes, bool keepdim) {
    cbi_axes set;
    if (!cbi_axes_resolve(x, "mean", count, axes, &set))
        return cbi_poison(cb_tape_of(x));
    if (!cb_dtype_is_float(x->dtype))
        return cbi_function_fail(x, "mean", CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                                 cb_dtype_name(x->dtype));
    return cb_scale(cb_sum(x, count, axes, keepdim), 1 / reduced_count(x, &set));
}

static cb_tensor *var_in_ops(cb_tensor *x, int count, const int *axes, double correction,
                             bool keepdim) {
    cbi_axes set;
    if (!cbi_axes_resolve(x, "var", count, axes, &set))
        return cbi_poison(cb_tape_of(x));
    cb_tensor *centred = cb_sub(x, cb_mean(x, count, axes, true));
    double freedom = reduced_count(x, &set) - correction;
    return cb_scale(cb_sum(cb_square(centred), count, axes, keepdim),
                    1 / (freedom > 0 ? freedom : 0));
}

cb_tensor *cb_var(cb_tensor *x, int count, const int *axes, double correction, bool keepdim) {
    cbi_within f = cbi_function_begin(x, "var");
    return cbi_function_end(f, var_in_ops(x, count, axes, correction, keepdim));
}
