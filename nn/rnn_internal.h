/* A recurrent network from inside: what building it (rnn_build.c) and running it (rnn.c) share. */
#ifndef CEREBRA_NN_RNN_INTERNAL_H
#define CEREBRA_NN_RNN_INTERNAL_H

#include <cerebra/rnn.h>

/* One direction of one layer: a cell with its weights. */
typedef struct cbi_rnn_run {
    const cb_cell *cell;
    int64_t input, hidden;
    bool reverse;
    cb_param *weights[CB_CELL_MAX_PARAMS]; /* NULL: a bias left out */
    cb_scan *scan;
} cbi_rnn_run;

struct cb_rnn {
    cb_module module; /* first: a cb_rnn is a module */
    cb_params *params;
    int layers, directions;
    double dropout;
    int64_t recompute; /* steps of a segment; 0: nothing is computed again */
    cbi_rnn_run *runs; /* [layers x directions] */
};

/* What a layer reads: x [time, batch, input], or rows [time, batch] of a table x [any, input]. */
typedef struct cbi_rnn_input {
    cb_tensor *x, *rows; /* rows: NULL when x is the input itself */
    int64_t time, batch;
} cbi_rnn_input;

/* Runs one direction of one layer. given: the initial states, or NULL for zeros; final: room for
   the last ones, or NULL; lengths may be NULL. */
cb_tensor *cbi_rnn_run_direction(const cbi_rnn_run *run, const cbi_rnn_input *input,
                                 cb_tensor *lengths, cb_tensor *const *given, cb_tensor **final);
/* The same, keeping nothing of what the cell computes but the output and the states between
   segments of that many steps. */
cb_tensor *cbi_rnn_run_segments(const cbi_rnn_run *run, int64_t steps, const cbi_rnn_input *input,
                                cb_tensor *lengths, cb_tensor *const *given, cb_tensor **final);

#endif
