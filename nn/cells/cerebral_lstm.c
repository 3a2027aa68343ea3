/* Cerebral LSTM (Kumar 2020): one hidden state h, an upper cell state u and a lower cell state l.

     z = x W' + b + h U' + c         eight blocks: upper i f g o, then lower i f g o
     u' = f_u u + i_u g_u            l' = f_l l + i_l g_l
     h' = o_u tanh(u') + o_l tanh(l')

   The paper prints f_u g_u + i_u g_u for the new cell state, which carries nothing on; its text and
   its author's own code say f_u u + i_u g_u. Both are here: the misprint as
   "cerebral-lstm-as-printed". */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {8, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 8, .halves = 2,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {8, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 8, .halves = 2,
     .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {8, CB_HIDDEN}, .blocks = 8, .halves = 2, .role = CB_BIAS},
    {"bias_hh", .rows = {8, CB_HIDDEN}, .blocks = 8, .halves = 2, .role = CB_BIAS},
};

/* The gates of one half (0: upper, 1: lower), from z. */
typedef struct gates {
    cb_tensor *i, *f, *g, *o;
} gates;

static gates gates_of(cb_tensor *z, int half) {
    return (gates){
        .i = cb_sigmoid(cb_chunk(z, -1, 8, 4 * half)),
        .f = cb_sigmoid(cb_chunk(z, -1, 8, 4 * half + 1)),
        .g = cb_tanh(cb_chunk(z, -1, 8, 4 * half + 2)),
        .o = cb_sigmoid(cb_chunk(z, -1, 8, 4 * half + 3)),
    };
}

static cb_tensor *gate_inputs(cb_tensor *const *w, cb_tensor *x, cb_tensor *h) {
    return cb_add(cb_linear(x, w[WEIGHT_IH], w[BIAS_IH]), cb_linear(h, w[WEIGHT_HH], w[BIAS_HH]));
}

static cb_tensor *hidden(gates upper, cb_tensor *u, gates lower, cb_tensor *l) {
    return cb_add(cb_mul(upper.o, cb_tanh(u)), cb_mul(lower.o, cb_tanh(l)));
}

static void step(const cb_cell_step *s) {
    cb_tensor *u = s->state[1], *l = s->state[2];
    cb_tensor *z = gate_inputs(s->weights, s->x, s->recurrent[0]);
    gates upper = gates_of(z, 0), lower = gates_of(z, 1);
    s->next[1] = cb_add(cb_mul(upper.f, u), cb_mul(upper.i, upper.g));
    s->next[2] = cb_add(cb_mul(lower.f, l), cb_mul(lower.i, lower.g));
    s->next[0] = hidden(upper, s->next[1], lower, s->next[2]);
}

static void step_as_printed(const cb_cell_step *s) {
    cb_tensor *z = gate_inputs(s->weights, s->x, s->recurrent[0]);
    gates upper = gates_of(z, 0), lower = gates_of(z, 1);
    s->next[1] = cb_add(cb_mul(upper.f, upper.g), cb_mul(upper.i, upper.g));
    s->next[2] = cb_add(cb_mul(lower.f, lower.g), cb_mul(lower.i, lower.g));
    s->next[0] = hidden(upper, s->next[1], lower, s->next[2]);
}

static const char *const state_names[] = {"h", "u", "l"};

const cb_cell cb_cerebral_lstm = {
    .name = "cerebral-lstm",
    .summary = "two cell states, one hidden state, eight gates (Kumar 2020)",
    .equations = "i_u, f_u, g_u, o_u, i_l, f_l, g_l, o_l = split(W x + U h + b_x + b_h)\n"
                 "u' = sigmoid(f_u) * u + sigmoid(i_u) * tanh(g_u)\n"
                 "l' = sigmoid(f_l) * l + sigmoid(i_l) * tanh(g_l)\n"
                 "h' = sigmoid(o_u) * tanh(u') + sigmoid(o_l) * tanh(l')\n",
    .state_count = 3,
    .state_names = state_names,
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};

const cb_cell cb_cerebral_lstm_as_printed = {
    .name = "cerebral-lstm-as-printed",
    .summary = "Cerebral LSTM with the cell states as the paper misprints them (Kumar 2020)",
    .equations = "i_u, f_u, g_u, o_u, i_l, f_l, g_l, o_l = split(W x + U h + b_x + b_h)\n"
                 "u' = sigmoid(f_u) * tanh(g_u) + sigmoid(i_u) * tanh(g_u)\n"
                 "l' = sigmoid(f_l) * tanh(g_l) + sigmoid(i_l) * tanh(g_l)\n"
                 "h' = sigmoid(o_u) * tanh(u') + sigmoid(o_l) * tanh(l')\n",
    .state_count = 3,
    .state_names = state_names,
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step_as_printed,
};
