/* Applying an op: check, allocate, compute, note. The one road that every op takes. */
#include "autograd/tape_internal.h"
#include "tensor/format.h"
#include "tensor/kernels.h"

#include <stdio.h>
#include <string.h>

/* "matmul: [128,512] x [256,64]: ", the beginning of an op's error message. */
static void describe(const cb_call *call, char *text, size_t size) {
    int length = snprintf(text, size, "%s: ", call->op->name);
    for (int i = 0; i < call->count && length > 0 && (size_t)length < size; i++) {
        char shape[160];
        length += snprintf(text + length, size - (size_t)length, "%s%s%s%s", i > 0 ? " x " : "",
                           call->in[i]->dtype == CB_F32 ? "" : cb_dtype_name(call->in[i]->dtype),
                           cb_shape_format(call->in[i], shape, sizeof(shape)),
                           i == call->count - 1 ? ": " : "");
    }
}

cb_status cb_call_fail(const cb_call *call, cb_status status, const char *format, ...) {
    char prefix[384], message[384];
    cb_tape *tape = call->out->node->tape;
    va_list arguments;
    describe(call, prefix, sizeof(prefix));
    va_start(arguments, format);
    cbi_vformat(message, sizeof(message), format, arguments);
    va_end(arguments);
    cbi_tape_fail(tape, status, "%s%s (op %lld)", prefix, message, (long long)tape->ops);
    return status;
}

cb_tensor *cbi_function_fail(const cb_tensor *x, const char *function, cb_status status,
                             const char *format, ...) {
    char shape[160], message[384];
    cb_tape *tape = cb_tape_of(x);
    va_list arguments;
    if (tape == NULL || cbi_is_poisoned(x))
        return cbi_poison(tape);
    va_start(arguments, format);
    cbi_vformat(message, sizeof(message), format, arguments);
    va_end(arguments);
    return cbi_tape_fail(tape, status, "%s: %s%s: %s (op %lld)", function,
                         x->dtype == CB_F32 ? "" : cb_dtype_name(x->dtype),
                         cb_shape_format(x, shape, sizeof(shape)), message,
                         (long long)tape->ops + 1);
}

bool cb_call_needs(const cb_call *call, int i) {
    const cb_node *node = call->in[i]->node;
    return node->requires_grad && (!node->tape->selective || node->wanted == node->tape->sweeps);
}

void *cb_call_scratch(const cb_call *call, size_t bytes) {
    cbi_block *block = cbi_block_new(call->out->node->tape, bytes);
    return block != NULL ? block->data : NULL;
}

cb_status cb_shape_same(const cb_call *call) {
    call->out->dtype = call->in[0]->dtype;
    call->out->rank = call->in[0]->rank;
    memcpy(call->out->shape, call->in[0]->shape, sizeof(call->out->shape));
    return CB_OK;
}

cb_status cb_shape_broadcast(const cb_call *call) {
    cb_tensor *out = call->out;
    cb_shape_same(call);
    for (int k = 1; k < call->count; k++) {
        const cb_tensor *in = call->in[k];
        if (in->dtype != out->dtype)
            return cb_call_fail(call, CB_ERROR_DTYPE, "dtypes %s and %s differ; cast one of them",
                                cb_dtype_name(out->dtype), cb_dtype_name(in->dtype));
        int rank = in->rank > out->rank ? in->rank : out->rank;
        int64_t shape[CB_MAX_RANK];
        for (int i = 1; i <= rank; i++) {
            int64_t a = i <= out->rank ? out->shape[out->rank - i] : 1;
            int64_t b = i <= in->rank ? in->shape[in->rank - i] : 1;
            if (a != b && a != 1 && b != 1)
                return cb_call_fail(call, CB_ERROR_SHAPE,
                                    "extents %lld and %lld of axis %d do not broadcast",
                                    (long long)a, (long long)b, -i);
            shape[rank - i] = a == 1 ? b : a;
        }
        out->rank = rank;
        memcpy(out->shape, shape, sizeof(shape[0]) * (size_t)rank);
    }
    return CB_OK;
}

bool cb_row_by_row(const cb_call *call, int input) {
    (void)call, (void)input;
    return true;
}

/* Whether every input can be used on this tape; records why not. */
static bool inputs_usable(cb_tape *tape, const cb_op *op, int count, cb_tensor *const *inputs) {
    if (count < op->min_inputs || count > op->max_inputs) {
        cbi_tape_fail(tape, CB_ERROR_VALUE, "%s: %d inputs given; it takes %d to %d (op %lld)",
                      op->name, count, op->min_inputs, op->max_inputs, (long long)tape->ops);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *why = inputs[i] == NULL               ? "is NULL"
                          : inputs[i] == cbi_poison(NULL) ? "has no value: what made it had no tape"
                          : cbi_is_over(inputs[i])        ? CBI_IS_OVER
                          : inputs[i]->node == NULL       ? "is on no tape; see cb_input"
                          : inputs[i]->node->tape != tape ? "is on another tape than the others"
                          : cbi_is_poisoned(inputs[i])
                              ? "has no value: what made it failed before the tape was reset"
                              : NULL;
        if (why != NULL) {
            cbi_tape_fail(tape, CB_ERROR_TAPE, "%s: input %d %s (op %lld)", op->name, i, why,
                          (long long)tape->ops);
            return false;
        }
    }
    return true;
}

/* Every output that has no memory yet gets some. */
static cb_status allocate_outputs(cb_node *node, const cb_call *call) {
    for (int k = 0; k < node->out_count; k++) {
        cb_node *output = node->outs[k]->node;
        if (!cbi_shape_valid(output->tensor.dtype, output->tensor.rank, output->tensor.shape))
            return cb_call_fail(call, CB_ERROR_SHAPE, "the result would be too large");
        cb_status status = output->block == NULL ? cbi_node_allocate(output) : CB_OK;
        if (status != CB_OK)
            return status;
    }
    return CB_OK;
}

static cb_status compute(cb_node *node, const cb_call *call) {
    const cb_op *op = node->op;
    cb_status status = op->shape(call);
    if (status != CB_OK)
        return status;
    if (op->view) {
        node->block = call->in[0]->node->block;
        return CB_OK;
    }
    status = allocate_outputs(node, call);
    if (status == CB_OK && node->tape->trace == NULL)
        status = op->forward(call);
    if (status == CB_OK && node->tape->detecting && node->tape->trace == NULL)
        status = cbi_find_anomaly(call);
    if (status == CB_OK && node->tape->noise != NULL)
        for (int k = 0; k < node->out_count; k++)
            cbi_add_noise(node->tape->noise, node->outs[k]);
    return status;
}

void cbi_add_noise(cbi_noise *noise, const cb_tensor *t) {
    size_t size = cb_dtype_size(t->dtype);
    for (int64_t i = 0; cb_dtype_is_float(t->dtype) && i < cb_tensor_count(t); i++) {
        char *at = (char *)t->data + (size_t)i * size;
        double sign = cb_random_below(&noise->random, 2) == 0 ? -1 : 1;
        cbi_store(t->dtype, at, cbi_load(t->dtype, at) * (1 + sign * noise->size));
    }
}

/* A node with as many outputs, each a node of its own; NULL, recorded, when there is no memory. */
static cb_node *node_with_outputs(cb_tape *tape, int count, size_t options_size, int out_count) {
    cb_node *node = cbi_node_new(tape, count, options_size);
    if (node == NULL)
        return NULL;
    node->out_count = out_count;
    node->alone = &node->tensor;
    node->outs = &node->alone;
    if (out_count == 1)
        return node;
    node->outs = cbi_arena_allocate(&tape->arena, sizeof(cb_tensor *) * (size_t)out_count);
    if (node->outs == NULL) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "out of memory (op %lld)", (long long)tape->ops);
        return NULL;
    }
    node->outs[0] = &node->tensor;
    for (int k = 1; k < out_count; k++) {
        cb_node *output = cbi_node_new(tape, 0, 0); /* inputs and options are those of the first */
        if (output == NULL)
            return NULL;
        output->owner = node;
        output->count = count;
        output->in = node->in;
        output->options = node->options;
        output->out_count = out_count;
        node->outs[k] = &output->tensor;
    }
    return node;
}

/* Notes for the sweep which outputs require a gradient: all or none. */
static void note_outputs(cb_node *node) {
    cb_tape *tape = node->tape;
    node->requires_grad = node->requires_grad && tape->recording && node->op->vjp != NULL;
    for (int k = 0; k < node->out_count; k++) {
        cb_node *output = node->outs[k]->node;
        output->op = node->op;
        output->requires_grad = node->requires_grad;
    }
}

static cb_node *apply(cb_tape *tape, const cb_op *op, int count, cb_tensor *const *inputs,
                      const void *options, int out_count) {
    if (tape == NULL || tape->status != CB_OK)
        return NULL;
    tape->ops += count > 0;
    if (!inputs_usable(tape, op, count, inputs))
        return NULL;
    cb_node *node = node_with_outputs(tape, count, op->options_size, out_count);
    if (node == NULL)
        return NULL;
    node->op = op;
    for (int i = 0; i < count; i++) {
        node->in[i] = inputs[i];
        node->requires_grad = node->requires_grad || inputs[i]->node->requires_grad;
    }
    if (op->options_size > 0)
        memcpy(node->options, options, op->options_size);
    cb_call call = cbi_call_of(node);
    cb_status status = compute(node, &call);
    if (status != CB_OK || tape->status != CB_OK) {
        cbi_tape_fail(tape, status, "%s: failed (op %lld)", op->name, (long long)tape->ops);
        return NULL;
    }
    note_outputs(node);
    return node;
}

cb_call cbi_call_of(cb_node *node) {
    return (cb_call){.op = node->op,
                     .count = node->count,
                     .in = node->in,
                     .out = &node->tensor,
                     .options = node->options,
                     .out_count = node->out_count,
                     .outs = node->outs};
}

/* The first input's tape; where they differ, and one is traced, that one: it is the step's fault,
   and not that of the tape that the step is run on. */
static cb_tape *tape_of_inputs(int count, cb_tensor *const *inputs) {
    cb_tape *tape = NULL;
    for (int i = 0; i < count; i++) {
        cb_tape *own = cb_tape_of(inputs[i]);
        if (tape == NULL || (own != NULL && own->trace != NULL))
            tape = own;
    }
    for (int i = 0; i < count && tape == NULL; i++)
        tape = cbi_tape_of_over(inputs[i]);
    return tape;
}

cb_tensor *cb_apply(const cb_op *op, int count, cb_tensor *const *inputs, const void *options) {
    return cbi_apply_on(tape_of_inputs(count, inputs), op, count, inputs, options);
}

cb_tensor *cbi_apply_on(cb_tape *tape, const cb_op *op, int count, cb_tensor *const *inputs,
                        const void *options) {
    cb_node *node = apply(tape, op, count, inputs, options, 1);
    if (node == NULL)
        return cbi_poison(tape);
    if (node->requires_grad)
        cbi_node_link(node);
    return &node->tensor;
}

cb_tensor *cbi_apply_like(cb_tape *tape, const cb_node *like, cb_tensor *const *inputs,
                          const void *options) {
    const cb_node *first = like->owner != NULL ? like->owner : like;
    if (first->out_count == 1)
        return cbi_apply_on(tape, like->op, like->count, inputs, options);
    cb_node *node = apply(tape, like->op, like->count, inputs, options, first->out_count);
    for (int k = 0; node != NULL && node->requires_grad && k < first->out_count; k++)
        cbi_node_link(node->outs[k]->node);
    for (int k = 0; node != NULL && k < first->out_count; k++)
        if (first->outs[k]->node == like)
            return node->outs[k];
    return cbi_poison(tape);
}

cb_status cb_apply_outputs(const cb_op *op, int count, cb_tensor *const *inputs,
                           const void *options, int out_count, cb_tensor **outputs) {
    cb_tape *tape = tape_of_inputs(count, inputs);
    cb_node *node = out_count < 1 ? NULL : apply(tape, op, count, inputs, options, out_count);
    if (node == NULL && out_count < 1)
        cbi_tape_fail(tape, CB_ERROR_VALUE, "%s: %d outputs", op->name, out_count);
    for (int k = 0; k < out_count; k++) {
        outputs[k] = node != NULL ? node->outs[k] : cbi_poison(tape);
        if (node != NULL && node->requires_grad)
            cbi_node_link(node->outs[k]->node);
    }
    return cb_tape_status(tape);
}
