/* The check of a recurrence (cb_scan_check) and that of each plan at first use: what they find,
   what they say, and what they are no check of. */
#include "tests/support.h"

#include "autograd/tape_internal.h"
#include "tensor/memory.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

enum { N = 3 };

/* ---- Ops that say they are row by row -------------------------------------------------------- */

/* y_r = (r + 1) x_r, r being the row of the tensor that it is given: a part of the batch, where it
   says that it is row by row. */

static cb_tensor *numbered(cb_tensor *x);
static void numbered_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = numbered(g);
}

static const cb_op numbered_op = {.name = "numbered",
                                  .formula = "y_r = (r + 1) x_r",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .shape = cb_shape_same,
                                  .forward = cbt_number_forward,
                                  .vjp = numbered_vjp,
                                  .row_by_row = cb_row_by_row};

static cb_tensor *numbered(cb_tensor *x) {
    return cb_apply(&numbered_op, 1, &x, NULL);
}

/* The same op, and it does not say so. */
static cb_tensor *honest(cb_tensor *x);
static void honest_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = honest(g);
}

static const cb_op honest_op = {.name = "honest",
                                .formula = "y_r = (r + 1) x_r",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .shape = cb_shape_same,
                                .forward = cbt_number_forward,
                                .vjp = honest_vjp};

static cb_tensor *honest(cb_tensor *x) {
    return cb_apply(&honest_op, 1, &x, NULL);
}

/* y = x, whose gradient alone is not row by row. */
static const cb_op backwards_op = {.name = "backwards",
                                   .formula = "y = x",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .shape = cb_shape_same,
                                   .forward = cbt_copy_forward,
                                   .vjp = numbered_vjp,
                                   .row_by_row = cb_row_by_row};

static cb_tensor *backwards(cb_tensor *x) {
    return cb_apply(&backwards_op, 1, &x, NULL);
}

static void wrong_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = cb_scale(g, -2);
}

/* y = x, with a gradient that is wrong, whoever computes it. */
static const cb_op wrong_op = {.name = "wrong",
                               .formula = "y = x",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .shape = cb_shape_same,
                               .forward = cbt_copy_forward,
                               .vjp = wrong_vjp,
                               .row_by_row = cb_row_by_row};

static cb_tensor *wrong(cb_tensor *x) {
    return cb_apply(&wrong_op, 1, &x, NULL);
}

/* ---- Steps of h and c, on x, with W [N, N] and b [N] ----------------------------------------- */

#define STEP(name, next_h, next_c)                                                                 \
    static void name(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,             \
                     cb_tensor **next) {                                                           \
        cb_tensor *W = weights[0], *b = weights[1], *h = state[0], *c = state[1];                  \
        (void)W, (void)b, (void)x, (void)h, (void)c;                                               \
        next[0] = next_h;                                                                          \
        next[1] = next_c;                                                                          \
    }

STEP(good, cb_tanh(cb_add(cb_linear(h, W, b), x)), cb_mul(c, x))
STEP(of_vectors, cb_tanh(cb_add(cb_mul(h, b), x)), cb_mul(c, b))
STEP(of_output, cb_tanh(cb_add(numbered(cb_linear(h, W, b)), x)), cb_mul(c, x))
STEP(of_state, cb_tanh(cb_add(cb_linear(h, W, b), x)), cb_tanh(numbered(cb_add(c, h))))
STEP(of_gradient_of_x, cb_tanh(cb_add(cb_linear(h, W, b), backwards(x))), c)
STEP(of_gradient_of_state, cb_tanh(cb_mul(x, backwards(c))), c)
STEP(of_gradient_of_weight, cb_tanh(cb_add(h, backwards(cb_mul(b, cb_positive(x))))), c)
STEP(honestly, cb_tanh(cb_add(honest(cb_linear(h, W, b)), x)), cb_mul(c, x))
STEP(with_wrong_gradient, cb_tanh(cb_add(wrong(cb_linear(h, W, b)), x)), cb_mul(c, x))

static int calls;
STEP(changing, cb_tanh(cb_add(cb_scale(h, ++calls), x)), c)

static cb_scan *scan_of(cb_scan_step *step, bool eager, bool unchecked) {
    static const int64_t sizes[] = {N, N};
    cb_tensor W = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), NULL);
    cb_tensor b = cb_tensor_wrap(CB_F64, CB_SHAPE(N), NULL);
    return cb_scan_new(step, &(cb_scan_options){.dtype = CB_F64,
                                                .input = N,
                                                .state_count = 2,
                                                .state_size = sizes,
                                                .weight_count = 2,
                                                .weights = (cb_tensor *[]){&W, &b},
                                                .eager = eager,
                                                .unchecked = unchecked});
}

/* ---- The check that a user asks for ---------------------------------------------------------- */

static cb_scan_check_report report_of(cb_scan_step *step, const cb_scan_check_options *options) {
    cb_scan_check_report report;
    cb_scan *scan = scan_of(step, false, false);
    cr_assert_not_null(scan);
    cr_expect_eq(cb_scan_check(scan, options, &report), report.passed);
    cr_expect_eq(report.passed, report.message[0] == '\0');
    cb_scan_free(scan);
    return report;
}

Test(scan_check, passes_a_step_that_is_right) {
    cb_scan_check_report report = report_of(good, NULL);
    cr_expect(report.passed && report.compiled, "%s", report.message);
    cr_expect_lt(report.worst_value, 1e-12);
    cr_expect_lt(report.worst_gradient, 1e-12);
    /* Outputs, last states and gradients of x, states and weights, in three ways that x is given
       as it is; and on rows of a table. */
    int64_t others = 3 * 5 * N + 2 * 5 * N + 2 * 5 * N + N * N + N;
    cr_expect_eq(report.compared, 4 * others + 3 * (3 * 5 * N) + 3 * N);
    cr_expect(report_of(honestly, NULL).passed);
}

Test(scan_check, says_what_differs) {
    static const char *const weights[] = {"W", "b"}, *const states[] = {"h", "c"};
    static const struct {
        cb_scan_step *step;
        const char *named, *numbered;
        bool value;
    } cases[] = {
        {of_output, "output, element ", "output, element ", true},
        {of_state, "last c, element ", "last state 1, element ", true},
        {of_gradient_of_x, "gradient of x, element ", "gradient of x, element ", false},
        {of_gradient_of_state, "gradient of initial c, element ",
         "gradient of initial state 1, element ", false},
        {of_gradient_of_weight, "gradient of b, element ", "gradient of weight 1, element ", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cb_scan_check_options options = {.weight_names = weights, .state_names = states};
        cb_scan_check_report named = report_of(cases[i].step, &options);
        cb_scan_check_report numbers = report_of(cases[i].step, NULL);
        cr_expect(!named.passed && named.compiled);
        cr_expect_eq(strncmp(named.message, cases[i].named, strlen(cases[i].named)), 0, "%s",
                     named.message);
        cr_expect_eq(strncmp(numbers.message, cases[i].numbered, strlen(cases[i].numbered)), 0,
                     "%s", numbers.message);
        cr_expect_not_null(strstr(named.message, " compiled, "));
        cr_expect_not_null(strstr(named.message, " op by op"));
        cr_expect_eq(named.worst_value > 1e-3, cases[i].value, "%g", named.worst_value);
        cr_expect_gt(named.worst_gradient, 1e-3);
    }
}

Test(scan_check, follows_its_options) {
    cr_expect(report_of(of_output, &(cb_scan_check_options){.tolerance = 1e6}).passed);
    /* One sequence has one row, whatever part of the batch it is. */
    cr_expect(report_of(of_output, &(cb_scan_check_options){.batch = 1}).passed);
    cb_scan_check_report large = report_of(good, &(cb_scan_check_options){.time = 4, .batch = 40});
    cr_expect(large.passed, "%s", large.message);
    cr_expect_gt(large.compared, 4 * 4 * 40 * N);
    cb_scan_check_report one = report_of(of_output, &(cb_scan_check_options){.seed = 1});
    cb_scan_check_report two = report_of(of_output, &(cb_scan_check_options){.seed = 10});
    cr_expect_str_neq(one.message, two.message);
    /* Where the weights are 0, nothing that is wrong reaches the output. */
    double zeros[N * N] = {0};
    cb_tensor W = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), zeros);
    cb_tensor b = cb_tensor_wrap(CB_F64, CB_SHAPE(N), zeros);
    cb_scan_check_options given = {.weights = (cb_tensor *[]){&W, &b}};
    cb_scan_check_report report = report_of(of_output, &given);
    cr_expect_lt(report.worst_value, 1e-12);
    cr_expect_gt(report.worst_gradient, 1e-3);
}

/* Blocks of rows whose sums are added up in order are parts of tiles, also of a check's small ones:
   of no block do two threads add up a part. */
Test(scan_check, of_many_rows_on_several_threads) {
    int before = cb_threads();
    for (int threads = 2; threads <= 3; threads++)
        for (int64_t batch = 60; batch < 300; batch += 16) {
            cb_set_threads(threads);
            cb_scan_check_options many = {.time = 2, .batch = batch};
            cb_scan_check_report report = report_of(of_vectors, &many);
            cr_assert(report.passed, "%d threads, %d rows: %s", threads, (int)batch,
                      report.message);
        }
    cb_set_threads(before);
}

Test(scan_check, of_what_runs_op_by_op) {
    calls = 0;
    cb_scan *scan = scan_of(changing, false, false), *eager = scan_of(of_output, true, false);
    cb_scan_check_report report;
    cr_expect(cb_scan_check(eager, NULL, &report) && !report.compiled, "%s", report.message);
    cb_scan_check(scan, NULL, &report);
    cr_expect_not(report.compiled);
    cr_expect_not_null(cb_scan_reason(scan));
    cb_scan_free(scan);
    cb_scan_free(eager);
}

/* A gradient that is wrong is the same compiled: it is the checker of gradients that finds it. */
static cb_tensor *wrong_function(cb_tensor *const *in, void *context) {
    (void)context;
    return wrong(in[0]);
}

Test(scan_check, is_no_check_of_gradients) {
    double values[] = {0.1, 0.2};
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(2), values);
    cr_expect(report_of(with_wrong_gradient, NULL).passed);
    cr_expect_not(cb_check_gradient(wrong_function, NULL, 1, (cb_tensor *[]){&x}, NULL, NULL));
}

Test(scan_check, of_nothing) {
    cb_scan_check_report report = {.passed = true};
    cr_expect_not(cb_scan_check(NULL, NULL, &report));
    cr_expect_str_eq(report.message, "there is no recurrence");
    cr_expect_not(report.passed);
    cr_expect_not(cb_scan_check(NULL, NULL, NULL));
    cb_scan *scan = scan_of(good, false, false);
    cr_expect(cb_scan_check(scan, NULL, NULL));
    cb_scan_free(scan);
}

/* Of the later allocations some: a check makes hundreds. */
Test(scan_check, when_allocations_fail) {
    bool passed = false;
    int64_t n = 0;
    for (; n < 5000 && !passed; n += 1 + n / 16) {
        cb_scan_check_report report;
        cb_scan *scan = scan_of(good, false, false);
        cbi_allocation_fail_after(n);
        passed = cb_scan_check(scan, NULL, &report);
        cbi_allocation_fail_after(-1);
        cr_assert(passed || strcmp(report.message, "out of memory") == 0, "allocation %lld: %s",
                  (long long)n, report.message);
        if (n % 8 == 0)
            cr_assert(cb_scan_check(scan, NULL, &report), "after allocation %lld: %s", (long long)n,
                      report.message);
        cb_scan_free(scan);
    }
    cr_expect(passed);
    cr_expect_gt(n, 20);
}

/* ---- The check at first use ------------------------------------------------------------------ */

/* Runs the step, x being rows of a table if there are any, and holds y to that op by op. refused:
   whether the plan must be found to be wrong. */
static void check_run(cb_scan_step *step, int64_t table, bool refused) {
    enum { TIME = 2, BATCH = 6 };
    double numbers[2][TIME * BATCH * N], values[400];
    int64_t indices[TIME * BATCH];
    cb_random random = cb_random_seed(1);
    cb_random_uniform_f64(&random, 400, values, -1, 1);
    for (int i = 0; i < TIME * BATCH; i++)
        indices[i] = (7 * i + 3) % (table > 0 ? table : 1);
    for (int eager = 0; eager < 2; eager++) {
        cb_tape *tape = cb_tape_new();
        cb_scan *scan = scan_of(step, eager == 1, false);
        cb_tensor plain[] = {cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, N), values),
                             cb_tensor_wrap(CB_F64, CB_SHAPE(table, N), values),
                             cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values + 100),
                             cb_tensor_wrap(CB_F64, CB_SHAPE(N), values + 120),
                             cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), values + 130)};
        cb_tensor rows = cb_tensor_wrap(CB_I64, CB_SHAPE(TIME, BATCH), indices);
        cb_tensor *state = cb_input(tape, &plain[4]);
        cb_scan_io io = {.weights =
                             (cb_tensor *[]){cb_input(tape, &plain[2]), cb_input(tape, &plain[3])},
                         .initial = (cb_tensor *[]){state, state},
                         .rows = table > 0 ? cb_input(tape, &rows) : NULL};
        cb_tensor *y = cb_scan_run(scan, cb_variable(tape, &plain[table > 0]), &io);
        cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
        memcpy(numbers[eager], cb_contiguous(y)->data, sizeof(numbers[eager]));
        const char *reason = cb_scan_reason(scan);
        cr_expect_eq(reason != NULL, refused || eager == 1, "%s", reason);
        cr_expect(!refused || eager == 1 || strstr(reason, "not what it says: output, ") != NULL,
                  "%s", reason);
        cb_scan_free(scan);
        cb_tape_free(tape);
    }
    for (int i = 0; i < TIME * BATCH * N; i++)
        cr_expect_float_eq(numbers[0][i], numbers[1][i], 1e-12);
}

Test(first_use, a_plan_that_is_wrong_is_not_run) {
    check_run(good, 0, false);
    check_run(honestly, 0, false);
    check_run(of_output, 0, true);
}

/* Of a table with fewer rows than there are steps in all sequences, rows are looked up as the plan
   runs; of a larger one, before. */
Test(first_use, nor_one_on_rows_of_a_table) {
    check_run(good, 5, false);
    check_run(of_output, 5, true);
    check_run(good, 30, false);
    check_run(of_output, 30, true);
}

/* ---- Gradients that vanish ------------------------------------------------------------------- */

enum { LONG = 210, WIDE = 6 };

/* So many gains that the first weights' gradients are hardly numbers in f32. */
static void with_gains(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *h = state[0];
    for (int i = 0; i < LONG; i++)
        if (i % 3 == 0)
            h = cb_add(h, cb_scale(cb_tanh(cb_linear(state[0], w[i], NULL)), 0.05));
        else if (i % 3 == 1)
            h = cb_mul(h, w[i]);
        else
            h = cb_add(h, cb_scale(cb_mul(w[i], x), 0.1));
    next[0] = cb_tanh(h);
}

Test(scan_check, of_gradients_that_vanish) {
    static const int64_t size = WIDE;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        cb_random random = cb_random_seed(seed);
        cb_tensor *w[LONG];
        cb_scan_check_report report;
        for (int i = 0; i < LONG; i++) {
            w[i] = cb_tensor_new(CB_F32, i % 3 == 0 ? 2 : 1, (const int64_t[]){WIDE, WIDE});
            cb_random_normal_f32(&random, cb_tensor_count(w[i]), w[i]->data, 0, 0.3F);
        }
        cb_scan *scan = cb_scan_new(with_gains, &(cb_scan_options){.dtype = CB_F32,
                                                                   .input = WIDE,
                                                                   .state_count = 1,
                                                                   .state_size = &size,
                                                                   .weight_count = LONG,
                                                                   .weights = w});
        cb_scan_check_options options = {.time = 4, .batch = 1, .seed = seed, .weights = w};
        cr_expect(cb_scan_check(scan, &options, &report), "seed %d: %s", (int)seed, report.message);
        cb_scan_free(scan);
        for (int i = 0; i < LONG; i++)
            cb_tensor_free(w[i]);
    }
}

/* The mean of equal numbers is rounded, and what is left of them may be made large afterwards:
   noise has to reach what an op of one pass computes within. Without it, this is exactly 0. */
Test(first_use, noise_reaches_what_a_layer_norm_subtracts) {
    enum { EQUAL = 8 };
    cb_tape *tape = cb_tape_new();
    cbi_noise noise = {0x1p-22, cb_random_seed(1)};
    cb_tensor *equal = cb_full(tape, CB_F32, 2, (int64_t[]){1, EQUAL}, 0.5);
    cb_tensor *quiet = cb_layer_norm(equal, NULL, NULL, 1e-3);
    double largest = 0;
    for (int draw = 0; draw < 8; draw++) { /* what two ops add may cancel in one */
        tape->noise = &noise;
        cb_tensor *noisy = cb_layer_norm(equal, NULL, NULL, 1e-3);
        tape->noise = NULL;
        cr_assert_eq(cb_tape_status(tape), CB_OK);
        largest = fmax(largest, fabs(cb_tensor_get(noisy, (int64_t[]){0, 3})));
    }
    cr_expect_eq(cb_tensor_get(quiet, (int64_t[]){0, 3}), 0);
    cr_expect_gt(largest, 1e-7);
    cb_tape_free(tape);
}
