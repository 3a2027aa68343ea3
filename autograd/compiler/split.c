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
    return s->expands[i] || s->scatters[i] || (n->op->view && !s->cut[i]) ? COMPUTED : GIVEN;
}

/* ---- Slices of what leaves the recurrence ---------------------------------------------------- */

/* What the step reads of each node that it would be given. */
typedef struct reading {
    int64_t *elements; /* by slices */
    bool *whole;       /* otherwise */
} reading;

/* Notes that the step reads node i, which may be a view: of which node that it would be given, and
   whether only a slice of it. */
static void note_read(cbi_splitter *s, reading *r, int i) {
    int slice = -1, base = i;
    for (const cb_node *n; n = cbi_split_node(s, base), n->op != NULL && n->op->view;
         base = n->in[0]->node->index) {
        int64_t count = cb_tensor_count(&n->tensor), of = cb_tensor_count(n->in[0]);
        if (count > of)
            slice = -1;
        else if (count < of && slice < 0)
            slice = base;
    }
    if (slice < 0 || s->scatters[slice]) {
        r->whole[base] = true;
    } else if (!s->cut[slice]) {
        s->cut[slice] = true;
        r->elements[base] += cb_tensor_count(&cbi_split_node(s, slice)->tensor);
    }
}

/* A node of the sequence of which the step reads slices that are not all of it: the step is given
   those. The rest need not be written, nor be computed where nothing else reads it. */
static bool find_cuts(cbi_splitter *s, const cbi_part *step) {
    int count = cbi_traced_count(s->traced);
    reading r = {cbi_allocate(sizeof(int64_t) * ((size_t)count + 1)),
                 cbi_allocate((size_t)count + 1)};
    bool good = r.elements != NULL && r.whole != NULL;
    for (int i = 0; i < count && good; i++) {
        const cb_node *n = cbi_split_node(s, i);
        for (int k = 0; step->inside[i] && k < n->count && !n->op->view; k++)
            note_read(s, &r, n->in[k]->node->index);
    }
    for (int k = 0; k < step->output_count && good; k++)
        note_read(s, &r, step->outputs[k]);
    for (int i = 0; i < count && good; i++) {
        int base = cbi_base_of(s->traced, i);
        const cb_node *n = cbi_split_node(s, base);
        s->cut[i] = s->cut[i] && s->level[base] == CBI_SEQUENCE && n->op != NULL &&
                    !s->expands[base] && !s->scatters[base] && !r.whole[base] &&
                    r.elements[base] < cb_tensor_count(&n->tensor);
    }
    cbi_free(r.elements);
    cbi_free(r.whole);
    return good || cbi_split_no_memory(s);
}

/* ---- Each part ------------------------------------------------------------------------------- */

/* Marks what a part computes, and lists what it is given and what it captures. States are listed
   already. */
static bool find_part(cbi_splitter *s, cbi_part *part, bool sequence) {
    int count = cbi_traced_count(s->traced);
    bool *needed = cbi_allocate((size_t)count + 1);
    part->count = count;
    cbi_free(part->inside);
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
        else if (w == GIVEN && !cbi_split_is_state(s, i))
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
    for (int i = 0; good && i < part->count; i++) /* a gradient passes by an op's first output */
        if (inside[i] && cbi_split_node(s, i)->owner != NULL)
            inside[cbi_split_node(s, i)->owner->index] = true;
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

/* What the step computes, after its states, which are listed. */
static bool find_step(cbi_splitter *s) {
    cbi_part *step = &s->split->step;
    step->input_count = s->traced->signature.state_count;
    step->captured_count = 0;
    return find_part(s, step, false);
}

static bool find_parts(cbi_splitter *s) {
    cbi_split *split = s->split;
    int states = s->traced->signature.state_count;
    if (!make_part(s, &split->step, states) || !make_part(s, &split->sequence, 0))
        return false;
    for (int k = 0; k < states; k++) {
        split->step.outputs[k] = s->next[k];
        split->step.inputs[k] = s->traced->side[0].states[k]->node->index;
    }
    if (!find_step(s) || !find_cuts(s, &split->step) || !find_step(s))
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
    char *memory = cbi_allocate(room * (3 * sizeof(int) + 5) + sizeof(int) * (size_t)states);
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
    s->cut = s->expands + room;
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
    if (start(&s) && cbi_split_find_mixing(&s) && cbi_split_note(&s, 0) && cbi_share(&s) &&
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
