/* Expressions, by recursive descent:

     expression   product { (+ | -) product }
     product      factor { (* | /) factor }
     factor       - factor | + factor | power
     power        application [ ^ factor ]
     application  MATRIX [ ^T ] [ · ] application | primary       (the dot, not *)
     primary      number | name | name' | function ( arguments ) | ( expression ) | [ parts ]

   A name is taken for a matrix when it begins with a capital and nothing in the text says what it
   is. Nodes are made from the leaves up: what a node's arguments are comes before it. */
#include "nn/equations/equations.h"

#include "tensor/hash.h"
#include "tensor/memory.h"

#include <string.h>

/* ---- Names ----------------------------------------------------------------------------------- */

/* Where the index of a name stands in the hash table, or would. */
static int *slot_of(cbi_equations *e, const char *text, int length) {
    uint64_t hash = cbi_hash_bytes(CBI_HASH_OF_NOTHING, text, (size_t)length);
    for (;; hash++) {
        int *slot = &e->name_slots[hash % CBI_NAME_SLOTS];
        const char *name = *slot > 0 ? e->names[*slot - 1].text : NULL;
        if (name == NULL || (strncmp(name, text, (size_t)length) == 0 && name[length] == '\0'))
            return slot;
    }
}

int cbi_name_of(cbi_equations *e, const char *text, int length, int at) {
    int *slot = slot_of(e, text, length);
    if (*slot > 0)
        return *slot - 1;
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
                                         .heads_at = -1,
                                         .observed_at = -1,
                                         .init_at = -1,
                                         .heads = 1};
    *slot = ++e->name_count;
    return e->name_count - 1;
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
    node.count = 1;
    for (int i = 0; i < node.argument_count; i++) {
        const cbi_node *argument = &e->nodes[node.arguments[i]];
        node.depth = argument->depth + 1 > node.depth ? argument->depth + 1 : node.depth;
        node.count += argument->count;
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

/* One level of brackets, signs, powers and matrices more. */
static bool go_deeper(cbi_equations *e) {
    return ++e->depth <= CBI_DEEPEST ||
           cbi_equations_fail(e, cbi_peek(e, 0)->start,
                              "this expression is nested deeper than %d levels; give parts of it "
                              "names of their own",
                              CBI_DEEPEST);
}

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

/* Says what a name in front of a bracket may have been meant for; -1. */
static int unknown_function(cbi_equations *e, int name, int at) {
    const char *text = e->names[name].text, *nearest = cbi_function_nearest(text);
    if (strcmp(text, "split") == 0)
        cbi_equations_fail(e, at,
                           "split is the whole right side of an equation with several names "
                           "on the left: a, b = split(...)");
    else if (e->names[name].defined && cbi_function_find(text) != NULL)
        cbi_equations_fail(e, at,
                           "line %d makes \"%s\" a name of the text, so that it is no "
                           "function; take another name there",
                           cbi_line_of(e, e->names[name].at), text);
    else if (e->names[name].defined)
        cbi_equations_fail(e, at,
                           "\"%s\" is no function. A time step is not written: x is this "
                           "step's input, h a state before the step, h' after it; a product "
                           "is %s * (...)",
                           text, text);
    else if (nearest != NULL)
        cbi_equations_fail(
            e, at, "there is no function \"%s\"; did you mean \"%s\"?%s", text, nearest,
            cbi_is_capital(text) ? " A matrix of that name needs a blank before the bracket" : "");
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

/* Says how a function is called: "leaky_relu takes 2 arguments, not 1: leaky_relu(a, number)". */
static int wrong_count(cbi_equations *e, const cbi_function *f, int count, int at) {
    static const char *const operands[] = {"", "(a", "(a, b", "(a, b, c"};
    static const char *const numbers[] = {"", ", number", ", number, number"};
    int most = f->operands + f->numbers;
    bool of_two = count == 2 && (strcmp(f->name, "max") == 0 || strcmp(f->name, "min") == 0);
    if (of_two)
        cbi_equations_fail(e, at,
                           "%s takes 1 argument, not 2; of two vectors, unit by unit, it is "
                           "%simum(a, b)",
                           f->name, f->name);
    else
        cbi_equations_fail(e, at, "%s takes %s%d argument%s, not %d: %s%s%s)", f->name,
                           f->optional > 0 ? "up to " : "", most, most == 1 ? "" : "s", count,
                           f->name, operands[f->operands], numbers[f->numbers]);
    return -1;
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
    if (node.argument_count < 0)
        return -1;
    if (node.argument_count > most || node.argument_count < most - f->optional)
        return wrong_count(e, f, node.argument_count, at);
    return add_node(e, node);
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

/* How many tokens the next ones are of a transposition, ^T or its sign; 0. */
static int transposition(const cbi_equations *e) {
    const cbi_token *after = cbi_peek(e, 1);
    if (cbi_is_sign(e, 'T'))
        return 1;
    return cbi_is_sign(e, '^') && cbi_is_word(e, after, "T") ? 2 : 0;
}

/* Takes ^T. Of anything but a matrix it is wrong, unless T is a name of the text. */
static bool take_transposition(cbi_equations *e, const cbi_node *node, bool matrix, bool *taken) {
    int count = transposition(e), name = *slot_of(e, "T", 1) - 1;
    *taken = matrix && count > 0;
    e->token += *taken ? count : 0;
    if (matrix || count == 0 || (count == 2 && name >= 0 && e->names[name].defined))
        return true;
    return cbi_equations_fail(e, cbi_peek(e, 0)->start,
                              "\"%s\" is no matrix, and only a matrix is transposed, as in W^T h",
                              CBI_QUOTE(e, node->start, node->end));
}

/* Says why two expressions may not stand side by side. */
static int missing_operator(cbi_equations *e, const cbi_node *node) {
    const char *quoted = CBI_QUOTE(e, node->start, node->end);
    const cbi_name *name = node->kind == CBI_NODE_NAME ? &e->names[node->name] : NULL;
    const cbi_token *t = cbi_peek(e, 0);
    if (name != NULL && !name->defined && cbi_function_find(name->text) != NULL)
        cbi_equations_fail(e, node->start, "%s is a function: its argument is in brackets, %s(...)",
                           name->text, name->text);
    else if (name != NULL && name->defined && cbi_is_capital(name->text))
        cbi_equations_fail(e, t->start,
                           "an operator is missing: line %d says what %s is, so that it is no "
                           "matrix; write %s * ..., or take another name",
                           cbi_line_of(e, name->at), quoted, quoted);
    else if (name != NULL && cbi_is_capital(name->text))
        cbi_equations_fail(e, node->start, "a matrix stands without brackets: %s x", name->text);
    else if (t->kind == CBI_TOKEN_SIGN && t->sign == '[')
        cbi_equations_fail(e, t->start,
                           "an operator is missing after \"%s\": there are no indices; equal "
                           "parts of a vector are a, b = split(...)",
                           quoted);
    else if (name != NULL)
        cbi_equations_fail(e, t->start,
                           "an operator is missing: write %s * ..., or begin the name of a "
                           "matrix with a capital",
                           quoted);
    else
        cbi_equations_fail(e, t->start,
                           "an operator is missing after \"%s\", or the line has to end there",
                           quoted);
    return -1;
}

static int parse_application(cbi_equations *e);

/* What a matrix multiplies, and the product; takes the place of the matrix's node, the last one. */
static int parse_product_with(cbi_equations *e, bool transposed) {
    const cbi_node *matrix = &e->nodes[--e->node_count];
    cbi_node product = {.kind = CBI_NODE_APPLY,
                        .start = matrix->start,
                        .at = matrix->start,
                        .name = matrix->name,
                        .transposed = transposed,
                        .argument_count = 1};
    if (!go_deeper(e))
        return -1;
    product.arguments[0] = parse_application(e);
    e->depth--;
    if (product.arguments[0] < 0)
        return -1;
    product.end = e->nodes[product.arguments[0]].end;
    return add_node(e, product);
}

/* A matrix may be used several times, with the same number in front of it. */
static bool set_heads(cbi_equations *e, cbi_name *matrix, int heads, int at) {
    if (matrix->heads_at >= 0 && matrix->heads != heads)
        return cbi_equations_fail(e, at, "\"%s\" has %d heads from line %d already", matrix->text,
                                  matrix->heads, cbi_line_of(e, matrix->heads_at));
    matrix->heads = heads;
    matrix->heads_at = at;
    return true;
}

/* Takes "heads 4" in front of a matrix; 0: it is not there, -1: it is wrong. */
static int take_heads(cbi_equations *e) {
    const cbi_token *t = cbi_peek(e, 0), *number = cbi_peek(e, 1);
    if (t->kind != CBI_TOKEN_NAME || !cbi_is_word(e, t, "heads") ||
        number->kind != CBI_TOKEN_NUMBER)
        return 0;
    e->token++;
    return cbi_take_head_count(e);
}

static int parse_application(cbi_equations *e) {
    bool transposed;
    int heads = take_heads(e), at = cbi_peek(e, 0)->start;
    int first = heads < 0 ? -1 : parse_primary(e);
    if (first < 0)
        return -1;
    const cbi_node *node = &e->nodes[first];
    bool matrix = node->kind == CBI_NODE_NAME && e->text[node->start] != '(' &&
                  cbi_is_capital(e->names[node->name].text) && !e->names[node->name].defined;
    if (heads > 0 && !matrix) {
        cbi_equations_fail(e, at,
                           "heads is for a matrix, which begins with a capital: heads 4 U h");
        return -1;
    }
    if (heads > 0 && !set_heads(e, &e->names[node->name], heads, at))
        return -1;
    if (!take_transposition(e, node, matrix, &transposed))
        return -1;
    e->token += matrix && cbi_peek(e, 0)->dot && begins_operand(cbi_peek(e, 1)) ? 1 : 0;
    if (matrix && begins_operand(cbi_peek(e, 0)))
        return parse_product_with(e, transposed);
    if (begins_operand(cbi_peek(e, 0)))
        return missing_operator(e, node);
    if (!transposed)
        return first;
    cbi_expected(e, "what the transposed matrix multiplies, as in W h - W^T h,");
    return -1;
}

/* ---- Operators ------------------------------------------------------------------------------- */

static int parse_power(cbi_equations *e) {
    int base = parse_application(e), at = cbi_peek(e, 0)->start;
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
    if (!go_deeper(e))
        return -1;
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
