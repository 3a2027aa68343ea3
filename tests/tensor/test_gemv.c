/* Products of a few rows: against sums in double, for both ways that a matrix lies, and the same
   bits whatever the number of threads. */
#include "tensor/kernels.h"

#include <cerebra/random.h>
#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef struct sizes {
    int64_t rows, n, k;
    bool dots; /* B' is row-major */
    bool accumulate;
} sizes;

static cb_tensor *drawn(cb_random *random, cb_dtype dtype, int64_t rows, int64_t columns) {
    cb_tensor *exact = cb_tensor_new(CB_F64, CB_SHAPE(rows, columns));
    cb_random_uniform_f64(random, rows * columns, exact->data, -1, 1);
    cb_tensor *t = cb_tensor_copy(exact, dtype);
    cb_tensor_free(exact);
    return t;
}

static double element(const cb_tensor *t, int64_t i, int64_t j) {
    return cb_tensor_get(t, (const int64_t[]){i, j});
}

static void check(cb_dtype dtype, const sizes *s) {
    cb_random random = cb_random_seed(1);
    cb_tensor *a = drawn(&random, dtype, s->rows, s->k);
    cb_tensor *b = drawn(&random, dtype, s->dots ? s->n : s->k, s->dots ? s->k : s->n);
    cb_tensor *start = drawn(&random, dtype, s->rows, s->n), *c[3];
    cbi_matrix right = {b->data, s->dots ? 1 : s->n, s->dots ? s->k : 1};
    for (int threads = 0; threads < 3; threads++) {
        c[threads] = cb_tensor_copy(start, dtype);
        cb_set_threads(1 << threads);
        cr_assert(cbi_gemv(dtype, s->rows, s->n, s->k, (cbi_matrix){a->data, s->k, 1}, right,
                           s->accumulate, (cbi_matrix){c[threads]->data, s->n, 1}));
    }
    double tolerance = (dtype == CB_F32 ? 1e-7 : 1e-15) * 4 * ((double)s->k + 4);
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double sum = s->accumulate ? element(start, i, j) : 0;
            for (int64_t l = 0; l < s->k; l++)
                sum += element(a, i, l) * (s->dots ? element(b, j, l) : element(b, l, j));
            cr_assert(fabs(element(c[0], i, j) - sum) <= tolerance, "[%d,%d]: %g, not %g", (int)i,
                      (int)j, element(c[0], i, j), sum);
        }
    for (int threads = 1; threads < 3; threads++)
        cr_expect_arr_eq(c[threads]->data, c[0]->data, cb_tensor_bytes(c[0]), "%d threads",
                         1 << threads);
    cb_tensor *all[] = {a, b, start, c[0], c[1], c[2]};
    for (int i = 0; i < 6; i++)
        cb_tensor_free(all[i]);
}

Test(gemv, any_sizes_either_way) {
    cb_random random = cb_random_seed(2);
    for (int round = 0; round < 60; round++) {
        sizes s = {.rows = 1 + (int64_t)cb_random_below(&random, 4),
                   .n = 1 + (int64_t)cb_random_below(&random, round % 5 == 0 ? 900 : 140),
                   .k = (int64_t)cb_random_below(&random, round % 7 == 0 ? 600 : 150),
                   .dots = round % 2 == 0,
                   .accumulate = round % 3 == 0};
        check(CB_F32, &s);
        check(CB_F64, &s);
    }
}

Test(gemv, leaves_other_strides_and_more_rows_to_blis) {
    float a[64] = {0}, b[64] = {0}, c[64] = {0};
    cbi_matrix plain = {a, 8, 1};
    cr_expect_not(
        cbi_gemv(CB_F32, 5, 4, 4, plain, (cbi_matrix){b, 8, 1}, false, (cbi_matrix){c, 8, 1}));
    cr_expect_not(
        cbi_gemv(CB_F32, 2, 4, 4, plain, (cbi_matrix){b, 8, 2}, false, (cbi_matrix){c, 8, 1}));
    cr_expect_not(cbi_gemv(CB_F32, 2, 4, 4, (cbi_matrix){a, 8, 2}, (cbi_matrix){b, 8, 1}, false,
                           (cbi_matrix){c, 8, 1}));
}
