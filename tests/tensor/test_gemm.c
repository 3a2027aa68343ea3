/* Products of any sizes and strides against a plain triple loop in double. */
#include "tests/tensor/strided.h"

#include "tensor/kernels.h"

#include <cerebra/tape.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <time.h>

static double at(cb_dtype dtype, cbi_matrix x, int64_t i, int64_t j) {
    return cbi_load(dtype, (char *)x.data + (i * x.row_stride + j * x.column_stride) *
                                                (int64_t)cb_dtype_size(dtype));
}

static cbi_matrix matrix(const cb_tensor *t) {
    return (cbi_matrix){t->data, t->stride[0], t->stride[1]};
}

/* Expects c = before + a b, to rounding of sums of k terms of at most 400. */
static void expect_product(cb_dtype dtype, int64_t k, cbi_matrix a, cbi_matrix b,
                           const cb_tensor *before, const cb_tensor *c, int round) {
    double tolerance = (dtype == CB_F32 ? 1e-7 : 1e-15) * 400 * ((double)k + 1);
    for (int64_t i = 0; i < c->shape[0]; i++)
        for (int64_t j = 0; j < c->shape[1]; j++) {
            double sum = before != NULL ? cb_tensor_get(before, (const int64_t[]){i, j}) : 0;
            for (int64_t l = 0; l < k; l++)
                sum += at(dtype, a, i, l) * at(dtype, b, l, j);
            double y = cb_tensor_get(c, (const int64_t[]){i, j});
            cr_assert(fabs(y - sum) <= tolerance, "round %d, [%lld,%lld]: %g, not %g", round,
                      (long long)i, (long long)j, y, sum);
        }
}

static void one_round(cb_random *random, int round) {
    cb_dtype dtype = round % 2 == 0 ? CB_F32 : CB_F64;
    int64_t size[3];
    for (int i = 0; i < 3; i++)
        size[i] = below(random, 4) == 0 ? below(random, 201) : below(random, 20);
    int64_t m = size[0], n = size[1], k = size[2];
    cb_tensor *memory[3];
    cb_tensor a = random_strides(random, dtype, 2, (const int64_t[]){m, k}, true, &memory[0]);
    cb_tensor b = random_strides(random, dtype, 2, (const int64_t[]){k, n}, true, &memory[1]);
    cb_tensor c = random_strides(random, dtype, 2, (const int64_t[]){m, n}, false, &memory[2]);
    cb_tensor *before = cb_tensor_copy(&c, CB_F64);
    bool accumulate = below(random, 2) == 0;
    if (!accumulate) /* what was there must not matter, NaN either */
        cb_tensor_fill(&c, NAN);
    cb_set_threads(1 + round % 3);
    cbi_gemm(dtype, m, n, k, matrix(&a), matrix(&b), accumulate, matrix(&c));
    expect_product(dtype, k, matrix(&a), matrix(&b), accumulate ? before : NULL, &c, round);
    cb_tensor_free(before);
    for (int i = 0; i < 3; i++)
        cb_tensor_free(memory[i]);
}

Test(gemm, any_sizes_and_strides) {
    cb_random random = cb_random_seed(7);
    for (int round = 0; round < 200; round++)
        one_round(&random, round);
}

Test(gemm, no_inner_extent_gives_zeros_and_reads_nothing) {
    double c[6] = {1, 2, NAN, 4, 5, 6};
    cbi_matrix none = {NULL, 0, 0}, out = {c, 3, 1};
    cbi_gemm(CB_F64, 2, 3, 0, none, none, true, out);
    cr_expect(c[0] == 1 && c[5] == 6);
    cbi_gemm(CB_F64, 2, 3, 0, none, none, false, out);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(c[i], 0);
    cbi_gemm(CB_F64, 0, 3, 4, none, none, false, none);
    cbi_gemm(CB_F64, 3, 0, 4, none, none, false, none);
}

Test(gemm, a_nan_or_an_infinity_spreads_to_its_row_only) {
    float a[4] = {NAN, 1, 2, INFINITY}, b[4] = {1, 2, 3, 4}, c[4];
    cbi_gemm(CB_F32, 2, 2, 2, (cbi_matrix){a, 2, 1}, (cbi_matrix){b, 2, 1}, false,
             (cbi_matrix){c, 2, 1});
    cr_expect(isnan(c[0]) && isnan(c[1]) && c[2] == INFINITY && c[3] == INFINITY);
}

Test(gemm, threads_change_no_bit) {
    static const int64_t sizes[][3] = {{200, 190, 180}, {128, 2048, 512}, {500, 30, 300},
                                       {30, 700, 70},   {97, 193, 401},   {1, 1000, 1000},
                                       {1000, 1, 1000}};
    cb_random random = cb_random_seed(8);
    for (int i = 0; i < 14; i++) {
        cb_dtype dtype = i % 2 == 0 ? CB_F32 : CB_F64;
        int64_t m = sizes[i / 2][0], n = sizes[i / 2][1], k = sizes[i / 2][2];
        cb_tensor *a = cb_tensor_new(CB_F64, CB_SHAPE(m, k)),
                  *b = cb_tensor_new(CB_F64, CB_SHAPE(k, n));
        cb_random_normal_f64(&random, m * k, a->data, 0, 1);
        cb_random_normal_f64(&random, k * n, b->data, 0, 1);
        cb_tensor *x = cb_tensor_copy(a, dtype), *y = cb_tensor_copy(b, dtype);
        cb_tensor *once = cb_tensor_new(dtype, CB_SHAPE(m, n)),
                  *again = cb_tensor_new(dtype, CB_SHAPE(m, n));
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            cb_tensor_fill(once, 0.3);
            cb_set_threads(1);
            cbi_gemm(dtype, m, n, k, matrix(x), matrix(y), accumulate, matrix(once));
            for (int threads = 2; threads <= 4; threads += 2) {
                cb_tensor_fill(again, 0.3);
                cb_set_threads(threads);
                cbi_gemm(dtype, m, n, k, matrix(x), matrix(y), accumulate, matrix(again));
                cr_expect_eq(memcmp(once->data, again->data, cb_tensor_bytes(once)), 0,
                             "%lld x %lld x %lld, %s, %d threads", (long long)m, (long long)n,
                             (long long)k, cb_dtype_name(dtype), threads);
            }
        }
        cb_tensor_free(a), cb_tensor_free(b), cb_tensor_free(x), cb_tensor_free(y);
        cb_tensor_free(once), cb_tensor_free(again);
    }
}

/* A copy of a [rows, columns] f64 tensor with gaps between its rows, or between its columns. */
static cb_tensor *laid_out(const cb_tensor *exact, cb_dtype dtype, bool transposed,
                           cbi_matrix *matrix) {
    int64_t rows = exact->shape[0], columns = exact->shape[1];
    int64_t stride = (transposed ? rows : columns) + 3;
    cb_tensor *t = cb_tensor_new(dtype, CB_SHAPE(transposed ? columns : rows, stride));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            cb_tensor_set(t, transposed ? (int64_t[]){j, i} : (int64_t[]){i, j},
                          cb_tensor_get(exact, (int64_t[]){i, j}));
    *matrix = (cbi_matrix){t->data, transposed ? 1 : stride, transposed ? stride : 1};
    return t;
}

/* Whether what a computed matrix has in its gaps is still there, and the rest is the product. */
static void expect_only(const cb_tensor *c, cbi_matrix matrix, const cb_tensor *product,
                        const char *what) {
    double tolerance = c->dtype == CB_F32 ? 1e-3 : 1e-11;
    int64_t gaps = 0;
    for (int64_t i = 0; i < product->shape[0]; i++)
        for (int64_t j = 0; j < product->shape[1]; j++) {
            double x = at(c->dtype, matrix, i, j), y = cb_tensor_get(product, (int64_t[]){i, j});
            cr_assert(fabs(x - y) <= tolerance, "%s at %lld, %lld: %g, not %g", what, (long long)i,
                      (long long)j, x, y);
        }
    for (int64_t i = 0; i < c->shape[0]; i++)
        for (int64_t j = c->shape[1] - 3; j < c->shape[1]; j++)
            gaps += cb_tensor_get(c, (int64_t[]){i, j}) == 0;
    cr_assert_eq(gaps, 3 * c->shape[0], "%s: written beside the product", what);
}

/* Where operands are packed for the call: several pieces of the depth, rows and columns that fill
   no tile, every layout, and any number of threads. */
static void check_layouts(cb_dtype dtype, int64_t m, int64_t n, int64_t k) {
    cb_random random = cb_random_seed(9);
    cb_tensor *exact[3] = {cb_tensor_new(CB_F64, CB_SHAPE(m, k)),
                           cb_tensor_new(CB_F64, CB_SHAPE(k, n)),
                           cb_tensor_new(CB_F64, CB_SHAPE(m, n))};
    const double *a = exact[0]->data, *b = exact[1]->data;
    double *c = exact[2]->data;
    cb_random_uniform_f64(&random, m * k, exact[0]->data, -1, 1);
    cb_random_uniform_f64(&random, k * n, exact[1]->data, -1, 1);
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++)
                c[i * n + j] += a[i * k + l] * b[l * n + j];
    cb_tensor *twice = cb_tensor_copy(exact[2], CB_F64);
    for (int64_t i = 0; i < m * n; i++)
        ((double *)twice->data)[i] *= 2;
    for (int layout = 0; layout < 8; layout++) {
        cbi_matrix x[3];
        cb_tensor *t[3], *first = NULL;
        for (int i = 0; i < 3; i++)
            t[i] = laid_out(exact[i], dtype, (layout >> i) % 2 == 1, &x[i]);
        for (int threads = 1; threads <= 3; threads++) {
            char what[80];
            snprintf(what, sizeof what, "%s, layout %d, %d threads", cb_dtype_name(dtype), layout,
                     threads);
            cb_set_threads(threads);
            cbi_gemm(dtype, m, n, k, x[0], x[1], false, x[2]);
            expect_only(t[2], x[2], exact[2], what);
            cbi_gemm(dtype, m, n, k, x[0], x[1], true, x[2]);
            expect_only(t[2], x[2], twice, what);
            if (first == NULL) { /* BLIS's own, to the bit */
                first = cb_tensor_copy(t[2], dtype);
                cbi_matrix blis = {first->data, x[2].row_stride, x[2].column_stride};
                cbi_gemm_blis(dtype, m, n, k, x[0], x[1], false, blis);
                cbi_gemm_blis(dtype, m, n, k, x[0], x[1], true, blis);
            }
            cr_expect_arr_eq(t[2]->data, first->data, cb_tensor_bytes(first), "%s", what);
        }
        cb_tensor_free(first);
        for (int i = 0; i < 3; i++)
            cb_tensor_free(t[i]);
    }
    cb_tensor_free(twice);
    for (int i = 0; i < 3; i++)
        cb_tensor_free(exact[i]);
}

Test(gemm, large_ones_of_any_layout) {
    for (int dtype = CB_F32; dtype <= CB_F64; dtype++) {
        check_layouts((cb_dtype)dtype, 301, 77, 600);
        check_layouts((cb_dtype)dtype, 64, 263, 1030);
        check_layouts((cb_dtype)dtype, 259, 300, 65);
        check_layouts((cb_dtype)dtype, 67, 4200, 70);
    }
}

/* Some kernels copy operands first, with arithmetic that takes subnormal numbers for zeros, others
   do not: 1e-41 x 1e20 must not depend on it. */
Test(gemm, subnormal_operands_are_zeros_for_every_kernel) {
    enum { M = 301, N = 88, K = 80 };
    cb_tensor *a = cb_tensor_new(CB_F32, CB_SHAPE(M, K)),
              *b = cb_tensor_new(CB_F32, CB_SHAPE(K, N));
    cb_tensor *c = cb_tensor_new(CB_F32, CB_SHAPE(M, N)), *d = cb_tensor_copy(c, CB_F32);
    cb_tensor_fill(a, 1e-41);
    cb_tensor_fill(b, 1e20);
    for (int threads = 1; threads <= 4; threads++) {
        cb_set_threads(threads);
        cbi_gemm(CB_F32, M, N, K, matrix(a), matrix(b), false, matrix(c));
        cbi_gemm_blis(CB_F32, M, N, K, matrix(a), matrix(b), false, matrix(d));
        cr_expect_arr_eq(c->data, d->data, cb_tensor_bytes(c), "%d threads", threads);
    }
    cb_tensor_free(a), cb_tensor_free(b), cb_tensor_free(c), cb_tensor_free(d);
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

enum { BLOCKS = 5 };

/* A matrix that is a part of another, so that something lies beside it. */
static cb_tensor *surrounded(cb_dtype dtype, int64_t rows, int64_t columns, bool transposed,
                             cbi_matrix *part) {
    cb_tensor *t = cb_tensor_new(dtype, CB_SHAPE(rows + 2, columns + 2));
    int64_t row = transposed ? 1 : columns + 2, column = transposed ? rows + 2 : 1;
    cb_tensor_fill(t, 0.25);
    *part =
        (cbi_matrix){(char *)t->data + (row + column) * (int64_t)cb_dtype_size(dtype), row, column};
    return t;
}

/* Blocks of a random shape against cbi_gemm for each of them, to the bit, and what lies beside. */
static void check_blocks(cb_random *random, int round) {
    cb_dtype dtype = round % 3 == 0 ? CB_F64 : CB_F32;
    bool across = below(random, 2) == 0, transposed = below(random, 2) == 0;
    int count = 1 + (int)below(random, BLOCKS);
    int64_t most = below(random, 3) == 0 ? 2000 : 150, sum = 0;
    int64_t other = 1 + below(random, 150), k = 1 + below(random, 600);
    cbi_gemm_block blocks[BLOCKS], apart[BLOCKS];
    cb_tensor *formed[BLOCKS], *expected[BLOCKS];
    for (int i = 0; i < count; i++) {
        int64_t extent = 1 + below(random, most);
        int64_t rows = across ? other : extent, columns = across ? extent : other;
        bool odd = below(random, 20) == 0; /* laid out unlike the others */
        blocks[i] = apart[i] =
            (cbi_gemm_block){.extent = extent, .accumulate = below(random, 2) == 0};
        formed[i] = surrounded(dtype, rows, columns, transposed != odd, &blocks[i].c);
        expected[i] = surrounded(dtype, rows, columns, transposed != odd, &apart[i].c);
        sum += extent;
    }
    cb_tensor *memory[2];
    cb_tensor a =
        random_strides(random, dtype, 2, (int64_t[]){across ? other : sum, k}, false, &memory[0]);
    cb_tensor b =
        random_strides(random, dtype, 2, (int64_t[]){k, across ? sum : other}, false, &memory[1]);
    cb_set_threads(1 + round % 3);
    cbi_gemm_blocks(dtype, a.shape[0], b.shape[1], k, matrix(&a), matrix(&b), across, count,
                    blocks);
    int64_t first = 0;
    for (int i = 0; i < count; i++) {
        cbi_matrix x = matrix(&a), y = matrix(&b), *moved = across ? &y : &x;
        moved->data = (char *)moved->data + first * (across ? y.column_stride : x.row_stride) *
                                                (int64_t)cb_dtype_size(dtype);
        cbi_gemm(dtype, across ? other : blocks[i].extent, across ? blocks[i].extent : other, k, x,
                 y, apart[i].accumulate, apart[i].c);
        first += blocks[i].extent;
        cr_expect_arr_eq(formed[i]->data, expected[i]->data, cb_tensor_bytes(formed[i]),
                         "round %d, block %d of %d, across %d", round, i, count, across);
        cb_tensor_free(formed[i]), cb_tensor_free(expected[i]);
    }
    cb_tensor_free(memory[0]), cb_tensor_free(memory[1]);
}

Test(gemm, blocks_are_as_products_one_by_one) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int round = 0; round < 150; round++)
        check_blocks(&random, round);
}
