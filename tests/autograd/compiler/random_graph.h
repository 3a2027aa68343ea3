/* Random graphs, as a lowering might leave them before anything is simplified: with the forms that
   passes look for, and around them everything else. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_RANDOM_GRAPH_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_RANDOM_GRAPH_H

#include "autograd/compiler/graph.h"

/* The graph of a seed, the same each time: a step with a few states or a graph without any, and its
   "gradient", which is random as well. Values are interned and not simplified. To be ended by
   cbi_graph_free. */
cbi_graph *cbt_random_graph(uint64_t seed);

/* The first seed of a test: CB_TEST_SEED of the environment, or one of the clock; printed to
   stderr with the test's name. */
uint64_t cbt_first_seed(const char *test);
/* How many seeds: CB_TEST_COUNT of the environment, or else that many. */
int cbt_seed_count(int otherwise);

#endif
