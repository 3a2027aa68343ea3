/* Lowering products. Where the batch's axis is in the operands decides what a product is: rows
   times a matrix that all share, a small product within each row, or a sum over the rows, the
   gradient of a matrix. */
#include "autograd/compiler/lower_internal.h"
#include "autograd/compiler/nest.h"

#include <string.h>

/* A product's operand: the axes before the last two, and those two. */
typedef struct operand {
    cbi_layout map;
    bool rows;
    int batch; /* the batch's axis, counted from the last; 0: none */
} operand;

static const cbi_axis *from_last(const operand *o, int i) {
    return &o->map.axis[o->map.rank - i];
}

static bool read_operand(cbi_lowerer *l, int i, operand *o) {
    if (!cbi_layout_of(l, cbi_input_of(l, i), &o->map) || cbi_is_constant(l->graph, o->map.value))
        return false;
    o->rows = cbi_type_of(l, o->map.value)->rows;
    int batch = cbi_batch_axis(o->map.rank, o->map.axis);
    o->batch = batch >= 0 ? o->map.rank - batch : 0;
    return true;
}

/* Adds the axes before the last two, broadcast to the frame's; the batch's only where it is in
   parts. Returns the product of their extents, -1 when there are too many. */
static int64_t add_groups(cbi_view *view, const cbi_frame *frame, const operand *o) {
    int64_t groups = 1;
    for (int i = frame->rank; i > 2; i--) {
        cbi_axis axis = frame->axis[frame->rank - i];
        axis.stride = axis.major_stride = 0;
        if (i <= o->map.rank && (from_last(o, i)->batch || from_last(o, i)->extent != 1)) {
            axis.stride = from_last(o, i)->stride;
            axis.major_stride = from_last(o, i)->major_stride;
        }
        groups *= axis.major * axis.extent;
        if ((axis.major != 1 || axis.extent != 1) && !cbi_add_axis(view, &axis))
            return -1;
    }
    return groups;
}

static int64_t add_last(cbi_view *view, const operand *o, int i) {
    const cbi_axis *axis = from_last(o, i);
    if ((axis->major != 1 || axis->extent != 1) && !cbi_add_axis(view, axis))
        return -1;
    return axis->major * axis->extent;
}

/* An operand's elements as [groups, p, q], p and q being the axes so many from the last. */
static int arranged(cbi_lowerer *l, const cbi_frame *frame, const operand *o, int p, int q,
                    int64_t *groups, int64_t *p_extent, int64_t *q_extent) {
    cbi_view view = {.offset = o->map.offset};
    *groups = add_groups(&view, frame, o);
    *p_extent = add_last(&view, o, p);
    *q_extent = add_last(&view, o, q);
    if (*groups < 0 || *p_extent < 0 || *q_extent < 0)
        return -1;
    return cbi_view_of(l->graph, o->map.value, &view);
}

/* The matrices [groups, k, n] that an operand's elements are, k and n being the axes so many from
   the last. False when the operand is not captured, or they have no form. */
static bool matrix_of(cbi_lowerer *l, const cbi_frame *frame, const operand *o, int k, int n,
                      cbi_weight *weight) {
    int64_t groups, rows, columns;
    cbi_view view;
    int value = arranged(l, frame, o, k, n, &groups, &rows, &columns);
    if (value < 0)
        return false;
    const int64_t shape[3] = {groups, rows, columns};
    const cbi_value *base = &l->graph->values[cbi_base_value(l->graph, value, &view)];
    *weight = (cbi_weight){
        .captured = base->index, .rows = rows, .columns = columns, .offset = view.offset};
    return base->kind == CBI_CAPTURED && cbi_view_strides(&view, 3, shape, weight->stride);
}

/* y with its last two axes exchanged: [groups, n, m] as [groups, m, n]. */
static int exchanged(cbi_lowerer *l, int value, int64_t groups, int64_t m, int64_t n) {
    cbi_view view = {.rank = 3, .shape = {groups, m, n}, .stride = {m * n, 1, m}};
    return value < 0 ? -1 : cbi_view_of(l->graph, value, &view);
}

/* Rows times a matrix that all rows share. Where the rows are the right operand, Y' = B' A'. */
static bool lower_product(cbi_lowerer *l, const cbi_frame *frame, const operand *rows,
                          const operand *matrix, bool swapped) {
    int64_t groups, m, k;
    cbi_weight block;
    if (!matrix_of(l, frame, matrix, swapped ? 1 : 2, swapped ? 2 : 1, &block))
        return false;
    int left = arranged(l, frame, rows, swapped ? 1 : 2, swapped ? 2 : 1, &groups, &m, &k);
    int64_t n = block.columns, all = groups;
    if (left < 0 || k != block.rows)
        return false;
    if (block.stride[0] == 0) { /* one matrix for all groups */
        m *= groups;
        groups = 1;
    }
    cbi_value v = {.kind = CBI_PRODUCT,
                   .type = {.dtype = cbi_type_of(l, left)->dtype, .rows = true},
                   .count = 1,
                   .in = &left,
                   .groups = groups,
                   .m = m,
                   .k = k,
                   .weights = {1, 1, &block}};
    int64_t extents[3] = {groups, m, n};
    for (int i = 0; i < 3; i++)
        if (extents[i] != 1 || i == 2)
            v.type.shape[v.type.rank++] = extents[i];
    int value = cbi_graph_add(l->graph, &v);
    if (swapped && value >= 0 && !cbi_is_constant(l->graph, value))
        value = exchanged(l, value, all, n, m * groups / all);
    return cbi_set_value(l, value, frame);
}

/* A product within each row. */
static bool lower_contraction(cbi_lowerer *l, const cbi_frame *frame, const operand *a,
                              const operand *b) {
    int64_t groups, m, k, n, same_groups, same_k;
    int in[2] = {arranged(l, frame, a, 2, 1, &groups, &m, &k),
                 arranged(l, frame, b, 2, 1, &same_groups, &same_k, &n)};
    if (in[0] < 0 || in[1] < 0 || groups != same_groups || k != same_k)
        return false;
    cbi_value v = {.kind = CBI_CONTRACT,
                   .type = {.dtype = cbi_type_of(l, in[0])->dtype,
                            .rows = true,
                            .rank = 3,
                            .shape = {groups, m, n}},
                   .count = 2,
                   .in = in,
                   .groups = groups,
                   .m = m,
                   .k = k};
    return cbi_set_value(l, cbi_graph_add(l->graph, &v), frame);
}

/* A sum over the rows. */
static bool lower_batch_product(cbi_lowerer *l, const cbi_frame *frame, const operand *a,
                                const operand *b) {
    int64_t groups, m, k, n, same_groups, same_k;
    const cbi_axis *left = from_last(a, 1), *right = from_last(b, 2);
    int in[2] = {arranged(l, frame, a, 1, 2, &groups, &k, &m),
                 arranged(l, frame, b, 2, 1, &same_groups, &same_k, &n)};
    if (in[0] < 0 || in[1] < 0 || groups != same_groups || left->major != right->major ||
        left->extent != right->extent)
        return false;
    cbi_value v = {
        .kind = CBI_BATCH_PRODUCT,
        .type = {.dtype = cbi_type_of(l, in[0])->dtype, .rank = 3, .shape = {groups, m, n}},
        .count = 2,
        .in = in,
        .groups = groups,
        .m = m,
        .k = k};
    return cbi_set_deferred(l, cbi_graph_add(l->graph, &v));
}

/* Fixes how the batch's axis of the frame lies; false when the operand's is elsewhere. */
static bool agree(cbi_frame *frame, const operand *o) {
    int axis = frame->rank - o->batch;
    return o->batch > 0 && axis >= 0 && frame->axis[axis].batch &&
           cbi_frame_agree(frame, axis, from_last(o, o->batch));
}

/* A product with an operand of one number everywhere: only 0 has one that is so, too. */
static bool lower_zero(cbi_lowerer *l) {
    for (int i = 0; i < 2; i++) {
        cbi_layout map;
        if (cbi_layout_of(l, cbi_input_of(l, i), &map) && cbi_is_constant(l->graph, map.value) &&
            l->graph->values[map.value].parameters[0] == 0)
            return cbi_lower_constant(l, 0);
    }
    return false;
}

bool cbi_lower_matmul(cbi_lowerer *l) {
    operand a, b;
    cbi_frame frame;
    if (lower_zero(l))
        return true;
    if (!cbi_frame_of(l, l->node, &frame) || !read_operand(l, 0, &a) || !read_operand(l, 1, &b))
        return false;
    if (a.rows && b.rows && a.batch == 1 && b.batch == 2)
        return lower_batch_product(l, &frame, &a, &b);
    if (a.rows && b.rows)
        return a.batch > 2 && a.batch == b.batch && agree(&frame, &a) && agree(&frame, &b) &&
               lower_contraction(l, &frame, &a, &b);
    if (!a.rows && !b.rows)
        return false;
    const operand *rows = a.rows ? &a : &b, *other = a.rows ? &b : &a;
    /* Rows may be what is multiplied, or what there are many of: not what is summed over. */
    if (rows->batch == (a.rows ? 1 : 2) || (other->batch > 0 && other->batch <= 2) ||
        !agree(&frame, rows))
        return false;
    return lower_product(l, &frame, rows, other, !a.rows) || lower_contraction(l, &frame, &a, &b);
}
