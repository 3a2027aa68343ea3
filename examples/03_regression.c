/* Regression: the training loop. Parameters in a set, a loss, gradients, an optimizer's step.

       cc 03_regression.c -o 03_regression $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

enum { ROWS = 64, STEPS = 300 };

int main(void) {
    /* Data: y = 2 a - 3 b + 0.5, and noise. */
    float x_values[ROWS * 2], y_values[ROWS], noise[ROWS];
    cb_random random = cb_random_seed(1);
    cb_random_uniform_f32(&random, (int64_t)ROWS * 2, x_values, -1, 1);
    cb_random_normal_f32(&random, ROWS, noise, 0, 0.01f);
    for (int i = 0; i < ROWS; i++)
        y_values[i] = 2 * x_values[2 * i] - 3 * x_values[2 * i + 1] + 0.5f + noise[i];
    const cb_tensor xs = cb_tensor_wrap(CB_F32, CB_SHAPE(ROWS, 2), x_values);
    const cb_tensor ys = cb_tensor_wrap(CB_F32, CB_SHAPE(ROWS, 1), y_values);

    /* The set owns parameters, gradients and modules. cb_linear_new adds "linear.weight", [1, 2],
       and "linear.bias", [1]. */
    cb_params *params = cb_params_new(1);
    cb_module *linear = cb_linear_new(params, "linear", 2, 1);
    cb_optimizer *optimizer = cb_sgd_new(params, .lr = 0.1, .momentum = 0.9);
    cb_tape *tape = cb_tape_new();
    cb_status status = cb_params_status(params); /* tells of all that was built */
    if (status != CB_OK)
        fprintf(stderr, "%s\n", cb_params_error(params));

    for (int step = 0; step < STEPS && status == CB_OK; step++) {
        cb_tape_reset(tape);
        cb_tensor *prediction = cb_forward(linear, cb_input(tape, &xs));
        cb_tensor *loss = cb_mse(prediction, cb_input(tape, &ys), CB_REDUCE_MEAN);
        status = cb_backward(loss); /* adds to the gradients; tells of any op that failed */
        if (status != CB_OK)
            fprintf(stderr, "%s\n", cb_tape_error(tape));
        else
            status = cb_optimizer_step(optimizer); /* and sets the gradients to zero */
        if (step % 100 == 0)
            printf("step %3d, loss %.1f\n", step, cb_item(loss));
    }

    const cb_tensor *weight = cb_params_find(params, "linear.weight")->value;
    const cb_tensor *bias = cb_params_find(params, "linear.bias")->value;
    printf("y = %.1f a %+.1f b %+.1f\n", cb_tensor_get(weight, (int64_t[]){0, 0}),
           cb_tensor_get(weight, (int64_t[]){0, 1}), cb_tensor_get(bias, (int64_t[]){0}));
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./03_regression
   step   0, loss 3.9
   step 100, loss 0.0
   step 200, loss 0.0
   y = 2.0 a -3.0 b +0.5 */
