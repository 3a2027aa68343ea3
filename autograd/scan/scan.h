/* Compiled recurrences on the tape. */
#ifndef CEREBRA_AUTOGRAD_SCAN_SCAN_H
#define CEREBRA_AUTOGRAD_SCAN_SCAN_H

#include "autograd/scan/plan.h"

/* A step that has been traced and planned; made once, run many times. */
typedef struct cbi_scan cbi_scan;

/* Compiles a step for tensors of these shapes; see cbi_graph_trace. NULL when there is no memory.
 */
cbi_scan *cbi_scan_new(cbi_step *step, cb_dtype dtype, int64_t input, int state_count,
                       const int64_t *state_size, int weight_count, cb_tensor *const *weights);
void cbi_scan_free(cbi_scan *scan);
/* Why the step cannot be compiled and must be run eagerly; "" when it can. */
const char *cbi_scan_reason(const cbi_scan *scan);
/* The plan, to look at; NULL when there is a reason. */
const cbi_plan *cbi_scan_plan(const cbi_scan *scan);

/* Runs the recurrence over x [time, batch, input], time and batch at least 1, from the initial
   states; weights are those it was compiled for, on x's tape. lengths: [batch], i64, or NULL.
   Returns the states 0 after each step [time, batch, columns], in the order of time, and in final
   the last states. */
cb_tensor *cbi_scan_run(const cbi_scan *scan, cb_tensor *const *weights, cb_tensor *x,
                        cb_tensor *const *initial, cb_tensor *lengths, bool reverse,
                        cb_tensor **final);

#endif
