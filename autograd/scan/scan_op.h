/* A compiled recurrence as ops on a tape: what its files share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_SCAN_OP_H
#define CEREBRA_AUTOGRAD_SCAN_SCAN_OP_H

#include "autograd/ops/list.h"
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"

/* What one application of the op is; lives as long as the tape's step. Inputs: captured tensors, x
   or the table, initial states, then rows and lengths where there are any. */
typedef struct cbi_application {
    cb_scan *scan;
    const cbi_compilation *compilation;
    const cbi_compiled *compiled;
    int64_t time, batch, sequence_rows;
    bool reverse, looked_up, has_lengths, keep, checking;
    const cbi_run_draw *draws;
    const uint64_t *draw_offsets;
    cbi_run sequence, step;
    char **boundary;          /* of each boundary tensor */
    char **boundary_gradient; /* of each, if the step gives it */
} cbi_application;

typedef struct cbi_scan_op_options {
    cbi_application *a;
    cbi_target *targets; /* of the gradient: for each captured tensor */
    bool x;              /* of the gradient: whether that of x is wanted */
} cbi_scan_op_options;

extern const cb_op cbi_scan_op, cbi_scan_gradient_op;

static inline cbi_application *cbi_application_of(const cb_call *call) {
    return ((const cbi_scan_op_options *)call->options)->a;
}
static inline int cbi_captured_count(const cbi_application *a) {
    return a->compilation->captured_count;
}
static inline int cbi_state_count(const cbi_application *a) {
    return a->compilation->split->traced->signature.state_count;
}
static inline int cbi_boundary_count(const cbi_application *a) {
    return a->compiled->step->graph->row_input_count;
}
static inline int64_t cbi_state_size(const cbi_application *a, int i) {
    return a->compilation->split->traced->signature.state_size[i];
}
static inline int64_t cbi_row_bytes_of(const cbi_type *type) {
    return cbi_count_of(type) * (int64_t)cb_dtype_size(type->dtype);
}
static inline void cbi_set_shape(cb_tensor *t, cb_dtype dtype, int rank, const int64_t *shape) {
    t->dtype = dtype;
    t->rank = rank;
    for (int i = 0; i < rank; i++)
        t->shape[i] = shape[i];
}
/* Outputs of the gradient op: the gradients of captured tensors that are wanted and not added
   elsewhere, that of x if it is wanted, and those of the initial states. */
static inline bool cbi_is_left_to_op(const cbi_target *target) {
    return target->wanted && !target->add;
}

/* scan_memory.c */
/* Zeroed room for so many entries; NULL, recorded, when there is none. */
void *cbi_scan_room(const cb_call *call, int count, size_t each);
/* Memory that lasts as the tape's step does, unless there is some; false, recorded, when there is
   none. */
bool cbi_scan_give(const cb_call *call, char **memory, size_t bytes);
/* A run of a plan, as far as it does not depend on memory. False, recorded, when there is none. */
bool cbi_scan_start(const cb_call *call, cbi_run *run, const cbi_plan *plan, const int *captured);
/* Runs a pass. What it leaves in memory that ends with the next pass: of the backward one, all but
   the gradients of row inputs; `sums` is such memory to form gradients in. */
cb_status cbi_scan_pass(const cb_call *call, cbi_run *run, bool backward, char **sums);

#endif
