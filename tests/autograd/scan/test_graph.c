/* What tracing makes of a step: what leaves the recurrence, what is left in it, and what is
 * refused. */
#include "autograd/scan/graph.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <string.h>

enum { INPUT = 6, HIDDEN = 8 };

static cbi_graph *trace(cbi_step *step, int states, int weights, cb_tensor *const *given) {
    static const int64_t sizes[CBI_GRAPH_STATES] = {HIDDEN, HIDDEN, HIDDEN};
    cbi_graph *graph = cbi_graph_trace(step, CB_F64, INPUT, states, sizes, weights, given);
    cr_assert_not_null(graph);
    return graph;
}

static int count_of(const cbi_graph *graph, cbi_kind kind, int from, int to) {
    int count = 0;
    for (int i = from; i < to; i++)
        count += graph->values[i].kind == kind;
    return count;
}

/* h' = tanh(x W' + b + h U') , c' = c + h' */
static void small_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[0], w[1], NULL)));
    next[1] = cb_add(state[1], next[0]);
}

static void with_small_weights(void (*use)(cb_tensor *const *weights)) {
    cb_tensor *w[3] = {cb_tensor_new(CB_F64, CB_SHAPE(HIDDEN, INPUT)),
                       cb_tensor_new(CB_F64, CB_SHAPE(HIDDEN, HIDDEN)),
                       cb_tensor_new(CB_F64, CB_SHAPE(HIDDEN))};
    use(w);
    for (int i = 0; i < 3; i++)
        cb_tensor_free(w[i]);
}

static void check_small(cb_tensor *const *w) {
    cbi_graph *graph = trace(small_step, 2, 3, w);
    int all = graph->value_count, forward = graph->forward_count;
    cr_assert_str_eq(graph->reason, "");
    /* The input's projection, the bias, U' and, for the gradient, U. */
    cr_expect_eq(graph->import_count, 4);
    int with_rows = 0, with_gradient = 0;
    for (int i = 0; i < graph->import_count; i++) {
        with_rows += graph->imports[i].rows;
        with_gradient += graph->imports[i].gradient_count == 1;
    }
    cr_expect_eq(with_rows, 1);
    cr_expect_eq(with_gradient, 3, "U is only read by the gradient");
    cr_expect_eq(graph->values[graph->next[0]].op, &cb_tanh_op);
    cr_expect_eq(count_of(graph, CBI_PRODUCT, 0, forward), 1, "one product forward");
    cr_expect_eq(count_of(graph, CBI_PRODUCT, forward, all), 1, "one product backward");
    cr_expect_eq(count_of(graph, CBI_BATCH_PRODUCT, forward, all), 2,
                 "the weight's gradient, and its transpose on the way there");
    cr_expect_eq(graph->values[graph->state_gradient[1]].kind, CBI_SEED,
                 "the gradient of c is that of c'");
    cbi_graph_free(graph);
}

Test(graph, hoists_and_derives) {
    with_small_weights(check_small);
}

/* The same subexpression twice, a product with 1 and a sum with 0. */
static void wasteful_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *ones = cb_full_like(state[0], 1), *zeros = cb_full_like(state[0], 0);
    cb_tensor *a = cb_mul(cb_sigmoid(state[0]), ones), *b = cb_add(cb_sigmoid(state[0]), zeros);
    (void)w, (void)x;
    next[0] = cb_mul(a, b);
}

Test(graph, removes_what_is_computed_twice_or_for_nothing) {
    cbi_graph *graph = trace(wasteful_step, 1, 0, NULL);
    cr_assert_str_eq(graph->reason, "");
    const cbi_value *product = &graph->values[graph->next[0]];
    cr_expect_eq(product->op, &cb_mul_op);
    cr_expect_eq(product->in[0], product->in[1], "both sigmoids are one value");
    cr_expect_eq(graph->values[product->in[0]].op, &cb_sigmoid_op);
    cbi_graph_free(graph);
}

/* Gradients of four chunks become one join, in order. */
static void chunked_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                         cb_tensor **next) {
    cb_tensor *z = cb_tanh(cb_linear(state[0], w[0], NULL));
    (void)x;
    next[0] = cb_mul(cb_add(cb_chunk(z, 1, 4, 0), cb_chunk(z, 1, 4, 1)),
                     cb_sub(cb_chunk(z, 1, 4, 2), cb_chunk(z, 1, 4, 3)));
}

Test(graph, joins_the_gradients_of_chunks) {
    cb_tensor *w = cb_tensor_new(CB_F64, CB_SHAPE(4 * HIDDEN, HIDDEN));
    cbi_graph *graph = trace(chunked_step, 1, 1, &w);
    cr_assert_str_eq(graph->reason, "");
    const cbi_value *gradient = &graph->values[graph->state_gradient[0]];
    cr_assert_eq(gradient->kind, CBI_PRODUCT);
    const cbi_value *z = &graph->values[gradient->in[0]];
    cr_expect_eq(z->columns, 4 * HIDDEN);
    cr_expect(z->kind == CBI_ELEMENTWISE || z->kind == CBI_JOIN);
    cbi_graph_free(graph);
    cb_tensor_free(w);
}

static void reading_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                         cb_tensor **next) {
    (void)w, (void)x;
    next[0] = cb_item(cb_sum(state[0], CB_ALL_AXES, false)) > 0 ? cb_tanh(state[0]) : state[0];
}

static void mixing_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                        cb_tensor **next) {
    (void)w, (void)x;
    next[0] = cb_sub(state[0], cb_mean(state[0], CB_AXES(0), true));
}

static void flipping_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    (void)w, (void)x;
    next[0] = cb_flip(state[0], CB_AXES(1));
}

Test(graph, says_why_a_step_cannot_be_compiled) {
    static const struct {
        cbi_step *step;
        const char *reason;
    } cases[] = {{reading_step, "reads a value"}, {mixing_step, "batch"}, {flipping_step, "flip"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cbi_graph *graph = trace(cases[i].step, 1, 0, NULL);
        cr_expect(strstr(graph->reason, cases[i].reason) != NULL, "\"%s\" does not say \"%s\"",
                  graph->reason, cases[i].reason);
        cbi_graph_free(graph);
    }
}
