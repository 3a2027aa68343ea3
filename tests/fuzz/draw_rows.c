/* Products, reductions, normalisations, losses. */
#include "drawing.h"

/* ---- Reductions ------------------------------------------------------------------------------ */

/* One axis or more, in any order. */
static void draw_axes(drawing *d, int x, value *v) {
    int first = pick_axis(d, x);
    extents shape = shape_of(d, x);
    v->axes[v->axis_count++] = first;
    for (int i = 0; i < shape.rank; i++)
        if (i != first && !shape.at[i].batch && chance(d, 50))
            v->axes[v->axis_count++] = i;
}

static int draw_reduction(drawing *d) {
    static const form *const forms[] = {&form_sum, &form_mean, &form_var, &form_logsumexp,
                                        &form_max, &form_min,  &form_sum, &form_mean};
    const form *f = forms[below(d, allows(d, KINKS) ? 6 : 4)];
    int x = tame(d, pick_float(d), -6, 6);
    value v = {.form = f, .count = 1, .in = {x}, .flag = chance(d, 60)};
    if (x == FAILED || pick_axis(d, x) == FAILED)
        return FAILED;
    if (f == &form_var)
        v.parameter[0] = (double)below(d, 2);
    draw_axes(d, x, &v);
    return emit(d, &v);
}

static int draw_sum_to(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4);
    extents shape = shape_of(d, x);
    for (int i = 0; i < shape.rank; i++)
        if (!shape.at[i].batch && chance(d, 50))
            shape.at[i] = fixed(1);
    return make_shape(d, &form_sum_to, x, &shape);
}

static int draw_argmax(drawing *d) {
    int x = pick_float(d), axis = pick_axis(d, x);
    return make_reduction(d, &form_argmax, x, axis, chance(d, 50));
}

/* ---- Normalisations -------------------------------------------------------------------------- */

static int draw_softmax(drawing *d) {
    int x = tame(d, pick_float(d), -8, 8), axis = pick_axis(d, x);
    return make_axis(d, chance(d, 65) ? &form_softmax : &form_log_softmax, x, axis);
}

static int draw_layer_norm(drawing *d) {
    int x = tame(d, pick_float(d), -8, 8);
    extents shape = shape_of(d, x), last = {.rank = 0};
    int over = shape.rank >= 3 && chance(d, 30) ? 2 : 1;
    for (int i = shape.rank - over; i >= 0 && i < shape.rank; i++)
        last.at[last.rank++] = shape.at[i];
    if (last.rank == 0 || batch_count(&last) > 0)
        return FAILED;
    value v = {.form = &form_layer_norm, .count = 3, .in = {x, NO_VALUE, NO_VALUE}};
    if (over == 2 || chance(d, 60))
        v.in[1] = make_weight(d, &last);
    if (chance(d, 50))
        v.in[2] = make_weight(d, &last);
    v.parameter[0] = (const double[]){1e-5, 1e-3, 0.1}[below(d, 3)];
    return emit(d, &v);
}

/* (x - mean) / sqrt(var + e), written out */
static int draw_standardised(drawing *d) {
    int x = tame(d, pick_float(d), -4, 4), axis = pick_axis(d, x);
    int centred = MAKE(d, form_sub, x, make_reduction(d, &form_mean, x, axis, true));
    int spread =
        make_reduction(d, &form_mean, MAKE(d, form_square, tame(d, centred, -6, 6)), axis, true);
    int shifted =
        emit(d, &(value){.form = &form_shift, .count = 1, .in = {spread}, .parameter = {0.125}});
    return MAKE(d, form_mul, centred, MAKE(d, form_rsqrt, tame(d, shifted, 0.05, 30)));
}

/* ---- Products with weights ------------------------------------------------------------------- */

static int bias_or_none(drawing *d, int64_t columns) {
    return chance(d, 50) ? NO_VALUE : make_vector(d, columns);
}

int linear(drawing *d, int x, int64_t columns) {
    int64_t there = columns_of(d, x);
    if (there == 0)
        return FAILED;
    double bound = 0.9 * VALUE_BOUND / (WEIGHT_BOUND * (double)there);
    x = bound < 4 ? tame(d, x, -bound, bound) : tame(d, x, -4, 4);
    if (chance(d, 75)) {
        int w = matrix(d, columns, there), bias = bias_or_none(d, columns);
        return MAKE(d, form_linear, x, w, bias);
    }
    int y = MAKE(d, form_matmul, x, matrix(d, there, columns));
    return chance(d, 30) ? MAKE(d, form_add, y, make_vector(d, columns)) : y;
}

static int draw_linear(drawing *d) {
    int64_t columns = size(d);
    return linear(d, chance(d, 75) ? pick_rows(d) : pick_float(d), columns);
}

/* W x + U h, as in nearly every cell */
static int draw_sum_of_products(drawing *d) {
    int64_t columns = size(d);
    int sum = linear(d, pick_rows(d), columns);
    for (int64_t k = below(d, 3); k >= 0; k--)
        sum = MAKE(d, form_add, sum, linear(d, pick_rows(d), columns));
    return sum;
}

/* ---- Products of values ---------------------------------------------------------------------- */

static int pick_rank_3(drawing *d) {
    int x = pick(d, &(wanted){.rank = 3, .batch = FIRST});
    if (x == FAILED || chance(d, 40))
        x = split_heads(d, pick_rows(d));
    return tame(d, x, -2, 2);
}

/* [B, m, k] and [B, n, k] give [B, m, n]. */
static int draw_scores(drawing *d) {
    int q = pick_rank_3(d), k = pick_rank_3(d);
    if (columns_of(d, q) != columns_of(d, k))
        k = q;
    return MAKE(d, form_matmul, q, make_transpose(d, k, 1, 2));
}

/* [B, m, k] times weights [k, n], or weights [m, k] times [B, k, n]. */
static int draw_shared_factor(drawing *d) {
    int x = pick_rank_3(d);
    extents shape = shape_of(d, x);
    int64_t n = between(d, 1, 5);
    if (x == FAILED)
        return FAILED;
    return chance(d, 60) ? MAKE(d, form_matmul, x, matrix(d, columns_of(d, x), n))
                         : MAKE(d, form_matmul, matrix(d, n, shape.at[1].times), x);
}

/* A block-diagonal matrix: [heads, B, k] times weights [heads, k, n], and the axes back. */
static int draw_block_diagonal(drawing *d) {
    int x = pick_rank_3(d);
    extents shape = shape_of(d, x);
    if (x == FAILED)
        return FAILED;
    extents blocks = {3, {shape.at[1], shape.at[2], fixed(between(d, 1, 4))}};
    int turned = make_transpose(d, x, 0, 1);
    int y = MAKE(d, form_matmul, turned, make_weight(d, &blocks));
    return chance(d, 80) ? make_transpose(d, y, 0, 1) : y;
}

/* [B, m, 1] [B, 1, n] */
static int draw_outer(drawing *d) {
    int a = tame(d, pick_rows(d), -2, 2), b = tame(d, pick_rows(d), -2, 2);
    int column = make_axis(d, &form_unsqueeze, a, 2), row = make_axis(d, &form_unsqueeze, b, 1);
    return MAKE(d, *(chance(d, 50) ? &form_mul : &form_matmul), column, row);
}

/* [B, 1, k] [B, k, 1] */
static int draw_inner(drawing *d) {
    int a = tame(d, pick_rows(d), -2, 2), b = rows_from(d, pick_rows(d), columns_of(d, a));
    int row = make_axis(d, &form_unsqueeze, a, 1), column = make_axis(d, &form_unsqueeze, b, 2);
    int product = MAKE(d, form_matmul, row, column);
    return chance(d, 70) ? make_axis(d, &form_squeeze, product, 2) : product;
}

/* A matrix of each sequence's own times one of its rows. */
static int draw_matrix_vector(drawing *d) {
    int m = pick_rank_3(d);
    if (m == FAILED)
        return FAILED;
    int v = tame(d, rows_from(d, pick_rows(d), columns_of(d, m)), -2, 2);
    int product = MAKE(d, form_matmul, m, make_axis(d, &form_unsqueeze, v, 2));
    return chance(d, 80) ? make_axis(d, &form_squeeze, product, 2) : product;
}

/* h h' h: sequences see each other. */
static int draw_across_batch(drawing *d) {
    int h = tame(d, pick_rows(d), -1, 1);
    int scores = MAKE(d, form_matmul, h, make_transpose(d, h, 0, 1));
    int weights = make_axis(d, &form_softmax, tame(d, scores, -8, 8), 1);
    return MAKE(d, form_matmul, weights, h);
}

/* ---- Losses ---------------------------------------------------------------------------------- */

/* Of rows of logits, with the classes that are largest in another value, or in the same one. */
static int draw_cross_entropy(drawing *d) {
    int logits = tame(d, pick_float(d), -4, 4);
    extents shape = shape_of(d, logits);
    int other = pick(d, &(wanted){.rank = shape.rank, .shape = &shape});
    int target =
        make_reduction(d, &form_argmax, other != FAILED ? other : logits, shape.rank - 1, false);
    return emit(d, &(value){.form = &form_cross_entropy,
                            .count = 2,
                            .in = {logits, target},
                            .parameter = {chance(d, 50) ? 0.125 : 0}});
}

static int draw_loss(drawing *d) {
    int a = tame(d, pick_float(d), -2, 2), b = tame(d, companion(d, a), -2, 2);
    switch (below(d, 3)) {
    case 0:
        return MAKE(d, form_mse, a, b);
    case 1:
        return MAKE(d, form_binary_cross_entropy, a, tame(d, b, 0, 1));
    default:
        return emit(d,
                    &(value){.form = &form_huber, .count = 2, .in = {a, b}, .parameter = {0.75}});
    }
}

const proposal row_proposals[] = {
    {ALWAYS, 20, draw_linear},
    {ALWAYS, 15, draw_sum_of_products},
    {REDUCTIONS, 16, draw_reduction},
    {REDUCTIONS, 2, draw_sum_to},
    {INDICES, 4, draw_argmax},
    {NORMALISATIONS, 10, draw_softmax},
    {NORMALISATIONS, 6, draw_layer_norm},
    {NORMALISATIONS | REDUCTIONS, 4, draw_standardised},
    {HEADS, 5, draw_scores},
    {HEADS, 7, draw_shared_factor},
    {HEADS, 7, draw_block_diagonal},
    {HEADS, 6, draw_outer},
    {HEADS, 5, draw_inner},
    {HEADS, 6, draw_matrix_vector},
    {BATCH, 10, draw_across_batch},
    {LOSSES, 14, draw_loss},
    {LOSSES, 7, draw_cross_entropy},
    {0, 0, NULL},
};
