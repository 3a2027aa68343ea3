/* Expressions, by recursive descent:

     expression   product { (+ | -) product }
     product      factor { (* | /) factor }
     factor       - factor | + factor | power
     power        application [ ^ factor ]
     application  MATRIX [ ^T ] [ · ] application | primary
     primary      number | name | name' | function ( arguments ) | ( expression ) | [ parts ]

   A name is taken for a matrix when it begins with a capital and nothing in the text says what it
   is. Nodes are made from the leaves up: what a node's arguments are comes before it. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <string.h>

/* ---- Names ----------------------------------------------------------------------------------- */

int cbi_name_of(cbi_equations *e, const char *text, int length, int at) {
    for (int i = 0; i < e->name_count; i++)
        if (strlen(e->names[i].text) == (size_t)length &&
            memcmp(e->names[i].text, text, (size_t)length) == 0)
            return i;
    if (e->name_count == CBI_MOST_NAMES) {
        cbi_equations_fail(e, at, "there are more than %d names", CBI_MOST_NAMES);
        return -1;
    }
    char *copy = cbi_grow(&e->names, &e->name_room, e->name_count + 1, sizeof(*e->names))
                     ? cbi_allocate((size_t)length + 1)
                     : NULL;
    if (copy == NULL) {
        cbi_equations_no_memory(e);
        return -1;
    }
    memcpy(copy, text, (size_t)length);
    e->names[e->name_count] = (cbi_name){.text = copy,
                                         .at = at,
                                         .equation = -1,
                                         .value = -1,
                                         .setting = -1,
                                         .size = -1,
                                         .columns = -1,
                                         .init_at = -1,
                                         .heads = 1};
    return e->name_count++;
}

int cbi_take_name(cbi_equations *e, const char *expected) {
    const cbi_token *t = cbi_peek(e, 0);
    if (t->kind != CBI_TOKEN_NAME) {
        cbi_expected(e, expected);
        return -1;
    }
    e->token++;
    return cbi_name_of(e, e->text + t->start, t->end - t->start, t->start);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static int add_node(cbi_equations *e, cbi_node node) {
    for (int i = 0; i < node.argument_count; i++) {
        int depth = e->nodes[node.arguments[i]].depth + 1;
        node.depth = depth > node.depth ? depth : node.depth;
    }
    if (node.depth > CBI_DEEPEST) {
        cbi_equations_fail(e, node.at,
                           "this expression is nested deeper than %d levels; give "
                           "parts of it names of their own",
                           CBI_DEEPEST);
        return -1;
    }
    if (e->node_count == CBI_MOST_NODES) {
        cbi_equations_fail(e, node.at, "the text has more than %d names, numbers and operators",
                           CBI_MOST_NODES);
        return -1;
    }
    if (!cbi_grow(&e->nodes, &e->node_room, e->node_count + 1, sizeof(*e->nodes))) {
        cbi_equations_no_memory(e);
        return -1;
    }
    node.size = node.parent = -1;
    e->nodes[e->node_count] = node;
    return e->node_count++;
}

static int add_operation(cbi_equations *e, cbi_node_kind kind, int at, int left, int right) {
    if (left < 0 || right < 0)
        return -1;
    return add_node(e, (cbi_node){.kind = kind,
                                  .start = e->nodes[left].start,
                                  .end = e->nodes[right].end,
                                  .at = at,
                                  .argument_count = 2,
                                  .arguments = {left, right}});
}

/* ---- Primary --------------------------------------------------------------------------------- */

static int parse_factor(cbi_equations *e);

/* Arguments up to a closing bracket, which is taken; how many, or -1. */
static int parse_arguments(cbi_equations *e, char closing, const char *expected,
                           int arguments[CBI_MOST_ARGUMENTS]) {
    int count = 0;
    do {
        if (count == CBI_MOST_ARGUMENTS) {
            cbi_equations_fail(e, cbi_peek(e, 0)->start, "there are more than %d parts",
                               CBI_MOST_ARGUMENTS);
            return -1;
        }
        arguments[count] = cbi_parse_expression(e);
        if (arguments[count++] < 0)
            return -1;
    } while (cbi_take_sign(e, ','));
    return cbi_expect_sign(e, closing, expected) ? count : -1;
}

static int unknown_function(cbi_equations *e, int name, int at) {
    const char *text = e->names[name].text;
    const char *nearest = cbi_function_nearest(text);
    if (strcmp(text, "split") == 0)
        cbi_equations_fail(e, at,
                           "split is the whole right side of an equation with several names "
                           "on the left: a, b = split(...)");
    else if (e->names[name].defined)
        cbi_equations_fail(e, at,
                           "\"%s\" is no function. A time step is not written: x is this "
                           "step's input, h a state before the step, h' after it; a product "
                           "is %s * (...)",
                           text, text);
    else if (nearest != NULL)
        cbi_equations_fail(e, at, "there is no function \"%s\"; did you mean \"%s\"?", text,
                           nearest);
    else
        cbi_equations_fail(e, at,
                           "there is no function \"%s\"; for a product write %s * (...), and "
                           "begin a matrix with a capital",
                           text, text);
    return -1;
}

/* Whether a name with a capital is that of a function in papers and other languages: then its call
   is no product with a matrix. */
static bool is_function_elsewhere(const cbi_equations *e, int name) {
    const char *text = e->names[name].text;
    char small[32];
    size_t length = strlen(text);
    if (length < 2 || length >= sizeof(small) || e->names[name].defined)
        return false;
    for (size_t i = 0; i <= length; i++)
        small[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    return cbi_function_find(small) != NULL || cbi_function_elsewhere(small) != NULL;
}

static int parse_call(cbi_equations *e, int name, int at) {
    const cbi_function *f = cbi_function_find(e->names[name].text);
    cbi_node node = {.kind = CBI_NODE_CALL, .start = at, .at = at, .function = f};
    if (f == NULL || e->names[name].defined)
        return unknown_function(e, name, at);
    e->token++;
    node.argument_count = parse_arguments(e, ')', "a \",\" or a \")\"", node.arguments);
    node.end = e->tokens[e->token - 1].end;
    int most = f->operands + f->numbers;
    if (node.argument_count >= 0 &&
        (node.argument_count > most || node.argument_count < most - f->optional)) {
        bool of_two = node.argument_count == 2 &&
                      (strcmp(f->name, "max") == 0 || strcmp(f->name, "min") == 0);
        cbi_equations_fail(e, at, "%s takes %d argument%s, not %d%s%s%s", f->name, most,
                           most == 1 ? "" : "s", node.argument_count,
                           of_two ? "; of two vectors, unit by unit, it is " : "",
                           of_two ? f->name : "", of_two ? "imum(a, b)" : "");
        return -1;
    }
    return node.argument_count < 0 ? -1 : add_node(e, node);
}

static int parse_name(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    int at = t->start, end = t->end;
    int name = cbi_take_name(e, "a name");
    if (name < 0)
        return -1;
    bool call = cbi_is_sign(e, '(') && cbi_peek(e, 0)->start == end;
    if (cbi_is_sign(e, '(') &&
        (!cbi_is_capital(e->names[name].text) || (call && is_function_elsewhere(e, name))))
        return parse_call(e, name, at);
    bool next = cbi_is_sign(e, '\'');
    end = next ? cbi_peek(e, 0)->end : end;
    e->token += next ? 1 : 0;
    return add_node(e, (cbi_node){.kind = next ? CBI_NODE_NEXT : CBI_NODE_NAME,
                                  .start = at,
                                  .end = end,
                                  .at = at,
                                  .name = name});
}

/* In brackets: the node keeps them, for messages that quote it. */
static int parse_brackets(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    cbi_node node = {.kind = CBI_NODE_JOIN, .start = t->start, .at = t->start};
    e->token++;
    if (t->sign == '(') {
        int inner = cbi_parse_expression(e);
        if (inner < 0 || !cbi_expect_sign(e, ')', "an operator or a \")\""))
            return -1;
        e->nodes[inner].start = node.start;
        e->nodes[inner].end = e->tokens[e->token - 1].end;
        return inner;
    }
    node.argument_count = parse_arguments(e, ']', "a \",\" or a \"]\"", node.arguments);
    node.end = e->tokens[e->token - 1].end;
    return node.argument_count < 0 ? -1 : add_node(e, node);
}

static int parse_primary(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    if (t->kind == CBI_TOKEN_NUMBER) {
        e->token++;
        return add_node(e, (cbi_node){.kind = CBI_NODE_NUMBER,
                                      .start = t->start,
                                      .end = t->end,
                                      .at = t->start,
                                      .number = t->number});
    }
    if (t->kind == CBI_TOKEN_NAME)
        return parse_name(e);
    if (t->kind == CBI_TOKEN_SIGN && (t->sign == '(' || t->sign == '['))
        return parse_brackets(e);
    cbi_expected(e, "a name, a number or a bracket");
    return -1;
}

/* ---- Products with matrices ------------------------------------------------------------------ */

static bool begins_operand(const cbi_token *t) {
    return t->kind == CBI_TOKEN_NAME || t->kind == CBI_TOKEN_NUMBER ||
           (t->kind == CBI_TOKEN_SIGN && (t->sign == '(' || t->sign == '['));
}

/* Takes ^T or its sign. */
static bool take_transposition(cbi_equations *e) {
    const cbi_token *after = cbi_peek(e, 1);
    if (cbi_take_sign(e, 'T'))
        return true;
    if (!cbi_is_sign(e, '^') || after->kind != CBI_TOKEN_NAME || after->end - after->start != 1 ||
        e->text[after->start] != 'T')
        return false;
    e->token += 2;
    return true;
}

/* W · x, as papers print a product with a matrix; between vectors the dot is a *. */
static bool is_dot(const cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0);
    return cbi_is_sign(e, '*') && t->end - t->start > 1;
}

static int parse_application(cbi_equations *e, int level) {
    int first = parse_primary(e);
    if (first < 0)
        return -1;
    cbi_node *node = &e->nodes[first];
    const char *text = node->kind == CBI_NODE_NAME ? e->names[node->name].text : "";
    bool matrix = node->kind == CBI_NODE_NAME && e->text[node->start] != '(' &&
                  cbi_is_capital(text) && !e->names[node->name].defined;
    bool transposed = matrix && take_transposition(e);
    if (matrix && is_dot(e))
        e->token++;
    const cbi_token *t = cbi_peek(e, 0);
    if (!begins_operand(t)) {
        if (transposed)
            cbi_expected(e, "what the transposed matrix multiplies, as in W h - W^T h,");
        return transposed ? -1 : first;
    }
    if (!matrix && node->kind == CBI_NODE_NAME && cbi_function_find(text) != NULL &&
        !e->names[node->name].defined) {
        cbi_equations_fail(e, node->start, "%s is a function: its argument is in brackets, %s(...)",
                           text, text);
        return -1;
    }
    if (!matrix) {
        cbi_equations_fail(e, t->start,
                           node->kind == CBI_NODE_NUMBER || node->kind == CBI_NODE_NAME
                               ? "an operator is missing: write %.*s * ..., or begin the name of a "
                                 "matrix with a capital"
                               : "an operator is missing after \"%.*s\"",
                           CBI_QUOTED(e, node->start, node->end));
        return -1;
    }
    if (level == CBI_DEEPEST) {
        cbi_equations_fail(e, t->start, "there are more than %d matrices in a row", CBI_DEEPEST);
        return -1;
    }
    cbi_node product = {.kind = CBI_NODE_APPLY,
                        .start = node->start,
                        .at = node->start,
                        .name = node->name,
                        .transposed = transposed,
                        .argument_count = 1};
    e->node_count--; /* the matrix is no value of its own */
    product.arguments[0] = parse_application(e, level + 1);
    if (product.arguments[0] < 0)
        return -1;
    product.end = e->nodes[product.arguments[0]].end;
    return add_node(e, product);
}

/* ---- Operators ------------------------------------------------------------------------------- */

static int parse_power(cbi_equations *e) {
    int base = parse_application(e, 0), at = cbi_peek(e, 0)->start;
    if (base < 0 || !cbi_take_sign(e, '^'))
        return base;
    return add_operation(e, CBI_NODE_POWER, at, base, parse_factor(e));
}

static int parse_signed(cbi_equations *e, int at) {
    int operand = parse_factor(e);
    if (operand < 0)
        return -1;
    return add_node(e, (cbi_node){.kind = CBI_NODE_NEG,
                                  .start = at,
                                  .end = e->nodes[operand].end,
                                  .at = at,
                                  .argument_count = 1,
                                  .arguments = {operand}});
}

static int parse_factor(cbi_equations *e) {
    int at = cbi_peek(e, 0)->start, node;
    if (++e->depth > CBI_DEEPEST) {
        cbi_equations_fail(e, at, "this expression is nested deeper than %d levels", CBI_DEEPEST);
        return -1;
    }
    if (cbi_take_sign(e, '-'))
        node = parse_signed(e, at);
    else if (cbi_take_sign(e, '+'))
        node = parse_factor(e);
    else
        node = parse_power(e);
    e->depth--;
    return node;
}

static int parse_product(cbi_equations *e) {
    int left = parse_factor(e);
    while (left >= 0 && (cbi_is_sign(e, '*') || cbi_is_sign(e, '/'))) {
        const cbi_token *sign = cbi_peek(e, 0);
        e->token++;
        left = add_operation(e, sign->sign == '*' ? CBI_NODE_MUL : CBI_NODE_DIV, sign->start, left,
                             parse_factor(e));
    }
    return left;
}

int cbi_parse_expression(cbi_equations *e) {
    int left = parse_product(e);
    while (left >= 0 && (cbi_is_sign(e, '+') || cbi_is_sign(e, '-'))) {
        const cbi_token *sign = cbi_peek(e, 0);
        e->token++;
        left = add_operation(e, sign->sign == '+' ? CBI_NODE_ADD : CBI_NODE_SUB, sign->start, left,
                             parse_product(e));
    }
    return left;
}
