/* State space models, and networks in continuous time. */
#include "cells.h"

#include <math.h>

enum { STATE = 8, RANK = 32, ORDER = 64, UNFOLDS = 6 };

/* S6, the recurrence of Mamba (Gu and Dao 2023, algorithm 2), a state of 8 for each channel:
     D = softplus(W_2 W_1 x + b),  h' = exp(D A) h + D B(x) x,  y' = C(x) h' + d x,  A = -exp(a) */
void s6_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden * STATE);
    literature_matrix(s, RANK + 2 * STATE, input);
    literature_matrix(s, hidden, RANK);
    literature_vector(s, hidden, -4, -2);
    literature_vector(s, hidden * STATE, 0, 2);
    literature_vector(s, hidden, 0.5, 1.5);
    literature_product_of(s, false, 1, input, RANK + 2 * STATE);
    literature_product_of(s, false, 1, RANK, hidden);
}
void s6_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], channels = state[0]->shape[1];
    cb_tensor *of_x = cb_linear(x, w[0], NULL);
    cb_tensor *delta = cb_softplus(cb_linear(cb_slice(of_x, 1, 0, RANK, 1), w[1], w[2]));
    cb_tensor *b = cb_slice(of_x, 1, RANK, RANK + STATE, 1);
    cb_tensor *c = cb_slice(of_x, 1, RANK + STATE, CB_END, 1);
    cb_tensor *a = cb_neg(cb_exp(cb_reshape(w[3], CB_SHAPE(channels, STATE))));
    cb_tensor *h = cb_reshape(state[1], CB_SHAPE(batch, channels, STATE));
    cb_tensor *decay = cb_exp(cb_mul(cb_unsqueeze(delta, 2), a));
    cb_tensor *in = cb_mul(cb_unsqueeze(cb_mul(delta, x), 2), cb_unsqueeze(b, 1));
    h = cb_add(cb_mul(decay, h), in);
    next[1] = cb_reshape(h, CB_SHAPE(batch, channels * STATE));
    cb_tensor *read = cb_squeeze(cb_matmul(h, cb_unsqueeze(c, 2)), 2);
    next[0] = cb_add(read, cb_mul(w[4], x));
}

/* LMU (Voelker et al. 2019, eq. 5-8), a memory of order 64; A and B are weights here:
     u = e_x x + e_h h + e_m m,  m' = A m + B u,  h' = tanh(W_x x + W_h h + W_m m') */
void lmu_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, ORDER);
    literature_matrix(s, 1, input);
    literature_matrix(s, 1, hidden);
    literature_matrix(s, 1, ORDER);
    literature_matrix(s, ORDER, ORDER);
    literature_vector(s, ORDER, -0.5, 0.5);
    literature_matrix(s, hidden, input);
    literature_matrix(s, hidden, hidden);
    literature_matrix(s, hidden, ORDER);
    literature_product_of(s, false, 1, input, hidden + 1);
    literature_product_of(s, true, 1, hidden, hidden + 1);
    literature_product_of(s, true, 1, ORDER, ORDER + 1);
    literature_product_of(s, true, 1, ORDER, hidden);
}
void lmu_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *h = state[0], *m = state[1];
    cb_tensor *u = cb_add(cb_add(cb_linear(x, w[0], NULL), cb_linear(h, w[1], NULL)),
                          cb_linear(m, w[2], NULL));
    next[1] = cb_add(cb_linear(m, w[3], NULL), cb_mul(u, w[4]));
    next[0] = cb_tanh(cb_add(cb_add(cb_linear(x, w[5], NULL), cb_linear(h, w[6], NULL)),
                             cb_linear(next[1], w[7], NULL)));
}

/* LTC (Hasani et al. 2021, algorithm 1, the fused solver with 6 unfolds). Synapses from unit or
   input j to unit i: s_ji = w_ji sigma(g_ji (v_j - mu_ji)), with reversal potentials e_ji.
     v' = (c v + l e_l + sum_j s_ji e_ji) / (c + l + sum_j s_ji) */
void ltc_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    for (int from = 0; from < 2; from++) {
        int64_t count = (from == 0 ? input : hidden) * hidden;
        literature_vector(s, count, 0.01, 1);  /* w */
        literature_vector(s, count, 3, 8);     /* g */
        literature_vector(s, count, 0.3, 0.8); /* mu */
        literature_vector(s, count, -1, 1);    /* e */
    }
    literature_vector(s, hidden, 2.4, 3.6);  /* c, of a step of one sixth */
    literature_vector(s, hidden, 0.1, 1);    /* l */
    literature_vector(s, hidden, -0.2, 0.2); /* e_l */
}
/* The sums over j of s_ji e_ji and of s_ji. */
static void synapses(cb_tensor *v, cb_tensor *const *w, int64_t units, cb_tensor **current,
                     cb_tensor **conductance) {
    int64_t from = v->shape[1];
    cb_tensor *weight = cb_reshape(w[0], CB_SHAPE(from, units));
    cb_tensor *slope = cb_reshape(w[1], CB_SHAPE(from, units));
    cb_tensor *mu = cb_reshape(w[2], CB_SHAPE(from, units));
    cb_tensor *potential = cb_reshape(w[3], CB_SHAPE(from, units));
    cb_tensor *open = cb_sigmoid(cb_mul(slope, cb_sub(cb_unsqueeze(v, 2), mu)));
    cb_tensor *s = cb_mul(weight, open);
    *current = cb_sum(cb_mul(s, potential), CB_AXES(1), false);
    *conductance = cb_sum(s, CB_AXES(1), false);
}
void ltc_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t units = state[0]->shape[1];
    cb_tensor *v = state[0], *sensed, *sensed_conductance;
    synapses(x, w, units, &sensed, &sensed_conductance);
    cb_tensor *leak = cb_mul(w[9], w[10]), *rest = cb_add(w[8], w[9]);
    for (int i = 0; i < UNFOLDS; i++) {
        cb_tensor *current, *conductance;
        synapses(v, w + 4, units, &current, &conductance);
        cb_tensor *up = cb_add(cb_add(cb_mul(w[8], v), leak), cb_add(sensed, current));
        v = cb_div(up, cb_add(cb_add(rest, sensed_conductance), conductance));
    }
    next[0] = v;
}
