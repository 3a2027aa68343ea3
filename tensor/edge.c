/* The last rows of a batch rarely fill a tile of BLIS's microkernel: 64 rows are ten tiles of 6 and
   4 rows more, and computing these as if they were 6 costs a thirtieth of the product. Here are
   kernels for 2 and for 4 rows, for the tiles of 6 rows that BLIS has for AVX2.

   An element must not depend on how the batch is cut into tiles, and with it on the number of
   threads. These kernels add up its products one after the other with fused multiply-adds, as
   BLIS's do; whether they give the same bits is tried out once, and where they do not, they are not
   used. */
#include "tensor/edge.h"

#include "tensor/multiversion.h"

#include <pthread.h>
#include <string.h>

enum { TALL = 6, MOST_WIDTH = 16, TRIED_DEPTH = 37 };

/* Sums over a row of the tile, 64 bytes of them, in as many registers as it takes. */
typedef float row_f32 __attribute__((vector_size(64), aligned(4), may_alias));
typedef double row_f64 __attribute__((vector_size(64), aligned(8), may_alias));

#define EDGE(name, row, type, width, rows)                                                         \
    CBI_MULTIVERSION static void name(int64_t depth, const type *x, const type *w,                 \
                                      bool accumulate, type *y, int64_t row_stride) {              \
        row sum[rows];                                                                             \
        for (int r = 0; r < (rows); r++)                                                           \
            sum[r] = (row){0};                                                                     \
        for (int64_t k = 0; k < depth; k++) {                                                      \
            row weights = *(const row *)(w + k * (width));                                         \
            for (int r = 0; r < (rows); r++)                                                       \
                sum[r] += x[k * TALL + r] * weights;                                               \
        }                                                                                          \
        for (int r = 0; r < (rows); r++) {                                                         \
            row *to = (row *)(y + r * row_stride);                                                 \
            if (accumulate)                                                                        \
                sum[r] += *to;                                                                     \
            *to = sum[r];                                                                          \
        }                                                                                          \
    }
EDGE(edge_2_f32, row_f32, float, 16, 2)
EDGE(edge_4_f32, row_f32, float, 16, 4)
EDGE(edge_2_f64, row_f64, double, 8, 2)
EDGE(edge_4_f64, row_f64, double, 8, 4)

static void multiply(cb_dtype dtype, int64_t rows, int64_t depth, const void *x, const void *w,
                     bool accumulate, void *y, int64_t row_stride) {
    if (dtype == CB_F32)
        (rows <= 2 ? edge_2_f32 : edge_4_f32)(depth, x, w, accumulate, y, row_stride);
    else
        (rows <= 2 ? edge_2_f64 : edge_4_f64)(depth, x, w, accumulate, y, row_stride);
}

/* ---- Whether they give what the kernel gives ------------------------------------------------- */

static bool same[2]; /* f32, f64 */

static void fill(cb_dtype dtype, void *data, int count) {
    uint32_t state = 12345;
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        double value = (double)(state >> 8) / 16777216.0 - 0.5;
        if (dtype == CB_F32)
            ((float *)data)[i] = (float)value;
        else
            ((double *)data)[i] = value;
    }
}

static bool gives_the_same(cb_dtype dtype, int64_t rows, bool accumulate) {
    const cbi_microkernel *kernel = cbi_microkernel_of(dtype);
    double x[TALL * TRIED_DEPTH] __attribute__((aligned(64)));
    double w[MOST_WIDTH * TRIED_DEPTH] __attribute__((aligned(64)));
    double y[2][TALL * MOST_WIDTH] __attribute__((aligned(64)));
    int64_t width = kernel->columns;
    fill(dtype, x, TALL * TRIED_DEPTH);
    fill(dtype, w, MOST_WIDTH * TRIED_DEPTH);
    fill(dtype, y[0], TALL * MOST_WIDTH);
    fill(dtype, y[1], TALL * MOST_WIDTH);
    kernel->run(TALL, width, TRIED_DEPTH, x, w, accumulate, y[0], width, 1);
    multiply(dtype, rows, TRIED_DEPTH, x, w, accumulate, y[1], width);
    return memcmp(y[0], y[1], (size_t)(rows * width) * cb_dtype_size(dtype)) == 0;
}

static void try_out(void) {
    static const cb_dtype dtypes[] = {CB_F32, CB_F64};
    for (int i = 0; i < 2; i++) {
        const cbi_microkernel *kernel = cbi_microkernel_of(dtypes[i]);
        int64_t width = 64 / (int64_t)cb_dtype_size(dtypes[i]);
        same[i] =
            kernel->usable && kernel->row_major && kernel->rows == TALL && kernel->columns == width;
        for (int64_t rows = 2; rows <= 4; rows += 2)
            for (int accumulate = 0; accumulate < 2; accumulate++)
                same[i] = same[i] && gives_the_same(dtypes[i], rows, accumulate == 1);
    }
}

bool cbi_edge_multiply(cb_dtype dtype, int64_t rows, int64_t depth, const void *x, const void *w,
                       bool accumulate, void *y, int64_t row_stride) {
    static pthread_once_t tried = PTHREAD_ONCE_INIT;
    pthread_once(&tried, try_out);
    if (rows > 4 || !same[dtype == CB_F32 ? 0 : 1])
        return false;
    multiply(dtype, rows, depth, x, w, accumulate, y, row_stride);
    return true;
}
