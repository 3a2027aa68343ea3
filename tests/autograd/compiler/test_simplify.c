/* What need not be computed is not added to a graph. */
#include "small_graph.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <math.h>

static int number(const cbt_small *s, double x) {
    return cbi_constant(s->graph, CB_F64, x);
}

Test(simplify, equal_values_are_one) {
    cbt_small s = cbt_small_new();
    int sum = cbt_binary(&s, &cb_add_op, s.h, s.x);
    cr_expect_eq(cbt_binary(&s, &cb_add_op, s.h, s.x), sum);
    cr_expect_neq(cbt_binary(&s, &cb_add_op, s.x, s.h), sum);
    cr_expect_neq(cbt_binary(&s, &cb_sub_op, s.h, s.x), sum);
    cr_expect_neq(number(&s, 0.0), number(&s, -0.0));
    cbi_graph_free(s.graph);
}

Test(simplify, numbers_that_change_nothing) {
    cbt_small s = cbt_small_new();
    int bias = cbi_slice_of(s.graph, s.w, 0, 4);
    cr_expect_eq(cbt_binary(&s, &cb_add_op, s.h, number(&s, 0)), s.h);
    cr_expect_eq(cbt_binary(&s, &cb_add_op, number(&s, 0), s.h), s.h);
    cr_expect_eq(cbt_binary(&s, &cb_sub_op, s.h, number(&s, 0)), s.h);
    cr_expect_neq(cbt_binary(&s, &cb_sub_op, number(&s, 0), s.h), s.h);
    cr_expect_eq(cbt_binary(&s, &cb_mul_op, s.h, number(&s, 1)), s.h);
    cr_expect_eq(cbt_binary(&s, &cb_div_op, s.h, number(&s, 1)), s.h);
    cr_expect_neq(cbt_binary(&s, &cb_div_op, number(&s, 1), s.h), s.h);
    cr_expect_eq(cbt_binary(&s, &cb_mul_op, s.h, number(&s, 0)), number(&s, 0));
    /* One row for all is not a row each. */
    cbi_value sum = {.kind = CBI_ELEMENTWISE,
                     .type = cbi_flat_type(CB_F64, true, 4),
                     .count = 2,
                     .in = (const int[]){bias, number(&s, 0)},
                     .op = &cb_add_op};
    cr_expect_neq(cbi_graph_add(s.graph, &sum), bias);
    cbi_graph_free(s.graph);
}

Test(simplify, constants_fold) {
    cbt_small s = cbt_small_new();
    int five = cbt_binary(&s, &cb_add_op, number(&s, 2), number(&s, 3));
    cr_assert(cbi_is_constant(s.graph, five));
    cr_expect_eq(s.graph->values[five].parameters[0], 5);
    int none = cbt_binary(&s, &cb_mul_op, number(&s, 0), number(&s, INFINITY));
    cr_expect(isnan(s.graph->values[none].parameters[0]));
    cr_expect(cbi_is_constant(
        s.graph,
        cbt_product(&s, cbi_concat_of(s.graph, cbi_flat_type(CB_F64, true, 4), 0, NULL, NULL, 0), 4,
                    0)));
    cbi_graph_free(s.graph);
}

Test(simplify, views_look_through) {
    cbt_small s = cbt_small_new();
    int pair = cbt_pair(&s, s.h, 2, s.x);
    cr_expect_eq(cbi_slice_of(s.graph, s.h, 0, 4), s.h);
    cr_expect_eq(cbi_slice_of(s.graph, cbi_slice_of(s.graph, s.w, 10, 20), 5, 3),
                 cbi_slice_of(s.graph, s.w, 15, 3));
    cr_expect_eq(cbi_slice_of(s.graph, pair, 0, 4), s.h);
    cr_expect_eq(cbi_slice_of(s.graph, pair, 7, 2), cbi_slice_of(s.graph, s.x, 1, 2));
    cr_expect_eq(cbi_slice_of(s.graph, pair, 4, 2), number(&s, 0));
    /* Of two pieces, and of a piece and what fills the rest, it is a view. */
    int of_both = cbi_slice_of(s.graph, pair, 3, 4), of_rest = cbi_slice_of(s.graph, pair, 4, 3);
    cr_expect_eq(s.graph->values[of_both].in[0], pair);
    cr_expect_eq(s.graph->values[of_rest].in[0], pair);
    cbi_graph_free(s.graph);
}

Test(simplify, concatenations_of_neighbours) {
    cbt_small s = cbt_small_new();
    int low = cbi_slice_of(s.graph, s.h, 0, 2), high = cbi_slice_of(s.graph, s.h, 2, 2);
    cr_expect_eq(cbt_pair(&s, low, 0, high), s.h);
    cr_expect_neq(cbt_pair(&s, high, 0, low), s.h);
    int opened = cbt_pair(&s, cbt_pair(&s, s.h, 0, s.x), 0, low);
    cr_expect_eq(s.graph->values[opened].count, 3);
    /* Constants that are what fills the rest are left out, and nothing moves. */
    int zero = number(&s, 0);
    const int in[3] = {s.h, zero, s.x};
    const cbi_view places[3] = {cbi_view_run(0, 4), cbi_view_run(4, 2), cbi_view_run(6, 4)};
    int padded = cbi_concat_of(s.graph, cbi_flat_type(CB_F64, true, 10), 3, in, places, 0);
    cr_expect_eq(padded, cbt_pair(&s, s.h, 2, s.x));
    cbi_graph_free(s.graph);
}

Test(simplify, sums_of_padded_rows_are_concatenations) {
    cbt_small s = cbt_small_new();
    const cbi_view first = cbi_view_run(0, 4), second = cbi_view_run(4, 4);
    const cbi_type type = cbi_flat_type(CB_F64, true, 8);
    int a = cbi_concat_of(s.graph, type, 1, &s.h, &first, 0);
    int b = cbi_concat_of(s.graph, type, 1, &s.x, &second, 0);
    cr_expect_eq(cbt_binary(&s, &cb_add_op, a, b), cbt_pair(&s, s.h, 0, s.x));
    cbi_graph_free(s.graph);
}
