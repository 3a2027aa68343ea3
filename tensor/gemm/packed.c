/* GEMM over packed operands. The output's rows are those of a batch, and lie row-major. A
   microkernel writes tiles along rows or along columns; where it prefers columns, C' = W' X' is
   computed, so that the long side of a tile always runs along the weights' columns.

   k is cut into pieces so that a panel of activations stays in the L1 cache. A panel of weights is
   streamed through it, once for each tile of rows, from the L2 cache: for that, pieces can be
   longer than BLIS's own, and long ones call the kernel less often (1024 gives 107 GFLOP/s where
   256 gives 105, at 64 x 2048 x 512 on a Zen 4). */
#include "tensor/gemm/packed.h"

#include "tensor/gemm/tiles.h"
#include "tensor/parallel.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { DEPTH = 1024 };     /* of a piece */
enum { BEHIND = 128 };     /* bytes behind the last panel that some of BLIS's kernels read ahead */
enum { MOST_TILE = 1024 }; /* elements of a tile, of any kernel: skx has 32 x 12 */

/* Columns of the weights in a panel, and rows of activations in one. */
static int64_t weights_width(const cbi_microkernel *kernel) {
    return kernel->row_major ? kernel->columns : kernel->rows;
}

static int64_t rows_width(const cbi_microkernel *kernel) {
    return kernel->row_major ? kernel->rows : kernel->columns;
}

static int64_t panels_of(int64_t extent, int64_t width) {
    return (extent + width - 1) / width;
}

bool cbi_packed_usable(cb_dtype dtype) {
    const cbi_microkernel *kernel = cbi_microkernel_of(dtype);
    return kernel->usable && kernel->rows * kernel->columns <= MOST_TILE;
}

int64_t cbi_packed_rows(cb_dtype dtype) {
    return rows_width(cbi_microkernel_of(dtype));
}

int64_t cbi_packed_panels(const cbi_packed *packed) {
    return panels_of(packed->n, packed->width);
}

size_t cbi_packed_bytes(cb_dtype dtype, int64_t k, int64_t n) {
    int64_t width = weights_width(cbi_microkernel_of(dtype));
    return (size_t)(panels_of(n, width) * width * k) * cb_dtype_size(dtype) + BEHIND;
}

cbi_packed cbi_packed_in(cb_dtype dtype, int64_t k, int64_t n, void *memory) {
    return (cbi_packed){dtype, k, n, weights_width(cbi_microkernel_of(dtype)), memory};
}

#ifdef __SSE2__
/* Interleaves columns [0, depth) of `width` rows, an even number, four columns and two rows at a
   time: how activations are packed, and weights that lie transposed. Returns how many columns are
   done. */
static int64_t interleave_f32(float *target, int64_t width, int64_t depth, const float *from,
                              int64_t stride) {
    int64_t done = depth / 4 * 4;
    for (int64_t top = 0; top < done; top += 16) /* a cache line's columns */
        for (int64_t c = 0; c < width; c += 2)
            for (int64_t i = top; i < top + 16 && i < done; i += 4) {
                __m128 even = _mm_loadu_ps(from + i + c * stride);
                __m128 odd = _mm_loadu_ps(from + i + (c + 1) * stride);
                __m128 low = _mm_unpacklo_ps(even, odd), high = _mm_unpackhi_ps(even, odd);
                float *to = target + i * width + c;
                _mm_storel_pi((__m64 *)(void *)to, low);
                _mm_storeh_pi((__m64 *)(void *)(to + width), low);
                _mm_storel_pi((__m64 *)(void *)(to + 2 * width), high);
                _mm_storeh_pi((__m64 *)(void *)(to + 3 * width), high);
            }
    return done;
}
#else
static int64_t interleave_f32(float *target, int64_t width, int64_t depth, const float *from,
                              int64_t stride) {
    (void)target, (void)width, (void)depth, (void)from, (void)stride;
    return 0;
}
#endif
/* Nothing of the kind for f64. */
static int64_t interleave_f64(double *target, int64_t width, int64_t depth, const double *from,
                              int64_t stride) {
    (void)target, (void)width, (void)depth, (void)from, (void)stride;
    return 0;
}

/* Copies `count` whole panels from rows whose elements are neighbours, four rows at a time: they
   stay in the L1 cache even when they are a power of two apart. `bytes` is a panel's width. */
static inline void copy_panels_of(int64_t bytes, int64_t count, int64_t depth, char *to,
                                  int64_t panel_stride, const char *from, int64_t row_stride) {
    for (int64_t top = 0; top < depth; top += 4)
        for (int64_t p = 0; p < count; p++)
            for (int64_t i = top; i < top + 4 && i < depth; i++)
                memcpy(to + p * panel_stride + i * bytes, from + i * row_stride + p * bytes,
                       (size_t)bytes);
}

/* The same, with copies of a known size for the kernels there are. */
static void copy_panels(int64_t bytes, int64_t count, int64_t depth, char *to, int64_t panel_stride,
                        const char *from, int64_t row_stride) {
    if (bytes == 24)
        copy_panels_of(24, count, depth, to, panel_stride, from, row_stride);
    else if (bytes == 48)
        copy_panels_of(48, count, depth, to, panel_stride, from, row_stride);
    else if (bytes == 64)
        copy_panels_of(64, count, depth, to, panel_stride, from, row_stride);
    else
        copy_panels_of(bytes, count, depth, to, panel_stride, from, row_stride);
}

/* Copies a [depth, columns] block, strides in elements, into panels of `width`: element (i, j) goes
   to panel (first + j) / width, row top + i, place (first + j) % width. The last panel is filled up
   with zeros when the block reaches the end of all columns. */
#define PACK(suffix, type)                                                                         \
    static void pack_##suffix(type *panels, int64_t k, int64_t all, int64_t width, int64_t top,    \
                              int64_t depth, int64_t first, int64_t columns, const type *source,   \
                              int64_t row_stride, int64_t column_stride) {                         \
        const int64_t size = sizeof(type);                                                         \
        for (int64_t j = 0; j < columns;) {                                                        \
            int64_t at = first + j, place = at % width, i = 0;                                     \
            int64_t count = width - place < columns - j ? width - place : columns - j;             \
            int64_t padded = at + count == all ? width - place : count;                            \
            type *target = panels + at / width * width * k + top * width + place;                  \
            const type *from = source + j * column_stride;                                         \
            int64_t whole = column_stride == 1 && place == 0 ? (columns - j) / width : 0;          \
            if (whole > 0) {                                                                       \
                copy_panels(width *size, whole, depth, (char *)target, width *k *size,             \
                            (const char *)from, row_stride *size);                                 \
                j += whole * width;                                                                \
                continue;                                                                          \
            }                                                                                      \
            j += count;                                                                            \
            if (row_stride == 1 && count == width && width % 2 == 0)                               \
                i = interleave_##suffix(target, width, depth, from, column_stride);                \
            for (; i < depth; i++) {                                                               \
                if (column_stride == 1)                                                            \
                    memcpy(target + i * width, from + i * row_stride,                              \
                           (size_t)count * sizeof(type));                                          \
                else                                                                               \
                    for (int64_t c = 0; c < count; c++)                                            \
                        target[i * width + c] = from[i * row_stride + c * column_stride];          \
                for (int64_t c = count; c < padded; c++)                                           \
                    target[i * width + c] = 0;                                                     \
            }                                                                                      \
        }                                                                                          \
    }
PACK(f32, float)
PACK(f64, double)

static void pack(cb_dtype dtype, void *panels, int64_t k, int64_t all, int64_t width, int64_t top,
                 int64_t depth, int64_t first, int64_t count, const void *source,
                 int64_t row_stride, int64_t column_stride) {
    if (dtype == CB_F32)
        pack_f32(panels, k, all, width, top, depth, first, count, source, row_stride,
                 column_stride);
    else
        pack_f64(panels, k, all, width, top, depth, first, count, source, row_stride,
                 column_stride);
}

typedef struct pack_job {
    const cbi_packed *packed;
    int64_t top, depth, first, count;
    cbi_matrix source;
} pack_job;

/* Ranges of panels: columns that share a panel stay with one thread. */
static void pack_range(void *context, int64_t begin, int64_t end) {
    const pack_job *job = context;
    const cbi_packed *packed = job->packed;
    int64_t base = job->first / packed->width;
    int64_t from = (base + begin) * packed->width, to = (base + end) * packed->width;
    from = from < job->first ? job->first : from;
    to = to > job->first + job->count ? job->first + job->count : to;
    if (from >= to)
        return;
    const char *source = (const char *)job->source.data + (from - job->first) *
                                                              job->source.column_stride *
                                                              (int64_t)cb_dtype_size(packed->dtype);
    pack(packed->dtype, packed->panels, packed->k, packed->n, packed->width, job->top, job->depth,
         from, to - from, source, job->source.row_stride, job->source.column_stride);
}

void cbi_pack(const cbi_packed *packed, int64_t top, int64_t depth, int64_t first, int64_t count,
              cbi_matrix source) {
    pack_job job = {packed, top, depth, first, count, source};
    if (count <= 0 || depth <= 0)
        return;
    int64_t panels = (first + count - 1) / packed->width - first / packed->width + 1;
    cbi_parallel_for(panels, CBI_GRAIN / (packed->width * depth) + 1, pack_range, &job);
}

size_t cbi_packed_rows_bytes(cb_dtype dtype, int64_t rows, int64_t k) {
    int64_t width = rows_width(cbi_microkernel_of(dtype));
    return (size_t)(panels_of(rows, width) * width * k) * cb_dtype_size(dtype) + BEHIND;
}

void cbi_pack_rows(cb_dtype dtype, int64_t rows, int64_t k, int64_t top, int64_t depth,
                   cbi_matrix x, void *memory) {
    pack(dtype, memory, k, rows, rows_width(cbi_microkernel_of(dtype)), top, depth, 0, rows, x.data,
         x.column_stride, x.row_stride);
}

/* One tile of BLIS's kernel. */
static void kernel_tile(const cbi_microkernel *kernel, int64_t depth, const void *x, const void *w,
                        bool accumulate, void *c, int64_t row_stride) {
    if (kernel->row_major)
        kernel->run(kernel->rows, kernel->columns, depth, x, w, accumulate, c, row_stride, 1);
    else
        kernel->run(kernel->rows, kernel->columns, depth, w, x, accumulate, c, 1, row_stride);
}

/* What is multiplied: a piece of the depth of some neighbouring panels of the weights. */
typedef struct strip {
    cb_dtype dtype;
    int64_t depth, panels, panel_stride; /* in elements */
    int64_t columns;                     /* of the output, fewer than the panels' at its end */
    bool accumulate;
    const char *w;
} strip;

static void copy_rows(int64_t rows, int64_t bytes, char *to, int64_t to_stride, const char *from,
                      int64_t from_stride) {
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * to_stride, from + r * from_stride, (size_t)bytes);
}

/* The strip's product with m rows of activations that share a panel. Kernels compute whole tiles:
   where y has fewer rows or columns, the tile is computed beside it and copied. */
static void multiply_tile(const cbi_microkernel *kernel, const strip *s, int64_t m, const char *x,
                          char *y, int64_t row_stride) {
    int64_t rows = rows_width(kernel), columns = weights_width(kernel) * s->panels;
    int64_t size = (int64_t)cb_dtype_size(s->dtype);
    const cbi_tile_kernel *tile =
        s->panels > 1 || m < rows ? cbi_tile_kernel_of(s->dtype, s->panels, m) : NULL;
    if (tile != NULL)
        rows = tile->computed;
    double whole[CBI_WIDE * MOST_TILE] __attribute__((aligned(64)));
    bool edge = m < rows || s->columns < columns;
    char *c = edge ? (char *)whole : y;
    int64_t stride = edge ? columns : row_stride;
    if (edge && s->accumulate)
        copy_rows(m, s->columns * size, c, stride * size, y, row_stride * size);
    if (tile != NULL)
        tile->run(s->depth, x, s->w, s->panel_stride, s->accumulate, c, stride);
    else
        kernel_tile(kernel, s->depth, x, s->w, s->accumulate, c, stride);
    if (edge)
        copy_rows(m, s->columns * size, y, row_stride * size, c, stride * size);
}

void cbi_packed_multiply(const cbi_packed *weights, int64_t begin, int64_t end, int64_t rows,
                         const void *packed_rows, bool accumulate, void *y, int64_t row_stride) {
    const cbi_microkernel *kernel = cbi_microkernel_of(weights->dtype);
    int64_t size = (int64_t)cb_dtype_size(weights->dtype), k = weights->k, width = weights->width;
    int64_t tall = rows_width(kernel), first = begin * width, last = end * width;
    last = last < weights->n ? last : weights->n;
    bool wide = cbi_tile_kernel_of(weights->dtype, CBI_WIDE, tall) != NULL;
    if (k == 0 && !accumulate)
        for (int64_t r = 0; r < rows; r++)
            memset((char *)y + (r * row_stride + first) * size, 0, (size_t)((last - first) * size));
    for (int64_t top = 0; top < k; top += DEPTH) {
        strip s = {weights->dtype, k - top < DEPTH ? k - top : DEPTH, .panel_stride = width * k,
                   .accumulate = accumulate || top > 0};
        for (int64_t j = first; j < last; j += s.panels * width) {
            s.panels = wide && last - j >= CBI_WIDE * width ? CBI_WIDE : 1;
            s.columns = last - j < s.panels * width ? last - j : s.panels * width;
            s.w = weights->panels + (j * k + top * width) * size;
            for (int64_t i = 0; i < rows; i += tall)
                multiply_tile(kernel, &s, rows - i < tall ? rows - i : tall,
                              (const char *)packed_rows + (i * k + top * tall) * size,
                              (char *)y + (i * row_stride + j) * size, row_stride);
        }
    }
}
