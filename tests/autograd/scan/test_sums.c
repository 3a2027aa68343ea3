/* Gradients of weights that share an operand and are formed in one call: those that could be taken
   for each other. */
#include <cerebra/ops.h>
#include <cerebra/scan.h>
#include <criterion/criterion.h>

/* Whether a step of one state compiles and gives, with gradients, what it gives op by op. */
static void check(cb_scan_step *step, int64_t input, int64_t hidden, int count,
                  const int64_t (*shapes)[2]) {
    cb_tensor shape[4], *weights[4];
    for (int i = 0; i < count; i++) {
        shape[i] = cb_tensor_wrap(CB_F64, 2, shapes[i], NULL);
        weights[i] = &shape[i];
    }
    cb_scan *scan = cb_scan_new(step, &(cb_scan_options){.name = "sums",
                                                         .dtype = CB_F64,
                                                         .input = input,
                                                         .state_count = 1,
                                                         .state_size = &hidden,
                                                         .weight_count = count,
                                                         .weights = weights});
    cb_scan_check_options options = {.time = 4, .batch = 7, .tolerance = 1e-10};
    cb_scan_check_report report;
    cr_assert_not_null(scan);
    for (int threads = 1; threads <= 3; threads++) {
        cb_set_threads(threads);
        cr_expect(cb_scan_check(scan, &options, &report) && report.compiled, "%d threads: %s",
                  threads, report.message);
    }
    cb_scan_free(scan);
}

/* [x1 A', x2 B'], x1 and x2 slices of x: sums with neighbouring columns of the cotangent, and with
   operands that differ in where in x they begin. */
static void neighbours(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *parts[] = {cb_linear(cb_slice(x, 1, 0, 4, 1), w[0], NULL),
                          cb_linear(cb_slice(x, 1, 1, 5, 1), w[1], NULL)};
    next[0] = cb_tanh(cb_add(cb_concat(2, parts, 1), cb_scale(state[0], 0.5)));
}

Test(sums, parts_of_an_operand_are_told_apart) {
    check(neighbours, 5, 6, 2, (const int64_t[][2]){{3, 4}, {3, 4}});
}

/* Both halves of h meet the same matrix: its gradient is a sum of two products with neighbouring
   columns, so large that threads share out the columns. */
enum { HALF = 320 };
static void twice(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *first = cb_chunk(state[0], 1, 2, 0), *second = cb_chunk(state[0], 1, 2, 1);
    cb_tensor *of_h =
        cb_add(cb_linear(first, w[0], NULL), cb_linear(cb_scale(second, 1), w[0], NULL));
    cb_tensor *p = cb_tanh(cb_add(cb_linear(x, w[1], NULL), of_h));
    next[0] = cb_concat(2, (cb_tensor *[]){p, cb_sin(cb_add(first, second))}, 1);
}

Test(sums, one_matrix_twice) {
    check(twice, 3, 2 * HALF, 2, (const int64_t[][2]){{HALF, HALF}, {HALF, 3}});
}
