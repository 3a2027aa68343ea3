/* State space models, and networks in continuous time: states of several numbers for each unit,
   constant matrices, and weights for each pair of units that no product has. */
#include "bench/cells.h"

/* A size of the cells' own, and multiples of it. */
#define ONE CB_OWN_SIZE
enum { STATE = 8, RANK = 32, ORDER = 64, UNFOLDS = 6 };

static const cb_cell_own_size sizes[] = {{.constant = 1}};

/* S6, the recurrence of Mamba (Gu and Dao 2023, algorithm 2), a state of 8 for each channel:
     D = softplus(W_2 W_1 x + b),  h' = exp(D A) h + D B(x) x,  y' = C(x) h' + d x,  A = -exp(a) */
static void s6_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    int64_t batch = x->shape[0], channels = state[0]->shape[1];
    cb_tensor *of_x = cb_linear(x, w[0], NULL);
    cb_tensor *delta = cb_softplus(cb_linear(cb_slice(of_x, 1, 0, RANK, 1), w[1], w[2]));
    cb_tensor *b = cb_slice(of_x, 1, RANK, RANK + STATE, 1);
    cb_tensor *c = cb_slice(of_x, 1, RANK + STATE, CB_END, 1);
    cb_tensor *a = cb_neg(cb_exp(w[3]));
    cb_tensor *h = cb_reshape(state[1], CB_SHAPE(batch, channels, STATE));
    cb_tensor *decay = cb_exp(cb_mul(cb_unsqueeze(delta, 2), a));
    cb_tensor *in = cb_mul(cb_unsqueeze(cb_mul(delta, x), 2), cb_unsqueeze(b, 1));
    h = cb_add(cb_mul(decay, h), in);
    next[1] = cb_reshape(h, CB_SHAPE(batch, channels * STATE));
    cb_tensor *read = cb_squeeze(cb_matmul(h, cb_unsqueeze(c, 2)), 2);
    next[0] = cb_add(read, cb_mul(w[4], x));
}

static const cb_cell_param s6_params[] = {
    {"W_1", {RANK + 2 * STATE, ONE}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"W_2", {1, CB_INPUT}, {RANK, ONE}, .role = CB_INPUT_WEIGHT},
    {"b", {1, CB_INPUT}, .role = CB_BIAS, .init = {CB_INIT_UNIFORM, .a = -4, .b = -2}},
    {"a", {1, CB_INPUT}, {STATE, ONE}, .role = CB_UNIT_WEIGHT, .init = {CB_INIT_UNIFORM, .b = 2}},
    {"d", {1, CB_INPUT}, .role = CB_UNIT_WEIGHT, .init = {CB_INIT_UNIFORM, .a = 0.5, .b = 1.5}},
};

const cb_cell bench_s6 = {
    .name = "s6",
    .summary = "the recurrence of Mamba (Gu & Dao 2023)",
    .state_count = 2,
    .state_names = (const char *const[]){"y", "h"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_INPUT}, {STATE, CB_INPUT}},
    .size_count = 1,
    .sizes = sizes,
    .param_count = sizeof(s6_params) / sizeof(s6_params[0]),
    .params = s6_params,
    .step = s6_step,
};

/* LMU (Voelker et al. 2019, eq. 1-8), a memory of order 64 of the last theta = 784 time steps:
     u = e_x x + e_h h + e_m m,  m' = A m + B u,  h' = tanh(W_x x + W_h h + W_m m')
   with constants A and B, which Euler's method makes of Pade approximants. */
enum { LMU_X, LMU_H, LMU_M, LMU_A, LMU_B, LMU_W_X, LMU_W_H, LMU_W_M };
static const double theta = 784;

static void lmu_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *h = state[0], *m = state[1];
    cb_tensor *u = cb_add(cb_add(cb_linear(x, w[LMU_X], NULL), cb_linear(h, w[LMU_H], NULL)),
                          cb_linear(m, w[LMU_M], NULL));
    next[1] = cb_add(cb_linear(m, w[LMU_A], NULL), cb_mul(u, w[LMU_B]));
    next[0] = cb_tanh(cb_add(cb_add(cb_linear(x, w[LMU_W_X], NULL), cb_linear(h, w[LMU_W_H], NULL)),
                             cb_linear(next[1], w[LMU_W_M], NULL)));
}

/* (-1)^n */
static double alternating(int64_t n) {
    return n % 2 == 0 ? 1 : -1;
}

static void fill_a(cb_tensor *a, int64_t input, int64_t hidden, const double *settings) {
    (void)input, (void)hidden, (void)settings;
    for (int64_t i = 0; i < ORDER; i++)
        for (int64_t j = 0; j < ORDER; j++) {
            double sign = i < j ? -1 : -alternating(i - j);
            cb_tensor_set(a, (int64_t[]){i, j}, (i == j) + (double)(2 * i + 1) * sign / theta);
        }
}

static void fill_b(cb_tensor *b, int64_t input, int64_t hidden, const double *settings) {
    (void)input, (void)hidden, (void)settings;
    for (int64_t i = 0; i < ORDER; i++)
        cb_tensor_set(b, &i, (double)(2 * i + 1) * alternating(i) / theta);
}

static const cb_cell_param lmu_params[] = {
    [LMU_X] = {"e_x", {1, ONE}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    [LMU_H] = {"e_h", {1, ONE}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    [LMU_M] = {"e_m", {1, ONE}, {ORDER, ONE}, .role = CB_RECURRENT_WEIGHT},
    [LMU_A] = {"A", {ORDER, ONE}, {ORDER, ONE}, .role = CB_CONSTANT, .fill = fill_a},
    [LMU_B] = {"B", {ORDER, ONE}, .role = CB_CONSTANT, .fill = fill_b},
    [LMU_W_X] = {"W_x", {1, CB_HIDDEN}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    [LMU_W_H] = {"W_h", {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    [LMU_W_M] = {"W_m", {1, CB_HIDDEN}, {ORDER, ONE}, .role = CB_RECURRENT_WEIGHT},
};

const cb_cell bench_lmu = {
    .name = "lmu",
    .summary = "Legendre memory unit (Voelker et al. 2019)",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "m"},
    .state_sizes = (const cb_cell_extent[]){{1, CB_HIDDEN}, {ORDER, ONE}},
    .size_count = 1,
    .sizes = sizes,
    .param_count = sizeof(lmu_params) / sizeof(lmu_params[0]),
    .params = lmu_params,
    .step = lmu_step,
};

/* LTC (Hasani et al. 2021, algorithm 1, the fused solver with 6 unfolds). Synapses from unit or
   input j to unit i: s_ji = w_ji sigma(g_ji (v_j - mu_ji)), with reversal potentials e_ji.
     v' = (c v + l e_l + sum_j s_ji e_ji) / (c + l + sum_j s_ji) */
enum { OF_X = 0, OF_V = 4, LTC_C = 8, LTC_L, LTC_E };

/* The sums over j of s_ji e_ji and of s_ji; w: of the synapses, w, g, mu and e. */
static void synapses(cb_tensor *v, cb_tensor *const *w, cb_tensor **current,
                     cb_tensor **conductance) {
    cb_tensor *open = cb_sigmoid(cb_mul(w[1], cb_sub(cb_unsqueeze(v, 2), w[2])));
    cb_tensor *s = cb_mul(w[0], open);
    *current = cb_sum(cb_mul(s, w[3]), CB_AXES(1), false);
    *conductance = cb_sum(s, CB_AXES(1), false);
}

static void ltc_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *v = state[0], *c = w[LTC_C], *l = w[LTC_L], *sensed, *sensed_conductance;
    synapses(x, w + OF_X, &sensed, &sensed_conductance);
    cb_tensor *leak = cb_mul(l, w[LTC_E]), *rest = cb_add(c, l);
    for (int i = 0; i < UNFOLDS; i++) {
        cb_tensor *current, *conductance;
        synapses(v, w + OF_V, &current, &conductance);
        cb_tensor *up = cb_add(cb_add(cb_mul(c, v), leak), cb_add(sensed, current));
        v = cb_div(up, cb_add(cb_add(rest, sensed_conductance), conductance));
    }
    next[0] = v;
}

#define UNIFORM(low, high) .role = CB_UNIT_WEIGHT, .init = {CB_INIT_UNIFORM, .a = low, .b = high}
/* clang-format off */
#define SYNAPSES(suffix, from)                                                                     \
    {"w_" suffix, {1, from}, {1, CB_HIDDEN}, UNIFORM(0.01, 1)},                                    \
    {"g_" suffix, {1, from}, {1, CB_HIDDEN}, UNIFORM(3, 8)},                                       \
    {"mu_" suffix, {1, from}, {1, CB_HIDDEN}, UNIFORM(0.3, 0.8)},                                  \
    {"e_" suffix, {1, from}, {1, CB_HIDDEN}, UNIFORM(-1, 1)}
/* clang-format on */

static const cb_cell_param ltc_params[] = {
    SYNAPSES("x", CB_INPUT),
    SYNAPSES("v", CB_HIDDEN),
    {"c", {1, CB_HIDDEN}, UNIFORM(2.4, 3.6)}, /* of a step of one sixth */
    {"l", {1, CB_HIDDEN}, UNIFORM(0.1, 1)},
    {"e_l", {1, CB_HIDDEN}, UNIFORM(-0.2, 0.2)},
};

const cb_cell bench_ltc = {
    .name = "ltc",
    .summary = "liquid time-constant network (Hasani et al. 2021)",
    .state_count = 1,
    .state_names = (const char *const[]){"v"},
    .param_count = sizeof(ltc_params) / sizeof(ltc_params[0]),
    .params = ltc_params,
    .step = ltc_step,
};
