/* The last rows of a batch rarely fill a tile of BLIS's microkernel: 64 rows are ten tiles of 6 and
   4 rows more, and computing these as if they were 6 costs a thirtieth of the product; with tiles
   of 12 it is an eighth. Here are kernels for fewer rows of the tiles that BLIS has for AVX2 and
   AVX-512.

   An element must not depend on how the batch is cut into tiles, and with it on the number of
   threads. These kernels add up its products one after the other with fused multiply-adds, as
   BLIS's do; whether they give the same bits is tried out once, and where they do not, they are not
   used. */
#include "tensor/edge.h"

#include "tensor/multiversion.h"

#include <pthread.h>
#include <string.h>

enum { MOST_TALL = 14, MOST_WIDTH = 32, TRIED_DEPTH = 37 };

/* 64 bytes of a row of the tile. */
typedef float part_f32 __attribute__((vector_size(64), aligned(4), may_alias));
typedef double part_f64 __attribute__((vector_size(64), aligned(8), may_alias));

/* A tile's first `rows` rows of `parts` times 64 bytes; activations lie in panels of `tall` rows.
 */
#define EDGE(name, type, part, tall, parts, rows)                                                  \
    CBI_MULTIVERSION static void name(int64_t depth, const void *activations, const void *weights, \
                                      bool accumulate, void *y, int64_t row_stride) {              \
        enum { LANES = 64 / sizeof(type) };                                                        \
        const type *x = activations, *w = weights;                                                 \
        part sum[rows][parts];                                                                     \
        for (int r = 0; r < (rows); r++)                                                           \
            for (int p = 0; p < (parts); p++)                                                      \
                sum[r][p] = (part){0};                                                             \
        for (int64_t k = 0; k < depth; k++, x += (tall), w += LANES * (parts))                     \
            for (int p = 0; p < (parts); p++) {                                                    \
                part column = *(const part *)(w + LANES * p);                                      \
                for (int r = 0; r < (rows); r++)                                                   \
                    sum[r][p] += x[r] * column;                                                    \
            }                                                                                      \
        for (int r = 0; r < (rows); r++)                                                           \
            for (int p = 0; p < (parts); p++) {                                                    \
                part *to = (part *)((type *)y + r * row_stride + LANES * p);                       \
                if (accumulate)                                                                    \
                    sum[r][p] += *to;                                                              \
                *to = sum[r][p];                                                                   \
            }                                                                                      \
    }
EDGE(edge_f32_6_2, float, part_f32, 6, 1, 2)
EDGE(edge_f32_6_4, float, part_f32, 6, 1, 4)
EDGE(edge_f64_6_2, double, part_f64, 6, 1, 2)
EDGE(edge_f64_6_4, double, part_f64, 6, 1, 4)
EDGE(edge_f32_12_4, float, part_f32, 12, 2, 4)
EDGE(edge_f32_12_8, float, part_f32, 12, 2, 8)
EDGE(edge_f64_14_4, double, part_f64, 14, 2, 4)
EDGE(edge_f64_14_8, double, part_f64, 14, 2, 8)

typedef struct edge {
    cb_dtype dtype;
    int64_t tall, width, rows; /* of the panels; computed */
    void (*run)(int64_t depth, const void *x, const void *w, bool accumulate, void *y,
                int64_t row_stride);
} edge;

/* Fewer rows first. */
static const edge edges[] = {
    {CB_F32, 6, 16, 2, edge_f32_6_2},   {CB_F32, 6, 16, 4, edge_f32_6_4},
    {CB_F64, 6, 8, 2, edge_f64_6_2},    {CB_F64, 6, 8, 4, edge_f64_6_4},
    {CB_F32, 12, 32, 4, edge_f32_12_4}, {CB_F32, 12, 32, 8, edge_f32_12_8},
    {CB_F64, 14, 16, 4, edge_f64_14_4}, {CB_F64, 14, 16, 8, edge_f64_14_8},
};
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

/* ---- Whether they give what the kernel gives ------------------------------------------------- */

static bool usable[EDGES];

static void fill(cb_dtype dtype, void *data, int count) {
    uint32_t state = 12345;
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        cbi_store(dtype, (char *)data + i * (int)cb_dtype_size(dtype),
                  (double)(state >> 8) / 16777216.0 - 0.5);
    }
}

static bool gives_the_same(const edge *e, const cbi_microkernel *kernel, bool accumulate) {
    double x[MOST_TALL * TRIED_DEPTH] __attribute__((aligned(64)));
    double w[MOST_WIDTH * TRIED_DEPTH] __attribute__((aligned(64)));
    double y[2][MOST_TALL * MOST_WIDTH] __attribute__((aligned(64)));
    fill(e->dtype, x, MOST_TALL * TRIED_DEPTH);
    fill(e->dtype, w, MOST_WIDTH * TRIED_DEPTH);
    fill(e->dtype, y[0], MOST_TALL * MOST_WIDTH);
    fill(e->dtype, y[1], MOST_TALL * MOST_WIDTH);
    if (kernel->row_major)
        kernel->run(e->tall, e->width, TRIED_DEPTH, x, w, accumulate, y[0], e->width, 1);
    else
        kernel->run(e->width, e->tall, TRIED_DEPTH, w, x, accumulate, y[0], 1, e->width);
    e->run(TRIED_DEPTH, x, w, accumulate, y[1], e->width);
    return memcmp(y[0], y[1], (size_t)(e->rows * e->width) * cb_dtype_size(e->dtype)) == 0;
}

static void try_out(void) {
    for (int i = 0; i < EDGES; i++) {
        const cbi_microkernel *kernel = cbi_microkernel_of(edges[i].dtype);
        int64_t tall = kernel->row_major ? kernel->rows : kernel->columns;
        int64_t width = kernel->row_major ? kernel->columns : kernel->rows;
        usable[i] = kernel->usable && tall == edges[i].tall && width == edges[i].width &&
                    gives_the_same(&edges[i], kernel, false) &&
                    gives_the_same(&edges[i], kernel, true);
    }
}

bool cbi_edge_multiply(cb_dtype dtype, int64_t rows, int64_t depth, const void *x, const void *w,
                       bool accumulate, void *y, int64_t row_stride) {
    static pthread_once_t tried = PTHREAD_ONCE_INIT;
    pthread_once(&tried, try_out);
    for (int i = 0; i < EDGES; i++)
        if (usable[i] && edges[i].dtype == dtype && edges[i].rows >= rows) {
            edges[i].run(depth, x, w, accumulate, y, row_stride);
            return true;
        }
    return false;
}
