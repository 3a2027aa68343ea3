/* The step of a recurrence that is a cell: it takes apart what the driver has put side by side (see
   cbi_rnn_form), lets the cell compute, and adds what the driver does at each step: zoneout, and
   masks of recurrent dropout. */
#include "autograd/tape_internal.h"
#include "nn/rnn_internal.h"

static int64_t observed_total(const cbi_rnn_run *run) {
    int64_t total = 0;
    for (int i = 0; i < run->cell->observed_count; i++)
        total += run->observed_size[i];
    return total;
}

int cbi_rnn_form_states(const cbi_rnn_form *form) {
    return form->run->cell->state_count + (form->masked ? form->run->masked_count : 0);
}

int64_t cbi_rnn_form_state_size(const cbi_rnn_form *form, int i) {
    const cbi_rnn_run *run = form->run;
    int mask = i - run->cell->state_count;
    if (mask >= 0)
        return run->state_size[run->masked[mask]];
    return run->state_size[i] + (i == 0 && form->observing ? observed_total(run) : 0);
}

int64_t cbi_rnn_form_input(const cbi_rnn_form *form) {
    int64_t total = form->run->input;
    for (int i = 0; i < form->run->cell->input_count; i++)
        total += form->run->input_size[i];
    return total;
}

void cbi_rnn_form_names(const cbi_rnn_form *form, const char **names) {
    const cb_cell *cell = form->run->cell;
    for (int i = 0; i < cell->state_count; i++)
        names[i] = cell->state_names != NULL ? cell->state_names[i] : "state";
    for (int i = cell->state_count; i < cbi_rnn_form_states(form); i++)
        names[i] = "mask";
}

const cbi_rnn_form *cbi_rnn_training_form(const cbi_rnn_run *run) {
    return &run->forms[run->rnn->recurrent_dropout > 0][0];
}

/* Columns of a row for each sequence. */
static cb_tensor *columns(cb_tensor *x, int64_t first, int64_t count) {
    return cb_slice(x, 1, first, first + count, 1);
}

/* A state after the step of which each unit stays what it was with a probability. */
static cb_tensor *zoneout(const cbi_rnn_run *run, int state, cb_tensor *before, cb_tensor *after) {
    const cb_tape *tape = after != NULL ? cb_tape_of(after) : NULL;
    const double *of = cbi_rnn_zoneout(run, state);
    double rate = of != NULL ? *of : 0;
    if (rate == 0 || tape == NULL)
        return after;
    if (tape->evaluating)
        return cb_add(cb_scale(before, rate), cb_scale(after, 1 - rate));
    /* What dropout draws a mask for has a row for each sequence: tiles of rows are drawn by several
       threads. */
    cb_tensor *change = cb_dropout(cb_sub(after, before), rate, cb_params_random(run->rnn->params));
    return cb_add(before, cb_scale(change, 1 - rate));
}

const double *cbi_rnn_zoneout(const cbi_rnn_run *run, int state) {
    bool seen = run->masked_count == 0 && state == 0;
    if (state == 0 && run->cell->output_anew)
        return NULL;
    for (int i = 0; i < run->masked_count; i++)
        seen = seen || run->masked[i] == state;
    return seen ? &run->rnn->zoneout : &run->rnn->zoneout_cell;
}

void cbi_rnn_step(const void *context, cb_tensor *const *weights, cb_tensor *x,
                  cb_tensor *const *state, cb_tensor **next) {
    const cbi_rnn_form *form = context;
    const cbi_rnn_run *run = form->run;
    const cb_cell *cell = run->cell;
    int states = cell->state_count;
    cb_tensor *inputs[CB_CELL_MAX_VECTORS], *observed[CB_CELL_MAX_VECTORS + 1] = {NULL};
    cb_tensor *before[CB_CELL_MAX_STATES], *recurrent[CB_CELL_MAX_STATES];
    int64_t at = run->input;
    for (int i = 0; i < cell->input_count; at += run->input_size[i++])
        inputs[i] = columns(x, at, run->input_size[i]);
    for (int i = 0; i < states; i++)
        before[i] = recurrent[i] = state[i];
    if (form->observing)
        before[0] = recurrent[0] = columns(state[0], 0, run->state_size[0]);
    for (int i = 0; i < run->masked_count && form->masked; i++) {
        int dropped = run->masked[i];
        recurrent[dropped] = cb_mul(before[dropped], state[states + i]);
        next[states + i] = state[states + i];
    }
    const cb_cell_step s = {.cell = cell,
                            .input = run->input,
                            .hidden = run->hidden,
                            .settings = run->settings,
                            .weights = weights,
                            .x = cell->input_count > 0 ? columns(x, 0, run->input) : x,
                            .inputs = inputs,
                            .state = before,
                            .recurrent = recurrent,
                            .next = next,
                            .observed = form->observing ? observed + 1 : NULL};
    if (cell->full_step != NULL)
        cell->full_step(&s);
    else
        cell->step(s.weights, s.x, s.state, s.next);
    for (int i = 0; i < states; i++)
        next[i] = zoneout(run, i, before[i], next[i]);
    if (form->observing && next[0] != NULL) {
        observed[0] = next[0];
        next[0] = cb_concat(1 + cell->observed_count, observed, 1);
    }
}
