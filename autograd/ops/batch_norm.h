/* Batch normalisation in training, for the module. */
#ifndef CEREBRA_AUTOGRAD_OPS_BATCH_NORM_H
#define CEREBRA_AUTOGRAD_OPS_BATCH_NORM_H

#include <cerebra/tape.h>

/* cb_batch_norm by x's own statistics, and these: [C] each, the variance that of the population, to
   be read; no gradient goes through them. x is on a tape and not poisoned. */
cb_tensor *cbi_batch_norm_training(cb_tensor *x, cb_tensor *weight, cb_tensor *bias, double epsilon,
                                   cb_tensor **mean, cb_tensor **variance);

#endif
