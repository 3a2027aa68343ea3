/* The step of a cell that was read: its equations one by one, in plain ops. */
#include "nn/equations/equations.h"

#include <string.h>

/* A tensor, [batch, size], or [size] of what depends on parameters alone; a number; or nothing,
   where a bias is left out. */
typedef struct value {
    cb_tensor *tensor;
    double number;
} value;

typedef struct step_context {
    const cbi_equations *e;
    const cb_cell_step *s;
    cb_tensor *results[CBI_MOST_NAMES]; /* of equations, by name; of states, the next value */
    /* With recurrent dropout, results that matrices multiply, of the states that they see. */
    cb_tensor *seen[CBI_MOST_NAMES];
    bool dropping, as_seen; /* whether there are any; whether they are what is computed */
} step_context;

static value evaluate(step_context *c, int index);

/* A row for each sequence. */
static cb_tensor *as_rows(const step_context *c, cb_tensor *t) {
    return t == NULL || t->rank != 1 ? t : cb_expand(t, CB_SHAPE(c->s->x->shape[0], t->shape[0]));
}

/* ---- Names ----------------------------------------------------------------------------------- */

static cb_tensor *tensor_of_name(const step_context *c, const cbi_node *node) {
    const cbi_name *name = &c->e->names[node->name];
    bool multiplied = node->in_product || c->as_seen;
    switch (name->kind) {
    case CBI_NAME_X:
        return c->s->x;
    case CBI_NAME_INPUT:
        return c->s->inputs[name->index];
    case CBI_NAME_STATE:
        if (node->kind == CBI_NODE_NEXT)
            return c->results[node->name];
        return (multiplied ? c->s->recurrent : c->s->state)[name->index];
    case CBI_NAME_VECTOR:
    case CBI_NAME_MATRIX:
        return c->s->weights[name->index];
    default:
        return multiplied && c->dropping && c->e->equations[name->equation].multiplied
                   ? c->seen[node->name]
                   : c->results[node->name];
    }
}

/* ---- Products -------------------------------------------------------------------------------- */

/* y = W a with W of blocks on the diagonal, stored as [rows, columns / heads]: each part of a meets
   its own block. */
static cb_tensor *multiply_blocks(cb_tensor *matrix, cb_tensor *a, int64_t heads, bool transposed) {
    int64_t rows = matrix->shape[0] / heads, columns = matrix->shape[1], batch = a->shape[0];
    cb_tensor *blocks = cb_reshape(matrix, CB_SHAPE(heads, rows, columns));
    if (!transposed)
        blocks = cb_transpose(blocks, 1, 2);
    cb_tensor *parts = cb_reshape(a, CB_SHAPE(batch, heads, 1, transposed ? rows : columns));
    return cb_reshape(cb_matmul(parts, blocks), CB_SHAPE(batch, -1));
}

static cb_tensor *multiply(const step_context *c, const cbi_node *node, cb_tensor *a) {
    const cbi_name *name = &c->e->names[node->name];
    cb_tensor *matrix = c->s->weights[name->index], *y;
    bool alone = a != NULL && a->rank == 1;
    if (alone)
        a = cb_unsqueeze(a, 0);
    if (name->heads > 1 && a != NULL && matrix != NULL && a->rank == 2)
        y = multiply_blocks(matrix, a, name->heads, node->transposed);
    else
        y = node->transposed ? cb_matmul(a, matrix) : cb_linear(a, matrix, NULL);
    return alone ? cb_squeeze(y, 0) : y;
}

/* ---- Operators ------------------------------------------------------------------------------- */

/* A number or a tensor as an operand of a sum; a bias that is left out is 0. */
static bool is_number(value v, const cbi_node *node) {
    return node->is_number || v.tensor == NULL;
}

static value sum(const cbi_node *node, value a, value b, const cbi_node *left,
                 const cbi_node *right) {
    double sign = node->kind == CBI_NODE_SUB ? -1 : 1;
    if (is_number(a, left) && is_number(b, right)) /* the tensor of a sum that has no other term */
        return (value){.number = a.number + sign * b.number};
    if (is_number(a, left))
        return (value){.tensor = sign < 0        ? cb_affine(b.tensor, -1, a.number)
                                 : a.number == 0 ? b.tensor
                                                 : cb_shift(b.tensor, a.number)};
    if (is_number(b, right))
        return (value){.tensor = b.number == 0 ? a.tensor : cb_shift(a.tensor, sign * b.number)};
    return (value){.tensor = sign < 0 ? cb_sub(a.tensor, b.tensor) : cb_add(a.tensor, b.tensor)};
}

static cb_tensor *power(value base, value exponent, const cbi_node *left, const cbi_node *right) {
    if (left->is_number)
        return cb_pow(cb_full_like(exponent.tensor, base.number), exponent.tensor);
    if (!right->is_number)
        return cb_pow(base.tensor, exponent.tensor);
    return exponent.number == 2     ? cb_square(base.tensor)
           : exponent.number == 0.5 ? cb_sqrt(base.tensor)
           : exponent.number == -1  ? cb_reciprocal(base.tensor)
           : exponent.number == 1   ? base.tensor
                                    : cb_power(base.tensor, exponent.number);
}

static value operate(const cbi_node *node, value a, value b, const cbi_node *left,
                     const cbi_node *right) {
    switch (node->kind) {
    case CBI_NODE_ADD:
    case CBI_NODE_SUB:
        return sum(node, a, b, left, right);
    case CBI_NODE_MUL:
        return (value){.tensor = left->is_number    ? cb_scale(b.tensor, a.number)
                                 : right->is_number ? cb_scale(a.tensor, b.number)
                                                    : cb_mul(a.tensor, b.tensor)};
    case CBI_NODE_DIV:
        return (value){.tensor = left->is_number    ? cb_scale(cb_reciprocal(b.tensor), a.number)
                                 : right->is_number ? cb_scale(a.tensor, 1 / b.number)
                                                    : cb_div(a.tensor, b.tensor)};
    default:
        return (value){.tensor = power(a, b, left, right)};
    }
}

static cb_tensor *call(const step_context *c, const cbi_node *node, const value *v) {
    const cbi_function *f = node->function;
    cb_tensor *operands[CBI_MOST_ARGUMENTS], *like = NULL;
    double numbers[CBI_MOST_ARGUMENTS];
    for (int i = 0; i < f->operands && like == NULL; i++)
        like = c->e->nodes[node->arguments[i]].is_number ? NULL : v[i].tensor;
    for (int i = 0; i < f->operands; i++)
        operands[i] = c->e->nodes[node->arguments[i]].is_number ? cb_full_like(like, v[i].number)
                                                                : v[i].tensor;
    for (int i = 0; i < f->numbers; i++)
        numbers[i] =
            f->operands + i < node->argument_count ? v[f->operands + i].number : f->otherwise;
    return f->apply(operands, numbers);
}

static cb_tensor *join(const step_context *c, const cbi_node *node, const value *v) {
    cb_tensor *parts[CBI_MOST_ARGUMENTS];
    for (int i = 0; i < node->argument_count; i++)
        parts[i] = node->of_sequence ? as_rows(c, v[i].tensor) : v[i].tensor;
    return cb_concat(node->argument_count, parts, -1);
}

static value evaluate(step_context *c, int index) {
    const cbi_node *node = &c->e->nodes[index];
    value v[CBI_MOST_ARGUMENTS] = {{NULL, 0}};
    if (node->is_number)
        return (value){.number =
                           cbi_number_of(c->e, index, c->s->settings, c->s->input, c->s->hidden)};
    if (node->kind == CBI_NODE_NAME || node->kind == CBI_NODE_NEXT)
        return (value){.tensor = tensor_of_name(c, node)};
    for (int i = 0; i < node->argument_count; i++)
        v[i] = evaluate(c, node->arguments[i]);
    switch (node->kind) {
    case CBI_NODE_APPLY:
        return (value){.tensor = multiply(c, node, v[0].tensor)};
    case CBI_NODE_NEG:
        return (value){.tensor = cb_neg(v[0].tensor)};
    case CBI_NODE_CALL:
        return (value){.tensor = call(c, node, v)};
    case CBI_NODE_JOIN:
        return (value){.tensor = join(c, node, v)};
    default:
        return operate(node, v[0], v[1], &c->e->nodes[node->arguments[0]],
                       &c->e->nodes[node->arguments[1]]);
    }
}

/* ---- The step -------------------------------------------------------------------------------- */

/* Computes an equation into results. */
static void compute(step_context *c, const cbi_equation *q, cb_tensor **results) {
    const int *targets = c->e->targets + q->first_target;
    const cbi_node *root = &c->e->nodes[q->node];
    value v = evaluate(c, q->node);
    if (root->is_number) /* of a state: the same for all units */
        v.tensor = cb_full_like(c->s->state[c->e->names[targets[0]].index], v.number);
    else if (q->next)
        v.tensor = as_rows(c, v.tensor);
    for (int i = 0; i < q->target_count; i++)
        results[targets[i]] = q->split ? cb_chunk(v.tensor, -1, q->target_count, i) : v.tensor;
}

void cbi_equations_step(const cb_cell_step *s) {
    step_context c = {.e = cbi_equations_of(s->cell), .s = s};
    const cbi_equations *e = c.e;
    for (int i = 0; i < e->state_count; i++)
        c.dropping = c.dropping || s->recurrent[i] != s->state[i];
    for (int i = 0; i < e->equation_count; i++) {
        const cbi_equation *q = &e->equations[e->order[i]];
        compute(&c, q, c.results);
        c.as_seen = true;
        if (q->multiplied && c.dropping)
            compute(&c, q, c.seen);
        c.as_seen = false;
    }
    for (int i = 0; i < e->state_count; i++)
        s->next[i] = as_rows(&c, c.results[e->states[i]]);
    for (int i = 0; i < e->observed_count && s->observed != NULL; i++)
        s->observed[i] = as_rows(&c, c.results[e->observed[i]]);
}
