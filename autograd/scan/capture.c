/* What a step captures: weights, constants, and what depends on nothing else. It is computed on the
   tape of the run by applying the traced ops again, so that its gradient is the tape's business. */
#include "autograd/compiler/faults.h"
#include "autograd/ops/list.h"
#include "autograd/scan/scan_internal.h"
#include "autograd/trace.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdio.h>
#include <string.h>

static cbi_block *room(cb_tape *tape, size_t bytes) {
    cbi_block *block = cbi_block_new(tape, bytes + 1);
    if (block != NULL)
        memset(block->data, 0, bytes + 1);
    return block;
}

/* Marks what the captured tensors are computed from. */
static bool *needed_nodes(const cbi_scan_run *run, int count) {
    const cbi_traced *traced = run->compilation->split->traced;
    cbi_block *block = room(run->tape, (size_t)count);
    bool *needed = block != NULL ? block->data : NULL;
    if (needed == NULL)
        return NULL;
    for (int i = 0; i < run->compilation->captured_count; i++)
        needed[run->compilation->captured[i]] = true;
    for (int i = count - 1; i >= 0; i--) {
        const cb_node *n = cbi_traced_node(traced, 0, i);
        for (int k = 0; needed[i] && k < n->count; k++)
            needed[n->in[k]->node->index] = true;
    }
    return needed;
}

/* A leaf: a weight of the run, or a tensor of the program's that the step put on its tape. */
static cb_tensor *leaf(const cbi_scan_run *run, int node) {
    const cbi_side *side = &run->compilation->split->traced->side[0];
    for (int i = 0; i < run->scan->signature.weight_count; i++)
        if (side->weights[i] != NULL && side->weights[i]->node->index == node)
            return run->io->weights[i];
    const cb_node *n = run->trace->nodes[node];
    cb_tensor plain = n->tensor;
    plain.node = NULL;
    if (!n->requires_grad)
        return cb_input(run->tape, &plain);
    return n->sink != NULL ? cb_variable_into(run->tape, &plain, n->sink)
                           : cb_variable(run->tape, &plain);
}

/* An input of an op that is applied again. What was row-major while tracing may be strided now: the
   traced ops, a reshape among them, rely on how it was. */
static cb_tensor *input_of(const cb_node *n, int k, cb_tensor *const *made) {
    cb_tensor *from = made[n->in[k]->node->index];
    bool dense = cb_tensor_is_contiguous(n->in[k]) && !CBI_FAULT(CBI_FAULT_STRIDED_WEIGHT);
    return dense ? cb_contiguous(from) : from;
}

/* Whether all inputs lie as in the trace; if not, the step runs op by op and says so. */
static bool verify_inputs(cbi_scan_run *run, const cb_node *n, cb_tensor *const *in) {
    cb_scan *scan = run->scan;
    for (int k = 0; k < n->count && !CBI_FAULT(CBI_FAULT_UNVERIFIED); k++) {
        if (!cb_tensor_is_contiguous(n->in[k]) || cb_tensor_is_contiguous(in[k]))
            continue;
        pthread_mutex_lock(&scan->lock);
        snprintf(
            run->compilation->reason, sizeof(run->compilation->reason),
            "the compiler has a bug: operand %d of %s, which the step captures, is strided and "
            "was not when it was traced",
            k, n->op->name);
        snprintf(scan->reason, sizeof(scan->reason), "%s", run->compilation->reason);
        pthread_mutex_unlock(&scan->lock);
        return false;
    }
    return true;
}

/* NULL when an input is not as the trace says. */
static cb_tensor *make(cbi_scan_run *run, int node, cb_tensor **made) {
    const cbi_traced *traced = run->compilation->split->traced;
    const cb_node *n = cbi_traced_node(traced, 0, node);
    if (n->op == NULL)
        return leaf(run, node);
    if (n->op == &cbi_contiguous_op) /* traces have more of these than are needed */
        return cb_contiguous(made[n->in[0]->node->index]);
    cbi_block *in = room(run->tape, sizeof(cb_tensor *) * (size_t)n->count);
    cbi_block *options = room(run->tape, n->op->options_size);
    if (in == NULL || options == NULL)
        return cbi_poison(run->tape);
    for (int k = 0; k < n->count; k++)
        ((cb_tensor **)in->data)[k] = input_of(n, k, made);
    if (run->tape->status == CB_OK && !verify_inputs(run, n, in->data))
        return NULL;
    cbi_options_at(traced, node, run->batch, options->data);
    return cbi_apply_like(run->tape, n, in->data, options->data);
}

bool cbi_capture(cbi_scan_run *run) {
    int count = cbi_traced_count(run->compilation->split->traced);
    cbi_block *made = room(run->tape, sizeof(cb_tensor *) * (size_t)count);
    bool *needed = made != NULL ? needed_nodes(run, count) : NULL;
    if (needed == NULL)
        return false;
    cb_tensor **tensors = made->data;
    for (int i = 0; i < count && run->tape->status == CB_OK; i++)
        if (needed[i] && (tensors[i] = make(run, i, tensors)) == NULL)
            return false;
    cbi_block *list =
        room(run->tape, sizeof(cb_tensor *) * (size_t)run->compilation->captured_count);
    if (list == NULL)
        return false;
    run->captured = list->data;
    for (int i = 0; i < run->compilation->captured_count; i++)
        run->captured[i] = tensors[run->compilation->captured[i]];
    return run->tape->status == CB_OK;
}
