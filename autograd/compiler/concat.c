/* Simplifying concatenations.

   The gradient of a row of which parts were used is a sum of zeros around each part's gradient: as
   concatenations those are one, of the gradients side by side. Pieces that are concatenations are
   opened, neighbouring slices of one value are one piece, and zeros in zeros are left out. */
#include "autograd/compiler/simplify.h"

#include "tensor/memory.h"

#include <string.h>

/* A concatenation while it is put together. */
typedef struct pieces {
    int count, room;
    struct piece {
        int value;
        cbi_view place;
    } * list;
    bool changed;
} pieces;

static bool add(cbi_graph *graph, pieces *p, int value, const cbi_view *place) {
    graph->failed =
        graph->failed || value < 0 || !cbi_grow(&p->list, &p->room, p->count + 1, sizeof(*p->list));
    if (graph->failed)
        return false;
    p->list[p->count].value = value;
    p->list[p->count++].place = *place;
    return true;
}

/* Adds the pieces of a concatenation that is a piece itself; false when they are no places here. */
static bool open_piece(cbi_graph *graph, pieces *p, int value, const cbi_view *place) {
    const cbi_value inner = graph->values[value];
    int before = p->count;
    for (int k = 0; k < inner.count; k++) {
        cbi_view through;
        if (!cbi_view_through(&inner.places[k], place->rank, place->shape, place->offset,
                              place->stride, &through) ||
            !add(graph, p, inner.in[k], &through)) {
            p->count = before;
            return false;
        }
    }
    return true;
}

static bool is_full(const cbi_graph *graph, int count, const int *in, int64_t all) {
    for (int k = 0; k < count; k++)
        all -= cbi_graph_count(graph, in[k]);
    return all == 0;
}

static void add_piece(cbi_graph *graph, pieces *p, const cbi_value *concat, int k) {
    int value = concat->in[k];
    const cbi_view *place = &concat->places[k];
    const cbi_value *piece = &graph->values[value];
    bool empty = cbi_view_count(place) == 0;
    bool filled = piece->kind == CBI_CONSTANT &&
                  memcmp(piece->parameters, concat->parameters, sizeof(double)) == 0;
    if (empty || filled) {
        p->changed = true;
        return;
    }
    bool opens = piece->kind == CBI_CONCAT &&
                 (memcmp(piece->parameters, concat->parameters, sizeof(double)) == 0 ||
                  is_full(graph, piece->count, piece->in, cbi_graph_count(graph, value)));
    if (opens && open_piece(graph, p, value, place))
        p->changed = true;
    else
        add(graph, p, value, place);
}

/* The value and the run of it that a piece is. */
static int run_of(const cbi_graph *graph, const struct piece *piece, int64_t *start) {
    const cbi_value *v = &graph->values[piece->value];
    *start = 0;
    if (v->kind != CBI_VIEW)
        return piece->value;
    *start = v->view.offset;
    return cbi_view_is_run(&v->view) ? v->in[0] : -1;
}

/* Whether b goes on where a ends, here and in the value that both are slices of. */
static bool continues(const cbi_graph *graph, const struct piece *a, const struct piece *b,
                      int *whole, int64_t *start) {
    int64_t of_b;
    *whole = run_of(graph, a, start);
    return *whole >= 0 && run_of(graph, b, &of_b) == *whole && !cbi_is_constant(graph, *whole) &&
           cbi_view_is_run(&a->place) && cbi_view_is_run(&b->place) &&
           a->place.offset + a->place.shape[0] == b->place.offset &&
           *start + a->place.shape[0] == of_b;
}

static void order(pieces *p) {
    for (int i = 1; i < p->count; i++)
        for (int k = i; k > 0 && p->list[k - 1].place.offset > p->list[k].place.offset; k--) {
            struct piece piece = p->list[k];
            p->list[k] = p->list[k - 1];
            p->list[k - 1] = piece;
            p->changed = true;
        }
}

static void join_slices(cbi_graph *graph, pieces *p) {
    int kept = 0;
    for (int k = 1; k < p->count; k++) {
        struct piece *last = &p->list[kept];
        int whole;
        int64_t start;
        if (continues(graph, last, &p->list[k], &whole, &start)) {
            last->place.shape[0] += p->list[k].place.shape[0];
            last->value = cbi_slice_of(graph, whole, start, last->place.shape[0]);
            p->changed = true;
        } else {
            p->list[++kept] = p->list[k];
        }
    }
    p->count = p->count > 0 ? kept + 1 : 0;
}

/* The concatenation of pieces, as simple as it gets. */
static int finish(cbi_graph *graph, pieces *p, const cbi_type *type, double fill) {
    int *in = cbi_graph_allocate(graph, sizeof(int) * (size_t)(p->count + 1));
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)(p->count + 1));
    if (in == NULL || places == NULL)
        return -1;
    for (int k = 0; k < p->count; k++) {
        in[k] = p->list[k].value;
        places[k] = p->list[k].place;
    }
    cbi_view all = cbi_view_run(0, cbi_count_of(type));
    if (p->count == 0)
        return cbi_constant(graph, type->dtype, fill);
    if (p->count == 1 && cbi_view_equal(&places[0], &all) &&
        (cbi_is_constant(graph, in[0]) || graph->values[in[0]].type.rows == type->rows))
        return in[0];
    return cbi_graph_intern(graph, &(cbi_value){.kind = CBI_CONCAT,
                                                .type = *type,
                                                .count = p->count,
                                                .in = in,
                                                .places = places,
                                                .parameters = {fill}});
}

int cbi_simpler_concat(cbi_graph *graph, const cbi_value *v) {
    pieces p = {.count = 0};
    for (int k = 0; k < v->count; k++)
        add_piece(graph, &p, v, k);
    order(&p);
    join_slices(graph, &p);
    int result = graph->failed ? -1 : finish(graph, &p, &v->type, v->parameters[0]);
    cbi_free(p.list);
    return result;
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* Marks the elements that a view goes through. Returns how many were marked before. */
static int64_t mark(const cbi_view *view, bool *marked) {
    int64_t index[CB_MAX_RANK] = {0}, count = cbi_view_count(view), before = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = view->offset;
        for (int k = 0; k < view->rank; k++)
            at += index[k] * view->stride[k];
        before += marked[at];
        marked[at] = true;
        for (int k = view->rank - 1; k >= 0 && ++index[k] == view->shape[k]; k--)
            index[k] = 0;
    }
    return before;
}

/* Whether the pieces of b lie between those of a, or in the places of some of them. */
static bool fit_together(cbi_graph *graph, const cbi_value *a, const cbi_value *b) {
    bool fit = true, *marked = cbi_allocate((size_t)cbi_count_of(&a->type) + 1);
    graph->failed = graph->failed || marked == NULL;
    for (int k = 0; k < a->count && !graph->failed; k++)
        mark(&a->places[k], marked);
    for (int k = 0; k < b->count && fit && !graph->failed; k++) {
        bool same = false;
        for (int i = 0; i < a->count; i++)
            same = same || cbi_view_equal(&a->places[i], &b->places[k]);
        fit = same || mark(&b->places[k], marked) == 0;
    }
    cbi_free(marked);
    return fit && !graph->failed;
}

static int sum_of(cbi_graph *graph, const cbi_value *sum, int a, int b, int64_t count) {
    bool rows = graph->values[a].type.rows || graph->values[b].type.rows;
    return cbi_elementwise_value(graph, sum->op, NULL, cbi_flat_type(sum->type.dtype, rows, count),
                                 2, (const int[]){a, b});
}

/* Piece by piece, where pieces lie in the same places or beside each other. */
static int add_by_places(cbi_graph *graph, const cbi_value *sum, const cbi_value *a,
                         const cbi_value *b) {
    pieces p = {.count = 0};
    for (int k = 0; k < a->count; k++)
        add(graph, &p, a->in[k], &a->places[k]);
    for (int k = 0; k < b->count && !graph->failed; k++) {
        int at = 0;
        while (at < a->count && !cbi_view_equal(&a->places[at], &b->places[k]))
            at++;
        if (at < a->count)
            p.list[at].value =
                sum_of(graph, sum, p.list[at].value, b->in[k], cbi_view_count(&b->places[k]));
        else
            add(graph, &p, b->in[k], &b->places[k]);
        graph->failed = graph->failed || p.list[at].value < 0;
    }
    int *in = cbi_graph_allocate(graph, sizeof(int) * (size_t)(p.count + 1));
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)(p.count + 1));
    for (int k = 0; k < p.count && !graph->failed; k++) {
        in[k] = p.list[k].value;
        places[k] = p.list[k].place;
    }
    int result = graph->failed ? -1 : cbi_concat_of(graph, sum->type, p.count, in, places, 0);
    cbi_free(p.list);
    return result;
}

static bool has_runs(const cbi_value *concat) {
    bool runs = true;
    for (int k = 0; k < concat->count; k++)
        runs = runs && cbi_view_is_run(&concat->places[k]);
    return runs;
}

/* The next place after `at` where a piece begins or ends. */
static int64_t next_edge(const cbi_value *concat, int64_t at, int64_t end) {
    for (int k = 0; k < concat->count; k++) {
        int64_t begin = concat->places[k].offset, stop = begin + concat->places[k].shape[0];
        end = begin > at && begin < end ? begin : end;
        end = stop > at && stop < end ? stop : end;
    }
    return end;
}

/* Run by run between the edges of both. Either may be no concatenation: then it is one piece. */
static int add_by_runs(cbi_graph *graph, const cbi_value *sum, const cbi_value *a,
                       const cbi_value *b) {
    pieces p = {.count = 0};
    int64_t all = cbi_count_of(&sum->type);
    for (int64_t at = 0; at < all && !graph->failed;) {
        int64_t end = next_edge(a, at, next_edge(b, at, all));
        cbi_view place = cbi_view_run(at, end - at);
        int left = cbi_slice_of(graph, sum->in[0], at, end - at);
        int right = cbi_slice_of(graph, sum->in[1], at, end - at);
        if (left >= 0 && right >= 0)
            add(graph, &p, sum_of(graph, sum, left, right, end - at), &place);
        at = end;
    }
    int *in = cbi_graph_allocate(graph, sizeof(int) * (size_t)(p.count + 1));
    cbi_view *places = cbi_graph_allocate(graph, sizeof(cbi_view) * (size_t)(p.count + 1));
    for (int k = 0; k < p.count && !graph->failed; k++) {
        in[k] = p.list[k].value;
        places[k] = p.list[k].place;
    }
    int result = graph->failed ? -1 : cbi_concat_of(graph, sum->type, p.count, in, places, 0);
    cbi_free(p.list);
    return result;
}

/* A concatenation with zeros between its pieces. */
static bool is_padded(const cbi_graph *graph, int value) {
    const cbi_value *v = &graph->values[value];
    return v->kind == CBI_CONCAT && v->parameters[0] == 0;
}

int cbi_sum_of_concats(cbi_graph *graph, const cbi_value *sum) {
    const cbi_value none = {.count = 0};
    bool left = is_padded(graph, sum->in[0]), right = is_padded(graph, sum->in[1]);
    const cbi_value a = left ? graph->values[sum->in[0]] : none;
    const cbi_value b = right ? graph->values[sum->in[1]] : none;
    if ((left || right) && !cbi_is_constant(graph, sum->in[0]) &&
        !cbi_is_constant(graph, sum->in[1]) && has_runs(&a) && has_runs(&b))
        return add_by_runs(graph, sum, &a, &b);
    if (!left || !right || !fit_together(graph, &a, &b))
        return -1;
    return add_by_places(graph, sum, &a, &b);
}
