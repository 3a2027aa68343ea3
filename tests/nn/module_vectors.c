/* See module_vectors.h. */
#include "tests/nn/module_vectors.h"

#include "tests/support.h"

#include <string.h>

/* The file's entry of a parameter, with this in front of its name without the module's. */
static const cb_tensor *entry_of(const cb_safetensors *file, const char *front,
                                 const cb_param *param) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", front, strchr(param->name, '.') + 1);
    return cbt_find(file, name);
}

static void set_values(const cb_params *params, const cb_safetensors *file) {
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        const cb_tensor *values = entry_of(file, param->buffer ? "before." : "", param);
        cr_assert_eq(cb_tensor_assign(param->value, values), CB_OK);
    }
}

static void expect_module(const char *name, cb_params *params, const cb_module *module,
                          int parameters, bool evaluates) {
    cb_safetensors *file = cbt_reference(name);
    cr_assert_not_null(module, "%s: %s", name, cb_params_error(params));
    cr_assert_eq(cb_params_count(params), parameters, "%s", name);
    set_values(params, file);
    cb_tape *tape = cb_tape_new();
    cb_tape_evaluate(tape, evaluates);
    const cb_tensor *input = cbt_find(file, "input");
    cb_tensor *x =
        cb_dtype_is_float(input->dtype) ? cb_variable(tape, input) : cb_input(tape, input);
    cb_tensor *y = cb_forward(module, x);
    cb_tensor *projection = cb_input(tape, cbt_find(file, "projection.output"));
    cb_tensor *loss = cb_sum(cb_mul(y, projection), CB_ALL_AXES, false);
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", name, cb_tape_error(tape));
    cr_expect(cb_tensor_is_contiguous(y), "%s", name);
    cr_expect(cbt_close(y, cbt_find(file, "output"), 1e-5), "%s", name);
    if (cb_dtype_is_float(input->dtype))
        cr_expect(cbt_close(cb_gradient(x), cbt_find(file, "grad.input"), 1e-5), "%s", name);
    for (int i = 0; i < parameters; i++) {
        const cb_param *param = cb_params_at(params, i);
        cr_expect(param->buffer ? cbt_close(param->value, entry_of(file, "", param), 1e-5)
                                : cbt_close(param->gradient, entry_of(file, "grad.", param), 1e-5),
                  "%s: %s", name, param->name);
    }
    cb_tape_free(tape);
    cb_params_free(params);
    cb_safetensors_free(file);
}

void cbt_expect_module(const char *name, cb_params *params, const cb_module *module,
                       int parameters) {
    expect_module(name, params, module, parameters, false);
}

void cbt_expect_evaluation(const char *name, cb_params *params, const cb_module *module,
                           int parameters) {
    expect_module(name, params, module, parameters, true);
}
