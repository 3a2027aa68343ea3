/* Verifying a plan: its programs are run in thought over a few steps, forward and backward, and
   every operand of every instruction is compared, element by element, with what the graph says that
   it is. So it shows when something is read before it is written, from another step or place, after
   it was written over, or from a register of a stage that is over; and when a result is not left.

   This is what symbolic checkers of register allocation do (Fallin, "Cranelift, part 3", 2021).
   Where a place was taken from is of no interest here: only what lies there. */
#include "autograd/compiler/verify_internal.h"

#include "tensor/format.h"
#include "tensor/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool cbi_plan_wrong(cbi_plan_verifier *v, const char *format, ...) {
    if (v->bug[0] != '\0')
        return false;
    int length =
        snprintf(v->bug, v->size, "step %s, instruction %d: ", v->backward ? "backward" : "forward",
                 v->instruction);
    va_list arguments;
    va_start(arguments, format);
    if (length >= 0 && (size_t)length < v->size)
        cbi_vformat(v->bug + length, v->size - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

void *cbi_verifier_memory(cbi_plan_verifier *v, size_t bytes) {
    void *memory = v->failed ? NULL : cbi_arena_allocate(&v->arena, bytes + 1);
    v->failed = memory == NULL;
    return memory != NULL ? memset(memory, 0, bytes + 1) : NULL;
}

/* What other instructions than these compute goes through a few rows at a time: registers hold
   nothing after it. */
static bool is_barrier(const cbi_instruction *instruction) {
    return instruction->code == CBI_RUN_PACK || instruction->code == CBI_RUN_PRODUCT ||
           instruction->code == CBI_RUN_CALL || !instruction->rows;
}

static bool run_program(cbi_plan_verifier *v) {
    const cbi_program *program = v->backward ? &v->plan->backward : &v->plan->forward;
    v->packed = NULL;
    cbi_forget_registers(v);
    for (int i = 0; i < program->count; i++) {
        const cbi_instruction *instruction = &program->list[i];
        v->instruction = i;
        if (is_barrier(instruction))
            cbi_forget_registers(v);
        if (instruction->code != CBI_RUN_PRODUCT && instruction->code != CBI_RUN_PACK)
            v->packed = NULL;
        if (!cbi_verify_instruction(v, instruction) || v->failed)
            return false;
    }
    v->instruction = program->count;
    return true;
}

/* ---- What a step leaves ---------------------------------------------------------------------- */

/* Whether a place holds the elements of a value, or zeros for value -1. */
static bool check_left(cbi_plan_verifier *v, cbi_place place, const cbi_type *type, int value,
                       const char *what, int number) {
    int64_t size = (int64_t)cb_dtype_size(type->dtype), count = cbi_count_of(type);
    cbi_operand left = {.place = place, .stride = {size}};
    cbi_source source;
    if (!cbi_source_of(v, &left, 1, &count, type->dtype, false, &source))
        return false;
    for (int64_t e = 0; e < count; e++) {
        cbi_symbol expected =
            value >= 0 ? cbi_symbol_of(v, value, e, v->step) : cbi_number_symbol(v, type->dtype, 0);
        if (cbi_read_symbol(&source, e * size, size) != expected)
            return cbi_plan_wrong(v, "%s %d, element %lld, is not left", what, number,
                                  (long long)e);
    }
    return true;
}

/* The place in a buffer of the caller's. */
static bool left_place(const cbi_plan_verifier *v, cbi_span span, int index, cbi_place *place) {
    for (int b = 0; b < v->plan->buffer_count; b++)
        if (v->plan->buffers[b].span == span && v->plan->buffers[b].index == index) {
            *place = (cbi_place){.buffer = b};
            return true;
        }
    return false;
}

static bool check_outputs(cbi_plan_verifier *v) {
    const cbi_graph *graph = v->graph;
    for (int i = 0; i < graph->output_count; i++) {
        const cbi_output *output = &graph->outputs[i];
        cbi_place place = {.later = 1};
        if (i < graph->state_count)
            place.buffer = v->plan->state_buffer[i];
        else if (graph->values[output->value].kind == CBI_ROW_INPUT)
            continue; /* stays where it is */
        else if (!left_place(v, CBI_LEFT_OUTPUT, i, &place))
            return cbi_plan_wrong(v, "output %d is left nowhere", i);
        if (!check_left(v, place, &output->type, output->value, "output", i))
            return false;
    }
    return true;
}

static bool check_gradients(cbi_plan_verifier *v) {
    const cbi_graph *graph = v->graph;
    for (int i = 0; i < graph->state_count; i++)
        if (!check_left(v, (cbi_place){.buffer = v->plan->gradient_buffer[i]},
                        &graph->outputs[i].type, graph->outputs[i].gradient,
                        "the gradient of state", i))
            return false;
    for (int i = 0; i < graph->row_input_count; i++) {
        cbi_place place;
        if (graph->row_inputs[i].gradient < 0)
            continue;
        if (!left_place(v, CBI_LEFT_GRADIENT, i, &place))
            return cbi_plan_wrong(v, "the gradient of row input %d is left nowhere", i);
        if (!check_left(v, place, &graph->row_inputs[i].type, graph->row_inputs[i].gradient,
                        "the gradient of row input", i))
            return false;
    }
    for (int i = 0; i < v->plan->accumulator_count; i++)
        if (v->added[i] != 1)
            return cbi_plan_wrong(v, "sum %d is added to %d times", i, v->added[i]);
    return true;
}

/* ---- After the loop -------------------------------------------------------------------------- */

/* The operand of a product over all steps, at each of them. */
static bool check_sum_operand(cbi_plan_verifier *v, const cbi_sum *sum, int k) {
    const cbi_value *product = &v->graph->values[sum->value];
    cb_dtype dtype = product->type.dtype;
    int64_t size = (int64_t)cb_dtype_size(dtype);
    const int64_t shape[3] = {sum->groups, sum->k, k == 0 ? sum->m : sum->n};
    int64_t count = cbi_array_count(3, shape);
    int b = sum->in[k].buffer;
    cbi_operand operand = {.place = sum->in[k]};
    operand.place.offset += sum->offset[k] * size;
    for (int i = 0; i < 3; i++)
        operand.stride[i] = sum->stride[k][i] * size;
    if (b < 0 || b >= v->plan->buffer_count || v->plan->buffers[b].shared ||
        cbi_is_looked_up_place(v, sum->in[k]))
        return cbi_plan_wrong(v, "an operand of a product after the loop has no rows");
    for (v->step = 0; v->step < CBI_VERIFIED_STEPS; v->step++) {
        cbi_walk w = cbi_walk_of(3, shape, operand.stride);
        cbi_source source;
        if (!cbi_source_of(v, &operand, 3, shape, dtype, false, &source))
            return false;
        for (int64_t e = 0; e < count; e++, cbi_advance(&w))
            if (cbi_read_symbol(&source, w.offset, size) !=
                cbi_symbol_of(v, product->in[k], e, v->step))
                return cbi_plan_wrong(v, "operand %d of the product %d after the loop", k,
                                      sum->value);
    }
    return true;
}

static bool check_sum(cbi_plan_verifier *v, const cbi_sum *sum, const cbi_term *term) {
    const cbi_value *value = &v->graph->values[sum->value];
    if (sum->value != term->value || !cbi_view_equal(&sum->place, &term->place) ||
        (sum->kind == CBI_SUM_PRODUCT) != (value->kind == CBI_BATCH_PRODUCT))
        return cbi_plan_wrong(v, "a gradient is not formed from value %d", term->value);
    if (sum->kind == CBI_SUM_ACCUMULATED)
        return (sum->accumulator >= 0 && sum->accumulator < v->plan->accumulator_count) ||
               cbi_plan_wrong(v, "a gradient from a sum that is not there");
    if (sum->groups != value->groups || sum->m != value->m || sum->k != value->k ||
        sum->groups * sum->m * sum->n != cbi_count_of(&value->type))
        return cbi_plan_wrong(v, "a gradient from a product of other extents");
    return check_sum_operand(v, sum, 0) && check_sum_operand(v, sum, 1);
}

static bool check_sums(cbi_plan_verifier *v) {
    int at = 0;
    for (int i = 0; i < v->graph->captured_count; i++)
        for (int k = 0; k < v->graph->captured[i].term_count; k++, at++) {
            if (at >= v->plan->sum_count || v->plan->sums[at].captured != i)
                return cbi_plan_wrong(v, "the gradient of captured tensor %d is not formed", i);
            if (!check_sum(v, &v->plan->sums[at], &v->graph->captured[i].terms[k]))
                return false;
        }
    return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool run_forward(cbi_plan_verifier *v) {
    v->backward = false;
    for (v->step = 0; v->step < CBI_VERIFIED_STEPS; v->step++)
        if (!run_program(v) || !check_outputs(v))
            return false;
    return true;
}

static bool run_backward(cbi_plan_verifier *v) {
    size_t counts = sizeof(int) * (size_t)v->plan->accumulator_count;
    v->backward = true;
    v->added = cbi_verifier_memory(v, counts);
    for (v->step = CBI_VERIFIED_STEPS - 1; v->step >= 0 && !v->failed; v->step--) {
        memset(v->added, 0, counts);
        if (!run_program(v) || !check_gradients(v))
            return false;
    }
    return !v->failed && check_sums(v);
}

bool cbi_verify_plan(const cbi_plan *plan, char *bug, size_t size) {
    cbi_plan_verifier v = {.plan = plan, .graph = plan->graph, .bug = bug, .size = size};
    bool good = cbi_find_symbols(&v);
    for (int keep = 0; keep < 2 && good; keep++) {
        v.keep = keep == 1;
        good = cbi_make_cells(&v) && run_forward(&v);
    }
    good = good && run_backward(&v);
    good = good && !v.failed;
    cbi_arena_free(&v.arena);
    cbi_free(v.numbers);
    return good;
}
