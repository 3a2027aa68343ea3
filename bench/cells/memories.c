/* Cells with a matrix for a memory, or several heads. */
#include "cells.h"

#include <math.h>

enum { HEADS = 4, SLOTS = 8 };

/* sLSTM (Beck et al. 2024, eq. 8-17, exponential gates), 4 heads whose recurrent matrices are
   blocks on the diagonal. m stabilises: m' = max(f~ + m, i~),  i = exp(i~ - m'),  f = exp(f~ + m -
   m') c' = f c + i tanh(z~),  n' = f n + i,  h' = sigma(o~) c' / n' */
void slstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    int64_t part = hidden / HEADS;
    for (int i = 0; i < 4; i++)
        literature_state(s, hidden);
    literature_matrix(s, 4 * hidden, input);
    literature_blocks(s, 4 * HEADS, part, part);
    literature_vector(s, 4 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 4 * hidden);
    literature_product_of(s, true, 4 * HEADS, part, part);
}
void slstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], part = w[1]->shape[1];
    cb_tensor *c = state[1], *n = state[2], *m = state[3];
    cb_tensor *h = cb_reshape(state[0], CB_SHAPE(batch, 1, HEADS, 1, part));
    cb_tensor *blocks = cb_reshape(w[1], CB_SHAPE(4, HEADS, part, part));
    cb_tensor *a =
        cb_add(cb_linear(x, w[0], w[2]), cb_reshape(cb_matmul(h, blocks), CB_SHAPE(batch, -1)));
    cb_tensor *i = cb_chunk(a, -1, 4, 0), *f = cb_chunk(a, -1, 4, 1);
    next[3] = cb_maximum(cb_add(f, m), i);
    i = cb_exp(cb_sub(i, next[3]));
    f = cb_exp(cb_sub(cb_add(f, m), next[3]));
    next[1] = cb_add(cb_mul(f, c), cb_mul(i, cb_tanh(cb_chunk(a, -1, 4, 2))));
    next[2] = cb_add(cb_mul(f, n), i);
    next[0] = cb_mul(cb_sigmoid(cb_chunk(a, -1, 4, 3)), cb_div(next[1], next[2]));
}

/* mLSTM (Beck et al. 2024, eq. 19-27): a memory C [d, d] for each sequence.
     C' = f C + i v k',  n' = f n + i k,  h' = sigma(o~) C' q / max(|n' q|, 1) */
void mlstm_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden * hidden);
    literature_state(s, hidden);
    literature_state(s, 1);
    literature_matrix(s, 4 * hidden, input);
    literature_matrix(s, 2, input);
    literature_vector(s, 4 * hidden, -0.1, 0.1);
    literature_vector(s, 2, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 4 * hidden + 2);
}
void mlstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], d = state[0]->shape[1];
    cb_tensor *a = cb_linear(x, w[0], w[2]), *gates = cb_linear(x, w[1], w[3]);
    cb_tensor *q = cb_chunk(a, -1, 4, 0), *v = cb_chunk(a, -1, 4, 2), *m = state[3];
    cb_tensor *k = cb_scale(cb_chunk(a, -1, 4, 1), 1 / sqrt((double)d));
    cb_tensor *i = cb_chunk(gates, -1, 2, 0), *f = cb_chunk(gates, -1, 2, 1);
    next[3] = cb_maximum(cb_add(f, m), i);
    i = cb_exp(cb_sub(i, next[3]));
    f = cb_exp(cb_sub(cb_add(f, m), next[3]));
    cb_tensor *memory = cb_reshape(state[1], CB_SHAPE(batch, d, d));
    cb_tensor *outer = cb_mul(cb_unsqueeze(cb_mul(i, v), 2), cb_unsqueeze(k, 1));
    memory = cb_add(cb_mul(cb_unsqueeze(f, 2), memory), outer);
    next[1] = cb_reshape(memory, CB_SHAPE(batch, d * d));
    next[2] = cb_add(cb_mul(f, state[2]), cb_mul(i, k));
    cb_tensor *read = cb_squeeze(cb_matmul(memory, cb_unsqueeze(q, 2)), 2);
    cb_tensor *size = cb_abs(cb_sum(cb_mul(next[2], q), CB_AXES(-1), true));
    next[0] = cb_mul(cb_sigmoid(cb_chunk(a, -1, 4, 3)),
                     cb_div(read, cb_maximum(size, cb_full_like(size, 1))));
}

/* DeltaNet (Schlag et al. 2021, eq. 23-26): what the memory S [d, d] gives for a key is replaced.
     S' = S + beta (v - S k) k',  y' = S' q;  k = silu(W_k x) / |silu(W_k x)|, q alike */
void delta_net_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, hidden * hidden);
    literature_matrix(s, 3 * hidden, input);
    literature_matrix(s, 1, input);
    literature_product_of(s, false, 1, input, 3 * hidden + 1);
}
static cb_tensor *unit(cb_tensor *t) {
    cb_tensor *a = cb_silu(t);
    return cb_mul(a, cb_rsqrt(cb_shift(cb_sum(cb_square(a), CB_AXES(-1), true), 1e-6)));
}
void delta_net_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], d = state[0]->shape[1];
    cb_tensor *a = cb_linear(x, w[0], NULL), *beta = cb_sigmoid(cb_linear(x, w[1], NULL));
    cb_tensor *q = unit(cb_chunk(a, -1, 3, 0)), *k = unit(cb_chunk(a, -1, 3, 1));
    cb_tensor *v = cb_chunk(a, -1, 3, 2);
    cb_tensor *memory = cb_reshape(state[1], CB_SHAPE(batch, d, d));
    cb_tensor *known = cb_squeeze(cb_matmul(memory, cb_unsqueeze(k, 2)), 2);
    cb_tensor *change = cb_mul(beta, cb_sub(v, known));
    memory = cb_add(memory, cb_mul(cb_unsqueeze(change, 2), cb_unsqueeze(k, 1)));
    next[1] = cb_reshape(memory, CB_SHAPE(batch, d * d));
    next[0] = cb_squeeze(cb_matmul(memory, cb_unsqueeze(q, 2)), 2);
}

/* A network with 8 slots of memory M [8, d], read and written by content (Graves et al. 2014, eq.
   2-5 with softmax of inner products): a = softmax(M q / sqrt(d)),  r = a' M,  h' = tanh(W [x, r,
   h]) b = softmax(M k / sqrt(d)),  M' = M (1 - b e') + b v' */
void memory_slots_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, SLOTS * hidden);
    literature_matrix(s, 2 * hidden, input);  /* q and the input of h */
    literature_matrix(s, hidden, hidden);     /* of r */
    literature_matrix(s, hidden, hidden);     /* of h */
    literature_matrix(s, 3 * hidden, hidden); /* k, e, v of h' */
    literature_vector(s, hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 2 * hidden);
    literature_product_of(s, true, 1, 2 * hidden, hidden);
    literature_product_of(s, true, 1, hidden, 3 * hidden);
}
/* The weights of the slots, [batch, 8, 1]. */
static cb_tensor *address(cb_tensor *memory, cb_tensor *key) {
    double scale = 1 / sqrt((double)key->shape[1]);
    return cb_softmax(cb_scale(cb_matmul(memory, cb_unsqueeze(key, 2)), scale), 1);
}
void memory_slots_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    int64_t batch = x->shape[0], d = state[0]->shape[1];
    cb_tensor *memory = cb_reshape(state[1], CB_SHAPE(batch, SLOTS, d));
    cb_tensor *of_x = cb_linear(x, w[0], NULL);
    cb_tensor *a = address(memory, cb_chunk(of_x, -1, 2, 0));
    cb_tensor *read = cb_squeeze(cb_matmul(cb_transpose(a, 1, 2), memory), 1);
    next[0] = cb_tanh(cb_add(cb_add(cb_chunk(of_x, -1, 2, 1), cb_linear(read, w[1], w[4])),
                             cb_linear(state[0], w[2], NULL)));
    cb_tensor *of_h = cb_linear(next[0], w[3], NULL);
    cb_tensor *b = address(memory, cb_chunk(of_h, -1, 3, 0));
    cb_tensor *erase = cb_unsqueeze(cb_sigmoid(cb_chunk(of_h, -1, 3, 1)), 1);
    cb_tensor *add = cb_unsqueeze(cb_chunk(of_h, -1, 3, 2), 1);
    memory = cb_add(cb_mul(memory, cb_affine(cb_mul(b, erase), -1, 1)), cb_mul(b, add));
    next[1] = cb_reshape(memory, CB_SHAPE(batch, SLOTS * d));
}
