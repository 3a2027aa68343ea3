/* Builds the model on a parameter set from its configuration, so that training and reading a
   checkpoint cannot disagree on what it looks like. */
#include "model.h"

#include "apps/cli/failure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One row per name: the rule for recurrent matrices and the rule for the others. */
static const struct {
    const char *name;
    cb_init_kind recurrent, others, bias;
} init_rules[] = {
    {"default", CB_INIT_DEFAULT, CB_INIT_DEFAULT, CB_INIT_DEFAULT},
    {"glorot-uniform", CB_INIT_GLOROT_UNIFORM, CB_INIT_GLOROT_UNIFORM, CB_INIT_ZEROS},
    {"glorot-normal", CB_INIT_GLOROT_NORMAL, CB_INIT_GLOROT_NORMAL, CB_INIT_ZEROS},
    {"kaiming-uniform", CB_INIT_KAIMING_UNIFORM, CB_INIT_KAIMING_UNIFORM, CB_INIT_ZEROS},
    {"kaiming-normal", CB_INIT_KAIMING_NORMAL, CB_INIT_KAIMING_NORMAL, CB_INIT_ZEROS},
    {"orthogonal", CB_INIT_ORTHOGONAL, CB_INIT_GLOROT_UNIFORM, CB_INIT_ZEROS},
};

const char *const model_init_names[] = {
    "default", "glorot-uniform", "glorot-normal", "kaiming-uniform", "kaiming-normal", "orthogonal",
    NULL};

bool model_init_find(const char *name, model_init *init) {
    for (size_t i = 0; i < sizeof init_rules / sizeof init_rules[0]; i++) {
        if (strcmp(init_rules[i].name, name) == 0) {
            cb_init others = {.kind = init_rules[i].others};
            cb_init bias = {.kind = init_rules[i].bias};
            *init = (model_init){.embedding = others,
                                 .input = others,
                                 .recurrent = {.kind = init_rules[i].recurrent},
                                 .bias = bias,
                                 .head = others,
                                 .head_bias = bias};
            return true;
        }
    }
    return false;
}

bool model_make(const model_config *config, const model_init *init, uint64_t seed, model *made,
                char *error) {
    const chosen_cell *cell = config->cell;
    *made = (model){.config = *config};
    made->params = cb_params_new(seed);
    if (made->params == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    made->embedding = cb_embedding_new(made->params, "embedding", config->vocabulary,
                                       config->embedding, .weight_init = init->embedding);
    made->rnn = cb_rnn_new(
        made->params, "rnn", cell->cell, config->embedding, config->hidden,
        .layers = (int)config->layers, .no_bias = config->no_bias, .dropout = config->dropout,
        .recompute = config->recompute, .equal_halves = init->equal_halves,
        .input_init = init->input, .recurrent_init = init->recurrent, .bias_init = init->bias,
        .settings = cell->settings, .recurrent_dropout = config->recurrent_dropout,
        .zoneout = config->zoneout, .zoneout_cell = config->zoneout_cell);
    if (config->dropout > 0)
        made->dropout = cb_dropout_new(made->params, "dropout", config->dropout);
    made->head =
        cb_linear_new(made->params, "head", cb_rnn_output_size(made->rnn), config->vocabulary,
                      .weight_init = init->head, .bias_init = init->head_bias);
    if (cb_params_status(made->params) != CB_OK) {
        failure(error, FAILURE_SIZE, "cannot build the model: %s", cb_params_error(made->params));
        model_free(made);
        return false;
    }
    return true;
}

void model_free(model *m) {
    cb_params_free(m->params);
    *m = (model){0};
}

int64_t model_parameters(const model_config *config) {
    const cb_cell *cell = config->cell->cell;
    const cb_setting *settings = config->cell->settings;
    int64_t input = config->embedding, count = 0;
    for (int64_t layer = 0; layer < config->layers; layer++) {
        count += cb_cell_parameters(cell, input, config->hidden, config->no_bias, settings);
        input = cell->state_sizes == NULL ? config->hidden
                                          : cb_cell_extent_of(cell, &cell->state_sizes[0], input,
                                                              config->hidden, settings);
    }
    return count + config->vocabulary * (config->embedding + input + 1);
}

cb_tensor *model_forward(const model *m, cb_tensor *x, const cb_rnn_io *io) {
    cb_tensor *h = cb_rnn_forward(m->rnn, cb_forward(m->embedding, x), io);
    if (m->dropout != NULL)
        h = cb_forward(m->dropout, h);
    return cb_forward(m->head, h);
}

bool model_is_finite(const model *m) {
    for (int i = 0; i < cb_params_count(m->params); i++) {
        const cb_tensor *value = cb_params_at(m->params, i)->value;
        const float *elements = value->data;
        int64_t count = cb_tensor_count(value);
        for (int64_t k = 0; k < count; k++)
            if (!isfinite(elements[k]))
                return false;
    }
    return true;
}

/* Adds |U - L|^2 and (|U|^2 + |L|^2) / 2 of one parameter, whose rows are U above L. */
static void add_squares(const cb_tensor *value, double *difference, double *size) {
    int64_t half = cb_tensor_count(value) / 2;
    const float *upper = value->data;
    const float *lower = upper + half;
    for (int64_t k = 0; k < half; k++) {
        double u = (double)upper[k];
        double l = (double)lower[k];
        *difference += (u - l) * (u - l);
        *size += (u * u + l * l) / 2;
    }
}

double model_halves_distance(const model *m) {
    const cb_cell *cell = m->config.cell->cell;
    double difference = 0;
    double size = 0;
    for (int64_t layer = 0; layer < m->config.layers; layer++) {
        for (int i = 0; i < cell->param_count; i++) {
            const cb_cell_param *row = &cell->params[i];
            bool matrix = row->role == CB_INPUT_WEIGHT || row->role == CB_RECURRENT_WEIGHT;
            char name[128];
            snprintf(name, sizeof name, "rnn.%s_l%d", row->name, (int)layer);
            const cb_param *param = cb_params_find(m->params, name);
            if (row->halves == 2 && matrix && param != NULL)
                add_squares(param->value, &difference, &size);
        }
    }
    return size > 0 ? sqrt(difference / size) : NAN;
}
