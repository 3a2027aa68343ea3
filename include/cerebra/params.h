/* Parameters: the weights of a model, their gradients and their names.

   A cb_params owns every parameter in it, and the module structs made on it (nn.h). One
   cb_params_free ends them all.

   Errors. Making a parameter or module can fail (a name taken twice, an extent below 1, no memory).
   The first failure is recorded on the set, as a tape records an op's, and NULL is returned; a
   module's forward function takes NULL and fails on its tape. One test of cb_params_status after a
   model is built is enough. It stays until cb_params_clear_error. */
#ifndef CEREBRA_PARAMS_H
#define CEREBRA_PARAMS_H

#include <cerebra/files.h>
#include <cerebra/random.h>
#include <cerebra/tape.h>

CB_BEGIN_DECLS

/* A set of parameters; ended by cb_params_free. */
typedef struct cb_params cb_params;

/* How a parameter gets its first values. fan_in and fan_out are those of the formula; where they
   are 0 they are taken from the block's shape: [out, in] has fan_out = out, fan_in = in; further
   axes multiply both; rank 1 has both equal to its extent. gain 0 means 1. */
typedef enum cb_init_kind {
    CB_INIT_DEFAULT,         /* the module's own documented choice */
    CB_INIT_ZEROS,           /* 0 */
    CB_INIT_CONSTANT,        /* a */
    CB_INIT_UNIFORM,         /* uniform in [a, b) */
    CB_INIT_NORMAL,          /* normal, mean a, standard deviation b */
    CB_INIT_GLOROT_UNIFORM,  /* +-gain sqrt(6 / (fan_in + fan_out))     (Glorot & Bengio 2010) */
    CB_INIT_GLOROT_NORMAL,   /* deviation gain sqrt(2 / (fan_in + fan_out)) */
    CB_INIT_KAIMING_UNIFORM, /* +-gain sqrt(3 / fan_in)                 (He et al. 2015) */
    CB_INIT_KAIMING_NORMAL,  /* deviation gain / sqrt(fan_in) */
    CB_INIT_ORTHOGONAL,      /* gain Q, Q's rows or columns orthonormal (Saxe et al. 2014) */
} cb_init_kind;

/* An initialiser: a rule and its numbers. */
typedef struct cb_init {
    cb_init_kind kind;      /* the rule */
    double a, b;            /* of CONSTANT, UNIFORM and NORMAL */
    double gain;            /* 0: 1 */
    double fan_in, fan_out; /* 0: from the shape */
} cb_init;

/* One parameter. value and gradient are contiguous, of one shape; both belong to the set. */
typedef struct cb_param {
    const char *name;    /* unique in its set */
    cb_tensor *value;    /* the weights */
    cb_tensor *gradient; /* what cb_backward added up since the last zero */
    bool frozen;         /* no gradient is computed and optimizers pass it by */
    bool buffer;         /* of cb_params_add_buffer: so always, whatever `frozen` says */
} cb_param;

/* A new empty set whose parameters are of dtype f32 (cb_params_new) or of a dtype of one's choice;
   the seed determines all initial values, whatever the order of creation: each parameter draws from
   a stream of its own, chosen by its name. NULL when there is no memory or dtype is no float. */
CB_API cb_params *cb_params_new(uint64_t seed);
CB_API cb_params *cb_params_new_dtype(uint64_t seed, cb_dtype dtype);
CB_API void cb_params_free(cb_params *params);
CB_API cb_status cb_params_status(const cb_params *params);
CB_API const char *cb_params_error(const cb_params *params);
/* Forgets the failure, so that the next one is recorded: for a program that has dealt with it, with
   another name, other options or less memory. What the set holds stays as it is; a constructor that
   failed half way may have left parameters in it. NULL is allowed. */
CB_API void cb_params_clear_error(cb_params *params);
CB_API cb_dtype cb_params_dtype(const cb_params *params);

/* Adds a parameter. The first axis is initialised in `blocks` equal parts, each by init with the
   fans of its own shape (the gates of an LSTM: 4); 0 means 1. The name is copied. NULL on failure:
   CB_ERROR_VALUE (no name or one in use, blocks that do not divide, an init that is bad, DEFAULT,
   or orthogonal for rank 1), CB_ERROR_SHAPE (rank outside 1..CB_MAX_RANK, an extent below 1),
   CB_ERROR_MEMORY. */
CB_API cb_param *cb_params_add(cb_params *params, const char *name, int rank, const int64_t *shape,
                               int64_t blocks, const cb_init *init);
/* Adds what a module keeps beside its weights, such as running statistics: it is a parameter to the
   functions that find, save and load, and is not trained. blocks is 1. */
CB_API cb_param *cb_params_add_buffer(cb_params *params, const char *name, int rank,
                                      const int64_t *shape, const cb_init *init);
/* The parameter of that name, or NULL. */
CB_API cb_param *cb_params_find(const cb_params *params, const char *name);
/* How many there are, and the i-th in order of creation (NULL when out of range). */
CB_API int cb_params_count(const cb_params *params);
CB_API cb_param *cb_params_at(const cb_params *params, int i);
/* Number of elements of all parameters, without buffers. */
CB_API int64_t cb_params_elements(const cb_params *params);
/* Sets all gradients to zero (cb_optimizer_step does so itself). */
CB_API void cb_params_zero_gradients(cb_params *params);
/* The parameter as a tensor on the tape; cb_backward adds to its gradient (unless frozen, or a
   buffer). It is the same tensor each time until the tape is reset, whoever asks: so cb_grad, given
   it, gives the gradient of all that modules compute with the parameter. NULL param gives the
   tape's poisoned tensor, CB_ERROR_NOT_FOUND. */
CB_API cb_tensor *cb_parameter(cb_tape *tape, cb_param *param);
/* Draws initial values for a tensor as cb_params_add does for a block. The tensor is contiguous
   (CB_ERROR_SHAPE), f32 or f64 (CB_ERROR_DTYPE). CB_ERROR_VALUE: a bad init; CB_ERROR_MEMORY. */
CB_API cb_status cb_initialise(cb_tensor *t, const cb_init *init, cb_random *random);

/* Weights in a safetensors file, under their names, in their dtype (files.h has the general
   functions). Load wants every parameter of the set to be in the file with its shape, casts floats
   of any width to the set's dtype, and fails on entries the set does not have (CB_ERROR_NOT_FOUND);
   on failure nothing is changed. The message names the file and the entries that are missing or too
   many, or the one that does not fit. Of the file, only what the set has is read. */
CB_API cb_status cb_params_save(const cb_params *params, const char *path, cb_error *error);
CB_API cb_status cb_params_load(cb_params *params, const char *path, cb_error *error);

/* A prefix of names in a file, and what stands in its place in a set: {"module.", ""}. */
typedef struct cb_prefix {
    const char *from; /* how names in the file begin; "" is how all do */
    const char *to;   /* how those of the set do */
} cb_prefix;

/* What loading found. Names are separated by ", "; where there is no room for all, the list ends in
   "...". */
typedef struct cb_load_report {
    int loaded;              /* parameters that were in the file */
    int missing;             /* parameters that were not, and keep their values */
    int extra;               /* entries that the set has no parameter for */
    char missing_names[200]; /* of parameters */
    char extra_names[200];   /* of entries */
} cb_load_report;

/* How weights are loaded; {0} is what cb_params_load does. */
typedef struct cb_load_options {
    bool partial;              /* missing parameters and extra entries are no failure */
    const cb_prefix *prefixes; /* the first whose `from` an entry's name begins with is exchanged;
                                  ended by a row of NULL; NULL: names are the same */
    cb_load_report *report;    /* is filled unless the file cannot be read; NULL: not wanted */
} cb_load_options;

/* The same, with options (NULL: none). Besides, CB_ERROR_VALUE: two entries for one parameter.
     cb_params_load_with(params, "model.safetensors", &(cb_load_options){.partial = true}, &error)
 */
CB_API cb_status cb_params_load_with(cb_params *params, const char *path,
                                     const cb_load_options *options, cb_error *error);
/* Load from a file that is open already and may have other entries, which are left alone: the state
   of an optimizer (optim.h), or what a program keeps beside its weights. */
CB_API cb_status cb_params_restore(cb_params *params, const cb_safetensors *file, cb_error *error);

CB_END_DECLS

#endif
