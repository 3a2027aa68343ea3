/* Networks that compute again instead of keeping. That they give what others give is in
   test_compiled.c; here are their memory, their errors and their smallest sizes. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

enum { BATCH = 16, HIDDEN = 64 };

typedef struct measured {
    size_t bytes;
    double loss;
} measured;

/* Three training steps on constant inputs, on a tape of their own. */
static measured train(const cb_cell *cell, int64_t time, int64_t recompute) {
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", cell, HIDDEN, HIDDEN, .recompute = recompute);
    cb_tape *tape = cb_tape_new();
    measured m = {0};
    for (int step = 0; step < 3; step++) {
        cb_tape_reset(tape);
        cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(time, BATCH, HIDDEN), 0.5);
        cb_tensor *loss = cb_sum(cb_rnn_forward(rnn, x, NULL), CB_ALL_AXES, false);
        cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
        m.loss = cb_item(loss);
        cr_expect(step == 0 || cb_tape_bytes(tape) == m.bytes, "only the first step allocates");
        m.bytes = cb_tape_bytes(tape);
    }
    cb_tape_free(tape);
    cb_params_free(params);
    return m;
}

/* What the recurrence keeps becomes little beside its input, its output and their gradients. */
Test(recompute, memory_is_that_of_inputs_and_outputs) {
    const cb_cell *const cells[] = {&cb_lstm, &cb_cerebral_lstm};
    for (int i = 0; i < 2; i++) {
        int64_t time = 2500, array = time * BATCH * HIDDEN * (int64_t)sizeof(float);
        measured kept = train(cells[i], time, 0), again = train(cells[i], time, 50);
        cr_expect_float_eq(kept.loss, again.loss, 1e-5 * fabs(kept.loss));
        cr_expect_lt(again.bytes, (size_t)(4 * array) + ((size_t)24 << 20), "%s: %zu arrays",
                     cells[i]->name, again.bytes / (size_t)array);
        cr_expect_lt(again.bytes, kept.bytes / 2, "%s: %zu of %zu", cells[i]->name, again.bytes,
                     kept.bytes);
    }
}

Test(recompute, no_time_and_no_batch) {
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_gru, 3, 4, .recompute = 2);
    cb_tape *tape = cb_tape_new();
    for (int64_t time = 0; time < 5; time += 2)
        for (int64_t batch = 0; batch < 2; batch++) {
            cb_tape_reset(tape);
            cb_tensor *final;
            cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(time, batch, 3), 0.5);
            cb_tensor *lengths = cb_full(tape, CB_I64, CB_SHAPE(batch), (double)time);
            cb_rnn_io io = {.final = &final, .lengths = lengths};
            cb_tensor *y = cb_rnn_forward(rnn, x, &io);
            cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
            cr_expect(y->shape[0] == time && y->shape[1] == batch && y->shape[2] == 4);
            cr_expect(final->shape[0] == batch && final->shape[1] == 4);
        }
    cb_tape_free(tape);
    cb_params_free(params);
}

static void expect_failed(cb_tape *tape, cb_rnn *rnn, cb_tensor *x, cb_rnn_io io, cb_status status,
                          const char *message) {
    cb_tensor *final[2] = {NULL, NULL};
    io.final = final;
    cb_tensor *y = cb_rnn_forward(rnn, x, &io);
    cr_expect_null(y->data);
    cr_expect(final[0] != NULL && final[0]->data == NULL);
    cr_expect_eq(cb_tape_status(tape), status);
    cr_expect(strstr(cb_tape_error(tape), message), "\"%s\"", cb_tape_error(tape));
}

/* A length is checked against the whole sequence, not against its segment. */
Test(recompute, lengths_and_states_that_do_not_fit_fail_on_the_tape) {
    cb_params *params = cb_params_new(1);
    cb_module *embedding = cb_embedding_new(params, "embedding", 2, 3);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 3, 4, .recompute = 2);
    cb_tape *tape = cb_tape_new();
    for (int k = 0; k < 4; k++) {
        cb_tape_reset(tape);
        cb_tensor *x = cb_forward(embedding, cb_full(tape, CB_I64, CB_SHAPE(5, 3), 1));
        cb_tensor *small = cb_full(tape, CB_F32, CB_SHAPE(3, 3), 0);
        cb_tensor *good = cb_full(tape, CB_F32, CB_SHAPE(3, 4), 0);
        cb_tensor *const given[] = {k == 3 ? good : small, k == 3 ? NULL : small};
        cb_rnn_io io = {.lengths = cb_full(tape, CB_I64, CB_SHAPE(3), k == 0 ? 6 : -1)};
        if (k == 0)
            expect_failed(tape, rnn, x, io, CB_ERROR_VALUE, "length 6 of sequence 0 is outside");
        if (k == 1)
            expect_failed(tape, rnn, x, io, CB_ERROR_VALUE, "length -1 of sequence 0 is outside");
        if (k == 2)
            expect_failed(tape, rnn, x, (cb_rnn_io){.initial = given}, CB_ERROR_SHAPE,
                          "initial state 0 is [3,3], not [3,4]");
        if (k == 3)
            expect_failed(tape, rnn, x, (cb_rnn_io){.initial = given}, CB_ERROR_VALUE,
                          "initial state 1 is NULL");
    }
    cb_tape_free(tape);
    cb_params_free(params);
}
