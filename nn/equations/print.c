/* Equations as they were read, for people. */
#include "nn/equations/equations.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that is counted, and written as far as there is room. */
typedef struct printer {
    const cbi_equations *e;
    char *buffer;
    size_t size, length, line; /* line: where the last one began */
} printer;

static void put(printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(printer *p, const char *format, ...) {
    va_list arguments;
    bool room = p->length < p->size;
    va_start(arguments, format);
    int count = vsnprintf(room ? p->buffer + p->length : NULL, room ? p->size - p->length : 0,
                          format, arguments);
    va_end(arguments);
    p->length += count > 0 ? (size_t)count : 0;
}

static void end_line(printer *p) {
    put(p, "\n");
    p->line = p->length;
}

/* Blanks up to a column of the line. */
static void to_column(printer *p, size_t column) {
    put(p, " ");
    while (p->length - p->line < column)
        put(p, " ");
}

/* ---- Expressions ----------------------------------------------------------------------------- */

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

/* Writes a node, in brackets when it binds less than it has to. */
static void put_expression(printer *p, int index, int least) {
    const cbi_node *node = &p->e->nodes[index];
    const char *name = p->e->names[node->name].text;
    int own = strength(node);
    put(p, "%s", own < least ? "(" : "");
    switch (node->kind) {
    case CBI_NODE_NUMBER:
        put(p, "%.10g", node->number);
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
        put(p, "%s", node->function->name);
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

static void put_size(printer *p, int size) {
    char text[160];
    cbi_form form = cbi_size_form(p->e, size);
    put(p, "[%s]", cbi_form_text(&form, text, sizeof(text)));
}

static void put_equation(printer *p, const cbi_equation *q) {
    const cbi_equations *e = p->e;
    for (int i = 0; i < q->target_count; i++)
        put(p, "%s%s", i > 0 ? ", " : "", e->names[e->targets[q->first_target + i]].text);
    put(p, q->next ? "' = " : " = ");
    put(p, "%s", q->split ? "split(" : "");
    put_expression(p, q->node, 0);
    put(p, "%s", q->split ? ")" : "");
    to_column(p, SIZE_COLUMN);
    put_size(p, e->names[e->targets[q->first_target]].size);
    end_line(p);
}

static void put_init(printer *p, const cbi_name *name) {
    static const char *const rules[] = {[CB_INIT_UNIFORM] = "uniform",
                                        [CB_INIT_NORMAL] = "normal",
                                        [CB_INIT_GLOROT_UNIFORM] = "glorot_uniform",
                                        [CB_INIT_GLOROT_NORMAL] = "glorot_normal",
                                        [CB_INIT_KAIMING_UNIFORM] = "kaiming_uniform",
                                        [CB_INIT_KAIMING_NORMAL] = "kaiming_normal",
                                        [CB_INIT_ORTHOGONAL] = "orthogonal"};
    if (name->init_at < 0) {
        put(p, "uniform(-1, 1) / sqrt(hidden)");
        return;
    }
    if (name->init == CB_INIT_ZEROS || name->init == CB_INIT_CONSTANT) {
        if (name->init == CB_INIT_ZEROS)
            put(p, "0");
        else
            put_expression(p, name->init_nodes[0], 0);
        return;
    }
    put(p, "%s", rules[name->init]);
    for (int i = 0; i < name->init_count; i++) {
        put(p, "%s", i == 0 ? "(" : ", ");
        put_expression(p, name->init_nodes[i], 0);
    }
    put(p, "%s", name->init_count > 0 ? ")" : "");
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
        put(p, "%s [%s%s%s]", param->name, cbi_form_text(&row, rows, sizeof(rows)),
            matrix ? ", " : "", matrix ? cbi_form_text(&column, columns, sizeof(columns)) : "");
        to_column(p, 36);
        put(p, "%s", roles[param->role]);
        if (name->heads > 1)
            put(p, ", %d blocks", name->heads);
        to_column(p, SIZE_COLUMN);
        put_init(p, name);
        end_line(p);
    }
}

/* Hyperparameters, what is computed from them, and sizes. */
static void put_declarations(printer *p) {
    const cbi_equations *e = p->e;
    for (int i = 0; i < e->name_count; i++) {
        const cbi_name *name = &e->names[i];
        char text[160];
        if (name->kind == CBI_NAME_LET && name->setting >= 0) {
            put(p, "let %s = %.10g", name->text, e->cell.settings[name->setting].value);
        } else if (name->kind == CBI_NAME_LET) {
            put(p, "let %s = ", name->text);
            put_expression(p, name->value, 0);
        } else if (name->kind == CBI_NAME_SIZE && name->value >= 0) {
            put(p, "size %s = %s", name->text, cbi_form_text(&name->form, text, sizeof(text)));
        } else {
            continue;
        }
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
    put_declarations(&p);
    for (int i = 0; i < e->cell.input_count; i++) {
        for (int k = 0; k < e->name_count; k++)
            if (e->names[k].kind == CBI_NAME_INPUT && e->names[k].index == i) {
                put(&p, "input %s", e->names[k].text);
                to_column(&p, SIZE_COLUMN);
                put_size(&p, e->names[k].size);
            }
        end_line(&p);
    }
    for (int i = 0; i < e->equation_count; i++)
        put_equation(&p, &e->equations[e->order[i]]);
    put(&p, "output %s\n", e->names[e->output].text);
    p.line = p.length;
    for (int i = 0; i < e->observed_count; i++)
        put(&p, "%s%s%s", i == 0 ? "observe " : ", ", e->names[e->observed[i]].text,
            i + 1 == e->observed_count ? "\n" : "");
    p.line = p.length;
    put_params(&p);
    return p.length;
}
