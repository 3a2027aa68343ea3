/* A traced step as equations: what is computed outside of the recurrence, op by op as it was
   written, and what follows the state, value by value as it was read. */
#include "autograd/scan/describe_internal.h"

#include "autograd/op_list.h"
#include "autograd/op_options.h"
#include "autograd/tape_internal.h"

enum { SHAPES = 64 }; /* the column of the text that shapes begin in */

/* ---- Outside --------------------------------------------------------------------------------- */

static bool is_transpose(const cb_tensor *t) {
    return t->node->op == &cbi_permute_op && t->rank == 2 &&
           ((const int *)t->node->options)[0] == 1;
}

static bool is_slice(const cb_tensor *t) {
    return t->node->op == &cbi_slice_op && t->rank <= 2 &&
           ((const cbi_slice_options *)t->node->options)->step == 1;
}

/* Finds the ops that a tensor is computed by, but for what is written where it is used. */
static void find_hoisted(cbi_description *d, cb_tensor *t) {
    const cb_node *node = t->node;
    for (int i = 0; i < d->hoisted_count; i++)
        if (d->hoisted[i] == t)
            return;
    for (int i = 0; i < node->count && node->op != NULL; i++)
        find_hoisted(d, node->in[i]);
    if (node->op != NULL && !is_transpose(t) && !is_slice(t) && d->hoisted_count < CBI_MOST_HOISTED)
        d->hoisted[d->hoisted_count++] = t;
}

static void describe_leaf(cbi_description *d, const cb_tensor *t) {
    const char *const *names = d->sizes->weight_names;
    for (int i = 0; i < d->graph->weight_count; i++)
        if (d->graph->weights[i] == t) {
            if (names != NULL)
                cbi_describe(d, "%s", names[i]);
            else
                cbi_describe(d, "w%d", i);
            return;
        }
    if (t == d->graph->x)
        cbi_describe(d, "x");
    else
        cbi_describe(d, "%g", t->node->fill);
}

void cbi_describe_tensor(cbi_description *d, const cb_tensor *t) {
    const cb_node *node = t->node;
    if (node->op == NULL) {
        describe_leaf(d, t);
    } else if (is_transpose(t)) {
        bool twice = is_transpose(node->in[0]);
        cbi_describe_tensor(d, twice ? node->in[0]->node->in[0] : node->in[0]);
        cbi_describe(d, twice ? "" : "^T");
    } else if (is_slice(t)) {
        const cbi_slice_options *options = node->options;
        cbi_describe_tensor(d, node->in[0]);
        cbi_describe(d, "[%s%lld:%lld]", options->axis == 0 ? "" : ":, ", (long long)options->start,
                     (long long)(options->start + options->count));
    } else {
        int i = 0;
        while (i < d->hoisted_count && d->hoisted[i] != t)
            i++;
        cbi_describe(d, "o%d", i + 1);
    }
}

static void describe_shape(cbi_description *d, const cb_tensor *t) {
    cbi_describe_pad(d, SHAPES);
    for (int i = 0; i < t->rank; i++) {
        cbi_describe(d, i == 0 ? "[" : ", ");
        if (t->shape[i] == d->graph->batch)
            cbi_describe(d, "rows");
        else
            cbi_describe(d, "%lld", (long long)t->shape[i]);
    }
    cbi_describe(d, t->rank > 0 ? "]\n" : "[]\n");
}

static void describe_parameters(cbi_description *d, const cbi_elementwise *op,
                                const double *parameters) {
    for (size_t i = 0; i < op->op.options_size / sizeof(double); i++)
        cbi_describe(d, ", %g", parameters[i]);
}

void cbi_describe_hoisted(cbi_description *d) {
    cbi_recurrence run = cbi_described_run(d);
    for (int i = 0; i < d->graph->import_count; i++)
        find_hoisted(d, d->graph->imports[i].traced);
    cbi_describe(d, "\nOutside of the recurrence, once for all time steps (hoist)\n");
    for (int i = 0; i < d->hoisted_count; i++) {
        const cb_node *node = d->hoisted[i]->node;
        cbi_describe(d, "  o%d = %s(", i + 1, node->op->name);
        for (int k = 0; k < node->count; k++) {
            cbi_describe(d, k > 0 ? ", " : "");
            cbi_describe_tensor(d, node->in[k]);
        }
        if (cbi_is_elementwise(node->op))
            describe_parameters(d, cbi_elementwise_of(node->op), node->options);
        cbi_describe(d, ")");
        describe_shape(d, d->hoisted[i]);
    }
    cbi_describe(d, d->hoisted_count == 0 ? "  nothing\n" : "");
    long long all = (long long)(d->sizes->time * d->sizes->batch);
    if (run.row_of != NULL)
        cbi_describe(d, "  rows: the %lld of the table, from which the %lld of x are taken\n",
                     (long long)d->sizes->table, all);
    else
        cbi_describe(d,
                     "  rows: the %lld of x; where x is looked up in a table of fewer, those of "
                     "the table\n",
                     all);
}

/* ---- The step -------------------------------------------------------------------------------- */

void cbi_describe_state(cbi_description *d, int state) {
    if (d->sizes->state_names != NULL)
        cbi_describe(d, "%s", d->sizes->state_names[state]);
    else
        cbi_describe(d, "s%d", state);
}

static void describe_value(cbi_description *d, int v) {
    const cbi_value *value = &d->graph->values[v];
    switch (value->kind) {
    case CBI_IMPORT:
        cbi_describe_tensor(d, d->graph->imports[value->index].traced);
        return;
    case CBI_STATE:
        cbi_describe_state(d, value->index);
        return;
    case CBI_SEED:
        cbi_describe(d, "d");
        cbi_describe_state(d, value->index);
        cbi_describe(d, "'");
        return;
    case CBI_CONSTANT:
        cbi_describe(d, "%g", value->parameters[0]);
        return;
    case CBI_PART:
        describe_value(d, value->in[0]);
        cbi_describe(d, "[%lld:%lld]", (long long)value->start,
                     (long long)(value->start + value->columns));
        return;
    default:
        cbi_describe(d, "v%d", d->number[v]);
    }
}

static void describe_list(cbi_description *d, const cbi_value *value, const char *separator) {
    for (int k = 0; k < value->count; k++) {
        cbi_describe(d, "%s", k > 0 ? separator : "");
        describe_value(d, value->in[k]);
    }
}

static void describe_elementwise(cbi_description *d, const cbi_value *value) {
    const cbi_elementwise *op = value->op;
    const char *infix = op == &cb_add_op   ? " + "
                        : op == &cb_sub_op ? " - "
                        : op == &cb_mul_op ? " * "
                        : op == &cb_div_op ? " / "
                                           : NULL;
    if (infix != NULL) {
        describe_list(d, value, infix);
        return;
    }
    cbi_describe(d, "%s(", op->op.name);
    describe_list(d, value, ", ");
    describe_parameters(d, op, value->parameters);
    cbi_describe(d, ")");
}

static void describe_right_side(cbi_description *d, const cbi_value *value) {
    switch (value->kind) {
    case CBI_ELEMENTWISE:
        describe_elementwise(d, value);
        return;
    case CBI_PRODUCT:
        describe_list(d, value, " ");
        return;
    case CBI_JOIN:
        cbi_describe(d, "[");
        describe_list(d, value, " | ");
        cbi_describe(d, "]");
        return;
    case CBI_BATCH_PRODUCT:
        cbi_describe(d, "sum over rows of ");
        describe_list(d, value, "^T ");
        return;
    case CBI_BATCH_SUM:
        cbi_describe(d, "sum over rows of ");
        describe_list(d, value, "");
        return;
    default:
        cbi_describe(d, value->kind == CBI_ROW_SUM   ? "sum("
                        : value->kind == CBI_ROW_MAX ? "max("
                                                     : "min(");
        describe_list(d, value, "");
        cbi_describe(d, ")");
    }
}

static bool has_number(const cbi_value *value) {
    return value->kind != CBI_IMPORT && value->kind != CBI_STATE && value->kind != CBI_SEED &&
           value->kind != CBI_CONSTANT && value->kind != CBI_PART;
}

static void describe_values(cbi_description *d, int begin, int end) {
    for (int v = begin; v < end; v++) {
        const cbi_value *value = &d->graph->values[v];
        if (d->number[v] == 0)
            continue;
        cbi_describe(d, "  v%d = ", d->number[v]);
        describe_right_side(d, value);
        cbi_describe_pad(d, SHAPES);
        if (value->kind == CBI_BATCH_PRODUCT)
            cbi_describe(d, "[%lld, %lld]\n", (long long)d->graph->values[value->in[0]].columns,
                         (long long)d->graph->values[value->in[1]].columns);
        else
            cbi_describe(d, "[%lld]\n", (long long)value->columns);
    }
}

static void describe_gradients(cbi_description *d) {
    const cbi_graph *graph = d->graph;
    for (int i = 0; i < graph->state_count; i++) {
        cbi_describe(d, "  d");
        cbi_describe_state(d, i);
        cbi_describe(d, " = ");
        if (graph->state_gradient[i] >= 0)
            describe_value(d, graph->state_gradient[i]);
        else
            cbi_describe(d, "0");
        cbi_describe(d, "\n");
    }
    for (int i = 0; i < graph->import_count; i++) {
        const cbi_import *import = &graph->imports[i];
        for (int k = 0; k < import->gradient_count; k++) {
            cbi_describe(d, k == 0 ? "  d" : " + ");
            if (k == 0) {
                cbi_describe_tensor(d, import->traced);
                cbi_describe(d, import->rows ? " = " : " += ");
            }
            describe_value(d, import->gradients[k]);
        }
        cbi_describe(d, import->gradient_count > 0 ? "\n" : "");
    }
}

void cbi_describe_step(cbi_description *d) {
    const cbi_graph *graph = d->graph;
    for (int v = 0, numbers = 0; v < graph->value_count; v++)
        d->number[v] = has_number(&graph->values[v]) ? ++numbers : 0;
    cbi_describe(d, "\nThe step, for each row of the batch; columns in brackets (trace)\n");
    describe_values(d, 0, graph->forward_count);
    for (int i = 0; i < graph->state_count; i++) {
        cbi_describe(d, "  ");
        cbi_describe_state(d, i);
        cbi_describe(d, "' = ");
        describe_value(d, graph->next[i]);
        cbi_describe(d, "\n");
    }
    cbi_describe(d, "\nIts gradient, from those of the states after it\n");
    describe_values(d, graph->forward_count, graph->value_count);
    describe_gradients(d);
}
