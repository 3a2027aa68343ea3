/* Buffer assignment: which buffer, and which bytes of its rows, each value lies in.

   States and their cotangents have buffers of their own. Residuals, and what a product reads after
   the loop, lie in a buffer for all steps; what crosses from one stage into the next in a buffer
   for one step; all the rest in registers, rows that only the running stage sees. The pieces of a
   concatenation are computed where it lies, so that it costs nothing. Where all its pieces are
   kept, it is the concatenation that is. */
#include "autograd/compiler/faults.h"
#include "autograd/compiler/plan_internal.h"

#include "tensor/memory.h"

static const cbi_place nowhere = {.buffer = CBI_UNPLACED};

static int64_t type_bytes(const cbi_type *type) {
    return cbi_count_of(type) * (int64_t)cb_dtype_size(type->dtype);
}

int cbi_buffer_new(cbi_planner *p, cbi_span span, const cbi_type *type, int index) {
    cbi_plan *plan = p->plan;
    if (!cbi_grow(&plan->buffers, &plan->buffer_room, plan->buffer_count + 1,
                  sizeof(*plan->buffers))) {
        p->failed = true;
        return 0;
    }
    plan->buffers[plan->buffer_count] = (cbi_buffer){.span = span,
                                                     .dtype = type->dtype,
                                                     .bytes = type_bytes(type),
                                                     .index = index,
                                                     .shared = !type->rows,
                                                     .backward = p->step == 1,
                                                     .home = -1};
    p->changes++;
    return plan->buffer_count++;
}

void cbi_make_state_buffers(cbi_planner *p) {
    for (int i = 0; i < p->graph->state_count; i++) {
        const cbi_type *type = &p->graph->outputs[i].type;
        p->step = 0;
        p->plan->state_buffer[i] = cbi_buffer_new(p, CBI_ALL_STATES, type, i);
        p->step = 1;
        p->plan->gradient_buffer[i] = cbi_buffer_new(p, CBI_TWO_STEPS, type, i);
    }
}

cbi_place cbi_plan_place(const cbi_plan *plan, int value, int step) {
    const cbi_value *v = &plan->graph->values[value];
    cbi_place place = plan->place[step][v->kind == CBI_VIEW ? v->in[0] : value];
    if (v->kind == CBI_VIEW)
        place.offset += v->view.offset * (int64_t)cb_dtype_size(v->type.dtype);
    return place;
}

cbi_place cbi_outside(cbi_planner *p, cbi_span span, const cbi_type *type, int index) {
    for (int b = 0; b < p->plan->buffer_count; b++)
        if (p->plan->buffers[b].span == span && p->plan->buffers[b].index == index)
            return (cbi_place){.buffer = b};
    return (cbi_place){.buffer = cbi_buffer_new(p, span, type, index)};
}

static int number_of(cbi_planner *p, const cbi_value *constant) {
    cbi_plan *plan = p->plan;
    if (!cbi_grow(&plan->numbers, &plan->number_room, plan->number_count + 1,
                  sizeof(*plan->numbers))) {
        p->failed = true;
        return 0;
    }
    cbi_store(constant->type.dtype, &plan->numbers[plan->number_count], constant->parameters[0]);
    return plan->number_count++;
}

/* Where an output is after the step. */
static cbi_place place_of_output(cbi_planner *p, int output) {
    if (output < p->graph->state_count)
        return (cbi_place){.buffer = p->plan->state_buffer[output], .later = 1};
    return cbi_outside(p, CBI_LEFT_OUTPUT, &p->graph->outputs[output].type, output);
}

/* What is there before the step, and in the backward step what the forward step has left. */
static cbi_place place_given(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    int output = cbi_output_of(p->graph, v);
    switch (value->kind) {
    case CBI_CAPTURED:
        return (cbi_place){.buffer = CBI_SHARED, .name = value->index};
    case CBI_CONSTANT:
        return (cbi_place){.buffer = CBI_NUMBER, .name = number_of(p, value)};
    case CBI_ROW_INPUT:
        return cbi_outside(p, CBI_GIVEN_ROWS, &p->graph->row_inputs[value->index].type,
                           value->index);
    case CBI_STATE:
        return (cbi_place){.buffer = p->plan->state_buffer[value->index]};
    case CBI_COTANGENT: /* of a state: from the step after, to which the given one was added */
        if (value->index < p->graph->state_count)
            return (cbi_place){.buffer = p->plan->gradient_buffer[value->index], .later = 1};
        return cbi_outside(p, CBI_GIVEN_OUTPUT, &p->graph->outputs[value->index].type,
                           value->index);
    default:
        if (p->step == 1 && v < p->graph->forward_count && p->kept[v])
            return p->plan->place[0][v];
        return p->step == 1 && cbi_is_left(p, v) ? place_of_output(p, output) : nowhere;
    }
}

/* Whether a value of the present step stays for all steps. */
static bool stays(const cbi_planner *p, int v) {
    return p->step == 0 ? p->kept[v] : p->lasting[v];
}

static bool is_unplaced(const cbi_planner *p, int v) {
    return p->plan->place[p->step][v].buffer == CBI_UNPLACED;
}

/* Whether pieces can be computed in a concatenation's place: what fills the rest of it comes after
   them, and must know where they are. */
static bool takes_pieces(const cbi_value *concat) {
    int64_t left = cbi_count_of(&concat->type);
    bool runs = true;
    for (int k = 0; k < concat->count; k++) {
        runs = runs && cbi_view_is_run(&concat->places[k]);
        left -= cbi_view_count(&concat->places[k]);
    }
    return runs || left == 0;
}

/* Whether a piece of a concatenation can be computed where the concatenation lies. */
static bool is_piece(const cbi_planner *p, int concat, int k) {
    const cbi_value *v = cbi_value_at(p, concat);
    int piece = v->in[k];
    bool computed = cbi_is_computed(p, piece) || (CBI_FAULT(CBI_FAULT_GIVEN_PIECE) &&
                                                  cbi_value_at(p, piece)->kind == CBI_COTANGENT);
    return takes_pieces(v) && computed && is_unplaced(p, piece) &&
           cbi_value_at(p, piece)->type.rows == v->type.rows && cbi_view_is_run(&v->places[k]) &&
           (p->step == 1 || cbi_output_of(p->graph, piece) < 0);
}

/* Whether all pieces of a concatenation stay, and can lie in it. */
static bool pieces_stay(const cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    int64_t left = cbi_count_of(&value->type);
    bool stay = value->kind == CBI_CONCAT;
    for (int k = 0; stay && k < value->count; k++) {
        stay = stays(p, value->in[k]) && is_piece(p, v, k);
        left -= cbi_view_count(&value->places[k]);
    }
    return stay && left == 0;
}

/* Where a result of the backward step that a value is may be computed: its cotangent's buffer, or
   the caller's. */
static cbi_place place_of_gradient(cbi_planner *p, int v) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++)
        if (graph->outputs[i].gradient == v)
            return (cbi_place){.buffer = p->plan->gradient_buffer[i]};
    for (int i = 0; i < graph->row_input_count; i++)
        if (graph->row_inputs[i].gradient == v)
            return cbi_outside(p, CBI_LEFT_GRADIENT, &graph->row_inputs[i].type, i);
    return nowhere;
}

/* Where a computed value is written. */
static cbi_place place_computed(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    int output = p->step == 0 && !p->kept[v] ? cbi_output_of(p->graph, v) : -1;
    cbi_place gradient = p->step == 1 && value->type.rows ? place_of_gradient(p, v) : nowhere;
    bool left = gradient.buffer >= 0 && p->plan->buffers[gradient.buffer].span == CBI_LEFT_GRADIENT;
    bool keep = stays(p, v) || pieces_stay(p, v);
    if (output >= 0 && value->type.rows)
        return place_of_output(p, output);
    if (gradient.buffer >= 0 && (!keep || left)) /* the caller's is there for all steps, too */
        return gradient;
    cbi_span span = keep ? CBI_ALL_STEPS : CBI_ONE_STEP;
    if (!keep && value->kind != CBI_CONCAT && !cbi_is_barrier(p, v) &&
        (!p->crosses[v] || CBI_FAULT(CBI_FAULT_REGISTER_OF_STAGE)))
        return (cbi_place){.buffer = CBI_REGISTER, .name = v};
    return (cbi_place){.buffer = cbi_buffer_new(p, span, &value->type, -1)};
}

/* Pieces of a concatenation are computed where it lies, if they lie nowhere yet. */
static void place_pieces(cbi_planner *p, int v) {
    cbi_place at = p->plan->place[p->step][v];
    const cbi_value *value = cbi_value_at(p, v);
    if (p->failed || at.buffer < 0)
        return;
    cbi_span span = p->plan->buffers[at.buffer].span;
    /* Where rows see each other, states are not what was computed, see cbi_is_left. */
    bool all_stay = span != CBI_ONE_STEP && span != CBI_TWO_STEPS &&
                    (span != CBI_ALL_STATES || !p->plan->whole);
    for (int k = 0; k < value->count; k++) {
        cbi_place place = at;
        place.offset += value->places[k].offset * (int64_t)cb_dtype_size(value->type.dtype);
        if (is_piece(p, v, k) && (!stays(p, value->in[k]) || all_stay))
            p->plan->place[p->step][value->in[k]] = place;
    }
}

static bool is_live(const cbi_planner *p, int v) {
    return p->live[p->step][v] && cbi_value_at(p, v)->kind != CBI_VIEW && !cbi_is_deferred(p, v);
}

void cbi_assign_buffers(cbi_planner *p) {
    int count = p->graph->value_count;
    cbi_place *place = p->plan->place[p->step];
    for (int v = 0; v < count; v++)
        place[v] = nowhere;
    for (int v = count - 1; v >= 0 && !p->failed; v--)
        if (cbi_value_at(p, v)->kind == CBI_CONCAT && cbi_is_computed(p, v)) {
            if (place[v].buffer == CBI_UNPLACED)
                place[v] = place_computed(p, v);
            place_pieces(p, v);
        }
    for (int v = 0; v < count && !p->failed; v++)
        if (is_live(p, v) && place[v].buffer == CBI_UNPLACED)
            place[v] = cbi_is_computed(p, v) ? place_computed(p, v) : place_given(p, v);
}
