/* Views: ops whose output shares its input's memory under another shape, other strides, or another
   first element. Nothing is copied. */
#include <cerebra/ops.h>

#include "autograd/ops/axes.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <string.h>

/* out becomes a view of all of in[0]; a rule then changes what differs. */
static void view_whole(const cb_call *call) {
    cb_node *node = call->out->node;
    *call->out = *call->in[0];
    call->out->node = node;
}

static void advance(cb_tensor *t, int64_t elements) {
    if (t->data != NULL)
        t->data = (char *)t->data + elements * (int64_t)cb_dtype_size(t->dtype);
}

/* ---- reshape --------------------------------------------------------------------------------- */

typedef struct shape_options {
    int rank;
    int64_t shape[CB_MAX_RANK];
} shape_options;

static const cb_option shape_option_list[] = {
    CB_OPTION(shape_options, rank, CB_OPTION_INT),
    CB_OPTIONS(shape_options, shape, CB_OPTION_EXTENT),
};

static cb_status reshape_shape(const cb_call *call) {
    const shape_options *options = call->options;
    view_whole(call);
    call->out->rank = options->rank;
    memcpy(call->out->shape, options->shape, sizeof(options->shape));
    if (!cbi_shape_valid(call->out->dtype, options->rank, options->shape) ||
        cb_tensor_count(call->out) != cb_tensor_count(call->in[0])) {
        char shape[160];
        return cb_call_fail(call, CB_ERROR_SHAPE, "does not have the elements of %s",
                            cb_shape_format(call->out, shape, sizeof(shape)));
    }
    cbi_strides_row_major(call->out);
    return CB_OK;
}

static void reshape_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_reshape(g, call->in[0]->rank, call->in[0]->shape);
}

static cb_tensor *reshape_sample(cb_tensor *const *in) {
    return cb_reshape(in[0], CB_SHAPE(4, -1));
}

static cb_tensor *reshape_empty_sample(cb_tensor *const *in) {
    return cb_reshape(in[0], CB_SHAPE(0, 4));
}

static const cb_sample reshape_samples[] = {
    {"view", 1, {SHAPED(3, 2, 3, 4)}, reshape_sample},
    {"copy", 1, {STRIDED(3, 2, 3, 4)}, reshape_sample},
    {"empty", 1, {SHAPED(3, 2, 0, 4)}, reshape_empty_sample},
};

const cb_op cbi_reshape_op = {
    .name = "reshape",
    .formula = "y = x under another shape;  dx = g under x's",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(shape_options),
    .shape = reshape_shape,
    .view = true,
    .vjp = reshape_vjp,
    SAMPLES(reshape_samples),
    OPTIONS(shape_option_list),
};

cb_tensor *cb_reshape(cb_tensor *x, int rank, const int64_t *shape) {
    shape_options options = {.rank = rank};
    if (x == NULL || cbi_is_poisoned(x))
        return cbi_poison(cb_tape_of(x));
    if (rank < 0 || rank > CB_MAX_RANK)
        return cbi_function_fail(x, "reshape", CB_ERROR_SHAPE, "a rank of %d is outside 0..%d",
                                 rank, CB_MAX_RANK);
    int64_t known = 1;
    int unknown = -1;
    for (int i = 0; i < rank; i++) {
        options.shape[i] = shape[i];
        if (shape[i] == -1 && unknown < 0)
            unknown = i;
        else if (shape[i] > 0 && known <= INT64_MAX / shape[i])
            known *= shape[i];
        else
            known = 0;
    }
    if (unknown >= 0) {
        if (known < 1)
            return cbi_function_fail(x, "reshape", CB_ERROR_SHAPE,
                                     "an extent of -1 beside %s cannot be computed",
                                     known == 0 ? "0 or another -1" : "a negative one");
        options.shape[unknown] = cb_tensor_count(x) / known;
    }
    x = cb_contiguous(x);
    return cb_apply(&cbi_reshape_op, 1, &x, &options);
}

/* ---- permute --------------------------------------------------------------------------------- */

typedef struct permute_options {
    int axes[CB_MAX_RANK];
} permute_options;

static const cb_option permute_option_list[] = {
    CB_OPTIONS(permute_options, axes, CB_OPTION_INT),
};

static cb_status permute_shape(const cb_call *call) {
    const permute_options *options = call->options;
    view_whole(call);
    for (int i = 0; i < call->out->rank; i++) {
        call->out->shape[i] = call->in[0]->shape[options->axes[i]];
        call->out->stride[i] = call->in[0]->stride[options->axes[i]];
    }
    return CB_OK;
}

static void permute_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const permute_options *options = call->options;
    int inverse[CB_MAX_RANK];
    for (int i = 0; i < call->out->rank; i++)
        inverse[options->axes[i]] = i;
    gradients[0] = cb_permute(g, call->out->rank, inverse);
}

static cb_tensor *permute_sample(cb_tensor *const *in) {
    return cb_permute(in[0], CB_AXES(2, 0, 1));
}

static const cb_sample permute_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 3, 4)}, permute_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, permute_sample},
    {"empty", 1, {SHAPED(3, 2, 0, 4)}, permute_sample},
};

const cb_op cbi_permute_op = {
    .name = "permute",
    .formula = "y = x with its axes in another order;  dx = g in the inverse order",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(permute_options),
    .shape = permute_shape,
    .view = true,
    .vjp = permute_vjp,
    SAMPLES(permute_samples),
    OPTIONS(permute_option_list),
};

cb_tensor *cb_permute(cb_tensor *x, int rank, const int *axes) {
    permute_options options = {{0}};
    cbi_axes set;
    if (!cbi_axes_resolve(x, "permute", rank < 0 ? 0 : rank, axes, &set))
        return cbi_poison(cb_tape_of(x));
    if (rank != x->rank)
        return cbi_function_fail(x, "permute", CB_ERROR_SHAPE, "%d axes given for a rank of %d",
                                 rank, x->rank);
    for (int i = 0; i < rank; i++)
        options.axes[i] = axes[i] < 0 ? axes[i] + rank : axes[i];
    return cb_apply(&cbi_permute_op, 1, &x, &options);
}

cb_tensor *cb_transpose(cb_tensor *x, int axis_a, int axis_b) {
    permute_options options;
    int rank = x != NULL ? x->rank : 0;
    if (!cbi_axis_resolve(x, "transpose", rank, &axis_a) ||
        !cbi_axis_resolve(x, "transpose", rank, &axis_b))
        return cbi_poison(cb_tape_of(x));
    for (int i = 0; i < CB_MAX_RANK; i++)
        options.axes[i] = i;
    options.axes[axis_a] = axis_b;
    options.axes[axis_b] = axis_a;
    return cb_apply(&cbi_permute_op, 1, &x, &options);
}

/* ---- expand ---------------------------------------------------------------------------------- */

static cb_status expand_shape(const cb_call *call) {
    const shape_options *options = call->options;
    const cb_tensor *x = call->in[0];
    bool fits =
        options->rank >= x->rank && cbi_shape_valid(x->dtype, options->rank, options->shape);
    for (int i = 1; i <= x->rank && fits; i++) {
        int64_t extent = x->shape[x->rank - i];
        fits = extent == 1 || extent == options->shape[options->rank - i];
    }
    if (!fits) {
        char shape[160];
        cb_tensor target = {.rank = options->rank};
        memcpy(target.shape, options->shape, sizeof(target.shape));
        return cb_call_fail(call, CB_ERROR_SHAPE, "does not expand to %s",
                            cb_shape_format(&target, shape, sizeof(shape)));
    }
    cb_node *node = call->out->node;
    *call->out = cbi_broadcast_to(x, options->rank, options->shape);
    call->out->node = node;
    return CB_OK;
}

static void expand_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = g; /* summed down by the sweep, as any broadcast */
}

static cb_tensor *expand_sample(cb_tensor *const *in) {
    return cb_expand(in[0], CB_SHAPE(2, 3, 4));
}

static cb_tensor *expand_empty_sample(cb_tensor *const *in) {
    return cb_expand(in[0], CB_SHAPE(2, 0, 4));
}

static const cb_sample expand_samples[] = {
    {"plain", 1, {SHAPED(2, 3, 1)}, expand_sample},
    {"strided", 1, {STRIDED(2, 3, 4)}, expand_sample},
    {"empty", 1, {SHAPED(2, 0, 1)}, expand_empty_sample},
};

const cb_op cbi_expand_op = {
    .name = "expand",
    .formula = "y = x repeated along axes;  dx = g summed over them",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(shape_options),
    .shape = expand_shape,
    .view = true,
    .vjp = expand_vjp,
    SAMPLES(expand_samples),
    OPTIONS(shape_option_list),
};

cb_tensor *cb_expand(cb_tensor *x, int rank, const int64_t *shape) {
    shape_options options = {.rank = rank};
    if (x == NULL || cbi_is_poisoned(x))
        return cbi_poison(cb_tape_of(x));
    if (rank < 0 || rank > CB_MAX_RANK)
        return cbi_function_fail(x, "expand", CB_ERROR_SHAPE, "a rank of %d is outside 0..%d", rank,
                                 CB_MAX_RANK);
    for (int i = 0; i < rank; i++)
        options.shape[i] = shape[i];
    return cb_apply(&cbi_expand_op, 1, &x, &options);
}

/* ---- squeeze and unsqueeze ------------------------------------------------------------------- */

typedef struct axis_options {
    int axis;
} axis_options;

static const cb_option axis_option_list[] = {
    CB_OPTION(axis_options, axis, CB_OPTION_INT),
};

static cb_status squeeze_shape(const cb_call *call) {
    int axis = ((const axis_options *)call->options)->axis;
    if (call->in[0]->shape[axis] != 1)
        return cb_call_fail(call, CB_ERROR_SHAPE, "axis %d has not extent 1", axis);
    view_whole(call);
    call->out->rank--;
    for (int i = axis; i < call->out->rank; i++) {
        call->out->shape[i] = call->in[0]->shape[i + 1];
        call->out->stride[i] = call->in[0]->stride[i + 1];
    }
    return CB_OK;
}

static void squeeze_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_unsqueeze(g, ((const axis_options *)call->options)->axis);
}

static cb_status unsqueeze_shape(const cb_call *call) {
    int axis = ((const axis_options *)call->options)->axis;
    if (call->in[0]->rank == CB_MAX_RANK)
        return cb_call_fail(call, CB_ERROR_SHAPE, "the rank is %d already", CB_MAX_RANK);
    view_whole(call);
    call->out->rank++;
    for (int i = call->out->rank - 1; i > axis; i--) {
        call->out->shape[i] = call->in[0]->shape[i - 1];
        call->out->stride[i] = call->in[0]->stride[i - 1];
    }
    call->out->shape[axis] = 1;
    call->out->stride[axis] = 1;
    return CB_OK;
}

static void unsqueeze_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_squeeze(g, ((const axis_options *)call->options)->axis);
}

static cb_tensor *squeeze_sample(cb_tensor *const *in) {
    return cb_squeeze(in[0], 1);
}

static cb_tensor *unsqueeze_sample(cb_tensor *const *in) {
    return cb_unsqueeze(in[0], -1);
}

static const cb_sample squeeze_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 1, 4)}, squeeze_sample},
    {"strided", 1, {STRIDED(3, 2, 1, 4)}, squeeze_sample},
    {"empty", 1, {SHAPED(3, 0, 1, 4)}, squeeze_sample},
};
static const cb_sample unsqueeze_samples[] = {
    {"plain", 1, {SHAPED(2, 2, 4)}, unsqueeze_sample},
    {"strided", 1, {STRIDED(2, 2, 4)}, unsqueeze_sample},
    {"empty", 1, {SHAPED(2, 0, 4)}, unsqueeze_sample},
};

const cb_op cbi_squeeze_op = {
    .name = "squeeze",
    .formula = "y = x without an axis of extent 1;  dx = g with it",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(axis_options),
    .shape = squeeze_shape,
    .view = true,
    .vjp = squeeze_vjp,
    SAMPLES(squeeze_samples),
    OPTIONS(axis_option_list),
};

const cb_op cbi_unsqueeze_op = {
    .name = "unsqueeze",
    .formula = "y = x with a new axis of extent 1;  dx = g without it",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(axis_options),
    .shape = unsqueeze_shape,
    .view = true,
    .vjp = unsqueeze_vjp,
    SAMPLES(unsqueeze_samples),
    OPTIONS(axis_option_list),
};

cb_tensor *cb_squeeze(cb_tensor *x, int axis) {
    if (!cbi_axis_resolve(x, "squeeze", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(&cbi_squeeze_op, 1, &x, &(axis_options){axis});
}

cb_tensor *cb_unsqueeze(cb_tensor *x, int axis) {
    if (!cbi_axis_resolve(x, "unsqueeze", x != NULL ? x->rank + 1 : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(&cbi_unsqueeze_op, 1, &x, &(axis_options){axis});
}

/* ---- flip ------------------------------------------------------------------------------------ */

static const cb_option flip_option_list[] = {
    CB_OPTIONS(cbi_axes, in, CB_OPTION_INT),
};

static cb_status flip_shape(const cb_call *call) {
    const cbi_axes *axes = call->options;
    view_whole(call);
    for (int i = 0; i < call->out->rank; i++)
        if (axes->in[i] && call->out->shape[i] > 0) {
            advance(call->out, (call->out->shape[i] - 1) * call->out->stride[i]);
            call->out->stride[i] = -call->out->stride[i];
        }
    return CB_OK;
}

static void flip_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const cbi_axes *axes = call->options;
    int list[CB_MAX_RANK], count = 0;
    for (int i = 0; i < call->out->rank; i++)
        if (axes->in[i])
            list[count++] = i;
    gradients[0] = cb_flip(g, count, list);
}

static cb_tensor *flip_sample(cb_tensor *const *in) {
    return cb_flip(in[0], CB_AXES(0, 2));
}

static const cb_sample flip_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 3, 4)}, flip_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, flip_sample},
    {"empty", 1, {SHAPED(3, 0, 3, 4)}, flip_sample},
};

const cb_op cbi_flip_op = {
    .name = "flip",
    .formula = "y = x in reverse order along axes;  dx = g, reversed",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cbi_axes),
    .shape = flip_shape,
    .view = true,
    .vjp = flip_vjp,
    SAMPLES(flip_samples),
    OPTIONS(flip_option_list),
};

cb_tensor *cb_flip(cb_tensor *x, int count, const int *axes) {
    cbi_axes set;
    if (!cbi_axes_resolve(x, "flip", count, axes, &set))
        return cbi_poison(cb_tape_of(x));
    return cb_apply(&cbi_flip_op, 1, &x, &set);
}

/* ---- stop_gradient --------------------------------------------------------------------------- */

static cb_status stop_gradient_shape(const cb_call *call) {
    view_whole(call);
    return CB_OK;
}

const cb_op cbi_stop_gradient_op = {
    .name = "stop_gradient",
    .formula = "y = x;  no gradient",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = stop_gradient_shape,
    .view = true,
};

cb_tensor *cb_stop_gradient(cb_tensor *x) {
    return cb_apply(&cbi_stop_gradient_op, 1, &x, NULL);
}

/* ---- stop_gradient_at ------------------------------------------------------------------------ */

typedef struct place_options {
    int axis;
    int64_t index;
} place_options;

static const cb_option place_option_list[] = {
    CB_OPTION(place_options, axis, CB_OPTION_INT),
    CB_OPTION(place_options, index, CB_OPTION_EXTENT),
};

/* A mask of shape [1, .., extent, .., 1] that is true at the index. */
static void stop_gradient_at_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    const place_options *options = call->options;
    int64_t extent = g->shape[options->axis], shape[CB_MAX_RANK];
    for (int i = 0; i < g->rank; i++)
        shape[i] = i == options->axis ? extent : 1;
    cb_tensor *places = cb_arange(cb_tape_of(g), CB_I64, 0, 1, extent);
    cb_tensor *index = cb_full(cb_tape_of(g), CB_I64, CB_SCALAR, (double)options->index);
    gradients[0] = cb_masked_fill(g, cb_reshape(cb_equal(places, index), g->rank, shape), 0);
}

/* Differences see what the gradient leaves out: the samples hide it. That it is left out is for a
   test of its own. */
static cb_tensor *hidden(cb_tensor *y, int axis, int64_t index) {
    cb_tensor *part = cb_slice(y, axis, index, index + 1, 1);
    return cb_concat(2, (cb_tensor *[]){cb_slice(y, axis, 0, index, 1), cb_scale(part, 0)}, axis);
}

static cb_tensor *stop_last_row_sample(cb_tensor *const *in) {
    return hidden(cb_stop_gradient_at(in[0], 0, -1), 0, in[0]->shape[0] - 1);
}

static cb_tensor *stop_column_sample(cb_tensor *const *in) {
    return hidden(cb_stop_gradient_at(cb_square(in[0]), 1, 2), 1, 2);
}

static const cb_sample stop_gradient_at_samples[] = {
    {"row", 1, {SHAPED(2, 3, 4)}, stop_last_row_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 4)}, stop_column_sample},
    {"empty", 1, {SHAPED(2, 3, 0)}, stop_last_row_sample},
};

const cb_op cbi_stop_gradient_at_op = {
    .name = "stop_gradient_at",
    .formula = "y = x;  dx = g, but 0 at an index along an axis",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(place_options),
    .shape = stop_gradient_shape,
    .view = true,
    .vjp = stop_gradient_at_vjp,
    SAMPLES(stop_gradient_at_samples),
    OPTIONS(place_option_list),
};

cb_tensor *cb_stop_gradient_at(cb_tensor *x, int axis, int64_t index) {
    if (!cbi_axis_resolve(x, "stop_gradient_at", x != NULL ? x->rank : 0, &axis))
        return cbi_poison(cb_tape_of(x));
    int64_t extent = x->shape[axis];
    if (index < -extent || index >= extent)
        return cbi_function_fail(x, "stop_gradient_at", CB_ERROR_INDEX,
                                 "index %lld is outside an extent of %lld", (long long)index,
                                 (long long)extent);
    return cb_apply(&cbi_stop_gradient_at_op, 1, &x,
                    &(place_options){axis, index < 0 ? index + extent : index});
}
