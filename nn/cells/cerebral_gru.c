/* Cerebral GRU. Kumar (2020) proposes to change the gated recurrent unit as the Cerebral LSTM
   changes the LSTM, and leaves open how; this definition is ours. Two memories, an upper one u and
   a lower one l, are each kept by a GRU (gru, Cho et al. 2014) with reset gate, update gate and
   candidate of its own. Both see x and one hidden state h, and h is what the two add up to.

     a = x W' + b,  e = h U' + c0    six blocks each: upper r z n, then lower r z n

   and for m = u with the upper blocks, for m = l with the lower ones

     r  = sigma(a_r + e_r)
     z  = sigma(a_z + e_z)
     n  = tanh(a_n + r e_n)
     m' = n + z (m - n)              a weighted mean of candidate and memory

     h' = u' + l'

   The memories are states of their own because each update gate mixes with its own memory, which h
   does not tell apart; h is one because all gates see it and it is the output. There is no output
   gate, as a GRU has none. After any step h = u + l; a first h may be given that is not. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {6, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 6, .halves = 2,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {6, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 6, .halves = 2,
     .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {6, CB_HIDDEN}, .blocks = 6, .halves = 2, .role = CB_BIAS},
    {"bias_hh", .rows = {6, CB_HIDDEN}, .blocks = 6, .halves = 2, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    cb_tensor *a = cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]);
    cb_tensor *e = cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]);
    for (int half = 0; half < 2; half++) {
        cb_tensor *memory = s->state[1 + half];
        int at = 3 * half;
        cb_tensor *r = cb_sigmoid(cb_add(cb_chunk(a, -1, 6, at), cb_chunk(e, -1, 6, at)));
        cb_tensor *z = cb_sigmoid(cb_add(cb_chunk(a, -1, 6, at + 1), cb_chunk(e, -1, 6, at + 1)));
        cb_tensor *recalled = cb_mul(r, cb_chunk(e, -1, 6, at + 2));
        cb_tensor *n = cb_tanh(cb_add(cb_chunk(a, -1, 6, at + 2), recalled));
        s->next[1 + half] = cb_add(n, cb_mul(z, cb_sub(memory, n)));
    }
    s->next[0] = cb_add(s->next[1], s->next[2]);
}

const cb_cell cb_cerebral_gru = {
    .name = "cerebral-gru",
    .summary = "two memories, one hidden state, six gates: the Cerebral idea in a GRU",
    .equations = "r_ux, z_ux, n_ux, r_lx, z_lx, n_lx = split(W x + b_x)\n"
                 "r_uh, z_uh, n_uh, r_lh, z_lh, n_lh = split(U h + b_h)\n"
                 "z_u = sigmoid(z_ux + z_uh)\n"
                 "n_u = tanh(n_ux + sigmoid(r_ux + r_uh) * n_uh)\n"
                 "z_l = sigmoid(z_lx + z_lh)\n"
                 "n_l = tanh(n_lx + sigmoid(r_lx + r_lh) * n_lh)\n"
                 "u' = (1 - z_u) * n_u + z_u * u\n"
                 "l' = (1 - z_l) * n_l + z_l * l\n"
                 "h' = u' + l'\n",
    .state_count = 3,
    .state_names = (const char *const[]){"h", "u", "l"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
