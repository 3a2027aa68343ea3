/* Softmax, its logarithm, and the logarithm of a sum of exponentials, over the last axis, as one op
   each, and their gradients as others: built from plain ops each of them would write three to five
   arrays of x's size. Rows are split over threads (softmax_rows.h).

   Where gradients of gradients may be asked for, gradients are plain ops. In a step that is traced
   all of it is: the compiler fuses them with what is beside them. */
#include "autograd/ops/axes.h"
#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <float.h>

/* Elements of a row whose sum is formed at a time. */
#define BLOCK 256
/* An exponential counts as so many cheap operations. */
#define COST 4

/* What the loops are given; rows are row-major. */
typedef struct rows_job {
    int64_t n; /* elements of a row */
    const void *a, *b, *c;
    void *out;
} rows_job;

#define REAL       float
#define EXP        cbi_exp_f32
#define ROWS(name) rows_##name##_f32
#include "autograd/ops/softmax_rows.h"
#undef REAL
#undef EXP
#undef ROWS

#define REAL       double
#define EXP        cbi_exp_f64
#define ROWS(name) rows_##name##_f64
#include "autograd/ops/softmax_rows.h"
#undef REAL
#undef EXP
#undef ROWS

typedef void loop(void *context, int64_t begin, int64_t end);

/* Rows of the first input; the function that made the call has made all inputs row-major. */
static cb_status run(const cb_call *call, loop *f32, loop *f64) {
    const cb_tensor *x = call->in[0];
    int64_t count = cb_tensor_count(x), n = x->shape[x->rank - 1];
    rows_job job = {n, x->data, call->count > 1 ? call->in[1]->data : NULL,
                    call->count > 2 ? call->in[2]->data : NULL, call->out->data};
    if (count > 0)
        cbi_parallel_for(count / n, CBI_GRAIN / COST / n + 1, x->dtype == CB_F32 ? f32 : f64, &job);
    return CB_OK;
}

#define FORWARD(name)                                                                              \
    static cb_status name##_forward(const cb_call *call) {                                         \
        return run(call, rows_##name##_f32, rows_##name##_f64);                                    \
    }
FORWARD(softmax)
FORWARD(log_softmax)
FORWARD(logsumexp)
FORWARD(softmax_gradient)
FORWARD(log_softmax_gradient)
FORWARD(logsumexp_gradient)

static cb_status real_shape(const cb_call *call) {
    if (!cb_dtype_is_float(call->in[0]->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                            cb_dtype_name(call->in[0]->dtype));
    return cb_shape_same(call);
}

static cb_status logsumexp_shape(const cb_call *call) {
    cb_status status = real_shape(call);
    call->out->shape[call->out->rank - 1] = 1;
    return status;
}

/* An op on row-major inputs. */
static cb_tensor *apply(const cb_op *op, int count, cb_tensor *const *in) {
    cb_tensor *dense[3] = {NULL};
    for (int i = 0; i < count; i++)
        dense[i] = cb_contiguous(in[i]);
    return cb_apply(op, count, dense, NULL);
}

static cb_tensor *sum_of_row(cb_tensor *x) {
    return cb_sum(x, CB_AXES(-1), true);
}

/* Whether gradients are recorded themselves, for gradients of gradients: they are plain ops then.
 */
static bool is_recorded(const cb_call *call) {
    return call->out->node->tape->recording;
}

#define SAMPLES_OF(name, expression)                                                               \
    static cb_tensor *name##_sample(cb_tensor *const *in) {                                        \
        return expression;                                                                         \
    }                                                                                              \
    static const cb_sample name##_samples[] = {                                                    \
        {"plain", 1, {SHAPED(2, 3, 4)}, name##_sample},                                            \
        {"strided", 1, {STRIDED(3, 2, 3, 5)}, name##_sample},                                      \
        {"one row", 1, {SHAPED(1, 4)}, name##_sample},                                             \
        {"empty", 1, {SHAPED(2, 0, 4)}, name##_sample},                                            \
    };

/* ---- Softmax --------------------------------------------------------------------------------- */

static void softmax_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *y = call->out;
    gradients[0] = is_recorded(call) ? cb_mul(y, cb_sub(g, sum_of_row(cb_mul(g, y))))
                                     : apply(&cbi_softmax_gradient_op, 2, (cb_tensor *[]){y, g});
}

SAMPLES_OF(softmax, cb_softmax(in[0], -1))

const cb_op cbi_softmax_op = {
    .name = "softmax",
    .formula = "y = exp(x) / sum exp(x);  dx = y (g - sum g y)",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = real_shape,
    .forward = softmax_forward,
    .vjp = softmax_vjp,
    SAMPLES(softmax_samples),
};

const cb_op cbi_softmax_gradient_op = {
    .name = "softmax_gradient",
    .formula = "dx = y (g - sum g y)",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = cb_shape_same,
    .forward = softmax_gradient_forward,
};

/* ---- Its logarithm --------------------------------------------------------------------------- */

static void log_softmax_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *y = call->out;
    gradients[0] = is_recorded(call)
                       ? cb_sub(g, cb_mul(cb_exp(y), sum_of_row(g)))
                       : apply(&cbi_log_softmax_gradient_op, 2, (cb_tensor *[]){y, g});
}

SAMPLES_OF(log_softmax, cb_log_softmax(in[0], -1))

const cb_op cbi_log_softmax_op = {
    .name = "log_softmax",
    .formula = "y = x - log sum exp(x);  dx = g - exp(y) sum g",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = real_shape,
    .forward = log_softmax_forward,
    .vjp = log_softmax_vjp,
    SAMPLES(log_softmax_samples),
};

const cb_op cbi_log_softmax_gradient_op = {
    .name = "log_softmax_gradient",
    .formula = "dx = g - exp(y) sum g",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = cb_shape_same,
    .forward = log_softmax_gradient_forward,
};

/* ---- The logarithm of a sum of exponentials -------------------------------------------------- */

static void logsumexp_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *x = call->in[0], *y = call->out;
    gradients[0] = is_recorded(call)
                       ? cb_mul(g, cb_exp(cb_sub(x, y)))
                       : apply(&cbi_logsumexp_gradient_op, 3, (cb_tensor *[]){x, y, g});
}

SAMPLES_OF(logsumexp, cb_logsumexp(in[0], CB_AXES(-1), false))

const cb_op cbi_logsumexp_op = {
    .name = "logsumexp",
    .formula = "y = log sum exp(x);  dx = g exp(x - y)",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = logsumexp_shape,
    .forward = logsumexp_forward,
    .vjp = logsumexp_vjp,
    SAMPLES(logsumexp_samples),
};

const cb_op cbi_logsumexp_gradient_op = {
    .name = "logsumexp_gradient",
    .formula = "dx = g exp(x - y)",
    .min_inputs = 3,
    .max_inputs = 3,
    .shape = cb_shape_same,
    .forward = logsumexp_gradient_forward,
};
