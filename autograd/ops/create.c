/* Ops without inputs: constants that a tape makes itself. */
#include "autograd/compiler/lower.h"
#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <string.h>

/* ---- full ------------------------------------------------------------------------------------ */

typedef struct full_options {
    cb_dtype dtype;
    int rank;
    int64_t shape[CB_MAX_RANK];
    double value;
} full_options;

static cb_status full_shape(const cb_call *call) {
    const full_options *options = call->options;
    call->out->dtype = options->dtype;
    call->out->rank = options->rank;
    memcpy(call->out->shape, options->shape, sizeof(options->shape));
    return CB_OK;
}

static cb_status full_forward(const cb_call *call) {
    cb_tensor_fill(call->out, ((const full_options *)call->options)->value);
    return CB_OK;
}

static bool full_lower(cbi_lowerer *l, const cb_call *call) {
    return cbi_lower_constant(l, ((const full_options *)call->options)->value);
}

static const cb_option full_option_list[] = {
    CB_OPTION(full_options, dtype, CB_OPTION_INT),
    CB_OPTION(full_options, rank, CB_OPTION_INT),
    CB_OPTIONS(full_options, shape, CB_OPTION_EXTENT),
    CB_OPTION(full_options, value, CB_OPTION_REAL),
};

const cb_op cbi_full_op = {
    .name = "full",
    .formula = "y = value everywhere",
    .options_size = sizeof(full_options),
    .shape = full_shape,
    .forward = full_forward,
    OPTIONS(full_option_list),
    .lowering = &(const cbi_lowering){.lower = full_lower},
};

cb_tensor *cb_full(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape, double value) {
    full_options options = {.dtype = dtype, .rank = rank, .value = value};
    if (tape == NULL || tape->status != CB_OK)
        return cbi_poison(tape);
    if (!cbi_shape_valid(dtype, rank, shape))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE, "full: not a valid dtype and shape");
    if (rank > 0)
        memcpy(options.shape, shape, sizeof(*shape) * (size_t)rank);
    return cbi_apply_on(tape, &cbi_full_op, 0, NULL, &options);
}

/* ---- arange ---------------------------------------------------------------------------------- */

typedef struct arange_options {
    cb_dtype dtype;
    int64_t count;
    double start, step;
} arange_options;

static cb_status arange_shape(const cb_call *call) {
    const arange_options *options = call->options;
    call->out->dtype = options->dtype;
    call->out->rank = 1;
    call->out->shape[0] = options->count;
    return CB_OK;
}

static cb_status arange_forward(const cb_call *call) {
    const arange_options *options = call->options;
    for (int64_t i = 0; i < options->count; i++)
        cb_tensor_set(call->out, &i, options->start + (double)i * options->step);
    return CB_OK;
}

static const cb_option arange_option_list[] = {
    CB_OPTION(arange_options, dtype, CB_OPTION_INT),
    CB_OPTION(arange_options, count, CB_OPTION_EXTENT),
    CB_OPTION(arange_options, start, CB_OPTION_REAL),
    CB_OPTION(arange_options, step, CB_OPTION_REAL),
};

const cb_op cbi_arange_op = {
    .name = "arange",
    .formula = "y_i = start + i step",
    .options_size = sizeof(arange_options),
    .shape = arange_shape,
    .forward = arange_forward,
    OPTIONS(arange_option_list),
};

cb_tensor *cb_arange(cb_tape *tape, cb_dtype dtype, double start, double step, int64_t count) {
    arange_options options = {dtype, count, start, step};
    if (tape == NULL || tape->status != CB_OK)
        return cbi_poison(tape);
    if (!cbi_shape_valid(dtype, 1, &count))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE, "arange: not a valid dtype and count");
    return cbi_apply_on(tape, &cbi_arange_op, 0, NULL, &options);
}
