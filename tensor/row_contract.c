/* Small products within rows: a matrix memory that is read, an attention over a few slots, blocks
   of a block-diagonal matrix that are not captured. Each row has its own operands, so that there is
   nothing to pack once. */
#include "tensor/multiversion.h"
#include "tensor/row_kernels.h"

enum {
    WIDE_BYTES = 256,  /* strips of the result in registers */
    NARROW_BYTES = 32, /* of what is left of a row, or of short rows */
    DOTS = 4,          /* rows of a that share b's loads */
};

/* Strips of so many columns, as long as there are that many. Each element is added up over k in
   order, whatever the width; k is not 0. */
#define CONTRACT_STRIPS(type, width)                                                               \
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

/* STRIPS: b's columns are neighbours: a strip of the result stays in registers while b is read row
   by row. DOTS: k runs along neighbours in both: several dot products at a time. ANY: any strides.
 */
#define CONTRACT(suffix, type)                                                                     \
    CBI_MULTIVERSION static void contract_strips_##suffix(                                         \
        int64_t m, int64_t k, int64_t n, type *y, int64_t y_row, int64_t y_column, const type *a,  \
        int64_t a_m, int64_t a_k, const type *b, int64_t b_k) {                                    \
        enum { WIDE = WIDE_BYTES / sizeof(type), NARROW = NARROW_BYTES / sizeof(type) };           \
        for (int64_t i = 0; i < m; i++) {                                                          \
            int64_t j = 0;                                                                         \
            CONTRACT_STRIPS(type, WIDE)                                                            \
            CONTRACT_STRIPS(type, NARROW)                                                          \
            CONTRACT_STRIPS(type, 1)                                                               \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void contract_dots_##suffix(                                           \
        int64_t m, int64_t k, int64_t n, type *y, int64_t y_row, int64_t y_column, const type *a,  \
        int64_t a_m, const type *b, int64_t b_n) {                                                 \
        for (int64_t j = 0; j < n; j++)                                                            \
            for (int64_t i = 0; i < m; i += DOTS) {                                                \
                int64_t many = m - i < DOTS ? m - i : DOTS;                                        \
                const type *w = b + j * b_n, *x = a + i * a_m;                                     \
                type s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                               \
                if (many == DOTS) {                                                                \
                    _Pragma("omp simd reduction(+ : s0, s1, s2, s3)") for (int64_t l = 0; l < k;   \
                                                                           l++) {                  \
                        s0 += x[l] * w[l];                                                         \
                        s1 += x[a_m + l] * w[l];                                                   \
                        s2 += x[2 * a_m + l] * w[l];                                               \
                        s3 += x[3 * a_m + l] * w[l];                                               \
                    }                                                                              \
                    y[i * y_row + j * y_column] = s0;                                              \
                    y[(i + 1) * y_row + j * y_column] = s1;                                        \
                    y[(i + 2) * y_row + j * y_column] = s2;                                        \
                    y[(i + 3) * y_row + j * y_column] = s3;                                        \
                    continue;                                                                      \
                }                                                                                  \
                for (int64_t r = 0; r < many; r++) {                                               \
                    type s = 0;                                                                    \
                    _Pragma("omp simd reduction(+ : s)") for (int64_t l = 0; l < k; l++) s +=      \
                        x[r * a_m + l] * w[l];                                                     \
                    y[(i + r) * y_row + j * y_column] = s;                                         \
                }                                                                                  \
            }                                                                                      \
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
        else if (bs[2] == 1 && (n > 1 || k == 1))                                                  \
            contract_strips_##suffix(m, k, n, y, n, 1, a, as[1], as[2], b, bs[1]);                 \
        else if (as[1] == 1 && m > 1)                                                              \
            contract_strips_##suffix(n, k, m, y, 1, n, b, bs[2], bs[1], a, as[2]);                 \
        else if (as[2] == 1 && bs[1] == 1)                                                         \
            contract_dots_##suffix(m, k, n, y, n, 1, a, as[1], b, bs[2]);                          \
        else                                                                                       \
            contract_any_##suffix(m, k, n, y, n, 1, a, as[1], as[2], b, bs[1], bs[2]);             \
    }
CONTRACT(f32, float)
CONTRACT(f64, double)

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
