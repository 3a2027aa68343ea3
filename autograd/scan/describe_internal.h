/* Describing a recurrence as text: what the files that write its sections share. */
#ifndef CEREBRA_AUTOGRAD_SCAN_DESCRIBE_INTERNAL_H
#define CEREBRA_AUTOGRAD_SCAN_DESCRIBE_INTERNAL_H

#include "autograd/scan/recurrence.h"
#include "autograd/scan/scan_internal.h"

enum { CBI_MOST_HOISTED = 512 }; /* ops that do not depend on a state; see imports.c */

/* A description while it is written. */
typedef struct cbi_description {
    char *buffer;              /* of the caller's */
    size_t size, length, line; /* length: of the whole text, written or not; line: where its last
                                  line begins */
    const cb_scan *scan;
    const cb_scan_sizes *sizes;
    cbi_graph *graph;
    const cbi_plan *plan; /* NULL before planning */
    int hoisted_count;
    cb_tensor *hoisted[CBI_MOST_HOISTED]; /* traced, each after what it is computed from */
    int *number;                          /* of each value in the equations; 0: it has none */
} cbi_description;

/* describe.c: adds to the text; fills the line with spaces up to a column. */
void cbi_describe(cbi_description *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cbi_describe_pad(cbi_description *d, size_t column);

/* describe_step.c: what is computed outside, and the step and its gradient as equations. */
void cbi_describe_hoisted(cbi_description *d);
void cbi_describe_step(cbi_description *d);
/* The name of a traced tensor that does not depend on a state, of a value, and of a state. */
void cbi_describe_tensor(cbi_description *d, const cb_tensor *traced);
void cbi_describe_state(cbi_description *d, int state);

/* describe_plan.c: the two programs, the sums after the loop, and the buffers. */
void cbi_describe_plan(cbi_description *d);

/* describe_cost.c: floating-point operations, bytes that are kept, and bytes that are moved. */
typedef struct cbi_cost {
    double products, others, bytes; /* operations of products, of the rest; bytes moved */
} cbi_cost;
/* Of instructions [begin, end) of a program for one step. */
cbi_cost cbi_cost_of(const cbi_description *d, const cbi_program *program, int begin, int end);
void cbi_describe_cost(cbi_description *d);
/* How many rows are added up for a sum over the batch of all steps. */
int64_t cbi_summed_rows(const cbi_description *d, const cbi_value *sum);

/* The run that is described: enough of one to ask how many bytes its parts take. */
cbi_recurrence cbi_described_run(const cbi_description *d);
/* A number of bytes, or of operations, with a unit: "1.5 MB". */
void cbi_describe_amount(cbi_description *d, double amount, const char *unit);

#endif
