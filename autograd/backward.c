/* The reverse sweep. Nodes are walked from the newest to the oldest; each hands the gradients that
   its vjp builds, in ops, to its inputs.

   A first-order sweep does not record. Its temporaries are dead as soon as nothing pending lies in
   their block, and the block is used again: a sweep needs little more memory than its widest place.
   Sums of gradients are formed in place where a block belongs to one pending gradient alone. With
   create_graph everything is recorded and nothing reused.

   Broadcasting is undone here, for all ops: a gradient may be larger than its input and is summed
   down. */
#include "autograd/ops/list.h"
#include "autograd/tape_internal.h"
#include "autograd/trace.h"
#include "tensor/kernels.h"

#include <cerebra/ops.h>

typedef struct sweep {
    cb_tape *tape;
    bool record;         /* create_graph */
    bool into_variables; /* cb_backward: leaves' gradients are added to their sinks */
    const bool *inside;  /* of a trace: the nodes that it passes through, by index; NULL: all */
} sweep;

static bool has_gradient(const cb_node *node) {
    return node->sweep == node->tape->sweeps && node->grad != NULL;
}

static void hold(cb_node *node, cb_tensor *gradient) {
    node->grad = gradient;
    node->sweep = node->tape->sweeps;
    if (gradient->node->block != NULL)
        gradient->node->block->pending++;
}

/* The node's gradient is no longer needed; its block is free when nothing else lies in it. */
static void drop(cb_node *node) {
    cb_tape *tape = node->tape;
    cbi_block *block = node->grad->node->block;
    node->grad = NULL;
    if (block == NULL || --block->pending > 0 || !block->in_sweep || !tape->sweeping)
        return;
    if (block->fresh) /* recycle, which walks that list, will find it */
        return;
    block->next = tape->free;
    tape->free = block;
}

/* Whether nothing but this node's gradient lies in its memory. */
static bool owns_gradient(const cb_node *node) {
    const cbi_block *block = node->grad->node->block;
    return block != NULL && block->in_sweep && block->pending == 1 &&
           cb_tensor_is_contiguous(node->grad);
}

/* Blocks that the last vjp allocated and that ended up in no gradient are free again. */
static void recycle(cb_tape *tape) {
    while (tape->fresh != NULL) {
        cbi_block *block = tape->fresh;
        tape->fresh = block->next;
        block->fresh = false;
        if (block->pending == 0) {
            block->next = tape->free;
            tape->free = block;
        }
    }
}

/* Where cb_backward adds a variable's gradient; NULL, recorded, when there is no memory for it. */
static cb_tensor *sink_of(const sweep *run, cb_node *node) {
    if (node->sink != NULL)
        return node->sink;
    /* It outlives the sweep: its memory may not be reused. */
    bool sweeping = run->tape->sweeping;
    run->tape->sweeping = false;
    cb_tensor *zeros = cbi_filled_like(run->tape, &node->tensor, 0);
    run->tape->sweeping = sweeping;
    if (run->tape->status != CB_OK)
        return NULL;
    return node->sink = zeros;
}

cb_tensor cbi_sink_of(const cb_tensor *t) {
    const cb_node *node = t->node;
    bool transposed =
        node->op == &cbi_permute_op && t->rank == 2 && ((const int *)node->options)[0] == 1;
    const cb_node *leaf = transposed ? node->in[0]->node : node;
    if (!leaf->tape->sweeping || leaf->tape->selective || leaf->op != NULL || leaf->sink == NULL)
        return (cb_tensor){.data = NULL};
    cb_tensor sink = *leaf->sink;
    if (transposed) {
        sink.shape[0] = t->shape[0];
        sink.shape[1] = t->shape[1];
        sink.stride[0] = leaf->sink->stride[1];
        sink.stride[1] = leaf->sink->stride[0];
    }
    return sink;
}

/* sink += g, summed down to the sink's shape. */
static void add_to_sink(const cb_tensor *sink, const cb_tensor *g) {
    if (cb_tensor_same_shape(sink, g)) {
        cbi_add_into(sink, g);
        return;
    }
    cb_tensor narrow = *sink;
    narrow.rank = g->rank;
    for (int i = g->rank - 1, j = sink->rank - 1; i >= 0; i--, j--) {
        narrow.shape[i] = j >= 0 ? sink->shape[j] : 1;
        narrow.stride[i] = j >= 0 ? sink->stride[j] : 0;
    }
    cbi_sum_into(&narrow, g);
}

bool cbi_is_asked_for(const cb_tensor *t) {
    const cb_node *node = t->node;
    return node->tape->selective && node->kept == node->tape->sweeps;
}

static bool is_variable(const sweep *run, const cb_node *node) {
    return run->into_variables && node->op == NULL;
}

/* Whether a variable's first gradient can be its sink: nothing else pending lies in its memory. */
static bool can_be_sink(const sweep *run, const cb_node *node, const cb_tensor *g) {
    const cbi_block *block = g->node->block;
    return !run->record && node->sink == NULL && block != NULL && block->in_sweep &&
           block->pending == 0 && cb_tensor_same_shape(g, &node->tensor) &&
           cb_tensor_is_contiguous(g);
}

/* It outlives the sweep: its memory may not be reused. */
static void become_sink(cb_node *node, cb_tensor *g) {
    node->sink = g;
    g->node->block->in_sweep = false;
    g->node->block->pending++;
}

static void give(const sweep *run, cb_node *node, cb_tensor *g) {
    if (run->tape->status != CB_OK)
        return;
    if (is_variable(run, node)) {
        if (can_be_sink(run, node, g)) {
            become_sink(node, g);
            return;
        }
        cb_tensor *sink = sink_of(run, node);
        if (sink != NULL)
            add_to_sink(sink, g);
        return;
    }
    if (!cb_tensor_same_shape(g, &node->tensor))
        g = cb_sum_to(g, node->tensor.rank, node->tensor.shape);
    if (run->tape->status != CB_OK)
        return;
    if (!has_gradient(node)) {
        hold(node, g);
    } else if (!run->record && owns_gradient(node) && g->node->block != node->grad->node->block) {
        cbi_add_into(node->grad, g);
    } else {
        cb_tensor *sum = cb_add(node->grad, g);
        if (run->tape->status == CB_OK) {
            drop(node);
            hold(node, sum);
        }
    }
}

/* The node's gradient as memory that may be added to: made of zeros, or copied, where it is not.
   NULL, recorded, when there is no memory. */
static cb_tensor *writable_gradient(const sweep *run, cb_node *node) {
    if (has_gradient(node) && owns_gradient(node))
        return node->grad;
    cb_tensor *fresh = cbi_filled_like(run->tape, &node->tensor, 0);
    if (run->tape->status != CB_OK)
        return NULL;
    if (has_gradient(node)) {
        cbi_copy(fresh, node->grad);
        drop(node);
    }
    hold(node, fresh);
    return fresh;
}

/* The gradient of a view that shows a part of its input is added to the same part of the input's
   gradient, instead of being padded to its size first. */
static void give_part(const sweep *run, cb_node *node) {
    cb_node *base = node->in[0]->node;
    cb_tensor *whole = is_variable(run, base) ? sink_of(run, base) : writable_gradient(run, base);
    cb_tensor part = {.node = node};
    cb_call call = cbi_call_of(node);
    call.in = &whole;
    call.out = &part;
    if (whole != NULL && node->op->shape(&call) == CB_OK)
        cbi_add_into(&part, node->grad);
}

/* Whether what a vjp gave can be the gradient of input i; records why not. */
static bool gradient_fits(cb_tape *tape, const cb_node *node, int i, const cb_tensor *g) {
    const cb_tensor *in = node->in[i];
    if (tape->status != CB_OK)
        return false;
    if (cb_tape_of(g) != tape || cbi_is_poisoned(g)) {
        cbi_tape_fail(tape, CB_ERROR_TAPE, "%s: its gradient of input %d is not on the tape",
                      node->op->name, i);
        return false;
    }
    bool fits = g->rank >= in->rank;
    for (int k = 1; k <= in->rank && fits; k++)
        fits = in->shape[in->rank - k] == 1 || in->shape[in->rank - k] == g->shape[g->rank - k];
    if (fits && g->dtype == in->dtype)
        return true;
    char shapes[2][160];
    cbi_tape_fail(tape, fits ? CB_ERROR_DTYPE : CB_ERROR_SHAPE,
                  "%s: its gradient of input %d is %s%s; the input is %s%s", node->op->name, i,
                  cb_dtype_name(g->dtype), cb_shape_format(g, shapes[0], sizeof(shapes[0])),
                  cb_dtype_name(in->dtype), cb_shape_format(in, shapes[1], sizeof(shapes[1])));
    return false;
}

/* Hands out what a vjp gave. One tensor may be the gradient of several inputs: until each has it,
   its block counts as pending, so that the first to get it does not add the next gradient to it in
   place. */
static void give_all(const sweep *run, const cb_call *call, cb_node *node, cb_tensor **gradients) {
    for (int i = 0; i < node->count; i++)
        if (!cb_call_needs(call, i))
            gradients[i] = NULL;
        else if (gradients[i] != NULL && !gradient_fits(run->tape, node, i, gradients[i]))
            return;
    for (int i = 0; i < node->count; i++)
        if (gradients[i] != NULL && gradients[i]->node->block != NULL)
            gradients[i]->node->block->pending++;
    for (int i = 0; i < node->count; i++)
        if (gradients[i] != NULL) {
            if (gradients[i]->node->block != NULL)
                gradients[i]->node->block->pending--;
            give(run, node->in[i]->node, gradients[i]);
        }
}

/* Pointers for as many tensors, on the tape when they do not fit into `few`; all NULL. */
enum { FEW = 8 };
static cb_tensor **pointers(const cb_call *call, int count, cb_tensor **few) {
    cb_tensor **list =
        count <= FEW ? few : cb_call_scratch(call, sizeof(cb_tensor *) * (size_t)count);
    for (int i = 0; list != NULL && i < count; i++)
        list[i] = NULL;
    return list;
}

/* Sorts what a vjp has put on a trace. */
static void sort_traced(const sweep *run, int first, const cb_node *node, cb_tensor **gradients) {
    cb_tape *tape = run->tape;
    if (tape->trace == NULL || tape->status != CB_OK)
        return;
    if (!cbi_trace_sort(tape, first, node->count, gradients))
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
}

static void propagate(const sweep *run, cb_node *node) {
    cb_call call = cbi_call_of(node);
    bool part = node->op->view && cb_tensor_count(&node->tensor) < cb_tensor_count(node->in[0]);
    if (part && !run->record) {
        if (cb_call_needs(&call, 0))
            give_part(run, node);
        return;
    }
    cb_tensor *few[FEW], *few_outputs[FEW];
    cb_tensor **gradients = pointers(&call, node->count, few);
    cb_tensor **of_outputs = pointers(&call, node->out_count, few_outputs);
    if (gradients == NULL || of_outputs == NULL)
        return;
    for (int k = 0; k < node->out_count; k++)
        of_outputs[k] = has_gradient(node->outs[k]->node) ? node->outs[k]->node->grad : NULL;
    call.gradients = of_outputs;
    int first = run->tape->trace != NULL ? run->tape->trace->count : 0;
    run->tape->gradient_of = node->op->name;
    node->op->vjp(&call, of_outputs[0], gradients);
    run->tape->gradient_of = NULL;
    sort_traced(run, first, node, gradients);
    give_all(run, &call, node, gradients);
}

/* Whether a gradient reached the node, by any of its outputs. Further outputs wait for the first,
   which is older. */
static bool is_reached(const cb_node *node) {
    bool reached = false;
    for (int k = 0; node->owner == NULL && node->op != NULL && k < node->out_count; k++)
        reached = reached || has_gradient(node->outs[k]->node);
    return reached;
}

static void drop_outputs(cb_node *node) {
    for (int k = 0; k < node->out_count; k++) {
        cb_node *output = node->outs[k]->node;
        if (has_gradient(output) && output->kept != node->tape->sweeps)
            drop(output);
    }
}

/* Walks back from the newest of the outputs, which hold their gradients. The inputs of cb_grad hold
   on to theirs. */
static void walk(const sweep *run, cb_node *newest) {
    cb_tape *tape = run->tape;
    for (cb_node *node = newest; node != NULL && tape->status == CB_OK; node = node->previous) {
        if (!is_reached(node) || (run->inside != NULL && !run->inside[node->index]))
            continue;
        propagate(run, node);
        if (!run->record) {
            drop_outputs(node);
            recycle(tape);
        }
    }
}

static void walk_from(const sweep *run, cb_tensor *output, cb_tensor *seed) {
    cb_tape *tape = run->tape;
    bool recording = tape->recording;
    tape->recording = recording && run->record;
    tape->sweeping = !run->record;
    tape->fresh = tape->free = NULL;
    hold(output->node, seed);
    walk(run, output->node);
    tape->fresh = tape->free = NULL;
    tape->sweeping = false;
    tape->recording = recording;
}

static cb_status differentiable(const char *name, cb_tensor *output) {
    cb_tape *tape = cb_tape_of(output);
    if (output != NULL && cbi_is_over(output)) {
        cbi_tape_fail(cbi_tape_of_over(output), CB_ERROR_TAPE, "%s: the tensor " CBI_IS_OVER, name);
        return CB_ERROR_TAPE;
    }
    if (tape == NULL)
        return output != NULL && cbi_is_poisoned(output) ? CB_ERROR_MEMORY : CB_ERROR_TAPE;
    if (tape->status == CB_OK && tape->trace != NULL)
        cbi_tape_fail(tape, CB_ERROR_TAPE, "%s: the step of a recurrence takes a gradient", name);
    else if (tape->status == CB_OK && !output->node->requires_grad)
        cbi_tape_fail(tape, CB_ERROR_TAPE, "%s: %s", name,
                      tape->no_grad ? "the tape records no gradients"
                                    : "no variable reaches the output");
    return tape->status;
}

cb_status cbi_backward_from(cb_tensor *output, cb_tensor *seed) {
    cb_tape *tape = output->node->tape;
    sweep run = {.tape = tape, .into_variables = true};
    tape->sweeps++;
    if (tape->status != CB_OK)
        return tape->status;
    if (output->node->op == NULL)
        give(&run, output->node, seed);
    else
        walk_from(&run, output, seed);
    return tape->status;
}

cb_status cb_backward(cb_tensor *loss) {
    cb_status status = differentiable("backward", loss);
    if (status != CB_OK)
        return status;
    cb_tape *tape = loss->node->tape;
    if (cb_tensor_count(loss) != 1) {
        char shape[160];
        cbi_tape_fail(tape, CB_ERROR_SHAPE, "backward: the loss %s has not one element",
                      cb_shape_format(loss, shape, sizeof(shape)));
        return tape->status;
    }
    return cbi_backward_from(loss, cbi_filled_like(tape, loss, 1));
}

cb_tensor *cb_gradient(const cb_tensor *variable) {
    return variable != NULL && variable->node != NULL ? variable->node->sink : NULL;
}

/* Marks the nodes between inputs and output: those whose gradient cb_grad needs. */
static void mark_wanted(cb_tape *tape, cb_node *output, const bool *inside) {
    int64_t count = 0;
    for (cb_node *node = output; node != NULL; node = node->previous)
        count++;
    cbi_block *block = cbi_block_new(tape, sizeof(cb_node *) * (size_t)count);
    if (block == NULL)
        return;
    cb_node **nodes = block->data;
    for (cb_node *node = output; node != NULL; node = node->previous)
        nodes[--count] = node;
    for (cb_node **at = nodes;; at++) {
        bool passes = inside == NULL || inside[(*at)->index];
        for (int i = 0; i < (*at)->count && passes; i++)
            if ((*at)->in[i]->node->requires_grad && (*at)->in[i]->node->wanted == tape->sweeps)
                (*at)->wanted = tape->sweeps;
        if ((*at)->owner != NULL && (*at)->owner->wanted == tape->sweeps)
            (*at)->wanted = tape->sweeps;
        if (*at == output)
            return;
    }
}

static void check_inputs(cb_tape *tape, cb_tensor *output, cb_tensor *seed, int count,
                         cb_tensor *const *inputs) {
    if (seed != NULL && cb_tape_of(seed) != tape)
        cbi_tape_fail(tape, CB_ERROR_TAPE, "grad: the seed is on another tape");
    else if (seed != NULL && (!cb_tensor_same_shape(seed, output) || seed->dtype != output->dtype))
        cbi_tape_fail(tape, CB_ERROR_SHAPE, "grad: the seed is not like the output");
    for (int i = 0; i < count; i++)
        if (cb_tape_of(inputs[i]) != tape || !inputs[i]->node->requires_grad)
            cbi_tape_fail(tape, CB_ERROR_TAPE, "grad: input %d requires no gradient on this tape",
                          i);
}

cb_status cb_grad(cb_tensor *output, cb_tensor *seed, bool create_graph, int count,
                  cb_tensor *const *inputs, cb_tensor **gradients) {
    cb_tape *tape = cb_tape_of(output);
    for (int i = 0; i < count; i++)
        gradients[i] = cbi_poison(tape);
    cb_status status = differentiable("grad", output);
    if (status != CB_OK)
        return status;
    check_inputs(tape, output, seed, count, inputs);
    if (tape->status != CB_OK)
        return tape->status;
    tape->sweeps++;
    tape->selective = true;
    for (int i = 0; i < count; i++)
        inputs[i]->node->wanted = inputs[i]->node->kept = tape->sweeps;
    mark_wanted(tape, output->node, NULL);
    if (seed == NULL)
        seed = cbi_filled_like(tape, output, 1);
    sweep run = {.tape = tape, .record = create_graph};
    if (tape->status == CB_OK)
        walk_from(&run, output, seed);
    tape->selective = false;
    for (int i = 0; i < count && tape->status == CB_OK; i++)
        gradients[i] = has_gradient(inputs[i]->node) ? inputs[i]->node->grad
                                                     : cbi_filled_like(tape, inputs[i], 0);
    for (int i = 0; i < count && tape->status != CB_OK; i++)
        gradients[i] = cbi_poison(tape);
    return tape->status;
}

cb_status cbi_vector_jacobian(const bool *inside, int output_count, cb_tensor *const *outputs,
                              cb_tensor *const *cotangents, int input_count,
                              cb_tensor *const *inputs, cb_tensor **gradients) {
    for (int i = 0; i < input_count; i++)
        gradients[i] = NULL;
    if (output_count == 0)
        return CB_OK;
    cb_tape *tape = cb_tape_of(outputs[0]);
    sweep run = {.tape = tape, .record = true, .inside = inside};
    tape->sweeps++;
    tape->selective = true;
    for (int i = 0; i < input_count; i++)
        inputs[i]->node->wanted = inputs[i]->node->kept = tape->sweeps;
    cb_node *newest = tape->last;
    if (newest != NULL)
        mark_wanted(tape, newest, inside);
    for (int k = 0; k < output_count; k++)
        if (outputs[k]->node->requires_grad && outputs[k]->node->wanted == tape->sweeps)
            give(&run, outputs[k]->node, cotangents[k]);
    walk(&run, newest);
    tape->selective = false;
    for (int i = 0; i < input_count; i++)
        gradients[i] = has_gradient(inputs[i]->node) ? inputs[i]->node->grad : NULL;
    return tape->status;
}
