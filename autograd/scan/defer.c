/* Deferring sums over the batch: the gradients of matrices and vectors.

   A step's share of a matrix's gradient is a' g, summed over the batch. Formed step by step, each
   share would be a small product that reads and writes the whole gradient. Instead the loop leaves
   a and g of all steps behind, and one product over all rows of all steps forms the sum after it.
   Here the operands of such sums are marked: they stay for all steps. So do the gradients of
   imports with rows, which leave the loop as they are. */
#include "autograd/scan/plan_internal.h"

void cbi_find_deferred(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count && graph->imports[i].rows; k++)
            p->lasting[cbi_whole_of(p, graph->imports[i].gradients[k])] = true;
    for (int v = 0; v < graph->value_count; v++)
        if (cbi_value_of(p, v)->kind == CBI_BATCH_PRODUCT ||
            cbi_value_of(p, v)->kind == CBI_BATCH_SUM)
            for (int k = 0; k < cbi_value_of(p, v)->count; k++)
                p->lasting[cbi_whole_of(p, cbi_value_of(p, v)->in[k])] = true;
}
