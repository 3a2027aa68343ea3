/* Buffer aliasing: gradients that stay for the products after the loop are written over the
   residuals they were computed from.

   What the forward step keeps is read by one step of the backward pass, and what that step leaves
   has the same size: the gradient of a gate before its sigmoid has as many elements as the gate.
   Instructions run in order on each row, so once the last one that reads a residual has run, a
   later one may write its result there. An elementwise instruction may even write over its own
   operand.

   The memory is that of the backward buffer, of whose rows the residuals get bytes: it is there
   from the forward pass on; but for the gradient of x, which the caller allocates in the backward
   pass, where the sequence's graph leaves it. A residual that is read after the loop is left alone.
 */
#include "autograd/compiler/plan_internal.h"

/* Whether something reads the forward buffer after the loop. */
static bool is_summed(const cbi_planner *p, int buffer) {
    for (int v = 0; v < p->graph->forward_count; v++)
        if (p->lasting[v] && p->live[0][v] && p->plan->place[0][v].buffer == buffer)
            return true;
    return false;
}

static const cbi_operand *operand(const cbi_instruction *instruction, int k) {
    return instruction->operands != NULL ? &instruction->operands[k] : &instruction->in[k];
}

/* Whether an instruction's operand is a whole row of the buffer, element by element as the result
 * is.
 */
static bool reads_in_place(const cbi_planner *p, const cbi_instruction *instruction, int k,
                           int buffer) {
    const cbi_operand *in = operand(instruction, k);
    return instruction->code == CBI_RUN_ELEMENTWISE && instruction->rank == 1 &&
           in->place.offset == 0 && in->stride[0] == (int64_t)cb_dtype_size(instruction->dtype) &&
           instruction->extent[0] * in->stride[0] == p->plan->buffers[buffer].bytes;
}

/* Whether the backward step has read the buffer for the last time when instruction `at` writes. */
static bool is_free(const cbi_planner *p, int buffer, int at) {
    const cbi_program *program = &p->plan->backward;
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        for (int k = 0; k < instruction->count; k++) {
            const cbi_place *place = &operand(instruction, k)->place;
            bool before = i < at && place->later == 0;
            bool in_place = i == at && reads_in_place(p, instruction, k, buffer);
            if (place->buffer == buffer && !before && !in_place)
                return false;
        }
    }
    return true;
}

static int64_t bytes_written(const cbi_instruction *instruction) {
    int64_t bytes = (int64_t)cb_dtype_size(instruction->dtype);
    for (int i = 0; i < instruction->rank; i++)
        bytes *= instruction->extent[i];
    return instruction->code == CBI_RUN_REDUCE ? 0 : bytes;
}

/* Whether the bytes that instruction `at` writes are neither written before it nor given away. */
static bool is_first(const cbi_planner *p, int at) {
    const cbi_instruction *writer = &p->plan->backward.list[at];
    int64_t begin = writer->out.place.offset, end = begin + bytes_written(writer);
    for (int i = 0; i < at; i++) {
        const cbi_instruction *other = &p->plan->backward.list[i];
        if (other->out.place.buffer == writer->out.place.buffer &&
            (other->out.place.offset < end &&
             other->out.place.offset + bytes_written(other) > begin))
            return false;
    }
    for (int b = 0; b < p->plan->buffer_count; b++) {
        const cbi_buffer *other = &p->plan->buffers[b];
        if (other->home == writer->out.place.buffer && other->home_offset < end &&
            other->home_offset + other->bytes > begin)
            return false;
    }
    return true;
}

/* Whether an instruction writes a run of a row of a buffer that lasts. */
static bool can_give_room(const cbi_planner *p, const cbi_instruction *writer) {
    int home = writer->out.place.buffer;
    bool dense = writer->code == CBI_RUN_ELEMENTWISE || writer->code == CBI_RUN_COPY;
    int64_t stride = (int64_t)cb_dtype_size(writer->dtype);
    for (int i = writer->rank - 1; i >= 0; i--) {
        dense = dense && writer->out.stride[i] == stride;
        stride *= writer->extent[i];
    }
    if (home < 0 || !dense || !writer->rows)
        return false;
    cbi_span span = p->plan->buffers[home].span;
    return p->plan->buffers[home].backward &&
           (span == CBI_ALL_STEPS || (span == CBI_LEFT_GRADIENT && p->graph->state_count > 0));
}

/* Whether a product takes several rows of each row of the buffer, all of them as one matrix: then
   rows must follow each other. */
static bool is_tall(const cbi_planner *p, int buffer) {
    for (int step = 0; step < 2; step++) {
        const cbi_program *program = step == 0 ? &p->plan->forward : &p->plan->backward;
        for (int i = 0; i < program->count; i++)
            if (program->list[i].tall && (program->list[i].out.place.buffer == buffer ||
                                          program->list[i].in[0].place.buffer == buffer))
                return true;
    }
    return false;
}

static bool fits(const cbi_planner *p, int buffer, const cbi_instruction *writer) {
    const cbi_buffer *kept = &p->plan->buffers[buffer];
    const cbi_buffer *home = &p->plan->buffers[writer->out.place.buffer];
    return kept->bytes == bytes_written(writer) && kept->dtype == home->dtype &&
           (kept->bytes == home->bytes || !is_tall(p, buffer));
}

void cbi_alias_buffers(cbi_planner *p) {
    cbi_plan *plan = p->plan;
    for (int i = 0; i < plan->backward.count && !plan->whole; i++) {
        const cbi_instruction *writer = &plan->backward.list[i];
        if (!can_give_room(p, writer) || !is_first(p, i))
            continue;
        for (int b = 0; b < plan->buffer_count; b++) {
            cbi_buffer *kept = &plan->buffers[b];
            if (kept->span == CBI_ALL_STEPS && !kept->backward && kept->home < 0 && !kept->shared &&
                fits(p, b, writer) && !is_summed(p, b) && is_free(p, b, i)) {
                kept->home = writer->out.place.buffer;
                kept->home_offset = writer->out.place.offset;
                p->changes++;
                break;
            }
        }
    }
}
