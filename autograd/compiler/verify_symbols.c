/* What each element of each value is, when all that only moves elements is looked through. */
#include "autograd/compiler/verify_internal.h"

#include "tensor/memory.h"

#include <string.h>

static const cbi_value *value_at(const cbi_plan_verifier *v, int value) {
    return &v->graph->values[value];
}

cbi_symbol cbi_number_symbol(cbi_plan_verifier *v, cb_dtype dtype, double number) {
    double stored = 0, loaded;
    cbi_store(dtype, &stored, number);
    loaded = cbi_load(dtype, &stored);
    int at = 0; /* by their bits: 0 and -0 are two numbers */
    while (at < v->number_count && memcmp(&v->numbers[at], &loaded, sizeof(loaded)) != 0)
        at++;
    if (at == v->number_count) {
        if (!cbi_grow(&v->numbers, &v->number_room, at + 1, sizeof(*v->numbers))) {
            v->failed = true;
            return CBI_NOTHING;
        }
        v->numbers[v->number_count++] = loaded;
    }
    return cbi_symbol_new(CBI_A_NUMBER, 0, at);
}

/* The next element along a view: the last index first. */
static int64_t next(const cbi_view *view, int64_t *index, int64_t at) {
    for (int i = view->rank - 1; i >= 0; i--) {
        at += view->stride[i];
        if (++index[i] < view->shape[i])
            return at;
        at -= view->stride[i] * view->shape[i];
        index[i] = 0;
    }
    return at;
}

/* The elements of an operand: of a number, one, which stands for all. */
typedef struct elements {
    const cbi_symbol *list;
    cbi_symbol number;
} elements;

static elements elements_of(cbi_plan_verifier *v, int value) {
    const cbi_value *operand = value_at(v, value);
    if (operand->kind != CBI_CONSTANT)
        return (elements){.list = v->symbols[value]};
    return (elements){.number = cbi_number_symbol(v, operand->type.dtype, operand->parameters[0])};
}

static cbi_symbol element_at(const elements *e, int64_t at) {
    return e->list != NULL ? e->list[at] : e->number;
}

static void look_through_view(cbi_plan_verifier *v, int value, int64_t count) {
    const cbi_value *view = value_at(v, value);
    elements from = elements_of(v, view->in[0]);
    int64_t index[CB_MAX_RANK] = {0}, at = view->view.offset;
    for (int64_t e = 0; e < count; e++, at = next(&view->view, index, at))
        v->symbols[value][e] = element_at(&from, at);
}

static void look_through_concat(cbi_plan_verifier *v, int value, int64_t count) {
    const cbi_value *concat = value_at(v, value);
    cbi_symbol fill = cbi_number_symbol(v, concat->type.dtype, concat->parameters[0]);
    for (int64_t e = 0; e < count; e++)
        v->symbols[value][e] = fill;
    for (int k = 0; k < concat->count; k++) {
        const cbi_view *place = &concat->places[k];
        elements from = elements_of(v, concat->in[k]);
        int64_t index[CB_MAX_RANK] = {0}, at = place->offset, pieces = cbi_view_count(place);
        for (int64_t e = 0; e < pieces; e++, at = next(place, index, at))
            v->symbols[value][at] = element_at(&from, e);
    }
}

static void look_through_copy(cbi_plan_verifier *v, int value, int64_t count) {
    elements from = elements_of(v, value_at(v, value)->in[0]);
    for (int64_t e = 0; e < count; e++)
        v->symbols[value][e] = element_at(&from, e);
}

static void find_symbols_of(cbi_plan_verifier *v, int value, int64_t count) {
    switch (value_at(v, value)->kind) {
    case CBI_VIEW:
        look_through_view(v, value, count);
        return;
    case CBI_CONCAT:
        look_through_concat(v, value, count);
        return;
    case CBI_COPY:
        look_through_copy(v, value, count);
        return;
    default:
        for (int64_t e = 0; e < count; e++)
            v->symbols[value][e] = cbi_value_symbol(value, e);
        return;
    }
}

static void note_leaf(cbi_plan_verifier *v, int value) {
    const cbi_value *leaf = value_at(v, value);
    bool passes = leaf->kind == CBI_COTANGENT && leaf->index < v->graph->state_count;
    v->moves[value] = passes || leaf->kind == CBI_CAPTURED || leaf->kind == CBI_STATE;
    if (leaf->kind == CBI_CAPTURED)
        v->captured[leaf->index] = value;
    else if (leaf->kind == CBI_ROW_INPUT)
        v->row_inputs[leaf->index] = value;
    else if (leaf->kind == CBI_COTANGENT)
        v->cotangents[leaf->index] = value;
}

bool cbi_find_symbols(cbi_plan_verifier *v) {
    const cbi_graph *graph = v->graph;
    v->symbols = cbi_verifier_memory(v, sizeof(*v->symbols) * (size_t)graph->value_count);
    v->moves = cbi_verifier_memory(v, (size_t)graph->value_count);
    v->captured = cbi_verifier_memory(v, sizeof(int) * (size_t)graph->captured_count);
    v->row_inputs = cbi_verifier_memory(v, sizeof(int) * (size_t)graph->row_input_count);
    v->cotangents = cbi_verifier_memory(v, sizeof(int) * (size_t)graph->output_count);
    for (int value = 0; value < graph->value_count && !v->failed; value++) {
        cbi_kind kind = value_at(v, value)->kind;
        if (kind == CBI_BATCH_PRODUCT || kind == CBI_BATCH_SUM || kind == CBI_CONSTANT)
            continue;
        int64_t count = cbi_graph_count(graph, value);
        v->symbols[value] = cbi_verifier_memory(v, sizeof(cbi_symbol) * (size_t)count);
        if (!v->failed)
            find_symbols_of(v, value, count);
        note_leaf(v, value);
    }
    return !v->failed;
}

/* ---- At a step ------------------------------------------------------------------------------- */

/* A state is what the step before has left, a cotangent what the step after has; captured tensors
   are of no step. */
static cbi_symbol of_another_step(cbi_plan_verifier *v, cbi_symbol symbol, int step) {
    const cbi_value *value = value_at(v, cbi_symbol_value(symbol));
    int64_t element = cbi_symbol_element(symbol);
    if (value->kind == CBI_CAPTURED || (value->kind == CBI_STATE && step == 0))
        return symbol;
    if (value->kind == CBI_STATE)
        return cbi_symbol_of(v, v->graph->outputs[value->index].value, element, step - 1);
    if (value->index > 0)
        return cbi_incoming_symbol(v, value->index, element, step);
    return symbol + cbi_symbol_new(0, step, 0);
}

cbi_symbol cbi_symbol_of(cbi_plan_verifier *v, int value, int64_t element, int step) {
    const cbi_value *operand = value_at(v, value);
    cbi_symbol symbol = operand->kind == CBI_CONSTANT
                            ? cbi_number_symbol(v, operand->type.dtype, operand->parameters[0])
                            : v->symbols[value][element];
    int of = cbi_symbol_value(symbol);
    if (of < 0)
        return symbol;
    return v->moves[of] ? of_another_step(v, symbol, step) : symbol + cbi_symbol_new(0, step, 0);
}

cbi_symbol cbi_incoming_symbol(cbi_plan_verifier *v, int state, int64_t element, int step) {
    int gradient = v->graph->outputs[state].gradient;
    if (step == CBI_VERIFIED_STEPS - 1)
        return cbi_symbol_new(CBI_FINAL, state % (1 << CBI_STEP_BITS), element);
    if (gradient < 0)
        return cbi_number_symbol(v, CB_F64, 0);
    return cbi_symbol_of(v, gradient, element, step + 1);
}
