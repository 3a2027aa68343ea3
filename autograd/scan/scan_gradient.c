/* The gradient of a compiled recurrence: the step's plan backward over time, then the sequence's
   over all rows at once; each forms its parts of the gradients of what is captured. */
#include "autograd/scan/scan_op.h"
#include "tensor/parallel.h"

#include <limits.h>
#include <string.h>

static cb_status gradient_shape(const cb_call *call) {
    const cbi_scan_op_options *options = call->options;
    const cbi_application *a = options->a;
    int at = 0;
    for (int i = 0; i < cbi_captured_count(a); i++)
        if (cbi_is_left_to_op(&options->targets[i])) {
            const cb_tensor *t = &options->targets[i].tensor;
            cbi_set_shape(call->outs[at++], t->dtype, t->rank, t->shape);
        }
    /* in[0]: y's gradient; then those of last states; then the op's inputs. */
    const cb_tensor *x = call->in[1 + cbi_state_count(a) + cbi_captured_count(a)];
    if (options->x)
        cbi_set_shape(call->outs[at++], x->dtype, x->rank, x->shape);
    for (int i = 0; i < cbi_state_count(a); i++)
        cbi_set_shape(call->outs[at++], a->scan->signature.dtype,
                      CB_SHAPE(a->batch, cbi_state_size(a, i)));
    return CB_OK;
}

/* ---- Looked-up rows -------------------------------------------------------------------------- */

enum { AHEAD = 2 }; /* rows asked for before they are added: they come from memory */

typedef struct scatter_job {
    cb_dtype dtype;
    int64_t rows, columns;
    const int64_t *row_of;
    const char *from;
    char *to;
} scatter_job;

/* Adds columns [begin, end) of all rows to their rows of the table. */
static void scatter_columns(void *context, int64_t begin, int64_t end) {
    const scatter_job *job = context;
    int64_t size = (int64_t)cb_dtype_size(job->dtype), stride = job->columns * size;
    const char *from = job->from + begin * size;
    for (int64_t r = 0; r < job->rows; r++, from += stride) {
        char *to = job->to + (job->row_of[r] * job->columns + begin) * size;
        for (int64_t at = 0; r + AHEAD < job->rows && at < (end - begin) * size; at += 64)
            __builtin_prefetch(from + AHEAD * stride + at);
        cbi_run_kernel(cb_add_op.kernels[job->dtype], end - begin, to, 2,
                       (const void *[]){to, from}, NULL);
    }
}

/* The gradients of looked-up rows, added up by the row of the table. */
static void scatter(const cbi_application *a, const cbi_type *type, const char *from, char *to) {
    scatter_job job = {.dtype = type->dtype,
                       .rows = a->time * a->batch,
                       .columns = cbi_count_of(type),
                       .row_of = a->step.row_of,
                       .from = from,
                       .to = to};
    memset(to, 0, (size_t)(cbi_row_bytes_of(type) * a->sequence_rows));
    cbi_parallel_for(job.columns, 64, scatter_columns, &job);
}

/* ---- The two plans --------------------------------------------------------------------------- */

/* Another sweep backward finds residuals written over: they are made again. */
static cb_status make_residuals(const cb_call *call, cbi_run *run) {
    cb_status status = run->overwritten ? cbi_scan_pass(call, run, false, NULL) : CB_OK;
    run->overwritten = cbi_run_overwrites(run);
    return status;
}

/* The gradients of what a plan captured, from what its backward pass has left. */
static cb_status form_gradients(const cb_call *call, const cbi_run *run, const int *captured,
                                cbi_target *targets, bool *begun, char *memory) {
    const cbi_graph *graph = run->plan->graph;
    cbi_target *own = cbi_scan_room(call, graph->captured_count, sizeof(*own));
    if (own == NULL)
        return CB_ERROR_MEMORY;
    for (int i = 0; i < graph->captured_count; i++) {
        own[i] = targets[captured[i]];
        own[i].add = own[i].add || begun[captured[i]];
    }
    cbi_run_gradients(run, own, memory);
    for (int i = 0; i < run->plan->sum_count; i++)
        begun[captured[run->plan->sums[i].captured]] = true;
    return CB_OK;
}

/* Where the step leaves the gradients of its row inputs. That of x itself is computed where it is
   wanted, if nothing comes between. */
static bool give_gradients(const cb_call *call, cbi_application *a, char *x_gradient) {
    cbi_run *run = &a->step;
    const cbi_graph *graph = run->plan->graph;
    for (int k = 0; k < graph->row_input_count; k++) {
        int64_t bytes = cbi_row_bytes_of(&graph->row_inputs[k].type) * a->time * a->batch;
        if (graph->row_inputs[k].gradient < 0)
            continue;
        run->left_gradients[k] = a->boundary_gradient[k];
        if (a->compiled->sequence == NULL && !a->looked_up && run->left_gradients[k] == NULL)
            run->left_gradients[k] = x_gradient;
        if (!cbi_scan_give(call, &run->left_gradients[k], (size_t)bytes))
            return false;
    }
    return true;
}

static cb_status step_backward(const cb_call *call, cbi_application *a, char *x_gradient,
                               cbi_target *targets, bool *begun) {
    cbi_run *run = &a->step;
    char *memory;
    cb_status status = make_residuals(call, run);
    if (status == CB_OK && !give_gradients(call, a, x_gradient))
        status = CB_ERROR_MEMORY;
    if (status != CB_OK)
        return status;
    run->given_outputs[0] = call->in[0]->data;
    for (int i = 0; i < cbi_state_count(a); i++)
        run->given_final[i] = call->in[1 + i]->data;
    status = cbi_scan_pass(call, run, true, &memory);
    if (status == CB_OK)
        status = form_gradients(call, run, a->compiled->of_step, targets, begun, memory);
    for (int i = 0, at = call->out_count - cbi_state_count(a);
         i < cbi_state_count(a) && status == CB_OK; i++, at++)
        if (cb_tensor_bytes(call->outs[at]) > 0)
            memcpy(call->outs[at]->data, cbi_run_first_gradient(run, i),
                   cb_tensor_bytes(call->outs[at]));
    return status;
}

/* The boundary gradients as the sequence's plan takes them: of all rows, or of the table's. */
static cb_status pass_boundary(const cb_call *call, cbi_application *a, cbi_run *to) {
    const cbi_graph *graph = a->step.plan->graph;
    for (int k = 0; k < cbi_boundary_count(a); k++) {
        const cbi_type *type = &graph->row_inputs[k].type;
        char *gradient = a->step.left_gradients[k];
        if (graph->row_inputs[k].gradient < 0)
            continue;
        if (a->looked_up) {
            char *table =
                cb_call_scratch(call, (size_t)(cbi_row_bytes_of(type) * a->sequence_rows));
            if (table == NULL)
                return CB_ERROR_MEMORY;
            scatter(a, type, gradient, table);
            gradient = table;
        }
        to->given_outputs[k] = gradient;
    }
    return CB_OK;
}

static cb_status sequence_backward(const cb_call *call, cbi_application *a, char *x_gradient,
                                   cbi_target *targets, bool *begun) {
    cbi_run *run = &a->sequence;
    char *memory;
    cb_status status = pass_boundary(call, a, run);
    if (status == CB_OK)
        status = make_residuals(call, run);
    for (int i = 0; i < run->plan->graph->row_input_count; i++)
        run->left_gradients[i] = x_gradient;
    if (status == CB_OK)
        status = cbi_scan_pass(call, run, true, &memory);
    if (status == CB_OK)
        status = form_gradients(call, run, a->compiled->of_sequence, targets, begun, memory);
    return status;
}

/* ---- The op ---------------------------------------------------------------------------------- */

/* The gradient of x where the step is given x as it is, or not at all. */
static void leave_x_gradient(const cbi_application *a, char *x_gradient, size_t bytes) {
    const cbi_graph *graph = a->step.plan->graph;
    if (x_gradient == NULL || bytes == 0)
        return;
    if (graph->row_input_count == 0 || graph->row_inputs[0].gradient < 0)
        memset(x_gradient, 0, bytes);
    else if (a->looked_up)
        scatter(a, &graph->row_inputs[0].type, a->step.left_gradients[0], x_gradient);
    else if (a->step.left_gradients[0] != x_gradient)
        memcpy(x_gradient, a->step.left_gradients[0], bytes);
}

/* Whether the sequence's plan leaves x's gradient. */
static bool sequence_has_x(const cbi_application *a) {
    const cbi_graph *graph = a->compiled->sequence->graph;
    return graph->row_input_count > 0 && graph->row_inputs[0].gradient >= 0;
}

static size_t x_input_bytes(const cb_call *call, const cbi_application *a) {
    return cb_tensor_bytes(call->in[1 + cbi_state_count(a) + cbi_captured_count(a)]);
}

/* The sequence's plan leaves x's gradient wherever it was made to: cb_grad may not want it. */
static cb_status run_sequence(const cb_call *call, cbi_application *a, char *x_gradient,
                              size_t x_bytes, cbi_target *targets, bool *begun) {
    if (a->compiled->sequence == NULL) {
        leave_x_gradient(a, x_gradient, x_bytes);
        return CB_OK;
    }
    char *left = sequence_has_x(a) ? x_gradient : NULL;
    if (sequence_has_x(a) && !cbi_scan_give(call, &left, x_input_bytes(call, a)))
        return CB_ERROR_MEMORY;
    if (!sequence_has_x(a) && x_gradient != NULL && x_bytes > 0)
        memset(x_gradient, 0, x_bytes);
    return sequence_backward(call, a, left, targets, begun);
}

static cb_status gradient_forward(const cb_call *call) {
    const cbi_scan_op_options *options = call->options;
    cbi_application *a = options->a;
    int at = 0, captured = cbi_captured_count(a);
    bool *begun = cbi_scan_room(call, captured, sizeof(bool));
    if (begun == NULL)
        return CB_ERROR_MEMORY;
    for (int i = 0; i < captured; i++)
        if (cbi_is_left_to_op(&options->targets[i]))
            options->targets[i].tensor.data = call->outs[at++]->data;
    char *x_gradient = options->x ? call->outs[at]->data : NULL;
    size_t x_bytes = options->x ? cb_tensor_bytes(call->outs[at]) : 0;
    cb_status status = step_backward(call, a, x_gradient, options->targets, begun);
    if (status == CB_OK)
        status = run_sequence(call, a, x_gradient, x_bytes, options->targets, begun);
    for (int i = 0; i < captured && status == CB_OK; i++)
        if (cbi_is_left_to_op(&options->targets[i]) && !begun[i])
            cb_tensor_fill(&options->targets[i].tensor, 0);
    return status;
}

const cb_op cbi_scan_gradient_op = {
    .name = "scan_gradient",
    .formula = "the gradients of a recurrence's inputs, from those of its outputs",
    .min_inputs = 1,
    .max_inputs = INT_MAX,
    .options_size = sizeof(cbi_scan_op_options),
    .shape = gradient_shape,
    .forward = gradient_forward,
};
