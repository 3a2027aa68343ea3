/* Brackets of several kinds, nested to a greatest depth (the languages Dyck-(k, m): Hewitt et al.
   2020): before each closing bracket, of which kind will it be? That is the kind of the last one
   still open. Guessing is right once in k. */
#include "random.h"
#include "tasks.h"

enum { LENGTH, KINDS, DEPTH };
enum { MOST_DEPTH = 1000 };

static void set_form(task_setup *setup) {
    setup->form = (task_form){.time = 2 * (setup->parameter[LENGTH] / 2),
                              .symbols = 2 * setup->parameter[KINDS],
                              .classes = setup->parameter[KINDS]};
}

static void draw(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    int64_t time = setup->form.time, kinds = setup->parameter[KINDS], depth = 0;
    int32_t open[MOST_DEPTH];
    batch->lengths[k] = (int32_t)time;
    for (int64_t t = 0; t < time; t++) {
        bool may_open = depth < setup->parameter[DEPTH] && depth < time - t;
        bool opens = may_open && (depth == 0 || draw_below(random, 2) == 0);
        if (opens)
            open[depth++] = draw_below(random, kinds);
        else if (t > 0) /* what is known at the step before */
            batch->classes[task_at(batch, t - 1, k)] = open[depth - 1];
        batch->symbols[task_at(batch, t, k)] =
            opens ? open[depth - 1] : (int32_t)kinds + open[--depth];
    }
}

const task task_brackets = {
    .name = "brackets",
    .summary = "of which kind a closing bracket will be",
    .equation = "y_t = the kind of the last open bracket, where x_(t+1) closes it",
    .source = "Hewitt et al. 2020",
    .parameters = {{"length", "brackets in a sequence", 60, 2, 100000},
                   {"kinds", "kinds of brackets", 2, 1, TASK_MOST_CLASSES},
                   {"depth", "the most that are open at once", 8, 1, MOST_DEPTH}},
    .set_form = set_form,
    .draw = draw,
};
