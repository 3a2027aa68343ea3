/* What is said of texts that are no cells: one message, with the place, the line and a caret below
   it. Texts here have a mark, ▸, where the fault is; it is taken out before they are read. */
#include "tests/support.h"

#include "tensor/memory.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1 << 20 };

/* ---- Expecting an error ---------------------------------------------------------------------- */

static const char mark[] = "▸";

static bool begins_character(char c) {
    return ((unsigned char)c & 0xC0) != 0x80;
}

static bool begins_accent(const char *c) {
    return c[0] == '\xCC' || (c[0] == '\xCD' && (unsigned char)c[1] < 0xB0);
}

/* Where the fault is, from the mark; the text is without it then. */
typedef struct place {
    char text[4096], line_text[256];
    int line, column, width; /* characters before it, with and without accents */
} place;

static place place_of(const char *marked) {
    place p = {.line = 1, .column = 1};
    const char *at = strstr(marked, mark), *start = at;
    cr_assert_not_null(at, "no mark: %s", marked);
    snprintf(p.text, sizeof p.text, "%.*s%s", (int)(at - marked), marked, at + strlen(mark));
    for (const char *c = marked; c < at; c++)
        p.line += *c == '\n';
    while (start > marked && start[-1] != '\n')
        start--;
    if (start == marked && strncmp(start, "\xEF\xBB\xBF", 3) == 0)
        start += 3;
    for (const char *c = start; c < at; c++) {
        p.column += begins_character(*c);
        p.width += begins_character(*c) && !begins_accent(c);
    }
    const char *line = p.text + (start - marked);
    snprintf(p.line_text, sizeof p.line_text, "%.*s", (int)strcspn(line, "\r\n"), line);
    for (char *c = p.line_text; *c != '\0'; c++)
        *c = *c == '\t' ? ' ' : *c;
    return p;
}

static void expect_message(const cb_error *error, cb_status status, const place *p,
                           const char *says) {
    char head[64], tail[600];
    snprintf(head, sizeof head, "some.cell:%d:%d: ", p->line, p->column);
    snprintf(tail, sizeof tail, "\n    %s\n    %*s^", p->line_text, p->width, "");
    size_t length = strlen(error->message), end = strlen(tail);
    cr_expect_eq(error->status, status, "%s", p->text);
    cr_expect(strncmp(error->message, head, strlen(head)) == 0, "not %s\n%s", head, error->message);
    cr_expect_not_null(strstr(error->message, says), "not \"%s\"\n%s", says, error->message);
    cr_expect(length > end && strcmp(error->message + length - end, tail) == 0, "not%s\n%s", tail,
              error->message);
    /* No other line, and no second message. */
    cr_expect_eq(strcspn(error->message, "\n"), length - end, "%s", error->message);
    cr_expect_null(strstr(error->message + 1, "some.cell:"), "%s", error->message);
}

static void expect_error_with(const char *marked, const char *says, const cb_setting *settings) {
    static place p;
    p = place_of(marked);
    cb_error error;
    const cb_cell_text_options options = {.file = "some.cell", .settings = settings};
    cb_cell *cell = cb_cell_parse(p.text, &options, &error);
    cr_expect_null(cell, "accepted: %s", p.text);
    if (cell == NULL)
        expect_message(&error, settings != NULL ? CB_ERROR_VALUE : CB_ERROR_FORMAT, &p, says);
    cb_cell_free(cell);
}

typedef struct fault {
    const char *text, *says;
} fault;

static void expect_errors(size_t count, const fault *faults) {
    for (size_t i = 0; i < count; i++)
        expect_error_with(faults[i].text, faults[i].says, NULL);
}
#define EXPECT_ERRORS(faults) expect_errors(sizeof(faults) / sizeof(faults[0]), faults)

/* ---- Expressions ----------------------------------------------------------------------------- */

Test(equation_errors, brackets_and_operators) {
    static const fault faults[] = {
        {"h' = tanh(W x + U h▸", "a \",\" or a \")\" is expected, but the line ends here"},
        {"h' = tanh(W x + U h▸ # open\n\nc' = W x", "the line ends here"},
        {"h' = tanh(W x\n  + U h▸\noutput h", "the line ends here"},
        {"h' = [W x, U h▸", "a \",\" or a \"]\" is expected"},
        {"h' = W (x▸", "an operator or a \")\" is expected"},
        {"h' = tanh(W x + U h)▸)", "not \")\"; no bracket is open here"},
        {"h' = W x▸]", "no bracket is open here"},
        {"h' = (W x▸]", "an operator or a \")\" is expected, not \"]\""},
        {"h' = [W x▸)", "a \",\" or a \"]\" is expected, not \")\""},
        {"h' = (▸)", "a name, a number or a bracket is expected"},
        {"h' = [▸]", "a name, a number or a bracket is expected"},
        {"h' = [W x, U h]▸, h", "an operator or the end of the line is expected"},
        {"h' = W x +▸", "but the line ends here"},
        {"h' = W x +▸ # nothing\nc' = U h", "but the line ends here"},
        {"h' =▸\n\n# nothing\n", "a name, a number or a bracket is expected"},
        {"h' = ▸* W x", "a name, a number or a bracket is expected, not \"*\""},
        {"h' = W x + ▸/ h", "not \"/\""},
        {"h' = W x *▸* 2", "a power is a^2"},
        {"h' =▸= W x", "comparisons are functions: equal(a, b)"},
        {"h' = W x ▸== 1", "comparisons are functions: equal(a, b)"},
        {"h' = U h ▸b + W x", "an operator is missing: write h * ..., or begin the name of a "
                              "matrix with a capital"},
        {"h' = x ▸h", "write x * ..."},
        {"h' = W x ▸2", "write x * ..."},
        {"h' = 2 ▸x", "an operator is missing after \"2\""},
        {"h' = (W x) ▸(U h)", "an operator is missing after \"(W x)\""},
        {"h' = relu(W x) ▸if x", "an operator is missing after \"relu(W x)\""},
        {"let dt = 0.1 ▸h' = W x", "or the line has to end there"},
        {"h' = W x + h▸[0]", "there are no indices"},
        {"h' = ▸(W) x", "a matrix stands without brackets: W x"},
        {"H = W x\nh' = H ▸x", "line 1 says what H is, so that it is no matrix"},
        {"h' = W x * 1.2▸.3", "an operator is missing after \"1.2\""},
        {"h' = W x + ▸99999999999999999999999999999999999999999", "too many digits; 40 are enough"},
        {"h' = W x + ▸1e999", "this number is too large"},
        {"h' = 2▸e * W x", "an operator is missing after \"2\""},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, functions) {
    static const fault faults[] = {
        {"h' = ▸tahn(W x)", "there is no function \"tahn\"; did you mean \"tanh\"?"},
        {"h' = ▸sigma(W x)", "did you mean \"sigmoid\"?"},
        {"h' = ▸ReLU(W x)", "did you mean \"relu\"? A matrix of that name needs a blank"},
        {"h' = ▸foo(W x)", "for a product write foo * (...)"},
        {"h' = ▸h(t-1) + W x", "A time step is not written"},
        {"h' = W ▸x(t)", "x is this step's input"},
        {"tanh = W x\nh' = ▸tanh(W x)", "line 1 makes \"tanh\" a name of the text"},
        {"h' = ▸sigmoid x", "its argument is in brackets, sigmoid(...)"},
        {"h' = tanh(▸)", "a name, a number or a bracket is expected"},
        {"h' = ▸tanh(W x, 2)", "tanh takes 1 argument, not 2: tanh(a)"},
        {"h' = ▸leaky_relu(W x)", "takes 2 arguments, not 1: leaky_relu(a, number)"},
        {"h' = ▸layernorm(W x, 1, 2)", "layernorm takes up to 2 arguments, not 3"},
        {"h' = ▸max(W x, 0)", "of two vectors, unit by unit, it is maximum(a, b)"},
        {"h' = leaky_relu(W x, ▸h)", "argument 2 of leaky_relu has to be a number"},
        {"h' = W x + softmax(▸3)", "\"3\" is a number where a vector has to be"},
        {"h' = maximum(x, x, x, x, x, x, x, x, ▸x)", "there are more than 8 parts"},
        {"h' = W x + ▸softmax",
         "\"softmax\" is a function, and its argument is in brackets: softmax(...)"},
        {"h' = ▸scale * W x", "\"scale\" is a function"},
        {"h' = W x + U ▸σ", "\"σ\" is a function"},
        {"h' = W (▸tanh * x)", "\"tanh\" is a function"},
        {"h' = 1 + ▸split(W x)", "split is the whole right side of an equation"},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, matrices) {
    static const fault faults[] = {
        {"h' = ▸W * x", "\"W\" is a matrix, as it begins with a capital"},
        {"h' = ▸W ⊙ x", "write W x for a product, or a small letter for a vector"},
        {"h' = tanh(▸W)", "\"W\" is a matrix"},
        {"h' = [▸W, x]", "\"W\" is a matrix"},
        {"h' = W ▸3", "\"3\" is a number where a vector has to be"},
        {"h' = [W x, ▸1]", "a number has no size, so that it cannot be a part"},
        {"h' = [▸1, 2]", "a number where a vector has to be"},
        {"h' = W x + V^T▸", "what the transposed matrix multiplies, as in W h - W^T h,"},
        {"h' = W x + x▸^T", "\"x\" is no matrix, and only a matrix is transposed"},
        {"h' = W x + h▸ᵀ", "only a matrix is transposed"},
        {"h' = W x + (U + V)▸^T h", "\"(U + V)\" is no matrix"},
    };
    EXPECT_ERRORS(faults);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

Test(equation_errors, lines) {
    static const fault faults[] = {
        {"▸= W x", "an equation, like c' = f * c, is expected"},
        {"▸1 = W x", "an equation, like c' = f * c, is expected"},
        {"h' = W x\n- h ▸= x", "an operator or the end of the line is expected, not \"=\""},
        {"h' ▸W x", "begins with let, size, state, input, init, heads, output or observe"},
        {"param ▸W", "begins with let, size, state, input, init, heads, output or observe"},
        {"▸outptu h\nh' = W x", "did you mean \"output\"?"},
        {"h'▸' = W x", "one ' is enough"},
        {"h▸(t) = W x", "a time step is not written: h' is h after it"},
        {"h ▸+= W x", "\"=\" is expected, not \"+\""},
        {"output▸\nh' = W x", "a name is expected, but the line ends here"},
        {"output h▸'\nh' = W x", "declarations name \"h\" without '"},
        {"init h▸' = 0\nh' = W x", "declarations name \"h\" without '"},
        {"output h▸, c\nh' = W x", "the end of the line is expected, not \",\""},
        {"observe h ▸c\nh' = W x", "a \",\" or the end of the line is expected"},
        {"init a, b, c, d, e, f, g, i, ▸j = 0\nh' = W x", "more than 8 names in a line"},
        {"let ▸3 = 4\nh' = W x", "a name is expected, not \"3\""},
        {"let a ▸3\nh' = W x", "\"=\" is expected, not \"3\""},
        {"state m[4▸\nh' = W x", "an operator or a \"]\" is expected"},
        {"state m▸\nh' = W x", "a size, as in [16], is expected"},
        {"input gap▸\nh' = W gap", "a size, as in [16], is expected"},
        {"state m[4] ▸n[5]\nh' = W x", "a \",\" or the end of the line is expected"},
        {"a, b = ▸W x\nh' = a + b", "equal parts: write = split(...)"},
        {"h' = ▸split(W x)", "name them all on the left, a, b = split(...)"},
        {"a, b = split(W x▸, 2)\nh' = a + b", "split takes 1 argument"},
        {"a, b = split(W x) ▸+ 1\nh' = a + b", "split is the whole right side"},
        {"a[2], ▸b[2] = split(W x)\nh' = V a + U b", "one size is enough"},
        {"▸h', c' = split(W x)", "a state has an equation of its own"},
    };
    EXPECT_ERRORS(faults);
}

/* ---- Names ----------------------------------------------------------------------------------- */

Test(equation_errors, names_with_two_meanings) {
    static const fault faults[] = {
        {"h' = W x\n▸h' = U h", "h' is computed in line 1 already"},
        {"h', ▸h' = split(W x)", "h' is computed in line 1 already"},
        {"a = W x\n▸a = U h\nh' = a", "\"a\" has a meaning already, from line 1"},
        {"a, ▸a = split(W x)\nh' = a", "\"a\" has a meaning already"},
        {"c' = W x\n▸c = U h\nh' = c", "\"c\" is a state, because of line 1: write c'"},
        {"a = W x\n▸a' = U h\nh' = a", "\"a\" has a meaning already, from line 1"},
        {"let p = 3\nsize ▸p = 4\nh' = W x", "\"p\" has a meaning already, from line 1"},
        {"state m[4], ▸m[5]\nm' = W x\nh' = V m", "\"m\" has a meaning already"},
        {"input gap[1], ▸gap[2]\nh' = W x * gap", "\"gap\" has a meaning already"},
        {"▸x' = W x", "\"x\" has a meaning already: the input"},
        {"let ▸x = 3\nh' = W x", "\"x\" has a meaning already: the input"},
        {"▸hidden = W x\nh' = hidden", "\"hidden\" has a meaning already: a size"},
        {"size ▸input = 3\nh' = W x", "\"input\" has a meaning already: a size"},
        {"output h\noutput ▸h\nh' = W x", "the output is said in line 1 already"},
        {"observe h, ▸h\nh' = W x", "\"h\" is observed already, by line 1"},
        {"heads 2 W\nheads 4 ▸W\nh' = W x", "\"W\" has its heads from line 1 already"},
        {"init b = 1\ninit ▸b = 2\nh' = W x + b", "first values from line 1 already"},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, names_that_are_not_what_they_have_to_be) {
    static const fault faults[] = {
        {"output ▸y\nh' = W x", "there is no \"y\" in any equation"},
        {"observe ▸gaet\ngate = W x\nh' = gate", "there is no \"gaet\"; did you mean \"gate\"?"},
        {"output ▸b\nh' = W x + b", "\"b\" is a vector of parameters"},
        {"observe ▸W\nh' = W x", "\"W\" is a matrix, and has to be a state or a result"},
        {"heads ▸3.5 W\nh' = W x", "heads takes a whole number from 1 to 4096"},
        {"heads ▸W\nh' = W x", "heads takes a whole number from 1 to 4096"},
        {"heads 4▸\nh' = W x", "a name is expected"},
        {"heads 2 ▸w\nh' = w * x", "\"w\" is no matrix: those begin with a capital"},
        {"heads 2 ▸H\nH = U h\nh' = W x + H", "\"H\" is the result of an equation"},
        {"heads 2 ▸V\nh' = W x", "there is no \"V\" in any equation"},
        {"h' = heads 2 ▸w", "heads is for a matrix, which begins with a capital"},
        {"h' = heads ▸2.5 W x", "heads takes a whole number from 1 to 4096"},
        {"h' = heads 2 U h + heads 2 U x + heads 4 ▸U h", "\"U\" has 2 heads from line 1 already"},
        {"h' = U h + ▸c' + W x", "c' has no equation: write c' = ..."},
        {"h' = W x + ▸x'", "\"x\" is no state: its value needs no '"},
        {"a = W x\nh' = ▸a'", "\"a\" is no state: its value needs no '"},
        {"h' = W x + h'▸'", "one ' is enough"},
        {"state ▸m[4]\nh' = W x + V m", "the state \"m\" has no equation: write m' = ..."},
        {"h' = W x\n▸g = h", "\"g\" is computed and never used: use it, observe it"},
        {"a, ▸b = split(W x)\nh' = a", "\"b\" is computed and never used"},
        {"let ▸a = 1\nh' = W x", "\"a\" is declared and never used: delete the line"},
        {"size ▸a = 1\nh' = W x", "\"a\" is declared and never used"},
        {"input ▸gap[1]\nh' = W x", "\"gap\" is declared and never used"},
        {"▸h' = U h", "x, the input of a time step, is never used"},
        {"c = V h\nh' = tanh(W ▸x_t + c)", "A time step is not written: x is this step's input"},
        {"h' = tanh(W x + U ▸h_prev)", "c' after it"},
        {"h' = tanh(W x + h * b)\nc' = c + ▸c_t", "c' after it"},
        {"h' = W x + b\ninit b ▸xavier_uniform", "did you mean \"glorot_uniform\""},
        {"h' = W x + b\ninit b ▸he_normal", "did you mean \"kaiming_normal\""},
        {"h' = tanh(W x + U ▸h_t-1)", "c' after it"},
        {"C' = tanh(W x + U ▸h)", "a line h' = ... is missing"},
        {"h' = tanh(W x + U ▸last)", "a matrix times one says nothing"},
        {"h' = tanh(W x + U h) * ▸e^h", "write exp(...)"},
        {"h' = tanh(W x + U h) * ▸π", "let π = 3.14159"},
        {"▸y = W x", "there is no state: an equation like h' = ..., with a '"},
        {"▸", "there is no state"},
        {"▸# nothing", "there is no state"},
        {"a = b' + W x\nb' = ▸a\nh' = U b'", "a cycle: a needs b' needs a; only a state before"},
        {"a = c\nb = ▸a\nc = b\nh' = a + W x", "a cycle: a needs c needs b needs a"},
        {"a, b = split(W x + ▸b)\nh' = a", "\"b\" is a result of this equation already"},
        {"h' = ▸h' + W x", "h' is computed from itself: write h for the state before"},
        {"a = ▸a + W x\nh' = a", "\"a\" is computed from itself"},
    };
    EXPECT_ERRORS(faults);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

Test(equation_errors, sizes_that_do_not_fit) {
#define TWO "state m[4]\nstate n[5]\nm' = V x\nn' = U x\n"
    static const fault faults[] = {
        {TWO "h' = W x + m ▸+ n", "\"W x + m\" has 4 (line 1), \"n\" has 5 (line 2)"},
        {TWO "h' = m ▸* n", "\"m\" has 4 (line 1), \"n\" has 5 (line 2)"},
        {TWO "h' = ▸maximum(m, n)", "\"m\" has 4 (line 1), \"n\" has 5 (line 2)"},
        {TWO "h' = A m + ▸A n", "\"A\" multiplies 4 (line 1), \"n\" has 5 (line 2)"},
        {TWO "h' = A m ▸- A^T n", "\"A m\" has 5 (line 2), \"A^T n\" has 4 (line 1)"},
        {"state m[4]\nstate n[3]\nm' = V x\nn' = ▸[m, m]\nh' = W n",
         "\"[m, m]\" has 3 (line 2), and its parts have 8 together"},
        {TWO "state h[4]\nh' = ▸[m, W x]",
         "\"[m, W x]\" has 4 (line 5), and its parts have hidden + "
         "4 together"},
        {"state m[3]\nm' = V x\na, b = split(▸m)\nh' = W a + U b",
         "3 (line 1) cannot be cut into 2 equal parts"},
        {"state m[4]\nm' = V x\na, b[3] = split(▸m)\nh' = W a + U b",
         "\"m\" has 4 (line 1), and its parts have 6 together"},
        {"state h[4]\n▸h'[3] = W x", "the size is 3 here, and 4 (line 1) elsewhere"},
        {"state h[4]\n▸h' = sum(W x)", "\"h'\" has 4 (line 1), \"sum(W x)\" has 1"},
        {"▸h' = W (x + h)", "\"h\" comes out with the size of the input"},
        {"▸a = 3\nh' = a * W x", "\"a\" is a number, no vector: write let a = ..."},
        {"▸a, b = split(3)\nh' = W x + a + b", "\"a\" is a number, no vector"},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, sizes_that_are_none) {
#define USED "\nstate m[p]\nm' = W x\nh' = V m"
    static const fault faults[] = {
        {"size ▸p = 0" USED, "the size of \"p\" is 0; it has to be a whole number"},
        {"size ▸p = 3 - 4" USED, "the size of \"p\" is -1"},
        {"size ▸p = 7 / 2" USED, "the size of \"p\" is 7 / 2"},
        {"size ▸p = -hidden" USED, "the size of \"p\" is -hidden"},
        {"size p = ▸2.5" USED, "a size is a whole number up to 16777216"},
        {"size p = ▸99999999" USED, "a size is a whole number up to 16777216"},
        {"size p = hidden ▸* hidden" USED, "this is no size: hidden and input can be added"},
        {"size p = hidden ▸/ 0" USED, "this is no size"},
        {"size p = hidden▸^2" USED, "a size is made of numbers and sizes with + - * /"},
        {"size p = ▸sqrt(hidden)" USED, "a size is made of numbers and sizes with + - * /"},
        {"size p = ▸W x" USED, "a size is made of numbers and sizes with + - * /"},
        {"size p = ▸foo" USED, "\"foo\" is no size: sizes are numbers, hidden, input"},
        {"let n = 3\nsize p = ▸n" USED, "declare it as in \"size r = 16\", not with let"},
        {"size ▸p = q\nsize q = p" USED, "the size \"p\" depends on itself"},
        {"state ▸m[0]\nm' = W x\nh' = V m", "the size of \"m\" is 0"},
        {"▸a[0] = W x\nh' = V a", "the size of \"a\" is 0"},
        {"a[▸x] = W x\nh' = V a", "\"x\" is no size"},
        {"heads 4096 W\nh' = ▸W m + V x\nstate m[hidden / 16777216]\nm' = m",
         "the blocks of \"W\" are too small"},
        {"state m[6]\nm' = heads 4 ▸W x\nh' = V m", "\"W\" cannot be cut into 4 equal blocks"},
        {"state m[6]\nm' = V x\nh' = heads 4 ▸W m", "\"W\" cannot be cut into 4 equal blocks"},
    };
    EXPECT_ERRORS(faults);
}

/* ---- Numbers, first values ------------------------------------------------------------------- */

Test(equation_errors, hyperparameters) {
    static const fault faults[] = {
        {"let a = ▸W x\nh' = a * h", "a hyperparameter has to be a number; \"W x\" is a vector"},
        {"let ▸a = b\nlet b = a\nh' = a * h + W x", "\"a\" depends on itself"},
        {"let ▸a = log(-1)\nh' = a * W x", "\"a\" is no finite number: it is undefined"},
        {"let ▸a = 1 / 0\nh' = a * W x", "\"a\" is no finite number: it is infinite"},
        {"let a =▸\nh' = a * W x", "but the line ends here"},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, constants) {
    static const fault faults[] = {
        {"h' = W x + ▸log(0)", "\"log(0)\" is no finite number: it is infinite"},
        {"h' = W x * ▸(1 / 0)", "\"(1 / 0)\" is no finite number: it is infinite"},
        {"h' = W x\nc' = ▸sqrt(-1)", "\"sqrt(-1)\" is no finite number: it is undefined"},
        {"let a = 1\nh' = clamp(W x, ▸-1 / (a - 1), 2)", "it is infinite"},
        {"h' = W x + h^▸(2 * 1e300 * 1e300)", "it is infinite"},
    };
    EXPECT_ERRORS(faults);
}

Test(equation_errors, first_values) {
#define CELL "\nh' = W x + b"
    static const fault faults[] = {
        {"init ▸a = 1" CELL, "there is no \"a\" in any equation"},
        {"init ▸x = 1" CELL, "\"x\" is the input of a time step, and has to be a parameter"},
        {"let a = 1\ninit ▸a = 2\nh' = a * W x", "\"a\" is a hyperparameter"},
        {"g = W x\ninit ▸g = 2\nh' = g", "\"g\" is the result of an equation"},
        {"init ▸h orthogonal" CELL, "begins with a number: write init h = 0"},
        {"init ▸b orthogonal" CELL, "\"b\" is a vector; orthogonal is for matrices"},
        {"init b = ▸x" CELL, "a first value has to be a number; \"x\" is a vector"},
        {"init b ▸weird" CELL, "or one of zeros, uniform(low, high), normal(mean, deviation)"},
        {"init b▸" CELL, "or one of zeros, uniform(low, high), normal(mean, deviation)"},
        {"init b ▸unifrom(0, 1)" CELL, "did you mean \"uniform\"?"},
        {"init b = ▸uniform(0, 1)" CELL, "a rule has no = before it"},
        {"init b ▸uniform(1)" CELL, "uniform takes 2 numbers: uniform(low, high)"},
        {"init b ▸uniform(1, 2, 3)" CELL, "uniform takes 2 numbers"},
        {"init W ▸orthogonal(1, 2)" CELL, "orthogonal takes up to 1 number: orthogonal(gain)"},
        {"init b uniform(0, 1▸" CELL, "a \",\" or a \")\" is expected"},
        {"init b uniform(0, 1) ▸h" CELL, "the end of the line is expected"},
        {"init ▸b uniform(2, 1)" CELL, "the low end is above the high one"},
        {"init ▸b normal(0, -1)" CELL, "the deviation is below 0"},
        {"init ▸W glorot_uniform(-1)" CELL, "the gain is below 0"},
        {"init ▸b = 1 / 0" CELL, "they are not finite"},
    };
    EXPECT_ERRORS(faults);
}

/* ---- Characters ------------------------------------------------------------------------------ */

Test(equation_errors, strange_characters) {
    static const fault faults[] = {
        {"h' = W x▸;", "an equation ends with its line"},
        {"h' = W x▸\xCD\xBE", "an equation ends with its line"},
        {"h' = tanh(W_▸{x} x)", "there are no braces: write W_ix for W_{ix}"},
        {"h' = W x▸}", "there are no braces"},
        {"h' = W x ▸< 1", "less(a, b), less_equal(a, b)"},
        {"h' = W x ▸> 1", "greater(a, b), greater_equal(a, b)"},
        {"h' = W x ▸!= 1", "not_equal(a, b)"},
        {"h' = W x ▸≤ 1", "less_equal(a, b)"},
        {"h' = W x ▸≥ 1", "greater_equal(a, b)"},
        {"h' = W x ▸≠ 1", "not_equal(a, b)"},
        {"h' = W x ▸? h : 0", "a choice is where(condition, a, b)"},
        {"h' = W x ▸& h", "both of two conditions is their product"},
        {"h' = ▸|W x|", "the absolute value is abs(a)"},
        {"h' = W ▸@ x", "a product with a matrix is W x"},
        {"h' ▸:= W x", "an equation has a = alone"},
        {"h' ▸← W x", "an equation has a = alone"},
        {"h' ▸≔ W x", "an equation has a = alone"},
        {"h' = ▸\\sigma(W x)", "names are plain"},
        {"▸$h' = W x$", "equations have no $ around them"},
        {"▸% lstm\nh' = W x", "a comment begins with #"},
        {"h' = ▸~h + W x", "a tilde is a part of a name: c_tilde"},
        {"h' = ▸\"W x\"", "names have no quotation marks"},
        {"h▸` = W x", "h', with an apostrophe"},
        {"h▸´ = W x", "h', with an apostrophe"},
        {"h▸‘ = W x", "h', with an apostrophe"},
        {"h' = W▸.x", "a product with a matrix is W x, one unit by unit a * b"},
        {"h' = W x ▸⊗ h", "a product with a matrix is W x, one unit by unit a * b"},
        {"h' = W x ▸÷ h", "a quotient is a / b"},
        {"h' = x▸²", "a square is a^2"},
        {"h' = x▸³", "a cube is a^3"},
        {"h' = x▸⁻¹", "a power is a^-1"},
        {"h' = ▸√x", "a root is sqrt(a)"},
        {"h' = ▸∑ x", "a sum over units is sum(a)"},
        {"h' = W x ▸⊕ h", "a join is [a, b]"},
        {"h' = W x ▸‖ h", "a join is [a, b]"},
        {"h' = W x ▸∥ h", "a join is [a, b]"},
        {"h ▸∈ 16", "the size of a state is declared: state m[16]"},
        {"h' = ▸𝑊 x", "write plain letters and digits, not those of formulas"},
        {"▸ℎ' = W x", "write plain letters and digits, not those of formulas"},
        {"h' = ▸隠 x", "\"隠\" means nothing here"},
    };
    EXPECT_ERRORS(faults);
}

/* Where the character itself may not come back in the message. */
Test(equation_errors, characters_that_are_not_seen) {
    static const struct {
        const char *text, *says, *shown;
        int line, column;
    } faults[] = {
        {"h' = W x\nc' = W\x01 x", "a control character, U+0001,", "    c' = W  x\n", 2, 7},
        {"h' = W\x7F x", "a control character, U+007F,", "    h' = W  x\n", 1, 7},
        {"h' = W\xE2\x80\x8B x", "an invisible character, U+200B,", "h' = W", 1, 7},
        {"h' = W x\xEF\xBB\xBF", "an invisible character, U+FEFF,", "h' = W x", 1, 9},
        {"h' = W \xFF x", "this is not UTF-8; save the file", "    h' = W ? x\n", 1, 8},
        {"h' = W x # caf\xE9\n", "this is not UTF-8", "    h' = W x # caf?\n", 1, 15},
        {"h' = W x + \xC0\xAF", "this is not UTF-8", "    h' = W x + ??\n", 1, 12},
        {"h' = W x + \xED\xA0\x80", "this is not UTF-8", "    h' = W x + ???\n", 1, 12},
        {"h' = W x + \xE2\x88", "this is not UTF-8", "    h' = W x + ??\n", 1, 12},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        cb_error error;
        char head[64];
        snprintf(head, sizeof head, "cell:%d:%d: ", faults[i].line, faults[i].column);
        cr_assert_null(cb_cell_parse(faults[i].text, NULL, &error), "%zu", i);
        cr_expect_eq(error.status, CB_ERROR_FORMAT);
        cr_expect(strncmp(error.message, head, strlen(head)) == 0, "%s", error.message);
        cr_expect_not_null(strstr(error.message, faults[i].says), "%s", error.message);
        cr_expect_not_null(strstr(error.message, faults[i].shown), "%s", error.message);
        const char *caret = strrchr(error.message, '\n') + 1;
        cr_expect_eq(strlen(caret), 4 + (size_t)faults[i].column, "%s", error.message);
    }
}

Test(equation_errors, the_caret_stands_under_the_character) {
    static const fault faults[] = {
        {"ũ = W_ũ x\nθ' = σ(W_θ x + U_θ ũ) + ▸tahn(θ)", "did you mean \"tanh\"?"},
        {"\tθ' =\tσ(W_θ x +\tU_θ θ)▸)", "no bracket is open here"},
        {"h\xCC\x83 = W x\nh' = h\xCC\x83 + b\xCC\x83 ▸h\xCC\x83", "an operator is missing"},
        {"\xEF\xBB\xBFh' = ▸W * x", "\"W\" is a matrix"},
        {"h' = W x\r\nc' = U h ▸b\r\n", "an operator is missing"},
        {"h' = W x ⊙ (h −\n    b ▸c)", "an operator is missing"},
    };
    EXPECT_ERRORS(faults);
}

/* What a message quotes of several lines is one line. */
Test(equation_errors, quotes_are_one_line) {
    expect_error_with("h' = W x + tanh(a +  # first\n\t b)▸[2]",
                      "an operator is missing after \"tanh(a + b)\": there are no indices", NULL);
    expect_error_with("h' = tanh(x + äääääääääääääääääääääääääää) ▸b",
                      "an operator is missing after \"tanh(x + ääääääääääääääääääääääääää ...\"",
                      NULL);
}

/* ---- More than there may be ------------------------------------------------------------------ */

/* A text that grows. */
typedef struct writer {
    char *text;
    size_t length;
} writer;

static void add(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(writer *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (w->text == NULL)
        w->text = calloc(1, LONGEST + 4096);
    w->length +=
        (size_t)vsnprintf(w->text + w->length, LONGEST + 4096 - w->length, format, arguments);
    va_end(arguments);
    cr_assert_lt(w->length, LONGEST + 4096);
}

/* Reads it, and frees it. */
static void expect_too_much(writer *w, const char *says) {
    cb_error error;
    cb_cell *cell = cb_cell_parse(w->text, NULL, &error);
    cr_expect_null(cell, "%s", says);
    cr_expect_eq(error.status, CB_ERROR_FORMAT);
    cr_expect_not_null(strstr(error.message, says), "not \"%s\"\n%s", says, error.message);
    cb_cell_free(cell);
    free(w->text);
    *w = (writer){NULL, 0};
}

static void repeat(writer *w, int count, const char *text) {
    for (int i = 0; i < count; i++)
        add(w, "%s", text);
}

Test(equation_errors, too_deep) {
    static const struct {
        const char *before, *middle, *after;
    } nests[] = {{"(", "x", ")"},     {"[", "x", "]"},     {"-", "x", ""},
                 {"tanh(", "x", ")"}, {"W ", "x", ""},     {"x ^ ", "x", ""},
                 {"", "x", " + x"},   {"V (W ", "x", ")"}, {"x * (1 + ", "x", ")"}};
    for (size_t i = 0; i < sizeof(nests) / sizeof(nests[0]); i++) {
        writer w = {NULL, 0};
        add(&w, "h' = V x + ");
        repeat(&w, 1000, nests[i].before);
        add(&w, "%s", nests[i].middle);
        repeat(&w, 1000, nests[i].after);
        expect_too_much(&w, "cell:1:");
    }
    writer w = {NULL, 0};
    add(&w, "h' = ");
    for (int i = 0; i < 150; i++) { /* each bracket with as many matrices as may be */
        repeat(&w, 150, "W ");
        add(&w, "(");
    }
    expect_too_much(&w, "this expression is nested deeper than 200 levels");
}

Test(equation_errors, too_many) {
    writer w = {NULL, 0};
    add(&w, "h' = W x");
    for (int i = 0; i < 1100; i++)
        add(&w, " + sum(a%d * (b%d", i, i);
    expect_too_much(&w, "levels");
    for (int i = 0; i < 300; i++)
        add(&w, "init a%d, b%d, c%d, d%d = 0\n", i, i, i, i);
    expect_too_much(&w, "there are more than 1024 names");
    for (int i = 0; i < 600; i++)
        add(&w, "a%d = x\n", i);
    expect_too_much(&w, "cell:513:1: there are more than 512 equations");
    for (int i = 0; i < 100; i++)
        add(&w, "a%d' = W x\n", i);
    expect_too_much(&w, "cell:65:1: there are more than 64 states");
    add(&w, "h' = W x\n");
    for (int i = 0; i < 100; i++)
        add(&w, "let a%d = 1\ninit b = a%d\n", i, i);
    expect_too_much(&w, "\"b\" has its first values from line");
    for (int i = 0; i < 100; i++)
        add(&w, "let a%d = 1\n", i);
    add(&w, "h' = W x\n");
    expect_too_much(&w, "cell:65:5: there are more than 64 hyperparameters");
    for (int i = 0; i < 100; i++)
        add(&w, "input a%d[1]\n", i);
    for (int i = 0; i < 100; i++)
        add(&w, i == 0 ? "h' = a%d" : i < 99 ? " + a%d" : " + a%d * W x", i);
    expect_too_much(&w, "cell:65:7: there are more than 64 further inputs");
    for (int i = 0; i < 100; i++)
        add(&w, "a%d = x\nobserve a%d\n", i, i);
    add(&w, "h' = W x\n");
    expect_too_much(&w, "cell:130:9: more than 64 values are observed");
    for (int i = 0; i < 10; i++) {
        add(&w, "a%d' = b", i);
        for (int k = 0; k < 30; k++)
            add(&w, " + W_%d_%d x", i, k);
        add(&w, "\n");
    }
    expect_too_much(&w, "there are more than 256 parameters");
    for (int i = 0; i < 100; i++) {
        add(&w, "a%d = x", i);
        repeat(&w, 80, " * x");
        add(&w, "\n");
    }
    expect_too_much(&w, "the text has more than 8192 names, numbers and operators");
}

/* Numbers that are made of numbers, in a chain, or each of the one before twice. */
Test(equation_errors, too_much_to_compute) {
    writer w = {NULL, 0};
    add(&w, "h' = a299 * W x\nlet a0 = 1\n");
    for (int i = 1; i < 300; i++)
        add(&w, "let a%d = a%d\n", i, i - 1);
    expect_too_much(&w, "takes more than 200 levels to compute");
    add(&w, "h' = a59 * W x\nlet a0 = 1\n");
    for (int i = 1; i < 60; i++)
        add(&w, "let a%d = a%d + a%d\n", i, i - 1, i - 1);
    expect_too_much(&w, "takes more than 1000 operations to compute");
    add(&w, "state m[a0]\nm' = W x\nh' = V m\n");
    for (int i = 0; i < 300; i++)
        add(&w, "size a%d = a%d\n", i, i + 1);
    add(&w, "size a300 = 1\n");
    expect_too_much(&w, "this size takes more than 200 levels to compute");
    add(&w, "state m[a59]\nm' = W x\nh' = V m\nsize a0 = 1\n");
    for (int i = 1; i < 60; i++)
        add(&w, "size a%d = a%d + a%d\n", i, i - 1, i - 1);
    expect_too_much(&w, "this is no size");
    add(&w, "state m[16777216]\nm' = W x\nh' = V [m, m]\n");
    expect_too_much(&w, "this has a size that is too large");
}

Test(equation_errors, too_long) {
    writer w = {NULL, 0};
    add(&w, "h' = W x #");
    while (w.length <= LONGEST)
        add(&w, "................................");
    expect_too_much(&w, "cell: the text is longer than 1 MiB");
    add(&w, "h' = ");
    for (int i = 0; i < 12; i++)
        add(&w, "long_name");
    expect_too_much(&w, "cell:1:6: this name is longer than 100 bytes");
}

/* A message has room for the place, what is wrong, and a part of the line. */
Test(equation_errors, long_lines_and_names_are_cut) {
    writer w = {NULL, 0};
    char file[300];
    memset(file, 'f', sizeof file);
    file[sizeof file - 1] = '\0';
    add(&w, "h' = W x");
    repeat(&w, 60, " + äöü");
    add(&w, " + tahn(x)");
    repeat(&w, 60, " + äöü");
    cb_error error;
    cr_assert_null(cb_cell_parse(w.text, &(cb_cell_text_options){.file = file}, &error));
    const char *line = strchr(error.message, '\n'), *below = strrchr(error.message, '\n');
    cr_assert(line != NULL && below != line, "%s", error.message);
    const char *at = line + 1;
    for (size_t columns = strlen(below + 1) - 1; columns > 0; at++)
        columns -= begins_character(at[1]);
    cr_expect(strncmp(at, "tahn(x)", 7) == 0, "%s", error.message);
    free(w.text);
}

/* ---- Files ----------------------------------------------------------------------------------- */

Test(equation_errors, nothing_to_read) {
    cb_error error;
    cr_expect_null(cb_cell_parse(NULL, NULL, &error));
    cr_expect_eq(error.status, CB_ERROR_VALUE);
    cr_expect_null(cb_cell_load(NULL, NULL, &error));
    cr_expect_eq(error.status, CB_ERROR_FILE);
    cr_expect_null(cb_cell_parse("h' = U h", NULL, NULL)); /* nobody wants to know */
    cb_cell_free(NULL);
}

Test(equation_errors, files) {
    char directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];
    cb_error error;
    cbt_directory_make(directory);
    cbt_join(path, directory, "some.cell");
    const cb_cell_text_options named = {.file = "some.cell"};
    cr_expect_null(cb_cell_load(path, &named, &error));
    cr_expect_eq(error.status, CB_ERROR_FILE);
    cbt_write_file(path, "# two\nh' = W x\0 + U h\n", 22);
    cr_expect_null(cb_cell_load(path, &named, &error));
    cr_expect_eq(error.status, CB_ERROR_FORMAT);
    cr_expect_str_eq(error.message,
                     "some.cell:2:9: this is no cell: it has a byte that is 0; if it "
                     "is UTF-16, save it as UTF-8\n"
                     "    h' = W x\n"
                     "            ^");
    writer w = {NULL, 0};
    add(&w, "h' = W x\n");
    while (w.length <= LONGEST)
        add(&w, "# much\n");
    cbt_write_file(path, w.text, w.length);
    cr_expect_null(cb_cell_load(path, NULL, &error));
    cr_expect_eq(error.status, CB_ERROR_FILE);
    cr_expect_not_null(strstr(error.message, "this is no cell: it is longer than 1 MiB"));
    free(w.text);
    cbt_directory_remove(directory);
}

/* ---- Settings -------------------------------------------------------------------------------- */

#define SET(name, value)                                                                           \
    (const cb_setting[]) {                                                                         \
        {name, value}, {                                                                           \
            NULL, 0                                                                                \
        }                                                                                          \
    }

static void expect_refused(const char *text, const cb_setting *settings, const char *says) {
    cb_error error;
    const cb_cell_text_options options = {.settings = settings};
    cr_expect_null(cb_cell_parse(text, &options, &error), "%s", says);
    cr_expect_eq(error.status, CB_ERROR_VALUE);
    cr_expect_str_eq(error.message, says);
}

Test(equation_errors, settings) {
    static const char plain[] = "let a = 1\nlet b = 2 * a\nsize p = 3\nsize q = 2 * p\n"
                                "state m[q]\nm' = W x\nh' = b * U m";
    static const cb_setting twice[] = {{"a", 1}, {"p", 2}, {"a", 1}, {NULL, 0}};
    expect_refused(plain, SET("c", 1), "cell: there is no \"c\" to set; there are a, p, q");
    expect_refused("h' = W x", SET("c", 1),
                   "cell: there is no \"c\" to set: no line declares one with let or size");
    expect_refused(plain, twice, "cell: \"a\" is set twice");
    expect_error_with("let a = 1\nlet ▸b = 2 * a\nh' = b * W x",
                      "\"b\" is computed; what can be set is a plain number, as in let b = 0.5",
                      SET("b", 1));
    expect_error_with("size p = 3\nsize ▸q = 2 * p\nstate m[q]\nm' = W x\nh' = U m",
                      "the size \"q\" is computed from others: set those", SET("q", 1));
    expect_error_with("size ▸p = 3\nstate m[p]\nm' = W x\nh' = U m",
                      "the size \"p\" is set to 2.5, which is no whole number", SET("p", 2.5));
    expect_error_with("size ▸p = 3\nstate m[p]\nm' = W x\nh' = U m",
                      "the size \"p\" is set to 0, which is no whole number", SET("p", 0));
    for (double size = 16777217; size < 1e300; size *= 1e30)
        expect_error_with("size ▸p = 3\nstate m[p]\nm' = W x\nh' = U m",
                          "which is too large; the largest is 16777216", SET("p", size));
    expect_error_with("let ▸a = 3\nh' = a * W x", "\"a\" is set to what is no finite number",
                      SET("a", (double)INFINITY));
}

/* ---- No memory ------------------------------------------------------------------------------- */

/* Every allocation of reading a text made to fail in its turn. */
static void fail_each(const char *text, const cb_cell_text_options *options) {
    for (int64_t n = 0; n < 2000; n++) {
        cb_error error;
        cbi_allocation_fail_after(n);
        cb_cell *cell = cb_cell_parse(text, options, &error);
        cbi_allocation_fail_after(-1);
        if (cell != NULL) {
            cr_expect_gt(n, 10);
            cb_cell_free(cell);
            return;
        }
        cr_assert_eq(error.status, CB_ERROR_MEMORY, "%s", error.message);
        cr_expect_not_null(strstr(error.message, "out of memory"));
    }
    cr_assert_fail("never read: %s", text);
}

Test(equation_errors, no_memory) {
    static const char all[] = "# all: everything\n"
                              "let floor = 0.25\n"
                              "let ceiling = 1 - floor\n"
                              "size r = hidden / 2\n"
                              "input gap[1]\n"
                              "state m[r]\n"
                              "heads 2 U_n\n"
                              "d = exp(-relu(w_d * gap + b_d)) * ceiling + floor\n"
                              "a, b = split(W_z [x, d * h] + b_z)\n"
                              "n = tanh(W_n x - U_n^T (d * h) + P m + b_n)\n"
                              "m' = 0.5 * m + 0.5 * tanh(Q h)\n"
                              "h' = softmax(a) * (d * h) + b * n\n"
                              "init h = 0.125\n"
                              "init b_d uniform(0, floor)\n"
                              "observe a, d\n";
    static const cb_setting settings[] = {{"floor", 0.5}, {NULL, 0}};
    fail_each("h' = W x", NULL);
    fail_each(all, &(cb_cell_text_options){.settings = settings});
    fail_each(cb_cerebral_lstm.equations, NULL);
}
