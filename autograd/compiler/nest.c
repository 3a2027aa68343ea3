/* Loops over the elements of a row. */
#include "autograd/compiler/nest.h"

#include <string.h>

/* Elements of an innermost loop that are worth a kernel's call of their own. */
enum { SHORTEST = 32 };

int cbi_base_value(const cbi_graph *graph, int value, cbi_view *view) {
    const cbi_value *v = &graph->values[value];
    *view = cbi_view_run(0, cbi_count_of(&v->type));
    if (v->kind != CBI_VIEW)
        return value;
    *view = v->view;
    return v->in[0];
}

bool cbi_view_strides(const cbi_view *view, int rank, const int64_t *shape, int64_t *strides) {
    int64_t inside = 1; /* elements of the axes to the right */
    for (int i = rank - 1; i >= 0; inside *= shape[i], i--) {
        /* The view's axis that a step of `inside` elements runs along, and all of this one. */
        int64_t right = 1;
        int axis = view->rank - 1;
        strides[i] = 0;
        if (shape[i] == 1)
            continue;
        while (axis >= 0 && right * view->shape[axis] <= inside)
            right *= view->shape[axis--];
        if (axis < 0 || inside % right != 0)
            return false;
        int64_t step = inside / right;
        strides[i] = step * view->stride[axis];
        /* This axis ends within the view's, or goes on along its neighbours as far as they join. */
        int64_t reach = view->shape[axis], wanted = shape[i] * step;
        if (view->shape[axis] % step != 0)
            return false;
        for (int k = axis - 1; reach < wanted && k >= 0 &&
                               view->stride[k] == view->stride[k + 1] * view->shape[k + 1];
             k--)
            reach *= view->shape[k];
        if (reach < wanted || reach % wanted != 0)
            return false;
    }
    return true;
}

bool cbi_strides_of(const cbi_graph *graph, int value, int rank, const int64_t *shape,
                    int64_t *strides) {
    cbi_view view;
    cbi_base_value(graph, value, &view);
    return cbi_view_strides(&view, rank, shape, strides);
}

/* Adds the edges of a view's axes, counted in elements from the right, to a sorted list. */
static bool add_edges(const cbi_view *view, int64_t *edges, int *count) {
    int64_t edge = 1;
    for (int i = view->rank - 1; i > 0; i--) {
        int at = 0;
        edge *= view->shape[i];
        while (at < *count && edges[at] < edge)
            at++;
        if (at < *count && edges[at] == edge)
            continue;
        if (*count == CB_MAX_RANK - 1)
            return false;
        memmove(edges + at + 1, edges + at, sizeof(*edges) * (size_t)(*count - at));
        edges[at] = edge;
        ++*count;
    }
    return true;
}

bool cbi_nest_of_views(int64_t count, int operands, const cbi_view *const *views, cbi_nest *nest) {
    int64_t edges[CB_MAX_RANK], inside = 1;
    int edge_count = 0;
    *nest = (cbi_nest){.rank = 1};
    if (count == 0)
        return true;
    for (int k = 0; k < operands; k++)
        if (views[k] != NULL && !add_edges(views[k], edges, &edge_count))
            return false;
    nest->rank = edge_count + 1;
    for (int i = edge_count; i >= 0; i--) {
        int64_t edge = i == 0 ? count : edges[edge_count - i];
        if (edge % inside != 0)
            return false;
        nest->extent[i] = edge / inside;
        inside = edge;
    }
    for (int k = 0; k < operands; k++)
        if (views[k] != NULL &&
            !cbi_view_strides(views[k], nest->rank, nest->extent, nest->stride[k]))
            return false;
    return true;
}

bool cbi_nest_of(const cbi_graph *graph, int64_t count, int operands, const int *in,
                 cbi_nest *nest) {
    cbi_view views[CBI_NEST_OPERANDS];
    const cbi_view *list[CBI_NEST_OPERANDS] = {NULL};
    for (int k = 0; k < operands; k++) {
        cbi_base_value(graph, in[k], &views[k]);
        list[k] = cbi_is_constant(graph, in[k]) ? NULL : &views[k];
    }
    return cbi_nest_of_views(count, operands, list, nest);
}

/* Whether a kernel can go along an operand's innermost loop. */
static bool is_inner_good(const cbi_nest *nest, int k) {
    int64_t stride = nest->stride[k][nest->rank - 1];
    return stride == 0 || stride == 1;
}

void cbi_nest_copies(const cbi_graph *graph, const cbi_value *value, bool *copied) {
    int64_t count = cbi_count_of(&value->type);
    cbi_nest nest;
    bool loops = cbi_nest_of(graph, count, value->count, value->in, &nest);
    bool is_short = loops && nest.rank > 1 && nest.extent[nest.rank - 1] < SHORTEST;
    for (int k = 0; k < value->count; k++) {
        cbi_view view;
        cbi_base_value(graph, value->in[k], &view);
        bool plain = cbi_is_constant(graph, value->in[k]) ||
                     (view.rank == 1 && (view.stride[0] == 1 || view.stride[0] == 0));
        copied[k] = !plain && (!loops || is_short || !is_inner_good(&nest, k));
    }
}
