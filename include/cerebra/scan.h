/* Recurrences: a step, written once with plain ops, run over a sequence.

   The step is compiled the first time it is run, or asked about: it is called with tensors that
   have shapes and no elements, its gradient is derived, and both are kept as a plan that runs many
   times as fast as the ops would one by one. Every op may be used, on anything; so may a user's
   own. A step that reads elements, or does something else from call to call, runs op by op at every
   time step instead: same results, and a reason to be read. cb_rnn is built on this;
   docs/adding-a-cell.md shows how to write a step. */
#ifndef CEREBRA_SCAN_H
#define CEREBRA_SCAN_H

#include <cerebra/tape.h>

CB_BEGIN_DECLS

/* One time step. weights: those of the run, in order (NULL: left out); x [batch, input]; state: the
   states before; next: to be filled with the states after, all of them. It may use anything else
   that stays the same during a run: constants, modules and their parameters, numbers in variables.
   It may draw through ops (cb_dropout) from generators that outlive it, and neither sets nor moves
   them itself. A tensor that it puts on the tape has no row for each sequence: that is a state, or
   a part of x. Each run calls it, once as a rule, on tensors without elements, to see whether it
   still does what was compiled; if not, it is compiled anew. 16 forms of a step are kept: a number
   that changes, or a mean over so many sequences, makes others. After that a new one takes the
   place of the one that was not used for the longest time if one of the four runs before had it,
   too, and runs op by op until then. */
typedef void cb_scan_step(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next);

/* A step that is given something of the program's besides: the options' context. */
typedef void cb_scan_context_step(const void *context, cb_tensor *const *weights, cb_tensor *x,
                                  cb_tensor *const *state, cb_tensor **next);

/* A recurrence; ended by cb_scan_free. */
typedef struct cb_scan cb_scan;

/* What a recurrence is made of. */
typedef struct cb_scan_options {
    const char *name;          /* of the step, for messages; NULL: "step" */
    cb_dtype dtype;            /* of x and the states; of integers, a step runs op by op */
    int64_t input;             /* features of x */
    int state_count;           /* 1 or more; state 0 is the output */
    const int64_t *state_size; /* columns of each state */
    int weight_count;          /* 0 or more */
    cb_tensor *const *weights; /* their shapes; only looked at by cb_scan_new; NULL: left out */
    bool eager; /* never compile: for a debugger, or for gradients of gradients, which a compiled
                   recurrence does not have */
    bool unchecked; /* leave out the check of each plan at first use, see cb_scan_reason */
    cb_scan_context_step *context_step; /* in place of the step, which is then NULL */
    const void *context;                /* of the program's; must live as long as the recurrence */
} cb_scan_options;

/* A recurrence, ended by cb_scan_free; everything in options is copied. NULL, with what is wrong in
   error (which may be NULL): CB_ERROR_VALUE (a count or a size out of its range, something
   missing), CB_ERROR_DTYPE, CB_ERROR_MEMORY. */
CB_API cb_scan *cb_scan_new(cb_scan_step *step, const cb_scan_options *options);
CB_API cb_scan *cb_scan_new_with(cb_scan_step *step, const cb_scan_options *options,
                                 cb_error *error);
/* Gradients of runs can still be taken after that, until their tapes are reset or freed. */
CB_API void cb_scan_free(cb_scan *scan);
/* Why the last run ran op by op, or, before any, why one would; NULL when it is compiled. Belongs
   to the scan, and changes with its next run.

   A plan is verified when it is made, and before it runs for the first time it is run on a few
   random rows and steps, or on the first ones of the run where the step fails on random numbers,
   and compared with the step run op by op, values and all gradients; for one sequence once more.
   One that fails does not run: the step runs op by op, and the reason says that the compiler has a
   bug; or, of a step with ops of the program's own, that or one of these is not what it says. */
CB_API const char *cb_scan_reason(cb_scan *scan);

/* What cb_scan_check is to run; all of it may be 0. */
typedef struct cb_scan_check_options {
    int64_t time, batch;       /* time steps and sequences; 0: 3 and 5 */
    uint64_t seed;             /* of inputs, states, and weights that are not given */
    double tolerance;          /* largest relative error that passes; 0: 1e-4 where anything is
                                  computed in f32, else 1e-9 */
    cb_tensor *const *weights; /* values of the weights; NULL: random ones */
    const char *const *weight_names; /* for the report, as in cb_scan_sizes; NULL: weight 0, ... */
    const char *const *state_names;  /* as weight_names */
} cb_scan_check_options;

/* What cb_scan_check found. */
typedef struct cb_scan_check_report {
    bool passed;      /* whether all differences were within what is allowed */
    bool compiled;    /* else the step runs op by op, see cb_scan_reason, and was compared with
                         itself */
    int64_t compared; /* elements of outputs, last states and gradients */
    double worst_value, worst_gradient; /* largest |compiled - op by op| over the largest |op by op|
                                           of the same tensor */
    char message[512];                  /* what differs most, "" when passed */
} cb_scan_check_report;

/* Runs the step compiled and op by op on the same random inputs, in each of the ways that it can be
   run (forward, in reverse, with lengths, on rows of a table), and compares outputs, last states
   and the gradients of everything. Where rounding is amplified, as in a chaotic step, what noise in
   the last bits of each op's results makes is allowed, too; and a difference must be there for
   several draws of inputs. Generators that the step draws from are left as they were. options and
   report may be NULL. Returns whether it passed. Never prints. */
CB_API bool cb_scan_check(cb_scan *scan, const cb_scan_check_options *options,
                          cb_scan_check_report *report);

/* What cb_scan_describe is to describe a recurrence for. */
typedef struct cb_scan_sizes {
    int64_t time, batch;             /* of a run; 1..CB_SCAN_MOST_DESCRIBED each */
    int64_t table;                   /* x is rows of a table of so many; 0: of none */
    const char *const *weight_names; /* as many as there are weights; NULL: w0, w1, ... */
    const char *const *state_names;  /* as many as there are states; NULL: s0, s1, ... */
} cb_scan_sizes;

/* The most time steps, and sequences, that a description can be asked for. */
#define CB_SCAN_MOST_DESCRIBED 262144

/* What the compiler makes of the step, for people to read: the step and its gradient as equations,
   what leaves the recurrence, what each pass did, the instructions of a step forward and backward
   with the shapes of products, buffers with their bytes, and floating-point operations and bytes
   moved for a time step and for a sequence. Of a step that runs op by op: why. The form may change.
   Writes at most size bytes, always terminated, and returns the length of the whole text, as
   snprintf does; buffer may be NULL when size is 0. 0 when there is no memory, scan or sizes is
   NULL, or a size is out of its range. */
CB_API size_t cb_scan_describe(cb_scan *scan, const cb_scan_sizes *sizes, char *buffer,
                               size_t size);

/* What a run is given and gives besides x and the output. */
typedef struct cb_scan_io {
    cb_tensor *const *weights; /* on x's tape, shaped as those of the options */
    cb_tensor *const *initial; /* state_count tensors [batch, size] to start from */
    cb_tensor **final;  /* room for as many: the states after the last step; NULL: unwanted */
    cb_tensor *lengths; /* [batch], i32 or i64, each in 0..time: steps that count; NULL: all */
    bool reverse;       /* from the last time step to the first */
    cb_tensor *rows; /* [time, batch], i32 or i64: x is a table [any, input] and the input of each
                        step and sequence is this row of it; NULL: x is the input */
} cb_scan_io;

/* Runs the recurrence: x [time, batch, input] -> state 0 after each step, [time, batch, size], at
   the time of its step. With lengths, a sequence's states stop changing at its end (in reverse,
   they start there), and outputs beyond it are 0; x beyond it must be finite, and where the step
   runs op by op, or an op sees several sequences at once, what the step makes of it and its slope
   there as well. time and batch may be 0. With rows, x is a table, and what depends on it alone is
   computed once for each of its rows, where it has fewer than there are steps in all sequences.
   Errors on the tape of x: CB_ERROR_SHAPE, CB_ERROR_DTYPE, CB_ERROR_VALUE (a length outside
   0..time, a state that the step leaves empty), CB_ERROR_INDEX (a row that the table does not
   have), CB_ERROR_TAPE (something on another tape; a gradient of the gradient of a compiled step),
   CB_ERROR_MEMORY, and what the step's ops record; final then holds poisoned tensors. The
   output and the last states are results side by side: cb_grad of the one with respect to the other
   gives 0. Threads may run one scan at the same time, on tapes of their own. */
CB_API cb_tensor *cb_scan_run(cb_scan *scan, cb_tensor *x, const cb_scan_io *io);

CB_END_DECLS

#endif
