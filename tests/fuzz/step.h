/* The step that a program stands for, as cb_scan calls it. A step has no argument for the program,
   so it is kept in this file, per thread. */
#ifndef CEREBRA_TESTS_FUZZ_STEP_H
#define CEREBRA_TESTS_FUZZ_STEP_H

#include "program.h"

/* Makes this the program that step_call runs, with its constant tensors; the program must stay as
   it is until it is unloaded. False when memory runs out. */
bool step_load(const program *p);
void step_unload(void);

/* Resets what differs from call to call, to be called before each run: the generator that the step
   draws from, and noise. Noisy: results are changed by a few roundings where they are rounded, and
   so are gradients. */
void step_reset(bool noisy, uint64_t noise_seed);

/* A cb_scan_step. */
void step_call(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state, cb_tensor **next);

/* The elements of a constant of a program: what a printed step declares, too. */
cb_tensor *step_constant(const program *p, const value *v);
/* The seed of the generator that the step draws from. */
enum { STEP_SEED = 7 };

#endif
