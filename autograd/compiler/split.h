/* What is computed where: once for all, for all rows of all time steps at once, or step by step.

   A trace is split in two graphs. The sequence's has what depends on x and on no state: it runs
   over all rows at once, before the recurrence, or over the rows of a table in which x is looked
   up. The step's has what follows from the states. Between them are boundary tensors: given to the
   step for each row, left by the sequence. What depends on neither is captured: it is computed on
   the ordinary tape. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_SPLIT_H
#define CEREBRA_AUTOGRAD_COMPILER_SPLIT_H

#include "autograd/compiler/graph.h"
#include "autograd/compiler/traced.h"

/* One of the two graphs, as nodes of the trace. */
typedef struct cbi_part {
    int count;    /* nodes when it was split off; gradients came later */
    bool *inside; /* of each of them: computed in this graph */
    int output_count, input_count, captured_count;
    int *outputs;    /* next states, or boundary tensors */
    int *cotangents; /* of each output */
    int *inputs;     /* states and then boundary tensors, or x */
    int *captured;
    int *gradients; /* of inputs and then captured: nodes, -1 where there is none */
} cbi_part;

typedef struct cbi_split {
    cbi_traced *traced;
    cbi_part step, sequence;
    int boundary_count;
    int *boundary;    /* nodes: x itself may be one of them */
    int hoisted;      /* ops of the sequence's graph */
    int shared;       /* ops that compute what another one does */
    int reassociated; /* sums put in another order */
    bool no_memory;   /* there was not enough to split the trace */
    char reason[256]; /* why there is no use in it; "": there is */
} cbi_split;

/* Splits a trace without a reason and derives both gradients on it. The trace is the split's from
   then on. NULL when there is no memory. */
cbi_split *cbi_split_new(cbi_traced *traced);
void cbi_split_free(cbi_split *split);

/* Which gradients a run wants. */
typedef struct cbi_needs {
    bool gradients;       /* any at all */
    bool x;               /* that of x, or of the table */
    const bool *captured; /* of the captured tensor that is node i of the trace; NULL: of all */
} cbi_needs;

/* Lowers a part to a graph with the gradients that are needed; the sequence's first. of_boundary:
   for each boundary tensor, whether the step gives its gradient; set by the sequence's, read by the
   step's. NULL when there is no memory; when a result has no form in a graph, NULL and a reason. */
cbi_graph *cbi_split_lower_sequence(cbi_split *split, const cbi_needs *needs, bool *of_boundary);
cbi_graph *cbi_split_lower_step(cbi_split *split, const cbi_needs *needs, const bool *of_boundary);

#endif
