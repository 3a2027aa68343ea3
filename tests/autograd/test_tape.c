/* The tape: its errors, its lifetimes, and the sweeps over it. */
#include "tests/support.h"

#include <cerebra/ops.h>
#include <cerebra/rnn.h>

#include "tensor/memory.h"

#include <math.h>
#include <string.h>

static cb_tensor scalar_of(double *value) {
    return cb_tensor_wrap(CB_F64, CB_SCALAR, value);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

Test(tape, the_first_failure_is_kept_and_names_op_shapes_and_number) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *a = cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1);
    cb_tensor *b = cb_exp(a);
    cb_tensor *bad = cb_matmul(b, b);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cr_expect_str_eq(cb_tape_error(tape),
                     "matmul: [2,3] x [2,3]: inner extents 3 and 2 differ (op 2)");
    cr_expect_null(bad->data);
    cb_tensor *later = cb_sum(cb_add(cb_exp(bad), a), CB_ALL_AXES, false);
    cb_slice(a, 9, 0, 1, 1);
    cr_expect(later->data == NULL && strstr(cb_tape_error(tape), "matmul") != NULL);
    cr_expect_eq(cb_backward(later), CB_ERROR_SHAPE);
    cr_expect(isnan(cb_item(later)));
    cb_tape_reset(tape);
    cr_expect_str_empty(cb_tape_error(tape));
    cr_expect_eq(cb_item(cb_exp(cb_full(tape, CB_F32, CB_SCALAR, 0))), 1);
    cb_tape_free(tape);
}

Test(tape, failures_of_functions_without_an_op_name_shapes_too) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1);
    cb_select(cb_exp(x), 1, 3);
    cr_expect_str_eq(cb_tape_error(tape),
                     "select: [2,3]: index 3 is outside an extent of 3 (op 2)");
    cb_tape_reset(tape);
    cb_chunk(cb_full(tape, CB_I64, CB_SHAPE(2, 3), 1), 1, 2, 0);
    cr_expect_str_eq(cb_tape_error(tape),
                     "chunk: i64[2,3]: an extent of 3 is not 2 equal parts (op 1)");
    cb_tape_free(tape);
}

Test(tape, operands_from_elsewhere_are_refused) {
    cb_tape *one = cb_tape_new(), *two = cb_tape_new();
    double value = 1;
    cb_tensor plain = scalar_of(&value);
    cb_add(cb_input(one, &plain), cb_input(two, &plain));
    cr_expect_eq(cb_tape_status(one), CB_ERROR_TAPE);
    cr_expect(strstr(cb_tape_error(one), "input 1 is on another tape") != NULL);
    cr_expect_eq(cb_tape_status(two), CB_OK);
    cb_tape_reset(one);
    cb_mul(&plain, cb_input(one, &plain));
    cr_expect(strstr(cb_tape_error(one), "mul: input 0 is on no tape") != NULL, "%s",
              cb_tape_error(one));
    cb_tape_reset(one);
    cb_mul(cb_input(one, &plain), NULL);
    cr_expect(strstr(cb_tape_error(one), "mul: input 1 is NULL") != NULL);
    cb_tape_reset(one);
    /* The function of NULL has no tape to record on, and the next op that has one records. */
    cb_add(cb_input(one, &plain), cb_sum(NULL, CB_ALL_AXES, false));
    cr_expect_eq(cb_tape_status(one), CB_ERROR_TAPE);
    cb_tape_free(one);
    cb_tape_free(two);
}

Test(tape, a_poisoned_tensor_stays_poisoned_after_the_reset) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *bad = cb_squeeze(cb_full(tape, CB_F32, CB_SHAPE(2), 1), 0);
    cb_tape_reset(tape);
    cb_tensor *y = cb_add(cb_full(tape, CB_F32, CB_SCALAR, 1), bad);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE);
    cr_expect_null(y->data);
    cb_tape_reset(tape);
    cr_expect_null(cb_reshape(bad, CB_SHAPE(1))->data);
    cr_expect_null(cb_exp(bad)->data);
    cr_expect(isnan(cb_item(bad)));
    cb_tape_free(tape);
}

Test(tape, a_poisoned_tensor_is_not_copied) {
    cb_tape *tape = cb_tape_new();
    double value = 4;
    cb_tensor target = scalar_of(&value);
    cb_tensor *bad = cb_squeeze(cb_full(tape, CB_F32, CB_SHAPE(2), 1), 0);
    cr_expect_eq(cb_tensor_assign(&target, bad), CB_ERROR_VALUE);
    cr_expect_eq(value, 4);
    cr_expect_null(cb_tensor_copy(bad, CB_F64));
    cb_tensor_fill(bad, 1);
    cr_expect(isnan(cb_tensor_get(bad, NULL)));
    cb_tape_free(tape);
}

Test(tape, no_tape_is_out_of_memory) {
    double value = 1;
    cb_tensor plain = scalar_of(&value), gradient = scalar_of(&value);
    cb_tensor *x = cb_variable(NULL, &plain);
    cr_expect_null(x->data);
    cr_expect_eq(cb_backward(cb_exp(cb_add(x, cb_full(NULL, CB_F64, CB_SCALAR, 1)))),
                 CB_ERROR_MEMORY);
    cr_expect_eq(cb_backward(cb_variable_into(NULL, &plain, &gradient)), CB_ERROR_MEMORY);
    cr_expect_eq(cb_backward(cb_arange(NULL, CB_F64, 0, 1, 3)), CB_ERROR_MEMORY);
    cr_expect_eq(cb_tape_status(NULL), CB_ERROR_MEMORY);
    cr_expect_str_not_empty(cb_tape_error(NULL));
    cr_expect_eq(cb_tape_bytes(NULL), 0);
    cb_tape_reset(NULL);
    cb_tape_free(NULL);
    cr_expect_eq(cb_backward(NULL), CB_ERROR_TAPE);
}

Test(tape, leaves_check_what_they_are_given) {
    cb_tape *tape = cb_tape_new();
    int64_t whole = 1;
    double values[4] = {0};
    cb_tensor integer = cb_tensor_wrap(CB_I64, CB_SCALAR, &whole);
    cb_tensor matrix = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 2), values), turned = matrix;
    cb_variable(tape, &integer);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_DTYPE);
    cb_tape_reset(tape);
    turned.stride[0] = 1;
    turned.stride[1] = 2;
    cb_variable_into(tape, &matrix, &turned);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cb_tape_reset(tape);
    cb_input(tape, NULL);
    cr_expect_neq(cb_tape_status(tape), CB_OK);
    cb_tape_reset(tape);
    matrix.data = NULL;
    cb_input(tape, &matrix);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_VALUE);
    cb_tape_reset(tape);
    cb_full(tape, CB_F32, CB_SHAPE(INT64_MAX, 2), 0);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cb_tape_reset(tape);
    cb_arange(tape, CB_F32, 0, 1, -1);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cb_tape_reset(tape);
    cb_item(cb_full(tape, CB_F32, CB_SHAPE(2), 0));
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE);
    cb_tape_free(tape);
}

Test(tape, backward_refuses_what_has_no_gradient) {
    cb_tape *tape = cb_tape_new(), *silent = cb_tape_new_no_grad();
    double values[2] = {1, 2};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(2), values);
    cr_expect_eq(cb_backward(cb_exp(cb_variable(tape, &plain))), CB_ERROR_SHAPE);
    cb_tape_reset(tape);
    cr_expect_eq(cb_backward(cb_sum(cb_input(tape, &plain), CB_ALL_AXES, false)), CB_ERROR_TAPE);
    cb_tape_reset(tape);
    cb_tensor *x = cb_variable(tape, &plain);
    cr_expect_eq(cb_backward(cb_sum(cb_stop_gradient(x), CB_ALL_AXES, false)), CB_ERROR_TAPE);
    cb_tensor *y = cb_variable(silent, &plain);
    cr_expect_not(cb_requires_grad(y));
    cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_ERROR_TAPE);
    cb_tape_free(tape);
    cb_tape_free(silent);
}

/* ---- Gradients that flow together -------------------------------------------------------------
 */

Test(tape, one_tensor_used_often) {
    cb_tape *tape = cb_tape_new();
    double value = 3;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_exp(x), *total = cb_add(x, x);
    total = cb_add(total, cb_mul(x, x));
    for (int i = 0; i < 50; i++)
        total = cb_add(total, y);
    cr_expect_eq(cb_backward(total), CB_OK);
    cr_expect_float_eq(cb_item(cb_gradient(x)), 2 + 6 + 50 * exp(3), 1e-10);
    cb_tape_free(tape);
}

/* Of three variables whose gradients meet in one tensor, and of which two get others before or
   after it: no two may have the same memory. */
Test(tape, one_gradient_of_several_variables) {
    double values[] = {1, 2, 3, 4};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(4), values);
    cb_tape *tape = cb_tape_new();
    for (int order = 0; order < 6; order++) {
        cb_tensor *a = cb_variable(tape, &plain), *b = cb_variable(tape, &plain);
        cb_tensor *c = cb_variable(tape, &plain), *terms[3];
        terms[order % 3] = cb_scale(a, 3);
        terms[(order + 1) % 3] = cb_add(order < 3 ? a : b, order < 3 ? b : a);
        terms[(order + 2) % 3] = cb_add(c, cb_mul(b, a));
        cb_tensor *sum = cb_add(cb_add(terms[0], terms[1]), terms[2]);
        for (int sweep = 1; sweep < 3; sweep++) {
            cr_assert_eq(cb_backward(cb_sum(sum, CB_ALL_AXES, false)), CB_OK);
            for (int i = 0; i < 4; i++) {
                cr_expect_eq(((double *)cb_gradient(a)->data)[i], sweep * (4 + values[i]));
                cr_expect_eq(((double *)cb_gradient(b)->data)[i], sweep * (1 + values[i]));
                cr_expect_eq(((double *)cb_gradient(c)->data)[i], sweep);
            }
        }
        cb_tape_reset(tape);
    }
    cb_tape_free(tape);
}

Test(tape, backward_adds_to_what_is_there) {
    cb_tape *tape = cb_tape_new();
    double value = 3, gradient = 100;
    cb_tensor plain = scalar_of(&value), sink = scalar_of(&gradient);
    cb_tensor *x = cb_variable_into(tape, &plain, &sink), *own = cb_variable(tape, &plain);
    cb_tensor *y = cb_mul(cb_square(x), own);
    cr_expect_null(cb_gradient(own));
    cr_expect_eq(cb_backward(y), CB_OK);
    cr_expect_eq(cb_backward(y), CB_OK);
    cr_expect_eq(gradient, 100 + 2 * 18);
    cr_expect_eq(cb_item(cb_gradient(own)), 18);
    cb_tape_free(tape);
}

Test(tape, parts_of_a_variable) {
    cb_tape *tape = cb_tape_new();
    double values[6] = {1, 2, 3, 4, 5, 6}, gradients[6] = {0};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 3), values);
    cb_tensor sink = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 3), gradients);
    cb_tensor *x = cb_variable_into(tape, &plain, &sink), *middle = cb_scale(x, 2);
    /* Column 1 of the leaf, row 1 of it twice, and an overlapping part of an intermediate. */
    cb_tensor *loss = cb_sum(cb_square(cb_slice(x, 1, 1, 2, 1)), CB_ALL_AXES, false);
    cb_tensor *row = cb_select(x, 0, 1);
    loss = cb_add(loss, cb_sum(cb_mul(row, row), CB_ALL_AXES, false));
    loss = cb_add(loss, cb_sum(cb_slice(middle, 1, 0, 2, 1), CB_ALL_AXES, false));
    loss = cb_add(loss, cb_sum(cb_slice(middle, 1, 1, 3, 1), CB_ALL_AXES, false));
    loss = cb_add(loss, cb_sum(cb_mul(middle, cb_flip(middle, CB_AXES(1))), CB_ALL_AXES, false));
    cr_expect_eq(cb_backward(loss), CB_OK);
    for (int i = 0; i < 6; i++) {
        int column = i % 3;
        double expected = column == 1 ? 2 * values[i] + 4 : 2;
        expected += i >= 3 ? 2 * values[i] : 0;
        expected += 8 * values[i - column + 2 - column];
        cr_expect_float_eq(gradients[i], expected, 1e-12, "%d: %g, not %g", i, gradients[i],
                           expected);
    }
    cb_tape_free(tape);
}

Test(tape, expansion_is_summed_down) {
    cb_tape *tape = cb_tape_new();
    double values[3] = {1, 2, 3};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3, 1), values);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_expand(cb_scale(x, 2), CB_SHAPE(5, 3, 4));
    cb_tensor *direct = cb_expand(x, CB_SHAPE(2, 3, 7));
    cb_tensor *loss =
        cb_add(cb_sum(cb_square(y), CB_ALL_AXES, false), cb_sum(direct, CB_ALL_AXES, false));
    cr_expect_eq(cb_backward(loss), CB_OK);
    for (int i = 0; i < 3; i++)
        cr_expect_float_eq(cb_tensor_get(cb_gradient(x), (const int64_t[]){i, 0}),
                           20 * 8 * values[i] + 14, 1e-10);
    cb_tape_free(tape);
}

/* Both gradients of the square are laid out column by column, so that neither can be added to in
   place: a block is given up in the middle of a vjp, and blocks of another size are needed later.
 */
Test(tape, gradients_that_are_not_contiguous_meet, .timeout = 20) {
    cb_tape *tape = cb_tape_new();
    double values[150];
    for (int i = 0; i < 150; i++)
        values[i] = 0.001 * (i * i % 97) - 0.03;
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3, 50), values);
    cb_tensor *v = cb_variable(tape, &plain), *w = cb_scale(v, 2);
    cb_tensor *x = cb_transpose(cb_matmul(w, cb_transpose(v, 0, 1)), 0, 1);
    cb_tensor *power = cb_matmul(cb_matmul(x, x), cb_sin(x));
    cb_tensor *loss = cb_sum(cb_mul(power, power), CB_ALL_AXES, false), *recorded, *plainly;
    cr_expect_eq(cb_grad(loss, NULL, true, 1, &v, &recorded), CB_OK);
    cr_expect_eq(cb_grad(loss, NULL, false, 1, &v, &plainly), CB_OK);
    cr_expect_eq(cb_backward(loss), CB_OK);
    cr_expect(cbt_close(plainly, recorded, 1e-12));
    cr_expect(cbt_close(cb_gradient(v), recorded, 1e-12));
    cb_tape_free(tape);
}

/* A sweep must leave the tape as it found it, also where there is nothing to sweep over. */
Test(tape, backward_from_a_variable_itself) {
    cb_tape *tape = cb_tape_new();
    double value = 3;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain);
    cr_expect_eq(cb_backward(x), CB_OK);
    cr_expect_eq(cb_item(cb_gradient(x)), 1);
    cb_tensor *seed = cb_full(tape, CB_F64, CB_SCALAR, 5), *y = cb_exp(cb_scale(x, 2)), *g;
    cr_expect_eq(cb_grad(y, seed, false, 1, &x, &g), CB_OK);
    cr_expect_float_eq(cb_item(g), 10 * exp(6), 1e-9);
    cr_expect_eq(cb_item(seed), 5, "the seed was overwritten: %g", cb_item(seed));
    cb_tape_free(tape);
}

/* The first op that makes a NaN is named, also in a gradient and within a recurrence. */
static void expect_anomaly(cb_tensor *(*function)(cb_tensor *x), double first, const char *part) {
    double numbers[3] = {first, 2, 3};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(1, 3), numbers);
    for (int on = 0; on < 2; on++) {
        cb_tape *tape = cb_tape_new();
        cb_tape_detect_anomaly(tape, on == 1);
        cb_tensor *y = function(cb_variable(tape, &plain));
        cb_status status = cb_backward(cb_sum(y, CB_ALL_AXES, false));
        cr_expect_eq(status, on == 1 && part != NULL ? CB_ERROR_VALUE : CB_OK, "%s",
                     cb_tape_error(tape));
        cr_expect(on == 0 || part == NULL || strstr(cb_tape_error(tape), part) != NULL, "%s",
                  cb_tape_error(tape));
        cb_tape_free(tape);
    }
}
static cb_tensor *of_log(cb_tensor *x) {
    return cb_scale(cb_log(x), 2);
}
static cb_tensor *of_norm(cb_tensor *x) {
    return cb_sqrt(cb_square(cb_slice(x, 1, 0, 1, 1)));
}
static void log_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w;
    next[0] = cb_log(cb_sub(x, state[0]));
}
static cb_tensor *of_recurrence(cb_tensor *x) {
    const int64_t size = 3;
    cb_scan *scan = cb_scan_new(
        log_step,
        &(cb_scan_options){.dtype = CB_F64, .input = 3, .state_count = 1, .state_size = &size});
    cb_tensor *initial = cb_full(cb_tape_of(x), CB_F64, CB_SHAPE(1, 3), 0);
    cb_tensor *y = cb_scan_run(scan, cb_unsqueeze(x, 0), &(cb_scan_io){.initial = &initial});
    cb_scan_free(scan);
    return y;
}

Test(tape, the_op_that_makes_a_nan_is_named) {
    expect_anomaly(of_log, 1, NULL);
    expect_anomaly(of_log, -1,
                   "log: f64[1,3]: element 0 of the result is nan and no input has one");
    expect_anomaly(of_norm, 1, NULL);
    expect_anomaly(of_norm, 0, "in the gradient of square");
    expect_anomaly(of_recurrence, -1, "log: ");
    expect_anomaly(of_log, NAN, "input: element 0 is nan");
}

Test(tape, stacking_what_is_on_no_tape_is_an_error) {
    float numbers[2] = {1, 2};
    cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SHAPE(2), numbers);
    cb_tape *tape = cb_tape_new();
    for (int i = 0; i < 4; i++) {
        cb_tensor *on = cb_input(tape, &plain);
        cb_tensor *inputs[2] = {i == 0 ? &plain : i == 1 ? NULL : on, i == 2 ? &plain : on};
        inputs[1] = i == 3 ? NULL : inputs[1];
        cb_tensor *y = cb_stack(2, inputs, 0);
        cr_expect_null(y->data);
        cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE, "%d: %s", i, cb_tape_error(tape));
        cb_tape_reset(tape);
    }
    cb_tensor *none[2] = {&plain, &plain};
    cr_expect_null(cb_stack(2, none, 0)->data);
    cb_tape_free(tape);
}

Test(tape, deep_graphs_need_no_stack, .timeout = 20) {
    cb_tape *tape = cb_tape_new();
    double value = 0.5;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = x, *g;
    for (int i = 0; i < 200000; i++)
        y = cb_shift(y, 1);
    cr_expect_eq(cb_item(y), 200000.5);
    cr_expect_eq(cb_backward(y), CB_OK);
    cr_expect_eq(cb_item(cb_gradient(x)), 1);
    cr_expect_eq(cb_grad(y, NULL, false, 1, &x, &g), CB_OK);
    cr_expect_eq(cb_item(g), 1);
    cb_tape_free(tape);
}

/* ---- cb_grad --------------------------------------------------------------------------------- */

Test(tape, grad_of_intermediate_tensors) {
    cb_tape *tape = cb_tape_new();
    double value = 2;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_square(x), *z = cb_exp(y);
    cb_tensor *unused = cb_scale(x, 7), *out[4];
    cb_tensor *seed = cb_full(tape, CB_F64, CB_SCALAR, 3);
    cr_expect_eq(cb_grad(z, seed, false, 4, (cb_tensor *[]){x, y, z, unused}, out), CB_OK);
    cr_expect_float_eq(cb_item(out[0]), 3 * 4 * exp(4), 1e-9);
    cr_expect_float_eq(cb_item(out[1]), 3 * exp(4), 1e-9);
    cr_expect_eq(cb_item(out[2]), 3);
    cr_expect_eq(cb_item(out[3]), 0);
    cr_expect_null(cb_gradient(x), "cb_grad adds to no variable");
    cb_tape_free(tape);
}

Test(tape, grad_of_an_input_given_twice_and_of_a_newer_one) {
    cb_tape *tape = cb_tape_new();
    double value = 2;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_square(x), *newer = cb_exp(y), *out[3];
    cr_expect_eq(cb_grad(y, NULL, false, 3, (cb_tensor *[]){x, x, newer}, out), CB_OK);
    cr_expect(cb_item(out[0]) == 4 && cb_item(out[1]) == 4 && cb_item(out[2]) == 0);
    cb_tape_free(tape);
}

Test(tape, grad_three_times) {
    cb_tape *tape = cb_tape_new();
    double value = 0.7;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_sin(x);
    double expected[] = {cos(0.7), -sin(0.7), -cos(0.7)};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(cb_grad(y, NULL, i < 2, 1, &x, &y), CB_OK);
        cr_expect_float_eq(cb_item(y), expected[i], 1e-14);
    }
    cb_tape_free(tape);
}

Test(tape, grad_of_a_power_vanishes_after_its_degree) {
    cb_tape *tape = cb_tape_new();
    double value = 0;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_power(x, 2);
    double expected[] = {0, 2, 0};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(cb_grad(y, NULL, true, 1, &x, &y), CB_OK);
        cr_expect_eq(cb_item(y), expected[i], "order %d: %g", i + 1, cb_item(y));
    }
    cb_tape_free(tape);
}

Test(tape, grad_refuses_bad_seeds_and_inputs) {
    cb_tape *tape = cb_tape_new(), *other = cb_tape_new();
    double value = 2;
    cb_tensor plain = scalar_of(&value);
    for (int i = 0; i < 5; i++) {
        cb_tensor *x = cb_variable(tape, &plain), *y = cb_exp(x), *g = NULL;
        cb_tensor *seed = i == 0   ? cb_full(other, CB_F64, CB_SCALAR, 1)
                          : i == 1 ? cb_full(tape, CB_F64, CB_SHAPE(1), 1)
                          : i == 2 ? cb_full(tape, CB_F32, CB_SCALAR, 1)
                                   : NULL;
        cb_tensor *input = i == 3 ? cb_input(tape, &plain) : i == 4 ? NULL : x;
        cb_status expected = i == 1 || i == 2 ? CB_ERROR_SHAPE : CB_ERROR_TAPE;
        cr_expect_eq(cb_grad(y, seed, false, 1, &input, &g), expected, "case %d", i);
        cr_expect(g != NULL && g->data == NULL);
        cb_tape_reset(tape);
    }
    cb_tape_free(tape);
    cb_tape_free(other);
}

Test(tape, gradients_outlive_later_sweeps) {
    cb_tape *tape = cb_tape_new();
    double value = 2;
    cb_tensor plain = scalar_of(&value);
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_exp(cb_square(x)), *first, *second;
    cr_expect_eq(cb_grad(y, NULL, false, 1, &x, &first), CB_OK);
    double before = cb_item(first);
    cr_expect_eq(cb_grad(cb_mul(y, y), first, false, 1, &x, &second), CB_OK);
    cr_expect_eq(cb_backward(cb_mul(cb_sin(y), first)), CB_OK);
    cr_expect_eq(cb_item(first), before);
    cb_tape_free(tape);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static double lstm_step(cb_tape *tape, cb_params *params, const cb_rnn *rnn, const cb_tensor *x) {
    cb_tape_reset(tape);
    cb_params_zero_gradients(params);
    cb_tensor *y = cb_rnn_forward(rnn, cb_input(tape, x), NULL);
    cb_tensor *loss = cb_mean(cb_square(y), CB_ALL_AXES, false);
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
    return cb_item(loss);
}

Test(tape, later_steps_of_an_lstm_allocate_nothing) {
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 5, 6);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_tensor_new(CB_F32, CB_SHAPE(7, 3, 5));
    cb_tensor_fill(x, 0.5);
    double loss = lstm_step(tape, params, rnn, x);
    int64_t before = cbi_allocation_count();
    for (int i = 0; i < 5; i++)
        cr_expect_eq(lstm_step(tape, params, rnn, x), loss);
    cr_expect_eq(cbi_allocation_count(), before);
    cb_tensor_free(x);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* A convolution by slices, and ops of all families, at sizes that need several chunks of the arena.
 */
static void mixed_step(cb_tape *tape, const cb_tensor *image) {
    cb_tape_reset(tape);
    cb_tensor *x = cb_variable(tape, image), *sum = NULL;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            cb_tensor *part = cb_slice(cb_slice(x, 0, i, 298 + i, 1), 1, j, 498 + j, 1);
            sum = sum == NULL ? part : cb_add(sum, cb_scale(part, 0.1 * i + j));
        }
    cb_tensor *rows = cb_gather_rows(sum, cb_arange(tape, CB_I64, 0, 3, 99));
    cb_tensor *joined = cb_concat(2, (cb_tensor *[]){cb_softmax(rows, 1), cb_tanh(rows)}, 0);
    cb_tensor *recorded;
    cb_tensor *loss = cb_sum(cb_matmul(joined, cb_transpose(joined, 0, 1)), CB_ALL_AXES, false);
    cr_assert_eq(cb_grad(loss, NULL, true, 1, &x, &recorded), CB_OK);
    loss = cb_add(loss, cb_mean(cb_square(recorded), CB_ALL_AXES, false));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
}

Test(tape, later_steps_of_mixed_ops_allocate_nothing) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *image = cb_tensor_new(CB_F32, CB_SHAPE(300, 500));
    cb_tensor_fill(image, 0.01);
    mixed_step(tape, image);
    int64_t before = cbi_allocation_count();
    size_t bytes = cb_tape_bytes(tape);
    for (int i = 0; i < 3; i++)
        mixed_step(tape, image);
    cr_expect_eq(cbi_allocation_count(), before);
    cr_expect_eq(cb_tape_bytes(tape), bytes);
    cb_tensor_free(image);
    cb_tape_free(tape);
}
