/* Graphs made by hand: of a step with one captured tensor, one row input and one state, all f64. */
#ifndef CEREBRA_TESTS_AUTOGRAD_COMPILER_SMALL_GRAPH_H
#define CEREBRA_TESTS_AUTOGRAD_COMPILER_SMALL_GRAPH_H

#include "autograd/compiler/graph.h"

enum { CBT_N = 4, CBT_CAPTURED = 256 };

/* The graph and its leaves, x [4], h [4] and w [256]. The output is h and has no gradient; the
   forward step ends with cbt_begin_gradient, which adds the cotangent of h. */
typedef struct cbt_small {
    cbi_graph *graph;
    int x, h, w, cotangent;
} cbt_small;

cbt_small cbt_small_new(void);
void cbt_begin_gradient(cbt_small *s);
/* Makes a value the state after the step: 4 elements. */
void cbt_set_output(cbt_small *s, int value);
/* Adds a term of the gradient of w: where its elements go begins at offset. */
void cbt_add_term(cbt_small *s, int value, int64_t offset);

int cbt_unary(cbt_small *s, const cbi_elementwise *op, int a);
int cbt_binary(cbt_small *s, const cbi_elementwise *op, int a, int b);
/* A value times the matrix [its count, n] that begins at an offset of w. */
int cbt_product(cbt_small *s, int left, int64_t n, int64_t offset);
/* The sum over rows of a (as a column) times b (as a row). */
int cbt_outer(cbt_small *s, int a, int b);
/* Two values one after the other, with `gap` zeros between them. */
int cbt_pair(cbt_small *s, int a, int64_t gap, int b);

/* How many values of a kind a result follows from; the last of them, -1: none. */
int cbt_count_kind(const cbt_small *s, cbi_kind kind, int *last);

#endif
