/* Ops that copy elements into a new layout: contiguous, cast, pad, concat, and sums back to a
 * shape. */
#include <cerebra/ops.h>

#include "autograd/compiler/lower.h"
#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <limits.h>
#include <string.h>

/* ---- contiguous ------------------------------------------------------------------------------ */

static cb_status copy_forward(const cb_call *call) {
    cbi_copy(call->out, call->in[0]);
    return CB_OK;
}

static void contiguous_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = g;
}

static bool contiguous_lower(cbi_lowerer *l, const cb_call *call) {
    (void)call;
    return cbi_lower_same(l);
}

static bool contiguous_places(const cb_call *call, int64_t *start, int64_t *step) {
    (void)call, (void)start, (void)step;
    return true;
}

static cb_tensor *contiguous_sample(cb_tensor *const *in) {
    return cb_contiguous(cb_transpose(in[0], 0, 1));
}

static const cb_sample contiguous_samples[] = {
    {"transposed", 1, {SHAPED(2, 3, 4)}, contiguous_sample},
    {"empty", 1, {SHAPED(2, 0, 4)}, contiguous_sample},
};

const cb_op cbi_contiguous_op = {
    .name = "contiguous",
    .formula = "y = x, row-major;  dx = g",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = cb_shape_same,
    .forward = copy_forward,
    .vjp = contiguous_vjp,
    SAMPLES(contiguous_samples),
    .row_by_row = cb_row_by_row,
    .lowering = &(const cbi_lowering){.lower = contiguous_lower, .places = contiguous_places},
};

/* On a symbolic tape every view is copied: whether one is row-major may depend on the number of
   sequences, and the trace of a step must not. */
static bool is_traced_view(const cb_tensor *x) {
    const cb_node *node = x->node;
    return node != NULL && node->tape->trace != NULL && node->op != NULL && node->op->view;
}

cb_tensor *cb_contiguous(cb_tensor *x) {
    if (x != NULL && cb_tensor_is_contiguous(x) && !is_traced_view(x))
        return x;
    return cb_apply(&cbi_contiguous_op, 1, &x, NULL);
}

/* ---- cast ------------------------------------------------------------------------------------ */

static cb_status cast_shape(const cb_call *call) {
    cb_shape_same(call);
    call->out->dtype = *(const cb_dtype *)call->options;
    return CB_OK;
}

static void cast_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_cast(g, call->in[0]->dtype);
}

static cb_tensor *cast_sample(cb_tensor *const *in) {
    return cb_cast(in[0], CB_F64);
}

/* In f64, as the checker is; a test compares the f32 to f64 pair, which differences cannot resolve.
 */
static const cb_sample cast_samples[] = {
    {"plain", 1, {SHAPED(2, 3, 4)}, cast_sample},
    {"strided", 1, {STRIDED(2, 3, 4)}, cast_sample},
    {"empty", 1, {SHAPED(2, 0, 4)}, cast_sample},
};

static const cb_option cast_option_list[] = {
    {"dtype", CB_OPTION_INT, 0, sizeof(cb_dtype), 1},
};

const cb_op cbi_cast_op = {
    .name = "cast",
    .formula = "y = x in another dtype;  dx = g in x's",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cb_dtype),
    .shape = cast_shape,
    .forward = copy_forward,
    .vjp = cast_vjp,
    SAMPLES(cast_samples),
    OPTIONS(cast_option_list),
    .row_by_row = cb_row_by_row,
};

/* To or from integers: no gradient. */
const cb_op cbi_cast_integer_op = {
    .name = "cast",
    .formula = "y = x in another dtype",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cb_dtype),
    .shape = cast_shape,
    .forward = copy_forward,
    OPTIONS(cast_option_list),
    .row_by_row = cb_row_by_row,
};

cb_tensor *cb_cast(cb_tensor *x, cb_dtype dtype) {
    if (cb_dtype_size(dtype) == 0)
        return cbi_function_fail(x, "cast", CB_ERROR_DTYPE, "%d is no dtype", (int)dtype);
    bool floats = x != NULL && cb_dtype_is_float(x->dtype) && cb_dtype_is_float(dtype);
    return cb_apply(floats ? &cbi_cast_op : &cbi_cast_integer_op, 1, &x, &dtype);
}

/* ---- pad ------------------------------------------------------------------------------------- */

typedef struct pad_options {
    int64_t before[CB_MAX_RANK], after[CB_MAX_RANK];
    double value;
} pad_options;

static cb_status pad_shape(const cb_call *call) {
    const pad_options *options = call->options;
    cb_shape_same(call);
    for (int i = 0; i < call->out->rank; i++) {
        if (options->before[i] < 0 || options->after[i] < 0)
            return cb_call_fail(call, CB_ERROR_VALUE, "negative padding of axis %d", i);
        if (options->before[i] > INT64_MAX / 4 || options->after[i] > INT64_MAX / 4)
            return cb_call_fail(call, CB_ERROR_SHAPE, "the result would be too large");
        call->out->shape[i] += options->before[i] + options->after[i];
    }
    return CB_OK;
}

static cb_status pad_forward(const cb_call *call) {
    const pad_options *options = call->options;
    cb_tensor inner = *call->out;
    int64_t offset = 0;
    for (int i = 0; i < inner.rank; i++) {
        inner.shape[i] = call->in[0]->shape[i];
        offset += options->before[i] * inner.stride[i];
    }
    inner.data = (char *)inner.data + offset * (int64_t)cb_dtype_size(inner.dtype);
    cb_tensor_fill(call->out, options->value);
    cbi_copy(&inner, call->in[0]);
    return CB_OK;
}

static void pad_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const pad_options *options = call->options;
    for (int i = 0; i < call->out->rank; i++)
        g = cb_slice(g, i, options->before[i], options->before[i] + call->in[0]->shape[i], 1);
    gradients[0] = g;
}

static bool pad_lower(cbi_lowerer *l, const cb_call *call) {
    const pad_options *options = call->options;
    int64_t step[CB_MAX_RANK];
    for (int i = 0; i < CB_MAX_RANK; i++)
        step[i] = 1;
    return cbi_lower_placement(l, options->before, step, options->value);
}

static const cb_option pad_option_list[] = {
    CB_OPTIONS(pad_options, before, CB_OPTION_EXTENT),
    CB_OPTIONS(pad_options, after, CB_OPTION_EXTENT),
    CB_OPTION(pad_options, value, CB_OPTION_REAL),
};

static cb_tensor *pad_sample(cb_tensor *const *in) {
    return cb_pad(in[0], (const int64_t[]){1, 0}, (const int64_t[]){2, 3}, 0.5);
}

static const cb_sample pad_samples[] = {
    {"plain", 1, {SHAPED(2, 3, 4)}, pad_sample},
    {"strided", 1, {STRIDED(2, 3, 4)}, pad_sample},
    {"empty", 1, {SHAPED(2, 0, 4)}, pad_sample},
};

const cb_op cbi_pad_op = {
    .name = "pad",
    .formula = "y = x inside a margin of a constant;  dx = g without the margin",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(pad_options),
    .shape = pad_shape,
    .forward = pad_forward,
    .vjp = pad_vjp,
    SAMPLES(pad_samples),
    OPTIONS(pad_option_list),
    .lowering = &(const cbi_lowering){.lower = pad_lower},
};

cb_tensor *cb_pad(cb_tensor *x, const int64_t *before, const int64_t *after, double value) {
    pad_options options = {.value = value};
    for (int i = 0; x != NULL && i < x->rank; i++) {
        options.before[i] = before[i];
        options.after[i] = after[i];
    }
    return cb_apply(&cbi_pad_op, 1, &x, &options);
}

/* ---- concat ---------------------------------------------------------------------------------- */

static cb_status concat_shape(const cb_call *call) {
    int axis = *(const int *)call->options;
    cb_shape_same(call);
    for (int k = 1; k < call->count; k++) {
        const cb_tensor *in = call->in[k];
        if (in->dtype != call->out->dtype)
            return cb_call_fail(call, CB_ERROR_DTYPE, "dtypes %s and %s differ; cast one of them",
                                cb_dtype_name(call->out->dtype), cb_dtype_name(in->dtype));
        bool fits = in->rank == call->out->rank;
        for (int i = 0; i < in->rank && fits; i++)
            fits = i == axis || in->shape[i] == call->out->shape[i];
        if (!fits)
            return cb_call_fail(call, CB_ERROR_SHAPE, "input %d differs on another axis than %d", k,
                                axis);
        if (in->shape[axis] > INT64_MAX - call->out->shape[axis])
            return cb_call_fail(call, CB_ERROR_SHAPE, "the result would be too large");
        call->out->shape[axis] += in->shape[axis];
    }
    return CB_OK;
}

static cb_status concat_forward(const cb_call *call) {
    int axis = *(const int *)call->options;
    cb_tensor part = *call->out;
    for (int k = 0; k < call->count; k++) {
        part.shape[axis] = call->in[k]->shape[axis];
        cbi_copy(&part, call->in[k]);
        part.data = (char *)part.data +
                    part.shape[axis] * part.stride[axis] * (int64_t)cb_dtype_size(part.dtype);
    }
    return CB_OK;
}

static void concat_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    int axis = *(const int *)call->options;
    int64_t start = 0;
    for (int k = 0; k < call->count; k++) {
        int64_t extent = call->in[k]->shape[axis];
        if (cb_call_needs(call, k))
            gradients[k] = cb_slice(g, axis, start, start + extent, 1);
        start += extent;
    }
}

static bool concat_lower(cbi_lowerer *l, const cb_call *call) {
    return cbi_lower_concat(l, *(const int *)call->options);
}

static const cb_option concat_option_list[] = {
    {"axis", CB_OPTION_INT, 0, sizeof(int), 1},
};

static cb_tensor *concat_sample(cb_tensor *const *in) {
    return cb_concat(3, in, 1);
}

static cb_tensor *concat_twice_sample(cb_tensor *const *in) {
    return cb_concat(3, (cb_tensor *[]){in[0], in[1], in[0]}, -1);
}

static cb_tensor *stack_sample(cb_tensor *const *in) {
    return cb_stack(2, in, 1);
}

static const cb_sample concat_samples[] = {
    {"three", 3, {SHAPED(2, 2, 3), STRIDED(2, 2, 1), SHAPED(2, 2, 4)}, concat_sample},
    {"one twice", 2, {SHAPED(2, 2, 3), SHAPED(2, 2, 1)}, concat_twice_sample},
    {"stack", 2, {SHAPED(2, 2, 3), STRIDED(2, 2, 3)}, stack_sample},
    {"empty", 3, {SHAPED(2, 2, 0), SHAPED(2, 2, 1), SHAPED(2, 2, 0)}, concat_sample},
};

const cb_op cbi_concat_op = {
    .name = "concat",
    .formula = "y = the inputs one after the other;  each gets its part of g",
    .min_inputs = 1,
    .max_inputs = INT_MAX,
    .options_size = sizeof(int),
    .shape = concat_shape,
    .forward = concat_forward,
    .vjp = concat_vjp,
    SAMPLES(concat_samples),
    OPTIONS(concat_option_list),
    .lowering = &(const cbi_lowering){.lower = concat_lower},
};

cb_tensor *cb_concat(int count, cb_tensor *const *inputs, int axis) {
    if (count < 1)
        return cbi_poison(NULL);
    bool usable = inputs[0] != NULL && cb_tape_of(inputs[0]) != NULL; /* else the op says so */
    if (usable && !cbi_axis_resolve(inputs[0], "concat", inputs[0]->rank, &axis))
        return cbi_poison(cb_tape_of(inputs[0]));
    return cb_apply(&cbi_concat_op, count, inputs, &axis);
}

static cb_tensor *stack_in_ops(int count, cb_tensor *const *inputs, int axis) {
    for (int i = 0; i < count; i++) /* what concat says of it */
        if (inputs[i] == NULL || cb_tape_of(inputs[i]) == NULL)
            return cb_concat(count, inputs, 0);
    if (count < 1)
        return cbi_poison(NULL);
    if (!cbi_axis_resolve(inputs[0], "stack", inputs[0]->rank + 1, &axis))
        return cbi_poison(cb_tape_of(inputs[0]));
    cb_tape *tape = cb_tape_of(inputs[0]);
    cb_tensor **wide = cbi_arena_allocate(&tape->arena, sizeof(*wide) * (size_t)count);
    if (wide == NULL)
        return cbi_function_fail(inputs[0], "stack", CB_ERROR_MEMORY, "out of memory");
    for (int i = 0; i < count; i++)
        wide[i] = cb_unsqueeze(inputs[i], axis);
    return cb_concat(count, wide, axis);
}

cb_tensor *cb_stack(int count, cb_tensor *const *inputs, int axis) {
    cbi_within f = cbi_function_begin(count > 0 ? inputs[0] : NULL, "stack");
    return cbi_function_end(f, stack_in_ops(count, inputs, axis));
}

/* ---- sum_to ---------------------------------------------------------------------------------- */

cb_tensor *cb_sum_to(cb_tensor *x, int rank, const int64_t *shape) {
    if (x == NULL || cbi_is_poisoned(x))
        return cbi_poison(cb_tape_of(x));
    int axes[CB_MAX_RANK], count = 0;
    bool fits = rank >= 0 && rank <= x->rank;
    for (int i = 0; i < x->rank && fits; i++) {
        int j = i - (x->rank - rank);
        if (j < 0 || (shape[j] == 1 && x->shape[i] != 1))
            axes[count++] = i;
        else
            fits = shape[j] == x->shape[i];
    }
    if (!fits)
        return cbi_function_fail(x, "sum_to", CB_ERROR_SHAPE, "no broadcast of the target's shape");
    if (count == 0)
        return x;
    return cb_reshape(cb_sum(x, count, axes, true), rank, shape);
}
