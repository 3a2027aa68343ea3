/* The Cerebral LSTM (Kumar 2020) as one writes it down who does not think of speed: each of its
   eight gates with weights of its own, so that a step has sixteen products instead of two. The
   equations are those of nn/cells/cerebral_lstm.c, and so should the results and the time be. */
#include "bench/cells.h"

enum { WEIGHT_IH = 0, WEIGHT_HH = 8, BIAS = 16 };

#define FROM_X(gate)                                                                               \
    { "weight_ih_" gate, {1, CB_HIDDEN}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT }
#define FROM_H(gate)                                                                               \
    { "weight_hh_" gate, {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT }
#define ADDED(gate)                                                                                \
    { "bias_" gate, {1, CB_HIDDEN}, .role = CB_BIAS }

static const cb_cell_param params[] = {
    FROM_X("ui"), FROM_X("uf"), FROM_X("ug"), FROM_X("uo"), FROM_X("li"), FROM_X("lf"),
    FROM_X("lg"), FROM_X("lo"), FROM_H("ui"), FROM_H("uf"), FROM_H("ug"), FROM_H("uo"),
    FROM_H("li"), FROM_H("lf"), FROM_H("lg"), FROM_H("lo"), ADDED("ui"),  ADDED("uf"),
    ADDED("ug"),  ADDED("uo"),  ADDED("li"),  ADDED("lf"),  ADDED("lg"),  ADDED("lo"),
};

/* What gate k is the sigmoid or tanh of. */
static cb_tensor *into(int k, cb_tensor *const *w, cb_tensor *x, cb_tensor *h) {
    return cb_add(cb_linear(x, w[WEIGHT_IH + k], w[BIAS + k]),
                  cb_linear(h, w[WEIGHT_HH + k], NULL));
}

static void step(const cb_cell_step *s) {
    cb_tensor *h = s->recurrent[0], *output[2];
    for (int half = 0; half < 2; half++) {
        cb_tensor *i = cb_sigmoid(into(4 * half, s->weights, s->x, h));
        cb_tensor *f = cb_sigmoid(into(4 * half + 1, s->weights, s->x, h));
        cb_tensor *g = cb_tanh(into(4 * half + 2, s->weights, s->x, h));
        cb_tensor *o = cb_sigmoid(into(4 * half + 3, s->weights, s->x, h));
        s->next[1 + half] = cb_add(cb_mul(f, s->state[1 + half]), cb_mul(i, g));
        output[half] = cb_mul(o, cb_tanh(s->next[1 + half]));
    }
    s->next[0] = cb_add(output[0], output[1]);
}

const cb_cell bench_cerebral_lstm_eight = {
    .name = "cerebral-lstm-eight",
    .summary = "Cerebral LSTM with weights of its own for every gate",
    .equations = "i, f, o = sigma(W x + U h + b)                for c = u and for c = l\n"
                 "g  = tanh(W_g x + U_g h + b_g)\n"
                 "c' = f c + i g\n"
                 "h' = o_u tanh(u') + o_l tanh(l')\n",
    .state_count = 3,
    .state_names = (const char *const[]){"h", "u", "l"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
