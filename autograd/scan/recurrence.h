/* Running a plan over a sequence. */
#ifndef CEREBRA_AUTOGRAD_SCAN_RECURRENCE_H
#define CEREBRA_AUTOGRAD_SCAN_RECURRENCE_H

#include "autograd/scan/plan.h"
#include "tensor/packed.h"

/* What a plan is run on. Steps are numbered in the order in which they run: step s is at time s, or
   at time T - 1 - s in reverse. */
typedef struct cbi_recurrence {
    const cbi_plan *plan;
    int64_t time, batch;
    bool reverse;
    bool keep;                 /* the backward pass will follow */
    bool overwritten;          /* it has, and overwrote what was kept */
    cb_tensor *const *imports; /* with rows: [time x batch, columns] or, through rows_of, a table of
                                  rows; others as traced. Rows and vectors are contiguous */
    const int64_t *row_of;     /* [time, batch]: the row of an import with rows; NULL: in order */
    const int64_t *lengths;    /* [batch]: steps in time that count; NULL: all */
    cb_tensor *const *initial; /* the states to start from, [batch, columns], contiguous */
    char **buffers;            /* memory of each of the plan's buffers; see cbi_recurrence_bytes */
    cbi_packed *packed;        /* room for one of each of the plan's weights */
    char **weights;    /* memory for each of the plan's weights that the pass multiplies with */
    char *scratch;     /* cbi_recurrence_scratch bytes */
    const char *given; /* backward: the gradient of state 0, ordered as its buffer */
    cb_tensor *const
        *final; /* backward: the gradients of the last states but state 0; NULL: zeros */
} cbi_recurrence;

/* Bytes of a buffer for this run; 0 for those that lie elsewhere. */
size_t cbi_recurrence_bytes(const cbi_recurrence *run, int buffer);
/* Whether a buffer's memory is of use only from the backward pass on. */
bool cbi_recurrence_is_backward(const cbi_recurrence *run, int buffer);
/* Whether the backward pass overwrites what the forward pass has kept: the forward pass must be run
   again before another backward pass. */
bool cbi_recurrence_overwrites(const cbi_recurrence *run);
/* Bytes of scratch memory for all threads. */
size_t cbi_recurrence_scratch(const cbi_recurrence *run);
/* Bytes for one of the plan's weights, packed. */
size_t cbi_recurrence_weights(const cbi_recurrence *run, int weights);

/* Runs all steps forward. State 0 is left in its buffer, [time + 1, batch, columns] in the order of
   time: the initial state is the first, or in reverse the last. */
void cbi_recurrence_forward(const cbi_recurrence *run);
/* State i after the last step, [batch, columns]. */
const char *cbi_recurrence_last(const cbi_recurrence *run, int i);
/* Runs all steps backward; the gradients of the initial states are left in theirs, at step 0. */
void cbi_recurrence_backward(const cbi_recurrence *run);
/* The buffer that becomes, in the order of time, the gradient of an import with rows, so that it
   can be placed where that gradient is wanted; -1 when there is no such buffer. */
int cbi_recurrence_rows_buffer(const cbi_plan *plan, int import);

/* Where the gradient of an import goes. */
typedef struct cbi_target {
    bool wanted;
    bool add;         /* to what is there */
    cb_tensor tensor; /* of the import's shape; of a matrix, with any strides */
} cbi_target;

/* Bytes of memory that forming the gradients takes. */
size_t cbi_recurrence_sums_bytes(const cbi_recurrence *run, const cbi_target *targets);
/* Forms the gradients of all imports, after the last step backward. memory: NULL when it takes
 * none.
 */
void cbi_recurrence_gradients(const cbi_recurrence *run, const cbi_target *targets, char *memory);

#endif
