/* What the planning passes share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_PLAN_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_PLAN_INTERNAL_H

#include "autograd/scan/plan.h"

/* What is known of each value while planning; each array is filled by the pass named. */
typedef struct cbi_planner {
    cbi_plan *plan;
    const cbi_graph *graph;
    int pass; /* 0 forward, 1 backward */
    bool
        *lasting; /* defer.c: operands of sums over the batch, and gradients of imports with rows */
    bool *live[2]; /* keep.c: computed or read in that pass */
    bool *kept;    /* keep.c: of forward values: kept for all steps */
    int *stage;    /* fuse.c, of the present pass: the program it is computed in */
    bool *crosses; /* fuse.c, of the present pass: used by a later program, or by a product */
    bool failed;   /* out of memory */
} cbi_planner;

static inline const cbi_value *cbi_value_of(const cbi_planner *p, int v) {
    return &p->graph->values[v];
}

static inline cbi_program *cbi_program_of(cbi_planner *p) {
    return p->pass == 0 ? &p->plan->forward : &p->plan->backward;
}

/* The value that parts are parts of. */
static inline int cbi_whole_of(const cbi_planner *p, int v) {
    while (cbi_value_of(p, v)->kind == CBI_PART)
        v = cbi_value_of(p, v)->in[0];
    return v;
}

/* The state that a value is after the step, or -1. */
static inline int cbi_number_of_next(const cbi_graph *graph, int v) {
    for (int i = 0; i < graph->state_count; i++)
        if (graph->next[i] == v)
            return i;
    return -1;
}

/* defer.c */
void cbi_find_deferred(cbi_planner *p);

/* keep.c */
void cbi_find_kept(cbi_planner *p);
/* Whether a value is there before the step begins. */
bool cbi_is_given(const cbi_planner *p, int v);
/* Whether a value is computed in the present pass, and not only read or an alias. */
bool cbi_is_computed(const cbi_planner *p, int v);

/* fuse.c */
void cbi_find_stages(cbi_planner *p);
void cbi_find_programs(cbi_planner *p);

/* place.c */
void cbi_find_places(cbi_planner *p);
/* Where a value lies that the present pass is given. */
cbi_place cbi_given_place(cbi_planner *p, int v);
/* A buffer of the present pass; 0, and failed, when there is no memory. */
int cbi_buffer_new(cbi_planner *p, cbi_span span, int64_t columns, int index);

/* emit.c: adds the instructions that compute a value to the program of the present pass. */
void cbi_emit_value(cbi_planner *p, int v);
/* The same for what the pass must leave behind where its values do not lie there already. */
void cbi_emit_results(cbi_planner *p);

/* reuse.c, after both passes */
void cbi_find_reuse(cbi_planner *p);

/* registers.c */
void cbi_find_registers(cbi_planner *p);

#endif
