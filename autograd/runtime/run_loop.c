/* The loop over steps, in one of three ways.

   In tiles: the batch is cut into tiles of rows, and a tile runs through all steps by itself;
   threads never wait for each other. Within a step, a product covers the tile's rows, and the
   instructions between two barriers run on a few rows at a time.

   Together: a batch with too few rows to share out runs as one tile whose products the threads
   share, column by column. A step then has a region of threads for each product.

   Whole: the same for a batch of any size, when an op sees all of its rows.

   Either way an element is computed by the same operations in the same order, so that results do
   not depend on the number of threads.

   Weights are packed once and multiplied by BLIS's microkernel; for a few rows, or where there is
   no such kernel, products are BLIS's own. */
#include "autograd/runtime/run_internal.h"
#include "tensor/memory.h"
#include "tensor/parallel.h"

#include <cerebra/tape.h>
#include <stdatomic.h>
#include <string.h>

enum {
    MOST_ROWS = 64,       /* of a tile: its part of a product stays in the L2 cache */
    STATES = 256 << 10,   /* bytes of a tile's states that do, where there is no product */
    BLOCK = 16,           /* rows whose sums are added up in order */
    SMALL_BLOCK = 4,      /* of a batch that would have too few blocks */
    REGISTERS = 24 << 10, /* bytes of registers that fit in the L1 cache with what they come from */
    MOST_TOGETHER = 16,   /* rows that row by row instructions run on at a time */
    ENOUGH = 2048, /* elements that take longer to compute than an instruction takes to begin */
};

int64_t cbi_block_rows(const cbi_run *run) {
    return run->rows > 4 * BLOCK && !run->small_tiles ? BLOCK : SMALL_BLOCK;
}

/* Rows of the batch for each thread, in whole blocks where there are sums over rows. */
static int64_t share(const cbi_run *run) {
    int64_t rows = (run->rows + run->threads - 1) / run->threads;
    int64_t block = run->plan->accumulator_count > 0 ? cbi_block_rows(run) : 1;
    return (rows + block - 1) / block * block;
}

static bool runs_together(const cbi_run *run) {
    return run->plan->whole || !cbi_run_packs(run) ||
           (run->threads > 1 && !run->small_tiles &&
            share(run) < cbi_packed_rows(cbi_run_dtype(run)));
}

/* Rows, in whole blocks, of a tile that no product asks to be large: as many as have their states
   in the L2 cache from one step to the next. */
static int64_t rows_with_states(const cbi_run *run) {
    int64_t bytes = 0, block = cbi_block_rows(run), rows = MOST_ROWS;
    for (int i = 0; i < run->plan->graph->state_count; i++)
        bytes += run->plan->buffers[run->plan->state_buffer[i]].bytes;
    while (rows > block && rows * bytes > STATES)
        rows /= 2;
    return rows;
}

static int64_t rows_of_tile(const cbi_run *run) {
    if (runs_together(run))
        return run->rows;
    int64_t most = run->plan->weights_count > 0 ? MOST_ROWS : rows_with_states(run);
    most = run->small_tiles ? SMALL_BLOCK : most;
    return share(run) < most ? share(run) : most;
}

int64_t cbi_one_step_rows(const cbi_run *run) {
    return runs_together(run) ? run->rows : run->threads * rows_of_tile(run);
}

/* ---- Scratch memory -------------------------------------------------------------------------- */

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Elements of a row that instructions [begin, end) compute. */
static int64_t elements_of(const cbi_program *program, int begin, int end) {
    int64_t sum = 0;
    for (int i = begin; i < end; i++) {
        int64_t elements = 1;
        for (int k = 0; k < program->list[i].rank; k++)
            elements *= program->list[i].extent[k];
        sum += elements;
    }
    return sum;
}

/* Rows that run together, a power of two: as many as have their registers in the L1 cache, and more
   where a row has so little to compute that most time would be spent between the instructions. */
static int64_t rows_together(const cbi_run *run, const cbi_program *program) {
    int64_t most = cbi_block_rows(run), rows = 1;
    int64_t elements = elements_of(program, 0, program->count);
    most = most < MOST_TOGETHER ? most : MOST_TOGETHER;
    while (2 * rows <= most && (2 * rows * program->register_bytes <= REGISTERS ||
                                2 * rows * elements <= ENOUGH * (int64_t)program->count))
        rows *= 2;
    return rows;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static size_t registers_bytes(const cbi_run *run) {
    const cbi_plan *plan = run->plan;
    return rounded(
        (size_t)larger(rows_together(run, &plan->forward) * plan->forward.register_bytes,
                       rows_together(run, &plan->backward) * plan->backward.register_bytes));
}

static int address_count(const cbi_program *program) {
    int count = 0;
    for (int i = 0; i < program->count; i++)
        count += 1 + program->list[i].count;
    return count;
}

static size_t addresses_bytes(const cbi_run *run) {
    int64_t count = larger(address_count(&run->plan->forward), address_count(&run->plan->backward));
    return rounded(sizeof(cbi_address) * (size_t)(count + 1));
}

static size_t indices_bytes(const cbi_run *run) {
    int64_t count = larger(run->plan->forward.count, run->plan->backward.count);
    return rounded(sizeof(int) * (size_t)(count + 1));
}

static size_t thread_bytes(const cbi_run *run) {
    return registers_bytes(run) + cbi_run_packed_rows_bytes(run, rows_of_tile(run)) +
           addresses_bytes(run) + indices_bytes(run);
}

/* One thread's part for each, one for a tile that they share, and what is put aside. */
size_t cbi_run_scratch_bytes(const cbi_run *run) {
    size_t aside = run->plan->whole && run->lengths != NULL ? cbi_aside_bytes(run) : 0;
    return (size_t)(run->threads + 1) * thread_bytes(run) + aside;
}

typedef struct loop {
    const cbi_run *run;
    bool backward;
    _Atomic int threads;  /* that have begun: each takes its own scratch */
    _Atomic int64_t next; /* tile: a thread that is done with one takes the next */
} loop;

/* A tile in scratch memory that no other thread uses. */
static cbi_tile tile_new(loop *l) {
    const cbi_run *run = l->run;
    cbi_tile t = {.run = run,
                  .program = l->backward ? &run->plan->backward : &run->plan->forward,
                  .backward = l->backward,
                  .thread = atomic_fetch_add(&l->threads, 1)};
    char *scratch = run->scratch + (size_t)t.thread * thread_bytes(run);
    t.registers = scratch;
    t.packed_rows = scratch + registers_bytes(run);
    t.addresses =
        (cbi_address *)(void *)(t.packed_rows + cbi_run_packed_rows_bytes(run, rows_of_tile(run)));
    int *first = (int *)(void *)((char *)t.addresses + addresses_bytes(run));
    for (int i = 0, at = 0; i < t.program->count; at += 1 + t.program->list[i++].count)
        first[i] = at;
    t.first_address = first;
    t.together = rows_together(run, t.program);
    return t;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void locate(cbi_tile *t, int begin, int end) {
    for (int i = begin; i < end; i++) {
        const cbi_instruction *instruction = &t->program->list[i];
        cbi_address *addresses = t->addresses + t->first_address[i];
        addresses[0] = cbi_locate(t, instruction->out.place);
        for (int k = 0; k < instruction->count; k++)
            addresses[k + 1] = cbi_locate(t, cbi_operand_of(instruction, k)->place);
    }
}

static bool is_barrier(const cbi_instruction *instruction) {
    return instruction->code == CBI_RUN_PACK || instruction->code == CBI_RUN_PRODUCT ||
           instruction->code == CBI_RUN_CALL || !instruction->rows;
}

/* The instructions from begin on that come before the next barrier. */
static int end_of_rows(const cbi_program *program, int begin) {
    while (begin < program->count && !is_barrier(&program->list[begin]))
        begin++;
    return begin;
}

/* What runs a product, and what runs rows, in one of the ways. */
typedef struct way {
    void (*product)(const cbi_tile *t, int instruction);
    void (*rows)(cbi_tile *t, int begin, int end, loop *l);
} way;

static void run_barrier(cbi_tile *t, int i, const way *w) {
    const cbi_instruction *instruction = &t->program->list[i];
    switch (instruction->code) {
    case CBI_RUN_PACK:
        cbi_run_pack(t, i);
        return;
    case CBI_RUN_PRODUCT:
        w->product(t, i);
        return;
    case CBI_RUN_CALL:
        cbi_run_call(t, i);
        return;
    default:
        cbi_run_once(t, i);
        return;
    }
}

static void run_step(cbi_tile *t, const way *w, loop *l) {
    bool aside = t->run->lengths != NULL && t->run->plan->whole && t->backward;
    char *memory = t->run->scratch + (size_t)(t->run->threads + 1) * thread_bytes(t->run);
    locate(t, 0, t->program->count);
    if (aside)
        cbi_put_aside(t, memory);
    for (int begin = 0; begin < t->program->count;) {
        if (is_barrier(&t->program->list[begin])) {
            run_barrier(t, begin++, w);
            continue;
        }
        int end = end_of_rows(t->program, begin);
        w->rows(t, begin, end, l);
        begin = end;
    }
    if (t->run->lengths != NULL)
        cbi_pass_over(t);
    if (aside)
        cbi_add_aside(t, memory);
}

static bool has_failed(const cbi_run *run) {
    return run->tapes != NULL && run->tapes->status != CB_OK;
}

static void run_steps(cbi_tile *t, const way *w, loop *l) {
    for (int64_t k = 0; k < t->run->steps && !has_failed(t->run); k++) {
        t->step = t->backward ? t->run->steps - 1 - k : k;
        run_step(t, w, l);
    }
}

/* A part of a step that all threads work on. */
typedef struct shared {
    loop *loop;
    const cbi_tile *tile;
    int begin, end; /* instructions */
} shared;

/* ---- Rows ------------------------------------------------------------------------------------ */

static void tile_rows(cbi_tile *t, int begin, int end, loop *l) {
    (void)l;
    cbi_run_rows(t, begin, end, t->first, t->first + t->rows);
}

/* Rows are shared out in blocks, so that no two threads add to one sum. */
static void share_of_rows(void *context, int64_t begin, int64_t end) {
    const shared *s = context;
    cbi_tile t = tile_new(s->loop);
    int64_t block = cbi_block_rows(t.run), last = end * block;
    t.step = s->tile->step;
    locate(&t, s->begin, s->end);
    cbi_run_rows(&t, s->begin, s->end, begin * block, last < t.run->rows ? last : t.run->rows);
}

static void shared_rows(cbi_tile *t, int begin, int end, loop *l) {
    shared s = {l, t, begin, end};
    int64_t elements = elements_of(t->program, begin, end), block = cbi_block_rows(t->run);
    l->threads = 1; /* the first scratch is the tile's own */
    cbi_parallel_for_on(t->run->threads, (t->rows + block - 1) / block,
                        CBI_GRAIN / (block * elements + 1) + 1, share_of_rows, &s);
}

static const way in_tiles = {cbi_run_product, tile_rows};
static const way together = {cbi_run_product_together, shared_rows};

static void run_tiles(void *context, int64_t begin, int64_t end) {
    loop *l = context;
    cbi_tile t = tile_new(l);
    int64_t most = rows_of_tile(t.run);
    (void)begin;
    (void)end;
    for (;;) {
        t.first = atomic_fetch_add(&l->next, 1) * most;
        if (t.first >= t.run->rows)
            return;
        t.rows = t.run->rows - t.first < most ? t.run->rows - t.first : most;
        t.own = t.thread * most - t.first;
        run_steps(&t, &in_tiles, l);
    }
}

/* ---- All steps ------------------------------------------------------------------------------- */

size_t cbi_run_accumulator_bytes(const cbi_run *run, int accumulator) {
    const cbi_accumulator *a = &run->plan->accumulators[accumulator];
    int64_t block = cbi_block_rows(run), blocks = a->rows ? (run->rows + block - 1) / block : 1;
    return (size_t)(blocks * a->count) * cb_dtype_size(a->dtype);
}

static cb_status run_all(const cbi_run *run, bool backward) {
    loop l = {.run = run, .backward = backward};
    int64_t most = rows_of_tile(run);
    if (run->rows == 0)
        return CB_OK;
    cbi_run_pack_weights(run, backward);
    if (!runs_together(run)) {
        cbi_parallel_for_on(run->threads, (run->rows + most - 1) / most, 1, run_tiles, &l);
    } else {
        cbi_tile t = tile_new(&l);
        t.rows = run->rows;
        run_steps(&t, &together, &l);
    }
    return has_failed(run) ? run->tapes->status : CB_OK;
}

cb_status cbi_run_forward(const cbi_run *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int b = plan->state_buffer[i];
        size_t bytes = (size_t)(run->rows * plan->buffers[b].bytes);
        if (bytes > 0)
            memcpy(cbi_buffer_at(run, (cbi_place){.buffer = b}, 0), run->initial[i], bytes);
    }
    return run_all(run, false);
}

char *cbi_run_last(const cbi_run *run, int state) {
    return cbi_buffer_at(run, (cbi_place){.buffer = run->plan->state_buffer[state]}, run->steps);
}

char *cbi_run_states(const cbi_run *run, int state) {
    int b = run->plan->state_buffer[state];
    return run->buffers[b] + (run->reverse ? 0 : run->rows * run->plan->buffers[b].bytes);
}

char *cbi_run_first_gradient(const cbi_run *run, int state) {
    return cbi_buffer_at(run, (cbi_place){.buffer = run->plan->gradient_buffer[state]}, 0);
}

cb_status cbi_run_backward(const cbi_run *run) {
    const cbi_plan *plan = run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int b = plan->gradient_buffer[i];
        char *last = cbi_buffer_at(run, (cbi_place){.buffer = b}, run->steps);
        size_t bytes = (size_t)(run->rows * plan->buffers[b].bytes);
        if (bytes > 0 && run->given_final[i] != NULL)
            memcpy(last, run->given_final[i], bytes);
        else if (bytes > 0)
            memset(last, 0, bytes);
    }
    for (int i = 0; i < plan->accumulator_count; i++)
        memset(run->accumulators[i], 0, cbi_run_accumulator_bytes(run, i));
    return run_all(run, true);
}
