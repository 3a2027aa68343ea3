/* Planning: runs the passes in their order, each a file of its own. On the graph: what nothing
   follows from is dropped (simplify.c), products are merged (merge.c), and wide values are cut up
   (narrow.c). Then what the deferred sums read (defer.c) and what is kept (keep.c) are found, and
   for each of the two steps: stages (fuse.c), places (place.c), instructions (fuse.c, emit.c),
   registers (registers.c). Last, what of the backward pass can be written over what the forward
   pass has left (reuse.c). */
#include "autograd/scan/plan_internal.h"

#include "tensor/memory.h"

static void plan_pass(cbi_planner *p, int pass) {
    p->pass = pass;
    cbi_find_stages(p);
    cbi_find_places(p);
    if (!p->failed)
        cbi_find_programs(p);
    if (!p->failed)
        cbi_find_registers(p);
}

static void make_state_buffers(cbi_planner *p) {
    for (int i = 0; i < p->graph->state_count; i++) {
        p->pass = 0;
        p->plan->state_buffer[i] = cbi_buffer_new(p, CBI_ALL_STATES, p->graph->state_size[i], i);
        p->pass = 1;
        p->plan->gradient_buffer[i] = cbi_buffer_new(p, CBI_TWO_STEPS, p->graph->state_size[i], i);
    }
    p->plan->given_buffer = cbi_buffer_new(p, CBI_GIVEN, p->graph->state_size[0], 0);
}

cbi_plan *cbi_plan_new(cbi_graph *graph) {
    if (!cbi_graph_drop_dead(graph) || !cbi_graph_merge(graph) || !cbi_graph_narrow(graph))
        return NULL;
    size_t count = (size_t)graph->value_count;
    cbi_plan *plan = cbi_allocate(sizeof(*plan));
    /* One block for all that is known of each value while planning. */
    char *flags = cbi_allocate(count * (5 * sizeof(bool) + sizeof(int)) + sizeof(int));
    if (plan != NULL) {
        plan->graph = graph;
        plan->place[0] = cbi_allocate(sizeof(cbi_place) * count);
        plan->place[1] = cbi_allocate(sizeof(cbi_place) * count);
    }
    cbi_planner p = {.plan = plan, .graph = graph};
    p.failed = plan == NULL || flags == NULL || plan->place[0] == NULL || plan->place[1] == NULL;
    if (!p.failed) {
        p.stage = (int *)(void *)flags;
        p.live[0] = (bool *)(flags + sizeof(int) * count);
        p.live[1] = p.live[0] + count;
        p.kept = p.live[1] + count;
        p.lasting = p.kept + count;
        p.crosses = p.lasting + count;
        make_state_buffers(&p);
        cbi_find_deferred(&p);
        cbi_find_kept(&p);
        plan_pass(&p, 0);
        plan_pass(&p, 1);
        if (!p.failed)
            cbi_find_reuse(&p);
    }
    cbi_free(flags);
    if (!p.failed)
        return plan;
    if (plan != NULL)
        plan->graph = NULL; /* the caller keeps it */
    cbi_plan_free(plan);
    return NULL;
}

void cbi_plan_free(cbi_plan *plan) {
    if (plan == NULL)
        return;
    cbi_free(plan->buffers);
    cbi_free(plan->weights);
    cbi_free(plan->forward.list);
    cbi_free(plan->backward.list);
    cbi_free(plan->place[0]);
    cbi_free(plan->place[1]);
    cbi_graph_free(plan->graph);
    cbi_free(plan);
}
