/* Parts of tensors: slice and its adjoint, and what is said with them. */
#include <cerebra/ops.h>

#include "autograd/compiler/lower.h"
#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

/* Of slice and place: elements start, start + step, ... of an axis, count of them; extent is that
   of the whole. */
typedef struct slice_options {
    int axis;
    int64_t start, step, count, extent;
} slice_options;

static const cb_option slice_option_list[] = {
    CB_OPTION(slice_options, axis, CB_OPTION_INT),
    CB_OPTION(slice_options, start, CB_OPTION_EXTENT),
    CB_OPTION(slice_options, step, CB_OPTION_EXTENT),
    CB_OPTION(slice_options, count, CB_OPTION_EXTENT),
    CB_OPTION(slice_options, extent, CB_OPTION_EXTENT),
};

/* The part of a whole tensor, as a view. */
static cb_tensor part_of(const cb_tensor *whole, const slice_options *options) {
    cb_tensor part = *whole;
    part.shape[options->axis] = options->count;
    part.stride[options->axis] *= options->step;
    if (part.data != NULL)
        part.data = (char *)part.data + options->start * whole->stride[options->axis] *
                                            (int64_t)cb_dtype_size(whole->dtype);
    return part;
}

static cb_status slice_shape(const cb_call *call) {
    cb_node *node = call->out->node;
    *call->out = part_of(call->in[0], call->options);
    call->out->node = node;
    return CB_OK;
}

static cb_tensor *place(cb_tensor *x, const slice_options *options);

static void slice_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = place(g, call->options);
}

static cb_tensor *slice_sample(cb_tensor *const *in) {
    return cb_slice(in[0], 1, 1, -1, 2);
}

static cb_tensor *chunks_sample(cb_tensor *const *in) {
    return cb_mul(cb_chunk(in[0], -1, 2, 0), cb_chunk(in[0], -1, 2, 1));
}

static cb_tensor *select_sample(cb_tensor *const *in) {
    return cb_select(in[0], 0, -1);
}

static const cb_sample slice_samples[] = {
    {"step of two", 1, {SHAPED(3, 2, 6, 4)}, slice_sample},
    {"strided", 1, {STRIDED(3, 2, 6, 4)}, slice_sample},
    {"chunks", 1, {SHAPED(3, 2, 6, 4)}, chunks_sample},
    {"select", 1, {SHAPED(3, 2, 6, 4)}, select_sample},
    {"empty", 1, {SHAPED(2, 3, 0)}, slice_sample},
};

const cb_op cbi_slice_op = {
    .name = "slice",
    .formula = "y = a part of x;  dx = g in that part, 0 elsewhere",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(slice_options),
    .shape = slice_shape,
    .view = true,
    .vjp = slice_vjp,
    SAMPLES(slice_samples),
    OPTIONS(slice_option_list),
};

/* ---- place: the adjoint of slice ------------------------------------------------------------- */

static cb_status place_shape(const cb_call *call) {
    const slice_options *options = call->options;
    cb_status status = cb_shape_same(call);
    call->out->shape[options->axis] = options->extent;
    return status;
}

static cb_status place_forward(const cb_call *call) {
    cb_tensor part = part_of(call->out, call->options);
    cb_tensor_fill(call->out, 0);
    cbi_copy(&part, call->in[0]);
    return CB_OK;
}

static void place_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_apply(&cbi_slice_op, 1, &g, call->options);
}

static bool place_places(const cb_call *call, int64_t *start, int64_t *step) {
    const slice_options *options = call->options;
    start[options->axis] = options->start;
    step[options->axis] = options->step;
    return true;
}

static bool place_lower(cbi_lowerer *l, const cb_call *call) {
    int64_t start[CB_MAX_RANK] = {0}, step[CB_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    return place_places(call, start, step) && cbi_lower_placement(l, start, step, 0);
}

static cb_tensor *place_sample(cb_tensor *const *in) {
    return place(in[0],
                 &(slice_options){.axis = 1, .start = 1, .step = 2, .count = 3, .extent = 8});
}

static const cb_sample place_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 3, 4)}, place_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, place_sample},
    {"empty", 1, {SHAPED(3, 0, 3, 4)}, place_sample},
};

const cb_op cbi_place_op = {
    .name = "place",
    .formula = "y = x in a part, 0 elsewhere;  dx = that part of g",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(slice_options),
    .shape = place_shape,
    .forward = place_forward,
    .vjp = place_vjp,
    SAMPLES(place_samples),
    OPTIONS(slice_option_list),
    .lowering = &(const cbi_lowering){.lower = place_lower, .places = place_places},
};

static cb_tensor *place(cb_tensor *x, const slice_options *options) {
    return cb_apply(&cbi_place_op, 1, &x, options);
}

/* ---- The functions --------------------------------------------------------------------------- */

/* A Python index: counted from the end when negative, then clipped to 0..extent. */
static int64_t clip(int64_t index, int64_t extent) {
    if (index < 0)
        index = index < -extent ? 0 : index + extent;
    return index > extent ? extent : index;
}

cb_tensor *cb_slice(cb_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    if (!cbi_axis_resolve(x, "slice", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    if (step < 1)
        return cbi_function_fail(x, "slice", CB_ERROR_VALUE, "a step of %lld is below 1",
                                 (long long)step);
    slice_options options = {.axis = axis, .step = step, .extent = x->shape[axis]};
    options.start = clip(start, options.extent);
    int64_t length = clip(stop, options.extent) - options.start;
    options.count = length > 0 ? (length - 1) / step + 1 : 0;
    if (options.count <= 1) /* of no effect then, and too large to multiply a stride with */
        options.step = 1;
    return cb_apply(&cbi_slice_op, 1, &x, &options);
}

cb_tensor *cb_select(cb_tensor *x, int axis, int64_t index) {
    if (!cbi_axis_resolve(x, "select", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    int64_t extent = x->shape[axis], at = index < 0 ? index + extent : index;
    if (at < 0 || at >= extent)
        return cbi_function_fail(x, "select", CB_ERROR_INDEX,
                                 "index %lld is outside an extent of %lld", (long long)index,
                                 (long long)extent);
    return cb_squeeze(cb_slice(x, axis, at, at + 1, 1), axis);
}

cb_tensor *cb_chunk(cb_tensor *x, int axis, int64_t count, int64_t index) {
    if (!cbi_axis_resolve(x, "chunk", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    if (count < 1 || x->shape[axis] % count != 0)
        return cbi_function_fail(x, "chunk", CB_ERROR_SHAPE,
                                 "an extent of %lld is not %lld equal parts",
                                 (long long)x->shape[axis], (long long)count);
    if (index < 0 || index >= count)
        return cbi_function_fail(x, "chunk", CB_ERROR_INDEX, "part %lld of %lld", (long long)index,
                                 (long long)count);
    int64_t size = x->shape[axis] / count;
    return cb_slice(x, axis, index * size, (index + 1) * size, 1);
}
