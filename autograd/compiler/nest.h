/* Loops over the elements of a row: the extents of the loops, and how far each operand moves with
   each of them. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_NEST_H
#define CEREBRA_AUTOGRAD_COMPILER_NEST_H

#include "autograd/compiler/graph.h"

enum { CBI_NEST_OPERANDS = CBI_MAP_INPUTS };

/* Strides in elements of each operand's base; the last loop is the innermost. */
typedef struct cbi_nest {
    int rank;
    int64_t extent[CB_MAX_RANK];
    int64_t stride[CBI_NEST_OPERANDS][CB_MAX_RANK];
} cbi_nest;

/* The value that views are views of, and the view of it. */
int cbi_base_value(const cbi_graph *graph, int value, cbi_view *view);
/* The strides of a view as an array of this shape; false when it is none. */
bool cbi_view_strides(const cbi_view *view, int rank, const int64_t *shape, int64_t *strides);
/* Those of an operand, read through its view. The offset of its first element comes with
   cbi_base_value. */
bool cbi_strides_of(const cbi_graph *graph, int value, int rank, const int64_t *shape,
                    int64_t *strides);
/* The loops over a row of count elements that several views go through; NULL: a number, which has
   no strides. False when there are none. */
bool cbi_nest_of_views(int64_t count, int operands, const cbi_view *const *views, cbi_nest *nest);
/* The same for the operands of a value. */
bool cbi_nest_of(const cbi_graph *graph, int64_t count, int operands, const int *in,
                 cbi_nest *nest);
/* Which operands of an elementwise value have to be copied before its kernel can read them. */
void cbi_nest_copies(const cbi_graph *graph, const cbi_value *value, bool *copied);

#endif
