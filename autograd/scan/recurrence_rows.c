/* The instructions between two products, row by row: what passes from one to the next stays in the
   L1 cache. */
#include "autograd/scan/recurrence_internal.h"
#include "autograd/tape_internal.h"
#include "tensor/kernels.h"

#include <string.h>

static char *row_at(const cbi_tile *t, const cbi_operand *o, int64_t row) {
    int64_t at = row;
    if (o->looked_up)
        at = t->run->row_of[cbi_time_of(t->run, t->step) * t->run->batch + row];
    return o->base + at * o->stride;
}

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
    static const cbi_reduction reductions[] = {
        [CBI_RUN_SUM] = CBI_SUM, [CBI_RUN_MAX] = CBI_MAX, [CBI_RUN_MIN] = CBI_MIN};
    cbi_reduce_row(reductions[instruction->code], dtype, instruction->columns, out, in);
}

static void run_row(const cbi_tile *t, const cbi_instruction *instruction,
                    const cbi_operand *operands, int64_t row) {
    cb_dtype dtype = t->run->plan->graph->dtype;
    char *out = row_at(t, &operands[0], row);
    const void *in[CBI_MAP_INPUTS];
    for (int k = 0; k < instruction->count; k++)
        in[k] = row_at(t, &operands[k + 1], row);
    switch (instruction->code) {
    case CBI_RUN_KERNEL:
        cbi_run_kernel(instruction->op->kernels[dtype], instruction->columns, out,
                       instruction->count, in, instruction->parameters);
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

void cbi_run_rows(const cbi_tile *t, int begin, int end, int64_t first, int64_t last) {
    const cbi_instruction *list = t->program->list;
    for (int64_t row = first; row < last; row++)
        for (int i = begin; i < end; i++)
            run_row(t, &list[i], &t->operands[i * CBI_OPERANDS], row);
}

void cbi_pass_over(const cbi_tile *t) {
    const cbi_recurrence *run = t->run;
    const cbi_plan *plan = run->plan;
    bool backward = t->backward;
    int64_t size = cbi_element_size(run), now = cbi_time_of(run, t->step);
    for (int64_t row = t->first; row < t->first + t->rows; row++) {
        if (now < run->lengths[row])
            continue;
        for (int i = 0; i < plan->graph->state_count; i++) {
            int b = backward ? plan->gradient_buffer[i] : plan->state_buffer[i];
            int64_t bytes = plan->buffers[b].columns * size;
            char *before =
                cbi_buffer_at(run, (cbi_place){b, backward, 0, 0}, t->step) + row * bytes;
            char *after =
                cbi_buffer_at(run, (cbi_place){b, !backward, 0, 0}, t->step) + row * bytes;
            memcpy(after, before, (size_t)bytes);
            if (backward && i == 0) {
                const void *in[2] = {
                    after, cbi_buffer_at(run, (cbi_place){plan->given_buffer, 1, 0, 0}, t->step) +
                               row * bytes};
                cbi_run_kernel(cb_add_op.kernels[plan->graph->dtype], plan->buffers[b].columns,
                               after, 2, in, NULL);
            }
        }
        for (int b = 0; b < plan->buffer_count; b++)
            if (plan->buffers[b].span == CBI_ALL_STEPS && plan->buffers[b].backward == backward) {
                cbi_place place = {b, 0, 0, 0};
                int64_t stride = plan->buffers[cbi_at_home(run, place).buffer].columns * size;
                memset(cbi_buffer_at(run, place, t->step) + row * stride, 0,
                       (size_t)(plan->buffers[b].columns * size));
            }
    }
}
