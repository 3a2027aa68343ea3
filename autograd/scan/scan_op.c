/* A compiled recurrence as one op on the tape: its outputs are state 0 after each step and all
   states after the last one; its gradient is a second op, whose outputs are the gradients of the
   inputs (scan_gradient.c).

   Forward, the sequence's plan runs on all rows at once and leaves the boundary tensors, and the
   step's plan runs over time. Backward it is the other way round. Where x is rows of a table, the
   sequence's plan runs on the table, the step looks its rows up, and boundary gradients are added
   to the rows that they belong to in between. */
#include "autograd/scan/scan_op.h"

#include <cerebra/ops.h>
#include <limits.h>
#include <string.h>

/* ---- Forward --------------------------------------------------------------------------------- */

/* The output is state 0 at all steps where the run leaves it: beside the initial state. */
static cb_status make_output(const cb_call *call) {
    const cbi_application *a = cbi_application_of(call);
    size_t row = (size_t)(a->batch * cbi_state_size(a, 0)) * cb_dtype_size(call->out->dtype);
    cb_node *node = call->out->node;
    node->block = cbi_block_new(node->tape, row * (size_t)(a->time + 1));
    if (node->block == NULL)
        return CB_ERROR_MEMORY;
    cbi_strides_row_major(call->out);
    call->out->data = (char *)node->block->data + (a->reverse ? 0 : row);
    return CB_OK;
}

static cb_status scan_shape(const cb_call *call) {
    const cbi_application *a = cbi_application_of(call);
    cb_dtype dtype = a->scan->signature.dtype;
    cbi_set_shape(call->outs[0], dtype, CB_SHAPE(a->time, a->batch, cbi_state_size(a, 0)));
    for (int i = 0; i < cbi_state_count(a); i++)
        cbi_set_shape(call->outs[1 + i], dtype, CB_SHAPE(a->batch, cbi_state_size(a, i)));
    if (!cbi_shape_valid(dtype, call->out->rank, call->out->shape))
        return cb_call_fail(call, CB_ERROR_SHAPE, "the result would be too large");
    return make_output(call);
}

/* The rows that the step looks up, checked. */
static cb_status check_rows(const cb_call *call, const cb_tensor *rows, int64_t table) {
    const int64_t *row = rows->data;
    for (int64_t i = 0; i < cb_tensor_count(rows); i++)
        if (row[i] < 0 || row[i] >= table)
            return cb_call_fail(call, CB_ERROR_INDEX,
                                "row %lld, element %lld of %lld, is outside 0..%lld",
                                (long long)row[i], (long long)i, (long long)cb_tensor_count(rows),
                                (long long)table - 1);
    return CB_OK;
}

/* Whether a boundary tensor is x, row by row: then it is where x is. */
static bool is_x(const cbi_application *a, int k) {
    const cbi_plan *plan = a->compiled->sequence;
    return plan == NULL || plan->graph->values[plan->graph->outputs[k].value].kind == CBI_ROW_INPUT;
}

static bool start_boundary(const cb_call *call, cbi_application *a, const cb_tensor *x) {
    a->boundary = cbi_scan_room(call, cbi_boundary_count(a), sizeof(char *));
    a->boundary_gradient = cbi_scan_room(call, cbi_boundary_count(a), sizeof(char *));
    if (a->boundary == NULL || a->boundary_gradient == NULL)
        return false;
    for (int k = 0; k < cbi_boundary_count(a); k++) {
        int64_t bytes = cbi_row_bytes_of(&a->compiled->step->graph->row_inputs[k].type);
        if (is_x(a, k))
            a->boundary[k] = x->data;
        else if (!cbi_scan_give(call, &a->boundary[k], (size_t)(bytes * a->sequence_rows)))
            return false;
    }
    return true;
}

static cb_status run_sequence(const cb_call *call, cbi_application *a, const cb_tensor *x) {
    cbi_run *run = &a->sequence;
    if (a->compiled->sequence == NULL)
        return CB_OK;
    if (!cbi_scan_start(call, run, a->compiled->sequence, a->compiled->of_sequence))
        return CB_ERROR_MEMORY;
    run->steps = 1;
    run->rows = a->sequence_rows;
    for (int i = 0; i < run->plan->graph->row_input_count; i++)
        run->row_inputs[i] = x->data;
    for (int k = 0; k < cbi_boundary_count(a); k++)
        run->left_outputs[k] = a->boundary[k];
    return cbi_scan_pass(call, run, false, NULL);
}

static cb_status run_step(const cb_call *call, cbi_application *a, const int64_t *rows,
                          const int64_t *lengths) {
    cbi_run *run = &a->step;
    int first_state = cbi_captured_count(a) + 1;
    if (!cbi_scan_start(call, run, a->compiled->step, a->compiled->of_step))
        return CB_ERROR_MEMORY;
    run->steps = a->time;
    run->rows = a->batch;
    run->reverse = a->reverse;
    run->row_of = a->looked_up ? rows : NULL;
    run->lengths = lengths;
    run->buffers[run->plan->state_buffer[0]] = call->out->node->block->data;
    for (int i = 0; i < cbi_state_count(a); i++)
        run->initial[i] = call->in[first_state + i]->data;
    for (int k = 0; k < cbi_boundary_count(a); k++) {
        int64_t bytes =
            cbi_row_bytes_of(&run->plan->graph->row_inputs[k].type) * a->time * a->batch;
        run->row_inputs[k] = a->boundary[k];
        if (a->keep && cbi_run_needs_gradient(run, k) &&
            !cbi_scan_give(call, &a->boundary_gradient[k], (size_t)bytes))
            return CB_ERROR_MEMORY;
        run->left_gradients[k] = a->boundary_gradient[k];
    }
    return cbi_scan_pass(call, run, false, NULL);
}

static cb_status scan_forward(const cb_call *call) {
    cbi_application *a = cbi_application_of(call);
    const cb_tensor *x = call->in[cbi_captured_count(a)];
    int next = cbi_captured_count(a) + 1 + cbi_state_count(a);
    const cb_tensor *rows = a->looked_up ? call->in[next++] : NULL;
    const cb_tensor *lengths = a->has_lengths ? call->in[next] : NULL;
    cb_node *node = call->out->node;
    a->keep = node->requires_grad && node->tape->recording;
    cb_status status = rows != NULL ? check_rows(call, rows, x->shape[0]) : CB_OK;
    if (status == CB_OK && !start_boundary(call, a, x))
        status = CB_ERROR_MEMORY;
    if (status == CB_OK)
        status = run_sequence(call, a, x);
    if (status == CB_OK)
        status = run_step(call, a, rows != NULL ? rows->data : NULL,
                          lengths != NULL ? lengths->data : NULL);
    for (int i = 0; i < cbi_state_count(a) && status == CB_OK; i++)
        if (cb_tensor_bytes(call->outs[1 + i]) > 0)
            memcpy(call->outs[1 + i]->data, cbi_run_last(&a->step, i),
                   cb_tensor_bytes(call->outs[1 + i]));
    node->saved = a;
    return status;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

/* Where the gradient of a captured tensor goes: straight to its owner's memory, where that is
   known, or to an output. */
static cbi_target target_of(const cb_call *call, const cbi_application *a, int i) {
    const cb_tensor *captured = call->in[i];
    bool given = a->compiled->variant.captured == NULL || a->compiled->variant.captured[i];
    cbi_target target = {.wanted = given && cb_call_needs(call, i)};
    if (!target.wanted)
        return target;
    target.tensor = cbi_sink_of(captured);
    target.add = target.tensor.data != NULL;
    if (!target.add)
        target.tensor = cb_tensor_wrap(captured->dtype, captured->rank, captured->shape, NULL);
    return target;
}

/* The gradients that reached the outputs, zeros for y where none did; NULL, as a poisoned tensor,
   is not among them. */
static bool give_inputs(const cb_call *call, cb_tensor **in, int states) {
    cb_tape *tape = cb_tape_of(call->out);
    for (int k = 0; k <= states; k++) {
        in[k] = call->gradients[k] != NULL ? cb_contiguous(call->gradients[k])
                                           : cbi_filled_like(tape, call->outs[k], 0);
        if (cbi_is_poisoned(in[k]))
            return false;
    }
    return true;
}

static void scan_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const cbi_application *a = cbi_application_of(call);
    cb_tape *tape = cb_tape_of(call->out);
    int states = cbi_state_count(a), captured = cbi_captured_count(a);
    cbi_scan_op_options options = {.a = call->out->node->saved};
    (void)g;
    if (tape->recording) {
        cb_fail(call->out, CB_ERROR_TAPE,
                "scan: a compiled recurrence has no gradient of its gradient; make it eager");
        return;
    }
    cb_tensor **in = cbi_scan_room(call, 1 + states + call->count, sizeof(*in));
    options.targets = cbi_scan_room(call, captured, sizeof(cbi_target));
    if (in == NULL || options.targets == NULL || !give_inputs(call, in, states))
        return;
    memcpy(in + 1 + states, call->in, sizeof(*in) * (size_t)call->count);
    int out_count = states;
    for (int i = 0; i < captured; i++) {
        options.targets[i] = target_of(call, a, i);
        out_count += cbi_is_left_to_op(&options.targets[i]);
    }
    options.x = a->compiled->variant.x && cb_call_needs(call, captured);
    out_count += options.x;
    cb_tensor **outputs = cbi_scan_room(call, out_count, sizeof(*outputs));
    if (outputs == NULL)
        return;
    if (cb_apply_outputs(&cbi_scan_gradient_op, 1 + states + call->count, in, &options, out_count,
                         outputs) != CB_OK)
        return;
    int at = 0;
    for (int i = 0; i < captured; i++)
        if (cbi_is_left_to_op(&options.targets[i]))
            gradients[i] = outputs[at++];
    if (options.x)
        gradients[captured] = outputs[at++];
    for (int i = 0; i < states; i++)
        gradients[captured + 1 + i] = outputs[at++];
}

const cb_op cbi_scan_op = {
    .name = "scan",
    .formula = "the states of a recurrence",
    .min_inputs = 1,
    .max_inputs = INT_MAX,
    .options_size = sizeof(cbi_scan_op_options),
    .shape = scan_shape,
    .forward = scan_forward,
    .vjp = scan_vjp,
};
