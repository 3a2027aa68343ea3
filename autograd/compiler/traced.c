/* Tracing a step twice, and deriving on both traces. */
#include "autograd/compiler/traced.h"

#include "tensor/hash.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Above 1, so that an axis of the batch is none that broadcasts. Small: the traces have addresses
   and no elements, but a step may look at extents. */
static const int64_t batches[CBI_SIDES] = {3, 7};

static bool refuse(cbi_traced *traced, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse(cbi_traced *traced, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (traced->reason[0] == '\0')
        vsnprintf(traced->reason, sizeof(traced->reason), format, arguments);
    va_end(arguments);
    return false;
}

static bool no_memory(cbi_traced *traced) {
    traced->no_memory = true;
    return refuse(traced, "out of memory");
}

/* What went wrong on a tape. */
static bool refuse_tape(cbi_traced *traced, const cb_tape *tape) {
    traced->no_memory = traced->no_memory || tape->status == CB_ERROR_MEMORY;
    return refuse(traced, "%s", cb_tape_error(tape));
}

/* ---- Extents --------------------------------------------------------------------------------- */

static bool fit(int64_t first, int64_t second, int64_t batch_of_first, int64_t batch_of_second,
                cbi_extent *extent) {
    int64_t rise = second - first, run = batch_of_second - batch_of_first;
    *extent = (cbi_extent){first, 0};
    if (rise == 0)
        return true;
    if (rise % run != 0)
        return false;
    extent->slope = rise / run;
    extent->constant = first - extent->slope * batch_of_first;
    return true;
}

bool cbi_extent_of(const cbi_traced *traced, int64_t first, int64_t second, cbi_extent *extent) {
    return fit(first, second, traced->side[0].batch, traced->side[1].batch, extent);
}

int64_t cbi_extent_at(cbi_extent extent, int64_t batch) {
    return extent.constant + extent.slope * batch;
}

cbi_extent cbi_shape_extent(const cbi_traced *traced, int index, int axis) {
    cbi_extent extent = {0, 0};
    cbi_extent_of(traced, cbi_traced_node(traced, 0, index)->tensor.shape[axis],
                  cbi_traced_node(traced, 1, index)->tensor.shape[axis], &extent);
    return extent;
}

bool cbi_has_batch(const cbi_traced *traced, int index) {
    bool has = false;
    for (int i = 0; i < cbi_traced_node(traced, 0, index)->tensor.rank; i++)
        has = has || cbi_shape_extent(traced, index, i).slope != 0;
    return has;
}

/* ---- Options --------------------------------------------------------------------------------- */

static int64_t extent_in(const void *options, size_t at) {
    int64_t extent;
    memcpy(&extent, (const char *)options + at, sizeof(extent));
    return extent;
}

/* Whether one member is the same at both calls, and, if an extent, linear in the batch. */
static bool same_member(const cb_option *option, size_t at, const void *a, int64_t batch_of_a,
                        const void *b, int64_t batch_of_b) {
    const char *p = (const char *)a + at, *q = (const char *)b + at;
    cbi_extent extent;
    cb_draw left, right;
    switch (option->kind) {
    case CB_OPTION_EXTENT:
        return batch_of_a == batch_of_b
                   ? extent_in(a, at) == extent_in(b, at)
                   : fit(extent_in(a, at), extent_in(b, at), batch_of_a, batch_of_b, &extent);
    case CB_OPTION_DRAW: /* what is drawn differs from call to call, as it should */
        memcpy(&left, p, sizeof(left));
        memcpy(&right, q, sizeof(right));
        return left.generator == right.generator && left.first == right.first;
    case CB_OPTION_INT:
    case CB_OPTION_REAL:
        break;
    }
    return memcmp(p, q, option->size) == 0;
}

/* numbers: whether those of kind REAL count, too. */
static bool same_members(const cb_op *op, const void *a, int64_t batch_of_a, const void *b,
                         int64_t batch_of_b, bool numbers) {
    if (op->option_list == NULL)
        return op->options_size == 0 || memcmp(a, b, op->options_size) == 0;
    for (int i = 0; i < op->option_count; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            const cb_option *option = &op->option_list[i];
            if (option->kind == CB_OPTION_REAL && !numbers)
                continue;
            if (!same_member(option, option->offset + (size_t)k * option->size, a, batch_of_a, b,
                             batch_of_b))
                return false;
        }
    return true;
}

static bool same_options(const cb_op *op, const void *a, int64_t batch_of_a, const void *b,
                         int64_t batch_of_b) {
    return same_members(op, a, batch_of_a, b, batch_of_b, true);
}

/* Takes the numbers among the options of the second tape for those of the first. */
static void take_numbers(cb_node *first, const cb_node *second) {
    const cb_op *op = first->op;
    for (int i = 0; op != NULL && op == second->op && i < op->option_count; i++) {
        const cb_option *option = &op->option_list[i];
        if (option->kind == CB_OPTION_REAL)
            memcpy((char *)first->options + option->offset,
                   (const char *)second->options + option->offset,
                   option->size * (size_t)option->count);
    }
}

void cbi_options_at(const cbi_traced *traced, int index, int64_t batch, void *options) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    const cb_node *second = cbi_traced_node(traced, 1, index);
    const cb_op *op = first->op;
    if (op->options_size > 0)
        memcpy(options, first->options, op->options_size);
    for (int i = 0; i < op->option_count && op->option_list != NULL; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            size_t at = op->option_list[i].offset + (size_t)k * op->option_list[i].size;
            cbi_extent extent;
            if (op->option_list[i].kind != CB_OPTION_EXTENT)
                continue;
            cbi_extent_of(traced, extent_in(first->options, at), extent_in(second->options, at),
                          &extent);
            int64_t fitted = cbi_extent_at(extent, batch);
            memcpy((char *)options + at, &fitted, sizeof(fitted));
        }
}

const cb_draw *cbi_draw_of(const cb_node *node) {
    const cb_op *op = node->op;
    for (int i = 0; op != NULL && op->option_list != NULL && i < op->option_count; i++)
        if (op->option_list[i].kind == CB_OPTION_DRAW)
            return (const cb_draw *)(const void *)((const char *)node->options +
                                                   op->option_list[i].offset);
    return NULL;
}

bool cbi_traced_alike(const cbi_traced *traced, int a, int b) {
    for (int s = 0; s < CBI_SIDES; s++) {
        const cb_node *n = cbi_traced_node(traced, s, a), *other = cbi_traced_node(traced, s, b);
        int64_t batch = traced->side[s].batch;
        if (n->op != other->op || n->op == NULL || n->count != other->count || n->owner != NULL ||
            other->owner != NULL || n->out_count != 1 || other->out_count != 1 ||
            cbi_draw_of(n) != NULL ||
            !same_options(n->op, n->options, batch, other->options, batch))
            return false;
    }
    return true;
}

/* ---- Comparing traces ------------------------------------------------------------------------ */

#define DIFFERS "it differs from call to call, or with the number of sequences"

static const char options_differ[] =
    "its options differ from call to call, or with the number of sequences";

/* Whether two nodes are the same op of the same inputs, or the same kind of leaf. */
static bool same_node(const cb_node *a, const cb_node *b) {
    bool same = a->op == b->op && a->count == b->count && a->tensor.dtype == b->tensor.dtype &&
                a->tensor.rank == b->tensor.rank && a->requires_grad == b->requires_grad;
    for (int i = 0; same && i < a->count; i++)
        same = a->in[i]->node->index == b->in[i]->node->index;
    return same;
}

/* Why two nodes are not the same for batches of any size; NULL when they are. */
static const char *difference(const cb_node *a, int64_t batch_of_a, const cb_node *b,
                              int64_t batch_of_b) {
    cbi_extent extent;
    if (!same_node(a, b))
        return DIFFERS;
    for (int i = 0; i < a->tensor.rank; i++)
        if (!fit(a->tensor.shape[i], b->tensor.shape[i], batch_of_a, batch_of_b, &extent) ||
            (extent.slope != 0 && extent.constant != 0 && a->op == NULL))
            return DIFFERS;
    if (a->op != NULL && a->op->options_size > 0 &&
        !same_options(a->op, a->options, batch_of_a, b->options, batch_of_b))
        return a->op->option_list != NULL
                   ? options_differ
                   : "its options differ from call to call in some byte; see option_list in op.h";
    return NULL;
}

static bool compare(cbi_traced *traced) {
    const cbi_trace *a = traced->side[0].tape->trace, *b = traced->side[1].tape->trace;
    for (int i = 0; i < a->count && i < b->count; i++) {
        if (traced->only_batch > 1) /* of one sequence they are those of a third tape */
            take_numbers(a->nodes[i], b->nodes[i]);
        const char *why =
            difference(a->nodes[i], traced->side[0].batch, b->nodes[i], traced->side[1].batch);
        traced->varies = why != NULL && why == options_differ &&
                         same_members(a->nodes[i]->op, a->nodes[i]->options, traced->side[0].batch,
                                      b->nodes[i]->options, traced->side[1].batch, false);
        if (why != NULL)
            return refuse(traced, "%s: %s",
                          a->nodes[i]->op != NULL ? a->nodes[i]->op->name : "step", why);
    }
    return a->count == b->count || refuse(traced, "step: " DIFFERS);
}

/* A tensor that the step itself puts on the tape may have no row for each sequence: what would be
   in them for another number of sequences than that of a trace is not known. */
static bool check_leaves(cbi_traced *traced) {
    const cbi_side *side = &traced->side[0];
    for (int i = 0; i < cbi_traced_count(traced); i++) {
        const cb_node *n = cbi_traced_node(traced, 0, i);
        bool given = n == side->x->node;
        for (int k = 0; k < traced->signature.state_count; k++)
            given = given || n == side->states[k]->node;
        if (n->op == NULL && !given && cbi_has_batch(traced, i))
            return refuse(traced, "step: the shape of a tensor that it puts on the tape has the "
                                  "number of sequences in it");
    }
    return true;
}

/* ---- Two traces ------------------------------------------------------------------------------ */

/* Before the second trace, the generators that the first one drew from are moved, far away: a step
   that does not begin to draw from there has set them before. */
static const uint64_t far_away = (uint64_t)1 << 62;

static void shift_generators(const cbi_traced *traced, int number) {
    for (int i = 0; number == 1 && i < traced->side[0].tape->trace->draw_count; i++)
        traced->side[0].tape->trace->draws[i].generator->counter += far_away;
}

/* Whether the second trace drew from where they had been moved to. */
static bool shift_back(const cbi_traced *traced, int number) {
    bool same = true;
    if (number == 0)
        return true;
    const cbi_trace *first = traced->side[0].tape->trace, *second = traced->side[1].tape->trace;
    for (int i = 0; i < first->draw_count; i++) {
        const cb_random *before = &first->draws[i].start;
        for (int k = 0; k < second->draw_count; k++)
            if (second->draws[k].generator == first->draws[i].generator)
                same = same && second->draws[k].start.key == before->key &&
                       second->draws[k].start.counter == before->counter + far_away;
        *first->draws[i].generator = *before;
    }
    return same;
}

static bool run_step(cbi_traced *traced, int number) {
    cbi_side *side = &traced->side[number];
    cb_tape *tape = side->tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    int64_t batch = traced->only_batch <= 1            ? batches[number]
                    : number == 1                      ? traced->only_batch
                    : traced->only_batch == batches[0] ? batches[1]
                                                       : batches[0];
    shift_generators(traced, number);
    const char *fault = cbi_trace_once(&traced->signature, tape, batch, side);
    fault = shift_back(traced, number) || fault != NULL ? fault : cbi_sets_generator;
    bool failed = fault != NULL && tape->status != CB_OK;
    traced->no_memory = traced->no_memory || tape->status == CB_ERROR_MEMORY;
    return fault == NULL ||
           (failed ? refuse(traced, "%s (with %lld sequences)", fault, (long long)batch)
                   : refuse(traced, "%s", fault));
}

/* With one sequence, an axis of the batch is one that broadcasts: gradients would be other ops. So
   a step for one sequence is traced for more, and has its numbers from a trace with one. */
static bool take_numbers_of_one(cbi_traced *traced) {
    cbi_side one;
    cb_tape *tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    const char *fault = cbi_trace_once(&traced->signature, tape, 1, &one);
    bool same = fault == NULL && tape->trace->count == cbi_traced_count(traced);
    for (int i = 0; same && i < tape->trace->count; i++)
        for (int s = 0; s < CBI_SIDES; s++)
            take_numbers(cbi_traced_node(traced, s, i), tape->trace->nodes[i]);
    if (fault != NULL && tape->status != CB_OK)
        refuse_tape(traced, tape);
    else if (!same)
        refuse(traced, "%s", fault != NULL ? fault : "step: " DIFFERS);
    cb_tape_free(tape);
    return same;
}

static void *copied(const void *from, size_t bytes) {
    void *to = cbi_allocate(bytes);
    if (to != NULL && bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

/* A copy of a signature whose arrays end with it. Weights keep their shapes and no data. */
static bool copy_signature(cbi_signature *to, const cbi_signature *from) {
    *to = *from;
    to->state_size = copied(from->state_size, sizeof(int64_t) * (size_t)from->state_count);
    size_t pointers = sizeof(cb_tensor *) * (size_t)(from->weight_count + 1);
    char *memory = cbi_allocate(pointers + sizeof(cb_tensor) * (size_t)from->weight_count);
    to->weights = (const cb_tensor *const *)(void *)memory;
    if (to->state_size == NULL || memory == NULL)
        return false;
    cb_tensor *shapes = (cb_tensor *)(void *)(memory + pointers);
    for (int i = 0; i < from->weight_count; i++)
        if (from->weights[i] != NULL) {
            shapes[i] = *from->weights[i];
            shapes[i].data = NULL;
            shapes[i].node = NULL;
            ((const cb_tensor **)(void *)memory)[i] = &shapes[i];
        }
    return true;
}

void cbi_traced_free(cbi_traced *traced) {
    if (traced == NULL)
        return;
    for (int i = 0; i < CBI_SIDES; i++)
        cb_tape_free(traced->side[i].tape);
    cbi_free((void *)(uintptr_t)traced->signature.state_size);
    cbi_free((void *)(uintptr_t)traced->signature.weights);
    cbi_free(traced);
}

/* ---- Another trace --------------------------------------------------------------------------- */

/* Whether a node is what the two traces say it is for a batch of this size. */
static bool is_expected(const cbi_traced *traced, int index, const cb_node *node, int64_t batch) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    int64_t options[64];
    bool fits = same_node(first, node);
    for (int i = 0; fits && i < node->tensor.rank; i++)
        fits = node->tensor.shape[i] == cbi_extent_at(cbi_shape_extent(traced, index, i), batch);
    if (!fits || node->op == NULL || node->op->options_size == 0)
        return fits;
    if (node->op->options_size > sizeof(options))
        return same_options(node->op, first->options, batch, node->options, batch);
    cbi_options_at(traced, index, batch, options);
    return same_options(node->op, options, batch, node->options, batch);
}

bool cbi_traced_matches(const cbi_traced *traced, const cbi_side *side) {
    const cbi_trace *trace = side->tape->trace;
    bool same = trace->count == traced->step_count &&
                (traced->only_batch == 0 || traced->only_batch == side->batch);
    for (int i = 0; same && i < trace->count; i++)
        same = is_expected(traced, i, trace->nodes[i], side->batch);
    for (int i = 0; same && i < traced->signature.state_count; i++)
        same = side->next[i]->node->index == traced->side[0].next[i]->node->index;
    return same;
}

/* Of what is drawn, which generator it is drawn from. */
static uint64_t hash_options(uint64_t hash, const cb_node *n) {
    const cb_op *op = n->op;
    if (op->option_list == NULL)
        return cbi_hash_bytes(hash, n->options, op->options_size);
    for (int i = 0; i < op->option_count; i++) {
        const cb_option *option = &op->option_list[i];
        const char *at = (const char *)n->options + option->offset;
        cb_draw draw;
        if (option->kind != CB_OPTION_DRAW) {
            hash = cbi_hash_bytes(hash, at, option->size * (size_t)option->count);
            continue;
        }
        memcpy(&draw, at, sizeof(draw));
        hash = cbi_hash_bytes(hash, &draw.generator, sizeof(draw.generator));
    }
    return hash;
}

uint64_t cbi_side_hash(const cbi_side *side) {
    const cbi_trace *trace = side->tape->trace;
    uint64_t hash = CBI_HASH_OF_NOTHING;
    for (int i = 0; i < trace->count; i++) {
        const cb_node *n = trace->nodes[i];
        hash = cbi_hash_bytes(hash, &n->op, sizeof(n->op));
        hash = cbi_hash_bytes(hash, &n->requires_grad, sizeof(n->requires_grad));
        hash = cbi_hash_bytes(hash, n->tensor.shape, sizeof(int64_t) * (size_t)n->tensor.rank);
        for (int k = 0; k < n->count; k++)
            hash = cbi_hash_bytes(hash, &n->in[k]->node->index, sizeof(n->in[k]->node->index));
        hash = n->op != NULL && n->op->options_size > 0 ? hash_options(hash, n) : hash;
    }
    return hash;
}

/* Numbers that differ between two batches may differ between two calls as well. */
static bool check_again(cbi_traced *traced) {
    cbi_side side;
    cb_tape *tape = cbi_tape_new_symbolic();
    if (tape == NULL)
        return no_memory(traced);
    const char *fault = cbi_trace_once(&traced->signature, tape, traced->only_batch, &side);
    bool same = fault == NULL && cbi_traced_matches(traced, &side);
    if (tape->status != CB_OK)
        refuse_tape(traced, tape);
    else if (!same)
        refuse(traced, "%s", fault != NULL ? fault : "step: it differs from call to call");
    cb_tape_free(tape);
    return same;
}

cbi_traced *cbi_traced_new(const cbi_signature *signature, int64_t only_batch) {
    cbi_traced *traced = cbi_allocate(sizeof(*traced));
    if (traced == NULL || !copy_signature(&traced->signature, signature)) {
        cbi_traced_free(traced);
        return NULL;
    }
    traced->only_batch = only_batch;
    if (run_step(traced, 0) && run_step(traced, 1) &&
        (only_batch != 1 || take_numbers_of_one(traced)) && compare(traced) &&
        check_leaves(traced)) {
        traced->step_count = cbi_traced_count(traced);
        if (only_batch > 0)
            check_again(traced);
    }
    return traced;
}

/* ---- Working on both traces ------------------------------------------------------------------ */

static bool check_sides(cbi_traced *traced) {
    for (int i = 0; i < CBI_SIDES; i++)
        if (cbi_unread_was_touched(&traced->side[i].tape->trace->unread))
            return refuse(traced, "a gradient reads elements, or sets them: what it computes may "
                                  "depend on them");
    for (int i = 0; i < CBI_SIDES; i++)
        if (traced->side[i].tape->status != CB_OK)
            return refuse_tape(traced, traced->side[i].tape);
    return compare(traced);
}

int cbi_traced_apply(cbi_traced *traced, int like, const int *in) {
    int index = -1;
    for (int s = 0; s < CBI_SIDES; s++) {
        cb_tape *tape = traced->side[s].tape;
        const cb_node *node = cbi_traced_node(traced, s, like);
        cb_tensor **inputs =
            cbi_arena_allocate(&tape->arena, sizeof(*inputs) * (size_t)(node->count + 1));
        for (int i = 0; i < node->count && inputs != NULL; i++)
            inputs[i] = &cbi_traced_node(traced, s, in[i])->tensor;
        if (inputs == NULL) {
            no_memory(traced);
            return -1;
        }
        cb_tensor *made = cbi_apply_like(tape, node, inputs, node->options);
        if (cbi_is_poisoned(made)) {
            refuse_tape(traced, tape);
            return -1;
        }
        index = made->node->index;
    }
    return index;
}

int cbi_traced_symbol(cbi_traced *traced, int like) {
    int index = cbi_traced_count(traced);
    for (int s = 0; s < CBI_SIDES; s++) {
        const cb_tensor *t = &cbi_traced_node(traced, s, like)->tensor;
        if (cbi_is_poisoned(cbi_symbol(traced->side[s].tape, t->dtype, t->rank, t->shape))) {
            refuse_tape(traced, traced->side[s].tape);
            return -1;
        }
    }
    return index;
}

/* The tensors of some nodes of one side, in memory of its tape; NULL when there is none. */
static cb_tensor **tensors_of(const cbi_traced *traced, int side, int count, const int *list) {
    cb_tape *tape = traced->side[side].tape;
    cb_tensor **tensors = cbi_arena_allocate(&tape->arena, sizeof(*tensors) * (size_t)(count + 1));
    for (int i = 0; i < count && tensors != NULL; i++)
        tensors[i] = &cbi_traced_node(traced, side, list[i])->tensor;
    return tensors;
}

bool cbi_traced_gradients(cbi_traced *traced, const bool *inside, int output_count,
                          const int *outputs, const int *cotangents, int input_count,
                          const int *inputs, int *gradients) {
    for (int s = 0; s < CBI_SIDES; s++) {
        cb_tensor **y = tensors_of(traced, s, output_count, outputs);
        cb_tensor **g = tensors_of(traced, s, output_count, cotangents);
        cb_tensor **x = tensors_of(traced, s, input_count, inputs);
        cb_tensor **found = tensors_of(traced, s, input_count, inputs);
        if (y == NULL || g == NULL || x == NULL || found == NULL)
            return no_memory(traced);
        cbi_vector_jacobian(inside, output_count, y, g, input_count, x, found);
        for (int i = 0; i < input_count; i++)
            gradients[i] = found[i] != NULL ? found[i]->node->index : -1;
    }
    return check_sides(traced);
}
