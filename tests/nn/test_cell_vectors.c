/* Cells against vectors that PyTorch computed: the author's Cerebral LSTM, whole models, cells
   written out from their equations. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <stdlib.h>
#include <string.h>

/* ---- The author's Cerebral LSTM -------------------------------------------------------------- */

/* The author keeps W_ui [hidden + input, hidden], b_ui [hidden] and so on, for concat(h, x) W + b.
   These are his blocks in our order: upper i f g o, lower i f g o. */
static const char *const blocks[8] = {"ui", "uf", "uc", "uo", "li", "lf", "lc", "lo"};

/* One of our four parameters from those of the author's layer at `prefix`, such as
   "grad.layers.0."; the caller's. Both our biases are his bias: so are their gradients. */
static cb_tensor *from_author(const cb_safetensors *file, const char *prefix, const char *ours,
                              int64_t input, int64_t hidden) {
    bool bias = strstr(ours, "bias") != NULL, recurrent = strstr(ours, "_hh") != NULL;
    int64_t columns = recurrent ? hidden : input, shift = recurrent ? 0 : hidden;
    cb_tensor *t = cb_tensor_new(CB_F32, bias ? 1 : 2, (int64_t[]){8 * hidden, columns});
    for (int64_t block = 0; block < 8; block++) {
        char name[128];
        snprintf(name, sizeof name, "%s%c_%s", prefix, bias ? 'b' : 'W', blocks[block]);
        const cb_tensor *his = cbt_find(file, name);
        for (int64_t j = 0; j < hidden; j++) {
            int64_t row = block * hidden + j;
            if (bias)
                cb_tensor_set(t, &row, cb_tensor_get(his, &j));
            for (int64_t i = 0; !bias && i < columns; i++)
                cb_tensor_set(t, (int64_t[]){row, i},
                              cb_tensor_get(his, (int64_t[]){shift + i, j}));
        }
    }
    return t;
}

/* What the file holds for one of our parameters: under the same name, or from the author's layout.
   our_prefix is that of the recurrent parameters; to_file goes in front of the file's names. */
static cb_tensor *stored(const cb_safetensors *file, const cb_param *param, const char *our_prefix,
                         const char *to_file, int64_t input, int64_t hidden) {
    char name[96];
    const char *rest = param->name + strlen(our_prefix), *layer = strstr(rest, "_l");
    bool author = strncmp(cbt_metadata(file, "cell"), "cerebral", 8) == 0;
    if (!author || strncmp(param->name, our_prefix, strlen(our_prefix)) != 0) {
        snprintf(name, sizeof name, "%s%s", to_file, param->name);
        return cb_tensor_copy(cbt_find(file, name), CB_F32);
    }
    bool model = strcmp(our_prefix, "recurrent.") == 0;
    bool single = cb_safetensors_find(file, "W_ui") != NULL;
    int number = layer[2] - '0';
    if (single)
        snprintf(name, sizeof name, "%s", to_file);
    else
        snprintf(name, sizeof name, "%s%slayers.%d.", to_file, model ? "recurrent." : "", number);
    return from_author(file, name, rest, number == 0 ? input : hidden, hidden);
}

/* Gives the parameters the file's values; bias_hh, which the author does not have, is 0 and stays.
 */
static void set_values(const cb_safetensors *file, cb_params *params, const char *our_prefix,
                       int64_t input, int64_t hidden) {
    bool author = strncmp(cbt_metadata(file, "cell"), "cerebral", 8) == 0;
    for (int i = 0; i < cb_params_count(params); i++) {
        cb_param *param = cb_params_at(params, i);
        cb_tensor *values = stored(file, param, our_prefix, "", input, hidden);
        cr_assert_eq(cb_tensor_assign(param->value, values), CB_OK, "%s", param->name);
        if (author && strstr(param->name, "bias_hh") != NULL)
            cb_tensor_fill(param->value, 0);
        cb_tensor_free(values);
    }
}

static void expect_gradients(const cb_safetensors *file, const cb_params *params,
                             const char *our_prefix, int64_t input, int64_t hidden) {
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        cb_tensor *expected = stored(file, param, our_prefix, "grad.", input, hidden);
        cr_expect(cbt_close(param->gradient, expected, 1e-5), "%s", param->name);
        cb_tensor_free(expected);
    }
}

/* As [layers, batch, hidden]: the single cell's file has no axis of layers, nor one of time. */
static cb_tensor *with_layers(cb_tensor *t, int rank) {
    return t->rank < rank ? cb_unsqueeze(t, 0) : t;
}

static void expect_author(const char *name, int layers, bool start_given) {
    enum { INPUT = 3, HIDDEN = 5, MOST_LAYERS = 2 };
    cb_safetensors *file = cbt_reference(name);
    cb_params *params = cb_params_new(1);
    cb_tape *tape = cb_tape_new();
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_cerebral_lstm, INPUT, HIDDEN, .layers = layers);
    set_values(file, params, "rnn.", INPUT, HIDDEN);
    cb_tensor *x = cb_variable(tape, cbt_find(file, "input")), *start[3];
    cb_tensor *initial[3 * MOST_LAYERS], *final[3 * MOST_LAYERS], *loss = NULL;
    char text[32];
    for (int s = 0; s < 3 && start_given; s++) {
        snprintf(text, sizeof text, "%c0", "hul"[s]);
        start[s] = cb_variable(tape, cbt_find(file, text));
        for (int k = 0; k < layers; k++)
            initial[3 * k + s] = cb_select(with_layers(start[s], 3), 0, k);
    }
    cb_rnn_io io = {.initial = start_given ? initial : NULL, .final = final};
    cb_tensor *y = cb_rnn_forward(rnn, with_layers(x, 3), &io);
    for (int s = 0; s < 3; s++) {
        cb_tensor *of_state[MOST_LAYERS];
        for (int k = 0; k < layers; k++)
            of_state[k] = final[3 * k + s];
        cb_tensor *last = x->rank == 3 ? cb_stack(layers, of_state, 0) : of_state[0];
        snprintf(text, sizeof text, "projection.%cn", "hul"[s]);
        cb_tensor *part = cb_mul(last, cb_input(tape, cbt_find(file, text)));
        cb_tensor *term = cb_sum(part, CB_ALL_AXES, false);
        loss = loss == NULL ? term : cb_add(loss, term);
        cr_expect(cbt_close(last, cbt_find(file, text + strlen("projection.")), 1e-5), "%s: %s",
                  name, text);
    }
    if (x->rank == 3) {
        cb_tensor *projection = cb_input(tape, cbt_find(file, "projection.output"));
        loss = cb_add(loss, cb_sum(cb_mul(y, projection), CB_ALL_AXES, false));
        cr_expect(cbt_close(y, cbt_find(file, "output"), 1e-5), "%s", name);
    }
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", name, cb_tape_error(tape));
    cr_expect(cbt_close(cb_gradient(x), cbt_find(file, "grad.input"), 1e-5), "%s", name);
    for (int s = 0; s < 3 && start_given; s++) {
        snprintf(text, sizeof text, "grad.%c0", "hul"[s]);
        cr_expect(cbt_close(cb_gradient(start[s]), cbt_find(file, text), 1e-5), "%s: %s", name,
                  text);
    }
    expect_gradients(file, params, "rnn.", INPUT, HIDDEN);
    cb_tape_free(tape);
    cb_params_free(params);
    cb_safetensors_free(file);
}

Test(cell_vectors, cerebral_lstm_equals_the_authors_package) {
    expect_author("cerebral_cell", 1, true);
    expect_author("cerebral_l1_zero", 1, false);
    expect_author("cerebral_l1_state", 1, true);
    expect_author("cerebral_l2_zero", 2, false);
    expect_author("cerebral_l2_state", 2, true);
}

/* ---- Whole models ---------------------------------------------------------------------------- */

static void expect_model(const char *name) {
    cb_safetensors *file = cbt_reference(name);
    int64_t vocabulary = strtoll(cbt_metadata(file, "vocabulary"), NULL, 10);
    int64_t width = strtoll(cbt_metadata(file, "embedding"), NULL, 10);
    int64_t hidden = strtoll(cbt_metadata(file, "hidden"), NULL, 10);
    cb_params *params = cb_params_new(1);
    cb_module *embedding = cb_embedding_new(params, "embedding", vocabulary, width);
    cb_rnn *rnn = cb_rnn_new(params, "recurrent", cb_cell_find(cbt_metadata(file, "cell")), width,
                             hidden, .layers = (int)strtol(cbt_metadata(file, "layers"), NULL, 10));
    cb_module *linear = cb_linear_new(params, "linear", hidden, vocabulary);
    cr_assert_eq(cb_params_status(params), CB_OK, "%s", cb_params_error(params));
    set_values(file, params, "recurrent.", width, hidden);
    cb_optimizer *optimizer = cb_adagrad_new(
        params, .lr = strtod(cbt_metadata(file, "lr"), NULL),
        .initial_accumulator = strtod(cbt_metadata(file, "initial_accumulator_value"), NULL));
    cb_tape *tape = cb_tape_new();
    const cb_tensor *losses = cbt_find(file, "losses");
    for (int64_t step = 0; step < 8; step++) {
        cb_tensor *x = cb_forward(embedding, cb_input(tape, cbt_find(file, "input")));
        cb_tensor *logits = cb_forward(linear, cb_rnn_forward(rnn, x, NULL));
        cb_tensor *loss = cb_cross_entropy(logits, cb_input(tape, cbt_find(file, "target")));
        cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", name, cb_tape_error(tape));
        if (step == 0) {
            cr_expect(cbt_close(logits, cbt_find(file, "logits"), 1e-5), "%s", name);
            cr_expect(cbt_close(loss, cbt_find(file, "loss"), 1e-5), "%s", name);
            expect_gradients(file, params, "recurrent.", width, hidden);
        }
        cr_expect_float_eq(cb_item(loss), cb_tensor_get(losses, &step), 1e-5, "%s: step %d: %g",
                           name, (int)step, cb_item(loss));
        /* A second bias would make the author's one learn twice as fast. */
        for (int i = 0; strcmp(cbt_metadata(file, "cell"), "cerebral-lstm") == 0 &&
                        i < cb_params_count(params);
             i++)
            cb_params_at(params, i)->frozen = strstr(cb_params_at(params, i)->name, "bias_hh");
        cr_assert_eq(cb_optimizer_step(optimizer), CB_OK);
        cb_tape_reset(tape);
    }
    cb_optimizer_free(optimizer);
    cb_tape_free(tape);
    cb_params_free(params);
    cb_safetensors_free(file);
}

Test(cell_vectors, whole_models_train_as_pytorchs_do) {
    expect_model("model_lstm");
    expect_model("model_lstm_l2");
    expect_model("model_cerebral");
}

/* ---- Cells written out in PyTorch ------------------------------------------------------------ */

/* sum(projection * y), which the file's gradients are of. */
static cb_tensor *projected(const cb_safetensors *file, const char *name, cb_tensor *y) {
    char text[64];
    snprintf(text, sizeof text, "projection.%s", name);
    cb_tensor *projection = cb_cast(cb_input(cb_tape_of(y), cbt_find(file, text)), y->dtype);
    return cb_sum(cb_mul(y, projection), CB_ALL_AXES, false);
}

/* One layer's output, last states and all gradients are the file's: rounding to f32 apart, when the
   layer is of f64. */
static void expect_written_out(const cb_safetensors *file, cb_dtype dtype, bool eager) {
    const cb_cell *cell = cb_cell_find(cbt_metadata(file, "cell"));
    double tolerance = dtype == CB_F64 ? 1e-7 : 1e-5;
    cb_params *params = cb_params_new_dtype(1, dtype);
    cb_rnn *rnn =
        cb_rnn_new(params, "rnn", cell, strtoll(cbt_metadata(file, "input"), NULL, 10),
                   strtoll(cbt_metadata(file, "hidden"), NULL, 10),
                   .no_bias = strcmp(cbt_metadata(file, "bias"), "false") == 0, .eager = eager);
    cr_assert_not_null(rnn, "%s", cb_params_error(params));
    cr_expect_eq(cb_rnn_eager_reason(rnn, 0) != NULL, eager, "%s", cell->name);
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        cb_tensor *values = cb_tensor_copy(cbt_find(file, param->name + strlen("rnn.")), dtype);
        cr_assert_eq(cb_tensor_assign(param->value, values), CB_OK, "%s", param->name);
        cb_tensor_free(values);
    }
    cb_tape *tape = cb_tape_new();
    /* A tape reads what it is given where it lies. */
    cb_tensor *read = cb_tensor_copy(cbt_find(file, "input"), dtype), *x = cb_variable(tape, read);
    cb_tensor *read_states[CB_CELL_MAX_STATES];
    cb_tensor *start[CB_CELL_MAX_STATES], *final[CB_CELL_MAX_STATES];
    char text[32];
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%s0", cell->state_names[s]);
        read_states[s] = cb_tensor_copy(cbt_find(file, text), dtype);
        start[s] = cb_variable(tape, read_states[s]);
    }
    cb_tensor *y = cb_rnn_forward(rnn, x, &(cb_rnn_io){.initial = start, .final = final});
    cb_tensor *loss = projected(file, "output", y);
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%sn", cell->state_names[s]);
        loss = cb_add(loss, projected(file, text, final[s]));
    }
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", cell->name, cb_tape_error(tape));
    cr_expect(cbt_close(y, cbt_find(file, "output"), tolerance), "%s", cell->name);
    cr_expect(cbt_close(cb_gradient(x), cbt_find(file, "grad.input"), tolerance), "%s", cell->name);
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%sn", cell->state_names[s]);
        cr_expect(cbt_close(final[s], cbt_find(file, text), tolerance), "%s: %s", cell->name, text);
        snprintf(text, sizeof text, "grad.%s0", cell->state_names[s]);
        cr_expect(cbt_close(cb_gradient(start[s]), cbt_find(file, text), tolerance), "%s: %s",
                  cell->name, text);
    }
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        char gradient[64];
        snprintf(gradient, sizeof gradient, "grad.%s", param->name + strlen("rnn."));
        cr_expect(cbt_close(param->gradient, cbt_find(file, gradient), tolerance), "%s: %s",
                  cell->name, gradient);
    }
    cb_tape_free(tape);
    cb_tensor_free(read);
    for (int s = 0; s < cell->state_count; s++)
        cb_tensor_free(read_states[s]);
    cb_params_free(params);
}

Test(cell_vectors, equal_what_pytorch_computes_from_their_equations) {
    static const char *const names[] = {"peephole_lstm", "peephole_cerebral_lstm", "cerebral_gru",
                                        "gru_reset_before", "layernorm_lstm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int bias = 0; bias < 2; bias++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", names[i], bias == 1 ? "" : "_nobias");
            cb_safetensors *file = cbt_reference(name);
            for (int eager = 0; eager < 2; eager++) {
                expect_written_out(file, CB_F32, eager == 1);
                expect_written_out(file, CB_F64, eager == 1);
            }
            cb_safetensors_free(file);
        }
}
