/* Building a graph, value by value. Equal values are one value (common subexpressions); constants
   fold; sums with 0, products with 0 and 1, and parts of joins disappear. */
#include "autograd/scan/graph.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <string.h>

void cbi_graph_free(cbi_graph *graph) {
    if (graph == NULL)
        return;
    for (int i = 0; i < graph->value_count; i++)
        cbi_free(graph->values[i].in);
    cbi_free(graph->values);
    for (int i = 0; i < graph->import_count; i++)
        cbi_free(graph->imports[i].gradients);
    cbi_free(graph->imports);
    cbi_free(graph->weights);
    cb_tape_free(graph->trace);
    cbi_free(graph);
}

static bool same_inputs(const cbi_value *a, const cbi_value *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->in, b->in, sizeof(int) * (size_t)a->count) == 0);
}

static bool same_value(const cbi_value *a, const cbi_value *b) {
    return a->kind == b->kind && a->rows == b->rows && a->columns == b->columns &&
           a->index == b->index && a->start == b->start && a->op == b->op &&
           a->parameters[0] == b->parameters[0] && a->parameters[1] == b->parameters[1] &&
           same_inputs(a, b);
}

static bool is_constant(const cbi_graph *graph, int value, double number) {
    return graph->values[value].kind == CBI_CONSTANT &&
           graph->values[value].parameters[0] == number;
}

/* Whether an input can stand for a result of these columns and rows. */
static bool stands_for(const cbi_graph *graph, int input, const cbi_value *result) {
    return graph->values[input].columns == result->columns &&
           graph->values[input].rows == result->rows;
}

/* The value that an elementwise one reduces to, or -1 when it does not. */
static int simplify_elementwise(cbi_graph *graph, const cbi_value *v) {
    const cbi_elementwise *op = v->op;
    if (op == &cb_full_like_op)
        return cbi_graph_add(
            graph,
            (cbi_value){.kind = CBI_CONSTANT, .columns = 1, .parameters = {v->parameters[0]}});
    if ((op == &cb_scale_op && v->parameters[0] == 1) ||
        (op == &cb_shift_op && v->parameters[0] == 0))
        return v->in[0];
    for (int k = 0; k < 2 && v->count == 2; k++) {
        int other = v->in[1 - k];
        if ((op == &cb_mul_op && is_constant(graph, v->in[k], 0)))
            return v->in[k];
        if (stands_for(graph, other, v) && ((op == &cb_mul_op && is_constant(graph, v->in[k], 1)) ||
                                            (op == &cb_add_op && is_constant(graph, v->in[k], 0))))
            return other;
    }
    for (int k = 0; k < v->count; k++)
        if (graph->values[v->in[k]].kind != CBI_CONSTANT)
            return -1;
    /* All operands are constants: compute the one element here. */
    double operands[3], result;
    const void *in[3];
    for (int k = 0; k < v->count; k++) {
        operands[k] = graph->values[v->in[k]].parameters[0];
        in[k] = &operands[k];
    }
    op->kernels[CB_F64](1, &result, in, v->parameters);
    return cbi_graph_add(graph,
                         (cbi_value){.kind = CBI_CONSTANT, .columns = 1, .parameters = {result}});
}

/* The value that a part reduces to, or -1. */
static int simplify_part(cbi_graph *graph, const cbi_value *v) {
    const cbi_value *whole = &graph->values[v->in[0]];
    if (v->start == 0 && v->columns == whole->columns)
        return v->in[0];
    if (whole->kind == CBI_CONSTANT)
        return v->in[0];
    if (whole->kind == CBI_PART) {
        cbi_value part = *v;
        part.start += whole->start;
        part.in = whole->in;
        return cbi_graph_add(graph, part);
    }
    int64_t at = 0;
    for (int k = 0; whole->kind == CBI_JOIN && k < whole->count; k++) {
        int64_t columns = graph->values[whole->in[k]].columns;
        if (v->start >= at && v->start + v->columns <= at + columns) {
            cbi_value part = *v;
            int input = whole->in[k];
            part.start -= at;
            part.in = &input;
            return cbi_graph_add(graph, part);
        }
        at += columns;
    }
    return -1;
}

static int simplify(cbi_graph *graph, const cbi_value *v) {
    switch (v->kind) {
    case CBI_ELEMENTWISE:
        return simplify_elementwise(graph, v);
    case CBI_PART:
        return simplify_part(graph, v);
    case CBI_JOIN:
        return v->count == 1 ? v->in[0] : -1;
    default:
        return -1;
    }
}

int cbi_graph_add(cbi_graph *graph, cbi_value value) {
    for (int k = 0; k < value.count; k++)
        if (value.in[k] < 0)
            return -1;
    int simpler = simplify(graph, &value);
    if (simpler >= 0)
        return simpler;
    for (int i = 0; i < graph->value_count; i++)
        if (same_value(&graph->values[i], &value))
            return i;
    if (graph->value_count == graph->value_room) {
        int room = graph->value_room == 0 ? 64 : 2 * graph->value_room;
        cbi_value *values = cbi_allocate(sizeof(*values) * (size_t)room);
        if (values == NULL)
            return -1;
        if (graph->value_count > 0)
            memcpy(values, graph->values, sizeof(*values) * (size_t)graph->value_count);
        cbi_free(graph->values);
        graph->values = values;
        graph->value_room = room;
    }
    if (value.count > 0) {
        int *in = cbi_allocate(sizeof(int) * (size_t)value.count);
        if (in == NULL)
            return -1;
        memcpy(in, value.in, sizeof(int) * (size_t)value.count);
        value.in = in;
    }
    graph->values[graph->value_count] = value;
    return graph->value_count++;
}
