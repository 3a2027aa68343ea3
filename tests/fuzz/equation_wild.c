/* Texts whose lines are all of the language, and mean anything: few names, so that they meet often.
   Most contradict themselves in their sizes or in what a name is. */
#include "equation_mutate.h"

enum { TARGETS = 10 };

typedef struct wild {
    dice *dice;
    text *to;
    bool computed[TARGETS];
} wild;

static const char *const vectors[] = {"x", "h", "c", "m", "a", "b", "g", "i", "f", "p", "q"};
static const char *const matrices[] = {"W", "U", "V", "A"};
static const char *const targets[TARGETS] = {"h'", "c'", "m'", "a", "b", "g", "i", "f", "p", "q'"};
static const char *const numbers[] = {"0", "1", "2", "0.5", "k", "l", "hidden", "4", "3"};

static void put_any(wild *w, int depth);

static void put(wild *w, const char *piece) {
    text_put(w->to, "%s", piece);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

static void put_extent(wild *w, int depth) {
    static const char *const sizes[] = {"hidden", "input", "r", "s", "1", "2", "3", "4", "16", "k"};
    static const char *const signs[] = {" + ", " - ", " * ", " / "};
    if (depth == 0 || one_in(w->dice, 2)) {
        put(w, one_in(w->dice, 3) ? "hidden" : ONE_OF(w->dice, sizes));
        return;
    }
    bool brackets = one_in(w->dice, 4);
    put(w, brackets ? "(" : "");
    put_extent(w, depth - 1);
    put(w, ONE_OF(w->dice, signs));
    put_extent(w, depth - 1);
    put(w, brackets ? ")" : "");
}

static void put_size(wild *w) {
    put(w, "[");
    put_extent(w, 2);
    put(w, "]");
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static void put_call(wild *w, int depth) {
    static const struct {
        const char *name;
        int arguments, numbers;
    } calls[] = {{"tanh", 1, 0},       {"sigmoid", 1, 0},      {"softmax", 1, 0},
                 {"layernorm", 1, 1},  {"sum", 1, 0},          {"mean", 1, 0},
                 {"max", 1, 0},        {"maximum", 2, 0},      {"where", 3, 0},
                 {"leaky_relu", 1, 1}, {"clamp", 1, 2},        {"greater", 2, 0},
                 {"full_like", 1, 1},  {"stop_gradient", 1, 0}};
    int i = below(w->dice, (int)(sizeof(calls) / sizeof(calls[0])));
    int arguments = calls[i].arguments + (one_in(w->dice, 30) ? 1 : 0);
    text_put(w->to, "%s(", calls[i].name);
    for (int k = 0; k < arguments; k++) {
        put(w, k > 0 ? ", " : "");
        put_any(w, depth - 1);
    }
    for (int k = 0; k < calls[i].numbers; k++)
        text_put(w->to, ", %s", one_in(w->dice, 20) ? "a" : ONE_OF(w->dice, numbers));
    put(w, ")");
}

static void put_operation(wild *w, int depth) {
    static const char *const signs[] = {" + ", " + ", " * ", " * ", " - ", " / ", "^2 - "};
    bool brackets = one_in(w->dice, 3);
    put(w, brackets ? "(" : "");
    put_any(w, depth - 1);
    put(w, ONE_OF(w->dice, signs));
    put_any(w, depth - 1);
    put(w, brackets ? ")" : "");
}

static void put_join(wild *w, int depth) {
    int count = 1 + below(w->dice, 3);
    for (int i = 0; i < count; i++) {
        put(w, i == 0 ? "[" : ", ");
        put_any(w, depth - 1);
    }
    put(w, "]");
}

static void put_product(wild *w, int depth) {
    if (one_in(w->dice, 20))
        text_put(w->to, "heads %d ", below(w->dice, 5));
    put(w, ONE_OF(w->dice, matrices));
    put(w, one_in(w->dice, 5) ? "^T " : " ");
    if (one_in(w->dice, 2)) {
        put(w, ONE_OF(w->dice, vectors));
        return;
    }
    put(w, "(");
    put_any(w, depth - 1);
    put(w, ")");
}

static void put_any(wild *w, int depth) {
    switch (depth > 0 ? below(w->dice, 10) : 9) {
    case 0:
    case 1:
    case 2:
        put_operation(w, depth);
        break;
    case 3:
    case 4:
        put_call(w, depth);
        break;
    case 5:
        put_join(w, depth);
        break;
    case 6:
    case 7:
        put_product(w, depth);
        break;
    case 8:
        put(w, one_in(w->dice, 2) ? "-" : ONE_OF(w->dice, numbers));
        put(w, " * ");
        put_any(w, depth - 1);
        break;
    default:
        put(w, one_in(w->dice, 8) ? ONE_OF(w->dice, numbers) : ONE_OF(w->dice, vectors));
        put(w, one_in(w->dice, 60) ? "'" : "");
    }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Mostly one that has no equation yet, and no state where it is one of several. */
static void put_target(wild *w, bool alone) {
    int i = below(w->dice, TARGETS);
    for (int tries = 0; tries < 20 && (w->computed[i] || (targets[i][1] != '\0' && !alone));
         tries++)
        i = below(w->dice, TARGETS);
    w->computed[i] = true;
    put(w, targets[i]);
}

static void put_equation(wild *w) {
    int parts = one_in(w->dice, 6) ? 2 + below(w->dice, 2) : 1;
    for (int i = 0; i < parts; i++) {
        put(w, i > 0 ? ", " : "");
        put_target(w, parts == 1);
        if (i == 0 && one_in(w->dice, 8))
            put_size(w);
    }
    put(w, parts > 1 ? " = split(" : " = ");
    put_any(w, below(w->dice, 5));
    put(w, parts > 1 ? ")" : "");
}

static void put_init(wild *w) {
    static const char *const rules[] = {
        "= 1",           "= k",        "= 1 / hidden", "uniform(0, 1)",     "uniform(1, l)",
        "normal(0, -1)", "orthogonal", "zeros",        "glorot_uniform(2)", "kaiming_normal(k)"};
    text_put(w->to, "init %s ",
             one_in(w->dice, 2) ? ONE_OF(w->dice, matrices) : ONE_OF(w->dice, vectors));
    put(w, ONE_OF(w->dice, rules));
}

static void put_declaration(wild *w) {
    switch (below(w->dice, 12)) {
    case 0:
        text_put(w->to, "let %s = ", one_in(w->dice, 2) ? "k" : "l");
        put_any(w, below(w->dice, 2));
        break;
    case 1:
        text_put(w->to, "size %s = ", one_in(w->dice, 2) ? "r" : "s");
        put_extent(w, 2);
        break;
    case 2:
        text_put(w->to, "state %s", ONE_OF(w->dice, vectors));
        put_size(w);
        break;
    case 3:
        text_put(w->to, "input %s", ONE_OF(w->dice, vectors));
        put_size(w);
        break;
    case 4:
        text_put(w->to, "heads %d %s", below(w->dice, 5), ONE_OF(w->dice, matrices));
        break;
    case 5:
        text_put(w->to, "output %s", ONE_OF(w->dice, vectors));
        break;
    case 6:
        text_put(w->to, "observe %s", ONE_OF(w->dice, vectors));
        break;
    default:
        put_init(w);
    }
}

/* x and the other names of numbers and sizes are used, and what is computed is observed: otherwise
   most texts would be wrong for these reasons. */
static void put_uses(wild *w) {
    put(w, "let k = 0.5\nlet l = k + 1\nsize r = 3\nsize s = hidden / 2\n"
           "state h_0[r]\nstate h_1[s]\nh_0' = l * (W_0 x)\nh_1' = h_1\n");
    for (int i = 0; i < TARGETS; i++)
        if (w->computed[i] && targets[i][1] == '\0')
            text_put(w->to, "observe %s\n", targets[i]);
}

void wild_lines(dice *by, text *to) {
    wild w = {.dice = by, .to = to};
    for (int lines = 1 + below(by, 7); lines > 0; lines--) {
        if (one_in(by, 6))
            put_declaration(&w);
        else
            put_equation(&w);
        put(&w, "\n");
    }
    if (!one_in(by, 10))
        put_uses(&w);
}
