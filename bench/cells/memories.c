/* Cells with a matrix for a memory: a state of hidden x hidden, or 8 x hidden numbers, which the
   language of equations does not have. */
#include "bench/cells.h"

#include <math.h>

/* Sizes of the cells' own. */
#define ONE    CB_OWN_SIZE
#define SQUARE (CB_OWN_SIZE + 1)

static int64_t square(int64_t input, int64_t hidden) {
    (void)input;
    return hidden * hidden;
}

static const cb_cell_own_size sizes[] = {{.constant = 1}, {.of = square}};

#define PARAMS(array) .param_count = sizeof(array) / sizeof((array)[0]), .params = array

/* mLSTM (Beck et al. 2024, eq. 19-27): a memory C [d, d] for each sequence.
     C' = f C + i v k',  n' = f n + i k,  h' = sigma(o~) C' q / max(|n' q|, 1) */
static void mlstm_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
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

static const cb_cell_param mlstm_params[] = {
    {"W", {4, CB_HIDDEN}, {1, CB_INPUT}, .blocks = 4, .role = CB_INPUT_WEIGHT}, /* q, k, v, o */
    {"W_if", {2, ONE}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"b", {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
    {"b_if", {2, ONE}, .role = CB_BIAS},
};

const cb_cell bench_mlstm = {
    .name = "mlstm",
    .summary = "LSTM with a matrix memory (Beck et al. 2024)",
    .state_count = 4,
    .state_names = (const char *const[]){"h", "C", "n", "m"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_HIDDEN}, {1, SQUARE}, {1, CB_HIDDEN}, {1, ONE}},
    .size_count = 2,
    .sizes = sizes,
    PARAMS(mlstm_params),
    .step = mlstm_step,
};

/* DeltaNet (Schlag et al. 2021, eq. 23-26): what the memory S [d, d] gives for a key is replaced.
     S' = S + beta (v - S k) k',  y' = S' q;  k = silu(W_k x) / |silu(W_k x)|, q alike */
static cb_tensor *unit(cb_tensor *t) {
    cb_tensor *a = cb_silu(t);
    return cb_mul(a, cb_rsqrt(cb_shift(cb_sum(cb_square(a), CB_AXES(-1), true), 1e-6)));
}
static void delta_net_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
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

static const cb_cell_param delta_net_params[] = {
    {"W", {3, CB_HIDDEN}, {1, CB_INPUT}, .blocks = 3, .role = CB_INPUT_WEIGHT}, /* q, k, v */
    {"W_beta", {1, ONE}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
};

const cb_cell bench_delta_net = {
    .name = "delta-net",
    .summary = "fast weights with the delta rule (Schlag et al. 2021)",
    .state_count = 2,
    .state_names = (const char *const[]){"y", "S"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_HIDDEN}, {1, SQUARE}},
    .size_count = 2,
    .sizes = sizes,
    PARAMS(delta_net_params),
    .step = delta_net_step,
};

/* A network with 8 slots of memory M [8, d], read and written by content (Graves et al. 2014, eq.
   2-5 with softmax of inner products): a = softmax(M q / sqrt(d)),  r = a' M,  h' = tanh(W [x, r,
   h]) b = softmax(M k / sqrt(d)),  M' = M (1 - b e') + b v' */
enum { SLOTS = 8 };
/* The weights of the slots, [batch, 8, 1]. */
static cb_tensor *address(cb_tensor *memory, cb_tensor *key) {
    double scale = 1 / sqrt((double)key->shape[1]);
    return cb_softmax(cb_scale(cb_matmul(memory, cb_unsqueeze(key, 2)), scale), 1);
}
static void memory_slots_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
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

static const cb_cell_param memory_slots_params[] = {
    {"W", {2, CB_HIDDEN}, {1, CB_INPUT}, .blocks = 2, .role = CB_INPUT_WEIGHT}, /* q, h */
    {"W_r", {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"U", {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"V", {3, CB_HIDDEN}, {1, CB_HIDDEN}, .blocks = 3, .role = CB_RECURRENT_WEIGHT}, /* k, e, v */
    {"b", {1, CB_HIDDEN}, .role = CB_BIAS},
};

const cb_cell bench_memory_slots = {
    .name = "memory-slots",
    .summary = "slots of memory addressed by content (after Graves et al. 2014)",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "M"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_HIDDEN}, {SLOTS, CB_HIDDEN}},
    PARAMS(memory_slots_params),
    .step = memory_slots_step,
};
