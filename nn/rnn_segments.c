/* A direction of a layer in segments of time, each a checkpoint (cb_checkpoint): the states between
   segments are kept, and everything within a segment is computed again for its gradient. With T
   steps in segments of k, that is T / k states and the intermediate results of k steps: least where
   k is about sqrt(T) (Chen et al. 2016). */
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"
#include "nn/rnn_internal.h"

#include <cerebra/ops.h>

/* What a segment's function knows besides its inputs: x, or a table and the rows of it that x is;
   the states; the lengths, if there are any. */
typedef struct segment {
    const cbi_rnn_run *run;
    bool looked_up, has_lengths;
} segment;

enum { MOST_INPUTS = CB_CELL_MAX_STATES + 3 };

/* -> [steps + states, batch, hidden]: the output, then the states after the last step. */
static cb_tensor *run_segment(const void *context, cb_tensor *const *in) {
    const segment *s = context;
    int states = s->run->cell->state_count;
    cb_tensor *results[CB_CELL_MAX_STATES + 1], *final[CB_CELL_MAX_STATES];
    cbi_rnn_input input = {.x = in[0], .rows = s->looked_up ? in[1] : NULL};
    const cb_tensor *shape = s->looked_up ? in[1] : in[0];
    input.time = shape->shape[0];
    input.batch = shape->shape[1];
    in += s->looked_up ? 2 : 1;
    results[0] =
        cbi_rnn_run_direction(s->run, &input, s->has_lengths ? in[states] : NULL, in, final);
    for (int i = 0; i < states; i++)
        results[i + 1] = cb_unsqueeze(final[i], 0);
    return cb_concat(states + 1, results, 0);
}

/* Lengths as seen from a segment: of steps first to first + steps, those that count. */
static cb_tensor *lengths_within(cb_tensor *lengths, int64_t first, int64_t steps) {
    cb_tensor *within = cb_full(cb_tape_of(lengths), CB_I64, 1, lengths->shape, 0);
    for (int64_t b = 0; b < lengths->shape[0] && !cbi_is_poisoned(within); b++) {
        int64_t left = (int64_t)cb_tensor_get(lengths, &b) - first;
        ((int64_t *)within->data)[b] = left < 0 ? 0 : left > steps ? steps : left;
    }
    return within;
}

/* Runs one segment from the states, which are left with the last ones; returns its output. */
static cb_tensor *checkpoint(const cbi_rnn_run *run, const cbi_rnn_input *input, int64_t first,
                             int64_t steps, cb_tensor *lengths, cb_tensor **state) {
    int states = run->cell->state_count, count = 0;
    segment s = {.run = run, .looked_up = input->rows != NULL, .has_lengths = lengths != NULL};
    cb_tensor *in[MOST_INPUTS];
    if (s.looked_up)
        in[count++] = input->x;
    in[count++] = cb_slice(s.looked_up ? input->rows : input->x, 0, first, first + steps, 1);
    for (int i = 0; i < states; i++)
        in[count++] = state[i];
    if (lengths != NULL)
        in[count++] = lengths_within(lengths, first, steps);
    cb_tensor *all = cb_checkpoint(run_segment, &s, sizeof(s), count, in);
    for (int i = 0; i < states; i++)
        state[i] = cb_select(all, 0, steps + i);
    return cb_slice(all, 0, 0, steps, 1);
}

cb_tensor *cbi_rnn_run_segments(const cbi_rnn_run *run, int64_t steps, const cbi_rnn_input *input,
                                cb_tensor *lengths, cb_tensor *const *given, cb_tensor **final) {
    cb_tensor *x = input->x;
    cb_tape *tape = cb_tape_of(x);
    int64_t time = input->time, count = time / steps + (time % steps > 0);
    cb_tensor *state[CB_CELL_MAX_STATES];
    if (time == 0)
        return cbi_rnn_run_direction(run, input, lengths, given, final);
    if (lengths != NULL && cbi_scan_check_lengths(x, lengths, time, input->batch) != CB_OK)
        return cbi_poison(tape);
    for (int i = 0; i < run->cell->state_count; i++) {
        state[i] = given != NULL ? given[i]
                                 : cb_full(tape, x->dtype, CB_SHAPE(input->batch, run->hidden), 0);
        if (state[i] == NULL)
            return cb_fail(x, CB_ERROR_VALUE, "rnn: an initial state is NULL");
    }
    cbi_block *block = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)count);
    if (block == NULL)
        return cbi_poison(tape);
    cb_tensor **outputs = block->data;
    for (int64_t i = 0; i < count && cb_tape_status(tape) == CB_OK; i++) {
        int64_t k = run->reverse ? count - 1 - i : i, first = k * steps;
        outputs[k] = checkpoint(run, input, first, time - first < steps ? time - first : steps,
                                lengths, state);
    }
    for (int i = 0; i < run->cell->state_count && final != NULL; i++)
        final[i] = state[i];
    return cb_tape_status(tape) == CB_OK ? cb_concat((int)count, outputs, 0) : cbi_poison(tape);
}
