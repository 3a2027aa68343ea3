/* Pooling. The largest of windows is one op, and its gradient another: from plain ops it would copy
   the windows, and its gradient write some seven arrays of their size. Channels are shared out over
   threads.

   Where gradients of gradients may be asked for, the gradient is plain ops, windows and reductions,
   as all of it is in a trace; averages are plain ops everywhere. */
#include <cerebra/ops.h>

#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/ops/windows.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/threads.h>

#include <math.h>
#include <string.h>

enum {
    MOST_STEP = 1 << 30, /* of a stride or an extent of a window that the op takes */
    ROOM = 1024,         /* elements of rows that windows of 2 x 2 are computed in */
};

typedef struct pool_options {
    int axes;
    int64_t size[2], stride[2], padding[2], dilation[2];
} pool_options;

static const cb_option pool_option_list[] = {
    CB_OPTION(pool_options, axes, CB_OPTION_INT),
    CB_OPTIONS(pool_options, size, CB_OPTION_EXTENT),
    CB_OPTIONS(pool_options, stride, CB_OPTION_EXTENT),
    CB_OPTIONS(pool_options, padding, CB_OPTION_EXTENT),
    CB_OPTIONS(pool_options, dilation, CB_OPTION_EXTENT),
};

/* What the loops are given. Of one axis the first entry of each pair is that of an axis of extent
   1. */
typedef struct pool_job {
    int64_t channels; /* of all images */
    int64_t extent[2], size[2], stride[2], padding[2], dilation[2], places[2];
    int64_t plane, area; /* elements of a channel; places of one */
    bool pairs;          /* windows are 2 x 2, side by side, and cover a channel */
    const void *x, *g;
    void *y, *dx, *ties; /* ties: for each part a row of places */
    int64_t parts;
} pool_job;

/* Places of the last axis at which a tap is within x: there it sees element place * stride +
   shift. */
typedef struct pool_reach {
    int64_t first, last, shift;
} pool_reach;

static inline pool_reach pool_reach_of(const pool_job *job, int64_t tap) {
    const int64_t stride = job->stride[1], extent = job->extent[1];
    pool_reach r = {0, 0, tap * job->dilation[1] - job->padding[1]};
    r.last = extent > r.shift ? (extent - 1 - r.shift) / stride + 1 : 0;
    r.last = r.last < job->places[1] ? r.last : job->places[1];
    r.first = r.shift < 0 ? (stride - 1 - r.shift) / stride : 0;
    r.first = r.first < r.last ? r.first : r.last;
    return r;
}

#define REAL       float
#define ROWS(name) max_pool_##name##_f32
#include "autograd/ops/max_pool_rows.h"
#undef REAL
#undef ROWS

#define REAL       double
#define ROWS(name) max_pool_##name##_f64
#include "autograd/ops/max_pool_rows.h"
#undef REAL
#undef ROWS

static pool_job job_of(const pool_options *o, const cb_tensor *x) {
    pool_job job = {.channels = 1, .plane = 1, .area = 1, .pairs = true};
    for (int i = 0; i < x->rank - o->axes; i++)
        job.channels *= x->shape[i];
    for (int axis = 0; axis < 2; axis++) {
        int k = axis + o->axes - 2; /* of the pooled axes; below 0: there is none */
        job.extent[axis] = k < 0 ? 1 : x->shape[x->rank - o->axes + k];
        job.size[axis] = k < 0 ? 1 : o->size[k];
        job.stride[axis] = k < 0 ? 1 : o->stride[k];
        job.padding[axis] = k < 0 ? 0 : o->padding[k];
        job.dilation[axis] = k < 0 ? 1 : o->dilation[k];
        int64_t span = job.dilation[axis] * (job.size[axis] - 1) + 1;
        job.places[axis] = (job.extent[axis] + 2 * job.padding[axis] - span) / job.stride[axis] + 1;
        job.plane *= job.extent[axis];
        job.area *= job.places[axis];
        job.pairs = job.pairs && job.size[axis] == 2 && job.stride[axis] == 2 &&
                    job.padding[axis] == 0 && job.dilation[axis] == 1;
    }
    job.pairs =
        job.pairs && job.extent[0] % 2 == 0 && job.extent[1] % 2 == 0 && job.extent[1] <= ROOM;
    job.x = x->data;
    return job;
}

/* ---- The largest of windows ------------------------------------------------------------------ */

static cb_status max_pool_shape(const cb_call *call) {
    const pool_options *o = call->options;
    pool_job job = job_of(o, call->in[0]);
    cb_tensor *out = call->out;
    cb_shape_same(call);
    for (int k = 0; k < o->axes; k++)
        out->shape[out->rank - o->axes + k] = job.places[2 - o->axes + k];
    return CB_OK;
}

/* Channels that are worth a thread. */
static int64_t grain(const pool_job *job) {
    return CBI_GRAIN / (job->plane + job->area * job->size[0] * job->size[1]) + 1;
}

static cb_status max_pool_forward(const cb_call *call) {
    pool_job job = job_of(call->options, call->in[0]);
    job.y = call->out->data;
    cbi_parallel_for(job.channels, grain(&job),
                     call->out->dtype == CB_F32 ? max_pool_forward_f32 : max_pool_forward_f64,
                     &job);
    return CB_OK;
}

/* in: x, y, g; out: dx. */
static cb_status gradient_forward(const cb_call *call) {
    pool_job job = job_of(call->options, call->in[0]);
    cb_dtype dtype = call->out->dtype;
    job.y = call->in[1]->data;
    job.g = call->in[2]->data;
    job.dx = call->out->data;
    job.parts = job.channels / grain(&job);
    job.parts = job.parts < 1 ? 1 : job.parts < cb_threads() ? job.parts : cb_threads();
    job.ties = cbi_tape_pass_memory(call->out->node->tape,
                                    cb_dtype_size(dtype) * (size_t)(job.parts * job.places[1]));
    if (job.ties == NULL)
        return CB_ERROR_MEMORY;
    cbi_parallel_for(job.parts, 1, dtype == CB_F32 ? max_pool_gradient_f32 : max_pool_gradient_f64,
                     &job);
    return CB_OK;
}

const cb_op cbi_max_pool_gradient_op = {
    .name = "max_pool_gradient",
    .formula = "dx = g where x = y in a window, shared by ties, added up where windows overlap",
    .min_inputs = 3,
    .max_inputs = 3,
    .options_size = sizeof(pool_options),
    .shape = cb_shape_same,
    .forward = gradient_forward,
};

/* x with so many elements of this value at both ends of its last axes. */
static cb_tensor *pad_last(cb_tensor *x, int count, const int64_t *padding, double value) {
    int64_t margin[CB_MAX_RANK] = {0};
    bool any = false;
    for (int k = 0; k < count; k++) {
        margin[x->rank - count + k] = padding[k];
        any = any || padding[k] != 0;
    }
    return any ? cb_pad(x, margin, margin, value) : x;
}

/* The windows of x and a margin of this value, their axes first. */
static cb_tensor *pool_windows(const pool_options *o, cb_tensor *x, double margin) {
    return cb_windows(pad_last(x, o->axes, o->padding, margin), o->axes, o->size, o->stride,
                      o->dilation);
}

static const int first_axes[] = {0, 1};

static cb_tensor *plain_max_pool(const pool_options *o, cb_tensor *x) {
    return cb_max(pool_windows(o, x, -HUGE_VAL), o->axes, first_axes, false);
}

static cb_tensor *plain_gradient(const cb_call *call, cb_tensor *g) {
    const pool_options *o = call->options;
    cb_tensor *x = call->in[0];
    cb_tensor *chosen = cb_equal(pool_windows(o, x, -HUGE_VAL), call->out);
    cb_tensor *share = cb_div(chosen, cb_sum(chosen, o->axes, first_axes, true));
    return cbi_windows_back(cb_mul(g, share), x, o->axes, o->size, o->stride, o->dilation,
                            o->padding, 0);
}

static void max_pool_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *in[] = {call->in[0], call->out, NULL};
    if (call->out->node->tape->recording) {
        gradients[0] = plain_gradient(call, g);
        return;
    }
    in[2] = cb_contiguous(g);
    gradients[0] = cb_apply(&cbi_max_pool_gradient_op, 3, in, call->options);
}

static cb_tensor *pairs_sample(cb_tensor *const *in) {
    return cb_max_pool2d(in[0], .size = {2, 2});
}

static cb_tensor *overlapping_sample(cb_tensor *const *in) {
    return cb_max_pool2d(in[0], .size = {3, 2}, .stride = {1, 2}, .padding = {1, 1},
                         .dilation = {1, 2});
}

static cb_tensor *one_axis_sample(cb_tensor *const *in) {
    return cb_max_pool1d(in[0], .size = {3}, .stride = {2});
}

static const cb_sample max_pool_samples[] = {
    {"pairs", 1, {SHAPED(4, 2, 2, 4, 5)}, pairs_sample},
    {"overlapping, strided", 1, {STRIDED(3, 2, 4, 5)}, overlapping_sample},
    {"one axis", 1, {SHAPED(1, 7)}, one_axis_sample},
    {"empty", 1, {SHAPED(3, 0, 4, 4)}, pairs_sample},
};

const cb_op cbi_max_pool_op = {
    .name = "max_pool",
    .formula = "y = the largest x of each window;  dx = g where x = y, shared by ties, added up "
               "where windows overlap",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(pool_options),
    .shape = max_pool_shape,
    .forward = max_pool_forward,
    .vjp = max_pool_vjp,
    SAMPLES(max_pool_samples),
    OPTIONS(pool_option_list),
};

/* ---- The functions --------------------------------------------------------------------------- */

/* Options with those that are 0 filled in. */
static pool_options filled(int axes, const cb_pool_options *options) {
    cb_pool_options none = {0};
    const cb_pool_options *given = options == NULL ? &none : options;
    pool_options o = {.axes = axes};
    for (int k = 0; k < 2; k++) {
        o.size[k] = given->size[k];
        o.stride[k] = given->stride[k] == 0 ? o.size[k] : given->stride[k];
        o.padding[k] = given->padding[k];
        o.dilation[k] = given->dilation[k] == 0 ? 1 : given->dilation[k];
    }
    return o;
}

/* Whether x can be pooled; records why not. */
static bool pool_good(const char *name, cb_tensor *x, const pool_options *o) {
    int axes = o->axes;
    if (x == NULL || cbi_is_poisoned(x))
        return false;
    if (axes < 1 || axes > 2 || x->rank < axes) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "%d pooled axes; there can be 1 or 2, of x's",
                          axes);
        return false;
    }
    if (!cb_dtype_is_float(x->dtype)) {
        cbi_function_fail(x, name, CB_ERROR_DTYPE, "%s is not accepted; f32 and f64 are",
                          cb_dtype_name(x->dtype));
        return false;
    }
    for (int k = 0; k < axes; k++)
        if (o->padding[k] < 0 || o->padding[k] > o->size[k] / 2) {
            cbi_function_fail(x, name, CB_ERROR_VALUE,
                              "a padding of %lld is outside 0..%lld, half a window",
                              (long long)o->padding[k], (long long)(o->size[k] / 2));
            return false;
        }
    return true;
}

/* Whether the op takes what is asked for. What it does not, because it is empty or wrong, the plain
   ops take, or refuse with a message. */
static bool is_for_op(const cb_tensor *x, const pool_options *o) {
    bool good = cbi_in_one_pass(cb_tape_of(x)) && cb_tensor_count(x) > 0;
    for (int k = 0; k < o->axes && good; k++) {
        good = o->size[k] >= 1 && o->size[k] <= MOST_STEP && o->stride[k] >= 1 &&
               o->stride[k] <= MOST_STEP && o->dilation[k] >= 1;
        int64_t extent = x->shape[x->rank - o->axes + k] + 2 * o->padding[k];
        good = good && o->size[k] - 1 <= (extent - 1) / o->dilation[k];
    }
    return good;
}

static cb_tensor *max_pool(int axes, cb_tensor *x, const cb_pool_options *options) {
    const pool_options o = filled(axes, options);
    if (!pool_good("max_pool", x, &o))
        return cbi_poison(cb_tape_of(x));
    if (!is_for_op(x, &o))
        return plain_max_pool(&o, x);
    x = cb_contiguous(x);
    return cb_apply(&cbi_max_pool_op, 1, &x, &o);
}

cb_tensor *cb_max_pool_with(int axes, cb_tensor *x, const cb_pool_options *options) {
    cbi_within f = cbi_function_begin(x, "max_pool");
    return cbi_function_end(f, max_pool(axes, x, options));
}

static cb_tensor *avg_pool(int axes, cb_tensor *x, const cb_pool_options *options) {
    const pool_options o = filled(axes, options);
    if (!pool_good("avg_pool", x, &o))
        return cbi_poison(cb_tape_of(x));
    cb_tensor *windows = pool_windows(&o, x, 0);
    if (options == NULL || !options->exclude_padding)
        return cb_mean(windows, axes, first_axes, false);
    cb_tensor *ones = cb_full(cb_tape_of(x), x->dtype, axes, x->shape + x->rank - axes, 1);
    cb_tensor *elements = cb_sum(pool_windows(&o, ones, 0), axes, first_axes, false);
    return cb_div(cb_sum(windows, axes, first_axes, false), elements);
}

cb_tensor *cb_avg_pool_with(int axes, cb_tensor *x, const cb_pool_options *options) {
    cbi_within f = cbi_function_begin(x, "avg_pool");
    return cbi_function_end(f, avg_pool(axes, x, options));
}
