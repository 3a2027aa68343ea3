/* Ops as a user's program declares them, for steps to use: only public headers. A step that the
   fuzzer prints includes this file when it uses one of them. */
#ifndef CEREBRA_TESTS_FUZZ_OWN_OPS_H
#define CEREBRA_TESTS_FUZZ_OWN_OPS_H

#include <cerebra/cerebra.h>

/* The largest whole number that is not above x; no gradient. */
cb_tensor *own_floor(cb_tensor *x);
/* y_i = x_0 + ... + x_i along an axis; reverse: y_i = x_i + ... + x_(n-1). */
cb_tensor *own_running_sum(cb_tensor *x, int axis, bool reverse);
/* sin x cos x, or cos x alone, by an op that gives both. */
cb_tensor *own_circle(cb_tensor *x, bool product);
/* tanh(a b + a), for cb_checkpoint. */
cb_tensor *own_squashed_product(const void *context, cb_tensor *const *inputs);
/* x (1 + size u), u random in [-1, 1] and a function of seed and place; the gradient is treated the
   same way. What rounding would do if it were done otherwise. */
cb_tensor *own_noise(cb_tensor *x, double size, uint64_t seed);

#endif
