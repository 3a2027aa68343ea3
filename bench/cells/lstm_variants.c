/* Variants of the LSTM and of simple networks with full matrices. */
#include "cells.h"

/* The LSTM's equations after its four gates' sums, in the order i, f, g, o. */
static void lstm_gates(cb_tensor *a, cb_tensor *c, cb_tensor **c_next, cb_tensor **h_next) {
    cb_tensor *i = cb_sigmoid(cb_chunk(a, -1, 4, 0)), *f = cb_sigmoid(cb_chunk(a, -1, 4, 1));
    cb_tensor *g = cb_tanh(cb_chunk(a, -1, 4, 2)), *o = cb_sigmoid(cb_chunk(a, -1, 4, 3));
    *c_next = cb_add(cb_mul(f, c), cb_mul(i, g));
    *h_next = cb_mul(o, cb_tanh(*c_next));
}

/* SCRN (Mikolov et al. 2015, eq. 3-5), with alpha = 0.95 and a context of an eighth:
     s' = (1 - alpha) B x + alpha s,  h' = sigma(P s' + A x + R h) */
void scrn_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    int64_t slow = hidden / 8 > 0 ? hidden / 8 : 1;
    literature_state(s, hidden);
    literature_state(s, slow);
    literature_matrix(s, slow, input);
    literature_matrix(s, hidden, slow);
    literature_matrix(s, hidden, input);
    literature_matrix(s, hidden, hidden);
    literature_product_of(s, false, 1, input, hidden + slow);
    literature_product_of(s, true, 1, hidden + slow, hidden);
}
void scrn_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    next[1] = cb_add(cb_scale(cb_linear(x, w[0], NULL), 0.05), cb_scale(state[1], 0.95));
    next[0] = cb_sigmoid(cb_add(cb_add(cb_linear(next[1], w[1], NULL), cb_linear(x, w[2], NULL)),
                                cb_linear(state[0], w[3], NULL)));
}

/* LSTM with a projection (Sak et al. 2014, eq. 7-14): the gates see r = W_p h, half as large. */
void projected_lstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    int64_t projected = hidden / 2;
    literature_state(s, projected);
    literature_state(s, hidden);
    literature_matrix(s, 4 * hidden, input);
    literature_matrix(s, 4 * hidden, projected);
    literature_vector(s, 4 * hidden, -0.1, 0.1);
    literature_matrix(s, projected, hidden);
    literature_product_of(s, false, 1, input, 4 * hidden);
    literature_product_of(s, true, 1, projected, 4 * hidden);
    literature_product_of(s, true, 1, hidden, projected);
}
void projected_lstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                         cb_tensor **next) {
    cb_tensor *h;
    lstm_gates(cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[0], w[1], NULL)), state[1],
               &next[1], &h);
    next[0] = cb_linear(h, w[3], NULL);
}

/* Phased LSTM (Neil et al. 2016, eq. 7-11): a gate that opens with time. With u = (t - s) / tau and
   phi = u - floor(u): k = 2 phi / r in the first half of the open phase, 2 - 2 phi / r in the
   second, alpha phi after it; states go on by k of their change. t is a state, r = 0.5, alpha =
   0.001. */
void phased_lstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden);
    literature_state(s, 1);
    literature_matrix(s, 4 * hidden, input);
    literature_matrix(s, 4 * hidden, hidden);
    literature_vector(s, 4 * hidden, -0.1, 0.1);
    literature_vector(s, hidden, 3, 17); /* tau */
    literature_vector(s, hidden, 0, 3);  /* s */
    literature_product_of(s, false, 1, input, 4 * hidden);
    literature_product_of(s, true, 1, hidden, 4 * hidden);
}
void phased_lstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    const double open = 0.5, leak = 0.001;
    cb_tensor *h = state[0], *c = state[1], *t = state[2], *h_new, *c_new;
    lstm_gates(cb_add(cb_linear(x, w[0], w[2]), cb_linear(h, w[1], NULL)), c, &c_new, &h_new);
    cb_tensor *u = cb_div(cb_sub(t, w[4]), w[3]), *phi = cb_sub(u, literature_floor(u));
    cb_tensor *rising = cb_scale(phi, 2 / open), *falling = cb_affine(phi, -2 / open, 2);
    cb_tensor *late = cb_where(cb_less(phi, cb_full_like(phi, open)), falling, cb_scale(phi, leak));
    cb_tensor *k = cb_where(cb_less(phi, cb_full_like(phi, open / 2)), rising, late);
    next[1] = cb_add(c, cb_mul(k, cb_sub(c_new, c)));
    next[0] = cb_add(h, cb_mul(k, cb_sub(h_new, h)));
    next[2] = cb_shift(t, 1);
}

/* HyperLSTM (Ha et al. 2017, eq. 10-13, without layer norm): a small LSTM over [x, h] gives, gate
   by gate, what scales the rows of the large one's matrices and its bias: a = d_h(z_h) (W_h h) +
   d_x(z_x) (W_x x) + d_b(z_b) with z = W h_small in 16 numbers a gate, and d one matrix a gate. */
enum { HYPER = 64, HYPER_FEATURES = 16 };
void hyper_lstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    int64_t features = 4 * HYPER_FEATURES;
    literature_state(s, hidden);
    literature_state(s, hidden);
    literature_state(s, HYPER);
    literature_state(s, HYPER);
    literature_matrix(s, 4 * hidden, input);
    literature_matrix(s, 4 * hidden, hidden);
    literature_matrix(s, 4 * HYPER, input);
    literature_matrix(s, 4 * HYPER, hidden);
    literature_matrix(s, 4 * HYPER, HYPER);
    literature_vector(s, 4 * HYPER, -0.1, 0.1);
    for (int i = 0; i < 3; i++)
        literature_matrix(s, features, HYPER);
    for (int i = 0; i < 3; i++)
        literature_blocks(s, 4, HYPER_FEATURES, hidden);
    literature_vector(s, 4 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 4 * hidden + 4 * HYPER);
    literature_product_of(s, true, 1, hidden, 4 * hidden + 4 * HYPER);
    literature_product_of(s, true, 1, HYPER, 4 * HYPER);
    literature_product_of(s, true, 1, HYPER, 3 * features);
    literature_product_of(s, true, 12, HYPER_FEATURES, hidden);
}
/* One number for each row of a large matrix: four gates, each by its own matrix. */
static cb_tensor *hyper_scale(cb_tensor *small, cb_tensor *features, cb_tensor *blocks) {
    cb_tensor *z = cb_reshape(cb_linear(small, features, NULL),
                              CB_SHAPE(small->shape[0], 4, 1, HYPER_FEATURES));
    return cb_reshape(cb_matmul(z, blocks), CB_SHAPE(small->shape[0], -1));
}
void hyper_lstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *h = state[0], *small = state[2];
    cb_tensor *a = cb_add(cb_add(cb_linear(x, w[2], w[5]), cb_linear(h, w[3], NULL)),
                          cb_linear(small, w[4], NULL));
    lstm_gates(a, state[3], &next[3], &next[2]);
    cb_tensor *of_h = cb_mul(hyper_scale(next[2], w[6], w[9]), cb_linear(h, w[1], NULL));
    cb_tensor *of_x = cb_mul(hyper_scale(next[2], w[7], w[10]), cb_linear(x, w[0], NULL));
    cb_tensor *bias = cb_add(hyper_scale(next[2], w[8], w[11]), w[12]);
    lstm_gates(cb_add(cb_add(of_h, of_x), bias), state[1], &next[1], &next[0]);
}

/* Recurrent highway network of depth 3 (Zilly et al. 2017, eq. 6-9, with c = 1 - t): in micro-step
   l h = tanh(W_h x [l = 1] + R_h s + b_h),  t = sigma(W_t x [l = 1] + R_t s + b_t) s = h t + s (1 -
   t) */
enum { DEPTH = 3 };
void highway_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_matrix(s, 2 * hidden, input);
    for (int l = 0; l < DEPTH; l++) {
        literature_matrix(s, 2 * hidden, hidden);
        literature_vector(s, 2 * hidden, -1, 0);
    }
    literature_product_of(s, false, 1, input, 2 * hidden);
    for (int l = 0; l < DEPTH; l++)
        literature_product_of(s, true, 1, hidden, 2 * hidden);
}
void highway_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *s = state[0];
    for (int l = 0; l < DEPTH; l++) {
        cb_tensor *a = cb_linear(s, w[1 + 2 * l], w[2 + 2 * l]);
        if (l == 0)
            a = cb_add(a, cb_linear(x, w[0], NULL));
        cb_tensor *h = cb_tanh(cb_chunk(a, -1, 2, 0)), *t = cb_sigmoid(cb_chunk(a, -1, 2, 1));
        s = cb_add(cb_mul(h, t), cb_mul(s, cb_affine(t, -1, 1)));
    }
    next[0] = s;
}
