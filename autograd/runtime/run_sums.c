/* The gradients of what is captured, formed after the loop: each part by one product over all rows
   of all steps, or from what was added up in the loop. */
#include "autograd/compiler/nest.h"
#include "autograd/runtime/run_internal.h"
#include "tensor/kernels.h"

#include <cerebra/ops.h>
#include <string.h>

/* An operand over all steps, in the order of time: its first element, and the distance between rows
   in elements. */
typedef struct rows {
    char *data;
    int64_t row;
} rows;

static cb_dtype dtype_of(const cbi_run *run, const cbi_sum *sum) {
    return run->plan->graph->values[sum->value].type.dtype;
}

static rows over_time(const cbi_run *run, const cbi_sum *sum, int k) {
    int64_t size = (int64_t)cb_dtype_size(dtype_of(run, sum));
    char *data = cbi_buffer_at(run, sum->in[k], run->reverse ? run->steps - 1 : 0);
    return (rows){data + sum->offset[k] * size, cbi_row_bytes(run, sum->in[k]) / size};
}

/* A part of a tensor that a view of its elements goes through, as one of its own. False when it is
   none. */
static bool part_of(const cb_tensor *whole, const cbi_view *place, cb_tensor *part) {
    cbi_view through;
    if (!cbi_view_through(place, whole->rank, whole->shape, 0, whole->stride, &through))
        return false;
    *part = (cb_tensor){.dtype = whole->dtype, .rank = through.rank};
    part->data = (char *)whole->data + through.offset * (int64_t)cb_dtype_size(whole->dtype);
    memcpy(part->shape, through.shape, sizeof(part->shape));
    memcpy(part->stride, through.stride, sizeof(part->stride));
    return true;
}

/* ---- Products -------------------------------------------------------------------------------- */

/* Group g of a product into memory with these strides of its rows and columns. */
static void multiply(const cbi_run *run, const cbi_sum *sum, int64_t g, bool add, cbi_matrix out) {
    rows a = over_time(run, sum, 0), b = over_time(run, sum, 1);
    cb_dtype dtype = dtype_of(run, sum);
    int64_t size = (int64_t)cb_dtype_size(dtype);
    for (int64_t i = 0; i < sum->k; i++) {
        char *left = a.data + (g * sum->stride[0][0] + i * sum->stride[0][1]) * size;
        char *right = b.data + (g * sum->stride[1][0] + i * sum->stride[1][1]) * size;
        cbi_gemm(dtype, sum->m, sum->n, run->steps * run->rows,
                 (cbi_matrix){left, sum->stride[0][2], a.row},
                 (cbi_matrix){right, b.row, sum->stride[1][2]}, add || i > 0, out);
    }
}

/* The place of a product in the captured tensor as [groups, m, n]; false when it is none. */
static bool place_of_product(const cbi_sum *sum, const cb_tensor *target, cb_tensor *place) {
    cb_tensor part;
    const int64_t shape[3] = {sum->groups, sum->m, sum->n};
    cbi_view view = {.offset = 0};
    if (!part_of(target, &sum->place, &part))
        return false;
    *place = (cb_tensor){.dtype = part.dtype, .rank = 3, .data = part.data};
    memcpy(place->shape, shape, sizeof(shape));
    view.rank = part.rank;
    memcpy(view.shape, part.shape, sizeof(view.shape));
    memcpy(view.stride, part.stride, sizeof(view.stride));
    return cbi_view_strides(&view, 3, shape, place->stride);
}

/* Adds dense elements one by one to the places of the target that the view goes through: for places
   that are no tensor of their own. */
static void add_elements(const cb_tensor *target, const cbi_view *place, const char *from) {
    int64_t size = (int64_t)cb_dtype_size(target->dtype), index[CB_MAX_RANK] = {0};
    int64_t count = cbi_view_count(place);
    cb_tensor dense = cb_tensor_wrap(target->dtype, target->rank, target->shape, NULL);
    for (int64_t e = 0; e < count; e++) {
        int64_t at = place->offset, offset = 0;
        for (int i = 0; i < place->rank; i++)
            at += index[i] * place->stride[i];
        for (int i = 0; i < target->rank; i++)
            offset += at / dense.stride[i] % target->shape[i] * target->stride[i];
        char *to = (char *)target->data + offset * size;
        const void *in[2] = {to, from + e * size};
        cbi_run_kernel(cb_add_op.kernels[target->dtype], 1, to, 2, in, NULL);
        for (int i = place->rank - 1; i >= 0 && ++index[i] == place->shape[i]; i--)
            index[i] = 0;
    }
}

/* Adds a product that has no place of its own in the target: formed apart first. */
static void add_apart(const cbi_run *run, const cbi_sum *sum, const cb_tensor *target,
                      char *memory) {
    int64_t size = (int64_t)cb_dtype_size(dtype_of(run, sum)), all = sum->m * sum->n;
    for (int64_t g = 0; g < sum->groups; g++)
        multiply(run, sum, g, false, (cbi_matrix){memory + g * all * size, sum->n, 1});
    add_elements(target, &sum->place, memory);
}

/* ---- What was added up in the loop ----------------------------------------------------------- */

static void add_accumulated(const cbi_run *run, const cbi_sum *sum, bool add,
                            const cb_tensor *target) {
    const cbi_accumulator *a = &run->plan->accumulators[sum->accumulator];
    size_t row = (size_t)a->count * cb_dtype_size(a->dtype);
    int64_t blocks =
        row == 0 ? 0 : (int64_t)(cbi_run_accumulator_bytes(run, sum->accumulator) / row);
    char *total = run->accumulators[sum->accumulator];
    /* In the order of the blocks, whatever the threads. */
    for (int64_t b = 1; b < blocks; b++) {
        const void *in[2] = {total, total + b * (int64_t)row};
        cbi_run_kernel(cb_add_op.kernels[a->dtype], a->count, total, 2, in, NULL);
    }
    if (blocks > 1) /* another term may be the same sum */
        memset(total + row, 0, (size_t)(blocks - 1) * row);
    cb_tensor part, from;
    if (a->count == 0)
        return;
    if (!part_of(target, &sum->place, &part)) {
        if (!add)
            cb_tensor_fill((cb_tensor *)(uintptr_t)target, 0);
        add_elements(target, &sum->place, total);
        return;
    }
    from = cb_tensor_wrap(a->dtype, part.rank, part.shape, total);
    if (add)
        cbi_add_into(&part, &from);
    else
        cbi_copy(&part, &from);
}

/* ---- Products that share an operand ---------------------------------------------------------- */

/* Of each sum: whether it is formed, or not wanted; is formed by itself; or may be in a group. */
enum { FORMED, ALONE, WAITS };

/* Sums that are products with one operand in common; the other operands are neighbours. One call
   forms all of them, each in its place. */
typedef struct group {
    int common; /* the operand in common */
    int count, sums[CBI_MOST_BLOCKS];
    int64_t columns; /* of the others, together */
} group;

static bool is_plain(const cbi_sum *sum) {
    return sum->kind == CBI_SUM_PRODUCT && sum->groups == 1 && sum->k == 1;
}

static int64_t extent_of(const cbi_sum *sum, int operand) {
    return operand == 0 ? sum->m : sum->n;
}

static bool same_operand(const cbi_sum *a, const cbi_sum *b, int operand) {
    return cbi_same_place(a->in[operand], b->in[operand]) &&
           a->offset[operand] == b->offset[operand] &&
           a->stride[operand][2] == b->stride[operand][2] &&
           extent_of(a, operand) == extent_of(b, operand);
}

/* Whether an operand is a run of columns of its buffer; the stride of a single one is any. */
static bool is_run(const cbi_sum *sum, int operand) {
    return extent_of(sum, operand) == 1 || sum->stride[operand][2] == 1;
}

/* Where such an operand begins in its buffer, in elements. */
static int64_t column_of(const cbi_run *run, const cbi_sum *sum, int operand) {
    return sum->in[operand].offset / (int64_t)cb_dtype_size(dtype_of(run, sum)) +
           sum->offset[operand];
}

/* Whether b's operand lies `columns` to the right of a's. */
static bool are_neighbours(const cbi_run *run, const cbi_sum *a, int operand, int64_t columns,
                           const cbi_sum *b) {
    return is_plain(b) && is_run(a, operand) && is_run(b, operand) &&
           same_operand(a, b, 1 - operand) && a->in[operand].buffer == b->in[operand].buffer &&
           a->in[operand].later == b->in[operand].later && dtype_of(run, a) == dtype_of(run, b) &&
           column_of(run, a, operand) + columns == column_of(run, b, operand);
}

/* Whether sums go to the same captured tensor: not at once, as they may be added to each other. */
static bool is_taken(const cbi_plan *plan, const group *g, const cbi_sum *sum) {
    bool taken = false;
    for (int i = 0; i < g->count; i++)
        taken = taken || plan->sums[g->sums[i]].captured == sum->captured;
    return taken;
}

/* The sums that have `common` in common with the first, to its right. */
static group group_of(const cbi_run *run, const unsigned char *state, int first, int common) {
    const cbi_plan *plan = run->plan;
    const cbi_sum *begin = &plan->sums[first];
    group g = {.common = common, .count = 1, .sums = {first}};
    g.columns = extent_of(begin, 1 - common);
    for (int i = 0; i < plan->sum_count && g.count < CBI_MOST_BLOCKS; i++) {
        const cbi_sum *sum = &plan->sums[i];
        if (state[i] != WAITS || !are_neighbours(run, begin, 1 - common, g.columns, sum) ||
            is_taken(plan, &g, sum))
            continue;
        g.sums[g.count++] = i;
        g.columns += extent_of(sum, 1 - common);
        i = -1; /* the next neighbour may come before this one */
    }
    return g;
}

/* Whether another sum is a sum's neighbour to the left. */
static bool has_left_neighbour(const cbi_run *run, const unsigned char *state, int at, int common) {
    const cbi_sum *sum = &run->plan->sums[at];
    for (int i = 0; i < run->plan->sum_count; i++) {
        const cbi_sum *other = &run->plan->sums[i];
        if (i != at && state[i] == WAITS && other->captured != sum->captured &&
            are_neighbours(run, other, 1 - common, extent_of(other, 1 - common), sum))
            return true;
    }
    return false;
}

/* Makes the target ready for a sum and says whether it is added: where it does not cover all of the
   target, the rest is 0. */
static bool begin_target(const cbi_sum *sum, const cbi_target *target, bool *begun) {
    bool add = target->add || begun[sum->captured];
    if (!add && cbi_view_count(&sum->place) != cb_tensor_count(&target->tensor)) {
        cb_tensor_fill((cb_tensor *)(uintptr_t)&target->tensor, 0);
        add = true;
    }
    begun[sum->captured] = true;
    return add;
}

static cbi_matrix matrix_of(const cb_tensor *place) {
    return (cbi_matrix){place->data, place->stride[1], place->stride[2]};
}

static void form_group(const cbi_run *run, const group *g, const cbi_target *targets, bool *begun) {
    cbi_gemm_block blocks[CBI_MOST_BLOCKS];
    for (int i = 0; i < g->count; i++) {
        const cbi_sum *sum = &run->plan->sums[g->sums[i]];
        const cbi_target *target = &targets[sum->captured];
        cb_tensor place;
        if (!place_of_product(sum, &target->tensor, &place))
            return; /* does not come to pass: such a sum is in no group */
        blocks[i] = (cbi_gemm_block){extent_of(sum, 1 - g->common),
                                     begin_target(sum, target, begun), matrix_of(&place)};
    }
    const cbi_sum *first = &run->plan->sums[g->sums[0]];
    rows a = over_time(run, first, 0), b = over_time(run, first, 1);
    bool across = g->common == 0;
    cbi_gemm_blocks(
        dtype_of(run, first), across ? first->m : g->columns, across ? g->columns : first->n,
        run->steps * run->rows, (cbi_matrix){a.data, across ? first->stride[0][2] : 1, a.row},
        (cbi_matrix){b.data, b.row, across ? 1 : first->stride[1][2]}, across, g->count, blocks);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Bytes of the largest sum, which is formed apart where it has no place of its own. */
static size_t largest_sum(const cbi_run *run) {
    size_t largest = 0;
    for (int i = 0; i < run->plan->sum_count; i++) {
        const cbi_sum *sum = &run->plan->sums[i];
        size_t bytes = (size_t)(sum->groups * sum->m * sum->n) * cb_dtype_size(dtype_of(run, sum));
        if (sum->kind == CBI_SUM_PRODUCT && bytes > largest)
            largest = bytes;
    }
    return largest;
}

static size_t flags_bytes(const cbi_plan *plan) {
    size_t flags = sizeof(bool) * (size_t)(plan->sum_count + plan->graph->captured_count);
    return (flags + 63) / 64 * 64;
}

size_t cbi_run_sums_bytes(const cbi_run *run) {
    return flags_bytes(run->plan) + largest_sum(run);
}

static void form(const cbi_run *run, int i, const cbi_target *targets, bool *begun, char *memory) {
    const cbi_sum *sum = &run->plan->sums[i];
    const cbi_target *target = &targets[sum->captured];
    bool add = begin_target(sum, target, begun);
    cb_tensor place;
    if (sum->kind == CBI_SUM_ACCUMULATED) {
        add_accumulated(run, sum, add, &target->tensor);
    } else if (place_of_product(sum, &target->tensor, &place)) {
        for (int64_t g = 0; g < sum->groups; g++) {
            cbi_matrix out = matrix_of(&place);
            out.data = (char *)out.data + g * place.stride[0] * (int64_t)cb_dtype_size(place.dtype);
            multiply(run, sum, g, add, out);
        }
    } else {
        if (!add)
            cb_tensor_fill((cb_tensor *)(uintptr_t)&target->tensor, 0);
        add_apart(run, sum, &target->tensor, memory);
    }
}

/* Forms what is a group with the operand `common`; notes what is done. */
static void form_groups(const cbi_run *run, const cbi_target *targets, int common,
                        unsigned char *state, bool *begun) {
    for (int i = 0; i < run->plan->sum_count; i++) {
        if (state[i] != WAITS || has_left_neighbour(run, state, i, common))
            continue;
        group g = group_of(run, state, i, common);
        if (g.count < 2)
            continue;
        form_group(run, &g, targets, begun);
        for (int k = 0; k < g.count; k++)
            state[g.sums[k]] = FORMED;
    }
}

void cbi_run_gradients(const cbi_run *run, const cbi_target *targets, char *memory) {
    const cbi_plan *plan = run->plan;
    if (plan->sum_count == 0)
        return;
    unsigned char *state = (unsigned char *)memory;
    bool *begun = (bool *)memory + plan->sum_count;
    memset(memory, 0, flags_bytes(plan));
    for (int i = 0; i < plan->sum_count; i++) {
        const cbi_sum *sum = &plan->sums[i];
        const cbi_target *target = &targets[sum->captured];
        cb_tensor place;
        bool groups = is_plain(sum) && place_of_product(sum, &target->tensor, &place);
        state[i] = !target->wanted ? FORMED : groups ? WAITS : ALONE;
    }
    form_groups(run, targets, 1, state, begun);
    form_groups(run, targets, 0, state, begun);
    for (int i = 0; i < plan->sum_count; i++)
        if (state[i] != FORMED)
            form(run, i, targets, begun, memory + flags_bytes(plan));
}
