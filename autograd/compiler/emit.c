/* Instructions: what computes each value, once it is known where everything lies. */
#include "autograd/compiler/call_site.h"
#include "autograd/compiler/faults.h"
#include "autograd/compiler/nest.h"
#include "autograd/compiler/plan_internal.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <string.h>

cbi_instruction *cbi_emit(cbi_planner *p, const cbi_instruction *instruction) {
    cbi_program *program = cbi_program_of(p);
    if (!cbi_grow(&program->list, &program->room, program->count + 1, sizeof(*program->list))) {
        p->failed = true;
        return NULL;
    }
    program->list[program->count] = *instruction;
    return &program->list[program->count++];
}

static int64_t element_bytes(cb_dtype dtype) {
    return (int64_t)cb_dtype_size(dtype);
}

static cbi_place place_of(const cbi_planner *p, int v) {
    return cbi_plan_place(p->plan, v, p->step);
}

/* Captured tensors that are read other than as packed matrices have to be row-major. */
static cbi_operand operand_of(cbi_planner *p, int v, int rank, const int64_t *stride) {
    cbi_operand operand = {.place = place_of(p, v)};
    int64_t size = element_bytes(cbi_value_at(p, v)->type.dtype);
    for (int i = 0; i < rank; i++)
        operand.stride[i] = stride[i] * size;
    return operand;
}

static cbi_instruction start(const cbi_planner *p, cbi_code code, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    return (cbi_instruction){.code = code,
                             .value = v,
                             .dtype = value->type.dtype,
                             .rows = value->type.rows,
                             .op = value->op,
                             .parameters = {value->parameters[0], value->parameters[1]},
                             .reduction = value->reduction,
                             .groups = value->groups,
                             .m = value->m,
                             .k = value->k};
}

/* The extents of loops, and the result's strides, dense unless said otherwise. */
static void set_loops(cbi_instruction *instruction, int rank, const int64_t *extent) {
    int64_t stride = element_bytes(instruction->dtype);
    instruction->rank = rank;
    for (int i = rank - 1; i >= 0; i--) {
        instruction->extent[i] = extent[i];
        instruction->out.stride[i] = stride;
        stride *= extent[i];
    }
}

/* ---- Each kind of value ---------------------------------------------------------------------- */

static void emit_elementwise(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    cbi_instruction instruction = start(p, CBI_RUN_ELEMENTWISE, v);
    cbi_nest nest;
    cbi_nest_of(p->graph, cbi_count_of(&value->type), value->count, value->in, &nest);
    set_loops(&instruction, nest.rank, nest.extent);
    instruction.out.place = place_of(p, v);
    instruction.count = value->count;
    for (int k = 0; k < value->count; k++)
        instruction.in[k] = operand_of(p, value->in[k], nest.rank, nest.stride[k]);
    cbi_emit(p, &instruction);
}

void cbi_emit_copy(cbi_planner *p, int v, int64_t count, cb_dtype dtype, cbi_place out) {
    const cbi_value *value = cbi_value_at(p, v);
    cbi_view view = cbi_view_run(0, count);
    bool shared = out.buffer >= 0 && p->plan->buffers[out.buffer].shared;
    cbi_instruction instruction = {
        .code = CBI_RUN_COPY, .value = v, .dtype = dtype, .rows = !shared, .count = 1};
    if (value->kind == CBI_CONSTANT)
        view.stride[0] = 0;
    else
        cbi_base_value(p->graph, v, &view);
    set_loops(&instruction, view.rank, view.shape);
    instruction.out.place = out;
    instruction.in[0] = operand_of(p, v, view.rank, view.stride);
    cbi_emit(p, &instruction);
}

/* A piece into the place that a view of the result says. */
static void emit_piece(cbi_planner *p, int concat, int k) {
    const cbi_value *value = cbi_value_at(p, concat);
    const cbi_view *place = &value->places[k];
    cbi_instruction instruction = start(p, CBI_RUN_COPY, concat);
    int64_t size = element_bytes(value->type.dtype);
    cbi_view view;
    cbi_nest nest;
    int piece = value->in[k];
    cbi_base_value(p->graph, piece, &view);
    const cbi_view *views[2] = {place, cbi_is_constant(p->graph, piece) ? NULL : &view};
    cbi_nest_of_views(cbi_view_count(place), 2, views, &nest);
    set_loops(&instruction, nest.rank, nest.extent);
    for (int i = 0; i < nest.rank; i++)
        instruction.out.stride[i] = nest.stride[0][i] * size;
    instruction.out.place = place_of(p, concat);
    instruction.out.place.offset += place->offset * size;
    instruction.count = 1;
    instruction.in[0] = operand_of(p, piece, nest.rank, nest.stride[1]);
    cbi_emit(p, &instruction);
}

static bool is_covered(const cbi_value *concat) {
    int64_t left = cbi_count_of(&concat->type);
    for (int k = 0; k < concat->count; k++)
        left -= cbi_view_count(&concat->places[k]);
    return left == 0;
}

/* Fills the runs between the pieces, which are in order; all of it where pieces are no runs. */
static void emit_fill(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    int64_t size = element_bytes(value->type.dtype), at = 0, end = cbi_count_of(&value->type);
    bool runs = true;
    for (int k = 0; k < value->count; k++)
        runs = runs && cbi_view_is_run(&value->places[k]);
    for (int k = 0; k <= value->count; k++) {
        int64_t stop = k == value->count || !runs ? end : value->places[k].offset;
        cbi_instruction instruction = start(p, CBI_RUN_COPY, v);
        int64_t count = stop - at;
        if (count > 0) {
            set_loops(&instruction, 1, &count);
            instruction.out.place = place_of(p, v);
            instruction.out.place.offset += at * size;
            cbi_emit(p, &instruction); /* without an operand: parameters[0] */
        }
        if (k == value->count || !runs)
            return;
        at = value->places[k].offset + value->places[k].shape[0];
    }
}

static void emit_concat(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    int64_t size = element_bytes(value->type.dtype);
    if (!is_covered(value))
        emit_fill(p, v);
    for (int k = 0; k < value->count; k++) {
        cbi_place there = place_of(p, v), here = place_of(p, value->in[k]);
        there.offset += value->places[k].offset * size;
        bool lies_there = cbi_value_at(p, value->in[k])->kind != CBI_VIEW &&
                          cbi_view_is_run(&value->places[k]) && cbi_same_place(here, there);
        if (CBI_FAULT(CBI_FAULT_NARROW_CONSTANT) && cbi_is_constant(p->graph, value->in[k]))
            cbi_emit_copy(p, value->in[k], 1, value->type.dtype, there);
        else if (!lies_there)
            emit_piece(p, v, k);
    }
}

static void emit_reduction(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    cbi_instruction instruction = start(p, CBI_RUN_REDUCE, v);
    const int64_t shape[3] = {value->outer, value->n, value->inner};
    const int64_t stride[3] = {value->n * value->inner, value->inner, 1};
    set_loops(&instruction, 3, shape);
    instruction.out.place = place_of(p, v);
    instruction.count = 1;
    instruction.in[0] = operand_of(p, value->in[0], 3, stride);
    cbi_emit(p, &instruction);
}

static void emit_contraction(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    cbi_instruction instruction = start(p, CBI_RUN_CONTRACT, v);
    int64_t strides[3];
    instruction.n = cbi_count_of(&value->type) / (value->groups * value->m);
    const int64_t left[3] = {value->groups, value->m, value->k};
    const int64_t right[3] = {value->groups, value->k, instruction.n};
    const int64_t result[3] = {value->groups, value->m, instruction.n};
    set_loops(&instruction, 3, result);
    instruction.out.place = place_of(p, v);
    instruction.count = 2;
    cbi_strides_of(p->graph, value->in[0], 3, left, strides);
    instruction.in[0] = operand_of(p, value->in[0], 3, strides);
    cbi_strides_of(p->graph, value->in[1], 3, right, strides);
    instruction.in[1] = operand_of(p, value->in[1], 3, strides);
    cbi_emit(p, &instruction);
}

/* ---- Products -------------------------------------------------------------------------------- */

static bool same_weights(const cbi_value *a, const cbi_value *b) {
    bool same = a->groups == b->groups && a->k == b->k && a->weights.count == b->weights.count &&
                a->weights.across == b->weights.across;
    for (int i = 0; same && i < a->weights.count; i++)
        same = cbi_weight_equal(&a->weights.blocks[i], &b->weights.blocks[i]);
    return same;
}

/* The number of a product's weights; the same for products with the same matrices. */
static int weights_of(cbi_planner *p, int v) {
    cbi_plan *plan = p->plan;
    const cbi_value *product = cbi_value_at(p, v);
    for (int i = 0; i < plan->weights_count; i++)
        if (plan->weights[i].backward == (p->step == 1) &&
            same_weights(cbi_value_at(p, plan->weights[i].value), product))
            return i;
    if (!cbi_grow(&plan->weights, &plan->weights_room, plan->weights_count + 1,
                  sizeof(*plan->weights))) {
        p->failed = true;
        return 0;
    }
    plan->weights[plan->weights_count] =
        (cbi_weights){v, p->step == 1, product->groups, product->k,
                      cbi_count_of(&product->type) / (product->groups * product->m)};
    return plan->weights_count++;
}

/* Whether an operand is what was packed last, with nothing but products since. Not only its place
   counts: a slice of it begins there, too. */
static bool is_packed(cbi_planner *p, const cbi_instruction *pack) {
    const cbi_program *program = cbi_program_of(p);
    int at = program->count - 1;
    while (at >= 0 && program->list[at].code == CBI_RUN_PRODUCT)
        at--;
    if (at < 0 || program->list[at].code != CBI_RUN_PACK)
        return false;
    const cbi_instruction *last = &program->list[at];
    if (CBI_FAULT(CBI_FAULT_PACKED_PLACE))
        return cbi_same_place(last->in[0].place, pack->in[0].place);
    return cbi_same_place(last->in[0].place, pack->in[0].place) && last->groups == pack->groups &&
           last->m == pack->m && last->k == pack->k && last->tall == pack->tall &&
           memcmp(last->in[0].stride, pack->in[0].stride, sizeof(int64_t) * 3) == 0;
}

/* Whether m rows of each row of the batch lie evenly one after the other. */
static bool is_tall(const cbi_planner *p, const cbi_instruction *product) {
    cbi_place in = product->in[0].place, out = product->out.place;
    return product->groups == 1 && product->m > 1 && in.buffer >= 0 && out.buffer >= 0 &&
           p->plan->buffers[in.buffer].bytes == product->m * product->in[0].stride[1] &&
           p->plan->buffers[out.buffer].bytes == product->m * product->out.stride[1];
}

static void emit_product(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    const int64_t shape[3] = {value->groups, value->m, value->k};
    int64_t strides[3];
    cbi_instruction product = start(p, CBI_RUN_PRODUCT, v);
    product.weights = weights_of(p, v);
    product.n = cbi_count_of(&value->type) / (value->groups * value->m);
    const int64_t result[3] = {value->groups, value->m, product.n};
    set_loops(&product, 3, result);
    product.out.place = place_of(p, v);
    product.count = 1;
    cbi_strides_of(p->graph, value->in[0], 3, shape, strides);
    product.in[0] = operand_of(p, value->in[0], 3, strides);
    product.tall = is_tall(p, &product);
    cbi_instruction pack = product;
    pack.code = CBI_RUN_PACK;
    pack.value = value->in[0];
    pack.out.place = (cbi_place){.buffer = CBI_UNPLACED};
    if (!is_packed(p, &pack))
        cbi_emit(p, &pack);
    cbi_emit(p, &product);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void emit_call(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    cbi_instruction instruction = start(p, CBI_RUN_CALL, v);
    static const int64_t one = 1;
    cbi_operand *operands = cbi_graph_allocate((cbi_graph *)(uintptr_t)p->graph,
                                               sizeof(*operands) * (size_t)(value->count + 1));
    if (operands == NULL) {
        p->failed = true;
        return;
    }
    for (int k = 0; k < value->count; k++)
        operands[k] = operand_of(p, value->in[k], 1, &one);
    int64_t count = cbi_count_of(&value->type);
    set_loops(&instruction, 1, &count);
    instruction.out.place = place_of(p, v);
    instruction.count = value->count;
    instruction.operands = operands;
    cbi_emit(p, &instruction);
}

int cbi_accumulator_of(cbi_planner *p, int v, int64_t count) {
    cbi_plan *plan = p->plan;
    const cbi_value *value = cbi_value_at(p, v);
    if (p->accumulator[v] > 0)
        return p->accumulator[v] - 1;
    if (!cbi_grow(&plan->accumulators, &plan->accumulator_room, plan->accumulator_count + 1,
                  sizeof(*plan->accumulators))) {
        p->failed = true;
        return 0;
    }
    plan->accumulators[plan->accumulator_count] =
        (cbi_accumulator){value->type.dtype, count, value->kind == CBI_BATCH_SUM};
    p->accumulator[v] = ++plan->accumulator_count;
    return plan->accumulator_count - 1;
}

void cbi_emit_accumulation(cbi_planner *p, int v, int64_t count) {
    const cbi_value *value = cbi_value_at(p, v);
    bool rows = value->kind == CBI_BATCH_SUM;
    int from = rows ? value->in[0] : v;
    cbi_view view = cbi_view_run(0, count);
    cbi_instruction instruction = start(p, CBI_RUN_ACCUMULATE, v);
    if (cbi_is_constant(p->graph, from))
        view.stride[0] = 0;
    else
        cbi_base_value(p->graph, from, &view);
    instruction.rows = rows;
    instruction.op = &cb_add_op;
    set_loops(&instruction, view.rank, view.shape);
    instruction.out.place =
        (cbi_place){.buffer = CBI_ACCUMULATOR, .name = cbi_accumulator_of(p, v, count)};
    instruction.count = 2;
    instruction.in[0] = instruction.out;
    instruction.in[1] = operand_of(p, from, view.rank, view.stride);
    cbi_emit(p, &instruction);
}

void cbi_emit_value(cbi_planner *p, int v) {
    const cbi_value *value = cbi_value_at(p, v);
    switch (value->kind) {
    case CBI_ELEMENTWISE:
        emit_elementwise(p, v);
        break;
    case CBI_COPY:
        cbi_emit_copy(p, value->in[0], cbi_count_of(&value->type), value->type.dtype,
                      place_of(p, v));
        break;
    case CBI_CONCAT:
        emit_concat(p, v);
        break;
    case CBI_REDUCE:
        emit_reduction(p, v);
        break;
    case CBI_CONTRACT:
        emit_contraction(p, v);
        break;
    case CBI_PRODUCT:
        emit_product(p, v);
        break;
    case CBI_CALL:
        emit_call(p, v);
        break;
    case CBI_BATCH_SUM:
        cbi_emit_accumulation(p, v, cbi_count_of(&value->type));
        return;
    default:
        return;
    }
}
