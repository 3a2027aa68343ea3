/* Running sums along an axis. */
#include <cerebra/ops.h>

#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

typedef struct cumsum_options {
    int axis;
    bool reverse;
} cumsum_options;

static cb_status cumsum_forward(const cb_call *call) {
    const cumsum_options *options = call->options;
    cbi_cumsum(call->out, call->in[0], options->axis, options->reverse);
    return CB_OK;
}

static void cumsum_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cumsum_options options = *(const cumsum_options *)call->options;
    options.reverse = !options.reverse;
    gradients[0] = cb_apply(call->op, 1, &g, &options);
}

/* Sums along any axis but the first are those of each row by itself. */
static bool cumsum_by_rows(const cb_call *call, int input) {
    (void)input;
    return ((const cumsum_options *)call->options)->axis != 0;
}

static cb_tensor *cumsum_sample(cb_tensor *const *in) {
    return cb_cumsum(in[0], 1);
}

static cb_tensor *cumsum_first_sample(cb_tensor *const *in) {
    return cb_cumsum(cb_square(in[0]), 0);
}

static const cb_sample cumsum_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 3, 4)}, cumsum_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, cumsum_sample},
    {"first axis", 1, {SHAPED(2, 5, 3)}, cumsum_first_sample},
    {"empty", 1, {SHAPED(2, 3, 0)}, cumsum_sample},
};

static const cb_option cumsum_option_list[] = {
    CB_OPTION(cumsum_options, axis, CB_OPTION_INT),
    CB_OPTION(cumsum_options, reverse, CB_OPTION_INT),
};

const cb_op cbi_cumsum_op = {
    .name = "cumsum",
    .formula = "y_i = sum of x_j, j <= i, along an axis;  dx_i = sum of g_j, j >= i",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cumsum_options),
    .shape = cb_shape_same,
    .forward = cumsum_forward,
    .vjp = cumsum_vjp,
    SAMPLES(cumsum_samples),
    OPTIONS(cumsum_option_list),
    .row_by_row = cumsum_by_rows,
};

cb_tensor *cb_cumsum(cb_tensor *x, int axis) {
    if (!cbi_axis_resolve(x, "cumsum", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(&cbi_cumsum_op, 1, &x, &(cumsum_options){axis, false});
}
