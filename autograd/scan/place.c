/* Planning memory: which buffer, and which columns of it, each value lies in.

   States and their gradients have buffers of their own. What is kept, or stays for the sums after
   the loop, lies in a buffer for all time steps; what crosses from one program into the next in a
   buffer for one step; all the rest in registers, rows that only the running program sees. The
   pieces of a join are computed where the join lies, so that joining costs nothing: columns of one
   buffer. Where all the pieces stay, the join is what stays. */
#include "autograd/scan/plan_internal.h"

#include "tensor/memory.h"

#include <string.h>

int cbi_buffer_new(cbi_planner *p, cbi_span span, int64_t columns, int index) {
    cbi_plan *plan = p->plan;
    if (plan->buffer_count == plan->buffer_room) {
        int room = plan->buffer_room == 0 ? 32 : 2 * plan->buffer_room;
        cbi_buffer *buffers = cbi_allocate(sizeof(*buffers) * (size_t)room);
        if (buffers == NULL) {
            p->failed = true;
            return 0;
        }
        if (plan->buffer_count > 0)
            memcpy(buffers, plan->buffers, sizeof(*buffers) * (size_t)plan->buffer_count);
        cbi_free(plan->buffers);
        plan->buffers = buffers;
        plan->buffer_room = room;
    }
    plan->buffers[plan->buffer_count] = (cbi_buffer){span, columns, index, p->pass == 1, -1, 0};
    return plan->buffer_count++;
}

cbi_place cbi_plan_place(const cbi_plan *plan, int value, int pass) {
    int64_t column = 0;
    while (plan->graph->values[value].kind == CBI_PART) {
        column += plan->graph->values[value].start;
        value = plan->graph->values[value].in[0];
    }
    cbi_place place = plan->place[pass][value];
    place.column += column;
    return place;
}

/* Of imports, states, and in the backward pass of what the forward pass has left. */
cbi_place cbi_given_place(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_of(p, v);
    int next = cbi_number_of_next(p->graph, v);
    switch (value->kind) {
    case CBI_IMPORT:
        if (!value->rows)
            return (cbi_place){CBI_SHARED, 0, value->index, 0};
        for (int b = 0; b < p->plan->buffer_count; b++)
            if (p->plan->buffers[b].span == CBI_OUTSIDE &&
                p->plan->buffers[b].index == value->index)
                return (cbi_place){b, 0, 0, 0};
        return (cbi_place){cbi_buffer_new(p, CBI_OUTSIDE, value->columns, value->index), 0, 0, 0};
    case CBI_STATE:
        return (cbi_place){p->plan->state_buffer[value->index], 0, 0, 0};
    case CBI_SEED:
        return (cbi_place){p->plan->gradient_buffer[value->index], 1, 0, 0};
    default:
        if (p->pass == 1 && v < p->graph->forward_count && p->kept[v])
            return p->plan->place[0][v];
        if (p->pass == 1 && next >= 0)
            return (cbi_place){p->plan->state_buffer[next], 1, 0, 0};
        return (cbi_place){CBI_UNPLACED, 0, 0, 0};
    }
}

/* Whether a value of the present pass stays for all steps. */
static bool stays(const cbi_planner *p, int v) {
    return p->pass == 0 ? p->kept[v] : p->lasting[v];
}

/* Whether all pieces of a join stay, and can lie in it. */
static bool pieces_stay(const cbi_planner *p, int v) {
    bool stay = cbi_value_of(p, v)->kind == CBI_JOIN;
    for (int k = 0; stay && k < cbi_value_of(p, v)->count; k++) {
        int piece = cbi_value_of(p, v)->in[k];
        stay = cbi_is_computed(p, piece) && stays(p, piece) &&
               (p->pass == 1 || cbi_number_of_next(p->graph, piece) < 0) &&
               p->plan->place[p->pass][piece].buffer == CBI_UNPLACED;
    }
    return stay;
}

/* Where a computed value is written. */
static cbi_place place_computed(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_of(p, v);
    bool keep = stays(p, v) || pieces_stay(p, v);
    for (int i = 0; i < p->graph->state_count && !keep; i++) {
        if (p->pass == 0 && p->graph->next[i] == v)
            return (cbi_place){p->plan->state_buffer[i], 1, 0, 0};
        if (p->pass == 1 && p->graph->state_gradient[i] == v)
            return (cbi_place){p->plan->gradient_buffer[i], 0, 0, 0};
    }
    if (keep)
        return (cbi_place){cbi_buffer_new(p, CBI_ALL_STEPS, value->columns, -1), 0, 0, 0};
    if (value->kind == CBI_JOIN || value->kind == CBI_PRODUCT || p->crosses[v])
        return (cbi_place){cbi_buffer_new(p, CBI_ONE_STEP, value->columns, -1), 0, 0, 0};
    return (cbi_place){CBI_REGISTER, 0, v, 0};
}

/* Pieces of a join are written where the join lies, if they are computed and lie nowhere yet. */
static void place_pieces(cbi_planner *p, int v) {
    cbi_place at = p->plan->place[p->pass][v];
    if (p->failed)
        return;
    bool join_stays =
        at.buffer >= 0 && p->plan->buffers[at.buffer].span == CBI_ALL_STEPS && pieces_stay(p, v);
    for (int k = 0; k < cbi_value_of(p, v)->count; k++) {
        int piece = cbi_value_of(p, v)->in[k];
        cbi_place *place = &p->plan->place[p->pass][piece];
        bool lasts = (stays(p, piece) && !join_stays) ||
                     (p->pass == 0 && cbi_number_of_next(p->graph, piece) >= 0);
        if (cbi_is_computed(p, piece) && place->buffer == CBI_UNPLACED && !lasts)
            *place = at;
        at.column += cbi_value_of(p, piece)->columns;
    }
}

void cbi_find_places(cbi_planner *p) {
    cbi_place *place = p->plan->place[p->pass];
    for (int v = 0; v < p->graph->value_count; v++)
        place[v] = (cbi_place){CBI_UNPLACED, 0, 0, 0};
    for (int v = p->graph->value_count - 1; v >= 0; v--)
        if (cbi_value_of(p, v)->kind == CBI_JOIN && cbi_is_computed(p, v)) {
            if (place[v].buffer == CBI_UNPLACED)
                place[v] = place_computed(p, v);
            place_pieces(p, v);
        }
    for (int v = 0; v < p->graph->value_count; v++) {
        if (!p->live[p->pass][v] || place[v].buffer != CBI_UNPLACED ||
            cbi_value_of(p, v)->kind == CBI_PART)
            continue;
        /* Seeds lie in their buffer, but for that of the output, which is a sum, and those that
           stay. */
        bool given_seed = cbi_value_of(p, v)->kind == CBI_SEED && cbi_value_of(p, v)->index != 0 &&
                          !p->lasting[v];
        place[v] =
            cbi_is_computed(p, v) && !given_seed ? place_computed(p, v) : cbi_given_place(p, v);
    }
}
