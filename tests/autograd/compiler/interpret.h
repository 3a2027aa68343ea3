/* A reference interpreter of graphs (autograd/compiler/graph.h): each value as its definition says,
   element by element, in f64. Plain and slow. */
#ifndef CEREBRA_TESTS_INTERPRET_H
#define CEREBRA_TESTS_INTERPRET_H

#include "autograd/compiler/graph.h"

enum { INTERPRETED_ROWS = 3 };

/* Every result of a graph: outputs, gradients of states and of row inputs, row after row, and those
   of captured tensors; nodes say which is which. Row inputs, states, cotangents and captured
   tensors are numbers that follow from their node or index. Free results with free(). */
typedef struct interpreted {
    int count;
    double *of;
} interpreted;

/* nodes: how many captured tensors and row inputs there may be, numbered by their nodes. */
interpreted interpret(const cbi_graph *graph, int nodes);

#endif
