/* What each name is. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"
#include "tensor/nearest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Hyperparameters and sizes --------------------------------------------------------------- */

/* A number, or its negative. */
static bool plain_number(const cbi_equations *e, int node, double *number) {
    const cbi_node *n = &e->nodes[node];
    if (n->kind == CBI_NODE_NUMBER)
        *number = n->number;
    else if (n->kind == CBI_NODE_NEG && e->nodes[n->arguments[0]].kind == CBI_NODE_NUMBER)
        *number = -e->nodes[n->arguments[0]].number;
    else
        return false;
    return true;
}

/* Each let with a plain number is a hyperparameter. */
static bool make_settings(cbi_equations *e) {
    e->cell_settings = cbi_allocate(sizeof(cb_setting) * (CB_CELL_MAX_SETTINGS + 1));
    if (e->cell_settings == NULL)
        return cbi_equations_no_memory(e);
    for (int i = 0; i < e->name_count; i++) {
        cbi_name *name = &e->names[i];
        double number;
        if (name->kind != CBI_NAME_LET)
            continue;
        const cb_setting *set = cbi_given_setting(e, name->text);
        if (!plain_number(e, name->value, &number)) {
            if (set != NULL)
                return cbi_equations_refuse(
                    e, name->at,
                    "\"%s\" is computed; what can be set is a plain number, as in let %s = 0.5",
                    name->text, name->text);
            continue;
        }
        if (e->cell.setting_count == CB_CELL_MAX_SETTINGS)
            return cbi_equations_fail(e, name->at, "there are more than %d hyperparameters",
                                      CB_CELL_MAX_SETTINGS);
        number = set != NULL ? set->value : number;
        if (!isfinite(number))
            return cbi_equations_refuse(e, name->at, "\"%s\" is set to what is no finite number",
                                        name->text);
        name->setting = e->cell.setting_count;
        e->cell_settings[e->cell.setting_count++] = (cb_setting){name->text, number};
    }
    return true;
}

/* Each setting that was given has to be one that the text declares, and to be given once. */
static bool check_given(cbi_equations *e) {
    for (const cb_setting *s = e->settings; s != NULL && s->name != NULL; s++) {
        char list[200] = "";
        bool known = false;
        for (int i = 0; i < e->name_count; i++) {
            const cbi_name *name = &e->names[i];
            if (name->setting < 0 && (name->kind != CBI_NAME_SIZE || name->value < 0))
                continue;
            known = known || strcmp(name->text, s->name) == 0;
            size_t length = strlen(list);
            snprintf(list + length, sizeof(list) - length, "%s%s", length > 0 ? ", " : "",
                     name->text);
        }
        if (cbi_given_setting(e, s->name) != s)
            return cbi_equations_refuse(e, -1, "\"%s\" is set twice", s->name);
        if (!known)
            return cbi_equations_refuse(
                e, -1,
                list[0] != '\0'
                    ? "there is no \"%s\" to set; there are %s"
                    : "there is no \"%s\" to set: no line declares one with let or size%s",
                s->name, list);
    }
    return true;
}

/* Whether a size can be a whole number of at least 1; else says so. */
bool cbi_check_form(cbi_equations *e, int name, const cbi_form *form) {
    char text[160];
    bool plain = form->hidden == 0 && form->input == 0;
    bool positive = form->hidden > 0 || form->input > 0 || form->constant > 0;
    return (positive && (!plain || form->over == 1)) ||
           cbi_equations_fail(e, e->names[name].at,
                              "the size of \"%s\" is %s; it has to be a whole number of at least 1",
                              e->names[name].text, cbi_form_text(form, text, sizeof(text)));
}

static bool make_forms(cbi_equations *e) {
    for (int i = 0; i < e->name_count; i++) {
        cbi_node use = {.name = i, .at = e->names[i].at};
        cbi_form form;
        if (e->names[i].kind == CBI_NAME_SIZE) {
            use.kind = CBI_NODE_NUMBER; /* no use of the name */
            if (!cbi_form_of_name(e, &use, &form))
                return false;
        } else if ((e->names[i].kind == CBI_NAME_STATE || e->names[i].kind == CBI_NAME_INPUT) &&
                   e->names[i].value >= 0) {
            if (!cbi_form_of(e, e->names[i].value, &form))
                return false;
            e->names[i].form = form;
            e->names[i].has_form = true;
        } else {
            continue;
        }
        if (!cbi_check_form(e, i, &form))
            return false;
    }
    return true;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), of_end = strlen(end);
    return length > of_end && strcmp(text + length - of_end, end) == 0;
}

/* Whether a name is that of x, a state, a result or a further input with a time step behind it:
   h_prev, x_t. A bias b_t is not. */
static bool has_time_step(const cbi_equations *e, const char *text) {
    static const char *const steps[] = {"_t",        "_tm1", "_t1",   "_prev",
                                        "_previous", "_old", "_last", "prev"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        size_t length = strlen(text) - strlen(steps[i]);
        if (!ends_with(text, steps[i]))
            continue;
        if (length == 1 && (text[0] == 'x' || text[0] == 'h'))
            return true;
        for (int k = 0; k < e->name_count; k++) {
            const cbi_name *name = &e->names[k];
            bool varies = name->kind == CBI_NAME_STATE || name->kind == CBI_NAME_RESULT ||
                          name->kind == CBI_NAME_INPUT;
            if (varies && strncmp(name->text, text, length) == 0 && name->text[length] == '\0')
                return true;
        }
    }
    return false;
}

/* Names that would be vectors of parameters and are not meant so: a state that no line computes, a
   time step that is written, numbers by name. First values say that a parameter is meant. */
static bool check_vector(cbi_equations *e, const cbi_node *node) {
    const char *text = e->names[node->name].text;
    const cbi_node *parent = node->parent >= 0 ? &e->nodes[node->parent] : NULL;
    if (e->names[node->name].init_at >= 0 && strcmp(text, "h") != 0)
        return true;
    if (cbi_function_find(text) != NULL)
        return cbi_equations_fail(
            e, node->start,
            "\"%s\" is a function, and its argument is in brackets: %s(...); a "
            "parameter takes another name, or first values by init",
            text, text);
    if (strcmp(text, "h") == 0)
        return cbi_equations_fail(e, node->start, "\"h\" is no state: a line h' = ... is missing");
    if (has_time_step(e, text))
        return cbi_equations_fail(e, node->start,
                                  "\"%s\" would be a parameter. A time step is not written: x is "
                                  "this step's input, c a state before the step, c' after it",
                                  text);
    if (strcmp(text, "\xCF\x80") == 0 || strcmp(text, "pi") == 0)
        return cbi_equations_fail(e, node->start,
                                  "\"%s\" would be a parameter: write the number, "
                                  "let %s = 3.14159265358979",
                                  text, text);
    if (strcmp(text, "e") == 0 && parent != NULL && parent->kind == CBI_NODE_POWER &&
        &e->nodes[parent->arguments[0]] == node)
        return cbi_equations_fail(e, node->start, "\"e\" would be a parameter: write exp(...)");
    if (parent != NULL && parent->kind == CBI_NODE_APPLY)
        return cbi_equations_fail(
            e, node->start,
            "\"%s\" would be a parameter, and a matrix times one says nothing: if "
            "it is a state, a line %s' = ... is missing; if it is learned, say its first "
            "values, init %s = 1",
            text, text, text);
    return true;
}

static bool resolve_value(cbi_equations *e, cbi_node *node) {
    cbi_name *name = &e->names[node->name];
    if (name->kind == CBI_NAME_UNKNOWN && !cbi_is_capital(name->text)) {
        name->kind = CBI_NAME_VECTOR;
        name->at = node->at;
    }
    if (name->kind == CBI_NAME_UNKNOWN || name->kind == CBI_NAME_MATRIX)
        return cbi_equations_fail(
            e, node->at,
            "\"%s\" is a matrix, as it begins with a capital and no equation "
            "says what it is: write %s x for a product, or a small letter for "
            "a vector",
            name->text, name->text);
    if (name->kind == CBI_NAME_VECTOR && !check_vector(e, node))
        return false;
    name->used = name->used || name->kind != CBI_NAME_STATE;
    node->is_number = name->kind == CBI_NAME_LET || name->kind == CBI_NAME_SIZE;
    return true;
}

static bool resolve_next(cbi_equations *e, const cbi_node *node) {
    const cbi_name *name = &e->names[node->name];
    if (name->kind == CBI_NAME_STATE && name->equation >= 0)
        return true;
    bool missing = name->kind == CBI_NAME_STATE || name->kind == CBI_NAME_UNKNOWN ||
                   name->kind == CBI_NAME_VECTOR || name->kind == CBI_NAME_MATRIX;
    return cbi_equations_fail(e, node->at,
                              missing ? "%s' has no equation: write %s' = ..."
                                      : "\"%s\" is no state: its value needs no '",
                              name->text, name->text);
}

static bool resolve_arguments(cbi_equations *e, cbi_node *node) {
    bool numbers = node->argument_count > 0, call = node->kind == CBI_NODE_CALL;
    int operands = call ? node->function->operands : node->argument_count;
    for (int i = 0; i < node->argument_count; i++) {
        const cbi_node *argument = &e->nodes[node->arguments[i]];
        if (i >= operands && !argument->is_number)
            return cbi_equations_fail(e, argument->start,
                                      "argument %d of %s has to be a number: plain, or declared "
                                      "with let",
                                      i + 1, node->function->name);
        numbers = numbers && (i >= operands || argument->is_number);
    }
    const cbi_node *first = &e->nodes[node->arguments[0]];
    if (numbers && (node->kind == CBI_NODE_APPLY || node->kind == CBI_NODE_JOIN ||
                    (call && node->function->of_numbers == NULL)))
        return cbi_equations_fail(e, first->start, "\"%s\" is a number where a vector has to be",
                                  CBI_QUOTE(e, first->start, first->end));
    for (int i = 0; i < node->argument_count && node->kind == CBI_NODE_JOIN; i++)
        if (e->nodes[node->arguments[i]].is_number)
            return cbi_equations_fail(e, e->nodes[node->arguments[i]].start,
                                      "a number has no size, so that it cannot be a part");
    node->is_number = numbers;
    return true;
}

static bool resolve_nodes(cbi_equations *e) {
    for (int i = 0; i < e->node_count; i++)
        for (int k = 0; k < e->nodes[i].argument_count; k++)
            e->nodes[e->nodes[i].arguments[k]].parent = i;
    for (int i = 0; i < e->node_count; i++) {
        cbi_node *node = &e->nodes[i];
        node->is_number = node->kind == CBI_NODE_NUMBER;
        if (node->kind == CBI_NODE_NAME && !resolve_value(e, node))
            return false;
        if (node->kind == CBI_NODE_NEXT && !resolve_next(e, node))
            return false;
        if (node->kind == CBI_NODE_APPLY) {
            cbi_name *name = &e->names[node->name];
            name->at = name->kind == CBI_NAME_UNKNOWN ? node->at : name->at;
            name->kind = CBI_NAME_MATRIX;
        }
        if (node->argument_count > 0 && !resolve_arguments(e, node))
            return false;
    }
    for (int i = e->node_count - 1; i >= 0; i--) {
        cbi_node *node = &e->nodes[i];
        const cbi_node *parent = node->parent >= 0 ? &e->nodes[node->parent] : NULL;
        node->in_product = parent != NULL && (parent->in_product || parent->kind == CBI_NODE_APPLY);
        if (node->kind == CBI_NODE_NAME && node->in_product)
            e->names[node->name].multiplied = true;
    }
    return true;
}

/* ---- Numbers where numbers have to be -------------------------------------------------------- */

static bool depends_on_sizes(const cbi_equations *e, int node, int depth) {
    const cbi_node *n = &e->nodes[node];
    if (n->kind == CBI_NODE_NAME) {
        const cbi_name *name = &e->names[n->name];
        if (name->kind == CBI_NAME_SIZE)
            return name->form.hidden != 0 || name->form.input != 0;
        return name->value >= 0 && name->setting < 0 && depth < CBI_DEEPEST &&
               depends_on_sizes(e, name->value, depth + 1);
    }
    for (int i = 0; i < n->argument_count; i++)
        if (depends_on_sizes(e, n->arguments[i], depth))
            return true;
    return false;
}

bool cbi_depends_on_sizes(const cbi_equations *e, int node) {
    return depends_on_sizes(e, node, 0);
}

static bool check_number(cbi_equations *e, int node, const char *what) {
    const cbi_node *n = &e->nodes[node];
    return n->is_number ||
           cbi_equations_fail(e, n->start, "%s has to be a number; \"%s\" is a vector", what,
                              CBI_QUOTE(e, n->start, n->end));
}

/* What a let takes to compute, with all that it is made of. */
typedef struct let_cost {
    enum { LET_NEW, LET_VISITED, LET_DONE } state;
    int operations, depth;
} let_cost;

/* Finds it; false where a let depends on itself, or is more than a moment's work. */
static bool check_let(cbi_equations *e, int index, let_cost *costs) {
    const cbi_name *name = &e->names[index];
    const cbi_node *root = &e->nodes[name->value];
    let_cost *cost = &costs[index];
    if (cost->state == LET_DONE)
        return true;
    if (cost->state == LET_VISITED)
        return cbi_equations_fail(e, name->at, "\"%s\" depends on itself", name->text);
    *cost = (let_cost){LET_VISITED, root->count, root->depth};
    for (int i = name->value - root->count + 1; i <= name->value; i++) {
        const cbi_node *n = &e->nodes[i];
        if (n->kind != CBI_NODE_NAME || e->names[n->name].kind != CBI_NAME_LET)
            continue;
        if (!check_let(e, n->name, costs))
            return false;
        int depth = root->depth + 1 + costs[n->name].depth;
        cost->depth = depth > cost->depth ? depth : cost->depth;
        cost->operations += costs[n->name].operations;
        if (cost->depth > CBI_DEEPEST || cost->operations > CBI_MOST_OPERATIONS)
            return cbi_equations_fail(e, name->at,
                                      "\"%s\" takes more than %d %s to compute, with what it is "
                                      "made of",
                                      name->text,
                                      cost->depth > CBI_DEEPEST ? CBI_DEEPEST : CBI_MOST_OPERATIONS,
                                      cost->depth > CBI_DEEPEST ? "levels" : "operations");
    }
    cost->state = LET_DONE;
    return true;
}

static bool check_finite(cbi_equations *e, const cbi_name *name) {
    double value = cbi_number_of(e, name->value, NULL, 0, 0); /* NaN where no size is known */
    return cbi_depends_on_sizes(e, name->value) || isfinite(value) ||
           cbi_equations_fail(e, name->at, "\"%s\" is no finite number: it is %s", name->text,
                              isnan(value) ? "undefined" : "infinite");
}

static bool check_numbers(cbi_equations *e) {
    let_cost costs[CBI_MOST_NAMES] = {{LET_NEW, 0, 0}};
    for (int i = 0; i < e->name_count; i++)
        if (e->names[i].kind == CBI_NAME_LET &&
            (!check_number(e, e->names[i].value, "a hyperparameter") || !check_let(e, i, costs)))
            return false;
    for (int i = 0; i < e->name_count; i++) {
        const cbi_name *name = &e->names[i];
        if (name->kind == CBI_NAME_LET && !check_finite(e, name))
            return false;
        for (int k = 0; k < name->init_count; k++)
            if (!check_number(e, name->init_nodes[k], "a first value"))
                return false;
    }
    return true;
}

/* ---- States, output, what is observed -------------------------------------------------------- */

static const char *nearest_name(const cbi_equations *e, int name) {
    const char *names[CBI_MOST_NAMES + 1];
    int count = 0;
    for (int i = 0; i < e->name_count; i++)
        if (i != name && e->names[i].kind != CBI_NAME_UNKNOWN)
            names[count++] = e->names[i].text;
    names[count] = NULL;
    return cbi_nearest_name(e->names[name].text, names);
}

/* Says that a name is not what it has to be; false. */
static bool is_no(cbi_equations *e, int name, int at, const char *what) {
    static const char *const kinds[] = {[CBI_NAME_X] = "the input of a time step",
                                        [CBI_NAME_SIZE] = "a size",
                                        [CBI_NAME_LET] = "a hyperparameter",
                                        [CBI_NAME_INPUT] = "a further input",
                                        [CBI_NAME_STATE] = "a state",
                                        [CBI_NAME_RESULT] = "the result of an equation",
                                        [CBI_NAME_VECTOR] = "a vector of parameters",
                                        [CBI_NAME_MATRIX] = "a matrix"};
    const char *text = e->names[name].text;
    if (e->names[name].kind != CBI_NAME_UNKNOWN)
        return cbi_equations_fail(e, at, "\"%s\" is %s, and has to be %s", text,
                                  kinds[e->names[name].kind], what);
    const char *nearest = nearest_name(e, name);
    if (nearest != NULL)
        return cbi_equations_fail(e, at, "there is no \"%s\"; did you mean \"%s\"?", text, nearest);
    return cbi_equations_fail(e, at, "there is no \"%s\" in any equation; this has to be %s", text,
                              what);
}

static bool add_state(cbi_equations *e, int name) {
    if (e->state_count == CB_CELL_MAX_STATES)
        return cbi_equations_fail(e, e->names[name].at, "there are more than %d states",
                                  CB_CELL_MAX_STATES);
    e->names[name].index = e->state_count;
    e->states[e->state_count++] = name;
    return true;
}

static bool is_value(const cbi_name *name) {
    return name->kind == CBI_NAME_STATE || name->kind == CBI_NAME_RESULT;
}

/* A place for what is said of the whole text: its first equation. */
static int first_line(const cbi_equations *e) {
    return e->equation_count > 0 ? e->equations[0].at : 0;
}

/* The states, the output first. */
static bool list_states(cbi_equations *e) {
    int first = e->output;
    e->states = cbi_allocate(sizeof(int) * (CB_CELL_MAX_STATES + 1));
    if (e->states == NULL)
        return cbi_equations_no_memory(e);
    if (first >= 0 && !is_value(&e->names[first]))
        return is_no(e, first, e->output_at, "a state or a result");
    for (int i = 0; i < e->name_count && first < 0; i++)
        if (e->names[i].kind == CBI_NAME_STATE && strcmp(e->names[i].text, "h") == 0)
            first = i;
    for (int i = 0; i < e->equation_count && first < 0; i++)
        if (e->equations[i].next)
            first = e->targets[e->equations[i].first_target];
    if (first < 0)
        return cbi_equations_fail(
            e, first_line(e), "there is no state: an equation like h' = ..., with a ', is missing");
    e->output = first;
    if (!add_state(e, first))
        return false;
    for (int i = 0; i < e->name_count; i++)
        if (e->names[i].kind == CBI_NAME_STATE && e->names[i].equation < 0)
            return cbi_equations_fail(e, e->names[i].at,
                                      "the state \"%s\" has no equation: write "
                                      "%s' = ...",
                                      e->names[i].text, e->names[i].text);
    for (int i = 0; i < e->equation_count; i++) {
        int name = e->targets[e->equations[i].first_target];
        if (e->equations[i].next && name != first && !add_state(e, name))
            return false;
    }
    return true;
}

/* What init and heads say has to be of parameters, or of states. */
static bool check_rules(cbi_equations *e, int index) {
    const cbi_name *name = &e->names[index];
    bool parameter = name->kind == CBI_NAME_VECTOR || name->kind == CBI_NAME_MATRIX;
    if (name->init_at >= 0 && !parameter && name->kind != CBI_NAME_STATE)
        return is_no(e, index, name->init_at, "a parameter or a state");
    if (name->init_at >= 0 && name->kind == CBI_NAME_STATE && name->init != CB_INIT_CONSTANT)
        return cbi_equations_fail(e, name->init_at,
                                  "the state \"%s\" begins with a number: write init %s = 0",
                                  name->text, name->text);
    if (name->init_at >= 0 && name->kind == CBI_NAME_VECTOR && name->init == CB_INIT_ORTHOGONAL)
        return cbi_equations_fail(e, name->init_at,
                                  "\"%s\" is a vector; orthogonal is for matrices", name->text);
    return name->heads_at < 0 || name->kind == CBI_NAME_MATRIX ||
           is_no(e, index, name->heads_at, "a matrix that multiplies something");
}

/* What is declared or computed has to be of use. */
static bool check_use(cbi_equations *e, int index) {
    const cbi_name *name = &e->names[index];
    bool declared = name->kind == CBI_NAME_INPUT || name->kind == CBI_NAME_LET ||
                    (name->kind == CBI_NAME_SIZE && name->value >= 0);
    return (!declared && name->kind != CBI_NAME_RESULT) || name->used || name->observed_at >= 0 ||
           index == e->output ||
           cbi_equations_fail(e, name->at, "\"%s\" is %s and never used%s", name->text,
                              declared ? "declared" : "computed",
                              declared ? ": delete the line"
                                       : ": use it, observe it, or delete the line");
}

static bool check_said(cbi_equations *e) {
    bool inputs = false;
    for (int i = 0; i < e->observed_count; i++)
        if (!is_value(&e->names[e->observed[i]]))
            return is_no(e, e->observed[i], e->names[e->observed[i]].observed_at,
                         "a state or a result");
    for (int i = 0; i < e->name_count; i++) {
        const cbi_name *name = &e->names[i];
        if (!check_rules(e, i) || !check_use(e, i))
            return false;
        inputs = inputs || name->kind == CBI_NAME_INPUT || (name->kind == CBI_NAME_X && name->used);
    }
    return inputs || cbi_equations_fail(e, first_line(e),
                                        "x, the input of a time step, is never used; it is "
                                        "written x, without a t");
}

bool cbi_resolve_names(cbi_equations *e) {
    if (!make_settings(e) || !make_forms(e) || !check_given(e) || !resolve_nodes(e) ||
        !check_numbers(e) || !cbi_check_constants(e) || !list_states(e) || !check_said(e) ||
        !cbi_order_equations(e))
        return false;
    cbi_find_roles(e);
    return true;
}
