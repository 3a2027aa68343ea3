/* Sliding windows over the last axes of a tensor, and their adjoint, which adds up where they
   overlap (im2col and col2im). Both walk over a strided view of the tensor: forward the windows are
   copied out of it in one go; back, what lies at one place of all windows does not overlap, so that
   a window's places are added one after the other. */
#include "autograd/ops/windows.h"

#include <cerebra/ops.h>

#include "autograd/ops/list.h"
#include "autograd/ops/samples.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

static const cb_option windows_option_list[] = {
    CB_OPTION(cbi_windows_options, count, CB_OPTION_INT),
    CB_OPTION(cbi_windows_options, at, CB_OPTION_INT),
    CB_OPTIONS(cbi_windows_options, size, CB_OPTION_EXTENT),
    CB_OPTIONS(cbi_windows_options, stride, CB_OPTION_EXTENT),
    CB_OPTIONS(cbi_windows_options, dilation, CB_OPTION_EXTENT),
    CB_OPTIONS(cbi_windows_options, extent, CB_OPTION_EXTENT),
};

/* How many windows there are along the k-th of the last axes. */
static int64_t positions(const cbi_windows_options *o, int k) {
    return (o->extent[k] - o->dilation[k] * (o->size[k] - 1) - 1) / o->stride[k] + 1;
}

/* All windows of x as a view: x's axes up to `at`, places in a window, further axes of x, windows.
 */
static cb_tensor windows_of(const cb_tensor *x, const cbi_windows_options *o) {
    cb_tensor view = *x;
    int lead = x->rank - o->count;
    view.rank = x->rank + o->count;
    for (int i = o->at; i < lead; i++) {
        view.shape[i + o->count] = x->shape[i];
        view.stride[i + o->count] = x->stride[i];
    }
    for (int k = 0; k < o->count; k++) {
        int64_t stride = x->stride[lead + k];
        view.shape[o->at + k] = o->size[k];
        view.stride[o->at + k] = stride * o->dilation[k];
        view.shape[lead + o->count + k] = positions(o, k);
        view.stride[lead + o->count + k] = stride * o->stride[k];
    }
    return view;
}

/* Moves a tensor's beginning by so many elements. */
static void move(cb_tensor *t, int64_t elements) {
    t->data = (char *)t->data + elements * (int64_t)cb_dtype_size(t->dtype);
}

/* ---- windows --------------------------------------------------------------------------------- */

static cb_status windows_shape(const cb_call *call) {
    const cbi_windows_options *o = call->options;
    const cb_tensor *x = call->in[0];
    if (x->rank < o->count || x->rank + o->count > CB_MAX_RANK)
        return cb_call_fail(call, CB_ERROR_SHAPE, "%d windowed axes do not fit a rank of %d",
                            o->count, x->rank);
    for (int k = 0; k < o->count; k++) {
        if (o->size[k] < 1 || o->stride[k] < 1 || o->dilation[k] < 1)
            return cb_call_fail(
                call, CB_ERROR_VALUE, "size %lld, stride %lld and dilation %lld must be at least 1",
                (long long)o->size[k], (long long)o->stride[k], (long long)o->dilation[k]);
        if (o->size[k] - 1 > (o->extent[k] - 1) / o->dilation[k] || o->extent[k] < 1)
            return cb_call_fail(call, CB_ERROR_SHAPE,
                                "a window of %lld with dilation %lld is larger than an extent of "
                                "%lld",
                                (long long)o->size[k], (long long)o->dilation[k],
                                (long long)o->extent[k]);
    }
    cb_tensor view = windows_of(x, o);
    call->out->dtype = x->dtype;
    call->out->rank = view.rank;
    for (int i = 0; i < view.rank; i++)
        call->out->shape[i] = view.shape[i];
    return CB_OK;
}

static cb_status windows_forward(const cb_call *call) {
    cb_tensor view = windows_of(call->in[0], call->options);
    cbi_copy(call->out, &view);
    return CB_OK;
}

static void windows_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_apply(&cbi_overlap_add_op, 1, &g, call->options);
}

/* The axes in front of where the places in a window are put stay the first ones. */
static bool windows_by_rows(const cb_call *call, int input) {
    (void)input;
    return ((const cbi_windows_options *)call->options)->at > 0;
}

static cb_tensor *windows_sample(cb_tensor *const *in) {
    return cb_windows(in[0], 1, (const int64_t[]){3}, NULL, NULL);
}

static cb_tensor *two_axes_sample(cb_tensor *const *in) {
    return cb_square(cb_windows(in[0], 2, (const int64_t[]){2, 3}, (const int64_t[]){2, 1},
                                (const int64_t[]){1, 2}));
}

static cb_tensor *inner_sample(cb_tensor *const *in) {
    return cbi_windows(in[0], 2, (const int64_t[]){2, 2}, (const int64_t[]){1, 2},
                       (const int64_t[]){2, 1}, 1);
}

static const cb_sample windows_samples[] = {
    {"one axis", 1, {SHAPED(2, 2, 6)}, windows_sample},
    {"two axes", 1, {SHAPED(3, 2, 5, 6)}, two_axes_sample},
    {"strided", 1, {STRIDED(4, 2, 2, 4, 5)}, inner_sample},
    {"empty", 1, {SHAPED(3, 0, 4, 6)}, two_axes_sample},
};

const cb_op cbi_windows_op = {
    .name = "windows",
    .formula = "y[k, .., p] = x[.., p stride + k dilation];  dx = g, added up where they overlap",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cbi_windows_options),
    .shape = windows_shape,
    .forward = windows_forward,
    .vjp = windows_vjp,
    SAMPLES(windows_samples),
    OPTIONS(windows_option_list),
    .row_by_row = windows_by_rows,
};

/* ---- overlap_add: the adjoint of windows ----------------------------------------------------- */

static cb_status overlap_add_shape(const cb_call *call) {
    const cbi_windows_options *o = call->options;
    const cb_tensor *g = call->in[0];
    int lead = g->rank - 2 * o->count;
    cb_tensor *out = call->out;
    out->dtype = g->dtype;
    out->rank = lead + o->count;
    for (int i = 0; i < lead; i++)
        out->shape[i] = g->shape[i < o->at ? i : i + o->count];
    for (int k = 0; k < o->count; k++)
        out->shape[lead + k] = o->extent[k];
    return CB_OK;
}

/* Adds what lies at one place of all windows: `place` counts row-major. */
static void add_place(const cb_call *call, int64_t place) {
    const cbi_windows_options *o = call->options;
    const cb_tensor *g = call->in[0];
    cb_tensor target = *call->out, source = *g;
    int lead = target.rank - o->count;
    source.rank = target.rank;
    for (int k = o->count - 1; k >= 0; k--) {
        int64_t at = place % o->size[k], stride = call->out->stride[lead + k];
        place /= o->size[k];
        move(&target, at * o->dilation[k] * stride);
        move(&source, at * g->stride[o->at + k]);
        target.shape[lead + k] = positions(o, k);
        target.stride[lead + k] = stride * o->stride[k];
    }
    for (int i = o->at; i < target.rank; i++) {
        source.shape[i] = g->shape[i + o->count];
        source.stride[i] = g->stride[i + o->count];
    }
    cbi_add_into(&target, &source);
}

static cb_status overlap_add_forward(const cb_call *call) {
    const cbi_windows_options *o = call->options;
    int64_t places = 1;
    cb_tensor_fill(call->out, 0);
    for (int k = 0; k < o->count; k++)
        places *= o->size[k];
    for (int64_t i = 0; i < places && cb_tensor_count(call->in[0]) > 0; i++)
        add_place(call, i);
    return CB_OK;
}

static void overlap_add_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_apply(&cbi_windows_op, 1, &g, call->options);
}

static cb_tensor *overlap_add_sample(cb_tensor *const *in) {
    const cbi_windows_options options = {.count = 1,
                                         .at = in[0]->rank - 2,
                                         .size = {3},
                                         .stride = {2},
                                         .dilation = {1},
                                         .extent = {8}};
    return cb_apply(&cbi_overlap_add_op, 1, in, &options);
}

static const cb_sample overlap_add_samples[] = {
    {"plain", 1, {SHAPED(3, 2, 3, 3)}, overlap_add_sample},
    {"strided", 1, {STRIDED(3, 2, 3, 3)}, overlap_add_sample},
    {"empty", 1, {SHAPED(3, 0, 3, 3)}, overlap_add_sample},
};

const cb_op cbi_overlap_add_op = {
    .name = "overlap_add",
    .formula = "y = sum over windows of x, each where it was;  dx = the windows of g",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(cbi_windows_options),
    .shape = overlap_add_shape,
    .forward = overlap_add_forward,
    .vjp = overlap_add_vjp,
    SAMPLES(overlap_add_samples),
    OPTIONS(windows_option_list),
    .row_by_row = windows_by_rows,
};

/* ---- The functions --------------------------------------------------------------------------- */

static cbi_windows_options options_of(int count, const int64_t *size, const int64_t *stride,
                                      const int64_t *dilation, int at) {
    cbi_windows_options options = {.count = count, .at = at};
    for (int k = 0; k < CBI_WINDOW_AXES; k++) {
        bool used = k < count;
        options.size[k] = used ? size[k] : 1;
        options.stride[k] = used && stride != NULL ? stride[k] : 1;
        options.dilation[k] = used && dilation != NULL ? dilation[k] : 1;
        options.extent[k] = 1;
    }
    return options;
}

cb_tensor *cbi_windows(cb_tensor *x, int count, const int64_t *size, const int64_t *stride,
                       const int64_t *dilation, int at) {
    cbi_windows_options options = options_of(count, size, stride, dilation, at);
    for (int k = 0; k < count && x != NULL && x->rank >= count; k++)
        options.extent[k] = x->shape[x->rank - count + k];
    return cb_apply(&cbi_windows_op, 1, &x, &options);
}

cb_tensor *cbi_windows_back(cb_tensor *windows, const cb_tensor *x, int count, const int64_t *size,
                            const int64_t *stride, const int64_t *dilation, const int64_t *padding,
                            int at) {
    cbi_windows_options options = options_of(count, size, stride, dilation, at);
    for (int k = 0; k < count; k++)
        options.extent[k] = x->shape[x->rank - count + k] + 2 * padding[k];
    cb_tensor *dx = cb_apply(&cbi_overlap_add_op, 1, &windows, &options);
    for (int k = 0; k < count; k++)
        if (padding[k] > 0)
            dx = cb_slice(dx, k - count, padding[k], options.extent[k] - padding[k], 1);
    return dx;
}

cb_tensor *cb_windows(cb_tensor *x, int count, const int64_t *size, const int64_t *stride,
                      const int64_t *dilation) {
    if (count < 1 || count > CBI_WINDOW_AXES || size == NULL)
        return cbi_function_fail(x, "windows", CB_ERROR_VALUE, "%d windowed axes; 1 to %d can be",
                                 count, CBI_WINDOW_AXES);
    return cbi_windows(x, count, size, stride, dilation, 0);
}
