/* A reference interpreter of graphs. */
#include "interpret.h"

#include "autograd/compiler/call_site.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = INTERPRETED_ROWS };

/* A graph while it is interpreted: of each value its elements, row after row where it has rows. */
typedef struct machine {
    const cbi_graph *graph;
    double **of;
} machine;

static int64_t rows_of(const cbi_type *type) {
    return type->rows ? ROWS : 1;
}

/* Element i of row r of something given, between -1 and 1. */
static double given(int kind, int number, int64_t r, int64_t i) {
    return sin(1.7 * kind + 2.3 * number + 0.9 * (double)r + 1.1 * (double)i);
}

/* Element i of input k of a value, in row r: a number stands for any, and what has no rows for all.
 */
static double input(const machine *m, const cbi_value *v, int k, int64_t r, int64_t i) {
    const cbi_value *in = &m->graph->values[v->in[k]];
    if (in->kind == CBI_CONSTANT)
        return in->parameters[0];
    return m->of[v->in[k]][(in->type.rows ? r : 0) * cbi_count_of(&in->type) + i];
}

/* Which element of its base element i of a view is. */
static int64_t element_of(const cbi_view *view, int64_t i) {
    int64_t at = view->offset;
    for (int k = view->rank - 1; k >= 0; k--) {
        at += i % view->shape[k] * view->stride[k];
        i /= view->shape[k];
    }
    return at;
}

/* Element (i, j) of group g of a product's matrix: the block of the grid that it lies in. */
static double matrix_element(const cbi_value *v, int64_t g, int64_t i, int64_t j,
                             const cbi_graph *graph) {
    const cbi_grid *grid = &v->weights;
    int block = 0;
    while (i >= grid->blocks[block].rows) {
        i -= grid->blocks[block].rows;
        block += grid->across;
    }
    while (j >= grid->blocks[block].columns)
        j -= grid->blocks[block++].columns;
    const cbi_weight *w = &grid->blocks[block];
    int64_t at = w->offset + g * w->stride[0] + i * w->stride[1] + j * w->stride[2];
    return given(CBI_CAPTURED, graph->captured[w->captured].node, 0, at);
}

static double elementwise(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    double operands[CBI_MAP_INPUTS], result;
    const void *in[CBI_MAP_INPUTS];
    for (int k = 0; k < v->count; k++) {
        operands[k] = input(m, v, k, r, i);
        in[k] = &operands[k];
    }
    cbi_run_kernel(v->op->kernels[CB_F64], 1, &result, v->count, in, v->parameters);
    return result;
}

static double reduction(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    int64_t first = i / v->inner * v->n * v->inner + i % v->inner;
    double result = input(m, v, 0, r, first);
    for (int64_t k = 1; k < v->n; k++) {
        double x = input(m, v, 0, r, first + k * v->inner);
        result = v->reduction == CBI_SUM   ? result + x
                 : v->reduction == CBI_MAX ? fmax(result, x)
                                           : fmin(result, x);
    }
    return result;
}

/* Element i of a product, whose right operand is a matrix or the second input. */
static double product(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    int64_t n = cbi_count_of(&v->type) / (v->groups * v->m);
    int64_t g = i / (v->m * n), row = i / n, column = i % n;
    double sum = 0;
    for (int64_t k = 0; k < v->k; k++)
        sum += input(m, v, 0, r, row * v->k + k) *
               (v->kind == CBI_PRODUCT ? matrix_element(v, g, k, column, m->graph)
                                       : input(m, v, 1, r, (g * v->k + k) * n + column));
    return sum;
}

static double batch_product(const machine *m, const cbi_value *v, int64_t i) {
    int64_t n = cbi_count_of(&v->type) / (v->groups * v->m);
    int64_t g = i / (v->m * n), row = i / n % v->m, column = i % n;
    double sum = 0;
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t k = 0; k < v->k; k++)
            sum += input(m, v, 0, r, (g * v->k + k) * v->m + row) *
                   input(m, v, 1, r, (g * v->k + k) * n + column);
    return sum;
}

static double batch_sum(const machine *m, const cbi_value *v, int64_t i) {
    double sum = 0;
    for (int64_t r = 0; r < ROWS; r++)
        sum += input(m, v, 0, r, i);
    return sum;
}

static double concatenation(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    for (int k = 0; k < v->count; k++)
        for (int64_t e = 0; e < cbi_view_count(&v->places[k]); e++)
            if (element_of(&v->places[k], e) == i)
                return input(m, v, k, r, e);
    return v->parameters[0];
}

/* A mean of the elements of input k, with weights that depend on their places. That of a number is
   the number, however many elements it stands for. */
static double mean_of(const machine *m, const cbi_value *v, int k, int64_t r, int64_t salt) {
    const cbi_value *in = &m->graph->values[v->in[k]];
    int64_t count = in->kind == CBI_CONSTANT ? 1 : cbi_count_of(&in->type);
    double sum = 0, weights = 0;
    for (int64_t e = 0; e < count; e++) {
        double weight = 1 / (double)(1 + (3 * e + salt) % 5);
        sum += weight * input(m, v, k, r, e);
        weights += weight;
    }
    return count > 0 ? sum / weights : 0;
}

/* A call's op is not known here: some function of all elements of its inputs, in their order; and
   of those of another row, unless the op is row by row. */
static double call(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    int64_t other = v->call->by_rows ? r : (r + 1) % ROWS;
    double result = 0;
    for (int k = 0; k < v->count; k++)
        result += (k + 1) * (mean_of(m, v, k, r, i) + 0.3 * mean_of(m, v, k, other, i));
    return sin(result);
}

static double element(const machine *m, const cbi_value *v, int64_t r, int64_t i) {
    switch (v->kind) {
    case CBI_CAPTURED:
        return given(CBI_CAPTURED, m->graph->captured[v->index].node, 0, i);
    case CBI_ROW_INPUT:
        return given(CBI_ROW_INPUT, m->graph->row_inputs[v->index].node, r, i);
    case CBI_STATE:
    case CBI_COTANGENT:
        return given((int)v->kind, v->index, r, i);
    case CBI_CONSTANT:
        return v->parameters[0];
    case CBI_ELEMENTWISE:
        return elementwise(m, v, r, i);
    case CBI_VIEW:
        return input(m, v, 0, r, element_of(&v->view, i));
    case CBI_CONCAT:
        return concatenation(m, v, r, i);
    case CBI_REDUCE:
        return reduction(m, v, r, i);
    case CBI_PRODUCT:
    case CBI_CONTRACT:
        return product(m, v, r, i);
    case CBI_COPY:
        return input(m, v, 0, r, i);
    case CBI_BATCH_SUM:
        return batch_sum(m, v, i);
    case CBI_BATCH_PRODUCT:
        return batch_product(m, v, i);
    case CBI_CALL:
        return call(m, v, r, i);
    }
    return NAN;
}

/* ---- Results --------------------------------------------------------------------------------- */

static void add(interpreted *results, double number) {
    results->of = realloc(results->of, sizeof(double) * (size_t)(results->count + 1));
    results->of[results->count++] = number;
}

/* All rows of a result of a type; of none, zeros. */
static void add_rows(const machine *m, interpreted *results, int value, const cbi_type *type) {
    const cbi_value view = {.in = &value, .count = 1};
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t i = 0; i < cbi_count_of(type); i++)
            add(results, value < 0 ? 0 : input(m, &view, 0, r, i));
}

static void add_captured(const machine *m, interpreted *results, const cbi_captured *captured) {
    int64_t count = cbi_count_of(&captured->type);
    double *sum = calloc((size_t)count, sizeof(double));
    for (int k = 0; k < captured->term_count; k++) {
        const cbi_term *term = &captured->terms[k];
        const cbi_value view = {.in = &term->value, .count = 1};
        for (int64_t i = 0; i < cbi_view_count(&term->place); i++)
            sum[element_of(&term->place, i)] += input(m, &view, 0, 0, i);
    }
    for (int64_t i = 0; i < count; i++)
        add(results, sum[i]);
    free(sum);
}

interpreted interpret(const cbi_graph *graph) {
    interpreted results = {0};
    machine m = {graph, calloc((size_t)graph->value_count + 1, sizeof(double *))};
    for (int v = 0; v < graph->value_count; v++) {
        const cbi_value *value = &graph->values[v];
        int64_t count = cbi_count_of(&value->type);
        m.of[v] = malloc(sizeof(double) * (size_t)(rows_of(&value->type) * count + 1));
        for (int64_t i = 0; i < rows_of(&value->type) * count; i++)
            m.of[v][i] = element(&m, value, i / count, i % count);
    }
    for (int i = 0; i < graph->output_count; i++) {
        add_rows(&m, &results, graph->outputs[i].value, &graph->outputs[i].type);
        add_rows(&m, &results, graph->outputs[i].gradient, &graph->outputs[i].type);
    }
    for (int i = 0; i < graph->row_input_count; i++)
        add_rows(&m, &results, graph->row_inputs[i].gradient, &graph->row_inputs[i].type);
    for (int i = 0; i < graph->captured_count; i++)
        add_captured(&m, &results, &graph->captured[i]);
    for (int v = 0; v < graph->value_count; v++)
        free(m.of[v]);
    free(m.of);
    return results;
}
