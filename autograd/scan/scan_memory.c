/* The memory of compiled runs.

   What the backward pass needs of the forward pass lasts as long as the tape's step. All else, the
   values of one step, packed weights, what the gradients of matrices are formed from, is of use
   during one pass only, and passes come one after the other: one block of the tape's serves them
   all. */
#include "autograd/scan/scan_op.h"

#include <stdio.h>
#include <string.h>

void *cbi_scan_room(const cb_call *call, int count, size_t each) {
    void *memory = cb_call_scratch(call, each * (size_t)(count + 1));
    return memory != NULL ? memset(memory, 0, each * (size_t)(count + 1)) : NULL;
}

bool cbi_scan_give(const cb_call *call, char **memory, size_t bytes) {
    if (bytes > 0 && *memory == NULL)
        *memory = cb_call_scratch(call, bytes);
    return bytes == 0 || *memory != NULL;
}

static int group_count(const cbi_plan *plan) {
    int count = 0;
    for (int i = 0; i < plan->weights_count; i++)
        count += (int)plan->weights[i].groups;
    return count;
}

bool cbi_scan_start(const cb_call *call, cbi_run *run, const cbi_plan *plan, const int *captured) {
    const cbi_application *a = cbi_application_of(call);
    const cbi_graph *graph = plan->graph;
    cb_tensor **tensors = cbi_scan_room(call, graph->captured_count, sizeof(*tensors));
    *run = (cbi_run){.plan = plan,
                     .traced = a->compilation->split->traced,
                     .captured = tensors,
                     .keep = a->keep,
                     .small_tiles = a->checking,
                     .draws = a->draws,
                     .draw_offsets = a->draw_offsets};
    run->row_inputs = cbi_scan_room(call, graph->row_input_count, sizeof(char *));
    run->initial = cbi_scan_room(call, graph->state_count, sizeof(char *));
    run->buffers = cbi_scan_room(call, plan->buffer_count, sizeof(char *));
    run->left_outputs = cbi_scan_room(call, graph->output_count, sizeof(char *));
    run->given_outputs = cbi_scan_room(call, graph->output_count, sizeof(char *));
    run->left_gradients = cbi_scan_room(call, graph->row_input_count, sizeof(char *));
    run->given_final = cbi_scan_room(call, graph->state_count, sizeof(char *));
    run->accumulators = cbi_scan_room(call, plan->accumulator_count, sizeof(char *));
    run->weights = cbi_scan_room(call, plan->weights_count, sizeof(char *));
    run->packed = cbi_scan_room(call, group_count(plan), sizeof(cbi_packed));
    run->first_packed = cbi_scan_room(call, plan->weights_count, sizeof(int));
    if (cb_tape_status(cb_tape_of(call->out)) != CB_OK)
        return false;
    for (int i = 0; i < graph->captured_count; i++)
        tensors[i] = call->in[captured[i]];
    for (int i = 0, at = 0; i < plan->weights_count; at += (int)plan->weights[i++].groups)
        run->first_packed[i] = at;
    return true;
}

/* ---- A pass ---------------------------------------------------------------------------------- */

/* Whether a buffer is of use during one pass only. */
static bool ends_with_pass(const cbi_run *run, int buffer) {
    const cbi_buffer *b = &run->plan->buffers[buffer];
    bool output = b->span == CBI_ALL_STATES && b->index == 0;
    return cbi_run_is_backward(run, buffer) || b->span == CBI_ONE_STEP || (!run->keep && !output);
}

/* Memory given out in order; counted only, where it begins with NULL. */
typedef struct pile {
    char *memory;
    size_t used;
} pile;

static char *take(pile *p, size_t bytes) {
    char *memory = p->memory != NULL && bytes > 0 ? p->memory + p->used : NULL;
    p->used += (bytes + 63) / 64 * 64;
    return memory;
}

/* Everything of a pass that ends with it. */
static char *lay_out(cbi_run *run, bool backward, pile *p) {
    const cbi_plan *plan = run->plan;
    for (int b = 0; b < plan->buffer_count; b++)
        if (ends_with_pass(run, b) && plan->buffers[b].backward == backward)
            run->buffers[b] = take(p, cbi_run_bytes(run, b));
    for (int i = 0; i < plan->weights_count; i++)
        if (plan->weights[i].backward == backward)
            run->weights[i] = take(p, cbi_run_weights_bytes(run, i));
    for (int i = 0; i < plan->accumulator_count && backward; i++)
        run->accumulators[i] = take(p, cbi_run_accumulator_bytes(run, i));
    run->scratch = take(p, cbi_run_scratch_bytes(run));
    return take(p, backward ? cbi_run_sums_bytes(run) : 0);
}

/* What lasts from the forward pass to the backward one. */
static bool give_lasting(const cb_call *call, cbi_run *run) {
    bool good = true;
    for (int b = 0; b < run->plan->buffer_count && good; b++)
        if (!ends_with_pass(run, b))
            good = cbi_scan_give(call, &run->buffers[b], cbi_run_bytes(run, b));
    return good;
}

static bool has_calls(const cbi_plan *plan) {
    for (int step = 0; step < 2; step++) {
        const cbi_program *program = step == 0 ? &plan->forward : &plan->backward;
        for (int i = 0; i < program->count; i++)
            if (program->list[i].code == CBI_RUN_CALL)
                return true;
    }
    return false;
}

static cb_status run_with_tapes(const cb_call *call, cbi_run *run, bool backward) {
    cb_scan *scan = cbi_application_of(call)->scan;
    run->tapes = has_calls(run->plan) ? cbi_take_tapes(scan, run->threads + 1) : NULL;
    if (run->tapes == NULL && has_calls(run->plan)) {
        cbi_tape_fail(cb_tape_of(call->out), CB_ERROR_MEMORY, "scan \"%s\": out of memory",
                      scan->name);
        return CB_ERROR_MEMORY;
    }
    for (int i = 0; run->tapes != NULL && i < run->tapes->count; i++)
        run->tapes->tapes[i]->evaluating = cb_tape_of(call->out)->evaluating;
    cb_status status = backward ? cbi_run_backward(run) : cbi_run_forward(run);
    if (status != CB_OK)
        cbi_tape_fail(cb_tape_of(call->out), status, "scan \"%s\": %s", scan->name,
                      run->tapes->message);
    cbi_give_tapes(scan, run->tapes);
    run->tapes = NULL;
    return status;
}

cb_status cbi_scan_pass(const cb_call *call, cbi_run *run, bool backward, char **sums) {
    pile counted = {NULL, 0}, given = {NULL, 0};
    run->threads = cb_threads(); /* another thread may set it while the pass runs */
    if (!give_lasting(call, run))
        return CB_ERROR_MEMORY;
    lay_out(run, backward, &counted);
    given.memory = cbi_tape_pass_memory(cb_tape_of(call->out), counted.used);
    if (given.memory == NULL)
        return CB_ERROR_MEMORY;
    char *memory = lay_out(run, backward, &given);
    if (sums != NULL)
        *sums = memory;
    return run_with_tapes(call, run, backward);
}
