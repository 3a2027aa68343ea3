/* Whether a step does the same at every call: it is traced once more, for another number of
   sequences, and both traces are compared op by op.

   What a trace cannot show otherwise is found out that way: a number that was computed from the
   batch's extent, a branch on it, random numbers, a counter of the step's own. */
#include "autograd/scan/graph.h"
#include "autograd/tape_internal.h"

#include <stddef.h>
#include <string.h>

/* Whether an extent, or a number that may be one, is the same in both traces. One that is the
   batch's stand-in in both is not the batch's. */
static bool same_extent(cbi_graph *graph, int64_t a, int64_t b) {
    graph->collides = graph->collides || (a == graph->batch && b == graph->batch);
    return a == graph->batch ? b == graph->other_batch : a == b;
}

static bool same_shape(cbi_graph *graph, const cb_tensor *a, const cb_tensor *b) {
    bool same = a->rank == b->rank && a->dtype == b->dtype;
    for (int i = 0; same && i < a->rank; i++)
        same = same_extent(graph, a->shape[i], b->shape[i]);
    return same;
}

static int64_t number_at(const void *options, size_t i) {
    int64_t number;
    memcpy(&number, (const char *)options + i * sizeof(number), sizeof(number));
    return number;
}

void cbi_fit_options(const cbi_graph *graph, const cb_node *node, int64_t batch, void *options) {
    memcpy(options, node->options, node->op->options_size);
    for (size_t i = 0; i < node->op->options_size / sizeof(int64_t); i++)
        if (number_at(options, i) == graph->batch)
            memcpy((char *)options + i * sizeof(int64_t), &batch, sizeof(batch));
}

static bool same_options(cbi_graph *graph, const cb_node *a, const cb_node *b) {
    _Alignas(max_align_t) char fitted[CBI_GRAPH_OPTIONS];
    if (a->op->options_size == 0)
        return true;
    if (a->op->options_size > sizeof(fitted))
        return false;
    for (size_t i = 0; i < a->op->options_size / sizeof(int64_t); i++)
        (void)same_extent(graph, number_at(a->options, i), number_at(b->options, i));
    cbi_fit_options(graph, a, graph->other_batch, fitted);
    return cbi_options_equal(a->op, fitted, b->options);
}

static bool same(cbi_graph *graph, cb_node *a, cb_node *b) {
    if (a->twin != NULL)
        return a->twin == b;
    a->twin = b;
    if (a->op != b->op || a->count != b->count || !same_shape(graph, &a->tensor, &b->tensor))
        return false;
    if (a->op == NULL) /* what was given is paired before; others are numbers or from outside */
        return a->filled && b->filled ? memcmp(&a->fill, &b->fill, sizeof(a->fill)) == 0
                                      : a->tensor.data == b->tensor.data;
    if (!same_options(graph, a, b))
        return false;
    for (int i = 0; i < a->count; i++)
        if (!same(graph, a->in[i]->node, b->in[i]->node))
            return false;
    return true;
}

/* Symbols for the other trace, each paired with that of the first. */
static cb_tensor *pair(const cbi_graph *graph, cb_tape *tape, cb_tensor *first) {
    int64_t shape[CB_MAX_RANK];
    for (int i = 0; i < first->rank; i++)
        shape[i] = first->shape[i] == graph->batch ? graph->other_batch : first->shape[i];
    cb_tensor *other = cbi_symbol(tape, first->dtype, first->rank, shape);
    first->node->twin = other->node;
    return other;
}

bool cbi_step_repeats(cbi_graph *graph, cbi_step *step, cb_tensor *const *next) {
    cb_tape *tape = cbi_tape_new_symbolic();
    cb_tensor *weights[CBI_GRAPH_WEIGHTS] = {NULL}, *state[CBI_GRAPH_STATES],
              *other[CBI_GRAPH_STATES] = {NULL};
    if (tape == NULL) {
        cbi_tape_fail(graph->trace, CB_ERROR_MEMORY, "out of memory");
        return false;
    }
    cb_tensor *x = pair(graph, tape, graph->x);
    for (int i = 0; i < graph->weight_count; i++)
        if (graph->weights[i] != NULL)
            weights[i] = pair(graph, tape, graph->weights[i]);
    for (int i = 0; i < graph->state_count; i++)
        state[i] = pair(graph, tape, graph->state[i]);
    step(weights, x, state, other);
    bool repeats = cb_tape_status(tape) == CB_OK;
    if (cb_tape_status(tape) == CB_ERROR_MEMORY)
        cbi_tape_fail(graph->trace, CB_ERROR_MEMORY, "out of memory");
    for (int i = 0; repeats && i < graph->state_count; i++)
        repeats =
            next[i] == NULL || other[i] == NULL
                ? next[i] == other[i]
                : cb_tape_of(next[i]) != graph->trace ||
                      (cb_tape_of(other[i]) == tape && same(graph, next[i]->node, other[i]->node));
    cb_tape_free(tape);
    return repeats;
}
