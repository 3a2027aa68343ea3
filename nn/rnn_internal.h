/* A recurrent network from inside: what building it (rnn_build.c) and running it (rnn.c) share. */
#ifndef CEREBRA_NN_RNN_INTERNAL_H
#define CEREBRA_NN_RNN_INTERNAL_H

#include <cerebra/rnn.h>

struct cbi_rnn_run;

/* A cell as a recurrence, in one of the forms that a run may need. Beside what the cell says, the
   driver puts into the recurrence what it does itself:
     x        [x | further inputs], side by side
     state 0  [state 0 | observed values], where they are asked for: the output tells them apart
     states   the cell's, then the masks of recurrent dropout, which stay what they are */
typedef struct cbi_rnn_form {
    const struct cbi_rnn_run *run;
    bool masked, observing;
    cb_scan *scan; /* NULL: no run needs it */
} cbi_rnn_form;

enum { CBI_MOST_STATES = 2 * CB_CELL_MAX_STATES }; /* with the masks */

/* One direction of one layer: a cell with its weights. */
typedef struct cbi_rnn_run {
    const cb_rnn *rnn;
    const cb_cell *cell;
    int64_t input, hidden;
    bool reverse;
    double settings[CB_CELL_MAX_SETTINGS];
    int64_t state_size[CB_CELL_MAX_STATES];
    int64_t input_size[CB_CELL_MAX_VECTORS], observed_size[CB_CELL_MAX_VECTORS];
    int input_of[CB_CELL_MAX_VECTORS];        /* which of the network's further inputs each is */
    cb_param *weights[CB_CELL_MAX_PARAMS];    /* NULL: a bias left out, or a constant */
    cb_tensor *constants[CB_CELL_MAX_PARAMS]; /* NULL: no constant */
    int masked_count, masked[CB_CELL_MAX_STATES]; /* states that recurrent dropout masks */
    cbi_rnn_form forms[2][2];                     /* [masked][observing] */
} cbi_rnn_run;

/* A further input of the network. */
typedef struct cbi_rnn_vector {
    const char *name;
    int64_t size;
} cbi_rnn_vector;

struct cb_rnn {
    cb_module module; /* first: a cb_rnn is a module */
    cb_params *params;
    int layers, directions;
    double dropout, recurrent_dropout, zoneout, zoneout_cell;
    int64_t recompute; /* steps of a segment; 0: nothing is computed again */
    int input_count;
    cbi_rnn_vector inputs[CB_CELL_MAX_VECTORS];
    cbi_rnn_run *runs; /* [layers x directions] */
};

/* What a layer reads: x [time, batch, size], or rows [time, batch] of a table x [any, size]. */
typedef struct cbi_rnn_input {
    cb_tensor *x, *rows; /* rows: NULL when x is the input itself */
    int64_t time, batch;
} cbi_rnn_input;

/* ---- cells/sizes.c ---- */

/* The values of a cell's hyperparameters: the defaults, but where settings say otherwise. False,
   with the reason, when the cell does not have one of them, or one is not finite. */
bool cbi_cell_settings(const cb_cell *cell, const cb_setting *settings, double *values, char *why,
                       size_t size);
/* An extent for a layer of these sizes; 0 where it is no whole number or below 1, INT64_MAX where
   it is larger than any memory. */
int64_t cbi_cell_extent(const cb_cell *cell, const cb_cell_extent *extent, int64_t input,
                        int64_t hidden, const double *values);
/* Whether there is an axis. */
bool cbi_extent_is_given(const cb_cell_extent *extent);
/* Fills in the sizes of states, further inputs and observed values of a run with its cell, sizes
   and hyperparameters; returns the name of what has none that can be used, or NULL. */
const char *cbi_rnn_set_sizes(cbi_rnn_run *run);
/* The shape of a parameter, rank 1 or 2; extents as cbi_cell_extent gives them. */
void cbi_cell_shape(const cbi_rnn_run *run, const cb_cell_param *p, int *rank, int64_t shape[2]);
/* Why the tables of a cell cannot be used, in text; false when they can. */
bool cbi_cell_fault(const cb_cell *cell, char *text, size_t size);

/* ---- rnn_step.c ---- */

/* How many states a form has, and their sizes. */
int cbi_rnn_form_states(const cbi_rnn_form *form);
int64_t cbi_rnn_form_state_size(const cbi_rnn_form *form, int i);
/* Features of the form's x. */
int64_t cbi_rnn_form_input(const cbi_rnn_form *form);
/* The names of its states, with room for CBI_MOST_STATES. */
void cbi_rnn_form_names(const cbi_rnn_form *form, const char **names);
/* The step of a form, which is the context. */
void cbi_rnn_step(const void *context, cb_tensor *const *weights, cb_tensor *x,
                  cb_tensor *const *state, cb_tensor **next);
/* The network's rate of zoneout for a state: those that recurrent weights see have one, the others
   another; NULL for an output that is no state. */
const double *cbi_rnn_zoneout(const cbi_rnn_run *run, int state);
/* The form that training runs, when nothing is observed. */
const cbi_rnn_form *cbi_rnn_training_form(const cbi_rnn_run *run);

/* Runs a form over the time steps of the input. state: the first states, left with the last ones.
   -> state 0 after each step. */
cb_tensor *cbi_rnn_run_form(const cbi_rnn_form *form, const cbi_rnn_input *input,
                            cb_tensor *lengths, cb_tensor **state);
/* The same, keeping nothing of what the cell computes but the output and the states between
   segments of that many steps (rnn_segments.c). */
cb_tensor *cbi_rnn_run_segments(const cbi_rnn_form *form, int64_t steps, const cbi_rnn_input *input,
                                cb_tensor *lengths, cb_tensor **state);

#endif
