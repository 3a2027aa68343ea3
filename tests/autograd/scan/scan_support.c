/* Tracing small bodies and looking at graphs. */
#include "scan_support.h"

#include <criterion/criterion.h>

enum { MOST_WEIGHTS = 32, MOST_VALUES = 4096 };

cbi_graph *traced(cbi_step *step, int64_t input, int64_t hidden, int states, int weights,
                  int64_t (*shapes)[2]) {
    cb_tensor *w[MOST_WEIGHTS] = {NULL};
    int64_t sizes[CBI_GRAPH_STATES];
    for (int i = 0; i < CBI_GRAPH_STATES; i++)
        sizes[i] = hidden;
    for (int i = 0; i < weights; i++)
        w[i] = cb_tensor_new(CB_F64, shapes[i][1] > 0 ? 2 : 1, shapes[i]);
    cbi_graph *graph = cbi_graph_trace(step, CB_F64, input, states, sizes, weights, w);
    for (int i = 0; i < weights; i++)
        cb_tensor_free(w[i]);
    cr_assert_not_null(graph);
    cr_assert_str_eq(graph->reason, "");
    return graph;
}

/* The number of the k-th live value of a kind, -1 when there are not so many. */
static int find(cbi_graph *graph, int pass, cbi_kind kind, int k) {
    int uses[MOST_VALUES];
    cr_assert_lt(graph->value_count, MOST_VALUES);
    cbi_graph_count_uses(graph, uses);
    for (int v = 0; v < graph->value_count; v++)
        if (uses[v] > 0 && graph->values[v].kind == kind &&
            (v < graph->forward_count) == (pass == 0) && k-- == 0)
            return v;
    return -1;
}

int live_count(cbi_graph *graph, int pass, cbi_kind kind) {
    int count = 0;
    while (find(graph, pass, kind, count) >= 0)
        count++;
    return count;
}

const cbi_value *live_value(cbi_graph *graph, int pass, cbi_kind kind, int k) {
    int v = find(graph, pass, kind, k);
    cr_assert_geq(v, 0, "there is no such value");
    return &graph->values[v];
}

int64_t matrix_extent(const cbi_graph *graph, int value, int axis) {
    return graph->imports[graph->values[value].index].traced->shape[axis];
}
