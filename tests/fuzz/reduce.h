/* Making a failing program smaller for as long as it fails (delta debugging, Zeller 1999): values,
   states, weights, what the run has, sizes. */
#ifndef CEREBRA_TESTS_FUZZ_REDUCE_H
#define CEREBRA_TESTS_FUZZ_REDUCE_H

#include "program.h"

/* Whether a program fails in the way that is looked for. */
typedef bool reduce_predicate(const program *p, void *context);

/* Reduces p, which fails, in at most so many calls of the predicate or so many seconds; 0: any
   number. Returns how many calls it took. What is left fails too. */
int program_reduce(program *p, reduce_predicate *fails, void *context, int most_calls,
                   double seconds);

/* What the reducer makes smaller. */
int64_t program_cost(const program *p);

#endif
