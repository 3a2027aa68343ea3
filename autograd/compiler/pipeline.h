/* From a graph to a plan. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_PIPELINE_H
#define CEREBRA_AUTOGRAD_COMPILER_PIPELINE_H

#include "autograd/compiler/pass.h"
#include "autograd/compiler/plan.h"

typedef struct cbi_pass_entry {
    const char *name;
    const char *what; /* what it counts */
    bool (*run)(cbi_pass *pass);
} cbi_pass_entry;

/* The passes in their order. */
const cbi_pass_entry *cbi_pass_table(int *count);
/* Called before the first pass, with entry NULL, and after each. */
typedef void cbi_pass_watch(void *context, const cbi_pass_entry *entry, const cbi_graph *graph,
                            int changes);

/* Runs the passes over a graph, verifying it after each. False when there is no memory, or, with
   what is wrong in bug, when the verifier finds fault. */
bool cbi_run_passes(cbi_graph *graph, bool looked_up, cbi_pass_watch *watch, void *context,
                    char *bug, size_t size);
struct cbi_planner;
/* A pass over a plan. */
typedef struct cbi_planning_entry {
    const char *name;
    const char *what; /* what it counts in the plan's made */
    void (*run)(struct cbi_planner *planner);
    bool each_step; /* once for the forward step and once for the backward step */
} cbi_planning_entry;
/* The planning passes in their order, CBI_PLANNINGS. */
const cbi_planning_entry *cbi_planning_table(void);

/* Plans a graph that the passes have run over; it is the plan's from then on, also on failure. NULL
   as above. */
cbi_plan *cbi_plan_new(cbi_graph *graph, bool looked_up, char *bug, size_t size);

#endif
