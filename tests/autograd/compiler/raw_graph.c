#include "raw_graph.h"

#include "autograd/compiler/call_site.h"
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MATRIX = 64, MOST_PIECES = 4 };

/* A graph while it is drawn. */
typedef struct drawing {
    cbi_graph *graph;
    cb_random random;
} drawing;

static const cbi_call_site by_rows = {.by_rows = true}, of_batch = {.by_rows = false};

static int below(drawing *d, int64_t limit) {
    return (int)cb_random_below(&d->random, (uint64_t)limit);
}

static bool chance(drawing *d, int percent) {
    return below(d, 100) < percent;
}

static int add(drawing *d, const cbi_value *value) {
    int v = cbi_graph_intern(d->graph, value);
    cr_assert_geq(v, 0);
    return v;
}

static const cbi_value *at(const drawing *d, int v) {
    return &d->graph->values[v];
}

static int64_t count_of(const drawing *d, int v) {
    return cbi_graph_count(d->graph, v);
}

static bool has_rows(const drawing *d, int count, const int *in) {
    bool rows = false;
    for (int k = 0; k < count; k++)
        rows = rows || at(d, in[k])->type.rows;
    return rows;
}

static int leaf(drawing *d, cbi_kind kind, int index, const cbi_type *type) {
    return add(d, &(cbi_value){.kind = kind, .type = *type, .index = index});
}

static int number(drawing *d) {
    static const double numbers[] = {0, 0, 1, 0.5, -1};
    return add(d, &(cbi_value){.kind = CBI_CONSTANT,
                               .type = {.dtype = CB_F64},
                               .parameters = {numbers[below(d, 5)]}});
}

/* ---- Views ----------------------------------------------------------------------------------- */

static int view_of(drawing *d, int v, cbi_view view) {
    cbi_view_normalize(&view);
    cbi_type type = cbi_flat_type(CB_F64, at(d, v)->type.rows, cbi_view_count(&view));
    return add(d, &(cbi_value){.kind = CBI_VIEW, .type = type, .count = 1, .in = &v, .view = view});
}

static int slice(drawing *d, int v, int64_t start, int64_t count) {
    return view_of(d, v, cbi_view_run(start, count));
}

/* A number that divides n. */
static int64_t divisor(drawing *d, int64_t n) {
    int64_t divisors[64], count = 0;
    for (int64_t i = 1; i <= n && count < 64; i++)
        if (n % i == 0)
            divisors[count++] = i;
    return divisors[below(d, count)];
}

/* Of an array of two axes: a part of it, turned around, transposed, or repeated. */
static int random_view(drawing *d, int v) {
    int64_t n = count_of(d, v), columns = divisor(d, n), rows = n / columns;
    cbi_view view = {.rank = 2, .shape = {rows, columns}, .stride = {columns, 1}};
    for (int i = 0; i < 2; i++) {
        int64_t start = chance(d, 30) ? below(d, view.shape[i]) : 0;
        int64_t step = chance(d, 20) ? 2 : 1;
        view.offset += start * view.stride[i];
        view.shape[i] = (view.shape[i] - start + step - 1) / step;
        view.stride[i] *= step;
        if (chance(d, 20)) {
            view.offset += (view.shape[i] - 1) * view.stride[i];
            view.stride[i] *= -1;
        }
    }
    if (chance(d, 40)) {
        int64_t shape = view.shape[0], stride = view.stride[0];
        view.shape[0] = view.shape[1], view.stride[0] = view.stride[1];
        view.shape[1] = shape, view.stride[1] = stride;
    }
    if (chance(d, 20) && cbi_view_count(&view) <= 8) {
        view.shape[2] = 1 + below(d, 2);
        view.stride[view.rank++] = 0;
    }
    return view_of(d, v, view);
}

/* ---- Picking ----------------------------------------------------------------------------------
 */

/* Whether other values may be computed from a value. */
static bool is_usable(const drawing *d, int v) {
    cbi_kind kind = at(d, v)->kind;
    return kind != CBI_BATCH_SUM && kind != CBI_BATCH_PRODUCT && kind != CBI_CONSTANT;
}

static int pick(drawing *d, bool rows) {
    int v;
    do {
        int count = d->graph->value_count;
        v = chance(d, 60) ? count - 1 - below(d, count < 6 ? count : 6) : below(d, count);
    } while (!is_usable(d, v) || (rows && !at(d, v)->type.rows));
    return v;
}

/* A value with so many elements, made from v: a slice of it, or it with something around it. */
static int fit(drawing *d, int v, int64_t count) {
    int64_t own = count_of(d, v);
    if (own == count)
        return v;
    if (own > count)
        return slice(d, v, below(d, own - count + 1), count);
    cbi_view place = cbi_view_run(below(d, count - own + 1), own);
    return add(d, &(cbi_value){.kind = CBI_CONCAT,
                               .type = cbi_flat_type(CB_F64, at(d, v)->type.rows, count),
                               .count = 1,
                               .in = &v,
                               .places = &place,
                               .parameters = {chance(d, 80) ? 0 : 0.5}});
}

static int pick_of(drawing *d, int64_t count, bool rows) {
    for (int tries = 0; tries < 8; tries++) {
        int v = pick(d, rows);
        if (count_of(d, v) == count)
            return v;
    }
    return fit(d, pick(d, rows), count);
}

/* ---- Each kind of value -----------------------------------------------------------------------
 */

static int elementwise(drawing *d, const cbi_elementwise *op, int count, const int *in,
                       double parameter) {
    int64_t n = 1;
    for (int k = 0; k < count; k++)
        n = at(d, in[k])->kind != CBI_CONSTANT ? count_of(d, in[k]) : n;
    return add(d, &(cbi_value){.kind = CBI_ELEMENTWISE,
                               .type = cbi_flat_type(CB_F64, has_rows(d, count, in), n),
                               .count = count,
                               .in = in,
                               .op = op,
                               .parameters = {parameter}});
}

static int unary(drawing *d) {
    static const cbi_elementwise *const ops[] = {&cb_tanh_op, &cb_tanh_op,     &cb_sigmoid_op,
                                                 &cb_neg_op,  &cb_scale_op,    &cb_shift_op,
                                                 &cb_sin_op,  &cb_full_like_op};
    static const double parameters[] = {0, 1, 0.5};
    int in = pick(d, chance(d, 85));
    const cbi_elementwise *op = ops[below(d, sizeof(ops) / sizeof(ops[0]))];
    double parameter = op->op.options_size > 0 ? parameters[below(d, 3)] : 0;
    return elementwise(d, op, 1, &in, parameter);
}

static int binary(drawing *d) {
    static const cbi_elementwise *const ops[] = {&cb_add_op, &cb_add_op, &cb_sub_op, &cb_mul_op,
                                                 &cb_maximum_op};
    int first = pick(d, chance(d, 85));
    int second = chance(d, 15) ? number(d) : pick_of(d, count_of(d, first), chance(d, 85));
    int in[2] = {first, second};
    if (chance(d, 30))
        in[0] = second, in[1] = first;
    int v = elementwise(d, ops[below(d, 5)], 2, in, 0);
    return chance(d, 30) ? elementwise(d, &cb_tanh_op, 1, &v, 0) : v;
}

/* Pieces in any order, with gaps between them or without; one in some is interleaved with another.
 */
static int concat(drawing *d) {
    int in[MOST_PIECES], count = 1 + below(d, MOST_PIECES);
    cbi_view places[MOST_PIECES];
    int64_t end = 0;
    for (int k = 0; k < count; k++) {
        in[k] = chance(d, 15) ? number(d) : pick(d, chance(d, 90));
        int64_t n = at(d, in[k])->kind == CBI_CONSTANT ? 1 + below(d, 3) : count_of(d, in[k]);
        end += chance(d, 35) ? 1 + below(d, 3) : 0;
        places[k] = cbi_view_run(end, n);
        end += n;
    }
    int64_t n = end - places[count - 1].offset;
    if (count > 1 && chance(d, 20) && places[count - 2].shape[0] == n &&
        places[count - 2].offset + n == places[count - 1].offset) {
        places[count - 1].offset = places[count - 2].offset + 1;
        places[count - 2].stride[0] = places[count - 1].stride[0] = n > 1 ? 2 : 1;
    }
    if (count > 1 && chance(d, 40)) {
        int k = 1 + below(d, count - 1), v = in[0];
        cbi_view place = places[0];
        in[0] = in[k], places[0] = places[k];
        in[k] = v, places[k] = place;
    }
    end += chance(d, 35) ? 1 + below(d, 3) : 0;
    return add(d, &(cbi_value){.kind = CBI_CONCAT,
                               .type = cbi_flat_type(CB_F64, has_rows(d, count, in), end),
                               .count = count,
                               .in = in,
                               .places = places,
                               .parameters = {chance(d, 85) ? 0 : 0.5}});
}

static int reduction(drawing *d) {
    int in = pick(d, true);
    int64_t n = count_of(d, in), outer = divisor(d, n), inner = divisor(d, n / outer);
    return add(d, &(cbi_value){.kind = CBI_REDUCE,
                               .type = cbi_flat_type(CB_F64, true, outer * inner),
                               .count = 1,
                               .in = &in,
                               .reduction = (cbi_reduction)below(d, 3),
                               .outer = outer,
                               .n = n / outer / inner,
                               .inner = inner});
}

/* A sum over the second axis of a product of two arrays, one of which may be repeated. */
static int reduced_product(drawing *d) {
    int64_t outer = 1 + below(d, 2), n = 3 + below(d, 3),
            inner = chance(d, 50) ? 1 : 3 + below(d, 3);
    cbi_view vector = {.rank = 3, .shape = {outer, n, inner}, .stride = {0, 1, 0}};
    cbi_view vectors = {.rank = 3, .shape = {outer, n, inner}, .stride = {n, 1, 0}};
    int all = pick_of(d, outer * n * inner, true);
    int other = chance(d, 20)   ? pick_of(d, outer * n * inner, chance(d, 80))
                : chance(d, 50) ? view_of(d, pick_of(d, n, chance(d, 80)), vector)
                                : view_of(d, pick_of(d, outer * n, chance(d, 80)), vectors);
    int in[2] = {all, other};
    if (chance(d, 50))
        in[0] = other, in[1] = all;
    int product = elementwise(d, chance(d, 90) ? &cb_mul_op : &cb_add_op, 2, in, 0);
    return add(d, &(cbi_value){.kind = CBI_REDUCE,
                               .type = cbi_flat_type(CB_F64, true, outer * inner),
                               .count = 1,
                               .in = &product,
                               .reduction = chance(d, 90) ? CBI_SUM : CBI_MAX,
                               .outer = outer,
                               .n = n,
                               .inner = inner});
}

/* A matrix of something captured, row-major or transposed. */
static cbi_weight matrix(drawing *d, int64_t groups, int64_t rows, int64_t columns) {
    cbi_weight w = {.captured = below(d, d->graph->captured_count),
                    .rows = rows,
                    .columns = columns,
                    .stride = {rows * columns, columns, 1}};
    if (chance(d, 50))
        w.stride[1] = 1, w.stride[2] = rows;
    w.offset = below(d, MATRIX - groups * rows * columns + 1);
    return w;
}

static int product_of(drawing *d, int left, int64_t n) {
    int64_t all = count_of(d, left);
    int64_t m = chance(d, 15) ? divisor(d, all) : 1,
            groups = chance(d, 15) ? divisor(d, all / m) : 1;
    int64_t k = all / m / groups;
    if (groups * k * n > MATRIX)
        left = fit(d, left, 4), groups = m = 1, k = 4, n = n < 8 ? n : 8;
    cbi_weight block = matrix(d, groups, k, n);
    return add(d, &(cbi_value){.kind = CBI_PRODUCT,
                               .type = cbi_flat_type(CB_F64, true, groups * m * n),
                               .count = 1,
                               .in = &left,
                               .groups = groups,
                               .m = m,
                               .k = k,
                               .weights = {1, 1, &block}});
}

static int product(drawing *d) {
    return product_of(d, pick(d, true), 1 + below(d, 6));
}

/* A sum of two or three products, and something else perhaps. */
static int sum_of_products(drawing *d) {
    int64_t n = 1 + below(d, 4);
    int sum = product_of(d, pick(d, true), n);
    for (int more = 1 + below(d, 2); more > 0; more--) {
        int term = chance(d, 80) ? product_of(d, pick(d, true), count_of(d, sum)) : pick(d, true);
        int in[2] = {sum, fit(d, term, count_of(d, sum))};
        sum = elementwise(d, &cb_add_op, 2, in, 0);
    }
    return sum;
}

/* A product, element by element, in a sum or a difference, and sometimes read elsewhere, too. */
static int gated_sum(drawing *d) {
    int a = pick(d, true), factors[2] = {a, fit(d, pick(d, true), count_of(d, a))};
    int product = elementwise(d, &cb_mul_op, 2, factors, 0), last = chance(d, 50);
    int in[2], other = fit(d, pick(d, true), count_of(d, product));
    in[last] = product;
    in[1 - last] = chance(d, 15) ? product : other;
    if (chance(d, 15))
        elementwise(d, &cb_tanh_op, 1, &product, 0);
    return elementwise(d, chance(d, 50) ? &cb_add_op : &cb_sub_op, 2, in, 0);
}

/* Several products of one value, or one of which parts are read. */
static int gates(drawing *d) {
    int left = pick(d, true), wide = product_of(d, left, 4), k = below(d, 3);
    if (chance(d, 40))
        wide = elementwise(d, &cb_sigmoid_op, 1, &wide, 0);
    int part = slice(d, wide, k, count_of(d, wide) - k - below(d, 2));
    if (chance(d, 50))
        product_of(d, left, 1 + below(d, 4));
    return elementwise(d, &cb_tanh_op, 1, &part, 0);
}

static int contraction(drawing *d) {
    int left = pick(d, true);
    int64_t all = count_of(d, left), groups = divisor(d, all), k = divisor(d, all / groups);
    int64_t n = 1 + below(d, 3);
    int in[2] = {left, pick_of(d, groups * k * n, chance(d, 90))};
    return add(d, &(cbi_value){.kind = CBI_CONTRACT,
                               .type = cbi_flat_type(CB_F64, true, all / k * n),
                               .count = 2,
                               .in = in,
                               .groups = groups,
                               .m = all / groups / k,
                               .k = k});
}

static int call(drawing *d) {
    int in[3], count = 1 + below(d, 3);
    for (int k = 0; k < count; k++)
        in[k] = chance(d, 10) ? number(d) : pick(d, k == 0);
    return add(d, &(cbi_value){.kind = CBI_CALL,
                               .type = cbi_flat_type(CB_F64, true, 1 + below(d, 4)),
                               .count = count,
                               .in = in,
                               .call = chance(d, 80) ? &by_rows : &of_batch});
}

static void draw_value(drawing *d) {
    static int (*const draws[])(drawing *) = {
        unary,  unary,   binary,      binary,    binary,          concat,
        concat, product, gated_sum,   gated_sum, sum_of_products, sum_of_products,
        gates,  gates,   contraction, reduction, reduced_product};
    int v = chance(d, 4) ? call(d) : draws[below(d, sizeof(draws) / sizeof(draws[0]))](d);
    if (chance(d, 25))
        v = random_view(d, v);
    if (count_of(d, v) > 12)
        slice(d, v, below(d, 3), 1 + below(d, 8));
}

/* ---- What it is given and gives ---------------------------------------------------------------
 */

static void *entries(int count, size_t size) {
    void *memory = cbi_allocate(size * (size_t)count);
    cr_assert_not_null(memory);
    return memory;
}

static cbi_type random_type(drawing *d) {
    static const int64_t sizes[] = {1, 2, 3, 4, 4, 6, 8};
    return cbi_flat_type(CB_F64, true, sizes[below(d, 7)]);
}

static void draw_leaves(drawing *d) {
    cbi_graph *g = d->graph;
    g->captured_count = g->captured_room = 1 + below(d, 3);
    g->captured = entries(g->captured_count, sizeof(*g->captured));
    for (int i = 0; i < g->captured_count; i++) {
        g->captured[i].node = i;
        g->captured[i].type = cbi_flat_type(CB_F64, false, MATRIX);
        int all = leaf(d, CBI_CAPTURED, i, &g->captured[i].type);
        slice(d, all, below(d, 8), 1 + below(d, 8));
    }
    g->row_input_count = g->row_input_room = 1 + below(d, 2);
    g->row_inputs = entries(g->row_input_count, sizeof(*g->row_inputs));
    for (int i = 0; i < g->row_input_count; i++) {
        g->row_inputs[i].node = i;
        g->row_inputs[i].type = random_type(d);
        g->row_inputs[i].gradient = -1;
        leaf(d, CBI_ROW_INPUT, i, &g->row_inputs[i].type);
    }
    g->output_count = g->output_room = 1 + below(d, 3);
    g->outputs = entries(g->output_count, sizeof(*g->outputs));
    g->state_count = chance(d, 80) ? g->output_count : 0;
    for (int i = 0; i < g->output_count; i++) {
        g->outputs[i].type = random_type(d);
        g->outputs[i].gradient = -1;
        if (i < g->state_count)
            leaf(d, CBI_STATE, i, &g->outputs[i].type);
    }
}

static int sum_over_rows(drawing *d, int64_t *count) {
    int in = chance(d, 40) ? contraction(d) : pick(d, true);
    in = count_of(d, in) > MATRIX ? slice(d, in, 0, MATRIX) : in;
    *count = count_of(d, in);
    return add(d, &(cbi_value){.kind = CBI_BATCH_SUM,
                               .type = cbi_flat_type(CB_F64, false, *count),
                               .count = 1,
                               .in = &in});
}

static int batch_product(drawing *d, int64_t *count) {
    int64_t k = chance(d, 25) ? 2 : 1, groups = chance(d, 20) ? 2 : 1;
    int64_t m = 1 + below(d, 4), n = 1 + below(d, 4);
    int in[2] = {pick_of(d, groups * k * m, true), pick_of(d, groups * k * n, true)};
    *count = groups * m * n;
    return add(d, &(cbi_value){.kind = CBI_BATCH_PRODUCT,
                               .type = {.dtype = CB_F64, .rank = 3, .shape = {groups, m, n}},
                               .count = 2,
                               .in = in,
                               .groups = groups,
                               .m = m,
                               .k = k});
}

/* A part of a gradient of something captured: a run of it, or every other element. */
static void draw_term(drawing *d) {
    cbi_captured *captured = &d->graph->captured[below(d, d->graph->captured_count)];
    int64_t count;
    int value = chance(d, 60)   ? batch_product(d, &count)
                : chance(d, 90) ? sum_over_rows(d, &count)
                                : pick(d, false);
    count = count_of(d, value);
    if (at(d, value)->type.rows || count > MATRIX)
        return;
    int64_t step = 2 * count <= MATRIX && chance(d, 25) ? 2 : 1;
    cbi_view place = cbi_view_run(below(d, MATRIX - step * count + 1), count);
    place.stride[0] = count > 1 ? step : 1;
    cr_assert(cbi_grow(&captured->terms, &captured->term_room, captured->term_count + 1,
                       sizeof(*captured->terms)));
    captured->terms[captured->term_count++] = (cbi_term){value, place};
}

static void draw_gradients(drawing *d) {
    cbi_graph *g = d->graph;
    for (int i = 0; i < g->state_count; i++)
        if (chance(d, 90))
            g->outputs[i].gradient =
                chance(d, 5) ? number(d) : pick_of(d, cbi_count_of(&g->outputs[i].type), true);
    for (int i = 0; i < g->row_input_count; i++)
        if (chance(d, 80))
            g->row_inputs[i].gradient =
                chance(d, 5) ? number(d) : pick_of(d, cbi_count_of(&g->row_inputs[i].type), true);
    for (int terms = below(d, 5); terms > 0; terms--)
        draw_term(d);
}

cbi_graph *raw_graph(uint64_t seed) {
    drawing d = {cbi_graph_new(), cb_random_seed(seed)};
    cr_assert_not_null(d.graph);
    draw_leaves(&d);
    for (int values = 2 + below(&d, 12); values > 0; values--)
        draw_value(&d);
    for (int i = 0; i < d.graph->output_count; i++)
        d.graph->outputs[i].value = pick_of(&d, cbi_count_of(&d.graph->outputs[i].type), true);
    d.graph->forward_count = d.graph->value_count;
    for (int i = 0; i < d.graph->output_count; i++)
        leaf(&d, CBI_COTANGENT, i, &d.graph->outputs[i].type);
    for (int values = 1 + below(&d, 12); values > 0; values--)
        draw_value(&d);
    draw_gradients(&d);
    return d.graph;
}

uint64_t first_seed_of(const char *test) {
    const char *given = getenv("CB_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 100000;
    fprintf(stderr, "%s: CB_TEST_SEED=%" PRIu64 "\n", test, seed);
    return seed;
}

int seed_count(int otherwise) {
    const char *given = getenv("CB_TEST_COUNT");
    return given != NULL ? atoi(given) : otherwise;
}
