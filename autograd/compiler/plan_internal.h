/* What the planning passes share. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_PLAN_INTERNAL_H
#define CEREBRA_AUTOGRAD_COMPILER_PLAN_INTERNAL_H

#include "autograd/compiler/plan.h"

/* What is known of each value while planning; each array is filled by the pass named. */
typedef struct cbi_planner {
    cbi_plan *plan;
    const cbi_graph *graph;
    int step;         /* 0 forward, 1 backward */
    bool *lasting;    /* residuals.c: read after the loop, by the product that forms a gradient */
    bool *live[2];    /* residuals.c: computed or read in that step */
    bool *kept;       /* residuals.c: of forward values: kept for all steps */
    int *stage;       /* schedule.c, of the present step */
    bool *crosses;    /* schedule.c, of the present step: read in a later stage, or by a product */
    int *accumulator; /* emit.c: of each value: 1 + the number of the sum it is added to; 0: none */
    int changes;      /* what the running pass made, in the unit that the table names */
    bool failed;      /* out of memory */
} cbi_planner;

static inline const cbi_value *cbi_value_at(const cbi_planner *p, int v) {
    return &p->graph->values[v];
}
static inline cbi_program *cbi_program_of(cbi_planner *p) {
    return p->step == 0 ? &p->plan->forward : &p->plan->backward;
}
/* The value that a view is a view of; any other itself. */
static inline int cbi_whole_of(const cbi_planner *p, int v) {
    return cbi_value_at(p, v)->kind == CBI_VIEW ? cbi_value_at(p, v)->in[0] : v;
}
/* The output that a value is, or -1. */
static inline int cbi_output_of(const cbi_graph *graph, int v) {
    for (int i = 0; i < graph->output_count; i++)
        if (graph->outputs[i].value == v)
            return i;
    return -1;
}
/* Whether a value is an output, and the backward step finds it where the forward step has left it.
   Not where rows see each other: what is computed of a sequence that is over counts for the others,
   and what is left is its state. */
static inline bool cbi_is_left(const cbi_planner *p, int v) {
    return cbi_output_of(p->graph, v) >= 0 && cbi_value_at(p, v)->type.rows && !p->plan->whole;
}
/* Of values that are there before the step begins. */
static inline bool cbi_is_given(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_at(p, v)->kind;
    return kind == CBI_CAPTURED || kind == CBI_ROW_INPUT || kind == CBI_STATE ||
           kind == CBI_CONSTANT || kind == CBI_COTANGENT;
}
static inline bool cbi_is_deferred(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_at(p, v)->kind;
    return kind == CBI_BATCH_PRODUCT || kind == CBI_BATCH_SUM;
}

/* Whether a value is computed for all rows of a tile at once, or once for all: between the row by
   row instructions. */
static inline bool cbi_is_barrier(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_at(p, v)->kind;
    bool once = !cbi_value_at(p, v)->type.rows && kind != CBI_VIEW && !cbi_is_deferred(p, v);
    return kind == CBI_PRODUCT || kind == CBI_CALL || once;
}

/* residuals.c */
void cbi_find_whole(cbi_planner *p);
void cbi_choose_residuals(cbi_planner *p);
/* Whether a value is computed in the present step, and not only read or an alias. */
bool cbi_is_computed(const cbi_planner *p, int v);

/* schedule.c */
void cbi_find_stages(cbi_planner *p);
void cbi_emit_stages(cbi_planner *p);

/* buffers.c */
void cbi_make_state_buffers(cbi_planner *p);
void cbi_assign_buffers(cbi_planner *p);
/* A buffer of the present step for rows of this type; 0, and failed, when there is no memory. */
int cbi_buffer_new(cbi_planner *p, cbi_span span, const cbi_type *type, int index);
/* The place of a buffer of the caller's, which is made the first time it is asked for. */
cbi_place cbi_outside(cbi_planner *p, cbi_span span, const cbi_type *type, int index);

/* emit.c: adds the instructions that compute a value to the present step's program. */
void cbi_emit_value(cbi_planner *p, int v);
/* emit_results.c: adds those for what the step must leave behind, as far as it comes from a stage:
   where its values do not lie there already. And what is formed after the loop. */
void cbi_emit_cotangents(cbi_planner *p);
void cbi_emit_results(cbi_planner *p, int stage);
void cbi_emit_sums(cbi_planner *p);
cbi_instruction *cbi_emit(cbi_planner *p, const cbi_instruction *instruction);
/* A copy of a value's elements, of a number when it is one, to a place that holds count of them. */
void cbi_emit_copy(cbi_planner *p, int v, int64_t count, cb_dtype dtype, cbi_place out);
/* Adds a value to its sum: each row of it, or where it has none, once a step. */
void cbi_emit_accumulation(cbi_planner *p, int v, int64_t count);
/* The number of the sum that a value of so many elements is added to over all steps; the same each
   time. */
int cbi_accumulator_of(cbi_planner *p, int v, int64_t count);

/* registers.c */
void cbi_allocate_registers(cbi_planner *p);

/* alias.c, after both steps */
void cbi_alias_buffers(cbi_planner *p);

#endif
