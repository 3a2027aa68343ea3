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

/* ---- Products with the same left operand ----------------------------------------------------- */

enum { MOST_GROUPED = 64 };

/* Sums that are products of one left operand with neighbouring columns: one product forms all of
   them. */
typedef struct group {
    int count, sums[MOST_GROUPED];
    int64_t rows, columns;
} group;

static bool same_operand(const cbi_sum *a, const cbi_sum *b, int k) {
    return cbi_same_place(a->in[k], b->in[k]) && a->offset[k] == b->offset[k] &&
           memcmp(a->stride[k], b->stride[k], sizeof(a->stride[k])) == 0;
}

static bool is_plain(const cbi_sum *sum) {
    return sum->kind == CBI_SUM_PRODUCT && sum->groups == 1 && sum->k == 1 &&
           (sum->n == 1 || sum->stride[1][2] == 1);
}

/* Where a sum's right operand begins in its buffer, in elements. */
static int64_t column_of(const cbi_run *run, const cbi_sum *sum) {
    return sum->in[1].offset / (int64_t)cb_dtype_size(dtype_of(run, sum)) + sum->offset[1];
}

static bool are_neighbours(const cbi_run *run, const cbi_sum *a, int64_t column, const cbi_sum *b) {
    return is_plain(b) && same_operand(a, b, 0) && a->m == b->m &&
           a->in[1].buffer == b->in[1].buffer && a->in[1].later == b->in[1].later &&
           dtype_of(run, a) == dtype_of(run, b) && column_of(run, b) == column;
}

/* The group that begins with a sum; alone when it has no neighbours to its right, empty when it is
   in another's group. */
static group group_of(const cbi_run *run, const cbi_target *targets, const bool *done, int first) {
    const cbi_plan *plan = run->plan;
    const cbi_sum *begin = &plan->sums[first];
    group g = {.count = 0};
    if (done[first] || !targets[begin->captured].wanted || !is_plain(begin))
        return g;
    g.rows = begin->m;
    g.sums[g.count++] = first;
    g.columns = begin->n;
    for (bool found = true; found && g.count < MOST_GROUPED;) {
        found = false;
        for (int i = 0; i < plan->sum_count && !found; i++) {
            const cbi_sum *sum = &plan->sums[i];
            if (done[i] || !targets[sum->captured].wanted ||
                !are_neighbours(run, begin, column_of(run, begin) + g.columns, sum))
                continue;
            g.sums[g.count++] = i;
            g.columns += sum->n;
            found = true;
        }
    }
    return g;
}

/* Whether another wanted sum is a sum's neighbour to the left. */
static bool has_left_neighbour(const cbi_run *run, const cbi_target *targets, int at) {
    const cbi_sum *sum = &run->plan->sums[at];
    for (int i = 0; i < run->plan->sum_count; i++) {
        const cbi_sum *other = &run->plan->sums[i];
        if (i != at && is_plain(other) && targets[other->captured].wanted &&
            are_neighbours(run, other, column_of(run, other) + other->n, sum))
            return true;
    }
    return false;
}

/* Bytes of the largest product that is formed beside where it is wanted: a sum, or a group. */
static size_t largest_sum(const cbi_run *run) {
    const cbi_plan *plan = run->plan;
    size_t largest = 0;
    for (int i = 0; i < plan->sum_count; i++) {
        const cbi_sum *sum = &plan->sums[i];
        if (sum->kind != CBI_SUM_PRODUCT)
            continue;
        int64_t own = sum->groups * sum->m * sum->n, all = 0;
        for (int k = 0; k < plan->sum_count; k++)
            if (is_plain(sum) && is_plain(&plan->sums[k]) && same_operand(sum, &plan->sums[k], 0) &&
                plan->sums[k].m == sum->m)
                all += plan->sums[k].m * plan->sums[k].n;
        size_t bytes = (size_t)(all > own ? all : own) * cb_dtype_size(dtype_of(run, sum));
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

static size_t flags_bytes(const cbi_plan *plan) {
    size_t flags = sizeof(bool) * (size_t)(2 * plan->sum_count + plan->graph->captured_count);
    return (flags + 63) / 64 * 64;
}

size_t cbi_run_sums_bytes(const cbi_run *run) {
    return flags_bytes(run->plan) + largest_sum(run);
}

static cb_tensor transposed(const cb_tensor *matrix) {
    cb_tensor t = *matrix;
    for (int i = 0; i < 2; i++) {
        t.shape[i] = matrix->shape[1 - i];
        t.stride[i] = matrix->stride[1 - i];
    }
    return t;
}

/* Adds to a target, or begins it. */
static void put(const cbi_target *target, bool begun, const cb_tensor *to, const cb_tensor *from) {
    if (target->add || begun)
        cbi_add_into(to, from);
    else
        cbi_copy(to, from);
}

/* Forms the sums of a group in one product, beside where they are wanted, and hands them out. */
static void form_group(const cbi_run *run, const group *g, const cbi_target *targets, bool *begun,
                       char *memory) {
    const cbi_plan *plan = run->plan;
    cbi_sum wide = plan->sums[g->sums[0]];
    int64_t size = (int64_t)cb_dtype_size(dtype_of(run, &wide));
    wide.n = g->columns;
    wide.stride[1][2] = 1;
    multiply(run, &wide, 0, false, (cbi_matrix){memory, 1, g->rows});
    for (int k = 0; k < g->count; k++) {
        const cbi_sum *sum = &plan->sums[g->sums[k]];
        const cbi_target *target = &targets[sum->captured];
        cb_tensor place;
        /* Column by column, as the product lies and as most targets do. */
        if (!place_of_product(sum, &target->tensor, &place))
            continue; /* does not come to pass: such a sum is in no group */
        cb_tensor to = {.dtype = place.dtype, .rank = 2, .data = place.data};
        for (int i = 0; i < 2; i++) {
            to.shape[i] = place.shape[i + 1];
            to.stride[i] = place.stride[i + 1];
        }
        to = transposed(&to);
        cb_tensor from = cb_tensor_wrap(to.dtype, 2, to.shape, memory);
        put(target, begun[sum->captured], &to, &from);
        begun[sum->captured] = true;
        memory += sum->n * g->rows * size;
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Whether a sum writes all of its target, so that nothing has to be there before. */
static bool covers(const cbi_sum *sum, const cb_tensor *target) {
    return cbi_view_count(&sum->place) == cb_tensor_count(target);
}

static void form(const cbi_run *run, int i, const cbi_target *targets, bool *begun, char *memory) {
    const cbi_sum *sum = &run->plan->sums[i];
    const cbi_target *target = &targets[sum->captured];
    bool add = target->add || begun[sum->captured];
    cb_tensor place;
    if (!add && !covers(sum, &target->tensor)) {
        cb_tensor_fill((cb_tensor *)(uintptr_t)&target->tensor, 0);
        add = true;
    }
    begun[sum->captured] = true;
    if (sum->kind == CBI_SUM_ACCUMULATED) {
        add_accumulated(run, sum, add, &target->tensor);
    } else if (place_of_product(sum, &target->tensor, &place)) {
        for (int64_t g = 0; g < sum->groups; g++)
            multiply(run, sum, g, add,
                     (cbi_matrix){(char *)place.data +
                                      g * place.stride[0] * (int64_t)cb_dtype_size(place.dtype),
                                  place.stride[1], place.stride[2]});
    } else {
        if (!add)
            cb_tensor_fill((cb_tensor *)(uintptr_t)&target->tensor, 0);
        add_apart(run, sum, &target->tensor, memory);
    }
}

void cbi_run_gradients(const cbi_run *run, const cbi_target *targets, char *memory) {
    const cbi_plan *plan = run->plan;
    if (plan->sum_count == 0)
        return;
    bool *done = (bool *)memory, *begun = done + plan->sum_count;
    char *rest = memory + flags_bytes(plan);
    memset(memory, 0, flags_bytes(plan));
    for (int i = 0; i < plan->sum_count; i++) {
        cb_tensor place;
        const cbi_sum *sum = &plan->sums[i];
        if (!is_plain(sum) || !targets[sum->captured].wanted ||
            !place_of_product(sum, &targets[sum->captured].tensor, &place) ||
            !covers(sum, &targets[sum->captured].tensor))
            done[i] = true; /* in no group */
    }
    bool *grouped = begun + plan->graph->captured_count;
    for (int i = 0; i < plan->sum_count; i++) {
        group g = {.count = 0};
        if (!done[i] && !has_left_neighbour(run, targets, i))
            g = group_of(run, targets, done, i);
        if (g.count < 2)
            continue;
        form_group(run, &g, targets, begun, rest);
        for (int k = 0; k < g.count; k++)
            done[g.sums[k]] = grouped[g.sums[k]] = true;
    }
    for (int i = 0; i < plan->sum_count; i++)
        if (targets[plan->sums[i].captured].wanted && !grouped[i])
            form(run, i, targets, begun, rest);
}
