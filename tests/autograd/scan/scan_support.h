/* What the tests of the compiler's passes share: tracing a small body, and looking at graphs. */
#ifndef CEREBRA_TESTS_SCAN_SUPPORT_H
#define CEREBRA_TESTS_SCAN_SUPPORT_H

#include "autograd/scan/plan.h"

/* Traces a step in f64 on x with `input` columns, states of `hidden` columns and weights of the
   given shapes [rows, columns] (0 columns: a vector). Fails the test when there is a reason. */
cbi_graph *traced(cbi_step *step, int64_t input, int64_t hidden, int states, int weights,
                  int64_t (*shapes)[2]);

/* Number of live values of a kind: of the forward (0) or the backward (1) step. */
int live_count(cbi_graph *graph, int pass, cbi_kind kind);
/* The k-th of them, in order. */
const cbi_value *live_value(cbi_graph *graph, int pass, cbi_kind kind, int k);
/* Extent 0 or 1 of the matrix that a value imports. */
int64_t matrix_extent(const cbi_graph *graph, int value, int axis);

#endif
