/* Random graphs as a lowering would leave them if nothing were simplified: with the forms that
   passes look for, and around them everything else, ops that are applied as they are among it. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_RAW_GRAPH_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_RAW_GRAPH_H

#include "autograd/compiler/graph.h"

/* The graph of a seed, the same each time: a step with a few states or a graph without any, and its
   "gradient", which is random as well. Ended by cbi_graph_free. */
cbi_graph *raw_graph(uint64_t seed);

/* The first seed of a test: CB_TEST_SEED of the environment, or one of the clock; printed to
   stderr with the test's name. */
uint64_t first_seed_of(const char *test);
/* How many seeds: CB_TEST_COUNT of the environment, or else that many. */
int seed_count(int otherwise);

#endif
