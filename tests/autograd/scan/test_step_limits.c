/* What a step does that a compiled one cannot do: it then runs op by op, right, and the reason
   names it; and what a recurrence does not accept. */
#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIME = 3, N = 4 };

typedef struct outcome {
    double numbers[TIME * 7 * N + 7 * N];
    cb_status status;
    char message[256], reason[320];
    cb_random generator; /* afterwards */
} outcome;

/* The generator that steps draw from. */
static cb_random generator;

static cb_scan *scan_of(cb_scan_step *step, bool eager, bool unchecked) {
    const int64_t size = N;
    return cb_scan_new(step, &(cb_scan_options){.dtype = CB_F64,
                                                .input = N,
                                                .state_count = 1,
                                                .state_size = &size,
                                                .eager = eager,
                                                .unchecked = unchecked});
}

/* Outputs and the gradient of the initial state, of the second run of two. */
static outcome run(cb_scan_step *step, int64_t batch, bool eager, bool unchecked) {
    double values[TIME * 7 * N + 7 * N];
    cb_random random = cb_random_seed(3);
    cb_random_uniform_f64(&random, TIME * 7 * N + 7 * N, values, -1, 1);
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, batch, N), values);
    cb_tensor h = cb_tensor_wrap(CB_F64, CB_SHAPE(batch, N), values + TIME * 7 * N);
    cb_scan *scan = scan_of(step, eager, unchecked);
    cb_tape *tape = cb_tape_new();
    outcome o = {.status = CB_OK};
    generator = cb_random_seed(17);
    for (int i = 0; i < 2; i++) {
        cb_tape_reset(tape);
        cb_tensor *initial = cb_variable(tape, &h);
        cb_tensor *y = cb_scan_run(scan, cb_input(tape, &x), &(cb_scan_io){.initial = &initial});
        o.status = cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false));
        snprintf(o.message, sizeof o.message, "%s", cb_tape_error(tape));
        if (o.status != CB_OK)
            break;
        memcpy(o.numbers, y->data, cb_tensor_bytes(y));
        memcpy((char *)o.numbers + cb_tensor_bytes(y), cb_gradient(initial)->data,
               cb_tensor_bytes(initial));
    }
    const char *reason = cb_scan_reason(scan);
    snprintf(o.reason, sizeof o.reason, "%s", reason == NULL ? "" : reason);
    o.generator = generator;
    cb_scan_free(scan);
    cb_tape_free(tape);
    return o;
}

/* That the step gives the numbers of the one op by op, for this reason ("": compiled), whether or
   not the check at first use is there to find what is wrong. */
static void expect(cb_scan_step *step, const char *reason) {
    for (int64_t batch = 1; batch <= 7; batch += 2) {
        for (int unchecked = 0; unchecked < 2; unchecked++) {
            outcome eager = run(step, batch, true, false);
            outcome compiled = run(step, batch, false, unchecked == 1);
            cr_assert_eq(compiled.status, CB_OK, "%s", compiled.message);
            for (int i = 0; i < (TIME + 1) * (int)batch * N; i++)
                cr_assert(fabs(compiled.numbers[i] - eager.numbers[i]) < 1e-12,
                          "batch %d, number %d: %g compiled, %g op by op", (int)batch, i,
                          compiled.numbers[i], eager.numbers[i]);
            cr_assert(reason[0] == '\0' ? compiled.reason[0] == '\0'
                                        : strstr(compiled.reason, reason) != NULL,
                      "batch %d: \"%s\"", (int)batch, compiled.reason);
            if (reason[0] == '\0')
                cr_assert_eq(compiled.generator.counter, eager.generator.counter);
        }
    }
    cb_scan *scan = scan_of(step, false, false);
    cb_scan_check_report report;
    cr_expect(cb_scan_check(scan, NULL, &report), "%s", report.message);
    cr_expect_eq(report.compiled, reason[0] == '\0');
    cb_scan_free(scan);
}

#define STEP(name)                                                                                 \
    static void name(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next)

/* ---- Elements -------------------------------------------------------------------------------- */

STEP(fills_a_mask) {
    (void)w;
    cb_tensor *mask = cb_full(cb_tape_of(x), CB_F64, CB_SHAPE(N, N), 0);
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k <= i; k++)
            cb_tensor_set(mask, (int64_t[]){i, k}, 0.25);
    next[0] = cb_tanh(cb_add(cb_matmul(state[0], mask), x));
}

STEP(writes_to_memory) {
    (void)w;
    cb_tensor *scale = cb_full(cb_tape_of(x), CB_F64, CB_SHAPE(N), 1);
    ((double *)scale->data)[2] = 0.5;
    next[0] = cb_tanh(cb_add(cb_mul(state[0], scale), x));
}

static cb_status own_shape(const cb_call *call) {
    return cb_shape_broadcast(call);
}
static cb_status own_forward(const cb_call *call) {
    return cb_tensor_assign(call->out, call->in[0]);
}
/* dx = g (I, made element by element). */
static void own_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    cb_tensor *unit = cb_full(cb_tape_of(g), CB_F64, CB_SHAPE(N, N), 0);
    for (int64_t i = 0; i < N; i++)
        cb_tensor_set(unit, (int64_t[]){i, i}, 1);
    gradients[0] = cb_matmul(g, unit);
}
static const cb_op own_op = {.name = "own",
                             .formula = "y = x",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .shape = own_shape,
                             .forward = own_forward,
                             .vjp = own_vjp};
STEP(with_a_gradient_that_sets) {
    (void)w;
    next[0] = cb_tanh(cb_add(cb_apply(&own_op, 1, state, NULL), x));
}

Test(step_limits, elements_that_are_set_are_found) {
    expect(fills_a_mask, "the step reads elements, or sets them");
    expect(writes_to_memory, "the step reads elements, or sets them");
    expect(with_a_gradient_that_sets, "a gradient reads elements, or sets them");
}

/* ---- Generators ------------------------------------------------------------------------------ */

STEP(draws_from_its_own) {
    (void)w;
    cb_random own = cb_random_seed(42);
    next[0] = cb_tanh(cb_add(cb_dropout(state[0], 0.4, &own), x));
}
STEP(sets_it_first) {
    (void)w;
    generator = cb_random_seed(42);
    next[0] = cb_tanh(cb_add(cb_dropout(state[0], 0.4, &generator), x));
}
STEP(moves_it_first) {
    (void)w;
    cb_random_u64(&generator);
    next[0] = cb_tanh(cb_add(cb_dropout(state[0], 0.4, &generator), x));
}
STEP(moves_it_afterwards) {
    (void)w;
    next[0] = cb_tanh(cb_add(cb_dropout(state[0], 0.4, &generator), x));
    cb_random_u64(&generator);
}
STEP(uses_it_twice) {
    (void)w;
    cb_random before = generator;
    cb_tensor *h = cb_dropout(state[0], 0.4, &generator);
    generator = before;
    next[0] = cb_tanh(cb_add(h, cb_dropout(x, 0.4, &generator)));
}
STEP(puts_it_back) {
    (void)w;
    cb_random before = generator;
    next[0] = cb_tanh(cb_add(cb_dropout(state[0], 0.4, &generator), x));
    generator = before;
}
STEP(draws_twice) {
    (void)w;
    cb_tensor *h = cb_dropout(state[0], 0.4, &generator);
    next[0] = cb_tanh(cb_add(h, cb_dropout(x, 0.4, &generator)));
}

Test(step_limits, generators_are_drawn_from_by_ops_alone) {
    expect(draws_twice, "");
    expect(draws_from_its_own, "the step draws from a generator of its own");
    cb_scan_step *const steps[] = {sets_it_first, moves_it_first, moves_it_afterwards,
                                   uses_it_twice, puts_it_back};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        outcome o = run(steps[i], 3, false, true);
        cr_assert_eq(o.status, CB_OK);
        cr_expect_not_null(strstr(o.reason, "the step sets a generator itself"), "%d: \"%s\"",
                           (int)i, o.reason);
    }
    /* These are the same whatever was drawn before. */
    expect(sets_it_first, "the step sets a generator itself");
}

Test(step_limits, tracing_leaves_generators_as_they_are) {
    cb_scan *scan = scan_of(draws_twice, false, false);
    generator = cb_random_seed(17);
    cr_assert_null(cb_scan_reason(scan));
    cr_expect_eq(generator.counter, 0);
    cb_scan_check_report report;
    cr_assert(cb_scan_check(scan, NULL, &report), "%s", report.message);
    cr_expect_eq(generator.counter, 0);
    cr_expect_eq(generator.key, cb_random_seed(17).key);
    cb_scan_free(scan);
}

/* ---- Tensors of a fixed batch ---------------------------------------------------------------- */

static double rows[7 * N];
static int64_t rows_count;
STEP(puts_rows_on_the_tape) {
    (void)w;
    cb_tensor mask = cb_tensor_wrap(CB_F64, CB_SHAPE(rows_count, N), rows);
    next[0] = cb_tanh(cb_add(cb_mul(state[0], cb_input(cb_tape_of(x), &mask)), x));
}

Test(step_limits, rows_for_the_sequences_are_a_part_of_x) {
    rows_count = 5;
    outcome eager = run(puts_rows_on_the_tape, 5, true, false);
    outcome o = run(puts_rows_on_the_tape, 5, false, false);
    cr_assert_eq(o.status, CB_OK, "%s", o.message);
    cr_assert_arr_eq(o.numbers, eager.numbers, sizeof(double) * (TIME + 1) * 5 * N);
    cr_expect_not_null(strstr(o.reason, "cannot have a row for each sequence"), "%s", o.reason);
}

/* ---- What is refused ------------------------------------------------------------------------- */

STEP(leaves_another_dtype) {
    (void)w;
    next[0] = cb_cast(cb_add(state[0], x), CB_F32);
}
STEP(plain) {
    (void)w;
    next[0] = cb_add(state[0], x);
}

Test(step_limits, states_keep_their_dtype) {
    for (int eager = 0; eager < 2; eager++) {
        outcome o = run(leaves_another_dtype, 3, eager == 1, false);
        cr_expect_eq(o.status, CB_ERROR_DTYPE);
        cr_expect_not_null(strstr(o.message, "the step made state 0 f32; it must be f64"), "%s",
                           o.message);
    }
}

Test(step_limits, integers_run_op_by_op_and_can_be_checked) {
    const int64_t size = N;
    for (int i = 0; i < 2; i++) {
        cb_scan *scan = cb_scan_new(plain, &(cb_scan_options){.dtype = i == 0 ? CB_I32 : CB_I64,
                                                              .input = N,
                                                              .state_count = 1,
                                                              .state_size = &size});
        cb_scan_check_report report;
        cr_assert_str_eq(cb_scan_reason(scan), "only f32 and f64 are compiled");
        cr_expect(cb_scan_check(scan, NULL, &report), "%s", report.message);
        cr_expect_not(report.compiled);
        cb_scan_free(scan);
    }
}

/* The gradient of w is that of [B B, 1]' g: B B lies on a line through two numbers of sequences. */
STEP(squares_the_number_of_sequences) {
    int64_t batch = x->shape[0];
    cb_tensor *halves = cb_full(cb_tape_of(x), CB_F64, CB_SHAPE(batch, batch, 1), 0.5);
    next[0] = cb_add(state[0], cb_mean(cb_matmul(halves, w[0]), CB_AXES(1), false));
}

Test(step_limits, extents_are_linear_in_the_number_of_sequences) {
    double gradients[2][N], zeros[7 * N] = {0}, weights[N] = {1, 2, 3, 4};
    const int64_t size = N;
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(1, N), weights), *shape = &w;
    for (int64_t batch = 1; batch <= 7; batch++) {
        cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(1, batch, N), zeros);
        for (int eager = 0; eager < 2; eager++) {
            cb_scan *scan = cb_scan_new(squares_the_number_of_sequences,
                                        &(cb_scan_options){.dtype = CB_F64,
                                                           .input = N,
                                                           .state_count = 1,
                                                           .state_size = &size,
                                                           .weight_count = 1,
                                                           .weights = &shape,
                                                           .eager = eager == 1});
            cb_tape *tape = cb_tape_new();
            cb_tensor *weight = cb_variable(tape, &w);
            cb_tensor *initial = cb_full(tape, CB_F64, CB_SHAPE(batch, N), 0);
            cb_tensor *y = cb_scan_run(scan, cb_input(tape, &x),
                                       &(cb_scan_io){.weights = &weight, .initial = &initial});
            cr_assert_eq(cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false)), CB_OK, "%s",
                         cb_tape_error(tape));
            memcpy(gradients[eager], cb_gradient(weight)->data, sizeof gradients[eager]);
            cr_expect(eager == 1 || strstr(cb_scan_reason(scan), "reshape: ") != NULL);
            cb_tape_free(tape);
            cb_scan_free(scan);
        }
        for (int i = 0; i < N; i++)
            cr_expect_float_eq(gradients[0][i], gradients[1][i], 1e-12, "%d sequences", (int)batch);
    }
}

STEP(nothing_to_do) {
    (void)w;
    next[0] = state[0];
    next[1] = cb_add(state[1], x);
}

Test(step_limits, states_may_be_empty) {
    for (int64_t rest = 0; rest <= N; rest += N) {
        const int64_t size[2] = {0, rest};
        cb_scan *scan =
            cb_scan_new(nothing_to_do,
                        &(cb_scan_options){
                            .dtype = CB_F64, .input = rest, .state_count = 2, .state_size = size});
        cb_scan_check_report report;
        bool passed = cb_scan_check(scan, NULL, &report);
        cr_expect_eq(passed, rest > 0, "%s", report.message);
        cr_expect(passed || strstr(report.message, "no numbers to compare") != NULL, "%s",
                  report.message);
        cb_scan_free(scan);
    }
}

/* Runs of a step with a state without elements, in tiles and with lengths, give what they give op
   by op; the sanitizers see that no copy of no bytes has NULL for its place. */
Test(step_limits, empty_states_are_carried) {
    const int64_t size[2] = {0, N};
    double values[TIME * 7 * N], sums[2][3];
    int64_t lengths[7] = {3, 1, 0, 2, 3, 3, 1};
    cb_random random = cb_random_seed(5);
    cb_random_uniform_f64(&random, TIME * 7 * N, values, -1, 1);
    for (int eager = 0; eager < 2; eager++) {
        cb_scan *scan = cb_scan_new(nothing_to_do, &(cb_scan_options){.dtype = CB_F64,
                                                                      .input = N,
                                                                      .state_count = 2,
                                                                      .state_size = size,
                                                                      .eager = eager == 1});
        cb_tape *tape = cb_tape_new();
        cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, 7, N), values);
        cb_tensor none = cb_tensor_wrap(CB_F64, CB_SHAPE(7, 0), values);
        cb_tensor h = cb_tensor_wrap(CB_F64, CB_SHAPE(7, N), values + 9);
        cb_tensor ends = cb_tensor_wrap(CB_I64, CB_SHAPE(7), lengths);
        cb_tensor *initial[2] = {cb_variable(tape, &none), cb_variable(tape, &h)}, *final[2];
        cb_tensor *input = cb_variable(tape, &x);
        cb_scan_run(
            scan, input,
            &(cb_scan_io){.initial = initial, .final = final, .lengths = cb_input(tape, &ends)});
        cb_tensor *loss = cb_sum(cb_square(final[1]), CB_ALL_AXES, false);
        cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
        sums[eager][0] = cb_item(loss);
        sums[eager][1] = ((double *)cb_gradient(input)->data)[N + 1];
        sums[eager][2] = ((double *)cb_gradient(initial[1])->data)[3];
        cr_expect_eq(cb_scan_reason(scan) == NULL, eager == 0);
        cb_tape_free(tape);
        cb_scan_free(scan);
    }
    for (int i = 0; i < 3; i++)
        cr_expect_float_eq(sums[0][i], sums[1][i], 1e-12);
}

Test(step_limits, the_reason_is_that_of_the_last_run) {
    double values[TIME * 3 * N] = {0};
    cb_scan *scan = scan_of(fills_a_mask, false, false);
    cb_tape *tape = cb_tape_new();
    for (int64_t batch = 3; batch >= 0; batch -= 3) {
        cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, batch, N), values);
        cb_tensor h = cb_tensor_wrap(CB_F64, CB_SHAPE(batch, N), values);
        cb_tensor *initial = cb_variable(tape, &h);
        cb_scan_run(scan, cb_input(tape, &x), &(cb_scan_io){.initial = &initial});
        cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
        cr_expect_eq(cb_scan_reason(scan) != NULL, batch > 0);
    }
    cb_tape_free(tape);
    cb_scan_free(scan);
}
