/* Expressions of numbers, and sizes. */
#include "nn/equations/equations.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Numbers --------------------------------------------------------------------------------- */

typedef struct number_context {
    const cbi_equations *e;
    const double *settings; /* NULL: as declared */
    double input, hidden;   /* NaN: not known */
    int depth;              /* of names that are declared by others */
} number_context;

static double number_of(number_context *c, int node);

/* So many times a size, which may be unknown: nothing if it is none. */
static double times(int64_t count, double size) {
    return count == 0 ? 0 : (double)count * size;
}

static double number_of_name(number_context *c, const cbi_name *name) {
    const cbi_form *form = &name->form;
    if (name->kind == CBI_NAME_SIZE && name->has_form)
        return (times(form->hidden, c->hidden) + times(form->input, c->input) +
                (double)form->constant) /
               (double)form->over;
    if (c->settings != NULL && name->setting >= 0)
        return c->settings[name->setting];
    if (name->setting >= 0)
        return c->e->cell_settings[name->setting].value;
    if (name->value < 0 || c->depth >= CBI_DEEPEST)
        return NAN;
    c->depth++;
    double value = number_of(c, name->value);
    c->depth--;
    return value;
}

static double number_of(number_context *c, int index) {
    const cbi_node *node = &c->e->nodes[index];
    double v[CBI_MOST_ARGUMENTS] = {0};
    if (node->kind == CBI_NODE_NUMBER)
        return node->number;
    if (node->kind == CBI_NODE_NAME)
        return number_of_name(c, &c->e->names[node->name]);
    for (int i = 0; i < node->argument_count; i++)
        v[i] = number_of(c, node->arguments[i]);
    switch (node->kind) {
    case CBI_NODE_ADD:
        return v[0] + v[1];
    case CBI_NODE_SUB:
        return v[0] - v[1];
    case CBI_NODE_MUL:
        return v[0] * v[1];
    case CBI_NODE_DIV:
        return v[0] / v[1];
    case CBI_NODE_POWER:
        return pow(v[0], v[1]);
    case CBI_NODE_NEG:
        return -v[0];
    case CBI_NODE_CALL:
        return node->function->of_numbers(v, v + node->function->operands);
    default:
        return NAN;
    }
}

double cbi_number_of(const cbi_equations *e, int node, const double *settings, int64_t input,
                     int64_t hidden) {
    number_context c = {.e = e,
                        .settings = settings,
                        .input = input > 0 ? (double)input : NAN,
                        .hidden = hidden > 0 ? (double)hidden : NAN};
    return number_of(&c, node);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

enum { LARGEST = 1 << 24 };

static int64_t common_divisor(int64_t a, int64_t b) {
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool cbi_form_reduce(cbi_form *f) {
    int64_t d =
        common_divisor(common_divisor(f->hidden, f->input), common_divisor(f->constant, f->over));
    if (d > 1)
        f->hidden /= d, f->input /= d, f->constant /= d, f->over /= d;
    return f->over > 0 && f->over <= LARGEST && f->hidden <= LARGEST && f->hidden >= -LARGEST &&
           f->input <= LARGEST && f->input >= -LARGEST && f->constant <= LARGEST &&
           f->constant >= -LARGEST;
}

static bool is_plain(const cbi_form *f) {
    return f->hidden == 0 && f->input == 0;
}

bool cbi_form_add(const cbi_form *a, const cbi_form *b, int sign, cbi_form *sum) {
    *sum = (cbi_form){a->hidden * b->over + sign * b->hidden * a->over,
                      a->input * b->over + sign * b->input * a->over,
                      a->constant * b->over + sign * b->constant * a->over, a->over * b->over};
    return cbi_form_reduce(sum);
}

static bool multiply(const cbi_form *a, const cbi_form *b, cbi_form *product) {
    if (!is_plain(a)) {
        const cbi_form *other = a;
        a = b;
        b = other;
    }
    *product = (cbi_form){b->hidden * a->constant, b->input * a->constant,
                          b->constant * a->constant, a->over * b->over};
    return is_plain(a) && cbi_form_reduce(product);
}

static bool divide(const cbi_form *a, const cbi_form *b, cbi_form *quotient) {
    int64_t sign = b->constant < 0 ? -1 : 1;
    *quotient = (cbi_form){sign * a->hidden * b->over, sign * a->input * b->over,
                           sign * a->constant * b->over, sign * a->over * b->constant};
    return is_plain(b) && b->constant != 0 && cbi_form_reduce(quotient);
}

const cb_setting *cbi_given_setting(const cbi_equations *e, const char *name) {
    const cb_setting *s = e->settings;
    while (s != NULL && s->name != NULL && strcmp(s->name, name) != 0)
        s++;
    return s != NULL && s->name != NULL ? s : NULL;
}

/* The size that a setting says; false where it is none. */
static bool set_size(cbi_equations *e, cbi_name *name, double size) {
    if (size > LARGEST)
        return cbi_equations_refuse(e, name->at,
                                    "the size \"%s\" is set to %g, which is too large; the largest "
                                    "is %d",
                                    name->text, size, LARGEST);
    if (size != floor(size) || !(size >= 1))
        return cbi_equations_refuse(e, name->at,
                                    "the size \"%s\" is set to %g, which is no whole number of at "
                                    "least 1",
                                    name->text, size);
    name->form = (cbi_form){.constant = (int64_t)size, .over = 1};
    name->has_form = true;
    return true;
}

bool cbi_form_of_name(cbi_equations *e, const cbi_node *node, cbi_form *form) {
    cbi_name *name = &e->names[node->name];
    if (name->kind != CBI_NAME_SIZE)
        return cbi_equations_fail(e, node->at,
                                  name->kind == CBI_NAME_LET
                                      ? "\"%s\" is no size: declare it as in \"size r = 16\", not "
                                        "with let"
                                      : "\"%s\" is no size: sizes are numbers, hidden, input, and "
                                        "what is declared as in \"size r = 16\"",
                                  name->text);
    if (name->forming)
        return cbi_equations_fail(e, name->at, "the size \"%s\" depends on itself", name->text);
    const cb_setting *set = name->has_form ? NULL : cbi_given_setting(e, name->text);
    name->used = name->used || node->kind != CBI_NODE_NUMBER;
    bool plain = !name->has_form && e->nodes[name->value].kind == CBI_NODE_NUMBER;
    if (set != NULL && !plain)
        return cbi_equations_refuse(
            e, name->at, "the size \"%s\" is computed from others: set those", name->text);
    if (set != NULL && !set_size(e, name, set->value))
        return false;
    if (!name->has_form) {
        name->forming = true;
        if (!cbi_form_of(e, name->value, &name->form))
            return false;
        e->names[node->name].forming = false;
        e->names[node->name].has_form = true;
    }
    *form = e->names[node->name].form;
    return true;
}

static bool whole_number(cbi_equations *e, const cbi_node *node, cbi_form *form) {
    if (node->number != floor(node->number) || node->number > LARGEST)
        return cbi_equations_fail(e, node->at, "a size is a whole number up to %d", LARGEST);
    *form = (cbi_form){.constant = (int64_t)node->number, .over = 1};
    return true;
}

/* The form of an operation from those of its operands. */
static bool form_of_operation(cbi_equations *e, const cbi_node *node, cbi_form *form) {
    cbi_form v[2] = {{.over = 1}, {.over = 1}};
    bool sign = node->kind == CBI_NODE_NEG; /* 0 - a */
    if (!sign && (node->argument_count != 2 || node->kind == CBI_NODE_CALL ||
                  node->kind == CBI_NODE_JOIN || node->kind == CBI_NODE_POWER))
        return cbi_equations_fail(e, node->at, "a size is made of numbers and sizes with + - * /");
    if (!cbi_form_of(e, node->arguments[0], &v[sign ? 1 : 0]) ||
        (!sign && !cbi_form_of(e, node->arguments[1], &v[1])))
        return false;
    bool good = node->kind == CBI_NODE_ADD   ? cbi_form_add(&v[0], &v[1], 1, form)
                : node->kind == CBI_NODE_MUL ? multiply(&v[0], &v[1], form)
                : node->kind == CBI_NODE_DIV ? divide(&v[0], &v[1], form)
                                             : cbi_form_add(&v[0], &v[1], -1, form);
    return good || cbi_equations_fail(e, node->at,
                                      "this is no size: hidden and input can be added, and "
                                      "multiplied with and divided by numbers");
}

bool cbi_form_of(cbi_equations *e, int index, cbi_form *form) {
    const cbi_node *node = &e->nodes[index];
    if (++e->depth > CBI_DEEPEST)
        return cbi_equations_fail(e, node->at, "this size takes more than %d levels to compute",
                                  CBI_DEEPEST);
    bool good = node->kind == CBI_NODE_NUMBER ? whole_number(e, node, form)
                : node->kind == CBI_NODE_NAME ? cbi_form_of_name(e, node, form)
                                              : form_of_operation(e, node, form);
    e->depth--;
    return good;
}

/* ---- As text --------------------------------------------------------------------------------- */

const char *cbi_form_text(const cbi_form *f, char *text, size_t size) {
    const struct {
        int64_t times;
        const char *name;
    } terms[] = {{f->hidden, "hidden"}, {f->input, "input"}, {f->constant, ""}};
    char sum[120] = "";
    int count = 0;
    for (int i = 0; i < 3; i++) {
        int64_t times = terms[i].times;
        size_t length = strlen(sum);
        if (times == 0)
            continue;
        const char *sign = count++ > 0 ? (times < 0 ? " - " : " + ") : times < 0 ? "-" : "";
        int64_t magnitude = times < 0 ? -times : times;
        if (magnitude == 1 && i < 2)
            snprintf(sum + length, sizeof(sum) - length, "%s%s", sign, terms[i].name);
        else
            snprintf(sum + length, sizeof(sum) - length, "%s%lld%s%s", sign, (long long)magnitude,
                     i < 2 ? " * " : "", terms[i].name);
    }
    if (count == 0)
        snprintf(sum, sizeof(sum), "0");
    if (f->over == 1)
        snprintf(text, size, "%s", sum);
    else
        snprintf(text, size, count > 1 ? "(%s) / %lld" : "%s / %lld", sum, (long long)f->over);
    return text;
}
