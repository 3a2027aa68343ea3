/* Lowering a part of a trace, from its leaves to its results. */
#include "autograd/compiler/lower_internal.h"

#include "tensor/memory.h"

#include <string.h>

static cbi_type type_of_tensor(const cb_tensor *t) {
    cbi_type type = {.dtype = t->dtype, .rank = t->rank};
    memcpy(type.shape, t->shape, sizeof(t->shape));
    return type;
}

static bool lower_leaf(cbi_lowerer *l, int node) {
    cbi_frame frame;
    const cbi_role *role = &l->roles[node];
    cbi_type type = type_of_tensor(&cbi_traced_node(l->traced, 0, node)->tensor);
    if (!cbi_frame_of(l, node, &frame))
        return false;
    int batch = cbi_batch_axis(frame.rank, frame.axis);
    if (batch >= 0) {
        type = cbi_flat_type(type.dtype, true, 1);
        type.rank = 0;
        for (int i = 0; i < frame.rank; i++)
            if (i != batch || frame.axis[i].extent > 1)
                type.shape[type.rank++] = frame.axis[i].extent;
    }
    cbi_value v = {.kind = role->kind, .type = type, .index = role->number};
    return cbi_set_value(l, cbi_graph_add(l->graph, &v), &frame);
}

static void lower_op(cbi_lowerer *l, int node) {
    cb_node *n = cbi_traced_node(l->traced, 0, node);
    cb_call call = cbi_call_of(n);
    cbi_layout map;
    if (n->op == NULL) /* no leaf of this graph: nothing is known of it */
        return;
    if (n->op->view ? cbi_layout_of(l, node, &map)
                    : n->op->lowering != NULL && n->op->lowering->lower(l, &call))
        return;
    cbi_lower_call(l, node);
}

/* Marks what the nodes are computed from. */
static void mark(const cbi_lowerer *l, bool *needed) {
    for (int i = cbi_traced_count(l->traced) - 1; i >= 0; i--) {
        const cb_node *n = cbi_traced_node(l->traced, 0, i);
        for (int k = 0; needed[i] && l->roles[i].number < 0 && k < n->count; k++)
            needed[n->in[k]->node->index] = true;
    }
}

bool cbi_lower_nodes(cbi_lowerer *l, int count, const int *nodes) {
    int all = cbi_traced_count(l->traced);
    bool *needed = cbi_allocate((size_t)all + 1);
    l->graph->failed = l->graph->failed || needed == NULL;
    for (int i = 0; i < count && !l->graph->failed; i++)
        needed[nodes[i]] = true;
    if (!l->graph->failed)
        mark(l, needed);
    for (int i = 0; i < all && !l->graph->failed; i++) {
        if (!needed[i] || l->lowered[i].value >= 0 || l->lowered[i].deferred >= 0)
            continue;
        l->node = i;
        if (l->roles[i].number >= 0)
            lower_leaf(l, i);
        else
            lower_op(l, i);
    }
    cbi_free(needed);
    return !l->graph->failed;
}

int cbi_lowered_value(cbi_lowerer *l, int node) {
    cbi_layout map;
    return cbi_layout_of(l, node, &map) ? cbi_mapped_value(l, &map) : -1;
}
