/* Lines: equations and declarations.

     NAME = expression                     a result
     NAME' = expression                    a state after the step
     NAME, NAME ... = split(expression)    its equal parts
     NAME[size] = ...                      either, of that size
     let NAME = number                     a hyperparameter
     size NAME = number or size
     state NAME[size], ...
     input NAME[size], ...                 a further input
     init NAME, ... = number               first values of parameters, states
     init NAME, ... RULE or RULE(numbers)
     heads number NAME, ...                matrices with so many blocks on the diagonal
     output NAME
     observe NAME, ...

   A declaration is one only where a name, or a number, follows its word: "state = ..." is an
   equation. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"
#include "tensor/nearest.h"

#include <stdio.h>
#include <string.h>

/* ---- Names that a line says something of ----------------------------------------------------- */

/* Says that a name has been declared or computed before; false. */
static bool again(cbi_equations *e, const cbi_name *name, int at) {
    if (name->kind == CBI_NAME_X || (name->kind == CBI_NAME_SIZE && name->value < 0))
        return cbi_equations_fail(e, at, "\"%s\" has a meaning already: %s", name->text,
                                  name->kind == CBI_NAME_X ? "the input" : "a size");
    return cbi_equations_fail(e, at, "\"%s\" has a meaning already, from line %d", name->text,
                              cbi_line_of(e, name->at));
}

/* Takes the name that a declaration is of; its index, or -1. */
static int take_declared(cbi_equations *e) {
    int i = cbi_take_name(e, "a name");
    if (i < 0 || !cbi_is_sign(e, '\''))
        return i;
    cbi_equations_fail(e, cbi_peek(e, 0)->start, "declarations name \"%s\" without '",
                       e->names[i].text);
    return -1;
}

/* Takes a name that this line declares; its index, or -1. */
static int declare(cbi_equations *e, cbi_name_kind kind) {
    int at = cbi_peek(e, 0)->start, i = take_declared(e);
    if (i < 0)
        return -1;
    cbi_name *name = &e->names[i];
    bool states = kind == CBI_NAME_STATE && name->kind == CBI_NAME_STATE && name->value < 0;
    if (name->kind != CBI_NAME_UNKNOWN && !states) {
        again(e, name, at);
        return -1;
    }
    name->kind = kind;
    name->at = states ? name->at : at;
    return i;
}

/* ---- Declarations ---------------------------------------------------------------------------- */

/* Says what has to come at the end of a line, where something else does. */
static bool line_ends(cbi_equations *e, const char *expected) {
    return cbi_peek(e, 0)->kind == CBI_TOKEN_LINE || cbi_expected(e, expected);
}

/* [size]; its node, or -1. */
static int parse_size(cbi_equations *e) {
    int node = cbi_expect_sign(e, '[', "a size, as in [16],") ? cbi_parse_expression(e) : -1;
    return node >= 0 && cbi_expect_sign(e, ']', "an operator or a \"]\"") ? node : -1;
}

static bool read_value(cbi_equations *e, cbi_name_kind kind) {
    int i = declare(e, kind);
    if (i < 0 || !cbi_expect_sign(e, '=', "\"=\""))
        return false;
    int node = cbi_parse_expression(e);
    e->names[i].value = node;
    return node >= 0 && line_ends(e, "an operator or the end of the line");
}

static bool read_let(cbi_equations *e) {
    return read_value(e, CBI_NAME_LET);
}

static bool read_size(cbi_equations *e) {
    return read_value(e, CBI_NAME_SIZE);
}

static bool read_vectors(cbi_equations *e, cbi_name_kind kind) {
    do {
        int i = declare(e, kind), node = i < 0 ? -1 : parse_size(e);
        if (node < 0)
            return false;
        e->names[i].value = node;
    } while (cbi_take_sign(e, ','));
    return line_ends(e, "a \",\" or the end of the line");
}

static bool read_state(cbi_equations *e) {
    return read_vectors(e, CBI_NAME_STATE);
}

static bool read_input(cbi_equations *e) {
    return read_vectors(e, CBI_NAME_INPUT);
}

/* A list of names that something is said of; how many, or -1. */
static int take_names(cbi_equations *e, int *names, int *places) {
    int count = 0;
    do {
        if (count == CBI_MOST_ARGUMENTS) {
            cbi_equations_fail(e, cbi_peek(e, 0)->start,
                               "there are more than %d names in a line; begin another one",
                               CBI_MOST_ARGUMENTS);
            return -1;
        }
        places[count] = cbi_peek(e, 0)->start;
        names[count] = take_declared(e);
        if (names[count++] < 0)
            return -1;
    } while (cbi_take_sign(e, ','));
    return count;
}

static const struct {
    const char *name, *usage;
    cb_init_kind kind;
    int least, most; /* numbers */
} rules[] = {
    {"zeros", "zeros", CB_INIT_ZEROS, 0, 0},
    {"uniform", "uniform(low, high)", CB_INIT_UNIFORM, 2, 2},
    {"normal", "normal(mean, deviation)", CB_INIT_NORMAL, 2, 2},
    {"glorot_uniform", "glorot_uniform(gain)", CB_INIT_GLOROT_UNIFORM, 0, 1},
    {"glorot_normal", "glorot_normal(gain)", CB_INIT_GLOROT_NORMAL, 0, 1},
    {"kaiming_uniform", "kaiming_uniform(gain)", CB_INIT_KAIMING_UNIFORM, 0, 1},
    {"kaiming_normal", "kaiming_normal(gain)", CB_INIT_KAIMING_NORMAL, 0, 1},
    {"orthogonal", "orthogonal(gain)", CB_INIT_ORTHOGONAL, 0, 1},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

/* Which rule the next token is; -1. */
static int next_rule(const cbi_equations *e) {
    for (int i = 0; i < RULES; i++)
        if (cbi_is_word(e, cbi_peek(e, 0), rules[i].name))
            return i;
    return -1;
}

/* The rule that others call so; NULL. */
static const char *same_rule(const char *text) {
    static const char *const others[][2] = {
        {"xavier_uniform", "glorot_uniform"},
        {"xavier_normal", "glorot_normal"},
        {"he_uniform", "kaiming_uniform"},
        {"he_normal", "kaiming_normal"},
        {"gaussian", "normal"},
        {"zero", "zeros"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(text, others[i][0]) == 0)
            return others[i][1];
    return NULL;
}

static bool no_rule(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    const char *names[RULES + 1] = {NULL}, *text = CBI_QUOTE(e, t->start, t->end);
    for (int i = 0; i < RULES; i++)
        names[i] = rules[i].name;
    const char *nearest = same_rule(text);
    if (nearest == NULL)
        nearest = cbi_nearest_name(text, names);
    if (nearest != NULL && t->kind == CBI_TOKEN_NAME)
        return cbi_equations_fail(e, t->start,
                                  "\"%s\" is no rule for first values; did you mean "
                                  "\"%s\"?",
                                  text, nearest);
    return cbi_expected(e, "\"=\" and a number, or one of zeros, uniform(low, high), normal(mean, "
                           "deviation), glorot_uniform, glorot_normal, kaiming_uniform, "
                           "kaiming_normal, orthogonal");
}

/* The numbers in brackets of a rule, which may be none. */
static bool parse_rule_numbers(cbi_equations *e, int rule, cbi_name *init) {
    int at = cbi_peek(e, -1)->start;
    if (cbi_take_sign(e, '('))
        do {
            if (init->init_count == rules[rule].most)
                return cbi_equations_fail(e, at, "%s takes %s%d number%s: %s", rules[rule].name,
                                          rules[rule].least < rules[rule].most ? "up to " : "",
                                          rules[rule].most, rules[rule].most == 1 ? "" : "s",
                                          rules[rule].usage);
            init->init_nodes[init->init_count] = cbi_parse_expression(e);
            if (init->init_nodes[init->init_count++] < 0)
                return false;
        } while (cbi_take_sign(e, ',') || !cbi_expect_sign(e, ')', "a \",\" or a \")\""));
    return e->error->status == CB_OK &&
           (init->init_count >= rules[rule].least ||
            cbi_equations_fail(e, at, "%s takes %d numbers: %s", rules[rule].name,
                               rules[rule].least, rules[rule].usage));
}

/* = number, or a rule with its numbers, into a name's fields. */
static bool parse_init(cbi_equations *e, cbi_name *init) {
    bool equals = cbi_take_sign(e, '=');
    int rule = next_rule(e), at = cbi_peek(e, 0)->start;
    if (equals && rule >= 0)
        return cbi_equations_fail(e, at, "a rule has no = before it: write init NAME %s",
                                  rules[rule].usage);
    if (equals) {
        init->init = CB_INIT_CONSTANT;
        init->init_nodes[init->init_count++] = cbi_parse_expression(e);
        return init->init_nodes[0] >= 0 && line_ends(e, "an operator or the end of the line");
    }
    if (rule < 0)
        return no_rule(e);
    init->init = rules[rule].kind;
    e->token++;
    return parse_rule_numbers(e, rule, init) && line_ends(e, "the end of the line");
}

static bool read_init(cbi_equations *e) {
    int names[CBI_MOST_ARGUMENTS], places[CBI_MOST_ARGUMENTS];
    int count = take_names(e, names, places);
    cbi_name init = {0};
    if (count < 0 || !parse_init(e, &init))
        return false;
    for (int i = 0; i < count; i++) {
        cbi_name *name = &e->names[names[i]];
        if (name->init_at >= 0)
            return cbi_equations_fail(e, places[i],
                                      "\"%s\" has its first values from line %d already",
                                      name->text, cbi_line_of(e, name->init_at));
        name->init_at = places[i];
        name->init = init.init;
        name->init_count = init.init_count;
        memcpy(name->init_nodes, init.init_nodes, sizeof(init.init_nodes));
    }
    return true;
}

int cbi_take_head_count(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    if (t->kind != CBI_TOKEN_NUMBER || t->number < 1 || t->number > 4096 ||
        t->number != (double)(int)t->number) {
        cbi_equations_fail(e, t->start,
                           "heads takes a whole number from 1 to 4096, and matrices: heads 4 U_i, "
                           "U_f");
        return -1;
    }
    e->token++;
    return (int)t->number;
}

static bool read_heads(cbi_equations *e) {
    int names[CBI_MOST_ARGUMENTS], places[CBI_MOST_ARGUMENTS];
    int heads = cbi_take_head_count(e);
    if (heads < 0)
        return false;
    int count = take_names(e, names, places);
    for (int i = 0; i < count; i++) {
        cbi_name *name = &e->names[names[i]];
        if (!cbi_is_capital(name->text))
            return cbi_equations_fail(
                e, places[i], "\"%s\" is no matrix: those begin with a capital", name->text);
        if (name->heads_at >= 0)
            return cbi_equations_fail(e, places[i], "\"%s\" has its heads from line %d already",
                                      name->text, cbi_line_of(e, name->heads_at));
        name->heads = heads;
        name->heads_at = places[i];
    }
    return count > 0 && line_ends(e, "a \",\" or the end of the line");
}

static bool read_output(cbi_equations *e) {
    int at = cbi_peek(e, 0)->start;
    if (e->output >= 0)
        return cbi_equations_fail(e, at, "the output is said in line %d already",
                                  cbi_line_of(e, e->output_at));
    e->output_at = at;
    e->output = take_declared(e);
    return e->output >= 0 && line_ends(e, "the end of the line");
}

static bool read_observe(cbi_equations *e) {
    int names[CBI_MOST_ARGUMENTS], places[CBI_MOST_ARGUMENTS];
    int count = take_names(e, names, places);
    for (int i = 0; i < count; i++) {
        cbi_name *name = &e->names[names[i]];
        if (name->observed_at >= 0)
            return cbi_equations_fail(e, places[i], "\"%s\" is observed already, by line %d",
                                      name->text, cbi_line_of(e, name->observed_at));
        name->observed_at = places[i];
        if (!cbi_grow(&e->observed, &e->observed_room, e->observed_count + 1, sizeof(int)))
            return cbi_equations_no_memory(e);
        e->observed[e->observed_count++] = names[i];
    }
    return count > 0 && line_ends(e, "a \",\" or the end of the line");
}

static const struct {
    const char *word;
    bool (*read)(cbi_equations *e);
    bool declares; /* the names that follow */
} declarations[] = {
    {"let", read_let, true},        {"size", read_size, true},        {"state", read_state, true},
    {"input", read_input, true},    {"init", read_init, false},       {"heads", read_heads, false},
    {"output", read_output, false}, {"observe", read_observe, false},
};
enum { DECLARATIONS = sizeof(declarations) / sizeof(declarations[0]) };

/* Which declaration a line that begins with a token is; -1: an equation. */
static int declaration_at(const cbi_equations *e, int token) {
    const cbi_token *t = &e->tokens[token], *after = t + 1;
    if (t->kind != CBI_TOKEN_NAME || after->kind == CBI_TOKEN_SIGN)
        return -1;
    for (int i = 0; i < DECLARATIONS; i++)
        if (cbi_is_word(e, t, declarations[i].word))
            return i;
    return -1;
}

bool cbi_is_declaration(const char *line) {
    for (int i = 0; i < DECLARATIONS; i++) {
        size_t word = strlen(declarations[i].word);
        /* heads may stand in an expression, too. */
        if (strncmp(line, declarations[i].word, word) != 0 || declarations[i].read == read_heads)
            continue;
        size_t blanks = strspn(line + word, " \t");
        char next = line[word + blanks];
        return blanks > 0 && ((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') ||
                              next == '_' || (next >= '0' && next <= '9'));
    }
    return false;
}

/* ---- Equations ------------------------------------------------------------------------------- */

/* Whether an equation may give a name its value; else says why not. */
static bool may_be_target(cbi_equations *e, const cbi_name *name, int at, bool next) {
    bool state = name->kind == CBI_NAME_STATE;
    if (next && state && name->equation >= 0) {
        bool before = name->equation < e->equation_count;
        return cbi_equations_fail(e, at, "%s' is computed in line %d already", name->text,
                                  cbi_line_of(e, before ? e->equations[name->equation].at : at));
    }
    if (!next && state)
        return cbi_equations_fail(e, at,
                                  "\"%s\" is a state, because of line %d: write %s' for what it "
                                  "becomes, or take another name",
                                  name->text, cbi_line_of(e, name->at), name->text);
    return name->kind == CBI_NAME_UNKNOWN || state || again(e, name, at);
}

/* A name on the left, with ' and a size. */
static bool parse_target(cbi_equations *e, cbi_equation *equation) {
    int at = cbi_peek(e, 0)->start, i = cbi_take_name(e, "an equation, like c' = f * c,");
    if (i < 0)
        return false;
    cbi_name *name = &e->names[i];
    bool next = cbi_take_sign(e, '\'');
    if (!may_be_target(e, name, at, next))
        return false;
    name->at = name->kind == CBI_NAME_STATE ? name->at : at;
    name->kind = next ? CBI_NAME_STATE : CBI_NAME_RESULT;
    name->equation = e->equation_count;
    name->part = equation->target_count++;
    equation->next = equation->next || next;
    if (!cbi_grow(&e->targets, &e->target_room, e->target_count + 1, sizeof(int)))
        return cbi_equations_no_memory(e);
    e->targets[e->target_count++] = i;
    if (!cbi_is_sign(e, '['))
        return true;
    if (equation->form_node >= 0)
        return cbi_equations_fail(e, at, "one size is enough: the parts are equal");
    equation->form_node = parse_size(e);
    return equation->form_node >= 0;
}

/* The = of an equation; else says what the line may have been meant for. */
static bool expect_equals(cbi_equations *e, const cbi_equation *equation) {
    const char *words[DECLARATIONS + 1] = {NULL};
    const cbi_name *first = &e->names[e->targets[equation->first_target]];
    const cbi_token *t = cbi_peek(e, 0);
    for (int i = 0; i < DECLARATIONS; i++)
        words[i] = declarations[i].word;
    const char *nearest = cbi_nearest_name(first->text, words);
    if (t->kind == CBI_TOKEN_NAME && equation->target_count == 1 && nearest != NULL)
        return cbi_equations_fail(e, equation->at, "\"%s\" begins no line; did you mean \"%s\"?",
                                  first->text, nearest);
    if (t->kind == CBI_TOKEN_NAME)
        return cbi_expected(e, "\"=\" (a line is an equation, or begins with let, size, state, "
                               "input, init, heads, output or observe)");
    if (cbi_is_sign(e, '('))
        return cbi_equations_fail(
            e, t->start,
            "\"=\" is expected, not \"(\"; a time step is not written: %s' is "
            "%s after it",
            first->text, first->text);
    return cbi_expect_sign(e, '=', "\"=\"");
}

static bool is_split(const cbi_equations *e) {
    const cbi_token *after = cbi_peek(e, 1);
    return cbi_is_word(e, cbi_peek(e, 0), "split") && after->kind == CBI_TOKEN_SIGN &&
           after->sign == '(';
}

/* split(expression), of an equation with several names. */
static bool parse_split(cbi_equations *e, cbi_equation *equation) {
    if (!is_split(e))
        return cbi_equations_fail(e, cbi_peek(e, 0)->start,
                                  "several names on the left are equal "
                                  "parts: write = split(...)");
    e->token += 2;
    equation->split = true;
    equation->node = cbi_parse_expression(e);
    if (equation->node >= 0 && cbi_is_sign(e, ','))
        return cbi_equations_fail(e, cbi_peek(e, 0)->start,
                                  "split takes 1 argument: there are as many parts as names on the "
                                  "left");
    return equation->node >= 0 && cbi_expect_sign(e, ')', "an operator or a \")\"") &&
           line_ends(e, "the end of the line, as split is the whole right side,");
}

/* The right side. */
static bool parse_value(cbi_equations *e, cbi_equation *equation) {
    if (equation->target_count > 1)
        return parse_split(e, equation);
    if (is_split(e))
        return cbi_equations_fail(e, cbi_peek(e, 0)->start,
                                  "split gives several parts: name them "
                                  "all on the left, a, b = split(...)");
    equation->node = cbi_parse_expression(e);
    if (equation->node >= 0 && (cbi_is_sign(e, ')') || cbi_is_sign(e, ']')))
        return cbi_equations_fail(e, cbi_peek(e, 0)->start,
                                  "an operator or the end of the line is expected, not \"%c\"; no "
                                  "bracket is open here",
                                  cbi_peek(e, 0)->sign);
    return equation->node >= 0 && line_ends(e, "an operator or the end of the line");
}

static bool read_equation(cbi_equations *e) {
    cbi_equation equation = {
        .first_target = e->target_count, .at = cbi_peek(e, 0)->start, .form_node = -1};
    if (e->equation_count == CBI_MOST_EQUATIONS)
        return cbi_equations_fail(e, equation.at, "there are more than %d equations",
                                  CBI_MOST_EQUATIONS);
    do
        if (!parse_target(e, &equation))
            return false;
    while (cbi_take_sign(e, ','));
    if (equation.next && equation.target_count > 1)
        return cbi_equations_fail(e, equation.at,
                                  "a state has an equation of its own: give the "
                                  "parts other names first");
    if (!expect_equals(e, &equation))
        return false;
    equation.first_node = e->node_count;
    if (!parse_value(e, &equation))
        return false;
    equation.end = e->tokens[e->token - 1].end;
    if (!cbi_grow(&e->equations, &e->equation_room, e->equation_count + 1, sizeof(equation)))
        return cbi_equations_no_memory(e);
    e->equations[e->equation_count++] = equation;
    return true;
}

/* ---- The text -------------------------------------------------------------------------------- */

/* Which names get a meaning from the text, so that an expression that comes first knows. */
static bool mark_defined(cbi_equations *e) {
    bool begins = true;
    for (int i = 0; e->tokens[i].kind != CBI_TOKEN_END; i++) {
        int declaration = begins ? declaration_at(e, i) : -1;
        bool declares = declaration >= 0 && declarations[declaration].declares;
        begins = e->tokens[i].kind == CBI_TOKEN_LINE;
        if (begins || (i > 0 && e->tokens[i - 1].kind != CBI_TOKEN_LINE))
            continue;
        int depth = 0, first = i + (declares ? 1 : 0), last = first;
        while (e->tokens[last].kind != CBI_TOKEN_LINE && e->tokens[last].kind != CBI_TOKEN_END &&
               !(e->tokens[last].kind == CBI_TOKEN_SIGN && e->tokens[last].sign == '='))
            last++;
        bool equation = e->tokens[last].kind == CBI_TOKEN_SIGN && declaration < 0;
        for (int k = first; k < last && (equation || declares); k++) {
            const cbi_token *t = &e->tokens[k];
            depth += t->kind == CBI_TOKEN_SIGN ? (t->sign == '[') - (t->sign == ']') : 0;
            if (t->kind != CBI_TOKEN_NAME || depth > 0)
                continue;
            int name = cbi_name_of(e, e->text + t->start, t->end - t->start, t->start);
            if (name < 0)
                return false;
            e->names[name].defined = true;
        }
    }
    return true;
}

/* x, hidden and input mean something by themselves. */
static bool add_given_names(cbi_equations *e) {
    static const char *const given[] = {"x", "hidden", "input"};
    for (int i = 0; i < 3; i++) {
        int name = cbi_name_of(e, given[i], (int)strlen(given[i]), 0);
        if (name < 0)
            return false;
        e->names[name].kind = i == 0 ? CBI_NAME_X : CBI_NAME_SIZE;
        e->names[name].defined = true;
        e->names[name].has_form = true;
        e->names[name].form = (cbi_form){.hidden = i == 1, .input = i != 1, .over = 1};
    }
    return true;
}

bool cbi_read_statements(cbi_equations *e) {
    if (!add_given_names(e) || !mark_defined(e))
        return false;
    while (cbi_peek(e, 0)->kind != CBI_TOKEN_END) {
        int declaration = declaration_at(e, e->token);
        e->token += declaration >= 0 ? 1 : 0;
        if (!(declaration >= 0 ? declarations[declaration].read(e) : read_equation(e)))
            return false;
        e->token++; /* the end of the line, which each of them looks for */
    }
    return true;
}
