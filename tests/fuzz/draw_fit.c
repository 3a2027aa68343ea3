/* Making values fit: into a range, a shape, a matrix, next to each other. */
#include "drawing.h"

#include <math.h>

/* ---- Into a range ---------------------------------------------------------------------------- */

static double magnitude(const type *t) {
    return fmax(fabs(t->low), fabs(t->high));
}

/* Into [low, high] around 0. */
static int tame_around_zero(drawing *d, int x, double bound) {
    const type *t = type_of(d, x);
    double factor = floor(bound / magnitude(t) * 64) / 64;
    switch (weighted(d, 4, (const int[]){50, 15, factor > 0.1 ? 30 : 0, 5})) {
    case 0:
        return bound >= 1 ? MAKE(d, form_tanh, x) : make_scale(d, MAKE(d, form_tanh, x), bound);
    case 1:
        return bound >= 1 ? MAKE(d, form_sin, x) : make_scale(d, MAKE(d, form_erf, x), bound);
    case 2:
        return make_scale(d, x, factor);
    default:
        return emit(
            d, &(value){.form = &form_clamp, .count = 1, .in = {x}, .parameter = {-bound, bound}});
    }
}

int tame(drawing *d, int x, double low, double high) {
    const type *t = type_of(d, x);
    if (t == NULL || (t->low >= low && t->high <= high))
        return x;
    if (!cb_dtype_is_float(t->dtype))
        return FAILED;
    if (low < 0 && high > 0)
        return tame_around_zero(d, x, fmin(-low, high));
    int y = MAKE(d, form_sigmoid, x);
    return low <= 0 && high >= 1 ? y : make_affine(d, y, fmin(high - low, 4), low);
}

/* ---- Into a shape ---------------------------------------------------------------------------- */

/* Without a batch: [columns]; with one: its axis first, whole, and alone. */
static int batch_in_front(drawing *d, int x) {
    extents shape = shape_of(d, x);
    int axis = batch_axis(&shape);
    if (axis < 0)
        return x;
    if (batch_count(&shape) > 1) { /* over the other one */
        int other = axis + 1;
        while (!shape.at[other].batch)
            other++;
        return batch_in_front(d, make_reduction(d, &form_mean, x, other, false));
    }
    if (axis > 0) {
        value v = {.form = &form_permute, .count = 1, .in = {x}, .axis_count = shape.rank};
        v.axes[0] = axis;
        for (int i = 1; i < shape.rank; i++)
            v.axes[i] = i <= axis ? i - 1 : i;
        x = shape.rank == 2 ? make_transpose(d, x, 0, 1) : emit(d, &v);
    }
    return x;
}

/* [B, n] or [n] with the same elements. */
static int flatten(drawing *d, int x) {
    x = batch_in_front(d, x);
    extents shape = shape_of(d, x);
    bool has_batch = batch_axis(&shape) == 0;
    extents flat = has_batch ? rows_of(times_of(&shape)) : vector_of(times_of(&shape));
    return same_extents(&flat, &shape) ? x : make_shape(d, &form_reshape, x, &flat);
}

/* Fewer columns than there are. */
static int fewer_columns(drawing *d, int x, int64_t columns) {
    int64_t there = columns_of(d, x), start = below(d, there - columns + 1);
    int axis = shape_of(d, x).rank - 1;
    if (there % columns == 0 && chance(d, 60)) {
        if (axis == 1 && allows(d, HEADS | REDUCTIONS) && chance(d, 30)) {
            extents split = {3, {batches(1), fixed(columns), fixed(there / columns)}};
            return make_reduction(d, &form_mean, make_shape(d, &form_reshape, x, &split), 2, false);
        }
        return make_chunk(d, x, axis, there / columns, below(d, there / columns));
    }
    if (allows(d, STRIDES) && (columns - 1) * 2 < there && chance(d, 30))
        return make_slice(d, x, axis, 0, 2 * columns - 1, 2);
    return make_slice(d, x, axis, start, start + columns, 1);
}

static int linear_to(drawing *d, int x, int64_t columns) {
    int64_t there = columns_of(d, x);
    x = tame(d, x, -4, 4);
    return MAKE(d, form_linear, x, matrix(d, columns, there), NO_VALUE);
}

/* More columns than there are. */
static int more_columns(drawing *d, int x, int64_t columns) {
    int64_t there = columns_of(d, x);
    int axis = shape_of(d, x).rank - 1;
    if (there == 1 && chance(d, 60)) {
        extents shape = axis == 1 ? rows_of(columns) : vector_of(columns);
        return make_shape(d, &form_expand, x, &shape);
    }
    if (allows(d, STRIDES) && chance(d, 30)) {
        value v = {.form = &form_pad, .count = 1, .in = {x}, .parameter = {uniform(d, -1, 1)}};
        v.number[axis] = below(d, columns - there + 1);
        v.number[MOST_RANK + axis] = columns - there - v.number[axis];
        return emit(d, &v);
    }
    if (axis == 0 || !chance(d, 40))
        return linear_to(d, x, columns);
    int rest = rows_from(d, pick_rows(d), columns - there);
    return make_concat(d, 2, chance(d, 50) ? (int[]){x, rest} : (int[]){rest, x}, axis);
}

int rows_from(drawing *d, int x, int64_t columns) {
    if (x < 0)
        return FAILED;
    if (type_of(d, x)->dtype != d->p->dtype)
        x = make_cast(d, x, d->p->dtype);
    x = flatten(d, x);
    int64_t there = columns_of(d, x);
    if (there > columns)
        x = fewer_columns(d, x, columns);
    else if (there > 0 && there < columns)
        x = more_columns(d, x, columns);
    x = tame(d, x, -STATE_BOUND, STATE_BOUND);
    extents rows = rows_of(columns);
    if (shape_of(d, x).rank != 1)
        return x;
    return chance(d, 50) ? make_shape(d, &form_expand, x, &rows)
                         : tame(d, MAKE(d, form_add, x, rows_from(d, pick_rows(d), columns)),
                                -STATE_BOUND, STATE_BOUND);
}

int split_heads(drawing *d, int x) {
    int64_t columns = columns_of(d, x), heads = d->heads;
    while (columns > 0 && columns % heads != 0)
        heads--;
    extents split = {3, {batches(1), fixed(heads), fixed(columns / (heads > 0 ? heads : 1))}};
    return columns == 0 ? FAILED : make_shape(d, &form_reshape, x, &split);
}

/* ---- Matrices -------------------------------------------------------------------------------- */

static int identity(drawing *d, int64_t columns) {
    int numbers = emit(
        d,
        &(value){.form = &form_arange, .dtype = CB_I64, .number = {columns}, .parameter = {0, 1}});
    return emit(d, &(value){.form = &form_one_hot,
                            .count = 1,
                            .in = {numbers},
                            .dtype = d->p->dtype,
                            .number = {columns}});
}

/* w with what is above the diagonal taken for 0. */
static int triangle(drawing *d, int w) {
    extents shape = shape_of(d, w), column = {2, {shape.at[0], fixed(1)}};
    value numbers = {.form = &form_arange, .dtype = d->p->dtype, .parameter = {0, 1}};
    numbers.number[0] = shape.at[0].times;
    int rows = make_shape(d, &form_reshape, emit(d, &numbers), &column);
    numbers.number[0] = shape.at[1].times;
    return MAKE(d, form_mul, w, MAKE(d, form_less_equal, emit(d, &numbers), rows));
}

static int normalised(drawing *d, int w) {
    int squares = make_reduction(d, &form_sum, MAKE(d, form_square, w), 1, true);
    int shifted =
        emit(d, &(value){.form = &form_shift, .count = 1, .in = {squares}, .parameter = {0.25}});
    return MAKE(d, form_mul, w, MAKE(d, form_rsqrt, tame(d, shifted, 0.05, 30)));
}

static int low_rank(drawing *d, int64_t rows, int64_t columns) {
    int64_t rank = between(d, 1, 3);
    int left = matrix(d, rows, rank), right = matrix(d, rank, columns);
    return tame(d, MAKE(d, form_matmul, left, right), -2, 2);
}

/* From other weights. */
static int computed_matrix(drawing *d, int64_t rows, int64_t columns) {
    extents shape = {2, {fixed(rows), fixed(columns)}}, flat = vector_of(rows * columns);
    int w = make_weight(d, &shape);
    switch (below(d, 8)) {
    case 0:
        return make_scale(d, w, uniform(d, -1.5, 1.5));
    case 1:
        return MAKE(d, form_tanh, w);
    case 2:
        return normalised(d, w);
    case 3:
        return low_rank(d, rows, columns);
    case 4:
        return rows == columns ? MAKE(d, form_add, w, identity(d, rows)) : w;
    case 5:
        return allows(d, CONSTANTS) ? triangle(d, w) : w;
    case 6:
        return make_shape(d, &form_reshape, make_weight(d, &flat), &shape);
    default:
        return MAKE(d, form_mul, w, make_vector(d, columns));
    }
}

/* A part of a larger weight. */
static int part_of_matrix(drawing *d, int64_t rows, int64_t columns) {
    int axis = (int)below(d, 2);
    int64_t count = between(d, 2, 3), want = axis == 0 ? rows : columns;
    extents shape = {2, {fixed(rows), fixed(columns)}};
    shape.at[axis].times *= count;
    int w = make_weight(d, &shape);
    if (allows(d, STRIDES) && chance(d, 25))
        return make_slice(d, w, axis, 0, CB_END, count);
    return chance(d, 60) ? make_chunk(d, w, axis, count, below(d, count))
                         : make_slice(d, w, axis, 1, want + 1, 1);
}

int matrix(drawing *d, int64_t rows, int64_t columns) {
    extents shape = {2, {fixed(rows), fixed(columns)}}, turned = {2, {fixed(columns), fixed(rows)}};
    switch (weighted(
        d, 4, (const int[]){60, 12, allows(d, PARTS) ? 12 : 0, allows(d, COMPUTED) ? 25 : 0})) {
    case 0:
        return make_weight(d, &shape);
    case 1:
        return make_transpose(d, make_weight(d, &turned), 0, 1);
    case 2:
        return part_of_matrix(d, rows, columns);
    default:
        return computed_matrix(d, rows, columns);
    }
}

/* ---- Next to each other ---------------------------------------------------------------------- */

/* A weight that is spread over some axes of x: a vector, a column, a number. */
static int spread_weight(drawing *d, int x) {
    extents shape = shape_of(d, x);
    for (int i = 0; i < shape.rank; i++)
        if (shape.at[i].batch || (i + 1 < shape.rank && chance(d, 40)))
            shape.at[i] = fixed(1);
    while (shape.rank > 0 && shape.at[0].times == 1 && chance(d, 80))
        axis_remove(&shape, 0);
    if (shape.rank > 0 && chance(d, 10))
        shape.at[shape.rank - 1] = fixed(1);
    return make_weight(d, &shape);
}

/* A column of x or one number a row, spread again by whoever uses it. */
static int spread_part(drawing *d, int x) {
    int axis = pick_axis(d, x);
    if (axis == FAILED)
        return FAILED;
    if (allows(d, REDUCTIONS) && chance(d, 60))
        return make_reduction(d, &form_mean, x, axis, true);
    return make_slice(d, x, axis, 0, 1, 1);
}

int companion(drawing *d, int x) {
    extents shape = shape_of(d, x);
    if (x < 0)
        return FAILED;
    cb_dtype dtype = type_of(d, x)->dtype;
    bool plain = dtype == d->p->dtype;
    double number;
    int y = FAILED;
    switch (weighted(d, 5, (const int[]){60, 15, plain ? 15 : 0, 8, 8})) {
    case 0:
        y = pick(d, &(wanted){.rank = ANY_RANK,
                              .broadcast = &shape,
                              .kind = plain                      ? OWN_FLOAT
                                      : cb_dtype_is_float(dtype) ? OTHER_FLOAT
                                                                 : INTEGER});
        break;
    case 1:
        y = spread_part(d, x);
        break;
    case 2:
        y = spread_weight(d, x);
        break;
    case 3:
        number = cb_dtype_is_float(dtype) ? uniform(d, -1, 1) : (double)between(d, -2, 2);
        y = make_full(d, dtype, chance(d, 50) ? &shape : &(extents){.rank = 0}, number);
        break;
    }
    return y != FAILED && type_of(d, y)->dtype == dtype ? y : x;
}
