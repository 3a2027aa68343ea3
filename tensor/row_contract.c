/* Small products within rows: a matrix memory that is read, an attention over a few slots, blocks
   of a block-diagonal matrix that are not captured. Each row has its own operands, so that there is
   nothing to pack once. */
#include "tensor/multiversion.h"
#include "tensor/row_kernels.h"

enum {
    WIDE_BYTES = 256,  /* strips of the result in registers */
    NARROW_BYTES = 32, /* of what is left of a row, or of short rows: one vector */
    CHAINS = 4,        /* sums that a narrow strip is added up in: an addition takes 4 cycles */
};

/* Vectors of 8 floats or 4 doubles at any address. */
typedef float vector_f32 __attribute__((vector_size(NARROW_BYTES), aligned(4), may_alias));
typedef double vector_f64 __attribute__((vector_size(NARROW_BYTES), aligned(8), may_alias));

/* The sums of the elements of each of 8, or 4, vectors. */
static inline __attribute__((always_inline)) void sums_f32(const vector_f32 *s, vector_f32 *sums) {
    vector_f32 pairs[4], quads[2];
    for (int i = 0; i < 4; i++)
        pairs[i] = __builtin_shufflevector(s[2 * i], s[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13) +
                   __builtin_shufflevector(s[2 * i], s[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    for (int i = 0; i < 2; i++)
        quads[i] =
            __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
            __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    *sums = __builtin_shufflevector(quads[0], quads[1], 0, 1, 2, 3, 8, 9, 10, 11) +
            __builtin_shufflevector(quads[0], quads[1], 4, 5, 6, 7, 12, 13, 14, 15);
}
static inline __attribute__((always_inline)) void sums_f64(const vector_f64 *s, vector_f64 *sums) {
    vector_f64 low = __builtin_shufflevector(s[0], s[1], 0, 4, 2, 6) +
                     __builtin_shufflevector(s[0], s[1], 1, 5, 3, 7);
    vector_f64 high = __builtin_shufflevector(s[2], s[3], 0, 4, 2, 6) +
                      __builtin_shufflevector(s[2], s[3], 1, 5, 3, 7);
    *sums = __builtin_shufflevector(low, high, 0, 1, 4, 5) +
            __builtin_shufflevector(low, high, 2, 3, 6, 7);
}

/* Wide strips, as long as there are that many columns; k is not 0. */
#define CONTRACT_WIDE(type, width)                                                                 \
    for (; n - j >= (width); j += (width)) {                                                       \
        const type *left = a + i * a_m, *right = b + j;                                            \
        type s[width];                                                                             \
        _Pragma("omp simd") for (int64_t c = 0; c < (width); c++) s[c] = left[0] * right[c];       \
        for (int64_t l = 1; l < k; l++) {                                                          \
            const type x = left[l * a_k];                                                          \
            _Pragma("omp simd") for (int64_t c = 0; c < (width); c++) s[c] +=                      \
                x * right[l * b_k + c];                                                            \
        }                                                                                          \
        if (y_column == 1)                                                                         \
            for (int64_t c = 0; c < (width); c++)                                                  \
                y[i * y_row + j + c] = s[c];                                                       \
        else                                                                                       \
            for (int64_t c = 0; c < (width); c++)                                                  \
                y[i * y_row + (j + c) * y_column] = s[c];                                          \
    }

/* Narrow strips, whose terms are added up in several sums. */
#define CONTRACT_NARROW(type, vector, width)                                                       \
    for (; n - j >= (width); j += (width)) {                                                       \
        const type *left = a + i * a_m, *right = b + j;                                            \
        vector s[CHAINS] = {{0}};                                                                  \
        int64_t l = 0;                                                                             \
        for (; k - l >= CHAINS; l += CHAINS)                                                       \
            for (int64_t q = 0; q < CHAINS; q++)                                                   \
                s[q] +=                                                                            \
                    left[(l + q) * a_k] * *(const vector *)(const void *)(right + (l + q) * b_k);  \
        for (; l < k; l++)                                                                         \
            s[0] += left[l * a_k] * *(const vector *)(const void *)(right + l * b_k);              \
        s[0] = (s[0] + s[1]) + (s[2] + s[3]);                                                      \
        for (int64_t c = 0; c < (width); c++)                                                      \
            y[i * y_row + (j + c) * y_column] = s[0][c];                                           \
    }

/* OUTER: k is 1, and b's columns and y's are neighbours. STRIPS: b's columns are neighbours: a
   strip of the result stays in registers while b is read row by row. DOTS: k runs along neighbours
   in both: as many rows of a at a time as a vector has elements. ANY: any strides. */
#define CONTRACT(suffix, type, vector)                                                             \
    CBI_MULTIVERSION static void contract_outer_##suffix(                                          \
        int64_t m, int64_t n, type *y, const type *a, int64_t a_m, const type *b) {                \
        enum { WIDTH = NARROW_BYTES / sizeof(type) };                                              \
        int64_t whole = n - n % WIDTH;                                                             \
        for (int64_t j = 0; j < whole; j += WIDTH) {                                               \
            const vector right = *(const vector *)(const void *)(b + j);                           \
            for (int64_t i = 0; i < m; i++)                                                        \
                *(vector *)(void *)(y + i * n + j) = a[i * a_m] * right;                           \
        }                                                                                          \
        for (int64_t i = 0; i < m && whole < n; i++)                                               \
            for (int64_t j = whole; j < n; j++)                                                    \
                y[i * n + j] = a[i * a_m] * b[j];                                                  \
    }                                                                                              \
    CBI_MULTIVERSION static void contract_strips_##suffix(                                         \
        int64_t m, int64_t k, int64_t n, type *y, int64_t y_row, int64_t y_column, const type *a,  \
        int64_t a_m, int64_t a_k, const type *b, int64_t b_k) {                                    \
        enum { WIDE = WIDE_BYTES / sizeof(type), NARROW = NARROW_BYTES / sizeof(type) };           \
        for (int64_t i = 0; i < m; i++) {                                                          \
            int64_t j = 0;                                                                         \
            CONTRACT_WIDE(type, WIDE)                                                              \
            CONTRACT_NARROW(type, vector, NARROW)                                                  \
            CONTRACT_WIDE(type, 1)                                                                 \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void contract_dots_##suffix(                                           \
        int64_t m, int64_t k, int64_t n, type *y, int64_t y_row, int64_t y_column, const type *a,  \
        int64_t a_m, const type *b, int64_t b_n) {                                                 \
        enum { ROWS = NARROW_BYTES / sizeof(type) };                                               \
        int64_t whole = k - k % ROWS;                                                              \
        for (int64_t j = 0; j < n; j++) {                                                          \
            const type *w = b + j * b_n;                                                           \
            int64_t i = 0;                                                                         \
            for (; m - i >= ROWS; i += ROWS) {                                                     \
                const type *x = a + i * a_m;                                                       \
                vector s[ROWS] = {{0}};                                                            \
                for (int64_t l = 0; l < whole; l += ROWS) {                                        \
                    const vector right = *(const vector *)(const void *)(w + l);                   \
                    for (int64_t r = 0; r < ROWS; r++)                                             \
                        s[r] += *(const vector *)(const void *)(x + r * a_m + l) * right;          \
                }                                                                                  \
                vector sums;                                                                       \
                sums_##suffix(s, &sums);                                                           \
                for (int64_t l = whole; l < k; l++)                                                \
                    for (int64_t r = 0; r < ROWS; r++)                                             \
                        sums[r] += x[r * a_m + l] * w[l];                                          \
                for (int64_t r = 0; r < ROWS; r++)                                                 \
                    y[(i + r) * y_row + j * y_column] = sums[r];                                   \
            }                                                                                      \
            for (; i < m; i++) {                                                                   \
                const type *x = a + i * a_m;                                                       \
                vector s[CHAINS] = {{0}};                                                          \
                int64_t l = 0;                                                                     \
                for (; k - l >= CHAINS * ROWS; l += CHAINS * ROWS)                                 \
                    for (int64_t q = 0; q < CHAINS; q++)                                           \
                        s[q] += *(const vector *)(const void *)(x + l + q * ROWS) *                \
                                *(const vector *)(const void *)(w + l + q * ROWS);                 \
                for (; k - l >= ROWS; l += ROWS)                                                   \
                    s[0] += *(const vector *)(const void *)(x + l) *                               \
                            *(const vector *)(const void *)(w + l);                                \
                type sum = 0;                                                                      \
                s[0] = (s[0] + s[1]) + (s[2] + s[3]);                                              \
                for (int64_t r = 0; r < ROWS; r++)                                                 \
                    sum += s[0][r];                                                                \
                for (; l < k; l++)                                                                 \
                    sum += x[l] * w[l];                                                            \
                y[i * y_row + j * y_column] = sum;                                                 \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void contract_any_##suffix(int64_t m, int64_t k, int64_t n, type *y, int64_t y_row,     \
                                      int64_t y_column, const type *a, int64_t a_m, int64_t a_k,   \
                                      const type *b, int64_t b_k, int64_t b_n) {                   \
        for (int64_t i = 0; i < m; i++)                                                            \
            for (int64_t j = 0; j < n; j++) {                                                      \
                type s = 0;                                                                        \
                for (int64_t l = 0; l < k; l++)                                                    \
                    s += a[i * a_m + l * a_k] * b[l * b_k + j * b_n];                              \
                y[i * y_row + j * y_column] = s;                                                   \
            }                                                                                      \
    }                                                                                              \
    /* Y' = B'A' where that has the better strides. */                                             \
    static void contract_##suffix(int64_t m, int64_t k, int64_t n, type *y, const type *a,         \
                                  const int64_t *as, const type *b, const int64_t *bs) {           \
        if (k == 0)                                                                                \
            contract_any_##suffix(m, k, n, y, n, 1, a, as[1], as[2], b, bs[1], bs[2]);             \
        else if (k == 1 && bs[2] == 1)                                                             \
            contract_outer_##suffix(m, n, y, a, as[1], b);                                         \
        else if (bs[2] == 1 && n > 1)                                                              \
            contract_strips_##suffix(m, k, n, y, n, 1, a, as[1], as[2], b, bs[1]);                 \
        else if (as[1] == 1 && m > 1)                                                              \
            contract_strips_##suffix(n, k, m, y, 1, n, b, bs[2], bs[1], a, as[2]);                 \
        else if (as[2] == 1 && bs[1] == 1)                                                         \
            contract_dots_##suffix(m, k, n, y, n, 1, a, as[1], b, bs[2]);                          \
        else                                                                                       \
            contract_any_##suffix(m, k, n, y, n, 1, a, as[1], as[2], b, bs[1], bs[2]);             \
    }
CONTRACT(f32, float, vector_f32)
CONTRACT(f64, double, vector_f64)

void cbi_contract_rows(cb_dtype dtype, int64_t rows, const cbi_contraction *c, cbi_row_operand out,
                       cbi_row_operand a, cbi_row_operand b) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t g = 0; g < c->groups; g++) {
            char *y = (char *)out.data + r * out.row;
            const char *x = (const char *)a.data + r * a.row, *w = (const char *)b.data + r * b.row;
            if (dtype == CB_F32)
                contract_f32(c->m, c->k, c->n, (float *)(void *)y + g * c->m * c->n,
                             (const float *)(const void *)x + g * c->a_stride[0], c->a_stride,
                             (const float *)(const void *)w + g * c->b_stride[0], c->b_stride);
            else
                contract_f64(c->m, c->k, c->n, (double *)(void *)y + g * c->m * c->n,
                             (const double *)(const void *)x + g * c->a_stride[0], c->a_stride,
                             (const double *)(const void *)w + g * c->b_stride[0], c->b_stride);
        }
}
