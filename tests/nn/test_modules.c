/* Modules: outputs and gradients against PyTorch, initial values, errors. */
#include "tensor/memory.h"
#include "tests/nn/module_vectors.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* ---- PyTorch --------------------------------------------------------------------------------- */

Test(modules, linear_equals_pytorch) {
    const char *const with[] = {"linear_bias", "linear_bias_3d"};
    const char *const without[] = {"linear_nobias", "linear_nobias_3d"};
    for (int i = 0; i < 2; i++) {
        cb_params *params = cb_params_new(1);
        cbt_expect_module(with[i], params, cb_linear_new(params, "m", 5, 4), 2);
        params = cb_params_new(1);
        cbt_expect_module(without[i], params, cb_linear_new(params, "m", 5, 4, .no_bias = true), 1);
    }
}

Test(modules, embedding_equals_pytorch) {
    cb_params *params = cb_params_new(1);
    cbt_expect_module("embedding", params, cb_embedding_new(params, "m", 7, 4), 1);
}

/* The gradient of an embedding's weight, [7, 4], by way of a recurrent network. */
static cb_tensor *gradient_of_table(bool padded, bool recurrent) {
    cb_params *params = cb_params_new(5);
    cb_module *embedding =
        cb_embedding_new(params, "m", 7, 4, .padded = padded, .padding_index = 2);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 4, 3);
    cr_assert_eq(cb_params_status(params), CB_OK, "%s", cb_params_error(params));
    cb_param *weight = cb_params_find(params, "m.weight");
    for (int64_t i = 0; i < 4; i++)
        cr_expect((cb_tensor_get(weight->value, (int64_t[]){2, i}) == 0) == padded);
    cb_tensor_fill(weight->value, 0.5);
    int64_t symbols[] = {2, 3, 2, 6, 2, 0, 3, 1, 2};
    cb_tensor plain = cb_tensor_wrap(CB_I64, CB_SHAPE(3, 3), symbols);
    cb_tape *tape = cb_tape_new();
    cb_tensor *y = cb_forward(embedding, cb_input(tape, &plain));
    cr_expect_eq(cb_tensor_get(y, (int64_t[]){0, 0, 1}), 0.5, "what is set there is used");
    if (recurrent)
        y = cb_rnn_forward(rnn, y, NULL);
    cr_assert_eq(cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false)), CB_OK, "%s",
                 cb_tape_error(tape));
    cb_tensor *gradient = cb_tensor_copy(weight->gradient, CB_F32);
    cb_tape_free(tape);
    cb_params_free(params);
    return gradient;
}

Test(modules, the_padding_of_an_embedding_gets_no_gradient) {
    for (int recurrent = 0; recurrent < 2; recurrent++) {
        cb_tensor *plain = gradient_of_table(false, recurrent);
        cb_tensor *padded = gradient_of_table(true, recurrent);
        for (int64_t i = 0; i < 28; i++) {
            float whole = ((float *)plain->data)[i], part = ((float *)padded->data)[i];
            cr_expect(i / 4 == 2 ? whole != 0 && part == 0 : part == whole, "element %lld: %g, %g",
                      (long long)i, (double)whole, (double)part);
        }
        cb_tensor_free(plain);
        cb_tensor_free(padded);
    }
}

Test(modules, layer_norm_equals_pytorch) {
    cb_params *params = cb_params_new(1);
    cbt_expect_module("layer_norm", params, cb_layer_norm_new(params, "m", 6), 2);
    params = cb_params_new(1);
    cbt_expect_module("layer_norm_plain", params,
                      cb_layer_norm_new(params, "m", 6, .no_affine = true), 0);
}

/* ---- Initial values -------------------------------------------------------------------------- */

static void expect_range(const cb_params *params, const char *name, double low, double high) {
    const cb_param *param = cb_params_find(params, name);
    cr_assert_not_null(param, "there is no %s", name);
    float smallest = HUGE_VALF, largest = -HUGE_VALF;
    for (int64_t i = 0; i < cb_tensor_count(param->value); i++) {
        float x = ((float *)param->value->data)[i];
        smallest = x < smallest ? x : smallest;
        largest = x > largest ? x : largest;
    }
    double margin = 0.1 * (high - low);
    cr_expect(smallest >= (float)low && (double)smallest <= low + margin, "%s from %g", name,
              (double)smallest);
    cr_expect(largest <= (float)high && (double)largest >= high - margin, "%s to %g", name,
              (double)largest);
}

Test(modules, initial_values_are_pytorchs_unless_chosen) {
    cb_params *params = cb_params_new(1);
    cb_init three = {.kind = CB_INIT_CONSTANT, .a = 3}, zeros = {.kind = CB_INIT_ZEROS};
    cb_init unit = {.kind = CB_INIT_UNIFORM, .a = 0, .b = 1};
    cb_linear_new(params, "linear", 16, 200);
    expect_range(params, "linear.weight", -0.25, 0.25);
    expect_range(params, "linear.bias", -0.25, 0.25);
    cb_linear_new(params, "chosen", 16, 200, .weight_init = three, .bias_init = zeros);
    expect_range(params, "chosen.weight", 3, 3);
    expect_range(params, "chosen.bias", 0, 0);
    cb_layer_norm_new(params, "norm", 5);
    expect_range(params, "norm.weight", 1, 1);
    expect_range(params, "norm.bias", 0, 0);
    cb_embedding_new(params, "flat", 20, 30, .weight_init = unit);
    expect_range(params, "flat.weight", 0, 1);
    cb_embedding_new(params, "embedding", 100, 100);
    double squares = 0;
    for (int i = 0; i < 10000; i++) {
        float x = ((float *)cb_params_find(params, "embedding.weight")->value->data)[i];
        squares += (double)x * (double)x;
    }
    cr_expect_float_eq(squares / 10000, 1, 0.07);
    cr_expect_eq(cb_params_status(params), CB_OK);
    cb_params_free(params);
}

/* ---- Dropout, functions, sequences ----------------------------------------------------------- */

Test(modules, dropout_acts_on_tapes_that_record) {
    cb_params *params = cb_params_new(1);
    cb_module *dropout = cb_dropout_new(params, "drop", 0.25);
    cb_tape *training = cb_tape_new(), *evaluation = cb_tape_new_no_grad();
    cb_tensor *x = cb_full(evaluation, CB_F32, CB_SHAPE(10000), 3);
    cr_expect_eq(cb_forward(dropout, x), x);
    cb_tensor *y = cb_forward(dropout, cb_full(training, CB_F32, CB_SHAPE(10000), 3));
    cb_tensor *z = cb_forward(dropout, cb_full(training, CB_F32, CB_SHAPE(10000), 3));
    int dropped = 0, kept = 0;
    for (int i = 0; i < 10000; i++) {
        float value = ((float *)y->data)[i];
        dropped += value == 0;
        kept += value == 4;
    }
    cr_expect_eq(dropped + kept, 10000);
    cr_expect(dropped > 2300 && dropped < 2700, "%d dropped", dropped);
    cr_expect_neq(memcmp(y->data, z->data, 40000), 0, "the same mask twice");
    cb_tape_free(training);
    cb_tape_free(evaluation);
    cb_params_free(params);
}

Test(modules, a_sequence_applies_its_modules_in_order) {
    cb_params *params = cb_params_new(1);
    cb_init two = {.kind = CB_INIT_CONSTANT, .a = 2}, one = {.kind = CB_INIT_CONSTANT, .a = 1};
    cb_module *modules[] = {
        cb_linear_new(params, "a", 1, 1, .weight_init = two, .bias_init = one),
        cb_function_new(params, "square", cb_square),
        cb_linear_new(params, "b", 1, 1, .weight_init = two, .no_bias = true),
    };
    cb_module *model = cb_sequential_new(params, "model", 3, modules);
    cb_module *nothing = cb_sequential_new(params, "nothing", 0, NULL);
    modules[0] = NULL; /* the array was copied */
    cr_assert_eq(cb_params_status(params), CB_OK, "%s", cb_params_error(params));
    cr_expect_str_eq(model->name, "model");
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(1, 1), 3);
    cr_expect_eq(cb_item(cb_forward(model, x)), 98); /* 2 (2 3 + 1)^2 */
    cr_expect_eq(cb_forward(nothing, x), x);
    cb_tape_free(tape);
    cb_params_free(params);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void expect_failed(cb_params *params, const cb_module *module, cb_status status,
                          const char *text) {
    cr_expect_null(module, "%s", text);
    cr_expect_eq(cb_params_status(params), status, "%s: %s", text, cb_params_error(params));
    cr_expect_not_null(strstr(cb_params_error(params), text), "'%s' is not in '%s'", text,
                       cb_params_error(params));
    cb_params_free(params);
}

Test(modules, bad_arguments_are_recorded_on_the_set) {
    cb_params *p = cb_params_new(1);
    expect_failed(p, cb_linear_new(p, "m", 0, 4), CB_ERROR_SHAPE, "m.weight");
    p = cb_params_new(1);
    expect_failed(p, cb_linear_new(p, "m", 4, -1), CB_ERROR_SHAPE, "m.weight");
    p = cb_params_new(1);
    expect_failed(p, cb_linear_new(p, NULL, 4, 4), CB_ERROR_VALUE, "name");
    p = cb_params_new(1);
    cb_linear_new(p, "m", 4, 4);
    expect_failed(p, cb_embedding_new(p, "m", 4, 4), CB_ERROR_VALUE, "m.weight");
    p = cb_params_new(1);
    expect_failed(p, cb_embedding_new(p, "m", 0, 4), CB_ERROR_SHAPE, "m.weight");
    p = cb_params_new(1);
    expect_failed(p, cb_embedding_new(p, "m", 4, 4, .padded = true, .padding_index = 4),
                  CB_ERROR_INDEX, "row 4");
    p = cb_params_new(1);
    expect_failed(p, cb_layer_norm_new(p, "m", 0), CB_ERROR_SHAPE, "width 0");
    p = cb_params_new(1);
    expect_failed(p, cb_layer_norm_new(p, "m", 3, .epsilon = -1), CB_ERROR_VALUE, "epsilon");
    p = cb_params_new(1);
    expect_failed(p, cb_dropout_new(p, "m", 1), CB_ERROR_VALUE, "rate 1");
    p = cb_params_new(1);
    expect_failed(p, cb_dropout_new(p, "m", NAN), CB_ERROR_VALUE, "rate nan");
    p = cb_params_new(1);
    expect_failed(p, cb_function_new(p, "m", NULL), CB_ERROR_NOT_FOUND, "NULL");
    p = cb_params_new(1);
    cb_module *modules[] = {cb_dropout_new(p, "d", 0), NULL};
    expect_failed(p, cb_sequential_new(p, "m", 2, modules), CB_ERROR_NOT_FOUND, "module 1");
    p = cb_params_new(1);
    expect_failed(p, cb_sequential_new(p, "m", -1, NULL), CB_ERROR_VALUE, "-1 modules");
}

Test(modules, a_null_module_and_a_misfit_fail_on_the_tape) {
    cb_params *params = cb_params_new(1);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1);
    cr_expect_null(cb_forward(NULL, x)->data);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_NOT_FOUND);
    const cb_module *misfits[] = {
        cb_linear_new(params, "linear", 4, 2),
        cb_layer_norm_new(params, "norm", 4),
        cb_layer_norm_new(params, "plain", 4, .no_affine = true),
    };
    for (int i = 0; i < 3; i++) {
        cb_tape_reset(tape);
        x = cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1);
        cr_expect_null(cb_forward(misfits[i], x)->data);
        cr_expect_eq(cb_tape_status(tape), CB_ERROR_SHAPE, "%d: %s", i, cb_tape_error(tape));
    }
    cb_tape_free(tape);
    cb_params_free(params);
}

Test(modules, every_allocation_may_fail) {
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        cb_params *params = cb_params_new(1);
        cbi_allocation_fail_after(n);
        cb_module *modules[] = {cb_linear_new(params, "a", 3, 3), cb_layer_norm_new(params, "b", 3),
                                cb_embedding_new(params, "c", 3, 3),
                                cb_dropout_new(params, "d", 0)};
        cb_module *model = cb_sequential_new(params, "model", 4, modules);
        cbi_allocation_fail_after(-1);
        cb_status status = cb_params_status(params);
        cb_params_free(params);
        if (status == CB_OK) {
            cr_expect_not_null(model);
            break;
        }
        cr_expect_eq(status, CB_ERROR_MEMORY);
        cr_expect_null(model);
        failures++;
    }
    cr_expect_gt(failures, 15);
}

/* ---- Second order ---------------------------------------------------------------------------- */

/* A perceptron, what is fed to it, and a direction in the space of its weights. */
typedef struct perceptron {
    cb_params *params;
    cb_module *first, *second;
    cb_tensor *x, *direction[4];
} perceptron;

static perceptron perceptron_new(uint64_t seed) {
    perceptron p = {.params = cb_params_new_dtype(seed, CB_F64)};
    cb_random random = cb_random_seed(seed);
    p.first = cb_linear_new(p.params, "first", 3, 5);
    p.second = cb_linear_new(p.params, "second", 5, 2);
    p.x = cb_tensor_new(CB_F64, CB_SHAPE(4, 3));
    cb_random_normal_f64(&random, 12, p.x->data, 0, 1);
    cr_assert_eq(cb_params_count(p.params), 4);
    for (int i = 0; i < 4; i++) {
        cb_tensor *value = cb_params_at(p.params, i)->value;
        p.direction[i] = cb_tensor_new(CB_F64, value->rank, value->shape);
        cb_random_normal_f64(&random, cb_tensor_count(value), p.direction[i]->data, 0, 1);
    }
    return p;
}

static void perceptron_free(perceptron *p) {
    for (int i = 0; i < 4; i++)
        cb_tensor_free(p->direction[i]);
    cb_tensor_free(p->x);
    cb_params_free(p->params);
}

/* sum y^2 + |d sum y / d x|^2: a gradient penalty. */
static cb_tensor *penalised(perceptron *p, cb_tape *tape) {
    cb_tensor *x = cb_variable(tape, p->x), *slope;
    cb_tensor *y = cb_forward(p->second, cb_tanh(cb_forward(p->first, x)));
    cb_grad(y, NULL, true, 1, &x, &slope);
    return cb_add(cb_sum(cb_square(y), CB_ALL_AXES, false),
                  cb_sum(cb_square(slope), CB_ALL_AXES, false));
}

/* The gradient of sum y^2 in the direction of the weights: its own gradient is the Hessian times
   that direction. */
static cb_tensor *slope_in_direction(perceptron *p, cb_tape *tape) {
    cb_tensor *y = cb_forward(p->second, cb_tanh(cb_forward(p->first, cb_input(tape, p->x))));
    cb_tensor *weights[4], *gradients[4], *sum = NULL;
    for (int i = 0; i < 4; i++)
        weights[i] = cb_parameter(tape, cb_params_at(p->params, i));
    cb_grad(cb_square(y), NULL, true, 4, weights, gradients);
    for (int i = 0; i < 4; i++) {
        cb_tensor *part =
            cb_sum(cb_mul(gradients[i], cb_input(tape, p->direction[i])), CB_ALL_AXES, false);
        sum = sum == NULL ? part : cb_add(sum, part);
    }
    return sum;
}

static double value_of(perceptron *p, cb_tensor *(*function)(perceptron *, cb_tape *)) {
    cb_tape *tape = cb_tape_new();
    double value = cb_item(function(p, tape));
    cb_tape_free(tape);
    return value;
}

/* The gradient of a function of the weights that is made of gradients, against differences. */
static void check_second_order(cb_tensor *(*function)(perceptron *, cb_tape *)) {
    perceptron p = perceptron_new(7);
    cb_tape *tape = cb_tape_new();
    double largest = 0, step = 1e-6;
    cb_params_zero_gradients(p.params);
    cr_assert_eq(cb_backward(function(&p, tape)), CB_OK, "%s", cb_tape_error(tape));
    for (int i = 0; i < 4; i++) {
        cb_param *param = cb_params_at(p.params, i);
        for (int64_t k = 0; k < cb_tensor_count(param->value); k++) {
            double *weight = (double *)param->value->data + k, before = *weight;
            *weight = before + step;
            double above = value_of(&p, function);
            *weight = before - step;
            double below = value_of(&p, function);
            *weight = before;
            double expected = (above - below) / (2 * step);
            double gradient = ((double *)param->gradient->data)[k];
            largest = fmax(largest, fabs(gradient));
            cr_expect_float_eq(gradient, expected, 1e-6 * (1 + fabs(expected)),
                               "%s %lld: %g, not %g", param->name, (long long)k, gradient,
                               expected);
        }
    }
    cr_expect_gt(largest, 0.1);
    cb_tape_free(tape);
    perceptron_free(&p);
}

Test(modules, gradient_penalty) {
    check_second_order(penalised);
}

Test(modules, hessian_times_vector) {
    check_second_order(slope_in_direction);
}

Test(modules, a_parameter_is_one_tensor_a_step) {
    perceptron p = perceptron_new(3);
    cb_tape *tape = cb_tape_new();
    cb_param *param = cb_params_at(p.params, 0);
    cb_tensor *leaf = cb_parameter(tape, param), *gradient;
    cr_expect_eq(cb_parameter(tape, param), leaf);
    cb_forward(p.first, cb_input(tape, p.x));
    cr_expect_eq(cb_parameter(tape, param), leaf);
    cb_tensor *y = cb_sum(cb_forward(p.first, cb_input(tape, p.x)), CB_ALL_AXES, false);
    cr_expect_eq(cb_grad(y, NULL, false, 1, &leaf, &gradient), CB_OK);
    cr_expect_neq(((double *)gradient->data)[0], 0);
    param->frozen = true;
    cr_expect_not(cb_requires_grad(cb_parameter(tape, param)));
    param->frozen = false;
    cr_expect(cb_requires_grad(cb_parameter(tape, param)));
    cb_tape_free(tape);
    perceptron_free(&p);
}

/* ---- Training and evaluation ----------------------------------------------------------------- */

/* A network with every kind of dropout, and what it computes of one x on a tape. */
typedef struct dropping {
    cb_params *params;
    cb_module *dropout, *head;
    cb_rnn *rnn;
} dropping;

static dropping dropping_new(bool eager) {
    dropping d = {.params = cb_params_new_dtype(5, CB_F64)};
    d.dropout = cb_dropout_new(d.params, "dropout", 0.5);
    d.rnn = cb_rnn_new(d.params, "rnn", &cb_gru, 3, 4, .layers = 2, .dropout = 0.5,
                       .recurrent_dropout = 0.5, .zoneout = 0.5, .eager = eager);
    d.head = cb_linear_new(d.params, "head", 4, 2);
    cr_assert_not_null(d.head);
    return d;
}

static cb_tensor *dropped(const dropping *d, cb_tape *tape) {
    cb_tensor *x = cb_sin(cb_reshape(cb_arange(tape, CB_F64, 0, 1, 30), CB_SHAPE(5, 2, 3)));
    cb_tensor *y = cb_forward(d->head, cb_rnn_forward(d->rnn, cb_forward(d->dropout, x), NULL));
    return cb_sum(cb_square(y), CB_ALL_AXES, false);
}

Test(modules, evaluation_and_training_are_modes_of_the_tape) {
    for (int eager = 0; eager < 2; eager++) {
        dropping d = dropping_new(eager == 1);
        cb_tape *tape = cb_tape_new(), *no_grad = cb_tape_new_no_grad();
        cr_expect(!cb_tape_evaluates(tape) && cb_tape_evaluates(no_grad));
        double expected = cb_item(dropped(&d, no_grad));
        cr_expect_eq(cb_item(dropped(&d, no_grad)), expected);
        cb_tape_evaluate(tape, true);
        cb_tensor *loss = dropped(&d, tape);
        cr_expect_float_eq(cb_item(loss), expected, 1e-12);
        cr_expect_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
        cb_tape_reset(tape);
        cr_expect(cb_tape_evaluates(tape));
        /* The gradient is that of what was computed. */
        cb_param *param = cb_params_at(d.params, 1);
        double *weight = param->value->data, before = *weight;
        *weight = before + 1e-6;
        double above = cb_item(dropped(&d, no_grad));
        *weight = before - 1e-6;
        double below = cb_item(dropped(&d, no_grad));
        *weight = before;
        cr_expect_float_eq(*(double *)param->gradient->data, (above - below) / 2e-6, 1e-7);
        /* Monte Carlo dropout. */
        cb_tape_evaluate(no_grad, false);
        double first = cb_item(dropped(&d, no_grad)), second = cb_item(dropped(&d, no_grad));
        cr_expect_neq(first, expected);
        cr_expect_neq(first, second);
        cr_expect_eq(cb_tape_status(no_grad), CB_OK, "%s", cb_tape_error(no_grad));
        cb_tape_free(tape);
        cb_tape_free(no_grad);
        cb_params_free(d.params);
    }
}

Test(modules, a_failing_layer_is_named) {
    cb_params *params = cb_params_new(1);
    cb_module *block[] = {cb_linear_new(params, "h.0", 3, 4), cb_linear_new(params, "h.1", 5, 2)};
    cb_module *network = cb_sequential_new(params, "network", 2, block);
    cb_tape *tape = cb_tape_new();
    cb_forward(network, cb_full(tape, CB_F32, CB_SHAPE(2, 3), 1));
    cr_expect_eq(strncmp(cb_tape_error(tape), "in layer \"h.1\": linear: ", 24), 0, "%s",
                 cb_tape_error(tape));
    cb_tape_free(tape);
    cb_params_free(params);
}
