/* Ops with several outputs: (sin x, cos x) as one op, whose gradient needs both. */
#include <cerebra/ops.h>
#include <cerebra/scan.h>
#include <criterion/criterion.h>
#include <math.h>

enum { COUNT = 3 };

static cb_status circle_shape(const cb_call *call) {
    for (int k = 0; k < call->out_count; k++) {
        call->outs[k]->dtype = call->in[0]->dtype;
        call->outs[k]->rank = 1;
        call->outs[k]->shape[0] = call->in[0]->shape[0];
    }
    return call->out_count == 2 ? CB_OK : cb_call_fail(call, CB_ERROR_VALUE, "it has two outputs");
}

static cb_status circle_forward(const cb_call *call) {
    const double *x = call->in[0]->data;
    for (int64_t i = 0; i < call->in[0]->shape[0]; i++) {
        ((double *)call->outs[0]->data)[i] = sin(x[i]);
        ((double *)call->outs[1]->data)[i] = cos(x[i]);
    }
    return CB_OK;
}

/* dx = g_sin cos x - g_cos sin x; either may be missing. */
static void circle_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *from_sine = NULL, *from_cosine = NULL;
    cr_assert_eq(g, call->gradients[0]);
    if (g != NULL)
        from_sine = cb_mul(g, call->outs[1]);
    if (call->gradients[1] != NULL)
        from_cosine = cb_neg(cb_mul(call->gradients[1], call->outs[0]));
    gradients[0] = from_sine == NULL     ? from_cosine
                   : from_cosine == NULL ? from_sine
                                         : cb_add(from_sine, from_cosine);
}

static const cb_op circle = {.name = "circle",
                             .formula = "sin x, cos x",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .shape = circle_shape,
                             .forward = circle_forward,
                             .vjp = circle_vjp};

typedef struct fixture {
    cb_tape *tape;
    double values[COUNT];
    cb_tensor *x, *outputs[2];
} fixture;

static fixture start(void) {
    fixture f = {.tape = cb_tape_new(), .values = {0.3, -1, 2}};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(COUNT), f.values);
    f.x = cb_variable(f.tape, &plain);
    cr_assert_eq(cb_apply_outputs(&circle, 1, &f.x, NULL, 2, f.outputs), CB_OK, "%s",
                 cb_tape_error(f.tape));
    return f;
}

static void expect(const cb_tensor *t, double (*value)(double x), const double *x) {
    for (int64_t i = 0; i < COUNT; i++)
        cr_expect_float_eq(cb_tensor_get(t, &i), value(x[i]), 1e-12);
}

static double minus_sine(double x) {
    return -sin(x);
}

static double both(double x) {
    return cos(x) - 2 * cos(x) * sin(x);
}

Test(outputs, are_tensors_like_any_other) {
    fixture f = start();
    expect(f.outputs[0], sin, f.values);
    expect(f.outputs[1], cos, f.values);
    cr_expect(cb_requires_grad(f.outputs[0]) && cb_requires_grad(f.outputs[1]));
    cb_tape_free(f.tape);
}

Test(outputs, each_alone_gives_a_gradient) {
    for (int k = 0; k < 2; k++) {
        fixture f = start();
        cr_assert_eq(cb_backward(cb_sum(f.outputs[k], CB_ALL_AXES, false)), CB_OK);
        expect(cb_gradient(f.x), k == 0 ? cos : minus_sine, f.values);
        cb_tape_free(f.tape);
    }
}

Test(outputs, together_give_the_sum_of_both) {
    fixture f = start();
    cb_tensor *loss = cb_sum(cb_add(f.outputs[0], cb_square(f.outputs[1])), CB_ALL_AXES, false);
    cr_assert_eq(cb_backward(loss), CB_OK);
    expect(cb_gradient(f.x), both, f.values);
    cb_tape_free(f.tape);
}

Test(outputs, have_gradients_of_gradients_and_of_their_own) {
    fixture f = start();
    cb_tensor *g = NULL, *second = NULL, *of_output = NULL;
    cb_tensor *sine = cb_sum(f.outputs[0], CB_ALL_AXES, false);
    cr_assert_eq(cb_grad(sine, NULL, true, 1, &f.x, &g), CB_OK);
    expect(g, cos, f.values);
    cr_assert_eq(cb_grad(cb_sum(g, CB_ALL_AXES, false), NULL, false, 1, &f.x, &second), CB_OK);
    expect(second, minus_sine, f.values);
    cb_tensor *square = cb_sum(cb_square(f.outputs[1]), CB_ALL_AXES, false);
    cr_assert_eq(cb_grad(square, NULL, false, 1, &f.outputs[1], &of_output), CB_OK);
    for (int64_t i = 0; i < COUNT; i++)
        cr_expect_float_eq(cb_tensor_get(of_output, &i), 2 * cos(f.values[i]), 1e-12);
    cb_tape_free(f.tape);
}

Test(outputs, fail_together) {
    fixture f = start();
    cb_tensor *three[3];
    cr_expect_eq(cb_apply_outputs(&circle, 1, &f.x, NULL, 3, three), CB_ERROR_VALUE);
    cr_expect_str_eq(cb_tape_error(f.tape), "circle: f64[3]: it has two outputs (op 2)");
    for (int k = 0; k < 3; k++)
        cr_expect_null(three[k]->data);
    cb_tape_reset(f.tape);
    f.x = cb_full(f.tape, CB_F64, CB_SHAPE(3), 1);
    cr_expect_eq(cb_apply_outputs(&circle, 1, &f.x, NULL, 0, three), CB_ERROR_VALUE);
    cb_tape_free(f.tape);
}

/* ---- In a step of a recurrence --------------------------------------------------------------- */

/* Turns a state by an angle: both outputs of the op are used, its second one alone, and one of an
   op of x alone. */
static void turn(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *of_state[2], *of_x[2];
    cb_tensor *angle =
        cb_reshape(cb_add(cb_add(x, state[0]), cb_mul(w[0], state[1])), CB_SHAPE(-1));
    cb_apply_outputs(&circle, 1, &angle, NULL, 2, of_state);
    angle = cb_reshape(x, CB_SHAPE(-1));
    cb_apply_outputs(&circle, 1, &angle, NULL, 2, of_x);
    next[0] = cb_mul(cb_reshape(of_state[1], CB_SHAPE(-1, 2)), state[1]);
    next[1] =
        cb_add(cb_reshape(of_state[0], CB_SHAPE(-1, 2)), cb_reshape(of_x[1], CB_SHAPE(-1, 2)));
}

/* The second of two outputs only. */
static void turn_half(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    cb_tensor *outputs[2], *angle = cb_reshape(cb_mul(cb_add(state[0], x), w[0]), CB_SHAPE(-1));
    cb_apply_outputs(&circle, 1, &angle, NULL, 2, outputs);
    next[0] = cb_reshape(outputs[1], CB_SHAPE(-1, 2));
    next[1] = cb_sub(state[1], next[0]);
}

Test(outputs, are_compiled) {
    static cb_scan_step *const steps[] = {turn, turn_half};
    const int64_t sizes[] = {2, 2};
    cb_tensor shape = cb_tensor_wrap(CB_F64, CB_SHAPE(2), NULL), *weights[] = {&shape};
    for (int i = 0; i < 2; i++) {
        cb_scan *scan = cb_scan_new(steps[i], &(cb_scan_options){.dtype = CB_F64,
                                                                 .input = 2,
                                                                 .state_count = 2,
                                                                 .state_size = sizes,
                                                                 .weight_count = 1,
                                                                 .weights = weights});
        cb_scan_check_report report;
        cr_expect(cb_scan_check(scan, &(cb_scan_check_options){.tolerance = 1e-12}, &report),
                  "step %d: %s", i, report.message);
        cr_expect(report.compiled, "step %d: %s", i, cb_scan_reason(scan));
        cr_expect_null(cb_scan_reason(scan), "step %d: %s", i, cb_scan_reason(scan));
        cb_scan_free(scan);
    }
}
