/* What the values of a description are called: weights and states by their names, x, and numbered
   ones: cN is computed once, before the recurrence, and oN before it for each row of x. */
#include "autograd/scan/describe_internal.h"

#include "tensor/memory.h"

#include <string.h>

void cbi_write_state(const cbi_description *d, cbi_text *text, int state) {
    if (d->sizes->state_names != NULL)
        cbi_write(text, "%s", d->sizes->state_names[state]);
    else
        cbi_write(text, "s%d", state);
}

/* ---- What is captured ------------------------------------------------------------------------ */

static int weight_of(const cbi_description *d, int node) {
    const cbi_traced *traced = d->split->traced;
    for (int i = 0; i < traced->signature.weight_count; i++)
        if (traced->side[0].weights[i] != NULL && traced->side[0].weights[i]->node->index == node)
            return i;
    return -1;
}

void cbi_write_captured(const cbi_description *d, cbi_text *text, int node) {
    int weight = weight_of(d, node);
    if (weight < 0)
        cbi_write(text, "c%d", d->captured_number[node]);
    else if (d->sizes->weight_names != NULL)
        cbi_write(text, "%s", d->sizes->weight_names[weight]);
    else
        cbi_write(text, "w%d", weight);
}

bool cbi_number_captured(cbi_description *d) {
    const cbi_traced *traced = d->split->traced;
    int count = cbi_traced_count(traced), number = 0;
    d->captured_number = cbi_allocate(sizeof(int) * ((size_t)count + 1));
    if (d->captured_number == NULL)
        return false;
    for (int i = 0; i < d->compilation->captured_count; i++)
        d->captured_number[d->compilation->captured[i]] = 1;
    for (int i = count - 1; i >= 0; i--) {
        const cb_node *node = cbi_traced_node(traced, 0, i);
        for (int k = 0; d->captured_number[i] > 0 && k < node->count; k++)
            d->captured_number[node->in[k]->node->index] = 1;
    }
    for (int i = 0; i < count; i++)
        if (d->captured_number[i] > 0)
            d->captured_number[i] = cbi_is_leaf(cbi_traced_node(traced, 0, i)) ? 0 : ++number;
    return true;
}

static void write_entry(cbi_text *text, const cb_option *option, const char *at) {
    switch (option->kind) {
    case CB_OPTION_INT: {
        int number = 0;
        memcpy(&number, at, option->size < sizeof(number) ? option->size : sizeof(number));
        cbi_write(text, "%d", number);
        return;
    }
    case CB_OPTION_EXTENT:
        cbi_write(text, "%lld", (long long)*(const int64_t *)(const void *)at);
        return;
    case CB_OPTION_REAL:
        cbi_write(text, "%g", *(const double *)(const void *)at);
        return;
    case CB_OPTION_DRAW:
        return;
    }
}

/* Of an array with an entry for each axis, those of the axes that there are. */
void cbi_write_options(cbi_text *text, const cb_op *op, const void *options, int rank) {
    for (int i = 0; i < op->option_count; i++) {
        const cb_option *option = &op->option_list[i];
        const char *at = (const char *)options + option->offset;
        if (option->kind == CB_OPTION_DRAW)
            continue;
        cbi_write(text, ", %s=%s", option->name, option->count > 1 ? "[" : "");
        for (int k = 0; k < option->count && (option->count == 1 || k < rank); k++) {
            cbi_write(text, "%s", k > 0 ? " " : "");
            write_entry(text, option, at + (size_t)k * option->size);
        }
        cbi_write(text, "%s", option->count > 1 ? "]" : "");
    }
}

static void write_shape(cbi_text *text, const cb_tensor *t) {
    cbi_write_pad(text, CBI_SHAPES);
    cbi_write(text, "[");
    for (int i = 0; i < t->rank; i++)
        cbi_write(text, "%s%lld", i > 0 ? ", " : "", (long long)t->shape[i]);
    cbi_write(text, "]\n");
}

void cbi_describe_captured(cbi_description *d) {
    const cbi_traced *traced = d->split->traced;
    cbi_text *text = &d->text;
    bool any = false;
    for (int i = 0; i < cbi_traced_count(traced); i++) {
        const cb_node *node = cbi_traced_node(traced, 0, i);
        if (d->captured_number[i] == 0)
            continue;
        if (!any)
            cbi_write(text, "\nBefore the recurrence, once, on the tape\n");
        any = true;
        cbi_write(text, "  c%d = %s(", d->captured_number[i], node->op->name);
        for (int k = 0; k < node->count; k++) {
            cbi_write(text, "%s", k > 0 ? ", " : "");
            cbi_write_captured(d, text, node->in[k]->node->index);
        }
        cbi_write_options(text, node->op, node->options, node->tensor.rank);
        cbi_write(text, ")");
        write_shape(text, &node->tensor);
    }
}

/* ---- Parts ----------------------------------------------------------------------------------- */

void cbi_write_view(cbi_text *text, const cbi_view *view) {
    if (cbi_view_is_run(view)) {
        cbi_write(text, "[%lld:%lld]", (long long)view->offset,
                  (long long)(view->offset + cbi_view_count(view)));
        return;
    }
    cbi_write(text, "[%lld; ", (long long)view->offset);
    for (int i = 0; i < view->rank; i++)
        cbi_write(text, "%s%lld by %lld", i > 0 ? ", " : "", (long long)view->shape[i],
                  (long long)view->stride[i]);
    cbi_write(text, "]");
}

/* A range of rows or columns, unless it is all of them. */
static void write_range(cbi_text *text, int64_t start, int64_t count, int64_t of) {
    if (count == of)
        cbi_write(text, ":");
    else
        cbi_write(text, "%lld:%lld", (long long)start, (long long)(start + count));
}

/* A block of a matrix of that many rows and columns; transposed: its transpose is meant. */
static void write_block(cbi_text *text, const int64_t *shape, int64_t offset, int64_t rows,
                        int64_t columns, bool transposed) {
    if (rows != shape[0] || columns != shape[1]) {
        cbi_write(text, "[");
        write_range(text, offset / shape[1], rows, shape[0]);
        cbi_write(text, ", ");
        write_range(text, offset % shape[1], columns, shape[1]);
        cbi_write(text, "]");
    }
    cbi_write(text, "%s", transposed ? "^T" : "");
}

/* Whether a view is a block of a matrix, or transposed: it goes through columns, row after row of
   each. */
static bool is_block(const cbi_type *type, const cbi_view *part, bool transposed) {
    return type->rank == 2 && part->rank == 2 && part->stride[transposed] == type->shape[1] &&
           part->stride[!transposed] == 1;
}

void cbi_write_part(const cbi_description *d, cbi_text *text, const cbi_captured *captured,
                    const cbi_view *part) {
    const cbi_type *type = &captured->type;
    cbi_write_captured(d, text, captured->node);
    if (cbi_view_is_run(part) && cbi_view_count(part) == cbi_count_of(type))
        return;
    if (is_block(type, part, false))
        write_block(text, type->shape, part->offset, part->shape[0], part->shape[1], false);
    else if (is_block(type, part, true))
        write_block(text, type->shape, part->offset, part->shape[1], part->shape[0], true);
    else if (cbi_view_is_run(part) && type->rank == 2 && part->offset % type->shape[1] == 0 &&
             cbi_view_count(part) % type->shape[1] == 0)
        write_block(text, type->shape, part->offset, cbi_view_count(part) / type->shape[1],
                    type->shape[1], false);
    else
        cbi_write_view(text, part);
}

/* The matrix of the first group, as a view of what is captured. */
static void write_weight(const cbi_description *d, cbi_text *text, const cbi_graph *graph,
                         const cbi_weight *weight, int64_t groups) {
    const cbi_captured *captured = &graph->captured[weight->captured];
    cbi_view part = {.offset = weight->offset,
                     .rank = 3,
                     .shape = {groups, weight->rows, weight->columns},
                     .stride = {weight->stride[0], weight->stride[1], weight->stride[2]}};
    cbi_view_normalize(&part);
    cbi_write_part(d, text, captured, &part);
}

void cbi_write_weights(const cbi_description *d, cbi_text *text, const cbi_graph *graph,
                       const cbi_value *product) {
    const cbi_grid *grid = &product->weights;
    for (int k = 0; k < grid->count; k++) {
        cbi_write(text, k == 0 ? "" : k % grid->across == 0 ? "; " : " | ");
        write_weight(d, text, graph, &grid->blocks[k], product->groups);
    }
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* A boundary tensor, see split.h, by its node. */
static void write_boundary(const cbi_description *d, cbi_text *text, int node) {
    const cbi_part *sequence = &d->split->sequence;
    if (node == d->split->traced->side[0].x->node->index) {
        cbi_write(text, "x");
        return;
    }
    int i = 0;
    while (i < sequence->output_count && sequence->outputs[i] != node)
        i++;
    cbi_write(text, "o%d", i + 1);
}

void cbi_write_row_input(const cbi_description *d, cbi_text *text, const cbi_graph *graph, int i) {
    write_boundary(d, text, graph->row_inputs[i].node);
}

void cbi_write_output(const cbi_description *d, cbi_text *text, const cbi_graph *graph, int i) {
    if (graph->state_count > 0)
        cbi_write_state(d, text, i);
    else
        write_boundary(d, text, graph->outputs[i].node);
}
