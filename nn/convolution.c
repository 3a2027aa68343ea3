/* Modules of convolutions and of pooling. */
#include "nn/params_internal.h"

#include <cerebra/nn.h>
#include <math.h>

/* ---- Convolution ----------------------------------------------------------------------------- */

typedef struct convolution {
    cb_module module;
    cb_param *weight, *bias; /* bias NULL: none */
    int axes;
    cb_conv_options options; /* but for the bias */
} convolution;

static cb_tensor *convolution_forward(const cb_module *module, cb_tensor *x) {
    const convolution *self = (const convolution *)module;
    cb_tape *tape = cb_tape_of(x);
    cb_conv_options options = self->options;
    options.bias = self->bias == NULL ? NULL : cb_parameter(tape, self->bias);
    return cb_conv_with(self->axes, x, cb_parameter(tape, self->weight), &options);
}

/* Whether groups divide the channels and no option is negative; records what is wrong. */
static bool options_good(cb_params *params, const char *name, int axes, int64_t in,
                         const cb_conv_module_options *o) {
    int64_t groups = o->groups == 0 ? 1 : o->groups;
    if (axes < 1 || axes > 2) {
        cbi_params_fail(params, CB_ERROR_VALUE, "convolution %s: %d axes; there can be 1 or 2",
                        name, axes);
        return false;
    }
    if (groups < 1 || in % groups != 0 || o->out % groups != 0) {
        cbi_params_fail(params, CB_ERROR_VALUE,
                        "convolution %s: %lld groups do not divide %lld and %lld channels", name,
                        (long long)groups, (long long)in, (long long)o->out);
        return false;
    }
    for (int k = 0; k < axes; k++) {
        if (o->stride[k] < 0 || o->padding[k] < 0 || o->dilation[k] < 0) {
            cbi_params_fail(params, CB_ERROR_VALUE,
                            "convolution %s: stride %lld, padding %lld or dilation %lld is "
                            "negative",
                            name, (long long)o->stride[k], (long long)o->padding[k],
                            (long long)o->dilation[k]);
            return false;
        }
    }
    return true;
}

cb_module *cb_conv_new_with(cb_params *params, const char *name, int axes, int64_t in,
                            const cb_conv_module_options *options) {
    cb_conv_module_options none = {0};
    const cb_conv_module_options *o = options == NULL ? &none : options;
    if (!options_good(params, name == NULL ? "" : name, axes, in, o))
        return NULL;
    convolution *self = cbi_module_new(params, name, sizeof *self, convolution_forward);
    if (self == NULL)
        return NULL;
    int64_t shape[4] = {o->out, in / (o->groups == 0 ? 1 : o->groups)};
    double fan_in = (double)shape[1];
    self->axes = axes;
    self->options.groups = o->groups;
    for (int k = 0; k < axes; k++) {
        shape[2 + k] = o->size[k];
        fan_in *= (double)o->size[k];
        self->options.stride[k] = o->stride[k];
        self->options.padding[k] = o->padding[k];
        self->options.dilation[k] = o->dilation[k];
    }
    /* Without inputs the bound would be infinite; the weight's shape is refused below. */
    double bound = fan_in < 1 ? 0 : 1 / sqrt(fan_in);
    const cb_init uniform = {.kind = CB_INIT_UNIFORM, .a = -bound, .b = bound};
    self->weight =
        cbi_module_parameter(params, name, "weight", axes + 2, shape, o->weight_init, uniform);
    if (!o->no_bias && self->weight != NULL) {
        self->bias =
            cbi_module_parameter(params, name, "bias", CB_SHAPE(o->out), o->bias_init, uniform);
    }
    return self->weight == NULL || (!o->no_bias && self->bias == NULL) ? NULL : &self->module;
}

/* ---- Pooling --------------------------------------------------------------------------------- */

typedef struct pool {
    cb_module module;
    cb_tensor *(*apply)(int axes, cb_tensor *x, const cb_pool_options *options);
    int axes;
    cb_pool_options options;
} pool;

static cb_tensor *pool_forward(const cb_module *module, cb_tensor *x) {
    const pool *self = (const pool *)module;
    return self->apply(self->axes, x, &self->options);
}

static cb_module *pool_new(cb_params *params, const char *name,
                           cb_tensor *(*apply)(int axes, cb_tensor *x,
                                               const cb_pool_options *options),
                           int axes, const cb_pool_options *options) {
    pool *self = cbi_module_new(params, name, sizeof *self, pool_forward);
    if (self == NULL)
        return NULL;
    self->apply = apply;
    self->axes = axes;
    self->options = options == NULL ? (cb_pool_options){0} : *options;
    return &self->module;
}

cb_module *cb_max_pool_new_with(cb_params *params, const char *name, int axes,
                                const cb_pool_options *options) {
    return pool_new(params, name, cb_max_pool_with, axes, options);
}

cb_module *cb_avg_pool_new_with(cb_params *params, const char *name, int axes,
                                const cb_pool_options *options) {
    return pool_new(params, name, cb_avg_pool_with, axes, options);
}
