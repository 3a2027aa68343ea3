/* Products with packed weights equal the plain product, whatever the sizes. */
#include "tensor/gemm/packed.h"
#include "tensor/memory.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <math.h>

static double element(cb_dtype dtype, const void *data, int64_t i) {
    return dtype == CB_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

/* x [m, k1 + k2] times weights of which columns [0, n1) and [n1, n) are packed from two matrices,
   the second one transposed, and rows [0, k1) and [k1, k) in two pieces. */
static void check(cb_dtype dtype, int64_t m, int64_t n1, int64_t n2, int64_t k1, int64_t k2,
                  bool accumulate) {
    int64_t n = n1 + n2, k = k1 + k2, stride = n + 3;
    cb_tensor *x = cb_tensor_new(dtype, CB_SHAPE(m, k + 1));
    cb_tensor *w = cb_tensor_new(dtype, CB_SHAPE(k, n)), *t = cb_tensor_new(dtype, CB_SHAPE(n, k));
    cb_tensor *y = cb_tensor_new(dtype, CB_SHAPE(m, stride));
    for (int64_t i = 0; i < m * (k + 1); i++)
        cbi_store(dtype, (char *)x->data + i * (int64_t)cb_dtype_size(dtype),
                  (double)(i * 7 % 11) - 5);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++) {
            cb_tensor_set(w, (int64_t[]){i, j}, (double)((i * 5 + j * 3) % 13) - 6);
            cb_tensor_set(t, (int64_t[]){j, i}, (double)((i * 5 + j * 3) % 13) - 6);
        }
    cb_tensor_fill(y, 2);
    void *weights = cbi_allocate(cbi_packed_bytes(dtype, k, n));
    void *rows = cbi_allocate(cbi_packed_rows_bytes(dtype, m, k));
    cbi_packed packed = cbi_packed_in(dtype, k, n, weights);
    int64_t size = (int64_t)cb_dtype_size(dtype);
    for (int piece = 0; piece < 2; piece++) {
        int64_t top = piece == 0 ? 0 : k1, depth = piece == 0 ? k1 : k2;
        cbi_pack(&packed, top, depth, 0, n1, (cbi_matrix){(char *)w->data + top * n * size, n, 1});
        cbi_pack(&packed, top, depth, n1, n2,
                 (cbi_matrix){(char *)t->data + (n1 * k + top) * size, 1, k});
        cbi_pack_rows(dtype, m, k, top, depth, (cbi_matrix){(char *)x->data + top * size, k + 1, 1},
                      rows);
    }
    cbi_packed_multiply(&packed, 0, cbi_packed_panels(&packed), m, rows, accumulate, y->data,
                        stride);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < stride; j++) {
            double expected = j >= n || accumulate ? 2 : 0;
            for (int64_t l = 0; l < k && j < n; l++)
                expected +=
                    element(dtype, x->data, i * (k + 1) + l) * element(dtype, w->data, l * n + j);
            double got = element(dtype, y->data, i * stride + j);
            cr_assert(fabs(got - expected) <= 1e-3, "%lld x %lld x %lld at %lld, %lld: %g, not %g",
                      (long long)m, (long long)n, (long long)k, (long long)i, (long long)j, got,
                      expected);
        }
    cbi_free(weights);
    cbi_free(rows);
    cb_tensor_free(x);
    cb_tensor_free(w);
    cb_tensor_free(t);
    cb_tensor_free(y);
}

Test(packed, equals_the_plain_product_for_all_sizes) {
    static const int64_t sizes[] = {1, 2, 5, 6, 7, 12, 16, 17, 31, 33, 64, 97};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            check(j % 2 ? CB_F32 : CB_F64, sizes[i], sizes[j], sizes[(i + j) % COUNT], sizes[j],
                  sizes[(i * 3 + j) % COUNT], (i + j) % 2 == 0);
}

Test(packed, depths_beyond_one_piece_accumulate) {
    check(CB_F32, 9, 40, 24, 500, 700, false);
    check(CB_F64, 9, 40, 24, 500, 700, true);
}

enum { N = 168, K = 77, MOST = 13 };

/* The first rows of a product of `rows` random rows, in the rows' own memory, computed in two goes:
   the weights' panels before number `cut` and those after. */
static cb_tensor *first_rows(cb_dtype dtype, int64_t rows, int64_t cut, bool accumulate) {
    cb_random random = cb_random_seed(3);
    cb_tensor *exact[3] = {cb_tensor_new(CB_F64, CB_SHAPE(MOST, K)),
                           cb_tensor_new(CB_F64, CB_SHAPE(K, N)),
                           cb_tensor_new(CB_F64, CB_SHAPE(MOST, N))},
              *t[3];
    for (int i = 0; i < 3; i++) {
        cb_random_uniform_f64(&random, cb_tensor_count(exact[i]), exact[i]->data, -1, 1);
        t[i] = cb_tensor_copy(exact[i], dtype);
        cb_tensor_free(exact[i]);
    }
    void *weights = cbi_allocate(cbi_packed_bytes(dtype, K, N));
    void *packed_rows = cbi_allocate(cbi_packed_rows_bytes(dtype, rows, K));
    cbi_packed packed = cbi_packed_in(dtype, K, N, weights);
    cbi_pack(&packed, 0, K, 0, N, (cbi_matrix){t[1]->data, N, 1});
    cbi_pack_rows(dtype, rows, K, 0, K, (cbi_matrix){t[0]->data, K, 1}, packed_rows);
    cbi_packed_multiply(&packed, 0, cut, rows, packed_rows, accumulate, t[2]->data, N);
    cbi_packed_multiply(&packed, cut, cbi_packed_panels(&packed), rows, packed_rows, accumulate,
                        t[2]->data, N);
    cbi_free(weights);
    cbi_free(packed_rows);
    cb_tensor_free(t[0]);
    cb_tensor_free(t[1]);
    return t[2];
}

/* Nor on which panels of the weights are multiplied at once, several of them by wider tiles. */
Test(packed, an_element_does_not_depend_on_what_is_beside_it) {
    for (int dtype = CB_F32; dtype <= CB_F64; dtype++)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            cb_tensor *all = first_rows((cb_dtype)dtype, MOST, 0, accumulate == 1);
            for (int64_t rows = 1; rows <= MOST; rows++)
                for (int64_t cut = 0; cut < 5; cut++) {
                    cb_tensor *few = first_rows((cb_dtype)dtype, rows, cut, accumulate == 1);
                    cr_expect_arr_eq(few->data, all->data,
                                     (size_t)(rows * N) * cb_dtype_size((cb_dtype)dtype),
                                     "%d rows, cut at panel %d", (int)rows, (int)cut);
                    cb_tensor_free(few);
                }
            cb_tensor_free(all);
        }
}
