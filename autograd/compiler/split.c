/* Splitting a trace.

   What does not depend on a state leaves the recurrence, as long as it treats each row by itself:
   then the rows of all time steps can be computed at once. Sums are put in another order first, so
   that as many of their terms as possible can leave: (x W' + b) + (h U' + c) becomes ((x W' + b) +
   c) + h U'. What would only blow up what it is computed from, a row of 512 numbers to 4096, stays
   in the step: computing it costs less than reading it. */
#include "autograd/compiler/split_internal.h"

#include "autograd/compiler/lower_internal.h"

#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

static bool fail(cbi_split *split, const char *reason) {
    if (split->reason[0] == '\0')
        snprintf(split->reason, sizeof(split->reason), "%s", reason);
    return false;
}

bool cbi_split_no_memory(cbi_splitter *s) {
    s->split->no_memory = true;
    return fail(s->split, "out of memory");
}

/* An op on the trace failed, or there was no memory before it got there. */
bool cbi_split_fail_traced(cbi_splitter *s) {
    return s->traced->reason[0] != '\0' && !s->traced->no_memory ? fail(s->split, s->traced->reason)
                                                                 : cbi_split_no_memory(s);
}

/* ---- Levels ---------------------------------------------------------------------------------- */

static bool is_state(const cbi_splitter *s, int i) {
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
        return is_state(s, i)                    ? CBI_STEP
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
    if (s->level[i] != CBI_SEQUENCE || n->op == NULL || n->op->lowering == NULL ||
        !n->op->lowering->elementwise)
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
static bool find_mixing(cbi_splitter *s) {
    int count = cbi_traced_count(s->traced);
    cbi_role *roles = cbi_allocate(sizeof(*roles) * (size_t)(count + 1));
    cbi_lowered *lowered = cbi_allocate(sizeof(*lowered) * (size_t)(count + 1));
    int *all = cbi_allocate(sizeof(int) * (size_t)(count + 1));
    cbi_graph *graph = cbi_graph_new();
    bool done = roles != NULL && lowered != NULL && all != NULL && graph != NULL;
    for (int i = 0; done && i < count; i++) {
        const cb_node *n = cbi_split_node(s, i);
        cbi_kind kind = is_state(s, i)                    ? CBI_STATE
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
/* ---- The parts ------------------------------------------------------------------------------- */

/* Whether a node is a number everywhere: it needs no tensor. */
static bool is_number(const cb_node *n) {
    return n->op != NULL && n->count == 0 && n->op->lowering != NULL;
}

/* Whether a node is a view that repeats nothing: then what it is a view of can be captured, and
   gets its gradient directly. */
static bool is_part(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i);
    bool grows = false;
    for (; n->op != NULL && n->op->view; n = n->in[0]->node)
        grows = grows || cb_tensor_count(&n->tensor) > cb_tensor_count(n->in[0]);
    return n != cbi_split_node(s, i) &&
           (is_number(n) || (!grows && cb_tensor_is_contiguous(&n->tensor)));
}

/* How a node that is used in a part comes into it. What lies between the parts is a tensor of which
   each sequence has its own elements, together; what does not is computed again. */
typedef enum way { COMPUTED, GIVEN, CAPTURED } way;

static way way_into(const cbi_splitter *s, int i, bool sequence) {
    const cb_node *n = cbi_split_node(s, i);
    if (s->level[i] == CBI_INVARIANT)
        return cbi_has_batch(s->traced, i) || is_number(n) || is_part(s, i) ? COMPUTED : CAPTURED;
    if (n->op == NULL)
        return GIVEN;
    if (s->level[i] == CBI_STEP || sequence)
        return COMPUTED;
    return s->expands[i] || s->scatters[i] || n->op->view ? COMPUTED : GIVEN;
}

/* Marks what a part computes, and lists what it is given and what it captures. States are listed
   already. */
static bool find_part(cbi_splitter *s, cbi_part *part, bool sequence) {
    int count = cbi_traced_count(s->traced);
    bool *needed = cbi_allocate((size_t)count + 1);
    part->count = count;
    part->inside = cbi_allocate((size_t)count + 1);
    if (needed == NULL || part->inside == NULL) {
        cbi_free(needed);
        return cbi_split_no_memory(s);
    }
    for (int k = 0; k < part->output_count; k++)
        needed[part->outputs[k]] = true;
    for (int i = count - 1; i >= 0; i--) {
        const cb_node *n = cbi_split_node(s, i);
        if (!needed[i])
            continue;
        way w = way_into(s, i, sequence);
        part->inside[i] = w == COMPUTED;
        for (int k = 0; w == COMPUTED && k < n->count; k++)
            needed[n->in[k]->node->index] = true;
        if (w == CAPTURED)
            part->captured[part->captured_count++] = i;
        else if (w == GIVEN && !is_state(s, i))
            part->inputs[part->input_count++] = i;
    }
    cbi_free(needed);
    return true;
}

static bool make_part(cbi_splitter *s, cbi_part *part, int outputs) {
    size_t most = (size_t)(s->room + s->traced->signature.state_count + 1);
    part->outputs = cbi_allocate(sizeof(int) * 5 * most);
    part->cotangents = part->outputs + most;
    part->inputs = part->outputs + 2 * most;
    part->captured = part->outputs + 3 * most;
    part->gradients = part->outputs + 4 * most;
    part->output_count = outputs;
    return part->outputs != NULL || cbi_split_no_memory(s);
}

static bool is_differentiable(const cbi_splitter *s, int i) {
    return cbi_split_node(s, i)->requires_grad &&
           cb_dtype_is_float(cbi_split_node(s, i)->tensor.dtype);
}

/* Derives the gradients of a part's inputs and of what it captures. */
static bool derive(cbi_splitter *s, cbi_part *part) {
    int all = part->input_count + part->captured_count, wanted = 0;
    for (int k = 0; k < part->output_count; k++)
        if ((part->cotangents[k] = cbi_traced_symbol(s->traced, part->outputs[k])) < 0)
            return cbi_split_fail_traced(s);
    int nodes = cbi_traced_count(s->traced);
    bool *inside = cbi_allocate((size_t)nodes + 1);
    int *inputs = cbi_allocate(sizeof(int) * 2 * (size_t)(all + 1)), *found = inputs + all + 1;
    bool good = inside != NULL && inputs != NULL;
    if (good)
        memcpy(inside, part->inside, (size_t)part->count);
    for (int i = 0; good && i < all; i++) {
        int node = i < part->input_count ? part->inputs[i] : part->captured[i - part->input_count];
        part->gradients[i] = -1;
        if (is_differentiable(s, node))
            inputs[wanted++] = node;
    }
    good = good && cbi_traced_gradients(s->traced, inside, part->output_count, part->outputs,
                                        part->cotangents, wanted, inputs, found);
    for (int i = 0, k = 0; good && i < all; i++) {
        int node = i < part->input_count ? part->inputs[i] : part->captured[i - part->input_count];
        if (k < wanted && inputs[k] == node)
            part->gradients[i] = found[k++];
    }
    cbi_free(inside);
    cbi_free(inputs);
    return good || cbi_split_fail_traced(s);
}

static bool find_parts(cbi_splitter *s) {
    cbi_split *split = s->split;
    int states = s->traced->signature.state_count;
    if (!make_part(s, &split->step, states) || !make_part(s, &split->sequence, 0))
        return false;
    for (int k = 0; k < states; k++) {
        split->step.outputs[k] = s->next[k];
        split->step.inputs[split->step.input_count++] = s->traced->side[0].states[k]->node->index;
    }
    if (!find_part(s, &split->step, false))
        return false;
    split->boundary = split->step.inputs + states;
    split->boundary_count = split->step.input_count - states;
    for (int k = 0; k < split->boundary_count; k++)
        split->sequence.outputs[split->sequence.output_count++] = split->boundary[k];
    if (!find_part(s, &split->sequence, true))
        return false;
    for (int i = 0; i < cbi_traced_count(s->traced); i++)
        split->hoisted += split->sequence.inside[i] && !cbi_split_node(s, i)->op->view;
    return derive(s, &split->step) && derive(s, &split->sequence);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool start(cbi_splitter *s) {
    int count = s->traced->step_count, states = s->traced->signature.state_count;
    s->room = 4 * count + 64;
    size_t room = (size_t)s->room;
    char *memory = cbi_allocate(room * (3 * sizeof(int) + 4) + sizeof(int) * (size_t)states);
    if (memory == NULL)
        return cbi_split_no_memory(s);
    s->uses = (int *)(void *)memory;
    s->renewed = s->uses + room;
    s->same = s->renewed + room;
    s->next = s->same + room;
    s->level = (unsigned char *)(s->next + states);
    s->mixes = (bool *)(s->level + room);
    s->scatters = s->mixes + room;
    s->expands = s->scatters + room;
    for (int k = 0; k < states; k++)
        s->next[k] = s->traced->side[0].next[k]->node->index;
    return true;
}

cbi_split *cbi_split_new(cbi_traced *traced) {
    cbi_split *split = cbi_allocate(sizeof(*split));
    if (split == NULL)
        return NULL;
    split->traced = traced;
    cbi_splitter s = {.split = split, .traced = traced};
    if (start(&s) && find_mixing(&s) && cbi_split_note(&s, 0) && cbi_share(&s) &&
        cbi_reassociate(&s))
        find_parts(&s);
    cbi_free(s.uses);
    return split;
}

void cbi_split_free(cbi_split *split) {
    if (split == NULL)
        return;
    cbi_free(split->step.outputs);
    cbi_free(split->step.inside);
    cbi_free(split->sequence.outputs);
    cbi_free(split->sequence.inside);
    cbi_traced_free(split->traced);
    cbi_free(split);
}
