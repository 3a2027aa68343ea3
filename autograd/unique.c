/* Common subexpressions of a trace. An op applied once more to the same inputs is the tensor that
   it gave the first time: a cell may compute the same product for each of its gates, and it is one
   product. */
#include "autograd/tape_internal.h"

#include <string.h>

/* Chains of nodes by what they are computed from. */
enum { CHAINS = 256 };

/* Whether two inputs have the same elements: they are one, or filled with one number. */
static bool same_input(const cb_node *a, const cb_node *b) {
    return a == b ||
           (a->filled && b->filled && cb_tensor_same_shape(&a->tensor, &b->tensor) &&
            a->tensor.dtype == b->tensor.dtype && memcmp(&a->fill, &b->fill, sizeof(a->fill)) == 0);
}

bool cbi_options_equal(const cb_op *op, const void *a, const void *b) {
    return op->options_size == 0 ||
           (op->options_equal != NULL ? op->options_equal(a, b)
                                      : memcmp(a, b, op->options_size) == 0);
}

static bool same(const cb_node *a, const cb_node *b) {
    if (a->op != b->op || a->count != b->count || a->requires_grad != b->requires_grad)
        return false;
    for (int i = 0; i < a->count; i++)
        if (!same_input(a->in[i]->node, b->in[i]->node))
            return false;
    return cbi_options_equal(a->op, a->options, b->options);
}

static size_t chain_of(const cb_node *node) {
    uintptr_t sum = (uintptr_t)node->op;
    for (int i = 0; i < node->count; i++)
        if (!node->in[i]->node->filled)
            sum = sum * 31 + (uintptr_t)node->in[i]->node;
    return (sum / 16 + sum / 4096) % CHAINS;
}

cb_node *cbi_trace_unique(cb_node *node) {
    cb_tape *tape = node->tape;
    if (tape->chains == NULL) {
        tape->chains = cbi_arena_allocate(&tape->arena, sizeof(cb_node *) * CHAINS);
        if (tape->chains == NULL) /* a repeated op costs no more than time */
            return node;
        memset(tape->chains, 0, sizeof(cb_node *) * CHAINS);
    }
    cb_node **chain = &tape->chains[chain_of(node)];
    for (cb_node *other = *chain; other != NULL; other = other->in_chain)
        if (same(other, node)) {
            tape->repeated++;
            return other;
        }
    node->in_chain = *chain;
    *chain = node;
    return node;
}
