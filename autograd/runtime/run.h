/* Running a plan over rows and steps. */
#ifndef CEREBRA_AUTOGRAD_RUNTIME_RUN_H
#define CEREBRA_AUTOGRAD_RUNTIME_RUN_H

#include "autograd/compiler/plan.h"
#include "autograd/compiler/traced.h"
#include "tensor/gemm/packed.h"

#include <pthread.h>

/* A generator that the step's ops draw from: as it was when the run began, and how many numbers a
   step draws. */
typedef struct cbi_run_draw {
    cb_random start;
    int64_t each_step;
} cbi_run_draw;

/* What a plan is run on. Steps are numbered in the order in which they run: step s is at time s, or
   at time T - 1 - s in reverse. What has rows of all steps lies in the order of time. */
typedef struct cbi_run {
    const cbi_plan *plan;
    const cbi_traced *traced;
    int64_t steps, rows;
    int threads; /* of this pass */
    bool reverse;
    bool keep;        /* the backward pass will follow */
    bool small_tiles; /* few rows at a time, as a large batch has its rows in tiles: for a check */
    bool overwritten; /* it has, and wrote over residuals */
    cb_tensor *const *captured;
    char **row_inputs;      /* of each: [steps, rows, ...], or a table that row_of looks up in */
    const int64_t *row_of;  /* [steps, rows]; NULL: in order */
    const int64_t *lengths; /* [rows]: steps in time that count; NULL: all */
    const char **initial;   /* of each state: [rows, ...] */
    char **buffers;         /* memory of each of the plan's buffers, see cbi_run_bytes */
    char **left_outputs;    /* of each output of a graph without states */
    const char **given_outputs; /* backward: the gradient of each output, where it is given */
    char **left_gradients;      /* backward: where the gradient of each row input goes */
    const char **given_final;   /* backward: gradients of the states after the last step; NULL: 0 */
    char **accumulators;        /* of each sum, cbi_run_accumulator_bytes */
    cbi_packed *packed;         /* of each group of each of the plan's weights, see first_packed */
    int *first_packed;          /* of each of the plan's weights: its first in packed */
    char **weights;             /* memory for each of the plan's weights */
    char *scratch;              /* cbi_run_scratch_bytes */
    const cbi_run_draw *draws;  /* of each generator of the trace */
    const uint64_t
        *draw_offsets; /* of each node of the step that draws: numbers of the step before */
    struct cbi_call_tapes *tapes; /* for ops that are applied as they are; NULL: there are none */
} cbi_run;

/* Bytes of a buffer for this run; 0 for those that lie elsewhere. */
size_t cbi_run_bytes(const cbi_run *run, int buffer);
/* Whether a buffer's memory is of use only from the backward pass on. */
bool cbi_run_is_backward(const cbi_run *run, int buffer);
/* Whether the memory of a row input's gradient is of use from the forward pass on: residuals lie in
   it. */
bool cbi_run_needs_gradient(const cbi_run *run, int row_input);
/* Whether the backward pass writes over residuals: the forward pass must be run again before
   another backward pass. */
bool cbi_run_overwrites(const cbi_run *run);
/* Bytes of scratch memory for all threads; of one of the plan's weights, packed; of a sum. */
size_t cbi_run_scratch_bytes(const cbi_run *run);
size_t cbi_run_weights_bytes(const cbi_run *run, int weights);
size_t cbi_run_accumulator_bytes(const cbi_run *run, int accumulator);

/* Runs all steps forward. Fails only when an op that is applied as it is does. */
cb_status cbi_run_forward(const cbi_run *run);
/* State i after the last step, [rows, ...]; all states of the output, in the order of time. */
char *cbi_run_last(const cbi_run *run, int state);
char *cbi_run_states(const cbi_run *run, int state);
/* Runs all steps backward; the gradient of initial state i is left at cbi_run_first_gradient. */
cb_status cbi_run_backward(const cbi_run *run);
char *cbi_run_first_gradient(const cbi_run *run, int state);

/* Where the gradient of a captured tensor goes. */
typedef struct cbi_target {
    bool wanted;
    bool add;         /* to what is there */
    cb_tensor tensor; /* of the captured tensor's shape, any strides */
} cbi_target;
/* Bytes of memory that forming the gradients takes. */
size_t cbi_run_sums_bytes(const cbi_run *run);
/* Forms the gradients of captured tensors, after the last step backward. */
void cbi_run_gradients(const cbi_run *run, const cbi_target *targets, char *memory);

/* Tapes for ops that are applied as they are, one for each thread, and the first failure. */
typedef struct cbi_call_tapes {
    int count;
    cb_tape **tapes; /* without gradients */
    pthread_mutex_t lock;
    cb_status status;
    char message[256];
} cbi_call_tapes;
cbi_call_tapes *cbi_call_tapes_new(int count);
void cbi_call_tapes_free(cbi_call_tapes *tapes);

#endif
