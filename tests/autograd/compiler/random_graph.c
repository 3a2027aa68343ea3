/* Random graphs, and what graphs are built with. */
#include "random_graph.h"

#include "tensor/memory.h"

#include <criterion/criterion.h>
#include <string.h>

static int below(cb_random *random, int limit) {
    return (int)cb_random_below(random, (uint64_t)limit);
}

/* ---- Building -------------------------------------------------------------------------------- */

cbi_graph *graph_with(int states, const int64_t *state_size, int row_inputs,
                      const int64_t *row_input_size, int captured, const int64_t (*shape)[2]) {
    cbi_graph *graph = cbi_graph_new();
    cr_assert(
        graph != NULL &&
        cbi_grow(&graph->outputs, &graph->output_room, states + 1, sizeof(*graph->outputs)) &&
        cbi_grow(&graph->row_inputs, &graph->row_input_room, row_inputs + 1,
                 sizeof(*graph->row_inputs)) &&
        cbi_grow(&graph->captured, &graph->captured_room, captured + 1, sizeof(*graph->captured)));
    graph->state_count = graph->output_count = states;
    graph->row_input_count = row_inputs;
    graph->captured_count = captured;
    for (int i = 0; i < states; i++)
        graph->outputs[i] = (cbi_output){i, cbi_flat_type(CB_F64, true, state_size[i]), -1, -1};
    for (int i = 0; i < row_inputs; i++)
        graph->row_inputs[i] =
            (cbi_row_input){i, cbi_flat_type(CB_F64, true, row_input_size[i]), -1};
    for (int i = 0; i < captured; i++)
        graph->captured[i] = (cbi_captured){
            .node = row_inputs + i,
            .type = {.dtype = CB_F64, .rank = 2, .shape = {shape[i][0], shape[i][1]}}};
    return graph;
}

int leaf_of(cbi_graph *graph, cbi_kind kind, int index) {
    cbi_value v = {.kind = kind, .index = index};
    v.type = kind == CBI_CAPTURED    ? graph->captured[index].type
             : kind == CBI_ROW_INPUT ? graph->row_inputs[index].type
                                     : graph->outputs[index].type;
    return cbi_graph_add(graph, &v);
}

int product_with(cbi_graph *graph, int left, int captured, bool transposed) {
    const int64_t *shape = graph->captured[captured].type.shape;
    cbi_weight block = {captured, shape[0], shape[1], 0, {0, shape[1], 1}};
    if (transposed)
        block = (cbi_weight){captured, shape[1], shape[0], 0, {0, 1, shape[1]}};
    leaf_of(graph, CBI_CAPTURED, captured);
    cbi_value v = {.kind = CBI_PRODUCT,
                   .type = cbi_flat_type(CB_F64, true, block.columns),
                   .count = 1,
                   .in = &left,
                   .groups = 1,
                   .m = cbi_graph_count(graph, left) / block.rows,
                   .k = block.rows,
                   .weights = {1, 1, &block}};
    v.type.shape[0] *= v.m;
    return cbi_graph_add(graph, &v);
}

int binary(cbi_graph *graph, const cbi_elementwise *op, int a, int b) {
    const cbi_value *x = &graph->values[a], *y = &graph->values[b];
    cbi_type type = cbi_is_constant(graph, a) ? y->type : x->type;
    type.rows = x->type.rows || y->type.rows;
    return cbi_elementwise_value(graph, op, NULL, type, 2, (int[]){a, b});
}

int unary(cbi_graph *graph, const cbi_elementwise *op, int a) {
    return cbi_elementwise_value(graph, op, NULL, graph->values[a].type, 1, &a);
}

void add_term(cbi_graph *graph, int captured, int value, cbi_view place) {
    cbi_captured *c = &graph->captured[captured];
    cr_assert(cbi_grow(&c->terms, &c->term_room, c->term_count + 1, sizeof(*c->terms)));
    c->terms[c->term_count++] = (cbi_term){value, place};
}

/* ---- Random values --------------------------------------------------------------------------- */

enum { SIZE = 12, MOST_VALUES = 200 };

/* A graph while it is drawn: values of rows that may be used. */
typedef struct drawing {
    cb_random *random;
    cbi_graph *graph;
    int count, of[MOST_VALUES];
} drawing;

static int any(drawing *d) {
    return d->of[below(d->random, d->count)];
}

static void note(drawing *d, int value) {
    cr_assert_geq(value, 0);
    if (d->graph->values[value].type.rows && d->count < MOST_VALUES)
        d->of[d->count++] = value;
}

/* One with that many elements: a slice, or a repetition, of any. */
static int with_count(drawing *d, int64_t count) {
    int v = any(d);
    int64_t all = cbi_graph_count(d->graph, v);
    if (all == count)
        return v;
    if (all > count)
        return cbi_slice_of(d->graph, v, below(d->random, (int)(all - count) + 1), count);
    cbi_view repeated = {.offset = below(d->random, (int)all), .rank = 1, .shape = {count}};
    return cbi_view_of(d->graph, v, &repeated);
}

static int draw_elementwise(drawing *d) {
    static const cbi_elementwise *const binaries[] = {&cb_add_op, &cb_add_op, &cb_sub_op,
                                                      &cb_mul_op};
    static const cbi_elementwise *const unaries[] = {&cb_tanh_op, &cb_neg_op, &cb_sin_op};
    int a = any(d);
    if (below(d->random, 3) == 0)
        return unary(d->graph, unaries[below(d->random, 3)], a);
    int b = below(d->random, 6) == 0 ? cbi_constant(d->graph, CB_F64, below(d->random, 3) - 1)
                                     : with_count(d, cbi_graph_count(d->graph, a));
    return binary(d->graph, binaries[below(d->random, 4)], a, b);
}

static int draw_view(drawing *d) {
    int v = any(d);
    int64_t all = cbi_graph_count(d->graph, v);
    cbi_view view = {.rank = 2, .shape = {2, all / 2}, .stride = {1, 2}}; /* transposed */
    if (below(d->random, 3) == 0 || all < 2)
        view = (cbi_view){.offset = all - 1, .rank = 1, .shape = {all}, .stride = {-1}};
    else if (below(d->random, 2) == 0)
        view = (cbi_view){.rank = 2, .shape = {3, all}, .stride = {0, 1}};
    return cbi_view_of(d->graph, v, &view);
}

static int draw_concat(drawing *d) {
    int pieces[3], count = 1 + below(d->random, 3);
    cbi_view places[3];
    int64_t at = 0;
    for (int k = 0; k < count; k++) {
        pieces[k] = with_count(d, 1 + below(d->random, 6));
        at += below(d->random, 3) == 0 ? 2 : 0;
        places[k] = cbi_view_run(at, cbi_graph_count(d->graph, pieces[k]));
        at += places[k].shape[0];
    }
    at += below(d->random, 4) == 0 ? 3 : 0;
    return cbi_concat_of(d->graph, cbi_flat_type(CB_F64, true, at), count, pieces, places, 0);
}

static int draw_reduction(drawing *d) {
    int64_t outer = 1 + below(d->random, 2), n = 1 + below(d->random, 3),
            inner = 1 + below(d->random, 2);
    int in = with_count(d, outer * n * inner);
    cbi_value v = {.kind = CBI_REDUCE,
                   .type = cbi_flat_type(CB_F64, true, outer * inner),
                   .count = 1,
                   .in = &in,
                   .reduction = (cbi_reduction)below(d->random, 3),
                   .outer = outer,
                   .n = n,
                   .inner = inner};
    return cbi_graph_add(d->graph, &v);
}

static int draw_product(drawing *d) {
    int captured = below(d->random, d->graph->captured_count);
    bool transposed = below(d->random, 2) == 0;
    int64_t k = d->graph->captured[captured].type.shape[transposed];
    int m = below(d->random, 5) == 0 ? 2 : 1;
    return product_with(d->graph, with_count(d, m * k), captured, transposed);
}

static int draw_contraction(drawing *d) {
    int64_t groups = 1 + below(d->random, 2), m = 1 + below(d->random, 3),
            k = 1 + below(d->random, 2), n = 1 + below(d->random, 2);
    int in[2] = {with_count(d, groups * m * k), with_count(d, groups * k * n)};
    cbi_value v = {.kind = CBI_CONTRACT,
                   .type = {.dtype = CB_F64, .rows = true, .rank = 3, .shape = {groups, m, n}},
                   .count = 2,
                   .in = in,
                   .groups = groups,
                   .m = m,
                   .k = k};
    return cbi_graph_add(d->graph, &v);
}

static void draw_values(drawing *d, int count) {
    static int (*const draw[])(drawing * d) = {
        draw_elementwise, draw_elementwise, draw_elementwise, draw_view,       draw_concat,
        draw_reduction,   draw_product,     draw_product,     draw_contraction};
    for (int i = 0; i < count; i++)
        note(d, draw[below(d->random, 9)](d));
}

/* A term of a captured tensor's gradient: a product over the rows, or a sum. */
static void draw_term(drawing *d, int captured) {
    int64_t rows = d->graph->captured[captured].type.shape[0];
    int64_t columns = d->graph->captured[captured].type.shape[1];
    int in[2] = {with_count(d, rows), with_count(d, columns)};
    cbi_value v = {.kind = CBI_BATCH_PRODUCT,
                   .type = {.dtype = CB_F64, .rank = 3, .shape = {1, rows, columns}},
                   .count = 2,
                   .in = in,
                   .groups = 1,
                   .m = rows,
                   .k = 1};
    cbi_view place = cbi_view_run(0, rows * columns);
    if (below(d->random, 3) == 0) { /* a row of it */
        v = (cbi_value){.kind = CBI_BATCH_SUM,
                        .type = cbi_flat_type(CB_F64, false, columns),
                        .count = 1,
                        .in = in + 1};
        place = cbi_view_run(columns * below(d->random, (int)rows), columns);
    }
    int value = cbi_graph_add(d->graph, &v);
    cr_assert_geq(value, 0);
    add_term(d->graph, captured, value, place);
}

cbi_graph *random_graph(cb_random *random) {
    static const int64_t sizes[] = {4, 6}, shapes[][2] = {{4, 6}, {6, 4}, {4, 4}};
    cbi_graph *graph = graph_with(2, sizes, 2, sizes, 3, shapes);
    drawing d = {.random = random, .graph = graph};
    for (int i = 0; i < 2; i++) {
        note(&d, leaf_of(graph, CBI_STATE, i));
        note(&d, leaf_of(graph, CBI_ROW_INPUT, i));
    }
    draw_values(&d, 2 + below(random, SIZE));
    for (int i = 0; i < 2; i++)
        graph->outputs[i].value = with_count(&d, sizes[i]);
    graph->forward_count = graph->value_count;
    for (int i = 0; i < 2; i++)
        note(&d, leaf_of(graph, CBI_COTANGENT, i));
    draw_values(&d, 2 + below(random, SIZE));
    for (int i = 0; i < 2; i++) {
        graph->outputs[i].gradient = with_count(&d, sizes[i]);
        graph->row_inputs[i].gradient = below(random, 3) > 0 ? with_count(&d, sizes[i]) : -1;
    }
    for (int i = 0; i < 3; i++)
        for (int k = below(random, 3); k > 0; k--)
            draw_term(&d, i);
    return graph;
}
