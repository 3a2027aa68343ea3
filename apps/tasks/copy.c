/* Copy memory (Hochreiter & Schmidhuber 1997; in this form Arjovsky, Shah & Bengio 2016): symbols
   are read, a delay passes, and at a signal they are to be said again. Without a memory the best is
   to guess them, which costs count ln(8) / (delay + 2 count) nats a step. */
#include "random.h"
#include "tasks.h"

enum { DELAY, COUNT };
enum { KINDS = 8, BLANK = KINDS, SIGNAL, SYMBOLS };

static void set_form(task_setup *setup) {
    setup->form = (task_form){.time = setup->parameter[DELAY] + 2 * setup->parameter[COUNT],
                              .symbols = SYMBOLS,
                              .classes = BLANK + 1};
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    int64_t time = setup->form.time, count = setup->parameter[COUNT];
    batch->lengths[k] = (int32_t)time;
    for (int64_t t = 0; t < time; t++) {
        int32_t *symbol = &batch->symbols[task_at(batch, t, k)];
        bool read = t < count, signal = t == time - count - 1;
        *symbol = read ? draw_below(random, KINDS) : signal ? SIGNAL : BLANK;
        batch->classes[task_at(batch, t, k)] = BLANK;
    }
    for (int64_t i = 0; i < count; i++)
        batch->classes[task_at(batch, time - count + i, k)] = batch->symbols[task_at(batch, i, k)];
}

const task task_copy = {
    .name = "copy",
    .summary = "symbols said again after a delay",
    .equation = "y_t = x_(t - delay - count) at the last count steps, blank before",
    .source = "Hochreiter & Schmidhuber 1997; Arjovsky, Shah & Bengio 2016",
    .parameters = {{"delay", "steps between reading and writing", 100, 1, 100000},
                   {"count", "symbols to be remembered", 10, 1, 1000}},
    .set_form = set_form,
    .draw = draw,
};
