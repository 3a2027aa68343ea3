/* What a step leaves behind, and what is formed after the loop. */
#include "autograd/compiler/faults.h"
#include "autograd/compiler/nest.h"
#include "autograd/compiler/plan_internal.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>

/* The cotangent of the output at a step is what comes from the step after it, and what the caller
   gives: added up before anything else. */
void cbi_emit_cotangents(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    if (p->step == 0 || graph->state_count == 0)
        return;
    const cbi_output *output = &graph->outputs[0];
    int64_t count = cbi_count_of(&output->type);
    int64_t size = (int64_t)cb_dtype_size(output->type.dtype);
    cbi_instruction add = {.code = CBI_RUN_ELEMENTWISE,
                           .value = -1,
                           .dtype = output->type.dtype,
                           .rows = true,
                           .rank = 1,
                           .extent = {count},
                           .count = 2,
                           .op = &cb_add_op};
    add.out.place = (cbi_place){.buffer = p->plan->gradient_buffer[0], .later = 1};
    add.out.stride[0] = size;
    add.in[0] = add.in[1] = add.out;
    add.in[1].place = cbi_outside(p, CBI_GIVEN_OUTPUT, &output->type, 0);
    cbi_emit(p, &add);
}

static int stage_of(const cbi_planner *p, int v) {
    int whole = cbi_whole_of(p, v);
    return cbi_is_computed(p, whole) ? p->stage[whole] : 0;
}

/* A result into its place, if it was not computed there. */
static void leave(cbi_planner *p, int v, const cbi_type *type, cbi_place place) {
    const cbi_value *value = cbi_value_at(p, v);
    bool there = value->kind != CBI_VIEW && value->type.rows &&
                 cbi_same_place(cbi_plan_place(p->plan, v, p->step), place);
    there = there ||
            (CBI_FAULT(CBI_FAULT_ZERO_GRADIENT) && p->step == 1 && cbi_is_constant(p->graph, v));
    if (!there)
        cbi_emit_copy(p, v, cbi_count_of(type), type->dtype, place);
}

static void leave_zeros(cbi_planner *p, const cbi_type *type, cbi_place place) {
    cbi_instruction zeros = {.code = CBI_RUN_COPY,
                             .value = -1,
                             .dtype = type->dtype,
                             .rows = true,
                             .rank = 1,
                             .extent = {cbi_count_of(type)}};
    zeros.out.place = place;
    zeros.out.stride[0] = (int64_t)cb_dtype_size(type->dtype);
    cbi_emit(p, &zeros);
}

static bool is_row_input(const cbi_graph *graph, int value) {
    return graph->values[value].kind == CBI_ROW_INPUT;
}

/* What a graph without states is given and leaves as it is stays where it is. */
static void leave_outputs(cbi_planner *p, int stage) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->output_count; i++) {
        const cbi_output *output = &graph->outputs[i];
        bool stays = graph->state_count == 0 && is_row_input(graph, output->value);
        if (stays || stage_of(p, output->value) != stage)
            continue;
        cbi_place place = i < graph->state_count
                              ? (cbi_place){.buffer = p->plan->state_buffer[i], .later = 1}
                              : cbi_outside(p, CBI_LEFT_OUTPUT, &output->type, i);
        leave(p, output->value, &output->type, place);
    }
}

static void leave_gradients(cbi_planner *p, int stage) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++) {
        const cbi_output *state = &graph->outputs[i];
        cbi_place place = {.buffer = p->plan->gradient_buffer[i]};
        if (state->gradient < 0 && stage == 0)
            leave_zeros(p, &state->type, place);
        else if (state->gradient >= 0 && stage_of(p, state->gradient) == stage)
            leave(p, state->gradient, &state->type, place);
    }
    for (int i = 0; i < graph->row_input_count; i++) {
        const cbi_row_input *input = &graph->row_inputs[i];
        if (input->gradient >= 0 && stage_of(p, input->gradient) == stage)
            leave(p, input->gradient, &input->type,
                  cbi_outside(p, CBI_LEFT_GRADIENT, &input->type, i));
    }
}

/* Parts of gradients that are no rows are added up step by step. */
static void leave_terms(cbi_planner *p, int stage) {
    for (int i = 0; i < p->graph->captured_count; i++) {
        const cbi_captured *captured = &p->graph->captured[i];
        for (int k = 0; k < captured->term_count && !p->failed; k++) {
            int v = captured->terms[k].value;
            if (!cbi_is_deferred(p, v) && p->accumulator[v] == 0 && stage_of(p, v) == stage)
                cbi_emit_accumulation(p, v, cbi_view_count(&captured->terms[k].place));
        }
    }
}

void cbi_emit_results(cbi_planner *p, int stage) {
    if (p->step == 0)
        leave_outputs(p, stage);
    if (p->step == 1) {
        leave_gradients(p, stage);
        leave_terms(p, stage);
    }
}

/* ---- After the loop -------------------------------------------------------------------------- */

static void describe_operand(const cbi_planner *p, cbi_sum *sum, int k, int v,
                             const int64_t *shape) {
    cbi_view view;
    int base = cbi_base_value(p->graph, v, &view);
    sum->in[k] = p->plan->place[1][base];
    sum->offset[k] = view.offset;
    cbi_strides_of(p->graph, v, 3, shape, sum->stride[k]);
}

static cbi_sum sum_of(cbi_planner *p, int captured, const cbi_term *term) {
    const cbi_value *v = cbi_value_at(p, term->value);
    cbi_sum sum = {.captured = captured, .value = term->value, .place = term->place};
    if (v->kind != CBI_BATCH_PRODUCT) {
        sum.kind = CBI_SUM_ACCUMULATED;
        sum.accumulator = cbi_accumulator_of(p, term->value, cbi_view_count(&term->place));
        return sum;
    }
    sum.kind = CBI_SUM_PRODUCT;
    sum.groups = v->groups;
    sum.k = v->k;
    sum.m = v->m;
    sum.n = cbi_count_of(&v->type) / (v->groups * v->m);
    const int64_t left[3] = {v->groups, v->k, v->m}, right[3] = {v->groups, v->k, sum.n};
    describe_operand(p, &sum, 0, v->in[0], left);
    describe_operand(p, &sum, 1, v->in[1], right);
    return sum;
}

void cbi_emit_sums(cbi_planner *p) {
    cbi_plan *plan = p->plan;
    for (int i = 0; i < p->graph->captured_count; i++) {
        const cbi_captured *captured = &p->graph->captured[i];
        for (int k = 0; k < captured->term_count && !p->failed; k++)
            if (!cbi_grow(&plan->sums, &plan->sum_room, plan->sum_count + 1, sizeof(*plan->sums)))
                p->failed = true;
            else
                plan->sums[plan->sum_count++] = sum_of(p, i, &captured->terms[k]);
    }
    p->changes = plan->sum_count;
}
