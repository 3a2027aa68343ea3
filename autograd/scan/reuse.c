/* Using memory again: gradients that stay for the deferred sums are written over the saved values
   they were computed from.

   What the forward pass keeps of a step is read by one step of the backward pass, and what that
   step leaves behind has the same size: the gradient of a gate before its sigmoid has as many
   columns as the gate. A program goes through its instructions in order on each row, so once the
   last instruction that reads a kept value has run on a row, a later one may write its result
   there. An elementwise instruction may even write over its own operand.

   The memory is that of the backward buffer, in which the kept buffers get columns: it is there
   from the forward pass on. A kept value that a deferred sum reads after the loop is left alone. */
#include "autograd/scan/plan_internal.h"

/* Whether a sum reads the forward buffer after the loop. */
static bool is_summed(const cbi_planner *p, int buffer) {
    for (int v = 0; v < p->graph->forward_count; v++)
        if (p->lasting[v] && p->live[0][v] && p->plan->place[0][v].buffer == buffer)
            return true;
    return false;
}

/* Whether the backward pass has read the buffer for the last time when instruction `at` writes. */
static bool is_free(const cbi_planner *p, int buffer, int at) {
    const cbi_program *program = &p->plan->backward;
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        for (int k = 0; k < instruction->count; k++) {
            bool before = i < at && instruction->in[k].later == 0;
            bool in_place = i == at && instruction->code == CBI_RUN_KERNEL &&
                            instruction->in[k].column == 0 &&
                            instruction->columns == p->plan->buffers[buffer].columns;
            if (instruction->in[k].buffer == buffer && !before && !in_place)
                return false;
        }
    }
    return true;
}

/* Whether the columns that instruction `at` writes are neither written before it nor given away. */
static bool is_first(const cbi_planner *p, int at) {
    const cbi_instruction *writer = &p->plan->backward.list[at];
    int64_t begin = writer->out.column, end = begin + writer->columns;
    for (int i = 0; i < at; i++) {
        const cbi_instruction *other = &p->plan->backward.list[i];
        if (other->out.buffer == writer->out.buffer && other->out.column < end &&
            other->out.column + other->columns > begin)
            return false;
    }
    for (int b = 0; b < p->plan->buffer_count; b++) {
        const cbi_buffer *other = &p->plan->buffers[b];
        if (other->home == writer->out.buffer && other->home_column < end &&
            other->home_column + other->columns > begin)
            return false;
    }
    return true;
}

void cbi_find_reuse(cbi_planner *p) {
    cbi_plan *plan = p->plan;
    for (int i = 0; i < plan->backward.count; i++) {
        const cbi_instruction *writer = &plan->backward.list[i];
        int home = writer->out.buffer;
        if (home < 0 || plan->buffers[home].span != CBI_ALL_STEPS ||
            !plan->buffers[home].backward || writer->code >= CBI_RUN_SUM || !is_first(p, i))
            continue;
        for (int b = 0; b < plan->buffer_count; b++) {
            cbi_buffer *kept = &plan->buffers[b];
            if (kept->span == CBI_ALL_STEPS && !kept->backward && kept->home < 0 &&
                kept->columns == writer->columns && !is_summed(p, b) && is_free(p, b, i)) {
                kept->home = home;
                kept->home_column = writer->out.column;
                break;
            }
        }
    }
}
