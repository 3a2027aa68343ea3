/* Views, joins, and other shapes. */
#include "drawing.h"

/* ---- More axes, fewer axes ------------------------------------------------------------------- */

/* One extent as two. The batch goes into the first: [B h, d] was [B, h, d]. */
static bool split_extent(drawing *d, extents *shape) {
    int axis = (int)below(d, shape->rank);
    extent whole = shape->at[axis];
    int64_t part = between(d, 1, 4);
    if (whole.times % part != 0 || shape->rank == MOST_RANK)
        return false;
    extent first = {whole.times / part, whole.batch}, second = fixed(part);
    if (whole.batch && chance(d, 20)) { /* [h B, d] was [h, B, d] */
        first = fixed(part);
        second = batches(whole.times / part);
    }
    shape->at[axis] = first;
    axis_insert(shape, axis + 1, second);
    return true;
}

static bool merge_extents(drawing *d, extents *shape) {
    if (shape->rank < 2)
        return false;
    int axis = (int)below(d, shape->rank - 1);
    extent a = shape->at[axis], b = shape->at[axis + 1];
    if (a.batch && b.batch)
        return false;
    axis_remove(shape, axis + 1);
    shape->at[axis] = (extent){a.times * b.times, a.batch || b.batch};
    return true;
}

static int draw_reshape(drawing *d) {
    int x = pick_float(d);
    extents shape = shape_of(d, x);
    bool changed = false;
    bool splits = chance(d, 60);
    for (int64_t k = between(d, 1, 4); shape.rank > 0 && k > 0; k--) {
        bool split = splits && split_extent(d, &shape);
        changed = split || (!splits && merge_extents(d, &shape)) || changed;
    }
    return changed ? make_shape(d, &form_reshape, x, &shape) : FAILED;
}

static int draw_heads(drawing *d) {
    return split_heads(d, pick_rows(d));
}

static int draw_order(drawing *d) {
    int x = pick_float(d);
    extents shape = shape_of(d, x);
    if (shape.rank < 2)
        return FAILED;
    if (chance(d, 50)) {
        int a = (int)below(d, shape.rank), b = (int)below(d, shape.rank);
        return make_transpose(d, x, a, b);
    }
    value v = {.form = &form_permute, .count = 1, .in = {x}, .axis_count = shape.rank};
    for (int i = 0; i < shape.rank; i++) {
        int other = (int)below(d, i + 1);
        v.axes[i] = v.axes[other];
        v.axes[other] = i;
    }
    return emit(d, &v);
}

static int draw_unsqueeze(drawing *d) {
    int x = pick_float(d);
    return make_axis(d, &form_unsqueeze, x, (int)below(d, shape_of(d, x).rank + 1));
}

static int draw_squeeze(drawing *d) {
    int x = pick_float(d), rank = shape_of(d, x).rank;
    for (int axis = 0; axis < rank; axis++) {
        int y = make_axis(d, &form_squeeze, x, axis);
        if (y != FAILED)
            return y;
    }
    return FAILED;
}

/* Extents of 1 become larger, or axes are added in front. */
static int draw_expand(drawing *d) {
    int x = pick_float(d);
    extents shape = shape_of(d, x);
    bool changed = false;
    for (int i = 0; i < shape.rank; i++)
        if (same_extent(shape.at[i], fixed(1)) && chance(d, 60)) {
            shape.at[i] = fixed(between(d, 2, 4));
            changed = true;
        }
    if (x != FAILED && shape.rank < 3 && (!changed || chance(d, 30))) {
        axis_insert(&shape, 0,
                    batch_axis(&shape) < 0 && chance(d, 70) ? batches(1) : fixed(between(d, 1, 3)));
        changed = true;
    }
    return changed ? make_shape(d, &form_expand, x, &shape) : FAILED;
}

static int draw_same_elements(drawing *d) {
    int x = pick_float(d);
    return MAKE(d, *(chance(d, 50) ? &form_contiguous : &form_stop_gradient), x);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static int draw_slice(drawing *d) {
    int x = pick_float(d), axis = pick_axis(d, x);
    if (axis == FAILED || shape_of(d, x).at[axis].times < 2)
        return FAILED;
    int64_t there = shape_of(d, x).at[axis].times;
    int64_t start = below(d, there), stop = between(d, start + 1, there);
    if (allows(d, STRIDES) && chance(d, 50)) {
        stop = chance(d, 50) ? CB_END : stop;
        return make_slice(d, x, axis, start, stop, between(d, 2, 3));
    }
    if (chance(d, 20))
        return make_slice(d, x, axis, start - there, CB_END, 1);
    return make_slice(d, x, axis, start, stop, 1);
}

static int draw_chunk(drawing *d) {
    int x = pick_float(d), axis = pick_axis(d, x);
    int64_t count = between(d, 2, 4);
    return axis == FAILED ? FAILED : make_chunk(d, x, axis, count, below(d, count));
}

static int draw_select(drawing *d) {
    int x = pick_float(d), axis = pick_axis(d, x);
    if (axis == FAILED)
        return FAILED;
    return emit(d, &(value){.form = &form_select,
                            .count = 1,
                            .in = {x},
                            .axis_count = 1,
                            .axes = {axis},
                            .number = {below(d, shape_of(d, x).at[axis].times)}});
}

static int draw_flip(drawing *d) {
    int x = pick_float(d), axis = pick_axis(d, x);
    return axis == FAILED ? FAILED : make_axis(d, &form_flip, x, axis);
}

/* ---- Joins ----------------------------------------------------------------------------------- */

static int draw_pad(drawing *d) {
    int x = pick_float(d), rank = shape_of(d, x).rank;
    value v = {.form = &form_pad, .count = 1, .in = {x}};
    v.parameter[0] = chance(d, 50) ? 0 : uniform(d, -1, 1);
    for (int i = 0; i < rank; i++)
        if (!shape_of(d, x).at[i].batch && (i == rank - 1 || chance(d, 25))) {
            v.number[i] = below(d, 3);
            v.number[MOST_RANK + i] = below(d, 3);
        }
    return rank == 0 ? FAILED : emit(d, &v);
}

/* Rows side by side, of any numbers of columns, and the same ones again now and then. */
static int draw_concat_rows(drawing *d) {
    int in[MOST_INPUTS], count = chance(d, 70) ? 2 : (int)between(d, 1, MOST_INPUTS);
    for (int i = 0; i < count; i++)
        in[i] = i > 0 && chance(d, 10) ? in[i - 1] : pick_rows(d);
    return make_concat(d, count, in, 1);
}

static int draw_concat(drawing *d) {
    int in[3] = {pick_float(d)}, axis = pick_axis(d, in[0]), count = (int)between(d, 2, 3);
    if (axis == FAILED)
        return FAILED;
    for (int i = 1; i < count; i++) {
        extents shape = shape_of(d, in[0]);
        int other = pick(d, &(wanted){.rank = shape.rank, .shape = &shape, .kind = ANY_FLOAT});
        in[i] = other != FAILED ? other : in[0];
    }
    return make_concat(d, count, in, axis);
}

static int draw_stack(drawing *d) {
    int in[3] = {pick_float(d)}, count = (int)between(d, 1, 3);
    extents shape = shape_of(d, in[0]);
    for (int i = 1; i < count; i++) {
        int other = pick(d, &(wanted){.rank = shape.rank, .shape = &shape});
        in[i] = other != FAILED ? other : in[0];
    }
    value v = {.form = &form_stack, .count = count, .axis_count = 1};
    for (int i = 0; i < count; i++)
        v.in[i] = in[i];
    v.axes[0] = (int)below(d, shape.rank + 1);
    return emit(d, &v);
}

const proposal shape_proposals[] = {
    {HEADS, 10, draw_reshape},       {HEADS, 10, draw_heads},
    {HEADS, 8, draw_order},          {HEADS, 4, draw_unsqueeze},
    {HEADS, 4, draw_squeeze},        {HEADS, 4, draw_expand},
    {ALWAYS, 2, draw_same_elements}, {PARTS, 12, draw_slice},
    {PARTS, 10, draw_chunk},         {PARTS, 3, draw_select},
    {STRIDES, 6, draw_flip},         {STRIDES, 6, draw_pad},
    {PARTS, 12, draw_concat_rows},   {PARTS, 4, draw_concat},
    {PARTS | HEADS, 5, draw_stack},  {0, 0, NULL},
};
