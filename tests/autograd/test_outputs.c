/* Ops with several outputs: (sin x, cos x) as one op, whose gradient needs both. */
#include <cerebra/ops.h>
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
    cr_expect_eq(cb_apply_outputs(&circle, 1, &f.x, NULL, 0, three), CB_ERROR_VALUE);
    cb_tape_free(f.tape);
}
