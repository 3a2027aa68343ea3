/* Sums regrouped so that what can leave the recurrence is as few of their terms as can be.

   A cell is written (x W' + b) + (h U' + c). As it stands, b is added to all rows of x W' outside
   of the recurrence, and c in it; each has a gradient that is a sum over all rows. The terms are
   collected and added up as (x W' + h U') + (b + c): rows from outside, what follows the state, and
   what all rows share. That changes the order of a sum, and with it no more than its rounding.

   The step is applied anew on its tape, with its sums in the other order. */
#include "autograd/scan/graph.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>

enum { MOST_TERMS = 32, MOST_INPUTS = 64 };

/* The terms of a sum: computed outside for each row, following the state, shared by all rows. */
enum { ROWS, FOLLOWING, SHARED, SORTS };
typedef struct terms {
    cb_tensor *list[SORTS][MOST_TERMS];
    int count[SORTS];
} terms;

static bool is_sum(const cb_tensor *t) {
    return t->node->op == &cb_add_op.op;
}

static bool has_rows(const cbi_graph *graph, const cb_tensor *t) {
    return t->rank > 0 && t->shape[0] == graph->batch;
}

/* Collects the terms of a sum. False when there are too many. */
static bool collect(const cbi_graph *graph, cb_tensor *t, terms *all) {
    if (is_sum(t))
        return collect(graph, t->node->in[0], all) && collect(graph, t->node->in[1], all);
    int sort = cbi_follows_state(graph, t->node) ? FOLLOWING : has_rows(graph, t) ? ROWS : SHARED;
    if (all->count[sort] == MOST_TERMS)
        return false;
    all->list[sort][all->count[sort]++] = t;
    return true;
}

static cb_tensor *regrouped_sum(cbi_graph *graph, cb_tensor *t) {
    terms all = {.count = {0}};
    cb_tensor *sum = NULL;
    if (!collect(graph, t, &all))
        return NULL;
    graph->counts.regrouped += all.count[ROWS] + all.count[FOLLOWING] + all.count[SHARED] > 2;
    for (int sort = 0; sort < SORTS; sort++) {
        cb_tensor *part = NULL;
        for (int i = 0; i < all.count[sort]; i++) {
            cb_tensor *term = cbi_regroup(graph, all.list[sort][i]);
            part = part == NULL ? term : cb_add(part, term);
        }
        sum = sum == NULL || part == NULL ? (sum == NULL ? part : sum) : cb_add(sum, part);
    }
    return sum;
}

cb_tensor *cbi_regroup(cbi_graph *graph, cb_tensor *t) {
    cb_node *node = t->node;
    cb_tensor *in[MOST_INPUTS], *made = NULL;
    if (node->op == NULL || node->count > MOST_INPUTS || !cbi_follows_state(graph, node))
        return t;
    if (node->regrouped != NULL)
        return node->regrouped;
    if (is_sum(t))
        made = regrouped_sum(graph, t);
    bool changed = false;
    for (int i = 0; made == NULL && i < node->count; i++) {
        in[i] = cbi_regroup(graph, node->in[i]);
        changed = changed || in[i] != node->in[i];
    }
    if (made == NULL)
        made = changed ? cb_apply(node->op, node->count, in, node->options) : t;
    return node->regrouped = made;
}
