/* Narrowing: what is computed over a wide row and then read part by part is computed part by part.

   A cell adds up the inputs of all its gates in one go and takes the gates from the sum. Row by
   row, that sum is four or eight times as wide as everything after it, and would push the rest out
   of the L1 cache; of each part, what passes from one instruction to the next stays there. */
#include "autograd/scan/graph.h"

#include "tensor/memory.h"

/* Whether a use of `from` by v can do with a part of it. */
static bool takes_part(const cbi_graph *graph, const bool *narrow, int v, int from) {
    const cbi_value *user = &graph->values[v], *value = &graph->values[from];
    return user->kind == CBI_PART ||
           (narrow[v] && user->columns == value->columns && value->columns > 1);
}

/* Marks elementwise values of which only parts are used. */
static void find_narrow(cbi_graph *graph, const int *uses, bool *narrow) {
    for (int v = graph->value_count - 1; v >= 0; v--) {
        if (graph->values[v].kind != CBI_ELEMENTWISE || !graph->values[v].rows)
            continue;
        int by_parts = 0;
        for (int user = v + 1; user < graph->value_count; user++)
            for (int k = 0; uses[user] > 0 && k < graph->values[user].count; k++)
                by_parts += graph->values[user].in[k] == v && takes_part(graph, narrow, user, v);
        narrow[v] = uses[v] > 0 && by_parts == uses[v];
        graph->counts.narrowed += narrow[v];
    }
}

/* Columns [start, start + columns) of an old value, in the new graph. */
static int part_of(cbi_rewrite *rewrite, int old, int64_t start, int64_t columns) {
    const bool *narrow = rewrite->context;
    cbi_value value = rewrite->old[old];
    int in[CBI_GRAPH_INPUTS];
    if (!narrow[old]) {
        in[0] = rewrite->number[old];
        return cbi_graph_add(rewrite->graph, (cbi_value){.kind = CBI_PART,
                                                         .rows = value.rows,
                                                         .columns = columns,
                                                         .count = 1,
                                                         .in = in,
                                                         .start = start});
    }
    for (int k = 0; k < value.count; k++) {
        int from = value.in[k];
        in[k] = rewrite->old[from].columns == value.columns
                    ? part_of(rewrite, from, start, columns)
                    : rewrite->number[from]; /* one column, for all of them */
        if (in[k] < 0)
            return -1;
    }
    value.in = in;
    value.columns = columns;
    return cbi_graph_add(rewrite->graph, value);
}

static int replace(cbi_rewrite *rewrite, int old) {
    const cbi_value *value = &rewrite->old[old];
    const bool *narrow = rewrite->context;
    if (value->kind == CBI_PART && narrow[value->in[0]])
        return part_of(rewrite, value->in[0], value->start, value->columns);
    return cbi_rewrite_copy(rewrite, old);
}

bool cbi_graph_narrow(cbi_graph *graph) {
    size_t count = (size_t)graph->value_count + 1;
    int *uses = cbi_allocate(count * (sizeof(int) + sizeof(bool)));
    if (uses == NULL)
        return false;
    bool *narrow = (bool *)(uses + count);
    cbi_graph_count_uses(graph, uses);
    find_narrow(graph, uses, narrow);
    bool done = cbi_graph_rewrite(graph, replace, narrow) && cbi_graph_drop_dead(graph);
    cbi_free(uses);
    return done;
}
