/* A step, traced: run on symbolic tapes for three numbers of sequences, and the traces compared.

   All tapes hold the same ops in the same order, so that an index names a node of each. An extent
   is the batch's, a multiple of it, or none of its business; no number stands for the batch.
   Through two numbers there is always a line, and often one of whole numbers: that the extents of
   the third tape lie on it, too, tells batch + 1 from batch * batch. A step whose traces differ in
   anything else computes something that depends on the number of sequences, or changes from call to
   call.

   A step may multiply with 1/batch, for a mean over sequences. It is traced for one number of
   sequences: the second tape has that one, or a further tape where it is 1, and the numbers among
   the options are its. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_TRACED_H
#define CEREBRA_AUTOGRAD_COMPILER_TRACED_H

#include "autograd/trace.h"

#include <cerebra/scan.h>

/* What a recurrence is made of. The arrays are the caller's. */
typedef struct cbi_signature {
    cb_scan_step *step;
    cb_scan_context_step *context_step; /* in place of it, with its context; NULL: step */
    const void *context;
    cb_dtype dtype;
    int64_t input;
    int state_count, weight_count;
    const int64_t *state_size;
    const cb_tensor *const *weights; /* shapes; NULL: left out */
    bool evaluating; /* modules in the step compute what they do outside of training */
} cbi_signature;

/* Calls the step. */
static inline void cbi_call_step(const cbi_signature *s, cb_tensor *const *weights, cb_tensor *x,
                                 cb_tensor *const *state, cb_tensor **next) {
    if (s->context_step != NULL)
        s->context_step(s->context, weights, x, state, next);
    else
        s->step(weights, x, state, next);
}

/* What a trace's tensors are: where the step was given or left them. */
typedef struct cbi_side {
    cb_tape *tape;
    int64_t batch;
    cb_tensor *x, **states, **weights, **next;
    char fault[320]; /* room for a reason */
} cbi_side;

/* A number that depends on the batch: constant + slope * batch. */
typedef struct cbi_extent {
    int64_t constant, slope;
} cbi_extent;

enum { CBI_SIDES = 3 };

typedef struct cbi_traced {
    cbi_signature signature; /* its arrays are copies */
    int64_t only_batch;      /* what is traced holds for that number of sequences; 0: for any */
    cbi_side side[CBI_SIDES];
    int step_count; /* nodes of the step itself, its leaves included; later ones are the compiler's
                     */
    bool no_memory; /* there was not enough: nothing is known of the step */
    bool varies;    /* the reason is that numbers depend on the number of sequences */
    char reason[256]; /* why the step cannot be compiled; "": it can */
} cbi_traced;

/* Traces a step, for any number of sequences, 0, or for one. NULL when there is no memory; with a
   reason when it cannot be compiled. Generators that the step draws from are left as they were. */
cbi_traced *cbi_traced_new(const cbi_signature *signature, int64_t only_batch);
void cbi_traced_free(cbi_traced *traced);

/* What is said of a step that sets or moves a generator itself. */
extern const char cbi_sets_generator[];
/* Traces a step once, for a batch of that size, on an empty symbolic tape. Why it failed; NULL when
   it did not. */
const char *cbi_trace_once(const cbi_signature *signature, cb_tape *tape, int64_t batch,
                           cbi_side *side);
/* A number that is the same for traces of the same ops, shapes and options. */
uint64_t cbi_side_hash(const cbi_side *side);
/* Whether a step that was traced once did what the traces say for a batch of that size. */
bool cbi_traced_matches(const cbi_traced *traced, const cbi_side *side);

static inline cb_node *cbi_traced_node(const cbi_traced *traced, int side, int index) {
    return traced->side[side].tape->trace->nodes[index];
}
static inline int cbi_traced_count(const cbi_traced *traced) {
    return traced->side[0].tape->trace->count;
}
/* What an op that draws random numbers draws; NULL when it draws none. */
const cb_draw *cbi_draw_of(const cb_node *node);

/* Whether a node's op was not among the step's leaves. */
static inline bool cbi_is_leaf(const cb_node *node) {
    return node->op == NULL;
}

/* How a number depends on the batch, given what it is on each side. False when it does not,
   linearly; the extent is the first then. */
bool cbi_extent_of(const cbi_traced *traced, const int64_t *values, cbi_extent *extent);
int64_t cbi_extent_at(cbi_extent extent, int64_t batch);
cbi_extent cbi_shape_extent(const cbi_traced *traced, int index, int axis);
/* Whether any extent of a node's tensor depends on the batch. */
bool cbi_has_batch(const cbi_traced *traced, int index);

#define CBI_DIFFERS "it differs from call to call, or with the number of sequences"
/* Why a node of the traces is not the same for batches of any size; NULL when it is. numbers_only:
   because of nothing but the numbers among its options. */
const char *cbi_traced_difference(const cbi_traced *traced, int index, bool *numbers_only);
/* Takes the numbers among the options of one node for those of another, of the same op. */
void cbi_take_numbers(cb_node *to, const cb_node *from);

/* Whether two ops give the same of equal inputs: they are the same, with the same options. */
bool cbi_traced_alike(const cbi_traced *traced, int a, int b);
/* A node's options for a batch of another size, in memory of options_size bytes. */
void cbi_options_at(const cbi_traced *traced, int index, int64_t batch, void *options);

/* Applies the op of node `like`, with its options, to other inputs on all tapes: the same index on
   each is what it gives. -1, with a reason, when it fails. */
int cbi_traced_apply(cbi_traced *traced, int like, const int *in);
/* A leaf on all tapes, shaped as a node is. -1 on failure. */
int cbi_traced_symbol(cbi_traced *traced, int like);
/* Derives gradients on all tapes: of sum over k of outputs[k] * cotangents[k], for each input. The
   gradient passes through nodes that are inside only, and stops at inputs. gradients[i]: the index,
   -1 where no output depends on the input. False, with a reason, on failure. */
bool cbi_traced_gradients(cbi_traced *traced, const bool *inside, int output_count,
                          const int *outputs, const int *cotangents, int input_count,
                          const int *inputs, int *gradients);

#endif
