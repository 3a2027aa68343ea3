/* Narrowing: how wide what is left in the step is. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 8 };

static int64_t widest(cbi_graph *graph, int pass) {
    int64_t columns = 0;
    for (int k = 0; k < live_count(graph, pass, CBI_ELEMENTWISE); k++) {
        const cbi_value *value = live_value(graph, pass, CBI_ELEMENTWISE, k);
        columns = value->columns > columns ? value->columns : columns;
    }
    return columns;
}

/* Two gates from one matrix of both. */
static void gates_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *z = cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[0], w[1], NULL));
    next[0] = cb_mul(cb_sigmoid(cb_chunk(z, -1, 2, 0)), cb_tanh(cb_chunk(z, -1, 2, 1)));
}

Test(narrow, the_sum_of_all_gates_is_formed_gate_by_gate) {
    int64_t shapes[3][2] = {{2 * HIDDEN, INPUT}, {2 * HIDDEN, HIDDEN}, {2 * HIDDEN, 0}};
    cbi_graph *graph = traced(gates_step, INPUT, HIDDEN, 1, 3, shapes);
    cr_assert_eq(widest(graph, 0), 2 * HIDDEN);
    cr_assert(cbi_graph_narrow(graph));
    cr_expect_eq(widest(graph, 0), HIDDEN);
    cr_expect_eq(live_count(graph, 0, CBI_PRODUCT), 1, "the product stays whole");
    cr_expect_eq(live_value(graph, 0, CBI_PRODUCT, 0)->columns, 2 * HIDDEN);
    cbi_graph_free(graph);
}

/* The whole row is needed for its largest element: nothing is computed twice. */
static void whole_row_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
    cb_tensor *z = cb_exp(cb_add(x, cb_linear(state[0], w[0], NULL)));
    cb_tensor *scaled = cb_div(cb_chunk(z, -1, 2, 0), cb_sum(z, CB_AXES(-1), true));
    next[0] = scaled;
}

Test(narrow, what_is_read_as_a_whole_too_stays_whole) {
    int64_t shapes[1][2] = {{2 * HIDDEN, HIDDEN}};
    cbi_graph *graph = traced(whole_row_step, 2 * HIDDEN, HIDDEN, 1, 1, shapes);
    int before = live_count(graph, 0, CBI_ELEMENTWISE);
    cr_assert(cbi_graph_narrow(graph));
    cr_expect_eq(widest(graph, 0), 2 * HIDDEN);
    cr_expect_eq(live_count(graph, 0, CBI_ELEMENTWISE), before);
    cbi_graph_free(graph);
}
