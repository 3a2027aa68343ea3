/* Masks of any dtype, masks of lengths, parts that no gradient flows through: what values alone
   (test_ops.c) do not show. */
#include "tests/support.h"

#include <cerebra/ops.h>

#include <math.h>

Test(masks, of_lengths_have_time_first) {
    int32_t values[] = {2, 0, -1, 9};
    const double expected[3][4] = {{1, 0, 0, 1}, {1, 0, 0, 1}, {0, 0, 0, 1}};
    cb_tensor plain = cb_tensor_wrap(CB_I32, CB_SHAPE(4), values);
    cb_tape *tape = cb_tape_new();
    for (cb_dtype dtype = CB_F32; dtype <= CB_I64; dtype++) {
        cb_tensor *lengths = cb_input(tape, &plain);
        if (dtype & 1)
            lengths = cb_cast(lengths, CB_I64);
        cb_tensor *mask = cb_length_mask(lengths, 3, dtype);
        cr_assert(cb_tape_status(tape) == CB_OK && mask->dtype == dtype && mask->rank == 2);
        for (int64_t t = 0; t < 3; t++)
            for (int64_t b = 0; b < 4; b++)
                cr_expect_eq(cb_tensor_get(mask, (int64_t[]){t, b}), expected[t][b]);
    }
    cb_tensor *grid = cb_reshape(cb_input(tape, &plain), CB_SHAPE(2, 2));
    cr_expect_eq(cb_length_mask(grid, 5, CB_F32)->rank, 3);
    cr_expect_eq(cb_item(cb_sum(cb_length_mask(grid, 5, CB_F32), CB_ALL_AXES, false)), 2 + 5);
    cb_tensor *one = cb_length_mask(cb_full(tape, CB_I64, CB_SCALAR, 2), 4, CB_F64);
    cr_expect(one->rank == 1 && one->shape[0] == 4 &&
              cb_item(cb_sum(one, CB_ALL_AXES, false)) == 2);
    cr_expect_eq(cb_tensor_count(cb_length_mask(grid, 0, CB_F32)), 0);
    cr_expect_eq(cb_tape_status(tape), CB_OK);
    cb_tape_free(tape);
}

/* What is hidden has no gradient, whatever it and its slope are. */
Test(masks, hide_values_and_slopes) {
    double values[] = {4, 0, -1};
    int64_t places[] = {0, 5, -3};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3), values);
    cb_tensor mask = cb_tensor_wrap(CB_I64, CB_SHAPE(3), places);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_variable(tape, &plain);
    cb_tensor *safe = cb_masked_fill(x, cb_input(tape, &mask), 1);
    cb_tensor *y = cb_masked_fill(cb_log(safe), cb_input(tape, &mask), 0);
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    cr_expect_float_eq(cb_tensor_get(y, (int64_t[]){0}), log(4), 1e-15);
    for (int64_t i = 0; i < 3; i++)
        cr_expect_eq(cb_tensor_get(cb_gradient(x), &i), i == 0 ? 0.25 : 0);
    cb_tape_free(tape);
}

Test(masks, what_they_refuse) {
    cb_tape *tape = cb_tape_new();
#define X      cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1)
#define COUNTS cb_full(tape, CB_I64, CB_SHAPE(3), 1)
    cb_mul(X, COUNTS);
    cbt_expect_failure(tape, CB_ERROR_DTYPE,
                       "mul: [2,3] x i64[3]: dtypes f32 and i64 differ; cast one of them (op 1)");
    cb_where(COUNTS, X, COUNTS);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_DTYPE);
    cb_tape_reset(tape);
    cb_masked_fill(COUNTS, COUNTS, 0.5);
    cbt_expect_failure(tape, CB_ERROR_VALUE,
                       "masked_fill: i64[3]: 0.5 is not a whole number; cast to f32 or f64 (op 1)");
    cb_masked_fill(NULL, COUNTS, 0.5);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE);
    cb_tape_reset(tape);
    cb_masked_fill(X, NULL, 0.5);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_TAPE);
    cb_tape_reset(tape);
    cb_tril(COUNTS, 0);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "tril: i64[3]: it takes matrices (op 1)");
    cb_length_mask(X, 3, CB_F32);
    cbt_expect_failure(tape, CB_ERROR_DTYPE,
                       "length_mask: [2,3]: lengths are f32; they must be i32 or i64 (op 1)");
    cb_length_mask(COUNTS, -1, CB_F32);
    cbt_expect_failure(tape, CB_ERROR_SHAPE,
                       "length_mask: i64[3]: no room for an axis of -1 time steps (op 1)");
    cb_length_mask(COUNTS, 2, (cb_dtype)9);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_DTYPE);
    cb_tape_free(tape);
}

Test(masks, a_part_that_is_stopped_has_no_gradient) {
    double values[] = {1, 2, 3, 4, 5, 6};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3, 2), values);
    cb_tape *tape = cb_tape_new();
    for (int k = 0; k < 2; k++) {
        cb_tensor *x = cb_variable(tape, &plain);
        cb_tensor *y = cb_stop_gradient_at(x, k == 0 ? 0 : -1, k == 0 ? -2 : 0);
        cr_expect_eq(y->data, x->data, "a view");
        cr_assert_eq(cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false)), CB_OK);
        for (int64_t i = 0; i < 6; i++) {
            bool stopped = k == 0 ? i / 2 == 1 : i % 2 == 0;
            cr_expect_eq(cb_tensor_get(cb_gradient(x), (int64_t[]){i / 2, i % 2}),
                         stopped ? 0 : 2 * values[i]);
        }
    }
    cb_tape_reset(tape);
    cb_stop_gradient_at(X, 1, 3);
    cbt_expect_failure(tape, CB_ERROR_INDEX,
                       "stop_gradient_at: [2,3]: index 3 is outside an extent of 3 (op 1)");
    cb_stop_gradient_at(X, 2, 0);
    cbt_expect_failure(tape, CB_ERROR_SHAPE,
                       "stop_gradient_at: [2,3]: axis 2 is outside a rank of 2 (op 1)");
    cb_tape_free(tape);
}
