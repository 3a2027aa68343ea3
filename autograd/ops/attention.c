/* Scaled dot-product attention as one op, and its gradient as another: from plain ops it would
   write four arrays of [T, S] for each head, and its gradient five more. Here a thread has room for
   a block of rows of scores, which stay in the L2 cache while they become weights and meet the
   values; for the gradient only the logarithm of each row's sum is kept, and scores are computed
   again (Dao et al. 2022, "FlashAttention", with blocks of whole rows). Heads are shared out over
   threads, and forward blocks of rows of a head; what is added to a head's gradients comes in the
   order of its rows, so that results do not depend on the number of threads.

   Where gradients of gradients may be asked for, the gradient is plain ops, as all of it is in a
   trace. */
#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/ops.h>
#include <cerebra/threads.h>
#include <math.h>
#include <string.h>

/* Elements of a row whose sum is formed at a time. */
#define BLOCK 256

enum {
    BLOCK_BYTES = 1 << 18, /* of scores */
    CAUSAL_ROWS = 64,      /* of a block at most, so that much of what is masked is not computed */
};

#define REAL       float
#define EXP        cbi_exp_f32
#define ROWS(name) attention_##name##_f32
#include "autograd/ops/attention_rows.h"
#undef REAL
#undef EXP
#undef ROWS

#define REAL       double
#define EXP        cbi_exp_f64
#define ROWS(name) attention_##name##_f64
#include "autograd/ops/attention_rows.h"
#undef REAL
#undef EXP
#undef ROWS

/* Inputs: q, k, v, then the mask where there is one. */
typedef struct attention_options {
    double scale;
    bool causal, masked;
} attention_options;

static const cb_option attention_option_list[] = {
    CB_OPTION(attention_options, scale, CB_OPTION_REAL),
    CB_OPTION(attention_options, causal, CB_OPTION_INT),
    CB_OPTION(attention_options, masked, CB_OPTION_INT),
};

typedef struct attention_job {
    cb_dtype dtype;
    int64_t size; /* of an element */
    attention_options options;
    int rank;
    int64_t batch[CB_MAX_RANK];                 /* the extents of the axes before the last two */
    int64_t heads, rows, columns, depth, width; /* T, S, and of a row of q and k, of v */
    int64_t block, blocks;                      /* rows of a block of scores; blocks of a head */
    cb_tensor q, k, v, mask, out;               /* as wide as the batch */
    double *logsumexp;                          /* [heads, rows] */
    cb_tensor g, dq, dk, dv;                    /* of the gradient */
    char *memory;                               /* of each part: blocks of scores */
    int64_t part_bytes, parts;
} attention_job;

/* ---- The shape ------------------------------------------------------------------------------- */

/* Axis i of the batch, counted from the last; 1 where a tensor has none. */
static int64_t batch_extent(const cb_tensor *t, int i) {
    return t->rank > 2 + i ? t->shape[t->rank - 3 - i] : 1;
}

/* The batch's axes, broadcast; false when they do not. */
static bool broadcast_batch(int count, cb_tensor *const *in, cb_tensor *out) {
    for (int i = 0; i < out->rank - 2; i++) {
        int64_t *extent = &out->shape[out->rank - 3 - i];
        *extent = 1;
        for (int k = 0; k < count; k++) {
            int64_t other = batch_extent(in[k], i);
            if (other != 1 && *extent != 1 && other != *extent)
                return false;
            *extent = other != 1 ? other : *extent;
        }
    }
    return true;
}

/* q [..., T, d], k [..., S, d], v [..., S, e] -> [..., T, e]; the mask broadcasts to [..., T, S] */
static cb_status attention_shape(const cb_call *call) {
    const attention_options *options = call->options;
    const cb_tensor *q = call->in[0], *k = call->in[1], *v = call->in[2];
    cb_tensor *out = call->out;
    const char *fault = cbi_gemm_fault();
    if (fault != NULL)
        return cb_call_fail(call, CB_ERROR_VALUE, "%s", fault);
    out->dtype = q->dtype;
    out->rank = 2;
    for (int i = 0; i < call->count; i++) {
        if (call->in[i]->dtype != q->dtype || !cb_dtype_is_float(q->dtype))
            return cb_call_fail(call, CB_ERROR_DTYPE,
                                "queries, keys and values must all be f32, or all f64");
        if (i < 3 && call->in[i]->rank < 2)
            return cb_call_fail(call, CB_ERROR_SHAPE, "a rank of %d; it must be at least 2",
                                call->in[i]->rank);
        out->rank = call->in[i]->rank > out->rank ? call->in[i]->rank : out->rank;
    }
    int64_t rows = q->shape[q->rank - 2], columns = k->shape[k->rank - 2];
    if (k->shape[k->rank - 1] != q->shape[q->rank - 1])
        return cb_call_fail(call, CB_ERROR_SHAPE,
                            "queries of %lld numbers and keys of %lld; they must have as many",
                            (long long)q->shape[q->rank - 1], (long long)k->shape[k->rank - 1]);
    if (v->shape[v->rank - 2] != columns)
        return cb_call_fail(call, CB_ERROR_SHAPE, "%lld keys and %lld values", (long long)columns,
                            (long long)v->shape[v->rank - 2]);
    if (!broadcast_batch(call->count, call->in, out))
        return cb_call_fail(call, CB_ERROR_SHAPE, "the leading axes do not broadcast");
    const cb_tensor *mask = options->masked ? call->in[3] : NULL;
    for (int i = 0; i < 2 && mask != NULL && i < mask->rank; i++) {
        int64_t extent = mask->shape[mask->rank - 1 - i], wanted = i == 0 ? columns : rows;
        if (extent != 1 && extent != wanted)
            return cb_call_fail(call, CB_ERROR_SHAPE,
                                "the mask does not broadcast to scores of [..., %lld, %lld]",
                                (long long)rows, (long long)columns);
    }
    out->shape[out->rank - 2] = rows;
    out->shape[out->rank - 1] = v->shape[v->rank - 1];
    return CB_OK;
}

/* ---- A block of scores ----------------------------------------------------------------------- */

static cb_tensor widened(const attention_job *job, const cb_tensor *t, int64_t rows,
                         int64_t columns) {
    int64_t shape[CB_MAX_RANK];
    memcpy(shape, job->batch, sizeof(shape));
    shape[job->rank - 2] = rows;
    shape[job->rank - 1] = columns;
    return cbi_broadcast_to(t, job->rank, shape);
}

static attention_job job_of(const attention_options *options, cb_tensor *const *in,
                            const cb_tensor *out) {
    const cb_tensor *q = in[0], *k = in[1];
    attention_job job = {.dtype = out->dtype, .options = *options, .rank = out->rank, .heads = 1};
    job.size = (int64_t)cb_dtype_size(out->dtype);
    memcpy(job.batch, out->shape, sizeof(job.batch));
    for (int i = 0; i + 2 < out->rank; i++)
        job.heads *= out->shape[i];
    job.rows = out->shape[out->rank - 2];
    job.width = out->shape[out->rank - 1];
    job.columns = k->shape[k->rank - 2];
    job.depth = q->shape[q->rank - 1];
    job.q = widened(&job, in[0], job.rows, job.depth);
    job.k = widened(&job, in[1], job.columns, job.depth);
    job.v = widened(&job, in[2], job.columns, job.width);
    if (options->masked)
        job.mask = widened(&job, in[3], job.rows, job.columns);
    job.out = *out;
    int64_t block = BLOCK_BYTES / job.size / (job.columns + 1) / 8 * 8;
    block = options->causal && block > CAUSAL_ROWS ? CAUSAL_ROWS : block < 8 ? 8 : block;
    job.block = block < job.rows ? block : job.rows;
    job.blocks = job.block > 0 ? (job.rows + job.block - 1) / job.block : 0;
    return job;
}

/* Gives each part room for so many blocks of scores. */
static bool divide(const cb_call *call, attention_job *job, int64_t units, int blocks) {
    int64_t work = job->rows * job->columns * (job->depth + job->width) + 1;
    job->parts = units < cb_threads() ? units : cb_threads();
    int64_t worth = units * (work / job->blocks + 1) / CBI_GRAIN + 1;
    job->parts = job->parts < worth ? job->parts : worth;
    job->part_bytes = (blocks * job->block * job->columns * job->size + 63) / 64 * 64;
    job->memory = cb_call_scratch(call, (size_t)(job->parts * job->part_bytes + 1));
    return job->memory != NULL;
}

/* A block of rows of one head. */
typedef struct attention_block {
    int64_t head, first, rows, columns; /* columns: those that a row may attend to */
} attention_block;

static attention_block block_of(const attention_job *job, int64_t head, int64_t i) {
    attention_block b = {head, i * job->block, job->block, job->columns};
    b.rows = job->rows - b.first < b.rows ? job->rows - b.first : b.rows;
    if (job->options.causal && b.first + b.rows < b.columns)
        b.columns = b.first + b.rows;
    return b;
}

static cbi_matrix transposed(cbi_matrix matrix) {
    return (cbi_matrix){matrix.data, matrix.column_stride, matrix.row_stride};
}

/* The matrix of a head, from a row on. */
static cbi_matrix from_row(const attention_job *job, const cb_tensor *t, int64_t head,
                           int64_t row) {
    return cbi_matrix_at(job->dtype, cbi_matrix_of(t, head, job->batch), row, 0);
}

static void multiply(const attention_job *job, int64_t m, int64_t n, int64_t k, cbi_matrix a,
                     cbi_matrix b, bool accumulate, cbi_matrix c) {
    cbi_gemm_one(job->dtype, m, n, k, a, b, accumulate, c);
}

/* Weights of a block, in the place of its scores q k'; as in the forward pass, or again. */
static void make_weights(const attention_job *job, const attention_block *b, cbi_matrix weights,
                         bool again) {
    multiply(job, b->rows, b->columns, job->depth, from_row(job, &job->q, b->head, b->first),
             transposed(from_row(job, &job->k, b->head, 0)), false, weights);
    cbi_matrix mask = {NULL, 0, 0};
    if (job->options.masked)
        mask = from_row(job, &job->mask, b->head, b->first);
    for (int64_t r = 0; r < b->rows; r++) {
        bool cut = job->options.causal && b->first + r + 1 < b->columns;
        int64_t n = cut ? b->first + r + 1 : b->columns;
        char *row = (char *)weights.data + r * job->columns * job->size;
        const char *mask_row =
            mask.data != NULL ? (char *)mask.data + r * mask.row_stride * job->size : NULL;
        double *sum = job->logsumexp + b->head * job->rows + b->first + r;
        if (again)
            (job->dtype == CB_F32 ? attention_weigh_again_f32 : attention_weigh_again_f64)(
                n, row, job->options.scale, mask_row, mask.column_stride, *sum);
        else
            *sum = (job->dtype == CB_F32 ? attention_weigh_f32 : attention_weigh_f64)(
                n, row, job->options.scale, mask_row, mask.column_stride);
        if (n < b->columns)
            memset(row + n * job->size, 0, (size_t)((b->columns - n) * job->size));
    }
}

/* ---- Forward --------------------------------------------------------------------------------- */

static void attend(void *context, int64_t begin, int64_t end) {
    const attention_job *job = context;
    int64_t units = job->heads * job->blocks;
    for (int64_t part = begin; part < end; part++) {
        cbi_matrix weights = {job->memory + part * job->part_bytes, job->columns, 1};
        int64_t last = units * (part + 1) / job->parts;
        for (int64_t u = units * part / job->parts; u < last; u++) {
            attention_block b = block_of(job, u / job->blocks, u % job->blocks);
            make_weights(job, &b, weights, false);
            multiply(job, b.rows, job->width, b.columns, weights, from_row(job, &job->v, b.head, 0),
                     false, from_row(job, &job->out, b.head, b.first));
        }
    }
}

static cb_status attention_forward(const cb_call *call) {
    attention_job job = job_of(call->options, call->in, call->out);
    if (cb_tensor_count(call->out) == 0)
        return CB_OK;
    job.logsumexp = cb_call_scratch(call, sizeof(double) * (size_t)(job.heads * job.rows));
    if (job.logsumexp == NULL || !divide(call, &job, job.heads * job.blocks, 1))
        return CB_ERROR_MEMORY;
    call->out->node->saved = job.logsumexp;
    cbi_parallel_for(job.parts, 1, attend, &job);
    return CB_OK;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* in: q, k, v, the output, its gradient, then the mask; out: dq, dk, dv, as wide as the batch. */
typedef struct gradient_options {
    attention_options of;
    double *logsumexp;
} gradient_options;

static cb_status gradient_shape(const cb_call *call) {
    for (int i = 0; i < 3; i++) {
        const cb_tensor *in = call->in[i], *y = call->in[3];
        cb_tensor *out = call->outs[i];
        out->dtype = in->dtype;
        out->rank = y->rank;
        memcpy(out->shape, y->shape, sizeof(out->shape));
        out->shape[out->rank - 2] = in->shape[in->rank - 2];
        out->shape[out->rank - 1] = in->shape[in->rank - 1];
    }
    return CB_OK;
}

/* With weights w of a block and the gradient g of its outputs o: dv += w' g, and with
   ds = scale w (g v' - sum g o): dq = ds k, dk += ds' q. */
static void add_block(const attention_job *job, const attention_block *b, char *memory) {
    cbi_matrix weights = {memory, job->columns, 1};
    cbi_matrix scores = {memory + job->block * job->columns * job->size, job->columns, 1};
    cbi_matrix g = from_row(job, &job->g, b->head, b->first);
    cbi_matrix o = from_row(job, &job->out, b->head, b->first);
    make_weights(job, b, weights, true);
    multiply(job, b->rows, b->columns, job->width, g,
             transposed(from_row(job, &job->v, b->head, 0)), false, scores);
    bool add = job->blocks > 1; /* to zeros at first */
    multiply(job, b->columns, job->width, b->rows, transposed(weights), g, add,
             from_row(job, &job->dv, b->head, 0));
    for (int64_t r = 0; r < b->rows; r++) {
        int64_t row = r * job->columns * job->size;
        (job->dtype == CB_F32 ? attention_score_gradient_f32 : attention_score_gradient_f64)(
            b->columns, (char *)weights.data + row, (char *)scores.data + row, job->options.scale,
            job->width, (char *)o.data + r * o.row_stride * job->size,
            (char *)g.data + r * g.row_stride * job->size);
    }
    multiply(job, b->rows, job->depth, b->columns, scores, from_row(job, &job->k, b->head, 0),
             false, from_row(job, &job->dq, b->head, b->first));
    multiply(job, b->columns, job->depth, b->rows, transposed(scores),
             from_row(job, &job->q, b->head, b->first), add, from_row(job, &job->dk, b->head, 0));
}

static void add_heads(void *context, int64_t begin, int64_t end) {
    const attention_job *job = context;
    for (int64_t part = begin; part < end; part++) {
        int64_t last = job->heads * (part + 1) / job->parts;
        for (int64_t head = job->heads * part / job->parts; head < last; head++)
            for (int64_t i = 0; i < job->blocks; i++) {
                attention_block b = block_of(job, head, i);
                add_block(job, &b, job->memory + part * job->part_bytes);
            }
    }
}

static cb_status gradient_forward(const cb_call *call) {
    const gradient_options *options = call->options;
    cb_tensor *in[] = {call->in[0], call->in[1], call->in[2],
                       options->of.masked ? call->in[5] : NULL};
    attention_job job = job_of(&options->of, in, call->in[3]);
    job.g = *call->in[4];
    job.dq = *call->outs[0], job.dk = *call->outs[1], job.dv = *call->outs[2];
    job.logsumexp = options->logsumexp;
    bool empty = cb_tensor_count(call->in[3]) == 0 || job.columns == 0;
    bool sums = job.blocks != 1 || job.options.causal; /* which begin with 0 */
    for (int i = 0; i < 3 && (empty || sums); i++)
        memset(call->outs[i]->data, 0, cb_tensor_bytes(call->outs[i]));
    if (empty)
        return CB_OK;
    if (!divide(call, &job, job.heads, 2))
        return CB_ERROR_MEMORY;
    cbi_parallel_for(job.parts, 1, add_heads, &job);
    return CB_OK;
}

const cb_op cbi_attention_gradient_op = {
    .name = "attention_gradient",
    .formula = "with W = softmax(scale Q K'), D = scale W (g V' - sum g Y): dQ = D K,  dK = D' Q,  "
               "dV = W' g",
    .min_inputs = 5,
    .max_inputs = 6,
    .options_size = sizeof(gradient_options),
    .shape = gradient_shape,
    .forward = gradient_forward,
};

/* ---- In plain ops ---------------------------------------------------------------------------- */

/* 1 where a score takes part, of shape [T, S] or the mask's; NULL: all do. */
static cb_tensor *whole_mask(cb_tensor *q, cb_tensor *k, cb_tensor *mask, bool causal) {
    if (!causal)
        return mask;
    int64_t rows = q->shape[q->rank - 2], columns = k->shape[k->rank - 2];
    cb_tensor *row = cb_reshape(cb_arange(cb_tape_of(q), CB_I64, 0, 1, rows), CB_SHAPE(rows, 1));
    cb_tensor *column = cb_arange(cb_tape_of(q), CB_I64, 0, 1, columns);
    cb_tensor *before = cb_cast(cb_greater_equal(row, column), q->dtype);
    return mask != NULL ? cb_mul(mask, before) : before;
}

/* W. A masked score is so low that its weight is 0, but where all are; hence the product. */
static cb_tensor *plain_weights(cb_tensor *q, cb_tensor *k, cb_tensor *mask,
                                const attention_options *options) {
    cb_tensor *scores = cb_scale(cb_matmul(q, cb_transpose(k, -2, -1)), options->scale);
    mask = whole_mask(q, k, mask, options->causal);
    if (mask == NULL)
        return cb_softmax(scores, -1);
    cb_tensor *taken = cb_not_equal(mask, cb_full_like(mask, 0));
    cb_tensor *low = cb_full_like(scores, -1e30);
    return cb_mul(cb_softmax(cb_where(taken, scores, low), -1), taken);
}

static void plain_gradient(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const attention_options *options = call->options;
    cb_tensor *q = call->in[0], *k = call->in[1], *v = call->in[2];
    cb_tensor *w = plain_weights(q, k, options->masked ? call->in[3] : NULL, options);
    cb_tensor *dw = cb_matmul(g, cb_transpose(v, -2, -1));
    cb_tensor *sum = cb_sum(cb_mul(w, dw), CB_AXES(-1), true);
    cb_tensor *ds = cb_scale(cb_mul(w, cb_sub(dw, sum)), options->scale);
    gradients[0] = cb_matmul(ds, k);
    gradients[1] = cb_matmul(cb_transpose(ds, -2, -1), q);
    gradients[2] = cb_matmul(cb_transpose(w, -2, -1), g);
}

/* ---- The op ---------------------------------------------------------------------------------- */

static void attention_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const attention_options *options = call->options;
    const cb_node *node = call->out->node;
    if (node->tape->recording) {
        plain_gradient(call, g, gradients);
        return;
    }
    cb_tensor *in[] = {call->in[0], call->in[1],      call->in[2],
                       call->out,   cb_contiguous(g), options->masked ? call->in[3] : NULL};
    cb_apply_outputs(&cbi_attention_gradient_op, options->masked ? 6 : 5, in,
                     &(gradient_options){*options, node->saved}, 3, gradients);
}

static cb_tensor *plain_sample(cb_tensor *const *in) {
    return cb_attention(in[0], in[1], in[2]);
}

static cb_tensor *causal_sample(cb_tensor *const *in) {
    return cb_attention(in[0], in[1], in[2], .causal = true, .scale = 0.7);
}

/* The last key of each row, and all keys of one row, take no part. */
static cb_tensor *masked_sample(cb_tensor *const *in) {
    int64_t rows = in[0]->shape[in[0]->rank - 2], columns = in[1]->shape[in[1]->rank - 2];
    cb_tape *tape = cb_tape_of(in[0]);
    cb_tensor *column = cb_arange(tape, CB_I64, 0, 1, columns);
    cb_tensor *row = cb_reshape(cb_arange(tape, CB_I64, 0, 1, rows), CB_SHAPE(rows, 1));
    cb_tensor *mask = cb_mul(cb_less(column, cb_full_like(column, (double)columns - 1)),
                             cb_not_equal(row, cb_full_like(row, 1)));
    return cb_attention(in[0], in[1], in[2], .mask = mask);
}

static const cb_sample attention_samples[] = {
    {"plain", 3, {SHAPED(2, 3, 4), SHAPED(2, 5, 4), SHAPED(2, 5, 2)}, plain_sample},
    {"heads",
     3,
     {STRIDED(4, 2, 2, 3, 4), SHAPED(4, 2, 2, 5, 4), STRIDED(4, 2, 2, 5, 2)},
     plain_sample},
    {"shared keys", 3, {SHAPED(3, 2, 3, 4), SHAPED(2, 5, 4), SHAPED(3, 1, 5, 2)}, plain_sample},
    {"causal", 3, {SHAPED(3, 2, 4, 3), SHAPED(3, 2, 4, 3), SHAPED(3, 2, 4, 2)}, causal_sample},
    {"causal, more keys", 3, {SHAPED(2, 2, 3), SHAPED(2, 5, 3), SHAPED(2, 5, 2)}, causal_sample},
    {"causal, in blocks", 3, {SHAPED(2, 70, 2), SHAPED(2, 70, 2), SHAPED(2, 70, 1)}, causal_sample},
    {"masked", 3, {SHAPED(3, 2, 3, 4), SHAPED(3, 2, 5, 4), SHAPED(3, 2, 5, 2)}, masked_sample},
    {"no queries", 3, {SHAPED(2, 0, 4), SHAPED(2, 5, 4), SHAPED(2, 5, 2)}, plain_sample},
    {"no keys", 3, {SHAPED(2, 3, 4), SHAPED(2, 0, 4), SHAPED(2, 0, 2)}, plain_sample},
};

const cb_op cbi_attention_op = {
    .name = "attention",
    .formula = "Y = W V, W = softmax(scale Q K'); with D = scale W (g V' - sum g Y): dQ = D K,  "
               "dK = D' Q,  dV = W' g",
    .min_inputs = 3,
    .max_inputs = 4,
    .options_size = sizeof(attention_options),
    .shape = attention_shape,
    .forward = attention_forward,
    .vjp = attention_vjp,
    SAMPLES(attention_samples),
    OPTIONS(attention_option_list),
};

static cb_tensor *attention(cb_tensor *q, cb_tensor *k, const cb_attention_options *o) {
    cb_tape *tape = cb_tape_of(q);
    if (o == NULL)
        return cbi_function_fail(q, "attention", CB_ERROR_VALUE, "the options are NULL");
    if (tape == NULL || cbi_is_poisoned(q) || q->rank < 1 || o->values == NULL)
        return cb_apply(&cbi_attention_op, 3, (cb_tensor *[]){q, k, o->values},
                        &(attention_options){.scale = 1});
    double depth = (double)q->shape[q->rank - 1];
    attention_options options = {.scale = o->scale, .causal = o->causal, .masked = o->mask != NULL};
    if (options.scale == 0)
        options.scale = depth > 0 ? 1 / sqrt(depth) : 1;
    cb_tensor *in[] = {q, k, o->values, o->mask};
    if (o->mask != NULL)
        in[3] = cb_cast(cb_not_equal(o->mask, cb_full_like(o->mask, 0)), q->dtype);
    if (cbi_in_one_pass(tape))
        return cb_apply(&cbi_attention_op, options.masked ? 4 : 3, in, &options);
    return cb_matmul(plain_weights(q, k, in[3], &options), o->values);
}

cb_tensor *cb_attention_with(cb_tensor *q, cb_tensor *k, const cb_attention_options *o) {
    cbi_within f = cbi_function_begin(q, "attention");
    return cbi_function_end(f, attention(q, k, o));
}
