/* Where the elements of a traced tensor are within a row.

   A tensor that an op has made is row-major. One of its axes may be the batch's, alone or in one
   with others; without it, what is left of a row lies in the order of a value. A view has an offset
   and strides, which the ops themselves have worked out on all traces: of how they depend on the
   batch it can be seen along which axis each of its axes runs. Where its base is a view itself,
   which lies in a value of its own, distances are counted in the order of that value. */
#include "autograd/compiler/lower_internal.h"

#include <string.h>

int cbi_base_of(const cbi_traced *traced, int node) {
    const cb_node *n = cbi_traced_node(traced, 0, node);
    while (n->op != NULL && n->op->view)
        n = n->in[0]->node;
    return n->index;
}

/* ---- Layouts --------------------------------------------------------------------------------- */

/* The smallest and largest place that is reached on one side of the batch's axis. */
typedef struct reach {
    int64_t least, most;
} reach;

static void extend(reach *r, int64_t distance) {
    *(distance < 0 ? &r->least : &r->most) += distance;
}

/* A map while it is worked out: of a base with `outer` elements of a row before the batch's axis
   and `inner` after it. */
typedef struct mapping {
    int64_t outer, inner;
    bool has_batch;
    reach before, after;
} mapping;

static bool map_constant_axis(mapping *m, int64_t extent, cbi_extent stride, cbi_axis *axis) {
    if (stride.slope % m->inner != 0)
        return false;
    int64_t across = stride.slope / m->inner; /* steps along what is before the batch's axis */
    *axis = (cbi_axis){.major = 1, .extent = extent, .stride = across * m->inner + stride.constant};
    extend(&m->before, (extent - 1) * across);
    extend(&m->after, (extent - 1) * stride.constant);
    return m->has_batch || stride.slope == 0;
}

static bool map_batch_axis(mapping *m, int64_t multiple, cbi_extent stride, bool rows,
                           cbi_axis *axis) {
    int64_t step = stride.constant;
    *axis = (cbi_axis){.batch = true, .major = 1, .extent = multiple};
    if (stride.slope != 0 || step < 0)
        return false;
    if (step == 0)
        return !rows;
    if (!m->has_batch || step > m->inner || m->inner % step != 0)
        return false;
    axis->extent = m->inner / step;
    axis->stride = step;
    axis->major = multiple / axis->extent;
    axis->major_stride = m->inner;
    extend(&m->before, axis->major - 1);
    extend(&m->after, (axis->extent - 1) * step);
    return multiple % axis->extent == 0;
}

/* Where an element of a tensor is in row-major order, from where it lies: so many elements after
   the first. False when no element lies there. */
static bool in_order(const cb_tensor *t, int64_t at, int64_t *place) {
    int64_t inside[CB_MAX_RANK], all = 1;
    *place = 0;
    for (int i = t->rank - 1; i >= 0; all *= t->shape[i], i--) {
        inside[i] = all;
        if (t->stride[i] < 0) { /* counted from the axis' other end */
            at -= (t->shape[i] - 1) * t->stride[i];
            *place += (t->shape[i] - 1) * all;
        }
    }
    while (at > 0) { /* along the axis of the longest step that is no longer */
        int64_t step = 0;
        int axis = 0;
        for (int i = 0; i < t->rank; i++) {
            int64_t length = t->stride[i] < 0 ? -t->stride[i] : t->stride[i];
            if (t->shape[i] > 1 && length > step && length <= at) {
                step = length;
                axis = i;
            }
        }
        if (step == 0 || at / step >= t->shape[axis])
            return false;
        *place += (t->stride[axis] < 0 ? -1 : 1) * (at / step) * inside[axis];
        at %= step;
    }
    return at == 0;
}

/* How far, in the order of a tensor, a view of it has its first element from the tensor's, or goes
   with each step along an axis. */
static bool distance_in(const cb_tensor *whole, const cb_tensor *view, int axis,
                        int64_t *distance) {
    int64_t size = (int64_t)cb_dtype_size(view->dtype), first, next, last;
    int64_t offset = ((const char *)view->data - (const char *)whole->data) / size;
    int64_t steps = axis < 0 ? 0 : view->shape[axis] - 1,
            stride = steps > 0 ? view->stride[axis] : 0;
    *distance = axis < 0 ? offset : view->stride[axis];
    if (cb_tensor_is_contiguous(whole))
        return true;
    if (!in_order(whole, offset, &first) || !in_order(whole, offset + stride, &next) ||
        !in_order(whole, offset + steps * stride, &last))
        return false;
    *distance = axis < 0 ? first : next - first;
    return last - first == steps * (next - first);
}

/* The same on all sides: how it depends on the batch. */
static bool extent_in(const cbi_lowerer *l, int base, int node, int axis, cbi_extent *extent) {
    int64_t distance[CBI_SIDES];
    for (int s = 0; s < CBI_SIDES; s++)
        if (!distance_in(&cbi_traced_node(l->traced, s, base)->tensor,
                         &cbi_traced_node(l->traced, s, node)->tensor, axis, &distance[s]))
            return false;
    return cbi_extent_of(l->traced, distance, extent);
}

static bool map_axes(const cbi_lowerer *l, int node, int base, mapping *m, bool rows,
                     cbi_layout *map) {
    int batches = 0;
    map->rank = cbi_traced_node(l->traced, 0, node)->tensor.rank;
    for (int i = 0; i < map->rank; i++) {
        cbi_extent extent = cbi_shape_extent(l->traced, node, i), stride = {0, 0};
        bool several = extent.slope != 0 || extent.constant > 1; /* else whatever its stride */
        if ((several && !extent_in(l, base, node, i, &stride)) ||
            (extent.slope != 0 && extent.constant != 0))
            return false;
        bool mapped = extent.slope == 0
                          ? map_constant_axis(m, extent.constant, stride, &map->axis[i])
                          : map_batch_axis(m, extent.slope, stride, rows, &map->axis[i]);
        if (!mapped)
            return false;
        batches += extent.slope != 0;
    }
    return rows ? batches == 1 : batches <= 1;
}

/* A tensor without elements, or of one number: nothing depends on where they are. */
static bool map_anywhere(const cbi_lowerer *l, int node, int value, cbi_layout *map) {
    cbi_frame frame;
    if (!cbi_frame_of(l, node, &frame))
        return false;
    *map = (cbi_layout){.value = value, .rank = frame.rank};
    memcpy(map->axis, frame.axis, sizeof(frame.axis));
    return true;
}

static bool is_empty(const cbi_lowerer *l, int node) {
    return cb_tensor_count(&cbi_traced_node(l->traced, 0, node)->tensor) == 0;
}

/* A leaf, or a view that was copied because its elements had no place in rows: they lie in its own
   order, whatever its strides were. */
static bool map_copy(const cbi_lowerer *l, int node, cbi_layout *map) {
    cbi_frame frame;
    int64_t stride = 1;
    if (!cbi_frame_of(l, node, &frame))
        return false;
    *map = (cbi_layout){.value = l->lowered[node].value, .rank = frame.rank};
    for (int i = frame.rank - 1; i >= 0; i--) {
        map->axis[i] = frame.axis[i];
        map->axis[i].stride = stride;
        stride *= frame.axis[i].extent;
    }
    return true;
}

/* The node that a chain of views leads to, down to what has a value. */
static int lowered_base(const cbi_lowerer *l, int node) {
    const cb_node *n = cbi_traced_node(l->traced, 0, node);
    while (n->op != NULL && n->op->view && l->lowered[n->index].value < 0)
        n = n->in[0]->node;
    return n->index;
}

bool cbi_layout_of(cbi_lowerer *l, int node, cbi_layout *map) {
    int base = lowered_base(l, node);
    const cbi_lowered *lowered = &l->lowered[base];
    bool row_major = cb_tensor_is_contiguous(&cbi_traced_node(l->traced, 0, base)->tensor);
    if (lowered->value < 0)
        return false;
    if (!row_major && base == node)
        return map_copy(l, node, map);
    if (cbi_is_constant(l->graph, lowered->value))
        return map_anywhere(l, node, lowered->value, map);
    if (is_empty(l, node))
        return map_anywhere(l, node,
                            cbi_constant(l->graph, cbi_type_of(l, lowered->value)->dtype, 0), map);
    int64_t count = cbi_graph_count(l->graph, lowered->value);
    mapping m = {.outer = lowered->has_batch ? count / lowered->inner : 1,
                 .inner = lowered->has_batch ? lowered->inner : count,
                 .has_batch = lowered->has_batch};
    cbi_extent offset;
    *map = (cbi_layout){.value = lowered->value};
    if (!extent_in(l, base, node, -1, &offset) || offset.slope % m.inner != 0)
        return false;
    m.before.least = m.before.most = offset.slope / m.inner;
    m.after.least = m.after.most = offset.constant;
    map->offset = offset.slope + offset.constant;
    return map_axes(l, node, base, &m, cbi_type_of(l, lowered->value)->rows, map) &&
           m.before.least >= 0 && m.before.most < m.outer && m.after.least >= 0 &&
           m.after.most < m.inner;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

bool cbi_frame_of(const cbi_lowerer *l, int node, cbi_frame *frame) {
    const cb_tensor *t = &cbi_traced_node(l->traced, 0, node)->tensor;
    int batches = 0;
    *frame = (cbi_frame){.rank = t->rank};
    for (int i = 0; i < t->rank; i++) {
        cbi_extent extent = cbi_shape_extent(l->traced, node, i);
        bool batch = extent.slope != 0;
        if (batch && (extent.constant != 0 || extent.slope < 0))
            return false;
        frame->axis[i] = (cbi_axis){
            .batch = batch, .major = 1, .extent = batch ? extent.slope : extent.constant};
        batches += batch;
    }
    return batches <= 1;
}

enum { AGREED = 1 }; /* in the place of a frame's stride: how the batch's axis lies is known */

bool cbi_frame_agree(cbi_frame *frame, int axis, const cbi_axis *with) {
    cbi_axis *own = &frame->axis[axis];
    if (own->stride == AGREED)
        return own->major == with->major && own->extent == with->extent;
    if (own->extent != with->major * with->extent)
        return false;
    own->major = with->major;
    own->extent = with->extent;
    own->stride = AGREED;
    return true;
}

bool cbi_add_axis(cbi_view *view, const cbi_axis *axis) {
    if (view->rank + 2 > CB_MAX_RANK)
        return false;
    if (axis->major > 1) {
        view->shape[view->rank] = axis->major;
        view->stride[view->rank++] = axis->major_stride;
    }
    view->shape[view->rank] = axis->extent;
    view->stride[view->rank++] = axis->stride;
    return true;
}

int cbi_mapped_value(cbi_lowerer *l, const cbi_layout *map) {
    cbi_view view = {.offset = map->offset};
    if (cbi_is_constant(l->graph, map->value))
        return map->value;
    for (int i = 0; i < map->rank; i++)
        if ((map->axis[i].extent != 1 || map->axis[i].major != 1) &&
            !cbi_add_axis(&view, &map->axis[i]))
            return -1;
    return cbi_view_of(l->graph, map->value, &view);
}

bool cbi_set_value(cbi_lowerer *l, int value, const cbi_frame *frame) {
    cbi_lowered *lowered = &l->lowered[l->node];
    int batch = cbi_batch_axis(frame->rank, frame->axis);
    if (value < 0)
        return false;
    lowered->value = value;
    lowered->has_batch = batch >= 0;
    lowered->inner = 1;
    for (int i = batch; i >= 0 && i < frame->rank; i++)
        lowered->inner *= frame->axis[i].extent;
    return true;
}

bool cbi_set_deferred(cbi_lowerer *l, int value) {
    l->lowered[l->node].deferred = value;
    return value >= 0;
}
