/* Each rule of the verifier of graphs: a graph that keeps all of them but one is refused, with the
   rule's message. */
#include "autograd/compiler/call_site.h"
#include "autograd/compiler/verify.h"
#include "small_graph.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <string.h>

/* A graph with a value of each kind, and the numbers of those. */
typedef struct subject {
    cbt_small s;
    int sum, view, concat, reduce, product, contract, copy, call, number;
    int batch_sum, batch_product;
} subject;

static cbi_value *at(subject *t, int v) {
    return &t->s.graph->values[v];
}

static int add_one(subject *t, cbi_kind kind, int count, const int *in, int64_t elements) {
    static const cbi_call_site site = {.by_rows = true};
    return cbi_graph_intern(t->s.graph, &(cbi_value){.kind = kind,
                                                     .type = cbi_flat_type(CB_F64, true, elements),
                                                     .count = count,
                                                     .in = in,
                                                     .outer = kind == CBI_REDUCE ? 2 : 0,
                                                     .n = kind == CBI_REDUCE ? 2 : 0,
                                                     .inner = kind == CBI_REDUCE ? 1 : 0,
                                                     .groups = kind == CBI_CONTRACT ? 2 : 0,
                                                     .m = kind == CBI_CONTRACT ? 1 : 0,
                                                     .k = kind == CBI_CONTRACT ? 2 : 0,
                                                     .call = kind == CBI_CALL ? &site : NULL});
}

static subject subject_new(void) {
    subject t = {.s = cbt_small_new()};
    cbt_small *s = &t.s;
    t.number = cbi_constant(s->graph, CB_F64, 2);
    t.sum = cbt_binary(s, &cb_add_op, s->h, s->x);
    t.view = cbi_slice_of(s->graph, t.sum, 1, 2);
    t.concat = cbt_pair(s, t.view, 1, t.sum);
    t.reduce = add_one(&t, CBI_REDUCE, 1, &t.sum, 2);
    t.product = cbt_product(s, cbt_pair(s, t.sum, 0, s->h), 4, 0);
    t.contract = add_one(&t, CBI_CONTRACT, 2, (const int[]){t.sum, s->h}, 2);
    t.copy = add_one(&t, CBI_COPY, 1, &t.view, 2);
    t.call = add_one(&t, CBI_CALL, 1, &t.sum, 3);
    cbt_set_output(s, t.product);
    cbt_begin_gradient(s);
    int in = s->cotangent;
    t.batch_sum = cbi_graph_add(s->graph, &(cbi_value){.kind = CBI_BATCH_SUM,
                                                       .type = cbi_flat_type(CB_F64, false, 4),
                                                       .count = 1,
                                                       .in = &in});
    t.batch_product = cbt_outer(s, s->h, s->cotangent);
    cbt_add_term(s, t.batch_product, 0);
    cbt_add_term(s, t.batch_sum, 16);
    s->graph->outputs[0].gradient = s->cotangent;
    s->graph->row_inputs[0].gradient = s->cotangent;
    return t;
}

/* ---- Graphs that break one rule -------------------------------------------------------------- */

static int *in_of(subject *t, int v) {
    return (int *)(uintptr_t)at(t, v)->in;
}
static cbi_view *places_of(subject *t, int v) {
    return (cbi_view *)(uintptr_t)at(t, v)->places;
}
static cbi_weight *block_of(subject *t, int v) {
    return (cbi_weight *)(uintptr_t)at(t, v)->weights.blocks;
}

#define BREAK(name, how)                                                                           \
    static void name(subject *t) {                                                                 \
        how;                                                                                       \
    }

BREAK(input_later, in_of(t, t->sum)[1] = t->sum)
BREAK(input_negative, in_of(t, t->sum)[1] = -1)
BREAK(input_summed, in_of(t, t->batch_product)[0] = t->batch_sum)
BREAK(rowless, at(t, t->sum)->type.rows = false)
BREAK(inputs_missing, at(t, t->contract)->count = 1)
BREAK(leaf_with_input, at(t, t->copy)->kind = CBI_STATE)
BREAK(count_differs, in_of(t, t->sum)[0] = t->s.w)
BREAK(copy_differs, at(t, t->copy)->type.shape[0] = 3)
BREAK(dtype_differs, at(t, t->copy)->type.dtype = CB_F32)
BREAK(no_op, at(t, t->sum)->op = NULL)
BREAK(no_kernel, at(t, t->sum)->op = &cb_tanh_op)
BREAK(view_of_number, in_of(t, t->view)[0] = t->number)
BREAK(view_count, at(t, t->view)->view.shape[0] = 3)
BREAK(view_beyond, at(t, t->view)->view.offset = 3)
BREAK(view_before, at(t, t->view)->view.offset = -1)
BREAK(piece_beyond, places_of(t, t->concat)[1].offset = 4)
BREAK(piece_wide, places_of(t, t->concat)[1].shape[0] = 3)
BREAK(pieces_overlap, places_of(t, t->concat)[1].offset = 1)
BREAK(piece_repeats, places_of(t, t->concat)[1].stride[0] = 0)
BREAK(reduction_result, at(t, t->reduce)->outer = 1)
BREAK(reduction_operand, at(t, t->reduce)->n = 3)
BREAK(no_matrices, at(t, t->product)->weights.count = 0)
BREAK(ragged_grid, at(t, t->product)->weights.across = 2)
BREAK(not_captured, block_of(t, t->product)->captured = 1)
BREAK(matrix_beyond, block_of(t, t->product)->offset = CBT_CAPTURED - 31)
BREAK(matrix_rows, block_of(t, t->product)->rows = 7)
BREAK(matrix_columns, block_of(t, t->product)->columns = 3)
BREAK(product_extents, at(t, t->product)->m = 3)
BREAK(no_groups, at(t, t->contract)->groups = 0)
BREAK(contract_right, at(t, t->contract)->k = 1)
BREAK(sum_with_rows, at(t, t->batch_sum)->type.rows = true)
BREAK(product_with_rows, at(t, t->batch_product)->type.rows = true)
BREAK(no_such_state, at(t, t->s.h)->index = 1)
BREAK(no_such_captured, at(t, t->s.w)->index = -1)
BREAK(leaf_type, t->s.graph->captured[0].type.shape[0] = 255)
BREAK(leaf_rows, at(t, t->s.w)->type.rows = true)
BREAK(no_call, at(t, t->call)->call = NULL)
BREAK(shaped_number, at(t, t->number)->type = cbi_flat_type(CB_F64, false, 1))
BREAK(no_output, t->s.graph->outputs[0].value = -1)
BREAK(no_such_gradient, t->s.graph->row_inputs[0].gradient = t->s.graph->value_count)
BREAK(output_type, t->s.graph->outputs[0].value = t->view)
BREAK(output_late, t->s.graph->outputs[0].value = t->s.cotangent)
BREAK(gradient_summed, t->s.graph->outputs[0].gradient = t->batch_sum)
BREAK(input_gradient_summed, t->s.graph->row_inputs[0].gradient = t->batch_sum)
BREAK(input_gradient_type, t->s.graph->row_inputs[0].gradient = t->view)
BREAK(term_with_rows, t->s.graph->captured[0].terms[1].value = t->s.cotangent)
BREAK(term_beyond, t->s.graph->captured[0].terms[1].place.offset = CBT_CAPTURED - 3)
BREAK(term_count, t->s.graph->captured[0].terms[1].place.shape[0] = 3)
BREAK(early_cotangent, t->s.graph->forward_count = t->s.graph->value_count)

/* Two blocks side by side, of which the second is as wide as the first is high. */
static void blocks_apart(subject *t) {
    cbi_weight *blocks = cbi_graph_allocate(t->s.graph, sizeof(*blocks) * 2);
    cr_assert_not_null(blocks);
    blocks[0] = blocks[1] = *block_of(t, t->product);
    blocks[0].columns = 2;
    blocks[1].columns = 2;
    blocks[1].rows = 4;
    at(t, t->product)->weights = (cbi_grid){2, 2, blocks};
}

/* The same places as a matrix's two columns: each element is that of one piece only. */
static void interleaved(subject *t) {
    cbi_view *places = places_of(t, t->concat);
    places[0] = (cbi_view){.offset = 0, .rank = 1, .shape = {2}, .stride = {2}};
    places[1] = (cbi_view){.offset = 1, .rank = 2, .shape = {2, 2}, .stride = {2, 1}};
}

static const struct {
    const char *name;
    void (*break_rule)(subject *t);
    const char *message;
} rules[] = {
#define RULE(name, message)                                                                        \
    { #name, name, message }
    RULE(input_later, "which is not there yet"),
    RULE(input_negative, "which is not there yet"),
    RULE(input_summed, "input 0 is a sum over rows that is formed after the loop"),
    RULE(rowless, "it is computed from rows and has none"),
    RULE(inputs_missing, "1 inputs, not 2"),
    RULE(leaf_with_input, "1 inputs, not 0"),
    RULE(count_differs, "input 0 has 256 elements, not 4"),
    RULE(copy_differs, "input 0 has 2 elements, not 3"),
    RULE(dtype_differs, "input 0 has another dtype"),
    RULE(no_op, "no elementwise op of this dtype with 2 inputs"),
    RULE(no_kernel, "no elementwise op of this dtype with 2 inputs"),
    RULE(view_of_number, "a view of a number"),
    RULE(view_count, "a view of 3 elements that says it has 2"),
    RULE(view_beyond, "a view of elements that are not there"),
    RULE(view_before, "a view of elements that are not there"),
    RULE(piece_beyond, "piece 1 does not fit into its place"),
    RULE(piece_wide, "piece 1 does not fit into its place"),
    RULE(pieces_overlap, "piece 1 lies over another"),
    RULE(piece_repeats, "piece 1 lies over another"),
    RULE(interleaved, "piece 1 lies over another"),
    RULE(reduction_result, "a reduction to another number of elements"),
    RULE(reduction_operand, "input 0 has 4 elements, not 6"),
    RULE(no_matrices, "a product without matrices"),
    RULE(ragged_grid, "a product without matrices"),
    RULE(not_captured, "a product with a matrix that is not captured"),
    RULE(matrix_beyond, "a product with elements that are not there"),
    RULE(matrix_rows, "a product with matrices of other extents"),
    RULE(matrix_columns, "a product with matrices of other extents"),
    RULE(blocks_apart, "a product with matrices that do not fit together"),
    RULE(product_extents, "a product whose extents do not fit"),
    RULE(no_groups, "a product whose extents do not fit"),
    RULE(contract_right, "input 0 has 4 elements, not 2"),
    RULE(sum_with_rows, "a sum over rows that has rows"),
    RULE(product_with_rows, "a sum over rows that has rows"),
    RULE(no_such_state, "number 1 of 1"),
    RULE(no_such_captured, "number -1 of 1"),
    RULE(leaf_type, "another type than what it stands for"),
    RULE(leaf_rows, "another type than what it stands for"),
    RULE(no_call, "a call of nothing"),
    RULE(shaped_number, "a number that has a shape"),
    RULE(no_output, "a result that is not there"),
    RULE(no_such_gradient, "a result that is not there"),
    RULE(output_type, "a result of another type than it is for"),
    RULE(output_late, "an output that is computed by the gradient"),
    RULE(gradient_summed, "a result for each row that is a sum over rows"),
    RULE(input_gradient_summed, "a result for each row that is a sum over rows"),
    RULE(input_gradient_type, "a result of another type than it is for"),
    RULE(term_with_rows, "a gradient of what all rows share that has rows"),
    RULE(term_beyond, "a gradient that lies beyond what it is of"),
    RULE(term_count, "a result of another type than it is for"),
    RULE(early_cotangent, "a cotangent in the forward step"),
};

Test(verify_graph, takes_a_graph_that_keeps_all_rules) {
    char bug[256] = "";
    subject t = subject_new();
    cr_expect(cbi_verify_graph(t.s.graph, bug, sizeof(bug)), "%s", bug);
    interleaved(&t);
    places_of(&t, t.concat)[1] =
        (cbi_view){.offset = 3, .rank = 2, .shape = {2, 2}, .stride = {2, 1}};
    cr_expect(cbi_verify_graph(t.s.graph, bug, sizeof(bug)), "%s", bug);
    cbi_graph_free(t.s.graph);
}

Test(verify_graph, refuses_what_breaks_a_rule) {
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        char bug[256] = "";
        subject t = subject_new();
        rules[i].break_rule(&t);
        cr_expect_not(cbi_verify_graph(t.s.graph, bug, sizeof(bug)), "%s", rules[i].name);
        cr_expect_not_null(strstr(bug, rules[i].message), "%s: \"%s\", not \"%s\"", rules[i].name,
                           bug, rules[i].message);
        cbi_graph_free(t.s.graph);
    }
}
