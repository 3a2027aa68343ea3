/* A random program: sizes, ops, and what states become. */
#include "draw.h"

#include "drawing.h"

#include <string.h>

/* ---- Sizes ----------------------------------------------------------------------------------- */

/* In percent, how often a program has a family; of the special ones, how likely each is to be the
   one that is chosen. In the order of their bits. */
static const int family_chance[FAMILIES] = {55, 35, 65, 20, 45, 8, 18, 16, 18, 14, 10, 12, 45, 50};

static void draw_families(drawing *d) {
    int special[FAMILIES];
    for (int i = 0; i < FAMILIES; i++) {
        bool is_special = (SPECIAL >> i & 1) != 0;
        special[i] = is_special ? family_chance[i] : 0;
        if (!is_special && chance(d, family_chance[i]))
            d->families |= 1u << i;
    }
    if (chance(d, 60))
        for (int64_t k = between(d, 1, 3); k > 0; k--)
            d->families |= 1u << weighted(d, FAMILIES, special);
    d->strided = chance(d, 20);
}

static void draw_sizes(drawing *d) {
    program *p = d->p;
    d->heads = between(d, 1, 4);
    d->width = between(d, 1, 4);
    if (chance(d, 4)) /* more columns than a microkernel takes at once */
        d->width = between(d, 9, 40);
    d->hidden = d->heads * d->width;
    p->input = chance(d, 50) ? d->hidden : between(d, 1, 9);
    p->state_count = 1 + weighted(d, MOST_STATES, (const int[]){40, 35, 15, 10});
    for (int s = 0; s < p->state_count; s++) {
        p->state_size[s] = chance(d, 60) ? d->hidden : size(d);
        p->sums[s] = chance(d, 8);
    }
}

static void draw_leaves(drawing *d) {
    emit(d, &(value){.form = &form_x});
    for (int s = 0; s < d->p->state_count; s++)
        emit(d, &(value){.form = &form_state, .number = {s}});
}

/* ---- Ops ------------------------------------------------------------------------------------- */

static const proposal *draw_proposal(drawing *d) {
    static const proposal *const lists[] = {elementwise_proposals, row_proposals, shape_proposals,
                                            index_proposals, idiom_proposals};
    const proposal *chosen = NULL;
    int64_t sum = 0;
    bool special = (d->families & SPECIAL) != 0 && chance(d, 55);
    for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++)
        for (const proposal *q = lists[k]; q->draw != NULL; q++)
            if (allows(d, q->families) && (!special || (q->families & SPECIAL) != 0)) {
                sum += q->weight;
                if (below(d, sum) < q->weight)
                    chosen = q;
            }
    return chosen;
}

/* Room is left for what the states need at the end. */
enum { MOST_DRAWN = MOST_VALUES - 64 };

static void draw_ops(drawing *d, int most) {
    int64_t count = between(d, 1, between(d, 1, most));
    for (int64_t i = 0; i < count && d->p->value_count < MOST_DRAWN; i++) {
        const proposal *q = draw_proposal(d);
        if (q != NULL)
            q->draw(d);
    }
}

/* ---- What states become ---------------------------------------------------------------------- */

static int some_rows(drawing *d, int64_t columns) {
    return rows_from(d, chance(d, 70) ? pick_float(d) : pick_rows(d), columns);
}

/* Several values, so that most of what there is gets used. */
static int combination(drawing *d, int64_t columns) {
    int sum = some_rows(d, columns);
    for (int64_t k = between(d, 1, 3); k > 0; k--) {
        int other = some_rows(d, columns);
        if (chance(d, 50))
            other = MAKE(d, form_mul, MAKE(d, form_sigmoid, some_rows(d, columns)), other);
        sum = MAKE(d, *(chance(d, 75) ? &form_add : &form_mul), sum, other);
    }
    return tame(d, sum, -STATE_BOUND, STATE_BOUND);
}

/* Parts side by side. */
static int join(drawing *d, int64_t columns) {
    if (columns < 2)
        return some_rows(d, columns);
    int64_t width = between(d, 1, columns - 1);
    int left = some_rows(d, width), right = some_rows(d, columns - width);
    return make_concat(d, 2, (int[]){left, right}, 1);
}

/* A state, x, or a value as it is, where one has the size. */
static int copy(drawing *d, int64_t columns) {
    extents rows = rows_of(columns);
    return pick(d, &(wanted){.rank = 2, .shape = &rows});
}

/* A part of a wider value, as wide as it need be. */
static int part(drawing *d, int64_t columns) {
    for (int tries = 0; tries < 8; tries++) {
        int x = pick_rows(d);
        int64_t there = columns_of(d, x);
        if (there > columns)
            return there % columns == 0 && chance(d, 50)
                       ? make_chunk(d, x, 1, there / columns, below(d, there / columns))
                       : make_slice(d, x, 1, there - columns, there, 1);
    }
    return FAILED;
}

static int constant(drawing *d, int64_t columns) {
    extents rows = rows_of(columns);
    return make_full(d, d->p->dtype, &rows, uniform(d, -1, 1));
}

static int growing(drawing *d, int state) {
    int itself = program_leaf(d->p, &form_state, state);
    return MAKE(d, form_add, itself, tame(d, some_rows(d, d->p->state_size[state]), -1, 1));
}

static int next_of(drawing *d, int state) {
    int64_t columns = d->p->state_size[state];
    if (d->p->sums[state])
        return growing(d, state);
    switch (weighted(d, 6, (const int[]){50, 14, 12, 12, 10, 2})) {
    case 0:
        return combination(d, columns);
    case 1:
        return some_rows(d, columns);
    case 2:
        return part(d, columns);
    case 3:
        return join(d, columns);
    case 4:
        return copy(d, columns);
    default:
        return constant(d, columns);
    }
}

/* Tries until the value is one that the state may hold; a state may always stay what it is. */
static void draw_next(drawing *d) {
    program *p = d->p;
    d->finishing = true;
    for (int s = 0; s < p->state_count; s++) {
        p->next[s] = program_leaf(p, &form_state, s);
        for (int tries = 0; tries < 6; tries++) {
            int y = next_of(d, s);
            if (y != FAILED && program_may_be_next(p, s, y)) {
                p->next[s] = y;
                break;
            }
        }
    }
}

/* Most of what no state depends on goes, so that steps are mostly of use; some stays. */
static void drop_unused(drawing *d) {
    bool live[MOST_VALUES];
    program_live(d->p, live);
    for (int i = 0; i < d->p->value_count; i++)
        live[i] = live[i] || form_is_leaf(d->p->values[i].form);
    if (chance(d, 80))
        program_keep(d->p, live);
    if (chance(d, 85))
        program_drop_weights(d->p);
}

void program_draw(program *p, uint64_t seed, const draw_options *options) {
    memset(p, 0, sizeof(*p));
    drawing d = {.p = p, .random = cb_random_seed(seed)};
    p->seed = seed;
    p->dtype = chance(&d, 40) && !options->f64_only ? CB_F32 : CB_F64;
    draw_families(&d);
    draw_sizes(&d);
    draw_leaves(&d);
    draw_ops(&d, options->most_ops);
    draw_next(&d);
    drop_unused(&d);
    run_draw(&d);
}
