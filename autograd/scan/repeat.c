/* Whether a step does the same at every call: it is traced once more, for another number of
   sequences, and both traces are compared op by op.

   What a trace cannot show otherwise is found out that way: a number that was computed from the
   batch's extent, a branch on it, random numbers, a counter of the step's own. */
#include "autograd/scan/graph.h"
#include "autograd/tape_internal.h"

#include <stddef.h>
#include <string.h>

/* The other extent: a prime too. */
enum { OTHER_BATCH = 100019 };

static bool same_extent(int64_t a, int64_t b) {
    return a == CBI_BATCH ? b == OTHER_BATCH : a == b;
}

static bool same_shape(const cb_tensor *a, const cb_tensor *b) {
    bool same = a->rank == b->rank && a->dtype == b->dtype;
    for (int i = 0; same && i < a->rank; i++)
        same = same_extent(a->shape[i], b->shape[i]);
    return same;
}

void cbi_fit_options(const cb_node *node, int64_t batch, void *options) {
    char *at = options;
    memcpy(options, node->options, node->op->options_size);
    for (size_t i = 0; i < node->op->options_size / sizeof(int64_t); i++, at += sizeof(int64_t)) {
        int64_t extent;
        memcpy(&extent, at, sizeof(extent));
        if (extent == CBI_BATCH)
            memcpy(at, &batch, sizeof(batch));
    }
}

static bool same_options(const cb_node *a, const cb_node *b) {
    _Alignas(max_align_t) char fitted[CBI_GRAPH_OPTIONS];
    if (a->op->options_size == 0)
        return true;
    if (a->op->options_size > sizeof(fitted))
        return false;
    cbi_fit_options(a, OTHER_BATCH, fitted);
    return cbi_options_equal(a->op, fitted, b->options);
}

static bool same(cb_node *a, cb_node *b) {
    if (a->twin != NULL)
        return a->twin == b;
    a->twin = b;
    if (a->op != b->op || a->count != b->count || !same_shape(&a->tensor, &b->tensor))
        return false;
    if (a->op == NULL) /* what was given is paired before; others are numbers or from outside */
        return a->filled && b->filled ? memcmp(&a->fill, &b->fill, sizeof(a->fill)) == 0
                                      : a->tensor.data == b->tensor.data;
    if (!same_options(a, b))
        return false;
    for (int i = 0; i < a->count; i++)
        if (!same(a->in[i]->node, b->in[i]->node))
            return false;
    return true;
}

/* Symbols for the other trace, each paired with that of the first. */
static cb_tensor *pair(cb_tape *tape, cb_tensor *first) {
    int64_t shape[CB_MAX_RANK];
    for (int i = 0; i < first->rank; i++)
        shape[i] = first->shape[i] == CBI_BATCH ? OTHER_BATCH : first->shape[i];
    cb_tensor *other = cbi_symbol(tape, first->dtype, first->rank, shape);
    first->node->twin = other->node;
    return other;
}

bool cbi_step_repeats(cbi_graph *graph, cbi_step *step, cb_tensor *const *next) {
    cb_tape *tape = cbi_tape_new_symbolic();
    cb_tensor *weights[CBI_GRAPH_WEIGHTS] = {NULL}, *state[CBI_GRAPH_STATES],
              *other[CBI_GRAPH_STATES] = {NULL};
    if (tape == NULL)
        return false;
    cb_tensor *x = pair(tape, graph->x);
    for (int i = 0; i < graph->weight_count; i++)
        if (graph->weights[i] != NULL)
            weights[i] = pair(tape, graph->weights[i]);
    for (int i = 0; i < graph->state_count; i++)
        state[i] = pair(tape, graph->state[i]);
    step(weights, x, state, other);
    bool repeats = cb_tape_status(tape) == CB_OK;
    for (int i = 0; repeats && i < graph->state_count; i++)
        repeats = next[i] == NULL || other[i] == NULL
                      ? next[i] == other[i]
                      : cb_tape_of(next[i]) != graph->trace ||
                            (cb_tape_of(other[i]) == tape && same(next[i]->node, other[i]->node));
    cb_tape_free(tape);
    return repeats;
}
