/* Tensors that are used after the step that made them: an error, and not whatever lies there now.
 */
#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static double numbers[4] = {1, 2, 3, 4};

static cb_tensor *leaf(cb_tape *tape) {
    cb_tensor value = cb_tensor_wrap(CB_F64, CB_SHAPE(4), numbers);
    return cb_variable(tape, &value);
}

static void expect_over(const cb_tape *tape) {
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE);
    cr_expect_not_null(strstr(cb_tape_error(tape), "of a step that is over"), "%s",
                       cb_tape_error(tape));
}

Test(steps, an_operand_of_an_earlier_step_is_refused) {
    cb_tape *tape = cb_tape_new();
    leaf(tape);
    cb_tensor *kept = cb_tanh(leaf(tape));
    for (int steps = 1; steps < 4; steps++) {
        cb_tape_reset(tape);
        cb_tensor *sum = cb_add(leaf(tape), kept);
        expect_over(tape);
        cr_expect(isnan(cb_item(sum)));
    }
    cb_tape_free(tape);
}

/* Other tensors lie in its place by then, or their elements. */
Test(steps, also_when_its_memory_holds_something_else) {
    for (int before = 0; before < 6; before++)
        for (int64_t count = 1; count < 200; count += 37) {
            cb_tape *tape = cb_tape_new();
            cb_tensor *kept = leaf(tape);
            for (int i = 0; i < before; i++)
                kept = cb_tanh(kept);
            cb_tape_reset(tape);
            for (int i = 0; i < 3; i++)
                cb_full(tape, CB_F64, CB_SHAPE(count), 1.5);
            cb_tensor *x = leaf(tape);
            if (kept != x && cb_tape_of(kept) == NULL) {
                cb_add(x, kept);
                cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE);
            }
            cb_tape_free(tape);
        }
}

Test(steps, gradients_and_values_of_an_earlier_step_are_refused) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = leaf(tape), *loss = cb_sum(x, CB_ALL_AXES, false), *gradient;
    cr_expect_eq(cb_item(loss), 10);
    cb_tape_reset(tape);
    cr_expect_eq(cb_backward(loss), CB_ERROR_TAPE);
    cb_tape_reset(tape);
    cr_expect_eq(cb_grad(loss, NULL, false, 1, &x, &gradient), CB_ERROR_TAPE);
    cb_tape_reset(tape);
    cr_expect(isnan(cb_item(loss)));
    cr_expect_null(cb_tape_of(loss));
    cb_tape_free(tape);
}

Test(steps, copies_and_callers_tensors_outlive_them) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *copy = cb_tensor_copy(cb_scale(leaf(tape), 2), CB_F64);
    cb_tape_reset(tape);
    cb_tensor *sum = cb_sum(cb_add(leaf(tape), cb_input(tape, copy)), CB_ALL_AXES, false);
    cr_expect_eq(cb_item(sum), 30);
    cr_expect_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    cb_tape_free(tape);
    cb_tensor_free(copy);
}
