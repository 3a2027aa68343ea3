/* Instructions run in thought: each must compute what the graph says that its value is, from
   operands that hold the elements of that value's inputs. */
#include "autograd/compiler/verify_internal.h"

#include <cerebra/ops.h>
#include <string.h>

/* ---- Loops over elements --------------------------------------------------------------------- */

static int64_t loop_count(const cbi_instruction *instruction) {
    int64_t count = 1;
    for (int i = 0; i < instruction->rank; i++)
        count *= instruction->extent[i];
    return count;
}

static const cbi_operand *operand_at(const cbi_instruction *instruction, int k) {
    return instruction->operands != NULL ? &instruction->operands[k] : &instruction->in[k];
}

/* The bytes that an array spans, from where its first element begins to where its last one ends. */
static void span_of(int rank, const int64_t *extent, const int64_t *stride, int64_t size,
                    int64_t *begin, int64_t *end) {
    *begin = 0;
    *end = size;
    for (int i = 0; i < rank; i++)
        *(stride[i] < 0 ? begin : end) += (extent[i] - 1) * stride[i];
}

bool cbi_source_of(cbi_plan_verifier *v, const cbi_operand *operand, int rank,
                   const int64_t *extent, cb_dtype dtype, bool written, cbi_source *source) {
    int64_t begin, end;
    span_of(rank, extent, operand->stride, (int64_t)cb_dtype_size(dtype), &begin, &end);
    if (cbi_array_count(rank, extent) == 0)
        begin = end = 0;
    return cbi_find_source(v, operand->place, begin, end, dtype, written, source);
}

static bool reads_rows(const cbi_plan_verifier *v, const cbi_operand *operand) {
    int b = operand->place.buffer;
    return b == CBI_REGISTER || (b >= 0 && !v->plan->buffers[b].shared);
}

static bool differs(cbi_plan_verifier *v, int k, int value, int64_t e, cbi_symbol read,
                    cbi_symbol expected) {
    return cbi_plan_wrong(v,
                          "operand %d, element %lld of value %d, is element %lld of value %d of "
                          "step %d and should be element %lld of value %d of step %d",
                          k, (long long)e, value, (long long)cbi_symbol_element(read),
                          cbi_symbol_value(read), cbi_symbol_step(read),
                          (long long)cbi_symbol_element(expected), cbi_symbol_value(expected),
                          cbi_symbol_step(expected));
}

/* Compares an operand's elements, as an array of this shape, with those of a value of the graph. */
static bool check_operand(cbi_plan_verifier *v, const cbi_instruction *instruction, int k,
                          int value, int rank, const int64_t *extent) {
    const cbi_operand *operand = operand_at(instruction, k);
    cb_dtype dtype = v->graph->values[value].type.dtype;
    int64_t count = cbi_array_count(rank, extent), size = (int64_t)cb_dtype_size(dtype);
    cbi_walk w = cbi_walk_of(rank, extent, operand->stride);
    cbi_source source;
    if (!instruction->rows && instruction->code != CBI_RUN_CALL && reads_rows(v, operand))
        return cbi_plan_wrong(v, "once for all rows, operand %d is read of each row", k);
    if (!cbi_source_of(v, operand, rank, extent, dtype, false, &source))
        return false;
    for (int64_t e = 0; e < count; e++, cbi_advance(&w)) {
        cbi_symbol read = cbi_read_symbol(&source, w.offset, size);
        cbi_symbol expected = cbi_symbol_of(v, value, e, v->step);
        if (read != expected)
            return differs(v, k, value, e, read, expected);
    }
    return true;
}

/* ---- Results --------------------------------------------------------------------------------- */

/* An array at an operand's place: how far its elements reach. */
typedef struct reach {
    cbi_place place;
    int64_t begin, end; /* bytes of a row; nothing where they are the same */
} reach;

static reach reach_of(const cbi_plan_verifier *v, const cbi_operand *operand, int rank,
                      const int64_t *extent, int64_t size) {
    reach r = {.place = cbi_verified_home(v, operand->place)};
    span_of(rank, extent, operand->stride, size, &r.begin, &r.end);
    r.begin += r.place.offset;
    r.end = cbi_array_count(rank, extent) > 0 ? r.end + r.place.offset : r.begin;
    return r;
}

static bool meet(const reach *a, const reach *b) {
    return a->place.buffer == b->place.buffer && a->place.later == b->place.later &&
           a->begin < b->end && b->begin < a->end;
}

/* What reads an operand again after it has written parts of its result must write elsewhere. */
static bool check_apart(cbi_plan_verifier *v, const cbi_instruction *instruction, const reach *out,
                        int k, int rank, const int64_t *extent) {
    const cbi_operand *operand = operand_at(instruction, k);
    cb_dtype dtype = v->graph->values[v->graph->values[instruction->value].in[k]].type.dtype;
    reach in = reach_of(v, operand, rank, extent, (int64_t)cb_dtype_size(dtype));
    return !meet(&in, out) || cbi_plan_wrong(v, "the result lies over operand %d", k);
}

/* How far a result reaches whose loops are over its own elements. */
static reach result_of(const cbi_plan_verifier *v, const cbi_instruction *instruction) {
    return reach_of(v, &instruction->out, instruction->rank, instruction->extent,
                    (int64_t)cb_dtype_size(instruction->dtype));
}

/* Of an elementwise instruction a result may lie where an operand does only if each element is
   where that of the operand was. */
static bool check_overlap(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    const cbi_operand *out = &instruction->out;
    int64_t size = (int64_t)cb_dtype_size(instruction->dtype);
    int rank = instruction->rank;
    reach to = result_of(v, instruction);
    for (int k = 0; k < instruction->count; k++) {
        const cbi_operand *in = operand_at(instruction, k);
        reach from = reach_of(v, in, rank, instruction->extent, size);
        if (!meet(&from, &to))
            continue;
        bool same = from.place.offset == to.place.offset &&
                    memcmp(in->stride, out->stride, sizeof(int64_t) * (size_t)rank) == 0;
        if (!same || instruction->code != CBI_RUN_ELEMENTWISE)
            return cbi_plan_wrong(v, "the result lies over operand %d", k);
    }
    return true;
}

/* Each row writes its own result; what all rows share is written once. */
static bool check_result_place(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    int b = instruction->out.place.buffer;
    bool shared = b >= 0 && b < v->plan->buffer_count && v->plan->buffers[b].shared;
    if (b != CBI_REGISTER && (b < 0 || b >= v->plan->buffer_count))
        return cbi_plan_wrong(v, "a result that has no place");
    if (instruction->rows == shared)
        return cbi_plan_wrong(v, instruction->rows
                                     ? "a result for each row where all rows share one"
                                     : "a result that all rows share in the place of a row's");
    return true;
}

/* Writes the elements of the value that an instruction computes. */
static bool write_value(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    cbi_walk w = cbi_walk_of(instruction->rank, instruction->extent, instruction->out.stride);
    int64_t count = loop_count(instruction), size = (int64_t)cb_dtype_size(instruction->dtype);
    cbi_source to;
    if (!check_result_place(v, instruction) ||
        !cbi_source_of(v, &instruction->out, instruction->rank, instruction->extent,
                       instruction->dtype, true, &to))
        return false;
    for (int64_t e = 0; e < count; e++, cbi_advance(&w))
        cbi_write_symbol(&to, w.offset, size, cbi_symbol_of(v, instruction->value, e, v->step));
    return true;
}

/* ---- Each kind of instruction ---------------------------------------------------------------- */

/* Kernels go along the last loop of operands that are single elements or runs. */
static bool check_runs(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    int64_t size = (int64_t)cb_dtype_size(instruction->dtype);
    int last = instruction->rank - 1;
    for (int k = -1; k < instruction->count; k++) {
        const cbi_operand *operand = k < 0 ? &instruction->out : operand_at(instruction, k);
        int64_t stride = operand->stride[last];
        if (instruction->extent[last] > 1 && stride != size && (stride != 0 || k < 0))
            return cbi_plan_wrong(v, "operand %d has no runs", k);
    }
    return true;
}

/* The gradient given for the output at the step is added to that from the step after it. */
static bool add_given(cbi_plan_verifier *v, const cbi_instruction *add) {
    int64_t count = loop_count(add), size = (int64_t)cb_dtype_size(add->dtype);
    cbi_place place = {.buffer = v->plan->gradient_buffer[0], .later = 1};
    if (add->op != &cb_add_op || !cbi_same_place(add->out.place, place) ||
        !cbi_same_place(add->in[0].place, place) ||
        count != cbi_count_of(&v->graph->outputs[0].type))
        return cbi_plan_wrong(v, "no addition of the gradient that is given");
    cbi_source to, given;
    if (!cbi_source_of(v, &add->out, 1, &count, add->dtype, true, &to) ||
        !cbi_source_of(v, &add->in[1], 1, &count, add->dtype, false, &given))
        return false;
    for (int64_t e = 0; e < count; e++) {
        if (cbi_read_symbol(&to, e * size, size) != cbi_incoming_symbol(v, 0, e, v->step) ||
            cbi_read_symbol(&given, e * size, size) != cbi_symbol_new(CBI_GIVEN, v->step, e))
            return cbi_plan_wrong(v, "the gradient of the output is added to something else");
        cbi_write_symbol(&to, e * size, size,
                         cbi_symbol_new(CBI_FIRST_VALUE + v->cotangents[0], v->step, e));
    }
    return true;
}

static bool run_elementwise(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    if (instruction->value < 0)
        return add_given(v, instruction);
    const cbi_value *value = &v->graph->values[instruction->value];
    if (value->kind != CBI_ELEMENTWISE || value->op != instruction->op ||
        value->type.dtype != instruction->dtype || value->count != instruction->count ||
        memcmp(value->parameters, instruction->parameters, sizeof(value->parameters)) != 0 ||
        loop_count(instruction) != cbi_count_of(&value->type))
        return cbi_plan_wrong(v, "another operation than that of value %d", instruction->value);
    for (int k = 0; k < value->count; k++)
        if (!check_operand(v, instruction, k, value->in[k], instruction->rank, instruction->extent))
            return false;
    return check_runs(v, instruction) && check_overlap(v, instruction) &&
           write_value(v, instruction);
}

/* Copies move what is there, whatever it is for. */
static bool run_copy(cbi_plan_verifier *v, const cbi_instruction *copy) {
    cbi_walk to = cbi_walk_of(copy->rank, copy->extent, copy->out.stride);
    cbi_walk from = cbi_walk_of(copy->rank, copy->extent, copy->in[0].stride);
    int64_t count = loop_count(copy), size = (int64_t)cb_dtype_size(copy->dtype);
    cbi_source source = {.first = cbi_number_symbol(v, copy->dtype, copy->parameters[0]),
                         .single = true};
    cbi_source target;
    if (!check_overlap(v, copy) || !check_result_place(v, copy))
        return false;
    if (!copy->rows && copy->count > 0 && reads_rows(v, &copy->in[0]))
        return cbi_plan_wrong(v, "once for all rows, a row is copied");
    if (!cbi_source_of(v, &copy->out, copy->rank, copy->extent, copy->dtype, true, &target) ||
        (copy->count > 0 &&
         !cbi_source_of(v, &copy->in[0], copy->rank, copy->extent, copy->dtype, false, &source)))
        return false;
    for (int64_t e = 0; e < count; e++, cbi_advance(&to), cbi_advance(&from))
        cbi_write_symbol(&target, to.offset, size, cbi_read_symbol(&source, from.offset, size));
    return true;
}

static bool run_reduction(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    const cbi_value *value = &v->graph->values[instruction->value];
    const int64_t shape[3] = {value->outer, value->n, value->inner};
    cbi_instruction result = *instruction;
    if (value->kind != CBI_REDUCE || value->reduction != instruction->reduction ||
        memcmp(shape, instruction->extent, sizeof(shape)) != 0)
        return cbi_plan_wrong(v, "another reduction than that of value %d", instruction->value);
    int64_t size = (int64_t)cb_dtype_size(instruction->dtype);
    int64_t dense[3] = {value->n * value->inner * size, value->inner * size, size};
    if (memcmp(dense, instruction->in[0].stride, sizeof(dense)) != 0)
        return cbi_plan_wrong(v, "a reduction of elements that are not in order");
    if (!check_operand(v, instruction, 0, value->in[0], 3, shape))
        return false;
    result.extent[0] = value->outer;
    result.extent[1] = value->inner;
    result.rank = 2;
    result.out.stride[0] = value->inner * size;
    result.out.stride[1] = size;
    reach out = reach_of(v, &result.out, 2, result.extent, size);
    return check_apart(v, instruction, &out, 0, 3, shape) && write_value(v, &result);
}

static bool run_contraction(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    const cbi_value *value = &v->graph->values[instruction->value];
    const int64_t left[3] = {value->groups, value->m, value->k};
    const int64_t right[3] = {value->groups, value->k, instruction->n};
    if (value->kind != CBI_CONTRACT || value->groups != instruction->groups ||
        value->m != instruction->m || value->k != instruction->k ||
        value->groups * value->m * instruction->n != cbi_count_of(&value->type))
        return cbi_plan_wrong(v, "another contraction than that of value %d", instruction->value);
    reach out = result_of(v, instruction);
    return check_operand(v, instruction, 0, value->in[0], 3, left) &&
           check_operand(v, instruction, 1, value->in[1], 3, right) &&
           check_apart(v, instruction, &out, 0, 3, left) &&
           check_apart(v, instruction, &out, 1, 3, right) && write_value(v, instruction);
}

/* ---- Products -------------------------------------------------------------------------------- */

static bool pack(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    const int64_t shape[3] = {instruction->groups, instruction->m, instruction->k};
    cbi_walk w = cbi_walk_of(3, shape, instruction->in[0].stride);
    int64_t count = cbi_array_count(3, shape), size = (int64_t)cb_dtype_size(instruction->dtype);
    cbi_source source;
    if (!cbi_source_of(v, &instruction->in[0], 3, shape, instruction->dtype, false, &source))
        return false;
    v->packed = cbi_verifier_memory(v, sizeof(cbi_symbol) * (size_t)count);
    v->packed_count = count;
    for (int64_t e = 0; e < count && !v->failed; e++, cbi_advance(&w))
        v->packed[e] = cbi_read_symbol(&source, w.offset, size);
    return !v->failed;
}

static bool same_grid(const cbi_grid *a, const cbi_grid *b) {
    bool same = a->count == b->count && a->across == b->across;
    for (int i = 0; same && i < a->count; i++)
        same = cbi_weight_equal(&a->blocks[i], &b->blocks[i]);
    return same;
}

/* Rows of rows that are taken as one matrix must lie evenly. */
static bool check_tall(cbi_plan_verifier *v, const cbi_instruction *product) {
    bool even =
        product->groups == 1 && product->in[0].place.buffer >= 0 &&
        product->out.place.buffer >= 0 &&
        cbi_verified_row_bytes(v, product->in[0].place) == product->m * product->in[0].stride[1] &&
        cbi_verified_row_bytes(v, product->out.place) == product->m * product->out.stride[1];
    return !product->tall || even || cbi_plan_wrong(v, "rows that do not lie evenly as one matrix");
}

bool cbi_is_looked_up_place(const cbi_plan_verifier *v, cbi_place place) {
    return v->plan->looked_up && place.buffer >= 0 &&
           v->plan->buffers[place.buffer].span == CBI_GIVEN_ROWS;
}

static bool run_product(cbi_plan_verifier *v, const cbi_instruction *product) {
    const cbi_value *value = &v->graph->values[product->value];
    const int64_t shape[3] = {value->groups, value->m, value->k};
    const cbi_weights *weights = &v->plan->weights[product->weights];
    int64_t count = cbi_array_count(3, shape);
    if (value->kind != CBI_PRODUCT || weights->backward != v->backward ||
        weights->groups != value->groups || weights->depth != value->k ||
        weights->columns != product->n || product->groups != value->groups ||
        product->m != value->m || product->k != value->k ||
        !same_grid(&v->graph->values[weights->value].weights, &value->weights))
        return cbi_plan_wrong(v, "another product than that of value %d", product->value);
    if (v->packed == NULL || v->packed_count != count)
        return cbi_plan_wrong(v, "the left operand is not packed");
    for (int64_t e = 0; e < count; e++)
        if (v->packed[e] != cbi_symbol_of(v, value->in[0], e, v->step))
            return cbi_plan_wrong(v, "what is packed is not the left operand, element %lld",
                                  (long long)e);
    if (cbi_is_looked_up_place(v, product->in[0].place))
        return cbi_plan_wrong(v, "a product of rows that are anywhere in a table");
    /* Where nothing is packed, it is read where it lies. */
    reach out = result_of(v, product);
    return check_operand(v, product, 0, value->in[0], 3, shape) && check_tall(v, product) &&
           check_apart(v, product, &out, 0, 3, shape) && write_value(v, product);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool accumulate(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    const cbi_value *value = &v->graph->values[instruction->value];
    bool of_rows = value->kind == CBI_BATCH_SUM;
    const cbi_place *place = &instruction->out.place;
    if (place->buffer != CBI_ACCUMULATOR || place->offset != 0 ||
        place->name >= v->plan->accumulator_count || instruction->rows != of_rows ||
        v->plan->accumulators[place->name].count != loop_count(instruction) ||
        v->plan->accumulators[place->name].dtype != instruction->dtype ||
        v->plan->accumulators[place->name].rows != of_rows)
        return cbi_plan_wrong(v, "a sum of something else than value %d", instruction->value);
    v->added[place->name]++;
    return check_runs(v, instruction) &&
           check_operand(v, instruction, 1, of_rows ? value->in[0] : instruction->value,
                         instruction->rank, instruction->extent);
}

static bool run_call(cbi_plan_verifier *v, const cbi_instruction *call) {
    const cbi_value *value = &v->graph->values[call->value];
    if (value->kind != CBI_CALL || call->count != value->count)
        return cbi_plan_wrong(v, "another op than that of value %d", call->value);
    reach out = result_of(v, call);
    for (int k = 0; k < value->count; k++) {
        int64_t count = cbi_graph_count(v->graph, value->in[k]);
        if (cbi_is_looked_up_place(v, operand_at(call, k)->place))
            return cbi_plan_wrong(v, "an op on rows that are anywhere in a table");
        if (!check_operand(v, call, k, value->in[k], 1, &count) ||
            !check_apart(v, call, &out, k, 1, &count))
            return false;
    }
    return write_value(v, call);
}

bool cbi_verify_instruction(cbi_plan_verifier *v, const cbi_instruction *instruction) {
    switch (instruction->code) {
    case CBI_RUN_ELEMENTWISE:
        return run_elementwise(v, instruction);
    case CBI_RUN_COPY:
        return run_copy(v, instruction);
    case CBI_RUN_REDUCE:
        return run_reduction(v, instruction);
    case CBI_RUN_CONTRACT:
        return run_contraction(v, instruction);
    case CBI_RUN_ACCUMULATE:
        return accumulate(v, instruction);
    case CBI_RUN_PACK:
        return pack(v, instruction);
    case CBI_RUN_PRODUCT:
        return run_product(v, instruction);
    case CBI_RUN_CALL:
        return run_call(v, instruction);
    }
    return cbi_plan_wrong(v, "no instruction");
}
