/* Gated recurrent unit (Cho et al. 2014), in PyTorch's form: the reset gate multiplies the product
   with the recurrent weights, not the state before it.

     a = x W' + b,  e = h U' + c     three blocks each, in the order r z n
     r, z = sigma(a_r + e_r, a_z + e_z)
     n  = tanh(a_n + r e_n)
     h' = n + z (h - n) */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {3, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 3,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {3, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 3,
     .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {3, CB_HIDDEN}, .blocks = 3, .role = CB_BIAS},
    {"bias_hh", .rows = {3, CB_HIDDEN}, .blocks = 3, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    cb_tensor *h = s->state[0];
    cb_tensor *a = cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]);
    cb_tensor *e = cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]);
    cb_tensor *r = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 0), cb_chunk(e, -1, 3, 0)));
    cb_tensor *z = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 1), cb_chunk(e, -1, 3, 1)));
    cb_tensor *n = cb_tanh(cb_add(cb_chunk(a, -1, 3, 2), cb_mul(r, cb_chunk(e, -1, 3, 2))));
    s->next[0] = cb_add(n, cb_mul(z, cb_sub(h, n)));
}

const cb_cell cb_gru = {
    .name = "gru",
    .summary = "gated recurrent unit (Cho et al. 2014), reset gate after the product",
    .equations = "r_x, z_x, n_x = split(W x + b_x)\n"
                 "r_h, z_h, n_h = split(U h + b_h)\n"
                 "z  = sigmoid(z_x + z_h)\n"
                 "n  = tanh(n_x + sigmoid(r_x + r_h) * n_h)\n"
                 "h' = (1 - z) * n + z * h\n",
    .state_count = 1,
    .state_names = (const char *const[]){"h"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
