/* GEMM over operands that are packed for the call: C = A B on the tiles of tensor/tiles.c, where a
   CPU has them and the product is large.

   k is cut into the pieces that BLIS's calls cut it into, so that the result is theirs bit for bit
   (except for which NaN a NaN is), and which of the two is called makes no difference. Of a piece,
   B is packed by all threads and A in groups of rows that a thread packs and multiplies by itself;
   a group stays in the L2 cache beside the panels of B that it meets. The next group is fetched
   meanwhile where it would come from memory in scraps: in products A'B, which are the gradients of
   weights over all time steps and take a third of a training step. */
#include "tensor/memory.h"
#include "tensor/packed.h"
#include "tensor/parallel.h"
#include "tensor/tiles.h"

#include <cerebra/tape.h>

enum {
    GROUP = 96,     /* rows of A */
    COLUMNS = 4096, /* of B, in memory at a time */
    /* Rows, columns and depth that are worth it, and rows where B is to be transposed. */
    LEAST = 64,
    LEAST_FOR_TRANSPOSED = 256,
};

typedef struct packed_job {
    cb_dtype dtype;
    int64_t m, depth, parts;
    cbi_matrix a, c;
    bool accumulate;
    cbi_packed b;
    char *groups; /* a packed group for each part of the rows */
    size_t group_bytes;
} packed_job;

static cbi_matrix at(cb_dtype dtype, cbi_matrix matrix, int64_t row, int64_t column) {
    int64_t element = row * matrix.row_stride + column * matrix.column_stride;
    matrix.data = (char *)matrix.data + element * (int64_t)cb_dtype_size(dtype);
    return matrix;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Asks for columns [from, to) of A's rows [row, end). */
static void fetch(const packed_job *job, int64_t row, int64_t end, int64_t from, int64_t to) {
    int64_t line = 64 / (int64_t)cb_dtype_size(job->dtype);
    for (int64_t k = from; k < to && job->a.row_stride == 1; k++)
        for (int64_t i = row; i < end; i += line)
            __builtin_prefetch(at(job->dtype, job->a, i, k).data, 0, 2);
}

/* Rows [row, row + rows) of C; those of A up to `next` come after them. */
static void multiply_group(const packed_job *job, int64_t row, int64_t rows, int64_t next,
                           void *group) {
    int64_t panels = cbi_packed_panels(&job->b), depth = job->depth;
    cbi_pack_rows(job->dtype, rows, depth, 0, depth, at(job->dtype, job->a, row, 0), group);
    for (int64_t p = 0; p < panels; p += CBI_WIDE) {
        int64_t end = least(p + CBI_WIDE, panels);
        fetch(job, row + rows, next, depth * p / panels, depth * end / panels);
        cbi_packed_multiply(&job->b, p, end, rows, group, job->accumulate,
                            at(job->dtype, job->c, row, 0).data, job->c.row_stride);
    }
}

static void multiply_parts(void *context, int64_t begin, int64_t end) {
    const packed_job *job = context;
    int64_t tall = cbi_packed_rows(job->dtype), panels = (job->m + tall - 1) / tall;
    for (int64_t part = begin; part < end; part++) {
        int64_t last = least(panels * (part + 1) / job->parts * tall, job->m);
        for (int64_t row = panels * part / job->parts * tall; row < last; row += GROUP)
            multiply_group(job, row, least(last - row, GROUP), least(last, row + 2 * GROUP),
                           job->groups + (size_t)part * job->group_bytes);
    }
}

static cbi_matrix transposed(cbi_matrix matrix) {
    return (cbi_matrix){matrix.data, matrix.column_stride, matrix.row_stride};
}

bool cbi_gemm_packed(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool accumulate, cbi_matrix c) {
    if (m < LEAST || n < LEAST || k < LEAST || !cbi_packed_usable(dtype) ||
        cbi_tile_of(dtype, CBI_WIDE, 1) == NULL)
        return false;
    if (c.column_stride != 1) /* C' = B'A' */
        return c.row_stride == 1 && cbi_gemm_packed(dtype, n, m, k, transposed(b), transposed(a),
                                                    accumulate, transposed(c));
    if (b.column_stride != 1 && m < LEAST_FOR_TRANSPOSED)
        return false;
    int64_t panels = (m + cbi_packed_rows(dtype) - 1) / cbi_packed_rows(dtype);
    packed_job job = {dtype, m, .parts = least(cb_threads(), panels)};
    int64_t piece = least(k, cbi_microkernel_of(dtype)->depth);
    size_t b_bytes = (cbi_packed_bytes(dtype, piece, least(n, COLUMNS)) + 63) / 64 * 64;
    job.group_bytes = (cbi_packed_rows_bytes(dtype, GROUP, piece) + 63) / 64 * 64;
    char *memory = cbi_scratch(b_bytes + (size_t)job.parts * job.group_bytes);
    if (memory == NULL)
        return false;
    job.groups = memory + b_bytes;
    for (int64_t left = 0; left < n; left += COLUMNS)
        for (int64_t top = 0; top < k; top += piece) {
            int64_t columns = least(n - left, COLUMNS);
            job.depth = least(k - top, piece);
            job.a = at(dtype, a, 0, top);
            job.b = cbi_packed_in(dtype, job.depth, columns, memory);
            job.c = at(dtype, c, 0, left);
            job.accumulate = accumulate || top > 0;
            cbi_pack(&job.b, 0, job.depth, 0, columns, at(dtype, b, top, left));
            cbi_parallel_for(job.parts, 1, multiply_parts, &job);
        }
    return true;
}
