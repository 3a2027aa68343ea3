/* Random tensors. What is drawn is a function of the generator as it was and of an element's
   number, so that a compiled step can draw a part of the rows, and draw them again. */
#include <cerebra/ops.h>

#include "autograd/ops/draw.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

/* ---- Filling --------------------------------------------------------------------------------- */

/* Elements of a block of random numbers: a part of an array can begin where a block does. */
static int64_t block_elements(cbi_distribution distribution, cb_dtype dtype) {
    return dtype == CB_F32 || distribution == CBI_BERNOULLI ? 4 : 2;
}

static void fill(cb_random *random, cbi_distribution distribution, double first, double second,
                 cb_dtype dtype, int64_t n, void *out) {
    bool f32 = dtype == CB_F32;
    switch (distribution) {
    case CBI_UNIFORM:
        if (f32)
            cb_random_uniform_f32(random, n, out, (float)first, (float)second);
        else
            cb_random_uniform_f64(random, n, out, first, second);
        break;
    case CBI_NORMAL:
        if (f32)
            cb_random_normal_f32(random, n, out, (float)first, (float)second);
        else
            cb_random_normal_f64(random, n, out, first, second);
        break;
    case CBI_BERNOULLI:
        if (f32)
            cb_random_bernoulli_f32(random, n, out, first);
        else
            cb_random_bernoulli_f64(random, n, out, first);
        break;
    }
}

/* A draw that begins within a block begins it anew, in memory of its own. */
cb_status cbi_fill_drawn(const cb_call *call, const cb_draw *draw, cbi_distribution distribution,
                         double first, double second, cb_dtype dtype, int64_t n, void *out) {
    const int64_t block = block_elements(distribution, dtype), skipped = draw->first % block;
    const size_t size = cb_dtype_size(dtype);
    cb_random random = draw->random;
    if (n <= 0)
        return CB_OK;
    random.counter += (uint64_t)(draw->first / block);
    void *drawn = skipped == 0 ? out : cb_call_scratch(call, size * (size_t)(n + skipped));
    if (drawn == NULL)
        return CB_ERROR_MEMORY;
    fill(&random, distribution, first, second, dtype, n + skipped, drawn);
    if (drawn != out)
        memcpy(out, (const char *)drawn + (size_t)skipped * size, (size_t)n * size);
    return CB_OK;
}

/* ---- The op ---------------------------------------------------------------------------------- */

typedef struct random_options {
    cbi_distribution distribution;
    double first, second;
    cb_draw draw;
} random_options;

static cb_status random_shape(const cb_call *call) {
    if (!cb_dtype_is_float(call->in[0]->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                            cb_dtype_name(call->in[0]->dtype));
    return cb_shape_same(call);
}

static cb_status random_forward(const cb_call *call) {
    const random_options *options = call->options;
    return cbi_fill_drawn(call, &options->draw, options->distribution, options->first,
                          options->second, call->out->dtype, cb_tensor_count(call->out),
                          call->out->data);
}

static const cb_option random_option_list[] = {
    CB_OPTION(random_options, distribution, CB_OPTION_INT),
    CB_OPTION(random_options, first, CB_OPTION_REAL),
    CB_OPTION(random_options, second, CB_OPTION_REAL),
    CB_OPTION(random_options, draw, CB_OPTION_DRAW),
};

const cb_op cbi_random_op = {
    .name = "random",
    .formula = "y ~ a distribution, of x's shape",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(random_options),
    .shape = random_shape,
    .forward = random_forward,
    OPTIONS(random_option_list),
    .row_by_row = cb_row_by_row,
};

/* ---- What users call ------------------------------------------------------------------------- */

static cb_tensor *draw_like(cb_tensor *x, const char *name, cb_random *random,
                            cbi_distribution distribution, double first, double second) {
    random_options options = {.distribution = distribution, .first = first, .second = second};
    if (random == NULL)
        return cbi_function_fail(x, name, CB_ERROR_VALUE, "the generator is NULL");
    bool f32 = x != NULL && x->dtype == CB_F32;
    if (f32 && !(isfinite((float)first) && isfinite((float)second - (float)first)))
        return cbi_function_fail(x, name, CB_ERROR_VALUE, "%g and %g are beyond f32", first,
                                 second);
    if (cb_tape_of(x) != NULL && !cbi_is_poisoned(x) && cb_dtype_is_float(x->dtype))
        options.draw = cb_draw_numbers(x, random, cb_tensor_count(x));
    cbi_within f = cbi_function_begin(x, name);
    return cbi_function_end(f, cb_apply(&cbi_random_op, 1, &x, &options));
}

/* Something of that dtype and shape, without memory for its elements. */
static cb_tensor *blank(cb_tape *tape, const char *name, cb_dtype dtype, int rank,
                        const int64_t *shape) {
    if (tape != NULL && !cbi_shape_valid(dtype, rank, shape))
        return cbi_tape_fail(tape, CB_ERROR_SHAPE, "%s: not a valid dtype and shape", name);
    return cb_expand(cb_full(tape, dtype, CB_SCALAR, 0), rank, shape);
}

cb_tensor *cb_uniform_like(cb_tensor *x, double low, double high, cb_random *random) {
    if (!(isfinite(low) && isfinite(high) && low <= high))
        return cbi_function_fail(x, "uniform", CB_ERROR_VALUE, "[%g, %g) is no range", low, high);
    return draw_like(x, "uniform", random, CBI_UNIFORM, low, high);
}

cb_tensor *cb_normal_like(cb_tensor *x, double mean, double stddev, cb_random *random) {
    if (!(isfinite(mean) && isfinite(stddev) && stddev >= 0))
        return cbi_function_fail(x, "normal", CB_ERROR_VALUE,
                                 "a mean of %g and a deviation of %g: not finite, or negative",
                                 mean, stddev);
    return draw_like(x, "normal", random, CBI_NORMAL, mean, stddev);
}

cb_tensor *cb_bernoulli_like(cb_tensor *x, double p, cb_random *random) {
    if (!(p >= 0 && p <= 1))
        return cbi_function_fail(x, "bernoulli", CB_ERROR_VALUE,
                                 "a probability of %g is outside [0, 1]", p);
    return draw_like(x, "bernoulli", random, CBI_BERNOULLI, p, 0);
}

/* -log(1 - u) is finest near 0, where u is; u is half a step of its generator or more, so that the
   result is above 0 and has a logarithm. */
static cb_tensor *exponential(cb_tensor *x, const char *name, cb_random *random) {
    double least = x != NULL && x->dtype == CB_F32 ? 0x1p-33 : 0x1p-54;
    return cb_neg(cb_log1p(cb_neg(draw_like(x, name, random, CBI_UNIFORM, least, 1))));
}

cb_tensor *cb_exponential_like(cb_tensor *x, cb_random *random) {
    return exponential(x, "exponential", random);
}

cb_tensor *cb_gumbel_like(cb_tensor *x, cb_random *random) {
    return cb_neg(cb_log(exponential(x, "gumbel", random)));
}

cb_tensor *cb_uniform(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape, double low,
                      double high, cb_random *random) {
    return cb_uniform_like(blank(tape, "uniform", dtype, rank, shape), low, high, random);
}

cb_tensor *cb_normal(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape, double mean,
                     double stddev, cb_random *random) {
    return cb_normal_like(blank(tape, "normal", dtype, rank, shape), mean, stddev, random);
}

cb_tensor *cb_bernoulli(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape, double p,
                        cb_random *random) {
    return cb_bernoulli_like(blank(tape, "bernoulli", dtype, rank, shape), p, random);
}

cb_tensor *cb_exponential(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                          cb_random *random) {
    return cb_exponential_like(blank(tape, "exponential", dtype, rank, shape), random);
}

cb_tensor *cb_gumbel(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape,
                     cb_random *random) {
    return cb_gumbel_like(blank(tape, "gumbel", dtype, rank, shape), random);
}
