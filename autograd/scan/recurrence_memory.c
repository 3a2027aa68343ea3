/* Where the values of a running recurrence lie. */
#include "autograd/scan/recurrence_internal.h"

int64_t cbi_element_size(const cbi_recurrence *run) {
    return (int64_t)cb_dtype_size(run->plan->graph->dtype);
}

int64_t cbi_time_of(const cbi_recurrence *run, int64_t step) {
    return run->reverse ? run->time - 1 - step : step;
}

/* How many steps of a buffer there is memory for. */
static int64_t slots_of(const cbi_recurrence *run, const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return 1;
    case CBI_TWO_STEPS:
        return 2;
    case CBI_ALL_STEPS:
        return run->keep ? run->time : 1;
    case CBI_ALL_STATES:
        return run->keep || buffer->index == 0 ? run->time + 1 : 2;
    case CBI_GIVEN:
        return run->time + 1;
    case CBI_OUTSIDE:
        break;
    }
    return 0;
}

/* Whether kept buffers lie where the backward pass will write over them. Where that is the memory
   of a gradient, it is not there yet in the forward pass. */
static bool reuses(const cbi_recurrence *run) {
    return run->keep && run->row_of != NULL;
}

cbi_place cbi_at_home(const cbi_recurrence *run, cbi_place place) {
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    if (buffer->home >= 0 && reuses(run)) {
        place.buffer = buffer->home;
        place.column += buffer->home_column;
    }
    return place;
}

bool cbi_recurrence_overwrites(const cbi_recurrence *run) {
    bool any = false;
    for (int b = 0; b < run->plan->buffer_count; b++)
        any = any || run->plan->buffers[b].home >= 0;
    return any && reuses(run);
}

bool cbi_recurrence_is_backward(const cbi_recurrence *run, int buffer) {
    for (int b = 0; b < run->plan->buffer_count && reuses(run); b++)
        if (run->plan->buffers[b].home == buffer)
            return false;
    return run->plan->buffers[buffer].backward;
}

size_t cbi_recurrence_bytes(const cbi_recurrence *run, int buffer) {
    const cbi_buffer *b = &run->plan->buffers[buffer];
    if (b->home >= 0 && reuses(run))
        return 0;
    if (b->span == CBI_OUTSIDE || b->span == CBI_GIVEN || (b->backward && !run->keep))
        return 0;
    return (size_t)(slots_of(run, b) * run->batch * b->columns * cbi_element_size(run));
}

char *cbi_buffer_at(const cbi_recurrence *run, cbi_place place, int64_t step) {
    place = cbi_at_home(run, place);
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    int64_t slots = slots_of(run, buffer), slot = slots == 1 ? 0 : (step + place.later) % slots;
    if (run->reverse && buffer->span != CBI_TWO_STEPS && slots >= run->time)
        slot = slots - 1 - slot;
    char *base =
        buffer->span == CBI_GIVEN ? (char *)(uintptr_t)run->given : run->buffers[place.buffer];
    return base + (slot * run->batch * buffer->columns + place.column) * cbi_element_size(run);
}

cbi_operand cbi_locate(const cbi_tile *t, cbi_place place) {
    const cbi_recurrence *run = t->run;
    int64_t size = cbi_element_size(run);
    if (place.buffer == CBI_REGISTER)
        return (cbi_operand){t->registers + place.column * size, 0, false};
    if (place.buffer == CBI_SHARED)
        return (cbi_operand){(char *)run->imports[place.name]->data + place.column * size, 0,
                             false};
    place = cbi_at_home(run, place);
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    int64_t stride = buffer->columns * size;
    if (buffer->span != CBI_OUTSIDE)
        return (cbi_operand){cbi_buffer_at(run, place, t->step), stride, false};
    char *base = (char *)run->imports[buffer->index]->data + place.column * size;
    if (run->row_of == NULL)
        base += cbi_time_of(run, t->step) * run->batch * stride;
    return (cbi_operand){base, stride, run->row_of != NULL};
}

int cbi_recurrence_rows_buffer(const cbi_plan *plan, int import) {
    const cbi_import *i = &plan->graph->imports[import];
    if (!i->rows || i->gradient_count != 1)
        return -1;
    cbi_place place = cbi_plan_place(plan, i->gradients[0], 1);
    const cbi_buffer *buffer = place.buffer >= 0 ? &plan->buffers[place.buffer] : NULL;
    bool whole = buffer != NULL && buffer->span == CBI_ALL_STEPS && buffer->backward &&
                 place.column == 0 &&
                 buffer->columns == plan->graph->values[i->gradients[0]].columns;
    return whole ? place.buffer : -1;
}
