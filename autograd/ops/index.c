/* Indexing: rows of a table, elements along an axis, and their adjoints. The loops are in
   tensor/gather.c. */
#include <cerebra/ops.h>

#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <string.h>

/* Fails unless every index is in 0..extent-1. Leaves them, row-major as i64, in *out. */
static cb_status read_indices(const cb_call *call, const cb_tensor *indices, int64_t extent,
                              const int64_t **out) {
    int64_t count = cb_tensor_count(indices);
    *out = indices->data;
    if (indices->dtype != CB_I64 || !cb_tensor_is_contiguous(indices)) {
        cb_tensor all = *indices;
        all.dtype = CB_I64;
        all.data = cb_call_scratch(call, sizeof(int64_t) * (size_t)count);
        if (all.data == NULL)
            return CB_ERROR_MEMORY;
        cbi_strides_row_major(&all);
        cbi_copy(&all, indices);
        *out = all.data;
    }
    int64_t i = cbi_first_outside(count, *out, extent);
    if (i < count)
        return cb_call_fail(call, CB_ERROR_INDEX,
                            "index %lld, element %lld of %lld, is outside "
                            "0..%lld",
                            (long long)(*out)[i], (long long)i, (long long)count,
                            (long long)extent - 1);
    return CB_OK;
}

static cb_status check_index_dtype(const cb_call *call, const cb_tensor *indices) {
    if (cb_dtype_is_float(indices->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "indices are %s; they must be i32 or i64",
                            cb_dtype_name(indices->dtype));
    return CB_OK;
}

/* ---- gather_rows ----------------------------------------------------------------------------- */

static cb_status gather_rows_shape(const cb_call *call) {
    const cb_tensor *table = call->in[0], *indices = call->in[1];
    cb_tensor *out = call->out;
    if (table->rank < 1 || indices->rank + table->rank - 1 > CB_MAX_RANK)
        return cb_call_fail(call, CB_ERROR_SHAPE, "ranks %d and %d do not combine", table->rank,
                            indices->rank);
    out->dtype = table->dtype;
    out->rank = indices->rank + table->rank - 1;
    memcpy(out->shape, indices->shape, sizeof(out->shape));
    for (int i = 1; i < table->rank; i++)
        out->shape[indices->rank + i - 1] = table->shape[i];
    return check_index_dtype(call, indices);
}

static cb_status gather_rows_forward(const cb_call *call) {
    const cb_tensor *table = call->in[0], *indices = call->in[1];
    const int64_t *values;
    cb_status status = read_indices(call, indices, table->shape[0], &values);
    if (status == CB_OK && cb_tensor_count(call->out) > 0)
        cbi_gather_rows(call->out, table, cb_tensor_count(indices), values);
    return status;
}

static void gather_rows_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    if (cb_call_needs(call, 0))
        gradients[0] = cb_scatter_rows(g, call->in[1], call->in[0]->shape[0]);
}

static bool gathers_by_rows(const cb_call *call, int input) {
    (void)call;
    return input == 1; /* any row of the table may be asked for */
}

static cb_tensor *gather_rows_sample(cb_tensor *const *in) {
    return cb_gather_rows(in[0], in[1]);
}

static const cb_sample gather_rows_samples[] = {
    {"repeated rows", 2, {SHAPED(2, 3, 4), INDICES(3, 2, 2, 4)}, gather_rows_sample},
    {"strided", 2, {STRIDED(3, 3, 2, 4), INDICES(3, 1, 5)}, gather_rows_sample},
    {"empty", 2, {SHAPED(2, 3, 4), INDICES(3, 1, 0)}, gather_rows_sample},
};

const cb_op cbi_gather_rows_op = {
    .name = "gather_rows",
    .formula = "y[i] = table[indices[i]];  dtable = scatter_rows(g)",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = gather_rows_shape,
    .forward = gather_rows_forward,
    .vjp = gather_rows_vjp,
    SAMPLES(gather_rows_samples),
    .row_by_row = gathers_by_rows,
};

cb_tensor *cb_gather_rows(cb_tensor *table, cb_tensor *indices) {
    return cb_apply(&cbi_gather_rows_op, 2, (cb_tensor *[]){table, indices}, NULL);
}

/* ---- rows_of: a table in place of the rows that were gathered from it -------------------------
 */

static cb_status rows_of_shape(const cb_call *call) {
    cb_node *node = call->out->node;
    *call->out = *call->in[0];
    call->out->node = node;
    return CB_OK;
}

/* The table gets the gradient. The rows themselves get none, which must not pass for 0. */
static void rows_of_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = g;
    if (cbi_is_asked_for(call->in[1]))
        cb_fail(g, CB_ERROR_TAPE,
                "grad: the rows of a table that a recurrence looks up have no gradient of their "
                "own; ask for the table's, or make the recurrence eager");
}

const cb_op cbi_rows_of_op = {
    .name = "rows_of",
    .formula = "y = table;  dtable = g",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = rows_of_shape,
    .view = true,
    .vjp = rows_of_vjp,
};

cb_tensor *cbi_looked_up(cb_tensor *x, cb_tensor **rows) {
    const cb_node *node = x->node;
    if (node == NULL || node->op != &cbi_gather_rows_op || node->in[0]->rank != 2 ||
        node->in[1]->rank != 2)
        return NULL;
    *rows = node->in[1];
    return cb_apply(&cbi_rows_of_op, 2, (cb_tensor *[]){node->in[0], x}, NULL);
}

/* ---- scatter_rows ---------------------------------------------------------------------------- */

static cb_status scatter_rows_shape(const cb_call *call) {
    const cb_tensor *source = call->in[0], *indices = call->in[1];
    int64_t rows = *(const int64_t *)call->options;
    bool fits = source->rank >= indices->rank && source->rank - indices->rank < CB_MAX_RANK;
    for (int i = 0; i < indices->rank && fits; i++)
        fits = source->shape[i] == indices->shape[i];
    if (!fits)
        return cb_call_fail(call, CB_ERROR_SHAPE,
                            "the source does not begin with the indices' shape");
    if (rows < 0)
        return cb_call_fail(call, CB_ERROR_VALUE, "%lld rows", (long long)rows);
    call->out->dtype = source->dtype;
    call->out->rank = source->rank - indices->rank + 1;
    call->out->shape[0] = rows;
    for (int i = 1; i < call->out->rank; i++)
        call->out->shape[i] = source->shape[indices->rank + i - 1];
    return check_index_dtype(call, indices);
}

static cb_status scatter_rows_forward(const cb_call *call) {
    const cb_tensor *source = call->in[0], *indices = call->in[1];
    const int64_t *values;
    cb_status status = read_indices(call, indices, call->out->shape[0], &values);
    if (status == CB_OK)
        cbi_scatter_rows(call->out, source, cb_tensor_count(indices), values);
    return status;
}

static void scatter_rows_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    if (cb_call_needs(call, 0))
        gradients[0] = cb_gather_rows(g, call->in[1]);
}

static const cb_option scatter_rows_option_list[] = {
    {"rows", CB_OPTION_EXTENT, 0, sizeof(int64_t), 1},
};

static cb_tensor *scatter_rows_sample(cb_tensor *const *in) {
    return cb_scatter_rows(in[0], in[1], 4);
}

static const cb_sample scatter_rows_samples[] = {
    {"repeated rows", 2, {SHAPED(3, 2, 4, 3), INDICES(4, 2, 2, 4)}, scatter_rows_sample},
    {"strided", 2, {STRIDED(2, 5, 3), INDICES(4, 1, 5)}, scatter_rows_sample},
    {"empty", 2, {SHAPED(2, 0, 3), INDICES(4, 1, 0)}, scatter_rows_sample},
};

const cb_op cbi_scatter_rows_op = {
    .name = "scatter_rows",
    .formula = "y = 0, then y[indices[i]] += source[i];  dsource = gather_rows(g)",
    .min_inputs = 2,
    .max_inputs = 2,
    .options_size = sizeof(int64_t),
    .shape = scatter_rows_shape,
    .forward = scatter_rows_forward,
    .vjp = scatter_rows_vjp,
    SAMPLES(scatter_rows_samples),
    OPTIONS(scatter_rows_option_list),
};

cb_tensor *cb_scatter_rows(cb_tensor *source, cb_tensor *indices, int64_t rows) {
    if (source != NULL && !cbi_is_poisoned(source) && !cb_dtype_is_float(source->dtype))
        return cbi_function_fail(source, "scatter_rows", CB_ERROR_DTYPE,
                                 "%s is not accepted; f32 and f64 are",
                                 cb_dtype_name(source->dtype));
    source = cb_contiguous(source);
    return cb_apply(&cbi_scatter_rows_op, 2, (cb_tensor *[]){source, indices}, &rows);
}

/* ---- gather and scatter_add along an axis ---------------------------------------------------- */

static const cb_option axis_option_list[] = {
    {"axis", CB_OPTION_INT, 0, sizeof(int), 1},
};

/* Along another axis than the first, rows are apart. */
static bool is_along_rows(const cb_call *call, int input) {
    (void)input;
    return *(const int *)call->options != 0;
}

/* Whether indices can point into x along an axis. */
static cb_status check_gather(const cb_call *call, const cb_tensor *x, const cb_tensor *indices,
                              int axis) {
    bool fits = indices->rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++)
        fits = i == axis || indices->shape[i] <= x->shape[i];
    if (!fits)
        return cb_call_fail(
            call, CB_ERROR_SHAPE,
            "indices must have the first input's rank and extents no larger than its, "
            "but for axis %d",
            axis);
    return check_index_dtype(call, indices);
}

static cb_status gather_shape(const cb_call *call) {
    const cb_tensor *indices = call->in[1];
    call->out->dtype = call->in[0]->dtype;
    call->out->rank = indices->rank;
    memcpy(call->out->shape, indices->shape, sizeof(indices->shape));
    return check_gather(call, call->in[0], indices, *(const int *)call->options);
}

static cb_status gather_forward(const cb_call *call) {
    int axis = *(const int *)call->options;
    const int64_t *values;
    cb_status status = read_indices(call, call->in[1], call->in[0]->shape[axis], &values);
    if (status == CB_OK)
        cbi_gather(call->out, call->in[0], axis, values);
    return status;
}

static void gather_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    int axis = *(const int *)call->options;
    if (cb_call_needs(call, 0))
        gradients[0] = cb_scatter_add(cb_full_like(call->in[0], 0), axis, call->in[1], g);
}

static cb_tensor *gather_sample(cb_tensor *const *in) {
    return cb_gather(in[0], 1, in[1]);
}

static const cb_sample gather_samples[] = {
    {"repeated", 2, {SHAPED(2, 3, 4), INDICES(4, 2, 2, 6)}, gather_sample},
    {"strided", 2, {STRIDED(3, 3, 4, 2), INDICES(4, 3, 3, 1, 2)}, gather_sample},
    {"empty", 2, {SHAPED(2, 3, 4), INDICES(4, 2, 3, 0)}, gather_sample},
};

const cb_op cbi_gather_op = {
    .name = "gather",
    .formula = "y[..,i,..] = x[..,indices[..,i,..],..];  dx = scatter_add(0, g)",
    .min_inputs = 2,
    .max_inputs = 2,
    .options_size = sizeof(int),
    .shape = gather_shape,
    .forward = gather_forward,
    .vjp = gather_vjp,
    SAMPLES(gather_samples),
    OPTIONS(axis_option_list),
    .row_by_row = is_along_rows,
};

cb_tensor *cb_gather(cb_tensor *x, int axis, cb_tensor *indices) {
    if (!cbi_axis_resolve(x, "gather", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(&cbi_gather_op, 2, (cb_tensor *[]){x, indices}, &axis);
}

static cb_status scatter_add_shape(const cb_call *call) {
    const cb_tensor *x = call->in[0], *indices = call->in[1], *source = call->in[2];
    if (x->dtype != source->dtype || !cb_dtype_is_float(x->dtype))
        return cb_call_fail(call, CB_ERROR_DTYPE, "dtypes %s and %s; both must be f32 or f64",
                            cb_dtype_name(x->dtype), cb_dtype_name(source->dtype));
    if (!cb_tensor_same_shape(indices, source))
        return cb_call_fail(call, CB_ERROR_SHAPE, "source and indices differ in shape");
    cb_shape_same(call);
    return check_gather(call, x, indices, *(const int *)call->options);
}

static cb_status scatter_add_forward(const cb_call *call) {
    int axis = *(const int *)call->options;
    const int64_t *values;
    cb_status status = read_indices(call, call->in[1], call->in[0]->shape[axis], &values);
    if (status != CB_OK)
        return status;
    cbi_copy(call->out, call->in[0]);
    cbi_scatter_add(call->out, axis, values, call->in[2]);
    return CB_OK;
}

static void scatter_add_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = g;
    if (cb_call_needs(call, 2))
        gradients[2] = cb_gather(g, *(const int *)call->options, call->in[1]);
}

static cb_tensor *scatter_add_sample(cb_tensor *const *in) {
    return cb_scatter_add(in[0], 0, in[1], in[2]);
}

static const cb_sample scatter_add_samples[] = {
    {"repeated", 3, {SHAPED(2, 3, 4), INDICES(3, 2, 5, 4), SHAPED(2, 5, 4)}, scatter_add_sample},
    {"strided", 3, {STRIDED(2, 3, 4), INDICES(3, 2, 2, 3), STRIDED(2, 2, 3)}, scatter_add_sample},
    {"empty", 3, {SHAPED(2, 3, 4), INDICES(3, 2, 0, 4), SHAPED(2, 0, 4)}, scatter_add_sample},
};

const cb_op cbi_scatter_add_op = {
    .name = "scatter_add",
    .formula =
        "y = x, then y[..,indices[..,i,..],..] += source[..,i,..];  dx = g,  dsource = gather(g)",
    .min_inputs = 3,
    .max_inputs = 3,
    .options_size = sizeof(int),
    .shape = scatter_add_shape,
    .forward = scatter_add_forward,
    .vjp = scatter_add_vjp,
    SAMPLES(scatter_add_samples),
    OPTIONS(axis_option_list),
    .row_by_row = is_along_rows,
};

cb_tensor *cb_scatter_add(cb_tensor *x, int axis, cb_tensor *indices, cb_tensor *source) {
    if (!cbi_axis_resolve(x, "scatter_add", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    source = cb_contiguous(source);
    return cb_apply(&cbi_scatter_add_op, 3, (cb_tensor *[]){x, indices, source}, &axis);
}

/* ---- one_hot --------------------------------------------------------------------------------- */

typedef struct one_hot_options {
    int64_t classes;
    cb_dtype dtype;
} one_hot_options;

static cb_status one_hot_shape(const cb_call *call) {
    const one_hot_options *options = call->options;
    cb_shape_same(call);
    if (call->out->rank == CB_MAX_RANK || options->classes < 0)
        return cb_call_fail(call, CB_ERROR_SHAPE, "no room for an axis of %lld classes",
                            (long long)options->classes);
    call->out->dtype = options->dtype;
    call->out->shape[call->out->rank++] = options->classes;
    return check_index_dtype(call, call->in[0]);
}

static cb_status one_hot_forward(const cb_call *call) {
    const one_hot_options *options = call->options;
    const int64_t *values;
    int64_t count = cb_tensor_count(call->in[0]);
    cb_status status = read_indices(call, call->in[0], options->classes, &values);
    if (status != CB_OK)
        return status;
    cb_tensor_fill(call->out, 0);
    for (int64_t i = 0; i < count; i++)
        cbi_store(options->dtype,
                  (char *)call->out->data +
                      (i * options->classes + values[i]) * (int64_t)cb_dtype_size(options->dtype),
                  1);
    return CB_OK;
}

static const cb_option one_hot_option_list[] = {
    CB_OPTION(one_hot_options, classes, CB_OPTION_EXTENT),
    CB_OPTION(one_hot_options, dtype, CB_OPTION_INT),
};

const cb_op cbi_one_hot_op = {
    .name = "one_hot",
    .formula = "y[.., c] = 1 where c is the index, else 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(one_hot_options),
    .shape = one_hot_shape,
    .forward = one_hot_forward,
    OPTIONS(one_hot_option_list),
    .row_by_row = cb_row_by_row,
};

cb_tensor *cb_one_hot(cb_tensor *indices, int64_t classes, cb_dtype dtype) {
    if (cb_dtype_size(dtype) == 0)
        return cbi_function_fail(indices, "one_hot", CB_ERROR_DTYPE, "%d is no dtype", (int)dtype);
    return cb_apply(&cbi_one_hot_op, 1, &indices, &(one_hot_options){classes, dtype});
}
