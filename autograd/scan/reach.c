/* Which results of a compiled run a gradient can pass through. The run is one op, all of whose
   outputs would require a gradient as soon as one input does; op by op, a loss that no variable
   reaches is an error. So outputs that no variable reaches are cut off, by the rule of the tape: an
   op's result requires a gradient when an input does and the op has a gradient. */
#include "autograd/scan/scan_internal.h"

#include <cerebra/ops.h>
#include <string.h>

typedef struct reach {
    const cbi_scan_run *run;
    bool *node;   /* of the trace: whether a variable reaches it, in the step that is looked at */
    bool *state;  /* before that step */
    bool *next;   /* after it */
    bool *output; /* state 0, after any step so far */
} reach;

/* Whether a variable reaches a leaf of the step: x, a state, a weight, or a tensor that the step
   put on the tape itself. */
static bool is_leaf_reached(const reach *r, int index) {
    const cbi_scan_run *run = r->run;
    const cbi_signature *s = &run->scan->signature;
    const cbi_side *side = &run->compilation->split->traced->side[0];
    if (side->x->node->index == index)
        return cb_requires_grad(run->x);
    for (int k = 0; k < s->state_count; k++)
        if (side->states[k]->node->index == index)
            return r->state[k];
    for (int i = 0; i < s->weight_count; i++)
        if (side->weights[i] != NULL && side->weights[i]->node->index == index)
            return cb_requires_grad(run->io->weights[i]);
    return run->trace->nodes[index]->requires_grad;
}

/* One step; whether it left any state as it was not before. */
static bool advance(const reach *r) {
    const cbi_scan_run *run = r->run;
    const cbi_traced *traced = run->compilation->split->traced;
    bool changed = false;
    for (int i = 0; i < run->trace->count; i++) {
        const cb_node *n = run->trace->nodes[i];
        r->node[i] = n->op == NULL && is_leaf_reached(r, i);
        for (int k = 0; n->op != NULL && n->op->vjp != NULL && k < n->count; k++)
            r->node[i] = r->node[i] || r->node[n->in[k]->node->index];
    }
    for (int k = 0; k < run->scan->signature.state_count; k++) {
        bool kept = run->io->lengths != NULL && r->state[k]; /* of sequences that have ended */
        r->next[k] = kept || r->node[traced->side[0].next[k]->node->index];
        changed = changed || r->next[k] != r->state[k];
    }
    *r->output = *r->output || r->next[0];
    memcpy(r->state, r->next, sizeof(bool) * (size_t)run->scan->signature.state_count);
    return changed;
}

bool cbi_scan_cut(const cbi_scan_run *run, cb_tensor *const *initial, cb_tensor **output,
                  cb_tensor **final) {
    int states = run->scan->signature.state_count, nodes = run->trace->count;
    cbi_block *block = cbi_block_new(run->tape, sizeof(bool) * (size_t)(nodes + 2 * states + 1));
    if (block == NULL)
        return false;
    reach r = {.run = run, .node = block->data};
    r.state = r.node + nodes;
    r.next = r.state + states;
    r.output = r.next + states;
    *r.output = false;
    for (int k = 0; k < states; k++)
        r.state[k] = cb_requires_grad(initial[k]);
    bool changed = true;
    for (int64_t t = 0; t < run->time && changed; t++)
        changed = advance(&r);
    if (!*r.output)
        *output = cb_stop_gradient(*output);
    for (int k = 0; k < states; k++)
        if (!r.state[k])
            final[k] = cb_stop_gradient(final[k]);
    return run->tape->status == CB_OK;
}
