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
    const cbi_rnn_form *form;
    bool looked_up, has_lengths;
} segment;

enum { MOST_INPUTS = CBI_MOST_STATES + 3 };

/* -> the elements of the output, then those of the states after the last step, one after the other:
   a checkpoint has one result. */
static cb_tensor *run_segment(const void *context, cb_tensor *const *in) {
    const segment *s = context;
    int states = cbi_rnn_form_states(s->form);
    cb_tensor *results[CBI_MOST_STATES + 1], *state[CBI_MOST_STATES];
    cbi_rnn_input input = {.x = in[0], .rows = s->looked_up ? in[1] : NULL};
    const cb_tensor *shape = s->looked_up ? in[1] : in[0];
    input.time = shape->shape[0];
    input.batch = shape->shape[1];
    in += s->looked_up ? 2 : 1;
    for (int i = 0; i < states; i++)
        state[i] = in[i];
    results[0] = cbi_rnn_run_form(s->form, &input, s->has_lengths ? in[states] : NULL, state);
    for (int i = 0; i < states; i++)
        results[i + 1] = state[i];
    for (int i = 0; i <= states; i++)
        results[i] = cb_reshape(results[i], CB_SHAPE(-1));
    return cb_concat(states + 1, results, 0);
}

/* The next [rows..., size] elements of those of a segment. */
static cb_tensor *take(cb_tensor *all, int64_t *at, int rank, const int64_t *shape) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    cb_tensor *part = cb_slice(all, 0, *at, *at + count, 1);
    *at += count;
    return cb_reshape(part, rank, shape);
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
static cb_tensor *checkpoint(const cbi_rnn_form *form, const cbi_rnn_input *input, int64_t first,
                             int64_t steps, cb_tensor *lengths, cb_tensor **state) {
    int states = cbi_rnn_form_states(form), count = 0;
    segment s = {.form = form, .looked_up = input->rows != NULL, .has_lengths = lengths != NULL};
    cb_tensor *in[MOST_INPUTS];
    int64_t at = 0;
    if (s.looked_up)
        in[count++] = input->x;
    in[count++] = cb_slice(s.looked_up ? input->rows : input->x, 0, first, first + steps, 1);
    for (int i = 0; i < states; i++)
        in[count++] = state[i];
    if (lengths != NULL)
        in[count++] = lengths_within(lengths, first, steps);
    cb_tensor *all = cb_checkpoint(run_segment, &s, sizeof(s), count, in);
    cb_tensor *output =
        take(all, &at, 3, (int64_t[]){steps, input->batch, cbi_rnn_form_state_size(form, 0)});
    for (int i = 0; i < states; i++)
        state[i] = take(all, &at, 2, (int64_t[]){input->batch, cbi_rnn_form_state_size(form, i)});
    return output;
}

cb_tensor *cbi_rnn_run_segments(const cbi_rnn_form *form, int64_t steps, const cbi_rnn_input *input,
                                cb_tensor *lengths, cb_tensor **state) {
    cb_tensor *x = input->x;
    cb_tape *tape = cb_tape_of(x);
    int64_t time = input->time, count = time / steps + (time % steps > 0);
    if (time == 0)
        return cbi_rnn_run_form(form, input, lengths, state);
    if (lengths != NULL && cbi_scan_check_lengths(x, lengths, time, input->batch) != CB_OK)
        return cbi_poison(tape);
    cbi_block *block = cbi_block_new(tape, sizeof(cb_tensor *) * (size_t)count);
    if (block == NULL)
        return cbi_poison(tape);
    cb_tensor **outputs = block->data;
    for (int64_t i = 0; i < count && cb_tape_status(tape) == CB_OK; i++) {
        int64_t k = form->run->reverse ? count - 1 - i : i, first = k * steps;
        outputs[k] = checkpoint(form, input, first, time - first < steps ? time - first : steps,
                                lengths, state);
    }
    return cb_tape_status(tape) == CB_OK ? cb_concat((int)count, outputs, 0) : cbi_poison(tape);
}
