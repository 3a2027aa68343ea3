/* The tape from inside: what apply.c and backward.c share with tape.c. */
#ifndef CEREBRA_AUTOGRAD_TAPE_INTERNAL_H
#define CEREBRA_AUTOGRAD_TAPE_INTERNAL_H

#include <cerebra/op.h>
#include <cerebra/random.h>

#include "autograd/arena.h"

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
    cb_tensor tensor; /* first: a tensor on a tape lies where its node does */
    cb_tape *tape;
    int64_t step;    /* of the tape, when it was made */
    const cb_op *op; /* NULL: a leaf */
    void *options;
    int count;
    cb_tensor **in;
    int out_count;    /* of an op: its outputs; the first is this node's tensor */
    cb_tensor **outs; /* all of them; of a further output: NULL */
    cb_tensor *alone; /* what outs points to when there is one output */
    cb_node *owner;   /* of a further output: the node of the first; NULL of others */
    cbi_block *block; /* NULL: the caller's memory */
    bool requires_grad;
    cb_node *previous; /* the one before it on the tape that requires a gradient */
    cb_tensor *sink;   /* of a variable: where cb_backward adds its gradient; NULL: none yet */
    cb_tensor *grad;   /* in the running sweep: its gradient so far */
    int index;         /* on a symbolic tape: its place in the trace, see trace.h */
    void *saved;       /* what a compiled recurrence leaves for its gradient */
    int64_t sweep;     /* the sweep that grad belongs to */
    int64_t wanted;    /* the last cb_grad sweep that needs its gradient */
    int64_t kept;      /* the last cb_grad sweep that gives its gradient to the caller */
};

/* A generator as it was when a checkpoint's function drew from it. */
typedef struct cbi_drawn cbi_drawn;
struct cbi_drawn {
    cb_random random;
    cbi_drawn *next;
};

/* What rounding might have done: each result is multiplied by 1 + or - size. */
typedef struct cbi_noise {
    double size;
    cb_random random;
} cbi_noise;

/* Tensors that stand in for those of the program that gradients are added to: a check may not touch
   them. For others, which are not in the list, the tape makes its own. */
typedef struct cbi_stand_ins {
    int count;
    cb_tensor *const *of_program;
    cb_tensor **own;
} cbi_stand_ins;

/* What a tape's step holds on to until the tape is reset or freed. */
typedef struct cbi_hold cbi_hold;
struct cbi_hold {
    void (*release)(void *what);
    void *what;
    cbi_hold *next;
};

struct cb_tape {
    cbi_arena arena;
    cb_node poison; /* what failed ops return */
    cb_status status;
    char message[512];
    cbi_noise *noise; /* of every op's results; NULL: none. See scan/check_outcome.c */
    cbi_hold *holds;
    const cbi_stand_ins *stand_ins; /* for cb_variable_into; NULL: none */
    bool no_grad;                   /* never records */
    bool evaluating;         /* modules compute what they do outside of training: on a tape without
                                gradients, and on those that work for one */
    bool detecting;          /* an op that makes a NaN fails */
    const char *gradient_of; /* the op whose gradient is computed now; NULL: none */
    const char *function;    /* made of ops, that is called now, the outermost; NULL: none */
    struct cbi_trace *trace; /* of a symbolic tape, see trace.h; NULL of others */
    bool recording;          /* ops note themselves for gradients; off in a first-order sweep */
    bool sweeping;           /* a first-order sweep runs: blocks are reused */
    bool selective;          /* the sweep is for chosen inputs: see cb_node.wanted */
    cb_tape *tracer;  /* where steps of recurrences are traced, see scan.c; NULL: none has been */
    cb_tape *scratch; /* where checkpoints compute, see checkpoint.c; NULL: none has yet */
    bool scratch_in_use;
    cb_tape *parent;           /* of a scratch tape: whose it is */
    cbi_drawn **noting;        /* of a scratch tape: where the next draw is noted; NULL: nowhere */
    cbi_drawn *again;          /* of a scratch tape: the next noted draw to be made again */
    bool drawing_again;        /* whether draws are noted ones */
    bool no_variables;         /* variables that are made now are constants */
    bool met_variable;         /* one has been made, or would have been if the tape recorded */
    int64_t step;              /* which of its steps it is in: how often it has been reset */
    int64_t ops;               /* applied since the reset, for messages */
    int64_t sweeps;            /* number of the running or last sweep */
    struct cbi_leaves *leaves; /* of parameters, see leaves.c; NULL: none yet */
    cb_node *last;             /* the newest node that requires a gradient */
    cbi_block *fresh;          /* blocks allocated in the sweep since the last vjp began */
    cbi_block *free;           /* blocks of the sweep that can be used again */
    void *pass;                /* see cbi_tape_pass_memory */
    size_t pass_size;
};

/* The leaf that has been noted for an object since the reset, NULL when none has; notes one. */
cb_tensor *cbi_leaf_find(const cb_tape *tape, const void *of);
void cbi_leaf_note(cb_tape *tape, const void *of, cb_tensor *leaf);

/* Records the first failure; returns the poisoned tensor. tape may be NULL. */
cb_tensor *cbi_tape_fail(cb_tape *tape, cb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cbi_tape_record(cb_tape *tape, cb_status status, const char *prefix, const char *format,
                     va_list arguments);
/* Puts "in layer NAME: " in front of the message of a failure, unless a layer within it has. */
void cbi_tape_name_layer(cb_tape *tape, const char *name);
/* The same as cbi_tape_fail for a function that is built from ops: the message begins, as an op's
   does, with the function's name and x's shape, and ends with the op's number. */
cb_tensor *cbi_function_fail(const cb_tensor *x, const char *function, cb_status status,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Around a function that is made of ops: what fails within begins with the function's name, as in
   "linear: matmul: [2,3] x ...". Of functions within each other it is the outermost. x may be NULL,
   and end returns y. */
typedef struct cbi_within {
    cb_tape *tape; /* NULL: another function is named */
} cbi_within;
cbi_within cbi_function_begin(const cb_tensor *x, const char *name);
cb_tensor *cbi_function_end(cbi_within function, cb_tensor *y);
/* The poisoned tensor of a tape, or the one that belongs to none. */
cb_tensor *cbi_poison(cb_tape *tape);
bool cbi_is_poisoned(const cb_tensor *t);
/* Whether a tensor is of a step of its tape that is over: its memory may be anything by now. Some
   such tensors are not found out, where another lies in the same place. */
bool cbi_is_over(const cb_tensor *t);
#define CBI_IS_OVER                                                                                \
    "is of a step that is over: its tape has been reset since; copy what is to be kept, with "     \
    "cb_tensor_copy"
/* The tape of such a tensor, as far as its memory still tells; NULL. */
cb_tape *cbi_tape_of_over(const cb_tensor *t);
/* A node with no elements yet, and room for inputs and options in the same allocation. NULL,
   recorded, when there is no memory. */
cb_node *cbi_node_new(cb_tape *tape, int count, size_t options_size);
/* Gives the node row-major memory for its tensor's shape. */
cb_status cbi_node_allocate(cb_node *node);
/* A block of at least that size; the elements are uninitialised. NULL, recorded. */
cbi_block *cbi_block_new(cb_tape *tape, size_t size);
/* Memory of at least that size with anything in it, aligned to 64 bytes: the tape's own, until it
   is asked for again. NULL, recorded, when there is none. */
void *cbi_tape_pass_memory(cb_tape *tape, size_t size);
/* cb_apply on a tape that is known, so that an op may have no inputs. */
cb_tensor *cbi_apply_on(cb_tape *tape, const cb_op *op, int count, cb_tensor *const *inputs,
                        const void *options);
/* Whether ops of one pass are applied rather than the ops that they are made of. Not in a trace,
   where the compiler fuses those; nor with noise, which has to reach what is rounded within: the
   mean that a layer norm subtracts, for one. */
static inline bool cbi_in_one_pass(const cb_tape *tape) {
    return tape != NULL && tape->trace == NULL && tape->noise == NULL;
}

/* Adds noise to a row-major tensor; to none of integers. */
void cbi_add_noise(cbi_noise *noise, const cb_tensor *t);
/* Applies the op of a node of another tape, with as many outputs as it has there, and returns the
   one that the node is. */
cb_tensor *cbi_apply_like(cb_tape *tape, const cb_node *like, cb_tensor *const *inputs,
                          const void *options);
/* What the functions of a node's op are given. */
cb_call cbi_call_of(cb_node *node);
/* Enters a node into the list that sweeps walk. */
void cbi_node_link(cb_node *node);
/* cb_backward from an output of any shape: seed, shaped as it is, is the output's gradient. The
   output requires a gradient. */
cb_status cbi_backward_from(cb_tensor *output, cb_tensor *seed);
/* The state to draw count numbers with, for an op on the tape. The generator moves past them,
   unless a checkpoint draws them again: then they are those of the first time. */
cb_random cbi_draw(cb_tape *tape, cb_random *random, int64_t count);
/* For a symbolic tape: gradients of several outputs at once, recorded. gradients[i] = d sum_k
   sum(outputs[k] * cotangents[k]) / d inputs[i]; NULL where no output depends on the input. They
   pass through the nodes that are inside only, by index. */
cb_status cbi_vector_jacobian(const bool *inside, int output_count, cb_tensor *const *outputs,
                              cb_tensor *const *cotangents, int input_count,
                              cb_tensor *const *inputs, cb_tensor **gradients);
/* Where the running cb_backward adds the gradient of t, laid out as t is, when t is a variable or a
   transposed one: an op whose gradient is a product adds it there at once, instead of making it
   first. Without data when t is neither, or another sweep runs. */
cb_tensor cbi_sink_of(const cb_tensor *t);
/* Memory that lasts until the tape is reset, also where a sweep is under way, which uses its blocks
   again. NULL, recorded, when there is none. */
void *cbi_tape_lasting(cb_tape *tape, size_t size);
/* Calls release(what) when the tape is reset or freed. False, recorded, and nothing held, when
   there is no memory. */
bool cbi_tape_hold(cb_tape *tape, void (*release)(void *what), void *what);
/* cb_variable_into without stand-ins, for a gradient that is known to fit. */
cb_tensor *cbi_variable_into(cb_tape *tape, const cb_tensor *value, cb_tensor *gradient);
/* Whether the running sweep is a cb_grad whose caller asked for the gradient of t itself. */
bool cbi_is_asked_for(const cb_tensor *t);
/* The table that x was gathered from by rows [time, batch], and these; NULL when it was not. A
   gradient goes to the table; asking for x's own is an error. */
cb_tensor *cbi_looked_up(cb_tensor *x, cb_tensor **rows);
/* A constant of t's dtype and shape, filled with value, in memory of its own. */
cb_tensor *cbi_filled_like(cb_tape *tape, const cb_tensor *t, double value);

/* The number of the first element that is NaN, in row-major order; -1: none is. */
int64_t cbi_first_nan(const cb_tensor *t);
/* Fails, recorded, when a result has a NaN that no input has. */
cb_status cbi_find_anomaly(const cb_call *call);

#endif
