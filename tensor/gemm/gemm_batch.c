/* Batches of products. Threads share out the products, each of which is formed by one thread; small
   ones by a kernel that reads A as it lies, and B too where its rows have no gaps to fill: packing
   both, and tiles larger than the matrices, take longer than such a product.

   The kernel adds up the products of an element one after the other with fused multiply-adds, as
   BLIS's do. Whether it gives the same bits as cbi_gemm is tried out once, and where it does not it
   is not used. */
#include "tensor/gemm/packed.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <cerebra/threads.h>
#include <pthread.h>
#include <string.h>

enum {
    MOST_SMALL = 64 * 64 * 64, /* multiplications of a small product */
    MOST_PANELS = 4,
    WIDTH_F32 = 16,
    WIDTH_F64 = 8,
};
/* Multiplications that make a second thread worth its start. */
#define GRAIN_MULTIPLICATIONS 50000

/* ---- The kernel ------------------------------------------------------------------------------ */

/* 64 bytes of a row. */
typedef float part_f32 __attribute__((vector_size(64), aligned(4), may_alias));
typedef double part_f64 __attribute__((vector_size(64), aligned(8), may_alias));

/* Without it gcc keeps sums in memory around the loop. */
#define UNROLL _Pragma("GCC unroll 32")

/* y = a b for a tile of `rows` rows and `panels` times 64 bytes. */
#define SMALL(name, type, part, rows, panels)                                                      \
    CBI_MULTIVERSION static void name(int64_t k, cbi_matrix a, const void *b, int64_t b_stride,    \
                                      void *y, int64_t y_stride) {                                 \
        enum { LANES = 64 / sizeof(type) };                                                        \
        const type *x = a.data, *w = b;                                                            \
        part sum[rows][panels], column[panels];                                                    \
        UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < (panels); p++)          \
            sum[r][p] = (part){0};                                                                 \
        for (int64_t i = 0; i < k; i++, x += a.column_stride, w += b_stride) {                     \
            UNROLL for (int p = 0; p < (panels); p++) column[p] = *(const part *)(w + LANES * p);  \
            UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < (panels); p++)      \
                sum[r][p] += x[r * a.row_stride] * column[p];                                      \
        }                                                                                          \
        UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < (panels); p++) *        \
            (part *)((type *)y + r * y_stride + LANES * p) = sum[r][p];                            \
    }
#define SMALL_ALL(suffix, type, part)                                                              \
    SMALL(small_##suffix##_6_4, type, part, 6, 4)                                                  \
    SMALL(small_##suffix##_1_4, type, part, 1, 4)                                                  \
    SMALL(small_##suffix##_8_2, type, part, 8, 2)                                                  \
    SMALL(small_##suffix##_1_2, type, part, 1, 2)                                                  \
    SMALL(small_##suffix##_8_1, type, part, 8, 1)                                                  \
    SMALL(small_##suffix##_4_1, type, part, 4, 1)                                                  \
    SMALL(small_##suffix##_1_1, type, part, 1, 1)
SMALL_ALL(f32, float, part_f32)
SMALL_ALL(f64, double, part_f64)

typedef struct small_kernel {
    int rows, panels;
    bool wide; /* made for AVX-512's registers */
    void (*run[2])(int64_t k, cbi_matrix a, const void *b, int64_t b_stride, void *y,
                   int64_t y_stride);
} small_kernel;

/* More panels first, and more rows. */
static const small_kernel kernels[] = {
    {6, 4, true, {small_f32_6_4, small_f64_6_4}},  {1, 4, true, {small_f32_1_4, small_f64_1_4}},
    {8, 2, true, {small_f32_8_2, small_f64_8_2}},  {1, 2, true, {small_f32_1_2, small_f64_1_2}},
    {8, 1, true, {small_f32_8_1, small_f64_8_1}},  {4, 1, false, {small_f32_4_1, small_f64_4_1}},
    {1, 1, false, {small_f32_1_1, small_f64_1_1}},
};

static const small_kernel *kernel_for(int64_t rows, int64_t panels) {
    bool wide = cbi_multiversion_has_avx512();
    const small_kernel *kernel = kernels;
    while (kernel->rows > rows || kernel->panels > panels || (kernel->wide && !wide))
        kernel++;
    return kernel;
}

/* ---- A small product ------------------------------------------------------------------------- */

/* B with rows of whole panels: itself, or a copy. NULL data when there is no memory. */
static cbi_matrix in_panels(cb_dtype dtype, int64_t n, int64_t k, int64_t width, cbi_matrix b) {
    if (b.column_stride == 1 && n % width == 0)
        return b;
    int64_t columns = (n + width - 1) / width * width, size = (int64_t)cb_dtype_size(dtype);
    cbi_matrix copy = {cbi_scratch((size_t)(k * columns * size)), columns, 1};
    if (copy.data == NULL)
        return copy;
    cb_tensor to = cb_tensor_wrap(dtype, CB_SHAPE(k, n), copy.data);
    cb_tensor from = cb_tensor_wrap(dtype, CB_SHAPE(k, n), b.data);
    to.stride[0] = columns;
    from.stride[0] = b.row_stride;
    from.stride[1] = b.column_stride;
    cbi_copy(&to, &from);
    for (int64_t i = 0; i < k && columns > n; i++)
        memset(cbi_matrix_at(dtype, copy, i, n).data, 0, (size_t)((columns - n) * size));
    return copy;
}

/* C = A B; false, and nothing done, when memory is short. */
static bool multiply_small(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a,
                           cbi_matrix b, cbi_matrix c) {
    int64_t width = dtype == CB_F32 ? WIDTH_F32 : WIDTH_F64, size = (int64_t)cb_dtype_size(dtype);
    double edge[8 * MOST_PANELS * WIDTH_F64] __attribute__((aligned(64)));
    b = in_panels(dtype, n, k, width, b);
    if (b.data == NULL)
        return false;
    for (int64_t j = 0, panels; j < n; j += panels * width) {
        panels = kernel_for(m, (n - j + width - 1) / width)->panels;
        int64_t columns = panels * width, left = n - j < columns ? n - j : columns;
        for (int64_t i = 0, rows; i < m; i += rows) {
            const small_kernel *kernel = kernel_for(m - i, panels);
            char *y = cbi_matrix_at(dtype, c, i, j).data;
            bool whole = left == columns && kernel->panels == panels;
            rows = kernel->rows;
            kernel->run[dtype == CB_F64](k, cbi_matrix_at(dtype, a, i, 0),
                                         cbi_matrix_at(dtype, b, 0, j).data, b.row_stride,
                                         whole ? y : (char *)edge, whole ? c.row_stride : columns);
            for (int64_t r = 0; !whole && r < rows; r++)
                memcpy(y + r * c.row_stride * size, (char *)edge + r * columns * size,
                       (size_t)(left * size));
        }
    }
    return true;
}

/* ---- Whether it gives what cbi_gemm gives ---------------------------------------------------- */

static bool usable[2];

static bool gives_the_same(cb_dtype dtype) {
    enum { M = 15, N = 77, K = 29 };
    double a[M * K], b[K * N], c[2][M * N];
    uint32_t state = 12345;
    for (int i = 0; i < M * K + K * N; i++) {
        state = state * 1664525u + 1013904223u;
        cbi_store(dtype,
                  i < M * K ? (char *)a + i * (int)cb_dtype_size(dtype)
                            : (char *)b + (i - M * K) * (int)cb_dtype_size(dtype),
                  (double)state / 4294967295.0 - 1.0 / 3);
    }
    cbi_matrix left = {a, K, 1}, right = {b, N, 1};
    cbi_gemm(dtype, M, N, K, left, right, false, (cbi_matrix){c[0], N, 1});
    return multiply_small(dtype, M, N, K, left, right, (cbi_matrix){c[1], N, 1}) &&
           memcmp(c[0], c[1], M * N * cb_dtype_size(dtype)) == 0;
}

static void try_out(void) {
    usable[0] = gives_the_same(CB_F32);
    usable[1] = gives_the_same(CB_F64);
}

/* ---- Batches --------------------------------------------------------------------------------- */

typedef struct batch_job {
    const cb_tensor *out, *a, *b;
    int64_t m, n, k;
    bool small;
} batch_job;

cbi_matrix cbi_matrix_of(const cb_tensor *t, int64_t i, const int64_t *shape) {
    int64_t offset = 0;
    for (int axis = t->rank - 3; axis >= 0; axis--) {
        offset += i % shape[axis] * t->stride[axis];
        i /= shape[axis];
    }
    char *data = t->data; /* NULL when there is no inner extent */
    return (cbi_matrix){data != NULL ? data + offset * (int64_t)cb_dtype_size(t->dtype) : NULL,
                        t->stride[t->rank - 2], t->stride[t->rank - 1]};
}

static void multiply_range(void *context, int64_t begin, int64_t end) {
    const batch_job *job = context;
    const int64_t *shape = job->out->shape;
    cb_dtype dtype = job->out->dtype;
    for (int64_t i = begin; i < end; i++) {
        cbi_matrix a = cbi_matrix_of(job->a, i, shape), b = cbi_matrix_of(job->b, i, shape);
        cbi_matrix c = cbi_matrix_of(job->out, i, shape);
        if (!job->small || !multiply_small(dtype, job->m, job->n, job->k, a, b, c))
            cbi_gemm(dtype, job->m, job->n, job->k, a, b, false, c);
    }
}

/* Whether the kernel for small products may form one of this size. */
static bool is_small(cb_dtype dtype, int64_t m, int64_t n, int64_t k) {
    static pthread_once_t tried = PTHREAD_ONCE_INIT;
    pthread_once(&tried, try_out);
    return usable[dtype == CB_F64] && m * n * k <= MOST_SMALL && m > CBI_GEMV_ROWS && k > 0 &&
           k <= cbi_microkernel_of(dtype)->depth;
}

void cbi_gemm_one(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                  bool accumulate, cbi_matrix c) {
    if (accumulate || c.column_stride != 1 || !is_small(dtype, m, n, k) ||
        !multiply_small(dtype, m, n, k, a, b, c))
        cbi_gemm(dtype, m, n, k, a, b, accumulate, c);
}

void cbi_gemm_batch(const cb_tensor *out, const cb_tensor *a, const cb_tensor *b) {
    int64_t m = out->shape[out->rank - 2], n = out->shape[out->rank - 1];
    batch_job job = {out, a, b, m, n, .k = a->shape[a->rank - 1]};
    int64_t count = cb_tensor_count(out) / (m * n), work = m * n * job.k;
    job.small = is_small(out->dtype, m, n, job.k) && out->stride[out->rank - 1] == 1;
    if (count < 2 * cb_threads() && !job.small) /* threads share each of them */
        multiply_range(&job, 0, count);
    else
        cbi_parallel_for(count, GRAIN_MULTIPLICATIONS / (work + 1) + 1, multiply_range, &job);
}
