/* The pipeline: the passes over a graph and the passes that plan, each in one table. Compiling
   walks the tables, and so does describing what was compiled.

   After every pass the graph is verified (verify_graph.c), and after the last one the plan
   (verify_plan.c): what a pass relies on and another breaks is found here and not by a user. */
#include "autograd/compiler/pipeline.h"

#include "autograd/compiler/faults.h"
#include "autograd/compiler/pass.h"
#include "autograd/compiler/plan_internal.h"
#include "autograd/compiler/verify.h"

#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

static const cbi_pass_entry passes[] = {
    {"merge sums", "products in a sum that become one", cbi_merge_sums},
    {"merge products", "products of one operand that become one", cbi_merge_products},
    {"sink slices", "elementwise values computed slice by slice", cbi_sink_slices},
    {"drop unread", "products and gradients cut down to what is read", cbi_drop_unread},
    {"contract sums", "sums of products, and products, that become contractions",
     cbi_contract_sums},
    {"materialize", "operands copied first", cbi_materialize},
};
enum { PASSES = sizeof(passes) / sizeof(passes[0]) };

const cbi_pass_entry *cbi_pass_table(int *count) {
    *count = PASSES;
    return passes;
}

static bool is_right(const cbi_graph *graph, char *bug, size_t size) {
    return CBI_FAULT(CBI_FAULT_UNVERIFIED) || cbi_verify_graph(graph, bug, size);
}

bool cbi_run_passes(cbi_graph *graph, bool looked_up, cbi_pass_watch *watch, void *context,
                    char *bug, size_t size) {
    if (!is_right(graph, bug, size))
        return false;
    if (watch != NULL)
        watch(context, NULL, graph, 0);
    for (int i = 0; i < PASSES; i++) {
        cbi_pass pass = {.graph = graph, .looked_up = looked_up};
        if (!passes[i].run(&pass))
            return false;
        if (!is_right(graph, bug, size)) {
            size_t length = strlen(bug);
            snprintf(bug + length, size - length, " (after %s)", passes[i].name);
            return false;
        }
        if (watch != NULL)
            watch(context, &passes[i], graph, pass.changes);
    }
    return true;
}

/* ---- Planning -------------------------------------------------------------------------------- */

static const cbi_planning_entry plannings[CBI_PLANNINGS] = {
    {"whole batch", "1 when rows see each other", cbi_find_whole, false},
    {"state buffers", "buffers of states and their cotangents", cbi_make_state_buffers, false},
    {"residuals", "values kept for the backward step", cbi_choose_residuals, false},
    {"stages", "stages, whose instructions run together", cbi_find_stages, true},
    {"buffers", "buffers of other values", cbi_assign_buffers, true},
    {"instructions", "instructions of a step", cbi_emit_stages, true},
    {"registers", "rows that only the running stage sees", cbi_allocate_registers, true},
    {"deferred gradients", "sums formed after the loop", cbi_emit_sums, false},
    {"aliasing", "residuals that gradients are written over", cbi_alias_buffers, false},
};

const cbi_planning_entry *cbi_planning_table(void) {
    return plannings;
}

static bool make_arrays(cbi_planner *p, cbi_plan *plan, char **memory) {
    size_t count = (size_t)plan->graph->value_count + 1;
    size_t states = (size_t)plan->graph->state_count + 1;
    plan->place[0] = cbi_allocate(sizeof(cbi_place) * count);
    plan->place[1] = cbi_allocate(sizeof(cbi_place) * count);
    plan->state_buffer = cbi_allocate(sizeof(int) * 2 * states);
    plan->gradient_buffer = plan->state_buffer + states;
    *memory = cbi_allocate(count * (2 * sizeof(int) + 5));
    if (plan->place[0] == NULL || plan->place[1] == NULL || plan->state_buffer == NULL ||
        *memory == NULL)
        return false;
    p->stage = (int *)(void *)*memory;
    p->accumulator = p->stage + count;
    p->live[0] = (bool *)(p->accumulator + count);
    p->live[1] = p->live[0] + count;
    p->kept = p->live[1] + count;
    p->lasting = p->kept + count;
    p->crosses = p->lasting + count;
    return true;
}

static void run_planning(cbi_planner *p, int i) {
    p->changes = 0;
    plannings[i].run(p);
    p->plan->made[i][plannings[i].each_step ? p->step : 0] = p->changes;
}

/* Passes that are run for each step come one after the other for the forward step, then for the
   backward step. */
static void run_plannings(cbi_planner *p) {
    for (int i = 0; i < CBI_PLANNINGS && !p->failed;) {
        int end = i;
        while (end < CBI_PLANNINGS && plannings[end].each_step)
            end++;
        if (end == i) {
            run_planning(p, i++);
            continue;
        }
        for (p->step = 0; p->step < 2; p->step++)
            for (int k = i; k < end && !p->failed; k++)
                run_planning(p, k);
        p->step = 1;
        i = end;
    }
}

cbi_plan *cbi_plan_new(cbi_graph *graph, bool looked_up, char *bug, size_t size) {
    cbi_plan *plan = cbi_allocate(sizeof(*plan));
    char *memory = NULL;
    if (plan == NULL) {
        cbi_graph_free(graph);
        return NULL;
    }
    plan->graph = graph;
    plan->looked_up = looked_up;
    cbi_planner p = {.plan = plan, .graph = graph};
    p.failed = !make_arrays(&p, plan, &memory);
    if (!p.failed)
        run_plannings(&p);
    cbi_free(memory);
    bool made = !p.failed && !graph->failed;
    if (made && (CBI_FAULT(CBI_FAULT_UNVERIFIED) || cbi_verify_plan(plan, bug, size)))
        return plan;
    cbi_plan_free(plan);
    return NULL;
}

void cbi_plan_free(cbi_plan *plan) {
    if (plan == NULL)
        return;
    cbi_free(plan->weights);
    cbi_free(plan->buffers);
    cbi_free(plan->sums);
    cbi_free(plan->accumulators);
    cbi_free(plan->numbers);
    cbi_free(plan->state_buffer);
    cbi_free(plan->forward.list);
    cbi_free(plan->backward.list);
    cbi_free(plan->place[0]);
    cbi_free(plan->place[1]);
    cbi_graph_free(plan->graph);
    cbi_free(plan);
}
