/* What a step's graph imports: computed on the tape, over all time steps at once, by applying the
   traced ops again; their gradient is the tape's business.

   That is only right for ops that treat each row of the batch by itself, whatever the number of
   rows. Here is also the check that they do: a step that sums over the batch, draws random numbers
   or reads a tensor that is not among its weights is refused. */
#include "autograd/axes.h"
#include "autograd/op_list.h"
#include "autograd/op_options.h"
#include "autograd/scan/scan_internal.h"
#include "autograd/tape_internal.h"

#include <cerebra/ops.h>
#include <stddef.h>
#include <stdio.h>

enum { MOST_INPUTS = 64, MOST_NODES = 512 };

/* ---- What can be computed outside of the recurrence ------------------------------------------ */

/* Whether the batch is one of a tensor's extents. */
static bool has_batch(const cbi_graph *graph, const cb_tensor *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] == graph->batch)
            return true;
    return false;
}

/* Whether the batch is the first axis of a tensor and no other. */
static bool batch_is_first(const cbi_graph *graph, const cb_tensor *t) {
    for (int i = 1; i < t->rank; i++)
        if (t->shape[i] == graph->batch)
            return false;
    return t->rank > 0 && t->shape[0] == graph->batch;
}

/* Whether an op computes each row of its result from the same row of its inputs. */
static bool is_row_by_row(const cbi_graph *graph, const cb_node *node) {
    const cb_op *op = node->op;
    const cb_tensor *first = node->in[0];
    if (cbi_is_elementwise(op))
        return true;
    if (op == &cbi_matmul_op)
        return batch_is_first(graph, first) && first->rank >= 2 && !has_batch(graph, node->in[1]);
    if (op == &cbi_sum_op || op == &cbi_max_op || op == &cbi_min_op)
        return !((const cbi_axes *)node->options)->in[0];
    if (op == &cbi_permute_op)
        return ((const int *)node->options)[0] == 0;
    if (op == &cbi_slice_op)
        return ((const cbi_slice_options *)node->options)->axis != 0;
    if (op == &cbi_concat_op)
        return *(const int *)node->options != 0;
    if (op == &cbi_expand_op)
        return batch_is_first(graph, first) || !has_batch(graph, first);
    return op == &cbi_reshape_op || op == &cbi_squeeze_op || op == &cbi_unsqueeze_op ||
           op == &cbi_contiguous_op || op == &cbi_cast_op || op == &cbi_stop_gradient_op;
}

static bool refuse(cbi_graph *graph, const char *op, const char *why) {
    snprintf(graph->reason, sizeof(graph->reason), "%s: %s", op, why);
    return false;
}

static bool is_given(const cbi_graph *graph, const cb_node *node) {
    bool given = node->filled || node == graph->x->node;
    for (int i = 0; i < graph->weight_count && !given; i++)
        given = graph->weights[i] != NULL && graph->weights[i]->node == node;
    return given;
}

static bool check(cbi_graph *graph, cb_node *node, int *count) {
    if (node->checked)
        return true;
    node->checked = true;
    if (++*count > MOST_NODES)
        return refuse(graph, "step", "more than 512 ops do not depend on a state");
    if (node->op == NULL)
        return is_given(graph, node) ||
               refuse(graph, "input", "the step uses a tensor that is not among its weights");
    if (node->op == &cbi_dropout_op)
        return refuse(graph, "dropout", "random numbers must differ from run to run");
    bool batch = has_batch(graph, &node->tensor),
         in_order = !batch || batch_is_first(graph, &node->tensor);
    for (int i = 0; i < node->count; i++) {
        if (!check(graph, node->in[i]->node, count))
            return false;
        batch = batch || has_batch(graph, node->in[i]);
        in_order =
            in_order && (!has_batch(graph, node->in[i]) || batch_is_first(graph, node->in[i]));
    }
    if (batch &&
        (!in_order || !batch_is_first(graph, &node->tensor) || !is_row_by_row(graph, node)))
        return refuse(graph, node->op->name, "it does not treat each sequence by itself");
    return (node->count <= MOST_INPUTS && node->op->options_size <= CBI_GRAPH_OPTIONS) ||
           refuse(graph, node->op->name, "it has too many inputs");
}

bool cbi_imports_check(cbi_graph *graph) {
    int count = 0;
    for (int i = 0; i < graph->import_count; i++)
        if (!check(graph, graph->imports[i].traced->node, &count))
            return false;
    return true;
}

/* ---- Computing it ---------------------------------------------------------------------------- */

/* Traced tensors and what stands for them on the tape. */
typedef struct replay {
    const cbi_graph *graph;
    cb_tape *tape;
    cb_tensor *const *weights;
    cb_tensor *x; /* [rows, input] */
    int count;
    struct {
        const cb_node *traced;
        cb_tensor *made;
    } done[MOST_NODES];
} replay;

/* What is given in the place of a leaf of the trace; NULL when it is filled with a number. */
static cb_tensor *given(const replay *r, const cb_tensor *traced) {
    for (int i = 0; i < r->graph->weight_count; i++)
        if (r->graph->weights[i] == traced)
            return r->weights[i];
    return traced == r->graph->x ? r->x : NULL;
}

static cb_tensor *make(replay *r, cb_tensor *traced) {
    cb_node *node = traced->node;
    _Alignas(max_align_t) char options[CBI_GRAPH_OPTIONS];
    int64_t shape[CB_MAX_RANK];
    cb_tensor *in[MOST_INPUTS], *made;
    for (int i = 0; i < r->count; i++)
        if (r->done[i].traced == node)
            return r->done[i].made;
    cb_tensor *leaf = given(r, traced);
    if (leaf != NULL) {
        /* With the strides that it had in the trace: there, the step has left out copies that a
           reshape, and other ops that go through elements in order, need of any others. */
        made = cb_contiguous(leaf);
    } else if (node->op == NULL) {
        for (int i = 0; i < traced->rank; i++)
            shape[i] = traced->shape[i] == r->graph->batch ? r->x->shape[0] : traced->shape[i];
        made = cb_full(r->tape, traced->dtype, traced->rank, shape, node->fill);
    } else {
        for (int i = 0; i < node->count; i++)
            in[i] = make(r, node->in[i]);
        if (node->op->options_size > 0)
            cbi_fit_options(r->graph, node, r->x->shape[0], options);
        made = cb_apply(node->op, node->count, in, options);
    }
    r->done[r->count].traced = node;
    r->done[r->count++].made = made;
    return made;
}

void cbi_imports_make(const cbi_graph *graph, cb_tensor *const *weights, cb_tensor *x,
                      cb_tensor **made) {
    replay r = {.graph = graph, .tape = cb_tape_of(x), .weights = weights, .x = x};
    for (int i = 0; i < graph->import_count; i++) {
        made[i] = make(&r, graph->imports[i].traced);
        /* The recurrence reads rows and vectors, of one row too, in order; matrices are packed from
           any strides. */
        if (graph->imports[i].rows || made[i]->rank < 2 || made[i]->shape[0] == 1)
            made[i] = cb_contiguous(made[i]);
    }
}
