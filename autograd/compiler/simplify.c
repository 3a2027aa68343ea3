/* Simplifying: values that need not be computed.

   While a graph is built, constants fold, sums with 0 and products with 1 are their other operand,
   and views look through views and concatenations to what they are views of. What an op may be
   replaced by is said by the op (cbi_algebra); nothing here knows one by its name. */
#include "autograd/compiler/simplify.h"

#include "autograd/compiler/graph.h"

#include <string.h>

static double number_of(const cbi_graph *graph, int value) {
    return graph->values[value].parameters[0];
}

static bool is_number(const cbi_graph *graph, int value, double number) {
    return cbi_is_constant(graph, value) && number_of(graph, value) == number;
}

/* ---- Elementwise ----------------------------------------------------------------------------- */

/* Whether an input can stand for the result. */
static bool stands_for(const cbi_graph *graph, int input, const cbi_value *result) {
    const cbi_type *type = &graph->values[input].type;
    return cbi_is_constant(graph, input) ||
           (type->rows == result->type.rows && type->dtype == result->type.dtype &&
            cbi_count_of(type) == cbi_count_of(&result->type));
}

static bool has_parameters(const cbi_value *v, const double *numbers) {
    size_t count = v->op->op.options_size / sizeof(double);
    return count > 0 && memcmp(v->parameters, numbers, sizeof(double) * count) == 0;
}

/* All operands are constants: the one element is computed here, in the value's dtype. */
static int fold(cbi_graph *graph, const cbi_value *v) {
    cb_dtype dtype = v->type.dtype;
    double operands[CBI_MAP_INPUTS], result = 0;
    const void *in[CBI_MAP_INPUTS];
    for (int k = 0; k < v->count; k++) {
        if (!cbi_is_constant(graph, v->in[k]))
            return -1;
        cbi_store(dtype, &operands[k], number_of(graph, v->in[k]));
        in[k] = &operands[k];
    }
    cbi_run_kernel(v->op->kernels[dtype], 1, &result, v->count, in, v->parameters);
    return cbi_constant(graph, dtype, cbi_load(dtype, &result));
}

static int simpler_elementwise(cbi_graph *graph, const cbi_value *v) {
    const cbi_algebra *algebra = cbi_algebra_of(v->op);
    if (algebra->fills)
        return cbi_constant(graph, v->type.dtype, v->parameters[0]);
    int folded = fold(graph, v); /* first: 0 times infinity is no number */
    if (folded >= 0 || graph->failed)
        return folded;
    if (algebra->copies && has_parameters(v, algebra->copying))
        return v->in[0];
    for (int k = 0; k < 2 && v->count == 2; k++) {
        int other = v->in[1 - k];
        if (algebra->absorbs && is_number(graph, v->in[k], 0))
            return v->in[k];
        if (algebra->has_neutral[k] && is_number(graph, v->in[k], algebra->neutral[k]) &&
            stands_for(graph, other, v))
            return other;
    }
    return algebra->sum ? cbi_sum_of_concats(graph, v) : -1;
}

/* ---- Views ----------------------------------------------------------------------------------- */

static bool is_all_of(const cbi_graph *graph, int value, const cbi_view *view) {
    return cbi_view_is_run(view) && view->offset == 0 &&
           view->shape[0] == cbi_graph_count(graph, value);
}

/* Whether a run lies between the places of a concatenation, all of which are runs. */
static bool is_between(const cbi_value *concat, const cbi_view *view) {
    bool between = cbi_view_is_run(view) && view->shape[0] > 0;
    for (int k = 0; between && k < concat->count; k++) {
        const cbi_view *place = &concat->places[k];
        between = cbi_view_is_run(place) && (view->offset >= place->offset + place->shape[0] ||
                                             view->offset + view->shape[0] <= place->offset);
    }
    return between;
}

static int view_of_concat(cbi_graph *graph, const cbi_value *v, const cbi_value *concat) {
    cbi_view inside;
    for (int k = 0; k < concat->count; k++)
        if (cbi_view_inside(&v->view, &concat->places[k], &inside))
            return cbi_view_of(graph, concat->in[k], &inside);
    return is_between(concat, &v->view)
               ? cbi_constant(graph, concat->type.dtype, concat->parameters[0])
               : -1;
}

static int simpler_view(cbi_graph *graph, const cbi_value *v) {
    const cbi_value whole = graph->values[v->in[0]];
    cbi_view through;
    if (whole.kind == CBI_CONSTANT || is_all_of(graph, v->in[0], &v->view))
        return v->in[0];
    if (whole.kind == CBI_VIEW && cbi_view_through(&v->view, whole.view.rank, whole.view.shape,
                                                   whole.view.offset, whole.view.stride, &through))
        return cbi_view_of(graph, whole.in[0], &through);
    return whole.kind == CBI_CONCAT ? view_of_concat(graph, v, &whole) : -1;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static int simpler_reduction(cbi_graph *graph, const cbi_value *v) {
    bool sum = v->reduction == CBI_SUM;
    if (v->n == 1)
        return v->in[0];
    if (v->n == 0 && sum)
        return cbi_constant(graph, v->type.dtype, 0);
    if (!cbi_is_constant(graph, v->in[0]))
        return -1;
    double number = number_of(graph, v->in[0]);
    return cbi_constant(graph, v->type.dtype, sum ? number * (double)v->n : number);
}

/* A product or a sum over the rows is 0 where an operand is, and a product where there is nothing
   to add up. */
static int simpler_product(cbi_graph *graph, const cbi_value *v) {
    bool zero = v->k == 0 && (v->kind == CBI_PRODUCT || v->kind == CBI_CONTRACT);
    for (int i = 0; i < v->count; i++)
        zero = zero || is_number(graph, v->in[i], 0);
    return zero ? cbi_constant(graph, v->type.dtype, 0) : -1;
}

/* A sum over the rows of products within each row is one product over all rows, formed after the
   loop: the gradient of matrices that are one for each group. */
static int simpler_batch_sum(cbi_graph *graph, const cbi_value *v) {
    const cbi_value product = graph->values[v->in[0]];
    if (product.kind != CBI_CONTRACT || product.groups * product.m * product.k == 0)
        return simpler_product(graph, v);
    int in[2] = {product.in[0], product.in[1]};
    if (!graph->values[in[0]].type.rows || !graph->values[in[1]].type.rows)
        return -1;
    if (product.m > 1 && product.k > 1) {
        cbi_view transposed = {.rank = 3,
                               .shape = {product.groups, product.k, product.m},
                               .stride = {product.m * product.k, 1, product.k}};
        in[0] = cbi_view_of(graph, in[0], &transposed);
    }
    int64_t n = cbi_count_of(&product.type) / (product.groups * product.m);
    cbi_value sum = {
        .kind = CBI_BATCH_PRODUCT,
        .type = {.dtype = product.type.dtype, .rank = 3, .shape = {product.groups, product.m, n}},
        .count = 2,
        .in = in,
        .groups = product.groups,
        .m = product.m,
        .k = product.k};
    return in[0] < 0 ? -1 : cbi_graph_add(graph, &sum);
}

int cbi_simpler(cbi_graph *graph, const cbi_value *v) {
    switch (v->kind) {
    case CBI_ELEMENTWISE:
        return simpler_elementwise(graph, v);
    case CBI_VIEW:
        return simpler_view(graph, v);
    case CBI_CONCAT:
        return cbi_simpler_concat(graph, v);
    case CBI_REDUCE:
        return simpler_reduction(graph, v);
    case CBI_PRODUCT:
    case CBI_CONTRACT:
    case CBI_BATCH_PRODUCT:
        return simpler_product(graph, v);
    case CBI_BATCH_SUM:
        return simpler_batch_sum(graph, v);
    default:
        return -1;
    }
}
