/* The cross entropy's op, for the function that users call (losses.c). */
#ifndef CEREBRA_AUTOGRAD_OPS_CROSS_ENTROPY_H
#define CEREBRA_AUTOGRAD_OPS_CROSS_ENTROPY_H

#include <cerebra/ops.h>

/* The terms of a cross entropy before they are weighted and reduced, one for each target, 0 for the
   ignored ones: those equal to the first index of the list. Of the options, target, ignored
   and label_smoothing are read. logits [..., C], C > 0, f32 or f64, and target [...], i32
   or i64, have been checked. CB_ERROR_INDEX when a target is outside 0..C-1 and not ignored. */
cb_tensor *cbi_cross_entropy_terms(cb_tensor *logits, const cb_cross_entropy_options *options);

#endif
