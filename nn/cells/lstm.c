/* Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000),
   as PyTorch's nn.LSTM:

     z = x W' + b + h U' + c         four blocks, in the order i f g o
     i, f, o = sigma(z_i, z_f, z_o)
     g  = tanh(z_g)
     c' = f c + i g
     h' = o tanh(c') */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {4, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 4,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {4, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 4,
     .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
    {"bias_hh", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    cb_tensor *c = s->state[1];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]),
                          cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]));
    cb_tensor *i = cb_sigmoid(cb_chunk(z, -1, 4, 0));
    cb_tensor *f = cb_sigmoid(cb_chunk(z, -1, 4, 1));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    cb_tensor *o = cb_sigmoid(cb_chunk(z, -1, 4, 3));
    s->next[1] = cb_add(cb_mul(f, c), cb_mul(i, g));
    s->next[0] = cb_mul(o, cb_tanh(s->next[1]));
}

const cb_cell cb_lstm = {
    .name = "lstm",
    .summary = "long short-term memory (Hochreiter & Schmidhuber 1997)",
    .equations = "i, f, g, o = split(W x + U h + b_x + b_h)\n"
                 "c' = sigmoid(f) * c + sigmoid(i) * tanh(g)\n"
                 "h' = sigmoid(o) * tanh(c')\n",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "c"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
