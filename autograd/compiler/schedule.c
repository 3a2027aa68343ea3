/* Scheduling: which instructions run together, on the rows that are in the cache.

   A product reads whole rows of its left operand and takes all rows of a tile at once; so does an
   op that is applied as it is. Everything else is computed for a row from that same row. A value's
   stage is the number of such barriers on the way to it. All other values of a stage go through the
   rows together, a few rows at a time: what passes between them stays in the L1 cache. Only what a
   later stage or a barrier reads has to lie in memory. */
#include "autograd/compiler/plan_internal.h"

#include "tensor/memory.h"

#include <string.h>

/* Whether a value takes part in the present step: computed, looked through, or added up. */
static bool takes_part(const cbi_planner *p, int v) {
    cbi_kind kind = cbi_value_at(p, v)->kind;
    return p->live[p->step][v] &&
           (cbi_is_computed(p, v) || kind == CBI_VIEW || (p->step == 1 && kind == CBI_BATCH_SUM));
}

void cbi_find_stages(cbi_planner *p) {
    int count = p->graph->value_count;
    memset(p->crosses, 0, sizeof(bool) * (size_t)count);
    for (int v = 0; v < count; v++) {
        p->stage[v] = 0;
        if (!takes_part(p, v))
            continue;
        for (int k = 0; k < cbi_value_at(p, v)->count; k++)
            if (p->stage[cbi_value_at(p, v)->in[k]] > p->stage[v])
                p->stage[v] = p->stage[cbi_value_at(p, v)->in[k]];
        p->stage[v] += cbi_is_barrier(p, v);
        p->changes = p->stage[v] >= p->changes ? p->stage[v] + 1 : p->changes;
    }
    for (int v = 0; v < count; v++)
        for (int k = 0; takes_part(p, v) && k < cbi_value_at(p, v)->count; k++) {
            int from = cbi_whole_of(p, cbi_value_at(p, v)->in[k]);
            if (p->stage[from] < p->stage[v])
                p->crosses[from] = true;
        }
}

/* Whether a value is a barrier of a stage, or an instruction on its rows. */
static bool is_of(const cbi_planner *p, int v, int stage, bool barrier) {
    return takes_part(p, v) && cbi_value_at(p, v)->kind != CBI_VIEW && p->stage[v] == stage &&
           cbi_is_barrier(p, v) == barrier;
}

/* An input of a value that has to be computed before it, in the same stage; -1: there is none left.
 */
static int missing_input(const cbi_planner *p, int v, const bool *emitted) {
    const cbi_value *value = cbi_value_at(p, v);
    for (int k = 0; k < value->count; k++) {
        int from = cbi_whole_of(p, value->in[k]);
        if (!emitted[from] && is_of(p, from, p->stage[v], false))
            return from;
    }
    return -1;
}

/* What is emitted, and room for the values that wait for an input. */
typedef struct emission {
    bool *emitted;
    int *waiting;
} emission;

/* Emits a value of a stage, and before it what the backward step has to compute again for it. */
static void emit_with_inputs(cbi_planner *p, int v, emission *e) {
    int count = e->emitted[v] ? 0 : 1;
    e->waiting[0] = v;
    while (count > 0 && !p->failed) {
        int last = e->waiting[count - 1], input = missing_input(p, last, e->emitted);
        if (input >= 0) {
            e->waiting[count++] = input;
            continue;
        }
        e->emitted[last] = true;
        cbi_emit_value(p, last);
        count--;
    }
}

/* Within a stage the barriers come first: they read earlier stages only. What is computed again
   comes where it is read, or last where only a later stage does: so its register is soon free. */
static void emit_stage(cbi_planner *p, int stage, emission *e) {
    int count = p->graph->value_count, again = p->step == 1 ? p->graph->forward_count : 0;
    for (int v = 0; v < count; v++)
        if (is_of(p, v, stage, true))
            emit_with_inputs(p, v, e);
    for (int v = again; v < count; v++)
        if (is_of(p, v, stage, false))
            emit_with_inputs(p, v, e);
    for (int v = 0; v < again; v++)
        if (is_of(p, v, stage, false))
            emit_with_inputs(p, v, e);
    cbi_emit_results(p, stage);
}

void cbi_emit_stages(cbi_planner *p) {
    int last = 0, count = p->graph->value_count;
    emission e = {cbi_allocate((size_t)count + 1), cbi_allocate(sizeof(int) * ((size_t)count + 1))};
    p->failed = p->failed || e.emitted == NULL || e.waiting == NULL;
    cbi_emit_cotangents(p);
    for (int v = 0; v < count; v++)
        last = p->stage[v] > last ? p->stage[v] : last;
    for (int stage = 0; stage <= last && !p->failed; stage++)
        emit_stage(p, stage, &e);
    p->changes = cbi_program_of(p)->count;
    cbi_free(e.emitted);
    cbi_free(e.waiting);
}
