/* LSTM with peepholes (Gers, Schraudolph & Schmidhuber 2002): the gates see the cell state, each
   unit its own. i and f see what it was, o what it has become.

     z = x W' + b + h U' + c0        four blocks, in the order i f g o, as in lstm
     i  = sigma(z_i + p_i c)
     f  = sigma(z_f + p_f c)
     g  = tanh(z_g)
     c' = f c + i g
     o  = sigma(z_o + p_o c')
     h' = o tanh(c')

   The parameters are those of lstm and weight_ch, "from the cell to the hidden units", which stacks
   p_i, p_f and p_o. Products with p are unit by unit. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, WEIGHT_CH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {4, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 4,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {4, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 4,
     .role = CB_RECURRENT_WEIGHT},
    {"weight_ch", .rows = {3, CB_HIDDEN}, .blocks = 3, .role = CB_UNIT_WEIGHT},
    {"bias_ih", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
    {"bias_hh", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    cb_tensor *c = s->state[1];
    cb_tensor *p_i = cb_chunk(s->weights[WEIGHT_CH], 0, 3, 0);
    cb_tensor *p_f = cb_chunk(s->weights[WEIGHT_CH], 0, 3, 1);
    cb_tensor *p_o = cb_chunk(s->weights[WEIGHT_CH], 0, 3, 2);
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]),
                          cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]));
    cb_tensor *i = cb_sigmoid(cb_add(cb_chunk(z, -1, 4, 0), cb_mul(p_i, c)));
    cb_tensor *f = cb_sigmoid(cb_add(cb_chunk(z, -1, 4, 1), cb_mul(p_f, c)));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    s->next[1] = cb_add(cb_mul(f, c), cb_mul(i, g));
    cb_tensor *o = cb_sigmoid(cb_add(cb_chunk(z, -1, 4, 3), cb_mul(p_o, s->next[1])));
    s->next[0] = cb_mul(o, cb_tanh(s->next[1]));
}

const cb_cell cb_peephole_lstm = {
    .name = "peephole-lstm",
    .summary = "LSTM whose gates see the cell state (Gers, Schraudolph & Schmidhuber 2002)",
    .equations = "i, f, g, o = split(W x + U h + b_x + b_h)\n"
                 "p_i, p_f, p_o = split(p)\n"
                 "c' = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * tanh(g)\n"
                 "h' = sigmoid(o + p_o * c') * tanh(c')\n",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "c"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
