/* Products with weights: packing the weights once a pass and the left operands at each step, and
   multiplying. For a few rows, or where there is no microkernel for packed matrices, products are
   BLIS's own. */
#include "autograd/runtime/run_internal.h"
#include "tensor/parallel.h"

enum { WORTH_PACKING = 32 }; /* rows over all steps that a product's weights must meet */

bool cbi_run_packs(const cbi_run *run) {
    return (run->steps > 1 || run->rows >= WORTH_PACKING) && cbi_packed_usable(cbi_run_dtype(run));
}

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* ---- Left operands --------------------------------------------------------------------------- */

/* Bytes of one packed left operand: of a group and, unless the m rows of each row are one matrix
   with the others, of each of them. */
static size_t packed_part_bytes(const cbi_instruction *pack, int64_t rows) {
    return rounded(cbi_packed_rows_bytes(pack->dtype, pack->tall ? rows * pack->m : rows, pack->k));
}

static int64_t packed_parts(const cbi_instruction *pack) {
    return pack->groups * (pack->tall ? 1 : pack->m);
}

size_t cbi_run_packed_rows_bytes(const cbi_run *run, int64_t rows) {
    size_t most = 0;
    for (int step = 0; step < 2 && cbi_run_packs(run); step++) {
        const cbi_program *program = step == 0 ? &run->plan->forward : &run->plan->backward;
        for (int i = 0; i < program->count; i++) {
            const cbi_instruction *pack = &program->list[i];
            if (pack->code != CBI_RUN_PACK)
                continue;
            size_t bytes = (size_t)packed_parts(pack) * packed_part_bytes(pack, rows);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

/* A part of a packed operand: which group, and which of the m rows of each row. */
static char *packed_part(const cbi_tile *t, const cbi_instruction *pack, int64_t part) {
    return t->packed_rows + (size_t)part * packed_part_bytes(pack, t->rows);
}

void cbi_run_pack(const cbi_tile *t, int i) {
    const cbi_instruction *pack = &t->program->list[i];
    const cbi_address *left = &t->addresses[t->first_address[i] + 1];
    int64_t size = (int64_t)cb_dtype_size(pack->dtype), each = pack->tall ? 1 : pack->m;
    if (!cbi_run_packs(t->run))
        return;
    for (int64_t part = 0; part < packed_parts(pack); part++) {
        const char *from = left->base + t->first * left->row + part / each * pack->in[0].stride[0] +
                           part % each * pack->in[0].stride[1];
        int64_t row = pack->tall ? pack->in[0].stride[1] : left->row;
        cbi_matrix rows = {(char *)(uintptr_t)from, row / size, pack->in[0].stride[2] / size};
        cbi_pack_rows(pack->dtype, pack->tall ? t->rows * pack->m : t->rows, pack->k, 0, pack->k,
                      rows, packed_part(t, pack, part));
    }
}

/* ---- Multiplying ----------------------------------------------------------------------------- */

/* Panels [begin, end) of each group. */
static void multiply_panels(const cbi_tile *t, int i, int64_t begin, int64_t end) {
    const cbi_instruction *product = &t->program->list[i];
    const cbi_address *out = &t->addresses[t->first_address[i]];
    int64_t size = (int64_t)cb_dtype_size(product->dtype), each = product->tall ? 1 : product->m;
    int64_t row = product->tall ? product->out.stride[1] : out->row;
    for (int64_t part = 0; part < packed_parts(product); part++) {
        const cbi_packed *weights =
            &t->run->packed[t->run->first_packed[product->weights] + part / each];
        char *to = out->base + t->first * out->row + part / each * product->out.stride[0] +
                   part % each * product->out.stride[1];
        cbi_packed_multiply(weights, begin, end, product->tall ? t->rows * product->m : t->rows,
                            packed_part(t, product, part), false, to, row / size);
    }
}

static int64_t panels_of(const cbi_tile *t, int i) {
    const cbi_instruction *product = &t->program->list[i];
    return cbi_packed_panels(&t->run->packed[t->run->first_packed[product->weights]]);
}

void cbi_run_product(const cbi_tile *t, int i) {
    multiply_panels(t, i, 0, panels_of(t, i));
}

/* A product that all threads work on. */
typedef struct shared {
    const cbi_tile *tile;
    int instruction;
} shared;

static void share_of_product(void *context, int64_t begin, int64_t end) {
    const shared *s = context;
    multiply_panels(s->tile, s->instruction, begin, end);
}

/* A block of a group's matrix as it lies. */
static cbi_matrix block_of(const cbi_run *run, const cbi_weight *block, int64_t group) {
    const cb_tensor *w = run->captured[block->captured];
    int64_t at = block->offset + group * block->stride[0];
    return (cbi_matrix){(char *)w->data + at * (int64_t)cb_dtype_size(w->dtype), block->stride[1],
                        block->stride[2]};
}

/* A product of one group, and of one of m rows, with the matrices as they are. */
static void multiply_stock(const cbi_tile *t, const cbi_instruction *product, int64_t group,
                           int64_t rows, cbi_matrix left, cbi_matrix out) {
    const cbi_run *run = t->run;
    int64_t size = (int64_t)cb_dtype_size(product->dtype), top = 0, first = 0;
    const cbi_grid *grid =
        &run->plan->graph->values[run->plan->weights[product->weights].value].weights;
    for (int b = 0; b < grid->count; b++) {
        const cbi_weight *block = &grid->blocks[b];
        cbi_matrix x = left, y = out;
        x.data = (char *)x.data + top * left.column_stride * size;
        y.data = (char *)y.data + first * size;
        cbi_gemm(product->dtype, rows, block->columns, block->rows, x, block_of(run, block, group),
                 top > 0, y);
        first += block->columns;
        if ((b + 1) % grid->across == 0) {
            first = 0;
            top += block->rows;
        }
    }
}

static void stock_product(const cbi_tile *t, int i) {
    const cbi_instruction *product = &t->program->list[i];
    const cbi_address *out = &t->addresses[t->first_address[i]], *left = out + 1;
    int64_t size = (int64_t)cb_dtype_size(product->dtype), each = product->tall ? 1 : product->m;
    for (int64_t part = 0; part < packed_parts(product); part++) {
        int64_t g = part / each, m = part % each;
        cbi_matrix x = {left->base + g * product->in[0].stride[0] + m * product->in[0].stride[1],
                        (product->tall ? product->in[0].stride[1] : left->row) / size,
                        product->in[0].stride[2] / size};
        cbi_matrix y = {out->base + g * product->out.stride[0] + m * product->out.stride[1],
                        (product->tall ? product->out.stride[1] : out->row) / size, 1};
        multiply_stock(t, product, g, product->tall ? t->rows * product->m : t->rows, x, y);
    }
}

void cbi_run_product_together(const cbi_tile *t, int i) {
    shared s = {t, i};
    const cbi_instruction *product = &t->program->list[i];
    if (!cbi_run_packs(t->run)) {
        stock_product(t, i);
        return;
    }
    cbi_parallel_for(panels_of(t, i), CBI_GRAIN / (16 * product->k + 1) + 1, share_of_product, &s);
}

/* ---- Weights --------------------------------------------------------------------------------- */

size_t cbi_run_weights_bytes(const cbi_run *run, int weights) {
    const cbi_weights *w = &run->plan->weights[weights];
    if (!cbi_run_packs(run))
        return 0;
    return (size_t)w->groups * rounded(cbi_packed_bytes(cbi_run_dtype(run), w->depth, w->columns));
}

/* Packs the blocks of one group of a product's matrices, side by side, and on top of each other. */
static void pack_group(const cbi_run *run, int weights, int64_t group) {
    const cbi_plan *plan = run->plan;
    const cbi_weights *w = &plan->weights[weights];
    const cbi_value *product = &plan->graph->values[w->value];
    cb_dtype dtype = product->type.dtype;
    size_t bytes = rounded(cbi_packed_bytes(dtype, w->depth, w->columns));
    cbi_packed *packed = &run->packed[run->first_packed[weights] + group];
    *packed =
        cbi_packed_in(dtype, w->depth, w->columns, run->weights[weights] + (size_t)group * bytes);
    int64_t top = 0, first = 0;
    for (int b = 0; b < product->weights.count; b++) {
        const cbi_weight *block = &product->weights.blocks[b];
        cbi_pack(packed, top, block->rows, first, block->columns, block_of(run, block, group));
        first += block->columns;
        if ((b + 1) % product->weights.across == 0) {
            first = 0;
            top += block->rows;
        }
    }
}

void cbi_run_pack_weights(const cbi_run *run, bool backward) {
    for (int i = 0; i < run->plan->weights_count && cbi_run_packs(run); i++)
        for (int64_t g = 0; g < run->plan->weights[i].groups; g++)
            if (run->plan->weights[i].backward == backward)
                pack_group(run, i, g);
}
