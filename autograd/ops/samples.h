/* Short forms for what an op's declaration lists: inputs of gradient-checker samples, options. */
#ifndef CEREBRA_AUTOGRAD_OPS_SAMPLES_H
#define CEREBRA_AUTOGRAD_OPS_SAMPLES_H

#include <cerebra/op.h>

/* clang-format off */
/* SHAPED(rank, extents...): uniform in [-2, 2). */
#define SHAPED(rank, ...) {rank, {__VA_ARGS__}, -2, 2, CB_NO_KINK, false, false}
/* The same, laid out with its axes reversed in memory. */
#define STRIDED(rank, ...) {rank, {__VA_ARGS__}, -2, 2, CB_NO_KINK, false, true}
/* Whole numbers below `below`. */
#define INDICES(below, rank, ...) {rank, {__VA_ARGS__}, 0, below, CB_NO_KINK, true, false}
/* clang-format on */
#define SAMPLES(array) .samples = array, .sample_count = (int)(sizeof(array) / sizeof(array[0]))
#define OPTIONS(array) .option_list = array, .option_count = (int)(sizeof(array) / sizeof(array[0]))

#endif
