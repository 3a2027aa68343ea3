/* A reference interpreter of graphs (autograd/compiler/graph.h): each value is computed from its
   inputs by its definition, element by element, in f64, and kept. Slow, and nothing that a pass, a
   plan or a kernel of the library does to a graph is used. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_INTERPRET_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_INTERPRET_H

#include "autograd/compiler/graph.h"

/* Everything that a graph gives for some rows, one after the other: outputs, gradients of the
   states before the step, gradients of row inputs, gradients of captured tensors. A gradient that
   the graph has not is 0. */
typedef struct cbt_results {
    int64_t count;
    double *numbers;
    double largest; /* magnitude of any element of any value on the way */
} cbt_results;

/* Interprets a graph whose values are all f64. What it is given (captured tensors, row inputs,
   states, cotangents) are numbers in [-1, 1] that depend on the seed, on what they are and on their
   place only: two graphs of the same step are given the same. A call, whose op the graph does not
   say, is some function of its inputs' elements in their order. To be ended by free(numbers). */
cbt_results cbt_interpret(const cbi_graph *graph, int64_t batch, uint64_t seed);

/* Elements of value at a row, as cbt_interpret computes them: room for cbi_graph_count, or for
   `count` where the value is a number. */
void cbt_interpret_value(const cbi_graph *graph, int64_t batch, uint64_t seed, int value,
                         int64_t row, int64_t count, double *elements);

/* The place of the first number that differs by more than rounding; -1: none does. */
int64_t cbt_first_difference(const cbt_results *a, const cbt_results *b);

/* Element i of a view, in the order of its indices: its place in what it is a view of. */
int64_t cbt_view_place(const cbi_view *view, int64_t i);

#endif
