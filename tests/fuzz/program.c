/* Step programs as data: shapes, types, what is live, and what may be dropped. */
#include "program.h"

#include "forms.h"

#include <math.h>
#include <string.h>

/* ---- Extents --------------------------------------------------------------------------------- */

extent fixed(int64_t times) {
    return (extent){times, false};
}

extent batches(int64_t times) {
    return (extent){times, true};
}

bool same_extent(extent a, extent b) {
    return a.times == b.times && a.batch == b.batch;
}

bool same_extents(const extents *a, const extents *b) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = same_extent(a->at[i], b->at[i]);
    return same;
}

extents rows_of(int64_t columns) {
    return (extents){2, {batches(1), fixed(columns)}};
}

extents vector_of(int64_t columns) {
    return (extents){1, {fixed(columns)}};
}

int batch_axis(const extents *shape) {
    for (int i = 0; i < shape->rank; i++)
        if (shape->at[i].batch)
            return i;
    return -1;
}

int64_t times_of(const extents *shape) {
    int64_t product = 1;
    for (int i = 0; i < shape->rank; i++)
        product *= shape->at[i].times;
    return product;
}

int batch_count(const extents *shape) {
    int count = 0;
    for (int i = 0; i < shape->rank; i++)
        count += shape->at[i].batch;
    return count;
}

void resolve(const extents *shape, int64_t batch, int64_t *result) {
    for (int i = 0; i < shape->rank; i++)
        result[i] = shape->at[i].times * (shape->at[i].batch ? batch : 1);
}

bool broadcast(const extents *a, const extents *b, extents *result) {
    extents longer = a->rank >= b->rank ? *a : *b, shorter = a->rank >= b->rank ? *b : *a;
    for (int i = 1; i <= shorter.rank; i++) {
        extent *e = &longer.at[longer.rank - i], other = shorter.at[shorter.rank - i];
        if (same_extent(*e, fixed(1)))
            *e = other;
        else if (!same_extent(other, fixed(1)) && !same_extent(*e, other))
            return false;
    }
    *result = longer;
    return true;
}

void axis_insert(extents *shape, int axis, extent e) {
    for (int i = shape->rank++; i > axis; i--)
        shape->at[i] = shape->at[i - 1];
    shape->at[axis] = e;
}

void axis_remove(extents *shape, int axis) {
    shape->rank--;
    for (int i = axis; i < shape->rank; i++)
        shape->at[i] = shape->at[i + 1];
}

/* ---- Types ----------------------------------------------------------------------------------- */

const type *input_type(const program *p, const value *v, int i) {
    return &p->values[v->in[i]].type;
}

/* A value that is worth computing with: small, finite, of few axes. */
static bool sane(const type *t) {
    double bound = cb_dtype_is_float(t->dtype) ? VALUE_BOUND : INTEGER_BOUND;
    if (t->shape.rank > MOST_RANK || times_of(&t->shape) > MOST_ELEMENTS ||
        batch_count(&t->shape) > 2 || !(t->low <= t->high) || t->low < -bound || t->high > bound)
        return false;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.at[i].times < 1)
            return false;
    return true;
}

static bool infer_value(program *p, int i) {
    value *v = &p->values[i];
    for (int k = 0; k < v->count; k++) {
        bool may_miss = v->form->optional > 0 && k >= v->form->optional;
        if (v->in[k] >= i || (v->in[k] < 0 && (v->in[k] != NO_VALUE || !may_miss)))
            return false;
    }
    return v->form->infer(p, v) && sane(&v->type);
}

bool program_may_be_next(const program *p, int state, int i) {
    const value *v = &p->values[i];
    const type *t = &v->type;
    extents rows = rows_of(p->state_size[state]);
    if (t->dtype != p->dtype || !same_extents(&t->shape, &rows))
        return false;
    if (t->low >= -STATE_BOUND && t->high <= STATE_BOUND)
        return true;
    const value *first = v->count > 0 && v->in[0] >= 0 ? &p->values[v->in[0]] : v;
    bool itself = v->form == &form_state && v->number[0] == state;
    bool grows = v->form == &form_add && first->form == &form_state && first->number[0] == state &&
                 input_type(p, v, 1)->low >= -1 && input_type(p, v, 1)->high <= 1;
    return p->sums[state] && (itself || grows);
}

bool program_infer_last(program *p) {
    return infer_value(p, p->value_count - 1);
}

bool program_infer(program *p) {
    for (int i = 0; i < p->value_count; i++)
        if (!infer_value(p, i))
            return false;
    for (int s = 0; s < p->state_count; s++)
        if (p->next[s] < 0 || p->next[s] >= p->value_count ||
            !program_may_be_next(p, s, p->next[s]))
            return false;
    return true;
}

/* ---- Liveness -------------------------------------------------------------------------------- */

void program_live(const program *p, bool live[MOST_VALUES]) {
    memset(live, 0, sizeof(bool) * MOST_VALUES);
    for (int s = 0; s < p->state_count; s++)
        live[p->next[s]] = true;
    for (int i = p->value_count - 1; i >= 0; i--)
        for (int k = 0; live[i] && k < p->values[i].count; k++)
            if (p->values[i].in[k] != NO_VALUE)
                live[p->values[i].in[k]] = true;
}

void program_keep(program *p, const bool live[MOST_VALUES]) {
    int number[MOST_VALUES], kept = 0;
    for (int i = 0; i < p->value_count; i++) {
        number[i] = live[i] ? kept : NO_VALUE;
        if (!live[i])
            continue;
        value v = p->values[i];
        for (int k = 0; k < v.count; k++)
            v.in[k] = v.in[k] == NO_VALUE ? NO_VALUE : number[v.in[k]];
        p->values[kept++] = v;
    }
    for (int s = 0; s < p->state_count; s++)
        p->next[s] = number[p->next[s]];
    p->value_count = kept;
}

int program_leaf(const program *p, const form *leaf, int64_t number) {
    for (int i = 0; i < p->value_count; i++)
        if (p->values[i].form == leaf && p->values[i].number[0] == number)
            return i;
    return NO_VALUE;
}

int program_uses(const program *p, const form *f) {
    bool live[MOST_VALUES];
    int uses = 0;
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++)
        uses += live[i] && p->values[i].form == f;
    return uses;
}

bool program_draws(const program *p) {
    bool live[MOST_VALUES], draws = false;
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++)
        draws = draws || (live[i] && p->values[i].form->draws);
    return draws;
}

/* ---- Dropping -------------------------------------------------------------------------------- */

static void drop_weight(program *p, int slot) {
    p->weight_count--;
    for (int i = slot; i < p->weight_count; i++)
        p->weights[i] = p->weights[i + 1];
    for (int i = 0; i < p->weight_count; i++) {
        weight *w = &p->weights[i];
        w->same_as = w->same_as == slot ? -1 : w->same_as - (w->same_as > slot);
    }
    for (int i = 0; i < p->value_count; i++)
        if (p->values[i].form == &form_weight && p->values[i].number[0] > slot)
            p->values[i].number[0]--;
}

void program_drop_weights(program *p) {
    for (int slot = p->weight_count - 1; slot >= 0; slot--)
        if (program_leaf(p, &form_weight, slot) == NO_VALUE)
            drop_weight(p, slot);
}

void program_drop_state(program *p, int state) {
    p->state_count--;
    for (int s = state; s < p->state_count; s++) {
        p->state_size[s] = p->state_size[s + 1];
        p->sums[s] = p->sums[s + 1];
        p->next[s] = p->next[s + 1];
        p->run.initial[s] = p->run.initial[s + 1];
        p->run.final[s] = p->run.final[s + 1];
    }
    if (p->run.initial[0] == SHARED)
        p->run.initial[0] = VARIABLE;
    for (int i = 0; i < p->value_count; i++)
        if (p->values[i].form == &form_state && p->values[i].number[0] > state)
            p->values[i].number[0]--;
}
