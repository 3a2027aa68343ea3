/* What can be wrong with equations that were read: constants that are no finite numbers, and what
   does not come out for the sizes and hyperparameters of a network. */
#include "nn/equations/equations.h"

#include "tensor/format.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- Constants ------------------------------------------------------------------------------- */

/* Whether a node is a number that is used where a vector is computed. */
static bool is_constant(const cbi_equations *e, const cbi_node *node) {
    return node->is_number && (node->parent < 0 || !e->nodes[node->parent].is_number);
}

/* What a number is that is not finite. */
static const char *kind_of(double number) {
    return isnan(number) ? "undefined" : "infinite";
}

bool cbi_check_constants(cbi_equations *e) {
    for (int k = 0; k < e->equation_count; k++)
        for (int i = e->equations[k].first_node; i <= e->equations[k].node; i++) {
            const cbi_node *node = &e->nodes[i];
            if (!is_constant(e, node) || cbi_depends_on_sizes(e, i))
                continue;
            double value = cbi_number_of(e, i, NULL, 0, 0);
            if (!isfinite(value))
                return cbi_equations_fail(e, node->start, "\"%s\" is no finite number: it is %s",
                                          CBI_QUOTE(e, node->start, node->end), kind_of(value));
        }
    return true;
}

/* ---- Of a network ---------------------------------------------------------------------------- */

/* Equations for sizes and hyperparameters, and where to write what is wrong. */
typedef struct check_context {
    const cbi_equations *e;
    int64_t input, hidden;
    const double *settings;
    char *why;
    size_t size;
} check_context;

/* Says what is wrong, with the line that a byte of the text is in; false. */
static bool fail_at(const check_context *c, int at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail_at(const check_context *c, int at, const char *format, ...) {
    char what[300];
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(what, sizeof(what), format, arguments);
    va_end(arguments);
    snprintf(c->why, c->size, "%.80s:%d: with input %lld and hidden %lld, %s", c->e->file,
             cbi_line_of(c->e, at), (long long)c->input, (long long)c->hidden, what);
    return false;
}

static double units_of(const check_context *c, const cbi_form *f) {
    double units = (double)f->hidden * (double)c->hidden + (double)f->input * (double)c->input;
    return (units + (double)f->constant) / (double)f->over;
}

static bool check_units(const check_context *c, int size, int at, const char *what) {
    char form_text[160];
    cbi_form form = cbi_size_form(c->e, size);
    double units = units_of(c, &form);
    return (units >= 1 && units == floor(units)) ||
           fail_at(c, at,
                   "the size of \"%s\", %s, is %.6g; it has to be a whole number of at least 1",
                   what, cbi_form_text(&form, form_text, sizeof(form_text)), units);
}

static bool check_results(const check_context *c, const cbi_equation *q) {
    const cbi_equations *e = c->e;
    for (int i = 0; i < q->target_count; i++) {
        const cbi_name *name = &e->names[e->targets[q->first_target + i]];
        if (!check_units(c, name->size, q->at, name->text))
            return false;
    }
    return true;
}

static bool check_parts(const check_context *c, const cbi_equation *q) {
    const cbi_equations *e = c->e;
    for (int i = q->first_node; i <= q->node; i++) {
        const cbi_node *node = &e->nodes[i];
        if (node->size >= 0 &&
            !check_units(c, node->size, node->start, CBI_QUOTE(e, node->start, node->end)))
            return false;
    }
    return true;
}

static bool check_constants_of(const check_context *c, const cbi_equation *q) {
    for (int i = q->first_node; i <= q->node; i++) {
        const cbi_node *node = &c->e->nodes[i];
        double value = 0;
        if (is_constant(c->e, node))
            value = cbi_number_of(c->e, i, c->settings, c->input, c->hidden);
        if (!isfinite(value))
            return fail_at(c, node->start, "\"%s\" is no finite number: it is %s",
                           CBI_QUOTE(c->e, node->start, node->end), kind_of(value));
    }
    return true;
}

static bool check_name(const check_context *c, const cbi_name *name) {
    for (int i = 0; i < name->init_count; i++) {
        double value = cbi_number_of(c->e, name->init_nodes[i], c->settings, c->input, c->hidden);
        if (!isfinite(value))
            return fail_at(c, name->init_at,
                           "the first values of \"%s\" cannot be: they are not finite", name->text);
    }
    for (int axis = 0; axis < 2 && name->heads > 1; axis++) {
        cbi_form form = cbi_size_form(c->e, axis == 0 ? name->size : name->columns);
        if (fmod(units_of(c, &form), name->heads) != 0)
            return fail_at(
                c, name->heads_at, "the %.0f %s of \"%s\" cannot be cut into %d equal blocks",
                units_of(c, &form), axis == 0 ? "rows" : "columns", name->text, name->heads);
    }
    return true;
}

bool cbi_equations_fit(const cb_cell *cell, int64_t input, int64_t hidden, const double *settings,
                       char *why, size_t size) {
    const cbi_equations *e = cbi_equations_of(cell);
    const check_context c = {e, input, hidden, settings, why, size};
    for (int i = 0; e != NULL && i < e->equation_count; i++)
        if (!check_results(&c, &e->equations[i]))
            return false;
    for (int i = 0; e != NULL && i < e->equation_count; i++)
        if (!check_parts(&c, &e->equations[i]) || !check_constants_of(&c, &e->equations[i]))
            return false;
    for (int i = 0; e != NULL && i < e->name_count; i++)
        if (!check_name(&c, &e->names[i]))
            return false;
    return true;
}
