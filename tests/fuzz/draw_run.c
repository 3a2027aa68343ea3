/* The run of a program: sizes, what is asked for, how things lie in memory. */
#include "drawing.h"

/* Short runs are the rule: they are quick, and most faults show in two or three steps. */
static int64_t draw_time(drawing *d) {
    static const int64_t times[] = {0, 1, 2, 3, 5, MOST_TIME};
    return times[weighted(d, 6, (const int[]){3, 12, 25, 30, 22, 8})];
}

/* A step that mixes sequences gets some: of none, there is no largest one and no mean. */
static int64_t draw_batch(drawing *d) {
    static const int64_t batches[] = {0, 1, 2, 3, 7, 33, 70};
    return batches[weighted(d, 7, (const int[]){allows(d, BATCH) ? 0 : 2, 14, 25, 30, 16, 8, 5})];
}

static origin draw_origin(drawing *d) {
    return (origin)weighted(d, STARTS, (const int[]){15, 15, 50, 12, 8});
}

void run_draw(drawing *d) {
    run *r = &d->p->run;
    r->time = draw_time(d);
    r->batch = draw_batch(d);
    r->table = chance(d, 25) ? between(d, 1, 9) : 0;
    r->x_layout = chance(d, 80) ? PLAIN : (layout)between(d, 1, LAYOUTS - 1);
    r->constant_x = chance(d, 20);
    r->lengths = chance(d, 30);
    r->reverse = chance(d, 25);
    r->narrow = chance(d, 30);
    r->no_gradient = chance(d, 5);
    r->into = chance(d, 50);
    for (int s = 0; s < d->p->state_count; s++) {
        r->initial[s] = draw_origin(d);
        r->final[s] = chance(d, 60);
    }
    r->output = (reading)weighted(d, READINGS, (const int[]){10, 55, 20, 15});
    r->asked = chance(d, 15) ? (uint64_t)between(d, 1, 127) * 0x0204081020408101u : 0;
    r->sweeps = chance(d, 12) ? 2 : 1;
    r->runs = chance(d, 12) ? 2 : 1;
    r->data = (uint64_t)below(d, 1 << 30);
    r->rows = r->table > 0 && chance(d, 70);
}
