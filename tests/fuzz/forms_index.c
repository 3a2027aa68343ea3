/* Indexing, random numbers, recomputation, and the fuzzer's own ops. */
#include "forms.h"
#include "own_ops.h"

#include <math.h>

static double magnitude(const type *t) {
    return fmax(fabs(t->low), fabs(t->high));
}

/* Whether t holds indices below a limit. */
static bool index_into(const type *t, int64_t limit) {
    return !cb_dtype_is_float(t->dtype) && t->low >= 0 && t->high < (double)limit;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool infer_gather_rows(const program *p, value *v) {
    const type *table = input_type(p, v, 0), *index = input_type(p, v, 1);
    if (table->shape.rank < 1 || table->shape.at[0].batch ||
        !index_into(index, table->shape.at[0].times) ||
        index->shape.rank + table->shape.rank - 1 > MOST_RANK)
        return false;
    v->type = *table;
    v->type.shape = index->shape;
    for (int i = 1; i < table->shape.rank; i++)
        v->type.shape.at[v->type.shape.rank++] = table->shape.at[i];
    return true;
}

/* number: rows */
static bool infer_scatter_rows(const program *p, value *v) {
    const type *source = input_type(p, v, 0), *index = input_type(p, v, 1);
    int lead = index->shape.rank;
    if (source->shape.rank < lead || !index_into(index, v->number[0]))
        return false;
    v->type = *source;
    v->type.shape = (extents){1, {fixed(v->number[0])}};
    for (int i = 0; i < source->shape.rank; i++)
        if (i >= lead)
            v->type.shape.at[v->type.shape.rank++] = source->shape.at[i];
        else if (!same_extent(source->shape.at[i], index->shape.at[i]))
            return false;
    v->type.high = magnitude(source) * (double)times_of(&index->shape) *
                   (batch_count(&index->shape) > 0 ? 70 : 1);
    v->type.low = -v->type.high;
    return true;
}

static cb_tensor *apply_gather_rows(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_gather_rows(in[0], in[1]);
}

static cb_tensor *apply_scatter_rows(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_scatter_rows(in[0], in[1], v->number[0]);
}

/* ---- Along an axis --------------------------------------------------------------------------- */

static bool infer_gather(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *index = input_type(p, v, 1);
    int axis = v->axes[0];
    v->type = *x;
    v->type.shape = index->shape;
    if (x->shape.rank != index->shape.rank || axis < 0 || axis >= x->shape.rank ||
        x->shape.at[axis].batch || !index_into(index, x->shape.at[axis].times))
        return false;
    for (int i = 0; i < x->shape.rank; i++)
        if (i != axis && (x->shape.at[i].batch != index->shape.at[i].batch ||
                          x->shape.at[i].times < index->shape.at[i].times))
            return false;
    return true;
}

static bool infer_scatter_add(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *index = input_type(p, v, 1);
    const type *source = input_type(p, v, 2);
    if (!infer_gather(p, v) || source->dtype != x->dtype ||
        !same_extents(&source->shape, &index->shape))
        return false;
    double most = magnitude(source) * (double)index->shape.at[v->axes[0]].times;
    v->type = *x;
    v->type.low -= most;
    v->type.high += most;
    return true;
}

/* number: classes */
static bool infer_one_hot(const program *p, value *v) {
    const type *index = input_type(p, v, 0);
    if (!index_into(index, v->number[0]) || index->shape.rank >= MOST_RANK)
        return false;
    v->type = (type){v->dtype, index->shape, 0, 1};
    v->type.shape.at[v->type.shape.rank++] = fixed(v->number[0]);
    return true;
}

static cb_tensor *apply_gather(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_gather(in[0], v->axes[0], in[1]);
}

static cb_tensor *apply_scatter_add(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_scatter_add(in[0], v->axes[0], in[1], in[2]);
}

static cb_tensor *apply_one_hot(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_one_hot(in[0], v->number[0], v->dtype);
}

static bool infer_sum_along(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    int axis = v->axes[0];
    if (!cb_dtype_is_float(x->dtype) || axis < 0 || axis >= x->shape.rank)
        return false;
    extent e = x->shape.at[axis];
    v->type = *x;
    v->type.high = magnitude(x) * (double)e.times * (e.batch ? 70 : 1);
    v->type.low = -v->type.high;
    return true;
}

static cb_tensor *apply_cumsum(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_cumsum(in[0], v->axes[0]);
}

static bool infer_argsort(const program *p, value *v) {
    const type *x = input_type(p, v, 0);
    int axis = v->axes[0];
    if (axis < 0 || axis >= x->shape.rank)
        return false;
    extent e = x->shape.at[axis];
    v->type = (type){.dtype = CB_I64, .shape = x->shape};
    v->type.high = (double)(e.times * (e.batch ? 70 : 1) - 1);
    return e.times > 0;
}

static cb_tensor *apply_argsort(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_argsort(in[0], v->axes[0], v->flag);
}

#define FORM(form_name, arguments, is_exact)                                                       \
    const form form_##form_name = {.name = "cb_" #form_name,                                       \
                                   .text = "cb_" #form_name arguments,                             \
                                   .infer = infer_##form_name,                                     \
                                   .apply = apply_##form_name,                                     \
                                   .exact = is_exact};
FORM(gather_rows, "($0, $1)", true)
FORM(scatter_rows, "($0, $1, $i)", false)
FORM(gather, "($0, $x, $1)", true)
FORM(scatter_add, "($0, $x, $1, $2)", false)
FORM(one_hot, "($0, $i, $d)", true)

const form form_cumsum = {.name = "cb_cumsum",
                          .text = "cb_cumsum($0, $x)",
                          .infer = infer_sum_along,
                          .apply = apply_cumsum};
FORM(argsort, "($0, $x, $f)", true)

/* ---- Masks ----------------------------------------------------------------------------------- */

static bool infer_masked_fill(const program *p, value *v) {
    const type *x = input_type(p, v, 0), *mask = input_type(p, v, 1);
    v->type = *x;
    v->type.low = fmin(x->low, v->parameter[0]);
    v->type.high = fmax(x->high, v->parameter[0]);
    return cb_dtype_is_float(x->dtype) && broadcast(&x->shape, &mask->shape, &v->type.shape);
}

static cb_tensor *apply_masked_fill(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_masked_fill(in[0], in[1], v->parameter[0]);
}

/* number: the diagonal. Of matrices in which the batch is no axis. */
static bool infer_tril(const program *p, value *v) {
    v->type = *input_type(p, v, 0);
    v->type.low = fmin(0, v->type.low);
    v->type.high = fmax(0, v->type.high);
    int rank = v->type.shape.rank;
    return rank >= 2 && !v->type.shape.at[rank - 1].batch && !v->type.shape.at[rank - 2].batch;
}

static cb_tensor *apply_tril(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return cb_tril(in[0], v->number[0]);
}

FORM(masked_fill, "($0, $1, $p)", true)
FORM(tril, "($0, $i)", true)

/* ---- Random numbers, recomputation ----------------------------------------------------------- */

static bool infer_dropout(const program *p, value *v) {
    v->type = *input_type(p, v, 0);
    v->type.low = fmin(0, v->type.low / (1 - v->parameter[0]));
    v->type.high = fmax(0, v->type.high / (1 - v->parameter[0]));
    return cb_dtype_is_float(v->type.dtype) && v->parameter[0] >= 0 && v->parameter[0] < 1;
}

static cb_tensor *apply_dropout(const value *v, cb_tensor *const *in, const surroundings *s) {
    return cb_dropout(in[0], v->parameter[0], s->random);
}

/* parameter: the deviation. No number is further off than nine of it (random.h). */
static bool infer_normal_like(const program *p, value *v) {
    v->type = *input_type(p, v, 0);
    v->type.high = 9 * v->parameter[0];
    v->type.low = -v->type.high;
    return cb_dtype_is_float(v->type.dtype) && v->parameter[0] >= 0;
}

static cb_tensor *apply_normal_like(const value *v, cb_tensor *const *in, const surroundings *s) {
    return cb_normal_like(in[0], 0, v->parameter[0], s->random);
}

const form form_dropout = {.name = "cb_dropout",
                           .text = "cb_dropout($0, $p, &step_random)",
                           .infer = infer_dropout,
                           .apply = apply_dropout,
                           .draws = true};
const form form_normal_like = {.name = "cb_normal_like",
                               .text = "cb_normal_like($0, 0, $p, &step_random)",
                               .infer = infer_normal_like,
                               .apply = apply_normal_like,
                               .draws = true};

static bool infer_checkpoint(const program *p, value *v) {
    const type *a = input_type(p, v, 0), *b = input_type(p, v, 1);
    v->type = (type){.dtype = a->dtype, .low = -1, .high = 1};
    return a->dtype == b->dtype && cb_dtype_is_float(a->dtype) &&
           broadcast(&a->shape, &b->shape, &v->type.shape);
}

static cb_tensor *apply_checkpoint(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return cb_checkpoint(own_squashed_product, NULL, 0, 2, in);
}

const form form_checkpoint = {
    .name = "cb_checkpoint",
    .text = "cb_checkpoint(own_squashed_product, NULL, 0, 2, (cb_tensor *[]){$0, $1})",
    .infer = infer_checkpoint,
    .apply = apply_checkpoint};

/* ---- Own ops --------------------------------------------------------------------------------- */

static bool infer_floor(const program *p, value *v) {
    v->type = *input_type(p, v, 0);
    v->type.low = floor(v->type.low);
    v->type.high = floor(v->type.high);
    return cb_dtype_is_float(v->type.dtype);
}

static cb_tensor *apply_floor(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)v, (void)s;
    return own_floor(in[0]);
}

static cb_tensor *apply_running_sum(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return own_running_sum(in[0], v->axes[0], v->flag);
}

static bool infer_circle(const program *p, value *v) {
    v->type = *input_type(p, v, 0);
    v->type.low = -1;
    v->type.high = 1;
    return cb_dtype_is_float(v->type.dtype);
}

static cb_tensor *apply_circle(const value *v, cb_tensor *const *in, const surroundings *s) {
    (void)s;
    return own_circle(in[0], v->flag);
}

const form form_circle = {.name = "own circle",
                          .text = "own_circle($0, $f)",
                          .infer = infer_circle,
                          .apply = apply_circle};
const form form_floor = {.name = "own floor",
                         .text = "own_floor($0)",
                         .infer = infer_floor,
                         .apply = apply_floor,
                         .exact = true};
const form form_running_sum = {.name = "own running sum",
                               .text = "own_running_sum($0, $x, $f)",
                               .infer = infer_sum_along,
                               .apply = apply_running_sum};
