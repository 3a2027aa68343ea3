/* Building recurrent networks: names and shapes of weights, halves, what is refused. */
#include "tensor/memory.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

static const float *data_of(const cb_params *params, const char *name) {
    const cb_param *param = cb_params_find(params, name);
    cr_assert_not_null(param, "there is no %s", name);
    return param->value->data;
}

static void expect_shape(const cb_params *params, const char *name, const char *shape) {
    char text[64];
    const cb_param *param = cb_params_find(params, name);
    cr_assert_not_null(param, "there is no %s", name);
    cr_expect_str_eq(cb_shape_format(param->value, text, sizeof text), shape, "%s", name);
}

Test(rnn_build, weights_have_pytorchs_names_and_shapes) {
    cb_params *params = cb_params_new(1);
    cb_rnn_new(params, "rnn", &cb_gru, 3, 5, .layers = 2, .bidirectional = true);
    cr_assert_eq(cb_params_status(params), CB_OK, "%s", cb_params_error(params));
    cr_expect_eq(cb_params_count(params), 16);
    expect_shape(params, "rnn.weight_ih_l0", "[15,3]");
    expect_shape(params, "rnn.weight_hh_l0_reverse", "[15,5]");
    expect_shape(params, "rnn.weight_ih_l1", "[15,10]");
    expect_shape(params, "rnn.bias_hh_l1_reverse", "[15]");
    cb_rnn_new(params, "plain", &cb_cerebral_lstm, 3, 5, .no_bias = true);
    cr_expect_eq(cb_params_count(params), 18);
    expect_shape(params, "plain.weight_ih_l0", "[40,3]");
    cb_params_free(params);
}

Test(rnn_build, initialisers_go_by_role) {
    cb_params *params = cb_params_new(1);
    cb_init two = {.kind = CB_INIT_CONSTANT, .a = 2}, three = {.kind = CB_INIT_CONSTANT, .a = 3};
    cb_init four = {.kind = CB_INIT_CONSTANT, .a = 4};
    cb_rnn_new(params, "rnn", &cb_lstm, 3, 5, .input_init = two, .recurrent_init = three,
               .bias_init = four);
    cr_expect_eq(data_of(params, "rnn.weight_ih_l0")[59], 2);
    cr_expect_eq(data_of(params, "rnn.weight_hh_l0")[99], 3);
    cr_expect_eq(data_of(params, "rnn.bias_hh_l0")[19], 4);
    cb_rnn_new(params, "default", &cb_lstm, 3, 25);
    for (int i = 0; i < 2500; i++)
        cr_assert_leq(fabsf(data_of(params, "default.weight_hh_l0")[i]), 0.2F);
    cb_params_free(params);
}

/* Largest difference between the halves of a parameter. */
static float distance(const cb_params *params, const char *name) {
    const float *data = data_of(params, name);
    int64_t half = cb_tensor_count(cb_params_find(params, name)->value) / 2;
    float largest = 0;
    for (int64_t i = 0; i < half; i++)
        largest = fmaxf(largest, fabsf(data[i] - data[half + i]));
    return largest;
}

Test(rnn_build, halves_differ_unless_they_are_asked_to_be_equal) {
    static const char *const names[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l1"};
    const cb_cell *const cells[] = {&cb_cerebral_lstm, &cb_cerebral_lstm_as_printed};
    for (int k = 0; k < 2; k++) {
        cb_params *params = cb_params_new(1);
        cb_rnn_new(params, "a", cells[k], 3, 5, .layers = 2);
        cb_rnn_new(params, "b", cells[k], 3, 5, .layers = 2, .equal_halves = true);
        cr_assert_eq(cb_params_status(params), CB_OK, "%s", cb_params_error(params));
        for (int i = 0; i < 4; i++) {
            char name[32];
            snprintf(name, sizeof name, "a.%s", names[i]);
            cr_expect_gt(distance(params, name), 0.05F, "%s", name);
            name[0] = 'b';
            cr_expect_eq(distance(params, name), 0, "%s", name);
        }
        cb_params_free(params);
    }
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void expect_refused(cb_params *params, const cb_rnn *rnn, cb_status status,
                           const char *text) {
    cr_expect_null(rnn, "%s", text);
    cr_expect_eq(cb_params_status(params), status, "%s: %s", text, cb_params_error(params));
    cr_expect_not_null(strstr(cb_params_error(params), text), "'%s' is not in '%s'", text,
                       cb_params_error(params));
    cb_params_free(params);
}

Test(rnn_build, initialisers_that_make_halves_equal_are_refused) {
    cb_init constants[] = {{.kind = CB_INIT_CONSTANT, .a = 0.5},
                           {.kind = CB_INIT_ZEROS},
                           {.kind = CB_INIT_NORMAL, .a = 1, .b = 0},
                           {.kind = CB_INIT_UNIFORM, .a = 1, .b = 1}};
    for (int i = 0; i < 4; i++) {
        cb_params *p = cb_params_new(1);
        expect_refused(p,
                       cb_rnn_new(p, "net", &cb_cerebral_lstm, 3, 5, .input_init = constants[i],
                                  .recurrent_init = constants[i]),
                       CB_ERROR_VALUE, "make the halves equal");
        p = cb_params_new(1);
        cr_expect_not_null(cb_rnn_new(p, "net", &cb_cerebral_lstm, 3, 5, .input_init = constants[0],
                                      .recurrent_init = constants[0], .equal_halves = true),
                           "%s", cb_params_error(p));
        cr_expect_not_null(
            cb_rnn_new(p, "one", &cb_cerebral_lstm, 3, 5, .input_init = constants[0]),
            "the other weights still tell the halves apart");
        cr_expect_not_null(cb_rnn_new(p, "lstm", &cb_lstm, 3, 5, .input_init = constants[0],
                                      .recurrent_init = constants[0]),
                           "an LSTM has no halves");
        cb_params_free(p);
    }
}

Test(rnn_build, bad_options_are_recorded_on_the_set) {
    cb_params *p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", NULL, 3, 5), CB_ERROR_VALUE, "the cell is NULL");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, NULL, &cb_lstm, 3, 5), CB_ERROR_VALUE, "the name is NULL");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 0, 5), CB_ERROR_SHAPE, "sizes 0 and 5");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, -5), CB_ERROR_SHAPE, "sizes 3 and -5");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .layers = -1), CB_ERROR_VALUE,
                   "-1 layers are outside 1..1024");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .dropout = 1), CB_ERROR_VALUE,
                   "dropout is outside [0, 1)");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .dropout = NAN), CB_ERROR_VALUE,
                   "dropout is outside [0, 1)");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .reverse = true, .bidirectional = true),
                   CB_ERROR_VALUE, "exclude each other");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .recompute = -1), CB_ERROR_VALUE,
                   "recompute is below 0");
    p = cb_params_new(1);
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, INT64_MAX / 2), CB_ERROR_MEMORY,
                   "net.weight_ih_l0: no memory");
    p = cb_params_new(1);
    cb_rnn_new(p, "net", &cb_lstm, 3, 5);
    expect_refused(p, cb_rnn_new(p, "net", &cb_gru, 3, 5), CB_ERROR_VALUE, "net.weight_ih_l0");
    p = cb_params_new(1);
    expect_refused(
        p, cb_stack_new(p, "net", 3, 0, &(cb_stack_layer){.cell = &cb_lstm, .hidden = 5}, NULL),
        CB_ERROR_VALUE, "0 layers are outside 1..1024");
    p = cb_params_new(1);
    expect_refused(p, cb_stack_new(p, "net", 3, 1, NULL, NULL), CB_ERROR_VALUE,
                   "the array of layers is NULL");
    p = cb_params_new(1);
    cb_init orthogonal = {.kind = CB_INIT_ORTHOGONAL};
    expect_refused(p, cb_rnn_new(p, "net", &cb_lstm, 3, 5, .bias_init = orthogonal), CB_ERROR_VALUE,
                   "net.bias_ih_l0");
    cr_expect_null(cb_rnn_new(NULL, "net", &cb_lstm, 3, 5));
    cr_expect_null(cb_rnn_module(NULL));
    cr_expect_eq(cb_rnn_output_size(NULL), 0);
}

static void step(const cb_cell_step *s) {
    s->next[0] = cb_mul(s->state[0], s->weights[0]);
}

Test(rnn_build, cells_with_bad_tables_are_refused) {
    enum { COUNTS = 17, ROWS = 10 };
    static const cb_cell_param fine = {"w", .rows = {1, CB_HIDDEN}, .role = CB_UNIT_WEIGHT};
    static const cb_setting nameless[] = {{.value = 1}};
    static const cb_cell_vector vectors[] = {{"v", {1, CB_OWN_SIZE}}, {NULL, {1, CB_HIDDEN}}};
    static const cb_cell_extent none[] = {{0, CB_HIDDEN}}, halved[] = {{1, CB_OWN_SIZE}};
    static const cb_cell_own_size half = {.hidden = 1, .over = 2};
    const cb_cell good = {
        .name = "own", .state_count = 1, .param_count = 1, .params = &fine, .full_step = step};
    cb_cell bad[COUNTS];
    for (int i = 0; i < COUNTS; i++)
        bad[i] = good;
    bad[0].name = NULL, bad[1].full_step = NULL, bad[2].state_count = 0;
    bad[3].state_count = CB_CELL_MAX_STATES + 1, bad[4].param_count = -1;
    bad[5].param_count = CB_CELL_MAX_PARAMS + 1, bad[6].params = NULL;
    bad[7].state_count = -3;
    bad[8].setting_count = CB_CELL_MAX_SETTINGS + 1, bad[9].input_count = -1;
    bad[10].observed_count = 1, bad[11].recurrent_states = 2;
    bad[12].setting_count = 1, bad[12].settings = nameless;
    bad[13].input_count = 1, bad[13].inputs = vectors;
    bad[14].observed_count = 1, bad[14].observed = vectors + 1;
    bad[15].state_sizes = none, bad[16].state_sizes = halved;
    bad[16].size_count = 1, bad[16].sizes = &half;
    static const char *const counts[COUNTS] = {
        "no name, or no step",
        "no name, or no step",
        "cell \"own\": 0 states are outside 1..64",
        "cell \"own\": 65 states are outside 1..64",
        "cell \"own\": -1 parameters are outside 0..256",
        "cell \"own\": 257 parameters are outside 0..256",
        "cell \"own\": the table of parameters is NULL",
        "cell \"own\": -3 states are outside 1..64",
        "cell \"own\": 65 hyperparameters are outside 0..64",
        "cell \"own\": -1 further inputs are outside 0..64",
        "cell \"own\": the table of observed values is NULL",
        "cell \"own\": recurrent_states names",
        "cell \"own\", hyperparameter 0: it has no name",
        "further input 0: its extents are of no size",
        "observed value 0: it has no name",
        "state 0: it has no size",
        "the size of a state is no whole number of at least 1"};
    for (int i = 0; i < COUNTS; i++) {
        cb_params *p = cb_params_new(1);
        expect_refused(p, cb_rnn_new(p, "net", &bad[i], 3, 5), CB_ERROR_VALUE, counts[i]);
    }
    cb_cell_param rows[ROWS];
    for (int i = 0; i < ROWS; i++)
        rows[i] = fine;
    rows[0].name = NULL, rows[1].rows.times = 0, rows[2].columns.times = -1;
    rows[3].blocks = -1, rows[4].halves = 2, rows[5].halves = 3;
    rows[6].role = (cb_cell_role)17;
    rows[7].rows.size = CB_OWN_SIZE, rows[8].columns.size = (cb_cell_size)-1;
    rows[9].role = CB_CONSTANT;
    static const char *const faults[ROWS] = {
        "parameter 0 (no name): it has no name",
        "parameter 0 (w): its rows are below 1 x a size",
        "parameter 0 (w): an extent is below 0 x a size",
        "parameter 0 (w): its blocks are below 0",
        "parameter 0 (w): its rows have no two",
        "parameter 0 (w): its halves are outside 0..2",
        "parameter 0 (w): there is no such role",
        "parameter 0 (w): its extents are of no size",
        "parameter 0 (w): its extents are of no size",
        "parameter 0 (w): it is a constant that nothing fills"};
    for (int i = 0; i < ROWS; i++) {
        cb_params *p = cb_params_new(1);
        cb_cell cell = good;
        cell.params = &rows[i];
        expect_refused(p, cb_rnn_new(p, "net", &cell, 3, 5), CB_ERROR_VALUE, faults[i]);
    }
    static const struct {
        cb_cell_own_size size;
        const char *fault;
    } sizes[] = {
        {{.setting = "k"}, "size 0: it names a hyperparameter that the cell does not have"},
        {{.hidden = 1, .over = -1}, "size 0: it is divided by a number below 0"},
        {{.hidden = 1, .over = 2}, "parameter net.w_l0: with these sizes, an extent is no whole"},
        {{.constant = -5}, "parameter net.w_l0: with these sizes, an extent is no whole"},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cb_params *p = cb_params_new(1);
        cb_cell cell = good;
        cb_cell_param row = fine;
        row.rows.size = CB_OWN_SIZE;
        cell.params = &row;
        cell.sizes = &sizes[i].size;
        cell.size_count = 1;
        expect_refused(p, cb_rnn_new(p, "net", &cell, 3, 5), CB_ERROR_VALUE, sizes[i].fault);
    }
    cb_params *p = cb_params_new(1);
    cr_expect_not_null(cb_rnn_new(p, "net", &good, 3, 5), "%s", cb_params_error(p));
    expect_shape(p, "net.w_l0", "[5]");
    cb_params_free(p);
}

Test(rnn_build, every_allocation_may_fail) {
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        cb_params *params = cb_params_new(1);
        cbi_allocation_fail_after(n);
        cb_rnn *rnn = cb_rnn_new(params, "net", &cb_lstm, 3, 5, .layers = 2);
        cbi_allocation_fail_after(-1);
        cb_status status = cb_params_status(params);
        cb_params_free(params);
        if (status == CB_OK) {
            cr_expect_not_null(rnn);
            break;
        }
        cr_expect_eq(status, CB_ERROR_MEMORY);
        cr_expect_null(rnn);
        failures++;
    }
    cr_expect_gt(failures, 8);
}
