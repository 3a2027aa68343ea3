/* Lowering: how the library's ops say what they are in the terms of a graph (graph.h).

   An op's lowering describes its output, the tensor of the trace that is being lowered, by one of
   the functions below; they see to where the batch's axis is and to broadcasts. Each returns false
   when what the op does to rows has no such form: the op is then applied as it is. Views need no
   lowering: their strides say what they are. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_LOWER_H
#define CEREBRA_AUTOGRAD_COMPILER_LOWER_H

#include "autograd/ops/elementwise.h"

typedef struct cbi_lowerer cbi_lowerer;

typedef struct cbi_lowering {
    bool (*lower)(cbi_lowerer *l, const cb_call *call);
    bool (*is_cheap)(
        const cb_call *call);        /* it costs little for an element: see split.c; NULL: no */
    bool (*is_sum)(const cb_op *op); /* y = a + b; NULL: no */
    /* y has element (i, j, ...) of in[0] at (start[0] + i step[0], ...), and 0 elsewhere; NULL, or
       false: no. start and step are there, 0 and 1. */
    bool (*places)(const cb_call *call, int64_t *start, int64_t *step);
} cbi_lowering;

/* All elements are one number. */
bool cbi_lower_constant(cbi_lowerer *l, double number);
/* The elements of in[0] under the output's shape. */
bool cbi_lower_same(cbi_lowerer *l);
/* y = op(in...), broadcast. */
bool cbi_lower_elementwise(cbi_lowerer *l, const cbi_elementwise *op, const double *parameters);
/* in[0] reduced over the axes that are set. */
bool cbi_lower_reduction(cbi_lowerer *l, cbi_reduction reduction, const bool *axes);
/* in[0] times in[1], as cb_matmul. */
bool cbi_lower_matmul(cbi_lowerer *l);
/* The inputs one after the other along an axis. */
bool cbi_lower_concat(cbi_lowerer *l, int axis);
/* Element (i, j, ...) of in[0] at (start[0] + i step[0], ...), the others filled. */
bool cbi_lower_placement(cbi_lowerer *l, const int64_t *start, const int64_t *step, double fill);

#endif
