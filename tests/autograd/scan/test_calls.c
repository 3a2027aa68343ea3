/* Ops that the compiler applies as they are, in steps of recurrences: compiled, such a step gives
   what it gives op by op, values and gradients, and draws the same random numbers. */
#include "tests/support.h"

#include <cerebra/ops.h>
#include <cerebra/scan.h>

enum { N = 3 }; /* no multiple of a block of random numbers */

static cb_random generator;

#define STEP(name)                                                                                 \
    static void name(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next)

STEP(adds_noise) {
    cb_tensor *noise = cb_normal_like(state[0], 0, 1, &generator);
    next[0] = cb_tanh(cb_add(cb_add(x, state[0]), cb_mul(w[0], noise)));
}

STEP(draws_in_several_ways) {
    cb_tensor *kept = cb_bernoulli_like(state[0], 0.6, &generator);
    cb_tensor *scores = cb_add(cb_mul(state[0], w[0]), cb_gumbel_like(x, &generator));
    cb_tensor *shape = cb_uniform(cb_tape_of(x), x->dtype, 2, x->shape, -0.5, 0.5, &generator);
    next[0] = cb_add(cb_mul(cb_softmax(scores, -1), kept), cb_mul(cb_tanh(x), shape));
}

STEP(draws_one_row_for_all) {
    cb_tensor *noise = cb_normal(cb_tape_of(x), x->dtype, CB_SHAPE(N), 0, 1, &generator);
    next[0] = cb_tanh(cb_add(cb_add(x, state[0]), cb_mul(w[0], noise)));
}

STEP(chooses_by_an_integer) {
    cb_tensor *best = cb_one_hot(cb_argmax(cb_add(state[0], x), -1, false), N, CB_I64);
    next[0] =
        cb_tanh(cb_where(best, cb_mul(state[0], w[0]), cb_add(x, cb_masked_fill(x, best, 1))));
}

STEP(sums_up) {
    cb_tensor *sums = cb_cumsum(cb_mul(state[0], w[0]), -1);
    next[0] = cb_tanh(cb_add(x, cb_mul(sums, cb_cumsum(x, 1))));
}

STEP(sums_over_sequences) {
    next[0] = cb_tanh(cb_add(x, cb_mul(cb_cumsum(state[0], 0), w[0])));
}

STEP(sorts) {
    cb_tensor *sorted = cb_sort(cb_mul(state[0], w[0]), -1, true, NULL);
    cb_tensor *largest = cb_topk(cb_add(x, state[0]), 1, 2, true, NULL);
    next[0] = cb_tanh(cb_add(cb_add(x, sorted), cb_sum(largest, CB_AXES(-1), true)));
}

STEP(takes_a_triangle) {
    cb_tensor *rows = cb_unsqueeze(cb_mul(state[0], w[0]), 1), *columns = cb_unsqueeze(x, 2);
    cb_tensor *outer = cb_tril(cb_mul(rows, columns), 0);
    next[0] = cb_tanh(cb_add(cb_sum(outer, CB_AXES(1), false), state[0]));
}

STEP(stops_a_column) {
    next[0] = cb_tanh(cb_add(x, cb_mul(cb_stop_gradient_at(state[0], -1, 1), w[0])));
}

static void check(const char *name, cb_scan_step *step, cb_dtype dtype) {
    const int64_t size = N;
    cb_tensor shape = cb_tensor_wrap(dtype, CB_SHAPE(N), NULL), *weights[] = {&shape};
    cb_scan *scan = cb_scan_new(step, &(cb_scan_options){.name = name,
                                                         .dtype = dtype,
                                                         .input = N,
                                                         .state_count = 1,
                                                         .state_size = &size,
                                                         .weight_count = 1,
                                                         .weights = weights});
    cr_assert_not_null(scan);
    for (int64_t batch = 1; batch < 40; batch = 3 * batch + 1) {
        cb_scan_check_report report;
        generator = cb_random_seed(6);
        cr_expect(cb_scan_check(scan, &(cb_scan_check_options){.time = 4, .batch = batch}, &report),
                  "%s, %s, batch %lld: %s", name, cb_dtype_name(dtype), (long long)batch,
                  report.message);
        cr_expect(report.compiled, "%s: %s", name, cb_scan_reason(scan));
        cr_expect_eq(generator.counter, 0);
    }
    cb_scan_free(scan);
}

#define CHECK(step)                                                                                \
    Test(calls, step) {                                                                            \
        check(#step, step, CB_F64);                                                                \
        check(#step, step, CB_F32);                                                                \
    }
CHECK(adds_noise)
CHECK(draws_in_several_ways)
CHECK(draws_one_row_for_all)
CHECK(chooses_by_an_integer)
CHECK(sums_up)
CHECK(sums_over_sequences)
CHECK(sorts)
CHECK(takes_a_triangle)
CHECK(stops_a_column)
