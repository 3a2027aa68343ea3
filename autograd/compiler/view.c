/* Views: elements of a row in some order. What an op does to axes (slices, transposes, broadcasts,
   reversals, reshapes) is a view, and views of views are views, as long as an axis of one runs
   along an axis of the other. */
#include "autograd/compiler/graph.h"

#include <string.h>

int64_t cbi_view_count(const cbi_view *view) {
    int64_t count = 1;
    for (int i = 0; i < view->rank; i++)
        count *= view->shape[i];
    return count;
}

cbi_view cbi_view_run(int64_t start, int64_t count) {
    cbi_view view = {.offset = start, .rank = 1, .shape = {count}, .stride = {1}};
    return view;
}

cbi_view cbi_view_whole(int rank, const int64_t *shape) {
    cbi_view view = {.rank = rank};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        view.shape[i] = shape[i];
        view.stride[i] = stride;
        stride *= shape[i];
    }
    return view;
}

void cbi_view_normalize(cbi_view *view) {
    cbi_view normal = {.offset = view->offset};
    if (cbi_view_count(view) == 0) { /* whatever the axes, there is nothing */
        *view = cbi_view_run(0, 0);
        return;
    }
    for (int i = 0; i < view->rank; i++) {
        int last = normal.rank - 1;
        if (view->shape[i] == 1)
            continue;
        if (last >= 0 && normal.stride[last] == view->stride[i] * view->shape[i]) {
            normal.shape[last] *= view->shape[i];
            normal.stride[last] = view->stride[i];
        } else {
            normal.shape[normal.rank] = view->shape[i];
            normal.stride[normal.rank++] = view->stride[i];
        }
    }
    if (normal.rank == 0) { /* one element is a run too */
        normal.rank = 1;
        normal.shape[0] = normal.stride[0] = 1;
    }
    *view = normal;
}

bool cbi_view_is_run(const cbi_view *view) {
    return view->rank == 1 && view->stride[0] == 1;
}

bool cbi_view_equal(const cbi_view *a, const cbi_view *b) {
    bool equal = a->offset == b->offset && a->rank == b->rank;
    for (int i = 0; equal && i < a->rank; i++)
        equal = a->shape[i] == b->shape[i] && a->stride[i] == b->stride[i];
    return equal;
}

/* Axes that elements are found along: index i of an axis is at i * stride[axis] here, and at i *
   target[axis] there. */
typedef struct axes {
    int rank;
    int64_t shape[CB_MAX_RANK], stride[CB_MAX_RANK], target[CB_MAX_RANK];
} axes;

/* Orders axes by their stride, the largest first. */
static void sort(axes *a) {
    for (int i = 1; i < a->rank; i++)
        for (int k = i; k > 0 && a->stride[k - 1] < a->stride[k]; k--) {
            int64_t shape = a->shape[k], stride = a->stride[k], target = a->target[k];
            a->shape[k] = a->shape[k - 1];
            a->stride[k] = a->stride[k - 1];
            a->target[k] = a->target[k - 1];
            a->shape[k - 1] = shape;
            a->stride[k - 1] = stride;
            a->target[k - 1] = target;
        }
}

/* The part of the axes' span that a distance covers on each: index[axis]. False when it is between
   them. The axes do not overlap: each stride is at least the span of all that are smaller. */
static bool locate(const axes *a, int64_t distance, int64_t *index) {
    for (int i = 0; i < a->rank; i++) {
        index[i] = distance / a->stride[i];
        if (distance < 0 || index[i] >= a->shape[i])
            return false;
        distance -= index[i] * a->stride[i];
    }
    return distance == 0;
}

/* Splits an axis of a view where it runs over the end of one of the axes: extents inside and
   outside, with their strides. Returns how many parts it has, outermost first; 0 when it cannot be.
 */
static int split(const axes *a, int64_t extent, int64_t stride, int64_t *index, int64_t *shape,
                 int64_t *steps, int *along) {
    int64_t magnitude = stride < 0 ? -stride : stride;
    int parts = 0;
    if (stride == 0) {
        shape[0] = extent;
        steps[0] = 0;
        along[0] = -1;
        return 1;
    }
    int axis = a->rank - 1;
    while (axis >= 0 &&
           (magnitude % a->stride[axis] != 0 || magnitude / a->stride[axis] >= a->shape[axis]))
        axis--;
    /* From the innermost out. Only a run from one end of an axis to the other goes on along the
       next. */
    for (int64_t left = extent, step = axis >= 0 ? magnitude / a->stride[axis] : 0; axis >= 0;) {
        int64_t most =
            stride > 0 ? (a->shape[axis] - index[axis] + step - 1) / step : index[axis] / step + 1;
        int64_t covered = left < most ? left : most;
        for (int p = parts; p > 0; p--) {
            shape[p] = shape[p - 1];
            steps[p] = steps[p - 1];
            along[p] = along[p - 1];
        }
        parts++;
        shape[0] = covered;
        steps[0] = stride > 0 ? step : -step;
        along[0] = axis;
        if (covered == left)
            return parts;
        bool all = covered * step == a->shape[axis] &&
                   (stride > 0 ? index[axis] == 0 : index[axis] == a->shape[axis] - 1);
        bool joined = axis > 0 && a->stride[axis - 1] == a->stride[axis] * a->shape[axis];
        if (!all || !joined || left % covered != 0)
            return 0;
        left /= covered;
        step = 1;
        axis--;
    }
    return 0;
}

/* Sends a view from the axes to their targets. */
static bool send(const cbi_view *view, axes *a, int64_t here, int64_t there, cbi_view *result) {
    int64_t index[CB_MAX_RANK], most[CB_MAX_RANK] = {0}, least[CB_MAX_RANK] = {0};
    sort(a);
    if (!locate(a, view->offset - here, index))
        return false;
    *result = (cbi_view){.offset = there};
    for (int i = 0; i < a->rank; i++) {
        result->offset += index[i] * a->target[i];
        most[i] = least[i] = index[i];
    }
    for (int i = 0; i < view->rank; i++) {
        int64_t shape[CB_MAX_RANK + 1], steps[CB_MAX_RANK + 1];
        int along[CB_MAX_RANK + 1];
        if (view->shape[i] == 1) /* whatever its stride */
            continue;
        int parts = split(a, view->shape[i], view->stride[i], index, shape, steps, along);
        if (parts == 0 || result->rank + parts > CB_MAX_RANK)
            return false;
        for (int p = 0; p < parts; p++) {
            result->shape[result->rank] = shape[p];
            result->stride[result->rank++] = along[p] < 0 ? 0 : steps[p] * a->target[along[p]];
            if (along[p] >= 0)
                *(steps[p] > 0 ? &most[along[p]] : &least[along[p]]) += (shape[p] - 1) * steps[p];
        }
    }
    /* Several axes of the view may run along one: together, too, they must stay on it. */
    for (int i = 0; i < a->rank; i++)
        if (least[i] < 0 || most[i] >= a->shape[i])
            return false;
    cbi_view_normalize(result);
    return true;
}

/* Adds an axis within all that are there; to the last one, where both are one in either layout. */
static void add_axis(axes *a, int64_t shape, int64_t stride, int64_t target) {
    int last = a->rank - 1;
    if (last >= 0 && a->stride[last] == shape * stride && a->target[last] == shape * target) {
        a->shape[last] *= shape;
        a->stride[last] = stride;
        a->target[last] = target;
        return;
    }
    a->shape[a->rank] = shape;
    a->stride[a->rank] = stride;
    a->target[a->rank++] = target;
}

bool cbi_view_through(const cbi_view *view, int rank, const int64_t *shape, int64_t offset,
                      const int64_t *stride, cbi_view *result) {
    axes a = {.rank = 0};
    cbi_view whole = cbi_view_whole(rank, shape);
    if (cbi_view_count(view) == 0) {
        *result = cbi_view_run(0, 0);
        return true;
    }
    for (int i = 0; i < rank; i++)
        if (shape[i] > 1)
            add_axis(&a, shape[i], whole.stride[i], stride[i]);
    if (a.rank == 0) { /* one element */
        *result = *view;
        result->offset = offset;
        memset(result->stride, 0, sizeof(result->stride));
        cbi_view_normalize(result);
        return view->offset == 0;
    }
    return send(view, &a, 0, offset, result);
}

bool cbi_view_inside(const cbi_view *view, const cbi_view *place, cbi_view *result) {
    axes a = {.rank = 0};
    cbi_view whole = cbi_view_whole(place->rank, place->shape);
    for (int i = 0; i < place->rank; i++) {
        if (place->stride[i] < 0)
            return false;
        if (place->shape[i] > 1)
            add_axis(&a, place->shape[i], place->stride[i], whole.stride[i]);
    }
    if (cbi_view_count(view) == 0 || cbi_view_count(place) == 0)
        return false;
    if (a.rank == 0) {
        bool inside = view->offset == place->offset;
        for (int i = 0; i < view->rank; i++)
            inside = inside && (view->shape[i] == 1 || view->stride[i] == 0);
        *result = *view;
        result->offset = 0;
        return inside;
    }
    return send(view, &a, place->offset, 0, result);
}
