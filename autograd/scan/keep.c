/* What is kept for the backward step and what is computed again.

   The backward step starts from its results and asks for what they are computed from. A forward
   value that it asks for is either kept for all time steps, or computed again there, when that
   takes one elementwise op on what is at hand anyway: states, imports and the new states (tanh of a
   cell state). States are always kept. What neither step asks for is not computed at all. */
#include "autograd/scan/plan_internal.h"

bool cbi_is_given(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_of(p, v)->kind;
    return kind == CBI_IMPORT || kind == CBI_STATE || kind == CBI_CONSTANT || kind == CBI_SEED;
}

/* Whether a forward value can be computed from what the backward step has anyway. */
static bool is_cheap(const cbi_planner *p, int v) {
    if (cbi_value_of(p, v)->kind != CBI_ELEMENTWISE)
        return false;
    for (int k = 0; k < cbi_value_of(p, v)->count; k++) {
        int from = cbi_whole_of(p, cbi_value_of(p, v)->in[k]);
        if (!cbi_is_given(p, from) && cbi_number_of_next(p->graph, from) < 0)
            return false;
    }
    return true;
}

static void need_inputs(cbi_planner *p, int v, int pass) {
    for (int k = 0; k < cbi_value_of(p, v)->count; k++)
        p->live[pass][cbi_value_of(p, v)->in[k]] = true;
}

void cbi_find_kept(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++) {
        p->live[0][graph->next[i]] = true;
        if (graph->state_gradient[i] >= 0)
            p->live[1][graph->state_gradient[i]] = true;
    }
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count; k++)
            p->live[1][graph->imports[i].gradients[k]] = true;
    for (int v = graph->value_count - 1; v >= 0; v--) {
        if (!p->live[1][v])
            continue;
        bool computed = v >= graph->forward_count || cbi_value_of(p, v)->kind == CBI_PART ||
                        (!p->lasting[v] && is_cheap(p, v) && cbi_number_of_next(graph, v) < 0);
        if (computed)
            need_inputs(p, v, 1);
        else if (!cbi_is_given(p, v) && cbi_number_of_next(graph, v) < 0)
            p->kept[v] = p->live[0][v] = true;
    }
    for (int v = graph->forward_count - 1; v >= 0; v--)
        if (p->live[0][v])
            need_inputs(p, v, 0);
}

/* Whether a given value is copied to memory of the plan's own: an import or a constant that a
   product multiplies, or that a sum after the loop reads. Those read rows as they lie, one after
   the other; an import's rows may be looked up, and a constant has none. */
static bool is_copied(const cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_of(p, v);
    if (value->kind != CBI_CONSTANT && (value->kind != CBI_IMPORT || !value->rows))
        return false;
    if (p->pass == 1 && p->lasting[v])
        return true;
    for (int u = v + 1; u < p->graph->value_count; u++)
        if (cbi_value_of(p, u)->kind == CBI_PRODUCT && cbi_is_computed(p, u) &&
            cbi_whole_of(p, cbi_value_of(p, u)->in[0]) == v)
            return true;
    return false;
}

/* Whether a value is computed in the present pass, and not only read or an alias. */
bool cbi_is_computed(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_of(p, v)->kind;
    if (!p->live[p->pass][v] || kind == CBI_PART || kind == CBI_BATCH_PRODUCT ||
        kind == CBI_BATCH_SUM)
        return false;
    if (cbi_is_given(p, v))
        return kind == CBI_SEED || is_copied(p, v);
    return p->pass == 0 || v >= p->graph->forward_count ||
           (!p->kept[v] && cbi_number_of_next(p->graph, v) < 0);
}
