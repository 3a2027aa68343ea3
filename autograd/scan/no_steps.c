/* A run over a sequence without steps: the output has no elements. It is an op all the same, so
   that a loss over it has a gradient, zero, as one over any other number of steps has. */
#include "autograd/scan/scan_internal.h"

#include <cerebra/op.h>
#include <cerebra/ops.h>
#include <limits.h>
#include <string.h>

typedef struct no_steps_options {
    int64_t batch, size;
} no_steps_options;

static cb_status no_steps_shape(const cb_call *call) {
    const no_steps_options *o = call->options;
    call->out->dtype = call->in[0]->dtype;
    call->out->rank = 3;
    memcpy(call->out->shape, (const int64_t[]){0, o->batch, o->size}, 3 * sizeof(int64_t));
    return CB_OK;
}

static cb_status no_steps_forward(const cb_call *call) {
    (void)call;
    return CB_OK;
}

static void no_steps_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)g;
    for (int i = 0; i < call->count; i++)
        if (cb_call_needs(call, i))
            gradients[i] = cb_full_like(call->in[i], 0);
}

static const cb_option no_steps_list[] = {
    CB_OPTION(no_steps_options, batch, CB_OPTION_EXTENT),
    CB_OPTION(no_steps_options, size, CB_OPTION_EXTENT),
};

static const cb_op no_steps_op = {
    .name = "scan",
    .formula = "Y = [], of no steps; all gradients 0",
    .min_inputs = 1,
    .max_inputs = INT_MAX,
    .options_size = sizeof(no_steps_options),
    .option_list = no_steps_list,
    .option_count = 2,
    .shape = no_steps_shape,
    .forward = no_steps_forward,
    .vjp = no_steps_vjp,
};

cb_tensor *cbi_scan_no_steps(const cbi_scan_run *run) {
    const cbi_signature *s = &run->scan->signature;
    cbi_block *block = cbi_block_new(run->tape, sizeof(cb_tensor *) *
                                                    (size_t)(1 + s->weight_count + s->state_count));
    if (block == NULL)
        return cbi_poison(run->tape);
    cb_tensor **in = block->data;
    int count = 0;
    in[count++] = run->x;
    for (int i = 0; i < s->weight_count; i++)
        if (run->io->weights[i] != NULL)
            in[count++] = run->io->weights[i];
    for (int i = 0; i < s->state_count; i++)
        in[count++] = run->io->initial[i];
    return cb_apply(&no_steps_op, count, in, &(no_steps_options){run->batch, s->state_size[0]});
}
