/* The chaotic series of Mackey & Glass (1977), a delay equation:

     dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t)

   integrated by the classic Runge-Kutta method with ten steps in a unit of time (the delayed value
   halfway between two steps is their mean), from a constant history drawn for each sequence, after
   what is transient. A sequence has one value in a unit of time; the target is the one that is
   `ahead` of it. */
#include "random.h"
#include "tasks.h"

#include <math.h>

enum { LENGTH, AHEAD, DELAY };
enum { STEPS = 10, TRANSIENT = 300, MOST_DELAY = 100 };

static void set_form(task_setup *setup) {
    setup->form = (task_form){.time = setup->parameter[LENGTH], .features = 1, .values = 1};
}

static double slope(double x, double delayed) {
    return 0.2 * delayed / (1 + pow(delayed, 10)) - 0.1 * x;
}

/* The last values, in a ring, of which `at` is the oldest. */
typedef struct history {
    double x[MOST_DELAY * STEPS];
    int length, at;
    double now;
} history;

static void advance(history *h) {
    const double step = 1.0 / STEPS;
    double from = h->x[h->at], to = h->x[(h->at + 1) % h->length], half = (from + to) / 2;
    double a = slope(h->now, from);
    double b = slope(h->now + step / 2 * a, half);
    double c = slope(h->now + step / 2 * b, half);
    double d = slope(h->now + step * c, to);
    h->x[h->at] = h->now;
    h->at = (h->at + 1) % h->length;
    h->now += step / 6 * (a + 2 * b + 2 * c + d);
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    int64_t time = setup->form.time, ahead = setup->parameter[AHEAD];
    history h = {.length = (int)setup->parameter[DELAY] * STEPS};
    h.now = draw_uniform(random, 0.5, 1.5);
    for (int i = 0; i < h.length; i++)
        h.x[i] = h.now;
    int64_t transient = TRANSIENT + draw_below(random, TRANSIENT);
    batch->lengths[k] = (int32_t)time;
    for (int64_t t = -transient; t < time + ahead; t++) {
        if (t >= 0 && t < time)
            batch->features[task_at(batch, t, k)] = (float)h.now;
        if (t >= ahead)
            batch->values[task_at(batch, t - ahead, k)] = (float)h.now;
        for (int i = 0; i < STEPS; i++)
            advance(&h);
    }
}

const task task_mackey_glass = {
    .name = "mackey-glass",
    .summary = "a chaotic series, some steps ahead",
    .equation = "y_t = x_(t + ahead), dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x",
    .source = "Mackey & Glass 1977",
    .parameters = {{"length", "values in a sequence", 100, 1, 100000},
                   {"ahead", "units of time to the target", 6, 1, 1000},
                   {"delay", "of the equation, in units of time", 17, 1, MOST_DELAY}},
    .set_form = set_form,
    .draw = draw,
};
