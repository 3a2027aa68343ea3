/* Adam and AdamW; state 0 is m, 1 is v, 2 the largest v (amsgrad). */
#ifndef REAL
#define CBI_RULE_FILE "optim/rules/adam.c"
#include "optim/rules/both.h"

#define ADAM_DEFAULTS .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8

static bool adam_needs(const cb_optimizer_options *options, int i) {
    return i < 2 || options->amsgrad;
}

const cb_optimizer_rule cbi_adam_rule = {
    .defaults = {ADAM_DEFAULTS},
    .state_names = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .needs_state = adam_needs,
    CBI_RULE(adam),
};

const cb_optimizer_rule cbi_adamw_rule = {
    .defaults = {ADAM_DEFAULTS, .weight_decay = 1e-2},
    .state_names = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .needs_state = adam_needs,
    CBI_RULE(adamw),
};

#else

static CBI_INLINE void RULE(adam_loop)(const cb_optimizer_update *u, const bool decoupled,
                                       const bool amsgrad) {
    const cb_optimizer_options *o = u->options;
    REAL *restrict theta = u->value, *restrict gradient = u->gradient;
    REAL *restrict mean = u->state[0], *restrict square = u->state[1];
    REAL *restrict largest = u->state[2];
    const double t = (double)u->step;
    const REAL lr = (REAL)(o->lr / (1 - pow(o->beta1, t)));
    const REAL root = (REAL)(1 / sqrt(1 - pow(o->beta2, t)));
    const REAL weight_decay = decoupled ? 0 : (REAL)o->weight_decay;
    const REAL shrink = decoupled ? (REAL)(1 - o->lr * o->weight_decay) : 1;
    const REAL beta2 = (REAL)o->beta2, epsilon = (REAL)o->epsilon;
    const REAL one_beta1 = (REAL)(1 - o->beta1), one_beta2 = (REAL)(1 - o->beta2);
    for (int64_t i = 0; i < u->count; i++) {
        REAL g = gradient[i] + weight_decay * theta[i];
        REAL m = mean[i] + one_beta1 * (g - mean[i]);
        REAL v = beta2 * square[i] + one_beta2 * g * g;
        mean[i] = m;
        square[i] = v;
        if (amsgrad) {
            v = v > largest[i] ? v : largest[i];
            largest[i] = v;
        }
        theta[i] = shrink * theta[i] - lr * m / (SQRT(v) * root + epsilon);
        gradient[i] = 0;
    }
}

CBI_MULTIVERSION static void RULE(adam)(const cb_optimizer_update *u) {
    if (u->options->amsgrad)
        RULE(adam_loop)(u, false, true);
    else
        RULE(adam_loop)(u, false, false);
}

CBI_MULTIVERSION static void RULE(adamw)(const cb_optimizer_update *u) {
    if (u->options->amsgrad)
        RULE(adam_loop)(u, true, true);
    else
        RULE(adam_loop)(u, true, false);
}

#endif
