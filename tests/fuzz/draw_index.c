/* Indices, constants, and the fuzzer's own ops. */
#include "drawing.h"

#include <math.h>

/* ---- Indices --------------------------------------------------------------------------------- */

/* Constant whole numbers below some number. */
static int constant_indices(drawing *d, int64_t count, int64_t limit) {
    value v = {.form = &form_indices, .dtype = chance(d, 70) ? CB_I64 : CB_I32};
    v.shape = vector_of(count);
    v.number[0] = below(d, 1 << 20);
    v.number[1] = limit;
    return emit(d, &v);
}

/* Indices along an axis of x, the same ones for all else: [k] spread to x's shape. */
static int indices_along(drawing *d, int x, int axis) {
    extents shape = shape_of(d, x), thin = {.rank = shape.rank};
    int64_t count = between(d, 1, 5);
    for (int i = 0; i < shape.rank; i++)
        thin.at[i] = fixed(1);
    thin.at[axis] = shape.at[axis] = fixed(count);
    int list = constant_indices(d, count, shape_of(d, x).at[axis].times);
    return make_shape(d, &form_expand, make_shape(d, &form_reshape, list, &thin), &shape);
}

/* An axis that is not the batch. */
static int fixed_axis(drawing *d, int x) {
    int axis = pick_axis(d, x);
    return axis != FAILED && shape_of(d, x).at[axis].batch ? FAILED : axis;
}

static int draw_gather(drawing *d) {
    int x = pick_float(d), axis = fixed_axis(d, x);
    if (axis == FAILED)
        return FAILED;
    int index = chance(d, 50)   ? indices_along(d, x, axis)
                : chance(d, 50) ? make_reduction(d, &form_argmax, x, axis, true)
                                : make_reduction(d, &form_argsort, x, axis, chance(d, 50));
    return emit(
        d,
        &(value){
            .form = &form_gather, .count = 2, .in = {x, index}, .axis_count = 1, .axes = {axis}});
}

static int draw_scatter_add(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4), axis = fixed_axis(d, x);
    if (axis == FAILED)
        return FAILED;
    int index = indices_along(d, x, axis), source = x;
    if (index == FAILED)
        return FAILED;
    extents shape = shape_of(d, index);
    int other = pick(d, &(wanted){.rank = shape.rank, .shape = &shape});
    if (other != FAILED)
        source = tame(d, other, -4, 4);
    else if (shape.at[axis].times <= shape_of(d, x).at[axis].times)
        source = make_slice(d, x, axis, 0, shape.at[axis].times, 1);
    return emit(d, &(value){.form = &form_scatter_add,
                            .count = 3,
                            .in = {x, index, source},
                            .axis_count = 1,
                            .axes = {axis}});
}

/* Rows of a table of weights, chosen by what is largest, or by constants. */
static int draw_gather_rows(drawing *d) {
    int64_t rows = between(d, 2, 6);
    extents shape = {2, {fixed(rows), fixed(size(d))}};
    int index, x = pick_rows(d);
    if (x != FAILED && chance(d, 60)) {
        x = rows_from(d, x, rows);
        index = make_reduction(d, &form_argmax, x, 1, chance(d, 30));
        return MAKE(d, form_gather_rows, make_weight(d, &shape), index);
    }
    index = constant_indices(d, between(d, 1, 5), rows);
    int turned = make_transpose(d, x, 0, 1); /* rows of it are columns of the state */
    if (turned != FAILED && chance(d, 30))
        return MAKE(d, form_gather_rows, turned,
                    constant_indices(d, between(d, 1, 5), shape_of(d, turned).at[0].times));
    return MAKE(d, form_gather_rows, make_weight(d, &shape), index);
}

static int draw_scatter_rows(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4), index = FAILED;
    extents shape = shape_of(d, x);
    int64_t rows = between(d, 1, 5);
    if (x == FAILED || shape.rank < 1)
        return FAILED;
    if (shape.at[0].batch && shape.rank == 2 && !shape.at[1].batch && !allows(d, BATCH)) {
        x = make_transpose(d, x, 0, 1);
        shape = shape_of(d, x);
    }
    if (!shape.at[0].batch)
        index = constant_indices(d, shape.at[0].times, rows);
    else if (shape.rank == 2 && shape.at[0].times == 1 && allows(d, BATCH))
        index = make_reduction(d, &form_argmax, rows_from(d, pick_rows(d), rows), 1, false);
    return emit(
        d, &(value){.form = &form_scatter_rows, .count = 2, .in = {x, index}, .number = {rows}});
}

static int draw_one_hot(drawing *d) {
    int x = pick(d, &(wanted){.rank = ANY_RANK, .kind = INTEGER});
    if (x == FAILED || type_of(d, x)->low < 0 || type_of(d, x)->high > 8)
        return FAILED;
    return emit(d, &(value){.form = &form_one_hot,
                            .count = 1,
                            .in = {x},
                            .dtype = d->p->dtype,
                            .number = {(int64_t)type_of(d, x)->high + between(d, 1, 2)}});
}

/* ---- Constants ------------------------------------------------------------------------------- */

static int draw_constant(drawing *d) {
    value v = {.form = &form_constant, .dtype = d->p->dtype};
    int64_t columns = size(d);
    switch (below(d, 5)) {
    case 0: /* of the program's */
        v.number[0] = below(d, 1 << 20);
        v.shape =
            chance(d, 60) ? vector_of(columns) : (extents){2, {fixed(size(d)), fixed(columns)}};
        break;
    case 1:
        v.form = &form_arange;
        v.number[0] = columns;
        v.parameter[0] = uniform(d, -1, 1);
        v.parameter[1] = uniform(d, -0.5, 0.5);
        break;
    case 2:
        v.form = &form_arange;
        v.dtype = CB_I64;
        v.number[0] = between(d, 1, 6);
        v.parameter[1] = 1;
        break;
    default:
        v.form = &form_full;
        v.parameter[0] = chance(d, 25) ? 0 : uniform(d, -1, 1);
        v.shape = chance(d, 60)   ? rows_of(columns)
                  : chance(d, 50) ? vector_of(columns)
                                  : (extents){.rank = 0};
    }
    return emit(d, &v);
}

static int draw_full_like(drawing *d) {
    value v = {.form = &form_full_like, .count = 1, .in = {pick_float(d)}};
    v.parameter[0] = chance(d, 25) ? 0 : uniform(d, -1, 1);
    return emit(d, &v);
}

/* ---- Own ops --------------------------------------------------------------------------------- */

static int draw_floor(drawing *d) {
    return MAKE(d, form_floor, make_scale(d, tame(d, pick_float(d), -4, 4), 2));
}

static int draw_circle(drawing *d) {
    value v = {.form = &form_circle, .count = 1, .in = {tame(d, pick_float(d), -4, 4)}};
    v.flag = chance(d, 50);
    return emit(d, &v);
}

static int draw_running_sum(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4), axis = shape_of(d, x).rank - 1;
    if (chance(d, 30))
        axis = pick_axis(d, x);
    return make_reduction(d, &form_running_sum, x, axis, chance(d, 50));
}

static int draw_cumsum(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4);
    return make_axis(d, &form_cumsum, x, pick_axis(d, x));
}

const proposal index_proposals[] = {
    {INDICES, 6, draw_gather},       {INDICES, 4, draw_scatter_add}, {INDICES, 6, draw_gather_rows},
    {INDICES, 6, draw_scatter_rows}, {INDICES, 4, draw_one_hot},     {REDUCTIONS, 6, draw_cumsum},
    {CONSTANTS, 14, draw_constant},  {CONSTANTS, 4, draw_full_like}, {OWN_OPS, 5, draw_floor},
    {OWN_OPS, 6, draw_running_sum},  {OWN_OPS, 5, draw_circle},      {0, 0, NULL},
};
