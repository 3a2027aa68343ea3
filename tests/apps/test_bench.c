/* What `cerebra bench` computes from its measurements, and what it says when one fails. */
#include "apps/bench/bench.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const bench_sizes paper = {.batch = 128, .hidden = 512, .time = 20, .symbols = 89};
static const bench_sizes tiny = {
    .batch = 4, .hidden = 16, .time = 5, .symbols = 89, .steps = 4, .warmup = 1};

static double gflop(const bench_sizes *sizes, const cb_cell *cell, int64_t layers,
                    bench_step step) {
    return bench_gflop(sizes, &(bench_model){.name = cell->name, .cell = cell, .layers = layers},
                       step);
}

/* By hand for a batch of 128 over 20 steps: 2 x 2560 x 512 x 2048 = 5.37 GFLOP for each product of
   a sequence with an LSTM's weights, 0.19 for the 89 rows of the table, 0.23 for the head. */
Test(bench, work_of_the_papers_models) {
    cr_assert_float_eq(gflop(&paper, &cb_lstm, 1, BENCH_TRAINING), 17.37, 0.01);
    cr_assert_float_eq(gflop(&paper, &cb_lstm, 2, BENCH_TRAINING), 49.58, 0.01);
    cr_assert_float_eq(gflop(&paper, &cb_cerebral_lstm, 1, BENCH_TRAINING), 34.03, 0.01);
    cr_assert_float_eq(gflop(&paper, &cb_lstm, 1, BENCH_FORWARD), 5.79, 0.01);
}

/* 20 rows, fewer than symbols: 20 x 768 for each of the four matrices, 20 x 16 x 89 for the head.
 */
Test(bench, work_of_a_small_model) {
    double expected = 2e-9 * (20 * 768 * 4 + 20 * 16 * 89);
    cr_assert_float_eq(gflop(&tiny, &cb_gru, 2, BENCH_FORWARD), expected, 1e-15);
    cr_assert_float_eq(gflop(&tiny, &cb_gru, 2, BENCH_TRAINING), 3 * expected, 1e-15);
}

/* A step whose elements decide what it computes. */
static void reading(const cb_cell_step *s) {
    cb_lstm.full_step(s);
    if (cb_tensor_get(s->state[0], (int64_t[]){0, 0}) > 2)
        s->next[0] = cb_neg(s->next[0]);
}

Test(bench, says_which_layers_run_op_by_op) {
    cb_cell cell = cb_lstm;
    cell.full_step = reading;
    bench_model model = {.name = "reading", .cell = &cell, .layers = 2};
    bench_result result;
    bench_in_process(&tiny, &model, BENCH_TRAINING, &result);
    cr_assert(result.ok, "%s", result.error);
    const char *second = strchr(result.eager_layers, '\n');
    cr_expect_eq(strncmp(result.eager_layers,
                         "cerebra: reading: layer 0 runs op by op: the step reads elements", 64),
                 0, "%s", result.eager_layers);
    cr_assert_not_null(second);
    cr_expect_eq(strncmp(second + 1, "cerebra: reading: layer 1 ", 26), 0, "%s", second + 1);
    bench_in_process(&tiny, &(bench_model){.name = "lstm", .cell = &cb_lstm, .layers = 2},
                     BENCH_TRAINING, &result);
    cr_expect_str_eq(result.eager_layers, "");
}

Test(bench, measures_in_a_process_of_its_own) {
    for (bench_step step = 0; step < BENCH_STEPS; step++) {
        bench_sizes sizes = tiny;
        sizes.dtype = step == BENCH_FORWARD ? CB_F32 : CB_F64;
        bench_model model = {.name = "lstm", .cell = &cb_lstm, .layers = 1};
        bench_result result;
        bench_in_process(&sizes, &model, step, &result);
        cr_assert(result.ok, "%s", result.error);
        cr_assert(result.least > 0 && result.least <= result.lower_quartile);
        cr_assert(result.lower_quartile <= result.median);
        cr_assert(result.median <= result.upper_quartile);
        cr_assert(result.lowest_rate > 0 && result.lowest_rate <= result.rate);
        cr_assert(result.rate <= result.highest_rate);
        cr_assert_geq(result.product_gflop, 1e-3 * result.least * result.lowest_rate * (1 - 1e-12));
        /* Embedding, two matrices and biases of 64 rows, head. */
        int64_t weights = 89 * 16 + 64 * (16 + 16 + 2) + 89 * 17;
        cr_assert_eq(result.parameter_bytes, weights * (int64_t)cb_dtype_size(sizes.dtype));
        cr_assert_gt(result.tape_bytes, 0);
        cr_assert_gt(result.peak_bytes, result.parameter_bytes);
    }
}

static cb_cell with_step(void (*step)(const cb_cell_step *s)) {
    cb_cell cell = cb_rnn_tanh;
    cell.full_step = step;
    return cell;
}

static void step_of_wrong_shape(const cb_cell_step *s) {
    s->next[0] = cb_matmul(s->state[0], s->weights[2]);
}

static void step_that_ends_the_process(const cb_cell_step *s) {
    (void)s;
    exit(7);
}

Test(bench, says_what_failed) {
    cb_cell wrong = with_step(step_of_wrong_shape), ending = with_step(step_that_ends_the_process);
    bench_model wrong_model = {.name = "wrong", .cell = &wrong, .layers = 1},
                ending_model = {.name = "ending", .cell = &ending, .layers = 1};
    bench_result result;
    bench_in_process(&tiny, &wrong_model, BENCH_TRAINING, &result);
    cr_assert(!result.ok && strstr(result.error, "matmul") != NULL, "%s", result.error);
    bench_in_process(&tiny, &ending_model, BENCH_TRAINING, &result);
    cr_assert(!result.ok && strstr(result.error, "ended with status 7") != NULL, "%s",
              result.error);
}

/* Steps of 10, 20 and 40 ms beside products of 100, 40 and 10 GFLOP/s: 1, 0.8 and 0.4 GFLOP. The
   medians of time and rate would make 20 ms and 40 GFLOP/s, as those of a moment each, but those of
   the second case, where a fast product follows a slow step, would not. */
Test(bench, sets_each_step_beside_the_product_after_it) {
    double times[] = {10, 40, 20}, rates[] = {100, 10, 40};
    bench_result result = {.ok = true};
    bench_summarise(times, rates, 3, &result);
    cr_assert_float_eq(result.product_gflop, 0.8, 1e-12);
    cr_assert_float_eq(result.median, 20, 0);
    cr_assert_float_eq(result.least, 10, 0);
    cr_assert_float_eq(result.rate, 40, 0);
    cr_assert_float_eq(result.lowest_rate, 10, 0);
    cr_assert_float_eq(result.highest_rate, 100, 0);
    double other_times[] = {10, 20, 40}, other_rates[] = {40, 10, 100};
    bench_summarise(other_times, other_rates, 3, &result);
    cr_assert_float_eq(result.product_gflop, 0.4, 1e-12);
}
