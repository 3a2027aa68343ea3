/* Plain tensors of random elements. */
#ifndef CEREBRA_TESTS_FUZZ_DATA_H
#define CEREBRA_TESTS_FUZZ_DATA_H

#include <cerebra/cerebra.h>

/* Uniform in [-bound, bound). The caller frees it; NULL when there is no memory. */
cb_tensor *drawn(cb_dtype dtype, uint64_t seed, double bound, int rank, const int64_t *shape);
/* Whole numbers in [0, below); i32 or i64. */
cb_tensor *drawn_below(cb_dtype dtype, uint64_t seed, int64_t below, int rank,
                       const int64_t *shape);

#endif
