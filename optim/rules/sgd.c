/* Stochastic gradient descent; state 0 is the momentum buffer. */
#ifndef REAL
#define CBI_RULE_FILE "optim/rules/sgd.c"
#include "optim/rules/both.h"

static bool sgd_needs(const cb_optimizer_options *options, int i) {
    return i == 0 && options->momentum != 0;
}

static const char *sgd_fault(const cb_optimizer_options *options) {
    bool good = !options->nesterov || (options->momentum != 0 && options->dampening == 0);
    return good ? NULL : "nesterov needs momentum above 0 and no dampening";
}

const cb_optimizer_rule cbi_sgd_rule = {
    .defaults = {.lr = 1e-3},
    .state_names = {"momentum_buffer"},
    .needs_state = sgd_needs,
    .fault = sgd_fault,
    CBI_RULE(sgd),
};

#else

static CBI_INLINE void RULE(sgd_loop)(const cb_optimizer_update *u, const bool momentum,
                                      const bool nesterov) {
    REAL *restrict theta = u->value, *restrict gradient = u->gradient;
    REAL *restrict buffer = u->state[0];
    const REAL lr = (REAL)u->options->lr, weight_decay = (REAL)u->options->weight_decay;
    const REAL keep = (REAL)u->options->momentum;
    /* The buffer starts as the first gradient, undamped; it is zero until then. */
    const REAL add = u->step == 1 ? 1 : (REAL)(1 - u->options->dampening);
    for (int64_t i = 0; i < u->count; i++) {
        REAL g = gradient[i] + weight_decay * theta[i];
        if (momentum) {
            REAL b = keep * buffer[i] + add * g;
            buffer[i] = b;
            g = nesterov ? g + keep * b : b;
        }
        theta[i] -= lr * g;
        gradient[i] = 0;
    }
}

CBI_MULTIVERSION static void RULE(sgd)(const cb_optimizer_update *u) {
    if (u->options->momentum == 0)
        RULE(sgd_loop)(u, false, false);
    else if (!u->options->nesterov)
        RULE(sgd_loop)(u, true, false);
    else
        RULE(sgd_loop)(u, true, true);
}

#endif
