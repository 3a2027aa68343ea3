/* Instructions: what computes each value, once it is known where everything lies. Instructions read
   operands of their own width; a constant, or a single column, is spread over a register first. */
#include "autograd/scan/plan_internal.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <string.h>

static void emit(cbi_planner *p, cbi_instruction instruction) {
    cbi_program *program = cbi_program_of(p);
    if (program->count == program->room) {
        int room = program->room == 0 ? 64 : 2 * program->room;
        cbi_instruction *list = cbi_allocate(sizeof(*list) * (size_t)room);
        if (list == NULL) {
            p->failed = true;
            return;
        }
        if (program->count > 0)
            memcpy(list, program->list, sizeof(*list) * (size_t)program->count);
        cbi_free(program->list);
        program->list = list;
        program->room = room;
    }
    program->list[program->count++] = instruction;
}

/* Registers that hold no value of the graph are numbered after the values. */
static cbi_place temporary(cbi_planner *p) {
    return (cbi_place){CBI_REGISTER, 0, p->graph->value_count + cbi_program_of(p)->count, 0};
}

/* An operand of the given width. A single column, or a constant, is spread over a register first.
 */
static cbi_place operand(cbi_planner *p, int v, int64_t columns) {
    const cbi_value *value = cbi_value_of(p, v);
    cbi_place place = cbi_plan_place(p->plan, v, p->pass);
    bool constant = value->kind == CBI_CONSTANT;
    if (!constant && value->columns == columns)
        return place;
    cbi_place spread = temporary(p);
    cbi_instruction instruction = {.code = CBI_RUN_SPREAD,
                                   .value = v,
                                   .columns = columns,
                                   .out = spread,
                                   .count = constant ? 0 : 1,
                                   .in = {place},
                                   .parameters = {value->parameters[0]}};
    emit(p, instruction);
    return spread;
}

static void emit_copy(cbi_planner *p, int v, int64_t columns, cbi_place out) {
    const cbi_value *value = cbi_value_of(p, v);
    cbi_place in = cbi_plan_place(p->plan, v, p->pass);
    bool spread = value->kind == CBI_CONSTANT || value->columns != columns;
    emit(p, (cbi_instruction){.code = spread ? CBI_RUN_SPREAD : CBI_RUN_KERNEL,
                              .value = v,
                              .columns = columns,
                              .out = out,
                              .count = value->kind == CBI_CONSTANT ? 0 : 1,
                              .in = {in},
                              .parameters = {spread ? value->parameters[0] : 1},
                              .op = &cb_scale_op});
}

static void emit_join(cbi_planner *p, int v) {
    cbi_place at = p->plan->place[p->pass][v];
    for (int k = 0; k < cbi_value_of(p, v)->count; k++) {
        int piece = cbi_value_of(p, v)->in[k];
        if (!cbi_same_place(cbi_plan_place(p->plan, piece, p->pass), at))
            emit_copy(p, piece, cbi_value_of(p, piece)->columns, at);
        at.column += cbi_value_of(p, piece)->columns;
    }
}

/* The number of a product's weights; the same for products with the same matrices. */
static int weights_of(cbi_planner *p, int v) {
    cbi_plan *plan = p->plan;
    const cbi_value *product = cbi_value_of(p, v);
    for (int i = 0; i < plan->weights_count; i++) {
        const cbi_value *other = cbi_value_of(p, plan->weights[i].value);
        if (plan->weights[i].backward == (p->pass == 1) && other->count == product->count &&
            other->across == product->across &&
            memcmp(other->in + 1, product->in + 1, sizeof(int) * (size_t)(product->count - 1)) == 0)
            return i;
    }
    cbi_weights *weights = cbi_allocate(sizeof(*weights) * (size_t)(plan->weights_count + 1));
    if (weights == NULL) {
        p->failed = true;
        return 0;
    }
    if (plan->weights_count > 0)
        memcpy(weights, plan->weights, sizeof(*weights) * (size_t)plan->weights_count);
    cbi_free(plan->weights);
    plan->weights = weights;
    weights[plan->weights_count] =
        (cbi_weights){v, p->pass == 1, cbi_value_of(p, product->in[0])->columns, product->columns};
    return plan->weights_count++;
}

void cbi_emit_value(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_of(p, v);
    cbi_instruction instruction = {.value = v,
                                   .columns = value->columns,
                                   .out = p->plan->place[p->pass][v],
                                   .op = value->op,
                                   .parameters = {value->parameters[0], value->parameters[1]}};
    switch (value->kind) {
    case CBI_PRODUCT:
        instruction.code = CBI_RUN_PRODUCT;
        instruction.count = 1;
        instruction.in[0] = cbi_plan_place(p->plan, value->in[0], p->pass);
        instruction.depth = cbi_value_of(p, value->in[0])->columns;
        instruction.weights = weights_of(p, v);
        break;
    case CBI_ELEMENTWISE:
        instruction.code = CBI_RUN_KERNEL;
        instruction.count = value->count;
        for (int k = 0; k < value->count; k++)
            instruction.in[k] = operand(p, value->in[k], value->columns);
        break;
    case CBI_ROW_SUM:
    case CBI_ROW_MAX:
    case CBI_ROW_MIN:
        instruction.code = value->kind == CBI_ROW_SUM   ? CBI_RUN_SUM
                           : value->kind == CBI_ROW_MAX ? CBI_RUN_MAX
                                                        : CBI_RUN_MIN;
        instruction.count = 1;
        instruction.columns = cbi_value_of(p, value->in[0])->columns;
        instruction.in[0] = operand(p, value->in[0], instruction.columns);
        break;
    case CBI_IMPORT: /* copied */
        instruction.code = CBI_RUN_KERNEL;
        instruction.op = &cb_scale_op;
        instruction.count = 1;
        instruction.parameters[0] = 1;
        instruction.in[0] = cbi_given_place(p, v);
        break;
    case CBI_CONSTANT:
        instruction.code = CBI_RUN_SPREAD;
        break;
    case CBI_SEED: /* what comes from the step after, and for state 0 from outside */
        instruction.code = CBI_RUN_KERNEL;
        instruction.op = value->index == 0 ? &cb_add_op : &cb_scale_op;
        instruction.count = value->index == 0 ? 2 : 1;
        instruction.parameters[0] = 1;
        instruction.in[0] = (cbi_place){p->plan->gradient_buffer[value->index], 1, 0, 0};
        instruction.in[1] = (cbi_place){p->plan->given_buffer, 1, 0, 0};
        /* It may lie where it is given, or be a piece of a join, or stay. */
        if (value->index != 0 && cbi_same_place(instruction.out, instruction.in[0]))
            return;
        break;
    case CBI_JOIN:
        emit_join(p, v);
        return;
    default:
        return;
    }
    emit(p, instruction);
}

/* What a pass must leave behind where its values do not lie there already. */
void cbi_emit_results(cbi_planner *p) {
    const cbi_graph *graph = p->graph;
    for (int i = 0; i < graph->state_count; i++) {
        int v = p->pass == 0 ? graph->next[i] : graph->state_gradient[i];
        cbi_place out = {p->pass == 0 ? p->plan->state_buffer[i] : p->plan->gradient_buffer[i],
                         p->pass == 0, 0, 0};
        if (v < 0)
            emit(p, (cbi_instruction){.code = CBI_RUN_SPREAD,
                                      .value = -1,
                                      .columns = graph->state_size[i],
                                      .out = out});
        else if (!cbi_same_place(cbi_plan_place(p->plan, v, p->pass), out))
            emit_copy(p, v, graph->state_size[i], out);
    }
}
