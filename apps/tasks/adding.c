/* The adding problem (Hochreiter & Schmidhuber 1997, experiment 4; with fixed lengths and values in
   [0, 1] as in Le, Jaitly & Hinton 2015): two of many numbers are marked, one in each half; what is
   their sum? The best constant, 1, has an error of 1/6. */
#include "random.h"
#include "tasks.h"

enum { LENGTH };

static void set_form(task_setup *setup) {
    setup->form =
        (task_form){.time = setup->parameter[LENGTH], .features = 2, .values = 1, .last = true};
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    int64_t time = setup->form.time, half = time / 2;
    int64_t marked[2] = {draw_below(random, half), half + draw_below(random, time - half)};
    batch->lengths[k] = (int32_t)time;
    for (int64_t t = 0; t < time; t++) {
        float *features = batch->features + 2 * task_at(batch, t, k);
        features[0] = (float)draw_uniform(random, 0, 1);
        features[1] = t == marked[0] || t == marked[1];
        batch->values[k] += features[0] * features[1];
    }
}

const task task_adding = {
    .name = "adding",
    .summary = "the sum of two marked numbers among many",
    .equation = "y = sum over t of value_t marker_t, after the last step",
    .source = "Hochreiter & Schmidhuber 1997; Le, Jaitly & Hinton 2015",
    .parameters = {{"length", "numbers in a sequence", 100, 2, 100000}},
    .set_form = set_form,
    .draw = draw,
};
