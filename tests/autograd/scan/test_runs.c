/* Runs of one recurrence one after the other: what is compiled once, what again, what the reason
   says, and what a run keeps alive. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { TIME = 30, N = 2 };

static int calls, calls_so_far;
static double temperature;

#define STEP(name, next_h)                                                                         \
    static void name(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,                   \
                     cb_tensor **next) {                                                           \
        cb_tensor *h = state[0];                                                                   \
        (void)w, calls++;                                                                          \
        next[0] = next_h;                                                                          \
    }

STEP(plain, cb_tanh(cb_add(x, cb_linear(h, w[0], NULL))))
STEP(annealed, cb_tanh(cb_scale(cb_add(x, cb_linear(h, w[0], NULL)), temperature)))

static cb_scan *scan_of(cb_scan_step *step) {
    static const int64_t size = N;
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), NULL);
    return cb_scan_new(step, &(cb_scan_options){.dtype = CB_F64,
                                                .input = N,
                                                .state_count = 1,
                                                .state_size = &size,
                                                .weight_count = 1,
                                                .weights = (cb_tensor *[]){&w}});
}

static cb_tensor *run_on(cb_tape *tape, cb_scan *scan, int64_t batch, double x) {
    cb_tensor *w = cb_variable(tape, cb_full(tape, CB_F64, CB_SHAPE(N, N), 0.3));
    cb_tensor *h = cb_full(tape, CB_F64, CB_SHAPE(batch, N), 0.5);
    return cb_scan_run(scan, cb_full(tape, CB_F64, CB_SHAPE(TIME, batch, N), x),
                       &(cb_scan_io){.weights = &w, .initial = &h});
}

/* Whether a run was compiled, by how often it called the step; the reason must say the same. */
static bool is_compiled(cb_scan *scan, int64_t batch, double x) {
    cb_tape *tape = cb_tape_new();
    calls = 0;
    cb_tensor *y = run_on(tape, scan, batch, x);
    bool compiled = calls < TIME;
    if (cb_tape_status(tape) == CB_OK) {
        cr_expect_eq(cb_scan_reason(scan) == NULL, compiled, "%s", cb_scan_reason(scan));
        cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    }
    cb_tape_free(tape);
    return compiled;
}

/* ---- Steps that change ----------------------------------------------------------------------- */

/* As long as a number changes in every run, forms of the step are compiled until there are many;
   when it stays, the step is compiled again. */
Test(runs, a_number_that_changes_and_then_stays) {
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        cb_scan *scan = scan_of(annealed);
        int by_op = 0;
        for (int k = 0; k < 40; k++) {
            temperature = k < 30 ? 1 - 0.02 * k : 0.3;
            bool compiled = is_compiled(scan, batch, 0.1);
            by_op += !compiled;
            cr_expect(k >= 16 || compiled, "run %d of %d sequences: %s", k, (int)batch,
                      cb_scan_reason(scan));
            cr_expect(k <= 31 || compiled, "run %d of %d sequences: %s", k, (int)batch,
                      cb_scan_reason(scan));
        }
        cr_expect(by_op > 5 && by_op < 20, "%d", by_op);
        cb_scan_free(scan);
    }
}

/* One after the other, two of many forms are used: they are kept. */
Test(runs, forms_in_use_are_kept) {
    cb_scan *scan = scan_of(annealed);
    for (int k = 0; k < 60; k++) {
        temperature = k % 3 == 0 ? 0.5 : k % 3 == 1 ? 0.6 : 1 + k;
        bool compiled = is_compiled(scan, 2, 0.1);
        cr_expect(k % 3 == 2 || compiled, "run %d: %s", k, cb_scan_reason(scan));
    }
    cb_scan_free(scan);
}

/* Nor does it matter that two take turns when there have been many. */
Test(runs, forms_that_take_turns_are_compiled) {
    cb_scan *scan = scan_of(annealed);
    for (int k = 0; k < 60; k++) {
        temperature = k < 30 ? 1 + k : k % 2 == 0 ? 0.5 : 0.6;
        bool compiled = is_compiled(scan, 2, 0.1);
        cr_expect(k < 32 || compiled, "run %d: %s", k, cb_scan_reason(scan));
    }
    cb_scan_free(scan);
}

/* What a step does at its first calls says nothing of later runs. */
static int odd_calls;
STEP(beginning,
     cb_tanh(cb_add(x, calls_so_far++ < odd_calls ? cb_scale(cb_linear(h, w[0], NULL), calls_so_far)
                                                  : cb_linear(h, w[0], NULL))))

Test(runs, a_step_that_changes_at_first) {
    for (odd_calls = 1; odd_calls < 12; odd_calls++) {
        cb_scan *scan = scan_of(beginning);
        calls_so_far = 0;
        int by_op = 0;
        for (int k = 0; k < 20; k++)
            by_op += !is_compiled(scan, 3, 0.1);
        cr_expect_leq(by_op, 4, "%d odd calls, %d of 20 runs op by op: %s", odd_calls, by_op,
                      cb_scan_reason(scan));
        cb_scan_free(scan);
    }
}

/* The form that a gradient is still wanted of is not replaced. */
Test(runs, plans_last_as_long_as_the_tape) {
    cb_scan *scan = scan_of(annealed);
    cb_tape *tape = cb_tape_new();
    temperature = 0.7;
    cb_tensor *y = run_on(tape, scan, 2, 0.1);
    for (int k = 0; k < 60; k++) {
        temperature = 2 + k / 2;
        is_compiled(scan, 2, 0.1);
    }
    cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    cb_tape_free(tape);
    cb_scan_free(scan);
}

Test(runs, the_gradient_outlives_the_scan) {
    for (int eager = 0; eager < 2; eager++) {
        cb_tape *tape = cb_tape_new();
        cb_scan *scan = scan_of(plain);
        cb_tensor *y = run_on(tape, scan, 2, 0.1), *again = run_on(tape, scan, 3, 0.2);
        cb_scan_free(scan);
        cb_tensor *loss = cb_add(cb_sum(y, CB_ALL_AXES, false), cb_sum(again, CB_ALL_AXES, false));
        cr_expect_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
        if (eager == 0)
            cb_tape_reset(tape);
        cb_tape_free(tape);
    }
}

/* ---- The reason ------------------------------------------------------------------------------ */

static cb_tape *other;
static bool captures;
STEP(capturing, captures ? cb_add(x, cb_full(other, CB_F64, CB_SHAPE(N), 1)) : cb_add(x, h))

Test(runs, the_reason_is_that_of_the_last_run) {
    cb_scan *scan = scan_of(capturing);
    other = cb_tape_new();
    for (int k = 0; k < 6; k++) {
        captures = k % 3 == 1;
        cb_tape *tape = cb_tape_new();
        run_on(tape, scan, 2, 0.1);
        cr_expect_eq(cb_scan_reason(scan) != NULL, captures, "run %d: %s", k, cb_scan_reason(scan));
        cb_tape_free(tape);
    }
    cb_tape_free(other);
    cb_scan_free(scan);
}

/* ---- The check at first use ------------------------------------------------------------------ */

/* y = x, for x above 5, and else an error; with the number of the row added, of those that it is
   given: it is not row by row, and says that it is. */
static bool broken;
static cb_status above_forward(const cb_call *call) {
    const double *x = call->in[0]->data;
    double *y = call->out->data;
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        if (x[i] <= 5 || broken)
            return cb_call_fail(call, CB_ERROR_VALUE, "not above 5");
        y[i] = x[i] + 0.1 * (double)(i / N);
    }
    return CB_OK;
}
static void above_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = g;
}
static const cb_op above_op = {.name = "above",
                               .formula = "y = x",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .shape = cb_shape_same,
                               .forward = above_forward,
                               .vjp = above_vjp,
                               .row_by_row = cb_row_by_row};
static cb_tensor *above(cb_tensor *x) {
    return cb_apply(&above_op, 1, &x, NULL);
}
STEP(with_above, cb_add(cb_scale(h, 0.5), cb_add(cb_linear(h, w[0], NULL), above(x))))

/* Where the step fails on random numbers it is checked with those of the run. */
Test(runs, a_step_that_fails_on_random_numbers_is_checked) {
    cb_scan *scan = scan_of(with_above);
    cr_expect_not(is_compiled(scan, 20, 6));
    const char *reason = cb_scan_reason(scan);
    cr_expect(reason != NULL && strncmp(reason, "the compiler has a bug", 22) == 0, "%s", reason);
    cb_scan_check_report report;
    cr_expect_not(cb_scan_check(scan, NULL, &report));
    cr_expect(strncmp(report.message, "the step fails on random numbers: above: ", 41) == 0, "%s",
              report.message);
    cr_expect_eq(report.compared, 0);
    cb_scan_free(scan);
}

/* A run that failed has checked nothing. */
Test(runs, a_run_that_fails_is_no_check) {
    cb_scan *scan = scan_of(with_above);
    broken = true;
    cb_tape *tape = cb_tape_new();
    run_on(tape, scan, 20, 6);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_VALUE);
    cb_tape_free(tape);
    broken = false;
    cr_expect_not(is_compiled(scan, 20, 6));
    cb_scan_free(scan);
}

/* ---- Numbers of sequences -------------------------------------------------------------------- */

/* y = x, whose gradient is less its mean over the sequences. */
static void centred_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = cb_sub(g, cb_mean(g, CB_AXES(0), true));
}
static const cb_op centred_op = {.name = "centred",
                                 .formula = "y = x",
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .shape = cb_shape_same,
                                 .forward = cbt_copy_forward,
                                 .vjp = centred_vjp};
static cb_tensor *centred(cb_tensor *x) {
    return cb_apply(&centred_op, 1, &x, NULL);
}
STEP(with_centred, cb_tanh(cb_add(x, centred(cb_linear(h, w[0], NULL)))))

/* A gradient that depends on the number of sequences is compiled for each, as a step is; with one
   it would be other ops. */
Test(runs, a_gradient_that_depends_on_the_number_of_sequences) {
    cb_scan *scan = scan_of(with_centred);
    const int64_t batches[] = {2, 5, 2, 1, 7, 5};
    for (int k = 0; k < 6; k++) {
        cb_scan_check_report report;
        cr_expect(is_compiled(scan, batches[k], 0.1) || batches[k] == 1, "%s",
                  cb_scan_reason(scan));
        cb_scan_check_options options = {.batch = batches[k]};
        cr_expect(cb_scan_check(scan, &options, &report), "%s", report.message);
    }
    cb_scan_free(scan);
}

/* A step that does something else where there is one sequence only. */
STEP(with_one_sequence,
     cb_tanh(cb_add(cb_linear(x->shape[0] == 1 ? cb_scale(h, 0.5) : h, w[0], NULL), x)))

Test(runs, one_sequence_says_nothing_of_others) {
    cb_scan *scan = scan_of(with_one_sequence);
    for (int k = 0; k < 3; k++) {
        cr_expect_not(is_compiled(scan, 1, 0.1));
        const char *reason = cb_scan_reason(scan);
        cr_expect(reason != NULL && strncmp(reason, "with one sequence ", 18) == 0, "%s", reason);
        cr_expect(is_compiled(scan, 3, 0.1));
        cr_expect(is_compiled(scan, 2 + k, 0.1));
    }
    cb_scan_free(scan);
}

/* ---- Gradients that are more than they seem -------------------------------------------------- */

/* y = x, whose gradient is another where there is one sequence: it is asked for once, with more. */
static void of_one_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = g->shape[0] == 1 ? cb_scale(g, 0) : g;
}
static const cb_op of_one_op = {.name = "of_one",
                                .formula = "y = x",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .shape = cb_shape_same,
                                .forward = cbt_copy_forward,
                                .vjp = of_one_vjp};
static cb_tensor *of_one(cb_tensor *x) {
    return cb_apply(&of_one_op, 1, &x, NULL);
}
STEP(with_of_one, cb_tanh(cb_add(x, of_one(cb_linear(h, w[0], NULL)))))

Test(runs, a_gradient_that_is_another_for_one_sequence) {
    cb_scan *scan = scan_of(with_of_one);
    cr_expect(is_compiled(scan, 3, 0.1));
    cr_expect_not(is_compiled(scan, 1, 0.1));
    const char *reason = cb_scan_reason(scan);
    cr_expect(reason != NULL && strncmp(reason, "the compiler has a bug", 22) == 0, "%s", reason);
    cb_scan_free(scan);
}

/* y = x, whose gradient is computed by a recurrence of its own, in the middle of a sweep. */
static cb_scan *in_gradient;
static void by_scan_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    cb_tape *tape = cb_tape_of(g);
    cb_tensor *w = cb_full(tape, CB_F64, CB_SHAPE(N, N), 0.3);
    cb_tensor *h = cb_full(tape, CB_F64, CB_SHAPE(g->shape[1], N), 0.5);
    gradients[0] = cb_scan_run(in_gradient, g, &(cb_scan_io){.weights = &w, .initial = &h});
}
static const cb_op by_scan_op = {.name = "by_scan",
                                 .formula = "y = x",
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .shape = cb_shape_same,
                                 .forward = cbt_copy_forward,
                                 .vjp = by_scan_vjp};

Test(runs, a_recurrence_in_a_gradient) {
    cb_tape *tape = cb_tape_new();
    in_gradient = scan_of(plain);
    for (int round = 0; round < 3; round++) {
        cb_tensor *x = cb_variable(tape, cb_full(tape, CB_F64, CB_SHAPE(TIME, 3, N), 0.2));
        cb_tensor *y = x;
        for (int k = 0; k < 4; k++)
            y = cb_tanh(cb_apply(&by_scan_op, 1, &y, NULL));
        cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
        cr_expect_null(cb_scan_reason(in_gradient));
        cb_tape_reset(tape);
    }
    cb_scan_free(in_gradient);
    cb_tape_free(tape);
}
