/* Building a graph, value by value. Equal values are one value (common subexpressions), so that a
   value that is computed twice in the source is computed once. */
#include "autograd/scan/graph.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

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
           a->index == b->index && a->start == b->start && a->across == b->across &&
           a->op == b->op && same_inputs(a, b) &&
           /* By their bits: 0 and -0 are two numbers. */
           memcmp(a->parameters, b->parameters, sizeof(a->parameters)) == 0;
}

int cbi_graph_add(cbi_graph *graph, cbi_value value) {
    for (int k = 0; k < value.count; k++)
        if (value.in[k] < 0)
            return -1;
    int simpler = cbi_graph_simpler(graph, &value);
    if (simpler >= 0) {
        graph->counts.simplified += value.kind == CBI_ELEMENTWISE;
        return simpler;
    }
    for (int i = 0; i < graph->value_count; i++)
        if (same_value(&graph->values[i], &value)) {
            graph->counts.equal += value.count > 0 && value.kind != CBI_PART;
            return i;
        }
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
    if (value.count == 0) {
        value.in = NULL;
    } else {
        int *in = cbi_allocate(sizeof(int) * (size_t)value.count);
        if (in == NULL)
            return -1;
        memcpy(in, value.in, sizeof(int) * (size_t)value.count);
        value.in = in;
    }
    graph->values[graph->value_count] = value;
    return graph->value_count++;
}
