/* What cells are made of: a few ops that belong together. By chance alone they would be rare, and
   they are what a compiler looks for. */
#include "drawing.h"

/* Gates side by side: one or two products, cut up, some of the parts never read. */
static int draw_gates(drawing *d) {
    int64_t count = between(d, 2, 5), columns = chance(d, 70) ? d->hidden : size(d);
    int z = linear(d, pick_rows(d), count * columns);
    if (chance(d, 70))
        z = MAKE(d, form_add, z, linear(d, pick_rows(d), count * columns));
    if (chance(d, 25))
        z = MAKE(d, form_sigmoid, z);
    int gate = make_chunk(d, z, 1, count, below(d, count));
    for (int64_t k = between(d, 1, count); k > 0; k--) {
        int part = make_chunk(d, z, 1, count, below(d, count));
        part = MAKE(d, *(chance(d, 60) ? &form_sigmoid : &form_tanh), part);
        part = MAKE(d, form_mul, part, rows_from(d, pick_rows(d), columns));
        gate = tame(d, gate, -4, 4);
        gate = MAKE(d, form_add, gate, part);
    }
    return gate;
}

/* A function of a join, and a part of it again: one that lies across the seam, or not. */
static int draw_join_and_part(drawing *d) {
    int in[3], count = (int)between(d, 2, 3);
    for (int i = 0; i < count; i++)
        in[i] = pick_rows(d);
    int join = make_concat(d, count, in, 1);
    static const form *const functions[] = {&form_tanh, &form_sigmoid, &form_silu, &form_square,
                                            &form_sin};
    join = tame(d, join, -4, 4);
    join = MAKE(d, *functions[below(d, 5)], join);
    int64_t columns = columns_of(d, join);
    if (columns < 2)
        return join;
    if (columns % 2 == 0 && chance(d, 50))
        return make_chunk(d, join, 1, 2, below(d, 2));
    int64_t start = below(d, columns);
    return make_slice(d, join, 1, start, between(d, start + 1, columns), 1);
}

/* Products of the same row in different widths. */
static int draw_two_widths(drawing *d) {
    int x = pick_rows(d);
    int64_t columns = columns_of(d, x);
    if (columns < 2)
        return FAILED;
    int64_t start = chance(d, 60) ? 0 : below(d, columns);
    int part = make_slice(d, x, 1, start, between(d, start + 1, columns), 1);
    int64_t out = size(d);
    x = MAKE(d, form_tanh, linear(d, x, out));
    part = MAKE(d, form_sigmoid, linear(d, part, out));
    return MAKE(d, *(chance(d, 50) ? &form_mul : &form_add), x, part);
}

/* A queue: all but the first columns, and new ones behind. */
static int draw_shift_register(drawing *d) {
    int x = pick_rows(d);
    int64_t columns = columns_of(d, x);
    if (columns < 2)
        return FAILED;
    int64_t shift = between(d, 1, columns - 1);
    int kept = make_slice(d, x, 1, shift, CB_END, 1), in = rows_from(d, pick_rows(d), shift);
    if (chance(d, 40))
        kept = MAKE(d, form_tanh, kept);
    return make_concat(d, 2, (int[]){kept, in}, 1);
}

/* Attention over rows of weights, or over the rows of a state seen as a small memory. */
static int draw_attention(drawing *d) {
    int q = pick_rows(d);
    int64_t columns = columns_of(d, q), slots = between(d, 1, 4);
    if (columns == 0)
        return FAILED;
    q = tame(d, q, -2, 2);
    if (chance(d, 40) || !allows(d, HEADS)) {
        int memory = matrix(d, slots, columns);
        int scores = MAKE(d, form_linear, q, memory, NO_VALUE);
        return MAKE(d, form_matmul, make_axis(d, &form_softmax, scores, 1), memory);
    }
    extents shape = {3, {batches(1), fixed(slots), fixed(columns)}};
    int memory = make_shape(d, &form_reshape, rows_from(d, pick_rows(d), slots * columns), &shape);
    int scores = MAKE(d, form_matmul, memory, make_axis(d, &form_unsqueeze, q, 2));
    int weights = make_axis(d, &form_softmax, tame(d, scores, -8, 8), 1);
    return make_reduction(d, &form_sum, MAKE(d, form_mul, weights, memory), 1, false);
}

/* A matrix memory: M' = f M + v k', read by q. */
static int draw_matrix_memory(drawing *d) {
    int64_t n = between(d, 1, 4), m = between(d, 1, 4);
    bool one_for_all = chance(d, 50);
    extents shape = {3, {batches(1), fixed(m), fixed(n)}}, flat = rows_of(m * n);
    int memory = make_shape(d, &form_reshape, rows_from(d, pick_rows(d), m * n), &shape);
    int v = make_axis(d, &form_unsqueeze, rows_from(d, pick_rows(d), m), 2);
    int k = make_axis(d, &form_unsqueeze, rows_from(d, pick_rows(d), n), 1);
    int gate = rows_from(d, pick_rows(d), one_for_all ? 1 : m);
    gate = make_axis(d, &form_unsqueeze, MAKE(d, form_sigmoid, gate), 2);
    int kept = MAKE(d, form_mul, gate, memory), added = MAKE(d, form_mul, v, k);
    int next = MAKE(d, form_add, kept, added), seen = tame(d, next, -8, 8);
    int q = make_axis(d, &form_unsqueeze, rows_from(d, pick_rows(d), n), 2);
    int read = MAKE(d, form_matmul, seen, q);
    return chance(d, 50) ? make_axis(d, &form_squeeze, read, 2)
                         : make_shape(d, &form_reshape, next, &flat);
}

/* Something done to each head, and the heads side by side again, or merged into the batch. */
static int draw_per_head(drawing *d) {
    int x = split_heads(d, tame(d, pick_rows(d), -4, 4));
    extents shape = shape_of(d, x);
    if (x == FAILED)
        return FAILED;
    extents merged = {2, {batches(shape.at[1].times), shape.at[2]}};
    int64_t columns = between(d, 1, 4);
    switch (below(d, 4)) {
    case 0:
        x = make_axis(d, &form_softmax, x, (int)between(d, 1, 2));
        break;
    case 1:
        x = emit(d, &(value){.form = &form_layer_norm,
                             .count = 3,
                             .in = {x, NO_VALUE, NO_VALUE},
                             .parameter = {1e-3}});
        break;
    case 2:
        x = linear(d, make_shape(d, &form_reshape, x, &merged), columns);
        shape.at[2] = fixed(columns);
        break;
    default:
        x = MAKE(d, form_mul, x, make_reduction(d, &form_sum, x, 2, true));
    }
    extents flat = rows_of(times_of(&shape));
    return make_shape(d, &form_reshape, x, &flat);
}

/* Two rows of each sequence through the same weights, as twice the batch. */
static int draw_twice_the_batch(drawing *d) {
    int a = pick_rows(d);
    if (a == FAILED)
        return FAILED;
    int b = rows_from(d, pick_rows(d), columns_of(d, a));
    int both = make_concat(d, 2, (int[]){a, b}, 0);
    both = MAKE(d, form_tanh, linear(d, both, size(d)));
    a = make_chunk(d, both, 0, 2, 0);
    b = make_chunk(d, both, 0, 2, 1);
    return MAKE(d, form_sub, a, b);
}

/* More pieces side by side than a join has inputs. */
static int draw_many_pieces(drawing *d) {
    int in[MOST_INPUTS], x = pick_rows(d), wide = FAILED;
    int64_t columns = columns_of(d, x);
    for (int i = 0; i < MOST_INPUTS && columns > 0; i++) {
        int64_t at = below(d, columns);
        in[i] = make_slice(d, x, 1, at, at + 1, 1);
    }
    if (columns > 0)
        wide = make_concat(d, MOST_INPUTS, in, 1);
    for (int i = 0; i < MOST_INPUTS; i++)
        in[i] = wide;
    wide = make_concat(d, MOST_INPUTS, in, 1);
    return make_concat(d, 2, (int[]){wide, x}, 1);
}

/* Diagonal recurrences, in pairs of columns. */
static int draw_rotation(drawing *d) {
    int x = pick_rows(d), y = rows_from(d, pick_rows(d), columns_of(d, x));
    int angle = make_vector(d, columns_of(d, x));
    int c = MAKE(d, form_cos, angle), s = MAKE(d, form_sin, angle);
    x = tame(d, x, -4, 4);
    int cx = MAKE(d, form_mul, c, x), cy = MAKE(d, form_mul, c, y);
    int sx = MAKE(d, form_mul, s, x), sy = MAKE(d, form_mul, s, y);
    int left = MAKE(d, form_sub, cx, sy), right = MAKE(d, form_add, sx, cy);
    return make_concat(d, 2, (int[]){left, right}, 1);
}

const proposal idiom_proposals[] = {
    {PARTS, 14, draw_gates},
    {PARTS, 10, draw_join_and_part},
    {PARTS, 6, draw_two_widths},
    {PARTS, 4, draw_shift_register},
    {NORMALISATIONS | REDUCTIONS, 6, draw_attention},
    {HEADS, 6, draw_matrix_memory},
    {HEADS, 8, draw_per_head},
    {BATCH | PARTS, 6, draw_twice_the_batch},
    {PARTS, 3, draw_rotation},
    {PARTS, 1, draw_many_pieces},
    {0, 0, NULL},
};
