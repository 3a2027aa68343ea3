/* Random graphs: a forward part and a part that is computed from cotangents, as a gradient is. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_RANDOM_GRAPH_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_RANDOM_GRAPH_H

#include "autograd/compiler/graph.h"

/* Ended by cbi_graph_free. */
cbi_graph *random_graph(cb_random *random);

/* For graphs written by hand: an empty one whose states, row inputs and captured matrices have
   these sizes, [rows, columns] of a matrix; every output has the type of its state. */
cbi_graph *graph_with(int states, const int64_t *state_size, int row_inputs,
                      const int64_t *row_input_size, int captured, const int64_t (*shape)[2]);
int leaf_of(cbi_graph *graph, cbi_kind kind, int index);
/* Rows of k elements times a captured matrix [k, n], or its transpose [n, k]. */
int product_with(cbi_graph *graph, int left, int captured, bool transposed);
int binary(cbi_graph *graph, const cbi_elementwise *op, int a, int b);
int unary(cbi_graph *graph, const cbi_elementwise *op, int a);
void add_term(cbi_graph *graph, int captured, int value, cbi_view place);

#endif
