/* Gradients of gradients through modules, in f64, against PyTorch's: of a penalty on the gradient
   by the input, and products of a loss's Hessian by the weights with a vector. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { MOST_PARAMETERS = 8 };

typedef struct network {
    cb_safetensors *file;
    cb_params *params;
    cb_module *layers;
    cb_rnn *rnn; /* NULL: there is none */
    cb_module *head;
} network;

static cb_tensor *run(const network *n, cb_tensor *x) {
    if (n->rnn == NULL)
        return cb_forward(n->layers, x);
    return cb_forward(n->head, cb_select(cb_rnn_forward(n->rnn, x, NULL), 0, -1));
}

/* The parameters under their names, with the file's values. */
static void fill(network *n) {
    for (int i = 0; i < cb_params_count(n->params); i++) {
        cb_param *param = cb_params_at(n->params, i);
        cr_assert_eq(cb_tensor_assign(param->value, cbt_find(n->file, param->name)), CB_OK);
    }
    cr_assert_eq(cb_params_status(n->params), CB_OK, "%s", cb_params_error(n->params));
    cr_assert_leq(cb_params_count(n->params), MOST_PARAMETERS);
}

static network feed_forward(void) {
    network n = {.file = cbt_reference("second_order_feed_forward"),
                 .params = cb_params_new_dtype(1, CB_F64)};
    cb_module *layers[] = {
        cb_linear_new(n.params, "0", 5, 7),      cb_function_new(n.params, "1", cb_tanh),
        cb_layer_norm_new(n.params, "2", 7),     cb_linear_new(n.params, "3", 7, 6),
        cb_function_new(n.params, "4", cb_gelu), cb_linear_new(n.params, "5", 6, 1)};
    n.layers = cb_sequential_new(n.params, "all", 6, layers);
    fill(&n);
    return n;
}

static network gru(void) {
    network n = {.file = cbt_reference("second_order_gru"),
                 .params = cb_params_new_dtype(1, CB_F64)};
    n.rnn = cb_rnn_new(n.params, "rnn", &cb_gru, 3, 4, .eager = true);
    n.head = cb_linear_new(n.params, "head", 4, 1);
    fill(&n);
    return n;
}

static void end(network *n) {
    cb_params_free(n->params);
    cb_safetensors_free(n->file);
}

static void expect(const network *n, const char *kind, int i, const cb_tensor *got) {
    char name[80];
    snprintf(name, sizeof name, "%s.%s", kind, cb_params_at(n->params, i)->name);
    cr_expect(cbt_close(got, cbt_find(n->file, name), 1e-12), "%s", name);
}

static int weights_of(const network *n, cb_tape *tape, cb_tensor **weights) {
    int count = cb_params_count(n->params);
    for (int i = 0; i < count; i++)
        weights[i] = cb_parameter(tape, cb_params_at(n->params, i));
    return count;
}

/* (|d sum f(x) / dx| - 1)^2, by all weights. */
static void check_penalty(network *n) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[MOST_PARAMETERS], *gradients[MOST_PARAMETERS], *slope;
    cb_tensor *x = cb_variable(tape, cbt_find(n->file, "input"));
    int count = weights_of(n, tape, weights);
    cb_grad(cb_sum(run(n, x), CB_ALL_AXES, false), NULL, true, 1, &x, &slope);
    cb_tensor *length = cb_sqrt(cb_shift(cb_sum(cb_square(slope), CB_ALL_AXES, false), 1e-3));
    cb_tensor *penalty = cb_square(cb_shift(length, -1));
    cr_assert_eq(cb_grad(penalty, NULL, false, count, weights, gradients), CB_OK, "%s",
                 cb_tape_error(tape));
    cr_expect(cbt_close(penalty, cbt_find(n->file, "penalty"), 1e-13));
    for (int i = 0; i < count; i++)
        expect(n, "penalty", i, gradients[i]);
    cb_tape_free(tape);
}

/* The Hessian of the mean of f(x)^2 by all weights, times the file's vector. */
static void check_products(network *n) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[MOST_PARAMETERS], *first[MOST_PARAMETERS], *products[MOST_PARAMETERS];
    cb_tensor *x = cb_input(tape, cbt_find(n->file, "input")), *along = NULL;
    int count = weights_of(n, tape, weights);
    cb_tensor *loss = cb_mean(cb_square(run(n, x)), CB_ALL_AXES, false);
    cb_grad(loss, NULL, true, count, weights, first);
    for (int i = 0; i < count; i++) {
        char name[80];
        snprintf(name, sizeof name, "vector.%s", cb_params_at(n->params, i)->name);
        cb_tensor *part = cb_mul(first[i], cb_input(tape, cbt_find(n->file, name)));
        part = cb_sum(part, CB_ALL_AXES, false);
        along = along == NULL ? part : cb_add(along, part);
    }
    cr_assert_eq(cb_grad(along, NULL, false, count, weights, products), CB_OK, "%s",
                 cb_tape_error(tape));
    cr_expect(cbt_close(loss, cbt_find(n->file, "loss"), 1e-13));
    for (int i = 0; i < count; i++)
        expect(n, "product", i, products[i]);
    cb_tape_free(tape);
}

Test(second_order, feed_forward_equals_pytorch) {
    network n = feed_forward();
    check_penalty(&n);
    check_products(&n);
    end(&n);
}

Test(second_order, gru_equals_pytorch) {
    network n = gru();
    check_penalty(&n);
    check_products(&n);
    end(&n);
}
