/* A symbolic tape: ops work out shapes, note themselves and compute nothing.

   It is what the step of a recurrence runs on to be looked at. Its tensors have strides and point
   to memory that reads as zeros, so that views can be told from where they point to, and that knows
   whether anybody has read it: what a step computes may then depend on elements. Generators that
   ops draw from stay as they are; the trace notes what was drawn. */
#ifndef CEREBRA_AUTOGRAD_TRACE_H
#define CEREBRA_AUTOGRAD_TRACE_H

#include "autograd/tape_internal.h"
#include "autograd/unread.h"

/* A generator that the step drew from. */
typedef struct cbi_trace_draw {
    cb_random *generator;
    cb_random start; /* as it was when the step first drew, and is again after it */
    int64_t count;   /* numbers drawn from it */
} cbi_trace_draw;

/* What a step does with a generator that a compiled one cannot do. */
typedef enum cbi_trace_fault {
    CBI_TRACE_GOOD,
    CBI_TRACE_OWN_GENERATOR,  /* draws from one that is gone when the step returns */
    CBI_TRACE_SETS_GENERATOR, /* sets or moves one itself */
} cbi_trace_fault;

typedef struct cbi_trace {
    int count, room;
    cb_node **nodes; /* each after its inputs; a node's index is its place here */
    int draw_count, draw_room;
    cbi_trace_draw *draws;
    cbi_unread unread;
    const void *caller; /* of the step: a frame above all of its own; NULL: no step is running */
    cbi_trace_fault fault;
} cbi_trace;

/* A tape with a trace, ended by cb_tape_free; NULL when there is no memory. */
cb_tape *cbi_tape_new_symbolic(void);
/* A leaf: a tensor of that shape without elements, row-major. Poisoned, recorded, on failure. */
cb_tensor *cbi_symbol(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape);

/* Sorts the nodes from the number `first` on into an order that follows from the equations alone:
   what the outputs are computed from, depth first and in the order of the inputs; last, as it came,
   what they are not computed from. An output may be NULL: none. In f(a) * g(b), C leaves to the
   compiler which call comes first. False when there is no memory. */
bool cbi_trace_sort(cb_tape *tape, int first, int count, cb_tensor *const *outputs);

/* For the tape itself. Notes a node; false when there is no memory. */
bool cbi_trace_note(cbi_trace *trace, cb_node *node);
/* Memory for a tensor of so many bytes to point to; NULL when there is none. */
void *cbi_trace_memory(cbi_trace *trace, size_t bytes);
/* The state to draw count numbers with; false when there is no memory to note it. */
bool cbi_trace_draw_numbers(cbi_trace *trace, cb_random *generator, int64_t count,
                            cb_random *state);
/* Around the step: what it draws moves generators as it does op by op, so that one that it moves
   itself is found out; then they are put back. caller: the frame of who calls the step. */
void cbi_trace_step_begins(cbi_trace *trace, const void *caller);
void cbi_trace_step_ends(cbi_trace *trace);
/* Empties the trace, for the tape's reset; frees it. */
void cbi_trace_reset(cbi_trace *trace);
void cbi_trace_free(cbi_trace *trace);

#endif
