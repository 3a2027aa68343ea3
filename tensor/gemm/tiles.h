/* Tiles of other shapes than those of BLIS's microkernel, for products over packed operands; see
   tiles.c. */
#ifndef CEREBRA_TENSOR_GEMM_TILES_H
#define CEREBRA_TENSOR_GEMM_TILES_H

#include "tensor/gemm/packed.h"

enum { CBI_WIDE = 4 }; /* panels of weights side by side, of a wide tile */

/* y (+)= x w for the first `rows` rows of a panel x of activations and `panels`, 1 or CBI_WIDE,
   panels of weights, panel_stride elements apart from each other; y's rows are row_stride apart.
   Bit for bit what BLIS's microkernel computes, panel by panel, except for which NaN a NaN is.
   Computes `computed` rows. */
typedef struct cbi_tile_kernel {
    cb_dtype dtype;
    int64_t tall, width; /* of the panels, as BLIS's microkernel has them */
    int64_t panels, computed;
    void (*run)(int64_t depth, const void *x, const void *w, int64_t panel_stride, bool accumulate,
                void *y, int64_t row_stride);
} cbi_tile_kernel;

/* The tile that computes the fewest rows from `rows` on, with so many panels; NULL where there is
   none, and where it does not give the same bits. */
const cbi_tile_kernel *cbi_tile_kernel_of(cb_dtype dtype, int64_t panels, int64_t rows);

#endif
