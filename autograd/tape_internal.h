/* The tape from inside: what apply.c and backward.c share with tape.c. */
#ifndef CEREBRA_AUTOGRAD_TAPE_INTERNAL_H
#define CEREBRA_AUTOGRAD_TAPE_INTERNAL_H

#include <cerebra/op.h>
#include <cerebra/random.h>

#include "autograd/arena.h"
#include "autograd/unread.h"

#include <stdarg.h>

/* Elements' memory. Views share their base's block. */
typedef struct cbi_block cbi_block;
struct cbi_block {
    void *data;
    size_t size;
    int pending;     /* gradients of the running sweep that lie in it */
    bool in_sweep;   /* allocated by a sweep that does not record: may be overwritten and reused */
    bool fresh;      /* is in the list of fresh blocks, and may be in no other */
    cbi_block *next; /* in the tape's list of fresh or of free blocks */
};

/* A tensor on a tape, and how it was made. */
typedef struct cb_node cb_node;
struct cb_node {
    cb_tensor tensor;
    cb_tape *tape;
    const cb_op *op; /* NULL: a leaf */
    void *options;
    int count;
    cb_tensor **in;
    int out_count;    /* of an op: its outputs; the first is this node's tensor */
    cb_tensor **outs; /* all of them */
    cb_tensor *alone; /* what outs points to when there is one output */
    cb_node *owner;   /* of a further output: the node of the first; NULL of others */
    cbi_block *block; /* NULL: the caller's memory */
    double fill;      /* of a leaf from cb_full: its elements */
    bool filled;      /* whether it is one */
    bool requires_grad;
    cb_node *previous; /* the one before it on the tape that requires a gradient */
    cb_tensor *sink;   /* of a variable: where cb_backward adds its gradient; NULL: none yet */
    cb_tensor *grad;   /* in the running sweep: its gradient so far */
    int value;         /* of a trace, once read: 1 + its number in the graph (graph.h) */
    int follows;   /* of a trace: whether it depends on the state: 1 no, 2 yes; 0: not known yet */
    cb_node *twin; /* of a trace: the same node of another trace of the step */
    cb_node *in_chain;    /* of a trace: the next one in a chain, see unique.c */
    cb_tensor *regrouped; /* of a trace: what stands for it with its sums in another order */
    bool checked;         /* of a trace: seen by the check of what is hoisted */
    void *saved;          /* what a compiled recurrence leaves for its gradient */
    int64_t sweep;        /* the sweep that grad belongs to */
    int64_t wanted;       /* the last cb_grad sweep that needs its gradient */
    int64_t kept;         /* the last cb_grad sweep that gives its gradient to the caller */
};

/* A generator as it was when a checkpoint's function drew from it. */
typedef struct cbi_drawn cbi_drawn;
struct cbi_drawn {
    cb_random random;
    cbi_drawn *next;
};

struct cb_tape {
    cbi_arena arena;
    cb_node poison; /* what failed ops return */
    cb_status status;
    char message[512];
    bool no_grad;      /* never records */
    bool symbolic;     /* ops work out shapes and compute nothing: a trace */
    cbi_unread unread; /* of a trace: where its elements would be */
    cb_node **chains;  /* of a trace: its nodes, see unique.c; NULL: none yet */
    int repeated;      /* of a trace: ops that were not new */
    bool recording;    /* ops note themselves for gradients; off in a first-order sweep */
    bool sweeping;     /* a first-order sweep runs: blocks are reused */
    bool selective;    /* the sweep is for chosen inputs: see cb_node.wanted */
    cb_tape *scratch;  /* where checkpoints compute, see checkpoint.c; NULL: none has yet */
    bool scratch_in_use;
    cb_tape *parent;    /* of a scratch tape: whose it is */
    cbi_drawn **noting; /* of a scratch tape: where the next draw is noted; NULL: nowhere */
    cbi_drawn *again;   /* of a scratch tape: the next noted draw to be made again */
    bool drawing_again; /* whether draws are noted ones */
    bool no_variables;  /* variables that are made now are constants */
    bool met_variable;  /* one has been made, or would have been if the tape recorded */
    int64_t ops;        /* applied since the reset, for messages */
    int64_t sweeps;     /* number of the running or last sweep */
    cb_node *last;      /* the newest node that requires a gradient */
    cbi_block *fresh;   /* blocks allocated in the sweep since the last vjp began */
    cbi_block *free;    /* blocks of the sweep that can be used again */
};

/* Records the first failure; returns the poisoned tensor. tape may be NULL. */
cb_tensor *cbi_tape_fail(cb_tape *tape, cb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cbi_tape_record(cb_tape *tape, cb_status status, const char *prefix, const char *format,
                     va_list arguments);
/* The same for a function that is built from ops: the message begins, as an op's does, with the
   function's name and x's shape, and ends with the op's number. */
cb_tensor *cbi_function_fail(const cb_tensor *x, const char *function, cb_status status,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The poisoned tensor of a tape, or the one that belongs to none. */
cb_tensor *cbi_poison(cb_tape *tape);
bool cbi_is_poisoned(const cb_tensor *t);
/* A node with no elements yet, and room for inputs and options in the same allocation. NULL,
   recorded, when there is no memory. */
cb_node *cbi_node_new(cb_tape *tape, int count, size_t options_size);
/* Gives the node row-major memory for its tensor's shape. */
cb_status cbi_node_allocate(cb_node *node);
/* A block of at least that size; the elements are uninitialised. NULL, recorded. */
cbi_block *cbi_block_new(cb_tape *tape, size_t size);
/* What the functions of a node's op are given. */
cb_call cbi_call_of(cb_node *node);
/* Enters a node into the list that sweeps walk. */
void cbi_node_link(cb_node *node);
/* A tape for tracing: ops check shapes and note themselves, and there are no elements. NULL when
   there is no memory. */
cb_tape *cbi_tape_new_symbolic(void);
/* A leaf of a symbolic tape: a tensor of that shape without elements. */
cb_tensor *cbi_symbol(cb_tape *tape, cb_dtype dtype, int rank, const int64_t *shape);
/* Whether two options structs of an op say the same. */
bool cbi_options_equal(const cb_op *op, const void *a, const void *b);
/* The node of a symbolic tape that is the same op of the same inputs; the given one when there was
   none. */
cb_node *cbi_trace_unique(cb_node *node);
/* cb_backward from an output of any shape: seed, shaped as it is, is the output's gradient. The
   output requires a gradient. */
cb_status cbi_backward_from(cb_tensor *output, cb_tensor *seed);
/* The state to draw count numbers with, for an op on the tape. The generator moves past them,
   unless a checkpoint draws them again: then they are those of the first time. */
cb_random cbi_draw(cb_tape *tape, cb_random *random, int64_t count);
/* Gradients of several outputs at once: gradients[i] = d sum_k sum(outputs[k] * seeds[k]) / d
   inputs[i], recorded; NULL where no output depends on the input. For tracing. */
cb_status cbi_vector_jacobian(int output_count, cb_tensor *const *outputs, cb_tensor *const *seeds,
                              int input_count, cb_tensor *const *inputs, cb_tensor **gradients);
/* Where the running cb_backward adds the gradient of t, laid out as t is, when t is a variable or a
   transposed one: an op whose gradient is a product adds it there at once, instead of making it
   first. Without data when t is neither, or another sweep runs. */
cb_tensor cbi_sink_of(const cb_tensor *t);
/* A constant of t's dtype and shape, filled with value, in memory of its own. */
cb_tensor *cbi_filled_like(cb_tape *tape, const cb_tensor *t, double value);

#endif
