/* A recurrence from inside: what running it op by op, compiling it and looking at it share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_SCAN_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_SCAN_INTERNAL_H

#include "autograd/scan/plan.h"

#include <cerebra/scan.h>
#include <pthread.h>

struct cb_scan {
    cb_scan_step *step;
    cb_dtype dtype;
    int64_t input;
    int state_count, weight_count;
    int64_t state_size[CB_SCAN_MAX_STATES];
    cb_tensor weights[CB_SCAN_MAX_WEIGHTS]; /* shapes; without data */
    bool has_weight[CB_SCAN_MAX_WEIGHTS];
    pthread_mutex_t lock; /* held while compiling */
    bool compiled;        /* whether it has been tried */
    cbi_plan *plan;       /* NULL when there is a reason */
    char reason[320];     /* why there is no plan; "" when there is one */
    char name[64];
};

/* The plan, compiled now if it has not been; NULL when the step runs op by op. */
const cbi_plan *cbi_scan_plan(cb_scan *scan);

/* Whether what the graph imports can be computed for all time steps at once; leaves a reason when
   it cannot. */
bool cbi_imports_check(cbi_graph *graph);
/* Computes what the graph imports from x [rows, input] on x's tape. */
void cbi_imports_make(const cbi_graph *graph, cb_tensor *const *weights, cb_tensor *x,
                      cb_tensor **made);

/* Fails, recorded, when the lengths do not fit x [time, batch, ...]. */
cb_status cbi_scan_check_lengths(cb_tensor *x, cb_tensor *lengths);
/* masks[t, b, 0] = 1 where t < lengths[b], else 0, for x [time, batch, ...]. Poisoned, recorded,
   when the lengths do not fit. */
cb_tensor *cbi_scan_masks(cb_tensor *x, cb_tensor *lengths);
/* Runs a step op by op. masks: NULL, or those of the lengths. Arguments are good, time at least 1;
   state holds the initial states and is left with the last ones. */
cb_tensor *cbi_scan_eager(const cb_scan *scan, cb_tensor *x, const cb_scan_io *io, cb_tensor *masks,
                          cb_tensor **state);
/* Runs a plan; time and batch at least 1. With lengths, outputs beyond a sequence's end are not 0
 * yet. */
cb_tensor *cbi_scan_compiled(const cbi_plan *plan, cb_tensor *x, const cb_scan_io *io,
                             cb_tensor **state);

#endif
