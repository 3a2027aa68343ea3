/* Products of a few rows with a large matrix: what generating text one character at a time consists
   of. A matrix is read once and nothing is used twice, so that it is all about reading it in order;
   BLIS would copy it first.

   Each element of the output is formed by the same operations whatever the split over threads. */
#include "tensor/kernels.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

/* Multiplications that make a second thread worth its start. */
#define GRAIN 100000

/* Sums that do not wait for each other: four of the widest registers. */
#define LANES_F32 64
#define LANES_F64 32
/* Columns whose sums stay in registers while a row-major matrix is read. */
#define STRIP_F32 64
#define STRIP_F64 32

typedef struct gemv_job {
    cb_dtype dtype;
    int64_t rows, n, k;
    cbi_matrix a, b, c;
    bool accumulate;
} gemv_job;

/* DOTS: B' is row-major, and a column of the output is a dot product of two rows. STRIPS: B is
   row-major, and a strip of columns is accumulated row by row. */
#define GEMV(suffix, type, lanes, strip)                                                           \
    CBI_MULTIVERSION static void gemv_dots_##suffix(                                               \
        int64_t begin, int64_t end, int64_t k, const type *x, const type *b,                       \
        int64_t column_stride, bool accumulate, type *y, int64_t y_stride) {                       \
        for (int64_t j = begin; j < end; j++) {                                                    \
            const type *w = b + j * column_stride;                                                 \
            type sum[lanes] = {0}, total = 0;                                                      \
            int64_t i = 0;                                                                         \
            for (; i + lanes <= k; i += lanes)                                                     \
                for (int64_t l = 0; l < lanes; l++)                                                \
                    sum[l] += x[i + l] * w[i + l];                                                 \
            for (; i < k; i++)                                                                     \
                sum[0] += x[i] * w[i];                                                             \
            for (int64_t half = lanes / 2; half > 0; half /= 2)                                    \
                for (int64_t l = 0; l < half; l++)                                                 \
                    sum[l] += sum[l + half];                                                       \
            total = sum[0];                                                                        \
            y[j * y_stride] = accumulate ? y[j * y_stride] + total : total;                        \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void gemv_strips_##suffix(                                             \
        int64_t begin, int64_t end, int64_t k, const type *x, const type *b, int64_t row_stride,   \
        bool accumulate, type *y, int64_t y_stride) {                                              \
        for (int64_t j = begin; j < end; j += strip) {                                             \
            int64_t width = end - j < strip ? end - j : strip;                                     \
            type sum[strip] = {0};                                                                 \
            if (width == strip)                                                                    \
                for (int64_t i = 0; i < k; i++)                                                    \
                    for (int64_t l = 0; l < strip; l++)                                            \
                        sum[l] += x[i] * b[i * row_stride + j + l];                                \
            else                                                                                   \
                for (int64_t i = 0; i < k; i++)                                                    \
                    for (int64_t l = 0; l < width; l++)                                            \
                        sum[l] += x[i] * b[i * row_stride + j + l];                                \
            for (int64_t l = 0; l < width; l++)                                                    \
                y[(j + l) * y_stride] = accumulate ? y[(j + l) * y_stride] + sum[l] : sum[l];      \
        }                                                                                          \
    }                                                                                              \
    static void gemv_range_##suffix(const gemv_job *job, int64_t begin, int64_t end) {             \
        for (int64_t r = 0; r < job->rows; r++) {                                                  \
            const type *x = (const type *)job->a.data + r * job->a.row_stride;                     \
            type *y = (type *)job->c.data + r * job->c.row_stride;                                 \
            if (job->b.row_stride == 1)                                                            \
                gemv_dots_##suffix(begin, end, job->k, x, job->b.data, job->b.column_stride,       \
                                   job->accumulate, y, job->c.column_stride);                      \
            else                                                                                   \
                gemv_strips_##suffix(begin, end, job->k, x, job->b.data, job->b.row_stride,        \
                                     job->accumulate, y, job->c.column_stride);                    \
        }                                                                                          \
    }
GEMV(f32, float, LANES_F32, STRIP_F32)
GEMV(f64, double, LANES_F64, STRIP_F64)

/* Columns that a thread takes at a time: whole strips, and few enough to be in the L2 cache when
   the next row comes. */
#define COLUMNS 64

static void gemv_range(void *context, int64_t begin, int64_t end) {
    const gemv_job *job = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i * COLUMNS, last = first + COLUMNS < job->n ? first + COLUMNS : job->n;
        if (job->dtype == CB_F32)
            gemv_range_f32(job, first, last);
        else
            gemv_range_f64(job, first, last);
    }
}

bool cbi_gemv(cb_dtype dtype, int64_t rows, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
              bool accumulate, cbi_matrix c) {
    if (rows > CBI_GEMV_ROWS || a.column_stride != 1 || (b.row_stride != 1 && b.column_stride != 1))
        return false;
    gemv_job job = {dtype, rows, n, k, a, b, c, accumulate};
    cbi_parallel_for((n + COLUMNS - 1) / COLUMNS, GRAIN / (COLUMNS * rows * (k + 1)) + 1,
                     gemv_range, &job);
    return true;
}
