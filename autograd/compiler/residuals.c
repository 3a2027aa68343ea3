/* Residuals: what is kept for the backward step, and what is computed again.

   The backward step starts from its results and asks for what they are computed from. A forward
   value that it asks for is kept for all steps, or computed again when that is cheap: one
   elementwise op on what is at hand anyway, states, inputs and the new states (tanh of a cell
   state), or several where they blow up a few numbers to many (an outer product). Of what would be
   kept after that, a value is computed again when it takes no more than two ops on the rest of it
   (1 - f where f is kept): memory is slower than they are. States are always kept. What neither
   step asks for is not computed at all. */
#include "autograd/compiler/call_site.h"
#include "autograd/compiler/plan_internal.h"

enum {
    DEEPEST = 6, /* ops in a row that are computed again where they blow up a few numbers */
    NEAREST = 2, /* ops in a row from what is kept */
};

static bool is_at_hand(const cbi_planner *p, int v) {
    return cbi_is_given(p, v) || cbi_is_left(p, v);
}

/* An op on each element, or an outer product. */
static bool is_quick(const cbi_value *value) {
    return value->kind == CBI_COPY || (value->kind == CBI_CONTRACT && value->k == 1) ||
           (value->kind == CBI_ELEMENTWISE && !cbi_algebra_of(value->op)->slow);
}

/* Whether a value can be computed from what the backward step has anyway, by so many ops in a row;
   adds up the elements that it is computed from. */
static bool is_computable(const cbi_planner *p, int v, int depth, int64_t *read) {
    const cbi_value *value = cbi_value_at(p, v);
    if (depth == 0 || !is_quick(value))
        return false;
    for (int k = 0; k < value->count; k++) {
        int from = cbi_whole_of(p, value->in[k]);
        if (is_at_hand(p, from))
            *read += cbi_is_constant(p->graph, from) ? 0 : cbi_graph_count(p->graph, from);
        else if (!is_computable(p, from, depth - 1, read))
            return false;
    }
    return true;
}

static bool is_cheap(const cbi_planner *p, int v) {
    int64_t read = 0;
    if (is_computable(p, v, 1, &read))
        return true;
    read = 0;
    return is_computable(p, v, DEEPEST, &read) && cbi_graph_count(p->graph, v) >= 2 * read;
}

static void need_inputs(cbi_planner *p, int v, int step) {
    for (int k = 0; k < cbi_value_at(p, v)->count; k++)
        p->live[step][cbi_value_at(p, v)->in[k]] = true;
}

/* What is read after the loop: the operands of products that form gradients. */
static void find_lasting(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    for (int v = 0; v < graph->value_count; v++)
        for (int k = 0; cbi_value_at(p, v)->kind == CBI_BATCH_PRODUCT && p->live[1][v] &&
                        k < cbi_value_at(p, v)->count;
             k++)
            p->lasting[cbi_whole_of(p, cbi_value_at(p, v)->in[k])] = true;
}

static void want_results(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->output_count; i++) {
        p->live[0][graph->outputs[i].value] = true;
        if (graph->outputs[i].gradient >= 0)
            p->live[1][graph->outputs[i].gradient] = true;
    }
    for (int i = 0; i < graph->row_input_count; i++)
        if (graph->row_inputs[i].gradient >= 0)
            p->live[1][graph->row_inputs[i].gradient] = true;
    for (int i = 0; i < graph->captured_count; i++)
        for (int k = 0; k < graph->captured[i].term_count; k++)
            p->live[1][graph->captured[i].terms[k].value] = true;
}

/* Whether a value is computed from all rows, or once for all. */
static bool sees_all_rows(const cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    if (cbi_is_given(p, v) || cbi_is_deferred(p, v) || value->kind == CBI_VIEW)
        return false;
    return !value->type.rows || (value->kind == CBI_CALL && !value->call->by_rows);
}

void cbi_find_whole(cbi_planner *p) {
    for (int v = 0; v < p->graph->value_count; v++)
        p->plan->whole = p->plan->whole || sees_all_rows(p, v);
    for (int i = 0; i < p->graph->captured_count; i++)
        for (int k = 0; k < p->graph->captured[i].term_count; k++)
            p->plan->whole =
                p->plan->whole || !cbi_is_deferred(p, p->graph->captured[i].terms[k].value);
    p->changes = p->plan->whole;
}

/* ---- What can be computed from other residuals ----------------------------------------------- */

/* Whether the backward step has a forward value: it is given, left, kept, or computed again. */
static bool is_had(const cbi_planner *p, int v) {
    return is_at_hand(p, v) || p->kept[v] || (p->live[1][v] && v < p->graph->forward_count);
}

/* Whether so many ops in a row compute a value from what the backward step has. */
static bool is_near(const cbi_planner *p, int v, int depth) {
    const cbi_value *value = cbi_value_at(p, v);
    bool near = depth > 0 && is_quick(value);
    for (int k = 0; near && k < value->count; k++) {
        int from = cbi_whole_of(p, value->in[k]);
        near = is_had(p, from) || is_near(p, from, depth - 1);
    }
    return near;
}

/* Makes the backward step compute a value again, and what it lacks for that. */
static void compute_again(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    p->kept[v] = false;
    for (int k = 0; k < value->count; k++) {
        int from = cbi_whole_of(p, value->in[k]);
        if (!is_had(p, from))
            compute_again(p, from);
        p->live[1][value->in[k]] = p->live[1][from] = true;
    }
}

/* In the order of the values, so that those that others are computed from come first. */
static void keep_fewer(cbi_planner *p) {
    for (int v = 0; v < p->graph->forward_count; v++)
        if (p->kept[v] && !p->lasting[v] && is_near(p, v, NEAREST)) {
            compute_again(p, v);
            p->changes--;
        }
}

void cbi_choose_residuals(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    want_results(p);
    for (int v = graph->value_count - 1; v >= 0; v--) {
        if (!p->live[1][v])
            continue;
        if (cbi_value_at(p, v)->kind == CBI_BATCH_PRODUCT)
            find_lasting(p);
        bool computed = v >= graph->forward_count || cbi_value_at(p, v)->kind == CBI_VIEW ||
                        (!p->lasting[v] && is_cheap(p, v) && !cbi_is_left(p, v));
        if (computed)
            need_inputs(p, v, 1);
        else if (!cbi_is_given(p, v) && !cbi_is_left(p, v))
            p->kept[v] = true;
        p->changes += p->kept[v];
    }
    keep_fewer(p);
    for (int v = graph->forward_count - 1; v >= 0; v--) {
        p->live[0][v] = p->live[0][v] || p->kept[v];
        if (p->live[0][v])
            need_inputs(p, v, 0);
    }
}

bool cbi_is_computed(const cbi_planner *p, int v) {
    if (!p->live[p->step][v] || cbi_value_at(p, v)->kind == CBI_VIEW || cbi_is_given(p, v) ||
        cbi_is_deferred(p, v))
        return false;
    return p->step == 0 || v >= p->graph->forward_count || (!p->kept[v] && !cbi_is_left(p, v));
}
