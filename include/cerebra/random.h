/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random
   numbers: as easy as 1, 2, 3", SC 2011).

   A generator is a key and a counter, a plain value that can be copied, compared and saved. Block c
   of a key is the four 32-bit words Philox makes of the counter words {low c, high c, 0, 0} and the
   key words {low key, high key}. Every function below reads whole blocks from the counter on and
   moves the counter past them, by the number it states. So what element i of an array gets depends
   on key, counter and i alone, not on the number of threads, and an array may be filled in parts: a
   part that starts at element i, i a multiple of the elements in a block, is filled by a copy of
   the generator whose counter is ahead by i / (elements in a block).

   Results are the same, bit for bit, on every x86-64 machine, except those of cb_random_normal_f64,
   which calls the C library's sin and cos.

   n <= 0 fills nothing and leaves the generator as it was. No function is thread-safe on one
   generator; give each thread its own (cb_random_split). Not for cryptography. */
#ifndef CEREBRA_RANDOM_H
#define CEREBRA_RANDOM_H

#include <cerebra/export.h>
#include <stdbool.h>
#include <stdint.h>

CB_BEGIN_DECLS

/* A generator. Two with different keys are independent. The counter wraps after 2^64 blocks. */
typedef struct cb_random {
    uint64_t key;     /* the stream */
    uint64_t counter; /* the next block of it */
} cb_random;

/* The generator with this key, at counter 0. Seeds may be any numbers, neighbours too. */
CB_API cb_random cb_random_seed(uint64_t seed);

/* A generator independent of *random and of those split off for other streams. Its key is the first
   64 bits that Philox makes of the parent's key and the counter words {counter, stream}; its
   counter is 0. Moves the parent by 1, so that splitting again gives another generator. */
CB_API cb_random cb_random_split(cb_random *random, uint64_t stream);

/* 64 random bits. Moves the counter by 1. */
CB_API uint64_t cb_random_u64(cb_random *random);

/* A uniform integer in [0, n), without bias: draws that fall into the incomplete last multiple of n
   are rejected. n = 0 gives 0. Moves the counter by 1 for every draw, rarely more than one. */
CB_API uint64_t cb_random_below(cb_random *random, uint64_t n);

/* out[0..n) uniform in [low, high), low and high finite, low <= high; low itself where low == high.
   No result equals high, not by rounding either. f32: 4 elements a block, ceil(n / 4) blocks, steps
   of 2^-32 (high - low) before rounding; f64: 2 a block, ceil(n / 2) blocks, steps of 2^-53. */
CB_API void cb_random_uniform_f32(cb_random *random, int64_t n, float *out, float low, float high);
CB_API void cb_random_uniform_f64(cb_random *random, int64_t n, double *out, double low,
                                  double high);

/* out[0..n) normal by Box and Muller (1958): with u in (0, 1] and v in [0, 1), elements 2i and 2i+1
   are mean + stddev sqrt(-2 ln u) cos(2 pi v) and the same with sin. f32: 4 elements a block, at
   most 6.8 stddev from the mean; f64: 2 a block, at most 8.6. */
CB_API void cb_random_normal_f32(cb_random *random, int64_t n, float *out, float mean,
                                 float stddev);
CB_API void cb_random_normal_f64(cb_random *random, int64_t n, double *out, double mean,
                                 double stddev);

/* out[i] = 1 with probability p, else 0. p is rounded to a multiple of 2^-32; p <= 0 or NaN gives
   zeros, p >= 1 ones. 4 elements a block; the f32 and f64 results agree. */
CB_API void cb_random_bernoulli_f32(cb_random *random, int64_t n, float *out, double p);
CB_API void cb_random_bernoulli_f64(cb_random *random, int64_t n, double *out, double p);

/* A uniform permutation of 0 .. n-1 (Fisher and Yates). One cb_random_below for each element but
   the first. */
CB_API void cb_random_permutation(cb_random *random, int64_t n, int64_t *out);

/* k different integers of [0, n), every ordered choice equally likely, in O(k) time and memory
   whatever n is (Floyd's algorithm and a shuffle). One cb_random_below for each of the k, and one
   for each but the first in the shuffle. False, with out and the generator untouched, if n < k, n
   or k is negative, or memory runs out. */
CB_API bool cb_random_choice(cb_random *random, int64_t n, int64_t k, int64_t *out);

CB_END_DECLS

#endif
