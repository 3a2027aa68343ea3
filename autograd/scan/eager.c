/* Running a step op by op: the loop over time that the compiler's results are held to, and the road
   of steps that cannot be compiled. */
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>

cb_status cbi_scan_check_lengths(cb_tensor *x, cb_tensor *lengths, int64_t time, int64_t batch) {
    if (cb_tape_of(lengths) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "recurrence: the lengths are not on the tape of the input");
    else if (cb_dtype_is_float(lengths->dtype))
        cb_fail(x, CB_ERROR_DTYPE, "recurrence: lengths are %s; they must be i32 or i64",
                cb_dtype_name(lengths->dtype));
    else if (lengths->rank != 1 || lengths->shape[0] != batch)
        cb_fail(x, CB_ERROR_SHAPE, "recurrence: lengths must be [%lld]", (long long)batch);
    for (int64_t b = 0; b < batch && cb_tape_status(cb_tape_of(x)) == CB_OK; b++) {
        double length = cb_tensor_get(lengths, &b);
        if (!(length >= 0 && length <= (double)time))
            cb_fail(x, CB_ERROR_VALUE,
                    "recurrence: length %lld of sequence %lld is outside 0..%lld",
                    (long long)length, (long long)b, (long long)time);
    }
    return cb_tape_status(cb_tape_of(x));
}

cb_tensor *cbi_scan_masks(cb_tensor *x, cb_tensor *lengths, int64_t time, int64_t batch) {
    if (cbi_scan_check_lengths(x, lengths, time, batch) != CB_OK)
        return cbi_poison(cb_tape_of(x));
    return cb_unsqueeze(cb_length_mask(lengths, time, x->dtype), -1);
}

/* Fails unless a step has left in next what the loop counts on; what a step of a user's own does
   wrong should be told at once, and by its name. */
static void check_states(const cb_scan *scan, cb_tensor *x, cb_tensor *const *next) {
    char shape[160];
    const cbi_signature *s = &scan->signature;
    for (int i = 0; i < s->state_count; i++) {
        if (next[i] == NULL)
            cb_fail(x, CB_ERROR_VALUE, "scan \"%s\": the step left state %d empty", scan->name, i);
        else if (!cbi_is_poisoned(next[i]) &&
                 (next[i]->rank != 2 || next[i]->shape[0] != x->shape[1] ||
                  next[i]->shape[1] != s->state_size[i]))
            cb_fail(x, CB_ERROR_SHAPE,
                    "scan \"%s\": the step made state %d %s; it must be [%lld,%lld]", scan->name, i,
                    cb_shape_format(next[i], shape, sizeof(shape)), (long long)x->shape[1],
                    (long long)s->state_size[i]);
        else if (!cbi_is_poisoned(next[i]) && next[i]->dtype != s->dtype)
            cb_fail(x, CB_ERROR_DTYPE, "scan \"%s\": the step made state %d %s; it must be %s",
                    scan->name, i, cb_dtype_name(next[i]->dtype), cb_dtype_name(s->dtype));
    }
}

cb_tensor *cbi_scan_eager(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cb_tensor *masks,
                          cb_tensor **state) {
    cb_tape *tape = cb_tape_of(x);
    int64_t time = x->shape[0];
    int states = scan->signature.state_count;
    cbi_block *block = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)(time + states));
    if (block == NULL)
        return cbi_poison(tape);
    cb_tensor **outputs = block->data, **next = outputs + time;
    for (int64_t step = 0; step < time; step++) {
        int64_t t = io->reverse ? time - 1 - step : step;
        cb_tensor *mask = masks != NULL ? cb_select(masks, 0, t) : NULL;
        for (int i = 0; i < states; i++)
            next[i] = NULL;
        cbi_call_step(&scan->signature, io->weights, cb_select(x, 0, t), state, next);
        check_states(scan, x, next);
        if (cb_tape_status(tape) != CB_OK)
            return cbi_poison(tape);
        for (int i = 0; i < states; i++)
            state[i] = mask != NULL ? cb_where(mask, next[i], state[i]) : next[i];
        outputs[t] = mask != NULL ? cb_mul(state[0], mask) : next[0];
    }
    return cb_stack((int)time, outputs, 0);
}
