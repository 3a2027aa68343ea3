/* Tiles of other shapes than BLIS's.

   The last rows of a batch rarely fill a tile of BLIS's microkernel: 64 rows are ten tiles of 6 and
   4 rows more, and computing these as if they were 6 costs a thirtieth of the product; with tiles
   of 12 it is an eighth. Here are kernels for fewer rows.

   And a CPU with AVX-512 has registers for four of the panels that BLIS's AVX2 kernels multiply one
   by one. On a Zen 4, where we take those (tensor/gemm/gemm.c), one number of the activations is
   then loaded for four multiply-adds of 64 bytes instead of one: 98% of the peak instead of 94%.

   An element must not depend on how the batch is cut into tiles, and with it on the number of
   threads. These kernels add up its products one after the other with fused multiply-adds, as
   BLIS's do; whether they give the same bits is tried out once, and where they do not, they are not
   used. */
#include "tensor/gemm/tiles.h"

#include "tensor/multiversion.h"

#include <pthread.h>
#include <string.h>

enum { MOST_TALL = 14, MOST_WIDTH = 32, TRIED_DEPTH = 37 };

/* 64 bytes of a row of the tile. */
typedef float part_f32 __attribute__((vector_size(64), aligned(4), may_alias));
typedef double part_f64 __attribute__((vector_size(64), aligned(8), may_alias));

/* Without it gcc keeps sums in memory around the loop. */
#define UNROLL _Pragma("GCC unroll 32")

/* A tile's first `rows` rows of `panels` panels, each `parts` times 64 bytes wide; activations lie
   in panels of `tall` rows. */
#define TILE(name, type, part, tall, parts, panels, rows)                                          \
    CBI_MULTIVERSION static void name(int64_t depth, const void *activations, const void *weights, \
                                      int64_t panel_stride, bool accumulate, void *y,              \
                                      int64_t row_stride) {                                        \
        enum { LANES = 64 / sizeof(type), ALL = (parts) * (panels) };                              \
        const type *x = activations, *w = weights;                                                 \
        part sum[rows][ALL], column[ALL];                                                          \
        UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < ALL; p++) sum[r][p] =   \
            (part){0};                                                                             \
        for (int r = 0; r < (rows); r++)                                                           \
            for (int p = 0; p < ALL; p++)                                                          \
                __builtin_prefetch((type *)y + r * row_stride + LANES * p, 1);                     \
        for (int64_t k = 0; k < depth; k++, x += (tall), w += LANES * (parts)) {                   \
            UNROLL for (int p = 0; p < ALL; p++) column[p] =                                       \
                *(const part *)(w + p / (parts)*panel_stride + LANES * (p % (parts)));             \
            UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < ALL; p++)           \
                sum[r][p] += x[r] * column[p];                                                     \
        }                                                                                          \
        UNROLL for (int r = 0; r < (rows); r++) UNROLL for (int p = 0; p < ALL; p++) {             \
            part *to = (part *)((type *)y + r * row_stride + LANES * p);                           \
            if (accumulate)                                                                        \
                sum[r][p] += *to;                                                                  \
            *to = sum[r][p];                                                                       \
        }                                                                                          \
    }
TILE(tile_f32_6_2, float, part_f32, 6, 1, 1, 2)
TILE(tile_f32_6_4, float, part_f32, 6, 1, 1, 4)
TILE(tile_f64_6_2, double, part_f64, 6, 1, 1, 2)
TILE(tile_f64_6_4, double, part_f64, 6, 1, 1, 4)
TILE(tile_f32_12_4, float, part_f32, 12, 2, 1, 4)
TILE(tile_f32_12_8, float, part_f32, 12, 2, 1, 8)
TILE(tile_f64_14_4, double, part_f64, 14, 2, 1, 4)
TILE(tile_f64_14_8, double, part_f64, 14, 2, 1, 8)
TILE(wide_f32_6_2, float, part_f32, 6, 1, CBI_WIDE, 2)
TILE(wide_f32_6_4, float, part_f32, 6, 1, CBI_WIDE, 4)
TILE(wide_f32_6_6, float, part_f32, 6, 1, CBI_WIDE, 6)
TILE(wide_f64_6_2, double, part_f64, 6, 1, CBI_WIDE, 2)
TILE(wide_f64_6_4, double, part_f64, 6, 1, CBI_WIDE, 4)
TILE(wide_f64_6_6, double, part_f64, 6, 1, CBI_WIDE, 6)

/* Fewer rows first. */
static const cbi_tile_kernel tiles[] = {
    {CB_F32, 6, 16, 1, 2, tile_f32_6_2},        {CB_F32, 6, 16, 1, 4, tile_f32_6_4},
    {CB_F64, 6, 8, 1, 2, tile_f64_6_2},         {CB_F64, 6, 8, 1, 4, tile_f64_6_4},
    {CB_F32, 12, 32, 1, 4, tile_f32_12_4},      {CB_F32, 12, 32, 1, 8, tile_f32_12_8},
    {CB_F64, 14, 16, 1, 4, tile_f64_14_4},      {CB_F64, 14, 16, 1, 8, tile_f64_14_8},
    {CB_F32, 6, 16, CBI_WIDE, 2, wide_f32_6_2}, {CB_F32, 6, 16, CBI_WIDE, 4, wide_f32_6_4},
    {CB_F32, 6, 16, CBI_WIDE, 6, wide_f32_6_6}, {CB_F64, 6, 8, CBI_WIDE, 2, wide_f64_6_2},
    {CB_F64, 6, 8, CBI_WIDE, 4, wide_f64_6_4},  {CB_F64, 6, 8, CBI_WIDE, 6, wide_f64_6_6},
};
enum { TILES = sizeof(tiles) / sizeof(tiles[0]) };

/* ---- Whether they give what the kernel gives ------------------------------------------------- */

static bool usable[TILES];

/* Numbers with full mantissas, so that products and sums are rounded in both types. */
static void fill(cb_dtype dtype, void *data, int count) {
    uint32_t state = 12345;
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        cbi_store(dtype, (char *)data + i * (int)cb_dtype_size(dtype),
                  (double)state / 4294967295.0 - 1.0 / 3);
    }
}

static bool gives_the_same(const cbi_tile_kernel *tile, const cbi_microkernel *kernel,
                           bool accumulate) {
    enum { WIDTH = CBI_WIDE * MOST_WIDTH };
    double x[MOST_TALL * TRIED_DEPTH] __attribute__((aligned(64)));
    double w[WIDTH * TRIED_DEPTH] __attribute__((aligned(64)));
    double y[2][MOST_TALL * WIDTH] __attribute__((aligned(64)));
    fill(tile->dtype, x, MOST_TALL * TRIED_DEPTH);
    fill(tile->dtype, w, WIDTH * TRIED_DEPTH);
    fill(tile->dtype, y[0], MOST_TALL * WIDTH);
    fill(tile->dtype, y[1], MOST_TALL * WIDTH);
    int64_t size = (int64_t)cb_dtype_size(tile->dtype), stride = tile->panels * tile->width;
    for (int64_t p = 0; p < tile->panels; p++) {
        const char *panel = (const char *)w + p * tile->width * TRIED_DEPTH * size;
        char *to = (char *)y[0] + p * tile->width * size;
        if (kernel->row_major)
            kernel->run(tile->tall, tile->width, TRIED_DEPTH, x, panel, accumulate, to, stride, 1);
        else
            kernel->run(tile->width, tile->tall, TRIED_DEPTH, panel, x, accumulate, to, 1, stride);
    }
    tile->run(TRIED_DEPTH, x, w, tile->width * TRIED_DEPTH, accumulate, y[1], stride);
    return memcmp(y[0], y[1], (size_t)(tile->computed * stride * size)) == 0;
}

static void try_out(void) {
    for (int i = 0; i < TILES; i++) {
        const cbi_microkernel *kernel = cbi_microkernel_of(tiles[i].dtype);
        int64_t tall = kernel->row_major ? kernel->rows : kernel->columns;
        int64_t width = kernel->row_major ? kernel->columns : kernel->rows;
        usable[i] = kernel->usable && tall == tiles[i].tall && width == tiles[i].width &&
                    (tiles[i].panels == 1 || cbi_multiversion_has_avx512()) &&
                    gives_the_same(&tiles[i], kernel, false) &&
                    gives_the_same(&tiles[i], kernel, true);
    }
}

const cbi_tile_kernel *cbi_tile_kernel_of(cb_dtype dtype, int64_t panels, int64_t rows) {
    static pthread_once_t tried = PTHREAD_ONCE_INIT;
    pthread_once(&tried, try_out);
    for (int i = 0; i < TILES; i++)
        if (usable[i] && tiles[i].dtype == dtype && tiles[i].panels == panels &&
            tiles[i].computed >= rows)
            return &tiles[i];
    return NULL;
}
