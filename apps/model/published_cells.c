/* The LSTM of the author's two-stacked network, whose only biases sit behind the gates. It is
   written against the public headers, as any cell of a user's own would be. */
#include "published_cells.h"

static const char *const state_names[] = {"h", "c"};

static const cb_cell_param state_bias_params[] = {
    {.name = "weight_ih",
     .rows = {4, CB_HIDDEN},
     .columns = {1, CB_INPUT},
     .blocks = 4,
     .role = CB_INPUT_WEIGHT},
    {.name = "weight_hh",
     .rows = {4, CB_HIDDEN},
     .columns = {1, CB_HIDDEN},
     .blocks = 4,
     .role = CB_RECURRENT_WEIGHT},
    {.name = "bias_c", .rows = {1, CB_HIDDEN}, .role = CB_BIAS, .init = {.kind = CB_INIT_ZEROS}},
    {.name = "bias_h", .rows = {1, CB_HIDDEN}, .role = CB_BIAS, .init = {.kind = CB_INIT_ZEROS}},
};

/* A dropped bias is NULL. */
static cb_tensor *add_bias(cb_tensor *x, cb_tensor *bias) {
    return bias == NULL ? x : cb_add(x, bias);
}

static void state_bias_step(const cb_cell_step *s) {
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[0], NULL),
                          cb_linear(s->recurrent[0], s->weights[1], NULL));
    cb_tensor *i = cb_sigmoid(cb_chunk(z, -1, 4, 0));
    cb_tensor *f = cb_sigmoid(cb_chunk(z, -1, 4, 1));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    cb_tensor *o = cb_sigmoid(cb_chunk(z, -1, 4, 3));
    cb_tensor *c = add_bias(cb_add(cb_mul(f, s->state[1]), cb_mul(i, g)), s->weights[2]);
    s->next[0] = add_bias(cb_mul(o, cb_tanh(c)), s->weights[3]);
    s->next[1] = c;
}

const cb_cell published_lstm_state_bias = {
    .name = "lstm-state-bias",
    .summary = "LSTM with biases on its new states instead of its gates, as the published "
               "two-stacked network has it",
    .equations = "i, f, g, o = split(W x + U h)\n"
                 "c' = sigmoid(f) * c + sigmoid(i) * tanh(g) + b_c\n"
                 "h' = sigmoid(o) * tanh(c') + b_h\n"
                 "init b_c, b_h = 0\n",
    .state_count = 2,
    .state_names = state_names,
    .param_count = (int)(sizeof state_bias_params / sizeof state_bias_params[0]),
    .params = state_bias_params,
    .full_step = state_bias_step,
};
