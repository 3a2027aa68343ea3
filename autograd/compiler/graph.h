/* A step of a recurrence as a typed graph: what a trace is lowered to and what the passes rewrite.

   A value is what one row of the batch has, or what all rows share: elements of one dtype, in
   row-major order of a shape of any rank. Which extent the batch has, and where its axis was in the
   tensors of the trace, is not known here. Only elements and their order matter to an operation; a
   shape is there for what has axes: views, reductions, products.

   Values are numbered so that each comes after its inputs. Those below forward_count are computed
   without cotangents: the forward step. The others are its gradient. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_GRAPH_H
#define CEREBRA_AUTOGRAD_COMPILER_GRAPH_H

#include "autograd/arena.h"
#include "autograd/ops/elementwise.h"

typedef enum cbi_kind {
    CBI_CAPTURED,    /* computed before the recurrence, shared by rows and steps: number `index` */
    CBI_ROW_INPUT,   /* given for each row and step: number `index` */
    CBI_STATE,       /* state number `index` before the step */
    CBI_COTANGENT,   /* the gradient of output number `index` */
    CBI_CONSTANT,    /* one element, parameters[0], that stands for any number of them */
    CBI_ELEMENTWISE, /* y_i = op(in[0]_i, in[1]_i, ...) */
    CBI_VIEW,        /* y = the elements of in[0] that `view` goes through, in its order */
    CBI_CONCAT,      /* in[k] goes to the elements of y that `places[k]` goes through; the others
                        are parameters[0] */
    CBI_REDUCE,      /* in[0] as [outer, n, inner], reduced over n */
    CBI_PRODUCT,     /* in[0] as [groups, m, k], each group times a matrix [k, n], see weights */
    CBI_CONTRACT,    /* in[0] as [groups, m, k] times in[1] as [groups, k, n], row by row */
    CBI_COPY,        /* in[0], in memory of its own in the order of its elements */
    CBI_CALL,        /* an op applied as it is, to the rows of a tile or to the whole batch */
    CBI_BATCH_SUM,   /* in[0] summed over the rows */
    CBI_BATCH_PRODUCT, /* in[0] as [groups, k, m], transposed, times in[1] as [groups, k, n], summed
                          over k and over the rows: the gradient of a matrix */
} cbi_kind;

typedef struct cbi_type {
    cb_dtype dtype;
    bool rows; /* whether each row of the batch has its own; else all share it */
    int rank;
    int64_t shape[CB_MAX_RANK];
} cbi_type;

/* Elements of a row in some order: offset + sum of index * stride, the last index fastest. Axes of
   extent 1 are left out and neighbours that can be one are, so that a run is one axis of stride 1.
 */
typedef struct cbi_view {
    int64_t offset;
    int rank;
    int64_t shape[CB_MAX_RANK], stride[CB_MAX_RANK];
} cbi_view;

/* A matrix [rows, columns] for each group, of elements of a captured tensor: element (i, j) of
   group g is the one at offset + g stride[0] + i stride[1] + j stride[2] in its row-major order. */
typedef struct cbi_weight {
    int captured;
    int64_t rows, columns, offset, stride[3];
} cbi_weight;

/* What a product multiplies with: a grid of blocks, `across` wide, row after row of the grid: side
   by side, and on top of each other. */
typedef struct cbi_grid {
    int count, across;
    const cbi_weight *blocks;
} cbi_grid;

typedef struct cbi_value {
    cbi_kind kind;
    cbi_type type;
    int count; /* inputs */
    const int *in;
    int index;
    const cbi_elementwise *op;
    double parameters[2];
    cbi_view view;
    const cbi_view *places;
    cbi_reduction reduction;
    int64_t outer, n, inner; /* of a reduction */
    int64_t groups, m, k;    /* of a product; its n is above */
    cbi_grid weights;
    const struct cbi_call_site *call;
} cbi_value;

/* A part of the gradient of something captured: a value that all rows share, added to the elements
   that a view goes through. */
typedef struct cbi_term {
    int value;
    cbi_view place;
} cbi_term;

/* Something that is computed before the recurrence runs: a weight, or what depends on nothing else.
 */
typedef struct cbi_captured {
    int node; /* of the trace */
    cbi_type type;
    int term_count, term_room;
    cbi_term *terms; /* their sum over all steps is its gradient */
} cbi_captured;

/* Something that each row and step is given: x, or what was computed from it beforehand. */
typedef struct cbi_row_input {
    int node; /* of the trace */
    cbi_type type;
    int gradient; /* value; -1: none */
} cbi_row_input;

/* A state, or what a graph without states leaves of each row. */
typedef struct cbi_output {
    int node; /* of the trace */
    cbi_type type;
    int value;    /* after the step */
    int gradient; /* of a state: of its value before the step; -1: 0 */
} cbi_output;

typedef struct cbi_graph {
    cbi_arena arena; /* of everything below */
    bool failed;     /* out of memory: the graph can only be freed */
    int state_count; /* the first outputs */
    int output_count, output_room, captured_count, captured_room, row_input_count, row_input_room;
    cbi_output *outputs;
    cbi_captured *captured;
    cbi_row_input *row_inputs;
    int value_count, value_room;
    cbi_value *values;
    int forward_count;
    int *buckets; /* values by their hash, see graph.c */
    int *chain;   /* the next value in the same bucket; -1: none */
    int bucket_count, chain_room;
    int shared;     /* values that were there already, and are computed once */
    int simplified; /* values that another one stands for, or that are a constant */
} cbi_graph;

cbi_graph *cbi_graph_new(void);
void cbi_graph_free(cbi_graph *graph);
/* Memory that ends with the graph; NULL, and failed, when there is none. */
void *cbi_graph_allocate(cbi_graph *graph, size_t bytes);

/* Elements of a value; of a view. */
int64_t cbi_count_of(const cbi_type *type);
int64_t cbi_view_count(const cbi_view *view);
static inline int64_t cbi_graph_count(const cbi_graph *graph, int value) {
    return cbi_count_of(&graph->values[value].type);
}
static inline bool cbi_is_constant(const cbi_graph *graph, int value) {
    return graph->values[value].kind == CBI_CONSTANT;
}
/* The type [count] of another's dtype and rows; one of that shape. */
cbi_type cbi_flat_type(cb_dtype dtype, bool rows, int64_t count);

/* Adds a value, or finds one that is equal, or simpler and equal in its elements (simplify.c);
   returns its number, -1 when there is no memory or an input is -1. The arrays are copied. */
int cbi_graph_add(cbi_graph *graph, const cbi_value *value);
/* The same, without a look for something simpler. */
int cbi_graph_intern(cbi_graph *graph, const cbi_value *value);

/* ---- Building values ------------------------------------------------------------------------- */

int cbi_constant(cbi_graph *graph, cb_dtype dtype, double number);
/* Elementwise on inputs of equal counts, or constants. The type is that of the result. */
int cbi_elementwise_value(cbi_graph *graph, const cbi_elementwise *op, const double *parameters,
                          cbi_type type, int count, const int *in);
/* The elements of a value that a view goes through. */
int cbi_view_of(cbi_graph *graph, int value, const cbi_view *view);
/* Elements [start, start + count). */
int cbi_slice_of(cbi_graph *graph, int value, int64_t start, int64_t count);
/* Pieces put together; the elements that no place goes through are `fill`. */
int cbi_concat_of(cbi_graph *graph, cbi_type type, int count, const int *pieces,
                  const cbi_view *places, double fill);

/* A view of a row-major shape: all of it. */
cbi_view cbi_view_whole(int rank, const int64_t *shape);
/* The run of elements [start, start + count). */
cbi_view cbi_view_run(int64_t start, int64_t count);
/* Leaves out axes of extent 1 and makes one of neighbours where that is possible. */
void cbi_view_normalize(cbi_view *view);
bool cbi_view_is_run(const cbi_view *view);
bool cbi_view_equal(const cbi_view *a, const cbi_view *b);
/* Sends a view of the elements of a row-major shape through another layout of that shape: element
   (i, j, ...) of the shape is at offset + i stride[0] + j stride[1] + ... False when the result is
   no view. */
bool cbi_view_through(const cbi_view *view, int rank, const int64_t *shape, int64_t offset,
                      const int64_t *stride, cbi_view *result);
/* A view as one into a place: the elements of `view`, all of which `place` goes through, as
   elements of what was put there. False when some are elsewhere, or the result is no view. */
bool cbi_view_inside(const cbi_view *view, const cbi_view *place, cbi_view *result);

/* Rows [start, start + count) of a matrix; columns. */
cbi_weight cbi_weight_rows(const cbi_weight *weight, int64_t start, int64_t count);
cbi_weight cbi_weight_columns(const cbi_weight *weight, int64_t start, int64_t count);
bool cbi_weight_equal(const cbi_weight *a, const cbi_weight *b);

/* ---- Looking at a graph ---------------------------------------------------------------------- */

/* Counts what reads each value, in the graph and as its results: 0 for dead values. */
void cbi_graph_count_uses(const cbi_graph *graph, int *uses);
/* Calls use on the number of each value that the graph gives out. */
void cbi_graph_results(cbi_graph *graph, void (*use)(void *context, int *value), void *context);

/* ---- Rewriting a graph ----------------------------------------------------------------------- */

/* A graph while it is rewritten: its old values, how often each is used, and the numbers of what
   took their places. */
typedef struct cbi_rewrite {
    cbi_graph *graph;
    int old_count, old_forward;
    const cbi_value *old;
    const int *uses;
    int *number;
    void *context;
} cbi_rewrite;
/* Adds what takes an old value's place and returns its number, -1 when there is no memory. Called
   in order, so that the old value's inputs have theirs; not for dead values. */
typedef int cbi_replace(cbi_rewrite *rewrite, int old);
/* The replacement that changes nothing but the numbers. */
int cbi_rewrite_copy(cbi_rewrite *rewrite, int old);
/* Rewrites all values that a result follows from; the others are dropped. False when there is no
   memory. */
bool cbi_graph_rewrite(cbi_graph *graph, cbi_replace *replace, void *context);

#endif
