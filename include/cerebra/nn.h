/* Modules: functions with weights. Every module is a cb_module and is applied by cb_forward.

   Ownership. A module is made on a cb_params, which owns it together with its weights: there is
   nothing to free. `name` prefixes its parameters' names: "head" gives "head.weight", "head.bias".
   The names and layouts of weights are PyTorch's.

   Errors. A constructor that fails records that on the params and returns NULL; cb_forward of NULL
   fails on the tape of x.

   Options that are left out are zero, and zero is the documented default. The last positional
   argument of a constructor macro is the first field of its options, which is why
   cb_linear_new(params, "head", 512, 89, .no_bias = true) reads as it does. It reads so in C++,
   too; arguments.h says how an option that is a struct is given there. */
#ifndef CEREBRA_NN_H
#define CEREBRA_NN_H

#include <cerebra/ops.h>
#include <cerebra/params.h>

CB_BEGIN_DECLS

typedef struct cb_module cb_module;

/* What all modules begin with; a module of one's own embeds it as its first member. */
struct cb_module {
    const char *name; /* prefix of its parameters' names */
    cb_tensor *(*forward)(const cb_module *module, cb_tensor *x); /* y = module(x) */
};

/* y = module(x). NULL module: poisoned, CB_ERROR_NOT_FOUND on x's tape. */
CB_API cb_tensor *cb_forward(const cb_module *module, cb_tensor *x);

/* Zeroed memory that lives as long as the set, for modules of one's own. NULL, recorded, when there
   is none. */
CB_API void *cb_params_allocate(cb_params *params, size_t bytes);
/* The generator that dropout modules of this set draw from. */
CB_API cb_random *cb_params_random(cb_params *params);

/* ---- Feed-forward modules -------------------------------------------------------------------- */

/* Options of cb_linear_new. */
typedef struct cb_linear_options {
    int64_t out;         /* extent of the output */
    bool no_bias;        /* y = x W' alone */
    cb_init weight_init; /* default: uniform +-1 / sqrt(in), as PyTorch */
    cb_init bias_init;   /* default: the same */
} cb_linear_options;
/* y = x W' + b. weight [out, in], bias [out]; x [..., in] -> [..., out].
   cb_linear_new(params, "head", in, out, options...). CB_ERROR_SHAPE: an extent below 1. */
#define cb_linear_new(params, name, in, ...)                                                       \
    cb_linear_new_with(params, name, in, CB_STRUCT(cb_linear_options, .out = __VA_ARGS__))
CB_API cb_module *cb_linear_new_with(cb_params *params, const char *name, int64_t in,
                                     const cb_linear_options *options);

/* Options of cb_embedding_new. */
typedef struct cb_embedding_options {
    int64_t width;         /* elements of a row */
    cb_init weight_init;   /* default: normal, deviation 1, as PyTorch */
    bool padded;           /* whether padding_index is a row for what is no symbol */
    int64_t padding_index; /* that row; read when padded is set */
} cb_embedding_options;
/* y = the rows of weight [count, width] that the integers x point at; x [...] -> [..., width].
   cb_embedding_new(params, "embedding", count, width, options...). With .padded = true, row
   padding_index starts at 0 and gets no gradient (PyTorch's padding_idx), so that it stays 0; what
   is loaded there instead is moved by weight decay alone. CB_ERROR_INDEX: a padding_index outside
   0..count-1. */
#define cb_embedding_new(params, name, count, ...)                                                 \
    cb_embedding_new_with(params, name, count,                                                     \
                          CB_STRUCT(cb_embedding_options, .width = __VA_ARGS__))
CB_API cb_module *cb_embedding_new_with(cb_params *params, const char *name, int64_t count,
                                        const cb_embedding_options *options);

/* y = cb_dropout(x, rate) on a tape that records gradients, x itself on one that does not. */
CB_API cb_module *cb_dropout_new(cb_params *params, const char *name, double rate);

/* Options of cb_layer_norm_new. */
typedef struct cb_layer_norm_options {
    int64_t width;  /* extent of the last axis */
    bool no_affine; /* no weight, no bias */
    double epsilon; /* 0: 1e-5 */
} cb_layer_norm_options;
/* y = cb_layer_norm over the last axis, of extent width; weight starts at 1, bias at 0.
   cb_layer_norm_new(params, "norm", width, options...). */
#define cb_layer_norm_new(params, name, ...)                                                       \
    cb_layer_norm_new_with(params, name, CB_STRUCT(cb_layer_norm_options, .width = __VA_ARGS__))
CB_API cb_module *cb_layer_norm_new_with(cb_params *params, const char *name,
                                         const cb_layer_norm_options *options);

/* Options of cb_batch_norm_new. */
typedef struct cb_batch_norm_options {
    int64_t width;   /* channels */
    bool no_affine;  /* no weight, no bias */
    double epsilon;  /* 0: 1e-5 */
    double momentum; /* of the running statistics; 0: 0.1 */
} cb_batch_norm_options;
/* y = cb_batch_norm over axis 1, of extent width: with x's own statistics in training, and with the
   running ones in evaluation (cb_tape_evaluate). Each application in training moves these,
     running = (1 - momentum) running + momentum x's own,
   the variance n / (n - 1) times that of the population, as in PyTorch. weight starts at 1, bias at
   0; running_mean at 0 and running_var at 1 are buffers [width], which are saved and not trained.
   One that is put on a tape for evaluation may not be applied in training before the tape is reset.
   cb_batch_norm_new(params, "norm", width, options...). On x's tape CB_ERROR_SHAPE: another extent,
   or in training fewer than two values a channel. A recurrent step with one in training runs op by
   op. */
#define cb_batch_norm_new(params, name, ...)                                                       \
    cb_batch_norm_new_with(params, name, CB_STRUCT(cb_batch_norm_options, .width = __VA_ARGS__))
CB_API cb_module *cb_batch_norm_new_with(cb_params *params, const char *name,
                                         const cb_batch_norm_options *options);

/* ---- Convolutions and pooling ---------------------------------------------------------------- */

/* Entries are for the axes in their order: 1d uses the first. */
typedef struct cb_conv_module_options {
    int64_t out;         /* output channels */
    int64_t size[2];     /* of the window, along each axis */
    int64_t stride[2];   /* 0: 1 */
    int64_t padding[2];  /* zeros at either end */
    int64_t dilation[2]; /* 0: 1 */
    int64_t groups;      /* 0: 1 */
    bool no_bias;        /* the convolution alone */
    cb_init weight_init; /* default: uniform +-1 / sqrt(in / groups * size), as PyTorch */
    cb_init bias_init;   /* default: the same */
} cb_conv_module_options;
/* y = cb_conv1d or cb_conv2d. weight [out, in / groups, size..], bias [out]; x [N, in, L] or
   [N, in, H, W] -> [N, out, places..].
     cb_conv2d_new(params, "conv", in, out, .size = {3, 3}, .padding = {1, 1})
   CB_ERROR_SHAPE: an extent below 1; CB_ERROR_VALUE: groups that do not divide in and out, a
   negative option. */
#define cb_conv1d_new(params, name, in, ...)                                                       \
    cb_conv_new_with(params, name, 1, in, CB_STRUCT(cb_conv_module_options, .out = __VA_ARGS__))
#define cb_conv2d_new(params, name, in, ...)                                                       \
    cb_conv_new_with(params, name, 2, in, CB_STRUCT(cb_conv_module_options, .out = __VA_ARGS__))
CB_API cb_module *cb_conv_new_with(cb_params *params, const char *name, int axes, int64_t in,
                                   const cb_conv_module_options *options);

/* y = cb_max_pool2d(x, ...) and the like: cb_max_pool2d_new(params, "pool", .size = {2, 2}).
   Options are checked when the module is applied. */
#define cb_max_pool1d_new(params, name, ...)                                                       \
    cb_max_pool_new_with(params, name, 1, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_max_pool2d_new(params, name, ...)                                                       \
    cb_max_pool_new_with(params, name, 2, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_avg_pool1d_new(params, name, ...)                                                       \
    cb_avg_pool_new_with(params, name, 1, CB_STRUCT(cb_pool_options, __VA_ARGS__))
#define cb_avg_pool2d_new(params, name, ...)                                                       \
    cb_avg_pool_new_with(params, name, 2, CB_STRUCT(cb_pool_options, __VA_ARGS__))
CB_API cb_module *cb_max_pool_new_with(cb_params *params, const char *name, int axes,
                                       const cb_pool_options *options);
CB_API cb_module *cb_avg_pool_new_with(cb_params *params, const char *name, int axes,
                                       const cb_pool_options *options);

/* ---- Modules of modules and functions ---------------------------------------------------------
 */

/* A function without weights as a module: cb_function_new(params, "tanh", cb_tanh). */
CB_API cb_module *cb_function_new(cb_params *params, const char *name,
                                  cb_tensor *(*function)(cb_tensor *x));

/* y = modules[count - 1](... modules[0](x)). The array is copied, the modules are shared. A NULL
   among them fails: CB_ERROR_NOT_FOUND. */
CB_API cb_module *cb_sequential_new(cb_params *params, const char *name, int count,
                                    cb_module *const *modules);

CB_END_DECLS

#endif
