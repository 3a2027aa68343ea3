/* The generator knows the size of everything that it writes, and keeps to these rules, so that its
   texts are right:

   - A vector of another size than the hidden one is declared, or is a parameter that meets one that
     is.
   - A vector of size 1, which meets all others unit by unit, is declared, or a sum over units.
   - A value is computed from values of lines that were drawn before it. Then lines are shuffled.
   - Names are declared when they are first used.

   States are bounded, so that a sequence stays far from infinity. */
#include "equation_draw.h"
#include "equation_drawing.h"

#include <string.h>

/* ---- Equations ------------------------------------------------------------------------------- */

static extent any_extent(drawing *d) {
    return one_in(d->dice, 2) ? HIDDEN : (extent)below(d->dice, EXTENTS);
}

static void draw_result(drawing *d) {
    extent size = any_extent(d);
    text *before = begin_line(d);
    char name[24];
    new_name(d, one_in(d->dice, 6), name);
    text_put(d->line, "%s", name);
    if (size != HIDDEN || one_in(d->dice, 6))
        put_size(d, size);
    put_blank(d);
    text_put(d->line, "=");
    put_wide_blank(d);
    put_expression(d, size, 1 + below(d->dice, 4), LOOSE);
    end_line(d, before);
    if (d->thing_count < MOST_THINGS) {
        thing *t = new_thing(d, THING_RESULT, size, ONE);
        memcpy(t->name, name, sizeof(name));
    }
}

/* Some gates at once, from products that no other line has. */
static void draw_split(drawing *d) {
    extent size = one_in(d->dice, 2) ? HIDDEN : one_in(d->dice, 2) ? HALF : FEW;
    int count = 2 + below(d->dice, 3);
    thing parts[4];
    if (d->thing_count + count + 8 > MOST_THINGS)
        return;
    text *before = begin_line(d);
    for (int i = 0; i < count; i++) {
        parts[i] = (thing){.kind = THING_RESULT, .size = size};
        new_name(d, false, parts[i].name);
        text_put(d->line, "%s%s", i > 0 ? ", " : "", parts[i].name);
        if (i == 0 && size != HIDDEN)
            put_size(d, size);
    }
    char weight[24], recurrent[24], bias[24];
    new_name(d, true, weight);
    new_name(d, true, recurrent);
    new_name(d, false, bias);
    text_put(d->line, " = split(%s ", weight);
    d->multiplied = true;
    put_expression(d, one_in(d->dice, 2) ? INPUT : HIDDEN, 1, APPLICATION);
    text_put(d->line, " + %s ", recurrent);
    d->multiplied = true;
    put_expression(d, HIDDEN, 1, APPLICATION);
    d->multiplied = false;
    text_put(d->line, " + %s)", bias);
    end_line(d, before);
    for (int i = 0; i < count; i++)
        d->things[d->thing_count++] = parts[i];
}

/* The new value of a state: bounded, whatever it is made of. */
static void draw_next(drawing *d, int state, bool declared) {
    static const struct {
        const char *before, *after;
    } bounds[] = {{"tanh(", ")"}, {"sigmoid(", ")"}, {"0.5 * sin(", ")"}, {"clamp(", ", -2, 2)"},
                  {"erf(", ")"},  {"softmax(", ")"}, {"1 - σ(", ")"}};
    extent size = d->things[state].size;
    int i = below(d->dice, (int)(sizeof(bounds) / sizeof(bounds[0])));
    text *before = begin_line(d);
    text_put(d->line, "%s", d->things[state].name);
    put_prime(d);
    if (!declared)
        put_size(d, size);
    text_put(d->line, " = ");
    if (one_in(d->dice, 4))
        text_put(d->line, "0.5 * %s + ", d->things[state].name);
    text_put(d->line, "%s", bounds[i].before);
    put_expression(d, size, 2 + below(d->dice, 3), LOOSE);
    text_put(d->line, "%s", bounds[i].after);
    end_line(d, before);
    d->things[state].computed = true;
}

/* ---- Declarations ---------------------------------------------------------------------------- */

/* A state and whether a line declares its size; those of another size than the hidden one need it
   there or at their equation. */
static bool draw_state(drawing *d, extent size) {
    thing *t = new_thing(d, THING_STATE, size, ONE);
    bool declared = size == HIDDEN ? one_in(d->dice, 6) : one_in(d->dice, 2);
    if (declared) {
        text *before = begin_line(d);
        text_put(d->line, "state %s", t->name);
        put_size(d, size);
        end_line(d, before);
    }
    return declared || (size == HIDDEN && !one_in(d->dice, 6));
}

/* An input, which has to be used: it is, at once. */
static void draw_input(drawing *d) {
    static const extent sizes[] = {ONE, INPUT, FEW, HIDDEN};
    thing *t = new_thing(d, THING_INPUT, ONE_OF(d->dice, sizes), ONE);
    text *before = begin_line(d);
    text_put(d->line, "input %s", t->name);
    put_size(d, t->size);
    end_line(d, before);
}

static void draw_init(drawing *d, const thing *t) {
    static const char *const of_matrices[] = {"= 0.1",
                                              "uniform(-0.1, 0.1)",
                                              "normal(0, 0.5)",
                                              "orthogonal",
                                              "orthogonal(0.5)",
                                              "glorot_uniform",
                                              "glorot_normal(2)",
                                              "kaiming_uniform(1)",
                                              "kaiming_normal",
                                              "zeros",
                                              "uniform(-1 / hidden, 1 / hidden)"};
    static const char *const of_vectors[] = {
        "= 1", "= -0.5", "zeros", "uniform(-1, 1)", "= log(hidden)", "normal(1, 0.1)"};
    text *before = begin_line(d);
    text_put(d->line, "init %s %s", t->name,
             t->kind == THING_STATE    ? "= 0.25"
             : t->kind == THING_MATRIX ? ONE_OF(d->dice, of_matrices)
                                       : ONE_OF(d->dice, of_vectors));
    end_line(d, before);
}

/* What is left to say: of results that no line uses, that they are observed. */
static void draw_rest(drawing *d) {
    text *before;
    for (int i = 0; i < d->thing_count && d->line_count < MOST_LINES - 2; i++) {
        const thing *t = &d->things[i];
        bool value = t->kind == THING_RESULT || t->kind == THING_STATE;
        if ((t->kind == THING_RESULT && !t->used) || (value && one_in(d->dice, 12))) {
            before = begin_line(d);
            text_put(d->line, "observe %s", t->name);
            end_line(d, before);
        }
        if (t->kind != THING_RESULT && t->kind != THING_INPUT && one_in(d->dice, 8))
            draw_init(d, t);
    }
    if (one_in(d->dice, 3)) {
        before = begin_line(d);
        text_put(d->line, "output %s", d->things[0].name); /* the first state */
        end_line(d, before);
    }
}

/* ---- The text -------------------------------------------------------------------------------- */

static void join_lines(drawing *d, text *to) {
    const char *end = one_in(d->dice, 6) ? "\r\n" : "\n";
    for (int i = d->line_count - 1; i > 0; i--) {
        int k = below(d->dice, i + 1);
        text line = d->lines[i];
        d->lines[i] = d->lines[k];
        d->lines[k] = line;
    }
    text_put(to, "%s%s", one_in(d->dice, 10) ? "\xEF\xBB\xBF" : "",
             one_in(d->dice, 4) ? "# cell: drawn\n\n" : "");
    for (int i = 0; i < d->line_count; i++) {
        text_add(to, d->lines[i].bytes, d->lines[i].length);
        text_put(to, "%s%s", i + 1 < d->line_count || one_in(d->dice, 2) ? end : "",
                 one_in(d->dice, 8) ? end : "");
        text_free(&d->lines[i]);
    }
}

void draw_cell(dice *by, text *to) {
    drawing d = {.dice = by};
    bool declared[6];
    int states = 1 + below(by, 4);
    d.plain = one_in(by, 3) ? 3 : 200;
    for (int i = 0; i < states; i++)
        declared[i] = draw_state(&d, i == 0 && one_in(by, 2) ? HIDDEN : any_extent(&d));
    int inputs = one_in(by, 4) ? 1 + below(by, 2) : 0;
    for (int i = 0; i < inputs; i++)
        draw_input(&d);
    for (int results = below(by, 6); results > 0; results--)
        if (one_in(by, 4))
            draw_split(&d);
        else
            draw_result(&d);
    for (int i = 0; i < states; i++) {
        draw_next(&d, i, declared[i]);
        if (one_in(by, 4))
            draw_result(&d);
    }
    /* x and each further input are used. */
    text *before = begin_line(&d);
    text_put(d.line, "last = mean(x)");
    for (int i = 0; i < d.thing_count; i++)
        if (d.things[i].kind == THING_INPUT && !d.things[i].used)
            text_put(d.line, " + sum(%s)", d.things[i].name);
    end_line(&d, before);
    before = begin_line(&d);
    text_put(d.line, "observe last");
    end_line(&d, before);
    draw_rest(&d);
    join_lines(&d, to);
}
