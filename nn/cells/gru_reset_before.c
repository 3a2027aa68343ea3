/* Gated recurrent unit as first published (Cho et al. 2014): the reset gate multiplies the state
   before the product with the recurrent weights, so that a step has two products in sequence. gru
   is the later form, with the reset gate after one product; Keras tells the two apart by
   reset_after.

     r, z = sigma(x W_rz' + h U_rz' + b_rz)       three blocks in each parameter, in the order r z n
     n  = tanh(x W_n' + (r h) U_n' + b_n)
     h' = n + z (h - n)

   One bias, because here a second would do nothing that the first does not. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {3, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 3,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {3, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 3,
     .role = CB_RECURRENT_WEIGHT},
    {"bias", .rows = {3, CB_HIDDEN}, .blocks = 3, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    cb_tensor *h = s->state[0], *seen = s->recurrent[0];
    int64_t hidden = h->shape[1];
    cb_tensor *u_rz = cb_slice(s->weights[WEIGHT_HH], 0, 0, 2 * hidden, 1);
    cb_tensor *u_n = cb_chunk(s->weights[WEIGHT_HH], 0, 3, 2);
    cb_tensor *a = cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS]);
    cb_tensor *e = cb_linear(seen, u_rz, NULL);
    cb_tensor *r = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 0), cb_chunk(e, -1, 2, 0)));
    cb_tensor *z = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 1), cb_chunk(e, -1, 2, 1)));
    cb_tensor *recalled = cb_linear(cb_mul(r, seen), u_n, NULL);
    cb_tensor *n = cb_tanh(cb_add(cb_chunk(a, -1, 3, 2), recalled));
    s->next[0] = cb_add(n, cb_mul(z, cb_sub(h, n)));
}

const cb_cell cb_gru_reset_before = {
    .name = "gru-reset-before",
    .summary = "gated recurrent unit (Cho et al. 2014), reset gate before the product",
    .equations = "r  = sigmoid(W_r x + U_r h + b_r)\n"
                 "z  = sigmoid(W_z x + U_z h + b_z)\n"
                 "n  = tanh(W_n x + U_n (r * h) + b_n)\n"
                 "h' = (1 - z) * n + z * h\n",
    .state_count = 1,
    .state_names = (const char *const[]){"h"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
