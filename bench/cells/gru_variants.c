/* Variants of the GRU (Cho et al. 2014; PyTorch's form), and the clockwork RNN. */
#include "cells.h"

enum { BLOCKS = 8, CLOCKS = 4 };

/* r, z = sigma(..), n = tanh(a_n + r b_n), h' = n + z (h - n); a is of x and b of h. */
static cb_tensor *gru(cb_tensor *a, cb_tensor *b, cb_tensor *h) {
    cb_tensor *r = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 0), cb_chunk(b, -1, 3, 0)));
    cb_tensor *z = cb_sigmoid(cb_add(cb_chunk(a, -1, 3, 1), cb_chunk(b, -1, 3, 1)));
    cb_tensor *n = cb_tanh(cb_add(cb_chunk(a, -1, 3, 2), cb_mul(r, cb_chunk(b, -1, 3, 2))));
    return cb_add(n, cb_mul(z, cb_sub(h, n)));
}

static void gru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_matrix(s, 3 * hidden, input);
    literature_matrix(s, 3 * hidden, hidden);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 3 * hidden);
    literature_product_of(s, true, 1, hidden, 3 * hidden);
}

/* A GRU whose recurrent matrices have 8 blocks on the diagonal: a matrix for each gate and block.
 */
void block_gru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    int64_t part = hidden / BLOCKS;
    literature_state(s, hidden);
    literature_matrix(s, 3 * hidden, input);
    literature_blocks(s, 3 * BLOCKS, part, part);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_vector(s, 3 * hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, 3 * hidden);
    literature_product_of(s, true, 3 * BLOCKS, part, part);
}
void block_gru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], part = w[1]->shape[1];
    cb_tensor *h = cb_reshape(state[0], CB_SHAPE(batch, 1, BLOCKS, 1, part));
    cb_tensor *blocks = cb_reshape(w[1], CB_SHAPE(3, BLOCKS, part, part));
    cb_tensor *b = cb_reshape(cb_matmul(h, blocks), CB_SHAPE(batch, -1));
    next[0] = gru(cb_linear(x, w[0], w[2]), cb_add(b, w[3]), state[0]);
}

static cb_random generator;

void literature_seed(uint64_t seed) {
    generator = cb_random_seed(seed);
}

/* Zoneout (Krueger et al. 2017, eq. 1), in training, rate 0.1: a unit keeps its state with that
   probability. cb_dropout of ones is 0 for those, and 1 / 0.9 for the others. */
void zoneout_gru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    gru_sizes(input, hidden, s);
}
void zoneout_gru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    cb_tensor *h = state[0];
    cb_tensor *n = gru(cb_linear(x, w[0], w[2]), cb_linear(h, w[1], w[3]), h);
    cb_tensor *moves = cb_scale(cb_dropout(cb_full_like(h, 1), 0.1, &generator), 0.9);
    next[0] = cb_add(h, cb_mul(moves, cb_sub(n, h)));
}

/* Variational dropout (Gal and Ghahramani 2016, eq. 7): one mask for a whole sequence. It is given
   as the state to start from, and stays. */
void variational_gru_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    gru_sizes(input, hidden, s);
    literature_state(s, hidden);
}
void variational_gru_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *h = cb_mul(state[0], state[1]);
    next[0] = gru(cb_linear(x, w[0], w[2]), cb_linear(h, w[1], w[3]), state[0]);
    next[1] = state[1];
}

/* Clockwork RNN (Koutnik et al. 2014, eq. 3-4): four parts with periods 1, 2, 4 and 8, of which
   those move whose period divides the time, which is a state. */
void clockwork_sizes(int64_t input, int64_t hidden, literature_sizes *s) {
    literature_state(s, hidden);
    literature_state(s, 1);
    literature_matrix(s, hidden, input);
    literature_matrix(s, hidden, hidden);
    literature_vector(s, hidden, -0.1, 0.1);
    literature_product_of(s, false, 1, input, hidden);
    literature_product_of(s, true, 1, hidden, hidden);
}
void clockwork_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *h = state[0], *parts[CLOCKS];
    cb_tensor *n = cb_tanh(cb_add(cb_linear(x, w[0], w[2]), cb_linear(h, w[1], NULL)));
    for (int k = 0; k < CLOCKS; k++) {
        cb_tensor *turns = cb_scale(state[1], 1.0 / (1 << k));
        cb_tensor *phase = cb_sub(turns, literature_floor(turns));
        cb_tensor *moves = cb_less(phase, cb_full_like(phase, 0.5 / (1 << k)));
        parts[k] = cb_where(moves, cb_chunk(n, -1, CLOCKS, k), cb_chunk(h, -1, CLOCKS, k));
    }
    next[0] = cb_concat(CLOCKS, parts, -1);
    next[1] = cb_shift(state[1], 1);
}
