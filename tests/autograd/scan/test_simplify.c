/* Simplifying: what a graph loses when what nothing follows from is dropped. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 8 };

static void small_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(x, w[0], NULL), cb_linear(state[0], w[1], NULL)));
}

static int64_t small_shapes[2][2] = {{HIDDEN, INPUT}, {HIDDEN, HIDDEN}};

static int count_kind(const cbi_graph *graph, cbi_kind kind) {
    int count = 0;
    for (int v = 0; v < graph->value_count; v++)
        count += graph->values[v].kind == kind;
    return count;
}

/* The gradient of U' is read as the transpose of that of U, which nothing else needs. */
Test(simplify, drops_what_nothing_follows_from) {
    cbi_graph *graph = traced(small_step, INPUT, HIDDEN, 1, 2, small_shapes);
    int before = graph->value_count, next = graph->next[0];
    cr_assert_eq(count_kind(graph, CBI_BATCH_PRODUCT), 2);
    cr_assert(cbi_graph_drop_dead(graph));
    cr_expect_eq(count_kind(graph, CBI_BATCH_PRODUCT), 1);
    cr_expect_lt(graph->value_count, before);
    cr_expect_eq(graph->values[graph->next[0]].op, &cb_tanh_op);
    cr_expect_leq(graph->next[0], next);
    cr_expect_lt(graph->next[0], graph->forward_count);
    cr_expect_geq(graph->state_gradient[0], graph->forward_count);
    int all = graph->value_count;
    cr_assert(cbi_graph_drop_dead(graph));
    cr_expect_eq(graph->value_count, all, "there is nothing more to drop");
    cbi_graph_free(graph);
}

static int keep_first(cbi_rewrite *rewrite, int old) {
    const cbi_value *value = &rewrite->old[old];
    bool sum = value->kind == CBI_ELEMENTWISE && value->op == &cb_add_op;
    return sum ? rewrite->number[value->in[0]] : cbi_rewrite_copy(rewrite, old);
}

/* With the product with U gone from the sum, the matrix is not imported any more. */
Test(simplify, drops_imports_that_nothing_reads) {
    cbi_graph *graph = traced(small_step, INPUT, HIDDEN, 1, 2, small_shapes);
    cr_assert_eq(graph->import_count, 3);
    for (int i = 0; i < graph->import_count; i++)
        graph->imports[i].gradient_count = 0;
    graph->state_gradient[0] = -1;
    cr_assert(cbi_graph_rewrite(graph, keep_first, NULL));
    cr_assert(cbi_graph_drop_dead(graph));
    cr_assert_eq(graph->import_count, 1);
    const cbi_value *left = live_value(graph, 0, CBI_IMPORT, 0);
    cr_expect_eq(left->index, 0);
    cbi_graph_free(graph);
}
