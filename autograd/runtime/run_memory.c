/* Where the values of a running plan lie. */
#include "autograd/runtime/run_internal.h"

int64_t cbi_time_of(const cbi_run *run, int64_t step) {
    return run->reverse ? run->steps - 1 - step : step;
}

/* How many steps of a buffer there is memory for. */
static int64_t slots_of(const cbi_run *run, const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return 1;
    case CBI_TWO_STEPS:
        return 2;
    case CBI_ALL_STEPS:
        return run->keep ? run->steps : 1;
    case CBI_ALL_STATES:
        return run->keep || buffer->index == 0 ? run->steps + 1 : 2;
    default:
        return run->steps;
    }
}

static bool is_outside(const cbi_buffer *buffer) {
    return buffer->span == CBI_GIVEN_ROWS || buffer->span == CBI_GIVEN_OUTPUT ||
           buffer->span == CBI_LEFT_OUTPUT || buffer->span == CBI_LEFT_GRADIENT;
}

cbi_place cbi_at_home(const cbi_run *run, cbi_place place) {
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    if (buffer->home >= 0 && run->keep) {
        place.buffer = buffer->home;
        place.offset += buffer->home_offset;
    }
    return place;
}

bool cbi_run_overwrites(const cbi_run *run) {
    bool any = false;
    for (int b = 0; b < run->plan->buffer_count; b++)
        any = any || run->plan->buffers[b].home >= 0;
    return any && run->keep;
}

static bool is_home(const cbi_run *run, int buffer) {
    for (int b = 0; b < run->plan->buffer_count && run->keep; b++)
        if (run->plan->buffers[b].home == buffer)
            return true;
    return false;
}

bool cbi_run_is_backward(const cbi_run *run, int buffer) {
    return run->plan->buffers[buffer].backward && !is_home(run, buffer);
}

bool cbi_run_needs_gradient(const cbi_run *run, int row_input) {
    for (int b = 0; b < run->plan->buffer_count; b++) {
        const cbi_buffer *buffer = &run->plan->buffers[b];
        if (buffer->span == CBI_LEFT_GRADIENT && buffer->index == row_input)
            return is_home(run, b);
    }
    return false;
}

size_t cbi_run_bytes(const cbi_run *run, int buffer) {
    const cbi_buffer *b = &run->plan->buffers[buffer];
    if (is_outside(b) || (b->home >= 0 && run->keep) || (b->backward && !run->keep))
        return 0;
    int64_t rows = b->span == CBI_ONE_STEP ? cbi_one_step_rows(run) : run->rows;
    return (size_t)(slots_of(run, b) * (b->shared ? 1 : rows) * b->bytes);
}

static char *outside(const cbi_run *run, const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_GIVEN_ROWS:
        return run->row_inputs[buffer->index];
    case CBI_GIVEN_OUTPUT:
        return (char *)(uintptr_t)run->given_outputs[buffer->index];
    case CBI_LEFT_OUTPUT:
        return run->left_outputs[buffer->index];
    default:
        return run->left_gradients[buffer->index];
    }
}

int64_t cbi_row_bytes(const cbi_run *run, cbi_place place) {
    const cbi_buffer *buffer = &run->plan->buffers[cbi_at_home(run, place).buffer];
    return buffer->shared ? 0 : buffer->bytes;
}

char *cbi_buffer_at(const cbi_run *run, cbi_place place, int64_t step) {
    place = cbi_at_home(run, place);
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    int64_t slots = slots_of(run, buffer), slot = slots == 1 ? 0 : (step + place.later) % slots;
    int64_t rows = buffer->shared ? 1 : run->rows;
    if (run->reverse && buffer->span != CBI_TWO_STEPS && slots >= run->steps)
        slot = slots - 1 - slot;
    char *base = is_outside(buffer) ? outside(run, buffer) : run->buffers[place.buffer];
    return base + slot * rows * buffer->bytes + place.offset;
}

cbi_address cbi_locate(const cbi_tile *t, cbi_place place) {
    const cbi_run *run = t->run;
    switch (place.buffer) {
    case CBI_REGISTER:
        return (cbi_address){t->registers + place.offset, t->program->register_bytes, false};
    case CBI_SHARED:
        return (cbi_address){(char *)run->captured[place.name]->data + place.offset, 0, false};
    case CBI_NUMBER:
        return (cbi_address){(char *)(uintptr_t)&run->plan->numbers[place.name], 0, false};
    case CBI_ACCUMULATOR:
        return (cbi_address){run->accumulators[place.name] + place.offset, 0, false};
    case CBI_UNPLACED:
        return (cbi_address){NULL, 0, false};
    default:
        break;
    }
    const cbi_buffer *buffer = &run->plan->buffers[cbi_at_home(run, place).buffer];
    bool looked_up = buffer->span == CBI_GIVEN_ROWS && run->row_of != NULL;
    if (looked_up)
        return (cbi_address){run->row_inputs[buffer->index] + place.offset, buffer->bytes, true};
    char *first = cbi_buffer_at(run, place, t->step);
    int64_t row = cbi_row_bytes(run, place);
    return (cbi_address){buffer->span == CBI_ONE_STEP ? first + t->own * row : first, row, false};
}

char *cbi_row_at(const cbi_tile *t, const cbi_address *address, int64_t row) {
    int64_t at = row;
    if (address->looked_up)
        at = t->run->row_of[cbi_time_of(t->run, t->step) * t->run->rows + row];
    return address->base + at * address->row;
}
