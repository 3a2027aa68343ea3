/* Regrouping sums: which terms leave the recurrence, and as how many imports. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 8 };

static int live_imports(cbi_graph *graph, bool rows) {
    int count = 0;
    for (int i = 0; i < graph->import_count; i++)
        count += graph->imports[i].rows == rows && graph->imports[i].gradient_count > 0;
    return count;
}

/* h' = tanh((x W' + b) + (h U' + c)), as cells are written. */
static void two_biases_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[0], w[1], w[3])));
}

Test(regroup, biases_are_one_shared_term) {
    int64_t shapes[4][2] = {{HIDDEN, INPUT}, {HIDDEN, HIDDEN}, {HIDDEN, 0}, {HIDDEN, 0}};
    cbi_graph *graph = traced(two_biases_step, INPUT, HIDDEN, 1, 4, shapes);
    cr_assert(cbi_graph_drop_dead(graph));
    cr_expect_eq(live_count(graph, 0, CBI_ELEMENTWISE), 3, "two sums of three terms, and tanh");
    cr_expect_eq(live_imports(graph, true), 1, "x W', without a bias");
    cr_expect_eq(live_imports(graph, false), 2, "b + c, and U'");
    cr_expect_eq(live_count(graph, 1, CBI_BATCH_SUM), 1, "one sum over the batch for both biases");
    cbi_graph_free(graph);
}

/* A sum that is used twice, and one whose terms all follow the state: as they are. */
static void plain_sums_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    cb_tensor *a = cb_mul(state[0], state[1]), *b = cb_sigmoid(state[0]);
    (void)w, (void)x;
    next[0] = cb_add(a, b);
    next[1] = cb_add(b, cb_add(a, state[1]));
}

Test(regroup, sums_that_stay_inside_cost_no_more) {
    cbi_graph *graph = traced(plain_sums_step, INPUT, HIDDEN, 2, 0, NULL);
    cr_assert(cbi_graph_drop_dead(graph));
    cr_expect_eq(graph->import_count, 0);
    int sums = 0;
    for (int k = 0; k < live_count(graph, 0, CBI_ELEMENTWISE); k++)
        sums += live_value(graph, 0, CBI_ELEMENTWISE, k)->op == &cb_add_op;
    cr_expect_eq(sums, 3);
    cbi_graph_free(graph);
}
