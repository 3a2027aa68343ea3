/* Edits of values, states and the run. */
#include "reduce_edits.h"

#include <math.h>
#include <string.h>

/* ---- What is not used ------------------------------------------------------------------------ */

static bool drop_dead(reducer *r) {
    bool live[MOST_VALUES];
    program *p = reducer_begin(r);
    program_live(p, live);
    program_keep(p, live);
    program_drop_weights(p);
    if (reducer_try(r))
        return true;
    p = reducer_begin(r);
    program_drop_weights(p);
    return reducer_try(r);
}

/* Dead values one by one, where all of them together are too many. */
static bool drop_each_dead(reducer *r) {
    bool kept = false, live[MOST_VALUES], all[MOST_VALUES];
    for (int i = reducer_best(r)->value_count - 1; i >= 0; i--) {
        program *p = reducer_begin(r);
        program_live(p, live);
        bool read = false;
        for (int k = i + 1; k < p->value_count; k++)
            for (int n = 0; n < p->values[k].count; n++)
                read = read || p->values[k].in[n] == i;
        if (i >= p->value_count || live[i] || read)
            continue;
        memset(all, true, sizeof(all));
        all[i] = false;
        program_keep(p, all);
        kept = reducer_try(r) || kept;
    }
    return kept;
}

/* ---- The run --------------------------------------------------------------------------------- */

#define RUN_EDIT(name, statement)                                                                  \
    static void name(program *p) {                                                                 \
        run *r = &p->run;                                                                          \
        (void)r;                                                                                   \
        statement;                                                                                 \
    }
RUN_EDIT(no_time, r->time = 0)
RUN_EDIT(one_time, r->time = 1)
RUN_EDIT(two_times, r->time = 2)
RUN_EDIT(less_time, r->time -= r->time > 0)
RUN_EDIT(one_sequence, r->batch = 1)
RUN_EDIT(two_sequences, r->batch = 2)
RUN_EDIT(fewer_sequences, r->batch -= r->batch > 1)
RUN_EDIT(half_the_sequences, r->batch -= r->batch / 2)
RUN_EDIT(no_table, r->table = 0; r->rows = false)
RUN_EDIT(no_rows, r->rows = false)
RUN_EDIT(smaller_table, r->table -= r->table > 1)
RUN_EDIT(plain_x, r->x_layout = PLAIN)
RUN_EDIT(variable_x, r->constant_x = false)
RUN_EDIT(no_lengths, r->lengths = false)
RUN_EDIT(wide_indices, r->narrow = false)
RUN_EDIT(forwards, r->reverse = false)
RUN_EDIT(with_gradient, r->no_gradient = false)
RUN_EDIT(not_into, r->into = false)
RUN_EDIT(all_gradients, r->asked = 0)
RUN_EDIT(one_sweep, r->sweeps = 1)
RUN_EDIT(one_run, r->runs = 1)
RUN_EDIT(projected, r->output = PROJECTED)
RUN_EDIT(unread, r->output = UNREAD)

/* With what is f64 in an f32 program the other way round. */
static void in_f64(program *p) {
    for (int i = 0; i < p->value_count && p->dtype == CB_F32; i++) {
        cb_dtype *dtype = &p->values[i].dtype;
        *dtype = *dtype == CB_F32 ? CB_F64 : *dtype == CB_F64 ? CB_F32 : *dtype;
    }
    p->dtype = CB_F64;
}

static bool reduce_run(reducer *r) {
    static void (*const edits[])(program *) = {wide_indices,  no_time,         one_time,
                                               two_times,     less_time,       one_sequence,
                                               two_sequences, fewer_sequences, half_the_sequences,
                                               no_table,      no_rows,         smaller_table,
                                               plain_x,       variable_x,      no_lengths,
                                               forwards,      with_gradient,   not_into,
                                               all_gradients, one_sweep,       one_run,
                                               projected,     unread,          in_f64};
    bool kept = false;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        edits[i](reducer_begin(r));
        kept = reducer_try(r) || kept;
    }
    return kept;
}

static bool reduce_starts(reducer *r) {
    bool kept = false;
    for (int s = 0; s < reducer_best(r)->state_count; s++) {
        for (int from = 0; from < STARTS; from++) {
            reducer_begin(r)->run.initial[s] = (origin)from;
            kept = reducer_try(r) || kept;
        }
        reducer_begin(r)->run.final[s] = false;
        kept = reducer_try(r) || kept;
        reducer_begin(r)->sums[s] = false;
        kept = reducer_try(r) || kept;
    }
    for (int i = 0; i < reducer_best(r)->weight_count; i++) {
        reducer_begin(r)->weights[i].layout = PLAIN;
        kept = reducer_try(r) || kept;
        reducer_begin(r)->weights[i].same_as = -1;
        kept = reducer_try(r) || kept;
        reducer_begin(r)->weights[i].constant = false;
        kept = reducer_try(r) || kept;
    }
    return kept;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static bool same_type(const type *a, const type *b) {
    return a->dtype == b->dtype && same_extents(&a->shape, &b->shape);
}

/* Whoever reads value i reads value j instead. */
static void substitute(program *p, int i, int j) {
    for (int k = i + 1; k < p->value_count; k++)
        for (int n = 0; n < p->values[k].count; n++)
            if (p->values[k].in[n] == i)
                p->values[k].in[n] = j;
    for (int s = 0; s < p->state_count; s++)
        if (p->next[s] == i)
            p->next[s] = j;
}

static void forget_dead(program *p) {
    bool live[MOST_VALUES];
    program_live(p, live);
    program_keep(p, live);
    program_drop_weights(p);
}

/* An earlier value in the place of value i: its inputs first, then what a step is given. */
static bool replace_by_earlier(reducer *r) {
    bool kept = false;
    for (int i = reducer_best(r)->value_count - 1; i > 0; i--)
        for (int j = i - 1; j >= 0; j--) {
            if (i >= reducer_best(r)->value_count)
                break;
            program *p = reducer_begin(r);
            if (!same_type(&p->values[i].type, &p->values[j].type))
                continue;
            substitute(p, i, j);
            forget_dead(p);
            if (reducer_try(r)) {
                kept = true;
                break;
            }
        }
    return kept;
}

/* A constant of the same type, with a number from its interval. */
static void become_full(value *v) {
    type t = v->type;
    double whole = ceil(t.low) <= t.high ? ceil(t.low) : t.low;
    bool half = t.low <= 0.5 && t.high >= 0.5 && cb_dtype_is_float(t.dtype);
    *v = (value){.form = &form_full, .dtype = t.dtype, .shape = t.shape, .type = t};
    v->parameter[0] = half ? 0.5 : whole;
}

static bool become_weight(program *p, value *v) {
    type t = v->type;
    if (t.dtype != p->dtype || batch_count(&t.shape) > 0 || p->weight_count == MOST_WEIGHTS)
        return false;
    p->weights[p->weight_count] = (weight){.shape = t.shape, .same_as = -1};
    *v = (value){.form = &form_weight, .number = {p->weight_count++}, .type = t};
    return true;
}

static bool become_x(const program *p, value *v) {
    extents rows = rows_of(p->input);
    if (v->type.dtype != p->dtype || !same_extents(&v->type.shape, &rows))
        return false;
    *v = (value){.form = &form_x, .type = v->type};
    return true;
}

/* A leaf or a constant in the place of value i. */
static bool replace_by_leaf(reducer *r) {
    bool kept = false;
    for (int i = reducer_best(r)->value_count - 1; i >= 0; i--)
        for (int way = 0; way < 3 && i < reducer_best(r)->value_count; way++) {
            program *p = reducer_begin(r);
            value *v = &p->values[i];
            if (form_is_leaf(v->form) || v->form == &form_full)
                break;
            if (way == 0 ? !become_x(p, v) : way == 1 ? !become_weight(p, v) : false)
                continue;
            if (way == 2)
                become_full(v);
            forget_dead(p);
            if (reducer_try(r)) {
                kept = true;
                break;
            }
        }
    return kept;
}

/* ---- States ---------------------------------------------------------------------------------- */

/* What the state becomes is of no interest, and what it was is a constant. */
static bool drop_states(reducer *r) {
    bool kept = false;
    for (int s = reducer_best(r)->state_count - 1; s >= 0; s--) {
        program *p = reducer_begin(r);
        if (p->state_count == 1)
            break;
        for (int i = 0; i < p->value_count; i++)
            if (p->values[i].form == &form_state && p->values[i].number[0] == s)
                become_full(&p->values[i]);
        program_drop_state(p, s);
        forget_dead(p);
        kept = reducer_try(r) || kept;
    }
    return kept;
}

/* Other values for what a state becomes. */
static bool replace_next(reducer *r) {
    bool kept = false;
    for (int s = 0; s < reducer_best(r)->state_count; s++)
        for (int j = 0; j < reducer_best(r)->value_count; j++) {
            program *p = reducer_begin(r);
            if (j == p->next[s] || !same_type(&p->values[j].type, &p->values[p->next[s]].type))
                continue;
            p->next[s] = j;
            forget_dead(p);
            if (reducer_try(r)) {
                kept = true;
                break;
            }
        }
    return kept;
}

/* ---- Forms and arguments --------------------------------------------------------------------- */

/* The first ones of each arity stand for all others, where the failure does not mind. */
static const form *const simple_forms[][3] = {{&form_tanh, &form_scale, &form_sigmoid},
                                              {&form_add, &form_mul, NULL}};

int form_rank(const form *f) {
    if (f->arity != 1 && f->arity != 2)
        return f == &form_full ? 0 : 4;
    for (int i = 0; i < 3; i++)
        if (simple_forms[f->arity - 1][i] == f)
            return i;
    return 4;
}

static bool simplify_forms(reducer *r) {
    bool kept = false;
    for (int i = 0; i < reducer_best(r)->value_count; i++) {
        int arity = reducer_best(r)->values[i].form->arity;
        for (int k = 0; k < 3 && (arity == 1 || arity == 2); k++) {
            value *v = &reducer_begin(r)->values[i];
            if (simple_forms[arity - 1][k] == NULL || form_rank(v->form) <= k)
                break;
            v->form = simple_forms[arity - 1][k];
            v->parameter[0] = v->parameter[1] = 0.5;
            kept = reducer_try(r) || kept;
        }
    }
    return kept;
}

static bool simplify_arguments(reducer *r) {
    bool kept = false;
    for (int i = 0; i < reducer_best(r)->value_count; i++) {
        for (int k = 0; k < 2; k++) {
            reducer_begin(r)->values[i].parameter[k] = 0.5;
            kept = reducer_try(r) || kept;
        }
        for (int k = reducer_best(r)->values[i].count - 1; k >= 0; k--) {
            program *p = reducer_begin(r);
            value *v = &p->values[i];
            if (v->form->optional > 0) {
                v->in[k] = NO_VALUE;
            } else if (v->form == &form_concat && v->count > 1) {
                for (int n = k; n + 1 < v->count; n++)
                    v->in[n] = v->in[n + 1];
                v->count--;
            }
            forget_dead(p);
            kept = reducer_try(r) || kept;
        }
    }
    return kept;
}

/* The same number of elements, from further in front and without steps; a part by its place. */
static bool move_parts(reducer *r) {
    bool kept = false;
    for (int i = 0; i < reducer_best(r)->value_count; i++) {
        const value *v = &reducer_best(r)->values[i];
        if (v->form != &form_slice)
            continue;
        int64_t length = v->type.shape.at[v->axes[0]].times, before = v->number[0];
        for (int64_t from = 0; before < 0 || from <= before; from++) {
            value *moved = &reducer_begin(r)->values[i];
            moved->number[0] = from;
            moved->number[1] = from + length;
            moved->number[2] = 1;
            if (reducer_try(r)) {
                kept = true;
                break;
            }
            if (from > 64)
                break;
        }
    }
    return kept;
}

edit *const all_edits[] = {
    drop_dead,    drop_states,    reduce_run,    replace_by_earlier, replace_by_leaf,
    replace_next, drop_each_dead, reduce_starts, simplify_forms,     simplify_arguments,
    move_parts,   reduce_sizes,   NULL};
