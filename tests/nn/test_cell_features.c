/* What a cell can say beyond gates and states of the hidden size, in text and in C, run compiled
   and op by op: further inputs, observed values, hyperparameters, states and outputs of sizes of
   their own, constants, masks of recurrent dropout, zoneout; with layers, both directions, lengths
   and recomputation around it; and one time step at a time. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

enum { INPUT = 3, HIDDEN = 8, TIME = 6, BATCH = 4, MOST = 12 };

/* A decay by time gaps, a mask of what was measured, and a memory smaller than the output (in the
   manner of GRU-D, Che et al. 2018). */
static const char decaying[] = "let floor = 0.25\n"
                               "size r = hidden / 2\n"
                               "input gap[1]\n"
                               "input seen[1]\n"
                               "state m[r]\n"
                               "d  = exp(-relu(w_d * gap + b_d)) * (1 - floor) + floor\n"
                               "z  = sigmoid(W_z (seen * x) + U_z (d * h) + b_z)\n"
                               "n  = tanh(W_n (seen * x) + U_n (d * h) + P m + b_n)\n"
                               "m' = 0.5 * m + 0.5 * tanh(Q h)\n"
                               "h' = (1 - z) * (d * h) + z * n\n"
                               "init h = 0.125\n"
                               "observe z, d\n";

static cb_cell *parsed(const char *text, const cb_setting *settings) {
    cb_error error;
    const cb_cell_text_options options = {.settings = settings};
    cb_cell *cell = cb_cell_parse(text, &options, &error);
    cr_assert_not_null(cell, "%s", error.message);
    return cell;
}

/* A network, and all that a run of it gives. */
typedef struct network {
    cb_params *params;
    cb_rnn *rnn;
    cb_tape *tape;
    cb_tensor *given[4]; /* x, gap, seen, lengths */
    cb_tensor *x, *y, *final[MOST], *observed[MOST], *masks[MOST];
} network;

static network network_new(const cb_cell *cell, const cb_rnn_options *options) {
    network n = {.params = cb_params_new_dtype(4, CB_F64), .tape = cb_tape_new()};
    n.rnn = cb_rnn_new_with(n.params, "rnn", cell, INPUT, options);
    cr_assert_not_null(n.rnn, "%s", cb_params_error(n.params));
    return n;
}

static void network_free(network *n) {
    cb_tape_free(n->tape);
    for (int i = 0; i < 4; i++)
        cb_tensor_free(n->given[i]);
    cb_params_free(n->params);
}

static cb_tensor *drawn(network *n, cb_random *random, int i, int64_t size) {
    n->given[i] = cb_tensor_new(CB_F64, CB_SHAPE(TIME, BATCH, size));
    cb_random_normal_f64(random, cb_tensor_count(n->given[i]), n->given[i]->data, 0, 1);
    return cb_variable(n->tape, n->given[i]);
}

/* Runs it with everything there is, and backward from all of it. */
static void run(network *n, bool with_lengths) {
    cb_random random = cb_random_seed(8);
    n->x = drawn(n, &random, 0, INPUT);
    cb_tensor *inputs[2] = {drawn(n, &random, 1, 1), drawn(n, &random, 2, 1)};
    n->given[3] = cb_tensor_new(CB_I64, CB_SHAPE(BATCH));
    for (int64_t i = 0; i < BATCH; i++)
        cb_tensor_set(n->given[3], &i, (double)(TIME - i));
    cb_rnn_io io = {.final = n->final,
                    .inputs = inputs,
                    .observed = n->observed,
                    .masks = n->masks,
                    .lengths = with_lengths ? cb_input(n->tape, n->given[3]) : NULL};
    n->y = cb_rnn_forward(n->rnn, n->x, &io);
    cb_tensor *loss = cb_sum(cb_square(n->y), CB_ALL_AXES, false);
    for (int i = 0; i < cb_rnn_state_count(n->rnn); i++)
        loss = cb_add(loss, cb_sum(cb_sin(n->final[i]), CB_ALL_AXES, false));
    for (int i = 0; i < cb_rnn_observed_count(n->rnn); i++)
        loss = cb_add(loss, cb_sum(cb_cos(n->observed[i]), CB_ALL_AXES, false));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(n->tape));
}

static void expect_same(const network *a, const network *b, double tolerance) {
    cr_expect(cbt_close(a->y, b->y, tolerance));
    cr_expect(cbt_close(cb_gradient(a->x), cb_gradient(b->x), tolerance));
    for (int i = 0; i < cb_rnn_state_count(a->rnn); i++)
        cr_expect(cbt_close(a->final[i], b->final[i], tolerance));
    for (int i = 0; i < cb_rnn_observed_count(a->rnn); i++)
        cr_expect(cbt_close(a->observed[i], b->observed[i], tolerance));
    for (int i = 0; i < cb_params_count(a->params); i++)
        cr_expect(cbt_close(cb_params_at(a->params, i)->gradient,
                            cb_params_at(b->params, i)->gradient, tolerance),
                  "%s", cb_params_at(a->params, i)->name);
}

/* ---- All of it together ---------------------------------------------------------------------- */

Test(features, compiled_and_op_by_op_are_the_same) {
    cb_cell *cell = parsed(decaying, NULL);
    const cb_rnn_options ways[] = {
        {.hidden = HIDDEN},
        {.hidden = HIDDEN, .layers = 2, .bidirectional = true},
        {.hidden = HIDDEN, .reverse = true, .no_bias = true},
        {.hidden = HIDDEN, .recompute = 2, .layers = 2},
        {.hidden = HIDDEN, .recurrent_dropout = 0.4},
        {.hidden = HIDDEN, .recurrent_dropout = 0.4, .layers = 2, .bidirectional = true},
        {.hidden = HIDDEN, .recurrent_dropout = 0.4, .recompute = 3},
        {.hidden = HIDDEN, .zoneout = 0.3},
        {.hidden = HIDDEN, .zoneout = 0.3, .recurrent_dropout = 0.2, .dropout = 0.1, .layers = 2},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (int with_lengths = 0; with_lengths < 2; with_lengths++) {
            cb_rnn_options eagerly = ways[i];
            eagerly.eager = true;
            network a = network_new(cell, &ways[i]), b = network_new(cell, &eagerly);
            run(&a, with_lengths == 1);
            run(&b, with_lengths == 1);
            cr_expect_null(cb_rnn_eager_reason(a.rnn, 0), "way %zu: %s", i,
                           cb_rnn_eager_reason(a.rnn, 0));
            expect_same(&a, &b, 1e-11);
            cr_expect(cb_rnn_check(a.rnn, 0, NULL, NULL), "way %zu", i);
            network_free(&a);
            network_free(&b);
        }
    cb_cell_free(cell);
}

Test(features, recomputing_changes_nothing) {
    cb_cell *cell = parsed(decaying, NULL);
    network a = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .layers = 2});
    network b = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .layers = 2, .recompute = 4});
    run(&a, true);
    run(&b, true);
    expect_same(&a, &b, 1e-12);
    network_free(&a);
    network_free(&b);
    cb_cell_free(cell);
}

Test(features, sizes_are_what_the_cell_says) {
    cb_cell *cell = parsed(decaying, NULL);
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .layers = 2});
    cr_expect_eq(cb_rnn_state_count(n.rnn), 4);
    cr_expect_eq(cb_rnn_state_size(n.rnn, 0), HIDDEN);
    cr_expect_eq(cb_rnn_state_size(n.rnn, 1), HIDDEN / 2);
    cr_expect_eq(cb_rnn_state_size(n.rnn, 3), HIDDEN / 2);
    cr_expect_eq(cb_rnn_input_count(n.rnn), 2);
    cr_expect_str_eq(cb_rnn_input_name(n.rnn, 0), "gap");
    cr_expect_eq(cb_rnn_input_size(n.rnn, 0), 1);
    cr_expect_eq(cb_rnn_observed_count(n.rnn), 4);
    cr_expect_eq(cb_rnn_observed_size(n.rnn, 0), HIDDEN);
    cr_expect_eq(cb_rnn_output_size(n.rnn), HIDDEN);
    cr_expect_null(cb_rnn_input_name(n.rnn, 2));
    cr_expect_eq(cb_rnn_observed_size(n.rnn, 4), 0);
    network_free(&n);
    cb_cell_free(cell);
}

Test(features, the_sizes_of_layers_may_not_contradict) {
    /* seen has the size of the layer's input: 3, then 8. */
    cb_cell *cell = parsed("input seen[input]\nh' = tanh(W (seen * x) + U h)", NULL);
    cb_params *params = cb_params_new(1);
    cr_expect_null(cb_rnn_new(params, "rnn", cell, INPUT, HIDDEN, .layers = 2));
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cr_expect(
        strstr(cb_params_error(params),
               "rnn \"rnn\", layer 1: the further input \"seen\" has the size 8 here and 3 in "
               "the layers before") != NULL,
        "%s", cb_params_error(params));
    cb_params_free(params);
    params = cb_params_new(1);
    cr_expect_null(cb_rnn_new(params, "rnn", &cb_lstm, INPUT, HIDDEN,
                              .settings = (cb_setting[]){{"dt", 1}, {NULL, 0}}));
    cr_expect(strstr(cb_params_error(params), "\"dt\"") != NULL, "%s", cb_params_error(params));
    cb_params_free(params);
    cb_cell_free(cell);
    cell = parsed("size r = hidden / 3\nstate m[r]\nm' = W m + V x\nh' = P m'", NULL);
    params = cb_params_new(1);
    cr_expect_null(cb_rnn_new(params, "rnn", cell, INPUT, HIDDEN));
    cr_expect(strstr(cb_params_error(params), "whole") != NULL, "%s", cb_params_error(params));
    cb_params_free(params);
    cb_cell_free(cell);
}

/* ---- What is given --------------------------------------------------------------------------- */

Test(features, further_inputs_are_checked) {
    cb_cell *cell = parsed("input gap[1]\nh' = tanh(W x + U h) * exp(-gap)", NULL);
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN});
    cb_random random = cb_random_seed(1);
    cb_tensor *x = drawn(&n, &random, 0, INPUT), *wrong = drawn(&n, &random, 1, 2);
    cb_rnn_forward(n.rnn, x, NULL);
    cr_expect_eq(cb_tape_status(n.tape), CB_ERROR_NOT_FOUND);
    cr_expect(strstr(cb_tape_error(n.tape), "\"gap\" is not given") != NULL, "%s",
              cb_tape_error(n.tape));
    cb_tape_reset(n.tape);
    x = cb_variable(n.tape, n.given[0]);
    wrong = cb_variable(n.tape, n.given[1]);
    cb_rnn_forward(n.rnn, x, &(cb_rnn_io){.inputs = &wrong});
    cr_expect_eq(cb_tape_status(n.tape), CB_ERROR_SHAPE);
    network_free(&n);
    cb_cell_free(cell);
}

/* ---- Hyperparameters ------------------------------------------------------------------------- */

static double first_output(const cb_cell *cell, const cb_setting *settings) {
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .settings = settings});
    cb_random random = cb_random_seed(8);
    cb_tensor *x = drawn(&n, &random, 0, INPUT);
    cb_tensor *y = cb_rnn_forward(n.rnn, x, NULL);
    cr_assert_eq(cb_tape_status(n.tape), CB_OK, "%s", cb_tape_error(n.tape));
    double first = cb_tensor_get(y, (int64_t[]){1, 0, 0});
    network_free(&n);
    return first;
}

Test(features, networks_of_one_cell_have_hyperparameters_of_their_own) {
    static const char text[] =
        "let rate = 0.5\nlet rest = 1 - rate\nh' = rest * h + rate * 1 + 0 * x_0\n"
        "x_0 = W x";
    cb_cell *cell = parsed(text, NULL);
    const cb_setting few[] = {{"rate", 0.25}, {NULL, 0}};
    cr_expect_float_eq(first_output(cell, NULL), 0.75, 1e-15);
    cr_expect_float_eq(first_output(cell, few), 0.25 + 0.75 * 0.25, 1e-15);
    cb_cell *other = parsed(text, few);
    cr_expect_float_eq(first_output(other, NULL), 0.25 + 0.75 * 0.25, 1e-15);
    /* At the same time, with the first one again. */
    cr_expect_float_eq(first_output(cell, NULL), 0.75, 1e-15);
    cb_cell_free(cell);
    cb_cell_free(other);
}

/* ---- Masks ----------------------------------------------------------------------------------- */

Test(features, a_mask_of_recurrent_dropout_lasts_for_a_sequence) {
    cb_cell *cell = parsed("h' = U h + 0 * (W x)\ninit h = 1", NULL);
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .recurrent_dropout = 0.5});
    cb_tensor *matrix = cb_params_find(n.params, "rnn.U_l0")->value;
    for (int64_t i = 0; i < HIDDEN; i++)
        for (int64_t k = 0; k < HIDDEN; k++)
            cb_tensor_set(matrix, (int64_t[]){i, k}, i == k);
    cb_random random = cb_random_seed(1);
    cb_tensor *x = drawn(&n, &random, 0, INPUT), *masks[1] = {NULL};
    cb_tensor *y = cb_rnn_forward(n.rnn, x, &(cb_rnn_io){.masks = masks});
    cr_assert_eq(cb_tape_status(n.tape), CB_OK, "%s", cb_tape_error(n.tape));
    int kept = 0;
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < HIDDEN; i++) {
            double mask = cb_tensor_get(masks[0], (int64_t[]){b, i});
            cr_expect(mask == 0 || mask == 2);
            kept += mask == 2;
            for (int64_t t = 0; t < TIME; t++)
                cr_expect_eq(cb_tensor_get(y, (int64_t[]){t, b, i}), pow(mask, (double)t + 1));
        }
    cr_expect(kept > 0 && kept < BATCH * HIDDEN);
    /* Outside of training there is none. */
    cb_tape *tape = cb_tape_new_no_grad();
    y = cb_rnn_forward(n.rnn, cb_input(tape, n.given[0]), NULL);
    cr_expect_eq(cb_tensor_get(y, (int64_t[]){TIME - 1, 0, 0}), 1);
    cb_tape_free(tape);
    network_free(&n);
    cb_cell_free(cell);
}

Test(features, zoneout_keeps_units_at_random_and_on_average_outside_of_training) {
    cb_cell *cell = parsed("h' = h + 1 + 0 * (W x)", NULL);
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .zoneout = 0.25});
    cb_random random = cb_random_seed(1);
    cb_tensor *x = drawn(&n, &random, 0, INPUT);
    cb_tensor *y = cb_rnn_forward(n.rnn, x, NULL);
    double sum = 0, before = 0;
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < HIDDEN; i++, before = 0)
            for (int64_t t = 0; t < TIME; t++) {
                double now = cb_tensor_get(y, (int64_t[]){t, b, i});
                cr_expect(now == before || fabs(now - before - 1) < 1e-12);
                sum += now - before;
                before = now;
            }
    cr_expect_float_eq(sum / (TIME * BATCH * HIDDEN), 0.75, 0.12);
    cb_tape *tape = cb_tape_new_no_grad();
    y = cb_rnn_forward(n.rnn, cb_input(tape, n.given[0]), NULL);
    cr_expect_float_eq(cb_tensor_get(y, (int64_t[]){TIME - 1, 0, 0}), 0.75 * TIME, 1e-12);
    cb_tape_free(tape);
    network_free(&n);
    cb_cell_free(cell);
}

/* What is given out and is no state stays what it is computed to be. */
Test(features, zoneout_is_of_states_and_not_of_an_output_without_one) {
    cb_cell *cell = parsed("h' = h + 1 + 0 * (W x) + 0 * (U h)\ny = 2 * h'\noutput y", NULL);
    network n = network_new(cell, &(cb_rnn_options){.hidden = HIDDEN, .zoneout = 0.25});
    cb_random random = cb_random_seed(1);
    cb_tensor *x = drawn(&n, &random, 0, INPUT);
    cb_tensor *y = cb_rnn_forward(n.rnn, x, NULL);
    int kept = 0;
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < HIDDEN; i++)
            for (int64_t t = 1; t < TIME; t++) {
                double now = cb_tensor_get(y, (int64_t[]){t, b, i});
                double before = cb_tensor_get(y, (int64_t[]){t - 1, b, i});
                /* y is of h before zoneout, so that it stays where h stayed a step ago. */
                cr_expect(fabs(now - before) < 1e-12 || fabs(now - before - 2) < 1e-12);
                kept += fabs(now - before) < 1e-12;
            }
    cr_expect(kept > 0 && kept < BATCH * HIDDEN * (TIME - 1) / 2);
    network_free(&n);
    cb_cell_free(cell);
}

/* A state under another name is masked where a matrix multiplies it, and nowhere else. */
Test(features, names_do_not_hide_a_state_from_recurrent_dropout) {
    static const char named[] = "d  = 0.5 * h\n"
                                "q  = sigmoid(d) * d\n"
                                "a, b = split(d)\n"
                                "h' = tanh(W x + U q + V d + R [b, a]) + 0.1 * d + q * m\n"
                                "m' = tanh(q)\n";
    static const char inlined[] =
        "a, b = split(0.5 * h)\n"
        "h' = tanh(W x + U (sigmoid(0.5 * h) * 0.5 * h) + V (0.5 * h) + R [b, a]) + 0.05 * h"
        " + sigmoid(0.5 * h) * 0.5 * h * m\n"
        "m' = tanh(sigmoid(0.5 * h) * 0.5 * h)\n";
    for (int eager = 0; eager < 2; eager++) {
        cb_rnn_options options = {.hidden = HIDDEN, .recurrent_dropout = 0.5, .eager = eager == 1};
        cb_cell *cells[2] = {parsed(named, NULL), parsed(inlined, NULL)};
        network a = network_new(cells[0], &options), b = network_new(cells[1], &options);
        run(&a, true);
        run(&b, true);
        cr_expect_eq(cb_rnn_mask_count(a.rnn), 1);
        cr_expect_eq(cb_rnn_state_size(a.rnn, 0), HIDDEN);
        expect_same(&a, &b, 1e-12);
        network_free(&a);
        network_free(&b);
        cb_cell_free(cells[0]);
        cb_cell_free(cells[1]);
    }
}

Test(features, recurrent_dropout_needs_a_state_that_is_multiplied) {
    cb_cell *cell = parsed("h' = w * h + W x", NULL);
    cb_params *params = cb_params_new(1);
    cr_expect_null(cb_rnn_new(params, "rnn", cell, INPUT, HIDDEN, .recurrent_dropout = 0.5));
    cr_expect(strstr(cb_params_error(params), "recurrent_dropout") != NULL);
    cb_params_free(params);
    params = cb_params_new(1);
    cr_expect_null(cb_rnn_new(params, "rnn", cell, INPUT, HIDDEN, .zoneout = 1));
    cb_params_free(params);
    cb_cell_free(cell);
}

/* Refused where no state of any layer has it. */
Test(features, zoneout_needs_a_state_that_has_it) {
    cb_cell *no_memory = parsed("h' = tanh(W x + U h)", NULL);
    cb_cell *memory = parsed("c' = c + tanh(W x + U h)\nh' = tanh(c')", NULL);
    cb_cell *only_output = parsed("h' = 0.5 * h + W x\ny = 2 * h'\noutput y", NULL);
    const struct {
        const cb_cell *cells[2];
        cb_rnn_options options;
        const char *message; /* NULL: accepted */
    } cases[] = {
        {{no_memory, no_memory}, {.zoneout = 0.5}, NULL},
        {{no_memory, no_memory}, {.zoneout_cell = 0.5}, "zoneout_cell: no cell of it has"},
        {{no_memory, memory}, {.zoneout_cell = 0.5}, NULL},
        {{memory, memory}, {.zoneout_cell = 0.5, .bidirectional = true}, NULL},
        {{&cb_gru, &cb_gru}, {.zoneout = 0.5, .zoneout_cell = 0.5}, "zoneout_cell: no cell"},
        {{only_output, only_output}, {.zoneout_cell = 0.5}, NULL},
        {{only_output, only_output}, {.zoneout = 0.5}, "zoneout: no cell of it has a state that"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cb_params *params = cb_params_new(1);
        const cb_stack_layer layers[] = {{.cell = cases[i].cells[0], .hidden = HIDDEN},
                                         {.cell = cases[i].cells[1], .hidden = HIDDEN}};
        cb_rnn *rnn = cb_stack_new(params, "rnn", INPUT, 2, layers, &cases[i].options);
        cr_expect_eq(rnn != NULL, cases[i].message == NULL, "case %zu", i);
        cr_expect(cases[i].message == NULL ||
                      strstr(cb_params_error(params), cases[i].message) != NULL,
                  "case %zu: %s", i, cb_params_error(params));
        cb_params_free(params);
    }
    cb_cell_free(no_memory);
    cb_cell_free(memory);
    cb_cell_free(only_output);
}

/* ---- One step at a time ---------------------------------------------------------------------- */

Test(features, steps_one_by_one_give_what_a_run_gives) {
    cb_cell *cell = parsed(decaying, NULL);
    network a = network_new(
        cell, &(cb_rnn_options){.hidden = HIDDEN, .layers = 2, .recurrent_dropout = 0.3});
    run(&a, false);
    cb_tensor *inputs[2], *state[MOST], *observed[MOST];
    cb_tape *tape = cb_tape_new();
    for (int i = 0; i < cb_rnn_mask_count(a.rnn); i++)
        a.masks[i] = cb_input(tape, a.masks[i]);
    for (int64_t t = 0; t < TIME; t++) {
        cb_tensor *x = cb_select(cb_input(tape, a.given[0]), 0, t);
        for (int i = 0; i < 2; i++)
            inputs[i] = cb_select(cb_input(tape, a.given[1 + i]), 0, t);
        cb_tensor *y = cb_rnn_step(a.rnn, x,
                                   &(cb_rnn_io){.initial = t == 0 ? NULL : state,
                                                .final = state,
                                                .inputs = inputs,
                                                .observed = observed,
                                                .masks = a.masks});
        cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
        cr_expect(cbt_close(y, cb_select(cb_input(tape, a.y), 0, t), 1e-12));
        for (int i = 0; i < cb_rnn_observed_count(a.rnn); i++)
            cr_expect(
                cbt_close(observed[i], cb_select(cb_input(tape, a.observed[i]), 0, t), 1e-12));
    }
    cb_tape_free(tape);
    network_free(&a);
    cb_cell_free(cell);
}

/* ---- A cell in C with a constant and a function for a size ----------------------------------- */

static int64_t squared(int64_t input, int64_t hidden) {
    (void)input;
    return hidden * hidden;
}

static void fill_ramp(cb_tensor *constant, int64_t input, int64_t hidden, const double *settings) {
    (void)input;
    for (int64_t i = 0; i < hidden; i++)
        cb_tensor_set(constant, &i, settings[0] * (double)i);
}

/* M' = 0.5 M + (W x) (W x)', h' = ramp . (M h + 1 / H) */
static void outer_step(const cb_cell_step *s) {
    int64_t batch = s->x->shape[0], hidden = s->hidden;
    cb_tensor *v = cb_linear(s->x, s->weights[0], NULL);
    cb_tensor *memory = cb_reshape(s->state[1], CB_SHAPE(batch, hidden, hidden));
    cb_tensor *outer = cb_mul(cb_unsqueeze(v, 2), cb_unsqueeze(v, 1));
    memory = cb_add(cb_scale(memory, 0.5), outer);
    cb_tensor *read = cb_squeeze(cb_matmul(memory, cb_unsqueeze(s->state[0], 2)), 2);
    s->next[1] = cb_reshape(memory, CB_SHAPE(batch, hidden * hidden));
    s->next[0] = cb_tanh(cb_mul(cb_shift(read, 1.0 / (double)hidden), s->weights[1]));
    if (s->observed != NULL)
        s->observed[0] = cb_sum(read, CB_AXES(-1), true);
}

static const cb_cell_param outer_params[] = {
    {"weight_ih", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"ramp", .rows = {1, CB_HIDDEN}, .role = CB_CONSTANT, .fill = fill_ramp},
};

static const cb_cell outer = {
    .name = "outer",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "M"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_HIDDEN}, {1, CB_OWN_SIZE}},
    .param_count = 2,
    .params = outer_params,
    .full_step = outer_step,
    .recurrent_states = CB_CELL_NO_RECURRENT_STATES,
    .setting_count = 1,
    .settings = (const cb_setting[]){{"slope", 0.125}},
    .observed_count = 1,
    .observed = (const cb_cell_vector[]){{"total", {1, CB_OWN_SIZE + 1}}},
    .size_count = 2,
    .sizes = (const cb_cell_own_size[]){{.of = squared}, {.constant = 1}},
};

Test(features, a_cell_in_c_says_the_same) {
    for (int recompute = 0; recompute < 2; recompute++) {
        cb_rnn_options options = {.hidden = 5,
                                  .recompute = recompute * 4,
                                  .layers = 2,
                                  .settings = (cb_setting[]){{"slope", 0.5}, {NULL, 0}}};
        cb_rnn_options eagerly = options;
        eagerly.eager = true;
        network a = network_new(&outer, &options), b = network_new(&outer, &eagerly);
        run(&a, true);
        run(&b, true);
        cr_expect_null(cb_rnn_eager_reason(a.rnn, 0), "%s", cb_rnn_eager_reason(a.rnn, 0));
        cr_expect_eq(cb_rnn_state_size(a.rnn, 1), 25);
        cr_expect_eq(cb_params_count(a.params), 2, "a constant is no parameter");
        expect_same(&a, &b, 1e-11);
        cr_expect(cb_rnn_check(a.rnn, 1, NULL, NULL));
        network_free(&a);
        network_free(&b);
    }
}
