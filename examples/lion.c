/* See lion.h. */
#include "lion.h"

#include <math.h>

/* The loop, for either float type. Several threads run it, each for some of the elements. */
#define LION(function, real)                                                                       \
    static void function(const cb_optimizer_update *u) {                                           \
        const cb_optimizer_options *o = u->options;                                                \
        const real beta1 = (real)o->beta1, beta2 = (real)o->beta2, lr = (real)o->lr;               \
        const real decay = (real)o->weight_decay;                                                  \
        real *theta = u->value, *gradient = u->gradient, *m = u->state[0];                         \
        for (int64_t i = 0; i < u->count; i++) {                                                   \
            real g = gradient[i], c = beta1 * m[i] + (1 - beta1) * g;                              \
            real way =                                                                             \
                o->own[0] != 0 ? (real)tanh(o->own[0] * (double)c) : (real)((c > 0) - (c < 0));    \
            theta[i] -= lr * (way + decay * theta[i]);                                             \
            m[i] = beta2 * m[i] + (1 - beta2) * g;                                                 \
            gradient[i] = 0;                                                                       \
        }                                                                                          \
    }
LION(lion_f32, float)
LION(lion_f64, double)

const cb_optimizer_rule lion_rule = {
    .name = "lion",
    .defaults = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.99},
    .state_names = {"exp_avg"},
    .update_f32 = lion_f32,
    .update_f64 = lion_f64,
};
