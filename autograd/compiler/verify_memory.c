/* Memory in thought: what each 4 bytes of a row of each buffer hold, at each of a few steps. */
#include "autograd/compiler/verify_internal.h"

#include <string.h>

static bool is_outside(const cbi_buffer *buffer) {
    return buffer->span == CBI_GIVEN_ROWS || buffer->span == CBI_GIVEN_OUTPUT;
}

static int slots_of(const cbi_plan_verifier *v, const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return 1;
    case CBI_TWO_STEPS:
        return 2;
    case CBI_ALL_STEPS:
        return v->keep ? CBI_VERIFIED_STEPS : 1;
    case CBI_ALL_STATES:
        return v->keep || buffer->index == 0 ? CBI_VERIFIED_STEPS + 1 : 2;
    default:
        return CBI_VERIFIED_STEPS;
    }
}

cbi_place cbi_verified_home(const cbi_plan_verifier *v, cbi_place place) {
    if (place.buffer < 0 || place.buffer >= v->plan->buffer_count)
        return place;
    const cbi_buffer *buffer = &v->plan->buffers[place.buffer];
    if (buffer->home >= 0 && v->keep) {
        place.buffer = buffer->home;
        place.offset += buffer->home_offset;
    }
    return place;
}

int64_t cbi_verified_row_bytes(const cbi_plan_verifier *v, cbi_place place) {
    return v->plan->buffers[cbi_verified_home(v, place).buffer].bytes;
}

/* The cells of a buffer's row at a step. */
static cbi_symbol *row_of(const cbi_plan_verifier *v, cbi_place place, int step) {
    const cbi_buffer *buffer = &v->plan->buffers[place.buffer];
    int slot = (step + place.later) % slots_of(v, buffer);
    return v->cells[place.buffer] + slot * ((buffer->bytes + CBI_CELL - 1) / CBI_CELL);
}

void cbi_forget_registers(cbi_plan_verifier *v) {
    memset(v->registers, CBI_NOTHING, sizeof(*v->registers) * (size_t)v->register_cells);
}

/* Initial states, in the forward pass, and gradients of last states, before the backward one. */
static void begin_states(cbi_plan_verifier *v) {
    const cbi_graph *graph = v->graph;
    for (int i = 0; i < graph->state_count; i++) {
        cb_dtype dtype = graph->outputs[i].type.dtype;
        int64_t size = (int64_t)cb_dtype_size(dtype), count = cbi_count_of(&graph->outputs[i].type);
        cbi_place state = {.buffer = v->plan->state_buffer[i]};
        cbi_place gradient = {.buffer = v->plan->gradient_buffer[i]};
        int of_state = -1;
        for (int value = 0; value < graph->value_count; value++)
            if (graph->values[value].kind == CBI_STATE && graph->values[value].index == i)
                of_state = value;
        for (int64_t e = 0; e < count; e++) {
            row_of(v, state, 0)[e * size / CBI_CELL] = cbi_value_symbol(of_state, e);
            row_of(v, gradient, CBI_VERIFIED_STEPS)[e * size / CBI_CELL] =
                cbi_symbol_new(CBI_FINAL, i % (1 << CBI_STEP_BITS), e);
        }
    }
}

bool cbi_make_cells(cbi_plan_verifier *v) {
    const cbi_plan *plan = v->plan;
    int64_t registers = plan->forward.register_bytes > plan->backward.register_bytes
                            ? plan->forward.register_bytes
                            : plan->backward.register_bytes;
    v->register_cells = registers / CBI_CELL + 1;
    v->registers = cbi_verifier_memory(v, sizeof(cbi_symbol) * (size_t)v->register_cells);
    v->cells = cbi_verifier_memory(v, sizeof(*v->cells) * (size_t)plan->buffer_count);
    for (int b = 0; b < plan->buffer_count && !v->failed; b++) {
        const cbi_buffer *buffer = &plan->buffers[b];
        if (is_outside(buffer))
            continue;
        int64_t count = slots_of(v, buffer) * ((buffer->bytes + CBI_CELL - 1) / CBI_CELL);
        v->cells[b] = cbi_verifier_memory(v, sizeof(cbi_symbol) * (size_t)count);
    }
    if (!v->failed)
        begin_states(v);
    return !v->failed;
}

/* ---- Reading and writing --------------------------------------------------------------------- */

/* What the caller gives, which is there at each step. */
static cbi_symbol given_symbol(const cbi_plan_verifier *v, const cbi_buffer *buffer) {
    if (buffer->span == CBI_GIVEN_ROWS)
        return cbi_symbol_new(CBI_FIRST_VALUE + v->row_inputs[buffer->index], v->step, 0);
    return buffer->index < v->graph->state_count
               ? cbi_symbol_new(CBI_GIVEN, v->step, 0)
               : cbi_symbol_new(CBI_FIRST_VALUE + v->cotangents[buffer->index], v->step, 0);
}

/* Memory of the plan's, from a place on, and how many bytes of a row there are in all. */
static bool find_cells(cbi_plan_verifier *v, cbi_place place, cbi_source *source, int64_t *offset,
                       int64_t *bytes) {
    if (place.buffer == CBI_REGISTER) { /* behind them are those of the next row */
        const cbi_program *program = v->backward ? &v->plan->backward : &v->plan->forward;
        *offset = place.offset;
        *bytes = program->register_bytes;
        source->cells = v->registers + place.offset / CBI_CELL;
        return true;
    }
    if (place.buffer < 0 || place.buffer >= v->plan->buffer_count)
        return cbi_plan_wrong(v, "an operand that has no place");
    place = cbi_verified_home(v, place);
    *offset = place.offset;
    *bytes = v->plan->buffers[place.buffer].bytes;
    source->cells = row_of(v, place, v->step) + place.offset / CBI_CELL;
    return true;
}

/* What is read only: captured tensors, numbers, what the caller gives. */
static bool find_given(cbi_plan_verifier *v, cbi_place place, int64_t size, cb_dtype dtype,
                       cbi_source *source, int64_t *bytes) {
    uint64_t first = (uint64_t)(place.offset / size);
    if (place.buffer == CBI_SHARED) {
        *bytes = cbi_count_of(&v->graph->captured[place.name].type) * size;
        source->first = cbi_value_symbol(v->captured[place.name], 0) + first;
        return true;
    }
    if (place.buffer == CBI_NUMBER) {
        double number = cbi_load(dtype, &v->plan->numbers[place.name]);
        *bytes = size;
        source->first = cbi_number_symbol(v, dtype, number);
        source->single = true;
        return true;
    }
    if (place.buffer < 0 || place.buffer >= v->plan->buffer_count ||
        !is_outside(&v->plan->buffers[place.buffer]))
        return false;
    *bytes = v->plan->buffers[place.buffer].bytes;
    source->first = given_symbol(v, &v->plan->buffers[place.buffer]) + first;
    return true;
}

bool cbi_find_source(cbi_plan_verifier *v, cbi_place place, int64_t begin, int64_t end,
                     cb_dtype dtype, bool written, cbi_source *source) {
    int64_t size = (int64_t)cb_dtype_size(dtype), offset = place.offset, bytes = 0;
    *source = (cbi_source){.cells = NULL};
    bool given = find_given(v, place, size, dtype, source, &bytes);
    if (given && written)
        return cbi_plan_wrong(v, "a result in memory that is only read");
    if (!given && !find_cells(v, place, source, &offset, &bytes))
        return false;
    return (offset + begin >= 0 && offset % size == 0 && offset + end <= bytes) ||
           cbi_plan_wrong(v, "bytes %lld to %lld of a row of buffer %d, which has %lld",
                          (long long)(offset + begin), (long long)(offset + end), place.buffer,
                          (long long)bytes);
}
