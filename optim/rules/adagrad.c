/* Adagrad; state 0 is the sum of squared gradients. */
#ifndef REAL
#define CBI_RULE_FILE "optim/rules/adagrad.c"
#include "optim/rules/both.h"

static double adagrad_start(const cb_optimizer_options *options, int i) {
    (void)i;
    return options->initial_accumulator;
}

const cb_optimizer_rule cbi_adagrad_rule = {
    .defaults = {.lr = 1e-2, .epsilon = 1e-10},
    .state_names = {"sum"},
    .state_start = adagrad_start,
    CBI_RULE(adagrad),
};

#else

CBI_MULTIVERSION static void RULE(adagrad)(const cb_optimizer_update *u) {
    const cb_optimizer_options *o = u->options;
    REAL *restrict theta = u->value, *restrict gradient = u->gradient;
    REAL *restrict sum = u->state[0];
    const REAL lr = (REAL)(o->lr / (1 + (double)(u->step - 1) * o->lr_decay));
    const REAL weight_decay = (REAL)o->weight_decay, epsilon = (REAL)o->epsilon;
    for (int64_t i = 0; i < u->count; i++) {
        REAL g = gradient[i] + weight_decay * theta[i];
        REAL s = sum[i] + g * g;
        sum[i] = s;
        theta[i] -= lr * g / (SQRT(s) + epsilon);
        gradient[i] = 0;
    }
}

#endif
