/* GEMM over operands that are packed for the call: C = A B on BLIS's microkernel, or on the tiles
   of tensor/gemm/tiles.c where a CPU has them. The gradients of weights, products over all time
   steps, are what it is for: they take a third of a training step. Small products gain most; BLIS's
   own call takes two to four times as long for them.

   A thread computes some of the rows, or of the columns, of C by itself, and packs for itself what
   that takes: nobody waits for anybody. k is cut into the pieces that BLIS's calls cut it into, so
   that the result is theirs bit for bit (except for which NaN a NaN is), and which of the two is
   called makes no difference. Of a piece, B is packed as a whole and A in groups of rows; a group
   stays in the L2 cache beside the panels of B that it meets.

   C may be several matrices, on top of each other or side by side: the gradients of gates that have
   a matrix each. What they share is packed once for all of them. */
#include "tensor/gemm/packed.h"
#include "tensor/gemm/tiles.h"
#include "tensor/memory.h"
#include "tensor/parallel.h"

#include <cerebra/threads.h>

enum {
    GROUP = 192,          /* rows of A */
    COLUMNS = 4096,       /* of B, at a time */
    LEAST_TO_SPLIT = 256, /* columns; fewer do not make equal parts */
    FAR = 1024,           /* elements between rows of C that are far apart */
    CHUNK = 480,          /* columns of B that stay in the L2 cache, for such C */
};

typedef struct packed_job {
    cb_dtype dtype;
    int64_t m, n, k, depth, most_depth; /* of a piece, and of the last one */
    cbi_matrix a, b;
    bool across; /* the blocks of C lie side by side; else on top of each other */
    int count;
    const cbi_gemm_block *blocks;
    bool split_rows;
    int64_t parts, unit; /* rows or columns that stay together */
    char *memory;        /* for each part: a piece of B, and a group */
    size_t b_bytes, group_bytes;
} packed_job;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* ---- Rows and columns as parts of blocks ----------------------------------------------------- */

typedef struct range {
    int64_t begin, end;
} range;

/* Rows or columns that lie in one block. */
typedef struct strip {
    range of_all;
    int block; /* 0 in the direction that the blocks do not lie in */
    int64_t inside;
} strip;

/* The rows or columns of a range, block by block where blocks lie that way; returns how many strips
   there are. */
static int cut(const packed_job *job, bool columns, range of, strip *strips) {
    if (columns != job->across) {
        strips[0] = (strip){of, 0, of.begin};
        return of.begin < of.end;
    }
    int count = 0;
    int64_t first = 0;
    for (int i = 0; i < job->count; first += job->blocks[i++].extent) {
        range both = {most(of.begin, first), least(of.end, first + job->blocks[i].extent)};
        if (both.begin < both.end)
            strips[count++] = (strip){both, i, both.begin - first};
    }
    return count;
}

/* The depth of the piece that begins there. */
static int64_t depth_from(const packed_job *job, int64_t top) {
    int64_t left = job->k - top;
    return left <= job->most_depth ? left : job->depth;
}

/* ---- Products -------------------------------------------------------------------------------- */

/* A piece of B, packed strip by strip. */
typedef struct packed_columns {
    int count;
    strip strips[CBI_MOST_BLOCKS];
    cbi_packed panels[CBI_MOST_BLOCKS];
} packed_columns;

static void pack_columns(const packed_job *job, range columns, int64_t top, char *memory,
                         packed_columns *b) {
    int64_t depth = depth_from(job, top);
    b->count = cut(job, true, columns, b->strips);
    for (int i = 0; i < b->count; i++) {
        const range *of = &b->strips[i].of_all;
        int64_t count = of->end - of->begin;
        b->panels[i] = cbi_packed_in(job->dtype, depth, count, memory);
        cbi_pack(&b->panels[i], 0, depth, 0, count,
                 cbi_matrix_at(job->dtype, job->b, top, of->begin));
        memory += round_up((int64_t)cbi_packed_bytes(job->dtype, depth, count), 64);
    }
}

/* A group of rows times some columns of B. Where rows of C are far apart, tiles beside each other
   come first: those below each other lie in pages of their own, too many for the TLB. */
static void multiply_panels(const cbi_packed *b, int64_t rows, const char *group, bool accumulate,
                            cbi_matrix c) {
    int64_t size = (int64_t)cb_dtype_size(b->dtype), all = cbi_packed_panels(b);
    bool far = c.row_stride >= FAR;
    int64_t tall = far ? cbi_packed_rows(b->dtype) : rows, chunk = far ? CHUNK / b->width : all;
    for (int64_t panel = 0; panel < all; panel += chunk)
        for (int64_t row = 0; row < rows; row += tall)
            cbi_packed_multiply(b, panel, least(panel + chunk, all), least(tall, rows - row),
                                group + row * b->k * size, accumulate,
                                cbi_matrix_at(b->dtype, c, row, 0).data, c.row_stride);
}

/* A group of rows times all strips of B. */
static void multiply_group(const packed_job *job, const strip *row, int64_t rows,
                           const packed_columns *b, const char *group, bool first) {
    for (int i = 0; i < b->count; i++) {
        const strip *column = &b->strips[i];
        const cbi_gemm_block *block = &job->blocks[job->across ? column->block : row->block];
        multiply_panels(&b->panels[i], rows, group, block->accumulate || !first,
                        cbi_matrix_at(job->dtype, block->c, row->inside, column->inside));
    }
}

/* Some rows and columns of C, a piece of the depth. */
static void multiply_piece(const packed_job *job, range rows, range columns, int64_t top,
                           char *memory) {
    packed_columns b;
    strip strips[CBI_MOST_BLOCKS];
    int64_t depth = depth_from(job, top);
    char *group = memory + job->b_bytes;
    pack_columns(job, columns, top, memory, &b);
    int count = cut(job, false, rows, strips);
    for (int i = 0; i < count; i++)
        for (int64_t row = strips[i].of_all.begin; row < strips[i].of_all.end; row += GROUP) {
            strip part = strips[i];
            int64_t height = least(part.of_all.end - row, GROUP);
            part.inside += row - part.of_all.begin;
            cbi_pack_rows(job->dtype, height, depth, 0, depth,
                          cbi_matrix_at(job->dtype, job->a, row, top), group);
            multiply_group(job, &part, height, &b, group, top == 0);
        }
}

static void multiply_part(const packed_job *job, int64_t i) {
    int64_t all = job->split_rows ? job->m : job->n, units = round_up(all, job->unit) / job->unit;
    range part = {units * i / job->parts * job->unit,
                  least(units * (i + 1) / job->parts * job->unit, all)};
    range rows = job->split_rows ? part : (range){0, job->m};
    range columns = job->split_rows ? (range){0, job->n} : part;
    char *memory = job->memory + (size_t)i * (job->b_bytes + job->group_bytes);
    for (int64_t left = columns.begin; left < columns.end; left += COLUMNS)
        for (int64_t top = 0; top < job->k; top += depth_from(job, top))
            multiply_piece(job, rows, (range){left, least(left + COLUMNS, columns.end)}, top,
                           memory);
}

static void multiply_parts(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
        multiply_part(context, i);
}

/* ---- The call -------------------------------------------------------------------------------- */

static cbi_matrix transposed(cbi_matrix matrix) {
    return (cbi_matrix){matrix.data, matrix.column_stride, matrix.row_stride};
}

/* C' = B' A' */
static bool multiply_transposed(const packed_job *job) {
    cbi_gemm_block blocks[CBI_MOST_BLOCKS];
    for (int i = 0; i < job->count; i++) {
        blocks[i] = job->blocks[i];
        blocks[i].c = transposed(blocks[i].c);
        if (blocks[i].c.column_stride != 1)
            return false;
    }
    return cbi_gemm_packed(job->dtype, job->n, job->m, job->k, transposed(job->b),
                           transposed(job->a), !job->across, job->count, blocks);
}

static bool lies_along_rows(const packed_job *job) {
    bool along = true;
    for (int i = 0; i < job->count; i++)
        along = along && job->blocks[i].c.column_stride == 1;
    return along;
}

/* How the work is split, and the memory that each part takes. */
static void lay_out(packed_job *job) {
    const cbi_microkernel *kernel = cbi_microkernel_of(job->dtype);
    job->depth = kernel->depth;
    job->most_depth = most(kernel->depth, kernel->most_depth);
    job->split_rows = job->m > job->n || job->n < LEAST_TO_SPLIT;
    job->unit = job->split_rows ? cbi_packed_rows(job->dtype)
                                : cbi_packed_in(job->dtype, 0, 0, NULL).width * CBI_WIDE;
    int64_t all = job->split_rows ? job->m : job->n, deepest = least(job->k, job->most_depth);
    job->parts = least(cb_threads(), round_up(all, job->unit) / job->unit);
    job->parts = least(job->parts, job->m * job->n * job->k / CBI_GRAIN_MULTIPLICATIONS + 1);
    int64_t columns = job->split_rows ? job->n : round_up(all, job->unit * job->parts) / job->parts;
    int strips = job->across ? job->count : 1;
    /* Each strip is filled up to whole panels. */
    size_t of_strip = cbi_packed_bytes(job->dtype, deepest, 1) + 64;
    job->b_bytes = cbi_packed_bytes(job->dtype, deepest, least(columns, COLUMNS));
    job->b_bytes = (size_t)round_up((int64_t)(job->b_bytes + (size_t)strips * of_strip), 64);
    job->group_bytes =
        (size_t)round_up((int64_t)cbi_packed_rows_bytes(job->dtype, GROUP, deepest), 64);
}

bool cbi_gemm_packed(cb_dtype dtype, int64_t m, int64_t n, int64_t k, cbi_matrix a, cbi_matrix b,
                     bool across, int count, const cbi_gemm_block *blocks) {
    if (m == 0 || n == 0 || k == 0 || !cbi_packed_usable(dtype))
        return false;
    packed_job job = {dtype, m, n, k, .a = a, .b = b, across, count, .blocks = blocks};
    if (!lies_along_rows(&job))
        return multiply_transposed(&job);
    lay_out(&job);
    job.memory = cbi_scratch((size_t)job.parts * (job.b_bytes + job.group_bytes));
    if (job.memory == NULL)
        return false;
    cbi_parallel_for(job.parts, 1, multiply_parts, &job);
    return true;
}
