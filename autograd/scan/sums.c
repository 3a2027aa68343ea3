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

typedef struct scatter_job {
    const cbi_recurrence *run;
    cb_tensor source;
    const cb_tensor *target;
} scatter_job;

/* Adds columns [begin, end) of all rows to their rows of the table. */
static void scatter_columns(void *context, int64_t begin, int64_t end) {
    const scatter_job *job = context;
    int64_t rows = job->source.shape[0], size = (int64_t)cb_dtype_size(job->source.dtype);
    for (int64_t r = 0; r < rows; r++) {
        int64_t to = job->run->row_of[r] * job->target->stride[0];
        int64_t from = r * job->source.stride[0], next = (from + job->source.stride[0]) * size;
        for (int64_t at = begin * size; r + 1 < rows && at < end * size; at += 64)
            __builtin_prefetch((const char *)job->source.data + next + at);
        if (job->source.dtype == CB_F32)
            for (int64_t c = begin; c < end; c++)
                ((float *)job->target->data)[to + c] += ((const float *)job->source.data)[from + c];
        else
            for (int64_t c = begin; c < end; c++)
                ((double *)job->target->data)[to + c] +=
                    ((const double *)job->source.data)[from + c];
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

void cbi_recurrence_gradients(const cbi_recurrence *run, const cbi_target *targets) {
    const cbi_graph *graph = run->plan->graph;
    for (int rows = 1; rows >= 0; rows--)
        for (int i = 0; i < graph->import_count; i++)
            if (targets[i].wanted && graph->imports[i].rows == (rows == 1))
                import_gradient(run, i, targets);
}
