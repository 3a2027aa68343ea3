/* How a traced step is run over a sequence: where each value lies, and in which order what is
   computed.

   Two lists of instructions, one for a step forward and one for a step backward. A product covers
   all rows of a tile at once; between products, the other instructions form programs that are run
   row by row, each instruction over all columns of the row, so that what passes between them stays
   in the L1 cache. That is fusion: no elementwise value that is used in its own program only is
   ever in memory.

   Values that the backward step needs are kept for all time steps, unless they can be computed
   again from what is kept anyway (tanh of a cell state). Sums over the batch are not formed while
   the loop runs: their operands are kept, and one product over all steps forms them after it. */
#ifndef CEREBRA_AUTOGRAD_SCAN_PLAN_H
#define CEREBRA_AUTOGRAD_SCAN_PLAN_H

#include "autograd/scan/graph.h"

/* How many time steps a buffer holds. */
typedef enum cbi_span {
    CBI_ONE_STEP,   /* the present one */
    CBI_TWO_STEPS,  /* the present and the next one: gradients of states */
    CBI_ALL_STEPS,  /* all: kept for the backward pass, or for the sums after it */
    CBI_ALL_STATES, /* all, and the initial state before them */
    CBI_OUTSIDE,    /* it is not the plan's: an import with rows */
    CBI_GIVEN,      /* the gradient of state 0 from outside, for all states */
} cbi_span;

/* A matrix of `columns` columns with a row for each sequence, at one or more time steps. */
typedef struct cbi_buffer {
    cbi_span span;
    int64_t columns;
    int index;     /* of a state or an import: its number */
    bool backward; /* whether the backward pass writes it */
    /* Of a forward buffer that the backward pass may overwrite: the buffer in whose columns it can
       lie from the first on, see reuse.c; -1: none. */
    int home;
    int64_t home_column;
} cbi_buffer;

/* Where an operand lies, from a column on: in a buffer's row, in a register of the running program,
   or in a vector that all rows share. */
typedef struct cbi_place {
    int buffer; /* its number, or one of the below */
    int later;  /* of a buffer with several steps: 1 for the step after the present one */
    int name;   /* of a register: its number; of a shared vector: the import's */
    int64_t
        column; /* the first column; of a register: the first element of the program's registers */
} cbi_place;
enum { CBI_REGISTER = -1, CBI_SHARED = -2, CBI_UNPLACED = -3 };

typedef enum cbi_code {
    CBI_RUN_PRODUCT, /* out = in[0] times packed weights `weights`, for all rows */
    CBI_RUN_KERNEL,  /* out = op(in...) */
    CBI_RUN_SPREAD,  /* out = the one column of in[0], or parameters[0], in every column */
    CBI_RUN_SUM,     /* out = sum of in[0] over columns */
    CBI_RUN_MAX,
    CBI_RUN_MIN,
} cbi_code;

typedef struct cbi_instruction {
    cbi_code code;
    int value;       /* of the graph, for people */
    int64_t columns; /* of what is computed */
    cbi_place out;
    int count;
    cbi_place in[CBI_MAP_INPUTS];
    int64_t depth; /* of a product: columns of in[0] */
    int weights;   /* of a product: its number in the plan's weights */
    double parameters[2];
    const cbi_elementwise *op;
} cbi_instruction;

typedef struct cbi_program {
    int count, room;
    cbi_instruction *list;
    int64_t register_columns; /* of all registers together */
} cbi_program;

/* The matrices of a product, packed as one of [depth, columns]; see CBI_PRODUCT for their grid. */
typedef struct cbi_weights {
    int value;     /* the product */
    bool backward; /* whether the backward pass multiplies with it */
    int64_t depth, columns;
} cbi_weights;

typedef struct cbi_plan {
    cbi_graph *graph;
    int weights_count;
    cbi_weights *weights;
    int buffer_count, buffer_room;
    cbi_buffer *buffers;
    int state_buffer[CBI_GRAPH_STATES];    /* the states */
    int gradient_buffer[CBI_GRAPH_STATES]; /* their gradients */
    int given_buffer;
    cbi_program forward, backward;
    cbi_place *place[2]; /* of each value, in the forward and the backward step */
} cbi_plan;

/* Plans a graph without a reason; the graph is the plan's from then on. NULL when there is no
 * memory. */
cbi_plan *cbi_plan_new(cbi_graph *graph);
void cbi_plan_free(cbi_plan *plan);

/* Where a value can be read, in the forward (0) or the backward (1) step. */
cbi_place cbi_plan_place(const cbi_plan *plan, int value, int pass);

static inline bool cbi_same_place(cbi_place a, cbi_place b) {
    return a.buffer == b.buffer && a.later == b.later && a.name == b.name && a.column == b.column;
}

#endif
