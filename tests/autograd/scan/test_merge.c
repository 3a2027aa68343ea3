/* Merging products: how many there are before and after, and of which shapes. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 8 };

static void expect_product(const cbi_graph *graph, const cbi_value *product, int matrices,
                           int across, int64_t depth, int64_t columns) {
    cr_expect_eq(product->kind, CBI_PRODUCT);
    cr_expect_eq(product->count - 1, matrices, "%d matrices", product->count - 1);
    cr_expect_eq(product->across, across, "%d side by side", product->across);
    cr_expect_eq(graph->values[product->in[0]].columns, depth);
    cr_expect_eq(product->columns, columns);
}

/* Four gates with matrices of their own. */
static void gates_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *gate[4];
    for (int k = 0; k < 4; k++)
        gate[k] = cb_tanh(cb_add(cb_linear(x, w[k], NULL), cb_linear(state[0], w[4 + k], NULL)));
    next[0] = cb_add(cb_mul(gate[0], gate[1]), cb_mul(gate[2], gate[3]));
}

static int64_t gates_shapes[8][2] = {{HIDDEN, INPUT},  {HIDDEN, INPUT},  {HIDDEN, INPUT},
                                     {HIDDEN, INPUT},  {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN},
                                     {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};

Test(merge, gates_with_matrices_of_their_own_cost_one_product_each_way) {
    cbi_graph *graph = traced(gates_step, INPUT, HIDDEN, 1, 8, gates_shapes);
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 4);
    cr_assert_eq(live_count(graph, 1, CBI_PRODUCT), 4);
    cr_assert(cbi_graph_merge(graph));
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 1);
    cr_assert_eq(live_count(graph, 1, CBI_PRODUCT), 1);
    const cbi_value *forward = live_value(graph, 0, CBI_PRODUCT, 0);
    expect_product(graph, forward, 4, 4, HIDDEN, 4 * HIDDEN);
    cr_expect_eq(graph->values[forward->in[0]].kind, CBI_STATE);
    const cbi_value *backward = live_value(graph, 1, CBI_PRODUCT, 0);
    expect_product(graph, backward, 4, 1, 4 * HIDDEN, HIDDEN);
    cr_expect_eq(graph->values[backward->in[0]].kind, CBI_JOIN);
    cr_expect_eq(&graph->values[graph->state_gradient[0]], backward,
                 "the gradient of h is the one product, with nothing left to add");
    cbi_graph_free(graph);
}

/* In the merged product, each gate reads the columns of its own matrix. */
Test(merge, parts_stand_where_their_matrices_do) {
    cbi_graph *graph = traced(gates_step, INPUT, HIDDEN, 1, 8, gates_shapes);
    cr_assert(cbi_graph_merge(graph));
    const cbi_value *product = live_value(graph, 0, CBI_PRODUCT, 0);
    cr_assert_eq(live_count(graph, 0, CBI_PART), 4);
    for (int k = 0; k < 4; k++) {
        const cbi_value *part = live_value(graph, 0, CBI_PART, k);
        cr_expect_eq(part->start, k * HIDDEN);
        cr_expect_eq(part->columns, HIDDEN);
        cr_expect_eq(matrix_extent(graph, product->in[1 + k], 1), HIDDEN);
    }
    cbi_graph_free(graph);
}

/* z_k = h U_k' + c V_k': sums over both states, and two gates that share them. */
static void two_states_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    (void)x;
    for (int k = 0; k < 2; k++)
        next[k] =
            cb_tanh(cb_add(cb_linear(state[0], w[k], NULL), cb_linear(state[1], w[2 + k], NULL)));
}

Test(merge, sums_over_two_states_become_a_grid_of_matrices) {
    int64_t shapes[4][2] = {{HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};
    cbi_graph *graph = traced(two_states_step, INPUT, HIDDEN, 2, 4, shapes);
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 4);
    cr_assert(cbi_graph_merge(graph));
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 1);
    cr_assert_eq(live_count(graph, 1, CBI_PRODUCT), 1);
    expect_product(graph, live_value(graph, 0, CBI_PRODUCT, 0), 4, 2, 2 * HIDDEN, 2 * HIDDEN);
    expect_product(graph, live_value(graph, 1, CBI_PRODUCT, 0), 4, 2, 2 * HIDDEN, 2 * HIDDEN);
    cbi_graph_free(graph);
}

/* u = h A', h' = u + tanh(u) B': the second term of the sum follows from the first. */
static void chain_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *first = cb_linear(state[0], w[0], NULL);
    (void)x;
    next[0] = cb_add(first, cb_linear(cb_tanh(first), w[1], NULL));
}

Test(merge, leaves_a_product_that_another_one_needs) {
    int64_t shapes[2][2] = {{HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};
    cbi_graph *graph = traced(chain_step, INPUT, HIDDEN, 1, 2, shapes);
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 2);
    cr_assert_eq(live_count(graph, 1, CBI_PRODUCT), 2);
    cr_assert(cbi_graph_merge(graph));
    cr_expect_eq(live_count(graph, 0, CBI_PRODUCT), 2);
    cr_expect_eq(live_count(graph, 1, CBI_PRODUCT), 2);
    cbi_graph_free(graph);
}

/* h' = h A' + tanh(h) B' + tanh(h C') D': the third term can only be computed after another
   product; that one stays by itself, since the whole sum waits for it. */
static void late_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    (void)x;
    cb_tensor *a = cb_linear(state[0], w[0], NULL);
    cb_tensor *b = cb_linear(cb_tanh(state[0]), w[1], NULL);
    next[0] = cb_add(cb_add(a, b), cb_linear(cb_tanh(cb_linear(state[0], w[2], NULL)), w[3], NULL));
}

Test(merge, waits_for_the_last_operand_of_a_sum) {
    int64_t shapes[4][2] = {{HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};
    cbi_graph *graph = traced(late_step, INPUT, HIDDEN, 1, 4, shapes);
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 4);
    cr_assert(cbi_graph_merge(graph));
    cr_assert_eq(live_count(graph, 0, CBI_PRODUCT), 2);
    expect_product(graph, live_value(graph, 0, CBI_PRODUCT, 1), 3, 1, 3 * HIDDEN, HIDDEN);
    cbi_graph_free(graph);
}

/* One matrix of four blocks is left as it is. */
static void merged_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                        cb_tensor **next) {
    cb_tensor *z = cb_tanh(cb_add(cb_linear(x, w[0], NULL), cb_linear(state[0], w[1], NULL)));
    next[0] = cb_add(cb_mul(cb_chunk(z, 1, 4, 0), cb_chunk(z, 1, 4, 1)),
                     cb_mul(cb_chunk(z, 1, 4, 2), cb_chunk(z, 1, 4, 3)));
}

Test(merge, leaves_one_matrix_of_all_gates_alone) {
    int64_t shapes[2][2] = {{4 * HIDDEN, INPUT}, {4 * HIDDEN, HIDDEN}};
    cbi_graph *graph = traced(merged_step, INPUT, HIDDEN, 1, 2, shapes);
    cr_assert(cbi_graph_drop_dead(graph));
    int values = graph->value_count, forward = graph->forward_count;
    cr_assert(cbi_graph_merge(graph));
    cr_expect_eq(graph->value_count, values);
    cr_expect_eq(graph->forward_count, forward);
    expect_product(graph, live_value(graph, 0, CBI_PRODUCT, 0), 1, 1, HIDDEN, 4 * HIDDEN);
    expect_product(graph, live_value(graph, 1, CBI_PRODUCT, 0), 1, 1, 4 * HIDDEN, HIDDEN);
    cbi_graph_free(graph);
}
