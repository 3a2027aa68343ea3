/* Cells written in two ways, the misprinted one, the list and its numbers of weights, gradients of
   every cell in the list. What PyTorch computes is in test_cell_vectors.c. */
#include "bench/cells.h"
#include "examples/custom_cell.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

/* ---- Cells written in two ways --------------------------------------------------------------- */

enum { LAYER_INPUT = 3, LAYER_HIDDEN = 5, LAYER_TIME = 6, LAYER_BATCH = 4 };

/* One layer of a cell in f64, what it makes of the same random input as any other, and its
   gradients. */
typedef struct lone_layer {
    cb_params *params;
    cb_rnn *rnn;
    cb_tape *tape;
    double data[LAYER_TIME * LAYER_BATCH * LAYER_INPUT];
    cb_tensor *x, *y, *final[3];
} lone_layer;

static lone_layer layer_new(const cb_cell *cell, bool eager) {
    lone_layer made = {.params = cb_params_new_dtype(4, CB_F64), .tape = cb_tape_new()};
    made.rnn = cb_rnn_new(made.params, "rnn", cell, LAYER_INPUT, LAYER_HIDDEN, .eager = eager);
    cr_assert_not_null(made.rnn, "%s", cb_params_error(made.params));
    cr_expect_eq(cb_rnn_eager_reason(made.rnn, 0) != NULL, eager, "%s", cell->name);
    return made;
}

static void layer_run(lone_layer *l) {
    cb_random random = cb_random_seed(8);
    cb_random_normal_f64(&random, sizeof l->data / sizeof l->data[0], l->data, 0, 1);
    const cb_tensor input =
        cb_tensor_wrap(CB_F64, CB_SHAPE(LAYER_TIME, LAYER_BATCH, LAYER_INPUT), l->data);
    l->x = cb_variable(l->tape, &input);
    l->y = cb_rnn_forward(l->rnn, l->x, &(cb_rnn_io){.final = l->final});
    cb_tensor *loss = cb_sum(cb_square(l->y), CB_ALL_AXES, false);
    for (int s = 0; s < 3; s++)
        loss = cb_add(loss, cb_sum(cb_exp(l->final[s]), CB_ALL_AXES, false));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(l->tape));
}

static void layer_free(lone_layer *l) {
    cb_tape_free(l->tape);
    cb_params_free(l->params);
}

static const cb_param *layer_param(const lone_layer *l, const char *name, const char *gate) {
    char text[64];
    snprintf(text, sizeof text, "rnn.%s%s_l0", name, gate);
    const cb_param *param = cb_params_find(l->params, text);
    cr_assert_not_null(param, "%s", text);
    return param;
}

static void expect_same_results(const lone_layer *a, const lone_layer *b) {
    cr_expect(cbt_close(a->y, b->y, 1e-12));
    cr_expect(cbt_close(cb_gradient(a->x), cb_gradient(b->x), 1e-12));
    for (int s = 0; s < 3; s++)
        cr_expect(cbt_close(a->final[s], b->final[s], 1e-12), "state %d", s);
}

/* Block number k, as high as a gate of the one cell, of a parameter or gradient of the other. */
static cb_tensor block_of(const cb_tensor *whole, int64_t k, const cb_tensor *gate) {
    double *data = whole->data;
    return cb_tensor_wrap(CB_F64, gate->rank, gate->shape, data + k * cb_tensor_count(gate));
}

static void expect_eight_are_merged(bool eager) {
    static const char *const gates[8] = {"_ui", "_uf", "_ug", "_uo", "_li", "_lf", "_lg", "_lo"};
    static const char *const names[3][2] = {
        {"weight_ih", "weight_ih"}, {"weight_hh", "weight_hh"}, {"bias_ih", "bias"}};
    lone_layer merged = layer_new(&cb_cerebral_lstm, eager);
    lone_layer eight = layer_new(&bench_cerebral_lstm_eight, eager);
    cb_tensor_fill(layer_param(&merged, "bias_hh", "")->value, 0);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 3; i++) {
            cb_tensor *gate = layer_param(&eight, names[i][1], gates[k])->value;
            cb_tensor block = block_of(layer_param(&merged, names[i][0], "")->value, k, gate);
            cr_assert_eq(cb_tensor_assign(gate, &block), CB_OK);
        }
    layer_run(&merged);
    layer_run(&eight);
    expect_same_results(&eight, &merged);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 3; i++) {
            const cb_tensor *gate = layer_param(&eight, names[i][1], gates[k])->gradient;
            cb_tensor block = block_of(layer_param(&merged, names[i][0], "")->gradient, k, gate);
            cr_expect(cbt_close(gate, &block, 1e-12), "%s%s", names[i][1], gates[k]);
        }
    layer_free(&merged);
    layer_free(&eight);
}

Test(cells, eight_separate_matrices_are_the_merged_ones) {
    expect_eight_are_merged(true);
    expect_eight_are_merged(false);
}

static void expect_custom_is_ours(bool eager) {
    static const char *const names[4][2] = {{"weight_ih", "weight_ih"},
                                            {"weight_hh", "weight_hh"},
                                            {"weight_ch", "peephole"},
                                            {"bias_ih", "bias"}};
    lone_layer ours = layer_new(&cb_peephole_cerebral_lstm, eager);
    lone_layer custom = layer_new(&custom_cell, eager);
    cb_tensor_fill(layer_param(&ours, "bias_hh", "")->value, 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(cb_tensor_assign(layer_param(&custom, names[i][1], "")->value,
                                      layer_param(&ours, names[i][0], "")->value),
                     CB_OK);
    layer_run(&ours);
    layer_run(&custom);
    expect_same_results(&custom, &ours);
    for (int i = 0; i < 4; i++)
        cr_expect(cbt_close(layer_param(&custom, names[i][1], "")->gradient,
                            layer_param(&ours, names[i][0], "")->gradient, 1e-12),
                  "%s", names[i][1]);
    layer_free(&ours);
    layer_free(&custom);
}

Test(cells, the_examples_cell_is_the_librarys) {
    expect_custom_is_ours(true);
    expect_custom_is_ours(false);
}

/* ---- As printed ------------------------------------------------------------------------------ */

static double sigma(double x) {
    return 1 / (1 + exp(-x));
}

/* The paper's equations as it prints them, one unit at a time, in doubles. z: the eight gates'
   inputs of a unit. The cell states before are not read: that is the misprint. */
static void printed_unit(const double *z, double *h, double *u, double *l) {
    *u = sigma(z[1]) * tanh(z[2]) + sigma(z[0]) * tanh(z[2]);
    *l = sigma(z[5]) * tanh(z[6]) + sigma(z[4]) * tanh(z[6]);
    *h = sigma(z[3]) * tanh(*u) + sigma(z[7]) * tanh(*l);
}

Test(cells, as_printed_equals_the_papers_equations) {
    enum { TIME = 3, INPUT = 2, HIDDEN = 3, BLOCKS = 8 };
    cb_params *params = cb_params_new_dtype(9, CB_F64);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_cerebral_lstm_as_printed, INPUT, HIDDEN);
    const double *weight_ih = cb_params_find(params, "rnn.weight_ih_l0")->value->data;
    const double *weight_hh = cb_params_find(params, "rnn.weight_hh_l0")->value->data;
    const double *bias_ih = cb_params_find(params, "rnn.bias_ih_l0")->value->data;
    const double *bias_hh = cb_params_find(params, "rnn.bias_hh_l0")->value->data;
    double x[TIME][INPUT] = {{0.3, -1.1}, {2, 0.7}, {-0.4, 0.1}}, h[HIDDEN] = {0};
    cb_tape *tape = cb_tape_new();
    cb_tensor input = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, 1, INPUT), x), *final[3];
    cb_tensor *y = cb_rnn_forward(rnn, cb_input(tape, &input), &(cb_rnn_io){.final = final});
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    for (int t = 0; t < TIME; t++) {
        double next[HIDDEN], u[HIDDEN], l[HIDDEN];
        for (int j = 0; j < HIDDEN; j++) {
            double z[BLOCKS];
            for (int k = 0; k < BLOCKS; k++) {
                int row = k * HIDDEN + j;
                z[k] = bias_ih[row] + bias_hh[row];
                for (int i = 0; i < INPUT; i++)
                    z[k] += weight_ih[row * INPUT + i] * x[t][i];
                for (int i = 0; i < HIDDEN; i++)
                    z[k] += weight_hh[row * HIDDEN + i] * h[i];
            }
            printed_unit(z, &next[j], &u[j], &l[j]);
            cr_expect_float_eq(((double *)y->data)[t * HIDDEN + j], next[j], 1e-14);
            cr_expect(t < TIME - 1 || fabs(((double *) final[1]->data)[j] - u[j]) < 1e-14);
            cr_expect(t < TIME - 1 || fabs(((double *) final[2]->data)[j] - l[j]) < 1e-14);
        }
        memcpy(h, next, sizeof h);
    }
    cb_tape_free(tape);
    cb_params_free(params);
}

/* ---- The list -------------------------------------------------------------------------------- */

Test(cells, the_list_is_consistent) {
    int count = 0;
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++, count++) {
        cr_expect_eq(cb_cell_find((*cell)->name), *cell, "%s", (*cell)->name);
        cr_expect(strlen((*cell)->summary) > 0 && strlen((*cell)->equations) > 0, "%s",
                  (*cell)->name);
        for (int i = 0; i < (*cell)->state_count; i++)
            cr_expect_not_null((*cell)->state_names[i], "%s", (*cell)->name);
    }
    cr_expect_geq(count, 10);
    cr_expect_null(cb_cell_find("no-such-cell"));
    cr_expect_null(cb_cell_find(NULL));
}

Test(cells, numbers_of_weights) {
    cr_expect_eq(cb_cell_parameters(&cb_lstm, 3, 5, false, NULL), 4 * 5 * (3 + 5 + 2));
    cr_expect_eq(cb_cell_parameters(&cb_lstm, 3, 5, true, NULL), 4 * 5 * (3 + 5));
    cr_expect_eq(cb_cell_parameters(&cb_rnn_tanh, 3, 5, false, NULL), 5 * (3 + 5 + 2));
    cr_expect_eq(cb_cell_parameters(&cb_gru, 3, 5, false, NULL), 3 * 5 * (3 + 5 + 2));
    cr_expect_eq(cb_cell_parameters(&cb_cerebral_lstm, 3, 5, false, NULL), 8 * 5 * (3 + 5 + 2));
    cr_expect_eq(cb_cell_parameters(&cb_peephole_lstm, 3, 5, false, NULL),
                 4 * 5 * (3 + 5 + 2) + 3 * 5);
    cr_expect_eq(cb_cell_parameters(&cb_peephole_cerebral_lstm, 3, 5, false, NULL),
                 8 * 5 * (3 + 5 + 2) + 6 * 5);
    cr_expect_eq(cb_cell_parameters(&cb_cerebral_gru, 3, 5, false, NULL), 6 * 5 * (3 + 5 + 2));
    cr_expect_eq(cb_cell_parameters(&cb_gru_reset_before, 3, 5, false, NULL), 3 * 5 * (3 + 5 + 1));
    cr_expect_eq(cb_cell_parameters(&cb_layernorm_lstm, 3, 5, false, NULL),
                 4 * 5 * (3 + 5) + 2 * 2 * 4 * 5 + 2 * 5);
    cr_expect_eq(cb_cell_parameters(&cb_layernorm_lstm, 3, 5, true, NULL),
                 4 * 5 * (3 + 5) + 2 * 4 * 5 + 5);
    cr_expect_eq(cb_cell_parameters(&cb_projected_lstm, 3, 5, false, NULL),
                 4 * 5 * (3 + 128 + 2) + 128 * 5);
    cr_expect_eq(cb_cell_parameters(&cb_projected_lstm, 3, 5, true, cbt_small(&cb_projected_lstm)),
                 4 * 5 * (3 + 3) + 3 * 5);
    cr_expect_eq(cb_cell_parameters(&cb_lstm, INT64_MAX / 3, INT64_MAX / 3, false, NULL),
                 INT64_MAX);
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        for (int no_bias = 0; no_bias < 2; no_bias++) {
            cb_params *params = cb_params_new(1);
            cb_rnn_new(params, "rnn", *cell, 3, 5, .no_bias = no_bias == 1);
            cr_expect_eq(cb_params_elements(params),
                         cb_cell_parameters(*cell, 3, 5, no_bias == 1, NULL), "%s", (*cell)->name);
            cb_params_free(params);
        }
}

Test(cells, layer_norm_starts_as_the_identity) {
    cb_params *params = cb_params_new(1);
    cb_init glorot = {.kind = CB_INIT_GLOROT_UNIFORM};
    cb_rnn_new(params, "rnn", &cb_layernorm_lstm, 3, 5, .input_init = glorot,
               .recurrent_init = glorot);
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        bool gain = strstr(param->name, ".gain_") != NULL;
        for (int64_t k = 0; strstr(param->name, ".weight_") == NULL && k < param->value->shape[0];
             k++)
            cr_expect_eq(cb_tensor_get(param->value, &k), gain ? 1 : 0, "%s", param->name);
    }
    cb_params_free(params);
}

/* ---- Gradients of every cell ----------------------------------------------------------------- */

/* The gradient checker varies the inputs of a function; weights are no inputs of cb_rnn_forward. So
   the cell under check is wrapped in one without parameters, whose step gives the cell's own step
   parts of a vector that is an input. A layer's two directions share theirs. Run op by op: only
   that has second gradients, and the compiled cells are held to it in test_compiled.c. */
enum { TIME = 3, BATCH = 3, INPUT = 2, HIDDEN = 2, MOST_STATES = 4 * CB_CELL_MAX_STATES };

static const cb_cell *checked; /* the cell */
static bool without_bias;
static cb_tensor *vector[2]; /* the weights of each layer */

static int64_t extent(const cb_cell_extent *e, const cb_cell_step *s) {
    return cb_cell_extent_of(checked, e, s->input, s->hidden, cbt_small(checked));
}

static void wrapped_step(int layer, const cb_cell_step *s) {
    cb_tensor *weights[CB_CELL_MAX_PARAMS] = {NULL};
    cb_cell_step given = *s;
    int64_t at = 0;
    for (int i = 0; i < checked->param_count; i++) {
        const cb_cell_param *p = &checked->params[i];
        int64_t shape[] = {extent(&p->rows, s), extent(&p->columns, s)};
        int rank = shape[1] > 0 ? 2 : 1;
        int64_t count = shape[0] * (rank == 2 ? shape[1] : 1);
        if (without_bias && p->role == CB_BIAS)
            continue;
        weights[i] = cb_reshape(cb_slice(vector[layer], 0, at, at + count, 1), rank, shape);
        at += count;
    }
    given.cell = checked;
    given.weights = weights;
    checked->full_step(&given);
}

static void step_of_layer_0(const cb_cell_step *s) {
    wrapped_step(0, s);
}

static void step_of_layer_1(const cb_cell_step *s) {
    wrapped_step(1, s);
}

/* What is checked: output and final states as one vector, from x, the initial states as another,
   the weights of the first and of the second layer, and the lengths. */
static cb_tensor *run_network(cb_tensor *const *inputs, void *context) {
    const cb_rnn *rnn = context;
    cb_tensor *initial[MOST_STATES], *final[MOST_STATES], *parts[MOST_STATES + 1];
    int states = cb_rnn_state_count(rnn);
    int64_t at = 0;
    vector[0] = inputs[2];
    vector[1] = inputs[3];
    for (int i = 0; i < states; i++) {
        int64_t size = cb_rnn_state_size(rnn, i);
        cb_tensor *part = cb_slice(inputs[1], 0, at, at + BATCH * size, 1);
        initial[i] = cb_reshape(part, CB_SHAPE(BATCH, size));
        at += BATCH * size;
    }
    cb_rnn_io io = {.initial = initial, .final = final, .lengths = inputs[4]};
    parts[states] = cb_reshape(cb_rnn_forward(rnn, inputs[0], &io), CB_SHAPE(-1));
    for (int i = 0; i < states; i++)
        parts[i] = cb_reshape(final[i], CB_SHAPE(-1));
    return cb_concat(states + 1, parts, 0);
}

static cb_tensor *random_input(cb_random *random, int rank, const int64_t *shape) {
    cb_tensor *t = cb_tensor_new(CB_F64, rank, shape);
    cr_assert_not_null(t);
    cb_random_uniform_f64(random, cb_tensor_count(t), t->data, -1, 1);
    return t;
}

/* Checks a network of one or two layers of the cell; lengths are random in 0..TIME. */
static void expect_gradients_of(const cb_cell *cell, int layers, const cb_rnn_options *given,
                                uint64_t seed) {
    cb_rnn_options eager = *given, *options = &eager;
    cb_cell wrapped[2] = {*cell, *cell};
    cb_random random = cb_random_seed(seed);
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    const cb_setting *small = cbt_small(cell);
    int64_t states = 0, weights[2] = {0, 0};
    options->eager = true;
    checked = cell;
    without_bias = options->no_bias;
    for (int k = 0; k < 2; k++) {
        wrapped[k].params = NULL;
        wrapped[k].param_count = 0;
        wrapped[k].full_step = k == 0 ? step_of_layer_0 : step_of_layer_1;
    }
    cb_stack_layer stack[2] = {{&wrapped[0], HIDDEN, small}, {&wrapped[1], HIDDEN, small}};
    cb_rnn *rnn = cb_stack_new(params, "rnn", INPUT, layers, stack, options);
    cr_assert_not_null(rnn, "%s: %s", cell->name, cb_params_error(params));
    for (int k = 0; k < layers; k++)
        weights[k] = cb_cell_parameters(cell, k == 0 ? INPUT : cb_rnn_output_size(rnn), HIDDEN,
                                        without_bias, small);
    for (int i = 0; i < cb_rnn_state_count(rnn); i++)
        states += cb_rnn_state_size(rnn, i);
    cb_tensor *inputs[] = {
        random_input(&random, CB_SHAPE(TIME, BATCH, INPUT)),
        random_input(&random, CB_SHAPE(states * BATCH)),
        random_input(&random, CB_SHAPE(weights[0])),
        random_input(&random, CB_SHAPE(weights[1])),
        cb_tensor_new(CB_I64, CB_SHAPE(BATCH)),
    };
    for (int64_t i = 0; i < BATCH; i++) {
        double length;
        cb_random_uniform_f64(&random, 1, &length, 0, TIME + 1);
        cb_tensor_set(inputs[4], &i, floor(length));
    }
    cb_check_report report;
    cb_check_options check = {.second_order = true, .seed = seed};
    bool passed = cb_check_gradient(run_network, rnn, 5, inputs, &check, &report);
    cr_expect(passed, "%s, %d layers, seed %d: %s", cell->name, layers, (int)seed, report.message);
    cr_expect_geq(report.compared, 2 * (weights[0] + weights[1]), "%s", cell->name);
    for (int i = 0; i < 5; i++)
        cb_tensor_free(inputs[i]);
    cb_params_free(params);
}

Test(cells, every_cell_passes_the_gradient_checker, .timeout = 300) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        expect_gradients_of(*cell, 1, &(cb_rnn_options){0}, 1);
        expect_gradients_of(*cell, 1, &(cb_rnn_options){.reverse = true}, 2);
        expect_gradients_of(*cell, 1, &(cb_rnn_options){.no_bias = true}, 3);
        expect_gradients_of(*cell, 2, &(cb_rnn_options){.bidirectional = true}, 4);
    }
}

/* The checks above leave one thing out: that a parameter's gradient arrives where it is kept. */
Test(cells, every_parameters_gradient_is_that_of_the_differences) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        cb_params *params = cb_params_new_dtype(1, CB_F64);
        cb_rnn *rnn = cb_rnn_new(params, "rnn", *cell, INPUT, HIDDEN, .bidirectional = true,
                                 .settings = cbt_small(*cell));
        cb_random random = cb_random_seed(5);
        cb_tensor *x = random_input(&random, CB_SHAPE(TIME, BATCH, INPUT));
        cb_tape *tape = cb_tape_new();
#define LOSS cb_sum(cb_square(cb_rnn_forward(rnn, cb_input(tape, x), NULL)), CB_ALL_AXES, false)
        cr_assert_eq(cb_backward(LOSS), CB_OK, "%s", cb_tape_error(tape));
        for (int i = 0; i < cb_params_count(params); i++) {
            const cb_param *param = cb_params_at(params, i);
            for (int64_t k = 0; k < cb_tensor_count(param->value); k++) {
                double *value = (double *)param->value->data + k, at = *value, loss[2];
                for (int side = 0; side < 2; side++) {
                    *value = at + (side == 0 ? 1e-4 : -1e-4);
                    cb_tape_reset(tape);
                    loss[side] = cb_item(LOSS);
                }
                *value = at;
                cr_expect_float_eq(((double *)param->gradient->data)[k], (loss[0] - loss[1]) / 2e-4,
                                   1e-7, "%s: %s", (*cell)->name, param->name);
            }
        }
        cb_tape_free(tape);
        cb_tensor_free(x);
        cb_params_free(params);
    }
}
