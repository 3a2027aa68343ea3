/* A recurrent network from inside: what building it (rnn_build.c) and running it (rnn.c) share. */
#ifndef CEREBRA_NN_RNN_INTERNAL_H
#define CEREBRA_NN_RNN_INTERNAL_H

#include <cerebra/rnn.h>
#include <cerebra/scan.h>

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
    cbi_rnn_run *runs; /* [layers x directions] */
};

#endif
