/* Cross entropy as one op, and its gradient as another.

   Built from ops it would write five arrays of the logits' size, and its gradient as many again.
   Here the forward pass goes over each row of logits once and keeps two numbers of it, the largest
   logit and the reciprocal of the sum of exponentials; from them the gradient, softmax less target,
   is formed in one pass (cross_entropy_rows.h). Rows are split over threads, and reduced by the
   ops that reduce anything, so that the loss does not depend on the number of threads.

   The gradient's own gradient is seldom asked for and is written in plain ops. */
#include "autograd/ops/cross_entropy.h"

#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"
#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <string.h>

/* In place of a target that is ignored. */
#define IGNORED (-1)
/* Elements of a row whose exponentials are held at a time. */
#define BLOCK 256
/* Rows whose logarithms are taken together, as many as a vector holds. Threads share out panels, so
   that which rows these are does not depend on the number of threads. */
#define PANEL 8

/* What the forward pass keeps of the rows. */
typedef struct row_notes {
    const int64_t *target; /* IGNORED or in 0..C-1 */
    void *statistics;      /* [N, 2] in the logits' dtype: the largest, 1 / sum; NULL: not kept */
} row_notes;

typedef struct cross_entropy_options {
    double smoothing;
    bool ignore;
    int64_t ignore_index;
    const row_notes *notes; /* of the gradient: the forward pass's, or NULL */
} cross_entropy_options;

/* The notes are no option of a caller's, and are not there in a trace. */
static const cb_option cross_entropy_option_list[] = {
    CB_OPTION(cross_entropy_options, smoothing, CB_OPTION_REAL),
    CB_OPTION(cross_entropy_options, ignore, CB_OPTION_INT),
    CB_OPTION(cross_entropy_options, ignore_index, CB_OPTION_EXTENT),
};

/* What the loops are given; rows are row-major. */
typedef struct rows_job {
    int64_t rows, classes;
    double smoothing;
    const void *logits;
    const void *g;
    int64_t g_step; /* 1, or 0 where all rows have the same */
    const int64_t *target;
    void *statistics, *out;
} rows_job;

#define REAL       float
#define EXP        cbi_exp_f32
#define ROWS(name) cross_entropy_##name##_f32
#include "autograd/ops/cross_entropy_rows.h"
#undef REAL
#undef EXP
#undef ROWS

#define REAL       double
#define EXP        cbi_exp_f64
#define ROWS(name) cross_entropy_##name##_f64
#include "autograd/ops/cross_entropy_rows.h"
#undef REAL
#undef EXP
#undef ROWS

/* Copies a tensor, cast, to row-major memory. */
static void row_major(const cb_tensor *t, cb_dtype dtype, void *memory) {
    cb_tensor copy = *t;
    copy.dtype = dtype;
    copy.data = memory;
    cbi_strides_row_major(&copy);
    cbi_copy(&copy, t);
}

/* The targets, checked, in scratch memory. NULL, recorded, on failure. */
static int64_t *read_targets(const cb_call *call, int64_t classes) {
    const cross_entropy_options *options = call->options;
    int64_t count = cb_tensor_count(call->in[1]);
    int64_t *target = cb_call_scratch(call, sizeof(*target) * (size_t)count);
    if (target == NULL)
        return NULL;
    row_major(call->in[1], CB_I64, target);
    for (int64_t i = 0; i < count; i++) {
        if (options->ignore && target[i] == options->ignore_index) {
            target[i] = IGNORED;
        } else if (target[i] < 0 || target[i] >= classes) {
            cb_call_fail(
                call, CB_ERROR_INDEX, "index %lld, element %lld of %lld, is outside 0..%lld",
                (long long)target[i], (long long)i, (long long)count, (long long)classes - 1);
            return NULL;
        }
    }
    return target;
}

/* The forward pass: writes the terms and, where asked, keeps what the gradient needs. */
static cb_status run_terms(const cb_call *call, void *terms, bool keep, row_notes *notes) {
    const cross_entropy_options *options = call->options;
    const cb_tensor *logits = call->in[0];
    int64_t rows = cb_tensor_count(call->in[1]), classes = logits->shape[logits->rank - 1];
    notes->target = read_targets(call, classes);
    if (notes->target == NULL)
        return cb_tape_status(call->out->node->tape);
    if (keep) {
        notes->statistics = cb_call_scratch(call, 2 * cb_dtype_size(logits->dtype) * (size_t)rows);
        if (notes->statistics == NULL)
            return CB_ERROR_MEMORY;
    }
    rows_job job = {.rows = rows,
                    .classes = classes,
                    .smoothing = options->smoothing,
                    .logits = logits->data,
                    .target = notes->target,
                    .statistics = notes->statistics,
                    .out = terms};
    cbi_parallel_for((rows + PANEL - 1) / PANEL, CBI_GRAIN / PANEL / classes + 1,
                     logits->dtype == CB_F64 ? cross_entropy_terms_f64 : cross_entropy_terms_f32,
                     &job);
    return CB_OK;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* The rows' gradients as a run of elements, step apart. A loss's reduction hands back one element
   that is expanded: it is not copied. NULL, recorded, when there is no memory. */
static const void *gradient_rows(const cb_call *call, int64_t *step) {
    const cb_tensor *g = call->in[2];
    *step = 0;
    for (int i = 0; i < g->rank; i++)
        if (g->shape[i] > 1 && g->stride[i] != 0)
            *step = 1;
    if (*step == 0 || cb_tensor_is_contiguous(g))
        return g->data;
    void *copy = cb_call_scratch(call, cb_tensor_bytes(g));
    if (copy != NULL)
        row_major(g, g->dtype, copy);
    return copy;
}

static cb_status gradient_forward(const cb_call *call) {
    const cross_entropy_options *options = call->options;
    const cb_tensor *logits = call->in[0];
    int64_t rows = cb_tensor_count(call->in[1]);
    row_notes own = {0};
    if (rows == 0)
        return CB_OK;
    if (options->notes == NULL) {
        void *terms = cb_call_scratch(call, cb_dtype_size(logits->dtype) * (size_t)rows);
        cb_status status = terms == NULL ? CB_ERROR_MEMORY : run_terms(call, terms, true, &own);
        if (status != CB_OK)
            return status;
    }
    const row_notes *notes = options->notes != NULL ? options->notes : &own;
    int64_t g_step = 0;
    const void *g = gradient_rows(call, &g_step);
    if (g == NULL)
        return CB_ERROR_MEMORY;
    rows_job job = {.rows = rows,
                    .classes = logits->shape[logits->rank - 1],
                    .smoothing = options->smoothing,
                    .logits = logits->data,
                    .g = g,
                    .g_step = g_step,
                    .target = notes->target,
                    .statistics = notes->statistics,
                    .out = call->out->data};
    cbi_parallel_for(
        rows, CBI_GRAIN / job.classes + 1,
        logits->dtype == CB_F64 ? cross_entropy_gradient_f64 : cross_entropy_gradient_f32, &job);
    return CB_OK;
}

static cb_tensor *gradient_of(cb_tensor *logits, cb_tensor *target, cb_tensor *g,
                              const cross_entropy_options *options) {
    return cb_apply(&cbi_cross_entropy_gradient_op, 3, (cb_tensor *[]){logits, target, g}, options);
}

/* For a gradient h: with p = softmax(x), h' dx' = g p (h - sum p h), and of g: sum h (p - q). */
static void gradient_vjp(const cb_call *call, cb_tensor *h, cb_tensor **gradients) {
    const cross_entropy_options *options = call->options;
    cb_tensor *x = call->in[0], *target = call->in[1], *g = call->in[2];
    if (cb_call_needs(call, 0)) {
        if (options->ignore) {
            cb_tensor *ignored =
                cb_equal(target, cb_full_like(target, (double)options->ignore_index));
            g = cb_masked_fill(g, ignored, 0);
        }
        cb_tensor *p = cb_softmax(x, -1);
        cb_tensor *ph = cb_mul(p, h);
        cb_tensor *slope = cb_sub(ph, cb_mul(p, cb_sum(ph, CB_AXES(-1), true)));
        gradients[0] = cb_mul(cb_unsqueeze(g, -1), slope);
    }
    if (cb_call_needs(call, 2)) {
        cb_tensor *unit = gradient_of(x, target, cb_full_like(call->in[2], 1), options);
        gradients[2] = cb_sum(cb_mul(h, unit), CB_AXES(-1), false);
    }
}

static cb_tensor *gradient_sample(cb_tensor *const *in) {
    return gradient_of(in[0], in[1], in[2], &(cross_entropy_options){.smoothing = 0.1});
}

static cb_tensor *gradient_ignoring_sample(cb_tensor *const *in) {
    return gradient_of(in[0], in[1], in[2],
                       &(cross_entropy_options){.ignore = true, .ignore_index = 1});
}

static const cb_sample gradient_samples[] = {
    {"smoothed", 3, {SHAPED(2, 3, 4), INDICES(4, 1, 3), SHAPED(1, 3)}, gradient_sample},
    {"ignoring",
     3,
     {SHAPED(3, 2, 3, 4), INDICES(3, 2, 2, 3), STRIDED(2, 2, 3)},
     gradient_ignoring_sample},
    {"empty", 3, {SHAPED(2, 0, 4), INDICES(4, 1, 0), SHAPED(1, 0)}, gradient_sample},
};

const cb_op cbi_cross_entropy_gradient_op = {
    .name = "cross_entropy_gradient",
    .formula =
        "y = g (p - q), p = softmax(x), q the target's distribution;  for h, the gradient of "
        "y: dx = g p (h - sum p h),  dg = sum h (p - q)",
    .min_inputs = 3,
    .max_inputs = 3,
    .options_size = sizeof(cross_entropy_options),
    .shape = cb_shape_same,
    .forward = gradient_forward,
    .vjp = gradient_vjp,
    SAMPLES(gradient_samples),
    OPTIONS(cross_entropy_option_list),
    .row_by_row = cb_row_by_row,
};

/* ---- The terms ------------------------------------------------------------------------------- */

static cb_status terms_shape(const cb_call *call) {
    cb_shape_same(call);
    call->out->rank--;
    return CB_OK;
}

static cb_status terms_forward(const cb_call *call) {
    cb_node *node = call->out->node;
    bool keep = node->requires_grad && node->tape->recording;
    row_notes *notes = cb_call_scratch(call, sizeof(*notes));
    if (notes == NULL)
        return CB_ERROR_MEMORY;
    *notes = (row_notes){0};
    node->saved = keep ? notes : NULL;
    return run_terms(call, call->out->data, keep, notes);
}

static void terms_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cross_entropy_options options = *(const cross_entropy_options *)call->options;
    options.notes = call->out->node->saved;
    gradients[0] = gradient_of(call->in[0], call->in[1], g, &options);
}

static cb_tensor *terms_sample(cb_tensor *const *in) {
    return cbi_cross_entropy_terms(in[0], &(cb_cross_entropy_options){.target = in[1]});
}

static cb_tensor *terms_smoothed_sample(cb_tensor *const *in) {
    return cbi_cross_entropy_terms(
        in[0], &(cb_cross_entropy_options){.target = in[1], CB_IGNORE(0), .label_smoothing = 0.2});
}

static const cb_sample terms_samples[] = {
    {"plain", 2, {SHAPED(2, 3, 4), INDICES(4, 1, 3)}, terms_sample},
    {"strided, smoothed", 2, {STRIDED(3, 2, 3, 5), INDICES(5, 2, 2, 3)}, terms_smoothed_sample},
    {"one row", 2, {SHAPED(1, 4), INDICES(4, 0, 0)}, terms_sample},
    {"empty", 2, {SHAPED(2, 0, 4), INDICES(4, 1, 0)}, terms_sample},
};

const cb_op cbi_cross_entropy_op = {
    .name = "cross_entropy",
    .formula =
        "y = log sum exp(x) - sum q x, q the target's distribution;  dx = g (softmax(x) - q)",
    .min_inputs = 2,
    .max_inputs = 2,
    .options_size = sizeof(cross_entropy_options),
    .shape = terms_shape,
    .forward = terms_forward,
    .vjp = terms_vjp,
    SAMPLES(terms_samples),
    OPTIONS(cross_entropy_option_list),
    .row_by_row = cb_row_by_row,
};

cb_tensor *cbi_cross_entropy_terms(cb_tensor *logits, const cb_cross_entropy_options *options) {
    bool ignore = options->ignored.count > 0;
    cross_entropy_options own = {.smoothing = options->label_smoothing,
                                 .ignore = ignore,
                                 .ignore_index = ignore ? options->ignored.at[0] : 0};
    logits = cb_contiguous(logits);
    return cb_apply(&cbi_cross_entropy_op, 2, (cb_tensor *[]){logits, options->target}, &own);
}
