/* Gradients: of a loss for its variables, of anything for anything, and the check of both.

       cc 02_gradients.c -o 02_gradients $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

/* y = sum of x^3 w, which the checker is to try as well. */
static cb_tensor *cubes(cb_tensor *const *in, void *context) {
    (void)context;
    return cb_sum(cb_mul(cb_power(in[0], 3), in[1]), CB_ALL_AXES, false);
}

int main(void) {
    double x_values[] = {1, 2, 3}, w_values[] = {1, -1, 2};
    cb_tensor x_plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3), x_values);
    cb_tensor w_plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3), w_values);

    /* The tape keeps what is needed for gradients of cb_variable, and not of cb_input. */
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &x_plain), *w = cb_variable(tape, &w_plain);
    cb_tensor *y = cubes((cb_tensor *[]){x, w}, NULL);
    cb_backward(y);
    printf("y = %g\ndy/dx = 3 x^2 w: ", cb_item(y));
    cb_tensor_print(cb_gradient(x), stdout);
    printf("dy/dw = x^3:     ");
    cb_tensor_print(cb_gradient(w), stdout);

    /* cb_backward adds: after a second one, the gradients are twice as large. */
    cb_backward(y);
    printf("twice:           ");
    cb_tensor_print(cb_gradient(w), stdout);

    /* cb_variable_into adds to a tensor of the program's, which outlives the tape's step. */
    cb_tensor *sum = cb_tensor_new(CB_F64, CB_SHAPE(3));
    for (int i = 0; i < 3; i++) {
        cb_tape_reset(tape);
        x = cb_variable_into(tape, &x_plain, sum);
        cb_backward(cubes((cb_tensor *[]){x, cb_input(tape, &w_plain)}, NULL));
    }
    printf("three steps:     ");
    cb_tensor_print(sum, stdout);

    /* cb_grad gives gradients as tensors, of anything on the tape, and adds to nothing. Of an
       output that is no single number, it is the gradient of the sum, or of sum(output seed). */
    cb_tape_reset(tape);
    x = cb_variable(tape, &x_plain);
    cb_tensor *h = cb_square(x), *gradients[2];
    cb_grad(cb_mul(h, x), NULL, false, 2, (cb_tensor *[]){x, h}, gradients);
    printf("d(h x)/dx, h = x^2: ");
    cb_tensor_print(gradients[0], stdout);
    printf("d(h x)/dh:          ");
    cb_tensor_print(gradients[1], stdout);

    /* No gradient flows through cb_stop_gradient, and a tape without gradients records nothing. */
    cb_tensor *stopped = cb_mul(cb_stop_gradient(h), x);
    cb_grad(stopped, NULL, false, 1, &x, gradients);
    printf("h held fast:        ");
    cb_tensor_print(gradients[0], stdout);
    cb_tape *no_grad = cb_tape_new_no_grad();
    cb_status status = cb_backward(
        cubes((cb_tensor *[]){cb_variable(no_grad, &x_plain), cb_input(no_grad, &w_plain)}, NULL));
    printf("without gradients: %s\n", cb_tape_error(no_grad));

    /* Any function of ops can be held against differences. */
    cb_check_report report;
    bool right = cb_check_gradient(cubes, NULL, 2, (cb_tensor *[]){&x_plain, &w_plain},
                                   &(cb_check_options){.second_order = true}, &report);
    printf("%lld numbers checked: %s\n", (long long)report.compared, right ? "right" : "wrong");

    cb_tensor_free(sum);
    cb_tape_free(no_grad);
    cb_tape_free(tape);
    return right && status == CB_ERROR_TAPE ? 0 : 1;
}

/* $ ./02_gradients
   y = 47
   dy/dx = 3 x^2 w: [  3 -12  54]
   dy/dw = x^3:     [ 1  8 27]
   twice:           [ 2 16 54]
   three steps:     [  9 -36 162]
   d(h x)/dx, h = x^2: [ 3 12 27]
   d(h x)/dh:          [1 2 3]
   h held fast:        [1 4 9]
   without gradients: backward: the tape records no gradients
   12 numbers checked: right */
