/* Planning, pass by pass, on the body of an LSTM and on bodies with two products in a row. */
#include "scan_support.h"

#include <cerebra/ops.h>
#include <cerebra/rnn.h>
#include <criterion/criterion.h>

enum { INPUT = 6, HIDDEN = 16 };

static cbi_plan *planned(cbi_step *step, int states, int weights, int64_t (*shapes)[2]) {
    cbi_plan *plan = cbi_plan_new(traced(step, INPUT, HIDDEN, states, weights, shapes));
    cr_assert_not_null(plan);
    return plan;
}

static int64_t lstm_shapes[4][2] = {
    {4 * HIDDEN, INPUT}, {4 * HIDDEN, HIDDEN}, {4 * HIDDEN, 0}, {4 * HIDDEN, 0}};

static cbi_plan *lstm(void) {
    return planned(cb_lstm.step, 2, 4, lstm_shapes);
}

static int buffers_of(const cbi_plan *plan, cbi_span span, bool backward, int64_t *columns) {
    int count = 0;
    *columns = 0;
    for (int b = 0; b < plan->buffer_count; b++)
        if (plan->buffers[b].span == span && plan->buffers[b].backward == backward) {
            count++;
            *columns += plan->buffers[b].columns;
        }
    return count;
}

static int instructions_of(const cbi_program *program, cbi_code code) {
    int count = 0;
    for (int i = 0; i < program->count; i++)
        count += program->list[i].code == code;
    return count;
}

static int kernels_of(const cbi_program *program, const cbi_elementwise *op) {
    int count = 0;
    for (int i = 0; i < program->count; i++)
        count += program->list[i].code == CBI_RUN_KERNEL && program->list[i].op == op;
    return count;
}

/* ---- keep.c ---------------------------------------------------------------------------------- */

Test(keep, gates_are_kept_and_the_tanh_of_the_cell_is_computed_again) {
    cbi_plan *plan = lstm();
    int64_t columns;
    cr_expect_eq(buffers_of(plan, CBI_ALL_STEPS, false, &columns), 4, "i, f, g and o");
    cr_expect_eq(columns, 4 * HIDDEN);
    cr_expect_eq(buffers_of(plan, CBI_ALL_STATES, false, &columns), 2, "h and c");
    cr_expect_eq(kernels_of(&plan->forward, &cb_tanh_op), 2, "g and tanh(c')");
    cr_expect_eq(kernels_of(&plan->backward, &cb_tanh_op), 1, "tanh(c') only");
    cr_expect_eq(kernels_of(&plan->backward, &cb_sigmoid_op), 0);
    cbi_plan_free(plan);
}

/* ---- defer.c --------------------------------------------------------------------------------- */

Test(defer, the_gradient_of_a_matrix_is_left_to_the_end_and_its_operands_stay) {
    cbi_plan *plan = lstm();
    const cbi_graph *graph = plan->graph;
    int64_t columns;
    int sums = 0;
    for (int v = 0; v < graph->value_count; v++) {
        if (graph->values[v].kind != CBI_BATCH_PRODUCT)
            continue;
        sums++;
        cbi_place left = cbi_plan_place(plan, graph->values[v].in[0], 1);
        cbi_place right = cbi_plan_place(plan, graph->values[v].in[1], 1);
        cr_expect_eq(left.buffer, plan->state_buffer[0], "h, which is kept anyway");
        cr_expect_eq(plan->buffers[right.buffer].span, CBI_ALL_STEPS);
    }
    cr_expect_eq(sums, 1);
    cr_expect_eq(buffers_of(plan, CBI_ALL_STEPS, true, &columns), 1, "the gradients of all gates");
    cr_expect_eq(columns, 4 * HIDDEN);
    cr_expect_eq(instructions_of(&plan->backward, CBI_RUN_PRODUCT), 1, "that of h");
    cbi_plan_free(plan);
}

/* ---- fuse.c ---------------------------------------------------------------------------------- */

/* h' = tanh(sigmoid(2 h A') B'): what lies between two products is a program. */
static void two_products_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                              cb_tensor **next) {
    cb_tensor *first = cb_sigmoid(cb_scale(cb_linear(state[0], w[0], NULL), 2));
    (void)x;
    next[0] = cb_tanh(cb_linear(first, w[1], NULL));
}

Test(fuse, programs_end_at_products) {
    int64_t shapes[2][2] = {{3 * HIDDEN, HIDDEN}, {HIDDEN, 3 * HIDDEN}};
    cbi_plan *plan = planned(two_products_step, 1, 2, shapes);
    const cbi_instruction *list = plan->forward.list;
    cr_assert_eq(plan->forward.count, 5);
    cr_expect_eq(list[0].code, CBI_RUN_PRODUCT);
    cr_expect_eq(list[1].op, &cb_scale_op);
    cr_expect_eq(list[2].op, &cb_sigmoid_op);
    cr_expect_eq(list[3].code, CBI_RUN_PRODUCT);
    cr_expect_eq(list[4].op, &cb_tanh_op);
    cr_expect_eq(list[1].out.buffer, CBI_REGISTER, "read in its own program only");
    cr_expect_geq(list[2].out.buffer, 0, "a product reads it");
    cr_expect_eq(list[0].columns, 3 * HIDDEN);
    cr_expect_eq(list[3].depth, 3 * HIDDEN);
    cr_expect_eq(plan->weights_count, 4, "two matrices forward and two backward");
    cbi_plan_free(plan);
}

/* ---- place.c and registers.c ----------------------------------------------------------------- */

Test(place, gradients_of_gates_are_computed_where_their_join_lies) {
    cbi_plan *plan = lstm();
    const cbi_program *backward = &plan->backward;
    int home = backward->list[backward->count - 1].in[0].buffer;
    bool written[4] = {false};
    cr_assert_eq(backward->list[backward->count - 1].code, CBI_RUN_PRODUCT);
    cr_assert_eq(plan->buffers[home].columns, 4 * HIDDEN);
    for (int i = 0; i < backward->count; i++)
        if (backward->list[i].out.buffer == home) {
            cr_expect_eq(backward->list[i].op, &cb_mul_op, "no copy");
            written[backward->list[i].out.column / HIDDEN] = true;
        }
    cr_expect(written[0] && written[1] && written[2] && written[3]);
    cbi_plan_free(plan);
}

/* Eight steps of one another, of which two are ever needed at once. */
static void long_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    cb_tensor *h = state[0];
    (void)w, (void)x;
    for (int i = 0; i < 8; i++)
        h = cb_tanh(cb_shift(h, 1));
    next[0] = cb_stop_gradient(h);
}

Test(registers, room_is_given_out_again) {
    cbi_plan *plan = planned(long_step, 1, 0, NULL);
    cr_expect_eq(plan->forward.count, 16);
    cr_expect_leq(plan->forward.register_columns, 2 * HIDDEN);
    cbi_plan_free(plan);
}

/* ---- reuse.c --------------------------------------------------------------------------------- */

/* Each kept gate that the backward pass may overwrite has columns of its own, and what is written
   there comes after, or is, the last instruction that reads the gate. */
Test(reuse, gates_lie_where_their_gradients_will) {
    cbi_plan *plan = lstm();
    const cbi_program *backward = &plan->backward;
    bool taken[4] = {false};
    int reused = 0;
    for (int b = 0; b < plan->buffer_count; b++) {
        const cbi_buffer *kept = &plan->buffers[b];
        if (kept->home < 0)
            continue;
        reused++;
        cr_assert(!kept->backward && plan->buffers[kept->home].backward);
        cr_assert(!taken[kept->home_column / HIDDEN]);
        taken[kept->home_column / HIDDEN] = true;
        int read = -1, write = -1;
        for (int i = 0; i < backward->count; i++) {
            for (int k = 0; k < backward->list[i].count; k++)
                if (backward->list[i].in[k].buffer == b)
                    read = i;
            if (write < 0 && backward->list[i].out.buffer == kept->home &&
                backward->list[i].out.column == kept->home_column)
                write = i;
        }
        cr_expect(read >= 0 && write >= read, "read last by %d and written by %d", read, write);
    }
    cr_expect_geq(reused, 2);
    cbi_plan_free(plan);
}

/* h' = s (s V') with s = sigma(h U'): the gradient of V reads s after the loop. */
static void summed_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                        cb_tensor **next) {
    cb_tensor *s = cb_sigmoid(cb_linear(state[0], w[0], NULL));
    (void)x;
    next[0] = cb_mul(cb_linear(s, w[1], NULL), s);
}

Test(reuse, leaves_what_a_sum_reads_after_the_loop) {
    int64_t shapes[2][2] = {{HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};
    cbi_plan *plan = planned(summed_step, 1, 2, shapes);
    const cbi_graph *graph = plan->graph;
    for (int v = 0; v < graph->value_count; v++)
        for (int k = 0; graph->values[v].kind == CBI_BATCH_PRODUCT && k < 2; k++) {
            cbi_place place = cbi_plan_place(plan, graph->values[v].in[k], 1);
            cr_expect_eq(plan->buffers[place.buffer].home, -1);
        }
    cbi_plan_free(plan);
}
