/* Loops over rows of a batch, each with elements of its own: what a compiled step runs between two
   products with weights. All on the calling thread. Distances between rows are in bytes, strides
   within a row in elements. */
#ifndef CEREBRA_TENSOR_ROW_KERNELS_H
#define CEREBRA_TENSOR_ROW_KERNELS_H

#include "tensor/kernels.h"

/* An operand: row r begins at data + r * row. */
typedef struct cbi_row_operand {
    void *data;
    int64_t row;
} cbi_row_operand;

/* out [outer, inner] = reduction over n of in [outer, n, inner], both dense within a row. Floating
   sums accumulate in double. */
void cbi_reduce_rows(cbi_reduction kind, cb_dtype dtype, int64_t rows, int64_t outer, int64_t n,
                     int64_t inner, cbi_row_operand out, cbi_row_operand in);

/* out [groups, m, n] = a [groups, m, k] b [groups, k, n] for each row; f32 or f64. out is dense, a
   and b have these strides. */
typedef struct cbi_contraction {
    int64_t groups, m, k, n;
    int64_t a_stride[3], b_stride[3];
} cbi_contraction;
void cbi_contract_rows(cb_dtype dtype, int64_t rows, const cbi_contraction *c, cbi_row_operand out,
                       cbi_row_operand a, cbi_row_operand b);

/* out = in over the loops of a row, strides in bytes; elements of `size` bytes, 4 or 8. */
typedef struct cbi_copy_loops {
    int rank;
    int64_t extent[CB_MAX_RANK], out[CB_MAX_RANK], in[CB_MAX_RANK];
} cbi_copy_loops;
void cbi_copy_rows(size_t size, int64_t rows, const cbi_copy_loops *loops, cbi_row_operand out,
                   cbi_row_operand in);

#endif
