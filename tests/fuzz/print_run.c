/* What is special about a run, for people. */
#include "execute.h"
#include "print.h"

#include <inttypes.h>

static void print_layout(FILE *stream, layout l) {
    static const char *const texts[] = {"", " (transposed)", " (flipped)", " (expanded)",
                                        " (every other column)"};
    fputs(texts[l], stream);
}

static void print_bare_shape(FILE *stream, const extents *shape) {
    fputs("[", stream);
    for (int i = 0; i < shape->rank; i++)
        fprintf(stream, "%s%" PRId64, i > 0 ? "," : "", shape->at[i].times);
    fputs("]", stream);
}

void print_run(FILE *stream, const program *p, const char *indent) {
    static const char *const starts[] = {"zeros", "a constant", "a variable",
                                         "one row for all sequences", "that of the one before"};
    static const char *const readings[] = {"nothing", "a weighted sum", "a sum of sines",
                                           "the last step"};
    const run *r = &p->run;
    fprintf(stream, "%s%s, time %" PRId64 ", batch %" PRId64 ", input %" PRId64, indent,
            cb_dtype_name(p->dtype), r->time, r->batch, p->input);
    if (r->table > 0)
        fprintf(stream, ", x looked up in %" PRId64 " rows%s", r->table,
                r->rows ? " by the scan" : "");
    else
        print_layout(stream, r->x_layout);
    fprintf(stream, "%s%s%s%s%s%s%s%s%s\n", r->constant_x ? ", x constant" : "",
            r->narrow && (r->table > 0 || r->lengths) ? ", i32 indices" : "",
            r->lengths ? ", lengths" : "", r->reverse ? ", reverse" : "",
            r->no_gradient ? ", no gradient" : "", r->into ? ", gradients added" : "",
            r->asked != 0 ? ", gradients of some variables by cb_grad" : "",
            r->sweeps > 1 ? ", two sweeps" : "", r->runs > 1 ? ", two runs" : "");
    for (int s = 0; s < p->state_count; s++)
        fprintf(stream, "%sstate %d: %" PRId64 " columns, starts from %s%s\n", indent, s,
                p->state_size[s], starts[origin_of(p, s)],
                r->final[s] ? ", its last value is in the loss" : "");
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        fprintf(stream, "%sw%d ", indent, i);
        print_bare_shape(stream, &w->shape);
        print_layout(stream, w->layout);
        fputs(w->constant ? " constant" : "", stream);
        if (w->same_as >= 0)
            fprintf(stream, " the same as w%d", w->same_as);
        fputs("\n", stream);
    }
    fprintf(stream, "%sthe loss reads of the outputs: %s\n", indent, readings[r->output]);
}
