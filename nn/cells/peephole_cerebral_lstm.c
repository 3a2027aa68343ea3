/* Cerebral LSTM with peepholes: Kumar (2020) names it as a variant to build, with the peepholes of
   Gers, Schraudolph & Schmidhuber (2002). The gates of the upper half see the upper cell state u,
   those of the lower half the lower one, l: i and f what it was, o what it has become.

     z = x W' + b + h U' + c0        eight blocks: upper i f g o, then lower i f g o

   and for c = u with the upper blocks, for c = l with the lower ones

     i  = sigma(z_i + p_i c)
     f  = sigma(z_f + p_f c)
     g  = tanh(z_g)
     c' = f c + i g
     o  = sigma(z_o + p_o c')

     h' = o_u tanh(u') + o_l tanh(l')

   The parameters are those of cerebral-lstm and weight_ch, "from the cells to the hidden units",
   with six blocks: upper p_i p_f p_o, then lower. Products with p are unit by unit. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, WEIGHT_CH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {8, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 8, .halves = 2,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {8, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 8, .halves = 2,
     .role = CB_RECURRENT_WEIGHT},
    {"weight_ch", .rows = {6, CB_HIDDEN}, .blocks = 6, .halves = 2, .role = CB_UNIT_WEIGHT},
    {"bias_ih", .rows = {8, CB_HIDDEN}, .blocks = 8, .halves = 2, .role = CB_BIAS},
    {"bias_hh", .rows = {8, CB_HIDDEN}, .blocks = 8, .halves = 2, .role = CB_BIAS},
};

/* sigma(block `gate` of z + block `seen_by` of p times c) */
static cb_tensor *gate_seeing(cb_tensor *z, int gate, cb_tensor *p, int seen_by, cb_tensor *c) {
    cb_tensor *seen = cb_mul(cb_chunk(p, 0, 6, seen_by), c);
    return cb_sigmoid(cb_add(cb_chunk(z, -1, 8, gate), seen));
}

static void step(const cb_cell_step *s) {
    cb_tensor *p = s->weights[WEIGHT_CH], *output[2];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]),
                          cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]));
    for (int half = 0; half < 2; half++) {
        cb_tensor *c = s->state[1 + half];
        cb_tensor *i = gate_seeing(z, 4 * half, p, 3 * half, c);
        cb_tensor *f = gate_seeing(z, 4 * half + 1, p, 3 * half + 1, c);
        cb_tensor *g = cb_tanh(cb_chunk(z, -1, 8, 4 * half + 2));
        s->next[1 + half] = cb_add(cb_mul(f, c), cb_mul(i, g));
        cb_tensor *o = gate_seeing(z, 4 * half + 3, p, 3 * half + 2, s->next[1 + half]);
        output[half] = cb_mul(o, cb_tanh(s->next[1 + half]));
    }
    s->next[0] = cb_add(output[0], output[1]);
}

const cb_cell cb_peephole_cerebral_lstm = {
    .name = "peephole-cerebral-lstm",
    .summary = "Cerebral LSTM whose gates see the cell state of their half",
    .equations = "i_u, f_u, g_u, o_u, i_l, f_l, g_l, o_l = split(W x + U h + b_x + b_h)\n"
                 "p_ui, p_uf, p_uo, p_li, p_lf, p_lo = split(p)\n"
                 "u' = sigmoid(f_u + p_uf * u) * u + sigmoid(i_u + p_ui * u) * tanh(g_u)\n"
                 "l' = sigmoid(f_l + p_lf * l) * l + sigmoid(i_l + p_li * l) * tanh(g_l)\n"
                 "h' = sigmoid(o_u + p_uo * u') * tanh(u') + sigmoid(o_l + p_lo * l') * tanh(l')\n",
    .state_count = 3,
    .state_names = (const char *const[]){"h", "u", "l"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
