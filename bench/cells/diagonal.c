/* Cells whose states meet no matrix: units of their own. */
#include "cells.h"

/* IndRNN (Li et al. 2018, eq. 2): h' = relu(W x + u h + b). */
void indrnn_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_matrix(s, hidden, input);
    literature_vector(s, hidden, -1, 1);
    literature_vector(s, hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, hidden);
}
void indrnn_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    next[0] = cb_relu(cb_add(cb_linear(x, w[0], w[2]), cb_mul(w[1], state[0])));
}

/* SRU (Lei et al. 2018, eq. 1-4; input and hidden size are equal):
     f = sigma(W_f x + v_f c + b_f),  c' = f c + (1 - f) W x
     r = sigma(W_r x + v_r c + b_r),  h' = r c' + (1 - r) x */
void sru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden);
    literature_matrix(s, 3 * hidden, input);
    for (int i = 0; i < 4; i++)
        literature_vector(s, hidden, -0.5, 0.5);
    literature_product_of(s, false, 1, input, 3 * hidden);
}
void sru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *u = cb_linear(x, w[0], NULL), *c = state[1];
    cb_tensor *f = cb_sigmoid(cb_add(cb_add(cb_chunk(u, -1, 3, 1), cb_mul(w[1], c)), w[3]));
    cb_tensor *r = cb_sigmoid(cb_add(cb_add(cb_chunk(u, -1, 3, 2), cb_mul(w[2], c)), w[4]));
    next[1] = cb_add(cb_mul(f, c), cb_mul(cb_affine(f, -1, 1), cb_chunk(u, -1, 3, 0)));
    next[0] = cb_add(cb_mul(r, next[1]), cb_mul(cb_affine(r, -1, 1), x));
}

/* QRNN (Bradbury et al. 2017, eq. 1-5, fo-pooling, a window of two: the input before is a state):
     z = tanh(W_z x + V_z x_before),  f, o = sigma(W x + V x_before)
     c' = f c + (1 - f) z,  h' = o c' */
void qrnn_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden);
    literature_state(s, input);
    literature_matrix(s, 3 * hidden, input);
    literature_matrix(s, 3 * hidden, input);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 3 * hidden);
    literature_product_of(s, true, 1, input, 3 * hidden);
}
void qrnn_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *a = cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[2], w[1], NULL));
    cb_tensor *z = cb_tanh(cb_chunk(a, -1, 3, 0)), *f = cb_sigmoid(cb_chunk(a, -1, 3, 1));
    next[1] = cb_add(cb_mul(f, state[1]), cb_mul(cb_affine(f, -1, 1), z));
    next[0] = cb_mul(cb_sigmoid(cb_chunk(a, -1, 3, 2)), next[1]);
    next[2] = x;
}

/* minGRU (Feng et al. 2024, section 3.1): z = sigma(W_z x), h' = (1 - z) h + z W_h x. */
void mingru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_matrix(s, 2 * hidden, input);
    literature_vector(s, 2 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 2 * hidden);
}
void mingru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *a = cb_linear(x, w[0], w[1]), *z = cb_sigmoid(cb_chunk(a, -1, 2, 0));
    next[0] = cb_add(cb_mul(cb_affine(z, -1, 1), state[0]), cb_mul(z, cb_chunk(a, -1, 2, 1)));
}

/* minLSTM (Feng et al. 2024, section 3.2): f, i = sigma(W x), each divided by f + i;
   h' = f h + i W_h x. */
void minlstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_matrix(s, 3 * hidden, input);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 3 * hidden);
}
void minlstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *a = cb_linear(x, w[0], w[1]);
    cb_tensor *f = cb_sigmoid(cb_chunk(a, -1, 3, 0)), *i = cb_sigmoid(cb_chunk(a, -1, 3, 1));
    cb_tensor *sum = cb_add(f, i);
    next[0] =
        cb_add(cb_mul(cb_div(f, sum), state[0]), cb_mul(cb_div(i, sum), cb_chunk(a, -1, 3, 2)));
}

/* LRU (Orvieto et al. 2023, eq. 4-6): lambda = exp(-exp(nu) + i exp(theta)), z' = lambda z +
   exp(gamma) B x, y' = Re(C z') + d x; complex numbers as pairs of states. */
void lru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    for (int i = 0; i < 3; i++)
        literature_state(s, hidden);
    literature_matrix(s, 2 * hidden, input);  /* B, real parts first */
    literature_matrix(s, hidden, 2 * hidden); /* C, with the imaginary parts' signs changed */
    literature_vector(s, hidden, -3, -1);     /* nu */
    literature_vector(s, hidden, -3, 0);      /* theta */
    literature_vector(s, hidden, -1.5, -0.5); /* gamma */
    literature_vector(s, hidden, -1, 1);      /* d */
    literature_product_of(s, false, 1, input, 2 * hidden);
    literature_product_of(s, true, 1, 2 * hidden, hidden);
}
void lru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *size = cb_exp(cb_neg(cb_exp(w[2]))), *angle = cb_exp(w[3]), *gamma = cb_exp(w[4]);
    cb_tensor *re = cb_mul(size, cb_cos(angle)), *im = cb_mul(size, cb_sin(angle));
    cb_tensor *b = cb_linear(x, w[0], NULL);
    next[1] = cb_add(cb_sub(cb_mul(re, state[1]), cb_mul(im, state[2])),
                     cb_mul(gamma, cb_chunk(b, -1, 2, 0)));
    next[2] = cb_add(cb_add(cb_mul(re, state[2]), cb_mul(im, state[1])),
                     cb_mul(gamma, cb_chunk(b, -1, 2, 1)));
    cb_tensor *z = cb_concat(2, (cb_tensor *[]){next[1], next[2]}, -1);
    next[0] = cb_add(cb_linear(z, w[1], NULL), cb_mul(w[5], x));
}

/* UnICORNN (Rusch and Mishra 2021, eq. 5), with dt = 0.05 and alpha = 0.9:
     z' = z - dt sigma(c) (tanh(w y + V x + b) + alpha y),  y' = y + dt sigma(c) z' */
void unicornn_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden);
    literature_matrix(s, hidden, input);
    for (int i = 0; i < 3; i++)
        literature_vector(s, hidden, -0.5, 0.5);
    literature_product_of(s, false, 1, input, hidden);
}
void unicornn_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *y = state[0], *dt = cb_scale(cb_sigmoid(w[3]), 0.05);
    cb_tensor *force = cb_tanh(cb_add(cb_linear(x, w[0], w[2]), cb_mul(w[1], y)));
    next[1] = cb_sub(state[1], cb_mul(dt, cb_add(force, cb_scale(y, 0.9))));
    next[0] = cb_add(y, cb_mul(dt, next[1]));
}
