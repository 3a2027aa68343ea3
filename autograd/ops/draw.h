/* Filling memory with the random numbers of a draw, for ops that take them (random.c, dropout.c).
 */
#ifndef CEREBRA_AUTOGRAD_OPS_DRAW_H
#define CEREBRA_AUTOGRAD_OPS_DRAW_H

#include <cerebra/op.h>

typedef enum cbi_distribution { CBI_UNIFORM, CBI_NORMAL, CBI_BERNOULLI } cbi_distribution;

/* out[0..n) of dtype f32 or f64: the numbers of a draw from its element `first` on. first and
   second are low and high, mean and standard deviation, or the probability of 1 (random.h).
   CB_ERROR_MEMORY, recorded, when there is no scratch memory. */
cb_status cbi_fill_drawn(const cb_call *call, const cb_draw *draw, cbi_distribution distribution,
                         double first, double second, cb_dtype dtype, int64_t n, void *out);

#endif
