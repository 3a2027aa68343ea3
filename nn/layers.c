/* The feed-forward modules with weights: linear, embedding, layer norm. Each is a struct of
   parameters, a constructor, and a forward function that hands them to the op. */
#include "nn/params_internal.h"

#include <cerebra/nn.h>
#include <math.h>

/* ---- Linear ---------------------------------------------------------------------------------- */

typedef struct linear {
    cb_module module;
    cb_param *weight, *bias; /* bias NULL: none */
} linear;

static cb_tensor *linear_forward(const cb_module *module, cb_tensor *x) {
    const linear *self = (const linear *)module;
    cb_tape *tape = cb_tape_of(x);
    return cb_linear(x, cb_parameter(tape, self->weight),
                     self->bias == NULL ? NULL : cb_parameter(tape, self->bias));
}

cb_module *cb_linear_new_with(cb_params *params, const char *name, int64_t in,
                              const cb_linear_options *options) {
    cb_linear_options none = {0};
    const cb_linear_options *o = options == NULL ? &none : options;
    /* Without inputs the bound would be infinite; the weight's shape is refused below. */
    double bound = in < 1 ? 0 : 1 / sqrt((double)in);
    cb_init uniform = {.kind = CB_INIT_UNIFORM, .a = -bound, .b = bound};
    linear *self = cbi_module_new(params, name, sizeof *self, linear_forward);
    if (self == NULL)
        return NULL;
    self->weight =
        cbi_module_parameter(params, name, "weight", CB_SHAPE(o->out, in), o->weight_init, uniform);
    if (!o->no_bias && self->weight != NULL) {
        self->bias =
            cbi_module_parameter(params, name, "bias", CB_SHAPE(o->out), o->bias_init, uniform);
    }
    return self->weight == NULL || (!o->no_bias && self->bias == NULL) ? NULL : &self->module;
}

/* ---- Embedding ------------------------------------------------------------------------------- */

typedef struct embedding {
    cb_module module;
    cb_param *weight;
    int64_t padding; /* the row that is not learned; -1: none */
} embedding;

static cb_tensor *embedding_forward(const cb_module *module, cb_tensor *x) {
    const embedding *self = (const embedding *)module;
    cb_tensor *weight = cb_parameter(cb_tape_of(x), self->weight);
    if (self->padding >= 0)
        weight = cb_stop_gradient_at(weight, 0, self->padding);
    return cb_gather_rows(weight, x);
}

cb_module *cb_embedding_new_with(cb_params *params, const char *name, int64_t count,
                                 const cb_embedding_options *options) {
    cb_embedding_options none = {0};
    const cb_embedding_options *o = options == NULL ? &none : options;
    cb_init normal = {.kind = CB_INIT_NORMAL, .a = 0, .b = 1};
    if (o->padded && (o->padding_index < 0 || o->padding_index >= count)) {
        cbi_params_fail(
            params, CB_ERROR_INDEX, "embedding %s: row %lld for padding is outside 0..%lld",
            name == NULL ? "" : name, (long long)o->padding_index, (long long)count - 1);
        return NULL;
    }
    embedding *self = cbi_module_new(params, name, sizeof *self, embedding_forward);
    if (self == NULL)
        return NULL;
    self->padding = o->padded ? o->padding_index : -1;
    self->weight = cbi_module_parameter(params, name, "weight", CB_SHAPE(count, o->width),
                                        o->weight_init, normal);
    for (int64_t i = 0; self->weight != NULL && o->padded && i < o->width; i++)
        cb_tensor_set(self->weight->value, (int64_t[]){self->padding, i}, 0);
    return self->weight == NULL ? NULL : &self->module;
}

/* ---- Layer norm ------------------------------------------------------------------------------ */

typedef struct layer_norm {
    cb_module module;
    cb_param *weight, *bias; /* both NULL: none */
    int64_t width;
    double epsilon;
} layer_norm;

static cb_tensor *layer_norm_forward(const cb_module *module, cb_tensor *x) {
    const layer_norm *self = (const layer_norm *)module;
    cb_tape *tape = cb_tape_of(x);
    if (self->weight != NULL) {
        return cb_layer_norm(x, cb_parameter(tape, self->weight), cb_parameter(tape, self->bias),
                             self->epsilon);
    }
    /* Without weights the op has nothing to tell the width from. */
    if (x != NULL && x->rank > 0 && x->shape[x->rank - 1] != self->width) {
        return cb_fail(x, CB_ERROR_SHAPE, "layer norm %s: the last extent is %lld, not %lld",
                       module->name, (long long)x->shape[x->rank - 1], (long long)self->width);
    }
    return cb_layer_norm(x, NULL, NULL, self->epsilon);
}

cb_module *cb_layer_norm_new_with(cb_params *params, const char *name,
                                  const cb_layer_norm_options *options) {
    cb_layer_norm_options none = {0};
    const cb_layer_norm_options *o = options == NULL ? &none : options;
    const char *shown = name == NULL ? "" : name;
    if (o->width < 1) {
        cbi_params_fail(params, CB_ERROR_SHAPE, "layer norm %s: width %lld is below 1", shown,
                        (long long)o->width);
        return NULL;
    }
    if (!(o->epsilon >= 0 && isfinite(o->epsilon))) {
        cbi_params_fail(params, CB_ERROR_VALUE, "layer norm %s: epsilon %g", shown, o->epsilon);
        return NULL;
    }
    layer_norm *self = cbi_module_new(params, name, sizeof *self, layer_norm_forward);
    if (self == NULL)
        return NULL;
    self->width = o->width;
    self->epsilon = o->epsilon == 0 ? 1e-5 : o->epsilon;
    if (o->no_affine)
        return &self->module;
    cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1}, zero = {.kind = CB_INIT_ZEROS};
    self->weight = cbi_module_parameter(params, name, "weight", CB_SHAPE(o->width), one, one);
    self->bias = cbi_module_parameter(params, name, "bias", CB_SHAPE(o->width), zero, zero);
    return self->weight == NULL || self->bias == NULL ? NULL : &self->module;
}
