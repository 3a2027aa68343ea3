#include "small_graph.h"

#include "tensor/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void *entry(size_t size) {
    void *memory = cbi_allocate(size);
    cr_assert_not_null(memory);
    return memory;
}

cbt_small cbt_small_new(void) {
    cbi_graph *g = cbi_graph_new();
    const cbi_type row = cbi_flat_type(CB_F64, true, CBT_N);
    const cbi_type captured = cbi_flat_type(CB_F64, false, CBT_CAPTURED);
    g->captured_count = g->captured_room = 1;
    g->captured = entry(sizeof(*g->captured));
    g->captured[0].type = captured;
    g->row_input_count = g->row_input_room = 1;
    g->row_inputs = entry(sizeof(*g->row_inputs));
    g->row_inputs[0] = (cbi_row_input){.type = row, .gradient = -1};
    g->output_count = g->output_room = g->state_count = 1;
    g->outputs = entry(sizeof(*g->outputs));
    g->outputs[0] = (cbi_output){.type = row, .gradient = -1};
    cbt_small s = {.graph = g, .cotangent = -1};
    s.x = cbi_graph_add(g, &(cbi_value){.kind = CBI_ROW_INPUT, .type = row});
    s.h = cbi_graph_add(g, &(cbi_value){.kind = CBI_STATE, .type = row});
    s.w = cbi_graph_add(g, &(cbi_value){.kind = CBI_CAPTURED, .type = captured});
    g->outputs[0].value = s.h;
    g->forward_count = g->value_count;
    return s;
}

void cbt_set_output(cbt_small *s, int value) {
    s->graph->outputs[0].value = value;
    s->graph->forward_count = s->graph->value_count;
}

void cbt_begin_gradient(cbt_small *s) {
    s->graph->forward_count = s->graph->value_count;
    s->cotangent = cbi_graph_add(
        s->graph, &(cbi_value){.kind = CBI_COTANGENT, .type = cbi_flat_type(CB_F64, true, CBT_N)});
}

void cbt_add_term(cbt_small *s, int value, int64_t offset) {
    cbi_captured *w = &s->graph->captured[0];
    cr_assert(cbi_grow(&w->terms, &w->term_room, w->term_count + 1, sizeof(*w->terms)));
    w->terms[w->term_count++] =
        (cbi_term){value, cbi_view_run(offset, cbi_graph_count(s->graph, value))};
}

static int elementwise(cbt_small *s, const cbi_elementwise *op, int count, const int *in) {
    const cbi_value *a = &s->graph->values[in[0]], *b = &s->graph->values[in[count - 1]];
    const cbi_type *type = a->kind == CBI_CONSTANT ? &b->type : &a->type;
    return cbi_elementwise_value(
        s->graph, op, NULL, cbi_flat_type(CB_F64, a->type.rows || b->type.rows, cbi_count_of(type)),
        count, in);
}

int cbt_unary(cbt_small *s, const cbi_elementwise *op, int a) {
    return elementwise(s, op, 1, &a);
}

int cbt_binary(cbt_small *s, const cbi_elementwise *op, int a, int b) {
    return elementwise(s, op, 2, (const int[]){a, b});
}

int cbt_product(cbt_small *s, int left, int64_t n, int64_t offset) {
    int64_t k = cbi_graph_count(s->graph, left);
    cbi_weight block = {.rows = k, .columns = n, .offset = offset, .stride = {0, n, 1}};
    return cbi_graph_add(s->graph, &(cbi_value){.kind = CBI_PRODUCT,
                                                .type = cbi_flat_type(CB_F64, true, n),
                                                .count = 1,
                                                .in = &left,
                                                .groups = 1,
                                                .m = 1,
                                                .k = k,
                                                .weights = {1, 1, &block}});
}

int cbt_outer(cbt_small *s, int a, int b) {
    int64_t m = cbi_graph_count(s->graph, a), n = cbi_graph_count(s->graph, b);
    const int in[2] = {a, b};
    return cbi_graph_add(s->graph,
                         &(cbi_value){.kind = CBI_BATCH_PRODUCT,
                                      .type = {.dtype = CB_F64, .rank = 3, .shape = {1, m, n}},
                                      .count = 2,
                                      .in = in,
                                      .groups = 1,
                                      .m = m,
                                      .k = 1});
}

int cbt_pair(cbt_small *s, int a, int64_t gap, int b) {
    int64_t first = cbi_graph_count(s->graph, a), second = cbi_graph_count(s->graph, b);
    const int in[2] = {a, b};
    const cbi_view places[2] = {cbi_view_run(0, first), cbi_view_run(first + gap, second)};
    return cbi_concat_of(s->graph, cbi_flat_type(CB_F64, true, first + gap + second), 2, in, places,
                         0);
}

int cbt_count_kind(const cbt_small *s, cbi_kind kind, int *last) {
    const cbi_graph *g = s->graph;
    int *uses = calloc((size_t)g->value_count + 1, sizeof(*uses)), count = 0;
    cr_assert_not_null(uses);
    *last = -1;
    cbi_graph_count_uses(g, uses);
    for (int v = 0; v < g->value_count; v++)
        if (uses[v] > 0 && g->values[v].kind == kind) {
            *last = v;
            count++;
        }
    free(uses);
    return count;
}
