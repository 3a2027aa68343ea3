/* A graph as equations. What is numbered is computed; views and constants are written where they
   are read. */
#include "autograd/compiler/call_site.h"
#include "autograd/scan/describe_internal.h"

#include "tensor/memory.h"

/* A graph while it is written. */
typedef struct writer {
    const cbi_description *d;
    cbi_text *text;
    const cbi_graph *graph;
    int *number; /* of each value; 0: it has none */
} writer;

static bool has_number(const cbi_value *value) {
    return value->kind != CBI_CAPTURED && value->kind != CBI_ROW_INPUT &&
           value->kind != CBI_STATE && value->kind != CBI_COTANGENT &&
           value->kind != CBI_CONSTANT && value->kind != CBI_VIEW;
}

/* What the step computes is v1, v2, ...; what is computed outside is u1, u2, ... */
static char letter(const writer *w) {
    return w->graph->state_count > 0 ? 'v' : 'u';
}

static void write_value(const writer *w, int v) {
    const cbi_value *value = &w->graph->values[v];
    switch (value->kind) {
    case CBI_CAPTURED:
        cbi_write_captured(w->d, w->text, w->graph->captured[value->index].node);
        return;
    case CBI_ROW_INPUT:
        cbi_write_row_input(w->d, w->text, w->graph, value->index);
        return;
    case CBI_STATE:
        cbi_write_state(w->d, w->text, value->index);
        return;
    case CBI_COTANGENT:
        cbi_write(w->text, "d");
        cbi_write_output(w->d, w->text, w->graph, value->index);
        cbi_write(w->text, w->graph->state_count > 0 ? "'" : "");
        return;
    case CBI_CONSTANT:
        cbi_write(w->text, "%g", value->parameters[0]);
        return;
    case CBI_VIEW:
        write_value(w, value->in[0]);
        if (cbi_graph_count(w->graph, value->in[0]) > 1) /* one element is there for all */
            cbi_write_view(w->text, &value->view);
        return;
    default:
        cbi_write(w->text, "%c%d", letter(w), w->number[v]);
    }
}

static void write_list(const writer *w, const cbi_value *value, const char *separator) {
    for (int k = 0; k < value->count; k++) {
        cbi_write(w->text, "%s", k > 0 ? separator : "");
        write_value(w, value->in[k]);
    }
}

/* ---- Right sides ----------------------------------------------------------------------------- */

static void write_elementwise(const writer *w, const cbi_value *value) {
    const cbi_elementwise *op = value->op;
    const char *infix = op == &cb_add_op   ? " + "
                        : op == &cb_sub_op ? " - "
                        : op == &cb_mul_op ? " * "
                        : op == &cb_div_op ? " / "
                                           : NULL;
    if (infix != NULL) {
        write_list(w, value, infix);
        return;
    }
    cbi_write(w->text, "%s(", op->op.name);
    write_list(w, value, ", ");
    for (size_t i = 0; i < op->op.options_size / sizeof(double); i++)
        cbi_write(w->text, ", %g", value->parameters[i]);
    cbi_write(w->text, ")");
}

/* Pieces that follow each other are written side by side; others with their places. */
static void write_concat(const writer *w, const cbi_value *value) {
    int64_t next = 0;
    bool in_order = true;
    for (int k = 0; k < value->count; k++) {
        in_order =
            in_order && cbi_view_is_run(&value->places[k]) && value->places[k].offset == next;
        next += cbi_view_count(&value->places[k]);
    }
    in_order = in_order && next == cbi_count_of(&value->type);
    cbi_write(w->text, "[");
    for (int k = 0; k < value->count; k++) {
        cbi_write(w->text, "%s", k > 0 ? " | " : "");
        write_value(w, value->in[k]);
        if (!in_order) {
            cbi_write(w->text, " at ");
            cbi_write_view(w->text, &value->places[k]);
        }
    }
    if (!in_order && next < cbi_count_of(&value->type))
        cbi_write(w->text, " | else %g", value->parameters[0]);
    cbi_write(w->text, "]");
}

static void write_reduction(const writer *w, const cbi_value *value) {
    cbi_write(w->text, "%s(",
              value->reduction == CBI_SUM   ? "sum"
              : value->reduction == CBI_MAX ? "max"
                                            : "min");
    write_list(w, value, "");
    cbi_write(w->text, ")");
    if (value->outer > 1 || value->inner > 1)
        cbi_write(w->text, " over the second axis of [%lld, %lld, %lld]", (long long)value->outer,
                  (long long)value->n, (long long)value->inner);
}

static void write_call(const writer *w, const cbi_value *value) {
    const cbi_call_site *call = value->call;
    const cb_node *last = cbi_traced_node(w->d->split->traced, 0, call->nodes[call->count - 1]);
    for (int i = 0; i < call->count - 1; i++)
        cbi_write(w->text, "%s, ",
                  cbi_traced_node(w->d->split->traced, 0, call->nodes[i])->op->name);
    cbi_write(w->text, "%s(", last->op->name);
    write_list(w, value, ", ");
    cbi_write_options(w->text, last->op, last->options, last->tensor.rank);
    cbi_write(w->text, ") %s", call->by_rows ? "row by row" : "on the whole batch");
}

/* [groups, rows, columns] of an operand, where there is more than one row. */
static void write_matrix(const writer *w, int64_t groups, int64_t rows, int64_t columns) {
    if (groups > 1)
        cbi_write(w->text, "[%lld, %lld, %lld]", (long long)groups, (long long)rows,
                  (long long)columns);
    else if (rows > 1)
        cbi_write(w->text, "[%lld, %lld]", (long long)rows, (long long)columns);
}

static void write_product(const writer *w, const cbi_value *value) {
    write_list(w, value, "");
    if (value->groups > 1 || value->m > 1) {
        cbi_write(w->text, " as ");
        write_matrix(w, value->groups, value->m, value->k);
        cbi_write(w->text, ", times");
    }
    cbi_write(w->text, value->weights.count > 1 ? " [" : " ");
    cbi_write_weights(w->d, w->text, w->graph, value);
    cbi_write(w->text, value->weights.count > 1 ? "]" : "");
}

static void write_contraction(const writer *w, const cbi_value *value) {
    long long n = (long long)(cbi_count_of(&value->type) / (value->groups * value->m));
    write_value(w, value->in[0]);
    cbi_write(w->text, " as [%lld, %lld, %lld], times ", (long long)value->groups,
              (long long)value->m, (long long)value->k);
    write_value(w, value->in[1]);
    cbi_write(w->text, " as [%lld, %lld, %lld]", (long long)value->groups, (long long)value->k, n);
}

static void write_right_side(const writer *w, const cbi_value *value) {
    switch (value->kind) {
    case CBI_ELEMENTWISE:
        write_elementwise(w, value);
        return;
    case CBI_CONCAT:
        write_concat(w, value);
        return;
    case CBI_REDUCE:
        write_reduction(w, value);
        return;
    case CBI_PRODUCT:
        write_product(w, value);
        return;
    case CBI_CONTRACT:
        write_contraction(w, value);
        return;
    case CBI_CALL:
        write_call(w, value);
        return;
    case CBI_BATCH_PRODUCT:
        cbi_write(w->text, "sum over rows of ");
        write_list(w, value, "^T ");
        return;
    case CBI_BATCH_SUM:
        cbi_write(w->text, "sum over rows of ");
        write_list(w, value, "");
        return;
    default:
        cbi_write(w->text, "copy(");
        write_list(w, value, "");
        cbi_write(w->text, ")");
    }
}

/* ---- Equations ------------------------------------------------------------------------------- */

static void write_shape(const writer *w, const cbi_value *value) {
    cbi_write_pad(w->text, CBI_SHAPES);
    cbi_write(w->text, "[");
    for (int i = 0; i < value->type.rank; i++)
        cbi_write(w->text, "%s%lld", i > 0 ? ", " : "", (long long)value->type.shape[i]);
    cbi_write(w->text,
              value->type.rows || value->kind == CBI_BATCH_SUM || value->kind == CBI_BATCH_PRODUCT
                  ? "]\n"
                  : "], once\n");
}

static void write_values(const writer *w, int begin, int end) {
    for (int v = begin; v < end; v++) {
        if (w->number[v] == 0)
            continue;
        cbi_write(w->text, "  %c%d = ", letter(w), w->number[v]);
        write_right_side(w, &w->graph->values[v]);
        write_shape(w, &w->graph->values[v]);
    }
}

static void write_results(const writer *w) {
    const cbi_graph *graph = w->graph;
    for (int i = 0; i < graph->output_count; i++) {
        cbi_write(w->text, "  ");
        cbi_write_output(w->d, w->text, graph, i);
        cbi_write(w->text, graph->state_count > 0 ? "' = " : " = ");
        write_value(w, graph->outputs[i].value);
        cbi_write(w->text, "\n");
    }
}

static void write_gradient(const writer *w, int value) {
    if (value >= 0)
        write_value(w, value);
    else
        cbi_write(w->text, "0");
    cbi_write(w->text, "\n");
}

static void write_gradients(const writer *w) {
    const cbi_graph *graph = w->graph;
    for (int i = 0; i < graph->state_count; i++) {
        cbi_write(w->text, "  d");
        cbi_write_state(w->d, w->text, i);
        cbi_write(w->text, " = ");
        write_gradient(w, graph->outputs[i].gradient);
    }
    for (int i = 0; i < graph->row_input_count; i++) {
        if (graph->row_inputs[i].gradient < 0)
            continue;
        cbi_write(w->text, "  d");
        cbi_write_row_input(w->d, w->text, graph, i);
        cbi_write(w->text, " = ");
        write_gradient(w, graph->row_inputs[i].gradient);
    }
    for (int i = 0; i < graph->captured_count; i++)
        for (int k = 0; k < graph->captured[i].term_count; k++) {
            cbi_write(w->text, "  d");
            cbi_write_part(w->d, w->text, &graph->captured[i], &graph->captured[i].terms[k].place);
            cbi_write(w->text, " += ");
            write_gradient(w, graph->captured[i].terms[k].value);
        }
}

bool cbi_describe_graph(const cbi_description *d, cbi_text *text, const cbi_graph *graph) {
    writer w = {d, text, graph, cbi_allocate(sizeof(int) * ((size_t)graph->value_count + 1))};
    if (w.number == NULL)
        return false;
    for (int v = 0, numbers = 0; v < graph->value_count; v++)
        w.number[v] = has_number(&graph->values[v]) ? ++numbers : 0;
    write_values(&w, 0, graph->forward_count);
    write_results(&w);
    write_values(&w, graph->forward_count, graph->value_count);
    write_gradients(&w);
    cbi_free(w.number);
    return true;
}

/* ---- Products -------------------------------------------------------------------------------- */

static void describe_products(cbi_text *text, const cbi_graph *graph, int begin, int end) {
    int count = 0;
    for (int v = begin; v < end; v++)
        count += graph->values[v].kind == CBI_PRODUCT;
    cbi_write(text, "%d", count);
    for (int v = begin, k = 0; v < end; v++) {
        const cbi_value *value = &graph->values[v];
        if (value->kind != CBI_PRODUCT)
            continue;
        cbi_write(text, "%s", k++ == 0 ? " (" : ", ");
        if (value->groups > 1)
            cbi_write(text, "%lld of ", (long long)value->groups);
        cbi_write(text, "%lldx%lld", (long long)value->k,
                  (long long)(cbi_graph_count(graph, v) / (value->groups * value->m)));
    }
    cbi_write(text, "%s", count > 0 ? ")" : "");
}

void cbi_describe_products(cbi_text *text, const cbi_graph *graph) {
    cbi_write(text, "products forward ");
    describe_products(text, graph, 0, graph->forward_count);
    cbi_write(text, ", backward ");
    describe_products(text, graph, graph->forward_count, graph->value_count);
}
