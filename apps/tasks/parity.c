/* Parity (as a task for recurrent networks: Hochreiter & Schmidhuber 1996; Graves 2016): after each
   bit, whether the ones so far are odd in number. It cannot be guessed from frequencies, and every
   bit counts. */
#include "random.h"
#include "tasks.h"

enum { LENGTH };

static void set_form(task_setup *setup) {
    setup->form = (task_form){.time = setup->parameter[LENGTH], .symbols = 2, .classes = 2};
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    int32_t odd = 0;
    batch->lengths[k] = (int32_t)setup->form.time;
    for (int64_t t = 0; t < setup->form.time; t++) {
        int32_t bit = draw_below(random, 2);
        odd ^= bit;
        batch->symbols[task_at(batch, t, k)] = bit;
        batch->classes[task_at(batch, t, k)] = odd;
    }
}

const task task_parity = {
    .name = "parity",
    .summary = "whether the ones so far are odd in number",
    .equation = "y_t = (x_0 + ... + x_t) mod 2",
    .source = "Hochreiter & Schmidhuber 1996; Graves 2016",
    .parameters = {{"length", "bits in a sequence", 50, 1, 100000}},
    .set_form = set_form,
    .draw = draw,
};
