/* Running a step on a symbolic tape, once. */
#include "autograd/compiler/traced.h"

#include <stdio.h>
#include <string.h>

/* Room for all pointers of a side, on its tape. */
static bool make_side(const cbi_signature *s, cbi_side *side, cb_tape *tape, int64_t batch) {
    size_t count = (size_t)(2 * s->state_count + s->weight_count + 1);
    cb_tensor **pointers = cbi_arena_allocate(&tape->arena, sizeof(*pointers) * count);
    if (pointers == NULL) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
        return false;
    }
    memset(pointers, 0, sizeof(*pointers) * count);
    *side = (cbi_side){.tape = tape,
                       .batch = batch,
                       .states = pointers,
                       .next = pointers + s->state_count,
                       .weights = pointers + 2 * s->state_count};
    side->x = cbi_symbol(tape, s->dtype, CB_SHAPE(batch, s->input));
    for (int i = 0; i < s->state_count; i++)
        side->states[i] = cbi_symbol(tape, s->dtype, CB_SHAPE(batch, s->state_size[i]));
    for (int i = 0; i < s->weight_count; i++)
        if (s->weights[i] != NULL)
            side->weights[i] =
                cbi_symbol(tape, s->weights[i]->dtype, s->weights[i]->rank, s->weights[i]->shape);
    return tape->status == CB_OK;
}

/* Why what the step left is of no use; NULL when it is. */
static const char *fault_of(const cbi_signature *s, const cbi_side *side) {
    for (int i = 0; i < s->state_count; i++) {
        if (side->next[i] == NULL)
            return "a state after the step is missing";
        if (cb_tape_of(side->next[i]) != side->tape)
            return "a state after the step is a tensor on another tape";
        if (!cb_tensor_same_shape(side->next[i], side->states[i]) ||
            side->next[i]->dtype != side->states[i]->dtype)
            return "a state after the step has another shape or dtype than before it";
    }
    return NULL;
}

static const char reads_elements[] =
    "the step reads elements, or sets them: what it computes may depend on them";
static const char own_generator[] =
    "the step draws from a generator of its own, which is gone when it returns: it must draw from "
    "one that lives as long as the recurrence";
const char cbi_sets_generator[] =
    "the step sets a generator itself, or draws from it by other means than an op";

/* What went wrong on the step's tape. Where the step has put a tensor on it that does not go with
   the others, that is likely because the tensor has rows for the sequences of a run. */
static const char *explained(cbi_side *side, int leaves) {
    const cb_tape *tape = side->tape;
    bool own = false;
    for (int i = leaves; i < tape->trace->count; i++)
        own = own || (tape->trace->nodes[i]->op == NULL && tape->trace->nodes[i]->tensor.rank > 0);
    if (tape->status != CB_ERROR_SHAPE || !own)
        return cb_tape_error(tape);
    snprintf(side->fault, sizeof(side->fault),
             "%.150s; a tensor that the step puts on the tape cannot have a row for each sequence: "
             "that is a state, or a part of x",
             cb_tape_error(tape));
    return side->fault;
}

const char *cbi_trace_once(const cbi_signature *s, cb_tape *tape, int64_t batch, cbi_side *side) {
    tape->evaluating = s->evaluating;
    if (!make_side(s, side, tape, batch))
        return cb_tape_error(tape);
    int leaves = tape->trace->count;
    cbi_trace_step_begins(tape->trace, __builtin_frame_address(0));
    cbi_call_step(s, side->weights, side->x, side->states, side->next);
    cbi_trace_step_ends(tape->trace);
    if (cbi_unread_was_touched(&tape->trace->unread))
        return reads_elements;
    if (tape->status != CB_OK)
        return explained(side, leaves);
    if (tape->trace->fault != CBI_TRACE_GOOD)
        return tape->trace->fault == CBI_TRACE_OWN_GENERATOR ? own_generator : cbi_sets_generator;
    const char *fault = fault_of(s, side);
    if (fault == NULL && !cbi_trace_sort(tape, leaves, s->state_count, side->next)) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
        return cb_tape_error(tape);
    }
    return fault;
}
