/* A recurrence from inside: what compiling it, running it and running it op by op share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_SCAN_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_SCAN_INTERNAL_H

#include "autograd/compiler/compile.h"
#include "autograd/runtime/run.h"
#include "autograd/tape_internal.h"

#include <cerebra/scan.h>
#include <pthread.h>

/* Of a step that behaves differently from run to run, or depends on the number of sequences, so
   many forms are kept, see scan.h. */
enum { CBI_MOST_COMPILATIONS = 16, CBI_LAST_STEPS = 4 };

/* The number of sequences that a step is asked about before it has run, where it depends on it. */
enum { CBI_SOME_BATCH = 5 };

struct cb_scan {
    cbi_signature signature; /* arrays are the scan's own */
    char *name;
    bool eager, unchecked;
    pthread_mutex_t lock; /* held while compiling, and for all that follows */
    int holders;          /* the owner, and runs whose tape may still want their gradient */
    uint64_t runs;        /* that were prepared */
    uint64_t last_steps[CBI_LAST_STEPS]; /* the hash of the step's trace in each of the last ones */
    int compilation_count;
    cbi_compilation *compilations[CBI_MOST_COMPILATIONS];
    int tape_count, tape_room;
    cbi_call_tapes **tapes; /* not in use */
    void *owned; /* what the context is part of, and what ends it; NULL: it is the program's */
    void (*end_owned)(void *context);
    char reason[400]; /* why the last run ran op by op; "": it did not */
};

/* A run while it is prepared: what is compiled for it, and the inputs that it takes. */
typedef struct cbi_scan_run {
    cb_scan *scan;
    cb_tape *tape;
    cb_tensor *x; /* [time, batch, input], or a table [any, input] */
    const cb_scan_io *io;
    int64_t time, batch;
    bool looked_up;
    bool unchecked; /* plans are run as they are */
    bool checking;  /* the run is a check of plans */
    cbi_compilation *compilation;
    cbi_compiled *compiled;
    const cbi_trace *trace; /* of the step, for this run */
    cb_tensor **captured;   /* on the tape */
    cbi_run_draw *draws;    /* in memory of the tape */
    uint64_t *draw_offsets; /* as well */
} cbi_scan_run;

/* scan_run.c: cb_scan_run, as it is, op by op whatever the scan is, or with plans that have not
   been checked. */
typedef enum cbi_way { CBI_AS_IT_IS, CBI_OP_BY_OP, CBI_UNCHECKED } cbi_way;
cb_tensor *cbi_scan_run_as(cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cbi_way way);

/* Hands what the step's context is part of to the recurrence, which ends it when it ends itself. */
void cbi_scan_own(cb_scan *scan, void *context, void (*end)(void *context));

/* The signature of the step as it is on a tape. */
static inline cbi_signature cbi_signature_on(const cb_scan *scan, const cb_tape *tape) {
    cbi_signature signature = scan->signature;
    signature.evaluating = tape->evaluating;
    return signature;
}

/* capture.c: computes what the step captures on the tape of the run. False, recorded, on failure.
 */
bool cbi_capture(cbi_scan_run *run);

/* scan_compiled.c: runs the plans as an op. state is left with the last states. Poisoned, recorded,
   on failure. */
cb_tensor *cbi_scan_compiled(cbi_scan_run *run, cb_tensor **state);

/* reach.c: cuts off the outputs of a compiled run, state 0 after each step and the last states,
   that no variable reaches: no gradient flows through them. False, recorded, when there is no
   memory. */
bool cbi_scan_cut(const cbi_scan_run *run, cb_tensor *const *initial, cb_tensor **output,
                  cb_tensor **final);
/* A run of no steps, [0, batch, state 0]: no numbers, which all variables of the run reach. */
cb_tensor *cbi_scan_no_steps(const cbi_scan_run *run);

/* The reason that an earlier run had is gone. */
void cbi_scan_clear_reason(cb_scan *scan);

/* eager.c */
/* Fails, recorded, when the lengths do not fit x [time, batch, ...]. */
cb_status cbi_scan_check_lengths(cb_tensor *x, cb_tensor *lengths, int64_t time, int64_t batch);
/* masks[t, b, 0] = 1 where t < lengths[b], else 0. Poisoned, recorded, when the lengths do not fit.
 */
cb_tensor *cbi_scan_masks(cb_tensor *x, cb_tensor *lengths, int64_t time, int64_t batch);
/* Runs a step op by op on x [time, batch, input]. masks: NULL, or those of the lengths. Arguments
   are good, time at least 1; state holds the initial states and is left with the last ones. */
cb_tensor *cbi_scan_eager(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cb_tensor *masks,
                          cb_tensor **state);

/* scan.c: tapes for ops that are applied as they are, for as many threads; given back when done. */
cbi_call_tapes *cbi_take_tapes(cb_scan *scan, int threads);
void cbi_give_tapes(cb_scan *scan, cbi_call_tapes *tapes);
/* Compiles the step for a kind of run, if it has not been. What its step did in this run is in the
   run's trace. False when it runs op by op; recorded when there is no memory. */
bool cbi_scan_prepare(cbi_scan_run *run);
/* check.c: whether the plans for this kind of run give what the step gives op by op, on a few rows
   and steps: CB_OK, CB_ERROR_VALUE with a reason, or CB_ERROR_MEMORY. *compared: whether there was
   anything to compare; not where the step fails op by op. */
cb_status cbi_scan_self_check(const cbi_scan_run *run, bool *compared, char *reason, size_t size);

#endif
