/* Which results of a run variables reach: compiled the same as op by op. */
#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <string.h>

enum { N = 2, STATES = 2, BATCH = 3, LONGEST = 4 };

/* Whether the output and the last states require a gradient, after a run of so many steps. */
typedef struct reached {
    bool output, final[STATES];
    bool compiled;
} reached;

#define STEP(name)                                                                                 \
    static void name(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next)

/* variable: which of x, w and the two states is one. */
static reached run(cb_scan_step *step, int64_t time, int variable, bool lengths, bool eager) {
    static double zeros[LONGEST * BATCH * N];
    static int64_t length[BATCH] = {0, 1, 2};
    const int64_t size[STATES] = {N, N};
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(time, BATCH, N), zeros);
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), zeros), *shape = &w;
    cb_tensor s = cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), zeros);
    cb_tensor l = cb_tensor_wrap(CB_I64, CB_SHAPE(BATCH), length);
    cb_scan *scan = cb_scan_new(step, &(cb_scan_options){.dtype = CB_F64,
                                                         .input = N,
                                                         .state_count = STATES,
                                                         .state_size = size,
                                                         .weight_count = 1,
                                                         .weights = &shape,
                                                         .eager = eager});
    cb_tape *tape = cb_tape_new();
    const cb_tensor *plain[] = {&x, &w, &s, &s};
    cb_tensor *in[4], *final[STATES];
    for (int i = 0; i < 4; i++)
        in[i] = i == variable ? cb_variable(tape, plain[i]) : cb_input(tape, plain[i]);
    cb_tensor *y = cb_scan_run(scan, in[0],
                               &(cb_scan_io){.weights = in + 1,
                                             .initial = in + 2,
                                             .lengths = lengths ? cb_input(tape, &l) : NULL,
                                             .final = final});
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    reached r = {.output = cb_requires_grad(y), .compiled = cb_scan_reason(scan) == NULL};
    for (int i = 0; i < STATES; i++)
        r.final[i] = cb_requires_grad(final[i]);
    cb_status status = cb_backward(cb_sum(y, CB_ALL_AXES, false));
    cr_expect_eq(status, r.output ? CB_OK : CB_ERROR_TAPE, "%s", cb_tape_error(tape));
    cb_scan_free(scan);
    cb_tape_free(tape);
    return r;
}

STEP(is_flat) {
    next[0] = cb_sign(cb_add(cb_matmul(x, w[0]), state[0]));
    next[1] = cb_tanh(cb_add(state[1], x));
}

/* State 1 becomes state 0 and is forgotten. */
STEP(passes_on) {
    (void)w, (void)x;
    next[0] = state[1];
    next[1] = cb_sign(state[1]);
}

STEP(exchanges) {
    (void)x;
    next[0] = cb_matmul(state[1], cb_stop_gradient(w[0]));
    next[1] = state[0];
}

static void compare(cb_scan_step *step, const char *name) {
    for (int64_t time = 1; time <= LONGEST; time++)
        for (int variable = 0; variable < 4; variable++)
            for (int lengths = 0; lengths < (time >= 2 ? 2 : 1); lengths++) {
                reached eager = run(step, time, variable, lengths == 1, true);
                reached compiled = run(step, time, variable, lengths == 1, false);
                cr_expect(compiled.compiled);
                cr_expect(eager.output == compiled.output && eager.final[0] == compiled.final[0] &&
                              eager.final[1] == compiled.final[1],
                          "%s, %d steps, variable %d, lengths %d: %d %d %d op by op, %d %d %d "
                          "compiled",
                          name, (int)time, variable, lengths, eager.output, eager.final[0],
                          eager.final[1], compiled.output, compiled.final[0], compiled.final[1]);
            }
}

Test(reach, is_that_of_the_run_op_by_op) {
    compare(is_flat, "is_flat");
    compare(passes_on, "passes_on");
    compare(exchanges, "exchanges");
}

/* The sum of no numbers is 0 whatever the weights are. */
Test(reach, no_steps_have_a_gradient_of_zero) {
    double values[N * N] = {1, 2, 3, 4}, zeros[N * N] = {0};
    const int64_t size[STATES] = {N, N};
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(0, BATCH, N), zeros);
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values), *shape = &w;
    for (int eager = 0; eager < 2; eager++) {
        cb_scan *scan = cb_scan_new(is_flat, &(cb_scan_options){.dtype = CB_F64,
                                                                .input = N,
                                                                .state_count = STATES,
                                                                .state_size = size,
                                                                .weight_count = 1,
                                                                .weights = &shape,
                                                                .eager = eager == 1});
        cb_tape *tape = cb_tape_new();
        cb_tensor *weight = cb_variable(tape, &w), *initial[STATES];
        initial[0] = initial[1] = cb_full(tape, CB_F64, CB_SHAPE(BATCH, N), 1);
        cb_tensor *y = cb_scan_run(scan, cb_input(tape, &x),
                                   &(cb_scan_io){.weights = &weight, .initial = initial});
        cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
        cr_assert_not_null(cb_gradient(weight));
        cr_expect_eq(memcmp(cb_gradient(weight)->data, zeros, sizeof zeros), 0);
        cb_scan_free(scan);
        cb_tape_free(tape);
    }
}
