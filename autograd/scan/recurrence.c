/* The loop over time, in one of two ways.

   In tiles: the batch is cut into tiles of rows, and a tile runs through all time steps by itself;
   threads never wait for each other. Within a step, a product covers the tile's rows, and the
   instructions between two products run row by row.

   Together: a batch with too few rows to share out runs as one tile whose products the threads
   share, column by column. A step then has a region of threads for each product.

   Either way an element is computed by the same operations in the same order, so that results do
   not depend on the number of threads.

   Weights are packed once and multiplied by BLIS's microkernel; for a single time step, or where
   there is no such kernel, products are BLIS's own. */
#include "autograd/scan/recurrence_internal.h"
#include "autograd/tape_internal.h"
#include "tensor/parallel.h"

#include <stdatomic.h>
#include <string.h>

enum { MOST_ROWS = 64 }; /* of a tile: its part of a product stays in the L2 cache */

/* Whether weights are packed: it takes as long as a few products. */
static bool packs(const cbi_recurrence *run) {
    return run->time > 1 && cbi_packed_usable(run->plan->graph->dtype);
}

/* Rows of the batch for each thread. */
static int64_t share(const cbi_recurrence *run) {
    return (run->batch + cb_threads() - 1) / cb_threads();
}

static bool runs_together(const cbi_recurrence *run) {
    return !packs(run) ||
           (cb_threads() > 1 && share(run) < cbi_packed_rows(run->plan->graph->dtype));
}

static int64_t rows_of_tile(const cbi_recurrence *run) {
    int64_t rows = runs_together(run) ? run->batch : share(run);
    return rows > MOST_ROWS && !runs_together(run) ? MOST_ROWS : rows;
}

/* ---- Scratch memory -------------------------------------------------------------------------- */

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
    return rounded((size_t)(columns * cbi_element_size(run)));
}

static size_t packed_rows_bytes(const cbi_recurrence *run) {
    if (!packs(run))
        return 0;
    return rounded(
        cbi_packed_rows_bytes(run->plan->graph->dtype, rows_of_tile(run), deepest(run->plan)));
}

static size_t operands_bytes(const cbi_recurrence *run) {
    int count = run->plan->forward.count > run->plan->backward.count ? run->plan->forward.count
                                                                     : run->plan->backward.count;
    return rounded(sizeof(cbi_operand) * CBI_OPERANDS * (size_t)(count + 1));
}

size_t cbi_recurrence_scratch(const cbi_recurrence *run) {
    /* One more than threads: where they run together, the tile that they share has its own. */
    return (size_t)(cb_threads() + 1) *
           (registers_bytes(run) + packed_rows_bytes(run) + operands_bytes(run));
}

typedef struct loop {
    const cbi_recurrence *run;
    bool backward;
    _Atomic int threads; /* that have begun: each takes its own scratch */
} loop;

/* A tile in scratch memory that no other thread uses. */
static cbi_tile tile_new(loop *l) {
    const cbi_recurrence *run = l->run;
    size_t registers = registers_bytes(run), rows_bytes = packed_rows_bytes(run);
    int thread = atomic_fetch_add(&l->threads, 1);
    char *scratch = run->scratch + (size_t)thread * (registers + rows_bytes + operands_bytes(run));
    return (cbi_tile){.run = run,
                      .program = l->backward ? &run->plan->backward : &run->plan->forward,
                      .backward = l->backward,
                      .registers = scratch,
                      .packed_rows = scratch + registers,
                      .operands = (cbi_operand *)(void *)(scratch + registers + rows_bytes)};
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void locate(cbi_tile *t, int begin, int end) {
    for (int i = begin; i < end; i++) {
        const cbi_instruction *instruction = &t->program->list[i];
        t->operands[i * CBI_OPERANDS] = cbi_locate(t, instruction->out);
        for (int k = 0; k < instruction->count; k++)
            t->operands[i * CBI_OPERANDS + k + 1] = cbi_locate(t, instruction->in[k]);
    }
}

/* The instructions from begin on that come before the next product. */
static int end_of_rows(const cbi_program *program, int begin) {
    while (begin < program->count && program->list[begin].code != CBI_RUN_PRODUCT)
        begin++;
    return begin;
}

static void run_step(cbi_tile *t, void *context,
                     void (*product)(cbi_tile *t, int instruction, void *context),
                     void (*rows)(cbi_tile *t, int begin, int end, void *context)) {
    t->is_packed = false;
    locate(t, 0, t->program->count);
    for (int begin = 0; begin < t->program->count;) {
        if (t->program->list[begin].code == CBI_RUN_PRODUCT) {
            product(t, begin++, context);
            continue;
        }
        int end = end_of_rows(t->program, begin);
        rows(t, begin, end, context);
        t->is_packed = false;
        begin = end;
    }
    if (t->run->lengths != NULL)
        cbi_pass_over(t);
}

static void run_steps(cbi_tile *t, void *context,
                      void (*product)(cbi_tile *t, int instruction, void *context),
                      void (*rows)(cbi_tile *t, int begin, int end, void *context)) {
    for (int64_t k = 0; k < t->run->time; k++) {
        t->step = t->backward ? t->run->time - 1 - k : k;
        run_step(t, context, product, rows);
    }
}

/* Packs a product's left operand. Products that share it share its packing. */
static void pack_left(cbi_tile *t, int i) {
    const cbi_instruction *instruction = &t->program->list[i];
    const cbi_operand *left = &t->operands[i * CBI_OPERANDS + 1];
    cbi_matrix rows = {left->base + t->first * left->stride,
                       left->stride / cbi_element_size(t->run), 1};
    if (!t->is_packed || t->packed_depth != instruction->depth ||
        !cbi_same_place(t->packed_place, instruction->in[0]))
        cbi_pack_rows(t->run->plan->graph->dtype, t->rows, instruction->depth, 0,
                      instruction->depth, rows, t->packed_rows);
    t->is_packed = true;
    t->packed_place = instruction->in[0];
    t->packed_depth = instruction->depth;
}

/* ---- In tiles -------------------------------------------------------------------------------- */

static void tile_product(cbi_tile *t, int i, void *context) {
    const cbi_packed *weights = &t->run->packed[t->program->list[i].weights];
    const cbi_operand *out = &t->operands[i * CBI_OPERANDS];
    (void)context;
    pack_left(t, i);
    cbi_packed_multiply(weights, 0, cbi_packed_panels(weights), t->rows, t->packed_rows, false,
                        out->base + t->first * out->stride, out->stride / cbi_element_size(t->run));
}

static void tile_rows(cbi_tile *t, int begin, int end, void *context) {
    (void)context;
    cbi_run_rows(t, begin, end, t->first, t->first + t->rows);
}

static void run_tiles(void *context, int64_t begin, int64_t end) {
    cbi_tile t = tile_new(context);
    int64_t most = rows_of_tile(t.run);
    for (int64_t i = begin; i < end; i++) {
        t.first = i * most;
        t.rows = t.run->batch - t.first < most ? t.run->batch - t.first : most;
        run_steps(&t, NULL, tile_product, tile_rows);
    }
}

/* ---- Together -------------------------------------------------------------------------------- */

/* A part of a step that all threads work on. */
typedef struct shared {
    loop *loop;
    const cbi_tile *tile;
    int begin, end; /* instructions */
} shared;

static void share_of_product(void *context, int64_t begin, int64_t end) {
    const shared *s = context;
    const cbi_tile *t = s->tile;
    const cbi_operand *out = &t->operands[s->begin * CBI_OPERANDS];
    cbi_packed_multiply(&t->run->packed[t->program->list[s->begin].weights], begin, end, t->rows,
                        t->packed_rows, false, out->base, out->stride / cbi_element_size(t->run));
}

/* A product with the matrices as they are. */
static void stock_product(const cbi_tile *t, int i) {
    const cbi_recurrence *run = t->run;
    const cbi_graph *graph = run->plan->graph;
    const cbi_instruction *instruction = &t->program->list[i];
    const cbi_value *product = &graph->values[run->plan->weights[instruction->weights].value];
    const cbi_operand *out = &t->operands[i * CBI_OPERANDS], *left = out + 1;
    int64_t size = cbi_element_size(run);
    for (int64_t k = 1, top = 0, first = 0; k < product->count; k++) {
        const cb_tensor *w = run->imports[graph->values[product->in[k]].index];
        cbi_gemm(graph->dtype, t->rows, w->shape[1], w->shape[0],
                 (cbi_matrix){left->base + top * size, left->stride / size, 1},
                 (cbi_matrix){w->data, w->stride[0], w->stride[1]}, top > 0,
                 (cbi_matrix){out->base + first * size, out->stride / size, 1});
        first += w->shape[1];
        if (k % product->across == 0) {
            first = 0;
            top += w->shape[0];
        }
    }
}

static void shared_product(cbi_tile *t, int i, void *context) {
    shared s = {context, t, i, i + 1};
    const cbi_instruction *instruction = &t->program->list[i];
    if (!packs(t->run)) {
        stock_product(t, i);
        return;
    }
    pack_left(t, i);
    cbi_parallel_for(cbi_packed_panels(&t->run->packed[instruction->weights]),
                     CBI_GRAIN / (16 * instruction->depth) + 1, share_of_product, &s);
}

static void share_of_rows(void *context, int64_t begin, int64_t end) {
    const shared *s = context;
    cbi_tile t = tile_new(s->loop);
    t.step = s->tile->step;
    locate(&t, s->begin, s->end);
    cbi_run_rows(&t, s->begin, s->end, begin, end);
}

static void shared_rows(cbi_tile *t, int begin, int end, void *context) {
    shared s = {context, t, begin, end};
    int64_t columns = 0; /* that all instructions compute of a row */
    for (int i = begin; i < end; i++)
        columns += t->program->list[i].columns;
    s.loop->threads = 1; /* the first scratch is the tile's own */
    cbi_parallel_for(t->rows, CBI_GRAIN / (columns + 1) + 1, share_of_rows, &s);
}

/* ---- All steps ------------------------------------------------------------------------------- */

size_t cbi_recurrence_weights(const cbi_recurrence *run, int weights) {
    const cbi_weights *w = &run->plan->weights[weights];
    return !packs(run) ? 0 : cbi_packed_bytes(run->plan->graph->dtype, w->depth, w->columns);
}

/* Packs the matrices of each product of a pass: side by side, and on top of each other. */
static void pack_weights(const cbi_recurrence *run, bool backward) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->weights_count && packs(run); i++) {
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
    loop l = {.run = run, .backward = backward};
    int64_t most = rows_of_tile(run);
    if (run->batch == 0)
        return;
    pack_weights(run, backward);
    if (!runs_together(run)) {
        cbi_parallel_for((run->batch + most - 1) / most, 1, run_tiles, &l);
        return;
    }
    cbi_tile t = tile_new(&l);
    t.rows = run->batch;
    run_steps(&t, &l, shared_product, shared_rows);
}

void cbi_recurrence_forward(const cbi_recurrence *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++)
        memcpy(cbi_buffer_at(run, (cbi_place){plan->state_buffer[i], 0, 0, 0}, 0),
               run->initial[i]->data, cb_tensor_bytes(run->initial[i]));
    run_all(run, false);
}

const char *cbi_recurrence_last(const cbi_recurrence *run, int i) {
    return cbi_buffer_at(run, (cbi_place){run->plan->state_buffer[i], 0, 0, 0}, run->time);
}

void cbi_recurrence_backward(const cbi_recurrence *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int b = plan->gradient_buffer[i];
        char *last = cbi_buffer_at(run, (cbi_place){b, 0, 0, 0}, run->time);
        size_t bytes = (size_t)(run->batch * plan->buffers[b].columns * cbi_element_size(run));
        if (run->final[i] != NULL)
            memcpy(last, run->final[i]->data, bytes);
        else
            memset(last, 0, bytes);
    }
    run_all(run, true);
}
