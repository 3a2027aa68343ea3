/* A recurrent cell of one's own: the Cerebral LSTM (Kumar 2020) with peepholes (Gers, Schraudolph &
   Schmidhuber 2002). For the upper half, c = u, and the lower one, c = l, products of p and c unit
   by unit:

     i  = sigma(W_i x + U_i h + b_i + p_i c)
     f  = sigma(W_f x + U_f h + b_f + p_f c)
     g  = tanh (W_g x + U_g h + b_g)
     c' = f c + i g
     o  = sigma(W_o x + U_o h + b_o + p_o c')
     h' = o_u tanh(u') + o_l tanh(l')

   train_custom_cell.c checks it and trains a network of it; docs/adding-a-cell.md explains both. */
#include "custom_cell.h"

enum { WEIGHT_IH, WEIGHT_HH, BIAS, PEEPHOLE };

static const cb_cell_param params[] = {
    {"weight_ih", {8, CB_HIDDEN}, {1, CB_INPUT}, .blocks = 8, .halves = 2, .role = CB_INPUT_WEIGHT},
    {"weight_hh",
     {8, CB_HIDDEN},
     {1, CB_HIDDEN},
     .blocks = 8,
     .halves = 2,
     .role = CB_RECURRENT_WEIGHT},
    {"bias", {8, CB_HIDDEN}, .blocks = 8, .halves = 2, .role = CB_BIAS},
    {"peephole", {6, CB_HIDDEN}, .blocks = 6, .halves = 2, .role = CB_UNIT_WEIGHT},
};

/* sigma(block `block` of z + block `peephole` of p, times c) */
static cb_tensor *gate(cb_tensor *z, int block, cb_tensor *p, int peephole, cb_tensor *c) {
    cb_tensor *seen = cb_mul(cb_chunk(p, 0, 6, peephole), c);
    return cb_sigmoid(cb_add(cb_chunk(z, -1, 8, block), seen));
}

static void step(const cb_cell_step *s) {
    cb_tensor *p = s->weights[PEEPHOLE], *h[2];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS]),
                          cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], NULL));
    for (int half = 0; half < 2; half++) {
        cb_tensor *c = s->state[1 + half];
        cb_tensor *i = gate(z, 4 * half, p, 3 * half, c);
        cb_tensor *f = gate(z, 4 * half + 1, p, 3 * half + 1, c);
        cb_tensor *g = cb_tanh(cb_chunk(z, -1, 8, 4 * half + 2));
        s->next[1 + half] = cb_add(cb_mul(f, c), cb_mul(i, g));
        cb_tensor *o = gate(z, 4 * half + 3, p, 3 * half + 2, s->next[1 + half]);
        h[half] = cb_mul(o, cb_tanh(s->next[1 + half]));
    }
    s->next[0] = cb_add(h[0], h[1]);
}

const cb_cell custom_cell = {
    .name = "custom-cell",
    .summary = "Cerebral LSTM whose gates see the cell states",
    .equations = "i_u, f_u, g_u, o_u, i_l, f_l, g_l, o_l = split(W x + U h + b)\n"
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
