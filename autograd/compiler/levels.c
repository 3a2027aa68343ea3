/* Levels: where each node of a trace is computed, and what else is known of it before the trace is
   split. */
#include "autograd/compiler/split_internal.h"

#include "autograd/compiler/lower_internal.h"

#include "tensor/memory.h"

#include <stdio.h>

bool cbi_split_fail(cbi_splitter *s, const char *reason) {
    if (s->split->reason[0] == '\0')
        snprintf(s->split->reason, sizeof(s->split->reason), "%s", reason);
    return false;
}

bool cbi_split_no_memory(cbi_splitter *s) {
    s->split->no_memory = true;
    return cbi_split_fail(s, "out of memory");
}

/* An op on the trace failed, or there was no memory before it got there. */
bool cbi_split_fail_traced(cbi_splitter *s) {
    return s->traced->reason[0] != '\0' && !s->traced->no_memory
               ? cbi_split_fail(s, s->traced->reason)
               : cbi_split_no_memory(s);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

bool cbi_split_is_state(const cbi_splitter *s, int i) {
    const cbi_side *side = &s->traced->side[0];
    for (int k = 0; k < s->traced->signature.state_count; k++)
        if (side->states[k]->node->index == i)
            return true;
    return false;
}

static cbi_level level_of(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i);
    cbi_level highest = CBI_INVARIANT;
    if (n->op == NULL)
        return cbi_split_is_state(s, i)          ? CBI_STEP
               : n == s->traced->side[0].x->node ? CBI_SEQUENCE
                                                 : CBI_INVARIANT;
    for (int k = 0; k < n->count; k++)
        if (s->level[n->in[k]->node->index] > highest)
            highest = s->level[n->in[k]->node->index];
    bool stays = cbi_draw_of(n) != NULL ||
                 (s->mixes[i] && (highest == CBI_SEQUENCE || cbi_has_batch(s->traced, i)));
    return stays ? CBI_STEP : highest;
}

static int64_t row_count(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i);
    return cb_tensor_count(&n->tensor) /
           (cbi_has_batch(s->traced, i) ? s->traced->side[0].batch : 1);
}

/* Adds up the elements of what the step would read to compute a node itself: of each tensor once.
 */
static int64_t read_by(const cbi_splitter *s, int i, int *seen, int *seen_count) {
    const cb_node *n = cbi_split_node(s, i);
    int64_t sum = 0;
    for (int k = 0; k < n->count; k++) {
        int from = n->in[k]->node->index, base = cbi_base_of(s->traced, from);
        bool counted = s->level[base] != CBI_SEQUENCE;
        if (s->expands[from] || (base != from && s->expands[base])) {
            sum += read_by(s, base, seen, seen_count);
            continue;
        }
        for (int j = 0; j < *seen_count; j++)
            counted = counted || seen[j] == base;
        if (counted || *seen_count == 64)
            continue;
        seen[(*seen_count)++] = base;
        sum += row_count(s, base);
    }
    return sum;
}

static bool expands(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i);
    int seen[64], seen_count = 0;
    if (s->level[i] != CBI_SEQUENCE || n->op == NULL || n->op->lowering == NULL)
        return false;
    const cbi_lowering *lowering = n->op->lowering;
    cb_call call = cbi_call_of(cbi_split_node(s, i));
    if (lowering->is_cheap == NULL || !lowering->is_cheap(&call))
        return false;
    return row_count(s, i) >= 2 * read_by(s, i, seen, &seen_count);
}

/* Whether an axis of the batch is several batches one after the other: two states stacked along
   the first axis, say. */
static bool is_scattered(const cbi_layout *map) {
    int batch = cbi_batch_axis(map->rank, map->axis);
    return batch >= 0 && map->axis[batch].major != 1;
}

/* Finds out which nodes mix rows: the step is lowered as if all of it were one graph. */
bool cbi_split_find_mixing(cbi_splitter *s) {
    int count = cbi_traced_count(s->traced);
    cbi_role *roles = cbi_allocate(sizeof(*roles) * (size_t)(count + 1));
    cbi_lowered *lowered = cbi_allocate(sizeof(*lowered) * (size_t)(count + 1));
    int *all = cbi_allocate(sizeof(int) * (size_t)(count + 1));
    cbi_graph *graph = cbi_graph_new();
    bool done = roles != NULL && lowered != NULL && all != NULL && graph != NULL;
    for (int i = 0; done && i < count; i++) {
        const cb_node *n = cbi_split_node(s, i);
        cbi_kind kind = cbi_split_is_state(s, i)          ? CBI_STATE
                        : n == s->traced->side[0].x->node ? CBI_ROW_INPUT
                                                          : CBI_CAPTURED;
        roles[i] = (cbi_role){kind, n->op == NULL ? i : -1};
        lowered[i] = (cbi_lowered){.value = -1, .deferred = -1};
        all[i] = i;
    }
    cbi_lowerer l = {s->traced, graph, roles, lowered, 0};
    done = done && cbi_lower_nodes(&l, count, all);
    for (int i = 0; done && i < count; i++) {
        cbi_layout map;
        int value = lowered[i].value;
        bool placed = cbi_layout_of(&l, i, &map);
        s->scatters[i] = placed && is_scattered(&map);
        s->mixes[i] = !placed || (value >= 0 && graph->values[value].kind == CBI_CALL &&
                                  !graph->values[value].call->by_rows);
    }
    cbi_graph_free(graph);
    cbi_free(roles);
    cbi_free(lowered);
    cbi_free(all);
    return done || cbi_split_no_memory(s);
}

/* Notes what is known of the nodes that were added last. */
bool cbi_split_note(cbi_splitter *s, int from) {
    int count = cbi_traced_count(s->traced);
    if (count > s->room)
        return cbi_split_no_memory(s);
    for (int i = from; i < count; i++) {
        s->level[i] = (unsigned char)level_of(s, i);
        s->expands[i] = expands(s, i);
    }
    return true;
}
