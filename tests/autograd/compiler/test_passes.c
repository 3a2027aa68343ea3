/* What the passes do to graphs: the same results as before, by a reference interpreter, for random
   graphs with new seeds each time; and what each is there for, on small graphs written by hand. */
#include "autograd/compiler/pipeline.h"
#include "autograd/compiler/verify.h"
#include "interpret.h"
#include "random_graph.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { GRAPHS = 400, ALL_PASSES = -1 };

/* CB_TEST_SEED, or of the clock. */
static uint64_t first_seed(void) {
    const char *asked = getenv("CB_TEST_SEED");
    return asked != NULL ? strtoull(asked, NULL, 10) : (uint64_t)time(NULL) * 1000;
}

static double largest_difference(const interpreted *a, const interpreted *b) {
    double worst = a->count == b->count ? 0 : INFINITY;
    for (int i = 0; i < a->count && a->count == b->count; i++) {
        double error = fabs(a->of[i] - b->of[i]) / fmax(1, fabs(b->of[i]));
        worst = error > worst ? error : worst;
    }
    return worst;
}

/* Runs one pass of the table, or all, over a random graph. */
static void check(uint64_t seed, int number, bool looked_up) {
    char bug[256] = "";
    int passes;
    const cbi_pass_entry *table = cbi_pass_table(&passes);
    const char *name = number == ALL_PASSES ? "all passes" : table[number].name;
    cb_random random = cb_random_seed(seed);
    cbi_graph *graph = random_graph(&random);
    cr_assert(cbi_verify_graph(graph, bug, sizeof(bug)), "seed %" PRIu64 ": %s", seed, bug);
    interpreted before = interpret(graph);
    cbi_pass pass = {.graph = graph, .looked_up = looked_up};
    bool done = number == ALL_PASSES
                    ? cbi_run_passes(graph, looked_up, NULL, NULL, bug, sizeof(bug))
                    : table[number].run(&pass) && cbi_verify_graph(graph, bug, sizeof(bug));
    cr_assert(done, "seed %" PRIu64 ", %s: %s", seed, name, bug);
    interpreted after = interpret(graph);
    double difference = largest_difference(&after, &before);
    cr_assert(difference < 1e-12, "seed %" PRIu64 ", %s: results differ by %g (of %d, %d)", seed,
              name, difference, after.count, before.count);
    free(before.of);
    free(after.of);
    cbi_graph_free(graph);
}

static void check_many(int number) {
    uint64_t seed = first_seed();
    for (int i = 0; i < GRAPHS; i++)
        check(seed + (uint64_t)i, number, i % 2 == 0);
}

Test(passes, merging_sums_changes_no_result) {
    check_many(0);
}
Test(passes, merging_products_changes_no_result) {
    check_many(1);
}
Test(passes, sinking_slices_changes_no_result) {
    check_many(2);
}
Test(passes, dropping_unread_changes_no_result) {
    check_many(3);
}
Test(passes, contracting_sums_changes_no_result) {
    check_many(4);
}
Test(passes, materializing_changes_no_result) {
    check_many(5);
}
Test(passes, all_of_them_change_no_result) {
    int passes;
    cbi_pass_table(&passes);
    cr_assert_eq(passes, 6, "a pass has no test here");
    check_many(ALL_PASSES);
}

/* ---- What they are there for ----------------------------------------------------------------- */

/* Values of a kind that a result follows from, and the last of them. */
static int count_of_kind(const cbi_graph *graph, cbi_kind kind, const cbi_value **last) {
    int count = 0, *uses = calloc((size_t)graph->value_count + 1, sizeof(int));
    cbi_graph_count_uses(graph, uses);
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].kind == kind && uses[v] > 0) {
            *last = &graph->values[v];
            count++;
        }
    free(uses);
    return count;
}

static const cbi_value *only(const cbi_graph *graph, cbi_kind kind) {
    const cbi_value *value = NULL;
    cr_assert_eq(count_of_kind(graph, kind, &value), 1);
    return value;
}

static void run(cbi_graph *graph, bool (*pass)(cbi_pass *pass), int changes) {
    cbi_pass p = {.graph = graph};
    char bug[256] = "";
    graph->forward_count = graph->value_count;
    cr_assert(pass(&p) && cbi_verify_graph(graph, bug, sizeof(bug)), "%s", bug);
    cr_expect_eq(p.changes, changes, "%d changes, not %d", p.changes, changes);
}

static const int64_t four[] = {4, 4}, squares[][2] = {{4, 4}, {4, 4}};

/* h A + x B: one product of [h x] with A on top of B. */
Test(passes, a_sum_of_products_is_one_product) {
    cbi_graph *graph = graph_with(1, four, 1, four, 2, squares);
    int h = leaf_of(graph, CBI_STATE, 0), x = leaf_of(graph, CBI_ROW_INPUT, 0);
    graph->outputs[0].value = binary(graph, &cb_add_op, product_with(graph, h, 0, false),
                                     product_with(graph, x, 1, false));
    run(graph, cbi_merge_sums, 1);
    const cbi_value *product = only(graph, CBI_PRODUCT);
    cr_expect_eq(product->k, 8);
    cr_expect(product->weights.count == 2 && product->weights.across == 1);
    cbi_graph_free(graph);
}

/* tanh(h A) * (h B): one product of h with A beside B. */
Test(passes, products_of_one_operand_are_one_product) {
    cbi_graph *graph = graph_with(1, four, 0, NULL, 2, squares);
    int h = leaf_of(graph, CBI_STATE, 0), a = product_with(graph, h, 0, false);
    graph->outputs[0].value =
        binary(graph, &cb_mul_op, unary(graph, &cb_tanh_op, a), product_with(graph, h, 1, false));
    run(graph, cbi_merge_products, 1);
    const cbi_value *product = only(graph, CBI_PRODUCT);
    cr_expect(product->weights.count == 2 && product->weights.across == 2);
    cr_expect_eq(cbi_count_of(&product->type), 8);
    cbi_graph_free(graph);
}

/* tanh of the halves of x + y: two sums of half the width. */
Test(passes, what_is_read_slice_by_slice_is_computed_so) {
    const int64_t eight[] = {8, 8};
    cbi_graph *graph = graph_with(1, four, 2, eight, 0, NULL);
    int sum = binary(graph, &cb_add_op, leaf_of(graph, CBI_ROW_INPUT, 0),
                     leaf_of(graph, CBI_ROW_INPUT, 1));
    int left = unary(graph, &cb_tanh_op, cbi_slice_of(graph, sum, 0, 4));
    graph->outputs[0].value = binary(graph, &cb_mul_op, left, cbi_slice_of(graph, sum, 4, 4));
    run(graph, cbi_sink_slices, 1);
    for (int v = 0; v < graph->value_count; v++)
        cr_expect(graph->values[v].kind != CBI_ELEMENTWISE || cbi_graph_count(graph, v) == 4);
    const cbi_value *last;
    cr_expect_eq(count_of_kind(graph, CBI_ELEMENTWISE, &last), 4);
    cbi_graph_free(graph);
}

/* Two of the four columns of h A: a product with half of A. */
Test(passes, columns_that_nobody_reads_are_not_computed) {
    const int64_t two[] = {2};
    cbi_graph *graph = graph_with(1, two, 1, four, 1, squares);
    int product = product_with(graph, leaf_of(graph, CBI_ROW_INPUT, 0), 0, false);
    graph->outputs[0].value = unary(graph, &cb_tanh_op, cbi_slice_of(graph, product, 2, 2));
    run(graph, cbi_drop_unread, 1);
    const cbi_value *kept = only(graph, CBI_PRODUCT);
    cr_expect_eq(cbi_count_of(&kept->type), 2);
    cr_expect(kept->weights.blocks[0].offset == 2 && kept->weights.blocks[0].columns == 2);
    cbi_graph_free(graph);
}

/* The largest of a row in another order: a reduction reads rows as they lie. */
Test(passes, an_operand_that_cannot_be_read_in_place_is_copied) {
    const int64_t two[] = {2};
    cbi_graph *graph = graph_with(1, two, 1, four, 0, NULL);
    cbi_view transposed = {.rank = 2, .shape = {2, 2}, .stride = {1, 2}};
    int in = cbi_view_of(graph, leaf_of(graph, CBI_ROW_INPUT, 0), &transposed);
    cbi_value v = {.kind = CBI_REDUCE,
                   .type = cbi_flat_type(CB_F64, true, 2),
                   .count = 1,
                   .in = &in,
                   .reduction = CBI_MAX,
                   .outer = 2,
                   .n = 2,
                   .inner = 1};
    graph->outputs[0].value = cbi_graph_add(graph, &v);
    run(graph, cbi_materialize, 1);
    only(graph, CBI_COPY);
    cbi_graph_free(graph);
}

/* ---- While a graph is built ------------------------------------------------------------------ */

Test(passes, what_need_not_be_computed_is_not_added) {
    cbi_graph *graph = graph_with(2, four, 0, NULL, 0, NULL);
    int h = leaf_of(graph, CBI_STATE, 0), c = leaf_of(graph, CBI_STATE, 1);
    int zero = cbi_constant(graph, CB_F64, 0), one = cbi_constant(graph, CB_F64, 1);
    cr_expect_eq(binary(graph, &cb_add_op, h, zero), h);
    cr_expect_eq(binary(graph, &cb_mul_op, one, h), h);
    cr_expect_eq(binary(graph, &cb_mul_op, h, zero), zero);
    cr_expect_eq(binary(graph, &cb_sub_op, h, zero), h);
    cr_expect_eq(binary(graph, &cb_add_op, h, c), binary(graph, &cb_add_op, h, c));
    int two = binary(graph, &cb_add_op, one, one);
    cr_expect(cbi_is_constant(graph, two) && graph->values[two].parameters[0] == 2);
    int slice = cbi_slice_of(graph, h, 1, 3);
    cr_expect_eq(cbi_slice_of(graph, slice, 1, 2), cbi_slice_of(graph, h, 2, 2));
    cbi_view places[2] = {cbi_view_run(0, 4), cbi_view_run(4, 4)};
    int both = cbi_concat_of(graph, cbi_flat_type(CB_F64, true, 8), 2, (int[]){h, c}, places, 0);
    cr_expect_eq(cbi_slice_of(graph, both, 4, 4), c);
    cr_expect_eq(cbi_slice_of(graph, both, 1, 3), slice);
    cbi_graph_free(graph);
}

/* A sum over the rows of products within each row is one product over all rows. */
Test(passes, a_sum_of_products_of_rows_is_formed_after_the_loop) {
    cbi_graph *graph =
        graph_with(2, (const int64_t[]){12, 8}, 0, NULL, 1, (const int64_t[][2]){{6, 4}});
    int in[2] = {leaf_of(graph, CBI_STATE, 0), leaf_of(graph, CBI_STATE, 1)};
    cbi_value product = {.kind = CBI_CONTRACT,
                         .type = {.dtype = CB_F64, .rows = true, .rank = 3, .shape = {2, 3, 2}},
                         .count = 2,
                         .in = in,
                         .groups = 2,
                         .m = 3,
                         .k = 2};
    int value = cbi_graph_add(graph, &product);
    cbi_value sum = {.kind = CBI_BATCH_SUM,
                     .type = {.dtype = CB_F64, .rank = 3, .shape = {2, 3, 2}},
                     .count = 1,
                     .in = &value};
    int formed = cbi_graph_add(graph, &sum), added = cbi_graph_intern(graph, &sum);
    cr_expect_eq(graph->values[formed].kind, CBI_BATCH_PRODUCT);
    cr_assert_eq(graph->values[added].kind, CBI_BATCH_SUM);
    graph->outputs[0].value = in[0];
    graph->outputs[1].value = in[1];
    graph->forward_count = graph->value_count;
    interpreted results[2];
    for (int i = 0; i < 2; i++) {
        graph->captured[0].term_count = 0;
        add_term(graph, 0, i == 0 ? formed : added, cbi_view_run(3, 12));
        results[i] = interpret(graph);
    }
    cr_expect_lt(largest_difference(&results[0], &results[1]), 1e-13);
    free(results[0].of);
    free(results[1].of);
    cbi_graph_free(graph);
}
