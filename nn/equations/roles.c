/* What depends on what: the order that equations are computed in, what matrices multiply, and so
   what parameters are for. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- Order ----------------------------------------------------------------------------------- */

typedef struct order_context {
    cbi_equations *e;
    char state[CBI_MOST_EQUATIONS]; /* 0: new, 1: being visited, 2: done */
    int path[CBI_MOST_EQUATIONS], depth, count;
} order_context;

static const char *target_of(const cbi_equations *e, int equation, char *text, size_t size) {
    const cbi_equation *q = &e->equations[equation];
    snprintf(text, size, "%s%s", e->names[e->targets[q->first_target]].text, q->next ? "'" : "");
    return text;
}

/* An equation that uses what it computes. */
static bool of_itself(const order_context *c, const cbi_equation *q, const cbi_node *node) {
    const char *name = c->e->names[node->name].text;
    if (q->target_count > 1)
        return cbi_equations_fail(c->e, node->at,
                                  "\"%s\" is a result of this equation already; a "
                                  "parameter needs a name of its own",
                                  name);
    if (q->next)
        return cbi_equations_fail(c->e, node->at,
                                  "%s' is computed from itself: write %s for the state "
                                  "before the step",
                                  name, name);
    return cbi_equations_fail(c->e, node->at,
                              "\"%s\" is computed from itself: if it is a state, write "
                              "%s' = ... for what it becomes",
                              name, name);
}

static bool cycle(order_context *c, int equation, int at) {
    enum { ROOM = 60 }; /* of a list that is longer, the beginning */
    char list[ROOM + 2 * CBI_LONGEST_NAME] = "", name[CBI_LONGEST_NAME + 2];
    int from = 0;
    while (c->path[from] != equation)
        from++;
    for (int i = from; i < c->depth && strlen(list) < ROOM; i++) {
        size_t length = strlen(list);
        snprintf(list + length, sizeof(list) - length, "%s needs ",
                 length + strlen(target_of(c->e, c->path[i], name, sizeof(name))) < ROOM ? name
                                                                                         : "...");
    }
    return cbi_equations_fail(c->e, at,
                              "a cycle: %s%s; only a state before the step, without ', "
                              "breaks it",
                              list, target_of(c->e, equation, name, sizeof(name)));
}

static bool visit(order_context *c, int equation, int at) {
    const cbi_equation *q = &c->e->equations[equation];
    if (c->state[equation] == 2)
        return true;
    if (c->state[equation] == 1)
        return cycle(c, equation, at);
    c->state[equation] = 1;
    c->path[c->depth++] = equation;
    for (int i = q->first_node; i <= q->node; i++) {
        const cbi_node *node = &c->e->nodes[i];
        const cbi_name *name = &c->e->names[node->name];
        bool needs = node->kind == CBI_NODE_NEXT ||
                     (node->kind == CBI_NODE_NAME && name->kind == CBI_NAME_RESULT);
        if (needs && name->equation == equation)
            return of_itself(c, q, node);
        if (needs && !visit(c, name->equation, node->at))
            return false;
    }
    c->depth--;
    c->state[equation] = 2;
    c->e->order[c->count++] = equation;
    return true;
}

bool cbi_order_equations(cbi_equations *e) {
    e->order = cbi_allocate(sizeof(int) * (size_t)(e->equation_count + 1));
    order_context *c = e->order != NULL ? cbi_allocate(sizeof(*c)) : NULL;
    if (c == NULL)
        return cbi_equations_no_memory(e);
    c->e = e;
    bool good = true;
    for (int i = 0; i < e->equation_count && good; i++)
        good = visit(c, i, e->equations[i].at);
    cbi_free(c);
    return good;
}

/* ---- What matrices multiply ------------------------------------------------------------------ */

static bool is_result(const cbi_equations *e, const cbi_node *node) {
    return node->kind == CBI_NODE_NAME && e->names[node->name].kind == CBI_NAME_RESULT;
}

/* Which results are needed as recurrent weights see them, with masked states in them: those that a
   matrix multiplies, and that states go into by another way than through a matrix. */
static void find_multiplied(cbi_equations *e) {
    for (int k = 0; k < e->equation_count; k++) {
        cbi_equation *q = &e->equations[e->order[k]];
        for (int i = q->first_node; i <= q->node; i++) {
            const cbi_node *node = &e->nodes[i];
            bool state = node->kind == CBI_NODE_NAME && e->names[node->name].kind == CBI_NAME_STATE;
            bool through =
                is_result(e, node) && e->equations[e->names[node->name].equation].of_states;
            q->of_states = q->of_states || ((state || through) && !node->in_product);
        }
    }
    for (int k = e->equation_count - 1; k >= 0; k--) {
        const cbi_equation *q = &e->equations[e->order[k]];
        for (int i = q->first_node; i <= q->node; i++) {
            const cbi_node *node = &e->nodes[i];
            cbi_name *name = &e->names[node->name];
            bool multiplied = node->in_product || q->multiplied;
            if (is_result(e, node) && multiplied && e->equations[name->equation].of_states)
                e->equations[name->equation].multiplied = true;
            if (node->kind == CBI_NODE_NAME && name->kind == CBI_NAME_STATE && multiplied)
                name->multiplied = true;
        }
    }
}

/* ---- Roles of parameters --------------------------------------------------------------------- */

/* Marks what depends on the states before the step, and on the sequences at all. */
static void find_dependence(cbi_equations *e) {
    for (int k = 0; k < e->equation_count; k++) {
        const cbi_equation *q = &e->equations[e->order[k]];
        for (int i = q->first_node; i <= q->node; i++) {
            cbi_node *node = &e->nodes[i];
            const cbi_name *name = &e->names[node->name];
            bool leaf = node->kind == CBI_NODE_NAME || node->kind == CBI_NODE_NEXT;
            if (node->kind == CBI_NODE_NEXT || (leaf && name->kind == CBI_NAME_RESULT)) {
                const cbi_node *value = &e->nodes[e->equations[name->equation].node];
                node->of_state = value->of_state;
                node->of_sequence = value->of_sequence || node->kind == CBI_NODE_NEXT;
            } else if (leaf) {
                node->of_state = name->kind == CBI_NAME_STATE;
                node->of_sequence =
                    node->of_state || name->kind == CBI_NAME_X || name->kind == CBI_NAME_INPUT;
            }
            for (int a = 0; a < node->argument_count; a++) {
                const cbi_node *argument = &e->nodes[node->arguments[a]];
                node->of_state = node->of_state || argument->of_state;
                node->of_sequence = node->of_sequence || argument->of_sequence;
            }
        }
    }
}

static bool is_sum(const cbi_node *node) {
    return node->kind == CBI_NODE_ADD || node->kind == CBI_NODE_SUB;
}

/* Whether a sum has a term that is no number and no single vector of parameters. */
static bool has_other_term(const cbi_equations *e, int node) {
    const cbi_node *n = &e->nodes[node];
    if (is_sum(n))
        return has_other_term(e, n->arguments[0]) || has_other_term(e, n->arguments[1]);
    return !n->is_number && (n->kind != CBI_NODE_NAME || e->names[n->name].kind != CBI_NAME_VECTOR);
}

/* Whether a parameter stands as a term of a sum, which is there without it, too. */
static bool is_added(const cbi_equations *e, const cbi_node *node) {
    int top = node->parent;
    if (top < 0 || !is_sum(&e->nodes[top]))
        return false;
    while (e->nodes[top].parent >= 0 && is_sum(&e->nodes[e->nodes[top].parent]))
        top = e->nodes[top].parent;
    return has_other_term(e, top);
}

/* A vector that is only ever added is a bias; a matrix is an input's weight if it never meets what
   depends on a state. */
static void find_uses(cbi_equations *e) {
    for (int i = 0; i < e->name_count; i++)
        e->names[i].role = e->names[i].kind == CBI_NAME_MATRIX ? CB_INPUT_WEIGHT : CB_BIAS;
    for (int i = 0; i < e->node_count; i++) {
        const cbi_node *node = &e->nodes[i];
        cbi_name *name = &e->names[node->name];
        if (node->kind == CBI_NODE_APPLY && e->nodes[node->arguments[0]].of_state)
            name->role = CB_RECURRENT_WEIGHT;
        if (node->kind == CBI_NODE_NAME && name->kind == CBI_NAME_VECTOR && !is_added(e, node))
            name->role = CB_UNIT_WEIGHT;
    }
}

void cbi_find_roles(cbi_equations *e) {
    find_dependence(e);
    find_multiplied(e);
    find_uses(e);
}
