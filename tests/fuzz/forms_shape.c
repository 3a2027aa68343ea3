/* Views, joins and conversions. */
#include "forms.h"

#include <math.h>

/* The one input's type, to begin with. */
static const type *like_input(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    v->type = *x;
    return x;
}

static bool is_axis(const extents *shape, int axis) {
    return axis >= 0 && axis < shape->rank;
}

/* ---- Whole shapes ---------------------------------------------------------------------------- */

static bool infer_reshape(const program *p, value *v) {
    const type *x = like_input(p, v);
    v->type.shape = v->shape;
    return times_of(&v->shape) == times_of(&x->shape) &&
           batch_count(&v->shape) == batch_count(&x->shape);
}

static bool infer_expand(const program *p, value *v) {
    const type *x = like_input(p, v);
    extents whole;
    v->type.shape = v->shape;
    return broadcast(&x->shape, &v->shape, &whole) && same_extents(&whole, &v->shape);
}

static cb_tensor *apply_reshape(const value *v, cb_tensor *const *in, const surroundings *s) {
    int64_t shape[MOST_RANK];
    resolve(&v->shape, s->batch, shape);
    return cb_reshape(in[0], v->shape.rank, shape);
}

static cb_tensor *apply_expand(const value *v, cb_tensor *const *in, const surroundings *s) {
    int64_t shape[MOST_RANK];
    resolve(&v->shape, s->batch, shape);
    return cb_expand(in[0], v->shape.rank, shape);
}

#define FORM(form_name, arguments)                                                                 \
    const form form_##form_name = {.name = "cb_" #form_name,                                       \
                                   .text = "cb_" #form_name arguments,                             \
                                   .infer = infer_##form_name,                                     \
                                   .apply = apply_##form_name,                                     \
                                   .exact = true};
FORM(reshape, "($0, $s)")
FORM(expand, "($0, $s)")

/* ---- Axes ------------------------------------------------------------------------------------ */

static bool infer_permute(const program *p, value *v) {
    const type *x = like_input(p, v);
    bool used[MOST_RANK] = {false};
    if (v->axis_count != x->shape.rank)
        return false;
    for (int i = 0; i < v->axis_count; i++) {
        if (!is_axis(&x->shape, v->axes[i]) || used[v->axes[i]])
            return false;
        used[v->axes[i]] = true;
        v->type.shape.at[i] = x->shape.at[v->axes[i]];
    }
    return true;
}

static bool infer_transpose(const program *p, value *v) {
    const type *x = like_input(p, v);
    if (!is_axis(&x->shape, v->axes[0]) || !is_axis(&x->shape, v->axes[1]))
        return false;
    v->type.shape.at[v->axes[0]] = x->shape.at[v->axes[1]];
    v->type.shape.at[v->axes[1]] = x->shape.at[v->axes[0]];
    return true;
}

static bool infer_squeeze(const program *p, value *v) {
    const type *x = like_input(p, v);
    if (!is_axis(&x->shape, v->axes[0]) || !same_extent(x->shape.at[v->axes[0]], fixed(1)))
        return false;
    axis_remove(&v->type.shape, v->axes[0]);
    return true;
}

static bool infer_unsqueeze(const program *p, value *v) {
    const type *x = like_input(p, v);
    if (v->axes[0] < 0 || v->axes[0] > x->shape.rank || x->shape.rank >= MOST_RANK)
        return false;
    axis_insert(&v->type.shape, v->axes[0], fixed(1));
    return true;
}

static bool infer_flip(const program *p, value *v) {
    const type *x = like_input(p, v);
    for (int i = 0; i < v->axis_count; i++)
        if (!is_axis(&x->shape, v->axes[i]) || (i > 0 && v->axes[i] == v->axes[i - 1]))
            return false;
    return v->axis_count > 0;
}

static cb_tensor *apply_permute(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_permute(in[0], v->axis_count, v->axes);
}

static cb_tensor *apply_transpose(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_transpose(in[0], v->axes[0], v->axes[1]);
}

static cb_tensor *apply_squeeze(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_squeeze(in[0], v->axes[0]);
}

static cb_tensor *apply_unsqueeze(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_unsqueeze(in[0], v->axes[0]);
}

static cb_tensor *apply_flip(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_flip(in[0], v->axis_count, v->axes);
}

FORM(permute, "($0, $A)")
FORM(transpose, "($0, $x, $y)")
FORM(squeeze, "($0, $x)")
FORM(unsqueeze, "($0, $x)")
FORM(flip, "($0, $a)")

/* ---- Parts ----------------------------------------------------------------------------------- */

static int64_t from_end(int64_t index, int64_t length) {
    index = index < 0 ? index + length : index;
    return index < 0 ? 0 : index > length ? length : index;
}

/* numbers: start, stop, step */
static bool infer_slice(const program *p, value *v) {
    const type *x = like_input(p, v);
    if (!is_axis(&x->shape, v->axes[0]) || x->shape.at[v->axes[0]].batch || v->number[2] < 1)
        return false;
    extent *e = &v->type.shape.at[v->axes[0]];
    int64_t start = from_end(v->number[0], e->times), stop = from_end(v->number[1], e->times);
    e->times = (stop - start + v->number[2] - 1) / v->number[2];
    return start < stop;
}

/* number: the index */
static bool infer_select(const program *p, value *v) {
    const type *x = like_input(p, v);
    int axis = v->axes[0];
    if (!is_axis(&x->shape, axis) || x->shape.at[axis].batch || v->number[0] < 0 ||
        v->number[0] >= x->shape.at[axis].times)
        return false;
    axis_remove(&v->type.shape, axis);
    return true;
}

/* numbers: how many parts, and which. Of the batch, whole batches. */
static bool infer_chunk(const program *p, value *v) {
    const type *x = like_input(p, v);
    if (!is_axis(&x->shape, v->axes[0]) || v->number[0] < 1 || v->number[1] < 0 ||
        v->number[1] >= v->number[0] || x->shape.at[v->axes[0]].times % v->number[0] != 0)
        return false;
    v->type.shape.at[v->axes[0]].times /= v->number[0];
    return true;
}

static cb_tensor *apply_slice(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_slice(in[0], v->axes[0], v->number[0], v->number[1], v->number[2]);
}

static cb_tensor *apply_select(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_select(in[0], v->axes[0], v->number[0]);
}

static cb_tensor *apply_chunk(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_chunk(in[0], v->axes[0], v->number[0], v->number[1]);
}

FORM(slice, "($0, $x, $i, $j, $k)")
FORM(select, "($0, $x, $i)")
FORM(chunk, "($0, $x, $i, $j)")

/* ---- Joins ----------------------------------------------------------------------------------- */

static void widen(type *t, const type *other) {
    t->low = fmin(t->low, other->low);
    t->high = fmax(t->high, other->high);
}

/* numbers: before each axis, then behind each */
static bool infer_pad(const program *p, value *v) {
    const type *x = like_input(p, v);
    for (int i = 0; i < x->shape.rank; i++) {
        int64_t before = v->number[i], after = v->number[MOST_RANK + i];
        if (before < 0 || after < 0 || (x->shape.at[i].batch && before + after > 0))
            return false;
        v->type.shape.at[i].times += before + after;
    }
    widen(&v->type, &(type){.low = v->parameter[0], .high = v->parameter[0]});
    return cb_dtype_is_float(x->dtype) || v->parameter[0] == floor(v->parameter[0]);
}

static bool infer_concat(const program *p, value *v) {
    const type *first = like_input(p, v);
    int axis = v->axes[0];
    if (!is_axis(&first->shape, axis))
        return false;
    for (int i = 1; i < v->count; i++) {
        const type *x = input_type(p, v, i);
        extents same = x->shape;
        if (x->dtype != first->dtype || x->shape.rank != first->shape.rank ||
            x->shape.at[axis].batch != first->shape.at[axis].batch)
            return false;
        same.at[axis] = first->shape.at[axis];
        if (!same_extents(&same, &first->shape))
            return false;
        v->type.shape.at[axis].times += x->shape.at[axis].times;
        widen(&v->type, x);
    }
    return true;
}

static bool infer_stack(const program *p, value *v) {
    const type *first = like_input(p, v);
    if (v->axes[0] < 0 || v->axes[0] > first->shape.rank || first->shape.rank >= MOST_RANK)
        return false;
    for (int i = 1; i < v->count; i++) {
        const type *x = input_type(p, v, i);
        if (x->dtype != first->dtype || !same_extents(&x->shape, &first->shape))
            return false;
        widen(&v->type, x);
    }
    axis_insert(&v->type.shape, v->axes[0], fixed(v->count));
    return true;
}

static cb_tensor *apply_pad(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_pad(in[0], v->number, v->number + MOST_RANK, v->parameter[0]);
}

static cb_tensor *apply_concat(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_concat(v->count, in, v->axes[0]);
}

static cb_tensor *apply_stack(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_stack(v->count, in, v->axes[0]);
}

FORM(pad, "($0, $b, $e, $p)")
FORM(concat, "($#, (cb_tensor *[]){$*}, $x)")
FORM(stack, "($#, (cb_tensor *[]){$*}, $x)")

/* ---- The same elements ----------------------------------------------------------------------- */

static bool infer_contiguous(const program *p, value *v) {
    like_input(p, v);
    return true;
}

static bool infer_stop_gradient(const program *p, value *v) {
    like_input(p, v);
    return true;
}

static bool infer_cast(const program *p, value *v) {
    like_input(p, v);
    v->type.dtype = v->dtype;
    if (!cb_dtype_is_float(v->dtype)) {
        v->type.low = trunc(v->type.low);
        v->type.high = trunc(v->type.high);
    }
    return true;
}

static cb_tensor *apply_contiguous(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_contiguous(in[0]);
}

static cb_tensor *apply_stop_gradient(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_stop_gradient(in[0]);
}

static cb_tensor *apply_cast(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_cast(in[0], v->dtype);
}

FORM(contiguous, "($0)")
FORM(stop_gradient, "($0)")
FORM(cast, "($0, $d)")
