/* Draws of single numbers. */
#ifndef CEREBRA_APPS_TASKS_RANDOM_H
#define CEREBRA_APPS_TASKS_RANDOM_H

#include <cerebra/random.h>

static inline double draw_uniform(cb_random *random, double low, double high) {
    double drawn;
    cb_random_uniform_f64(random, 1, &drawn, low, high);
    return drawn;
}

static inline int32_t draw_below(cb_random *random, int64_t n) {
    return (int32_t)cb_random_below(random, (uint64_t)n);
}

#endif
