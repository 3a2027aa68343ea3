/* Hoisting: what of a body is computed outside of the recurrence. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 8 };

/* h' = tanh(softplus(x W' + b) h exp(a)): the input's part, and a function of a weight. */
static void outside_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                         cb_tensor **next) {
    cb_tensor *rows = cb_softplus(cb_linear(x, w[0], w[1]));
    next[0] = cb_tanh(cb_mul(cb_mul(rows, state[0]), cb_exp(w[2])));
}

Test(hoist, chains_without_the_state_are_one_import_each) {
    int64_t shapes[3][2] = {{HIDDEN, INPUT}, {HIDDEN, 0}, {HIDDEN, 0}};
    cbi_graph *graph = traced(outside_step, INPUT, HIDDEN, 1, 3, shapes);
    cr_assert(cbi_graph_drop_dead(graph));
    cr_assert_eq(graph->import_count, 2);
    const cbi_value *rows = live_value(graph, 0, CBI_IMPORT, 0);
    const cbi_value *shared = live_value(graph, 0, CBI_IMPORT, 1);
    cr_expect(rows->rows && !shared->rows);
    cr_expect_eq(rows->columns, HIDDEN);
    cr_expect_eq(shared->columns, HIDDEN);
    cr_expect_eq(live_count(graph, 0, CBI_PRODUCT), 0, "x W' is not in the step");
    cr_expect_eq(live_count(graph, 0, CBI_ELEMENTWISE), 3, "two products and tanh are");
    cr_expect_eq(graph->imports[rows->index].gradient_count, 1);
    cr_expect_eq(graph->imports[shared->index].gradient_count, 1);
    cbi_graph_free(graph);
}
