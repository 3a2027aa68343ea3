/* Hoisting: what does not depend on the state leaves the recurrence.

   A traced tensor from which no path leads down to a state before the step, or to a seed of its
   gradient, is the same whatever the recurrence does. It is not read into the graph: it becomes an
   import, which is computed on the ordinary tape, for all time steps at once; see imports.c, where
   it is also computed on a table of which the inputs are rows. */
#include "autograd/scan/graph.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <string.h>

bool cbi_follows_state(const cbi_graph *graph, cb_node *node) {
    if (node->follows == 0) {
        bool follows = false;
        for (int i = 0; i < graph->state_count && node->op == NULL; i++)
            follows = follows || node == graph->state[i]->node ||
                      (graph->seed[i] != NULL && node == graph->seed[i]->node);
        for (int i = 0; i < node->count && !follows; i++)
            follows = cbi_follows_state(graph, node->in[i]->node);
        node->follows = follows ? 2 : 1;
    }
    return node->follows == 2;
}

int cbi_graph_import(cbi_graph *graph, cb_tensor *traced, bool rows, int64_t columns) {
    int at = 0;
    while (at < graph->import_count && graph->imports[at].traced != traced)
        at++;
    if (at == graph->import_count) {
        cbi_import *imports = cbi_allocate(sizeof(*imports) * (size_t)(at + 1));
        if (imports == NULL)
            return -1;
        if (at > 0)
            memcpy(imports, graph->imports, sizeof(*imports) * (size_t)at);
        cbi_free(graph->imports);
        graph->imports = imports;
        graph->imports[graph->import_count++] = (cbi_import){.traced = traced, .rows = rows};
    }
    return cbi_graph_add(
        graph, (cbi_value){.kind = CBI_IMPORT, .rows = rows, .columns = columns, .index = at});
}
