/* What a cell's tables say beside gates of the hidden size: extents, hyperparameters, sizes of
   states, further inputs, observed values, constants. docs/adding-a-cell.md quotes the cell and
   some of its calls; test_cell_features.c has what networks do with such cells. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

/* ---- The cell -------------------------------------------------------------------------------- */

/* An LSTM whose output is a projection (Sak et al. 2014), whose memory fades with the time that has
   passed since the last step, and of whose recurrent weights every other one is missing. */

enum { WEIGHT_IH, WEIGHT_HH, CONNECTIONS, PROJECTION, FADING, BIAS };
enum { SIZE, FORGET_BIAS };

static const cb_setting settings[] = {{"projection", 3}, {"forget_bias", 1}};

/* Row r has connections to the units from r % 2 on, every other one. */
static void connect_some(cb_tensor *constant, int64_t input, int64_t hidden, const double *values) {
    (void)input;
    for (int64_t r = 0; r < 4 * hidden; r++)
        for (int64_t k = 0; k < (int64_t)values[SIZE]; k++)
            cb_tensor_set(constant, (int64_t[]){r, k}, (r + k) % 2 == 0);
}

static const cb_cell_own_size sizes[] = {{.setting = "projection"}, {.constant = 1}};

static const cb_cell_param params[] = {
    {"weight_ih", {4, CB_HIDDEN}, {1, CB_INPUT}, .blocks = 4, .role = CB_INPUT_WEIGHT},
    {"weight_hh", {4, CB_HIDDEN}, {1, CB_OWN_SIZE}, .blocks = 4, .role = CB_RECURRENT_WEIGHT},
    {"connections", {4, CB_HIDDEN}, {1, CB_OWN_SIZE}, .role = CB_CONSTANT, .fill = connect_some},
    {"projection", {1, CB_OWN_SIZE}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"fading", {1, CB_HIDDEN}, .role = CB_UNIT_WEIGHT},
    {"bias", {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
};

static const cb_cell_extent state_sizes[] = {{1, CB_OWN_SIZE}, {1, CB_HIDDEN}};
static const double state_initial[] = {0, 0.5};

static const cb_cell_vector further_inputs[] = {{"elapsed", {1, (cb_cell_size)(CB_OWN_SIZE + 1)}}};
static const cb_cell_vector observed[] = {{"forget", {1, CB_HIDDEN}}, {"fade", {1, CB_HIDDEN}}};

static void step(const cb_cell_step *s) {
    cb_tensor *recurrent = cb_mul(s->weights[WEIGHT_HH], s->weights[CONNECTIONS]);
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS]),
                          cb_linear(s->recurrent[0], recurrent, NULL));
    cb_tensor *fade = cb_exp(cb_neg(cb_mul(s->inputs[0], cb_square(s->weights[FADING]))));
    cb_tensor *c = cb_mul(s->state[1], fade);
    cb_tensor *i = cb_sigmoid(cb_chunk(z, -1, 4, 0));
    cb_tensor *f = cb_sigmoid(cb_shift(cb_chunk(z, -1, 4, 1), s->settings[FORGET_BIAS]));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    cb_tensor *o = cb_sigmoid(cb_chunk(z, -1, 4, 3));
    s->next[1] = cb_add(cb_mul(f, c), cb_mul(i, g));
    s->next[0] = cb_linear(cb_mul(o, cb_tanh(s->next[1])), s->weights[PROJECTION], NULL);
    if (s->observed != NULL) {
        s->observed[0] = f;
        s->observed[1] = fade;
    }
}

static const cb_cell fading_lstm = {
    .name = "fading-lstm",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "c"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
    .size_count = sizeof(sizes) / sizeof(sizes[0]),
    .sizes = sizes,
    .state_sizes = state_sizes,
    .state_initial = state_initial,
    .setting_count = sizeof(settings) / sizeof(settings[0]),
    .settings = settings,
    .input_count = sizeof(further_inputs) / sizeof(further_inputs[0]),
    .inputs = further_inputs,
    .observed_count = sizeof(observed) / sizeof(observed[0]),
    .observed = observed,
};

static const cb_setting narrow[] = {{"projection", 2}, {NULL, 0}};

/* ---- Tables ---------------------------------------------------------------------------------- */

static int64_t three_more(int64_t input, int64_t hidden) {
    return input + 10 * hidden + 3;
}

Test(cell_tables, extents) {
    static const struct {
        cb_cell_own_size size;
        int64_t expected; /* twice the size */
    } cases[] = {
        {{.hidden = 1, .input = 1}, 24},
        {{.constant = 9}, 18},
        {{.hidden = 2, .constant = -3}, 14},
        {{.setting = "projection"}, 6},
        {{.hidden = 1, .setting = "projection", .over = 2}, 8},
        {{.hidden = 1, .over = 2}, 5},
        {{.hidden = 1, .over = 4}, 0},
        {{.constant = -1}, 0},
        {{.setting = "nothing"}, 0},
        {{.of = three_more}, 120},
        {{.hidden = 1, .constant = INT64_MAX}, INT64_MAX},
    };
    const cb_cell_extent none = {0}, gates = {4, CB_HIDDEN}, inputs = {2, CB_INPUT};
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &none, 7, 5, NULL), 0);
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &gates, 7, 5, NULL), 20);
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &inputs, 7, 5, NULL), 14);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cb_cell cell = fading_lstm;
        cell.sizes = &cases[i].size;
        cell.size_count = 1;
        const cb_cell_extent twice = {2, CB_OWN_SIZE};
        cr_expect_eq(cb_cell_extent_of(&cell, &twice, 7, 5, NULL), cases[i].expected, "size %d",
                     (int)i);
    }
    const cb_cell_extent size = {1, CB_OWN_SIZE}, none_such = {1, (cb_cell_size)(CB_OWN_SIZE + 2)};
    const cb_setting half[] = {{"projection", 2.5}, {NULL, 0}}, other[] = {{"k", 1}, {NULL, 0}};
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &size, 7, 5, narrow), 2);
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &size, 7, 5, half), 0);
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &size, 7, 5, other), 0);
    cr_expect_eq(cb_cell_extent_of(&fading_lstm, &none_such, 7, 5, NULL), 0);
    cr_expect_eq(cb_cell_extent_of(NULL, &size, 7, 5, NULL), 0);
    cb_cell full = fading_lstm;
    full.setting_count = CB_CELL_MAX_SETTINGS + 1;
    cr_expect_eq(cb_cell_extent_of(&full, &size, 7, 5, NULL), 0);
}

Test(cell_tables, sizes_of_a_network) {
    enum { INPUT = 2, HIDDEN = 5 };
    cb_params *set = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(set, "rnn", &fading_lstm, INPUT, HIDDEN, .layers = 2,
                             .bidirectional = true, .recurrent_dropout = 0.5, .settings = narrow);
    cr_assert_not_null(rnn, "%s", cb_params_error(set));
    cr_expect_eq(cb_rnn_output_size(rnn), 2 * 2);
    const int64_t counted[] = {2, 5, 2, 5, 2, 5, 2, 5, 0};
    cr_expect_eq(cb_rnn_state_count(rnn), 8);
    for (int i = 0; i < 9; i++)
        cr_expect_eq(cb_rnn_state_size(rnn, i), counted[i]);
    cr_expect_eq(cb_rnn_input_count(rnn), 1);
    cr_expect_str_eq(cb_rnn_input_name(rnn, 0), "elapsed");
    cr_expect_eq(cb_rnn_input_size(rnn, 0), 1);
    cr_expect_null(cb_rnn_input_name(rnn, 1));
    cr_expect_eq(cb_rnn_input_size(rnn, -1), 0);
    cr_expect_eq(cb_rnn_observed_count(rnn), 8);
    cr_expect_eq(cb_rnn_observed_size(rnn, 7), HIDDEN);
    cr_expect_eq(cb_rnn_observed_size(rnn, 8), 0);
    cr_expect_eq(cb_rnn_mask_count(rnn), 4);
    /* A constant is none of the weights. */
    int64_t first = 4 * HIDDEN * (INPUT + 2 + 1) + 2 * HIDDEN + HIDDEN;
    int64_t second = first + 4 * HIDDEN * (2 * 2 - INPUT);
    cr_expect_eq(cb_cell_parameters(&fading_lstm, INPUT, HIDDEN, false, narrow), first);
    cr_expect_eq(cb_params_elements(set), 2 * (first + second));
    cr_expect_null(cb_params_find(set, "rnn.connections_l0"));
    cb_params_free(set);
}

Test(cell_tables, hyperparameters_that_do_not_fit_are_refused) {
    static const struct {
        cb_setting settings[2];
        const char *text;
    } cases[] = {
        {{{"width", 1}}, "cell \"fading-lstm\" has no hyperparameter \"width\""},
        {{{"projection", NAN}}, "the hyperparameter \"projection\" is not finite"},
        {{{"projection", 0}}, "the size of h is no whole number of at least 1"},
        {{{"projection", 1.5}}, "the size of h is no whole number of at least 1"},
        {{{"projection", 1e15}}, "is set to 1e+15, which is too large; the largest is 16777216"},
        {{{"projection", 16777217}}, "which is too large; the largest is 16777216"},
        {{{"projection", 2}, {"projection", 2}}, "the hyperparameter \"projection\" is set twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const cb_setting given[] = {cases[i].settings[0], cases[i].settings[1], {NULL, 0}};
        cb_params *set = cb_params_new(1);
        cr_expect_null(cb_rnn_new(set, "rnn", &fading_lstm, 2, 5, .settings = given));
        cr_expect_eq(cb_params_status(set), CB_ERROR_VALUE);
        cr_expect_not_null(strstr(cb_params_error(set), cases[i].text), "%s", cb_params_error(set));
        cb_params_free(set);
        cb_error error;
        const cb_rnn_options options = {.hidden = 5, .settings = given};
        cr_expect_null(cb_cell_scan_new(&fading_lstm, CB_F64, 2, &options, &error));
        cr_expect_eq(error.status, CB_ERROR_VALUE);
    }
}

/* ---- Runs ------------------------------------------------------------------------------------ */

enum { TIME = 5, BATCH = 3, INPUT = 2, HIDDEN = 4 };

/* A network in f64, and what it reads. */
typedef struct bench {
    cb_params *set;
    cb_rnn *rnn;
    cb_tape *tape;
    cb_tensor *x, *elapsed;
} bench;

static cb_tensor *drawn(cb_tape *tape, uint64_t seed, int rank, const int64_t *shape) {
    cb_tensor *values = cb_full(tape, CB_F64, rank, shape, 0);
    cb_random random = cb_random_seed(seed);
    cb_random_uniform_f64(&random, cb_tensor_count(values), values->data, 0, 1);
    return cb_variable(tape, values);
}

static bench bench_new(const cb_cell *cell, const cb_rnn_options *options) {
    bench b = {.set = cb_params_new_dtype(1, CB_F64)};
    b.rnn = cb_rnn_new_with(b.set, "rnn", cell, INPUT, options);
    cr_assert_not_null(b.rnn, "%s", cb_params_error(b.set));
    b.tape = cb_tape_new();
    b.x = drawn(b.tape, 2, CB_SHAPE(TIME, BATCH, INPUT));
    b.elapsed = drawn(b.tape, 3, CB_SHAPE(TIME, BATCH, 1));
    return b;
}

static void bench_free(bench *b) {
    cb_tape_free(b->tape);
    cb_params_free(b->set);
}

Test(cell_tables, compiled_is_as_op_by_op) {
    static const cb_rnn_options options[] = {
        {.hidden = HIDDEN},
        {.hidden = HIDDEN, .settings = narrow, .bidirectional = true, .no_bias = true},
        {.hidden = HIDDEN, .recurrent_dropout = 0.4, .layers = 2},
        {.hidden = HIDDEN, .zoneout = 0.3, .zoneout_cell = 0.2},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        bench b = bench_new(&fading_lstm, &options[i]);
        cb_scan_check_report report;
        cr_expect_null(cb_rnn_eager_reason(b.rnn, 0), "%s", cb_rnn_eager_reason(b.rnn, 0));
        cr_expect(cb_rnn_check(b.rnn, 0, NULL, &report), "%d: %s", (int)i, report.message);
        cr_expect(report.compiled);
        bench_free(&b);
    }
    cb_error error;
    cb_scan *scan =
        cb_cell_scan_new(&fading_lstm, CB_F64, INPUT, &(cb_rnn_options){.hidden = HIDDEN}, &error);
    cb_scan_check_report report;
    cr_assert_not_null(scan, "%s", error.message);
    cr_expect(cb_scan_check(scan, NULL, &report), "%s", report.message);
    cr_expect(report.compiled);
    cb_scan_free(scan);
}

/* ---- Single steps ---------------------------------------------------------------------------- */

/* Steps one after the other, with the masks of the first, are one run with these masks. */
Test(cell_tables, single_steps_are_a_run) {
    const cb_rnn_options options = {.hidden = HIDDEN, .layers = 2, .recurrent_dropout = 0.4};
    bench b = bench_new(&fading_lstm, &options);
    cb_tensor *outputs[TIME], *forget[TIME];
    cb_tensor *state[4], *seen[4], *masks[2] = {NULL}, *final[4], *run_seen[4];
    for (int t = 0; t < TIME; t++) {
        cb_tensor *elapsed = cb_select(b.elapsed, 0, t);
        cb_rnn_io io = {.initial = t > 0 ? state : NULL,
                        .final = state,
                        .inputs = &elapsed,
                        .observed = seen,
                        .masks = masks};
        outputs[t] = cb_rnn_step(b.rnn, cb_select(b.x, 0, t), &io);
        forget[t] = seen[0];
    }
    const cb_rnn_io io = {
        .final = final, .inputs = &b.elapsed, .observed = run_seen, .masks = masks};
    cb_tensor *y = cb_rnn_forward(b.rnn, b.x, &io);
    cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
    cr_expect(cbt_close(cb_stack(TIME, outputs, 0), y, 1e-12));
    cr_expect(cbt_close(cb_stack(TIME, forget, 0), run_seen[0], 1e-12));
    for (int i = 0; i < 4; i++)
        cr_expect(cbt_close(state[i], final[i], 1e-12));
    bench_free(&b);
}

/* ---- Recurrent dropout ----------------------------------------------------------------------- */

/* With every unit dropped, no recurrent weight has a gradient, in no cell of the library; with none
   dropped, nothing is changed. */
Test(cell_tables, recurrent_weights_of_all_cells_see_what_is_not_dropped) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        for (int keep = 0; keep < 2; keep++) {
            cb_rnn_options options = {.hidden = HIDDEN, .settings = cbt_small(*cell)};
            bench plain = bench_new(*cell, &options);
            options.recurrent_dropout = 0.5;
            bench b = bench_new(*cell, &options);
            int64_t size = cb_rnn_state_size(b.rnn, 0);
            cb_tensor *mask = cb_full(b.tape, CB_F64, CB_SHAPE(BATCH, size), keep);
            cb_tensor *y = cb_rnn_forward(b.rnn, b.x, &(cb_rnn_io){.masks = &mask});
            cb_tensor *z = cb_rnn_forward(plain.rnn, plain.x, NULL);
            if (keep == 1)
                cr_expect(cbt_close(y, z, 1e-12), "%s", (*cell)->name);
            cr_assert_eq(cb_backward(cb_sum(cb_sin(y), CB_ALL_AXES, false)), CB_OK, "%s",
                         cb_tape_error(b.tape));
            const cb_param *weight = cb_params_find(b.set, "rnn.weight_hh_l0");
            double sum = 0;
            for (int64_t i = 0; i < cb_tensor_count(weight->gradient); i++)
                sum += fabs(((const double *)weight->gradient->data)[i]);
            cr_expect_eq(sum > 0, keep == 1, "%s: %g", (*cell)->name, sum);
            bench_free(&b);
            bench_free(&plain);
        }
}

Test(cell_tables, rates_that_are_none_are_refused) {
    static const cb_rnn_options bad[] = {
        {.hidden = 5, .recurrent_dropout = 1},
        {.hidden = 5, .recurrent_dropout = NAN},
        {.hidden = 5, .zoneout = -0.1},
        {.hidden = 5, .zoneout_cell = 1},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cb_params *set = cb_params_new(1);
        cr_expect_null(cb_rnn_new_with(set, "rnn", &cb_lstm, 3, &bad[i]));
        cr_expect_not_null(strstr(cb_params_error(set), i < 2
                                                            ? "recurrent_dropout is outside [0, 1)"
                                                            : "zoneout is outside [0, 1)"));
        cb_params_free(set);
    }
    cb_cell without = fading_lstm;
    without.recurrent_states = CB_CELL_NO_RECURRENT_STATES;
    cb_params *set = cb_params_new(1);
    cr_expect_null(cb_rnn_new(set, "rnn", &without, 3, 5, .recurrent_dropout = 0.1));
    cr_expect_eq(cb_params_status(set), CB_ERROR_VALUE);
    cb_params_free(set);
}
