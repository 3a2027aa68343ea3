/* Equations as they were read: a text that gives the same cell, and in its comments what was found
   out. */
#include "nn/equations/equations.h"

#include "tensor/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that is counted, and written as far as there is room. */
typedef struct printer {
    const cbi_equations *e;
    char *buffer;
    size_t size, length, column; /* column: characters of the line so far */
} printer;

static void put(printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(printer *p, const char *format, ...) {
    char piece[400]; /* names and sizes are shorter */
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    if (p->length < p->size)
        snprintf(p->buffer + p->length, p->size - p->length, "%s", piece);
    p->length += strlen(piece);
    for (const char *c = piece; *c != '\0'; c++)
        p->column += ((unsigned char)*c & 0xC0) != 0x80;
}

static void end_line(printer *p) {
    put(p, "\n");
    p->column = 0;
}

/* Blanks up to a column of the line. */
static void to_column(printer *p, size_t column) {
    put(p, " ");
    while (p->column < column)
        put(p, " ");
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static void put_number(printer *p, double number) {
    char text[CBI_NUMBER_SIZE];
    put(p, "%s", cbi_format_number(text, number));
}

static int strength(const cbi_node *node) {
    switch (node->kind) {
    case CBI_NODE_ADD:
    case CBI_NODE_SUB:
        return 1;
    case CBI_NODE_MUL:
    case CBI_NODE_DIV:
        return 2;
    case CBI_NODE_NEG:
        return 3;
    case CBI_NODE_POWER:
        return 4;
    case CBI_NODE_APPLY:
        return 5;
    default:
        return 6;
    }
}

static void put_expression(printer *p, int index, int least);

static void put_arguments(printer *p, const cbi_node *node, const char *open, const char *close) {
    put(p, "%s", open);
    for (int i = 0; i < node->argument_count; i++) {
        put(p, "%s", i > 0 ? ", " : "");
        put_expression(p, node->arguments[i], 0);
    }
    put(p, "%s", close);
}

static void put_operation(printer *p, const cbi_node *node, int own) {
    static const char *const signs[] = {[CBI_NODE_ADD] = " + ",
                                        [CBI_NODE_SUB] = " - ",
                                        [CBI_NODE_MUL] = " * ",
                                        [CBI_NODE_DIV] = " / ",
                                        [CBI_NODE_POWER] = "^"};
    bool power = node->kind == CBI_NODE_POWER;
    put_expression(p, node->arguments[0], own + power);
    put(p, "%s", signs[node->kind]);
    put_expression(p, node->arguments[1], power ? 3 : own + 1);
}

/* sigmoid as a letter, which it stays: "sigmoid" may be the name of something else. */
static const char sigma[] = "\xCF\x83";

/* Writes a node, in brackets when it binds less than it has to. */
static void put_expression(printer *p, int index, int least) {
    const cbi_node *node = &p->e->nodes[index];
    const char *name = p->e->names[node->name].text;
    int own = strength(node);
    put(p, "%s", own < least ? "(" : "");
    switch (node->kind) {
    case CBI_NODE_NUMBER:
        put_number(p, node->number);
        break;
    case CBI_NODE_NAME:
    case CBI_NODE_NEXT:
        put(p, "%s%s", name, node->kind == CBI_NODE_NEXT ? "'" : "");
        break;
    case CBI_NODE_APPLY:
        put(p, "%s%s ", name, node->transposed ? "^T" : "");
        put_expression(p, node->arguments[0], 5);
        break;
    case CBI_NODE_NEG:
        put(p, "-");
        put_expression(p, node->arguments[0], 3);
        break;
    case CBI_NODE_CALL:
        put(p, "%s", strncmp(p->e->text + node->at, sigma, 2) == 0 ? sigma : node->function->name);
        put_arguments(p, node, "(", ")");
        break;
    case CBI_NODE_JOIN:
        put_arguments(p, node, "[", "]");
        break;
    default:
        put_operation(p, node, own);
    }
    put(p, "%s", own < least ? ")" : "");
}

/* ---- Lines ----------------------------------------------------------------------------------- */

enum { SIZE_COLUMN = 66 };

/* A size that was found. */
static void put_size(printer *p, int size) {
    char text[160];
    cbi_form form = cbi_size_form(p->e, size);
    put(p, "[%s]", cbi_form_text(&form, text, sizeof(text)));
}

/* A size as the text says it. */
static void put_said_size(printer *p, int node) {
    put(p, "[");
    put_expression(p, node, 0);
    put(p, "]");
}

static void put_equation(printer *p, const cbi_equation *q) {
    const cbi_equations *e = p->e;
    int size = e->names[e->targets[q->first_target]].size;
    for (int i = 0; i < q->target_count; i++) {
        put(p, "%s%s%s", i > 0 ? ", " : "", e->names[e->targets[q->first_target + i]].text,
            q->next ? "'" : "");
        if (i == 0 && q->form_node >= 0)
            put_said_size(p, q->form_node);
    }
    put(p, " = %s", q->split ? "split(" : "");
    put_expression(p, q->node, 0);
    put(p, "%s", q->split ? ")" : "");
    to_column(p, SIZE_COLUMN);
    put(p, "# ");
    put_size(p, size);
    end_line(p);
}

/* The first values that the text says. */
static void put_init(printer *p, const cbi_name *name) {
    static const char *const rules[] = {[CB_INIT_ZEROS] = "zeros",
                                        [CB_INIT_CONSTANT] = "= ",
                                        [CB_INIT_UNIFORM] = "uniform",
                                        [CB_INIT_NORMAL] = "normal",
                                        [CB_INIT_GLOROT_UNIFORM] = "glorot_uniform",
                                        [CB_INIT_GLOROT_NORMAL] = "glorot_normal",
                                        [CB_INIT_KAIMING_UNIFORM] = "kaiming_uniform",
                                        [CB_INIT_KAIMING_NORMAL] = "kaiming_normal",
                                        [CB_INIT_ORTHOGONAL] = "orthogonal"};
    bool brackets = name->init != CB_INIT_CONSTANT && name->init_count > 0;
    put(p, "%s%s", rules[name->init], brackets ? "(" : "");
    for (int i = 0; i < name->init_count; i++) {
        put(p, "%s", i > 0 ? ", " : "");
        put_expression(p, name->init_nodes[i], 0);
    }
    put(p, "%s", brackets ? ")" : "");
}

static void put_params(printer *p) {
    static const char *const roles[] = {"input weight", "recurrent weight", "bias", "unit weight",
                                        "constant"};
    const cbi_equations *e = p->e;
    for (int i = 0; i < e->cell.param_count; i++) {
        const cb_cell_param *param = &e->cell.params[i];
        const cbi_name *name = NULL;
        char rows[160], columns[160];
        for (int k = 0; k < e->name_count; k++)
            if (e->names[k].text == param->name)
                name = &e->names[k];
        cbi_form row = cbi_size_form(e, name->size), column = cbi_size_form(e, name->columns);
        bool matrix = name->kind == CBI_NAME_MATRIX;
        put(p, "# %s [%s%s%s]", param->name, cbi_form_text(&row, rows, sizeof(rows)),
            matrix ? ", " : "", matrix ? cbi_form_text(&column, columns, sizeof(columns)) : "");
        to_column(p, 36);
        put(p, "%s", roles[param->role]);
        if (name->heads > 1)
            put(p, ", %d blocks", name->heads);
        to_column(p, SIZE_COLUMN);
        if (name->init_at >= 0)
            put_init(p, name);
        else
            put(p, "uniform(-1, 1) / sqrt(hidden)");
        end_line(p);
    }
}

/* What a name is declared as; nothing, where equations alone say what it is. */
static void put_declaration(printer *p, const cbi_name *name) {
    if (name->kind == CBI_NAME_LET) {
        put(p, "let %s = ", name->text);
        if (name->setting >= 0)
            put_number(p, p->e->cell.settings[name->setting].value);
        else
            put_expression(p, name->value, 0);
    } else if (name->kind == CBI_NAME_SIZE && name->value >= 0) {
        put(p, "size %s = ", name->text);
        if (p->e->nodes[name->value].kind == CBI_NODE_NUMBER) /* which may have been set */
            put_number(p, (double)name->form.constant);
        else
            put_expression(p, name->value, 0);
    } else if (name->kind == CBI_NAME_INPUT || (name->kind == CBI_NAME_STATE && name->has_form)) {
        put(p, "%s %s", name->kind == CBI_NAME_INPUT ? "input" : "state", name->text);
        put_said_size(p, name->value);
    } else if (name->kind == CBI_NAME_MATRIX && name->heads_at >= 0) {
        put(p, "heads %d %s", name->heads, name->text);
    } else {
        return;
    }
    end_line(p);
}

static void put_first_values(printer *p) {
    for (int i = 0; i < p->e->name_count; i++) {
        const cbi_name *name = &p->e->names[i];
        if (name->init_at < 0)
            continue;
        put(p, "init %s ", name->text);
        put_init(p, name);
        end_line(p);
    }
}

size_t cb_cell_equations(const cb_cell *cell, char *buffer, size_t size) {
    printer p = {.e = cbi_equations_of(cell), .buffer = buffer, .size = size};
    const cbi_equations *e = p.e;
    if (size > 0)
        buffer[0] = '\0';
    if (e == NULL)
        return 0;
    for (int i = 0; i < e->name_count; i++)
        put_declaration(&p, &e->names[i]);
    for (int i = 0; i < e->equation_count; i++)
        put_equation(&p, &e->equations[e->order[i]]);
    put(&p, "output %s", e->names[e->output].text);
    end_line(&p);
    for (int i = 0; i < e->observed_count; i++) {
        put(&p, "observe %s", e->names[e->observed[i]].text);
        end_line(&p);
    }
    put_first_values(&p);
    put_params(&p);
    return p.length;
}
