/* The recurrent driver: layers, directions, dropout, lengths and carried state around any cell.

   Time is the business of cb_scan (scan.h), which sees a cell as nothing but its step. With
   recomputation, a direction runs as checkpointed segments of time instead of in one go; see
   rnn_segments.c. */
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"
#include "nn/params_internal.h"
#include "nn/rnn_internal.h"

/* Fails unless x fits the network. */
static cb_status check_input(const cb_rnn *rnn, cb_tensor *x) {
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
    return cb_tape_status(cb_tape_of(x));
}

cb_tensor *cbi_rnn_run_direction(const cbi_rnn_run *run, const cbi_rnn_input *input,
                                 cb_tensor *lengths, cb_tensor *const *given, cb_tensor **final) {
    cb_tensor *weights[CB_CELL_MAX_PARAMS] = {NULL}, *initial[CB_CELL_MAX_STATES];
    cb_tape *tape = cb_tape_of(input->x);
    for (int i = 0; i < run->cell->param_count; i++)
        if (run->weights[i] != NULL)
            weights[i] = cb_parameter(tape, run->weights[i]);
    for (int i = 0; i < run->cell->state_count; i++)
        initial[i] = given != NULL
                         ? given[i]
                         : cb_full(tape, input->x->dtype, CB_SHAPE(input->batch, run->hidden), 0);
    return cb_scan_run(run->scan, input->x,
                       &(cb_scan_io){.weights = weights,
                                     .initial = initial,
                                     .final = final,
                                     .lengths = lengths,
                                     .reverse = run->reverse,
                                     .rows = input->rows});
}

/* Every final state poisoned: what a run that failed leaves. */
static cb_tensor *give_up(const cb_rnn *rnn, cb_tape *tape, const cb_rnn_io *io) {
    for (int i = 0; io->final != NULL && i < cb_rnn_state_count(rnn); i++)
        io->final[i] = cbi_poison(tape);
    return cbi_poison(tape);
}

/* What lies past the end must not matter, even NaN: 0 * NaN would reach the gradients. Rows of a
   table are as finite there as they are elsewhere. */
static cb_tensor *masked(cb_tensor *x, cb_tensor *lengths) {
    if (lengths == NULL)
        return x;
    cb_tensor *masks = cbi_scan_masks(x, lengths, x->shape[0], x->shape[1]);
    return cb_where(masks, x, cb_full_like(x, 0));
}

cb_tensor *cb_rnn_forward(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io) {
    const cb_rnn_io none = {0};
    cb_tape *tape = cb_tape_of(x);
    io = io != NULL ? io : &none;
    if (check_input(rnn, x) != CB_OK)
        return give_up(rnn, tape, io);
    cbi_rnn_input input = {.time = x->shape[0], .batch = x->shape[1]};
    input.x = cbi_looked_up(x, &input.rows);
    if (input.x == NULL)
        input.x = masked(x, io->lengths);
    int at = 0; /* number of the first state of the run */
    for (int layer = 0; layer < rnn->layers && cb_tape_status(tape) == CB_OK; layer++) {
        cb_tensor *outputs[2];
        for (int d = 0; d < rnn->directions && cb_tape_status(tape) == CB_OK; d++) {
            const cbi_rnn_run *run = &rnn->runs[layer * rnn->directions + d];
            cb_tensor *const *given = io->initial != NULL ? io->initial + at : NULL;
            cb_tensor **final = io->final != NULL ? io->final + at : NULL;
            outputs[d] =
                rnn->recompute > 0
                    ? cbi_rnn_run_segments(run, rnn->recompute, &input, io->lengths, given, final)
                    : cbi_rnn_run_direction(run, &input, io->lengths, given, final);
            at += run->cell->state_count;
        }
        if (cb_tape_status(tape) != CB_OK)
            break;
        x = rnn->directions == 2 ? cb_concat(2, outputs, -1) : outputs[0];
        if (rnn->dropout > 0 && layer + 1 < rnn->layers && !tape->evaluating)
            x = cb_dropout(x, rnn->dropout, cb_params_random(rnn->params));
        input.x = x;
        input.rows = NULL;
    }
    return cb_tape_status(tape) == CB_OK ? x : give_up(rnn, tape, io);
}
