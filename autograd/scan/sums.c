/* Deferred sums: the gradients of what a recurrence imports, each formed by one product, or one
   sum, over all steps after the loop. */
#include "autograd/scan/recurrence_internal.h"
#include "autograd/tape_internal.h"
#include "tensor/parallel.h"

/* A value over all steps, as a matrix of [time x batch, columns], in the order of time. */
static cb_tensor over_time(const cbi_recurrence *run, int value) {
    const cbi_graph *graph = run->plan->graph;
    cbi_place place = cbi_plan_place(run->plan, value, 1);
    int64_t shape[2] = {run->time * run->batch, graph->values[value].columns};
    cb_tensor t = cb_tensor_wrap(graph->dtype, 2, shape,
                                 cbi_buffer_at(run, place, run->reverse ? run->time - 1 : 0));
    t.stride[0] = run->plan->buffers[place.buffer].columns;
    return t;
}

enum { AHEAD = 2 }; /* rows asked for before they are added: they come from memory */

typedef struct scatter_job {
    const cbi_recurrence *run;
    cb_tensor source;
    const cb_tensor *target;
} scatter_job;

/* Adds columns [begin, end) of all rows to their rows of the table. */
static void scatter_columns(void *context, int64_t begin, int64_t end) {
    const scatter_job *job = context;
    cb_dtype dtype = job->source.dtype;
    int64_t size = (int64_t)cb_dtype_size(dtype), stride = job->source.stride[0] * size;
    const char *from = (const char *)job->source.data + begin * size;
    for (int64_t r = 0; r < job->source.shape[0]; r++, from += stride) {
        char *to = (char *)job->target->data +
                   (job->run->row_of[r] * job->target->stride[0] + begin) * size;
        for (int64_t at = 0; r + AHEAD < job->source.shape[0] && at < (end - begin) * size;
             at += 64)
            __builtin_prefetch(from + AHEAD * stride + at);
        cbi_run_kernel(cb_add_op.kernels[dtype], end - begin, to, 2, (const void *[]){to, from},
                       NULL);
    }
}

static void rows_gradient(const cbi_recurrence *run, int value, const cb_tensor *target) {
    scatter_job job = {run, over_time(run, value), target};
    if (run->row_of == NULL && job.source.data == target->data)
        return; /* it was computed there */
    if (run->row_of == NULL) {
        cb_tensor to = *target;
        to.rank = 2;
        to.shape[0] = job.source.shape[0];
        to.shape[1] = job.source.shape[1];
        to.stride[0] = target->stride[0];
        to.stride[1] = 1;
        cbi_copy(&to, &job.source);
        return;
    }
    cb_tensor_fill((cb_tensor *)(uintptr_t)target, 0);
    cbi_parallel_for(job.source.shape[1], 64, scatter_columns, &job);
}

static void matrix_gradient(const cbi_recurrence *run, const cbi_value *product, bool add,
                            const cb_tensor *target) {
    cb_tensor a = over_time(run, product->in[0]), g = over_time(run, product->in[1]);
    cbi_gemm(a.dtype, a.shape[1], g.shape[1], a.shape[0], (cbi_matrix){a.data, 1, a.stride[0]},
             (cbi_matrix){g.data, g.stride[0], 1}, add,
             (cbi_matrix){target->data, target->stride[0], target->stride[1]});
}

/* The gradient of the table whose rows are an import with this gradient; NULL when there is none.
 */
static const cb_tensor *table_gradient(const cbi_recurrence *run, int value,
                                       const cbi_target *targets) {
    const cbi_graph *graph = run->plan->graph;
    for (int i = 0; i < graph->import_count && run->row_of != NULL; i++)
        if (graph->imports[i].rows && graph->imports[i].gradient_count == 1 &&
            graph->imports[i].gradients[0] == value && targets[i].wanted && !targets[i].add)
            return &targets[i].tensor;
    return NULL;
}

static void vector_gradient(const cbi_recurrence *run, const cbi_value *sum, bool add,
                            const cb_tensor *target, const cb_tensor *table) {
    /* The rows of a table's gradient are sums of the same rows, and fewer. */
    cb_tensor in = table != NULL ? *table : over_time(run, sum->in[0]);
    cb_tensor out = cb_tensor_wrap(in.dtype, 2, (int64_t[]){1, in.shape[1]}, target->data);
    if (add)
        cbi_sum_into(&out, &in);
    else
        cbi_reduce(CBI_SUM, &out, &in);
}

/* ---- Products with the same left operand ----------------------------------------------------- */

enum { MOST_GROUPED = 16 };

/* Imports whose gradients are products of one left operand with neighbouring columns: one product
   forms them all. */
typedef struct group {
    int count, imports[MOST_GROUPED];
    int64_t rows, columns; /* of the product */
} group;

/* The product that an import's gradient is; NULL when it is not one, or one of several terms. */
static const cbi_value *product_of(const cbi_graph *graph, int import) {
    const cbi_import *i = &graph->imports[import];
    const cbi_value *value = i->gradient_count == 1 ? &graph->values[i->gradients[0]] : NULL;
    return value != NULL && value->kind == CBI_BATCH_PRODUCT ? value : NULL;
}

/* The import whose gradient is a product with the same left operand and the columns from `column`
   on of a buffer; -1 when there is none. */
static int neighbour(const cbi_recurrence *run, const cbi_target *targets, int left, int buffer,
                     int64_t column) {
    const cbi_graph *graph = run->plan->graph;
    for (int i = 0; i < graph->import_count; i++) {
        const cbi_value *product = targets[i].wanted ? product_of(graph, i) : NULL;
        if (product == NULL || product->in[0] != left)
            continue;
        cbi_place place = cbi_plan_place(run->plan, product->in[1], 1);
        if (place.buffer == buffer && place.column == column)
            return i;
    }
    return -1;
}

/* The group that begins with an import; alone when it has no neighbours to its right, empty when it
   is itself one's neighbour and belongs to that one's group. Two imports with the same gradient
   begin groups with the same neighbours: those whose gradients are done are in no other one. */
static group group_of(const cbi_recurrence *run, const cbi_target *targets, int import,
                      const bool *done) {
    const cbi_graph *graph = run->plan->graph;
    const cbi_value *product = product_of(graph, import);
    group g = {.count = 0};
    if (product == NULL)
        return g;
    cbi_place place = cbi_plan_place(run->plan, product->in[1], 1);
    for (int i = 0; i < graph->import_count; i++) {
        const cbi_value *other = targets[i].wanted ? product_of(graph, i) : NULL;
        if (other == NULL || other->in[0] != product->in[0] || i == import)
            continue;
        cbi_place left = cbi_plan_place(run->plan, other->in[1], 1);
        if (left.buffer == place.buffer &&
            left.column + graph->values[other->in[1]].columns == place.column)
            return g;
    }
    g.rows = graph->values[product->in[0]].columns;
    for (int i = import; i >= 0 && !done[i] && g.count < MOST_GROUPED;
         i = neighbour(run, targets, product->in[0], place.buffer, place.column + g.columns)) {
        g.imports[g.count++] = i;
        g.columns += graph->values[product_of(graph, i)->in[1]].columns;
    }
    return g;
}

size_t cbi_recurrence_sums_bytes(const cbi_recurrence *run, const cbi_target *targets) {
    int64_t most = 0;
    const bool none[CBI_GRAPH_IMPORTS] = {false};
    for (int i = 0; i < run->plan->graph->import_count; i++) {
        group g = targets[i].wanted ? group_of(run, targets, i, none) : (group){.count = 0};
        if (g.count > 1 && g.rows * g.columns > most)
            most = g.rows * g.columns;
    }
    return (size_t)(most * cbi_element_size(run));
}

static cb_tensor transposed(const cb_tensor *matrix) {
    cb_tensor t = *matrix;
    for (int i = 0; i < 2; i++) {
        t.shape[i] = matrix->shape[1 - i];
        t.stride[i] = matrix->stride[1 - i];
    }
    return t;
}

/* Forms the gradients of a group in one product, beside where they are wanted, and hands them out.
 */
static void group_gradient(const cbi_recurrence *run, const group *g, const cbi_target *targets,
                           char *memory) {
    const cbi_graph *graph = run->plan->graph;
    const cbi_value *product = product_of(graph, g->imports[0]);
    cb_tensor a = over_time(run, product->in[0]), b = over_time(run, product->in[1]);
    cbi_gemm(a.dtype, g->rows, g->columns, a.shape[0], (cbi_matrix){a.data, 1, a.stride[0]},
             (cbi_matrix){b.data, b.stride[0], 1}, false, (cbi_matrix){memory, 1, g->rows});
    for (int k = 0; k < g->count; k++) {
        /* Column by column, as the product lies and as most targets do. */
        const cbi_target *target = &targets[g->imports[k]];
        cb_tensor to = transposed(&target->tensor), part = to;
        part.data = memory;
        part.stride[0] = g->rows;
        part.stride[1] = 1;
        if (target->add)
            cbi_add_into(&to, &part);
        else
            cbi_copy(&to, &part);
        memory += part.shape[0] * g->rows * cbi_element_size(run);
    }
}

/* ---- Each import ----------------------------------------------------------------------------- */

static void import_gradient(const cbi_recurrence *run, int import, const cbi_target *targets) {
    const cbi_import *i = &run->plan->graph->imports[import];
    const cbi_target *target = &targets[import];
    for (int k = 0; k < i->gradient_count; k++) {
        const cbi_value *value = &run->plan->graph->values[i->gradients[k]];
        bool add = target->add || k > 0;
        if (i->rows)
            rows_gradient(run, i->gradients[k], &target->tensor);
        else if (value->kind == CBI_BATCH_PRODUCT)
            matrix_gradient(run, value, add, &target->tensor);
        else
            vector_gradient(run, value, add, &target->tensor,
                            table_gradient(run, value->in[0], targets));
    }
}

void cbi_recurrence_gradients(const cbi_recurrence *run, const cbi_target *targets, char *memory) {
    const cbi_graph *graph = run->plan->graph;
    bool done[CBI_GRAPH_IMPORTS] = {false};
    for (int i = 0; i < graph->import_count && memory != NULL; i++) {
        group g = targets[i].wanted ? group_of(run, targets, i, done) : (group){.count = 0};
        if (g.count < 2)
            continue;
        group_gradient(run, &g, targets, memory);
        for (int k = 0; k < g.count; k++)
            done[g.imports[k]] = true;
    }
    for (int rows = 1; rows >= 0; rows--)
        for (int i = 0; i < graph->import_count; i++)
            if (targets[i].wanted && !done[i] && graph->imports[i].rows == (rows == 1))
                import_gradient(run, i, targets);
}
