#include "interpret.h"

#include "autograd/compiler/call_site.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values that have rows hold batch * count numbers, others count. */
typedef struct evaluation {
    const cbi_graph *graph;
    int64_t batch;
    uint64_t seed;
    double **values;
} evaluation;

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    cr_assert_not_null(memory);
    return memory;
}

int64_t cbt_view_place(const cbi_view *view, int64_t i) {
    int64_t place = view->offset;
    for (int axis = view->rank - 1; axis >= 0; axis--) {
        place += i % view->shape[axis] * view->stride[axis];
        i /= view->shape[axis];
    }
    return place;
}

/* A number is all of its elements. */
static double element(const evaluation *e, int value, int64_t row, int64_t i) {
    const cbi_value *v = &e->graph->values[value];
    if (v->kind == CBI_CONSTANT)
        return v->parameters[0];
    int64_t count = cbi_count_of(&v->type);
    cr_assert(i >= 0 && i < count, "element %lld of value %d", (long long)i, value);
    return e->values[value][(v->type.rows ? row * count : 0) + i];
}

/* ---- What a graph is given ------------------------------------------------------------------- */

static double scrambled(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)(int64_t)(z ^ z >> 31) * 0x1p-63;
}

static double given(const evaluation *e, const cbi_value *leaf, int64_t row, int64_t i) {
    uint64_t of = (uint64_t)leaf->kind << 48 ^ (uint64_t)leaf->index << 36;
    return scrambled(e->seed * 0x9e3779b97f4a7c15u + (of ^ (uint64_t)row << 20 ^ (uint64_t)i));
}

/* ---- Each kind of value: element i at a row -------------------------------------------------- */

static double elementwise(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    double operands[CBI_MAP_INPUTS], result = 0;
    const void *in[CBI_MAP_INPUTS];
    for (int k = 0; k < v->count; k++) {
        operands[k] = element(e, v->in[k], row, i);
        in[k] = &operands[k];
    }
    cbi_run_kernel(v->op->kernels[CB_F64], 1, &result, v->count, in, v->parameters);
    return result;
}

static double concat(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    for (int k = 0; k < v->count; k++)
        for (int64_t at = 0; at < cbi_view_count(&v->places[k]); at++)
            if (cbt_view_place(&v->places[k], at) == i)
                return element(e, v->in[k], row, at);
    return v->parameters[0];
}

static double reduce(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    int64_t outer = i / v->inner, inner = i % v->inner;
    double result = v->reduction == CBI_SUM ? 0 : v->reduction == CBI_MAX ? -INFINITY : INFINITY;
    for (int64_t n = 0; n < v->n; n++) {
        double x = element(e, v->in[0], row, (outer * v->n + n) * v->inner + inner);
        result = v->reduction == CBI_SUM   ? result + x
                 : v->reduction == CBI_MAX ? fmax(result, x)
                                           : fmin(result, x);
    }
    return result;
}

/* Element (p, q) of the matrix that a grid is for a group. */
static double weight(const evaluation *e, const cbi_grid *grid, int64_t group, int64_t p,
                     int64_t q) {
    int at = 0;
    while (p >= grid->blocks[at].rows) {
        p -= grid->blocks[at].rows;
        at += grid->across;
    }
    while (q >= grid->blocks[at].columns)
        q -= grid->blocks[at++].columns;
    const cbi_weight *b = &grid->blocks[at];
    const cbi_value captured = {.kind = CBI_CAPTURED, .index = b->captured};
    return given(e, &captured, 0,
                 b->offset + group * b->stride[0] + p * b->stride[1] + q * b->stride[2]);
}

/* Element i of [groups, m, n], in[0] being [groups, m, k]. */
static double product(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    int64_t n = cbi_count_of(&v->type) / (v->groups * v->m), left = i / n, group = left / v->m;
    double sum = 0;
    for (int64_t k = 0; k < v->k; k++)
        sum += element(e, v->in[0], row, left * v->k + k) *
               (v->kind == CBI_PRODUCT ? weight(e, &v->weights, group, k, i % n)
                                       : element(e, v->in[1], row, (group * v->k + k) * n + i % n));
    return sum;
}

/* Element i of [groups, m, n], in[0] being [groups, k, m]. */
static double batch_product(const evaluation *e, const cbi_value *v, int64_t i) {
    int64_t n = cbi_count_of(&v->type) / (v->groups * v->m);
    int64_t group = i / (v->m * n), p = i / n % v->m, q = i % n;
    double sum = 0;
    for (int64_t row = 0; row < e->batch; row++)
        for (int64_t k = 0; k < v->k; k++)
            sum += element(e, v->in[0], row, (group * v->k + k) * v->m + p) *
                   element(e, v->in[1], row, (group * v->k + k) * n + q);
    return sum;
}

static double batch_sum(const evaluation *e, const cbi_value *v, int64_t i) {
    double sum = 0;
    for (int64_t row = 0; row < e->batch; row++)
        sum += element(e, v->in[0], row, i);
    return sum;
}

/* A mean of an operand's elements, with weights that depend on their places. That of a number is
   the number, however many elements it stands for. */
static double mean_of(const evaluation *e, int value, int64_t row, int64_t salt) {
    const cbi_value *v = &e->graph->values[value];
    int64_t count = v->kind == CBI_CONSTANT ? 1 : cbi_count_of(&v->type);
    double sum = 0, weights = 0;
    for (int64_t at = 0; at < count; at++) {
        double w = 1 / (double)(1 + (3 * at + salt) % 5);
        sum += w * element(e, value, row, at);
        weights += w;
    }
    return count > 0 ? sum / weights : 0;
}

/* Depends on all elements of all inputs and on their order, and on those of other rows unless the
   op is row by row. */
static double call(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    int64_t other = v->call->by_rows ? row : (row + 1) % e->batch;
    double result = 0;
    for (int k = 0; k < v->count; k++)
        result += (k + 1) * (mean_of(e, v->in[k], row, i) + 0.3 * mean_of(e, v->in[k], other, i));
    return sin(result);
}

static double computed(const evaluation *e, const cbi_value *v, int64_t row, int64_t i) {
    switch (v->kind) {
    case CBI_CAPTURED:
        return given(e, v, 0, i);
    case CBI_ROW_INPUT:
    case CBI_STATE:
    case CBI_COTANGENT:
        return given(e, v, row, i);
    case CBI_CONSTANT:
        return v->parameters[0];
    case CBI_ELEMENTWISE:
        return elementwise(e, v, row, i);
    case CBI_VIEW:
        return element(e, v->in[0], row, cbt_view_place(&v->view, i));
    case CBI_CONCAT:
        return concat(e, v, row, i);
    case CBI_REDUCE:
        return reduce(e, v, row, i);
    case CBI_PRODUCT:
    case CBI_CONTRACT:
        return product(e, v, row, i);
    case CBI_COPY:
        return element(e, v->in[0], row, i);
    case CBI_CALL:
        return call(e, v, row, i);
    case CBI_BATCH_SUM:
        return batch_sum(e, v, i);
    case CBI_BATCH_PRODUCT:
        return batch_product(e, v, i);
    }
    cr_assert_fail("there is no kind %d", (int)v->kind);
    return NAN;
}

/* ---- All of a graph -------------------------------------------------------------------------- */

static evaluation evaluate(const cbi_graph *graph, int64_t batch, uint64_t seed) {
    evaluation e = {graph, batch, seed, allocate((size_t)graph->value_count, sizeof(double *))};
    for (int v = 0; v < graph->value_count; v++) {
        const cbi_value *value = &graph->values[v];
        int64_t count = cbi_count_of(&value->type), rows = value->type.rows ? batch : 1;
        e.values[v] = allocate((size_t)(rows * count), sizeof(double));
        for (int64_t row = 0; row < rows; row++)
            for (int64_t i = 0; i < count; i++)
                e.values[v][row * count + i] = computed(&e, value, row, i);
    }
    return e;
}

static void evaluation_end(evaluation *e) {
    for (int v = 0; v < e->graph->value_count; v++)
        free(e->values[v]);
    free(e->values);
}

/* Adds the elements of a value at all rows to the results; zeros for value -1. */
static void give_rows(const evaluation *e, cbt_results *r, int value, const cbi_type *type) {
    int64_t count = cbi_count_of(type);
    for (int64_t row = 0; row < e->batch; row++)
        for (int64_t i = 0; i < count; i++)
            r->numbers[r->count++] = value < 0 ? 0 : element(e, value, row, i);
}

static void give_captured(const evaluation *e, cbt_results *r, const cbi_captured *captured) {
    double *gradient = r->numbers + r->count;
    for (int k = 0; k < captured->term_count; k++) {
        const cbi_term *term = &captured->terms[k];
        for (int64_t i = 0; i < cbi_view_count(&term->place); i++)
            gradient[cbt_view_place(&term->place, i)] += element(e, term->value, 0, i);
    }
    r->count += cbi_count_of(&captured->type);
}

static int64_t result_count(const cbi_graph *graph, int64_t batch) {
    int64_t count = 0;
    for (int i = 0; i < graph->output_count; i++)
        count += 2 * batch * cbi_count_of(&graph->outputs[i].type);
    for (int i = 0; i < graph->row_input_count; i++)
        count += batch * cbi_count_of(&graph->row_inputs[i].type);
    for (int i = 0; i < graph->captured_count; i++)
        count += cbi_count_of(&graph->captured[i].type);
    return count;
}

static double largest_of(const evaluation *e) {
    double largest = 0;
    for (int v = 0; v < e->graph->value_count; v++) {
        const cbi_type *type = &e->graph->values[v].type;
        for (int64_t i = 0; i < cbi_count_of(type) * (type->rows ? e->batch : 1); i++)
            largest = fmax(largest, fabs(e->values[v][i]));
    }
    return largest;
}

cbt_results cbt_interpret(const cbi_graph *graph, int64_t batch, uint64_t seed) {
    evaluation e = evaluate(graph, batch, seed);
    cbt_results r = {.largest = largest_of(&e)};
    r.numbers = allocate((size_t)result_count(graph, batch), sizeof(double));
    for (int i = 0; i < graph->output_count; i++)
        give_rows(&e, &r, graph->outputs[i].value, &graph->outputs[i].type);
    for (int i = 0; i < graph->state_count; i++)
        give_rows(&e, &r, graph->outputs[i].gradient, &graph->outputs[i].type);
    for (int i = 0; i < graph->row_input_count; i++)
        give_rows(&e, &r, graph->row_inputs[i].gradient, &graph->row_inputs[i].type);
    for (int i = 0; i < graph->captured_count; i++)
        give_captured(&e, &r, &graph->captured[i]);
    evaluation_end(&e);
    return r;
}

void cbt_interpret_value(const cbi_graph *graph, int64_t batch, uint64_t seed, int value,
                         int64_t row, int64_t count, double *elements) {
    evaluation e = evaluate(graph, batch, seed);
    for (int64_t i = 0; i < count; i++)
        elements[i] = element(&e, value, row, i);
    evaluation_end(&e);
}

int64_t cbt_first_difference(const cbt_results *a, const cbt_results *b) {
    double tolerance = 1e-11 * fmax(1, fmax(a->largest, b->largest));
    if (a->count != b->count)
        return a->count < b->count ? a->count : b->count;
    for (int64_t i = 0; i < a->count; i++)
        if (!(fabs(a->numbers[i] - b->numbers[i]) <= tolerance))
            return i;
    return -1;
}
