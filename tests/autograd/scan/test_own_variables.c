/* Which gradients a run is asked for, and variables that a step puts on the tape itself. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { TIME = 4, BATCH = 5, N = 3, LEAVES = 4 };

/* ---- Some of the gradients ------------------------------------------------------------------- */

static void with_products(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(x, w[0], NULL), cb_linear(state[0], w[1], NULL)));
}
static void with_x_as_it_is(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(cb_add(x, state[0]), w[0], NULL), cb_mul(x, state[0])));
    next[0] = cb_linear(next[0], w[1], NULL);
}
static void with_x_outside(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
    cb_tensor *gate = cb_sigmoid(cb_linear(state[0], w[1], NULL));
    next[0] = cb_mul(gate, cb_tanh(cb_linear(cb_exp(x), w[0], NULL)));
}

static cb_scan *scan_of(cb_scan_step *step, bool eager, int weights) {
    const int64_t size = N;
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), NULL);
    return cb_scan_new(step, &(cb_scan_options){.dtype = CB_F64,
                                                .input = N,
                                                .state_count = 1,
                                                .state_size = &size,
                                                .weight_count = weights,
                                                .weights = (cb_tensor *[]){&w, &w},
                                                .eager = eager});
}

/* The gradients of the leaves in the mask, one after the other, and whether the scan compiled. */
static int gradients_of(cb_scan_step *step, bool eager, int mask, bool of_final, double *numbers) {
    double values[200];
    cb_random random = cb_random_seed(1);
    cb_random_uniform_f64(&random, 200, values, -1, 1);
    cb_tensor plain[LEAVES] = {cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, N), values),
                               cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), values + 80),
                               cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values + 100),
                               cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values + 120)};
    cb_tape *tape = cb_tape_new();
    cb_scan *scan = scan_of(step, eager, 2);
    cb_tensor *leaves[LEAVES], *asked[LEAVES], *gradients[LEAVES], *final;
    int count = 0, written = 0;
    for (int i = 0; i < LEAVES; i++) {
        leaves[i] = cb_variable(tape, &plain[i]);
        if ((mask >> i & 1) != 0)
            asked[count++] = leaves[i];
    }
    cb_tensor *y =
        cb_scan_run(scan, leaves[0],
                    &(cb_scan_io){.weights = leaves + 2, .initial = leaves + 1, .final = &final});
    cr_assert_eq(cb_grad(of_final ? final : y, NULL, false, count, asked, gradients), CB_OK, "%s",
                 cb_tape_error(tape));
    for (int i = 0; i < count; i++) {
        memcpy(numbers + written, cb_contiguous(gradients[i])->data, cb_tensor_bytes(gradients[i]));
        written += (int)cb_tensor_count(gradients[i]);
    }
    cr_expect(eager || cb_scan_reason(scan) == NULL, "%s", cb_scan_reason(scan));
    cb_scan_free(scan);
    cb_tape_free(tape);
    return written;
}

Test(own_variables, any_of_the_gradients_may_be_asked_for) {
    cb_scan_step *const steps[] = {with_products, with_x_as_it_is, with_x_outside};
    for (int i = 0; i < 3 * 2 * 15; i++) {
        cb_scan_step *step = steps[i % 3];
        int mask = 1 + i / 6;
        bool of_final = i / 3 % 2 == 1;
        double compiled[200], eager[200];
        int count = gradients_of(step, false, mask, of_final, compiled);
        cr_assert_eq(gradients_of(step, true, mask, of_final, eager), count);
        for (int k = 0; k < count; k++)
            cr_assert(fabs(compiled[k] - eager[k]) < 1e-12, "step %d, leaves %d, number %d", i % 3,
                      mask, k);
    }
}

/* ---- Variables of the step's own ------------------------------------------------------------- */

static double own[N * N], of_own[N * N];
static cb_tensor own_gradient;

static const cb_op numbered_op = {.name = "numbered",
                                  .formula = "y_r = (r + 1) x_r",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .shape = cb_shape_same,
                                  .forward = cbt_number_forward,
                                  .row_by_row = cb_row_by_row};
/* y = x, whose gradient is multiplied with the number of the row, of those that it is given: it is
   not row by row, and says that it is. */
static void passed_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = cb_apply(&numbered_op, 1, &g, NULL);
}
static const cb_op passed_op = {.name = "passed",
                                .formula = "y = x",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .shape = cb_shape_same,
                                .forward = cbt_copy_forward,
                                .vjp = passed_vjp,
                                .row_by_row = cb_row_by_row};

static cb_tensor *variable(cb_tensor *x) {
    cb_tensor value = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), own);
    own_gradient = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), of_own);
    return cb_variable_into(cb_tape_of(x), &value, &own_gradient);
}

static void with_own(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w;
    next[0] = cb_tanh(cb_add(cb_matmul(state[0], variable(x)), x));
}
/* Nothing but the gradient of its own variable is wrong. */
static void with_own_wrong(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
    (void)w;
    cb_tensor *of_own_alone = cb_matmul(cb_positive(x), variable(x));
    next[0] = cb_add(cb_scale(state[0], 0.5), cb_apply(&passed_op, 1, &of_own_alone, NULL));
}

/* Runs the step, with a gradient that is 7 before. */
static const char *run_own(cb_scan *scan, bool of_x, double *before_backward) {
    double values[TIME * BATCH * N];
    cb_random random = cb_random_seed(2);
    cb_random_uniform_f64(&random, TIME * BATCH * N, values, -1, 1);
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, N), values);
    cb_tensor h = cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), values + 5);
    for (int i = 0; i < N * N; i++) {
        own[i] = 0.1 * i;
        of_own[i] = 7;
    }
    cb_tape *tape = cb_tape_new();
    cb_tensor *on_tape = of_x ? cb_variable(tape, &x) : cb_input(tape, &x);
    cb_tensor *y =
        cb_scan_run(scan, on_tape, &(cb_scan_io){.initial = (cb_tensor *[]){cb_input(tape, &h)}});
    *before_backward = 0;
    for (int i = 0; i < N * N; i++)
        *before_backward = fmax(*before_backward, fabs(of_own[i] - 7));
    cr_assert_eq(cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false)), CB_OK);
    cb_tape_free(tape);
    return cb_scan_reason(scan);
}

Test(own_variables, checks_leave_their_gradients_alone) {
    for (int of_x = 0; of_x < 2; of_x++) {
        cb_scan *compiled = scan_of(with_own, false, 0), *eager = scan_of(with_own, true, 0);
        double first, expected[N * N];
        run_own(eager, of_x == 1, &first);
        memcpy(expected, of_own, sizeof(expected));
        cr_assert_null(run_own(compiled, of_x == 1, &first));
        cr_expect_eq(first, 0, "%g was added before cb_backward", first);
        for (int i = 0; i < N * N; i++)
            cr_expect_float_eq(of_own[i], expected[i], 1e-12);
        cb_scan_check_report report;
        cr_expect(cb_scan_check(compiled, NULL, &report), "%s", report.message);
        for (int i = 0; i < N * N; i++)
            cr_expect_float_eq(of_own[i], expected[i], 1e-12);
        cb_scan_free(compiled);
        cb_scan_free(eager);
    }
}

Test(own_variables, checks_compare_their_gradients) {
    for (int of_x = 0; of_x < 2; of_x++) {
        cb_scan *scan = scan_of(with_own_wrong, false, 0);
        cb_scan_check_report report;
        double first;
        cr_expect_not(cb_scan_check(scan, NULL, &report));
        cr_expect_not_null(strstr(report.message, "gradient of a variable of the step's own"), "%s",
                           report.message);
        const char *reason = run_own(scan, of_x == 1, &first);
        cr_expect(reason != NULL && strstr(reason, "variable of the step's own") != NULL, "%s",
                  reason);
        cr_expect_eq(first, 0);
        cb_scan_free(scan);
    }
}

/* Within a checkpoint, too, where the step's trace does not show it. */
static cb_tensor *product_with_own(const void *context, cb_tensor *const *in) {
    (void)context;
    return cb_matmul(in[0], variable(in[0]));
}
static void with_checkpoint(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    (void)w;
    next[0] = cb_tanh(cb_add(cb_checkpoint(product_with_own, NULL, 0, 1, state), x));
}

Test(own_variables, checks_leave_those_of_a_checkpoint_alone) {
    cb_scan *scan = scan_of(with_checkpoint, false, 0);
    double first;
    run_own(scan, true, &first);
    cr_expect_eq(first, 0, "%g was added before cb_backward", first);
    for (int i = 0; i < N * N; i++)
        of_own[i] = 7;
    cb_scan_check(scan, NULL, NULL);
    for (int i = 0; i < N * N; i++)
        cr_expect_eq(of_own[i], 7);
    cb_scan_free(scan);
}

/* ---- Slopes beyond a sequence's end ---------------------------------------------------------- */

/* The slope of the square root at 0, of padding, is infinite. */
static void with_roots(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    next[0] = cb_mul(cb_sqrt(cb_mul(cb_abs(x), cb_abs(state[0]))), cb_mul(w[0], w[1]));
}

Test(own_variables, steps_beyond_the_end_have_no_gradient) {
    const int64_t size = N;
    double one[N] = {1, 2, 3}, x[3 * 2 * N] = {1, 2, 3, 4, 5, 6, 7, 8, 9},
           h[2 * N] = {1, 1, 1, 1, 1, 1};
    int32_t lengths[] = {2, 1};
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(N), one);
    cb_tensor plain_x = cb_tensor_wrap(CB_F64, CB_SHAPE(3, 2, N), x);
    cb_tensor plain_h = cb_tensor_wrap(CB_F64, CB_SHAPE(2, N), h);
    cb_tensor plain_lengths = cb_tensor_wrap(CB_I32, CB_SHAPE(2), lengths);
    cb_scan *scan = cb_scan_new(with_roots, &(cb_scan_options){.dtype = CB_F64,
                                                               .input = N,
                                                               .state_count = 1,
                                                               .state_size = &size,
                                                               .weight_count = 2,
                                                               .weights = (cb_tensor *[]){&w, &w}});
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[] = {cb_variable(tape, &w), cb_input(tape, &w)};
    cb_tensor *in = cb_variable(tape, &plain_x), *state = cb_variable(tape, &plain_h);
    cb_tensor *y = cb_scan_run(scan, in,
                               &(cb_scan_io){.weights = weights,
                                             .initial = &state,
                                             .lengths = cb_input(tape, &plain_lengths)});
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    cr_expect_null(cb_scan_reason(scan), "%s", cb_scan_reason(scan));
    cb_tensor *const leaves[] = {in, state, weights[0]};
    for (int i = 0; i < 3; i++) {
        const cb_tensor *g = cb_gradient(leaves[i]);
        for (int64_t k = 0; k < cb_tensor_count(g); k++)
            cr_expect(isfinite(((const double *)g->data)[k]), "leaf %d, element %d", i, (int)k);
    }
    cb_scan_check_report report;
    cr_expect(cb_scan_check(scan, NULL, &report), "%s", report.message);
    cb_scan_free(scan);
    cb_tape_free(tape);
}
