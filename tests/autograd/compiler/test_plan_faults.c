/* Faults that the compiler once had, put back one at a time: the verifier refuses the plan, and
   where it is switched off the check at first use does. Either way the step runs op by op, and
   right. */
#include "autograd/compiler/faults.h"

#include <cerebra/ops.h>
#include <cerebra/scan.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

unsigned cbi_faults;

enum { N = 4, TIME = 3, BATCH = 5, WEIGHTS = 3, MOST = 4096 };

/* ---- Steps, of two states h and c of N, with W [2N, N], U [N, N] and V [N, N] ------------------
 */

#define STEP(name)                                                                                 \
    static void name(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next)

/* A state is a slice of a projection. */
STEP(slice_state) {
    cb_tensor *z = cb_add(cb_linear(state[0], w[0], NULL), cb_concat(2, (cb_tensor *[]){x, x}, -1));
    next[0] = cb_tanh(cb_add(cb_chunk(z, -1, 2, 0), state[1]));
    next[1] = cb_chunk(z, -1, 2, 1);
}

/* Two products whose operands begin at one place and differ in width. */
STEP(two_widths) {
    cb_tensor *part = cb_linear(cb_chunk(state[0], -1, 2, 0), cb_chunk(w[1], -1, 2, 0), NULL);
    next[0] = cb_mul(cb_tanh(part), cb_tanh(cb_linear(state[0], w[2], NULL)));
    next[1] = cb_add(state[1], x);
}

/* A concatenation has a number between its pieces. */
STEP(constant_piece) {
    cb_tensor *two = cb_full(cb_tape_of(x), x->dtype, CB_SHAPE(x->shape[0], 2), 0.5);
    cb_tensor *row = cb_concat(
        3, (cb_tensor *[]){cb_chunk(state[0], -1, 4, 0), two, cb_chunk(state[1], -1, 4, 1)}, -1);
    /* As a view: a product of what is joined is taken apart. */
    row = cb_reshape(row, CB_SHAPE(x->shape[0], N));
    next[0] = cb_tanh(cb_add(cb_linear(row, w[1], NULL), x));
    next[1] = cb_sub(state[1], next[0]);
}

/* A gradient is 0 wherever the state is. */
STEP(no_gradient) {
    (void)w;
    cb_tensor *zeros = cb_full(cb_tape_of(x), x->dtype, CB_SHAPE(x->shape[0], N), 0);
    next[0] = cb_tanh(cb_add(cb_add(state[0], x), cb_mul(state[1], zeros)));
    next[1] = cb_mul(next[0], next[0]);
}

/* The gradient of V is a product with the cotangent of a state. */
STEP(linear_state) {
    next[0] = cb_tanh(cb_add(state[1], x));
    next[1] = cb_linear(state[0], w[2], NULL);
}

/* A weight is reshaped. */
STEP(reshaped_weight) {
    cb_tensor *flat = cb_reshape(w[1], CB_SHAPE(2, N * N / 2));
    next[0] = cb_tanh(cb_add(cb_linear(state[0], cb_reshape(flat, CB_SHAPE(N, N)), NULL), x));
    next[1] = cb_mul(state[1], cb_chunk(cb_select(flat, 0, 1), 0, 2, 0));
}

/* A value is read by a product and after it. */
STEP(two_stages) {
    cb_tensor *a = cb_exp(cb_sub(state[0], x));
    next[0] = cb_tanh(cb_mul(a, cb_linear(a, w[1], NULL)));
    next[1] = cb_add(state[1], next[0]);
}

typedef struct fault {
    const char *name;
    int number;
    cb_scan_step *step;
    const char *found; /* what the verifier says of it */
} fault;

static const fault faults[] = {
    {"given piece", CBI_FAULT_GIVEN_PIECE, slice_state, "operand"},
    {"packed place", CBI_FAULT_PACKED_PLACE, two_widths, "the left operand is not packed"},
    {"narrow constant", CBI_FAULT_NARROW_CONSTANT, constant_piece, "operand"},
    {"zero gradient", CBI_FAULT_ZERO_GRADIENT, no_gradient, "the gradient of"},
    {"passing operand", CBI_FAULT_PASSING_OPERAND, linear_state, "after the loop"},
    {"strided weight", CBI_FAULT_STRIDED_WEIGHT, reshaped_weight, "is strided and was not"},
    {"register of a stage", CBI_FAULT_REGISTER_OF_STAGE, two_stages, "operand"},
};
enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

/* ---- Running one ----------------------------------------------------------------------------- */

typedef struct numbers {
    int count;
    double of[MOST];
    char error[256];
    char reason[400]; /* why it ran op by op */
} numbers;

static void keep(numbers *n, const cb_tensor *t, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        n->of[n->count++] = t != NULL ? ((double *)t->data)[i] : 0;
}

static cb_scan *scan_of(const fault *f, bool eager, bool unchecked) {
    static const int64_t sizes[] = {N, N};
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(2 * N, N), NULL);
    cb_tensor square = cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), NULL);
    cb_scan *scan =
        cb_scan_new(f->step, &(cb_scan_options){.dtype = CB_F64,
                                                .input = N,
                                                .state_count = 2,
                                                .state_size = sizes,
                                                .weight_count = WEIGHTS,
                                                .weights = (cb_tensor *[]){&w, &square, &square},
                                                .eager = eager,
                                                .unchecked = unchecked});
    cr_assert_not_null(scan);
    return scan;
}

/* A sequence, and the gradients of a sum of its outputs and last states, weighted. */
static void run(const fault *f, bool eager, bool unchecked, numbers *n) {
    static double values[MOST];
    cb_random random = cb_random_seed(5);
    cb_random_uniform_f64(&random, MOST, values, -1, 1);
    cb_scan *scan = scan_of(f, eager, unchecked);
    cb_tape *tape = cb_tape_new();
    cb_tensor plain[6] = {cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, N), values),
                          cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), values + 100),
                          cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, N), values + 200),
                          cb_tensor_wrap(CB_F64, CB_SHAPE(2 * N, N), values + 300),
                          cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values + 400),
                          cb_tensor_wrap(CB_F64, CB_SHAPE(N, N), values + 500)};
    cb_tensor *leaves[6], *final[2];
    for (int i = 0; i < 6; i++)
        leaves[i] = cb_variable(tape, &plain[i]);
    cb_tensor *weights[WEIGHTS] = {leaves[3], cb_transpose(leaves[4], 0, 1), leaves[5]};
    cb_tensor weighting = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, N), values + 600);
    cb_tensor *y = cb_scan_run(
        scan, leaves[0], &(cb_scan_io){.weights = weights, .initial = leaves + 1, .final = final});
    cb_tensor *loss = cb_sum(cb_mul(y, cb_input(tape, &weighting)), CB_ALL_AXES, false);
    cb_backward(cb_add(loss, cb_sum(cb_square(final[1]), CB_ALL_AXES, false)));
    *n = (numbers){.count = 0};
    snprintf(n->error, sizeof(n->error), "%s", cb_tape_error(tape));
    if (cb_tape_status(tape) == CB_OK) {
        keep(n, y, TIME * BATCH * N);
        for (int i = 0; i < 6; i++)
            keep(n, cb_gradient(leaves[i]), cb_tensor_count(&plain[i]));
    }
    const char *reason = cb_scan_reason(scan);
    snprintf(n->reason, sizeof(n->reason), "%s", reason != NULL ? reason : "");
    cb_tape_free(tape);
    cb_scan_free(scan);
}

static bool same(const numbers *a, const numbers *b) {
    bool same = a->count == b->count;
    for (int i = 0; i < a->count && same; i++)
        same = fabs(a->of[i] - b->of[i]) <= 1e-10;
    return same;
}

static void expect_right(const fault *f, const char *reason) {
    numbers op_by_op, compiled;
    run(f, true, false, &op_by_op);
    cr_assert_gt(op_by_op.count, 0, "%s: %s", f->name, op_by_op.error);
    run(f, false, false, &compiled);
    cr_expect(same(&compiled, &op_by_op), "%s: %s", f->name, compiled.error);
    if (reason == NULL)
        cr_expect_str_eq(compiled.reason, "", "%s: %s", f->name, compiled.reason);
    else
        cr_expect_not_null(strstr(compiled.reason, reason), "%s: \"%s\"", f->name, compiled.reason);
}

Test(plan_faults, without_one_every_step_is_compiled) {
    for (int i = 0; i < FAULTS; i++)
        expect_right(&faults[i], NULL);
}

Test(plan_faults, the_verifier_refuses_each) {
    for (int i = 0; i < FAULTS; i++) {
        cbi_faults = 1u << faults[i].number;
        expect_right(&faults[i], "the compiler has a bug: ");
        expect_right(&faults[i], faults[i].found);
    }
}

/* "compiled, ... op by op" is how the check words what it found. */
Test(plan_faults, the_check_at_first_use_refuses_each) {
    for (int i = 0; i < FAULTS; i++) {
        cbi_faults = 1u << faults[i].number | 1u << CBI_FAULT_UNVERIFIED;
        expect_right(&faults[i], "the compiler has a bug: ");
        expect_right(&faults[i], " compiled, ");
    }
}

/* With neither, they are wrong: they are really there. */
Test(plan_faults, each_is_wrong_when_nothing_refuses_it) {
    for (int i = 0; i < FAULTS; i++) {
        numbers op_by_op, compiled;
        cbi_faults = 1u << faults[i].number | 1u << CBI_FAULT_UNVERIFIED;
        run(&faults[i], true, false, &op_by_op);
        run(&faults[i], false, true, &compiled);
        cr_expect_str_eq(compiled.reason, "", "%s: %s", faults[i].name, compiled.reason);
        cr_expect_not(same(&compiled, &op_by_op), "%s", faults[i].name);
    }
}
