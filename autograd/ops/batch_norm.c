/* Batch normalisation by a batch's own statistics as one op, and its gradient as another: from
   plain ops it would write five arrays of x's size, and its gradient some ten more. x is read once
   for the statistics and once to be normalised; a row, a channel of an image, has its own mean and
   sum of squares, which are merged in the order of images (Chan et al. 1979), so that they do not
   depend on the number of threads.

   Where gradients of gradients may be asked for, gradients are plain ops, as all of it is in a
   trace, for short rows, and with statistics that are given. */
#include "autograd/ops/batch_norm.h"

#include "autograd/ops/list.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <math.h>
#include <string.h>

/* Elements of a row whose sum is formed at a time. */
#define BLOCK 256

enum { LEAST_ROW = 8 }; /* elements of a row that is worth a loop of its own */

/* What the loops are given. Row r is channel r % channels of an image. */
typedef struct norm_job {
    cb_dtype dtype;
    int64_t images, channels, n; /* n elements in a row */
    const void *x, *weight, *bias, *g;
    void *out;              /* y, or dx */
    double *sums;           /* [rows, 2] */
    double *mean, *factor;  /* [channels]; the factor: 1 / sqrt(variance + epsilon) */
    double *mean_g, *slope; /* [channels], of the gradient */
    double *variance;       /* [channels] */
    double epsilon;
} norm_job;

/* Of some elements: how many, their sum, and the sum of squares of their distances from the mean.
 */
typedef struct moments {
    double count, sum, squares;
} moments;

static inline void merge(moments *all, moments more) {
    if (all->count > 0) {
        double apart = more.sum / more.count - all->sum / all->count;
        double weight = all->count * more.count / (all->count + more.count);
        more.squares += apart * apart * weight;
    }
    all->count += more.count;
    all->sum += more.sum;
    all->squares += more.squares;
}

#define REAL       float
#define ROWS(name) batch_norm_##name##_f32
#include "autograd/ops/batch_norm_rows.h"
#undef REAL
#undef ROWS

#define REAL       double
#define ROWS(name) batch_norm_##name##_f64
#include "autograd/ops/batch_norm_rows.h"
#undef REAL
#undef ROWS

static norm_job job_of(const cb_tensor *x) {
    norm_job job = {.dtype = x->dtype, .images = x->shape[0], .channels = x->shape[1], .n = 1};
    for (int i = 2; i < x->rank; i++)
        job.n *= x->shape[i];
    job.x = x->data;
    return job;
}

/* A loop over all rows. */
static void over_rows(norm_job *job, void (*f32)(void *context, int64_t begin, int64_t end),
                      void (*f64)(void *context, int64_t begin, int64_t end)) {
    cbi_parallel_for(job->images * job->channels, CBI_GRAIN / 2 / job->n + 1,
                     job->dtype == CB_F32 ? f32 : f64, job);
}

/* A loop over channels, each of which goes through its rows' sums. */
static void over_channels_of(norm_job *job,
                             void (*body)(void *context, int64_t begin, int64_t end)) {
    cbi_parallel_for(job->channels, CBI_GRAIN / 16 / job->images + 1, body, job);
}

/* ---- Forward --------------------------------------------------------------------------------- */

static void statistics(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    for (int64_t c = begin; c < end; c++) {
        moments all = {0, 0, 0};
        for (int64_t i = 0; i < job->images; i++) {
            const double *sums = job->sums + 2 * (i * job->channels + c);
            merge(&all, (moments){(double)job->n, sums[0], sums[1]});
        }
        job->mean[c] = all.sum / all.count;
        job->variance[c] = all.squares / all.count;
        job->factor[c] = 1 / sqrt(job->variance[c] + job->epsilon);
    }
}

static cb_status norm_forward(const cb_call *call) {
    const cbi_norm_options *options = call->options;
    norm_job job = job_of(call->in[0]);
    job.weight = options->weighted ? call->in[1]->data : NULL;
    job.bias = options->biased ? call->in[1 + options->weighted]->data : NULL;
    job.epsilon = options->epsilon;
    job.out = call->out->data;
    size_t channels = (size_t)job.channels, rows = (size_t)job.images * channels;
    job.sums = cbi_tape_pass_memory(call->out->node->tape, sizeof(double) * (2 * rows + channels));
    job.mean = cb_call_scratch(call, 2 * sizeof(double) * channels);
    if (job.sums == NULL || job.mean == NULL)
        return CB_ERROR_MEMORY;
    job.variance = job.sums + 2 * rows;
    job.factor = job.mean + channels;
    call->out->node->saved = job.mean;
    over_rows(&job, batch_norm_measure_f32, batch_norm_measure_f64);
    over_channels_of(&job, statistics);
    over_rows(&job, batch_norm_normalise_f32, batch_norm_normalise_f64);
    int64_t size = (int64_t)cb_dtype_size(job.dtype);
    for (int64_t c = 0; c < job.channels; c++) {
        cbi_store(job.dtype, (char *)call->outs[1]->data + c * size, job.mean[c]);
        cbi_store(job.dtype, (char *)call->outs[2]->data + c * size, job.variance[c]);
    }
    return CB_OK;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

static void gradient_sums(void *context, int64_t begin, int64_t end) {
    const norm_job *job = context;
    const double count = (double)job->images * (double)job->n;
    for (int64_t c = begin; c < end; c++) {
        double sum = 0, dot = 0;
        for (int64_t i = 0; i < job->images; i++) {
            sum += job->sums[2 * (i * job->channels + c)];
            dot += job->sums[2 * (i * job->channels + c) + 1];
        }
        job->mean_g[c] = sum / count;
        job->slope[c] = dot * job->factor[c] * job->factor[c] / count;
    }
}

static cb_status gradient_forward(const cb_call *call) {
    const cbi_norm_gradient_options *options = call->options;
    norm_job job = job_of(call->in[0]);
    job.g = call->in[1]->data;
    job.weight = options->weighted ? call->in[2]->data : NULL;
    job.out = call->out->data;
    size_t channels = (size_t)job.channels, rows = (size_t)job.images * channels;
    job.mean = options->saved;
    job.factor = job.mean + channels;
    job.sums = cbi_tape_pass_memory(call->out->node->tape, sizeof(double) * 2 * (rows + channels));
    if (job.sums == NULL)
        return CB_ERROR_MEMORY;
    job.mean_g = job.sums + 2 * rows;
    job.slope = job.mean_g + channels;
    over_rows(&job, batch_norm_measure_gradient_f32, batch_norm_measure_gradient_f64);
    over_channels_of(&job, gradient_sums);
    over_rows(&job, batch_norm_gradient_f32, batch_norm_gradient_f64);
    int64_t size = (int64_t)cb_dtype_size(job.dtype);
    const double count = (double)job.images * (double)job.n;
    for (int64_t c = 0; c < job.channels; c++) {
        cbi_store(job.dtype, (char *)call->outs[1]->data + c * size,
                  job.slope[c] * count / job.factor[c]);
        cbi_store(job.dtype, (char *)call->outs[2]->data + c * size, job.mean_g[c] * count);
    }
    return CB_OK;
}

const cb_op cbi_batch_norm_gradient_op = {
    .name = "batch_norm_gradient",
    .formula = "with z = (x - mean) f, f = 1 / sqrt(var + epsilon), over all axes but 1: dx = "
               "weight f (g - mean(g) - z mean(g z)),  dweight = sum g z,  dbias = sum g",
    .min_inputs = 2,
    .max_inputs = 3,
    .options_size = sizeof(cbi_norm_gradient_options),
    .shape = cbi_norm_shape,
    .forward = gradient_forward,
};

/* ---- In plain ops ---------------------------------------------------------------------------- */

/* [C] as it broadcasts against x: [C, 1, ...]. */
static cb_tensor *over_channels(cb_tensor *t, const cb_tensor *x) {
    int64_t shape[CB_MAX_RANK];
    shape[0] = x->shape[1];
    for (int i = 1; i < x->rank - 1; i++)
        shape[i] = 1;
    return cb_reshape(t, x->rank - 1, shape);
}

/* All axes of x but that of channels; returns how many. */
static int other_axes(const cb_tensor *x, int *axes) {
    int count = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != 1)
            axes[count++] = i;
    return count;
}

static cb_tensor *plain(cb_tensor *x, cb_tensor *mean, cb_tensor *variance, cb_tensor *weight,
                        cb_tensor *bias, double epsilon) {
    int axes[CB_MAX_RANK], count = other_axes(x, axes);
    if (cb_tensor_count(x) == 0 && mean == NULL) { /* no statistics, and gradients of 0 */
        x = weight != NULL ? cb_mul(x, over_channels(weight, x)) : x;
        return bias != NULL ? cb_add(x, over_channels(bias, x)) : x;
    }
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

/* ---- The op: y, the mean, the variance ------------------------------------------------------- */

/* Nobody can ask for gradients of the statistics: they leave this file as numbers. */
static void norm_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const cbi_norm_options *options = call->options;
    if (call->out->node->tape->recording) {
        int axes[CB_MAX_RANK], count = other_axes(call->in[0], axes);
        cb_tensor *weight = options->weighted ? over_channels(call->in[1], call->in[0]) : NULL;
        cbi_norm_gradient_plain(call, g, weight, count, axes, count, axes, gradients);
    } else {
        cbi_norm_gradient(call, g, &cbi_batch_norm_gradient_op, gradients);
    }
}

static cb_tensor *weighted_sample(cb_tensor *const *in) {
    return cb_batch_norm(in[0], NULL, NULL, in[1], in[2], 0.1);
}

static cb_tensor *biased_sample(cb_tensor *const *in) {
    return cb_batch_norm(in[0], NULL, NULL, NULL, in[1], 0.1);
}

static cb_tensor *alone_sample(cb_tensor *const *in) {
    return cb_batch_norm(in[0], NULL, NULL, NULL, NULL, 0.1);
}

static const cb_sample norm_samples[] = {
    {"weighted", 3, {SHAPED(4, 2, 3, 3, 4), SHAPED(1, 3), SHAPED(1, 3)}, weighted_sample},
    {"strided", 2, {STRIDED(3, 3, 2, 9), STRIDED(1, 2)}, biased_sample},
    {"in blocks", 1, {SHAPED(3, 1, 2, 260)}, alone_sample},
    {"short rows", 3, {SHAPED(2, 5, 3), SHAPED(1, 3), SHAPED(1, 3)}, weighted_sample},
    {"empty", 3, {SHAPED(3, 0, 4, 9), SHAPED(1, 4), SHAPED(1, 4)}, weighted_sample},
};

const cb_op cbi_batch_norm_op = {
    .name = "batch_norm",
    .formula = "y = z weight + bias, z = (x - mean) f, f = 1 / sqrt(var + epsilon), over all axes "
               "but 1: dx = weight f (g - mean(g) - z mean(g z)),  dweight = sum g z,  dbias = sum "
               "g",
    .min_inputs = 1,
    .max_inputs = 3,
    .options_size = sizeof(cbi_norm_options),
    .shape = cbi_norm_shape,
    .forward = norm_forward,
    .vjp = norm_vjp,
    SAMPLES(norm_samples),
    OPTIONS(cbi_norm_option_list),
};

/* ---- The functions --------------------------------------------------------------------------- */

/* Whether t, which may be NULL, has one element a channel; what is poisoned passes. */
static bool is_of_channels(const cb_tensor *t, const cb_tensor *x) {
    return t == NULL || cbi_is_poisoned(t) || (t->rank == 1 && t->shape[0] == x->shape[1]);
}

/* Whether shapes and options fit together; records why not. */
static bool is_good(cb_tensor *x, cb_tensor *mean, cb_tensor *variance, cb_tensor *weight,
                    cb_tensor *bias, double epsilon) {
    if (x == NULL)
        cb_fail(weight != NULL ? weight : mean, CB_ERROR_TAPE, "batch_norm: x is NULL");
    else if (cbi_is_poisoned(x))
        return false;
    else if (!(epsilon >= 0))
        cbi_function_fail(x, "batch_norm", CB_ERROR_VALUE, "an epsilon of %g is below 0", epsilon);
    else if ((mean == NULL) != (variance == NULL))
        cbi_function_fail(x, "batch_norm", CB_ERROR_VALUE, "one of mean and variance is NULL");
    else if (x->rank < 2)
        cbi_function_fail(x, "batch_norm", CB_ERROR_SHAPE, "there is no axis of channels");
    else if (!is_of_channels(mean, x) || !is_of_channels(variance, x) ||
             !is_of_channels(weight, x) || !is_of_channels(bias, x))
        cbi_function_fail(x, "batch_norm", CB_ERROR_SHAPE,
                          "mean, variance, weight and bias must be [%lld]", (long long)x->shape[1]);
    else
        return true;
    return false;
}

/* What the op does not take, the plain ops take, or refuse with a message. */
static bool is_for_op(const cb_tensor *x, const cb_tensor *weight, const cb_tensor *bias) {
    if (!cbi_in_one_pass(cb_tape_of(x)) || !cb_dtype_is_float(x->dtype) || cb_tensor_count(x) == 0)
        return false;
    bool same = (weight == NULL || (!cbi_is_poisoned(weight) && weight->dtype == x->dtype)) &&
                (bias == NULL || (!cbi_is_poisoned(bias) && bias->dtype == x->dtype));
    return same && job_of(x).n >= LEAST_ROW;
}

/* y, and the statistics. */
static cb_tensor *one_pass(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon,
                           cb_tensor **mean, cb_tensor **variance) {
    cbi_norm_options options = {epsilon, weight != NULL, bias != NULL};
    cb_tensor *in[3] = {cb_contiguous(x)}, *out[3];
    int inputs = 1;
    if (weight != NULL)
        in[inputs++] = cb_contiguous(weight);
    if (bias != NULL)
        in[inputs++] = cb_contiguous(bias);
    cb_apply_outputs(&cbi_batch_norm_op, inputs, in, &options, 3, out);
    *mean = out[1];
    *variance = out[2];
    return out[0];
}

static cb_tensor *batch_norm(cb_tensor *x, cb_tensor *mean, cb_tensor *variance, cb_tensor *weight,
                             cb_tensor *bias, double epsilon) {
    if (!is_good(x, mean, variance, weight, bias, epsilon))
        return x == NULL ? cbi_poison(cb_tape_of(weight != NULL ? weight : mean))
                         : cbi_poison(cb_tape_of(x));
    return mean == NULL && is_for_op(x, weight, bias)
               ? one_pass(x, weight, bias, epsilon, &mean, &variance)
               : plain(x, mean, variance, weight, bias, epsilon);
}

cb_tensor *cb_batch_norm(cb_tensor *x, cb_tensor *mean, cb_tensor *variance, cb_tensor *weight,
                         cb_tensor *bias, double epsilon) {
    cbi_within f = cbi_function_begin(x, "batch_norm");
    return cbi_function_end(f, batch_norm(x, mean, variance, weight, bias, epsilon));
}

cb_tensor *cbi_batch_norm_training(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon,
                                   cb_tensor **mean, cb_tensor **variance) {
    cbi_within f = cbi_function_begin(x, "batch_norm");
    if (is_good(x, NULL, NULL, weight, bias, epsilon) && is_for_op(x, weight, bias))
        return cbi_function_end(f, one_pass(x, weight, bias, epsilon, mean, variance));
    int axes[CB_MAX_RANK], count = other_axes(x, axes);
    *mean = cb_mean(x, count, axes, false);
    *variance = cb_var(x, count, axes, 0, false);
    return cbi_function_end(f, batch_norm(x, *mean, *variance, weight, bias, epsilon));
}
