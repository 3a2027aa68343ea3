/* Terms of gradients.

   The gradient of what all rows share is a sum over rows and steps. Its terms are products over all
   steps, and what is added up in the loop; on the way from them to the gradient are sums, and ops
   that only move elements: transposes, reshapes, the gradients of slices. None of these has to be
   computed: each term has its place in the gradient. */
#include "autograd/compiler/terms.h"
#include "autograd/compiler/lower_internal.h"

#include "tensor/memory.h"

#include <string.h>

static int64_t magnitude(int64_t stride) {
    return stride < 0 ? -stride : stride;
}

/* A view of each element of a row-major tensor once, as where each of these elements is in the
   view's order. False when it is none. */
static bool invert(const cbi_view *view, int64_t count, cbi_view *inverse) {
    cbi_view order = cbi_view_whole(view->rank, view->shape);
    bool used[CB_MAX_RANK] = {false};
    int64_t dense = 1, offset = view->offset;
    *inverse = (cbi_view){.rank = view->rank};
    for (int i = view->rank - 1; i >= 0; i--) {
        int least = -1;
        for (int k = 0; k < view->rank; k++)
            if (!used[k] &&
                (least < 0 || magnitude(view->stride[k]) < magnitude(view->stride[least])))
                least = k;
        if (magnitude(view->stride[least]) != dense)
            return false;
        used[least] = true;
        dense *= view->shape[least];
        inverse->shape[i] = view->shape[least];
        inverse->stride[i] = order.stride[least];
        if (view->stride[least] < 0) {
            int64_t last = view->shape[least] - 1;
            offset += last * view->stride[least];
            inverse->offset += last * order.stride[least];
            inverse->stride[i] = -order.stride[least];
        }
    }
    cbi_view_normalize(inverse);
    return dense == count && offset == 0;
}

/* Where the elements of a view's base are in the view; false when some are not, or not once. */
static bool places_of_view(const cbi_traced *traced, int node, int base, cbi_view *places) {
    const cb_tensor *t = &cbi_traced_node(traced, 0, node)->tensor;
    const cb_tensor *whole = &cbi_traced_node(traced, 0, base)->tensor;
    cbi_view view = {.rank = 0};
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] != 1) {
            view.shape[view.rank] = t->shape[i];
            view.stride[view.rank++] = t->stride[i];
        }
    view.offset =
        ((const char *)t->data - (const char *)whole->data) / (int64_t)cb_dtype_size(whole->dtype);
    return cb_tensor_is_contiguous(whole) && invert(&view, cb_tensor_count(whole), places);
}

/* Where an op that only moves elements puts those of its input. */
static bool places_of_op(const cb_node *node, cbi_view *places) {
    int64_t start[CB_MAX_RANK] = {0}, step[CB_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    cb_call call = cbi_call_of((cb_node *)(uintptr_t)node);
    if (node->op->lowering == NULL || node->op->lowering->places == NULL ||
        !node->op->lowering->places(&call, start, step))
        return false;
    cbi_view whole = cbi_view_whole(node->tensor.rank, node->tensor.shape);
    *places = (cbi_view){.rank = node->tensor.rank};
    for (int i = 0; i < node->tensor.rank; i++) {
        places->offset += start[i] * whole.stride[i];
        places->shape[i] = node->in[0]->shape[i];
        places->stride[i] = step[i] * whole.stride[i];
    }
    cbi_view_normalize(places);
    return true;
}

/* Puts what a term's elements are moved from in its place; false when they are not just moved. */
static bool move(const cbi_traced *traced, cbi_trace_term *term) {
    const cb_node *n = cbi_traced_node(traced, 0, term->node);
    cbi_view places, through;
    int from = n->op->view ? cbi_base_of(traced, term->node) : n->in[0]->node->index;
    if (cbi_has_batch(traced, term->node) || cbi_has_batch(traced, from) ||
        !(n->op->view ? places_of_view(traced, term->node, from, &places)
                      : places_of_op(n, &places)) ||
        !cbi_view_through(&places, term->place.rank, term->place.shape, term->place.offset,
                          term->place.stride, &through))
        return false;
    term->place = through;
    term->node = from;
    return true;
}

static bool is_sum(const cb_node *n) {
    return n->op->lowering != NULL && n->op->lowering->is_sum != NULL &&
           n->op->lowering->is_sum(n->op) && cb_tensor_same_shape(&n->tensor, n->in[0]) &&
           cb_tensor_same_shape(&n->tensor, n->in[1]);
}

bool cbi_find_terms(const cbi_traced *traced, int captured, int gradient, cbi_trace_terms *terms) {
    int at = terms->count;
    if (!cbi_grow(&terms->list, &terms->room, at + 1, sizeof(*terms->list)))
        return false;
    cbi_view all = cbi_view_run(0, cb_tensor_count(&cbi_traced_node(traced, 0, gradient)->tensor));
    terms->list[terms->count++] = (cbi_trace_term){captured, gradient, all};
    while (at < terms->count) {
        cbi_trace_term *term = &terms->list[at];
        const cb_node *n = cbi_traced_node(traced, 0, term->node);
        if (n->op == NULL || n->count == 0 || (!is_sum(n) && !move(traced, term))) {
            at++;
        } else if (is_sum(n)) { /* one operand takes its place, the other joins */
            if (!cbi_grow(&terms->list, &terms->room, terms->count + 1, sizeof(*terms->list)))
                return false;
            cbi_trace_term other = terms->list[at];
            other.node = n->in[1]->node->index;
            terms->list[at].node = n->in[0]->node->index;
            terms->list[terms->count++] = other;
        }
    }
    return true;
}
