/* Dropout. The mask is not stored: it is a function of a counter-based generator's state, and the
   gradient draws it again. */
#include <cerebra/ops.h>

#include "autograd/ops/draw.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/multiversion.h"

typedef struct dropout_options {
    double rate;
    cb_draw draw;
} dropout_options;

static cb_status dropout_shape(const cb_call *call) {
    double rate = ((const dropout_options *)call->options)->rate;
    if (!(rate >= 0 && rate < 1))
        return cb_call_fail(call, CB_ERROR_VALUE, "a rate of %g is outside [0, 1)", rate);
    if (!cb_dtype_is_float(call->in[0]->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                            cb_dtype_name(call->in[0]->dtype));
    return cb_shape_same(call);
}

/* y = y x keep, y being the mask. Products alone: the same bits on any CPU. */
CBI_MULTIVERSION static void keep_f32(int64_t n, float *y, const float *x, float keep) {
    for (int64_t i = 0; i < n; i++)
        y[i] *= x[i] * keep;
}

CBI_MULTIVERSION static void keep_f64(int64_t n, double *y, const double *x, double keep) {
    for (int64_t i = 0; i < n; i++)
        y[i] *= x[i] * keep;
}

static cb_status dropout_forward(const cb_call *call) {
    const dropout_options *options = call->options;
    cb_tensor *out = call->out;
    int64_t n = cb_tensor_count(out);
    cb_status status = cbi_fill_drawn(call, &options->draw, CBI_BERNOULLI, 1 - options->rate, 0,
                                      out->dtype, n, out->data);
    if (status != CB_OK)
        return status;
    /* Scaled by multiplying with x, laid out row-major first where it is not. */
    cb_tensor x = *call->in[0];
    if (!cb_tensor_is_contiguous(&x)) {
        x.data = cb_call_scratch(call, cb_tensor_bytes(&x));
        if (x.data == NULL)
            return CB_ERROR_MEMORY;
        cbi_strides_row_major(&x);
        cbi_copy(&x, call->in[0]);
    }
    double keep = 1 / (1 - options->rate);
    if (out->dtype == CB_F32)
        keep_f32(n, out->data, x.data, (float)keep);
    else
        keep_f64(n, out->data, x.data, keep);
    return CB_OK;
}

static void dropout_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_apply(call->op, 1, &g, call->options);
}

static cb_tensor *dropout_sample(cb_tensor *const *in) {
    cb_random random = cb_random_seed(7);
    return cb_dropout(in[0], 0.4, &random);
}

static const cb_sample dropout_samples[] = {
    {"plain", 1, {SHAPED(2, 5, 7)}, dropout_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, dropout_sample},
    {"empty", 1, {SHAPED(2, 0, 7)}, dropout_sample},
};

static const cb_option dropout_option_list[] = {
    CB_OPTION(dropout_options, rate, CB_OPTION_REAL),
    CB_OPTION(dropout_options, draw, CB_OPTION_DRAW),
};

const cb_op cbi_dropout_op = {
    .name = "dropout",
    .formula = "y = x m / (1 - rate), m ~ Bernoulli(1 - rate);  dx = g m / (1 - rate)",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(dropout_options),
    .shape = dropout_shape,
    .forward = dropout_forward,
    .vjp = dropout_vjp,
    SAMPLES(dropout_samples),
    OPTIONS(dropout_option_list),
    .row_by_row = cb_row_by_row,
};

cb_tensor *cb_dropout(cb_tensor *x, double rate, cb_random *random) {
    if (rate == 0)
        return x;
    if (random == NULL)
        return cb_fail(x, CB_ERROR_VALUE, "dropout: the generator is NULL");
    dropout_options options = {.rate = rate};
    if (cb_tape_of(x) != NULL && !cbi_is_poisoned(x))
        options.draw = cb_draw_numbers(x, random, cb_tensor_count(x));
    return cb_apply(&cbi_dropout_op, 1, &x, &options);
}
