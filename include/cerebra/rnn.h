/* Recurrent networks: cells, and the one driver that runs any of them over a sequence.

   A cell is a cb_cell: equations as text, a table of parameters, and a step in plain ops. It has no
   backward code and no kernel; docs/adding-a-cell.md builds one, and docs/cells.md writes one down
   as a file of equations, without C (equations.h). The driver gives it layers, directions, dropout,
   lengths, carried state, and recomputation for long sequences. */
#ifndef CEREBRA_RNN_H
#define CEREBRA_RNN_H

#include <cerebra/nn.h>
#include <cerebra/scan.h>

CB_BEGIN_DECLS

/* ---- Cells ----------------------------------------------------------------------------------- */

typedef struct cb_cell cb_cell;

/* A number by name: a hyperparameter and its value. */
typedef struct cb_setting {
    const char *name; /* of the hyperparameter */
    double value;     /* what it is to be */
} cb_setting;

/* An extent of a cell's parameter, state or input: times x a size, at least 1. CB_OWN_SIZE + i is
   size i of the cell's own table. {0} is no axis. */
typedef enum cb_cell_size { CB_INPUT, CB_HIDDEN, CB_OWN_SIZE } cb_cell_size;
typedef struct cb_cell_extent {
    int times;         /* 0: no axis */
    cb_cell_size size; /* of what */
} cb_cell_extent;

/* A size of a cell's own:
     (hidden x the hidden size + input x the input's size + constant + the setting) / over,
   a whole number of at least 1; or what a function says. */
typedef struct cb_cell_own_size {
    int hidden, input;   /* factors of the formula */
    int64_t constant;    /* a term of the formula */
    const char *setting; /* the hyperparameter to add, a whole number; NULL: none */
    int over;            /* 0: 1 */
    int64_t (*of)(int64_t input, int64_t hidden); /* NULL: the formula */
} cb_cell_own_size;

/* What a parameter is for: which of the driver's initialisers it gets, and whether no_bias drops
 * it. */
typedef enum cb_cell_role {
    CB_INPUT_WEIGHT,     /* multiplies x */
    CB_RECURRENT_WEIGHT, /* multiplies h */
    CB_BIAS,             /* is added; NULL in the step when the network has no biases */
    CB_UNIT_WEIGHT,      /* multiplies a state unit by unit (peepholes, gains) */
    CB_CONSTANT,         /* is no parameter: what `fill` makes it, never trained, never saved */
} cb_cell_role;

/* A row of a cell's table of parameters. */
typedef struct cb_cell_param {
    const char *name;       /* "weight_ih": the driver appends "_l0", "_l0_reverse", ... */
    cb_cell_extent rows;    /* the first axis: blocks gates of one hidden size each */
    cb_cell_extent columns; /* the second; {0} for a vector */
    int blocks;             /* gates stacked in rows; each is initialised by itself. 0: 1 */
    int halves;             /* 2: rows are an upper and a lower half (Cerebral cells) */
    cb_cell_role role;      /* decides how it is initialised */
    cb_init init;           /* default: uniform +-1 / sqrt(hidden), as PyTorch */
    /* Of a constant: sets the elements of a contiguous tensor of its shape. */
    void (*fill)(cb_tensor *constant, int64_t input, int64_t hidden, const double *settings);
} cb_cell_param;

/* A vector for each sequence and time step, by name. */
typedef struct cb_cell_vector {
    const char *name;    /* by which it is given or read */
    cb_cell_extent size; /* its extent beside the batch */
} cb_cell_vector;

/* The most rows of a cell's tables; a recurrence of its own (scan.h) has no such limits. cb_rnn_new
   says which one is met. */
#define CB_CELL_MAX_PARAMS   256
#define CB_CELL_MAX_STATES   64
#define CB_CELL_MAX_SETTINGS 64
#define CB_CELL_MAX_VECTORS  64   /* further inputs; and values observed */
#define CB_CELL_MAX_SIZES    1024 /* sizes of its own */
/* recurrent_states of a cell of whose states recurrent weights see none. */
#define CB_CELL_NO_RECURRENT_STATES UINT64_MAX

/* What a full step is given, and has to fill in: next, all of it, and observed. */
typedef struct cb_cell_step {
    const cb_cell *cell;         /* the cell that the step is of */
    int64_t input, hidden;       /* the sizes of the network's layer */
    const double *settings;      /* hyperparameters, in the table's order */
    cb_tensor *const *weights;   /* parameters, in the table's order (NULL: a dropped bias) */
    cb_tensor *x;                /* [batch, input] */
    cb_tensor *const *inputs;    /* the further inputs of this time step, [batch, size] each */
    cb_tensor *const *state;     /* the states before, [batch, size] each */
    cb_tensor *const *recurrent; /* the states as recurrent weights are to see them: `state`, but
                                    with recurrent dropout some of them have units set to 0 */
    cb_tensor **next;            /* the states after */
    cb_tensor **observed;        /* what is observed, [batch, size] each; NULL: nobody asks */
} cb_cell_step;

/* A kind of recurrent layer. All but name, state_count and a step may be left out. */
struct cb_cell {
    const char *name;               /* "lstm" */
    const char *summary;            /* one line: what it is, and its source */
    const char *equations;          /* in the language of equations.h */
    int state_count;                /* states, each [batch, size]; state 0 is the output h */
    const char *const *state_names; /* one each; NULL: they have none */
    int param_count;                /* rows of params */
    const cb_cell_param *params;    /* their table */
    /* One time step in plain ops, as in scan.h: weights are the parameters in the table's order
       (NULL: a dropped bias). Or, for a cell that needs more, full_step; step is NULL then. */
    cb_scan_step *step;
    void (*full_step)(const cb_cell_step *s);
    const cb_cell_extent *state_sizes; /* one each; NULL: all of the hidden size */
    const double *state_initial; /* what states begin with where no others are given; NULL: 0 */
    uint64_t recurrent_states;   /* those that recurrent weights see, which recurrent dropout masks:
                                    state i as bit i; 0: state 0; CB_CELL_NO_RECURRENT_STATES */
    bool output_anew; /* state 0 is computed anew at each step and not read: zoneout leaves it */
    int size_count;   /* sizes of the cell's own */
    const cb_cell_own_size *sizes; /* their table */
    int setting_count;             /* hyperparameters, with the values that they have by default */
    const cb_setting *settings;    /* their names and values */
    int input_count;               /* further inputs by time step beside x: masks, time gaps */
    const cb_cell_vector *inputs;  /* their names and sizes */
    int observed_count; /* values to be returned over time beside the output: gates, attention */
    const cb_cell_vector *observed; /* their names and sizes */
    /* First values of a parameter, and of a state where no others are given, that depend on sizes
       or hyperparameters; NULL: those of the tables. */
    cb_init (*param_init)(const cb_cell *cell, int param, int64_t input, int64_t hidden,
                          const double *settings);
    double (*state_value)(const cb_cell *cell, int state, int64_t input, int64_t hidden,
                          const double *settings);
};

CB_API extern const cb_cell cb_rnn_tanh;         /* "rnn" (Elman 1990) */
CB_API extern const cb_cell cb_lstm;             /* "lstm" (Hochreiter & Schmidhuber 1997) */
CB_API extern const cb_cell cb_peephole_lstm;    /* "peephole-lstm" (Gers et al. 2002) */
CB_API extern const cb_cell cb_layernorm_lstm;   /* "layernorm-lstm" (Ba et al. 2016) */
CB_API extern const cb_cell cb_projected_lstm;   /* "projected-lstm" (Sak et al. 2014) */
CB_API extern const cb_cell cb_gru;              /* "gru" (Cho et al. 2014; PyTorch's form) */
CB_API extern const cb_cell cb_gru_reset_before; /* "gru-reset-before" (Cho et al. 2014) */
CB_API extern const cb_cell cb_cerebral_lstm;    /* "cerebral-lstm" (Kumar 2020) */
CB_API extern const cb_cell cb_cerebral_lstm_as_printed; /* "cerebral-lstm-as-printed" */
CB_API extern const cb_cell cb_peephole_cerebral_lstm;   /* "peephole-cerebral-lstm" */
CB_API extern const cb_cell cb_cerebral_gru;             /* "cerebral-gru" */

/* A shared library of cells for the command, as in `cerebra train --cell ./mycells.so:mine`. It has
   this line in one file, outside of functions, and need not be linked with anything:
     CB_CELL_LIBRARY(&my_cell, &my_other_cell)
   which defines this struct, as cerebra_cells. */
#define CB_CELL_LIBRARY_VERSION 1
typedef struct cb_cell_library {
    int version;                 /* CB_CELL_LIBRARY_VERSION */
    size_t cell_size;            /* sizeof(cb_cell) */
    const cb_cell *const *cells; /* ended by NULL */
} cb_cell_library;
/* The line. */
#define CB_CELL_LIBRARY(...)                                                                       \
    static const cb_cell *const cerebra_cells_list[] = {__VA_ARGS__, NULL};                        \
    extern CB_API const cb_cell_library cerebra_cells;                                             \
    const cb_cell_library cerebra_cells = {CB_CELL_LIBRARY_VERSION, sizeof(cb_cell),               \
                                           cerebra_cells_list};

/* The library's cells, ended by NULL; and one of them by name, NULL when there is none. */
CB_API const cb_cell *const *cb_cells(void);
CB_API const cb_cell *cb_cell_find(const char *name);
/* An extent of the cell for a layer of these sizes. settings: hyperparameters that are not to have
   their default values, ended by a row without a name; may be NULL. INT64_MAX where it is larger
   than any memory, 0 where it is no whole number or below 1, or there is no cell. */
CB_API int64_t cb_cell_extent_of(const cb_cell *cell, const cb_cell_extent *extent, int64_t input,
                                 int64_t hidden, const cb_setting *settings);
/* Number of weights of one layer of the cell: the sum of its parameters' elements, without biases
   when no_bias is set; INT64_MAX when there are more, 0 without a cell. settings as above. */
CB_API int64_t cb_cell_parameters(const cb_cell *cell, int64_t input, int64_t hidden, bool no_bias,
                                  const cb_setting *settings);

struct cb_rnn_options;
/* A layer of the cell as a recurrence (scan.h) to be described, checked, or run: its weights are
   the cell's parameters in the table's order, its x has the further inputs beside it. Of options,
   hidden, no_bias, eager and settings are read. Ended by cb_scan_free. NULL, with what is wrong in
   error (which may be NULL): as cb_rnn_new. */
CB_API cb_scan *cb_cell_scan_new(const cb_cell *cell, cb_dtype dtype, int64_t input,
                                 const struct cb_rnn_options *options, cb_error *error);

/* ---- The driver ------------------------------------------------------------------------------ */

/* A recurrent network; belongs to the set of parameters that it is made on. */
typedef struct cb_rnn cb_rnn;

/* Options of cb_rnn_new. */
typedef struct cb_rnn_options {
    int64_t hidden;     /* units of a layer */
    int layers;         /* 0: 1 */
    bool no_bias;       /* parameters of role CB_BIAS are left out */
    bool reverse;       /* run from the last time step to the first */
    bool bidirectional; /* both; outputs side by side, forward first */
    double dropout;     /* on the output of every layer but the last, as cb_dropout_new */
    /* Variational dropout (Gal & Ghahramani 2016): recurrent weights see h m / (1 - rate), with one
       mask m for each sequence, the same at all time steps; h itself is carried on as it is. */
    double recurrent_dropout;
    /* Zoneout (Krueger et al. 2017): at each time step, each unit keeps the value that it had with
       this probability: of the states that recurrent weights see (state 0, unless the cell's
       recurrent_states says otherwise), and of the others. In evaluation, rate x old + (1 - rate) x
       new. */
    double zoneout, zoneout_cell;
    bool eager;        /* run cells op by op, never compiled: for a debugger, and for gradients of
                          gradients */
    int64_t recompute; /* steps of a segment of time, see below; 0: nothing is computed again */
    bool equal_halves; /* Cerebral cells: the lower half starts as a copy of the upper one */
    cb_init input_init, recurrent_init, bias_init, unit_init; /* by role; default: the table's, see
                                                           also param_init */
    const cb_setting *settings; /* hyperparameters of the cell that are not to have their default
                                   values, ended by a row without a name; copied; may be NULL */
} cb_rnn_options;

/* layers of one cell: cb_rnn_new(params, "rnn", &cb_lstm, input, hidden, options...). Parameters
   are named "rnn.weight_ih_l0", "rnn.weight_ih_l0_reverse", .... Layer 0 reads `input` features,
   the others their predecessor's hidden x directions. The cell must outlive the network; one may be
   the user's own. NULL, recorded on params: CB_ERROR_SHAPE (an extent below 1), CB_ERROR_VALUE
   (dropout or zoneout outside [0, 1), recurrent dropout or zoneout of states that no cell of the
   network has, recompute below 0, reverse with bidirectional, an initialiser that makes halves
   equal when that is not asked for, a cell with a bad table, an extent that is no whole number, a
   hyperparameter that the cell does not have), CB_ERROR_MEMORY.

   Recomputation. With recompute = k, each direction of each layer runs in segments of k time steps
   (the last may be shorter), each a cb_checkpoint: of what the cell computes, only the output of
   each step and the states between segments are kept, and a segment is run again for its gradient.
   That is memory for T / k states and for the intermediate results of k steps, least where k is
   about sqrt(T), at the price of a second forward run; outputs, inputs and their gradients take
   memory for T steps as ever. k of at least T: each direction is one segment. Results are those
   without it, to rounding. Gradients of gradients are refused, CB_ERROR_TAPE.

   Looked-up rows. Where x is rows of a table (an embedding) that has fewer rows than there are
   steps in all sequences, the table takes its place. cb_backward gives the table its gradient, but
   cb_grad for x itself fails with CB_ERROR_TAPE, and with recompute finds 0: make the network eager
   for it. */
#define cb_rnn_new(params, name, cell, input, ...)                                                 \
    cb_rnn_new_with(params, name, cell, input, CB_STRUCT(cb_rnn_options, .hidden = __VA_ARGS__))
CB_API cb_rnn *cb_rnn_new_with(cb_params *params, const char *name, const cb_cell *cell,
                               int64_t input, const cb_rnn_options *options);

/* A layer of a stack. */
typedef struct cb_stack_layer {
    const cb_cell *cell;        /* must outlive the network */
    int64_t hidden;             /* units of this layer */
    const cb_setting *settings; /* as in cb_rnn_options */
} cb_stack_layer;
/* Layers of any cells, of different kinds and sizes; options->hidden, layers and settings are not
   read. The array is copied. options may be NULL. */
CB_API cb_rnn *cb_stack_new(cb_params *params, const char *name, int64_t input, int count,
                            const cb_stack_layer *layers, const cb_rnn_options *options);

/* States of a network: one for each layer, direction and state of the cell, in that order (the
   direction and state vary fastest), each [batch, size]. */
CB_API int cb_rnn_state_count(const cb_rnn *rnn);
/* The size of state i: what to allocate for it. 0 when i is out of range. */
CB_API int64_t cb_rnn_state_size(const cb_rnn *rnn, int i);
/* Features of the output: the size of state 0 of the last layer x directions. */
CB_API int64_t cb_rnn_output_size(const cb_rnn *rnn);
/* Further inputs: those of all cells, each name once. NULL and 0 when i is out of range. */
CB_API int cb_rnn_input_count(const cb_rnn *rnn);
CB_API const char *cb_rnn_input_name(const cb_rnn *rnn, int i);
CB_API int64_t cb_rnn_input_size(const cb_rnn *rnn, int i);
/* Values that can be observed: those of each layer and direction, in the order of states. */
CB_API int cb_rnn_observed_count(const cb_rnn *rnn);
CB_API int64_t cb_rnn_observed_size(const cb_rnn *rnn, int i);
/* Masks of recurrent dropout, or none: for each layer, direction and state that is masked. */
CB_API int cb_rnn_mask_count(const cb_rnn *rnn);

/* How many layers there are. */
CB_API int cb_rnn_layers(const cb_rnn *rnn);
/* Why the cell of a layer runs op by op; NULL when it is compiled, which it is where the compiler
   can: see scan.h. */
CB_API const char *cb_rnn_eager_reason(const cb_rnn *rnn, int layer);
/* What the compiler makes of a layer's cell, as cb_scan_describe (scan.h) writes it, for x of so
   many time steps and sequences; table: rows of the embedding that x is looked up in, 0: none. Of
   two directions, the first. Returns the length of the whole text, 0 as there or when there is no
   such layer. */
CB_API size_t cb_rnn_describe(const cb_rnn *rnn, int layer, int64_t time, int64_t batch,
                              int64_t table, char *buffer, size_t size);

/* Runs a layer compiled and op by op on random inputs and with the layer's own weights, and
   compares values and all gradients, as cb_scan_check (scan.h) does; of two directions, both. Of
   options, the weights and names are not read; options and report may be NULL. Returns whether it
   passed; false, with a message, when there is no such layer. */
CB_API bool cb_rnn_check(const cb_rnn *rnn, int layer, const cb_scan_check_options *options,
                         cb_scan_check_report *report);

/* What a run may be given and may give besides x and the output; all may be NULL. */
typedef struct cb_rnn_io {
    cb_tensor *const *initial; /* state_count tensors to start from; NULL: what the cells begin
                                  with, zeros unless they say otherwise */
    cb_tensor **final;         /* room for state_count tensors: the states after the last step */
    cb_tensor *lengths;        /* [batch], i32 or i64, each in 0..time: steps that count */
    cb_tensor *const *inputs;  /* the further inputs, [time, batch, size] each; every layer whose
                                  cell has an input of that name gets it */
    cb_tensor **observed;      /* room for observed_count tensors [time, batch, size]; beyond a
                                  sequence's end they are 0. NULL: not computed */
    cb_tensor **masks; /* mask_count masks of recurrent dropout, [batch, size] with elements 0 or
                          1 / (1 - rate): those that are NULL are drawn, and left here. So a
                          sequence that is run in pieces keeps its own. NULL: new ones */
} cb_rnn_io;

/* Runs the network. x [time, batch, input] -> [time, batch, output_size]. io may be NULL. With
   lengths, a sequence's states stop changing at its end (a reverse direction starts there), and
   outputs beyond it are 0; cb_length_mask makes the mask of the steps that count, for a loss. time
   may be 0. Errors on the tape of x: CB_ERROR_SHAPE, CB_ERROR_DTYPE, CB_ERROR_VALUE (a length
   outside 0..time), CB_ERROR_TAPE (lengths or a state on another tape), CB_ERROR_NOT_FOUND (rnn is
   NULL; a further input that is not given), and what the cell's ops record; final then holds
   poisoned tensors. */
CB_API cb_tensor *cb_rnn_forward(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io);
/* One time step, for decoders: x [batch, input] -> [batch, output_size]. In io, inputs and observed
   are [batch, size]; lengths are not read. Errors as above. */
CB_API cb_tensor *cb_rnn_step(const cb_rnn *rnn, cb_tensor *x, const cb_rnn_io *io);
/* The network as a module: cb_rnn_forward(rnn, x, NULL). */
CB_API cb_module *cb_rnn_module(cb_rnn *rnn);

CB_END_DECLS

#endif
