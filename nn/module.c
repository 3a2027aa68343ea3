/* cb_forward, and the modules without weights: dropout, a function, a sequence of modules. */
#include "nn/params_internal.h"

#include "autograd/tape_internal.h"

#include <cerebra/nn.h>
#include <stdio.h>
#include <string.h>

void *cbi_module_new(cb_params *params, const char *name, size_t bytes,
                     cb_tensor *(*forward)(const cb_module *module, cb_tensor *x)) {
    size_t length = name == NULL ? 1 : strlen(name) + 1;
    cb_module *module = cb_params_allocate(params, bytes + length);
    if (module != NULL) {
        module->name = memcpy((char *)module + bytes, name == NULL ? "" : name, length);
        module->forward = forward;
    }
    return module;
}

cb_param *cbi_module_parameter(cb_params *params, const char *name, const char *suffix, int rank,
                               const int64_t *shape, cb_init init, cb_init otherwise) {
    char full[256];
    int length = snprintf(full, sizeof full, "%s.%s", name == NULL ? "" : name, suffix);
    if (name == NULL || *name == '\0' || length < 0 || (size_t)length >= sizeof full) {
        cbi_params_fail(params, CB_ERROR_VALUE,
                        "a module with weights needs a name of 1 to %d bytes",
                        (int)sizeof full - 10);
        return NULL;
    }
    return cb_params_add(params, full, rank, shape, 1,
                         init.kind == CB_INIT_DEFAULT ? &otherwise : &init);
}

cb_tensor *cb_forward(const cb_module *module, cb_tensor *x) {
    if (module == NULL || module->forward == NULL)
        return cb_fail(x, CB_ERROR_NOT_FOUND, "the module is NULL: see cb_params_error");
    cb_tape *tape = cb_tape_of(x);
    bool good = cb_tape_status(tape) == CB_OK;
    cb_tensor *y = module->forward(module, x);
    if (good && cb_tape_status(tape) != CB_OK)
        cbi_tape_name_layer(tape, module->name);
    return y;
}

/* ---- Dropout --------------------------------------------------------------------------------- */

typedef struct dropout {
    cb_module module;
    double rate;
    cb_random *random; /* the set's */
} dropout;

static cb_tensor *dropout_forward(const cb_module *module, cb_tensor *x) {
    const dropout *self = (const dropout *)module;
    const cb_tape *tape = cb_tape_of(x);
    return tape != NULL && tape->evaluating ? x : cb_dropout(x, self->rate, self->random);
}

cb_module *cb_dropout_new(cb_params *params, const char *name, double rate) {
    if (!(rate >= 0 && rate < 1)) {
        cbi_params_fail(params, CB_ERROR_VALUE, "dropout %s: rate %g is outside [0, 1)",
                        name == NULL ? "" : name, rate);
        return NULL;
    }
    dropout *self = cbi_module_new(params, name, sizeof *self, dropout_forward);
    if (self == NULL)
        return NULL;
    self->rate = rate;
    self->random = cb_params_random(params);
    return &self->module;
}

/* ---- A function ------------------------------------------------------------------------------ */

typedef struct function {
    cb_module module;
    cb_tensor *(*apply)(cb_tensor *x);
} function;

static cb_tensor *function_forward(const cb_module *module, cb_tensor *x) {
    return ((const function *)module)->apply(x);
}

cb_module *cb_function_new(cb_params *params, const char *name, cb_tensor *(*apply)(cb_tensor *x)) {
    if (apply == NULL) {
        cbi_params_fail(params, CB_ERROR_NOT_FOUND, "function %s: it is NULL",
                        name == NULL ? "" : name);
        return NULL;
    }
    function *self = cbi_module_new(params, name, sizeof *self, function_forward);
    if (self == NULL)
        return NULL;
    self->apply = apply;
    return &self->module;
}

/* ---- A sequence ------------------------------------------------------------------------------ */

typedef struct sequential {
    cb_module module;
    int count;
    cb_module **modules;
} sequential;

static cb_tensor *sequential_forward(const cb_module *module, cb_tensor *x) {
    const sequential *self = (const sequential *)module;
    for (int i = 0; i < self->count; i++)
        x = cb_forward(self->modules[i], x);
    return x;
}

cb_module *cb_sequential_new(cb_params *params, const char *name, int count,
                             cb_module *const *modules) {
    const char *shown = name == NULL ? "" : name;
    if (count < 0) {
        cbi_params_fail(params, CB_ERROR_VALUE, "sequential %s: %d modules", shown, count);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        if (modules == NULL || modules[i] == NULL) {
            cbi_params_fail(params, CB_ERROR_NOT_FOUND, "sequential %s: module %d is NULL", shown,
                            i);
            return NULL;
        }
    }
    sequential *self = cbi_module_new(params, name, sizeof *self, sequential_forward);
    cb_module **copy = cb_params_allocate(params, (size_t)count * sizeof *copy);
    if (self == NULL || copy == NULL)
        return NULL;
    if (count > 0)
        memcpy(copy, modules, (size_t)count * sizeof *copy);
    self->count = count;
    self->modules = copy;
    return &self->module;
}
