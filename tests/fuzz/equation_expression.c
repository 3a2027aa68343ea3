/* Expressions of known sizes, in many spellings. */
#include "equation_drawing.h"

#include <stdio.h>

/* ---- Spelling -------------------------------------------------------------------------------- */

void put_blank(drawing *d) {
    static const char *const others[] = {"", "  ", "\t", "\xC2\xA0", "\xE2\x80\x89"};
    text_put(d->line, "%s", one_in(d->dice, d->plain) ? ONE_OF(d->dice, others) : " ");
}

void put_wide_blank(drawing *d) {
    static const char *const others[] = {"\n    ", " # = more follows\n\t", "\r\n ", "\n\n"};
    if (one_in(d->dice, 2 * d->plain))
        text_put(d->line, "%s", ONE_OF(d->dice, others));
    else
        put_blank(d);
}

static void sign(drawing *d, const char *plain, const char *other) {
    put_blank(d);
    text_put(d->line, "%s", one_in(d->dice, d->plain) ? other : plain);
    put_wide_blank(d);
}

static void put_times(drawing *d) {
    static const char *const others[] = {"⊙", "∘", "·", "×", "∗", "⋅"};
    sign(d, "*", ONE_OF(d->dice, others));
}

static void put_minus(drawing *d) {
    sign(d, "-", "−");
}

void put_prime(drawing *d) {
    static const char *const others[] = {"′", "’"};
    text_put(d->line, "%s", one_in(d->dice, d->plain) ? ONE_OF(d->dice, others) : "'");
}

void new_name(drawing *d, bool matrix, char name[24]) {
    static const char *const small[] = {"a", "g", "gate", "η", "ж", "é", "state", "x_", "_", "t"};
    static const char *const large[] = {"W", "U", "Ω", "V_", "Жы", "É", "Rec", "T"};
    static const char *const digits[] = {"₀", "₁", "₂", "₃"};
    int number = d->name_count++;
    const char *stem = matrix ? ONE_OF(d->dice, large) : ONE_OF(d->dice, small);
    if (number < 4 && one_in(d->dice, 4))
        snprintf(name, 24, "%s%s", stem, digits[number]);
    else
        snprintf(name, 24, "%s%d", stem, number);
}

thing *new_thing(drawing *d, thing_kind kind, extent size, extent columns) {
    thing *t = &d->things[d->thing_count++];
    *t = (thing){.kind = kind, .size = size, .columns = columns};
    new_name(d, kind == THING_MATRIX, t->name);
    return t;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

text *begin_line(drawing *d) {
    text *before = d->line;
    d->line = &d->lines[d->line_count++];
    return before;
}

void end_line(drawing *d, text *before) {
    static const char *const ends[] = {" # a comment", " #", "\t", " # ' = [ ("};
    if (one_in(d->dice, d->plain))
        text_put(d->line, "%s", ONE_OF(d->dice, ends));
    d->line = before;
}

void put_size(drawing *d, extent size) {
    static const char *const doubles[] = {"2 * hidden", "hidden + hidden", "hidden * 4 / 2",
                                          "(3 * hidden - hidden)"};
    if (size == FEW && !d->few_declared && d->line_count < MOST_LINES - 8) {
        d->few_declared = true;
        text *before = begin_line(d);
        text_put(d->line, "size few = %d", 3);
        end_line(d, before);
    }
    static const char *const names[] = {
        [HIDDEN] = "hidden", [INPUT] = "input", [ONE] = "1", [HALF] = "hidden / 2", [FEW] = "few"};
    text_put(d->line, "[%s]", size == DOUBLE ? ONE_OF(d->dice, doubles) : names[size]);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static const char *const numbers[] = {"0.5", "2", "1", "0.25", ".75", "1e-1", "1.5", "3E-1", "1."};

static void put_number(drawing *d) {
    static const char *const sums[] = {"(1 - 0.3)", "2^0.5",     "sqrt(hidden) / 4", "exp(-1)",
                                       "1 / input", "tanh(0.4)", "(-0.5)",           "hidden / 10"};
    switch (below(d->dice, 6)) {
    case 0:
        text_put(d->line, "%s", ONE_OF(d->dice, sums));
        return;
    case 1:
        if (d->let_count < 6 && d->line_count < MOST_LINES - 8) {
            text *before = begin_line(d);
            int computed = d->let_count > 0 && one_in(d->dice, 3);
            text_put(d->line, "let k%d = %s", d->let_count++, ONE_OF(d->dice, numbers));
            if (computed)
                text_put(d->line, " * k%d", below(d->dice, d->let_count - 1));
            end_line(d, before);
            text_put(d->line, "k%d", d->let_count - 1);
            return;
        }
    /* fall through */
    default:
        text_put(d->line, "%s", ONE_OF(d->dice, numbers));
    }
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

/* One that has this size, each with the same chance; NULL. declared: no parameter, whose size is
   only found out. */
static thing *any_of_size(drawing *d, extent size, bool declared) {
    thing *found = NULL;
    int count = 0;
    for (int i = 0; i < d->thing_count; i++) {
        thing *t = &d->things[i];
        bool may = t->kind != THING_MATRIX && (!declared || t->kind != THING_VECTOR);
        if (may && t->size == size && one_in(d->dice, ++count))
            found = t;
    }
    return found;
}

/* A matrix times a parameter alone is refused. */
static void put_thing(drawing *d, thing *t) {
    bool alone = d->multiplied && t->kind == THING_VECTOR;
    t->used = true;
    d->multiplied = false;
    text_put(d->line, alone ? "(1 * %s)" : "%s", t->name);
    if (t->kind == THING_STATE && t->computed && one_in(d->dice, 2))
        put_prime(d);
}

static void put_leaf(drawing *d, extent size) {
    static const char *const sums[] = {"sum", "mean", "max", "min", "logsumexp"};
    thing *found = any_of_size(d, size, false);
    if (size == INPUT && (found == NULL || one_in(d->dice, 2))) {
        text_put(d->line, "x");
    } else if (size == ONE && (found == NULL || one_in(d->dice, 2))) {
        text_put(d->line, "%s(", ONE_OF(d->dice, sums));
        put_leaf(d, one_in(d->dice, 2) ? HIDDEN : INPUT);
        text_put(d->line, ")");
    } else if (found != NULL &&
               (size == ONE || d->thing_count == MOST_THINGS || !one_in(d->dice, 5))) {
        put_thing(d, found);
    } else if (d->thing_count < MOST_THINGS) {
        put_thing(d, new_thing(d, THING_VECTOR, size, ONE));
    } else {
        text_put(d->line, "x");
    }
}

/* ---- Expressions ----------------------------------------------------------------------------- */

/* One of the functions of one vector and numbers. Where the function has a pole, the vector is kept
   away from it. */
static void put_unary(drawing *d, extent size, int depth) {
    static const struct {
        const char *before, *after;
    } calls[] = {{"tanh(", ")"},
                 {"sigmoid(", ")"},
                 {"σ(", ")"},
                 {"relu(", ")"},
                 {"abs(", ")"},
                 {"square(", ")"},
                 {"sin(", ")"},
                 {"cos(", ")"},
                 {"erf(", ")"},
                 {"silu(", ")"},
                 {"gelu(", ")"},
                 {"softplus(", ")"},
                 {"neg(", ")"},
                 {"sign(", ")"},
                 {"positive(", ")"},
                 {"leaky_relu(", ", 0.1)"},
                 {"elu(", ", 0.7)"},
                 {"clamp(", ", -1, 1)"},
                 {"affine(", ", 2, -0.5)"},
                 {"scale(", ", 0.5)"},
                 {"shift(", ", 1)"},
                 {"huber_residual(", ", 1)"},
                 {"full_like(", ", 0.3)"},
                 {"exp(tanh(", "))"},
                 {"log(1 + square(", "))"},
                 {"log1p(square(", "))"},
                 {"expm1(sigmoid(", "))"},
                 {"sqrt(0.1 + square(", "))"},
                 {"rsqrt(1 + square(", "))"},
                 {"reciprocal(2 + sin(", "))"},
                 {"power(0.5 + sigmoid(", "), 1.5)"},
                 {"softmax(", ")"},
                 {"log_softmax(", ")"},
                 {"layernorm(", ")"},
                 {"layernorm(", ", 0.001)"},
                 {"stop_gradient(", ")"}};
    int i = below(d->dice, (int)(sizeof(calls) / sizeof(calls[0])));
    text_put(d->line, "%s", calls[i].before);
    put_expression(d, size, depth - 1, LOOSE);
    text_put(d->line, "%s", calls[i].after);
}

static void put_call_of_two(drawing *d, extent size, int depth) {
    static const char *const functions[] = {"add", "sub", "mul", "maximum", "minimum"};
    text_put(d->line, "%s(", ONE_OF(d->dice, functions));
    put_expression(d, size, depth - 1, LOOSE);
    text_put(d->line, ",");
    put_wide_blank(d);
    put_expression(d, size, depth - 1, LOOSE);
    text_put(d->line, ")");
}

static void put_choice(drawing *d, extent size, int depth) {
    static const char *const comparisons[] = {"less",          "greater", "less_equal",
                                              "greater_equal", "equal",   "not_equal"};
    text_put(d->line, "where(%s(", ONE_OF(d->dice, comparisons));
    put_expression(d, size, depth - 1, LOOSE);
    text_put(d->line, ", ");
    if (one_in(d->dice, 2))
        put_number(d);
    else
        put_expression(d, size, 0, LOOSE);
    text_put(d->line, "),");
    put_wide_blank(d);
    put_expression(d, size, depth - 1, LOOSE);
    text_put(d->line, ", ");
    put_expression(d, size, 0, LOOSE);
    text_put(d->line, ")");
}

/* A matrix with these rows and columns, or one the other way round, to be transposed; NULL. */
static thing *any_matrix(drawing *d, extent rows, extent columns) {
    for (int i = 0; i < d->thing_count; i++)
        if (d->things[i].kind == THING_MATRIX && d->things[i].size == rows &&
            d->things[i].columns == columns && one_in(d->dice, 2))
            return &d->things[i];
    return NULL;
}

static bool divides_by_two(extent size) {
    return size == HIDDEN || size == DOUBLE || size == INPUT || size == HALF;
}

static thing *new_matrix(drawing *d, extent rows, extent columns) {
    thing *t = new_thing(d, THING_MATRIX, rows, columns);
    if (divides_by_two(rows) && divides_by_two(columns) && one_in(d->dice, 8) &&
        d->line_count < MOST_LINES - 8) {
        text *before = begin_line(d);
        text_put(d->line, "heads 2 %s", t->name);
        end_line(d, before);
        t->used = true; /* it has them */
    }
    return t;
}

static void put_product(drawing *d, extent size, int depth) {
    static const char *const transpositions[] = {"^T", "ᵀ", "⊤", "^ T"};
    static const extent sizes[] = {HIDDEN, HIDDEN, HIDDEN, INPUT, INPUT, HALF, FEW, DOUBLE, ONE};
    extent columns = ONE_OF(d->dice, sizes);
    thing *t = any_matrix(d, size, columns), *across = NULL;
    if (t == NULL)
        across = any_matrix(d, columns, size);
    bool fresh = t == NULL && across == NULL && d->thing_count < MOST_THINGS;
    if (fresh)
        t = new_matrix(d, size, columns);
    if (t == NULL && across == NULL) {
        put_leaf(d, size);
        return;
    }
    bool heads =
        fresh && !t->used && divides_by_two(size) && divides_by_two(columns) && one_in(d->dice, 8);
    text_put(d->line, "%s%s", heads ? "heads 2 " : "", t != NULL ? t->name : across->name);
    if (t == NULL)
        text_put(d->line, "%s", ONE_OF(d->dice, transpositions));
    text_put(d->line, "%s", one_in(d->dice, 2 * d->plain) ? "·" : " ");
    d->multiplied = true;
    put_expression(d, columns, depth - 1, APPLICATION);
    d->multiplied = false;
}

/* A vector and a number, in one of the ways in which they meet. */
static void put_with_number(drawing *d, extent size, int depth) {
    switch (below(d->dice, 4)) {
    case 0:
        put_number(d);
        put_times(d);
        put_expression(d, size, depth - 1, FACTOR);
        return;
    case 1:
        put_expression(d, size, depth - 1, PRODUCT);
        text_put(d->line, " / %s", ONE_OF(d->dice, numbers));
        return;
    case 2:
        put_expression(d, size, depth - 1, FACTOR);
        put_times(d);
        put_number(d);
        return;
    default:
        put_number(d);
        text_put(d->line, " / (2 + square(");
        put_expression(d, size, depth - 1, LOOSE);
        text_put(d->line, "))");
    }
}

static void put_sum(drawing *d, extent size, int depth) {
    bool number = one_in(d->dice, 4);
    if (number && one_in(d->dice, 2)) {
        put_number(d);
        put_minus(d);
    } else {
        put_expression(d, size, depth - 1, SUM);
        if (one_in(d->dice, 3))
            put_minus(d);
        else
            sign(d, "+", "+");
        if (number) {
            put_number(d);
            return;
        }
    }
    put_expression(d, size, depth - 1, PRODUCT);
}

static void put_multiplication(drawing *d, extent size, int depth) {
    bool one = one_in(d->dice, 5); /* a vector of size 1, for all units */
    put_expression(d, one ? ONE : size, one ? 0 : depth - 1, PRODUCT);
    if (one_in(d->dice, 6)) {
        text_put(d->line, " / (1 + square(");
        put_expression(d, size, depth - 1, LOOSE);
        text_put(d->line, "))");
    } else {
        put_times(d);
        put_expression(d, size, depth - 1, FACTOR);
    }
}

static void put_power(drawing *d, extent size, int depth) {
    static const char *const exponents[] = {"2", "3", "-1", "0.5", "1", "1.5"};
    if (one_in(d->dice, 2)) {
        text_put(d->line, "(0.5 + sigmoid(");
        put_expression(d, size, depth - 1, LOOSE);
        text_put(d->line, "))^");
        if (one_in(d->dice, 2))
            text_put(d->line, "%s", ONE_OF(d->dice, exponents));
        else
            put_expression(d, size, 0, FACTOR);
    } else {
        put_expression(d, size, depth - 1, APPLICATION);
        text_put(d->line, "^2");
    }
}

/* [a, b], of vectors whose sizes are known by themselves. */
static bool may_join(drawing *d, extent size) {
    return size == DOUBLE || (size == HIDDEN && any_of_size(d, HALF, true) != NULL);
}

static void put_join(drawing *d, extent size) {
    for (int i = 0; i < 2; i++) {
        text_put(d->line, "%s", i == 0 ? "[" : ",");
        put_wide_blank(d);
        if (size == DOUBLE)
            put_leaf(d, HIDDEN);
        else
            put_thing(d, any_of_size(d, HALF, true));
    }
    text_put(d->line, "]");
}

/* What is drawn, and how strongly its parts hold together: with less than `least`, it needs
   brackets. */
void put_expression(drawing *d, extent size, int depth, int least) {
    static const struct {
        int own;
        void (*put)(drawing *d, extent size, int depth);
    } forms[] = {{SUM, put_sum},
                 {SUM, put_sum},
                 {PRODUCT, put_multiplication},
                 {PRODUCT, put_multiplication},
                 {PRODUCT, put_with_number},
                 {POWER, put_power},
                 {APPLICATION, put_product},
                 {APPLICATION, put_product},
                 {APPLICATION, put_product},
                 {PRIMARY, put_unary},
                 {PRIMARY, put_unary},
                 {PRIMARY, put_call_of_two},
                 {PRIMARY, put_choice}};
    int i = below(d->dice, (int)(sizeof(forms) / sizeof(forms[0])));
    bool leaf = depth <= 0 || size == ONE || one_in(d->dice, 8);
    bool join = !leaf && may_join(d, size) && one_in(d->dice, 10);
    bool negative = !leaf && !join && one_in(d->dice, 16);
    int own = leaf || join ? PRIMARY : negative ? FACTOR : forms[i].own;
    bool brackets = own < least || one_in(d->dice, 30);
    text_put(d->line, brackets ? "(" : "");
    if (leaf) {
        put_leaf(d, size);
    } else if (join) {
        put_join(d, size);
    } else if (negative) {
        text_put(d->line, "-");
        put_expression(d, size, depth - 1, FACTOR);
    } else {
        forms[i].put(d, size, depth);
    }
    text_put(d->line, brackets ? ")" : "");
}
