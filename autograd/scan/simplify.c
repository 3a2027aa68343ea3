/* Simplifying: values that need not be computed.

   While a graph is built, constants fold, sums with 0 and products with 0 and 1 are their other
   operand, and parts look through parts and joins to what they are parts of.

   A pass that changes a graph rewrites it: it goes through the old values in order and says for
   each what takes its place, and the new values are built by the same means, so that they simplify
   in turn. Only values that something follows from are rewritten: the others are dead, and with
   them imports that nothing uses any more. */
#include "autograd/scan/graph.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <string.h>

static bool is_constant(const cbi_graph *graph, int value, double number) {
    return graph->values[value].kind == CBI_CONSTANT &&
           graph->values[value].parameters[0] == number;
}

/* Whether an input can stand for a result of these columns and rows. */
static bool stands_for(const cbi_graph *graph, int input, const cbi_value *result) {
    return graph->values[input].columns == result->columns &&
           graph->values[input].rows == result->rows;
}

/* A constant in the place of a value: as wide as that, for it may be a piece of a join. */
static int constant_like(cbi_graph *graph, const cbi_value *v, double number) {
    return cbi_graph_add(
        graph, (cbi_value){.kind = CBI_CONSTANT, .columns = v->columns, .parameters = {number}});
}

/* The value that an elementwise one reduces to, or -1 when it does not. */
static int simplify_elementwise(cbi_graph *graph, const cbi_value *v) {
    const cbi_elementwise *op = v->op;
    if (op == &cb_full_like_op)
        return constant_like(graph, v, v->parameters[0]);
    if ((op == &cb_scale_op && v->parameters[0] == 1) ||
        (op == &cb_shift_op && v->parameters[0] == 0))
        return v->in[0];
    for (int k = 0; k < 2 && v->count == 2; k++) {
        int other = v->in[1 - k];
        if (op == &cb_mul_op && is_constant(graph, v->in[k], 0))
            return constant_like(graph, v, graph->values[v->in[k]].parameters[0]);
        if (stands_for(graph, other, v) && ((op == &cb_mul_op && is_constant(graph, v->in[k], 1)) ||
                                            (op == &cb_add_op && is_constant(graph, v->in[k], 0))))
            return other;
    }
    for (int k = 0; k < v->count; k++)
        if (graph->values[v->in[k]].kind != CBI_CONSTANT)
            return -1;
    /* All operands are constants: compute the one element here. */
    double operands[3], result;
    const void *in[3];
    for (int k = 0; k < v->count; k++) {
        operands[k] = graph->values[v->in[k]].parameters[0];
        in[k] = &operands[k];
    }
    cbi_run_kernel(op->kernels[CB_F64], 1, &result, v->count, in, v->parameters);
    return constant_like(graph, v, result);
}

/* The value that a part reduces to, or -1. */
static int simplify_part(cbi_graph *graph, const cbi_value *v) {
    const cbi_value *whole = &graph->values[v->in[0]];
    if (v->start == 0 && v->columns == whole->columns)
        return v->in[0];
    if (whole->kind == CBI_CONSTANT)
        return constant_like(graph, v, whole->parameters[0]);
    if (whole->kind == CBI_PART) {
        cbi_value part = *v;
        part.start += whole->start;
        part.in = whole->in;
        return cbi_graph_add(graph, part);
    }
    int64_t at = 0;
    for (int k = 0; whole->kind == CBI_JOIN && k < whole->count; k++) {
        int64_t columns = graph->values[whole->in[k]].columns;
        if (v->start >= at && v->start + v->columns <= at + columns) {
            cbi_value part = *v;
            int input = whole->in[k];
            part.start -= at;
            part.in = &input;
            return cbi_graph_add(graph, part);
        }
        at += columns;
    }
    return -1;
}

/* The value that a reduction over columns reduces to, or -1. */
static int simplify_reduction(cbi_graph *graph, const cbi_value *v) {
    const cbi_value *in = &graph->values[v->in[0]];
    if (in->kind != CBI_CONSTANT)
        return -1;
    double count = v->kind == CBI_ROW_SUM ? (double)in->columns : 1;
    return constant_like(graph, v, count * in->parameters[0]);
}

/* The value that a product or a sum over the batch reduces to, or -1: that of 0, or of no columns,
   is 0. */
static int simplify_product(cbi_graph *graph, const cbi_value *v) {
    bool zero = is_constant(graph, v->in[0], 0) || graph->values[v->in[0]].columns == 0 ||
                v->columns == 0 ||
                (v->kind == CBI_BATCH_PRODUCT && is_constant(graph, v->in[1], 0));
    return zero ? constant_like(graph, v, 0) : -1;
}

int cbi_graph_simpler(cbi_graph *graph, const cbi_value *v) {
    switch (v->kind) {
    case CBI_ELEMENTWISE:
        return simplify_elementwise(graph, v);
    case CBI_PRODUCT:
    case CBI_BATCH_PRODUCT:
    case CBI_BATCH_SUM:
        return simplify_product(graph, v);
    case CBI_ROW_SUM:
    case CBI_ROW_MAX:
    case CBI_ROW_MIN:
        return simplify_reduction(graph, v);
    case CBI_PART:
        return simplify_part(graph, v);
    case CBI_JOIN:
        return v->count == 1 ? v->in[0] : -1;
    default:
        return -1;
    }
}

/* ---- Rewriting ------------------------------------------------------------------------------- */

/* Calls use on the number of each value that the graph gives out. */
static void for_results(cbi_graph *graph, void (*use)(void *context, int *value), void *context) {
    for (int i = 0; i < graph->state_count; i++) {
        use(context, &graph->next[i]);
        if (graph->state_gradient[i] >= 0)
            use(context, &graph->state_gradient[i]);
    }
    for (int i = 0; i < graph->import_count; i++)
        for (int k = 0; k < graph->imports[i].gradient_count; k++)
            use(context, &graph->imports[i].gradients[k]);
}

static void count_use(void *context, int *value) {
    int *uses = context;
    uses[*value]++;
}

void cbi_graph_count_uses(cbi_graph *graph, int *uses) {
    memset(uses, 0, sizeof(*uses) * (size_t)graph->value_count);
    for_results(graph, count_use, uses);
    for (int v = graph->value_count - 1; v >= 0; v--)
        for (int k = 0; uses[v] > 0 && k < graph->values[v].count; k++)
            uses[graph->values[v].in[k]]++;
}

static void renumber(void *context, int *value) {
    const int *number = context;
    *value = number[*value];
}

int cbi_rewrite_copy(cbi_rewrite *rewrite, int old) {
    cbi_value value = rewrite->old[old];
    int in[CBI_GRAPH_INPUTS];
    for (int k = 0; k < value.count; k++)
        in[k] = rewrite->number[value.in[k]];
    value.in = in;
    return cbi_graph_add(rewrite->graph, value);
}

/* Leaves out the gradients of imports that have turned out to be 0, as all constants among them
   are: every gradient is a multiple of a seed. */
static void drop_zero_gradients(cbi_graph *graph) {
    for (int i = 0; i < graph->import_count; i++) {
        cbi_import *import = &graph->imports[i];
        int kept = 0;
        for (int k = 0; k < import->gradient_count; k++)
            if (graph->values[import->gradients[k]].kind != CBI_CONSTANT)
                import->gradients[kept++] = import->gradients[k];
        import->gradient_count = kept;
    }
}

/* Leaves out the imports that no value reads. */
static void drop_imports(cbi_graph *graph) {
    int kept = 0;
    for (int i = 0; i < graph->import_count; i++) {
        int used = -1;
        for (int v = 0; v < graph->value_count && used < 0; v++)
            if (graph->values[v].kind == CBI_IMPORT && graph->values[v].index == i)
                used = v;
        if (used < 0 && graph->imports[i].gradient_count == 0)
            continue;
        if (used >= 0)
            graph->values[used].index = kept;
        graph->imports[kept++] = graph->imports[i];
    }
    graph->import_count = kept;
}

bool cbi_graph_rewrite(cbi_graph *graph, cbi_replace *replace, void *context) {
    int count = graph->value_count, forward = graph->forward_count;
    cbi_value *old = graph->values;
    cbi_rewrite rewrite = {.graph = graph, .old_count = count, .old = old, .context = context};
    int *memory = cbi_allocate(sizeof(int) * 2 * (size_t)(count + 1));
    if (memory == NULL)
        return false;
    rewrite.uses = memory;
    rewrite.number = memory + count + 1;
    cbi_graph_count_uses(graph, rewrite.uses);
    graph->values = NULL;
    graph->value_count = graph->value_room = 0;
    bool done = true;
    for (int v = 0; v < count; v++)
        rewrite.number[v] = -1;
    for (int v = 0; v < count && done; v++) {
        if (v == forward)
            graph->forward_count = graph->value_count;
        if (rewrite.uses[v] > 0)
            done = (rewrite.number[v] = replace(&rewrite, v)) >= 0;
    }
    if (forward == count)
        graph->forward_count = graph->value_count;
    if (done) {
        for_results(graph, renumber, rewrite.number);
        drop_zero_gradients(graph);
        drop_imports(graph);
    }
    for (int v = 0; v < count; v++)
        cbi_free(old[v].in);
    cbi_free(old);
    cbi_free(memory);
    return done;
}

bool cbi_graph_drop_dead(cbi_graph *graph) {
    return cbi_graph_rewrite(graph, cbi_rewrite_copy, NULL);
}
