/* Order along an axis and running sums: what values alone (test_ops.c) do not show. */
#include "tests/support.h"

#include <cerebra/ops.h>

#include <string.h>

Test(order, values_and_indices_belong_together) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *plain = cb_tensor_new(CB_F64, CB_SHAPE(3, 50, 2)), *indices = NULL;
    for (int64_t i = 0; i < cb_tensor_count(plain); i++)
        ((double *)plain->data)[i] = (double)(i * 7919 % 101 % 13);
    cb_tensor *x = cb_variable(tape, plain);
    cb_tensor *y = cb_topk(x, 1, 4, true, &indices);
    cr_assert_eq(cb_tape_status(tape), CB_OK);
    cr_expect_eq(indices->dtype, CB_I64);
    cr_expect(cbt_close(cb_gather(x, 1, indices), y, 0));
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    /* Each value's gradient goes to the element that it is. */
    cb_tensor *expected = cb_scatter_add(cb_full_like(x, 0), 1, indices, cb_full_like(y, 1));
    cr_expect(cbt_close(cb_gradient(x), expected, 0));
    cr_expect_not(cb_requires_grad(indices));
    cb_tape_free(tape);
    cb_tensor_free(plain);
}

/* A long line, of many equal elements, and many lines: with each number of threads. */
Test(order, does_not_depend_on_threads) {
    int threads = cb_threads();
    const int64_t shapes[][2] = {{1, 70000}, {70000, 1}, {300, 211}};
    for (int k = 0; k < 3; k++) {
        cb_tensor *plain = cb_tensor_new(CB_F32, 2, shapes[k]), *first[3] = {NULL};
        for (int64_t i = 0; i < cb_tensor_count(plain); i++)
            ((float *)plain->data)[i] = (float)(i * 7919 % 65537 % 1000) - 500;
        for (int t = 1; t <= 4; t++) {
            cb_set_threads(t);
            cb_tape *tape = cb_tape_new();
            cb_tensor *x = cb_input(tape, plain);
            cb_tensor *y[] = {cb_argsort(x, k == 1 ? 0 : 1, true), cb_cumsum(x, 0),
                              cb_cumsum(x, 1)};
            cr_assert_eq(cb_tape_status(tape), CB_OK);
            for (int i = 0; i < 3; i++) {
                if (t == 1)
                    first[i] = cb_tensor_copy(y[i], y[i]->dtype);
                cr_expect(memcmp(y[i]->data, first[i]->data, cb_tensor_bytes(y[i])) == 0,
                          "%d threads", t);
            }
            const int64_t *at = y[0]->data;
            int64_t n = k == 2 ? 211 : 70000;
            const float *values = plain->data;
            for (int64_t i = 1; i < n && t == 1; i++)
                cr_assert(values[at[i - 1]] > values[at[i]] ||
                          (values[at[i - 1]] == values[at[i]] && at[i - 1] < at[i]));
            cb_tape_free(tape);
        }
        for (int i = 0; i < 3; i++)
            cb_tensor_free(first[i]);
        cb_tensor_free(plain);
    }
    cb_set_threads(threads);
}

#define X cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1)

Test(order, what_they_refuse) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *indices = NULL;
    cb_topk(X, 1, 4, true, &indices);
    cr_expect_null(indices->data);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "topk: [2,3]: there are no 4 of 3 elements (op 1)");
    cb_topk(X, -1, -1, true, NULL);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "topk: [2,3]: there are no -1 of 3 elements (op 1)");
    cb_sort(X, 2, false, &indices);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "sort: [2,3]: axis 2 is outside a rank of 2 (op 1)");
    cb_argsort(X, -3, false);
    cbt_expect_failure(tape, CB_ERROR_SHAPE,
                       "argsort: [2,3]: axis -3 is outside a rank of 2 (op 1)");
    cb_cumsum(cb_full(tape, CB_F32, CB_SCALAR, 1), 0);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "cumsum: []: axis 0 is outside a rank of 0 (op 1)");
    cb_tape_free(tape);
}
