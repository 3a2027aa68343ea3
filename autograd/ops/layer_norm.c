/* Layer normalisation as one op, and its gradient as another: built from plain ops it would write
   nine arrays of x's size, and its gradient some twenty more. Rows are split over threads; what
   they add to the gradients of weight and bias is added up in blocks of rows, in the blocks' order,
   so that it does not depend on the number of threads (layer_norm_rows.h).

   Where gradients of gradients may be asked for, gradients are plain ops, as all of it is in a
   trace. */
#include "autograd/ops/list.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <string.h>

/* Elements of a row whose sum is formed at a time. */
#define BLOCK           256
#define ROWS_OF_A_BLOCK 64

/* What the loops are given; rows are row-major. */
typedef struct rows_job {
    int64_t rows, n;
    double epsilon;
    const void *x, *weight, *bias, *g;
    void *statistics; /* [rows, 2] in x's dtype: the mean, and 1 / sqrt(variance + epsilon) */
    void *out;        /* y, or dx; of a gradient NULL: not wanted */
    void *parts; /* [blocks, 3, n]: room for a row, and the block's part of dweight and dbias */
} rows_job;

#define REAL       float
#define ROWS(name) layer_norm_##name##_f32
#include "autograd/ops/layer_norm_rows.h"
#undef REAL
#undef ROWS

#define REAL       double
#define ROWS(name) layer_norm_##name##_f64
#include "autograd/ops/layer_norm_rows.h"
#undef REAL
#undef ROWS

static rows_job job_of(const cb_call *call) {
    const cbi_norm_options *options = call->options;
    const cb_tensor *x = call->in[0];
    rows_job job = {.n = x->shape[1], .rows = x->shape[0], .epsilon = options->epsilon};
    job.x = x->data;
    job.weight = options->weighted ? call->in[1]->data : NULL;
    job.bias = options->biased ? call->in[1 + options->weighted]->data : NULL;
    return job;
}

static cb_status forward(const cb_call *call) {
    rows_job job = job_of(call);
    cb_dtype dtype = call->out->dtype;
    job.out = call->out->data;
    job.statistics = cb_call_scratch(call, 2 * cb_dtype_size(dtype) * (size_t)(job.rows + 1));
    if (job.statistics == NULL)
        return CB_ERROR_MEMORY;
    call->out->node->saved = job.statistics;
    if (job.n > 0)
        cbi_parallel_for(job.rows, CBI_GRAIN / 4 / job.n + 1,
                         dtype == CB_F32 ? layer_norm_forward_f32 : layer_norm_forward_f64, &job);
    return CB_OK;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* The sum of the blocks' parts, in their order. */
static void add_parts(const cb_call *call, const rows_job *job, int64_t blocks) {
    cb_dtype dtype = call->in[0]->dtype;
    int64_t size = (int64_t)cb_dtype_size(dtype);
    for (int k = 1; k < 3; k++) {
        cb_tensor *out = call->outs[k];
        cb_tensor parts = {.dtype = dtype, .rank = 2, .shape = {blocks, job->n}};
        parts.stride[0] = 3 * job->n;
        parts.stride[1] = 1;
        parts.data = (char *)job->parts + k * job->n * size;
        cb_tensor to = cb_tensor_wrap(dtype, 2, (const int64_t[]){1, job->n}, out->data);
        cbi_reduce(CBI_SUM, &to, &parts);
    }
}

static cb_status gradient_forward(const cb_call *call) {
    const cbi_norm_gradient_options *options = call->options;
    const cb_tensor *x = call->in[0];
    rows_job job = {.rows = x->shape[0], .n = x->shape[1], .x = x->data, .g = call->in[1]->data};
    job.weight = options->weighted ? call->in[2]->data : NULL;
    job.statistics = options->saved;
    job.out = call->out->data;
    int64_t blocks = (job.rows + ROWS_OF_A_BLOCK - 1) / ROWS_OF_A_BLOCK;
    job.parts = cb_call_scratch(call, 3 * cb_dtype_size(x->dtype) * (size_t)(blocks * job.n + 1));
    if (job.parts == NULL)
        return CB_ERROR_MEMORY;
    if (job.n > 0)
        cbi_parallel_for(blocks, CBI_GRAIN / ROWS_OF_A_BLOCK / 4 / job.n + 1,
                         x->dtype == CB_F32 ? layer_norm_gradient_f32 : layer_norm_gradient_f64,
                         &job);
    add_parts(call, &job, blocks);
    return CB_OK;
}

const cb_op cbi_layer_norm_gradient_op = {
    .name = "layer_norm_gradient",
    .formula = "with z = (x - mean) f, f = 1 / sqrt(var + epsilon), d = g weight: "
               "dx = f (d - mean(d) - z mean(d z)),  dweight = sum g z,  dbias = sum g",
    .min_inputs = 2,
    .max_inputs = 3,
    .options_size = sizeof(cbi_norm_gradient_options),
    .shape = cbi_norm_shape,
    .forward = gradient_forward,
};

static void vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const cbi_norm_options *options = call->options;
    if (call->out->node->tape->recording)
        cbi_norm_gradient_plain(call, g, options->weighted ? call->in[1] : NULL, CB_AXES(-1),
                                CB_AXES(0), gradients);
    else
        cbi_norm_gradient(call, g, &cbi_layer_norm_gradient_op, gradients);
}

/* ---- The op ---------------------------------------------------------------------------------- */

static cb_status real_shape(const cb_call *call) {
    if (!cb_dtype_is_float(call->in[0]->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                            cb_dtype_name(call->in[0]->dtype));
    for (int i = 1; i < call->count; i++)
        if (call->in[i]->dtype != call->in[0]->dtype)
            return cb_call_fail(call, CB_ERROR_DTYPE, "dtypes %s and %s differ; cast one of them",
                                cb_dtype_name(call->in[0]->dtype),
                                cb_dtype_name(call->in[i]->dtype));
    return cb_shape_same(call);
}

static cb_tensor *weighted_sample(cb_tensor *const *in) {
    return cb_layer_norm(in[0], in[1], in[2], 0.1);
}

static cb_tensor *biased_sample(cb_tensor *const *in) {
    return cb_layer_norm(in[0], NULL, in[1], 0.1);
}

static cb_tensor *plain_sample(cb_tensor *const *in) {
    return cb_layer_norm(in[0], NULL, NULL, 0.1);
}

static const cb_sample layer_norm_samples[] = {
    {"weighted", 3, {SHAPED(2, 3, 4), SHAPED(1, 4), SHAPED(1, 4)}, weighted_sample},
    {"strided, two axes", 2, {STRIDED(3, 2, 2, 3), STRIDED(2, 2, 3)}, biased_sample},
    {"many rows", 3, {SHAPED(2, 67, 2), SHAPED(1, 2), SHAPED(1, 2)}, weighted_sample},
    {"alone", 1, {SHAPED(1, 5)}, plain_sample},
    {"empty", 3, {SHAPED(2, 0, 4), SHAPED(1, 4), SHAPED(1, 4)}, weighted_sample},
};

const cb_op cbi_layer_norm_op = {
    .name = "layer_norm",
    .formula = "y = z weight + bias, z = (x - mean) f, f = 1 / sqrt(var + epsilon); with d = "
               "g weight: dx = f (d - mean(d) - z mean(d z)),  dweight = sum g z,  dbias = sum g",
    .min_inputs = 1,
    .max_inputs = 3,
    .options_size = sizeof(cbi_norm_options),
    .shape = real_shape,
    .forward = forward,
    .vjp = vjp,
    SAMPLES(layer_norm_samples),
    OPTIONS(cbi_norm_option_list),
};

/* Whether t (NULL: yes) has the shape of the last count axes of x. What is missing or poisoned
   passes: the ops after this say so. */
static bool is_last_axes_of(const cb_tensor *t, int count, const cb_tensor *x) {
    if (t == NULL || x == NULL || cbi_is_poisoned(t) || cbi_is_poisoned(x))
        return true;
    bool same = t->rank == count && count <= x->rank;
    for (int i = 1; i <= count && same; i++)
        same = t->shape[count - i] == x->shape[x->rank - i];
    return same;
}

/* In plain ops. */
static cb_tensor *plain(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon, int count,
                        const int *axes) {
    cb_tensor *centred = cb_sub(x, cb_mean(x, count, axes, true));
    cb_tensor *variance = cb_mean(cb_square(centred), count, axes, true);
    cb_tensor *y = cb_mul(centred, cb_rsqrt(cb_shift(variance, epsilon)));
    if (weight != NULL)
        y = cb_mul(y, weight);
    return bias != NULL ? cb_add(y, bias) : y;
}

/* As one op, over rows. */
static cb_tensor *one_pass(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon,
                           int count) {
    cbi_norm_options options = {epsilon, weight != NULL, bias != NULL};
    int64_t n = 1;
    int inputs = 0;
    for (int i = x->rank - count; i < x->rank; i++)
        n *= x->shape[i];
    cb_tensor *in[3];
    in[inputs++] = cb_contiguous(cb_reshape(x, CB_SHAPE(cb_tensor_count(x) / n, n)));
    if (weight != NULL)
        in[inputs++] = cb_contiguous(cb_reshape(weight, CB_SHAPE(n)));
    if (bias != NULL)
        in[inputs++] = cb_contiguous(cb_reshape(bias, CB_SHAPE(n)));
    cb_tensor *y = cb_apply(&cbi_layer_norm_op, inputs, in, &options);
    return cb_reshape(y, x->rank, x->shape);
}

static cb_tensor *layer_norm_in_ops(cb_tensor *x, cb_tensor *weight, cb_tensor *bias,
                                    double epsilon) {
    int axes[CB_MAX_RANK] = {0}, count = weight != NULL ? weight->rank
                                         : bias != NULL ? bias->rank
                                                        : 1;
    for (int i = 0; i < count; i++)
        axes[i] = i - count;
    if (!(epsilon >= 0))
        return cbi_function_fail(x, "layer_norm", CB_ERROR_VALUE, "an epsilon of %g is below 0",
                                 epsilon);
    if (!is_last_axes_of(weight, count, x) || !is_last_axes_of(bias, count, x))
        return cbi_function_fail(x, "layer_norm", CB_ERROR_SHAPE,
                                 "weight and bias must have the shape of the last axes");
    return cbi_in_one_pass(cb_tape_of(x)) && !cbi_is_poisoned(x) && x->rank >= count &&
                   cb_tensor_count(x) > 0
               ? one_pass(x, weight, bias, epsilon, count)
               : plain(x, weight, bias, epsilon, count, axes);
}

cb_tensor *cb_layer_norm(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon) {
    cbi_within f = cbi_function_begin(x, "layer_norm");
    return cbi_function_end(f, layer_norm_in_ops(x, weight, bias, epsilon));
}
