/* Batch normalisation with running statistics.

   An application in training moves the statistics at once. It does so once for each that the
   program asks for: not where a checkpoint computes again, and not where a compiled recurrence is
   checked. A step that is traced computes nothing, so that a recurrence with one in training is
   refused there, and runs op by op. */
#include "nn/params_internal.h"

#include "autograd/ops/batch_norm.h"
#include "autograd/tape_internal.h"

#include <cerebra/nn.h>
#include <math.h>

typedef struct batch_norm {
    cb_module module;
    cb_param *weight, *bias; /* both NULL: none */
    cb_param *running_mean, *running_var;
    int64_t width;
    double epsilon, momentum;
} batch_norm;

/* Moves a running statistic towards `scale` times that of a batch. */
static void move(cb_param *running, const cb_tensor *batch, double scale, double momentum) {
    for (int64_t i = 0; i < running->value->shape[0]; i++) {
        double before = cb_tensor_get(running->value, &i);
        double now = scale * cb_tensor_get(batch, &i);
        cb_tensor_set(running->value, &i, (1 - momentum) * before + momentum * now);
    }
}

static cb_tensor *train(const batch_norm *self, cb_tensor *x, cb_tensor *weight, cb_tensor *bias) {
    cb_tape *tape = cb_tape_of(x);
    double n = (double)cb_tensor_count(x) / (double)self->width;
    if (tape->trace != NULL) {
        return cb_fail(x, CB_ERROR_VALUE, "batch norm %s: its statistics change in every step",
                       self->module.name);
    }
    if (n < 2) {
        return cb_fail(x, CB_ERROR_SHAPE,
                       "batch norm %s: %g values a channel; training needs two at least",
                       self->module.name, n);
    }
    cb_tensor *mean, *variance;
    cb_tensor *y = cbi_batch_norm_training(x, weight, bias, self->epsilon, &mean, &variance);
    bool again = tape->drawing_again || tape->stand_ins != NULL;
    if (!again && n > 0 && cb_tape_status(tape) == CB_OK) {
        move(self->running_mean, mean, 1, self->momentum);
        move(self->running_var, variance, n / (n - 1), self->momentum);
    }
    return y;
}

static cb_tensor *batch_norm_forward(const cb_module *module, cb_tensor *x) {
    const batch_norm *self = (const batch_norm *)module;
    cb_tape *tape = cb_tape_of(x);
    bool affine = self->weight != NULL;
    cb_tensor *weight = affine ? cb_parameter(tape, self->weight) : NULL;
    cb_tensor *bias = affine ? cb_parameter(tape, self->bias) : NULL;
    if (tape == NULL || cb_tape_status(tape) != CB_OK)
        return cb_batch_norm(x, NULL, NULL, weight, bias, self->epsilon);
    if (x->rank < 2 || x->shape[1] != self->width) {
        return cb_fail(x, CB_ERROR_SHAPE, "batch norm %s: axis 1 is not %lld channels",
                       module->name, (long long)self->width);
    }
    if (!cb_tape_evaluates(tape))
        return train(self, x, weight, bias);
    return cb_batch_norm(x, cb_parameter(tape, self->running_mean),
                         cb_parameter(tape, self->running_var), weight, bias, self->epsilon);
}

/* Whether the options are in their ranges; records what is not. */
static bool options_good(cb_params *params, const char *name, const cb_batch_norm_options *o) {
    if (o->width < 1) {
        cbi_params_fail(params, CB_ERROR_SHAPE, "batch norm %s: width %lld is below 1", name,
                        (long long)o->width);
        return false;
    }
    if (!(o->epsilon >= 0 && isfinite(o->epsilon))) {
        cbi_params_fail(params, CB_ERROR_VALUE,
                        "batch norm %s: an epsilon of %g is not a finite number from 0", name,
                        o->epsilon);
        return false;
    }
    if (!(o->momentum >= 0 && o->momentum <= 1)) {
        cbi_params_fail(params, CB_ERROR_VALUE, "batch norm %s: a momentum of %g is outside [0, 1]",
                        name, o->momentum);
        return false;
    }
    return true;
}

/* Adds the buffer NAME.suffix, of one element a channel. */
static cb_param *add_buffer(cb_params *params, const char *name, const char *suffix, int64_t width,
                            cb_init init) {
    cb_param *param = cbi_module_parameter(params, name, suffix, CB_SHAPE(width), init, init);
    if (param != NULL)
        param->buffer = true;
    return param;
}

cb_module *cb_batch_norm_new_with(cb_params *params, const char *name,
                                  const cb_batch_norm_options *options) {
    cb_batch_norm_options none = {0};
    const cb_batch_norm_options *o = options == NULL ? &none : options;
    if (!options_good(params, name == NULL ? "" : name, o))
        return NULL;
    batch_norm *self = cbi_module_new(params, name, sizeof *self, batch_norm_forward);
    if (self == NULL)
        return NULL;
    const cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1}, zero = {.kind = CB_INIT_ZEROS};
    self->width = o->width;
    self->epsilon = o->epsilon == 0 ? 1e-5 : o->epsilon;
    self->momentum = o->momentum == 0 ? 0.1 : o->momentum;
    bool good = true;
    if (!o->no_affine) {
        self->weight = cbi_module_parameter(params, name, "weight", CB_SHAPE(o->width), one, one);
        self->bias = cbi_module_parameter(params, name, "bias", CB_SHAPE(o->width), zero, zero);
        good = self->weight != NULL && self->bias != NULL;
    }
    self->running_mean = add_buffer(params, name, "running_mean", o->width, zero);
    self->running_var = add_buffer(params, name, "running_var", o->width, one);
    return good && self->running_mean != NULL && self->running_var != NULL ? &self->module : NULL;
}
