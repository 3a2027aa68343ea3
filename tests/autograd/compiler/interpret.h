/* A reference interpreter of graphs (autograd/compiler/graph.h): each value as its definition says,
   element by element, in f64. Plain and slow. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_INTERPRET_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_INTERPRET_H

#include "autograd/compiler/graph.h"

enum { INTERPRETED_ROWS = 3 };

/* Every result of a graph: outputs, gradients of states and of row inputs, row after row, and those
   of captured tensors, 0 where there is none. Row inputs, states, cotangents and captured tensors
   are numbers that follow from their place. of is ended by free(). */
typedef struct interpreted {
    int count;
    double *of;
} interpreted;

interpreted interpret(const cbi_graph *graph);

#endif
