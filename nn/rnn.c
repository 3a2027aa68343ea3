/* The recurrent driver: layers, directions, dropout, lengths and carried state around any cell.

   Time is the business of cb_scan (scan.h), which sees a cell as nothing but its step. With
   recomputation, a direction runs as checkpointed segments of time instead of in one go; see
   rnn_segments.c. */
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"
#include "nn/params_internal.h"
#include "nn/rnn_internal.h"

/* ---- What a run is given --------------------------------------------------------------------- */

static cb_status check_further_input(const cb_rnn *rnn, int i, cb_tensor *x, cb_tensor *given) {
    char shape[160];
    const cbi_rnn_vector *input = &rnn->inputs[i];
    const char *name = rnn->module.name;
    if (given == NULL)
        cb_fail(x, CB_ERROR_NOT_FOUND, "rnn \"%s\": the further input \"%s\" is not given", name,
                input->name);
    else if (cbi_is_poisoned(given) || cb_tape_of(given) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "rnn \"%s\": the further input \"%s\" is not on x's tape", name,
                input->name);
    else if (given->rank != 3 || given->shape[0] != x->shape[0] || given->shape[1] != x->shape[1] ||
             given->shape[2] != input->size)
        cb_fail(x, CB_ERROR_SHAPE,
                "rnn \"%s\": the further input \"%s\" is %s, not [%lld,%lld,%lld]", name,
                input->name, cb_shape_format(given, shape, sizeof(shape)), (long long)x->shape[0],
                (long long)x->shape[1], (long long)input->size);
    else if (given->dtype != x->dtype)
        cb_fail(x, CB_ERROR_DTYPE, "rnn \"%s\": the further input \"%s\" is %s and x is %s", name,
                input->name, cb_dtype_name(given->dtype), cb_dtype_name(x->dtype));
    return cb_tape_status(cb_tape_of(x));
}

/* Fails unless what is given fits the network. */
static cb_status check_input(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io) {
    char shape[160];
    if (x == NULL || cb_tape_of(x) == NULL || cbi_is_poisoned(x))
        return CB_ERROR_TAPE;
    if (rnn == NULL)
        cb_fail(x, CB_ERROR_NOT_FOUND, "rnn: the network is NULL; see cb_params_error");
    else if (x->rank != 3 || x->shape[2] != rnn->runs[0].input)
        cb_fail(x, CB_ERROR_SHAPE, "rnn \"%s\": %s is not [time, batch, %lld]", rnn->module.name,
                cb_shape_format(x, shape, sizeof(shape)), (long long)rnn->runs[0].input);
    else if (x->dtype != cb_params_dtype(rnn->params))
        cb_fail(x, CB_ERROR_DTYPE, "rnn \"%s\": the input is %s and the weights are %s",
                rnn->module.name, cb_dtype_name(x->dtype),
                cb_dtype_name(cb_params_dtype(rnn->params)));
    for (int i = 0; rnn != NULL && i < rnn->input_count && cb_tape_status(cb_tape_of(x)) == CB_OK;
         i++)
        check_further_input(rnn, i, x, io->inputs != NULL ? io->inputs[i] : NULL);
    return cb_tape_status(cb_tape_of(x));
}

/* What lies past the end must not matter, even NaN: 0 * NaN would reach the gradients. Rows of a
   table are as finite there as they are elsewhere. */
static cb_tensor *masked(cb_tensor *x, cb_tensor *lengths) {
    if (lengths == NULL)
        return x;
    cb_tensor *masks = cbi_scan_masks(x, lengths, x->shape[0], x->shape[1]);
    return cb_where(masks, x, cb_full_like(x, 0));
}

/* What a direction reads: the layer's input, with the cell's further inputs beside it. */
static cbi_rnn_input input_of(const cbi_rnn_run *run, const cbi_rnn_input *layer,
                              const cb_rnn_io *io) {
    cb_tensor *parts[1 + CB_CELL_MAX_VECTORS];
    cbi_rnn_input input = *layer;
    if (run->cell->input_count == 0)
        return input;
    parts[0] = input.rows != NULL ? cb_gather_rows(input.x, input.rows) : input.x;
    for (int i = 0; i < run->cell->input_count; i++)
        parts[1 + i] = masked(io->inputs[run->input_of[i]], io->lengths);
    input.x = cb_concat(1 + run->cell->input_count, parts, 2);
    input.rows = NULL;
    return input;
}

/* ---- One direction of one layer -------------------------------------------------------------- */

/* What a direction takes and leaves of a run's, and what the direction is given. */
typedef struct direction {
    const cbi_rnn_form *form;
    cb_tensor *const *initial;              /* of the cell's states; NULL: what they begin with */
    cb_tensor **final, **observed, **masks; /* NULL: unwanted */
    int first_state, first_mask;            /* their numbers in the network; for messages */
} direction;

/* Fails unless a state or mask that is given is [batch, size]. */
static cb_status check_rows(const cbi_rnn_run *run, const cbi_rnn_input *input, const char *what,
                            int number, cb_tensor *given, int64_t size) {
    char shape[160];
    cb_tensor *x = input->x;
    const char *name = run->rnn->module.name;
    if (given == NULL)
        cb_fail(x, CB_ERROR_VALUE, "rnn \"%s\": %s %d is NULL", name, what, number);
    else if (cbi_is_poisoned(given) || cb_tape_of(given) != cb_tape_of(x))
        cb_fail(x, CB_ERROR_TAPE, "rnn \"%s\": %s %d is not on the tape of the input", name, what,
                number);
    else if (given->rank != 2 || given->shape[0] != input->batch || given->shape[1] != size)
        cb_fail(x, CB_ERROR_SHAPE, "rnn \"%s\": %s %d is %s, not [%lld,%lld]", name, what, number,
                cb_shape_format(given, shape, sizeof(shape)), (long long)input->batch,
                (long long)size);
    else if (given->dtype != x->dtype)
        cb_fail(x, CB_ERROR_DTYPE, "rnn \"%s\": %s %d is %s and the input is %s", name, what,
                number, cb_dtype_name(given->dtype), cb_dtype_name(x->dtype));
    return cb_tape_status(cb_tape_of(x));
}

static cb_tensor *new_mask(const cbi_rnn_run *run, const cbi_rnn_input *input, int i) {
    int64_t size = run->state_size[run->masked[i]];
    cb_tensor *ones =
        cb_full(cb_tape_of(input->x), input->x->dtype, CB_SHAPE(input->batch, size), 1);
    return cb_dropout(ones, run->rnn->recurrent_dropout, cb_params_random(run->rnn->params));
}

/* What a state begins with when it is not given. */
static double first_value(const cbi_rnn_run *run, int i) {
    const cb_cell *cell = run->cell;
    if (cell->state_value != NULL)
        return cell->state_value(cell, i, run->input, run->hidden, run->settings);
    return cell->state_initial != NULL ? cell->state_initial[i] : 0;
}

/* The masks of recurrent dropout, behind the cell's states: those that are given, or new ones,
   which are left there. */
static cb_status first_masks(const direction *d, const cbi_rnn_input *input, cb_tensor **state) {
    const cbi_rnn_run *run = d->form->run;
    for (int i = 0; i < run->masked_count && d->form->masked; i++) {
        bool given = d->masks != NULL && d->masks[i] != NULL;
        cb_tensor *mask = given ? d->masks[i] : new_mask(run, input, i);
        int64_t size = run->state_size[run->masked[i]];
        if (given && check_rows(run, input, "mask", d->first_mask + i, mask, size) != CB_OK)
            break;
        if (d->masks != NULL)
            d->masks[i] = mask;
        state[run->cell->state_count + i] = mask;
    }
    return cb_tape_status(cb_tape_of(input->x));
}

/* The states that the recurrence starts from. */
static cb_status first_states(const direction *d, const cbi_rnn_input *input, cb_tensor **state) {
    const cbi_rnn_run *run = d->form->run;
    const cb_cell *cell = run->cell;
    cb_tape *tape = cb_tape_of(input->x);
    for (int i = 0; i < cell->state_count; i++) {
        int64_t size = run->state_size[i];
        state[i] = d->initial != NULL ? d->initial[i]
                                      : cb_full(tape, input->x->dtype, CB_SHAPE(input->batch, size),
                                                first_value(run, i));
        if (d->initial != NULL &&
            check_rows(run, input, "initial state", d->first_state + i, state[i], size) != CB_OK)
            return cb_tape_status(tape);
    }
    if (d->form->observing) {
        int64_t size = cbi_rnn_form_state_size(d->form, 0) - run->state_size[0];
        cb_tensor *parts[2] = {state[0],
                               cb_full(tape, input->x->dtype, CB_SHAPE(input->batch, size), 0)};
        state[0] = cb_concat(2, parts, 1);
    }
    return first_masks(d, input, state);
}

/* Columns first to first + count of the last axis, at all time steps. */
static cb_tensor *columns(cb_tensor *x, int64_t first, int64_t count) {
    return cb_slice(x, -1, first, first + count, 1);
}

static cb_tensor *run_direction(const direction *d, const cbi_rnn_input *input,
                                const cb_rnn_io *io) {
    const cbi_rnn_run *run = d->form->run;
    cb_tensor *state[CBI_MOST_STATES];
    int64_t size = run->state_size[0], at = size;
    if (first_states(d, input, state) != CB_OK)
        return cbi_poison(cb_tape_of(input->x));
    cb_tensor *output =
        run->rnn->recompute > 0
            ? cbi_rnn_run_segments(d->form, run->rnn->recompute, input, io->lengths, state)
            : cbi_rnn_run_form(d->form, input, io->lengths, state);
    for (int i = 0; i < run->cell->observed_count && d->form->observing;
         at += run->observed_size[i++])
        d->observed[i] = columns(output, at, run->observed_size[i]);
    for (int i = 0; i < run->cell->state_count && d->final != NULL; i++)
        d->final[i] = i == 0 && d->form->observing ? columns(state[0], 0, size) : state[i];
    return d->form->observing ? columns(output, 0, size) : output;
}

cb_tensor *cbi_rnn_run_form(const cbi_rnn_form *form, const cbi_rnn_input *input,
                            cb_tensor *lengths, cb_tensor **state) {
    const cbi_rnn_run *run = form->run;
    cb_tensor *weights[CB_CELL_MAX_PARAMS] = {NULL};
    cb_tape *tape = cb_tape_of(input->x);
    for (int i = 0; i < run->cell->param_count; i++)
        weights[i] = run->constants[i] != NULL ? cb_input(tape, run->constants[i])
                     : run->weights[i] != NULL ? cb_parameter(tape, run->weights[i])
                                               : NULL;
    return cb_scan_run(form->scan, input->x,
                       &(cb_scan_io){.weights = weights,
                                     .initial = state,
                                     .final = state,
                                     .lengths = lengths,
                                     .reverse = run->reverse,
                                     .rows = input->rows});
}

/* ---- The network ----------------------------------------------------------------------------- */

/* Every final state and observed value poisoned: what a run that failed leaves. */
static cb_tensor *give_up(const cb_rnn *rnn, cb_tape *tape, const cb_rnn_io *io) {
    for (int i = 0; io->final != NULL && i < cb_rnn_state_count(rnn); i++)
        io->final[i] = cbi_poison(tape);
    for (int i = 0; io->observed != NULL && i < cb_rnn_observed_count(rnn); i++)
        io->observed[i] = cbi_poison(tape);
    return cbi_poison(tape);
}

cb_tensor *cb_rnn_forward(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io) {
    const cb_rnn_io none = {0};
    cb_tape *tape = cb_tape_of(x);
    io = io != NULL ? io : &none;
    if (check_input(rnn, x, io) != CB_OK)
        return give_up(rnn, tape, io);
    cbi_rnn_input layer_input = {.time = x->shape[0], .batch = x->shape[1]};
    layer_input.x = cbi_looked_up(x, &layer_input.rows);
    if (layer_input.x == NULL)
        layer_input.x = masked(x, io->lengths);
    bool masks = rnn->recurrent_dropout > 0 && !tape->evaluating;
    int state = 0, observed = 0, mask = 0; /* number of the first one of the run */
    for (int layer = 0; layer < rnn->layers && cb_tape_status(tape) == CB_OK; layer++) {
        cb_tensor *outputs[2];
        for (int k = 0; k < rnn->directions && cb_tape_status(tape) == CB_OK; k++) {
            const cbi_rnn_run *run = &rnn->runs[layer * rnn->directions + k];
            bool observing = io->observed != NULL && run->cell->observed_count > 0;
            direction d = {.form = &run->forms[masks][observing],
                           .initial = io->initial != NULL ? io->initial + state : NULL,
                           .final = io->final != NULL ? io->final + state : NULL,
                           .observed = observing ? io->observed + observed : NULL,
                           .masks = io->masks != NULL ? io->masks + mask : NULL,
                           .first_state = state,
                           .first_mask = mask};
            cbi_rnn_input input = input_of(run, &layer_input, io);
            outputs[k] = run_direction(&d, &input, io);
            state += run->cell->state_count;
            observed += run->cell->observed_count;
            mask += run->masked_count;
        }
        if (cb_tape_status(tape) != CB_OK)
            break;
        x = rnn->directions == 2 ? cb_concat(2, outputs, -1) : outputs[0];
        if (rnn->dropout > 0 && layer + 1 < rnn->layers && !tape->evaluating)
            x = cb_dropout(x, rnn->dropout, cb_params_random(rnn->params));
        layer_input.x = x;
        layer_input.rows = NULL;
    }
    return cb_tape_status(tape) == CB_OK ? x : give_up(rnn, tape, io);
}

cb_tensor *cb_rnn_step(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io) {
    cb_rnn_io step = io != NULL ? *io : (cb_rnn_io){0};
    cb_tensor *inputs[CB_CELL_MAX_VECTORS];
    char shape[160];
    bool fits = x == NULL || rnn == NULL || cb_tape_of(x) == NULL || cbi_is_poisoned(x) ||
                (x->rank == 2 && x->shape[1] == rnn->runs[0].input);
    if (!fits) /* for its message; the sequence of one step is refused below */
        cb_fail(x, CB_ERROR_SHAPE, "rnn \"%s\": a step's %s is not [batch, %lld]", rnn->module.name,
                cb_shape_format(x, shape, sizeof(shape)), (long long)rnn->runs[0].input);
    step.lengths = NULL;
    for (int i = 0; step.inputs != NULL && i < cb_rnn_input_count(rnn); i++)
        inputs[i] = step.inputs[i] != NULL ? cb_unsqueeze(step.inputs[i], 0) : NULL;
    step.inputs = step.inputs != NULL ? inputs : NULL;
    cb_tensor *output = cb_rnn_forward(rnn, cb_unsqueeze(x, 0), &step);
    for (int i = 0; step.observed != NULL && i < cb_rnn_observed_count(rnn); i++)
        step.observed[i] = cb_squeeze(step.observed[i], 0);
    return cb_squeeze(output, 0);
}
