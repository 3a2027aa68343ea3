/* A step of a recurrence as a graph that can be looked at and changed: what tracing gives and what
   the passes work on.

   A value is either a matrix with a row for each sequence of the batch, [batch, columns], or shared
   by all of them. The batch's size is not known to the graph. Values are numbered in an order in
   which each comes after its inputs. */
#ifndef CEREBRA_AUTOGRAD_SCAN_GRAPH_H
#define CEREBRA_AUTOGRAD_SCAN_GRAPH_H

#include "autograd/elementwise.h"

#include "autograd/tape_internal.h"

typedef enum cbi_kind {
    CBI_IMPORT,        /* computed outside of the step, from x or weights: import number `index` */
    CBI_STATE,         /* state number `index` before the step */
    CBI_SEED,          /* the gradient of state number `index` after the step */
    CBI_CONSTANT,      /* parameters[0] everywhere, in as many columns as the value that it stands
                          for, or in one where only elementwise ops read it */
    CBI_ELEMENTWISE,   /* op(in...), inputs of one column broadcast */
    CBI_PRODUCT,       /* in[0] times the matrix imports in[1], in[2], ..., a grid of them that is
                          `across` wide, row after row: side by side, and on top of each other */
    CBI_PART,          /* columns [start, start + columns) of in[0] */
    CBI_JOIN,          /* inputs side by side */
    CBI_ROW_SUM,       /* sum over columns: one column */
    CBI_ROW_MAX,       /* largest over columns */
    CBI_ROW_MIN,       /* smallest over columns */
    CBI_BATCH_PRODUCT, /* in[0]' in[1], summed over the batch: the gradient of a matrix */
    CBI_BATCH_SUM,     /* in[0] summed over the batch */
} cbi_kind;

typedef struct cbi_value {
    cbi_kind kind;
    bool rows;       /* whether it has a row for each sequence */
    int64_t columns; /* of an imported matrix: all elements */
    int count;
    int *in;
    int index;
    int64_t start;
    int across;
    const cbi_elementwise *op;
    double parameters[2];
} cbi_value;

/* Something that the step uses and that is computed before the recurrence runs. */
typedef struct cbi_import {
    cb_tensor *traced; /* on the trace's tape */
    bool rows;         /* computed from x: a row for each sequence and time step */
    int gradient_count;
    int *gradients; /* values whose sum is its gradient at one step */
} cbi_import;

/* What was done to a graph so far, for people. */
typedef struct cbi_pass_counts {
    int shared;     /* ops of the step that were applied before to the same inputs */
    int regrouped;  /* sums of three terms or more, put in another order */
    int equal;      /* values that were there already, and are computed once */
    int simplified; /* elementwise values that another one stands for, or that are a constant */
    int narrowed;   /* elementwise values that are computed part by part */
} cbi_pass_counts;

#define CBI_GRAPH_STATES  8
#define CBI_GRAPH_IMPORTS 256
#define CBI_GRAPH_WEIGHTS 32
#define CBI_GRAPH_OPTIONS 512

typedef struct cbi_graph {
    cb_dtype dtype;
    /* The extents that stand for the batch in the trace, and in the one that it is compared with:
       primes that nothing given has. */
    int64_t batch, other_batch;
    cb_tape *trace;                                              /* owns the traced tensors */
    cb_tensor *x;                                                /* on it */
    cb_tensor *state[CBI_GRAPH_STATES], *seed[CBI_GRAPH_STATES]; /* on it */
    int weight_count;
    cb_tensor **weights; /* on it; NULL where there is none */
    int state_count;
    int64_t state_size[CBI_GRAPH_STATES];
    int next[CBI_GRAPH_STATES];           /* values: the states after the step */
    int state_gradient[CBI_GRAPH_STATES]; /* values: the gradients of the states before it; -1: 0 */
    int import_count;
    cbi_import *imports;
    int value_count, value_room;
    cbi_value *values;
    int forward_count; /* values below this number are computed without seeds */
    bool repeats;      /* what cbi_step_repeats says of the step */
    bool collides;     /* something else of the step has the extent that stands for the batch */
    char reason[256];  /* why there is no graph; "" when there is one */
    cbi_pass_counts counts;
} cbi_graph;

/* A recurrence's step in plain ops; see cb_cell. */
typedef void cbi_step(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next);

/* Traces a step and its gradient. weights: the tensors that it will be run with, for their shapes
   (NULL: none); x has input columns. NULL when there is no memory; a graph with a reason when the
   step cannot be compiled. Ends with cbi_graph_free. */
cbi_graph *cbi_graph_trace(cbi_step *step, cb_dtype dtype, int64_t input, int state_count,
                           const int64_t *state_size, int weight_count, cb_tensor *const *weights);
void cbi_graph_free(cbi_graph *graph);

/* Most inputs that a value has. */
enum { CBI_GRAPH_INPUTS = 65 };

/* Adds a value unless an equal one is there; returns its number, -1 when there is no memory. in is
   copied. Constants are folded and identities dropped, so that the number may be an input's. */
int cbi_graph_add(cbi_graph *graph, cbi_value value);
/* Whether a step that was traced, and gave next, does the same when it is called again for another
   number of sequences (repeat.c). Says if the graph collides. False, recorded on the trace, when
   there is no memory. */
bool cbi_step_repeats(cbi_graph *graph, cbi_step *step, cb_tensor *const *next);
/* The options of a traced op, of CBI_GRAPH_OPTIONS bytes at most, with another extent in the place
   of the batch's: shapes are all that it stands in, as a number of 64 bits. */
void cbi_fit_options(const cbi_graph *graph, const cb_node *node, int64_t batch, void *options);
/* Whether a traced tensor depends on a state or on a seed. */
bool cbi_follows_state(const cbi_graph *graph, cb_node *node);
/* The value that stands for a traced tensor computed outside (hoist.c): -1 when there is no memory.
   rows: whether it has a row for each sequence; columns: of a row, or all elements. */
int cbi_graph_import(cbi_graph *graph, cb_tensor *traced, bool rows, int64_t columns);
/* The same tensor with sums in another order, so that what does not follow the state is one term or
   two of them; see regroup.c. */
cb_tensor *cbi_regroup(cbi_graph *graph, cb_tensor *traced);
/* Reads what is traced on the tape into values; see read.c. -1, with a reason, on failure.
 */
int cbi_graph_read(cbi_graph *graph, cb_tensor *traced);
/* Reads the gradient of an import: a sum of values. False, with a reason, on failure. */
bool cbi_graph_read_sum(cbi_graph *graph, cb_tensor *traced, int import);

/* The value that one not yet added reduces to, or -1 when it does not; see simplify.c. */
int cbi_graph_simpler(cbi_graph *graph, const cbi_value *value);
/* Counts what reads each value, in the graph and as its results: 0 for dead values. */
void cbi_graph_count_uses(cbi_graph *graph, int *uses);

/* ---- Passes over the whole graph; see the file of each ----------------------------------------
 */

/* A graph while it is rewritten: its old values, how often each is used, and the numbers of what
   took their places. */
typedef struct cbi_rewrite {
    cbi_graph *graph;
    int old_count;
    const cbi_value *old;
    int *uses, *number;
    void *context;
} cbi_rewrite;
/* Adds what takes an old value's place and returns its number, -1 when there is no memory. Called
   in order, so that the old value's inputs have theirs; not for dead values. */
typedef int cbi_replace(cbi_rewrite *rewrite, int old);
/* The replacement that changes nothing. */
int cbi_rewrite_copy(cbi_rewrite *rewrite, int old);
/* Rewrites all values that something follows from. False when there is no memory: the graph can
   only be freed then. */
bool cbi_graph_rewrite(cbi_graph *graph, cbi_replace *replace, void *context);

/* Drops what nothing follows from (simplify.c). */
bool cbi_graph_drop_dead(cbi_graph *graph);
/* Makes one product of several (merge.c). */
bool cbi_graph_merge(cbi_graph *graph);
/* Computes part by part what is read part by part (narrow.c). */
bool cbi_graph_narrow(cbi_graph *graph);

#endif
