/* GEMM over operands that are packed for the call: C = A B on the tiles of tensor/tiles.c, where a
   CPU has them and the product is large. The gradients of weights, products over all time steps,
   are what it is for: they take a third of a training step.

   A thread computes some of the rows, or of the columns, of C by itself, and packs for itself what
   that takes: nobody waits for anybody. k is cut into the pieces that BLIS's calls cut it into, so
   that the result is theirs bit for bit (except for which NaN a NaN is), and which of the two is
   called makes no difference. Of a piece, B is packed as a whole and A in groups of rows; a group
   stays in the L2 cache beside the panels of B that it meets. */
#include "tensor/memory.h"
#include "tensor/packed.h"
#include "tensor/parallel.h"
#include "tensor/tiles.h"

#include <cerebra/tape.h>

enum {
    GROUP = 192,    /* rows of A */
    COLUMNS = 4096, /* of B, at a time */
    /* Rows, columns and depth that are worth it, and rows where B is to be transposed. */
    LEAST = 64,
    LEAST_FOR_TRANSPOSED = 256,
    LEAST_TO_SPLIT = 256, /* columns; fewer do not make equal parts */
};

typedef struct packed_job {
    cb_dtype dtype;
    int64_t m, n, k, depth; /* of a piece */
    cbi_matrix a, b, c;
    bool accumulate, split_rows;
    int64_t parts, unit; /* rows or columns that stay together */
    char *memory;        /* for each part: a piece of B, and a group */
    size_t b_bytes, group_bytes;
} packed_job;

static cbi_matrix at(cb_dtype dtype, cbi_matrix matrix, int64_t row, int64_t column) {
    int64_t element = row * matrix.row_stride + column * matrix.column_stride;
    matrix.data = (char *)matrix.data + element * (int64_t)cb_dtype_size(dtype);
    return matrix;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* All rows of C, a piece of the columns and of the depth. */
static void multiply_piece(const packed_job *job, int64_t top, int64_t left, char *memory) {
    cb_dtype dtype = job->dtype;
    int64_t depth = least(job->k - top, job->depth), columns = least(job->n - left, COLUMNS);
    cbi_packed b = cbi_packed_in(dtype, depth, columns, memory);
    char *group = memory + job->b_bytes;
    cbi_pack(&b, 0, depth, 0, columns, at(dtype, job->b, top, left));
    for (int64_t row = 0; row < job->m; row += GROUP) {
        int64_t rows = least(job->m - row, GROUP);
        cbi_pack_rows(dtype, rows, depth, 0, depth, at(dtype, job->a, row, top), group);
        cbi_packed_multiply(&b, 0, cbi_packed_panels(&b), rows, group, job->accumulate || top > 0,
                            at(dtype, job->c, row, left).data, job->c.row_stride);
    }
}

static void multiply_part(packed_job part, int64_t i) {
    int64_t all = part.split_rows ? part.m : part.n, units = round_up(all, part.unit) / part.unit;
    int64_t first = units * i / part.parts * part.unit;
    int64_t count = least(units * (i + 1) / part.parts * part.unit, all) - first;
    if (part.split_rows) {
        part.m = count;
        part.a = at(part.dtype, part.a, first, 0);
        part.c = at(part.dtype, part.c, first, 0);
    } else {
        part.n = count;
        part.b = at(part.dtype, part.b, 0, first);
        part.c = at(part.dtype, part.c, 0, first);
    }
    char *memory = part.memory + (size_t)i * (part.b_bytes + part.group_bytes);
    for (int64_t left = 0; left < part.n; left += COLUMNS)
        for (int64_t top = 0; top < part.k; top += part.depth)
            multiply_piece(&part, top, left, memory);
}

static void multiply_parts(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
        multiply_part(*(const packed_job *)context, i);
}

static cbi_matrix transposed(cbi_matrix matrix) {
    return (cbi_matrix){matrix.data, matrix.column_stride, matrix.row_stride};
}

bool cbi_gemm_packed(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool accumulate, cbi_matrix c) {
    if (m < LEAST || n < LEAST || k < LEAST || !cbi_packed_usable(dtype) ||
        cbi_tile_kernel_of(dtype, CBI_WIDE, 1) == NULL)
        return false;
    if (c.column_stride != 1) /* C' = B'A' */
        return c.row_stride == 1 && cbi_gemm_packed(dtype, n, m, k, transposed(b), transposed(a),
                                                    accumulate, transposed(c));
    if (b.column_stride != 1 && m < LEAST_FOR_TRANSPOSED)
        return false;
    const cbi_microkernel *kernel = cbi_microkernel_of(dtype);
    packed_job job = {dtype, m, n, k, .a = a, .b = b, .c = c, .accumulate = accumulate};
    job.depth = least(k, kernel->depth);
    job.split_rows = m > n || n < LEAST_TO_SPLIT;
    job.unit = job.split_rows ? kernel->rows : kernel->columns * CBI_WIDE;
    job.parts = least(cb_threads(), round_up(job.split_rows ? m : n, job.unit) / job.unit);
    int64_t columns = job.split_rows ? n : round_up(n, job.unit * job.parts) / job.parts;
    job.b_bytes =
        (size_t)round_up((int64_t)cbi_packed_bytes(dtype, job.depth, least(columns, COLUMNS)), 64);
    job.group_bytes = (size_t)round_up((int64_t)cbi_packed_rows_bytes(dtype, GROUP, job.depth), 64);
    job.memory = cbi_scratch((size_t)job.parts * (job.b_bytes + job.group_bytes));
    if (job.memory == NULL)
        return false;
    cbi_parallel_for(job.parts, 1, multiply_parts, &job);
    return true;
}
