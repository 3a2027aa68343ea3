/* Copies from one layout to another, elements of one size. Two axes are copied as a block: the one
   along which the target's elements are nearest to each other, and the one along which the source's
   are. Where they differ the block is transposed, in tiles of a cache line's width, so that each
   line of either side is read or written once, as a whole. Threads share out the blocks. */
#include "tensor/kernels.h"
#include "tensor/loops.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    SIDE = 256,      /* of a block that is transposed: rows lie in pages of their own, and each page
                        is then met a few times only */
    SMALL_SIDE = 64, /* where there is less to share out than */
    LARGE = 1 << 19, /* so many elements */
    BLOCK = 4096,    /* elements of another one */
    TILE_4 = 16,     /* elements in a cache line, of 4 bytes */
    TILE_8 = 8,      /* and of 8 */
};

typedef struct axis {
    int64_t extent, to, from; /* and the strides, in elements */
} axis;

/* ---- Tiles ----------------------------------------------------------------------------------- */

#ifdef __SSE2__
/* Rows of the source become columns of the tile; its rows are SIDE apart. */
static void transpose_tile_4(uint32_t *tile, const uint32_t *source, int64_t apart) {
    float *to = (float *)(void *)tile;
    const float *from = (const float *)(const void *)source;
    for (int64_t j = 0; j < TILE_4; j += 4)
        for (int64_t i = 0; i < TILE_4; i += 4) {
            __m128 a = _mm_loadu_ps(from + j * apart + i);
            __m128 b = _mm_loadu_ps(from + (j + 1) * apart + i);
            __m128 c = _mm_loadu_ps(from + (j + 2) * apart + i);
            __m128 d = _mm_loadu_ps(from + (j + 3) * apart + i);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            _mm_store_ps(to + i * SIDE + j, a);
            _mm_store_ps(to + (i + 1) * SIDE + j, b);
            _mm_store_ps(to + (i + 2) * SIDE + j, c);
            _mm_store_ps(to + (i + 3) * SIDE + j, d);
        }
}

static void transpose_tile_8(uint64_t *tile, const uint64_t *source, int64_t apart) {
    double *to = (double *)(void *)tile;
    const double *from = (const double *)(const void *)source;
    for (int64_t j = 0; j < TILE_8; j += 2)
        for (int64_t i = 0; i < TILE_8; i += 2) {
            __m128d a = _mm_loadu_pd(from + j * apart + i);
            __m128d b = _mm_loadu_pd(from + (j + 1) * apart + i);
            _mm_store_pd(to + i * SIDE + j, _mm_unpacklo_pd(a, b));
            _mm_store_pd(to + (i + 1) * SIDE + j, _mm_unpackhi_pd(a, b));
        }
}
#else
static void transpose_tile_4(uint32_t *tile, const uint32_t *source, int64_t apart) {
    for (int64_t j = 0; j < TILE_4; j++)
        for (int64_t i = 0; i < TILE_4; i++)
            tile[i * SIDE + j] = source[j * apart + i];
}

static void transpose_tile_8(uint64_t *tile, const uint64_t *source, int64_t apart) {
    for (int64_t j = 0; j < TILE_8; j++)
        for (int64_t i = 0; i < TILE_8; i++)
            tile[i * SIDE + j] = source[j * apart + i];
}
#endif

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* rows.extent times run.extent elements. */
#define COPY_BLOCK(suffix, type, side)                                                             \
    static void transpose_##suffix(axis rows, axis run, type *to, const type *from) {              \
        _Alignas(64) type strip[(side)*SIDE];                                                      \
        int64_t whole_rows = rows.extent / (side) * (side);                                        \
        int64_t whole = run.extent <= SIDE ? run.extent / (side) * (side) : 0;                     \
        for (int64_t r = 0; r < whole_rows && whole > 0; r += (side)) {                            \
            for (int64_t i = 0; i < whole; i += (side))                                            \
                transpose_tile_##suffix(strip + i, from + r + i * run.from, run.from);             \
            for (int64_t k = 0; k < (side); k++)                                                   \
                memcpy(to + (r + k) * rows.to, strip + k * SIDE, sizeof(type) * (size_t)whole);    \
        }                                                                                          \
        for (int64_t r = 0; r < rows.extent; r++)                                                  \
            for (int64_t i = r < whole_rows ? whole : 0; i < run.extent; i++)                      \
                to[r * rows.to + i] = from[r + i * run.from];                                      \
    }                                                                                              \
    CBI_MULTIVERSION static void spread_##suffix(axis rows, axis run, type *restrict to,           \
                                                 const type *restrict from) {                      \
        for (int64_t r = 0; r < rows.extent; r++) {                                                \
            const type value = from[r * rows.from];                                                \
            for (int64_t i = 0; i < run.extent; i++)                                               \
                to[r * rows.to + i] = value;                                                       \
        }                                                                                          \
    }                                                                                              \
    CBI_MULTIVERSION static void copy_any_##suffix(axis rows, axis run, type *restrict to,         \
                                                   const type *restrict from) {                    \
        for (int64_t r = 0; r < rows.extent; r++)                                                  \
            if (run.to == 1)                                                                       \
                for (int64_t i = 0; i < run.extent; i++)                                           \
                    to[r * rows.to + i] = from[r * rows.from + i * run.from];                      \
            else                                                                                   \
                for (int64_t i = 0; i < run.extent; i++)                                           \
                    to[r * rows.to + i * run.to] = from[r * rows.from + i * run.from];             \
    }                                                                                              \
    static void copy_block_##suffix(axis rows, axis run, void *target, const void *source) {       \
        type *to = target;                                                                         \
        const type *from = source;                                                                 \
        if (run.to == 1 && run.from == 1)                                                          \
            for (int64_t r = 0; r < rows.extent; r++)                                              \
                memcpy(to + r * rows.to, from + r * rows.from, sizeof(type) * (size_t)run.extent); \
        else if (run.to == 1 && rows.from == 1 && run.from != 0)                                   \
            transpose_##suffix(rows, run, to, from);                                               \
        else if (run.to == 1 && run.from == 0)                                                     \
            spread_##suffix(rows, run, to, from);                                                  \
        else                                                                                       \
            copy_any_##suffix(rows, run, to, from);                                                \
    }
COPY_BLOCK(4, uint32_t, TILE_4)
COPY_BLOCK(8, uint64_t, TILE_8)

/* ---- What is a block ------------------------------------------------------------------------- */

typedef struct layout_job {
    size_t size;
    char *to;
    const char *from;
    int outer; /* other axes than the block's */
    axis axes[CB_MAX_RANK];
    axis rows, run;
    int64_t row_block, run_block, row_blocks, run_blocks, items;
} layout_job;

static int64_t magnitude(int64_t x) {
    return x < 0 ? -x : x;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static axis part_of(axis of, int64_t begin, int64_t block) {
    of.extent = least(of.extent - begin, block);
    return of;
}

static void copy_blocks(void *context, int64_t begin, int64_t end) {
    const layout_job *job = context;
    int64_t size = (int64_t)job->size;
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item / job->run_blocks;
        int64_t i = item % job->run_blocks * job->run_block;
        int64_t r = rest % job->row_blocks * job->row_block;
        int64_t to = r * job->rows.to + i * job->run.to;
        int64_t from = r * job->rows.from + i * job->run.from;
        rest /= job->row_blocks;
        for (int k = job->outer - 1; k >= 0; k--) {
            int64_t index = rest % job->axes[k].extent;
            rest /= job->axes[k].extent;
            to += index * job->axes[k].to;
            from += index * job->axes[k].from;
        }
        axis rows = part_of(job->rows, r, job->row_block);
        axis run = part_of(job->run, i, job->run_block);
        if (job->size == 4)
            copy_block_4(rows, run, job->to + to * size, job->from + from * size);
        else
            copy_block_8(rows, run, job->to + to * size, job->from + from * size);
    }
}

/* The axis along which elements are nearest to each other but not the same: of the target, or of
   the source; the last one of equals. -1 when there is none. */
static int nearest(const layout_job *job, bool in_source) {
    int best = -1;
    int64_t of_best = INT64_MAX;
    for (int k = 0; k < job->outer; k++) {
        int64_t stride = magnitude(in_source ? job->axes[k].from : job->axes[k].to);
        if (stride > of_best || (in_source && stride == 0))
            continue;
        best = k;
        of_best = stride;
    }
    return best;
}

/* Takes an axis out of the list; for -1 there is one of a single element. */
static axis take(layout_job *job, int k) {
    if (k < 0)
        return (axis){1, 0, 0};
    axis taken = job->axes[k];
    job->outer--;
    memmove(job->axes + k, job->axes + k + 1, sizeof(axis) * (size_t)(job->outer - k));
    return taken;
}

/* Which axes make the block, and how large it is. */
static void choose_block(layout_job *job) {
    job->run = take(job, nearest(job, false));
    int rows = nearest(job, true);
    bool transposed = rows >= 0 && job->axes[rows].from == 1 && job->run.to == 1 &&
                      job->run.from != 0 && job->run.from != 1;
    job->rows = take(job, transposed ? rows : nearest(job, false));
    int64_t n = job->run.extent, m = job->rows.extent;
    bool tiles = transposed && n >= TILE_8 && m >= TILE_8;
    int64_t side = m * n < LARGE ? SMALL_SIDE : SIDE;
    job->run_block = tiles ? side : transposed && m < TILE_8 ? BLOCK / TILE_8 : BLOCK;
    job->row_block = tiles ? side : n < BLOCK ? BLOCK / n : 1;
}

void cbi_copy_layout(const cb_tensor *target, const cb_tensor *source) {
    cbi_loops loops;
    layout_job job = {
        cb_dtype_size(target->dtype), target->data, source->data, 0, {{0}}, .items = 1};
    cbi_loops_plan(&loops, 2, (const cb_tensor *[]){target, source}, INT64_MAX / 2);
    if (loops.items == 0)
        return;
    for (; job.outer < loops.outer; job.outer++)
        job.axes[job.outer] =
            (axis){loops.extent[job.outer], loops.stride[0][job.outer], loops.stride[1][job.outer]};
    job.axes[job.outer++] = (axis){loops.run, loops.step[0], loops.step[1]};
    choose_block(&job);
    job.row_blocks = (job.rows.extent + job.row_block - 1) / job.row_block;
    job.run_blocks = (job.run.extent + job.run_block - 1) / job.run_block;
    for (int k = 0; k < job.outer; k++)
        job.items *= job.axes[k].extent;
    job.items *= job.row_blocks * job.run_blocks;
    int64_t typical = least(job.rows.extent, job.row_block) * least(job.run.extent, job.run_block);
    cbi_parallel_for(job.items, CBI_GRAIN / typical + 1, copy_blocks, &job);
}
