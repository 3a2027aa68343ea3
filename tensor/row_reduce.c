/* Reductions within rows. */
#include "tensor/multiversion.h"
#include "tensor/row_kernels.h"

#include <math.h>

enum { PANEL = 128 }; /* results that are accumulated together where they are neighbours */

#define LARGER(s, x)  ((x) > (s) || (x) != (x) ? (x) : (s))
#define SMALLER(s, x) ((x) < (s) || (x) != (x) ? (x) : (s))
#define ADD(s, x)     ((s) + (x))
/* Integers wrap. */
#define WRAP(s, x) ((int64_t)((uint64_t)(s) + (uint64_t)(int64_t)(x)))

#define REDUCE(name, type, accumulator, initial, operation, simd)                                  \
    CBI_MULTIVERSION static void name(int64_t outer, int64_t n, int64_t inner, void *out,          \
                                      const void *in) {                                            \
        typedef type element;                                                                      \
        typedef accumulator wide;                                                                  \
        const element *x = in;                                                                     \
        element *y = out;                                                                          \
        const wide first = (wide)(initial);                                                        \
        if (inner == 1 && n == 8) {                                                                \
            for (int64_t o = 0; o < outer; o++) {                                                  \
                wide s = first;                                                                    \
                for (int64_t i = 0; i < 8; i++)                                                    \
                    s = operation(s, x[o * 8 + i]);                                                \
                y[o] = (element)s;                                                                 \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if (inner == 1) {                                                                          \
            for (int64_t o = 0; o < outer; o++) {                                                  \
                wide s = first;                                                                    \
                simd for (int64_t i = 0; i < n; i++) s = operation(s, x[o * n + i]);               \
                y[o] = (element)s;                                                                 \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t o = 0; o < outer; o++)                                                        \
            for (int64_t c = 0; c < inner; c += PANEL) {                                           \
                int64_t width = inner - c < PANEL ? inner - c : PANEL;                             \
                wide s[PANEL];                                                                     \
                for (int64_t i = 0; i < width; i++)                                                \
                    s[i] = first;                                                                  \
                for (int64_t k = 0; k < n; k++)                                                    \
                    for (int64_t i = 0; i < width; i++)                                            \
                        s[i] = operation(s[i], x[(o * n + k) * inner + c + i]);                    \
                for (int64_t i = 0; i < width; i++)                                                \
                    y[o * inner + c + i] = (element)s[i];                                          \
            }                                                                                      \
    }
#define SIMD_SUM _Pragma("omp simd reduction(+ : s)")
REDUCE(row_sum_f32, float, double, 0, ADD, SIMD_SUM)
REDUCE(row_sum_f64, double, double, 0, ADD, SIMD_SUM)
REDUCE(row_sum_i32, int32_t, int64_t, 0, WRAP, )
REDUCE(row_sum_i64, int64_t, int64_t, 0, WRAP, )
REDUCE(row_max_f32, float, float, -INFINITY, LARGER, )
REDUCE(row_max_f64, double, double, -INFINITY, LARGER, )
REDUCE(row_max_i32, int32_t, int32_t, INT32_MIN, LARGER, )
REDUCE(row_max_i64, int64_t, int64_t, INT64_MIN, LARGER, )
REDUCE(row_min_f32, float, float, INFINITY, SMALLER, )
REDUCE(row_min_f64, double, double, INFINITY, SMALLER, )
REDUCE(row_min_i32, int32_t, int32_t, INT32_MAX, SMALLER, )
REDUCE(row_min_i64, int64_t, int64_t, INT64_MAX, SMALLER, )

typedef void reduce_row(int64_t outer, int64_t n, int64_t inner, void *out, const void *in);

void cbi_reduce_rows(cbi_reduction kind, cb_dtype dtype, int64_t rows, int64_t outer, int64_t n,
                     int64_t inner, cbi_row_operand out, cbi_row_operand in) {
    static reduce_row *const kernels[3][4] = {
        [CBI_SUM] = {[CB_F32] = row_sum_f32,
                     [CB_F64] = row_sum_f64,
                     [CB_I32] = row_sum_i32,
                     [CB_I64] = row_sum_i64},
        [CBI_MAX] = {[CB_F32] = row_max_f32,
                     [CB_F64] = row_max_f64,
                     [CB_I32] = row_max_i32,
                     [CB_I64] = row_max_i64},
        [CBI_MIN] = {[CB_F32] = row_min_f32,
                     [CB_F64] = row_min_f64,
                     [CB_I32] = row_min_i32,
                     [CB_I64] = row_min_i64},
    };
    for (int64_t r = 0; r < rows; r++)
        kernels[kind][dtype](outer, n, inner, (char *)out.data + r * out.row,
                             (const char *)in.data + r * in.row);
}
