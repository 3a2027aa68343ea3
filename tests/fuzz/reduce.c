/* The reducer: edits are tried one by one, and one is kept when the program is still valid, costs
   less, and fails. */
#include "reduce.h"

#include "execute.h"
#include "reduce_edits.h"
#include "workers.h"

#include <stdlib.h>

struct reducer {
    program *best, *candidate;
    int64_t best_cost;
    reduce_predicate *fails;
    void *context;
    int calls, most_calls;
    double deadline;
};

/* ---- Cost ------------------------------------------------------------------------------------ */

static int64_t cost_of_extents(const extents *shape) {
    int64_t sum = 0;
    for (int i = 0; i < shape->rank; i++)
        sum += 2 + shape->at[i].times;
    return sum;
}

static int64_t cost_of_run(const program *p) {
    const run *r = &p->run;
    int64_t cost = 40 * r->time + 30 * r->batch + 300 * r->sweeps + 600 * r->runs;
    cost += 200 * ((r->table > 0) + r->rows + r->lengths + r->reverse + r->no_gradient + r->into +
                   (r->asked != 0)) +
            r->table;
    cost += 100 * (r->x_layout != PLAIN) + 50 * (r->output == SINES) + 20 * (r->output == LAST) +
            60 * (r->output != UNREAD) + 20 * r->constant_x + 20 * r->narrow;
    for (int i = 0; i < p->state_count; i++)
        cost += 10 * (int64_t)r->initial[i] + 60 * r->final[i];
    return cost;
}

static int64_t cost_of_value(const value *v) {
    int64_t cost = 200 + 40 * v->count + cost_of_extents(&v->type.shape);
    for (int i = 0; i < v->form->parameters; i++)
        cost += v->parameter[i] != 0.5;
    if (v->form == &form_slice)
        cost += (v->number[0] < 0 ? 9 : v->number[0]) + 2 * v->number[2] +
                (v->number[1] == CB_END ? 9 : v->number[1]);
    if (v->form == &form_chunk)
        cost += v->number[0] + v->number[1];
    return cost + form_rank(v->form);
}

int64_t program_cost(const program *p) {
    bool live[MOST_VALUES];
    int64_t cost = cost_of_run(p) + 10 * p->input + 20 * (p->dtype == CB_F32);
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++)
        if (!form_is_leaf(p->values[i].form))
            cost += cost_of_value(&p->values[i]) + (live[i] ? 800 : 100);
        else
            cost += 30 * live[i] + 1;
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        cost += 300 + 10 * cost_of_extents(&w->shape) + 100 * (w->layout != PLAIN) +
                100 * (w->same_as >= 0) + 20 * w->constant;
    }
    for (int i = 0; i < p->state_count; i++)
        cost += 2000 + 10 * p->state_size[i] + 100 * p->sums[i];
    return cost;
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static bool at_end(const reducer *r) {
    return (r->most_calls > 0 && r->calls >= r->most_calls) ||
           (r->deadline > 0 && now_seconds() > r->deadline);
}

program *reducer_begin(reducer *r) {
    *r->candidate = *r->best;
    return r->candidate;
}

const program *reducer_best(const reducer *r) {
    return r->best;
}

bool reducer_try(reducer *r) {
    if (at_end(r) || !program_infer(r->candidate))
        return false;
    int64_t cost = program_cost(r->candidate);
    if (cost >= r->best_cost)
        return false;
    r->calls++;
    if (!r->fails(r->candidate, r->context))
        return false;
    program *kept = r->candidate;
    r->candidate = r->best;
    r->best = kept;
    r->best_cost = cost;
    return true;
}

int program_reduce(program *p, reduce_predicate *fails, void *context, int most_calls,
                   double seconds) {
    reducer r = {.best = malloc(sizeof(program)),
                 .candidate = malloc(sizeof(program)),
                 .fails = fails,
                 .context = context,
                 .most_calls = most_calls,
                 .deadline = seconds > 0 ? now_seconds() + seconds : 0};
    bool smaller = r.best != NULL && r.candidate != NULL;
    if (smaller) {
        *r.best = *p;
        r.best_cost = program_cost(p);
    }
    while (smaller && !at_end(&r)) {
        smaller = false;
        for (int i = 0; all_edits[i] != NULL; i++)
            smaller = all_edits[i](&r) || smaller;
    }
    if (r.best != NULL && r.candidate != NULL)
        *p = *r.best;
    free(r.best);
    free(r.candidate);
    return r.calls;
}
