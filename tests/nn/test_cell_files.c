/* Cells that are files of equations, cells/ and examples/cells/: against what others' programs
   compute (tests/reference/text_cell_cases.py), against themselves op by op, and against
   differences. Each file has to have a vector. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The files ------------------------------------------------------------------------------- */

static const struct {
    const char *folder, *reference; /* of which "NAME.cell" has "PREFIXNAME.safetensors" */
} folders[] = {{"cells", "text_"}, {"examples/cells", "text_example_"}};

/* The file's cell, with sizes of its own that the vector was made with: "small=3 features=2". */
static cb_cell *load(const char *folder, const char *file, const cb_safetensors *vector) {
    enum { MOST = 8 };
    const char *sizes = cb_safetensors_metadata(vector, "sizes");
    char path[512], text[256];
    cb_setting settings[MOST + 1] = {{NULL, 0}};
    cb_error error;
    snprintf(text, sizeof text, "%s", sizes != NULL ? sizes : "");
    int count = 0;
    for (char *word = strtok(text, " "); word != NULL && count < MOST; word = strtok(NULL, " ")) {
        char *sign = strchr(word, '=');
        *sign = '\0';
        settings[count++] = (cb_setting){word, strtod(sign + 1, NULL)};
    }
    snprintf(path, sizeof path, "%s/%s", folder, file);
    const cb_cell_text_options options = {.settings = settings};
    cb_cell *cell = cb_cell_load(cbt_source_path(path), &options, &error);
    cr_assert_not_null(cell, "%s", error.message);
    return cell;
}

/* Calls f for each file of both folders. */
static void for_each_cell(void (*f)(const cb_cell *cell, const cb_safetensors *vector)) {
    int count = 0;
    for (int i = 0; i < 2; i++) {
        DIR *listing = opendir(cbt_source_path(folders[i].folder));
        cr_assert_not_null(listing, "%s", folders[i].folder);
        for (const struct dirent *file; (file = readdir(listing)) != NULL;) {
            const char *end = strrchr(file->d_name, '.');
            if (end == NULL || strcmp(end, ".cell") != 0)
                continue;
            char reference[300];
            snprintf(reference, sizeof reference, "%s%.*s", folders[i].reference,
                     (int)(end - file->d_name), file->d_name);
            for (char *c = reference; *c != '\0'; c++)
                *c = *c == '-' ? '_' : *c;
            cb_safetensors *vector = cbt_reference(reference);
            cb_cell *cell = load(folders[i].folder, file->d_name, vector);
            f(cell, vector);
            cb_safetensors_free(vector);
            cb_cell_free(cell);
            count++;
        }
        closedir(listing);
    }
    cr_expect_geq(count, 24, "%d files", count);
}

/* ---- What others compute --------------------------------------------------------------------- */

static int64_t number(const cb_safetensors *file, const char *key) {
    return strtoll(cbt_metadata(file, key), NULL, 10);
}

/* The hyperparameters that the vector was made with. */
static const cb_setting *settings_of(const cb_cell *cell, const cb_safetensors *vector) {
    static cb_setting settings[CB_CELL_MAX_SETTINGS + 1];
    for (int i = 0; i < cell->setting_count; i++) {
        const char *name = cell->settings[i].name;
        settings[i] = (cb_setting){name, strtod(cbt_metadata(vector, name), NULL)};
    }
    settings[cell->setting_count] = (cb_setting){NULL, 0};
    return settings;
}

/* Whether a tensor is, relative to its largest element, the file's of that name. */
static void expect(const cb_cell *cell, const cb_tensor *actual, const cb_safetensors *file,
                   const char *name) {
    const cb_tensor *expected = cbt_find(file, name);
    double largest = 0;
    cr_assert_eq(expected->dtype, CB_F64, "%s", name);
    for (int64_t i = 0; i < cb_tensor_count(expected); i++)
        largest = fmax(largest, fabs(((const double *)expected->data)[i]));
    cr_expect(cbt_close(actual, expected, 1e-12 * fmin(largest, 1)), "%s: %s", cell->name, name);
}

static void set_weights(cb_params *params, const cb_safetensors *file) {
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        const cb_tensor *values = cbt_find(file, param->name + strlen("rnn."));
        cr_assert_eq(cb_tensor_assign(param->value, values), CB_OK, "%s", param->name);
    }
}

/* sum(projection * y), which the file's gradients are of. */
static cb_tensor *projected(const cb_safetensors *file, const char *name, cb_tensor *y) {
    char text[128];
    snprintf(text, sizeof text, "projection.%s", name);
    return cb_sum(cb_mul(y, cb_input(cb_tape_of(y), cbt_find(file, text))), CB_ALL_AXES, false);
}

/* Runs one layer from the file's weights, input and states; output, last states and all gradients
   are the file's. */
static void expect_vector_of(const cb_cell *cell, const cb_safetensors *file, bool no_bias) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", cell, number(file, "input"), number(file, "hidden"),
                             .no_bias = no_bias, .settings = settings_of(cell, file));
    cr_assert_not_null(rnn, "%s", cb_params_error(params));
    set_weights(params, file);
    cb_tape *tape = cb_tape_new();
    cb_tensor *start[CB_CELL_MAX_STATES], *final[CB_CELL_MAX_STATES];
    cb_tensor *x = cb_variable(tape, cbt_find(file, "input"));
    char text[96];
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%s0", cell->state_names[s]);
        start[s] = cb_variable(tape, cbt_find(file, text));
    }
    cb_tensor *y = cb_rnn_forward(rnn, x, &(cb_rnn_io){.initial = start, .final = final});
    cb_tensor *loss = projected(file, "output", y);
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%sn", cell->state_names[s]);
        loss = cb_add(loss, projected(file, text, final[s]));
    }
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", cell->name, cb_tape_error(tape));
    cr_expect_null(cb_rnn_eager_reason(rnn, 0), "%s: %s", cell->name, cb_rnn_eager_reason(rnn, 0));
    expect(cell, y, file, "output");
    expect(cell, cb_gradient(x), file, "grad.input");
    for (int s = 0; s < cell->state_count; s++) {
        snprintf(text, sizeof text, "%sn", cell->state_names[s]);
        expect(cell, final[s], file, text);
        snprintf(text, sizeof text, "grad.%s0", cell->state_names[s]);
        expect(cell, cb_gradient(start[s]), file, text);
    }
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        snprintf(text, sizeof text, "grad.%s", param->name + strlen("rnn."));
        expect(cell, param->gradient, file, text);
    }
    cb_tape_free(tape);
    cb_params_free(params);
}

static void expect_vector(const cb_cell *cell, const cb_safetensors *vector) {
    expect_vector_of(cell, vector, false);
}

Test(cell_files, equal_what_others_compute) {
    for_each_cell(expect_vector);
}

/* No file, but of the same kind of vector. */
Test(cell_files, the_lstm_with_projection_is_pytorchs) {
    for (int no_bias = 0; no_bias < 2; no_bias++) {
        cb_safetensors *vector =
            cbt_reference(no_bias == 1 ? "lstm_projection_nobias" : "lstm_projection");
        expect_vector_of(&cb_projected_lstm, vector, no_bias == 1);
        cb_safetensors_free(vector);
    }
}

/* ---- Compiled and op by op ------------------------------------------------------------------- */

static void expect_check(const cb_cell *cell, const cb_safetensors *vector) {
    for (int kind = 0; kind < 4; kind++) {
        cb_params *params = cb_params_new_dtype(2, kind % 2 == 0 ? CB_F32 : CB_F64);
        cb_rnn *rnn =
            cb_rnn_new(params, "rnn", cell, number(vector, "input"), number(vector, "hidden"),
                       .bidirectional = true, .no_bias = kind >= 2);
        cb_scan_check_report report;
        cr_assert_not_null(rnn, "%s", cb_params_error(params));
        cr_expect(cb_rnn_check(rnn, 0, NULL, &report), "%s: %s", cell->name, report.message);
        cr_expect(report.compiled, "%s: %s", cell->name, cb_rnn_eager_reason(rnn, 0));
        cb_params_free(params);
    }
}

Test(cell_files, are_compiled_to_what_they_are_op_by_op) {
    for_each_cell(expect_check);
}

/* ---- Differences ----------------------------------------------------------------------------- */

/* The gradient checker varies the inputs of a function, so that weights have to be some: the cell
   is wrapped in one without parameters, whose step gives it parts of a vector. Op by op: only that
   has second gradients. */
enum { TIME = 3, BATCH = 2 };

static const cb_cell *checked;
static cb_tensor *weights_of_checked;

static int64_t extent(const cb_cell_extent *e, const cb_cell_step *s) {
    return cb_cell_extent_of(checked, e, s->input, s->hidden, NULL);
}

static void wrapped_step(const cb_cell_step *s) {
    cb_tensor *weights[CB_CELL_MAX_PARAMS] = {NULL};
    cb_cell_step given = *s;
    int64_t at = 0;
    for (int i = 0; i < checked->param_count; i++) {
        const cb_cell_param *p = &checked->params[i];
        int64_t shape[] = {extent(&p->rows, s), extent(&p->columns, s)};
        int rank = shape[1] > 0 ? 2 : 1;
        int64_t count = shape[0] * (rank == 2 ? shape[1] : 1);
        weights[i] = cb_reshape(cb_slice(weights_of_checked, 0, at, at + count, 1), rank, shape);
        at += count;
    }
    given.cell = checked;
    given.weights = weights;
    checked->full_step(&given);
}

/* Output and last states as one vector, from x, the weights, and the states before. */
static cb_tensor *run_checked(cb_tensor *const *inputs, void *context) {
    const cb_rnn *rnn = context;
    cb_tensor *final[CB_CELL_MAX_STATES], *parts[CB_CELL_MAX_STATES + 1];
    int states = cb_rnn_state_count(rnn);
    weights_of_checked = inputs[1];
    cb_rnn_io io = {.initial = inputs + 2, .final = final};
    parts[states] = cb_reshape(cb_rnn_forward(rnn, inputs[0], &io), CB_SHAPE(-1));
    for (int s = 0; s < states; s++)
        parts[s] = cb_reshape(final[s], CB_SHAPE(-1));
    return cb_concat(states + 1, parts, 0);
}

static cb_tensor *drawn(cb_random *random, int rank, const int64_t *shape, double low) {
    cb_tensor *t = cb_tensor_new(CB_F64, rank, shape);
    cr_assert_not_null(t);
    cb_random_uniform_f64(random, cb_tensor_count(t), t->data, low, 1);
    return t;
}

static void expect_differences(const cb_cell *cell, const cb_safetensors *vector) {
    int64_t input = 3, hidden = number(vector, "hidden") == 8 ? 8 : 2;
    int64_t weights = cb_cell_parameters(cell, input, hidden, false, NULL);
    cb_random random = cb_random_seed(3);
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cb_cell wrapped = *cell;
    wrapped.params = NULL;
    wrapped.param_count = 0;
    wrapped.full_step = wrapped_step;
    checked = cell;
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &wrapped, input, hidden, .eager = true);
    cr_assert_not_null(rnn, "%s", cb_params_error(params));
    /* States above 0: sLSTM divides by one. */
    cb_tensor *inputs[2 + CB_CELL_MAX_STATES] = {
        drawn(&random, CB_SHAPE(TIME, BATCH, input), -1),
        drawn(&random, CB_SHAPE(weights), -1),
    };
    for (int s = 0; s < cell->state_count; s++)
        inputs[2 + s] = drawn(&random, CB_SHAPE(BATCH, cb_rnn_state_size(rnn, s)), 0.5);
    cb_check_report report;
    cb_check_options check = {.second_order = true, .seed = 3};
    bool passed =
        cb_check_gradient(run_checked, rnn, 2 + cell->state_count, inputs, &check, &report);
    cr_expect(passed, "%s: %s", cell->name, report.message);
    cr_expect_geq(report.compared, 2 * weights, "%s", cell->name);
    for (int i = 0; i < 2 + cell->state_count; i++)
        cb_tensor_free(inputs[i]);
    cb_params_free(params);
}

Test(cell_files, have_the_gradients_of_the_differences, .timeout = 120) {
    for_each_cell(expect_differences);
}
