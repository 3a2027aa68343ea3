/* What an op is, and how to declare one: the same struct serves the library's ops and those of a
   user's program (docs/adding-an-op.md builds one).

   An op is a const cb_op: its name and formula, a rule for the output's dtype and shape, a kernel,
   and its vector-Jacobian product written in ops, so that gradients of gradients, and gradients of
   a traced cell, come for free. */
#ifndef CEREBRA_OP_H
#define CEREBRA_OP_H

#include <cerebra/arguments.h>
#include <cerebra/random.h>
#include <cerebra/tape.h>

CB_BEGIN_DECLS

typedef struct cb_op cb_op;

/* What an op's functions are given. */
typedef struct cb_call {
    const cb_op *op;        /* the op that is applied */
    int count;              /* how many inputs */
    cb_tensor *const *in;   /* the inputs */
    cb_tensor *out;         /* shape fills dtype, rank and shape; forward writes the elements */
    const void *options;    /* the op's own options, a copy that lives as long as the tape's step */
    int out_count;          /* how many outputs, 1 unless cb_apply_outputs asked for more */
    cb_tensor *const *outs; /* all of them; out is the first */
    cb_tensor *const *gradients; /* in vjp: the gradient of each output; NULL: none reached it */
} cb_call;

/* A member of an op's options, so that two sets of them can be compared, and printed, without
   looking at the padding between their members. */
typedef enum cb_option_kind {
    CB_OPTION_INT,    /* int, an enum, or bool */
    CB_OPTION_EXTENT, /* int64_t: an extent, or a place along an axis. May depend on the extents of
                         the inputs */
    CB_OPTION_REAL,   /* double */
    CB_OPTION_DRAW,   /* cb_draw: where in a generator's sequence the op's random numbers begin */
} cb_option_kind;
/* An entry of an op's option_list, made by CB_OPTION or CB_OPTIONS. */
typedef struct cb_option {
    const char *name;    /* of the member */
    cb_option_kind kind; /* its type and meaning */
    size_t offset, size; /* in the options struct; size of one entry */
    int count;           /* entries of an array; 1 for others */
} cb_option;
/* The entry for a member, which may be an array: CB_OPTION(slice_options, axis, CB_OPTION_INT). */
#define CB_OPTION(type, member, kind)                                                              \
    { #member, kind, offsetof(type, member), sizeof(CBI_MEMBER(type, member)), 1 }
#define CB_OPTIONS(type, member, kind)                                                             \
    {                                                                                              \
#member, kind, offsetof(type, member), sizeof(CBI_MEMBER(type, member)[0]),                \
            sizeof(CBI_MEMBER(type, member)) / sizeof(CBI_MEMBER(type, member)[0])                 \
    }

/* The random numbers of one application of an op: one for each element of its output, row-major,
   beginning with the generator as it was. first is 0 but in a compiled step, which computes a part
   of the rows: the number of elements before them. */
typedef struct cb_draw {
    cb_random random;           /* the generator as it was */
    int64_t first;              /* elements before the first one */
    const cb_random *generator; /* that they were drawn from */
} cb_draw;

/* The most inputs of a case for the gradient checker, and a kink of an input that has none. */
#define CB_SAMPLE_INPUTS 4
#define CB_NO_KINK       1e300
/* An input of a case. */
typedef struct cb_sample_input {
    int rank;                   /* number of axes */
    int64_t shape[CB_MAX_RANK]; /* their extents */
    double low, high;           /* elements are uniform in [low, high) */
    double kink;                /* and stay 0.05 away from +kink and -kink; CB_NO_KINK: anywhere */
    bool integer;               /* i64, no gradient: whole numbers in [low, high) */
    bool transposed;            /* laid out in memory with the axes in reverse order */
} cb_sample_input;
/* One case for the gradient checker: y = build(inputs) with random inputs of the given shapes. */
typedef struct cb_sample {
    const char *name; /* what is special about the case: "broadcast", "empty", ... */
    int count;        /* how many inputs */
    cb_sample_input in[CB_SAMPLE_INPUTS];      /* how they are drawn */
    cb_tensor *(*build)(cb_tensor *const *in); /* the function to check */
} cb_sample;

/* An op. All but name, formula, the numbers of inputs, shape and, unless it is a view, forward may
   be left out. */
struct cb_op {
    const char *name;           /* as error messages print it */
    const char *formula;        /* the output and the gradients, for people */
    int min_inputs, max_inputs; /* how many inputs there may be */
    size_t options_size;        /* bytes of the options struct to copy; 0: none */

    /* Checks the inputs and fills out->dtype, rank and shape. A view op fills stride and data as
       well, pointing into in[0]. Fails by returning cb_call_fail(...). Runs on symbolic tensors too
       (data NULL), so it may not look at elements. */
    cb_status (*shape)(const cb_call *call);
    bool view; /* the output shares in[0]'s memory; forward is not called */

    /* Writes every element of out, which is row-major and may be empty. Inputs have any strides. */
    cb_status (*forward)(const cb_call *call);

    /* Given g, the gradient of the output, stores in gradients[i] that of input i, in ops, for each
       i with cb_call_needs(call, i); others stay NULL. A gradient may have any shape that the
       input's broadcasts to: the caller sums it down. NULL: the op is not differentiable. */
    void (*vjp)(const cb_call *call, cb_tensor *g, cb_tensor **gradients);

    /* Cases for the gradient checker, as many as sample_count. */
    const cb_sample *samples;
    int sample_count;

    /* ---- For the compiler of recurrent steps (scan.h); all of it may be left out ------------- */

    /* The members of the options. Without this list options are compared byte by byte, padding
       included: where two calls of a step differ there, the step runs op by op. */
    const cb_option *option_list;
    int option_count;
    /* Whether index i along the output's first axis is computed from index i along the first axis
       of this input alone, for each i; asked for inputs whose first axis is the batch. Then the op
       is applied to some of the rows at a time, while they are in the cache; without it, to the
       whole batch at each time step. cb_row_by_row says so of every input. */
    bool (*row_by_row)(const cb_call *call, int input);
    /* How the op is expressed in the compiler's own terms; of the library's ops. */
    const struct cbi_lowering *lowering;
};

/* Applies an op: checks that the inputs live on one tape and are not poisoned, copies the options,
   asks for the shape, allocates and computes the output, and records. inputs need not outlive the
   call. At least one input is required; use NULL options when options_size is 0. */
CB_API cb_tensor *cb_apply(const cb_op *op, int count, cb_tensor *const *inputs,
                           const void *options);
/* The same for an op with out_count outputs, stored in outputs: its shape rule fills in all of
   call->outs, forward writes all of them, and vjp finds the gradient of each in call->gradients, of
   which one at least is not NULL; g is that of the first. A view has one output. On failure all
   outputs are poisoned, and the tape's status is returned. */
CB_API cb_status cb_apply_outputs(const cb_op *op, int count, cb_tensor *const *inputs,
                                  const void *options, int out_count, cb_tensor **outputs);

/* Records a failure of this op, with the inputs' shapes in front: "name: [2,3] x [4]: <message> (op
   17)". Returns status, so that a shape rule can end with it. */
CB_API cb_status cb_call_fail(const cb_call *call, cb_status status, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Whether input i needs a gradient: vjp may leave the others NULL. */
CB_API bool cb_call_needs(const cb_call *call, int i);
/* Draws count numbers for an op that is to be applied to x: moves the generator past them. What a
   checkpoint drew is drawn again when it computes again. */
CB_API cb_draw cb_draw_numbers(const cb_tensor *x, cb_random *generator, int64_t count);
/* Scratch memory for a kernel, 64-byte aligned, that lives as long as the tape's step. NULL, with
   the failure recorded, when there is none. */
CB_API void *cb_call_scratch(const cb_call *call, size_t bytes);

/* Shape rules for common kinds of op. Same: out is like in[0]. Broadcast: NumPy's rule over all
   inputs, dtypes must be equal. Both fail as a rule must. */
CB_API cb_status cb_shape_same(const cb_call *call);
CB_API cb_status cb_shape_broadcast(const cb_call *call);
/* A row_by_row that is true of every input. */
CB_API bool cb_row_by_row(const cb_call *call, int input);

/* The library's ops, ended by NULL: what the gradient checker walks. */
CB_API const cb_op *const *cb_ops(void);

CB_END_DECLS

#endif
