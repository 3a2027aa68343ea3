/* Second order: gradients that are themselves differentiated. A Hessian times a vector, the Hessian
   itself, and a penalty on the length of a gradient in a loss.

       cc 12_second_order.c -o 12_second_order $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

/* f(a, b) = (1 - a)^2 + 100 (b - a^2)^2 (Rosenbrock 1960) */
static cb_tensor *rosenbrock(cb_tensor *x) {
    cb_tensor *a = cb_select(x, 0, 0), *b = cb_select(x, 0, 1);
    cb_tensor *far = cb_square(cb_affine(a, -1, 1));
    return cb_add(far, cb_scale(cb_square(cb_sub(b, cb_square(a))), 100));
}

/* H v = d (v . df/dx) / dx: one gradient of a gradient, and no Hessian. */
static cb_tensor *hessian_times(cb_tensor *x, cb_tensor *v) {
    cb_tensor *slope, *product;
    cb_grad(rosenbrock(x), NULL, true, 1, &x, &slope); /* true: the gradient is recorded */
    cb_grad(slope, v, false, 1, &x, &product);         /* of sum(slope v) */
    return product;
}

/* Newton's method: each step solves H d = -df/dx, with H from two products. */
static cb_status newton(double *at) {
    double units[2][2] = {{1, 0}, {0, 1}};
    const cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(2), at);
    cb_tape *tape = cb_tape_new();
    cb_status status = CB_OK;
    for (int step = 0; step < 6 && status == CB_OK; step++) {
        cb_tensor *x = cb_variable(tape, &plain), *slope, *columns[2];
        double d[2] = {0};
        cb_grad(rosenbrock(x), NULL, false, 1, &x, &slope);
        for (int i = 0; i < 2; i++) {
            const cb_tensor unit = cb_tensor_wrap(CB_F64, CB_SHAPE(2), units[i]);
            columns[i] = hessian_times(x, cb_input(tape, &unit));
        }
        status = cb_tape_status(tape);
        if (status == CB_OK) {
            const double *g = slope->data, *p = columns[0]->data, *q = columns[1]->data;
            double determinant = p[0] * q[1] - q[0] * p[1];
            d[0] = (q[1] * g[0] - q[0] * g[1]) / determinant;
            d[1] = (p[0] * g[1] - p[1] * g[0]) / determinant;
        }
        cb_tape_reset(tape);
        at[0] -= d[0];
        at[1] -= d[1];
    }
    cb_tape_free(tape);
    return status;
}

/* The length of a network's gradient by its input, [batch, 1]. */
static cb_tensor *gradient_length(cb_module *network, cb_tensor *x) {
    cb_tensor *slope;
    cb_grad(cb_forward(network, x), NULL, true, 1, &x, &slope);
    return cb_sqrt(cb_shift(cb_sum(cb_square(slope), CB_AXES(1), true), 1e-12));
}

/* A critic that is to be as far apart as it can on two sets of points, with a slope of 1 between
   them: WGAN-GP's (Gulrajani et al. 2017). The sets are 2 apart: with a slope s, the loss is
   -2 s + 10 (s - 1)^2, least at s = 1.1. Returns how far its means are apart. */
static double critic(cb_status *status, double *length) {
    enum { BATCH = 32, STEPS = 400 };
    float left[BATCH * 2], right[BATCH * 2], between[BATCH * 2];
    const cb_tensor plain[] = {cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, 2), left),
                               cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, 2), right),
                               cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, 2), between)};
    cb_random random = cb_random_seed(1);
    cb_params *params = cb_params_new(1);
    cb_module *layers[] = {cb_linear_new(params, "in", 2, 16),
                           cb_function_new(params, "softplus", cb_softplus),
                           cb_linear_new(params, "out", 16, 1)};
    cb_module *network = cb_sequential_new(params, "critic", 3, layers);
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01, .beta1 = 0.5, .beta2 = 0.9);
    cb_tape *tape = cb_tape_new();
    double apart = 0;
    *status = cb_params_status(params);
    for (int step = 0; step < STEPS && *status == CB_OK; step++) {
        cb_tape_reset(tape);
        cb_random_uniform_f32(&random, (int64_t)BATCH * 2, left, 0, 1);
        for (int i = 0; i < BATCH * 2; i++) {
            right[i] = left[i] + (i % 2 == 0 ? 2 : 0); /* the same, moved along the first axis */
            between[i] = left[i] + (i % 2 == 0 ? 2 * (float)(i / 2) / BATCH : 0);
        }
        cb_tensor *means[2];
        for (int i = 0; i < 2; i++)
            means[i] = cb_mean(cb_forward(network, cb_input(tape, &plain[i])), CB_ALL_AXES, false);
        cb_tensor *slope = gradient_length(network, cb_variable(tape, &plain[2]));
        cb_tensor *penalty = cb_mean(cb_square(cb_shift(slope, -1)), CB_ALL_AXES, false);
        cb_tensor *loss = cb_add(cb_sub(means[0], means[1]), cb_scale(penalty, 10));
        apart = cb_item(means[1]) - cb_item(means[0]);
        *length = cb_item(cb_mean(slope, CB_ALL_AXES, false));
        *status = cb_backward(loss); /* through the gradient, to the weights */
        if (*status != CB_OK)
            fprintf(stderr, "%s\n", cb_tape_error(tape));
        else
            *status = cb_optimizer_step(optimizer);
    }
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return apart;
}

int main(void) {
    double at[] = {-1.2, 1}, direction[] = {1, 2}, length = 0;
    const cb_tensor point = cb_tensor_wrap(CB_F64, CB_SHAPE(2), at);
    const cb_tensor along = cb_tensor_wrap(CB_F64, CB_SHAPE(2), direction);
    cb_tape *tape = cb_tape_new();
    printf("H [1 2]' at (-1.2, 1): ");
    cb_tensor_print(hessian_times(cb_variable(tape, &point), cb_input(tape, &along)), stdout);
    cb_tape_free(tape);
    cb_status status = newton(at);
    printf("after six steps of Newton's method: (%.4f, %.4f)\n", at[0], at[1]);
    double apart = status == CB_OK ? critic(&status, &length) : 0;
    printf("the critic's slope: %.1f, means apart: %.1f\n", length, apart);
    return status == CB_OK ? 0 : 1;
}

/* $ ./12_second_order
   H [1 2]' at (-1.2, 1): [2290  880]
   after six steps of Newton's method: (1.0000, 1.0000)
   the critic's slope: 1.1, means apart: 2.2 */
