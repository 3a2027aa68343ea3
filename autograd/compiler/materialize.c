/* Materializing: values that have to lie in memory of their own before something can read them.

   Most views cost nothing: an instruction reads its operand through them. It cannot where elements
   are too far apart for a kernel's loop, or runs too short to be worth one; where an op is applied
   as it is, which wants its operands dense; and where something reads the operand after the loop. A
   view of a view that is none of what that one is of needs it too. Such an operand is copied first.
   What several of them read is copied once. */
#include "autograd/compiler/faults.h"
#include "autograd/compiler/nest.h"
#include "autograd/compiler/pass.h"

#include "tensor/memory.h"

/* A copy, for each row if `rows`. */
static int copy_of(cbi_graph *graph, int value, int64_t count, cb_dtype dtype, bool rows) {
    cbi_value v = {.kind = CBI_COPY, .type = graph->values[value].type, .count = 1, .in = &value};
    if (cbi_is_constant(graph, value))
        v.type = cbi_flat_type(dtype, true, count);
    v.type.rows = v.type.rows || rows;
    return cbi_graph_intern(graph, &v);
}

static bool is_run_of(const cbi_graph *graph, int value) {
    const cbi_value *v = &graph->values[value];
    return !cbi_is_constant(graph, value) && (v->kind != CBI_VIEW || cbi_view_is_run(&v->view));
}

/* Whether a kernel can go along an operand's last axis. */
static bool ends_in_run(const cbi_graph *graph, int value) {
    cbi_view view;
    cbi_base_value(graph, value, &view);
    int64_t stride = view.stride[view.rank - 1];
    return stride == 0 || stride == 1;
}

/* Whether an operand's rows are there, in order, after the loop: what is given from outside is,
   unless it is looked up; cotangents of states pass; and what all rows share are no rows. */
static bool stays(const cbi_pass *pass, int value) {
    const cbi_value *v = &pass->graph->values[value];
    while (v->kind == CBI_VIEW)
        v = &pass->graph->values[v->in[0]];
    bool passes = v->kind == CBI_COTANGENT && v->index < pass->graph->state_count;
    passes = passes && !CBI_FAULT(CBI_FAULT_PASSING_OPERAND);
    return v->type.rows && !passes && (v->kind != CBI_ROW_INPUT || !pass->looked_up);
}

/* Whether an operand can be read as [a, b, c], with any strides. */
static bool has_axes(const cbi_graph *graph, int value, int64_t a, int64_t b, int64_t c) {
    const int64_t shape[3] = {a, b, c};
    int64_t strides[3];
    return !cbi_is_constant(graph, value) && cbi_strides_of(graph, value, 3, shape, strides);
}

/* Whether an operand's rows are anywhere in a table. */
static bool is_looked_up(const cbi_pass *pass, int value) {
    const cbi_value *v = &pass->graph->values[value];
    while (v->kind == CBI_VIEW)
        v = &pass->graph->values[v->in[0]];
    return pass->looked_up && v->kind == CBI_ROW_INPUT;
}

/* Whether a piece and its place can be gone through together. */
static bool has_loops(const cbi_graph *graph, const cbi_value *concat, int k) {
    cbi_view view;
    cbi_nest nest;
    cbi_base_value(graph, concat->in[k], &view);
    const cbi_view *views[2] = {&concat->places[k],
                                cbi_is_constant(graph, concat->in[k]) ? NULL : &view};
    return cbi_nest_of_views(cbi_view_count(&concat->places[k]), 2, views, &nest);
}

/* Whether operand k of a value, whose kinds have these needs, has to be copied. */
static bool needs_copy(const cbi_pass *pass, const cbi_value *v, int k) {
    const cbi_graph *graph = pass->graph;
    int in = v->in[k];
    int64_t n =
        v->k > 0 && v->m > 0 && v->groups > 0 ? cbi_count_of(&v->type) / (v->groups * v->m) : 0;
    switch (v->kind) {
    case CBI_VIEW:
        return graph->values[in].kind == CBI_VIEW;
    case CBI_BATCH_SUM:
        return !ends_in_run(graph, in);
    case CBI_REDUCE:
        return !is_run_of(graph, in);
    case CBI_CALL:
        return !is_run_of(graph, in) || is_looked_up(pass, in);
    case CBI_CONCAT:
        return !has_loops(graph, v, k);
    case CBI_PRODUCT:
        return is_looked_up(pass, in) || !has_axes(graph, in, v->groups, v->m, v->k);
    case CBI_CONTRACT:
        return k == 0 ? !has_axes(graph, in, v->groups, v->m, v->k)
                      : !has_axes(graph, in, v->groups, v->k, n);
    case CBI_BATCH_PRODUCT:
        return !stays(pass, in) || (k == 0 ? !has_axes(graph, in, v->groups, v->k, v->m)
                                           : !has_axes(graph, in, v->groups, v->k, n));
    default:
        return false;
    }
}

static int64_t operand_count(const cbi_graph *graph, const cbi_value *v, int k) {
    int64_t n = v->m > 0 && v->groups > 0 ? cbi_count_of(&v->type) / (v->groups * v->m) : 0;
    switch (v->kind) {
    case CBI_VIEW:
        return cbi_graph_count(graph, v->in[k]);
    case CBI_REDUCE:
        return v->outer * v->n * v->inner;
    case CBI_PRODUCT:
        return v->groups * v->m * v->k;
    case CBI_CONTRACT:
        return k == 0 ? v->groups * v->m * v->k : v->groups * v->k * n;
    case CBI_BATCH_PRODUCT:
        return k == 0 ? v->groups * v->k * v->m : v->groups * v->k * n;
    case CBI_CONCAT:
        return cbi_view_count(&v->places[k]);
    default:
        return cbi_count_of(&v->type);
    }
}

/* Whether each row has its own copy, also of what all rows share: what is computed once for all of
   them would part the instructions before it from those after it. Not where an op is applied as it
   is, to which it makes a difference. */
static bool copies_rows(const cbi_value *v) {
    return v->kind == CBI_BATCH_PRODUCT || (v->type.rows && v->kind != CBI_CALL);
}

/* An op that is applied as it is takes a number as a number. */
static bool takes_numbers(const cbi_value *v) {
    return v->kind == CBI_CALL || v->kind == CBI_ELEMENTWISE || v->kind == CBI_CONCAT ||
           v->kind == CBI_COPY || v->kind == CBI_BATCH_SUM;
}

static int replace(cbi_rewrite *rewrite, int old) {
    cbi_pass *pass = rewrite->context;
    cbi_graph *graph = rewrite->graph;
    cbi_value v = rewrite->old[old];
    int *in = cbi_graph_allocate(graph, sizeof(int) * (size_t)(v.count + 1));
    bool copied[CBI_MAP_INPUTS] = {false};
    if (in == NULL)
        return -1;
    for (int k = 0; k < v.count; k++)
        in[k] = rewrite->number[v.in[k]];
    v.in = in;
    if (v.kind == CBI_ELEMENTWISE)
        cbi_nest_copies(graph, &v, copied);
    for (int k = 0; k < v.count; k++) {
        bool copies =
            v.kind == CBI_ELEMENTWISE
                ? copied[k]
                : needs_copy(pass, &v, k) && !(takes_numbers(&v) && cbi_is_constant(graph, in[k]));
        if (!copies)
            continue;
        in[k] = copy_of(graph, in[k], operand_count(graph, &v, k), v.type.dtype, copies_rows(&v));
        pass->changes++;
        if (in[k] < 0)
            return -1;
    }
    return cbi_graph_intern(graph, &v);
}

/* What is added up in the loop is read as by a sum over rows. */
static bool copy_terms(cbi_pass *pass) {
    cbi_graph *graph = pass->graph;
    for (int i = 0; i < graph->captured_count; i++)
        for (int k = 0; k < graph->captured[i].term_count; k++) {
            int *value = &graph->captured[i].terms[k].value;
            if (ends_in_run(graph, *value))
                continue;
            *value = copy_of(graph, *value, cbi_graph_count(graph, *value),
                             graph->values[*value].type.dtype, false);
            pass->changes++;
            if (*value < 0)
                return false;
        }
    return true;
}

bool cbi_materialize(cbi_pass *pass) {
    return cbi_graph_rewrite(pass->graph, replace, pass) && copy_terms(pass);
}
