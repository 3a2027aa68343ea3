/* The next value of a mixture of sine waves, each of a period and a phase of its own, which the
   network has to find from what it has read. */
#include "random.h"
#include "tasks.h"

#include <math.h>

enum { LENGTH, WAVES };
enum { MOST_WAVES = 16 };

static void set_form(task_setup *setup) {
    setup->form = (task_form){.time = setup->parameter[LENGTH], .features = 1, .values = 1};
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    const double pi = 3.14159265358979323846;
    int64_t waves = setup->parameter[WAVES];
    double frequency[MOST_WAVES], phase[MOST_WAVES];
    for (int64_t i = 0; i < waves; i++) {
        frequency[i] = 2 * pi / draw_uniform(random, 8, 64);
        phase[i] = draw_uniform(random, 0, 2 * pi);
    }
    batch->lengths[k] = (int32_t)setup->form.time;
    for (int64_t t = 0; t <= setup->form.time; t++) {
        double x = 0;
        for (int64_t i = 0; i < waves; i++)
            x += sin(frequency[i] * (double)t + phase[i]);
        x /= sqrt((double)waves / 2); /* a variance of 1 */
        if (t < setup->form.time)
            batch->features[task_at(batch, t, k)] = (float)x;
        if (t > 0)
            batch->values[task_at(batch, t - 1, k)] = (float)x;
    }
}

const task task_sines = {
    .name = "sines",
    .summary = "the next value of a mixture of sine waves",
    .equation =
        "y_t = x_(t+1), x_t = sqrt(2 / waves) sum of sin(2 pi t / period + phase), periods of "
        "8 to 64 steps",
    .source = "the command's own",
    .parameters = {{"length", "values in a sequence", 100, 1, 100000},
                   {"waves", "waves in a mixture", 3, 1, MOST_WAVES}},
    .set_form = set_form,
    .draw = draw,
};
