/* A plan: how a graph is run over rows and steps; where each value lies, and in which order what is
   computed.

   Two programs, one for a step forward and one for a step backward. A product covers all rows of a
   tile at once, and so does an op that is applied as it is; between them, the other instructions
   run on a few rows at a time, so that what passes between them stays in the L1 cache. That is
   fusion: no elementwise value that is read in its own stage only is ever in memory.

   Values that the backward step needs, residuals, are kept for all steps, unless they can be
   computed again from what is there anyway. The gradients of matrices are not formed while the loop
   runs: their operands are kept, and one product over all steps forms each of them after it. The
   gradients of vectors are added up as the loop runs. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_PLAN_H
#define CEREBRA_AUTOGRAD_COMPILER_PLAN_H

#include "autograd/compiler/graph.h"

/* What a buffer's rows are. */
typedef enum cbi_span {
    CBI_ONE_STEP,      /* those of the present step */
    CBI_TWO_STEPS,     /* of the present and the next one: cotangents of states */
    CBI_ALL_STEPS,     /* of all steps */
    CBI_ALL_STATES,    /* of all steps, and the initial state before them */
    CBI_GIVEN_ROWS,    /* row input `index`, of all steps, in the caller's memory */
    CBI_GIVEN_OUTPUT,  /* the gradient of output `index` at each step, in the caller's memory */
    CBI_LEFT_OUTPUT,   /* output `index` of a graph without states, in the caller's memory */
    CBI_LEFT_GRADIENT, /* the gradient of row input `index`, in the caller's memory */
} cbi_span;

typedef struct cbi_buffer {
    cbi_span span;
    cb_dtype dtype;
    int64_t bytes; /* of a row */
    int index;
    bool shared;   /* one row for all sequences */
    bool backward; /* whether the backward step writes it */
    /* Of residuals that the backward step may write over: the buffer whose bytes of a row it can
       have from the first on, see alias.c; -1: none. */
    int home;
    int64_t home_offset;
} cbi_buffer;

/* Where an operand lies. */
typedef struct cbi_place {
    int buffer;     /* its number, or one of those below */
    int later;      /* of a buffer with several steps: 1 for the step after the present one */
    int name;       /* which register, captured tensor, number or accumulator */
    int64_t offset; /* bytes of a row before it */
} cbi_place;
enum {
    CBI_REGISTER = -1,    /* rows that only the running stage sees */
    CBI_SHARED = -2,      /* captured tensor `name` */
    CBI_NUMBER = -3,      /* number `name` of the plan */
    CBI_ACCUMULATOR = -4, /* sum over rows number `name` of the plan */
    CBI_UNPLACED = -5,
};

typedef enum cbi_code {
    CBI_RUN_ELEMENTWISE, /* out = op(in...) */
    CBI_RUN_COPY,        /* out = in[0], which may be a number */
    CBI_RUN_REDUCE,
    CBI_RUN_CONTRACT,
    CBI_RUN_ACCUMULATE, /* out += in[0], over rows and steps */
    CBI_RUN_PACK,       /* in[0] is packed for the products that come next */
    CBI_RUN_PRODUCT,    /* out = in[0], which is packed, times weights */
    CBI_RUN_CALL,
} cbi_code;

/* How far an operand moves with each loop over a row's elements, in bytes. */
typedef struct cbi_operand {
    cbi_place place;
    int64_t stride[CB_MAX_RANK];
} cbi_operand;

typedef struct cbi_instruction {
    cbi_code code;
    int value; /* of the graph: what it computes, or is a part of; -1: zeros */
    cb_dtype dtype;
    bool rows; /* for each row; else once a step */
    int rank;  /* of the loops over a row's elements */
    int64_t extent[CB_MAX_RANK];
    cbi_operand out;
    int count;
    cbi_operand in[CBI_MAP_INPUTS];
    const cbi_elementwise *op;
    double parameters[2];
    cbi_reduction reduction; /* of [extent[0], extent[1], extent[2]], over the second */
    int64_t groups, m, k, n; /* of a product, a contraction and of what is packed */
    int weights;             /* of a product: its number in the plan's weights */
    bool tall;               /* of a product: the m rows of all rows lie evenly, as one matrix */
    const cbi_operand *operands; /* of a call: as many as count, which may be more than above */
} cbi_instruction;

typedef struct cbi_program {
    int count, room;
    cbi_instruction *list;
    int64_t register_bytes; /* of all registers of one row */
} cbi_program;

/* The matrices of a product, packed as [groups] of [depth, columns]. */
typedef struct cbi_weights {
    int value;     /* the product */
    bool backward; /* whether the backward step multiplies with it */
    int64_t groups, depth, columns;
} cbi_weights;

/* A part of the gradient of something captured, formed after the loop. */
typedef enum cbi_sum_kind {
    CBI_SUM_PRODUCT,     /* in[0]' in[1] over all rows and steps */
    CBI_SUM_ACCUMULATED, /* what was added up in the loop */
} cbi_sum_kind;
typedef struct cbi_sum {
    cbi_sum_kind kind;
    int captured;
    int value;                       /* of the graph */
    cbi_view place;                  /* in the captured tensor */
    cbi_place in[2];                 /* of the operands' bases, in the backward step */
    int64_t offset[2], stride[2][3]; /* in elements, as [groups, k, m] and [groups, k, n] */
    int64_t groups, k, m, n;
    int accumulator;
} cbi_sum;

typedef struct cbi_accumulator {
    cb_dtype dtype;
    int64_t count;
    bool rows; /* whether a sum over rows; else over steps only */
} cbi_accumulator;

enum { CBI_PLANNINGS = 9 }; /* the planning passes, see pipeline.c */

typedef struct cbi_plan {
    cbi_graph *graph;
    bool looked_up; /* row inputs are rows of tables */
    bool whole;     /* the batch runs as one: some op sees all of its rows */
    int weights_count, weights_room, buffer_count, buffer_room, sum_count, sum_room;
    int accumulator_count, accumulator_room, number_count, number_room, temporaries;
    cbi_weights *weights;
    cbi_buffer *buffers;
    cbi_sum *sums;
    cbi_accumulator *accumulators;
    double *numbers;      /* each in the bits of its dtype */
    int *state_buffer;    /* of each state */
    int *gradient_buffer; /* of each state: its cotangents */
    cbi_program forward, backward;
    int made[CBI_PLANNINGS][2]; /* by each planning pass, in the forward and the backward step */
    cbi_place *place[2];        /* of each value's base, in the forward and the backward step */
} cbi_plan;

void cbi_plan_free(cbi_plan *plan);

/* Where a value begins, in the forward (0) or the backward (1) step, views looked through: of the
   view's base. */
cbi_place cbi_plan_place(const cbi_plan *plan, int value, int step);

static inline bool cbi_same_place(cbi_place a, cbi_place b) {
    return a.buffer == b.buffer && a.later == b.later && a.name == b.name && a.offset == b.offset;
}
static inline int64_t cbi_bytes_of(const cbi_graph *graph, int value) {
    const cbi_type *type = &graph->values[value].type;
    return cbi_count_of(type) * (int64_t)cb_dtype_size(type->dtype);
}

#endif
