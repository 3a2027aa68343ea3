/* Texts that are cells, in all the ways in which one may be written; and cells as the text that
   they are printed as. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <dirent.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static cb_cell *parsed(const char *text) {
    cb_error error;
    cb_cell *cell = cb_cell_parse(text, NULL, &error);
    cr_assert_not_null(cell, "%s\n%s", text, error.message);
    return cell;
}

/* ---- Printing -------------------------------------------------------------------------------- */

/* malloc'd. */
static char *printed(const cb_cell *cell) {
    size_t length = cb_cell_equations(cell, NULL, 0);
    char *text = malloc(length + 1);
    cr_assert_eq(cb_cell_equations(cell, text, length + 1), length);
    cr_assert_eq(strlen(text), length);
    return text;
}

static bool same_extent(const cb_cell *a, const cb_cell_extent *of_a, const cb_cell *b,
                        const cb_cell_extent *of_b) {
    static const int64_t sizes[][2] = {{48, 96}, {240, 480}, {480, 96}};
    for (int i = 0; i < 3; i++)
        if (cb_cell_extent_of(a, of_a, sizes[i][0], sizes[i][1], NULL) !=
            cb_cell_extent_of(b, of_b, sizes[i][0], sizes[i][1], NULL))
            return false;
    return true;
}

static void expect_same_param(const cb_cell *a, int i, const cb_cell *b) {
    const cb_cell_param *p = &a->params[i], *q = NULL;
    int k = 0;
    for (; k < b->param_count && q == NULL; k++)
        q = strcmp(b->params[k].name, p->name) == 0 ? &b->params[k] : NULL;
    cr_assert_not_null(q, "%s", p->name);
    cb_init of_p = a->param_init(a, i, 48, 96, NULL), of_q = b->param_init(b, k - 1, 48, 96, NULL);
    cr_expect(same_extent(a, &p->rows, b, &q->rows), "%s", p->name);
    cr_expect(same_extent(a, &p->columns, b, &q->columns), "%s", p->name);
    cr_expect(p->role == q->role && p->blocks == q->blocks, "%s", p->name);
    cr_expect(of_p.kind == of_q.kind && of_p.a == of_q.a && of_p.b == of_q.b &&
                  of_p.gain == of_q.gain,
              "%s", p->name);
}

static void expect_same_states(const cb_cell *a, const cb_cell *b) {
    for (int i = 0; i < a->state_count; i++) {
        int k = 0;
        while (k < b->state_count && strcmp(b->state_names[k], a->state_names[i]) != 0)
            k++;
        cr_assert_lt(k, b->state_count, "%s", a->state_names[i]);
        cr_expect(i > 0 || k == 0, "the output is %s, not %s", b->state_names[0],
                  a->state_names[0]);
        cr_expect(same_extent(a, &a->state_sizes[i], b, &b->state_sizes[k]), "%s",
                  a->state_names[i]);
        cr_expect_eq(a->state_value(a, i, 48, 96, NULL), b->state_value(b, k, 48, 96, NULL));
    }
}

/* The printed text is the same cell, and is printed as itself. */
static void expect_round_trip(const cb_cell *cell) {
    char *text = printed(cell);
    cb_cell *again = parsed(text);
    char *second = printed(again);
    cb_cell *last = parsed(second);
    char *third = printed(last);
    cr_expect_eq(again->state_count, cell->state_count, "%s", text);
    cr_expect_eq(again->param_count, cell->param_count, "%s", text);
    cr_expect_eq(again->input_count, cell->input_count, "%s", text);
    cr_expect_eq(again->observed_count, cell->observed_count, "%s", text);
    cr_expect_eq(again->setting_count, cell->setting_count, "%s", text);
    for (int i = 0; i < cell->param_count; i++)
        expect_same_param(cell, i, again);
    expect_same_states(cell, again);
    cr_expect_str_eq(third, second);
    free(text);
    free(second);
    free(third);
    cb_cell_free(again);
    cb_cell_free(last);
}

/* ---- Ways to write --------------------------------------------------------------------------- */

static const char *const texts[] = {
    "h' = W x",
    "h' = W x\n",
    "\n\n  h' = W x  \n\n",
    "h'=W x",
    "\xEF\xBB\xBFh' = tanh(W x)\r\n\r\nc' = h\r\n",
    "# a comment\nh' = W x # another\n# and one at the end, without a line end",
    "#\n#\nh' = # the value comes next\n  W x\n",
    "h' = tanh(W x\n          + U h  # more\n\n          + b)\n",
    "h' = W x +\n     U h +\n\n     b",
    "h' = W x\n   + U h\n   - b\n\nc' = c\n  * h",
    "h' = [\nW x,\n\nU h\n]",
    "a, b =\n split(W x)\nh' = a * b",
    "a,\nb = split(W x)\nh' = a * b",
    /* Sizes as numbers. */
    "size m = 32\nstate s[m]\ns' = W x\nh' = U s / sqrt(m)",
    "size m = 4\nlet k = 1 / m\nh' = k * W x\ns'[m] = V x\ninit V normal(0, 1 / sqrt(m))",
    "size m = 2 * 4\ns'[m] = V x / m\nh' = W s'",
    /* Names that look like time steps, or like letters with accents. */
    "T = sigmoid(W_t x + U_t h + b_t)\nh' = T * h + (1 - T) * tanh(W x + γ_t)",
    "h' = tanh(W x + V q)\ninit q = 1",
    "ẋ = tanh(V x)\nṽ = ẏ * ẋ\nh' = Ẇ ṽ + U h",
    /* The signs of papers. */
    "h′ = σ(W x) ⊙ h ∘ h · h ⋅ h ∙ h × h ∗ h − b – g",
    "h' = W · x + U⋅h + Vᵀ h + V⊤ h + V^T h + b",
    "c’ = W x\nh’ = c′",
    "h' =\xC2\xA0W\xE2\x80\x89x",
    /* Names. */
    "h' = W_θ x + Ω h + μ + Ψ_1 h",
    "état' = Élan x + ü\noutput état",
    "h₁' = W₁ x + c₁₂ᵢ",
    "x̃ = W x\nh' = x̃",
    "ж' = Ж x",
    "h_tilde' = W_tilde x + _b",
    "T' = W^T T + U x",
    "a = W x\nh' = a * t + V a + Tanh_1 (a)",
    /* Words of the language as names; functions as names that are not called. */
    "state = W x\nlet = state\nh' = let + size + output + init",
    "size' = W x\noutput size",
    "output output\noutput' = W x",
    "heads = x\nh' = W heads + observe",
    "tanh = W x\nh' = scale * tanh + mean\ninit scale = 1\ninit mean = 0",
    "init scale = 1\nh' = scale * W x + scale(U h, 2)",
    "sigmoid = σ(W x)\nh' = sigmoid",
    /* Numbers. */
    "h' = 1 * (W x) + 1. * h + .5 * h + 1e-3 * h + 2E+2 * h + 0.1e1 * h",
    "let a = -0.1\nlet b = 2^-a / 3 - --1\nh' = a * b * W x",
    "h' = 1 + 2 + b - 1 + W x",
    "h' = 2\nc' = W x\noutput c",
    "h' = 2^h + h^2 + h^h^2 + (h^2)^3 + W x^2 + (-h)^2 + -h^2",
    /* Sizes. */
    "size r = 2 * hidden + input / 2 - 1\nstate m[r]\nm' = W x\nh' = V m",
    "m'[hidden / 2] = W x\nh' = V m",
    "a[3], b = split(W x)\nh' = U a + V b",
    "size r = -1 + hidden\na[r] = W x\nh' = V a",
    "state h[input]\nh' = h + x",
    "h' = W x + sum(h) * b + U [h, sum(x)]",
    "a, b, c = split(W x)\nh' = a * b + c",
    "input gap[1], mask[input]\nh' = W (mask * x) * exp(-gap)",
    "state m[1]\nm' = mean(x)\nh' = W x * m",
    "heads 4 U, V\nheads 1 W\nh' = W x + U h + V^T h",
    "h' = W x +\n  heads 4 U h + (\n  heads 2 V h + heads 4 U h)",
    "state h[8]\nstate m[3]\nm' = V x\nh' = [m, W x]",
    "let a = 2\nlet c = 3 * a\nlet d = c / hidden\nh' = W x + d * b\ninit b uniform(0, c * d)",
    "state y[2]\ny' = tanh(b)\nh' = W x + V y",
    /* First values. */
    "let k = 2\nh' = W x + U h + b + c + d\ninit b, c = 1 / k\ninit d uniform(-k, k)\n"
    "init W normal(0, 1 / sqrt(input))\ninit U orthogonal(2)\ninit h = -1",
    "h' = W x + U h + V h + A h + b\ninit W zeros\ninit U glorot_uniform\ninit V glorot_normal(2)\n"
    "init A kaiming_uniform\ninit b kaiming_normal(0.5)",
    /* What a line means does not depend on its place. */
    "init b = 1\nobserve g, h\noutput c\nheads 2 U\nh' = g * c\nstate c[hidden]\nc' = g * x_1\n"
    "x_1 = V x\ng = sigmoid(W x + U h + k * b)\nlet k = 2",
};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

Test(equation_texts, are_accepted_and_printed_as_the_same_cell) {
    for (int i = 0; i < TEXTS; i++) {
        cb_cell *cell = parsed(texts[i]);
        expect_round_trip(cell);
        cb_cell_free(cell);
    }
}

Test(equation_texts, of_the_library_are_printed_as_the_same_cell) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        cb_cell *text = parsed((*cell)->equations);
        expect_round_trip(text);
        cb_cell_free(text);
    }
}

Test(equation_texts, of_files_are_printed_as_the_same_cell) {
    char path[700];
    cb_error error;
    DIR *listing = opendir(cbt_source_path("cells"));
    cr_assert_not_null(listing);
    for (const struct dirent *file; (file = readdir(listing)) != NULL;) {
        if (strstr(file->d_name, ".cell") == NULL)
            continue;
        snprintf(path, sizeof path, "cells/%s", file->d_name);
        cb_cell *cell = cb_cell_load(cbt_source_path(path), NULL, &error);
        cr_assert_not_null(cell, "%s", error.message);
        expect_round_trip(cell);
        cb_cell_free(cell);
    }
    closedir(listing);
}

/* ---- What is printed ------------------------------------------------------------------------- */

Test(equation_texts, are_printed_with_what_was_found_out) {
    static const cb_setting settings[] = {{"r", 12}, {"dt", 0.25}, {NULL, 0}};
    static const char text[] = "let dt = 0.1\nsize r = 16\nsize s = r / 2 + hidden\n"
                               "state m[s]\nm' = m + dt * (V m + W x)\n"
                               "h' = σ((h - (b - h)) * 2 ^ (h + 1) ⊙ A m')\n"
                               "init b uniform(-dt, 1000000)\nobserve m";
    cb_error error;
    cb_cell *cell = cb_cell_parse(text, &(cb_cell_text_options){.settings = settings}, &error);
    cr_assert_not_null(cell, "%s", error.message);
    char *got = printed(cell);
    cr_expect_str_eq(
        got, "let dt = 0.25\n"
             "size r = 12\n"
             "size s = r / 2 + hidden\n"
             "state m[s]\n"
             "m' = m + dt * (V m + W x)                                         # [hidden + 6]\n"
             "h' = σ((h - (b - h)) * 2^(h + 1) * A m')                          # [hidden]\n"
             "output h\n"
             "observe m\n"
             "init b uniform(-dt, 1000000)\n"
             "# V [hidden + 6, hidden + 6]        recurrent weight              "
             "uniform(-1, 1) / sqrt(hidden)\n"
             "# W [hidden + 6, input]             input weight                  "
             "uniform(-1, 1) / sqrt(hidden)\n"
             "# b [hidden]                        bias                          "
             "uniform(-dt, 1000000)\n"
             "# A [hidden, hidden + 6]            recurrent weight              "
             "uniform(-1, 1) / sqrt(hidden)\n");
    free(got);
    char small[8];
    cr_expect_gt(cb_cell_equations(cell, small, sizeof small), sizeof small);
    cr_expect_str_eq(small, "let dt ");
    cb_cell_free(cell);
    cr_expect_eq(cb_cell_equations(&cb_lstm, small, sizeof small), 0);
    cr_expect_str_eq(small, "");
}

/* As many digits as a number has, with a point in any locale. */
Test(equation_texts, numbers_keep_all_digits) {
    static const char *const numbers[] = {"0.1",
                                          "0.30000000000000004",
                                          "1e-300",
                                          "1e22",
                                          "123456.78125",
                                          "0.00001",
                                          "1e-5",
                                          "100000000000000",
                                          "2.2250738585072014e-308",
                                          "0.0625",
                                          "4.9e-324",
                                          "9007199254740993"};
    const char *before = setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* if there is one */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[100];
        snprintf(text, sizeof text, "let a = %s\nh' = a * W x", numbers[i]);
        cb_cell *cell = parsed(text);
        char *got = printed(cell);
        cb_cell *again = parsed(got);
        cr_expect_eq(again->settings[0].value, cell->settings[0].value, "%s", got);
        cb_cell_free(cell);
        cb_cell_free(again);
        free(got);
    }
    if (before != NULL)
        setlocale(LC_NUMERIC, "C");
}

/* ---- What is computed ------------------------------------------------------------------------ */

/* Runs one time step of one sequence, with all parameters (k + 1) / 8 for k = 0, 1, .... */
static void run_step(const char *text, int64_t input, int64_t hidden, const double *x,
                     const double *h, double *next) {
    cb_error error;
    cb_cell *cell = parsed(text);
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[8], *initial = NULL, *final = NULL;
    double values[8][64];
    const cb_rnn_options options = {.hidden = hidden};
    cb_scan *scan = cb_cell_scan_new(cell, CB_F64, input, &options, &error);
    cr_assert_not_null(scan, "%s", error.message);
    for (int i = 0; i < cell->param_count; i++) {
        int64_t rows = cb_cell_extent_of(cell, &cell->params[i].rows, input, hidden, NULL);
        int64_t columns = cb_cell_extent_of(cell, &cell->params[i].columns, input, hidden, NULL);
        for (int k = 0; k < 64; k++)
            values[i][k] = (k + 1) / 8.0;
        cb_tensor wrapped = columns > 0 ? cb_tensor_wrap(CB_F64, CB_SHAPE(rows, columns), values[i])
                                        : cb_tensor_wrap(CB_F64, CB_SHAPE(rows), values[i]);
        weights[i] = cb_input(tape, &wrapped);
    }
    cb_tensor of_x = cb_tensor_wrap(CB_F64, CB_SHAPE(1, 1, input), (void *)(uintptr_t)x);
    cb_tensor of_h = cb_tensor_wrap(CB_F64, CB_SHAPE(1, hidden), (void *)(uintptr_t)h);
    initial = cb_input(tape, &of_h);
    cb_scan_run(scan, cb_input(tape, &of_x),
                &(cb_scan_io){.weights = weights, .initial = &initial, .final = &final});
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s: %s", text, cb_tape_error(tape));
    memcpy(next, final->data, sizeof(double) * (size_t)hidden);
    cb_scan_free(scan);
    cb_tape_free(tape);
    cb_cell_free(cell);
}

static double logistic(double a) {
    return 1 / (1 + exp(-a));
}

/* Of one unit, and with a parameter of 0.125. */
Test(equation_texts, compute_what_they_say) {
    const double x = 0.7, h = 1.3, b = 0.125;
    const struct {
        const char *expression;
        double value;
        const char *more;
    } rows[] = {
        {"x - h - 2", x - h - 2, ""},
        {"x - (h - 2)", x - (h - 2), ""},
        {"x / h / 2", x / h / 2, ""},
        {"x / (h / 2)", x / (h / 2), ""},
        {"x / h * 2", x / h * 2, ""},
        {"2 / x + h", 2 / x + h, ""},
        {"x + h * 2", x + h * 2, ""},
        {"(x + h) * 2", (x + h) * 2, ""},
        {"-h^2 + x", -(h * h) + x, ""},
        {"(-h)^2 + x", h * h + x, ""},
        {"2 * -h - -x", -2 * h + x, ""},
        {"h^2^0.5 * x", pow(h, pow(2, 0.5)) * x, ""},
        {"(h^2)^0.5 * x", h * x, ""},
        {"h^-1 + x", 1 / h + x, ""},
        {"h^-x", pow(h, -x), ""},
        {"2^h * x", pow(2, h) * x, ""},
        {"x * 2^-1 + 4^0.5 * h", x / 2 + 2 * h, ""},
        {"W x^2", b * x * b * x, ""},
        {"W (x^2)", b * x * x, ""},
        {"W W x - x", b * b * x - x, ""},
        {"-W x * 3", -b * x * 3, ""},
        {"2 * W (x - a) / 3", 2 * b * (x - b) / 3, ""},
        {"a - x", b - x, ""},
        {"1 - a + x", 1 - b + x, ""},
        {"x - 2 - a", x - 2 - b, ""},
        {"x - (2 + a - a)", x - 2, ""},
        {"tanh(x) * σ(-h)", tanh(x) * logistic(-h), ""},
        {"where(less(x, h), x - 1, h)", x - 1, ""},
        {"where(greater(x, 1), x, -h)", -h, ""},
        {"maximum(x, 1) + minimum(h, 1) + clamp(h, -1, 0.5)", 1 + 1 + 0.5, ""},
        {"leaky_relu(-x, 0.1) + relu(-x) + abs(-x)", -0.1 * x + x, ""},
        {"x * hidden + input * 2", x + 2, ""},
        {"k * x + l", 0.5 * x + 2.5, "let k = 0.5\nlet l = 2 + k"},
        {"sum(x) + mean(h) - max(x) * min(h) + softmax(h)", x + h - x * h + 1, ""},
        {"g - x", h * x - x, "g = h * x"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double next;
        char text[200];
        snprintf(text, sizeof text, "state h[input]\nh' = %s\n%s", rows[i].expression,
                 rows[i].more);
        run_step(text, 1, 1, &x, &h, &next);
        cr_expect_float_eq(next, rows[i].value, 1e-12, "%s is %.17g, not %.17g", rows[i].expression,
                           next, rows[i].value);
    }
}

/* Of vectors: x of 4 units, h of 2, and matrices with rows (1 2 ...) / 8, .... */
Test(equation_texts, compute_products_and_parts) {
    static const double x[] = {1, -2, 3, 0.5}, h[] = {0.25, -1};
    static const struct {
        const char *text;
        double next[2];
    } rows[] = {
        {"h' = W x", {(1 - 4 + 9 + 2) / 8.0, (5 - 12 + 21 + 4) / 8.0}},
        {"h' = W^T h + 0 * V x", {(0.25 - 3) / 8, (0.5 - 4) / 8}},
        {"heads 2 W\nh' = W x", {(1 - 4) / 8.0, (9 + 2) / 8.0}},
        {"h' = heads 2 W x", {(1 - 4) / 8.0, (9 + 2) / 8.0}},
        {"h' = sum(x) * heads 2 W^T h", {2.5 * 0.25 / 8, 2.5 * -2 / 8}},
        {"state h[input / 2]\na, b = split(x)\nh' = a * 10 + b", {10 + 3, -20 + 0.5}},
        {"state h[input / 2]\na, b, c, d = split(x)\nh' = [d, b] + sum(c * a)", {0.5 + 3, -2 + 3}},
        {"h' = [sum(h), mean(x)] * h", {-0.75 * 0.25, 0.625 * -1}},
        {"h' = W [h, x]", {(0.25 - 2 + 3 - 8 + 15 + 3) / 8, (1.75 - 8 + 9 - 20 + 33 + 6) / 8}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double next[2];
        run_step(rows[i].text, 4, 2, x, h, next);
        for (int k = 0; k < 2; k++)
            cr_expect_float_eq(next[k], rows[i].next[k], 1e-12, "%s: %d is %.17g, not %.17g",
                               rows[i].text, k, next[k], rows[i].next[k]);
    }
}
