/* Convolution as one op, and its gradient as another: from plain ops it would write the windows of
   all images, a filter's size times x, copy the product into the order of images, and keep the
   windows until the tape is reset. Here the windows of a few images are columns of a matrix in
   memory that is used again, the product with the filters goes to where it belongs, and the
   gradient makes the columns anew.

   Blocks of images are shared out over threads; where there are few of them, threads share the
   channels and the product of each. What images add to the gradients of weight and bias is added
   up in chunks of blocks, and the chunks' in their order. Blocks and chunks follow from the shapes,
   so that results do not depend on the number of threads.

   Where gradients of gradients may be asked for, the gradient is plain ops, as all of it is in a
   trace (convolution_plain.c). */
#include "autograd/ops/convolution.h"
#include "autograd/ops/convolution_job.h"

#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <cerebra/threads.h>

#include <string.h>

/* Elements of a row whose sum is formed at a time. */
#define BLOCK 256

enum {
    LEAST_WIDTH = 256,      /* columns of a product, where the images of a block are several */
    MOST_CHUNKS = 16,       /* that have gradients of their own */
    CHUNKS_BYTES = 4 << 20, /* of those of the weights, but for one chunk */
    MOST_STEP = 1 << 30,    /* of a stride or a margin that one op takes */
};

static const cb_option conv_option_list[] = {
    CB_OPTION(cbi_conv_options, axes, CB_OPTION_INT),
    CB_OPTION(cbi_conv_options, biased, CB_OPTION_INT),
    CB_OPTIONS(cbi_conv_options, stride, CB_OPTION_EXTENT),
    CB_OPTIONS(cbi_conv_options, padding, CB_OPTION_EXTENT),
    CB_OPTIONS(cbi_conv_options, dilation, CB_OPTION_EXTENT),
    CB_OPTION(cbi_conv_options, groups, CB_OPTION_EXTENT),
};

/* ---- What is computed ------------------------------------------------------------------------ */

#define REAL       float
#define ROWS(name) convolution_##name##_f32
#include "autograd/ops/convolution_columns.h"
#undef REAL
#undef ROWS

#define REAL       double
#define ROWS(name) convolution_##name##_f64
#include "autograd/ops/convolution_columns.h"
#undef REAL
#undef ROWS

static int64_t round_up(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static conv_job job_of(const cbi_conv_options *o, const cb_tensor *x, const cb_tensor *weight) {
    conv_job job = {.dtype = x->dtype, .images = x->shape[0], .groups = o->groups};
    job.bytes = (int64_t)cb_dtype_size(x->dtype);
    job.in = weight->shape[1];
    job.out = weight->shape[0] / o->groups;
    job.plane = job.area = job.taps = 1;
    job.moved = job.as_is = true;
    for (int axis = 0; axis < 2; axis++) {
        int k = axis + o->axes - 2; /* of x's axes; below 0: there is none */
        job.extent[axis] = k < 0 ? 1 : x->shape[2 + k];
        job.size[axis] = k < 0 ? 1 : weight->shape[2 + k];
        job.stride[axis] = k < 0 ? 1 : o->stride[k];
        job.padding[axis] = k < 0 ? 0 : o->padding[k];
        job.dilation[axis] = k < 0 ? 1 : o->dilation[k];
        int64_t span = job.dilation[axis] * (job.size[axis] - 1) + 1;
        job.places[axis] = (job.extent[axis] + 2 * job.padding[axis] - span) / job.stride[axis] + 1;
        job.plane *= job.extent[axis];
        job.area *= job.places[axis];
        job.taps *= job.size[axis];
        job.moved = job.moved && job.stride[axis] == 1;
        job.as_is = job.as_is && job.stride[axis] == 1 && job.padding[axis] == 0;
    }
    job.moved = job.moved && job.places[1] == job.extent[1];
    job.inner = job.in * job.taps;
    int64_t enough = (LEAST_WIDTH + job.area - 1) / job.area;
    job.block = job.area >= LEAST_WIDTH / 2 ? 1 : enough < job.images ? enough : job.images;
    job.blocks = (job.images + job.block - 1) / job.block;
    job.as_is = job.as_is && job.taps == 1 && job.block == 1;
    job.columns_bytes = job.as_is ? 0 : round_up(job.inner * job.block * job.area * job.bytes);
    job.part_bytes = job.columns_bytes;
    job.part_bytes += job.block == 1 ? 0 : round_up(job.out * job.block * job.area * job.bytes);
    return job;
}

/* Block i of a group, in the memory of a part. */
static conv_block block_of(const conv_job *job, int64_t group, int64_t i, int64_t part) {
    conv_block b = {.job = job, .group = group, .first = i * job->block};
    b.images = job->images - b.first < job->block ? job->images - b.first : job->block;
    b.width = b.images * job->area;
    b.columns = job->memory + part * job->part_bytes;
    b.results = b.columns + job->columns_bytes;
    return b;
}

/* A loop over n channels or filters, of which each touches so many elements. */
static void over(conv_block *block, int64_t n, int64_t elements,
                 void (*f32)(void *context, int64_t begin, int64_t end),
                 void (*f64)(void *context, int64_t begin, int64_t end)) {
    cbi_parallel_for(n, CBI_GRAIN / (elements + 1) + 1, block->job->dtype == CB_F32 ? f32 : f64,
                     block);
}

/* The columns of a block: x where they are that. */
static cbi_matrix columns_of(conv_block *block) {
    const conv_job *job = block->job;
    if (job->as_is)
        return (cbi_matrix){channel_of(block, job->x, 0, 0), block->width, 1};
    over(block, job->in, job->taps * block->width, convolution_columns_f32,
         convolution_columns_f64);
    return (cbi_matrix){block->columns, block->width, 1};
}

static cbi_matrix filters_of(const conv_block *block) {
    const conv_job *job = block->job;
    int64_t offset = block->group * job->out * job->inner * job->bytes;
    return (cbi_matrix){(char *)(uintptr_t)job->weight + offset, job->inner, 1};
}

static cbi_matrix transposed(cbi_matrix matrix) {
    return (cbi_matrix){matrix.data, matrix.column_stride, matrix.row_stride};
}

/* Shares out units: to threads, each of which has memory of its own, or, where they are few, one
   after the other, so that threads share what is in them. False, recorded, without memory. */
static bool share_out(const cb_call *call, conv_job *job, int64_t units,
                      void (*body)(void *context, int64_t begin, int64_t end)) {
    bool apart = units >= cb_threads() && cb_threads() > 1;
    job->parts = apart ? cb_threads() : 1;
    size_t size = (size_t)(job->parts * job->part_bytes) + 1;
    job->memory = cbi_tape_pass_memory(call->out->node->tape, size);
    if (job->memory == NULL)
        return false;
    if (apart)
        cbi_parallel_for(job->parts, 1, body, job);
    else
        body(job, 0, 1);
    return true;
}

/* ---- Forward --------------------------------------------------------------------------------- */

static void convolve_block(const conv_job *job, int64_t group, int64_t i, int64_t part) {
    conv_block block = block_of(job, group, i, part);
    cbi_matrix columns = columns_of(&block);
    if (job->block == 1)
        block.results = filter_of(&block, job->y, 0, 0);
    cbi_gemm_one(job->dtype, job->out, block.width, job->inner, filters_of(&block), columns, false,
                 (cbi_matrix){block.results, block.width, 1});
    if (job->block > 1 || job->bias != NULL)
        over(&block, job->out, block.width, convolution_results_f32, convolution_results_f64);
}

static void convolve(void *context, int64_t begin, int64_t end) {
    const conv_job *job = context;
    int64_t units = job->blocks * job->groups;
    for (int64_t part = begin; part < end; part++)
        for (int64_t u = units * part / job->parts; u < units * (part + 1) / job->parts; u++)
            convolve_block(job, u % job->groups, u / job->groups, part);
}

static cb_status conv_shape(const cb_call *call) {
    const cbi_conv_options *o = call->options;
    conv_job job = job_of(o, call->in[0], call->in[1]);
    cb_tensor *out = call->out;
    out->dtype = job.dtype;
    out->rank = o->axes + 2;
    out->shape[0] = job.images;
    out->shape[1] = job.out * job.groups;
    for (int k = 0; k < o->axes; k++)
        out->shape[2 + k] = job.places[2 - o->axes + k];
    return CB_OK;
}

static cb_status conv_forward(const cb_call *call) {
    const cbi_conv_options *o = call->options;
    conv_job job = job_of(o, call->in[0], call->in[1]);
    job.x = call->in[0]->data;
    job.weight = call->in[1]->data;
    job.bias = o->biased ? call->in[2]->data : NULL;
    job.y = call->out->data;
    bool good = share_out(call, &job, job.blocks * job.groups, convolve);
    return good ? CB_OK : CB_ERROR_MEMORY;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* in: x, the weight, g; out: dx, dweight, dbias, without elements those that are not wanted. */
typedef struct gradient_options {
    cbi_conv_options of;
    bool wanted[3];
} gradient_options;

static cb_status gradient_shape(const cb_call *call) {
    const gradient_options *options = call->options;
    for (int i = 0; i < 3; i++) {
        cb_tensor *out = call->outs[i];
        const cb_tensor *like = call->in[i < 2 ? i : 1];
        out->dtype = like->dtype;
        out->rank = options->wanted[i] && i < 2 ? like->rank : 1;
        for (int k = 0; k < out->rank; k++)
            out->shape[k] = options->wanted[i] ? like->shape[k] : 0;
    }
    return CB_OK;
}

/* With the columns c of a block and its gradient g: dweight += g c', dbias += sum g,
   dc = weight' g. */
static void add_block(const conv_job *job, int64_t chunk, conv_block *block, bool accumulate) {
    int64_t filters = (chunk * job->groups + block->group) * job->out, size = job->bytes;
    cbi_matrix g = {block->results, block->width, 1};
    if (job->block == 1)
        g.data = filter_of(block, job->g, 0, 0);
    for (int64_t o = 0; o < job->out && job->block > 1; o++)
        for (int64_t i = 0; i < block->images; i++)
            memcpy(block->results + (o * block->width + i * job->area) * size,
                   filter_of(block, job->g, i, o), (size_t)(job->area * size));
    if (job->dweight != NULL)
        cbi_gemm_one(job->dtype, job->out, job->inner, block->width, g,
                     transposed(columns_of(block)), accumulate,
                     (cbi_matrix){job->dweight + filters * job->inner * size, job->inner, 1});
    block->results = g.data;
    block->dbias = job->dbias + filters * size;
    if (job->dbias != NULL)
        over(block, job->out, block->width, convolution_add_bias_f32, convolution_add_bias_f64);
    if (job->dx == NULL)
        return;
    cbi_matrix dc = {job->as_is ? channel_of(block, job->dx, 0, 0) : block->columns, block->width,
                     1};
    cbi_gemm_one(job->dtype, job->inner, block->width, job->out, transposed(filters_of(block)), g,
                 false, dc);
    if (!job->as_is)
        over(block, job->in, job->taps * block->width, convolution_overlap_f32,
             convolution_overlap_f64);
}

static void add_chunks(void *context, int64_t begin, int64_t end) {
    const conv_job *job = context;
    int64_t units = job->chunks * job->groups;
    for (int64_t part = begin; part < end; part++)
        for (int64_t u = units * part / job->parts; u < units * (part + 1) / job->parts; u++) {
            int64_t chunk = u / job->groups, first = job->blocks * chunk / job->chunks;
            for (int64_t i = first; i < job->blocks * (chunk + 1) / job->chunks; i++) {
                conv_block block = block_of(job, u % job->groups, i, part);
                add_block(job, chunk, &block, i > first);
            }
        }
}

/* The sum of the chunks' gradients, in their order. */
static void add_up(const conv_job *job, char *of_chunks, const cb_tensor *out) {
    int64_t count = cb_tensor_count(out);
    cb_tensor from =
        cb_tensor_wrap(job->dtype, 2, (const int64_t[]){job->chunks, count}, of_chunks);
    cb_tensor to = cb_tensor_wrap(job->dtype, 2, (const int64_t[]){1, count}, out->data);
    cbi_reduce(CBI_SUM, &to, &from);
}

static cb_status gradient_forward(const cb_call *call) {
    const gradient_options *options = call->options;
    conv_job job = job_of(&options->of, call->in[0], call->in[1]);
    cb_tensor *const *outs = call->outs;
    job.x = call->in[0]->data;
    job.weight = call->in[1]->data;
    job.g = call->in[2]->data;
    job.dx = options->wanted[0] ? outs[0]->data : NULL;
    int64_t filters = job.out * job.groups, of_chunk = filters * job.inner * job.bytes;
    job.chunks = CHUNKS_BYTES / of_chunk;
    job.chunks = job.chunks < 1 ? 1 : job.chunks > MOST_CHUNKS ? MOST_CHUNKS : job.chunks;
    job.chunks = job.chunks < job.blocks ? job.chunks : job.blocks;
    int64_t bytes = round_up(job.chunks * of_chunk), bias_bytes = job.chunks * filters * job.bytes;
    char *sums = cb_call_scratch(call, (size_t)(bytes + bias_bytes));
    if (sums == NULL)
        return CB_ERROR_MEMORY;
    memset(sums + bytes, 0, (size_t)bias_bytes);
    job.dweight = options->wanted[1] ? sums : NULL;
    job.dbias = options->wanted[2] ? sums + bytes : NULL;
    if (!share_out(call, &job, job.chunks * job.groups, add_chunks))
        return CB_ERROR_MEMORY;
    if (job.dweight != NULL)
        add_up(&job, job.dweight, outs[1]);
    if (job.dbias != NULL)
        add_up(&job, job.dbias, outs[2]);
    return CB_OK;
}

const cb_op cbi_convolution_gradient_op = {
    .name = "convolution_gradient",
    .formula = "with the windows c of x as columns: dweight = g c',  dbias = sum g,  dx = "
               "weight' g, added up where windows overlap",
    .min_inputs = 3,
    .max_inputs = 3,
    .options_size = sizeof(gradient_options),
    .shape = gradient_shape,
    .forward = gradient_forward,
};

/* ---- The op ---------------------------------------------------------------------------------- */

static void conv_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    if (call->out->node->tape->recording) {
        cbi_convolution_plain_gradient(call, g, gradients);
        return;
    }
    gradient_options options = {.of = *(const cbi_conv_options *)call->options};
    cb_tensor *in[] = {call->in[0], call->in[1], cb_contiguous(g)}, *out[3];
    for (int i = 0; i < call->count; i++)
        options.wanted[i] = cb_call_needs(call, i);
    cb_apply_outputs(&cbi_convolution_gradient_op, 3, in, &options, 3, out);
    for (int i = 0; i < call->count; i++)
        if (options.wanted[i])
            gradients[i] = out[i];
}

static cb_tensor *plain_sample(cb_tensor *const *in) {
    return cb_conv2d(in[0], in[1], in[2], .padding = {1, 1});
}

static cb_tensor *unbiased_sample(cb_tensor *const *in) {
    return cb_conv2d(in[0], in[1], NULL);
}

static cb_tensor *groups_sample(cb_tensor *const *in) {
    return cb_conv2d(in[0], in[1], in[2], .stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2},
                     .groups = 2);
}

static cb_tensor *one_axis_sample(cb_tensor *const *in) {
    return cb_conv1d(in[0], in[1], in[2], .stride = {2}, .padding = {1});
}

static const cb_sample conv_samples[] = {
    {"plain", 3, {SHAPED(4, 3, 2, 4, 3), SHAPED(4, 2, 2, 3, 3), SHAPED(1, 2)}, plain_sample},
    {"strided", 2, {STRIDED(4, 2, 2, 4, 3), STRIDED(4, 3, 2, 2, 2)}, unbiased_sample},
    {"of a point", 2, {SHAPED(4, 1, 2, 12, 12), SHAPED(4, 2, 2, 1, 1)}, unbiased_sample},
    {"groups", 3, {SHAPED(4, 2, 4, 5, 3), SHAPED(4, 2, 2, 3, 2), SHAPED(1, 2)}, groups_sample},
    {"one axis", 3, {SHAPED(3, 2, 3, 6), SHAPED(3, 2, 3, 3), SHAPED(1, 2)}, one_axis_sample},
    {"empty", 3, {SHAPED(4, 0, 2, 4, 3), SHAPED(4, 2, 2, 3, 3), SHAPED(1, 2)}, plain_sample},
};

const cb_op cbi_convolution_op = {
    .name = "convolution",
    .formula = "y = weight c + bias, c the windows of x as columns;  dweight = g c',  dbias = sum "
               "g,  dx = weight' g, added up where windows overlap",
    .min_inputs = 2,
    .max_inputs = 3,
    .options_size = sizeof(cbi_conv_options),
    .shape = conv_shape,
    .forward = conv_forward,
    .vjp = conv_vjp,
    SAMPLES(conv_samples),
    OPTIONS(conv_option_list),
};

/* ---- The functions --------------------------------------------------------------------------- */

static int64_t or_one(int64_t option) {
    return option == 0 ? 1 : option;
}

/* Whether shapes and options fit together; records why not. */
static bool conv_good(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *o) {
    const char *name = axes == 1 ? "conv1d" : "conv2d";
    int64_t groups = or_one(o->groups);
    if (weight == NULL || x == NULL) {
        cb_fail(x != NULL ? x : weight, CB_ERROR_TAPE, "%s: %s is NULL", name,
                x == NULL ? "x" : "the weight");
        return false;
    }
    if (cbi_is_poisoned(x) || cbi_is_poisoned(weight))
        return false;
    char shape[160];
    cb_shape_format(weight, shape, sizeof(shape));
    if (x->rank != axes + 2 || weight->rank != axes + 2) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "x and the weight %s must be of rank %d", shape,
                          axes + 2);
        return false;
    }
    if (groups < 1 || weight->shape[0] % groups != 0 || weight->shape[1] * groups != x->shape[1]) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "a weight of %s in %lld groups does not fit",
                          shape, (long long)groups);
        return false;
    }
    if (o->bias != NULL && (o->bias->rank != 1 || o->bias->shape[0] != weight->shape[0]) &&
        !cbi_is_poisoned(o->bias)) {
        cbi_function_fail(x, name, CB_ERROR_SHAPE, "the bias is not [%lld]",
                          (long long)weight->shape[0]);
        return false;
    }
    return true;
}

/* Whether the op takes what is asked for. What it does not, because it is empty or wrong, the plain
   ops take, or refuse with a message. */
static bool is_for_op(const cb_tensor *x, const cb_tensor *weight, const cb_tensor *bias,
                      const cbi_conv_options *o) {
    bool good = cbi_in_one_pass(cb_tape_of(x)) && cbi_gemm_fault() == NULL &&
                cb_dtype_is_float(x->dtype) && x->dtype == weight->dtype &&
                (bias == NULL || (!cbi_is_poisoned(bias) && bias->dtype == x->dtype)) &&
                cb_tensor_count(x) > 0 && cb_tensor_count(weight) > 0;
    for (int k = 0; k < o->axes && good; k++) {
        good = o->stride[k] >= 1 && o->stride[k] <= MOST_STEP && o->padding[k] >= 0 &&
               o->padding[k] <= MOST_STEP && o->dilation[k] >= 1;
        int64_t extent = good ? x->shape[2 + k] + 2 * o->padding[k] : 0;
        good = good && weight->shape[2 + k] - 1 <= (extent - 1) / o->dilation[k];
    }
    return good;
}

static cb_tensor *conv(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *options) {
    cb_conv_options none = {0};
    const cb_conv_options *given = options == NULL ? &none : options;
    if (axes < 1 || axes > 2)
        return cbi_function_fail(x, "conv", CB_ERROR_VALUE, "%d axes; there can be 1 or 2", axes);
    if (!conv_good(axes, x, weight, given))
        return cbi_poison(cb_tape_of(x != NULL ? x : weight));
    cbi_conv_options o = {
        .axes = axes, .biased = given->bias != NULL, .groups = or_one(given->groups)};
    for (int k = 0; k < axes; k++) {
        o.stride[k] = or_one(given->stride[k]);
        o.padding[k] = given->padding[k];
        o.dilation[k] = or_one(given->dilation[k]);
    }
    if (!is_for_op(x, weight, given->bias, &o))
        return cbi_convolution_plain(x, weight, given->bias, &o);
    cb_tensor *in[3] = {cb_contiguous(x), cb_contiguous(weight)};
    if (o.biased)
        in[2] = cb_contiguous(given->bias);
    return cb_apply(&cbi_convolution_op, o.biased ? 3 : 2, in, &o);
}

cb_tensor *cb_conv_with(int axes, cb_tensor *x, cb_tensor *weight, const cb_conv_options *options) {
    cbi_within f = cbi_function_begin(x, axes == 1 ? "conv1d" : "conv2d");
    return cbi_function_end(f, conv(axes, x, weight, options));
}
