/* The time loop. The batch is cut into tiles of rows, and a tile runs through all time steps by
   itself: threads never wait for each other. Within a step, a product covers the tile's rows, and
   the instructions between two products run row by row. */
#include "autograd/scan/recurrence.h"

#include "autograd/tape_internal.h"
#include "tensor/parallel.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { MOST_ROWS = 64 }; /* of a tile: its part of a product stays in the L2 cache */

/* An operand at one step: the address of row 0, and the distance between rows, in bytes. */
typedef struct operand {
    char *base;
    int64_t stride;
    bool looked_up; /* rows are those that row_of says */
} operand;

typedef struct tile {
    const cbi_recurrence *run;
    const cbi_program *program;
    int64_t step, first, rows; /* rows [first, first + rows) of the batch */
    char *registers;
    char *packed_rows;
    cbi_place packed_place; /* what lies packed there, of this step */
    bool is_packed;
    operand *operands; /* 1 + CBI_MAP_INPUTS for each instruction */
} tile;

enum { OPERANDS = 1 + CBI_MAP_INPUTS };

static int64_t element_size(const cbi_recurrence *run) {
    return (int64_t)cb_dtype_size(run->plan->graph->dtype);
}

static int64_t time_of(const cbi_recurrence *run, int64_t step) {
    return run->reverse ? run->time - 1 - step : step;
}

/* How many steps of a buffer there is memory for. */
static int64_t slots_of(const cbi_recurrence *run, const cbi_buffer *buffer) {
    switch (buffer->span) {
    case CBI_ONE_STEP:
        return 1;
    case CBI_TWO_STEPS:
        return 2;
    case CBI_ALL_STEPS:
        return run->keep ? run->time : 1;
    case CBI_ALL_STATES:
        return run->keep || buffer->index == 0 ? run->time + 1 : 2;
    case CBI_GIVEN:
        return run->time + 1;
    case CBI_OUTSIDE:
        break;
    }
    return 0;
}

/* Whether kept buffers lie where the backward pass will write over them. Where that is the memory
   of a gradient, it is not there yet in the forward pass. */
static bool reuses(const cbi_recurrence *run) {
    return run->keep && run->row_of != NULL;
}

/* Where a place's memory is, if that of another buffer. */
static cbi_place at_home(const cbi_recurrence *run, cbi_place place) {
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    if (buffer->home >= 0 && reuses(run)) {
        place.buffer = buffer->home;
        place.column += buffer->home_column;
    }
    return place;
}

bool cbi_recurrence_overwrites(const cbi_recurrence *run) {
    bool any = false;
    for (int b = 0; b < run->plan->buffer_count; b++)
        any = any || run->plan->buffers[b].home >= 0;
    return any && reuses(run);
}

bool cbi_recurrence_is_backward(const cbi_recurrence *run, int buffer) {
    for (int b = 0; b < run->plan->buffer_count && reuses(run); b++)
        if (run->plan->buffers[b].home == buffer)
            return false;
    return run->plan->buffers[buffer].backward;
}

size_t cbi_recurrence_bytes(const cbi_recurrence *run, int buffer) {
    const cbi_buffer *b = &run->plan->buffers[buffer];
    if (b->home >= 0 && reuses(run))
        return 0;
    if (b->span == CBI_OUTSIDE || b->span == CBI_GIVEN || (b->backward && !run->keep))
        return 0;
    return (size_t)(slots_of(run, b) * run->batch * b->columns * element_size(run));
}

/* Row 0 of a buffer's columns at a step. What is there for all steps lies in the order of time. */
static char *buffer_at(const cbi_recurrence *run, cbi_place place, int64_t step) {
    place = at_home(run, place);
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    int64_t slots = slots_of(run, buffer), slot = slots == 1 ? 0 : (step + place.later) % slots;
    if (run->reverse && buffer->span != CBI_TWO_STEPS && slots >= run->time)
        slot = slots - 1 - slot;
    char *base =
        buffer->span == CBI_GIVEN ? (char *)(uintptr_t)run->given : run->buffers[place.buffer];
    return base + (slot * run->batch * buffer->columns + place.column) * element_size(run);
}

static operand locate(const tile *t, cbi_place place) {
    const cbi_recurrence *run = t->run;
    int64_t size = element_size(run);
    if (place.buffer == CBI_REGISTER)
        return (operand){t->registers + place.column * size, 0, false};
    if (place.buffer == CBI_SHARED)
        return (operand){(char *)run->imports[place.name]->data + place.column * size, 0, false};
    place = at_home(run, place);
    const cbi_buffer *buffer = &run->plan->buffers[place.buffer];
    int64_t stride = buffer->columns * size;
    if (buffer->span != CBI_OUTSIDE)
        return (operand){buffer_at(run, place, t->step), stride, false};
    char *base = (char *)run->imports[buffer->index]->data + place.column * size;
    if (run->row_of == NULL)
        base += time_of(run, t->step) * run->batch * stride;
    return (operand){base, stride, run->row_of != NULL};
}

static char *row_at(const tile *t, const operand *o, int64_t row) {
    int64_t at = row;
    if (o->looked_up)
        at = t->run->row_of[time_of(t->run, t->step) * t->run->batch + row];
    return o->base + at * o->stride;
}

/* ---- One instruction ------------------------------------------------------------------------- */

static void spread(cb_dtype dtype, int64_t n, char *out, double value) {
    if (dtype == CB_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)(void *)out)[i] = (float)value;
    else
        for (int64_t i = 0; i < n; i++)
            ((double *)(void *)out)[i] = value;
}

static void reduce_row(const cbi_instruction *instruction, cb_dtype dtype, char *out,
                       const char *in) {
    double result = instruction->code == CBI_RUN_SUM   ? 0
                    : instruction->code == CBI_RUN_MAX ? -INFINITY
                                                       : INFINITY;
    for (int64_t i = 0; i < instruction->columns; i++) {
        double x = cbi_load(dtype, in + i * (int64_t)cb_dtype_size(dtype));
        if (instruction->code == CBI_RUN_SUM)
            result += x;
        else if (x != x || (instruction->code == CBI_RUN_MAX ? x > result : x < result))
            result = x;
    }
    cbi_store(dtype, out, result);
}

static void run_row(const tile *t, const cbi_instruction *instruction, const operand *operands,
                    int64_t row) {
    cb_dtype dtype = t->run->plan->graph->dtype;
    char *out = row_at(t, &operands[0], row);
    const void *in[CBI_MAP_INPUTS];
    for (int k = 0; k < instruction->count; k++)
        in[k] = row_at(t, &operands[k + 1], row);
    switch (instruction->code) {
    case CBI_RUN_KERNEL:
        instruction->op->kernels[dtype](instruction->columns, out, in, instruction->parameters);
        return;
    case CBI_RUN_SPREAD:
        spread(dtype, instruction->columns, out,
               instruction->count == 0 ? instruction->parameters[0] : cbi_load(dtype, in[0]));
        return;
    case CBI_RUN_SUM:
    case CBI_RUN_MAX:
    case CBI_RUN_MIN:
        reduce_row(instruction, dtype, out, in[0]);
        return;
    case CBI_RUN_PRODUCT:
        return;
    }
}

static bool same_place(cbi_place a, cbi_place b) {
    return a.buffer == b.buffer && a.later == b.later && a.name == b.name && a.column == b.column;
}

static void run_product(tile *t, const cbi_instruction *instruction) {
    const cbi_recurrence *run = t->run;
    cb_dtype dtype = run->plan->graph->dtype;
    operand left = locate(t, instruction->in[0]), out = locate(t, instruction->out);
    int64_t size = element_size(run);
    /* Products that share their left operand share its packing. */
    if (!t->is_packed || !same_place(t->packed_place, instruction->in[0]))
        cbi_pack_rows(dtype, t->rows, instruction->depth, 0, instruction->depth,
                      left.base + t->first * left.stride, left.stride / size, t->packed_rows);
    t->is_packed = true;
    t->packed_place = instruction->in[0];
    cbi_packed_multiply(&run->packed[instruction->weights], t->rows, t->packed_rows, false,
                        out.base + t->first * out.stride, out.stride / size);
}

/* ---- One step -------------------------------------------------------------------------------- */

static void run_program(tile *t) {
    const cbi_program *program = t->program;
    t->is_packed = false;
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        t->operands[i * OPERANDS] = locate(t, instruction->out);
        for (int k = 0; k < instruction->count; k++)
            t->operands[i * OPERANDS + k + 1] = locate(t, instruction->in[k]);
    }
    for (int begin = 0; begin < program->count;) {
        if (program->list[begin].code == CBI_RUN_PRODUCT) {
            run_product(t, &program->list[begin++]);
            continue;
        }
        int end = begin;
        while (end < program->count && program->list[end].code != CBI_RUN_PRODUCT)
            end++;
        for (int64_t row = t->first; row < t->first + t->rows; row++)
            for (int i = begin; i < end; i++)
                run_row(t, &program->list[i], &t->operands[i * OPERANDS], row);
        begin = end;
        t->is_packed = false;
    }
}

/* Where a sequence is over, states keep their values, gradients pass unchanged, and what is kept
   for the sums over the batch is 0. */
static void pass_over(tile *t, bool backward) {
    const cbi_recurrence *run = t->run;
    const cbi_plan *plan = run->plan;
    int64_t size = element_size(run), now = time_of(run, t->step);
    for (int64_t row = t->first; row < t->first + t->rows; row++) {
        if (now < run->lengths[row])
            continue;
        for (int i = 0; i < plan->graph->state_count; i++) {
            int b = backward ? plan->gradient_buffer[i] : plan->state_buffer[i];
            int64_t bytes = plan->buffers[b].columns * size;
            char *before = buffer_at(run, (cbi_place){b, backward, 0, 0}, t->step) + row * bytes;
            char *after = buffer_at(run, (cbi_place){b, !backward, 0, 0}, t->step) + row * bytes;
            memcpy(after, before, (size_t)bytes);
            if (backward && i == 0) {
                const void *in[2] = {
                    after, buffer_at(run, (cbi_place){plan->given_buffer, 1, 0, 0}, t->step) +
                               row * bytes};
                cb_add_op.kernels[plan->graph->dtype](plan->buffers[b].columns, after, in, NULL);
            }
        }
        for (int b = 0; b < plan->buffer_count; b++)
            if (plan->buffers[b].span == CBI_ALL_STEPS && plan->buffers[b].backward == backward) {
                cbi_place place = {b, 0, 0, 0};
                int64_t stride = plan->buffers[at_home(run, place).buffer].columns * size;
                memset(buffer_at(run, place, t->step) + row * stride, 0,
                       (size_t)(plan->buffers[b].columns * size));
            }
    }
}

/* ---- All steps ------------------------------------------------------------------------------- */

static int64_t rows_of_tile(const cbi_recurrence *run) {
    int64_t rows = (run->batch + cb_threads() - 1) / cb_threads();
    return rows > MOST_ROWS ? MOST_ROWS : rows;
}

static int64_t deepest(const cbi_plan *plan) {
    int64_t depth = 1;
    for (int pass = 0; pass < 2; pass++) {
        const cbi_program *program = pass == 0 ? &plan->forward : &plan->backward;
        for (int i = 0; i < program->count; i++)
            if (program->list[i].code == CBI_RUN_PRODUCT && program->list[i].depth > depth)
                depth = program->list[i].depth;
    }
    return depth;
}

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* One thread's scratch: registers, packed rows, operands. */
static size_t registers_bytes(const cbi_recurrence *run) {
    const cbi_plan *plan = run->plan;
    int64_t columns = plan->forward.register_columns > plan->backward.register_columns
                          ? plan->forward.register_columns
                          : plan->backward.register_columns;
    return rounded((size_t)(columns * element_size(run)));
}

static size_t packed_rows_bytes(const cbi_recurrence *run) {
    return rounded(
        cbi_packed_rows_bytes(run->plan->graph->dtype, rows_of_tile(run), deepest(run->plan)));
}

static size_t operands_bytes(const cbi_recurrence *run) {
    int count = run->plan->forward.count > run->plan->backward.count ? run->plan->forward.count
                                                                     : run->plan->backward.count;
    return rounded(sizeof(operand) * OPERANDS * (size_t)(count + 1));
}

size_t cbi_recurrence_scratch(const cbi_recurrence *run) {
    return (size_t)cb_threads() *
           (registers_bytes(run) + packed_rows_bytes(run) + operands_bytes(run));
}

typedef struct loop {
    const cbi_recurrence *run;
    bool backward;
    _Atomic int threads; /* that have begun: each takes its own scratch */
} loop;

static void run_tiles(void *context, int64_t begin, int64_t end) {
    loop *l = context;
    const cbi_recurrence *run = l->run;
    size_t registers = registers_bytes(run), rows_bytes = packed_rows_bytes(run);
    int thread = atomic_fetch_add(&l->threads, 1);
    char *scratch = run->scratch + (size_t)thread * (registers + rows_bytes + operands_bytes(run));
    tile t = {.run = run,
              .program = l->backward ? &run->plan->backward : &run->plan->forward,
              .registers = scratch,
              .packed_rows = scratch + registers,
              .operands = (operand *)(void *)(scratch + registers + rows_bytes)};
    int64_t most = rows_of_tile(run);
    for (int64_t i = begin; i < end; i++) {
        t.first = i * most;
        t.rows = run->batch - t.first < most ? run->batch - t.first : most;
        for (int64_t k = 0; k < run->time; k++) {
            t.step = l->backward ? run->time - 1 - k : k;
            run_program(&t);
            if (run->lengths != NULL)
                pass_over(&t, l->backward);
        }
    }
}

size_t cbi_recurrence_weights(const cbi_recurrence *run, int weights) {
    const cbi_weights *w = &run->plan->weights[weights];
    return cbi_packed_bytes(run->plan->graph->dtype, w->depth, w->columns);
}

/* Packs the matrices of each product of a pass: side by side, and on top of each other. */
static void pack_weights(const cbi_recurrence *run, bool backward) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->weights_count; i++) {
        const cbi_weights *weights = &plan->weights[i];
        const cbi_value *product = &plan->graph->values[weights->value];
        if (weights->backward != backward)
            continue;
        run->packed[i] =
            cbi_packed_in(plan->graph->dtype, weights->depth, weights->columns, run->weights[i]);
        for (int64_t k = 1, top = 0, first = 0; k < product->count; k++) {
            const cb_tensor *w = run->imports[plan->graph->values[product->in[k]].index];
            cbi_pack(&run->packed[i], top, w->shape[0], first, w->shape[1],
                     (cbi_matrix){w->data, w->stride[0], w->stride[1]});
            first += w->shape[1];
            if (k % product->across == 0) {
                first = 0;
                top += w->shape[0];
            }
        }
    }
}

static void run_all(const cbi_recurrence *run, bool backward) {
    pack_weights(run, backward);
    int64_t most = rows_of_tile(run);
    loop l = {.run = run, .backward = backward};
    if (run->batch > 0)
        cbi_parallel_for((run->batch + most - 1) / most, 1, run_tiles, &l);
}

void cbi_recurrence_forward(const cbi_recurrence *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++)
        memcpy(buffer_at(run, (cbi_place){plan->state_buffer[i], 0, 0, 0}, 0),
               run->initial[i]->data, cb_tensor_bytes(run->initial[i]));
    run_all(run, false);
}

const char *cbi_recurrence_last(const cbi_recurrence *run, int i) {
    return buffer_at(run, (cbi_place){run->plan->state_buffer[i], 0, 0, 0}, run->time);
}

void cbi_recurrence_backward(const cbi_recurrence *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int b = plan->gradient_buffer[i];
        char *last = buffer_at(run, (cbi_place){b, 0, 0, 0}, run->time);
        size_t bytes = (size_t)(run->batch * plan->buffers[b].columns * element_size(run));
        if (run->final[i] != NULL)
            memcpy(last, run->final[i]->data, bytes);
        else
            memset(last, 0, bytes);
    }
    run_all(run, true);
}

int cbi_recurrence_rows_buffer(const cbi_plan *plan, int import) {
    const cbi_import *i = &plan->graph->imports[import];
    if (!i->rows || i->gradient_count != 1)
        return -1;
    cbi_place place = cbi_plan_place(plan, i->gradients[0], 1);
    const cbi_buffer *buffer = place.buffer >= 0 ? &plan->buffers[place.buffer] : NULL;
    bool whole = buffer != NULL && buffer->span == CBI_ALL_STEPS && buffer->backward &&
                 place.column == 0 &&
                 buffer->columns == plan->graph->values[i->gradients[0]].columns;
    return whole ? place.buffer : -1;
}

/* ---- Sums over all steps --------------------------------------------------------------------- */

/* A value over all steps, as a matrix of [time x batch, columns], in the order of time. */
static cb_tensor over_time(const cbi_recurrence *run, int value) {
    const cbi_graph *graph = run->plan->graph;
    cbi_place place = cbi_plan_place(run->plan, value, 1);
    int64_t shape[2] = {run->time * run->batch, graph->values[value].columns};
    cb_tensor t = cb_tensor_wrap(graph->dtype, 2, shape,
                                 buffer_at(run, place, run->reverse ? run->time - 1 : 0));
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
