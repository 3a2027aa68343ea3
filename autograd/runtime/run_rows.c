/* The instructions between two barriers, on a few rows at a time: what passes from one to the next
   stays in the L1 cache. */
#include "autograd/runtime/run_internal.h"
#include "tensor/kernels.h"
#include "tensor/row_kernels.h"

#include <string.h>

/* Registers hold the rows that run together; everything else lies by its number in the batch. */
static char *row_of(const cbi_tile *t, const cbi_place *place, const cbi_address *address,
                    int64_t first, int64_t row) {
    if (place->buffer == CBI_REGISTER)
        return address->base + (row - first) * address->row;
    if (place->buffer == CBI_ACCUMULATOR) { /* the sum of the block that the row is in */
        const cbi_accumulator *sum = &t->run->plan->accumulators[place->name];
        int64_t bytes = sum->count * (int64_t)cb_dtype_size(sum->dtype);
        return address->base + (sum->rows ? row / cbi_block_rows(t->run) * bytes : 0);
    }
    return cbi_row_at(t, address, row);
}

/* Calls the kernel along the innermost loops of one row, or on rows that have only one. */
static void run_loops(const cbi_instruction *instruction, cbi_rows *rows, int axis) {
    cbi_kernel *kernel = instruction->op->kernels[instruction->dtype];
    if (axis == instruction->rank - 2) {
        rows->count = instruction->extent[axis];
        rows->out_stride = instruction->out.stride[axis];
        for (int k = 0; k < instruction->count; k++)
            rows->in_stride[k] = instruction->in[k].stride[axis];
        kernel(rows, instruction->parameters);
        return;
    }
    cbi_rows at = *rows;
    for (int64_t i = 0; i < instruction->extent[axis]; i++) {
        cbi_rows inner = at;
        run_loops(instruction, &inner, axis + 1);
        at.out = (char *)at.out + instruction->out.stride[axis];
        for (int k = 0; k < instruction->count; k++)
            at.in[k] = (const char *)at.in[k] + instruction->in[k].stride[axis];
    }
}

static void run_elementwise(const cbi_tile *t, const cbi_instruction *instruction,
                            const cbi_address *addresses, int64_t first, int64_t count) {
    int last = instruction->rank - 1;
    bool scattered = false;
    cbi_rows rows = {.count = count, .n = instruction->extent[last]};
    for (int k = 0; k < instruction->count; k++) {
        rows.in_stride[k] = addresses[k + 1].row;
        rows.single |= instruction->in[k].stride[last] == 0 ? 1u << k : 0;
        scattered = scattered || addresses[k + 1].looked_up;
    }
    rows.out_stride = addresses[0].row;
    bool at_once = last == 0 && !scattered;
    for (int64_t r = 0; r < count; r += at_once ? count : 1) {
        rows.out = row_of(t, &instruction->out.place, &addresses[0], first, first + r);
        for (int k = 0; k < instruction->count; k++)
            rows.in[k] = row_of(t, &instruction->in[k].place, &addresses[k + 1], first, first + r);
        if (at_once) {
            instruction->op->kernels[instruction->dtype](&rows, instruction->parameters);
        } else if (last == 0) {
            rows.count = 1;
            instruction->op->kernels[instruction->dtype](&rows, instruction->parameters);
        } else {
            run_loops(instruction, &rows, 0);
        }
    }
}

static void run_copy(const cbi_tile *t, const cbi_instruction *instruction,
                     const cbi_address *addresses, int64_t first, int64_t count) {
    size_t size = cb_dtype_size(instruction->dtype);
    double number = 0;
    cbi_copy_loops loops = {.rank = instruction->rank};
    for (int i = 0; i < instruction->rank; i++) {
        loops.extent[i] = instruction->extent[i];
        loops.out[i] = instruction->out.stride[i];
        loops.in[i] = instruction->count > 0 ? instruction->in[0].stride[i] : 0;
    }
    cbi_store(instruction->dtype, &number, instruction->parameters[0]);
    for (int64_t r = 0; r < count; r++) {
        cbi_row_operand out = {row_of(t, &instruction->out.place, &addresses[0], first, first + r),
                               0};
        cbi_row_operand in = {&number, 0};
        if (instruction->count > 0)
            in.data = row_of(t, &instruction->in[0].place, &addresses[1], first, first + r);
        cbi_copy_rows(size, 1, &loops, out, in);
    }
}

static void run_reduction(const cbi_tile *t, const cbi_instruction *instruction,
                          const cbi_address *addresses, int64_t first, int64_t count) {
    for (int64_t r = 0; r < count; r++) {
        cbi_row_operand out = {row_of(t, &instruction->out.place, &addresses[0], first, first + r),
                               0};
        cbi_row_operand in = {row_of(t, &instruction->in[0].place, &addresses[1], first, first + r),
                              0};
        cbi_reduce_rows(instruction->reduction, instruction->dtype, 1, instruction->extent[0],
                        instruction->extent[1], instruction->extent[2], out, in);
    }
}

static void run_contraction(const cbi_tile *t, const cbi_instruction *instruction,
                            const cbi_address *addresses, int64_t first, int64_t count) {
    int64_t size = (int64_t)cb_dtype_size(instruction->dtype);
    cbi_contraction c = {
        instruction->groups, instruction->m, instruction->k, instruction->n, {0}, {0}};
    for (int i = 0; i < 3; i++) {
        c.a_stride[i] = instruction->in[0].stride[i] / size;
        c.b_stride[i] = instruction->in[1].stride[i] / size;
    }
    for (int64_t r = 0; r < count; r++) {
        cbi_row_operand operands[3];
        operands[0].data = row_of(t, &instruction->out.place, &addresses[0], first, first + r);
        for (int k = 0; k < 2; k++)
            operands[k + 1].data =
                row_of(t, &instruction->in[k].place, &addresses[k + 1], first, first + r);
        cbi_contract_rows(instruction->dtype, 1, &c, operands[0], operands[1], operands[2]);
    }
}

static void run_instruction(const cbi_tile *t, int i, int64_t first, int64_t count) {
    const cbi_instruction *instruction = &t->program->list[i];
    const cbi_address *addresses = t->addresses + t->first_address[i];
    switch (instruction->code) {
    case CBI_RUN_ELEMENTWISE:
    case CBI_RUN_ACCUMULATE:
        run_elementwise(t, instruction, addresses, first, count);
        return;
    case CBI_RUN_COPY:
        run_copy(t, instruction, addresses, first, count);
        return;
    case CBI_RUN_REDUCE:
        run_reduction(t, instruction, addresses, first, count);
        return;
    case CBI_RUN_CONTRACT:
        run_contraction(t, instruction, addresses, first, count);
        return;
    default:
        return;
    }
}

void cbi_run_once(const cbi_tile *t, int instruction) {
    run_instruction(t, instruction, 0, 1);
}

bool cbi_is_running(const cbi_tile *t, int64_t row) {
    return t->run->lengths == NULL || t->run->plan->whole ||
           cbi_time_of(t->run, t->step) < t->run->lengths[row];
}

/* How many rows from this one on run together: sequences that are not over, of one block of those
   that sums over rows take. */
static int64_t rows_together(const cbi_tile *t, int64_t row, int64_t last) {
    int64_t block = cbi_block_rows(t->run), end = (row / block + 1) * block, count = 0;
    last = last < end ? last : end;
    while (count < t->together && row + count < last && cbi_is_running(t, row + count))
        count++;
    return count;
}

void cbi_run_rows(const cbi_tile *t, int begin, int end, int64_t first, int64_t last) {
    for (int64_t row = first; row < last;) {
        int64_t count = rows_together(t, row, last);
        for (int i = begin; i < end && count > 0; i++)
            run_instruction(t, i, row, count);
        row += count > 0 ? count : 1;
    }
}

/* ---- Sequences that are over ----------------------------------------------------------------- */

static void add_rows(cb_dtype dtype, int64_t bytes, char *to, const char *with) {
    const void *in[2] = {to, with};
    cbi_run_kernel(cb_add_op.kernels[dtype], bytes / (int64_t)cb_dtype_size(dtype), to, 2, in,
                   NULL);
}

static bool is_over(const cbi_tile *t, int64_t row) {
    return cbi_time_of(t->run, t->step) >= t->run->lengths[row];
}

/* The row of state i, or of its cotangent, before or after the step. */
static char *state_row(const cbi_tile *t, int i, int later, int64_t row) {
    const cbi_plan *plan = t->run->plan;
    int b = t->backward ? plan->gradient_buffer[i] : plan->state_buffer[i];
    return cbi_buffer_at(t->run, (cbi_place){.buffer = b, .later = later}, t->step) +
           row * plan->buffers[b].bytes;
}

static const char *given_row(const cbi_tile *t, int64_t row) {
    const cbi_run *run = t->run;
    int64_t bytes = run->plan->buffers[run->plan->gradient_buffer[0]].bytes;
    return run->given_outputs[0] + (cbi_time_of(run, t->step) * run->rows + row) * bytes;
}

static void keep_states(const cbi_tile *t, int64_t row) {
    const cbi_plan *plan = t->run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int b = t->backward ? plan->gradient_buffer[i] : plan->state_buffer[i];
        int64_t bytes = plan->buffers[b].bytes;
        if (bytes == 0)
            continue;
        memcpy(state_row(t, i, !t->backward, row), state_row(t, i, t->backward, row),
               (size_t)bytes);
        if (t->backward && i == 0)
            add_rows(plan->graph->outputs[0].type.dtype, bytes, state_row(t, i, 0, row),
                     given_row(t, row));
    }
}

/* What the products after the loop read, and residuals, which may be among it. */
static bool is_read_after(const cbi_tile *t, const cbi_buffer *buffer) {
    return !buffer->shared && buffer->backward == t->backward &&
           (buffer->span == CBI_ALL_STEPS || buffer->span == CBI_LEFT_GRADIENT);
}

void cbi_pass_over(const cbi_tile *t) {
    const cbi_run *run = t->run;
    const cbi_plan *plan = run->plan;
    for (int64_t row = t->first; row < t->first + t->rows; row++) {
        if (!is_over(t, row))
            continue;
        if (!plan->whole || !t->backward)
            keep_states(t, row);
        for (int b = 0; b < plan->buffer_count && !plan->whole; b++) {
            cbi_place place = {.buffer = b};
            if (is_read_after(t, &plan->buffers[b]) && plan->buffers[b].bytes > 0)
                memset(cbi_buffer_at(run, place, t->step) + row * cbi_row_bytes(run, place), 0,
                       (size_t)plan->buffers[b].bytes);
        }
    }
}

/* ---- The same where rows see each other ------------------------------------------------------

   Then all rows are computed at every step, as they would be op by op, and what is computed of a
   sequence that is over counts for the others. Its own cotangents pass by the step. */

size_t cbi_aside_bytes(const cbi_run *run) {
    size_t bytes = 0;
    for (int i = 0; i < run->plan->graph->state_count; i++)
        bytes += (size_t)(run->plan->buffers[run->plan->gradient_buffer[i]].bytes * run->rows);
    return bytes;
}

void cbi_put_aside(const cbi_tile *t, char *aside) {
    const cbi_plan *plan = t->run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int64_t bytes = plan->buffers[plan->gradient_buffer[i]].bytes;
        for (int64_t row = 0; row < t->run->rows; row++, aside += bytes) {
            if (!is_over(t, row) || bytes == 0)
                continue;
            memcpy(aside, state_row(t, i, 1, row), (size_t)bytes);
            memset(state_row(t, i, 1, row), 0, (size_t)bytes);
        }
    }
}

void cbi_add_aside(const cbi_tile *t, const char *aside) {
    const cbi_plan *plan = t->run->plan;
    for (int i = 0; i < plan->graph->state_count; i++) {
        int64_t bytes = plan->buffers[plan->gradient_buffer[i]].bytes;
        for (int64_t row = 0; row < t->run->rows; row++, aside += bytes)
            if (is_over(t, row) && bytes > 0)
                add_rows(plan->graph->outputs[i].type.dtype, bytes, state_row(t, i, 0, row), aside);
    }
}
