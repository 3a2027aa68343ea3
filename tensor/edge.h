/* Tiles with few rows, for products over packed operands; see edge.c. */
#ifndef CEREBRA_TENSOR_EDGE_H
#define CEREBRA_TENSOR_EDGE_H

#include "tensor/packed.h"

/* The first `rows` rows of a tile, or a few more, in place of the kernel's: y (+)= x w, from a
   panel x of activations and a panel w of weights, to a whole tile with rows row_stride apart. Bit
   for bit what the kernel computes. False, and nothing done, where that is not known to be so, or
   not faster. */
bool cbi_edge_multiply(cb_dtype dtype, int64_t rows, int64_t depth, const void *x, const void *w,
                       bool accumulate, void *y, int64_t row_stride);

#endif
