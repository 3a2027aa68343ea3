/* Lowering ops to values of a graph. */
#include "autograd/compiler/lower_internal.h"

#include <string.h>

/* ---- Elementwise ----------------------------------------------------------------------------- */

/* The axis of input k that is at an output's axis; NULL where the input broadcasts. */
static const cbi_axis *axis_under(const cbi_layout *in, int out_rank, int axis) {
    int own = axis - (out_rank - in->rank);
    const cbi_axis *a = own >= 0 ? &in->axis[own] : NULL;
    return a != NULL && (a->batch || a->extent != 1) ? a : NULL;
}

/* What the inputs say of how the batch's axis of the output lies. */
static bool agree(cbi_lowerer *l, cbi_frame *frame, int count, const cbi_layout *in, bool *rows) {
    int batch = cbi_batch_axis(frame->rank, frame->axis);
    for (int k = 0; k < count; k++) {
        if (!cbi_type_of(l, in[k].value)->rows)
            continue;
        const cbi_axis *axis = batch >= 0 ? axis_under(&in[k], frame->rank, batch) : NULL;
        if (axis == NULL || !axis->batch || !cbi_frame_agree(frame, batch, axis))
            return false;
        *rows = true;
    }
    return true;
}

/* An input's elements, repeated to the output's extents. */
static int broadcast(cbi_lowerer *l, const cbi_frame *frame, const cbi_layout *in) {
    cbi_view view = {.offset = in->offset};
    if (cbi_is_constant(l->graph, in->value))
        return in->value;
    for (int i = 0; i < frame->rank; i++) {
        const cbi_axis *from = axis_under(in, frame->rank, i);
        cbi_axis axis = frame->axis[i];
        axis.major_stride = axis.stride = 0;
        if (from != NULL) {
            axis.stride = from->stride;
            axis.major_stride = from->major_stride;
        }
        if ((axis.major != 1 || axis.extent != 1) && !cbi_add_axis(&view, &axis))
            return -1;
    }
    return cbi_view_of(l->graph, in->value, &view);
}

static int64_t frame_count(const cbi_frame *frame) {
    int64_t count = 1;
    for (int i = 0; i < frame->rank; i++)
        count *= frame->axis[i].major * frame->axis[i].extent;
    return count;
}

/* The type of a value with the elements of a frame. */
static cbi_type frame_type(const cbi_frame *frame, cb_dtype dtype, bool rows) {
    cbi_type type = {.dtype = dtype, .rows = rows};
    for (int i = 0; i < frame->rank; i++) {
        const cbi_axis *axis = &frame->axis[i];
        if (axis->major > 1 && type.rank < CB_MAX_RANK)
            type.shape[type.rank++] = axis->major;
        if ((!axis->batch || axis->extent > 1) && type.rank < CB_MAX_RANK)
            type.shape[type.rank++] = axis->extent;
    }
    return cbi_count_of(&type) == frame_count(frame)
               ? type
               : cbi_flat_type(dtype, rows, frame_count(frame));
}

bool cbi_lower_elementwise(cbi_lowerer *l, const cbi_elementwise *op, const double *parameters) {
    const cb_node *node = cbi_lowered_node(l);
    cbi_layout in[CBI_MAP_INPUTS];
    cbi_frame frame;
    int values[CBI_MAP_INPUTS];
    bool rows = false;
    if (!cbi_frame_of(l, l->node, &frame))
        return false;
    for (int k = 0; k < node->count; k++)
        if (!cbi_layout_of(l, cbi_input_of(l, k), &in[k]))
            return false;
    if (!agree(l, &frame, node->count, in, &rows))
        return false;
    for (int k = 0; k < node->count; k++)
        if ((values[k] = broadcast(l, &frame, &in[k])) < 0)
            return false;
    cbi_type type = frame_type(&frame, node->tensor.dtype, rows);
    return cbi_set_value(
        l, cbi_elementwise_value(l->graph, op, parameters, type, node->count, values), &frame);
}

bool cbi_lower_constant(cbi_lowerer *l, double number) {
    cbi_frame frame;
    return cbi_frame_of(l, l->node, &frame) &&
           cbi_set_value(l, cbi_constant(l->graph, cbi_lowered_node(l)->tensor.dtype, number),
                         &frame);
}

bool cbi_lower_same(cbi_lowerer *l) {
    cbi_layout in;
    cbi_frame frame;
    if (!cbi_layout_of(l, cbi_input_of(l, 0), &in) || !cbi_frame_of(l, l->node, &frame))
        return false;
    int batch = cbi_batch_axis(in.rank, in.axis);
    if (batch >= 0 && !cbi_frame_agree(&frame, batch, &in.axis[batch]))
        return false;
    return cbi_set_value(l, cbi_mapped_value(l, &in), &frame);
}

/* ---- Reductions ------------------------------------------------------------------------------ */

/* Extents of a view before, at and after an axis. */
static void around(const cbi_view *view, int axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++)
        *outer *= view->shape[i];
    for (int i = axis + 1; i < view->rank; i++)
        *inner *= view->shape[i];
}

/* Reduces axes of a value whose elements are in the order of the view's shape; those that lie
   together in one go. */
static int reduce_axes(cbi_lowerer *l, cbi_reduction reduction, int value, cbi_view *view,
                       bool *reduced) {
    for (int i = view->rank - 1; i >= 0; i--) {
        if (!reduced[i])
            continue;
        int first = i;
        int64_t outer, inner, n = view->shape[i];
        while (first > 0 && reduced[first - 1])
            n *= view->shape[--first];
        around(view, i, &outer, &inner);
        outer /= n / view->shape[i];
        cbi_value v = {.kind = CBI_REDUCE,
                       .type = *cbi_type_of(l, value),
                       .count = 1,
                       .in = &value,
                       .reduction = reduction,
                       .outer = outer,
                       .n = n,
                       .inner = inner};
        v.type.rank = 0;
        for (int k = 0; k < view->rank; k++)
            if (k < first || k > i)
                v.type.shape[v.type.rank++] = view->shape[k];
        value = cbi_graph_add(l->graph, &v);
        memcpy(view->shape, v.type.shape, sizeof(view->shape));
        memmove(reduced + first, reduced + i + 1, sizeof(*reduced) * (size_t)(view->rank - i - 1));
        view->rank = v.type.rank;
        if (value < 0)
            return -1;
        i = first;
    }
    return value;
}

/* Of a number everywhere: the result's number. */
static bool reduce_constant(cbi_lowerer *l, cbi_reduction reduction, const bool *axes,
                            const cbi_layout *in) {
    double number = l->graph->values[in->value].parameters[0];
    for (int i = 0; i < in->rank && reduction == CBI_SUM; i++) {
        if (axes[i] && in->axis[i].batch)
            return number == 0 && cbi_lower_constant(l, 0);
        number *= axes[i] ? (double)in->axis[i].extent : 1;
    }
    return cbi_lower_constant(l, number);
}

bool cbi_lower_reduction(cbi_lowerer *l, cbi_reduction reduction, const bool *axes) {
    cbi_layout in;
    cbi_view view = {.offset = 0};
    cbi_frame frame;
    bool reduced[CB_MAX_RANK + 2] = {false}, over_batch = false;
    if (!cbi_layout_of(l, cbi_input_of(l, 0), &in) || !cbi_frame_of(l, l->node, &frame))
        return false;
    if (cbi_is_constant(l->graph, in.value))
        return reduce_constant(l, reduction, axes, &in);
    int batch = cbi_batch_axis(in.rank, in.axis), of_frame = cbi_batch_axis(frame.rank, frame.axis);
    for (int i = 0; i < in.rank; i++) {
        int before = view.rank;
        if (!cbi_add_axis(&view, &in.axis[i]))
            return false;
        for (int k = before; k < view.rank; k++)
            reduced[k] = axes[i];
        over_batch = over_batch || (axes[i] && in.axis[i].batch);
    }
    if (over_batch && (reduction != CBI_SUM || !cbi_type_of(l, in.value)->rows))
        return false;
    if (of_frame >= 0 && !cbi_frame_agree(&frame, of_frame, &in.axis[batch]))
        return false;
    int value = reduce_axes(l, reduction, cbi_mapped_value(l, &in), &view, reduced);
    if (value < 0 || !over_batch)
        return cbi_set_value(l, value, &frame);
    cbi_value sum = {
        .kind = CBI_BATCH_SUM, .type = *cbi_type_of(l, value), .count = 1, .in = &value};
    sum.type.rows = false;
    value = cbi_graph_add(l->graph, &sum);
    return value >= 0 && cbi_is_constant(l->graph, value) ? cbi_set_value(l, value, &frame)
                                                          : cbi_set_deferred(l, value);
}

/* ---- Concatenations -------------------------------------------------------------------------- */

/* A place in the output for the elements of an input: element (i, j, ...) at start + i step[0] +
   ... along each axis of the frame. */
static bool place_of(const cbi_frame *frame, const cbi_layout *in, const int64_t *start,
                     const int64_t *step, cbi_view *place) {
    int64_t stride = 1;
    *place = (cbi_view){.offset = 0};
    cbi_axis axes[CB_MAX_RANK];
    for (int i = frame->rank - 1; i >= 0; i--) {
        const cbi_axis *whole = &frame->axis[i];
        axes[i] = in->axis[i];
        axes[i].stride = stride * (whole->batch ? 1 : step[i]);
        axes[i].major = whole->major;
        axes[i].major_stride = stride * whole->extent;
        if (whole->batch)
            axes[i].extent = whole->extent;
        place->offset += whole->batch ? 0 : start[i] * stride;
        stride *= whole->major * whole->extent;
    }
    /* The batch's axis comes between: its major part is before the minor one, as in a value. */
    for (int i = 0; i < frame->rank; i++)
        if ((axes[i].extent != 1 || axes[i].major != 1) && !cbi_add_axis(place, &axes[i]))
            return false;
    cbi_view_normalize(place);
    return true;
}

/* An input's elements in the frame's layout of the batch's axis. */
static int piece_of(cbi_lowerer *l, const cbi_frame *frame, const cbi_layout *in) {
    cbi_view view = {.offset = in->offset};
    if (cbi_is_constant(l->graph, in->value))
        return in->value;
    for (int i = 0; i < in->rank; i++) {
        cbi_axis axis = in->axis[i];
        if (axis.batch) {
            axis.major = frame->axis[i].major;
            axis.extent = frame->axis[i].extent;
        }
        if ((axis.extent != 1 || axis.major != 1) && !cbi_add_axis(&view, &axis))
            return -1;
    }
    return cbi_view_of(l->graph, in->value, &view);
}

/* The batch must lie along one axis of all inputs that have it, and along none that is placed. */
static bool pieces_agree(cbi_lowerer *l, cbi_frame *frame, int count, const cbi_layout *in,
                         bool *rows) {
    for (int k = 0; k < count; k++) {
        int batch = cbi_batch_axis(in[k].rank, in[k].axis);
        if (batch < 0 || !cbi_type_of(l, in[k].value)->rows)
            continue;
        if (!frame->axis[batch].batch || !cbi_frame_agree(frame, batch, &in[k].axis[batch]))
            return false;
        *rows = true;
    }
    return true;
}

static bool lower_pieces(cbi_lowerer *l, cbi_frame *frame, int count, const cbi_layout *in,
                         int64_t (*start)[CB_MAX_RANK], const int64_t *step, double fill) {
    int *values = cbi_graph_allocate(l->graph, sizeof(int) * (size_t)count);
    cbi_view *places = cbi_graph_allocate(l->graph, sizeof(cbi_view) * (size_t)count);
    bool rows = false;
    if (values == NULL || places == NULL || !pieces_agree(l, frame, count, in, &rows))
        return false;
    for (int k = 0; k < count; k++) {
        values[k] = piece_of(l, frame, &in[k]);
        if (values[k] < 0 || !place_of(frame, &in[k], start[k], step, &places[k]))
            return false;
    }
    cbi_type type = frame_type(frame, cbi_lowered_node(l)->tensor.dtype, rows);
    return cbi_set_value(l, cbi_concat_of(l->graph, type, count, values, places, fill), frame);
}

bool cbi_lower_concat(cbi_lowerer *l, int axis) {
    static const int64_t ones[CB_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    const cb_node *node = cbi_lowered_node(l);
    int64_t at = 0, (*start)[CB_MAX_RANK] =
                        cbi_graph_allocate(l->graph, sizeof(*start) * (size_t)node->count);
    cbi_layout *in = cbi_graph_allocate(l->graph, sizeof(*in) * (size_t)node->count);
    cbi_frame frame;
    if (start == NULL || in == NULL || !cbi_frame_of(l, l->node, &frame) || frame.axis[axis].batch)
        return false;
    for (int k = 0; k < node->count; k++) {
        if (!cbi_layout_of(l, cbi_input_of(l, k), &in[k]))
            return false;
        start[k][axis] = at;
        at += in[k].axis[axis].extent;
    }
    return lower_pieces(l, &frame, node->count, in, start, ones, 0);
}

bool cbi_lower_placement(cbi_lowerer *l, const int64_t *start, const int64_t *step, double fill) {
    cbi_layout in;
    cbi_frame frame;
    int64_t starts[1][CB_MAX_RANK];
    if (!cbi_layout_of(l, cbi_input_of(l, 0), &in) || !cbi_frame_of(l, l->node, &frame))
        return false;
    for (int i = 0; i < frame.rank; i++) {
        bool batch = frame.axis[i].batch || in.axis[i].batch;
        if (batch && (!in.axis[i].batch || !frame.axis[i].batch || start[i] != 0 || step[i] != 1 ||
                      frame.axis[i].extent != in.axis[i].major * in.axis[i].extent))
            return false;
        starts[0][i] = start[i];
    }
    return lower_pieces(l, &frame, 1, &in, starts, step, fill);
}
