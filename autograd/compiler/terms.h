/* The gradient of what all rows share, as a sum. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_TERMS_H
#define CEREBRA_AUTOGRAD_COMPILER_TERMS_H

#include "autograd/compiler/graph.h"
#include "autograd/compiler/traced.h"

/* A node of the trace whose elements are added to those of the gradient that `place` goes through.
 */
typedef struct cbi_trace_term {
    int captured, node;
    cbi_view place;
} cbi_trace_term;

typedef struct cbi_trace_terms {
    int count, room;
    cbi_trace_term *list;
} cbi_trace_terms;

/* Adds the terms of a captured tensor's gradient, a node of the trace. False when there is no
   memory. */
bool cbi_find_terms(const cbi_traced *traced, int captured, int gradient, cbi_trace_terms *terms);

#endif
