/* The size of each vector, by unification.

   Each name and each node has a size, a variable. Equations say which are equal: what is added,
   what an equation computes and its result, a matrix's columns and what it multiplies. Equal ones
   are a class, found by union and find (Tarjan 1975). Two kinds of rules are not equalities: a
   whole is the sum of its parts (joins, splits), and of two operands one may be a single number,
   which meets all units of the other. They are tried until nothing new comes out of them; where all
   is silent, one size is assumed to be the hidden size, and so on.

   What is assumed does not depend on the order in which equations are written: rules are tried in
   the order of computation, and of several sizes the one of the first name in the alphabet is
   assumed. */
#include "nn/equations/equations.h"

#include "tensor/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum rule_kind {
    WHOLE,     /* size = the sum of `count` parts, or `times` parts[0] */
    BROADCAST, /* size = that of both parts, or of the one that is not 1 */
} rule_kind;

typedef struct rule {
    rule_kind kind;
    bool done;
    int size, count, times, parts[CBI_MOST_ARGUMENTS];
    int node; /* that it is of; for messages */
} rule;

typedef struct size_context {
    cbi_equations *e;
    int one;          /* the size 1 */
    cbi_name **names; /* sorted */
    rule *rules;
    int rule_count, rule_room;
    int *pending; /* rules that are not done, in order */
    int pending_count;
    char *whole; /* for each class, whether it has parts */
} size_context;

/* ---- Classes --------------------------------------------------------------------------------- */

static int new_size(size_context *c) {
    cbi_equations *e = c->e;
    if (!cbi_grow(&e->sizes, &e->size_room, e->size_count + 1, sizeof(*e->sizes))) {
        cbi_equations_no_memory(e);
        return -1;
    }
    e->sizes[e->size_count] = (cbi_size){.parent = e->size_count, .blocks = 1, .origin = -1};
    return e->size_count++;
}

/* The first one of a class; the way to it becomes shorter. */
static int class_of(const cbi_equations *e, int size) {
    cbi_size *sizes = e->sizes;
    while (sizes[size].parent != size)
        size = sizes[size].parent = sizes[sizes[size].parent].parent;
    return size;
}

static bool same_form(const cbi_form *a, const cbi_form *b) {
    return a->hidden == b->hidden && a->input == b->input && a->constant == b->constant &&
           a->over == b->over;
}

static bool is_one(const cbi_form *f) {
    return f->hidden == 0 && f->input == 0 && f->constant == 1 && f->over == 1;
}

/* A size and where it comes from, for messages. */
static const char *explained(const cbi_equations *e, int size, char *text, size_t room) {
    const cbi_size *s = &e->sizes[class_of(e, size)];
    char form[140];
    cbi_form_text(&s->form, form, sizeof(form));
    if (s->assumed)
        snprintf(text, room, "%s (as nothing says otherwise)", form);
    else if (s->origin >= 0)
        snprintf(text, room, "%s (line %d)", form, cbi_line_of(e, s->origin));
    else
        snprintf(text, room, "%s", form);
    return text;
}

/* What two sizes are of, in the text, that have to be equal; and where that is said. */
typedef struct meeting {
    int a_start, a_end, b_start, b_end, at;
    bool product; /* of a matrix and what it multiplies */
} meeting;

static bool equal(size_context *c, int a, int b, const meeting *m) {
    cbi_equations *e = c->e;
    int of_a = class_of(e, a), of_b = class_of(e, b);
    cbi_size *sa = &e->sizes[of_a], *sb = &e->sizes[of_b];
    if (of_a == of_b)
        return true;
    if (sa->known && sb->known && !same_form(&sa->form, &sb->form)) {
        char a_text[200], b_text[200];
        return cbi_equations_fail(
            e, m->at, "sizes do not fit: \"%s\" %s %s, \"%s\" has %s",
            CBI_QUOTE(e, m->a_start, m->a_end), m->product ? "multiplies" : "has",
            explained(e, a, a_text, sizeof(a_text)), CBI_QUOTE(e, m->b_start, m->b_end),
            explained(e, b, b_text, sizeof(b_text)));
    }
    if (!sa->known || (sa->assumed && sb->known)) {
        sa->parent = of_b;
        sb->blocks = sa->blocks > sb->blocks ? sa->blocks : sb->blocks;
    } else {
        sb->parent = of_a;
        sa->blocks = sa->blocks > sb->blocks ? sa->blocks : sb->blocks;
    }
    return true;
}

/* A size becomes known because of a place in the text. */
static bool set_form(size_context *c, int size, const cbi_form *form, int origin) {
    cbi_equations *e = c->e;
    cbi_size *s = &e->sizes[class_of(e, size)];
    if (s->known && !same_form(&s->form, form)) {
        char text[200], other[140];
        return cbi_equations_fail(
            e, origin, "sizes do not fit: the size is %s here, and %s elsewhere",
            cbi_form_text(form, other, sizeof(other)), explained(e, size, text, sizeof(text)));
    }
    if (!s->known || s->assumed) {
        s->known = true;
        s->assumed = false;
        s->form = *form;
        s->origin = origin;
    }
    return true;
}

static const cbi_form *form_of(const cbi_equations *e, int size) {
    const cbi_size *s = &e->sizes[class_of(e, size)];
    return s->known ? &s->form : NULL;
}

/* ---- What the text says ---------------------------------------------------------------------- */

static meeting of_nodes(const cbi_equations *e, int a, int b, int at) {
    const cbi_node *x = &e->nodes[a], *y = &e->nodes[b];
    return (meeting){x->start, x->end, y->start, y->end, at, false};
}

static bool add_rule(size_context *c, rule r) {
    if (!cbi_grow(&c->rules, &c->rule_room, c->rule_count + 1, sizeof(*c->rules)))
        return cbi_equations_no_memory(c->e);
    c->rules[c->rule_count++] = r;
    return true;
}

static bool size_name(size_context *c, cbi_name *name) {
    name->size = new_size(c);
    name->columns = name->size < 0 ? -1 : new_size(c);
    if (name->columns < 0)
        return false;
    bool declared =
        name->kind == CBI_NAME_X ||
        (name->has_form && (name->kind == CBI_NAME_STATE || name->kind == CBI_NAME_INPUT));
    int origin = declared && name->value >= 0 ? c->e->nodes[name->value].start : -1;
    return !declared || set_form(c, name->size, &name->form, origin);
}

static int compare_names(const void *a, const void *b) {
    const cbi_name *const *x = a, *const *y = b;
    return strcmp((*x)->text, (*y)->text);
}

/* In the order of the alphabet. */
static bool size_names(size_context *c) {
    cbi_equations *e = c->e;
    c->names = cbi_allocate(sizeof(cbi_name *) * (size_t)e->name_count);
    if (c->names == NULL)
        return cbi_equations_no_memory(e);
    for (int i = 0; i < e->name_count; i++)
        c->names[i] = &e->names[i];
    qsort(c->names, (size_t)e->name_count, sizeof(cbi_name *), compare_names);
    for (int i = 0; i < e->name_count; i++)
        if (!size_name(c, c->names[i]))
            return false;
    return true;
}

/* A product: the matrix's columns are what it multiplies, and its rows what comes out. */
static bool size_product(size_context *c, cbi_node *node) {
    cbi_equations *e = c->e;
    const cbi_name *name = &e->names[node->name];
    const cbi_node *argument = &e->nodes[node->arguments[0]];
    int columns = node->transposed ? name->size : name->columns;
    meeting m = {node->at,        node->at + (int)strlen(name->text),
                 argument->start, argument->end,
                 node->at,        true};
    node->size = node->transposed ? name->columns : name->size;
    return equal(c, columns, argument->size, &m);
}

/* Operands that may be numbers, or single ones: the size is that of the others. */
static bool size_operands(size_context *c, int index, int operands) {
    cbi_equations *e = c->e;
    int size = -1;
    for (int i = 0; i < operands; i++) {
        int argument = e->nodes[index].arguments[i], of_argument = e->nodes[argument].size;
        if (of_argument < 0)
            continue;
        if (size >= 0) {
            int both = new_size(c);
            rule r = {.kind = BROADCAST,
                      .size = both,
                      .count = 2,
                      .parts = {size, of_argument},
                      .node = index};
            if (both < 0 || !add_rule(c, r))
                return false;
            size = both;
        } else {
            size = of_argument;
        }
    }
    e->nodes[index].size = size;
    return true;
}

static bool size_join(size_context *c, int index) {
    cbi_equations *e = c->e;
    rule r = {.kind = WHOLE, .size = new_size(c), .node = index, .times = 1};
    for (int i = 0; i < e->nodes[index].argument_count; i++)
        r.parts[r.count++] = e->nodes[e->nodes[index].arguments[i]].size;
    e->nodes[index].size = r.size;
    return r.size >= 0 && add_rule(c, r);
}

static bool size_node(size_context *c, int index) {
    cbi_node *node = &c->e->nodes[index];
    if (node->is_number)
        return true;
    switch (node->kind) {
    case CBI_NODE_NAME:
    case CBI_NODE_NEXT:
        node->size = c->e->names[node->name].size;
        return true;
    case CBI_NODE_APPLY:
        return size_product(c, node);
    case CBI_NODE_JOIN:
        return size_join(c, index);
    case CBI_NODE_CALL:
        if (node->function->to_one) {
            node->size = c->one;
            return true;
        }
        return size_operands(c, index, node->function->operands);
    default:
        return size_operands(c, index, node->argument_count);
    }
}

static bool size_equation(size_context *c, const cbi_equation *q) {
    cbi_equations *e = c->e;
    const cbi_node *root = &e->nodes[q->node];
    int first = e->targets[q->first_target];
    const cbi_name *name = &e->names[first];
    cbi_form form;
    if (root->size < 0 && (q->split || !q->next))
        return cbi_equations_fail(e, q->at, "\"%s\" is a number, no vector: write let %s = ...",
                                  name->text, name->text);
    if (q->form_node >= 0 &&
        (!cbi_form_of(e, q->form_node, &form) || !cbi_check_form(e, first, &form) ||
         !set_form(c, name->size, &form, q->at)))
        return false;
    for (int i = 1; i < q->target_count; i++) {
        const cbi_name *other = &e->names[e->targets[q->first_target + i]];
        meeting m = {q->at,     q->at + (int)strlen(name->text),
                     other->at, other->at + (int)strlen(other->text),
                     other->at, false};
        if (!equal(c, name->size, other->size, &m))
            return false;
    }
    if (q->split)
        return add_rule(c, (rule){.kind = WHOLE,
                                  .size = root->size,
                                  .count = 1,
                                  .times = q->target_count,
                                  .parts = {name->size},
                                  .node = q->node});
    meeting m = {q->at,       q->at + (int)strlen(name->text) + (q->next ? 1 : 0),
                 root->start, root->end,
                 q->at,       false};
    return root->size < 0 || equal(c, name->size, root->size, &m);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

static bool scale(const cbi_form *f, int64_t times, int64_t over, cbi_form *scaled) {
    *scaled = (cbi_form){f->hidden * times, f->input * times, f->constant * times, f->over * over};
    return cbi_form_reduce(scaled);
}

static bool too_large(size_context *c, const rule *r) {
    return cbi_equations_fail(c->e, c->e->nodes[r->node].at, "this has a size that is too large");
}

/* The sum of the parts that are known; which class the others are, and how many. */
static bool sum_parts(size_context *c, const rule *r, cbi_form *sum, int *unknown, int *count) {
    *sum = (cbi_form){.over = 1};
    *unknown = -1;
    *count = 0;
    for (int i = 0; i < r->count; i++) {
        const cbi_form *part = form_of(c->e, r->parts[i]);
        cbi_form before = *sum, scaled;
        if (part == NULL) {
            int class = class_of(c->e, r->parts[i]);
            if (*unknown >= 0 && *unknown != class) {
                *count = 1000; /* two different ones */
                return true;
            }
            *unknown = class;
            *count += r->times;
        } else if (!scale(part, r->times, 1, &scaled) || !cbi_form_add(&before, &scaled, 1, sum)) {
            return too_large(c, r);
        }
    }
    return true;
}

/* All parts are known: so is the whole. */
static bool set_whole(size_context *c, const rule *r, const cbi_form *sum) {
    const cbi_node *node = &c->e->nodes[r->node];
    const cbi_form *whole = form_of(c->e, r->size);
    char of_whole[200], of_parts[140];
    if (whole == NULL || same_form(whole, sum))
        return set_form(c, r->size, sum, node->at);
    return cbi_equations_fail(c->e, node->at,
                              "sizes do not fit: \"%s\" has %s, and its parts have %s together",
                              CBI_QUOTE(c->e, node->start, node->end),
                              explained(c->e, r->size, of_whole, sizeof(of_whole)),
                              cbi_form_text(sum, of_parts, sizeof(of_parts)));
}

/* The whole and all parts but `count` equal ones are known: so are these, what is left of the whole
   divided by their number. */
static bool set_parts(size_context *c, rule *r, const cbi_form *sum, int unknown, int count) {
    cbi_form rest, part;
    const cbi_node *node = &c->e->nodes[r->node];
    if (!cbi_form_add(form_of(c->e, r->size), sum, -1, &rest) || !scale(&rest, 1, count, &part))
        return too_large(c, r);
    if (part.over > 1 && part.hidden == 0 && part.input == 0) {
        char text[200];
        return cbi_equations_fail(c->e, node->at,
                                  "sizes do not fit: %s cannot be cut into %d equal parts",
                                  explained(c->e, r->size, text, sizeof(text)), count);
    }
    if (part.hidden < 0 || part.input < 0 || part.constant < 0 ||
        part.hidden + part.input + part.constant == 0)
        return true; /* when something else is assumed, set_whole says so */
    r->done = true;
    return set_form(c, unknown, &part, node->at);
}

/* Tries a rule; *changed: something has become known. */
static bool try_whole(size_context *c, rule *r, bool *changed) {
    cbi_form sum;
    int unknown, count;
    bool good = sum_parts(c, r, &sum, &unknown, &count);
    if (good && count == 0) {
        r->done = true;
        good = set_whole(c, r, &sum);
    } else if (good && count < 1000 && form_of(c->e, r->size) != NULL) {
        good = set_parts(c, r, &sum, unknown, count);
    }
    *changed = *changed || r->done;
    return good;
}

static bool try_broadcast(size_context *c, rule *r, bool assume, bool *changed) {
    cbi_equations *e = c->e;
    const cbi_node *node = &e->nodes[r->node];
    const cbi_form *a = form_of(e, r->parts[0]), *b = form_of(e, r->parts[1]);
    const cbi_form *both = form_of(e, r->size);
    meeting m =
        of_nodes(e, node->arguments[0], node->arguments[node->argument_count - 1], node->at);
    bool a_one = a != NULL && is_one(a), b_one = b != NULL && is_one(b);
    if (a_one || b_one) {
        r->done = *changed = true;
        return equal(c, r->size, a_one ? r->parts[1] : r->parts[0], &m);
    }
    bool all = both != NULL && is_one(both);
    if ((a == NULL || b == NULL) && !all && !assume)
        return true;
    r->done = *changed = true;
    return equal(c, r->parts[0], r->parts[1], &m) && equal(c, r->size, r->parts[0], &m);
}

/* Tries all rules until nothing new becomes known. */
static bool propagate(size_context *c) {
    for (bool changed = true; changed;) {
        int kept = 0;
        changed = false;
        for (int i = 0; i < c->pending_count; i++) {
            rule *r = &c->rules[c->pending[i]];
            if (!r->done && !(r->kind == WHOLE ? try_whole(c, r, &changed)
                                               : try_broadcast(c, r, false, &changed)))
                return false;
            if (!r->done)
                c->pending[kept++] = c->pending[i];
        }
        c->pending_count = kept;
    }
    return true;
}

/* ---- What nothing says ----------------------------------------------------------------------- */

static bool assume_hidden(cbi_equations *e, int size) {
    cbi_size *s = &e->sizes[class_of(e, size)];
    s->known = s->assumed = true;
    s->form = (cbi_form){.hidden = 1, .over = 1};
    return true;
}

/* Marks the classes that are wholes: 1, of what is cut, 2, of what is joined. */
static void mark_wholes(size_context *c) {
    memset(c->whole, 0, (size_t)c->e->size_count);
    for (int i = 0; i < c->rule_count; i++)
        if (c->rules[i].kind == WHOLE)
            c->whole[class_of(c->e, c->rules[i].size)] |= c->rules[i].times > 1 ? 1 : 2;
}

/* A state whose size is not known, or -1: first of those that are no sums of parts, then of those
   that are cut. A state that is joined of parts is as large as these. */
static int unsaid_state(const size_context *c) {
    const cbi_equations *e = c->e;
    for (int whole = 0; whole < 2; whole++)
        for (int i = 0; i < e->name_count; i++) {
            const cbi_name *name = c->names[i];
            if (name->kind == CBI_NAME_STATE && form_of(e, name->size) == NULL &&
                c->whole[class_of(e, name->size)] == whole)
                return name->size;
        }
    return -1;
}

/* Assumes something: that two operands are equal, else that a size is the hidden one, of states
   before others, and of parts before what they are parts of; *none: all is known. */
static bool assume(size_context *c, bool *none) {
    cbi_equations *e = c->e;
    bool changed = false;
    for (int i = 0; i < c->pending_count; i++)
        if (c->rules[c->pending[i]].kind == BROADCAST)
            return try_broadcast(c, &c->rules[c->pending[i]], true, &changed);
    mark_wholes(c);
    int state = unsaid_state(c);
    if (state >= 0)
        return assume_hidden(e, state);
    for (int i = 0; i < e->size_count; i++)
        if (form_of(e, i) == NULL && c->whole[class_of(e, i)] == 0)
            return assume_hidden(e, i);
    for (int i = 0; i < e->size_count; i++)
        if (form_of(e, i) == NULL)
            return assume_hidden(e, i);
    *none = true;
    return true;
}

static bool find_unsaid(size_context *c) {
    c->whole = cbi_allocate((size_t)c->e->size_count);
    c->pending = cbi_allocate(sizeof(int) * (size_t)(c->rule_count + 1));
    if (c->whole == NULL || c->pending == NULL)
        return cbi_equations_no_memory(c->e);
    for (int i = 0; i < c->rule_count; i++)
        c->pending[c->pending_count++] = i;
    for (bool none = false; !none;)
        if (!propagate(c) || !assume(c, &none))
            return false;
    return true;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

/* Which vectors are cut into gates: equal parts of the hidden size, or a multiple of it. */
static void find_blocks(size_context *c) {
    for (int i = 0; i < c->rule_count; i++) {
        const rule *r = &c->rules[i];
        cbi_size *whole = &c->e->sizes[class_of(c->e, r->size)];
        const cbi_form *part = form_of(c->e, r->parts[0]);
        bool gates = r->kind == WHOLE && r->times > 1 && part->hidden > 0 && part->input == 0 &&
                     part->constant == 0;
        if (gates && whole->form.hidden > 1 && r->times > whole->blocks)
            whole->blocks = r->times;
    }
}

/* A state that has the input's size only because it meets x, so that the hidden size means nothing
   to it, is more likely a matrix that was forgotten. */
static bool check_states(size_context *c) {
    cbi_equations *e = c->e;
    for (int i = 0; i < e->state_count; i++) {
        const cbi_name *name = &e->names[e->states[i]];
        const cbi_size *s = &e->sizes[class_of(e, name->size)];
        bool said =
            name->has_form || (name->equation >= 0 && e->equations[name->equation].form_node >= 0);
        if (s->form.input != 0 && s->form.hidden == 0 && !said)
            return cbi_equations_fail(
                e, name->at,
                "\"%s\" comes out with the size of the input: it meets x unit by unit, or "
                "one matrix multiplies both. Write W x for x, matrices of their own, or "
                "state %s[input] if that is meant",
                name->text, name->text);
    }
    return true;
}

static bool find(size_context *c) {
    const cbi_form one = {.constant = 1, .over = 1};
    c->one = new_size(c);
    if (c->one < 0 || !set_form(c, c->one, &one, -1) || !size_names(c))
        return false;
    for (int k = 0; k < c->e->equation_count; k++) {
        const cbi_equation *q = &c->e->equations[c->e->order[k]];
        for (int i = q->first_node; i <= q->node; i++)
            if (!size_node(c, i))
                return false;
    }
    for (int k = 0; k < c->e->equation_count; k++)
        if (!size_equation(c, &c->e->equations[c->e->order[k]]))
            return false;
    if (!find_unsaid(c) || !check_states(c))
        return false;
    find_blocks(c);
    return true;
}

bool cbi_find_sizes(cbi_equations *e) {
    size_context c = {.e = e};
    bool found = find(&c);
    cbi_free(c.names);
    cbi_free(c.rules);
    cbi_free(c.pending);
    cbi_free(c.whole);
    return found;
}

cbi_form cbi_size_form(const cbi_equations *e, int size) {
    return *form_of(e, size);
}

int cbi_size_blocks(const cbi_equations *e, int size) {
    return e->sizes[class_of(e, size)].blocks;
}
