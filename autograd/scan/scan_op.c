/* A compiled recurrence as one op on the tape.

   The op's output holds state 0 at all steps and the other states after the last one; its gradient
   is a second op, whose output holds the gradients of all inputs. */
#include "autograd/op_list.h"
#include "autograd/scan/recurrence.h"
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>
#include <string.h>

enum { MOST_SCAN_INPUTS = CBI_GRAPH_IMPORTS + CBI_GRAPH_STATES + 3 };

/* Inputs: imports, initial states, then row_of and lengths where there are any, and x, of which
   nothing is read: rows may be looked up in its stead, or its gradient may be 0. */
typedef struct scan_options {
    const cbi_plan *plan;
    int64_t time, batch;
    bool reverse, looked_up, has_lengths;
    cb_node *forward;    /* of the gradient: the node of the op itself */
    cbi_target *targets; /* of the gradient: for each import; without data: part of the output */
} scan_options;

static int64_t state_elements(const scan_options *options, int i) {
    return options->batch * options->plan->graph->state_size[i];
}

static cb_status scan_shape(const cb_call *call) {
    const scan_options *options = call->options;
    const cbi_graph *graph = options->plan->graph;
    call->out->dtype = graph->dtype;
    call->out->rank = 1;
    call->out->shape[0] = (options->time + 1) * state_elements(options, 0);
    for (int i = 1; i < graph->state_count; i++)
        call->out->shape[0] += state_elements(options, i);
    return CB_OK;
}

/* Memory for the buffers of one pass, and for its packed weights. */
static cb_status allocate_pass(const cb_call *call, cbi_recurrence *run, bool backward) {
    const cbi_plan *plan = run->plan;
    for (int b = 0; b < plan->buffer_count; b++) {
        size_t bytes =
            cbi_recurrence_is_backward(run, b) == backward ? cbi_recurrence_bytes(run, b) : 0;
        if (bytes > 0 && run->buffers[b] == NULL &&
            (run->buffers[b] = cb_call_scratch(call, bytes)) == NULL)
            return CB_ERROR_MEMORY;
    }
    for (int i = 0; i < plan->weights_count; i++) {
        size_t bytes = plan->weights[i].backward == backward ? cbi_recurrence_weights(run, i) : 0;
        if (bytes > 0 && (run->weights[i] = cb_call_scratch(call, bytes)) == NULL)
            return CB_ERROR_MEMORY;
    }
    run->scratch = cb_call_scratch(call, cbi_recurrence_scratch(run));
    return run->scratch != NULL ? CB_OK : CB_ERROR_MEMORY;
}

static cbi_recurrence *recurrence_new(const cb_call *call, const scan_options *options,
                                      cb_tensor *const *in) {
    const cbi_graph *graph = options->plan->graph;
    size_t weights = (size_t)options->plan->weights_count,
           buffers = (size_t)options->plan->buffer_count;
    cbi_recurrence *run = cb_call_scratch(call, sizeof(*run));
    char **pointers = cb_call_scratch(call, sizeof(char *) * (buffers + weights + 1));
    cbi_packed *packed = cb_call_scratch(call, sizeof(cbi_packed) * (weights + 1));
    if (run == NULL || pointers == NULL || packed == NULL)
        return NULL;
    memset(pointers, 0, sizeof(char *) * (buffers + weights + 1));
    *run = (cbi_recurrence){.plan = options->plan,
                            .time = options->time,
                            .batch = options->batch,
                            .reverse = options->reverse,
                            .imports = in,
                            .initial = in + graph->import_count,
                            .buffers = pointers,
                            .weights = pointers + buffers,
                            .packed = packed};
    cb_tensor *const *rest = in + graph->import_count + graph->state_count;
    if (options->looked_up)
        run->row_of = (*rest++)->data;
    if (options->has_lengths)
        run->lengths = (*rest)->data;
    return run;
}

static cb_status scan_forward(const cb_call *call) {
    const scan_options *options = call->options;
    const cbi_graph *graph = options->plan->graph;
    cb_node *node = call->out->node;
    int64_t size = (int64_t)cb_dtype_size(graph->dtype);
    cbi_recurrence *run = recurrence_new(call, options, call->in);
    if (run == NULL)
        return CB_ERROR_MEMORY;
    run->keep = node->requires_grad && node->tape->recording;
    run->buffers[options->plan->state_buffer[0]] = call->out->data;
    if (allocate_pass(call, run, false) != CB_OK)
        return CB_ERROR_MEMORY;
    cbi_recurrence_forward(run);
    char *out = (char *)call->out->data + (options->time + 1) * state_elements(options, 0) * size;
    for (int i = 1; i < graph->state_count; i++) {
        int64_t bytes = state_elements(options, i) * size;
        memcpy(out, cbi_recurrence_last(run, i), (size_t)bytes);
        out += bytes;
    }
    node->saved = run;
    return CB_OK;
}

/* Elements of each of the gradient's parts: one for each import whose gradient is wanted here, then
   the states'. */
static int64_t import_elements(const scan_options *options, int i) {
    const cbi_target *target = &options->targets[i];
    return target->wanted && !target->add ? cb_tensor_count(&target->tensor) : 0;
}

/* Inputs: the output's gradient, then those of the op. */
static cb_status scan_gradient_shape(const cb_call *call) {
    const scan_options *options = call->options;
    const cbi_graph *graph = options->plan->graph;
    call->out->dtype = graph->dtype;
    call->out->rank = 1;
    call->out->shape[0] = 0;
    for (int i = 0; i < graph->import_count; i++)
        call->out->shape[0] += import_elements(options, i);
    for (int i = 0; i < graph->state_count; i++)
        call->out->shape[0] += state_elements(options, i);
    return CB_OK;
}

/* Gives targets without memory theirs, in the output. What becomes the gradient of rows of x as it
   stands is computed there. Returns what is behind them in the output. */
static char *place_targets(const scan_options *options, cbi_recurrence *run, char *out) {
    const cbi_graph *graph = options->plan->graph;
    for (int i = 0; i < graph->import_count; i++) {
        if (import_elements(options, i) == 0)
            continue;
        options->targets[i].tensor.data = out;
        int buffer = run->row_of == NULL ? cbi_recurrence_rows_buffer(options->plan, i) : -1;
        if (buffer >= 0 && run->buffers[buffer] == NULL)
            run->buffers[buffer] = out;
        out += import_elements(options, i) * (int64_t)cb_dtype_size(graph->dtype);
    }
    return out;
}

static cb_status scan_gradient_forward(const cb_call *call) {
    const scan_options *options = call->options;
    const cbi_graph *graph = options->plan->graph;
    int64_t size = (int64_t)cb_dtype_size(graph->dtype);
    cbi_recurrence *saved = options->forward->saved;
    if (saved->overwritten)
        cbi_recurrence_forward(saved);
    saved->overwritten = cbi_recurrence_overwrites(saved);
    cbi_recurrence run = *saved;
    cb_tensor finals[CBI_GRAPH_STATES], *final[CBI_GRAPH_STATES] = {NULL};
    const char *given = call->in[0]->data;
    run.given = given;
    run.final = final;
    given += (options->time + 1) * state_elements(options, 0) * size;
    for (int i = 1; i < graph->state_count; i++) {
        finals[i] = (cb_tensor){.data = (char *)(uintptr_t)given};
        final[i] = &finals[i];
        given += state_elements(options, i) * size;
    }
    char *out = place_targets(options, &run, call->out->data);
    if (allocate_pass(call, &run, true) != CB_OK)
        return CB_ERROR_MEMORY;
    size_t sums_bytes = cbi_recurrence_sums_bytes(&run, options->targets);
    char *sums = sums_bytes > 0 ? cb_call_scratch(call, sums_bytes) : NULL;
    if (sums_bytes > 0 && sums == NULL)
        return CB_ERROR_MEMORY;
    cbi_recurrence_backward(&run);
    cbi_recurrence_gradients(&run, options->targets, sums);
    for (int i = 0; i < graph->state_count; i++) {
        int64_t bytes = state_elements(options, i) * size;
        memcpy(out, run.buffers[options->plan->gradient_buffer[i]], (size_t)bytes);
        out += bytes;
    }
    /* The buffers of this pass end with it. */
    for (int b = 0; b < options->plan->buffer_count; b++)
        if (cbi_recurrence_is_backward(&run, b))
            run.buffers[b] = NULL;
    return CB_OK;
}

const cb_op cbi_scan_gradient_op = {
    .name = "scan_gradient",
    .formula = "the gradients of a recurrence's inputs, from that of its output",
    .min_inputs = 1,
    .max_inputs = MOST_SCAN_INPUTS + 1,
    .options_size = sizeof(scan_options),
    .shape = scan_gradient_shape,
    .forward = scan_gradient_forward,
};

static bool is_column_major(const cb_tensor *t) {
    return t->rank == 2 && t->stride[0] == 1 && t->stride[1] != 1;
}

static cbi_target target_of(const cb_call *call, const cbi_graph *graph, int i) {
    const cb_tensor *import = call->in[i];
    cbi_target target = {.wanted = graph->imports[i].gradient_count > 0 && cb_call_needs(call, i)};
    if (!target.wanted)
        return target;
    if (import->rank == 2 && !graph->imports[i].rows)
        target.tensor = cbi_sink_of(import);
    target.add = target.tensor.data != NULL;
    if (target.add)
        return target;
    target.tensor = cb_tensor_wrap(graph->dtype, import->rank, import->shape, NULL);
    if (is_column_major(import)) {
        target.tensor.stride[0] = 1;
        target.tensor.stride[1] = import->shape[0];
    }
    return target;
}

static void scan_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    scan_options options = *(const scan_options *)call->options;
    const cbi_graph *graph = options.plan->graph;
    cb_tensor *in[MOST_SCAN_INPUTS + 1];
    if (call->out->node->tape->recording) {
        cb_fail(g, CB_ERROR_TAPE,
                "scan: a compiled recurrence has no gradient of its gradient; make it "
                "eager");
        return;
    }
    const cb_node *x = call->in[call->count - 1]->node;
    if (options.looked_up && x->tape->selective && x->kept == x->tape->sweeps) {
        cb_fail(g, CB_ERROR_TAPE,
                "scan: rows of a table are looked up one by one and have no gradient; ask for the "
                "table's, or make it eager");
        return;
    }
    in[0] = cb_contiguous(g);
    memcpy(in + 1, call->in, sizeof(*in) * (size_t)call->count);
    options.forward = call->out->node;
    options.targets = cb_call_scratch(call, sizeof(cbi_target) * (size_t)(graph->import_count + 1));
    if (options.targets == NULL)
        return;
    for (int i = 0; i < graph->import_count; i++)
        options.targets[i] = target_of(call, graph, i);
    cb_tensor *all = cb_apply(&cbi_scan_gradient_op, call->count + 1, in, &options);
    int64_t at = 0;
    for (int i = 0; i < graph->import_count + graph->state_count; i++) {
        const cb_tensor *like = call->in[i];
        int64_t elements = i < graph->import_count
                               ? import_elements(&options, i)
                               : state_elements(&options, i - graph->import_count);
        cb_tensor *part = cb_slice(all, 0, at, at + elements, 1);
        at += elements;
        if (elements == 0 || !cb_call_needs(call, i))
            continue;
        gradients[i] =
            is_column_major(like)
                ? cb_transpose(cb_reshape(part, 2, (int64_t[]){like->shape[1], like->shape[0]}), 0,
                               1)
                : cb_reshape(part, like->rank, like->shape);
    }
}

const cb_op cbi_scan_op = {
    .name = "scan",
    .formula = "the states of a recurrence",
    .min_inputs = 1,
    .max_inputs = MOST_SCAN_INPUTS,
    .options_size = sizeof(scan_options),
    .shape = scan_shape,
    .forward = scan_forward,
    .vjp = scan_vjp,
};

/* ---- Running --------------------------------------------------------------------------------- */

/* Whether x is rows of a smaller table; then *table and *rows are what they are. */
static bool is_looked_up(cb_tensor *x, cb_tensor **table, cb_tensor **rows) {
    if (x->node->op != &cbi_gather_rows_op)
        return false;
    *table = x->node->in[0];
    *rows = x->node->in[1];
    return (*table)->rank == 2 && (*rows)->rank == 2 &&
           (*table)->shape[0] < x->shape[0] * x->shape[1];
}

/* A tensor of the given shape that begins at element `start` of the op's output. */
static cb_tensor *part_of(cb_tensor *all, int64_t start, int rank, const int64_t *shape) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    return cb_reshape(cb_slice(all, 0, start, start + count, 1), rank, shape);
}

cb_tensor *cbi_scan_compiled(const cbi_plan *plan, cb_tensor *x, const cb_scan_io *io,
                             cb_tensor **state) {
    const cbi_graph *graph = plan->graph;
    scan_options options = {
        .plan = plan, .time = x->shape[0], .batch = x->shape[1], .reverse = io->reverse};
    cb_tensor *in[MOST_SCAN_INPUTS], *table = NULL, *rows = NULL;
    options.looked_up = is_looked_up(x, &table, &rows);
    options.has_lengths = io->lengths != NULL;
    cbi_imports_make(graph, io->weights,
                     options.looked_up
                         ? table
                         : cb_reshape(x, CB_SHAPE(options.time * options.batch, x->shape[2])),
                     in);
    int count = graph->import_count;
    for (int i = 0; i < graph->state_count; i++)
        in[count++] = cb_contiguous(state[i]);
    if (options.looked_up)
        in[count++] = cb_contiguous(cb_cast(rows, CB_I64));
    if (options.has_lengths)
        in[count++] = cb_contiguous(cb_cast(io->lengths, CB_I64));
    in[count++] = x;
    cb_tensor *all = cb_apply(&cbi_scan_op, count, in, &options);
    int64_t step = state_elements(&options, 0), at = (options.time + 1) * step;
    state[0] = part_of(all, io->reverse ? 0 : options.time * step,
                       CB_SHAPE(options.batch, graph->state_size[0]));
    for (int i = 1; i < graph->state_count; i++) {
        state[i] = part_of(all, at, CB_SHAPE(options.batch, graph->state_size[i]));
        at += state_elements(&options, i);
    }
    return part_of(all, io->reverse ? 0 : step,
                   CB_SHAPE(options.time, options.batch, graph->state_size[0]));
}
