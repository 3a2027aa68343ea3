/* See lion.h. */
#include "tests/optim/lion.h"

#define LION(function, real)                                                                       \
    static void function(const cb_optimizer_update *u) {                                           \
        const cb_optimizer_options *o = u->options;                                                \
        real *theta = u->value, *gradient = u->gradient, *m = u->state[0];                         \
        for (int64_t i = 0; i < u->count; i++) {                                                   \
            real c = (real)o->beta1 * m[i] + (real)(1 - o->beta1) * gradient[i];                   \
            real sign = (real)((c > 0) - (c < 0)) * (real)o->own[0];                               \
            theta[i] -= (real)o->lr * (sign + (real)o->weight_decay * theta[i]);                   \
            m[i] = (real)o->beta2 * m[i] + (real)(1 - o->beta2) * gradient[i];                     \
            gradient[i] = 0;                                                                       \
        }                                                                                          \
    }
LION(lion_f32, float)
LION(lion_f64, double)

const cb_optimizer_rule lion_rule = {
    .name = "lion",
    .defaults = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.99, .own = {1}},
    .state_names = {"exp_avg"},
    .update_f32 = lion_f32,
    .update_f64 = lion_f64,
};
