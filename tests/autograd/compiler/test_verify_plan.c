/* The verifier of plans: a plan of which one thing is changed is refused, and with the message that
   tells of it. */
#include "autograd/compiler/pipeline.h"
#include "autograd/compiler/verify.h"
#include "small_graph.h"

#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <criterion/criterion.h>
#include <string.h>

/* The larger of each two elements, twice. */
static int largest_of_pairs(cbt_small *s, int value) {
    cbi_view twice = {.rank = 2, .shape = {CBT_N / 2, 2}, .stride = {1, 0}};
    int largest =
        cbi_graph_add(s->graph, &(cbi_value){.kind = CBI_REDUCE,
                                             .type = cbi_flat_type(CB_F64, true, CBT_N / 2),
                                             .count = 1,
                                             .in = &value,
                                             .reduction = CBI_MAX,
                                             .outer = CBT_N / 2,
                                             .n = 2,
                                             .inner = 1});
    return cbi_view_of(s->graph, largest, &twice);
}

/* The product of rows [1, 2] of each half with a matrix [2, 2] that is the other value. */
static int product_in_row(cbt_small *s, int rows, int matrix) {
    const int in[2] = {rows, matrix};
    return cbi_graph_add(s->graph, &(cbi_value){.kind = CBI_CONTRACT,
                                                .type = cbi_flat_type(CB_F64, true, CBT_N),
                                                .count = 2,
                                                .in = in,
                                                .groups = 1,
                                                .m = 2,
                                                .k = 2});
}

/* h' = tanh(h W + x) * sigmoid(sin(x + h)), less the larger of pairs and a product within the row,
   with gradients of W and of a bias: products, registers, a residual, sums after the loop and in
   it. */
static cbi_plan *plan_of_step(void) {
    char bug[256] = "";
    cbt_small s = cbt_small_new();
    int sum = cbt_binary(&s, &cb_add_op, cbt_product(&s, s.h, CBT_N, 0), s.x);
    int a = cbt_unary(&s, &cb_tanh_op, sum);
    int gate = cbt_unary(&s, &cb_sigmoid_op,
                         cbt_unary(&s, &cb_sin_op, cbt_binary(&s, &cb_add_op, s.x, s.h)));
    int b = cbt_binary(&s, &cb_mul_op, a, gate), c = cbt_unary(&s, &cb_sin_op, s.x);
    b = cbt_binary(&s, &cb_sub_op, b, largest_of_pairs(&s, cbt_binary(&s, &cb_sub_op, b, c)));
    cbt_set_output(&s, cbt_binary(&s, &cb_sub_op, b, product_in_row(&s, b, c)));
    cbt_begin_gradient(&s);
    int g = cbt_binary(&s, &cb_mul_op, cbt_binary(&s, &cb_mul_op, s.cotangent, gate),
                       cbt_unary(&s, &cb_sin_op, a));
    int in = g;
    s.graph->outputs[0].gradient = cbt_product(&s, g, CBT_N, 64);
    s.graph->row_inputs[0].gradient = g;
    cbt_add_term(&s, cbt_outer(&s, s.h, g), 0);
    cbt_add_term(&s,
                 cbi_graph_add(s.graph, &(cbi_value){.kind = CBI_BATCH_SUM,
                                                     .type = cbi_flat_type(CB_F64, false, CBT_N),
                                                     .count = 1,
                                                     .in = &in}),
                 16);
    cr_assert(cbi_run_passes(s.graph, false, NULL, NULL, bug, sizeof(bug)), "%s", bug);
    cbi_plan *plan = cbi_plan_new(s.graph, false, bug, sizeof(bug));
    cr_assert_not_null(plan, "%s", bug);
    return plan;
}

/* ---- What may be wrong ----------------------------------------------------------------------- */

/* The n-th instruction with that code. */
static cbi_instruction *find(cbi_program *program, cbi_code code, int n) {
    for (int i = 0; i < program->count; i++)
        if (program->list[i].code == code && n-- == 0)
            return &program->list[i];
    cr_assert_fail("no such instruction");
    return NULL;
}

/* The first instruction that reads or writes a register. */
static cbi_instruction *find_register(cbi_program *program, bool written) {
    for (int i = 0; i < program->count; i++) {
        cbi_instruction *in = &program->list[i];
        if (written ? in->out.place.buffer == CBI_REGISTER
                    : in->count > 0 && in->in[0].place.buffer == CBI_REGISTER)
            return in;
    }
    cr_assert_fail("no register");
    return NULL;
}

static void leave_out(cbi_program *program, cbi_code code, int n) {
    cbi_instruction *in = find(program, code, n);
    ptrdiff_t at = in - program->list;
    memmove(in, in + 1, sizeof(*in) * (size_t)(program->count - at - 1));
    program->count--;
}

static cbi_sum *sum_of_kind(cbi_plan *plan, cbi_sum_kind kind) {
    for (int i = 0; i < plan->sum_count; i++)
        if (plan->sums[i].kind == kind)
            return &plan->sums[i];
    cr_assert_fail("no such sum");
    return NULL;
}

static void exchange(cbi_program *program, int a, int b) {
    cbi_instruction one = program->list[a];
    program->list[a] = program->list[b];
    program->list[b] = one;
}

#define BREAK(name, how)                                                                           \
    static void name(cbi_plan *p) {                                                                \
        how;                                                                                       \
    }

BREAK(registers_short, p->forward.register_bytes -= 64)
BREAK(registers_short_backward, p->backward.register_bytes -= 64)
BREAK(register_elsewhere, find_register(&p->forward, false)->in[0].place.offset += 8)
BREAK(register_far, find_register(&p->forward, true)->out.place.offset += 1 << 20)
BREAK(operand_later, find(&p->forward, CBI_RUN_PACK, 0)->in[0].place.later = 1)
BREAK(operand_nowhere, find(&p->forward, CBI_RUN_PACK, 0)->in[0].place.buffer = CBI_UNPLACED)
BREAK(not_packed, leave_out(&p->forward, CBI_RUN_PACK, 0))
BREAK(no_product, leave_out(&p->forward, CBI_RUN_PRODUCT, 0))
BREAK(no_product_backward, leave_out(&p->backward, CBI_RUN_PRODUCT, 0))
BREAK(not_added, leave_out(&p->backward, CBI_RUN_ACCUMULATE, 0))
BREAK(no_given_gradient, leave_out(&p->backward, CBI_RUN_ELEMENTWISE, 0))
BREAK(another_op, find(&p->forward, CBI_RUN_ELEMENTWISE, 0)->op = &cb_sub_op)
BREAK(another_order, exchange(&p->forward, 0, p->forward.count - 1))
BREAK(fewer_elements, find(&p->forward, CBI_RUN_ELEMENTWISE, 0)->extent[0] = CBT_N - 1)
BREAK(another_stride, find(&p->forward, CBI_RUN_ELEMENTWISE, 0)->in[0].stride[0] = 0)
BREAK(not_for_rows, find(&p->forward, CBI_RUN_ELEMENTWISE, 0)->rows = false)
BREAK(other_weights, find(&p->forward, CBI_RUN_PRODUCT, 0)->weights = p->weights_count - 1)
BREAK(other_width, find(&p->forward, CBI_RUN_PRODUCT, 0)->n = CBT_N - 1)
BREAK(row_too_short, p->buffers[p->state_buffer[0]].bytes -= 8)
BREAK(one_step, p->buffers[sum_of_kind(p, CBI_SUM_PRODUCT)->in[0].buffer].span = CBI_ONE_STEP)
BREAK(another_operand, sum_of_kind(p, CBI_SUM_PRODUCT)->offset[1] = 1)
BREAK(another_place, sum_of_kind(p, CBI_SUM_PRODUCT)->place.offset = 1)
BREAK(another_value,
      sum_of_kind(p, CBI_SUM_ACCUMULATED)->value = sum_of_kind(p, CBI_SUM_PRODUCT)->value)
BREAK(no_such_sum, sum_of_kind(p, CBI_SUM_ACCUMULATED)->accumulator = p->accumulator_count)
BREAK(missing_sum, p->sum_count--)

/* What is read on after a part of the result is written. */
BREAK(reduced_in_place, find(&p->forward, CBI_RUN_REDUCE, 0)->out.place =
                            find(&p->forward, CBI_RUN_REDUCE, 0)->in[0].place)
BREAK(product_over_left, find(&p->forward, CBI_RUN_CONTRACT, 0)->out.place =
                             find(&p->forward, CBI_RUN_CONTRACT, 0)->in[0].place)
BREAK(product_over_right, find(&p->forward, CBI_RUN_CONTRACT, 0)->out.place =
                              find(&p->forward, CBI_RUN_CONTRACT, 0)->in[1].place)
BREAK(product_over_state, find(&p->forward, CBI_RUN_PRODUCT, 0)->out.place =
                              find(&p->forward, CBI_RUN_PRODUCT, 0)->in[0].place)

/* A residual that is written over before it is read: it lies where the first result goes. */
static void written_over(cbi_plan *p) {
    int kept = -1, home = -1;
    for (int b = 0; b < p->buffer_count; b++)
        if (p->buffers[b].span == CBI_ALL_STEPS && !p->buffers[b].backward)
            kept = b;
    for (int b = 0; b < p->buffer_count; b++)
        if (p->buffers[b].span == CBI_TWO_STEPS)
            home = b;
    cr_assert(kept >= 0 && home >= 0);
    p->buffers[kept].home = home;
    p->buffers[kept].home_offset = 0;
}

static const struct {
    const char *name;
    void (*change)(cbi_plan *plan);
    const char *message;
} cases[] = {
#define CASE(name, message)                                                                        \
    { #name, name, message }
    CASE(registers_short, "of a row of buffer -1"),
    CASE(registers_short_backward, "of a row of buffer -1"),
    CASE(register_elsewhere, "operand 0"),
    CASE(register_far, "of a row of buffer -1"),
    CASE(operand_later, "what is packed is not the left operand"),
    CASE(operand_nowhere, "an operand that has no place"),
    CASE(not_packed, "the left operand is not packed"),
    CASE(no_product, "operand 0"),
    CASE(no_product_backward, "the gradient of state 0"),
    CASE(not_added, "sum 0 is added to 0 times"),
    CASE(no_given_gradient, "operand"),
    CASE(another_op, "another operation than that of value"),
    CASE(another_order, "operand"),
    CASE(fewer_elements, "another operation than that of value"),
    CASE(another_stride, "operand 0"),
    CASE(not_for_rows, "once for all rows"),
    CASE(other_weights, "another product than that of value"),
    CASE(other_width, "another product than that of value"),
    CASE(row_too_short, "of a row of buffer"),
    CASE(one_step, "after the loop"),
    CASE(another_operand, ""),
    CASE(another_place, "a gradient is not formed from value"),
    CASE(another_value, "a gradient is not formed from value"),
    CASE(no_such_sum, "a gradient from a sum that is not there"),
    CASE(missing_sum, "is not formed"),
    CASE(written_over, ""),
    CASE(reduced_in_place, "the result lies over operand 0"),
    CASE(product_over_left, "the result lies over operand 0"),
    CASE(product_over_right, "the result lies over operand 1"),
    CASE(product_over_state, "the result lies over operand 0"),
};

Test(verify_plan, takes_a_plan_as_it_was_made) {
    char bug[256] = "";
    cbi_plan *plan = plan_of_step();
    cr_expect(cbi_verify_plan(plan, bug, sizeof(bug)), "%s", bug);
    cbi_plan_free(plan);
}

Test(verify_plan, refuses_one_that_was_changed) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char bug[256] = "";
        cbi_plan *plan = plan_of_step();
        cases[i].change(plan);
        cr_expect_not(cbi_verify_plan(plan, bug, sizeof(bug)), "%s", cases[i].name);
        cr_expect_neq(bug[0], '\0', "%s: no message", cases[i].name);
        cr_expect_not_null(strstr(bug, cases[i].message), "%s: \"%s\", not \"%s\"", cases[i].name,
                           bug, cases[i].message);
        cbi_plan_free(plan);
    }
}
