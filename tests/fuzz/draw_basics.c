/* Chance, and adding and choosing values. */
#include "drawing.h"

#include <string.h>

/* ---- Chance ---------------------------------------------------------------------------------- */

int64_t below(drawing *d, int64_t n) {
    return (int64_t)cb_random_below(&d->random, (uint64_t)n);
}

int64_t between(drawing *d, int64_t low, int64_t high) {
    return low + below(d, high - low + 1);
}

bool chance(drawing *d, int percent) {
    return below(d, 100) < percent;
}

/* In steps of 1/16, so that numbers print short and are whole now and then. */
double uniform(drawing *d, double low, double high) {
    double x;
    cb_random_uniform_f64(&d->random, 1, &x, low, high);
    x = (double)(int64_t)(x * 16) / 16;
    return x < low ? low : x;
}

int weighted(drawing *d, int count, const int *weights) {
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += weights[i];
    int64_t at = below(d, sum);
    int i = 0;
    while (at >= weights[i])
        at -= weights[i++];
    return i;
}

int64_t size(drawing *d) {
    switch (weighted(d, 6, (const int[]){40, 10, 8, 12, 10, 20})) {
    case 0:
        return d->hidden;
    case 1:
        return d->width;
    case 2:
        return d->heads;
    case 3:
        return 2 * d->hidden;
    case 4:
        return d->p->input;
    default:
        return between(d, 1, 9);
    }
}

bool allows(const drawing *d, unsigned families) {
    return (d->families & families) == families;
}

/* ---- Adding values --------------------------------------------------------------------------- */

int emit(drawing *d, const value *v) {
    program *p = d->p;
    for (int k = 0; k < v->count; k++)
        if (v->in[k] == FAILED)
            return FAILED;
    if (p->value_count == MOST_VALUES)
        return FAILED;
    p->values[p->value_count++] = *v;
    if (!program_infer_last(p)) {
        p->value_count--;
        return FAILED;
    }
    for (int k = 0; k < v->count; k++)
        if (v->in[k] != NO_VALUE)
            d->uses[v->in[k]]++;
    d->uses[p->value_count - 1] = 0;
    return p->value_count - 1;
}

static value with_inputs(const form *f, int count, const int *in) {
    value v = {.form = f, .count = count};
    memcpy(v.in, in, sizeof(int) * (size_t)count);
    return v;
}

int make(drawing *d, const form *f, int count, const int *in) {
    value v = with_inputs(f, count, in);
    return emit(d, &v);
}

int make_axis(drawing *d, const form *f, int x, int axis) {
    return emit(d, &(value){.form = f, .count = 1, .in = {x}, .axis_count = 1, .axes = {axis}});
}

int make_reduction(drawing *d, const form *f, int x, int axis, bool keep) {
    extents shape = shape_of(d, x);
    if (axis < 0 || axis >= shape.rank || (shape.at[axis].batch && !allows(d, BATCH)))
        return FAILED;
    return emit(
        d,
        &(value){.form = f, .count = 1, .in = {x}, .axis_count = 1, .axes = {axis}, .flag = keep});
}

int make_shape(drawing *d, const form *f, int x, const extents *shape) {
    return emit(d, &(value){.form = f, .count = 1, .in = {x}, .shape = *shape});
}

int make_slice(drawing *d, int x, int axis, int64_t start, int64_t stop, int64_t step) {
    return emit(d, &(value){.form = &form_slice,
                            .count = 1,
                            .in = {x},
                            .axis_count = 1,
                            .axes = {axis},
                            .number = {start, stop, step}});
}

int make_chunk(drawing *d, int x, int axis, int64_t count, int64_t index) {
    return emit(d, &(value){.form = &form_chunk,
                            .count = 1,
                            .in = {x},
                            .axis_count = 1,
                            .axes = {axis},
                            .number = {count, index}});
}

int make_transpose(drawing *d, int x, int axis_a, int axis_b) {
    return emit(d, &(value){.form = &form_transpose,
                            .count = 1,
                            .in = {x},
                            .axis_count = 2,
                            .axes = {axis_a, axis_b}});
}

int make_concat(drawing *d, int count, const int *in, int axis) {
    value v = with_inputs(&form_concat, count, in);
    v.axis_count = 1;
    v.axes[0] = axis;
    return emit(d, &v);
}

int make_affine(drawing *d, int x, double scale, double shift) {
    return emit(d,
                &(value){.form = &form_affine, .count = 1, .in = {x}, .parameter = {scale, shift}});
}

int make_scale(drawing *d, int x, double factor) {
    return emit(d, &(value){.form = &form_scale, .count = 1, .in = {x}, .parameter = {factor}});
}

int make_cast(drawing *d, int x, cb_dtype dtype) {
    return emit(d, &(value){.form = &form_cast, .count = 1, .in = {x}, .dtype = dtype});
}

int make_full(drawing *d, cb_dtype dtype, const extents *shape, double number) {
    return emit(
        d, &(value){.form = &form_full, .dtype = dtype, .shape = *shape, .parameter = {number}});
}

/* ---- Weights --------------------------------------------------------------------------------- */

static layout draw_layout(drawing *d) {
    return !d->strided || chance(d, 50) ? PLAIN : (layout)between(d, 1, LAYOUTS - 1);
}

int make_weight(drawing *d, const extents *shape) {
    program *p = d->p;
    wanted same = {.rank = shape->rank, .batch = NOWHERE, .shape = shape};
    int there = chance(d, 20) || p->weight_count == MOST_WEIGHTS ? pick(d, &same) : FAILED;
    if (there != FAILED || p->weight_count == MOST_WEIGHTS)
        return there;
    weight *w = &p->weights[p->weight_count];
    *w = (weight){.shape = *shape, .layout = draw_layout(d), .same_as = -1};
    w->constant = chance(d, 15);
    if (p->weight_count > 0 && chance(d, 30)) {
        int other = (int)below(d, p->weight_count);
        w->same_as = same_extents(&p->weights[other].shape, shape) ? other : -1;
    }
    p->weight_count++;
    return emit(d, &(value){.form = &form_weight, .number = {p->weight_count - 1}});
}

int make_vector(drawing *d, int64_t columns) {
    extents shape = vector_of(columns);
    return make_weight(d, &shape);
}

/* ---- Choosing values ------------------------------------------------------------------------- */

const type *type_of(const drawing *d, int x) {
    return x < 0 ? NULL : &d->p->values[x].type;
}

extents shape_of(const drawing *d, int x) {
    return x < 0 ? (extents){.rank = 0} : d->p->values[x].type.shape;
}

int64_t columns_of(const drawing *d, int x) {
    extents shape = shape_of(d, x);
    return shape.rank == 0 || shape.at[shape.rank - 1].batch ? 0 : shape.at[shape.rank - 1].times;
}

static bool fits_dtype(const drawing *d, const type *t, const wanted *w) {
    bool real = cb_dtype_is_float(t->dtype), own = t->dtype == d->p->dtype;
    return w->kind == INTEGER       ? !real
           : w->kind == ANY_FLOAT   ? real
           : w->kind == OTHER_FLOAT ? real && !own
                                    : own;
}

static bool fits(const drawing *d, const type *t, const wanted *w) {
    extents whole;
    int axis = batch_axis(&t->shape);
    return fits_dtype(d, t, w) && (w->rank == ANY_RANK || t->shape.rank == w->rank) &&
           (w->batch == ANYWHERE || (w->batch == NOWHERE && axis < 0) ||
            (w->batch == FIRST && axis == 0 && batch_count(&t->shape) == 1)) &&
           (w->shape == NULL || same_extents(&t->shape, w->shape)) &&
           (w->broadcast == NULL || broadcast(&t->shape, w->broadcast, &whole));
}

int pick(drawing *d, const wanted *w) {
    int candidates[MOST_VALUES], count = 0;
    for (int i = 0; i < d->p->value_count; i++)
        if (fits(d, &d->p->values[i].type, w))
            candidates[count++] = i;
    if (count == 0)
        return FAILED;
    int best = candidates[below(d, count)];
    for (int tries = d->finishing ? 3 : 1; tries > 0; tries--) {
        int other = candidates[below(d, count)];
        bool unused = d->uses[other] == 0;
        if (unused != (d->uses[best] == 0) ? unused : other > best)
            best = other;
    }
    return best;
}

int pick_rows(drawing *d) {
    return pick(d, &(wanted){.rank = 2, .batch = FIRST});
}

/* Many axes and the other float are rare, and stay so unless what has them is picked again. */
int pick_float(drawing *d) {
    int x = FAILED;
    if (allows(d, HEADS) && chance(d, 45))
        x = pick(d, &(wanted){.rank = chance(d, 65) ? 3 : 4, .kind = OWN_FLOAT});
    else if (allows(d, CASTS) && chance(d, 40))
        x = pick(d, &(wanted){.rank = ANY_RANK, .kind = OTHER_FLOAT});
    return x != FAILED ? x : pick(d, &(wanted){.rank = ANY_RANK});
}

int pick_axis(drawing *d, int x) {
    extents shape = shape_of(d, x);
    if (shape.rank == 0)
        return FAILED;
    int axis = (int)below(d, shape.rank);
    bool mixes = allows(d, BATCH) && chance(d, 30);
    for (int i = 0; i < shape.rank; i++, axis = (axis + 1) % shape.rank)
        if (!shape.at[axis].batch || mixes)
            return axis;
    return FAILED;
}
