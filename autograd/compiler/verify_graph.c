/* Verifying a graph: each kind of value has a rule. */
#include "autograd/compiler/verify.h"

#include "tensor/format.h"
#include "tensor/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct verifier {
    const cbi_graph *graph;
    char *bug;
    size_t size;
    int value;
} verifier;

static bool wrong(const verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(const verifier *v, const char *format, ...) {
    va_list arguments;
    int length = snprintf(v->bug, v->size, "value %d: ", v->value);
    va_start(arguments, format);
    if (length > 0 && (size_t)length < v->size)
        cbi_vformat(v->bug + length, v->size - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

static const cbi_value *value_of(const verifier *v, int i) {
    return &v->graph->values[i];
}

static int64_t count_of(const verifier *v, int i) {
    return cbi_graph_count(v->graph, i);
}

/* Whether a view stays within so many elements. */
static bool is_within(const cbi_view *view, int64_t count) {
    int64_t least = view->offset, most = view->offset;
    if (cbi_view_count(view) == 0)
        return true;
    for (int i = 0; i < view->rank; i++)
        *(view->stride[i] < 0 ? &least : &most) += (view->shape[i] - 1) * view->stride[i];
    return least >= 0 && most < count;
}

/* Whether input k has that many elements of the value's dtype, or is a number. */
static bool takes(const verifier *v, int k, int64_t count) {
    const cbi_value *value = value_of(v, v->value), *in = value_of(v, value->in[k]);
    if (in->kind != CBI_CONSTANT && count_of(v, value->in[k]) != count)
        return wrong(v, "input %d has %lld elements, not %lld", k,
                     (long long)count_of(v, value->in[k]), (long long)count);
    return in->type.dtype == value->type.dtype || wrong(v, "input %d has another dtype", k);
}

static bool check_elementwise(const verifier *v, const cbi_value *value) {
    if (value->op == NULL || value->op->kernels[value->type.dtype] == NULL ||
        value->count != value->op->op.max_inputs)
        return wrong(v, "no elementwise op of this dtype with %d inputs", value->count);
    for (int k = 0; k < value->count; k++)
        if (!takes(v, k, cbi_count_of(&value->type)))
            return false;
    return true;
}

static bool check_view(const verifier *v, const cbi_value *value) {
    if (value_of(v, value->in[0])->kind == CBI_CONSTANT)
        return wrong(v, "a view of a number");
    if (cbi_view_count(&value->view) != cbi_count_of(&value->type))
        return wrong(v, "a view of %lld elements that says it has %lld",
                     (long long)cbi_view_count(&value->view),
                     (long long)cbi_count_of(&value->type));
    return is_within(&value->view, count_of(v, value->in[0])) ||
           wrong(v, "a view of elements that are not there");
}

/* Whether places are runs, each of which begins where the one before ends or later. */
static bool are_in_order(const cbi_value *value) {
    int64_t end = 0;
    for (int k = 0; k < value->count; k++) {
        const cbi_view *place = &value->places[k];
        if (!cbi_view_is_run(place) || place->offset < end)
            return false;
        end = place->offset + place->shape[0];
    }
    return true;
}

/* Marks the elements that a view goes through; false when one of them is marked already. */
static bool mark(const cbi_view *view, bool *marked) {
    int64_t index[CB_MAX_RANK] = {0}, at = view->offset, count = cbi_view_count(view);
    for (int64_t i = 0; i < count; i++) {
        if (marked[at])
            return false;
        marked[at] = true;
        for (int k = view->rank - 1; k >= 0; k--) {
            at += view->stride[k];
            if (++index[k] < view->shape[k])
                break;
            at -= view->stride[k] * view->shape[k];
            index[k] = 0;
        }
    }
    return true;
}

/* Whether no two pieces have an element in common, nor two elements of one a place. */
static bool check_apart(const verifier *v, const cbi_value *value) {
    if (are_in_order(value))
        return true;
    bool *marked = cbi_allocate((size_t)cbi_count_of(&value->type) + 1), good = marked != NULL;
    for (int k = 0; k < value->count && good; k++) {
        good = mark(&value->places[k], marked);
        if (!good)
            wrong(v, "piece %d lies over another", k);
    }
    cbi_free(marked);
    return good;
}

static bool check_concat(const verifier *v, const cbi_value *value) {
    for (int k = 0; k < value->count; k++) {
        int64_t count = cbi_view_count(&value->places[k]);
        if (!takes(v, k, count) || !is_within(&value->places[k], cbi_count_of(&value->type)))
            return wrong(v, "piece %d does not fit into its place", k);
    }
    return check_apart(v, value);
}

static bool check_reduction(const verifier *v, const cbi_value *value) {
    if (value->outer * value->inner != cbi_count_of(&value->type))
        return wrong(v, "a reduction to another number of elements");
    return takes(v, 0, value->outer * value->n * value->inner);
}

/* The extents of the matrices of a grid: rows of each row of it and columns of each column agree,
   and blocks lie within what is captured. */
static bool check_grid(const verifier *v, const cbi_value *value, int64_t k, int64_t n) {
    const cbi_grid *grid = &value->weights;
    int64_t rows = 0, columns = 0;
    if (grid->count < 1 || grid->across < 1 || grid->count % grid->across != 0)
        return wrong(v, "a product without matrices");
    for (int i = 0; i < grid->count; i++) {
        const cbi_weight *block = &grid->blocks[i];
        const cbi_weight *above = &grid->blocks[i % grid->across];
        const cbi_weight *first = &grid->blocks[i / grid->across * grid->across];
        if (block->captured < 0 || block->captured >= v->graph->captured_count)
            return wrong(v, "a product with a matrix that is not captured");
        const cbi_type *type = &v->graph->captured[block->captured].type;
        cbi_view elements = {.offset = block->offset,
                             .rank = 3,
                             .shape = {value->groups, block->rows, block->columns}};
        memcpy(elements.stride, block->stride, sizeof(block->stride));
        if (type->dtype != value->type.dtype || !is_within(&elements, cbi_count_of(type)))
            return wrong(v, "a product with elements that are not there");
        if (block->columns != above->columns || block->rows != first->rows)
            return wrong(v, "a product with matrices that do not fit together");
        rows += i % grid->across == 0 ? block->rows : 0;
        columns += i < grid->across ? block->columns : 0;
    }
    return (rows == k && columns == n) || wrong(v, "a product with matrices of other extents");
}

static bool check_product(const verifier *v, const cbi_value *value) {
    int64_t groups = value->groups, m = value->m, k = value->k, count = cbi_count_of(&value->type);
    if (groups < 1 || m < 1 || k < 0 || count % (groups * m) != 0)
        return wrong(v, "a product whose extents do not fit");
    int64_t n = count / (groups * m);
    switch (value->kind) {
    case CBI_PRODUCT:
        return takes(v, 0, groups * m * k) && check_grid(v, value, k, n);
    case CBI_CONTRACT:
        return takes(v, 0, groups * m * k) && takes(v, 1, groups * k * n);
    default:
        return takes(v, 0, groups * k * m) && takes(v, 1, groups * k * n);
    }
}

static bool check_leaf(const verifier *v, const cbi_value *value) {
    const cbi_graph *graph = v->graph;
    int count = value->kind == CBI_CAPTURED    ? graph->captured_count
                : value->kind == CBI_ROW_INPUT ? graph->row_input_count
                : value->kind == CBI_STATE     ? graph->state_count
                                               : graph->output_count;
    if (value->index < 0 || value->index >= count)
        return wrong(v, "number %d of %d", value->index, count);
    const cbi_type *type = value->kind == CBI_CAPTURED    ? &graph->captured[value->index].type
                           : value->kind == CBI_ROW_INPUT ? &graph->row_inputs[value->index].type
                                                          : &graph->outputs[value->index].type;
    bool rows = value->kind != CBI_CAPTURED;
    return (cbi_count_of(type) == cbi_count_of(&value->type) && type->dtype == value->type.dtype &&
            value->type.rows == rows) ||
           wrong(v, "another type than what it stands for");
}

static bool check_call(const verifier *v, const cbi_value *value) {
    return value->call != NULL || wrong(v, "a call of nothing");
}

/* How many inputs a kind of value has; -1: any number. */
static int input_count(const cbi_value *value) {
    switch (value->kind) {
    case CBI_VIEW:
    case CBI_REDUCE:
    case CBI_PRODUCT:
    case CBI_COPY:
    case CBI_BATCH_SUM:
        return 1;
    case CBI_CONTRACT:
    case CBI_BATCH_PRODUCT:
        return 2;
    case CBI_ELEMENTWISE:
    case CBI_CONCAT:
    case CBI_CALL:
        return -1;
    default:
        return 0;
    }
}

static bool check_value(const verifier *v, const cbi_value *value) {
    bool rows = false;
    if (input_count(value) >= 0 && value->count != input_count(value))
        return wrong(v, "%d inputs, not %d", value->count, input_count(value));
    for (int k = 0; k < value->count; k++) {
        if (value->in[k] < 0 || value->in[k] >= v->value)
            return wrong(v, "input %d is value %d, which is not there yet", k, value->in[k]);
        rows = rows || value_of(v, value->in[k])->type.rows;
        cbi_kind kind = value_of(v, value->in[k])->kind;
        if (kind == CBI_BATCH_SUM || kind == CBI_BATCH_PRODUCT)
            return wrong(v, "input %d is a sum over rows that is formed after the loop", k);
    }
    bool sums = value->kind == CBI_BATCH_SUM || value->kind == CBI_BATCH_PRODUCT;
    if (rows && !value->type.rows && !sums && value->kind != CBI_CALL)
        return wrong(v, "it is computed from rows and has none");
    if (sums && value->type.rows)
        return wrong(v, "a sum over rows that has rows");
    switch (value->kind) {
    case CBI_ELEMENTWISE:
        return check_elementwise(v, value);
    case CBI_VIEW:
        return check_view(v, value);
    case CBI_CONCAT:
        return check_concat(v, value);
    case CBI_REDUCE:
        return check_reduction(v, value);
    case CBI_PRODUCT:
    case CBI_CONTRACT:
    case CBI_BATCH_PRODUCT:
        return check_product(v, value);
    case CBI_BATCH_SUM:
    case CBI_COPY:
        return takes(v, 0, cbi_count_of(&value->type));
    case CBI_CALL:
        return check_call(v, value);
    case CBI_CONSTANT:
        return value->type.rank == 0 || wrong(v, "a number that has a shape");
    default:
        return check_leaf(v, value);
    }
}

/* ---- Results --------------------------------------------------------------------------------- */

/* A result must have the elements of what it is the result for, or be a number. rows: whether each
   row has its own. */
static bool check_result(verifier *v, int value, const cbi_type *type, bool rows) {
    v->value = value;
    if (value < 0 || value >= v->graph->value_count)
        return wrong(v, "a result that is not there");
    const cbi_value *result = value_of(v, value);
    if (result->kind == CBI_CONSTANT)
        return true;
    if (result->type.rows && !rows)
        return wrong(v, "a gradient of what all rows share that has rows");
    if (rows && (result->kind == CBI_BATCH_SUM || result->kind == CBI_BATCH_PRODUCT))
        return wrong(v, "a result for each row that is a sum over rows");
    return (count_of(v, value) == cbi_count_of(type) && result->type.dtype == type->dtype) ||
           wrong(v, "a result of another type than it is for");
}

static bool check_terms(verifier *v, const cbi_captured *captured) {
    for (int k = 0; k < captured->term_count; k++) {
        const cbi_term *term = &captured->terms[k];
        cbi_type placed = cbi_flat_type(captured->type.dtype, false, cbi_view_count(&term->place));
        if (!check_result(v, term->value, &placed, false))
            return false;
        if (!is_within(&term->place, cbi_count_of(&captured->type)))
            return wrong(v, "a gradient that lies beyond what it is of");
    }
    return true;
}

static bool check_results(verifier *v) {
    const cbi_graph *graph = v->graph;
    for (int i = 0; i < graph->output_count; i++) {
        const cbi_output *output = &graph->outputs[i];
        if (!check_result(v, output->value, &output->type, true))
            return false;
        if (output->value >= graph->forward_count)
            return wrong(v, "an output that is computed by the gradient");
        if (output->gradient >= 0 && !check_result(v, output->gradient, &output->type, true))
            return false;
    }
    for (int i = 0; i < graph->row_input_count; i++)
        if (graph->row_inputs[i].gradient >= 0 &&
            !check_result(v, graph->row_inputs[i].gradient, &graph->row_inputs[i].type, true))
            return false;
    for (int i = 0; i < graph->captured_count; i++)
        if (!check_terms(v, &graph->captured[i]))
            return false;
    return true;
}

bool cbi_verify_graph(const cbi_graph *graph, char *bug, size_t size) {
    verifier v = {graph, bug, size, 0};
    for (v.value = 0; v.value < graph->value_count; v.value++)
        if (!check_value(&v, &graph->values[v.value]))
            return false;
    for (v.value = 0; v.value < graph->forward_count && v.value < graph->value_count; v.value++)
        if (graph->values[v.value].kind == CBI_COTANGENT)
            return wrong(&v, "a cotangent in the forward step");
    return check_results(&v);
}
