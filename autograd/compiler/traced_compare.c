/* What the traces of one step have in common: how its extents depend on the batch. */
#include "autograd/compiler/traced.h"

#include "tensor/hash.h"

#include <string.h>

/* ---- Extents --------------------------------------------------------------------------------- */

bool cbi_extent_of(const cbi_traced *traced, const int64_t *values, cbi_extent *extent) {
    const cbi_side *side = traced->side;
    int64_t rise = values[1] - values[0], run = side[1].batch - side[0].batch;
    *extent = (cbi_extent){values[0], 0};
    if (rise % run != 0)
        return false;
    int64_t slope = rise / run;
    cbi_extent line = {values[0] - slope * side[0].batch, slope};
    for (int s = 2; s < CBI_SIDES; s++)
        if (cbi_extent_at(line, side[s].batch) != values[s])
            return false;
    *extent = line;
    return true;
}

int64_t cbi_extent_at(cbi_extent extent, int64_t batch) {
    return extent.constant + extent.slope * batch;
}

static bool shape_extent(const cbi_traced *traced, int index, int axis, cbi_extent *extent) {
    int64_t values[CBI_SIDES];
    for (int s = 0; s < CBI_SIDES; s++)
        values[s] = cbi_traced_node(traced, s, index)->tensor.shape[axis];
    return cbi_extent_of(traced, values, extent);
}

cbi_extent cbi_shape_extent(const cbi_traced *traced, int index, int axis) {
    cbi_extent extent;
    shape_extent(traced, index, axis, &extent);
    return extent;
}

bool cbi_has_batch(const cbi_traced *traced, int index) {
    bool has = false;
    for (int i = 0; i < cbi_traced_node(traced, 0, index)->tensor.rank; i++)
        has = has || cbi_shape_extent(traced, index, i).slope != 0;
    return has;
}

/* ---- Options --------------------------------------------------------------------------------- */

static const char *option_of(const cb_node *node, size_t at) {
    return (const char *)node->options + at;
}

static int64_t extent_in(const cb_node *node, size_t at) {
    int64_t extent;
    memcpy(&extent, option_of(node, at), sizeof(extent));
    return extent;
}

static bool option_extent(const cbi_traced *traced, int index, size_t at, cbi_extent *extent) {
    int64_t values[CBI_SIDES];
    for (int s = 0; s < CBI_SIDES; s++)
        values[s] = extent_in(cbi_traced_node(traced, s, index), at);
    return cbi_extent_of(traced, values, extent);
}

/* Whether one member is the same in the options of two nodes. */
static bool same_member(const cb_option *option, size_t at, const cb_node *a, const cb_node *b) {
    cb_draw left, right;
    if (option->kind != CB_OPTION_DRAW)
        return memcmp(option_of(a, at), option_of(b, at), option->size) == 0;
    /* What is drawn differs from call to call, as it should. */
    memcpy(&left, option_of(a, at), sizeof(left));
    memcpy(&right, option_of(b, at), sizeof(right));
    return left.generator == right.generator && left.first == right.first;
}

/* Whether a node of one more trace, for a batch of that size, has the options that those of the
   traces say. */
static bool expected_options(const cbi_traced *traced, int index, const cb_node *node,
                             int64_t batch) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    const cb_op *op = node->op;
    if (op->option_list == NULL)
        return op->options_size == 0 ||
               memcmp(first->options, node->options, op->options_size) == 0;
    for (int i = 0; i < op->option_count; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            const cb_option *option = &op->option_list[i];
            size_t at = option->offset + (size_t)k * option->size;
            cbi_extent extent;
            bool same = option->kind != CB_OPTION_EXTENT
                            ? same_member(option, at, first, node)
                            : option_extent(traced, index, at, &extent) &&
                                  cbi_extent_at(extent, batch) == extent_in(node, at);
            if (!same)
                return false;
        }
    return true;
}

/* Whether the options of the traces agree: all are the same but extents, which are linear in the
   batch. numbers: whether those of kind REAL count, too. */
static bool options_agree(const cbi_traced *traced, int index, bool numbers) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    const cb_op *op = first->op;
    bool agree = true;
    for (int s = 1; s < CBI_SIDES && op->option_list == NULL && op->options_size > 0; s++)
        agree = agree && memcmp(first->options, cbi_traced_node(traced, s, index)->options,
                                op->options_size) == 0;
    for (int i = 0; op->option_list != NULL && i < op->option_count; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            const cb_option *option = &op->option_list[i];
            size_t at = option->offset + (size_t)k * option->size;
            cbi_extent extent;
            if (option->kind == CB_OPTION_EXTENT)
                agree = agree && option_extent(traced, index, at, &extent);
            else if (option->kind != CB_OPTION_REAL || numbers)
                for (int s = 1; s < CBI_SIDES; s++)
                    agree =
                        agree && same_member(option, at, first, cbi_traced_node(traced, s, index));
        }
    return agree;
}

void cbi_take_numbers(cb_node *to, const cb_node *from) {
    const cb_op *op = to->op;
    for (int i = 0; to != from && op != NULL && op == from->op && i < op->option_count; i++) {
        const cb_option *option = &op->option_list[i];
        if (option->kind == CB_OPTION_REAL)
            memcpy((char *)to->options + option->offset, option_of(from, option->offset),
                   option->size * (size_t)option->count);
    }
}

void cbi_options_at(const cbi_traced *traced, int index, int64_t batch, void *options) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    const cb_op *op = first->op;
    if (op->options_size > 0)
        memcpy(options, first->options, op->options_size);
    for (int i = 0; i < op->option_count && op->option_list != NULL; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            size_t at = op->option_list[i].offset + (size_t)k * op->option_list[i].size;
            cbi_extent extent;
            if (op->option_list[i].kind != CB_OPTION_EXTENT)
                continue;
            option_extent(traced, index, at, &extent);
            int64_t fitted = cbi_extent_at(extent, batch);
            memcpy((char *)options + at, &fitted, sizeof(fitted));
        }
}

const cb_draw *cbi_draw_of(const cb_node *node) {
    const cb_op *op = node->op;
    for (int i = 0; op != NULL && op->option_list != NULL && i < op->option_count; i++)
        if (op->option_list[i].kind == CB_OPTION_DRAW)
            return (const cb_draw *)(const void *)option_of(node, op->option_list[i].offset);
    return NULL;
}

static bool same_options(const cb_node *a, const cb_node *b) {
    const cb_op *op = a->op;
    if (op->option_list == NULL)
        return op->options_size == 0 || memcmp(a->options, b->options, op->options_size) == 0;
    for (int i = 0; i < op->option_count; i++)
        for (int k = 0; k < op->option_list[i].count; k++) {
            const cb_option *option = &op->option_list[i];
            if (!same_member(option, option->offset + (size_t)k * option->size, a, b))
                return false;
        }
    return true;
}

bool cbi_traced_alike(const cbi_traced *traced, int a, int b) {
    for (int s = 0; s < CBI_SIDES; s++) {
        const cb_node *n = cbi_traced_node(traced, s, a), *other = cbi_traced_node(traced, s, b);
        if (n->op != other->op || n->op == NULL || n->count != other->count || n->owner != NULL ||
            other->owner != NULL || n->out_count != 1 || other->out_count != 1 ||
            cbi_draw_of(n) != NULL || !same_options(n, other))
            return false;
    }
    return true;
}

/* ---- Differences ----------------------------------------------------------------------------- */

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

const char *cbi_traced_difference(const cbi_traced *traced, int index, bool *numbers_only) {
    const cb_node *first = cbi_traced_node(traced, 0, index);
    cbi_extent extent;
    *numbers_only = false;
    for (int s = 1; s < CBI_SIDES; s++)
        if (!same_node(first, cbi_traced_node(traced, s, index)))
            return CBI_DIFFERS;
    for (int i = 0; i < first->tensor.rank; i++)
        if (!shape_extent(traced, index, i, &extent) ||
            (extent.slope != 0 && extent.constant != 0 && first->op == NULL))
            return CBI_DIFFERS;
    if (first->op == NULL || options_agree(traced, index, true))
        return NULL;
    *numbers_only = first->op->option_list != NULL && options_agree(traced, index, false);
    return first->op->option_list != NULL
               ? options_differ
               : "its options differ from call to call in some byte; see option_list in op.h";
}

/* ---- Another trace --------------------------------------------------------------------------- */

/* Whether a node is what the traces say it is for a batch of this size. */
static bool is_expected(const cbi_traced *traced, int index, const cb_node *node, int64_t batch) {
    bool fits = same_node(cbi_traced_node(traced, 0, index), node);
    for (int i = 0; fits && i < node->tensor.rank; i++)
        fits = node->tensor.shape[i] == cbi_extent_at(cbi_shape_extent(traced, index, i), batch);
    return fits && (node->op == NULL || expected_options(traced, index, node, batch));
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
