/* Ops that are applied as they are, as the compiler finds them and the runtime applies them. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_CALL_SITE_H
#define CEREBRA_AUTOGRAD_COMPILER_CALL_SITE_H

#include <cerebra/tensor.h>

/* An axis of a traced tensor within a row. The batch's axis may have come together with others by
   a reshape: its extent is then major * batch * extent. */
typedef struct cbi_axis {
    bool batch;
    int64_t major, major_stride; /* 1 of an axis that is not the batch's */
    int64_t extent, stride;
} cbi_axis;

/* The number of the batch's axis; -1: there is none. */
static inline int cbi_batch_axis(int rank, const cbi_axis *axes) {
    for (int i = 0; i < rank; i++)
        if (axes[i].batch)
            return i;
    return -1;
}

/* A tensor that goes in or comes out: a node of the trace, with its axes. Its elements, less the
   batch's axis, are in the order of a value. */
typedef struct cbi_call_input {
    int node;
    int rank;
    cbi_axis axis[CB_MAX_RANK];
} cbi_call_input;

/* Nodes of the trace that are applied in order, the last of which gives the result, on inputs that
   are the value's. */
typedef struct cbi_call_site {
    int count;
    const int *nodes;
    const cbi_call_input *inputs; /* as many as the value has */
    cbi_call_input output;
    bool by_rows; /* to some rows at a time; else to the whole batch */
} cbi_call_site;

#endif
