/* The library's cells against their own equations: the text that a cell carries is read, and gives
   the values and gradients of its step in C. */
#include "apps/model/published_cells.h"
#include "examples/custom_cell.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <string.h>

enum { INPUT = 3, HIDDEN = 5, TIME = 6, BATCH = 4 };

/* Which rows of a parameter in C a parameter of the text is: block `block` of `blocks`. */
typedef struct part {
    const char *text, *in_c;
    int block, blocks;
} part;

/* A cell and its parameters; those of the same name in both need no row. */
typedef struct pair {
    const cb_cell *cell;
    part parts[12];
} pair;

#define TWO_BIASES                                                                                 \
    {"W", "weight_ih", 0, 1}, {"U", "weight_hh", 0, 1}, {"b_x", "bias_ih", 0, 1}, {                \
        "b_h", "bias_hh", 0, 1                                                                     \
    }

static const pair pairs[] = {
    {&cb_rnn_tanh, {TWO_BIASES}},
    {&cb_lstm, {TWO_BIASES}},
    {&cb_peephole_lstm, {TWO_BIASES, {"p", "weight_ch", 0, 1}}},
    {&cb_layernorm_lstm,
     {{"W", "weight_ih", 0, 1},
      {"U", "weight_hh", 0, 1},
      {"a_x", "gain_ih", 0, 1},
      {"a_h", "gain_hh", 0, 1},
      {"a_c", "gain_c", 0, 1},
      {"b_x", "bias_ih", 0, 1},
      {"b_h", "bias_hh", 0, 1},
      {"b_c", "bias_c", 0, 1}}},
    {&cb_gru, {TWO_BIASES}},
    {&cb_gru_reset_before,
     {{"W_r", "weight_ih", 0, 3},
      {"W_z", "weight_ih", 1, 3},
      {"W_n", "weight_ih", 2, 3},
      {"U_r", "weight_hh", 0, 3},
      {"U_z", "weight_hh", 1, 3},
      {"U_n", "weight_hh", 2, 3},
      {"b_r", "bias", 0, 3},
      {"b_z", "bias", 1, 3},
      {"b_n", "bias", 2, 3}}},
    {&cb_cerebral_lstm, {TWO_BIASES}},
    {&cb_cerebral_lstm_as_printed, {TWO_BIASES}},
    {&cb_peephole_cerebral_lstm, {TWO_BIASES, {"p", "weight_ch", 0, 1}}},
    {&cb_cerebral_gru, {TWO_BIASES}},
    {&cb_projected_lstm, {TWO_BIASES, {"W_r", "weight_hr", 0, 1}}},
    {&published_lstm_state_bias,
     {{"W", "weight_ih", 0, 1},
      {"U", "weight_hh", 0, 1},
      {"b_c", "bias_c", 0, 1},
      {"b_h", "bias_h", 0, 1}}},
    {&custom_cell,
     {{"W", "weight_ih", 0, 1},
      {"U", "weight_hh", 0, 1},
      {"b", "bias", 0, 1},
      {"p", "peephole", 0, 1}}},
};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

/* A layer of a cell in f64, run on the same numbers as any other. */
typedef struct layer {
    cb_params *params;
    cb_rnn *rnn;
    cb_tape *tape;
    cb_tensor *x, *y, *final[4], *initial[4];
    cb_tensor *drawn[5]; /* x and the initial states: the tape does not copy */
    int drawn_count;
} layer;

static layer layer_new(const cb_cell *cell, const cb_rnn_options *options) {
    layer made = {.params = cb_params_new_dtype(4, CB_F64), .tape = cb_tape_new()};
    made.rnn = cb_rnn_new_with(made.params, "rnn", cell, INPUT, options);
    cr_assert_not_null(made.rnn, "%s", cb_params_error(made.params));
    return made;
}

static cb_tensor *drawn(layer *l, cb_random *random, int rank, const int64_t *shape) {
    cb_tensor *t = cb_tensor_new(CB_F64, rank, shape);
    cb_random_normal_f64(random, cb_tensor_count(t), t->data, 0, 1);
    l->drawn[l->drawn_count++] = t;
    return cb_variable(l->tape, t);
}

static void layer_run(layer *l) {
    cb_random random = cb_random_seed(8);
    l->x = drawn(l, &random, CB_SHAPE(TIME, BATCH, INPUT));
    for (int s = 0; s < cb_rnn_state_count(l->rnn); s++)
        l->initial[s] = drawn(l, &random, CB_SHAPE(BATCH, cb_rnn_state_size(l->rnn, s)));
    l->y = cb_rnn_forward(l->rnn, l->x, &(cb_rnn_io){.initial = l->initial, .final = l->final});
    cb_tensor *loss = cb_sum(cb_square(l->y), CB_ALL_AXES, false);
    for (int s = 0; s < cb_rnn_state_count(l->rnn); s++)
        loss = cb_add(loss, cb_sum(cb_exp(cb_scale(l->final[s], 0.1)), CB_ALL_AXES, false));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(l->tape));
}

static void layer_free(layer *l) {
    cb_tape_free(l->tape);
    for (int i = 0; i < l->drawn_count; i++)
        cb_tensor_free(l->drawn[i]);
    cb_params_free(l->params);
}

/* The rows of a tensor that a part is. */
static cb_tensor rows_of(const cb_tensor *t, const part *p) {
    cb_tensor rows = *t;
    rows.shape[0] /= p->blocks;
    rows.data = (char *)t->data + cb_tensor_bytes(&rows) * (size_t)p->block;
    return rows;
}

static const cb_param *find(const layer *l, const char *name) {
    char text[64];
    snprintf(text, sizeof text, "rnn.%s_l0", name);
    const cb_param *param = cb_params_find(l->params, text);
    cr_assert_not_null(param, "%s", text);
    return param;
}

static void expect_equal(const pair *p, const cb_cell *text, const cb_rnn_options *options) {
    layer c = layer_new(p->cell, options), t = layer_new(text, options);
    int parts = 0;
    for (; parts < 12 && p->parts[parts].text != NULL; parts++) {
        const part *of = &p->parts[parts];
        if (options->no_bias && strncmp(of->in_c, "bias", 4) == 0)
            continue;
        cb_tensor rows = rows_of(find(&c, of->in_c)->value, of);
        cb_tensor *value = find(&t, of->text)->value;
        cr_assert_eq(cb_tensor_count(value), cb_tensor_count(&rows), "%s %s", text->name, of->text);
        memcpy(value->data, rows.data, cb_tensor_bytes(&rows));
    }
    layer_run(&c);
    layer_run(&t);
    cr_expect_eq(cb_rnn_eager_reason(t.rnn, 0) != NULL, options->eager, "%s", text->name);
    cr_expect(cbt_close(t.y, c.y, 1e-12), "%s", text->name);
    cr_expect(cbt_close(cb_gradient(t.x), cb_gradient(c.x), 1e-12), "%s", text->name);
    cr_expect_eq(cb_rnn_state_count(t.rnn), cb_rnn_state_count(c.rnn), "%s", text->name);
    for (int s = 0; s < cb_rnn_state_count(c.rnn); s++) {
        cr_expect(cbt_close(t.final[s], c.final[s], 1e-12), "%s state %d", text->name, s);
        /* Run op by op, a state that nothing is computed from has no gradient. */
        const cb_tensor *got = cb_gradient(t.initial[s]), *wanted = cb_gradient(c.initial[s]);
        cr_expect(wanted == NULL ? got == NULL : cbt_close(got, wanted, 1e-12), "%s state %d",
                  text->name, s);
    }
    for (int i = 0; i < parts; i++) {
        const part *of = &p->parts[i];
        if (options->no_bias && strncmp(of->in_c, "bias", 4) == 0)
            continue;
        cb_tensor rows = rows_of(find(&c, of->in_c)->gradient, of);
        cr_expect(cbt_close(find(&t, of->text)->gradient, &rows, 1e-12), "%s %s", text->name,
                  of->text);
    }
    layer_free(&c);
    layer_free(&t);
}

/* Every state, parameter and hyperparameter is there in both, and of the same size. */
static void expect_same_tables(const cb_cell *cell, const cb_cell *text) {
    cr_expect_eq(text->state_count, cell->state_count, "%s", cell->name);
    for (int s = 0; s < cell->state_count; s++)
        cr_expect_str_eq(text->state_names[s], cell->state_names[s]);
    for (int no_bias = 0; no_bias < 2; no_bias++)
        cr_expect_eq(cb_cell_parameters(text, 7, 640, no_bias == 1, NULL),
                     cb_cell_parameters(cell, 7, 640, no_bias == 1, NULL), "%s", cell->name);
}

Test(equations, each_cell_computes_what_its_text_says) {
    for (int i = 0; i < PAIRS; i++) {
        cb_error error;
        const cb_cell_text_options named = {.name = pairs[i].cell->name};
        cb_cell *text = cb_cell_parse(pairs[i].cell->equations, &named, &error);
        cr_assert_not_null(text, "%s: %s", pairs[i].cell->name, error.message);
        expect_same_tables(pairs[i].cell, text);
        cb_cell_free(text);
        /* With a projection smaller than the hidden size. */
        static const cb_setting few[] = {{"projection", 2}, {NULL, 0}};
        bool projects = pairs[i].cell == &cb_projected_lstm;
        const cb_cell_text_options set = {.name = pairs[i].cell->name,
                                          .settings = projects ? few : NULL};
        text = cb_cell_parse(pairs[i].cell->equations, &set, &error);
        cr_assert_not_null(text, "%s", error.message);
        for (int way = 0; way < 4; way++) {
            pair p = pairs[i];
            cb_rnn_options options = {.hidden = HIDDEN, .eager = way % 2 == 1, .no_bias = way > 1};
            cb_cell projecting = *p.cell;
            if (projects) { /* the text has the number in it already */
                projecting.settings = few;
                p.cell = &projecting;
            }
            expect_equal(&p, text, &options);
        }
        cb_cell_free(text);
    }
}

Test(equations, no_cell_of_the_library_is_left_out) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        bool found = false;
        for (int i = 0; i < PAIRS; i++)
            found = found || pairs[i].cell == *cell;
        cr_expect(found, "%s", (*cell)->name);
    }
}
