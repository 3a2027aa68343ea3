/* Products with weights that are packed once and used many times.

   A stock GEMM call copies its operands into the order its microkernel reads them in, every time.
   In a recurrent network the weights of a step are the same at every time step, and copying them
   costs a third of the product. Here they are packed once, and BLIS's own microkernel for the CPU
   runs on them, or a kernel of ours for the same panels (tiles.h). */
#ifndef CEREBRA_TENSOR_GEMM_PACKED_H
#define CEREBRA_TENSOR_GEMM_PACKED_H

#include "tensor/kernels.h"

/* BLIS's microkernel for a dtype: C (+)= A B for one tile. A is a panel of k columns of `rows`
   elements, B one of k rows of `columns` elements, both contiguous and zero-padded. */
typedef struct cbi_microkernel {
    int64_t rows, columns; /* of a tile */
    /* In which pieces BLIS's own calls add up products: of `depth`, and what is left as one when it
       is no deeper than `most_depth`. */
    int64_t depth, most_depth;
    bool usable;    /* whether there is one */
    bool row_major; /* whether tiles are written along rows */
    void (*run)(int64_t m, int64_t n, int64_t k, const void *a, const void *b, bool accumulate,
                void *c, int64_t row_stride, int64_t column_stride);
} cbi_microkernel;
const cbi_microkernel *cbi_microkernel_of(cb_dtype dtype);

/* Whether products over packed operands can use the kernel: BLIS has one for the CPU, of a known
   kind. */
bool cbi_packed_usable(cb_dtype dtype);

/* Weights [k, n] packed in panels. */
typedef struct cbi_packed {
    cb_dtype dtype;
    int64_t k, n;
    int64_t width; /* of a panel, in columns of the weights */
    char *panels;
} cbi_packed;

/* Bytes that packing weights [k, n] takes. */
size_t cbi_packed_bytes(cb_dtype dtype, int64_t k, int64_t n);
/* Describes packed weights in memory of that size, 64-byte aligned; the panels are not filled in
 * yet. */
cbi_packed cbi_packed_in(cb_dtype dtype, int64_t k, int64_t n, void *memory);
/* Fills columns [first, first + count) of the packed weights from a [k, count] matrix of any
   strides, in rows [top, top + depth) of k: several matrices can be packed side by side and on top
   of each other. Split over threads. */
void cbi_pack(const cbi_packed *packed, int64_t top, int64_t depth, int64_t first, int64_t count,
              cbi_matrix source);

/* Number of panels. */
int64_t cbi_packed_panels(const cbi_packed *packed);

/* Rows of activations that the kernel multiplies at once. */
int64_t cbi_packed_rows(cb_dtype dtype);
/* Bytes that packing `rows` rows of k activations takes. */
size_t cbi_packed_rows_bytes(cb_dtype dtype, int64_t rows, int64_t k);
/* Packs rows x [rows, depth], of any strides, as columns [top, top + depth) of the packed
   activations [rows, k]. On the calling thread. */
void cbi_pack_rows(cb_dtype dtype, int64_t rows, int64_t k, int64_t top, int64_t depth,
                   cbi_matrix x, void *memory);
/* y = x W, or y += x W, for panels [begin, end) of the weights: y [rows, n], row_stride apart, from
   packed rows. What is computed of an element does not depend on the panels or on the other rows.
   On the calling thread. */
void cbi_packed_multiply(const cbi_packed *weights, int64_t begin, int64_t end, int64_t rows,
                         const void *packed_rows, bool accumulate, void *y, int64_t row_stride);

#endif
