/* RMSprop; state 0 is v, 1 the mean of g (centered), 2 the momentum buffer. */
#ifndef REAL
#define CBI_RULE_FILE "optim/rules/rmsprop.c"
#include "optim/rules/both.h"

static bool rmsprop_needs(const cb_optimizer_options *options, int i) {
    return i == 0 || (i == 1 && options->centered) || (i == 2 && options->momentum != 0);
}

const cb_optimizer_rule cbi_rmsprop_rule = {
    .defaults = {.lr = 1e-2, .alpha = 0.99, .epsilon = 1e-8},
    .state_names = {"square_avg", "grad_avg", "momentum_buffer"},
    .needs_state = rmsprop_needs,
    CBI_RULE(rmsprop),
};

#else

static CBI_INLINE void RULE(rmsprop_loop)(const cb_optimizer_update *u, const bool centered,
                                          const bool momentum) {
    const cb_optimizer_options *o = u->options;
    REAL *restrict theta = u->value, *restrict gradient = u->gradient;
    REAL *restrict square = u->state[0], *restrict mean = u->state[1];
    REAL *restrict buffer = u->state[2];
    const REAL lr = (REAL)o->lr, weight_decay = (REAL)o->weight_decay;
    const REAL alpha = (REAL)o->alpha, one_alpha = (REAL)(1 - o->alpha);
    const REAL keep = (REAL)o->momentum, epsilon = (REAL)o->epsilon;
    for (int64_t i = 0; i < u->count; i++) {
        REAL g = gradient[i] + weight_decay * theta[i];
        REAL v = alpha * square[i] + one_alpha * g * g;
        square[i] = v;
        if (centered) {
            REAL m = mean[i] + one_alpha * (g - mean[i]);
            mean[i] = m;
            /* A variance: rounding could make it negative. */
            v -= m * m;
            v = v < 0 ? 0 : v;
        }
        REAL step = g / (SQRT(v) + epsilon);
        if (momentum) {
            step += keep * buffer[i];
            buffer[i] = step;
        }
        theta[i] -= lr * step;
        gradient[i] = 0;
    }
}

CBI_MULTIVERSION static void RULE(rmsprop)(const cb_optimizer_update *u) {
    bool momentum = u->options->momentum != 0;
    if (u->options->centered && momentum)
        RULE(rmsprop_loop)(u, true, true);
    else if (u->options->centered)
        RULE(rmsprop_loop)(u, true, false);
    else if (momentum)
        RULE(rmsprop_loop)(u, false, true);
    else
        RULE(rmsprop_loop)(u, false, false);
}

#endif
