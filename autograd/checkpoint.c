/* Computing again instead of keeping: gradient checkpointing (Griewank & Walther 2000; Chen et al.
   2016, "Training deep nets with sublinear memory cost").

   The function runs on a scratch tape, which the tape owns and which ends with it. Forward, that
   tape does not record and only the result is copied off it. Backward, the function runs there once
   more, recording, and a sweep over the scratch tape adds the gradients of the inputs to memory on
   the tape itself. The scratch tape is reset before each use, so all checkpoints of a step share
   the memory of the largest.

   Variables that the function makes itself, such as parameters, get their gradients from that
   sweep. The tape knows nothing of them, so two things need care: a checkpoint none of whose inputs
   requires a gradient must take part in the reverse sweep all the same, and a sweep for chosen
   tensors (cb_grad) must add nothing to such variables.

   Random numbers that ops draw forward are noted, as the states of their generators, and drawn
   again in the same order. */
#include "autograd/ops/list.h"
#include "autograd/tape_internal.h"
#include "autograd/trace.h"
#include "tensor/kernels.h"

#include <cerebra/ops.h>
#include <limits.h>
#include <string.h>

typedef struct checkpoint_options {
    cb_checkpoint_function *function;
    const void *context;
    cbi_drawn **drawn;  /* the random numbers that the function has drawn, in order */
    cb_tensor **result; /* while the op is applied: what the function has made */
} checkpoint_options;

/* The tape's scratch tape, empty and in use; NULL, recorded, when it cannot be used. */
static cb_tape *scratch_begin(cb_tape *tape, bool recording) {
    if (tape->scratch == NULL)
        tape->scratch = tape->no_grad ? cb_tape_new_no_grad() : cb_tape_new();
    if (tape->scratch == NULL) {
        cbi_tape_fail(tape, CB_ERROR_MEMORY, "checkpoint: out of memory");
        return NULL;
    }
    if (tape->scratch_in_use) {
        cbi_tape_fail(tape, CB_ERROR_TAPE,
                      "checkpoint: a checkpoint's function uses tensors that are not its inputs");
        return NULL;
    }
    cb_tape_reset(tape->scratch);
    tape->scratch->parent = tape;
    tape->scratch->stand_ins = tape->stand_ins;
    tape->scratch->evaluating = tape->evaluating;
    tape->scratch->detecting = tape->detecting;
    tape->scratch->recording = recording && !tape->no_grad;
    tape->scratch_in_use = true;
    return tape->scratch;
}

/* What went wrong on the scratch tape went wrong on the tape. */
static cb_status scratch_end(cb_tape *tape) {
    tape->scratch_in_use = false;
    if (tape->scratch->status != CB_OK)
        cbi_tape_fail(tape, tape->scratch->status, "checkpoint: %s", tape->scratch->message);
    return tape->status;
}

cb_random cbi_draw(cb_tape *tape, cb_random *random, int64_t count) {
    cb_random drawn = *random;
    if (tape->trace != NULL) {
        if (!cbi_trace_draw_numbers(tape->trace, random, count, &drawn))
            cbi_tape_fail(tape, CB_ERROR_MEMORY, "trace: out of memory");
        return drawn;
    }
    if (tape->drawing_again) {
        if (tape->again == NULL) {
            cbi_tape_fail(tape, CB_ERROR_VALUE, "the function has not done the same again");
            return drawn;
        }
        drawn = tape->again->random;
        tape->again = tape->again->next;
    } else if (tape->parent != NULL) {
        drawn = cbi_draw(tape->parent, random, count);
    } else {
        /* A number is at most one step of the counter. */
        random->counter += (uint64_t)count;
    }
    if (tape->noting != NULL) {
        cbi_block *block = cbi_block_new(tape->parent, sizeof(cbi_drawn));
        if (block != NULL) {
            cbi_drawn *note = *tape->noting = block->data;
            *note = (cbi_drawn){.random = drawn};
            tape->noting = &note->next;
        }
    }
    return drawn;
}

cb_draw cb_draw_numbers(const cb_tensor *x, cb_random *generator, int64_t count) {
    return (cb_draw){.random = cbi_draw(cb_tape_of(x), generator, count), .generator = generator};
}

/* Runs the function on the scratch tape; poisoned, recorded there, when it fails. */
static cb_tensor *run(cb_tape *scratch, const checkpoint_options *options,
                      cb_tensor *const *inputs) {
    if (scratch->status != CB_OK)
        return cbi_poison(scratch);
    cb_tensor *result = options->function(options->context, inputs);
    if (scratch->status == CB_OK && (cb_tape_of(result) != scratch || cbi_is_poisoned(result)))
        cbi_tape_fail(scratch, CB_ERROR_TAPE, "the function's result is not on its inputs' tape");
    return scratch->status == CB_OK ? result : cbi_poison(scratch);
}

/* Room on the scratch tape for as many pointers; NULL, recorded there. */
static cb_tensor **leaves_new(cb_tape *scratch, int count) {
    cbi_block *block = cbi_block_new(scratch, sizeof(cb_tensor *) * (size_t)count);
    return block != NULL ? block->data : NULL;
}

/* What the shape of the result is only the function knows: it is run here. */
static cb_status checkpoint_shape(const cb_call *call) {
    const checkpoint_options *options = call->options;
    cb_tape *tape = call->out->node->tape, *scratch = scratch_begin(tape, false);
    if (scratch == NULL)
        return tape->status;
    cb_tensor **leaves = leaves_new(scratch, call->count);
    for (int i = 0; i < call->count && leaves != NULL; i++)
        leaves[i] = cb_input(scratch, call->in[i]);
    scratch->noting = options->drawn;
    const cb_tensor *result = *options->result = run(scratch, options, leaves);
    call->out->dtype = result->dtype;
    call->out->rank = result->rank;
    memcpy(call->out->shape, result->shape, sizeof(call->out->shape));
    return scratch_end(tape);
}

static cb_status checkpoint_forward(const cb_call *call) {
    const checkpoint_options *options = call->options;
    cbi_copy(call->out, *options->result);
    return CB_OK;
}

/* Puts input i on the scratch tape, with the place that its gradient is added to. */
static cb_tensor *leaf(cb_tape *scratch, const cb_call *call, int i, cb_tensor **gradients) {
    cb_tensor *in = call->in[i];
    if (!cb_call_needs(call, i))
        return cb_input(scratch, in);
    if (in->node->op == NULL && cbi_sink_of(in).data != NULL)
        return cbi_variable_into(scratch, in, in->node->sink);
    gradients[i] = cbi_filled_like(in->node->tape, in, 0);
    return cbi_variable_into(scratch, in, gradients[i]);
}

static void checkpoint_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const checkpoint_options *options = call->options;
    cb_tape *tape = call->out->node->tape;
    if (tape->recording) {
        cb_fail(g, CB_ERROR_TAPE, "checkpoint: it has no gradient of its gradient");
        return;
    }
    cb_tape *scratch = scratch_begin(tape, true);
    if (scratch == NULL)
        return;
    cb_tensor **leaves = leaves_new(scratch, call->count);
    for (int i = 0; i < call->count && leaves != NULL; i++)
        leaves[i] = leaf(scratch, call, i, gradients);
    scratch->again = *options->drawn;
    scratch->drawing_again = true;
    scratch->no_variables = tape->selective || tape->no_variables;
    cb_tensor *result = run(scratch, options, leaves);
    if (scratch->status == CB_OK && !cb_tensor_same_shape(result, g))
        cbi_tape_fail(scratch, CB_ERROR_VALUE, "the function has not done the same again");
    else if (cb_requires_grad(result))
        cbi_backward_from(result, cb_input(scratch, g));
    scratch_end(tape);
}

const cb_op cbi_checkpoint_op = {
    .name = "checkpoint",
    .formula = "y = f(x...), computed again for its gradient",
    .min_inputs = 1,
    .max_inputs = INT_MAX,
    .options_size = sizeof(checkpoint_options),
    .shape = checkpoint_shape,
    .forward = checkpoint_forward,
    .vjp = checkpoint_vjp,
};

/* A copy that lives as long as the step; NULL, recorded, when there is no memory. */
static void *copy(cb_tape *tape, const void *bytes, size_t size) {
    cbi_block *block = cbi_block_new(tape, size);
    return block != NULL ? memcpy(block->data, bytes, size) : NULL;
}

cb_tensor *cb_checkpoint(cb_checkpoint_function *function, const void *context, size_t context_size,
                         int count, cb_tensor *const *inputs) {
    cb_tape *tape = NULL;
    for (int i = 0; i < count && tape == NULL; i++)
        tape = cb_tape_of(inputs[i]);
    if (tape == NULL || tape->status != CB_OK)
        return cbi_poison(tape);
    if (function == NULL)
        return cbi_tape_fail(tape, CB_ERROR_VALUE, "checkpoint: the function is NULL");
    if (tape->trace != NULL) /* there is nothing to keep */
        return function(context, inputs);
    cbi_drawn *none = NULL, **drawn = copy(tape, &none, sizeof(none));
    if (context_size > 0)
        context = copy(tape, context, context_size);
    cb_tensor *result = NULL;
    checkpoint_options options = {function, context, drawn, &result};
    cb_tensor *y = cb_apply(&cbi_checkpoint_op, count, inputs, &options);
    if (cbi_is_poisoned(y))
        return y;
    if (!tape->scratch->met_variable)
        return y;
    tape->met_variable = true;
    if (tape->recording && !tape->no_variables && !y->node->requires_grad) {
        y->node->requires_grad = true;
        cbi_node_link(y->node);
    }
    return y;
}
