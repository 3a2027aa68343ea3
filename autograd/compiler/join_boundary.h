/* Boundary tensors that go together become one. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_JOIN_BOUNDARY_H
#define CEREBRA_AUTOGRAD_COMPILER_JOIN_BOUNDARY_H

#include "autograd/compiler/graph.h"

/* Changes both graphs of a split trace, as they were lowered: output k of the sequence's is row
   input k of the step's, before and after. False when there is no memory. */
bool cbi_join_boundary(cbi_graph *sequence, cbi_graph *step);

#endif
