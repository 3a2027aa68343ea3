/* Values that need not be computed; see simplify.c. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_SIMPLIFY_H
#define CEREBRA_AUTOGRAD_COMPILER_SIMPLIFY_H

#include "autograd/compiler/graph.h"

/* The number of a value with the elements of one that is not in the graph yet, and less to compute;
   -1 when there is none, or no memory. */
int cbi_simpler(cbi_graph *graph, const cbi_value *value);
/* The same for a concatenation, and for the sum of two (concat.c). */
int cbi_simpler_concat(cbi_graph *graph, const cbi_value *value);
int cbi_sum_of_concats(cbi_graph *graph, const cbi_value *sum);

#endif
