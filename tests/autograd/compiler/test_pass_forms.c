/* What each pass makes of a graph that has what it looks for and, above all, of one that almost
   has. */
#include "autograd/compiler/pass.h"
#include "autograd/compiler/verify.h"
#include "interpret.h"
#include "small_graph.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <stdlib.h>

/* Runs a pass, which must change `changes` things and leave what the graph means. */
static void run(cbt_small *s, bool (*pass)(cbi_pass *pass), bool looked_up, int changes) {
    char bug[256] = "";
    interpreted before = interpret(s->graph);
    cbi_pass p = {.graph = s->graph, .looked_up = looked_up};
    cr_assert(pass(&p));
    cr_assert(cbi_verify_graph(s->graph, bug, sizeof(bug)), "%s", bug);
    interpreted after = interpret(s->graph);
    cr_assert_eq(after.count, before.count);
    for (int i = 0; i < after.count; i++)
        cr_expect_float_eq(after.of[i], before.of[i], 1e-12);
    cr_expect_eq(p.changes, changes, "%d changes, not %d", p.changes, changes);
    free(before.of);
    free(after.of);
}

/* How many values of a kind there must be; the last of them. */
static const cbi_value *expect(const cbt_small *s, cbi_kind kind, int count) {
    int last, found = cbt_count_kind(s, kind, &last);
    cr_assert_eq(found, count, "%d of kind %d, not %d", found, (int)kind, count);
    return last < 0 ? NULL : &s->graph->values[last];
}

static void finish(cbt_small *s) {
    cbi_graph_free(s->graph);
}

/* ---- Merge products -------------------------------------------------------------------------- */

/* tanh(a) * tanh(b), so that both are of use. */
static int both(cbt_small *s, int a, int b) {
    return cbt_binary(s, &cb_mul_op, cbt_unary(s, &cb_tanh_op, a), cbt_unary(s, &cb_tanh_op, b));
}

Test(merge_products, of_one_operand_become_one) {
    cbt_small s = cbt_small_new();
    int left = cbt_product(&s, s.h, 4, 0), right = cbt_product(&s, s.h, 4, 16);
    cbt_set_output(&s, both(&s, left, right));
    run(&s, cbi_merge_products, false, 1);
    const cbi_value *product = expect(&s, CBI_PRODUCT, 1);
    cr_expect_eq(cbi_count_of(&product->type), 8);
    cr_expect_eq(product->weights.count, 2);
    cr_expect_eq(product->weights.across, 2);
    const cbi_value *second = expect(&s, CBI_VIEW, 2);
    cr_expect_eq(second->view.offset, 4);
    finish(&s);
}

Test(merge_products, of_three_widths_keep_their_columns) {
    cbt_small s = cbt_small_new();
    int a = cbt_product(&s, s.h, 4, 0), b = cbt_product(&s, s.h, 2, 16);
    int c = cbt_product(&s, s.h, 4, 30);
    int wide = cbt_pair(&s, cbi_slice_of(s.graph, a, 0, 2), 0, b);
    cbt_set_output(&s, both(&s, wide, c));
    run(&s, cbi_merge_products, false, 2);
    cr_expect_eq(cbi_count_of(&expect(&s, CBI_PRODUCT, 1)->type), 10);
    finish(&s);
}

Test(merge_products, of_other_operands_stay) {
    cbt_small s = cbt_small_new();
    cbt_set_output(&s, both(&s, cbt_product(&s, s.h, 4, 0), cbt_product(&s, s.x, 4, 0)));
    run(&s, cbi_merge_products, false, 0);
    expect(&s, CBI_PRODUCT, 2);
    finish(&s);
}

Test(merge_products, of_both_steps_stay) {
    cbt_small s = cbt_small_new();
    cbt_set_output(&s, cbt_unary(&s, &cb_tanh_op, cbt_product(&s, s.h, 4, 0)));
    cbt_begin_gradient(&s);
    s.graph->outputs[0].gradient =
        cbt_binary(&s, &cb_mul_op, s.cotangent, cbt_product(&s, s.h, 4, 16));
    run(&s, cbi_merge_products, false, 0);
    expect(&s, CBI_PRODUCT, 2);
    finish(&s);
}

/* ---- Merge sums ------------------------------------------------------------------------------ */

Test(merge_sums, of_products_become_one_product) {
    cbt_small s = cbt_small_new();
    int sum = cbt_binary(&s, &cb_add_op, cbt_product(&s, s.h, 4, 0), cbt_product(&s, s.x, 4, 16));
    cbt_set_output(&s, cbt_unary(&s, &cb_tanh_op, sum));
    run(&s, cbi_merge_sums, false, 1);
    const cbi_value *product = expect(&s, CBI_PRODUCT, 1);
    cr_expect_eq(product->k, 8);
    cr_expect_eq(product->weights.count, 2);
    cr_expect_eq(product->weights.across, 1);
    cr_expect_eq(s.graph->values[product->in[0]].kind, CBI_CONCAT);
    finish(&s);
}

Test(merge_sums, of_three_products_and_a_row) {
    cbt_small s = cbt_small_new();
    int t = cbt_unary(&s, &cb_tanh_op, s.x);
    int sum = cbt_binary(&s, &cb_add_op, cbt_product(&s, s.h, 4, 0), cbt_product(&s, s.x, 4, 16));
    sum =
        cbt_binary(&s, &cb_add_op, cbt_binary(&s, &cb_add_op, sum, s.x), cbt_product(&s, t, 4, 32));
    cbt_set_output(&s, sum);
    run(&s, cbi_merge_sums, false, 2);
    cr_expect_eq(expect(&s, CBI_PRODUCT, 1)->k, 12);
    finish(&s);
}

Test(merge_sums, leave_a_product_that_others_read) {
    cbt_small s = cbt_small_new();
    int shared = cbt_product(&s, s.x, 4, 16);
    int sum = cbt_binary(&s, &cb_add_op, cbt_product(&s, s.h, 4, 0), shared);
    cbt_set_output(&s, both(&s, sum, shared));
    run(&s, cbi_merge_sums, false, 0);
    expect(&s, CBI_PRODUCT, 2);
    finish(&s);
}

/* tanh(h A) B + h C: only what is a term of the sum itself. */
Test(merge_sums, leave_products_inside_terms) {
    cbt_small s = cbt_small_new();
    int inner = cbt_unary(&s, &cb_tanh_op, cbt_product(&s, s.h, 4, 0));
    int sum =
        cbt_binary(&s, &cb_add_op, cbt_product(&s, inner, 4, 16), cbt_product(&s, s.h, 4, 32));
    cbt_set_output(&s, sum);
    run(&s, cbi_merge_sums, false, 1);
    expect(&s, CBI_PRODUCT, 2);
    finish(&s);
}

/* ---- Sink slices ----------------------------------------------------------------------------- */

Test(sink_slices, what_is_read_by_slices_is_computed_by_slices) {
    cbt_small s = cbt_small_new();
    int wide = cbt_unary(&s, &cb_sigmoid_op, cbt_product(&s, s.h, 8, 0));
    cbt_set_output(&s,
                   both(&s, cbi_slice_of(s.graph, wide, 0, 4), cbi_slice_of(s.graph, wide, 4, 4)));
    run(&s, cbi_sink_slices, false, 1);
    expect(&s, CBI_ELEMENTWISE, 5);
    for (int v = 0; v < s.graph->value_count; v++)
        cr_expect(s.graph->values[v].kind != CBI_ELEMENTWISE || cbi_graph_count(s.graph, v) == 4);
    finish(&s);
}

Test(sink_slices, what_is_read_as_a_whole_stays) {
    cbt_small s = cbt_small_new();
    int wide = cbt_unary(&s, &cb_sigmoid_op, cbt_product(&s, s.h, 8, 0));
    int next = both(&s, cbi_slice_of(s.graph, wide, 0, 4), cbt_product(&s, wide, 4, 64));
    cbt_set_output(&s, next);
    run(&s, cbi_sink_slices, false, 0);
    finish(&s);
}

/* ---- Drop unread ----------------------------------------------------------------------------- */

Test(drop_unread, columns_that_nobody_reads) {
    cbt_small s = cbt_small_new();
    int wide = cbt_product(&s, s.h, 12, 0);
    cbt_set_output(&s,
                   both(&s, cbi_slice_of(s.graph, wide, 0, 4), cbi_slice_of(s.graph, wide, 8, 4)));
    run(&s, cbi_drop_unread, false, 1);
    const cbi_value *product = expect(&s, CBI_PRODUCT, 1);
    cr_expect_eq(cbi_count_of(&product->type), 8);
    cr_expect_eq(product->weights.count, 2);
    cr_expect_eq(product->weights.blocks[1].offset, 8);
    finish(&s);
}

Test(drop_unread, a_product_that_is_read_stays) {
    cbt_small s = cbt_small_new();
    int wide = cbt_product(&s, s.h, 4, 0);
    cbt_set_output(&s, cbt_binary(&s, &cb_mul_op, wide, cbi_slice_of(s.graph, wide, 0, 4)));
    run(&s, cbi_drop_unread, false, 0);
    finish(&s);
}

Test(drop_unread, rows_that_meet_zeros) {
    cbt_small s = cbt_small_new();
    cbt_set_output(&s, cbt_product(&s, cbt_pair(&s, s.h, 4, s.x), 4, 0));
    run(&s, cbi_drop_unread, false, 1);
    const cbi_value *product = expect(&s, CBI_PRODUCT, 1);
    cr_expect_eq(product->k, 8);
    cr_expect_eq(product->weights.count, 2);
    cr_expect_eq(product->weights.blocks[1].offset, 32);
    finish(&s);
}

Test(drop_unread, gradients_that_are_zero) {
    cbt_small s = cbt_small_new();
    cbt_begin_gradient(&s);
    cbt_add_term(&s, cbt_outer(&s, s.h, cbt_pair(&s, s.cotangent, 4, s.cotangent)), 0);
    run(&s, cbi_drop_unread, false, 1);
    const cbi_captured *w = &s.graph->captured[0];
    cr_assert_eq(w->term_count, 2);
    for (int k = 0; k < 2; k++)
        cr_expect_eq(cbi_view_count(&w->terms[k].place), 16);
    finish(&s);
}

/* ---- Contract sums --------------------------------------------------------------------------- */

/* A product with h, as a matrix [4, 4]; x repeated, as the rows or as the columns of one. */
static int matrix_of(cbt_small *s) {
    return cbt_product(s, s->h, CBT_N * CBT_N, 0);
}
static int repeated(cbt_small *s, int64_t along_rows, int64_t along_columns) {
    cbi_view view = {.rank = 2, .shape = {CBT_N, CBT_N}, .stride = {along_rows, along_columns}};
    return cbi_view_of(s->graph, s->x, &view);
}

/* A [4, 4] reduced over its rows, or over its columns. */
static int reduced(cbt_small *s, cbi_reduction reduction, bool over_rows, int in) {
    return cbi_graph_add(s->graph, &(cbi_value){.kind = CBI_REDUCE,
                                                .type = cbi_flat_type(CB_F64, true, CBT_N),
                                                .count = 1,
                                                .in = &in,
                                                .reduction = reduction,
                                                .outer = over_rows ? 1 : CBT_N,
                                                .n = CBT_N,
                                                .inner = over_rows ? CBT_N : 1});
}

Test(contract_sums, of_a_matrix_times_a_vector) {
    for (int swapped = 0; swapped < 2; swapped++) {
        cbt_small s = cbt_small_new();
        int a = matrix_of(&s), b = repeated(&s, 0, 1);
        int product = cbt_binary(&s, &cb_mul_op, swapped ? b : a, swapped ? a : b);
        cbt_set_output(&s, reduced(&s, CBI_SUM, false, product));
        run(&s, cbi_contract_sums, false, 1);
        const cbi_value *contraction = expect(&s, CBI_CONTRACT, 1);
        cr_expect(contraction->m == CBT_N && contraction->k == CBT_N);
        expect(&s, CBI_ELEMENTWISE, 0);
        finish(&s);
    }
}

Test(contract_sums, of_a_vector_times_a_matrix) {
    cbt_small s = cbt_small_new();
    int product = cbt_binary(&s, &cb_mul_op, matrix_of(&s), repeated(&s, 1, 0));
    cbt_set_output(&s, reduced(&s, CBI_SUM, true, product));
    run(&s, cbi_contract_sums, false, 1);
    const cbi_value *contraction = expect(&s, CBI_CONTRACT, 1);
    cr_expect(contraction->m == 1 && contraction->k == CBT_N && contraction->groups == 1);
    finish(&s);
}

/* x as a column times h as a row, [4, 4]: both would be copied first. */
Test(contract_sums, of_an_outer_product_with_short_rows) {
    cbt_small s = cbt_small_new();
    cbi_view rows = {.rank = 2, .shape = {CBT_N, CBT_N}, .stride = {0, 1}};
    int product = cbt_binary(&s, &cb_mul_op, repeated(&s, 1, 0), cbi_view_of(s.graph, s.h, &rows));
    cbt_set_output(&s, reduced(&s, CBI_MAX, true, product));
    run(&s, cbi_contract_sums, false, 1);
    const cbi_value *contraction = expect(&s, CBI_CONTRACT, 1);
    cr_expect(contraction->m == CBT_N && contraction->k == 1 && contraction->groups == 1);
    finish(&s);
}

Test(contract_sums, leave_products_that_are_read_elsewhere) {
    cbt_small s = cbt_small_new();
    int product = cbt_binary(&s, &cb_mul_op, matrix_of(&s), repeated(&s, 0, 1));
    int sums = reduced(&s, CBI_SUM, false, product);
    cbt_set_output(&s, cbt_binary(&s, &cb_add_op, sums, cbi_slice_of(s.graph, product, 0, CBT_N)));
    run(&s, cbi_contract_sums, false, 0);
    finish(&s);
}

Test(contract_sums, leave_what_is_no_sum_of_products) {
    cbt_small s = cbt_small_new();
    int product = cbt_binary(&s, &cb_mul_op, matrix_of(&s), repeated(&s, 0, 1));
    cbt_set_output(&s, reduced(&s, CBI_MAX, false, product));
    run(&s, cbi_contract_sums, false, 0);
    cbt_set_output(&s, reduced(&s, CBI_SUM, false,
                               cbt_binary(&s, &cb_sub_op, matrix_of(&s), repeated(&s, 0, 1))));
    run(&s, cbi_contract_sums, false, 0);
    finish(&s);
}

/* Row by row of one matrix times the columns of the other; a vector whose elements are no
   neighbours along the sum. */
Test(contract_sums, leave_two_matrices) {
    cbt_small s = cbt_small_new();
    int a = matrix_of(&s), b = cbt_unary(&s, &cb_tanh_op, a);
    cbt_set_output(&s, reduced(&s, CBI_SUM, false, cbt_binary(&s, &cb_mul_op, a, b)));
    run(&s, cbi_contract_sums, false, 0);
    cbt_set_output(&s, reduced(&s, CBI_SUM, true,
                               cbt_binary(&s, &cb_mul_op, matrix_of(&s), repeated(&s, 0, 1))));
    run(&s, cbi_contract_sums, false, 0);
    finish(&s);
}

/* ---- Materialize ----------------------------------------------------------------------------- */

static cbi_view every_other(int64_t offset, int64_t count) {
    return (cbi_view){.offset = offset, .rank = 1, .shape = {count}, .stride = {2}};
}

Test(materialize, what_a_reduction_cannot_read) {
    cbt_small s = cbt_small_new();
    cbi_view odd = every_other(1, 2);
    int part = cbi_view_of(s.graph, s.h, &odd);
    int sum = cbi_graph_add(s.graph, &(cbi_value){.kind = CBI_REDUCE,
                                                  .type = cbi_flat_type(CB_F64, true, 1),
                                                  .count = 1,
                                                  .in = &part,
                                                  .outer = 1,
                                                  .n = 2,
                                                  .inner = 1});
    cbi_view repeated = {.rank = 1, .shape = {4}, .stride = {0}};
    cbt_set_output(&s, cbi_view_of(s.graph, sum, &repeated));
    run(&s, cbi_materialize, false, 1);
    expect(&s, CBI_COPY, 1);
    finish(&s);
}

static int copies_of_product(bool looked_up) {
    cbt_small s = cbt_small_new();
    cbt_set_output(&s, cbt_product(&s, s.x, 4, 0));
    run(&s, cbi_materialize, looked_up, looked_up);
    int last, copies = cbt_count_kind(&s, CBI_COPY, &last);
    finish(&s);
    return copies;
}

Test(materialize, rows_of_a_table_before_a_product) {
    cr_expect_eq(copies_of_product(false), 0);
    cr_expect_eq(copies_of_product(true), 1);
}

static int copies_of_gradient(bool looked_up) {
    cbt_small s = cbt_small_new();
    cbt_begin_gradient(&s);
    cbt_add_term(&s, cbt_outer(&s, s.x, s.cotangent), 0);
    run(&s, cbi_materialize, looked_up, looked_up ? 2 : 1);
    int last, copies = cbt_count_kind(&s, CBI_COPY, &last);
    finish(&s);
    return copies;
}

/* The cotangent of a state is written over at the next step; x stays, but for rows of a table. */
Test(materialize, what_is_read_after_the_loop) {
    cr_expect_eq(copies_of_gradient(false), 1);
    cr_expect_eq(copies_of_gradient(true), 2);
}

Test(materialize, what_all_rows_share_before_a_gradient) {
    cbt_small s = cbt_small_new();
    cbt_begin_gradient(&s);
    int bias = cbi_slice_of(s.graph, s.w, 0, 4);
    cbt_add_term(&s, cbt_outer(&s, bias, cbt_unary(&s, &cb_tanh_op, s.cotangent)), 0);
    run(&s, cbi_materialize, false, 1);
    cr_expect(expect(&s, CBI_COPY, 1)->type.rows);
    finish(&s);
}

Test(materialize, no_runs) {
    cbt_small s = cbt_small_new();
    cbt_set_output(&s, cbt_binary(&s, &cb_mul_op, s.h, cbi_slice_of(s.graph, s.w, 3, 4)));
    run(&s, cbi_materialize, false, 0);
    expect(&s, CBI_COPY, 0);
    finish(&s);
}
