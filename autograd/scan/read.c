/* Reading a trace into a graph, op by op. What an op means for a row of the batch decides its kind
   of value; ops that mix rows, or that have no meaning row by row, are refused with their name. */
#include "autograd/axes.h"
#include "autograd/op_list.h"
#include "autograd/op_options.h"
#include "autograd/scan/graph.h"
#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

static int refuse(cbi_graph *graph, const char *op, const char *why) {
    if (graph->reason[0] == '\0')
        snprintf(graph->reason, sizeof(graph->reason), "%s: %s", op, why);
    return -1;
}

static bool has_rows(const cbi_graph *graph, const cb_tensor *t) {
    return t->rank >= 1 && t->rank <= 2 && t->shape[0] == graph->batch &&
           (t->rank == 1 || t->shape[1] != graph->batch);
}

static int64_t columns_of(const cbi_graph *graph, const cb_tensor *t) {
    return has_rows(graph, t) ? (t->rank == 2 ? t->shape[1] : 1) : cb_tensor_count(t);
}

static int read_import(cbi_graph *graph, cb_tensor *t) {
    return cbi_graph_import(graph, t, has_rows(graph, t), columns_of(graph, t));
}

static int read_leaf(cbi_graph *graph, cb_tensor *t) {
    for (int i = 0; i < graph->state_count; i++) {
        if (t == graph->state[i] || t == graph->seed[i])
            return cbi_graph_add(graph,
                                 (cbi_value){.kind = t == graph->state[i] ? CBI_STATE : CBI_SEED,
                                             .rows = true,
                                             .columns = graph->state_size[i],
                                             .index = i});
    }
    if (t->node->filled)
        return cbi_graph_add(
            graph, (cbi_value){.kind = CBI_CONSTANT, .columns = 1, .parameters = {t->node->fill}});
    return read_import(graph, t);
}

/* A tensor's value may be its one column where all its columns are the same (cb_expand), which is
   all that elementwise ops need. */
static int read_narrow(cbi_graph *graph, cb_tensor *traced);

/* The same with all columns: 1 times the one that there is. */
static int widened(cbi_graph *graph, int value, int64_t columns) {
    if (value < 0 || !graph->values[value].rows || graph->values[value].columns == columns)
        return value;
    int in[2] = {
        value,
        cbi_graph_add(graph, (cbi_value){.kind = CBI_CONSTANT, .columns = 1, .parameters = {1}})};
    return cbi_graph_add(graph, (cbi_value){.kind = CBI_ELEMENTWISE,
                                            .rows = true,
                                            .columns = columns,
                                            .count = 2,
                                            .in = in,
                                            .op = &cb_mul_op});
}

/* ---- Joins ----------------------------------------------------------------------------------- */

/* Columns [start, start + columns) of a value. */
static int part_of(cbi_graph *graph, int value, int64_t start, int64_t columns) {
    bool rows = graph->values[value].rows;
    return cbi_graph_add(graph, (cbi_value){.kind = CBI_PART,
                                            .rows = rows,
                                            .columns = columns,
                                            .count = 1,
                                            .in = &value,
                                            .start = start});
}

static int zeros(cbi_graph *graph, int64_t columns) {
    return cbi_graph_add(graph, (cbi_value){.kind = CBI_CONSTANT, .columns = columns});
}

static bool is_constant(const cbi_graph *graph, int value) {
    return value >= 0 && graph->values[value].kind == CBI_CONSTANT;
}

/* A constant as wide as the piece of a join that it is. */
static int wide_constant(cbi_graph *graph, int value, int64_t columns) {
    cbi_value wide = graph->values[value];
    wide.columns = columns;
    return cbi_graph_add(graph, wide);
}

enum { MOST_PIECES = 64 };

static int join(cbi_graph *graph, int count, int *pieces) {
    cbi_value v = {.kind = CBI_JOIN, .rows = true, .in = pieces};
    for (int k = 0; k < count; k++) {
        if (pieces[k] < 0)
            return -1;
        if (graph->values[pieces[k]].columns == 0)
            continue;
        pieces[v.count++] = pieces[k];
        v.columns += graph->values[pieces[k]].columns;
    }
    return cbi_graph_add(graph, v);
}

/* The sum of two values of which one at least is a join: a join of sums, piece by piece. */
static int add_joins(cbi_graph *graph, int a, int b) {
    int pieces[MOST_PIECES], count = 0;
    int64_t total = graph->values[a].columns;
    for (int64_t at = 0; at < total;) {
        /* The next boundary of either. */
        int64_t end = total;
        for (int side = 0; side < 2; side++) {
            const cbi_value *v = &graph->values[side == 0 ? a : b];
            int64_t edge = 0;
            for (int k = 0; v->kind == CBI_JOIN && k < v->count && edge <= at; k++)
                edge += graph->values[v->in[k]].columns;
            if (edge > at && edge < end)
                end = edge;
        }
        if (count == MOST_PIECES)
            return refuse(graph, "add", "more than 64 pieces side by side");
        int in[2] = {part_of(graph, a, at, end - at), part_of(graph, b, at, end - at)};
        if (in[0] < 0 || in[1] < 0)
            return -1;
        int piece = cbi_graph_add(graph, (cbi_value){.kind = CBI_ELEMENTWISE,
                                                     .rows = true,
                                                     .columns = end - at,
                                                     .count = 2,
                                                     .in = in,
                                                     .op = &cb_add_op});
        pieces[count++] = is_constant(graph, piece) ? wide_constant(graph, piece, end - at) : piece;
        at = end;
    }
    return join(graph, count, pieces);
}

static int read_concat(cbi_graph *graph, cb_node *node) {
    int pieces[MOST_PIECES];
    if (!has_rows(graph, &node->tensor) || *(const int *)node->options != 1 ||
        node->count > MOST_PIECES)
        return refuse(graph, "concat", "only columns are joined, 64 pieces at most");
    for (int k = 0; k < node->count; k++) {
        pieces[k] = cbi_graph_read(graph, node->in[k]);
        if (is_constant(graph, pieces[k]))
            pieces[k] = wide_constant(graph, pieces[k], node->in[k]->shape[1]);
    }
    return join(graph, node->count, pieces);
}

static int read_place(cbi_graph *graph, cb_node *node) {
    const cbi_slice_options *options = node->options;
    if (!has_rows(graph, &node->tensor) || options->axis != 1 || options->step != 1)
        return refuse(graph, "slice", "only runs of columns");
    int value = cbi_graph_read(graph, node->in[0]);
    if (is_constant(graph, value))
        value = wide_constant(graph, value, options->count);
    int64_t after = options->extent - options->start - options->count;
    int pieces[3] = {zeros(graph, options->start), value, zeros(graph, after)};
    return join(graph, 3, pieces);
}

static int read_slice(cbi_graph *graph, cb_node *node) {
    const cbi_slice_options *options = node->options;
    if (!has_rows(graph, &node->tensor) || options->axis != 1 || options->step != 1)
        return refuse(graph, "slice", "only runs of columns");
    int value = cbi_graph_read(graph, node->in[0]);
    return value < 0 ? -1 : part_of(graph, value, options->start, options->count);
}

/* ---- Products and sums ----------------------------------------------------------------------- */

/* A product or a sum over the batch of a constant: only 0 has one that needs no batch. */
static int of_constant(cbi_graph *graph, const char *op, int value) {
    return graph->values[value].parameters[0] == 0
               ? value
               : refuse(graph, op, "of the same number in rows");
}

/* What is below a chain of transposes, and whether their number is odd. */
static cb_tensor *below_transposes(cb_tensor *t, bool *transposed) {
    *transposed = false;
    while (t->node->op == &cbi_permute_op && t->rank == 2) {
        const int *axes = t->node->options;
        *transposed = *transposed != (axes[0] == 1);
        t = t->node->in[0];
    }
    return t;
}

static int read_matmul(cbi_graph *graph, cb_node *node) {
    bool left_transposed, right_transposed;
    cb_tensor *left = below_transposes(node->in[0], &left_transposed);
    cb_tensor *right = below_transposes(node->in[1], &right_transposed);
    bool left_rows = left->rank == 2 && has_rows(graph, left),
         right_rows = right->rank == 2 && has_rows(graph, right);
    if (left_rows && right_rows && left_transposed && !right_transposed) {
        int in[2] = {cbi_graph_read(graph, left), cbi_graph_read(graph, right)};
        for (int k = 0; k < 2; k++)
            if (is_constant(graph, in[k]))
                return of_constant(graph, "matmul", in[k]);
        return in[0] < 0 || in[1] < 0
                   ? -1
                   : cbi_graph_add(graph, (cbi_value){.kind = CBI_BATCH_PRODUCT,
                                                      .columns = left->shape[1] * right->shape[1],
                                                      .count = 2,
                                                      .in = in});
    }
    if (left_rows && !left_transposed && !right_rows &&
        !cbi_follows_state(graph, node->in[1]->node) && node->in[1]->rank == 2) {
        int in[2] = {cbi_graph_read(graph, left), cbi_graph_read(graph, node->in[1])};
        if (is_constant(graph, in[0]))
            return of_constant(graph, "matmul", in[0]);
        return in[0] < 0 || in[1] < 0
                   ? -1
                   : cbi_graph_add(graph, (cbi_value){.kind = CBI_PRODUCT,
                                                      .rows = true,
                                                      .columns = node->in[1]->shape[1],
                                                      .count = 2,
                                                      .in = in,
                                                      .across = 1});
    }
    return refuse(graph, "matmul", "only rows of the batch times weights");
}

/* A transposed product over the batch is the product with its operands exchanged. */
static int read_permute(cbi_graph *graph, cb_node *node) {
    bool transposed;
    if (node->tensor.rank != 2)
        return refuse(graph, "permute", "only matrices are transposed");
    cb_tensor *below = below_transposes(&node->tensor, &transposed);
    int value = cbi_graph_read(graph, below);
    if (value < 0 || !transposed || is_constant(graph, value))
        return value;
    if (graph->values[value].kind != CBI_BATCH_PRODUCT)
        return refuse(graph, "permute", "a batch cannot be transposed");
    int in[2] = {graph->values[value].in[1], graph->values[value].in[0]};
    return cbi_graph_add(graph, (cbi_value){.kind = CBI_BATCH_PRODUCT,
                                            .columns = graph->values[value].columns,
                                            .count = 2,
                                            .in = in});
}

static int read_reduction(cbi_graph *graph, cb_node *node) {
    const cbi_axes *axes = node->options;
    cb_tensor *x = node->in[0];
    int value = cbi_graph_read(graph, x);
    bool over_rows = axes->in[0], over_columns = x->rank == 2 && axes->in[1];
    cbi_kind kind = node->op == &cbi_sum_op   ? CBI_ROW_SUM
                    : node->op == &cbi_max_op ? CBI_ROW_MAX
                                              : CBI_ROW_MIN;
    if (value < 0)
        return -1;
    if (!has_rows(graph, x) || (over_rows && kind != CBI_ROW_SUM))
        return refuse(graph, node->op->name, "only over the columns of rows");
    if (is_constant(graph, value)) {
        cbi_value constant = {.kind = CBI_CONSTANT, .columns = 1};
        constant.parameters[0] = graph->values[value].parameters[0];
        if (over_columns && kind == CBI_ROW_SUM)
            constant.parameters[0] *= (double)columns_of(graph, x);
        value = cbi_graph_add(graph, constant);
        return over_rows && value >= 0 ? of_constant(graph, "sum", value) : value;
    }
    if (over_columns)
        value = cbi_graph_add(
            graph, (cbi_value){.kind = kind, .rows = true, .columns = 1, .count = 1, .in = &value});
    if (over_rows && value >= 0) {
        int64_t columns = over_columns ? 1 : columns_of(graph, x);
        value = cbi_graph_add(
            graph,
            (cbi_value){.kind = CBI_BATCH_SUM, .columns = columns, .count = 1, .in = &value});
    }
    return value;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool is_batch_sum(const cbi_value *v) {
    return v->kind == CBI_BATCH_PRODUCT || v->kind == CBI_BATCH_SUM;
}

#define BATCH_SUM_USED "it is applied to a sum over the batch; sequences are computed apart"

static int read_elementwise(cbi_graph *graph, cb_node *node) {
    int in[CBI_MAP_INPUTS];
    cbi_value v = {.kind = CBI_ELEMENTWISE,
                   .rows = true,
                   .columns = columns_of(graph, &node->tensor),
                   .count = node->count,
                   .in = in,
                   .op = cbi_elementwise_of(node->op)};
    if (!has_rows(graph, &node->tensor))
        return refuse(graph, node->op->name, BATCH_SUM_USED);
    for (int k = 0; k < node->count; k++) {
        in[k] = read_narrow(graph, node->in[k]);
        if (in[k] < 0)
            return -1;
        if (is_batch_sum(&graph->values[in[k]]))
            return refuse(graph, node->op->name, BATCH_SUM_USED);
    }
    if (node->op->options_size > 0)
        memcpy(v.parameters, node->options, node->op->options_size);
    bool joined = graph->values[in[0]].kind == CBI_JOIN ||
                  (node->count == 2 && graph->values[in[1]].kind == CBI_JOIN);
    if (v.op == &cb_add_op && joined && graph->values[in[0]].columns == v.columns &&
        graph->values[in[1]].columns == v.columns)
        return add_joins(graph, in[0], in[1]);
    return cbi_graph_add(graph, v);
}

/* Views that leave rows and columns, or a sum's elements, in their order: nothing to do. */
static int read_same(cbi_graph *graph, cb_node *node) {
    int value = read_narrow(graph, node->in[0]);
    bool rows = has_rows(graph, &node->tensor), was_rows = has_rows(graph, node->in[0]);
    if (value >= 0 && rows != was_rows)
        return refuse(graph, node->op->name, "the batch must stay the first axis");
    return value;
}

static int read_op(cbi_graph *graph, cb_node *node) {
    const cb_op *op = node->op;
    if (cbi_is_elementwise(op))
        return read_elementwise(graph, node);
    if (op == &cbi_matmul_op)
        return read_matmul(graph, node);
    if (op == &cbi_permute_op)
        return read_permute(graph, node);
    if (op == &cbi_slice_op)
        return read_slice(graph, node);
    if (op == &cbi_place_op)
        return read_place(graph, node);
    if (op == &cbi_concat_op)
        return read_concat(graph, node);
    if (op == &cbi_sum_op || op == &cbi_max_op || op == &cbi_min_op)
        return read_reduction(graph, node);
    if (op == &cbi_reshape_op || op == &cbi_expand_op || op == &cbi_squeeze_op ||
        op == &cbi_unsqueeze_op || op == &cbi_contiguous_op || op == &cbi_stop_gradient_op)
        return read_same(graph, node);
    return refuse(graph, op->name, "the compiler does not know this op");
}

static int read_narrow(cbi_graph *graph, cb_tensor *traced) {
    cb_node *node = traced->node;
    if (node->value == 0) {
        int value = node->op == NULL                  ? read_leaf(graph, traced)
                    : !cbi_follows_state(graph, node) ? read_import(graph, traced)
                                                      : read_op(graph, node);
        if (value < 0)
            return -1;
        node->value = value + 1;
    }
    return node->value - 1;
}

int cbi_graph_read(cbi_graph *graph, cb_tensor *traced) {
    return widened(graph, read_narrow(graph, traced), columns_of(graph, traced));
}

bool cbi_graph_read_sum(cbi_graph *graph, cb_tensor *traced, int import) {
    /* Gradients that are summed over the batch are added outside of the recurrence. */
    if (!graph->imports[import].rows && traced->node->op == &cb_add_op.op)
        return cbi_graph_read_sum(graph, traced->node->in[0], import) &&
               cbi_graph_read_sum(graph, traced->node->in[1], import);
    int value = cbi_graph_read(graph, traced);
    if (value < 0)
        return false;
    if (is_constant(graph, value)) /* every gradient is a multiple of a seed: of this one 0 */
        return true;
    /* Only now: reading may have found more imports and moved them. */
    cbi_import *target = &graph->imports[import];
    int *gradients = cbi_allocate(sizeof(int) * (size_t)(target->gradient_count + 1));
    if (gradients == NULL)
        return false;
    if (target->gradient_count > 0)
        memcpy(gradients, target->gradients, sizeof(int) * (size_t)target->gradient_count);
    gradients[target->gradient_count++] = value;
    cbi_free(target->gradients);
    target->gradients = gradients;
    return true;
}
