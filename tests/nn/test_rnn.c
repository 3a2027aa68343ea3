/* The recurrent driver: PyTorch's networks, lengths, carried state, dropout, threads, errors. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- PyTorch --------------------------------------------------------------------------------- */

static const cb_cell *const pytorch_cells[] = {&cb_rnn_tanh, &cb_lstm, &cb_gru};

/* Names of PyTorch's states: "h0", "c0", "hn", "cn", after a prefix. */
static const char *state_name(char name[32], const char *prefix, int state, char when) {
    snprintf(name, 32, "%s%c%c", prefix, "hc"[state], when);
    return name;
}

static int64_t number(const cb_safetensors *file, const char *key) {
    return strtoll(cbt_metadata(file, key), NULL, 10);
}

static bool truth(const cb_safetensors *file, const char *key) {
    return strcmp(cbt_metadata(file, key), "true") == 0;
}

/* The network a file is about, with the file's weights. */
static cb_rnn *network_of(const cb_safetensors *file, cb_params *params) {
    cb_rnn *rnn =
        cb_rnn_new(params, "rnn", cb_cell_find(cbt_metadata(file, "cell")), number(file, "input"),
                   number(file, "hidden"), .layers = (int)number(file, "layers"),
                   .bidirectional = truth(file, "bidirectional"), .no_bias = !truth(file, "bias"));
    cr_assert_not_null(rnn, "%s", cb_params_error(params));
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        const cb_tensor *values = cbt_find(file, param->name + strlen("rnn."));
        cr_assert_eq(cb_tensor_assign(param->value, values), CB_OK);
    }
    return rnn;
}

/* sum(projection * y), which the file's gradients are of. */
static cb_tensor *projected(const cb_safetensors *file, const char *name, cb_tensor *y) {
    cb_tensor *projection = cb_input(cb_tape_of(y), cbt_find(file, name));
    return cb_sum(cb_mul(y, projection), CB_ALL_AXES, false);
}

/* That output, final states and all gradients are the file's. */
static void expect_pytorch(const char *name) {
    enum { MOST_RUNS = 4, MOST_STATES = 2 };
    char text[32];
    cb_safetensors *file = cbt_reference(name);
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = network_of(file, params);
    cb_tape *tape = cb_tape_new();
    int states = cb_cell_find(cbt_metadata(file, "cell"))->state_count;
    int runs = cb_rnn_state_count(rnn) / states;
    cb_tensor *initial[MOST_RUNS * MOST_STATES], *final[MOST_RUNS * MOST_STATES];
    cb_tensor *x = cb_variable(tape, cbt_find(file, "input")), *start[MOST_STATES];
    for (int s = 0; s < states; s++) {
        start[s] = cb_variable(tape, cbt_find(file, state_name(text, "", s, '0')));
        for (int r = 0; r < runs; r++)
            initial[r * states + s] = cb_select(start[s], 0, r);
    }
    cb_rnn_io io = {.initial = initial, .final = final};
    if (truth(file, "lengths"))
        io.lengths = cb_input(tape, cbt_find(file, "lengths"));
    cb_tensor *y = cb_rnn_forward(rnn, x, &io);
    cb_tensor *loss = projected(file, "projection.output", y);
    cr_expect(cbt_close(y, cbt_find(file, "output"), 1e-5), "%s: output", name);
    for (int s = 0; s < states; s++) {
        cb_tensor *of_state[MOST_RUNS];
        for (int r = 0; r < runs; r++)
            of_state[r] = final[r * states + s];
        cb_tensor *last = cb_stack(runs, of_state, 0);
        cr_expect(cbt_close(last, cbt_find(file, state_name(text, "", s, 'n')), 1e-5), "%s: %s",
                  name, text);
        loss = cb_add(loss, projected(file, state_name(text, "projection.", s, 'n'), last));
    }
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", name, cb_tape_error(tape));
    cr_expect(cbt_close(cb_gradient(x), cbt_find(file, "grad.input"), 1e-5), "%s: input", name);
    for (int s = 0; s < states; s++)
        cr_expect(cbt_close(cb_gradient(start[s]),
                            cbt_find(file, state_name(text, "grad.", s, '0')), 1e-5),
                  "%s: %s", name, text);
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        char gradient[64];
        snprintf(gradient, sizeof gradient, "grad.%s", param->name + strlen("rnn."));
        cr_expect(cbt_close(param->gradient, cbt_find(file, gradient), 1e-5), "%s: %s", name,
                  gradient);
    }
    cb_tape_free(tape);
    cb_params_free(params);
    cb_safetensors_free(file);
}

Test(rnn, outputs_states_and_gradients_equal_pytorch) {
    const char *const kinds[] = {"uni_full", "uni_lengths", "bi_full", "bi_lengths", "nobias"};
    for (int cell = 0; cell < 3; cell++)
        for (int layers = 1; layers <= 2; layers++)
            for (int kind = 0; kind < 5; kind++) {
                char name[64];
                snprintf(name, sizeof name, "%s_l%d_%s", pytorch_cells[cell]->name, layers,
                         kinds[kind]);
                expect_pytorch(name);
            }
}

/* ---- What the tests below share -------------------------------------------------------------- */

enum { TIME = 5, BATCH = 4, INPUT = 3, HIDDEN = 6 };

/* A random plain tensor in [-1, 1), f32; the caller's. */
static cb_tensor *random_tensor(uint64_t seed, int rank, const int64_t *shape) {
    cb_tensor *t = cb_tensor_new(CB_F32, rank, shape);
    cb_random random = cb_random_seed(seed);
    cr_assert_not_null(t);
    cb_random_uniform_f32(&random, cb_tensor_count(t), t->data, -1, 1);
    return t;
}

static bool same_bits(const cb_tensor *a, const cb_tensor *b) {
    return cb_tensor_same_shape(a, b) && cb_tensor_bytes(a) == cb_tensor_bytes(b) &&
           memcmp(a->data, b->data, cb_tensor_bytes(a)) == 0;
}

static bool all_zero(const cb_tensor *t) {
    for (size_t i = 0; i < cb_tensor_bytes(t) / sizeof(float); i++)
        if (((const float *)t->data)[i] != 0)
            return false;
    return true;
}

/* A set, a tape and an input [TIME, BATCH, INPUT]. */
typedef struct bench {
    cb_params *params;
    cb_tape *tape;
    cb_tensor *values, *x;
} bench;

static bench bench_new(void) {
    bench b = {cb_params_new(7), cb_tape_new(), random_tensor(3, CB_SHAPE(TIME, BATCH, INPUT)),
               NULL};
    b.x = cb_input(b.tape, b.values);
    return b;
}

static void bench_free(bench *b) {
    cb_tape_free(b->tape);
    cb_params_free(b->params);
    cb_tensor_free(b->values);
}

/* ---- Directions, lengths --------------------------------------------------------------------- */

Test(rnn, reverse_is_forward_on_the_flipped_sequence) {
    bench b = bench_new();
    cb_rnn *forward = cb_rnn_new(b.params, "a", &cb_lstm, INPUT, HIDDEN);
    cb_rnn *reverse = cb_rnn_new(b.params, "b", &cb_lstm, INPUT, HIDDEN, .reverse = true);
    for (int i = 0; i < 4; i++)
        cb_tensor_assign(cb_params_at(b.params, 4 + i)->value, cb_params_at(b.params, i)->value);
    cr_assert_not_null(cb_params_find(b.params, "b.weight_ih_l0_reverse"));
    cb_tensor *flipped = cb_flip(b.x, 1, (const int[]){0});
    cb_tensor *y = cb_rnn_forward(forward, flipped, NULL);
    cb_tensor *z = cb_rnn_forward(reverse, b.x, NULL);
    cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
    cr_expect(same_bits(z, cb_contiguous(cb_flip(y, 1, (const int[]){0}))));
    bench_free(&b);
}

/* Lengths 0, 2, 5, 1, with every cell, both directions and two layers: as each sequence alone. */
static void expect_lengths_as_alone(const cb_cell *cell, cb_dtype dtype) {
    enum { STATES = 4 * CB_CELL_MAX_STATES };
    static const int64_t lengths[BATCH] = {0, 2, 5, 1};
    bench b = bench_new();
    cb_rnn *rnn = cb_rnn_new(b.params, "rnn", cell, INPUT, HIDDEN, .layers = 2,
                             .bidirectional = true, .settings = cbt_small(cell));
    int count = cb_rnn_state_count(rnn);
    cb_tensor *given = random_tensor(11, CB_SHAPE(count, BATCH, HIDDEN));
    cb_tensor *initial[STATES], *final[STATES], *alone_initial[STATES], *alone_final[STATES];
    cb_tensor *ends = cb_full(b.tape, dtype, CB_SHAPE(BATCH), 0);
    for (int64_t k = 0; k < BATCH; k++)
        cb_tensor_set(ends, &k, (double)lengths[k]);
    for (int i = 0; i < count; i++)
        initial[i] =
            cb_slice(cb_select(cb_input(b.tape, given), 0, i), 1, 0, cb_rnn_state_size(rnn, i), 1);
    cb_tensor *y =
        cb_rnn_forward(rnn, b.x, &(cb_rnn_io){.initial = initial, .final = final, .lengths = ends});
    for (int64_t k = 0; k < BATCH; k++) {
        cb_tensor *x = cb_slice(cb_slice(b.x, 1, k, k + 1, 1), 0, 0, lengths[k], 1);
        for (int i = 0; i < count; i++)
            alone_initial[i] = cb_slice(initial[i], 0, k, k + 1, 1);
        cb_tensor *z =
            cb_rnn_forward(rnn, x, &(cb_rnn_io){.initial = alone_initial, .final = alone_final});
        cb_tensor *row = cb_slice(y, 1, k, k + 1, 1);
        cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
        cr_expect(cbt_close(cb_slice(row, 0, 0, lengths[k], 1), z, 1e-6), "%s", cell->name);
        cr_expect(all_zero(cb_contiguous(cb_slice(row, 0, lengths[k], CB_END, 1))), "%s",
                  cell->name);
        for (int i = 0; i < count; i++)
            cr_expect(cbt_close(cb_slice(final[i], 0, k, k + 1, 1), alone_final[i], 1e-6),
                      "%s: state %d", cell->name, i);
    }
    cb_tensor_free(given);
    bench_free(&b);
}

Test(rnn, a_sequence_in_a_batch_with_lengths_is_as_alone) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        expect_lengths_as_alone(*cell, CB_I64);
    expect_lengths_as_alone(&cb_gru, CB_I32);
}

Test(rnn, what_lies_past_the_end_does_not_matter_even_nan) {
    bench b = bench_new();
    cb_rnn *rnn =
        cb_rnn_new(b.params, "rnn", &cb_lstm, INPUT, HIDDEN, .layers = 2, .bidirectional = true);
    cb_tensor *x[2], *y[2], *gradients[2];
    for (int k = 0; k < 2; k++) {
        for (int64_t t = 3; t < TIME; t++)
            for (int64_t i = 0; i < BATCH * INPUT; i++)
                ((float *)b.values->data)[t * BATCH * INPUT + i] = k == 0 ? 0 : NAN;
        cb_tensor *lengths = cb_full(b.tape, CB_I64, CB_SHAPE(BATCH), 3);
        cb_tensor *copy = cb_scale(cb_input(b.tape, b.values), 1);
        x[k] = cb_variable(b.tape, copy);
        y[k] = cb_rnn_forward(rnn, x[k], &(cb_rnn_io){.lengths = lengths});
        cb_params_zero_gradients(b.params);
        cr_assert_eq(cb_backward(cb_sum(cb_square(y[k]), CB_ALL_AXES, false)), CB_OK, "%s",
                     cb_tape_error(b.tape));
        gradients[k] = cb_scale(
            cb_input(b.tape, cb_params_find(b.params, "rnn.weight_ih_l0_reverse")->gradient), 1);
    }
    cr_expect(same_bits(y[0], y[1]));
    cr_expect(same_bits(cb_gradient(x[0]), cb_gradient(x[1])));
    cr_expect(same_bits(gradients[0], gradients[1]));
    cr_expect_not(all_zero(gradients[0]));
    bench_free(&b);
}

/* ---- Carried state --------------------------------------------------------------------------- */

Test(rnn, two_halves_of_a_sequence_with_carried_state_are_one_run) {
    enum { STATES = 2 * CB_CELL_MAX_STATES };
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        bench b = bench_new();
        cb_rnn *rnn = cb_rnn_new(b.params, "rnn", *cell, INPUT, HIDDEN, .layers = 2);
        cb_tensor *middle[STATES], *end[STATES], *whole_end[STATES];
        cb_tensor *first = cb_slice(b.x, 0, 0, 2, 1), *second = cb_slice(b.x, 0, 2, CB_END, 1);
        cb_tensor *halves[] = {
            cb_rnn_forward(rnn, first, &(cb_rnn_io){.final = middle}),
            cb_rnn_forward(rnn, second, &(cb_rnn_io){.initial = middle, .final = end}),
        };
        cb_tensor *whole = cb_rnn_forward(rnn, b.x, &(cb_rnn_io){.final = whole_end});
        cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
        cr_expect(same_bits(whole, cb_concat(2, halves, 0)), "%s", (*cell)->name);
        cr_assert_eq(cb_rnn_state_count(rnn), 2 * (*cell)->state_count);
        for (int i = 0; i < cb_rnn_state_count(rnn); i++)
            cr_expect(same_bits(cb_contiguous(end[i]), cb_contiguous(whole_end[i])), "%s: %d",
                      (*cell)->name, i);
        bench_free(&b);
    }
}

Test(rnn, no_time_and_no_batch) {
    bench b = bench_new();
    cb_rnn *rnn = cb_rnn_new(b.params, "rnn", &cb_cerebral_lstm, INPUT, HIDDEN, .layers = 2,
                             .bidirectional = true);
    cb_tensor *initial[12], *final[12];
    for (int i = 0; i < 12; i++)
        initial[i] = cb_full(b.tape, CB_F32, CB_SHAPE(BATCH, HIDDEN), i);
    cb_tensor *none = cb_slice(b.x, 0, 0, 0, 1);
    cb_tensor *lengths = cb_full(b.tape, CB_I64, CB_SHAPE(BATCH), 0);
    for (int with = 0; with < 2; with++) {
        cb_rnn_io io = {.initial = initial, .final = final, .lengths = with ? lengths : NULL};
        cb_tensor *y = cb_rnn_forward(rnn, none, &io);
        cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
        cr_expect(y->rank == 3 && y->shape[0] == 0 && y->shape[1] == BATCH &&
                  y->shape[2] == 2 * HIDDEN);
        for (int i = 0; i < 12; i++)
            cr_expect(same_bits(initial[i], final[i]), "state %d", i);
    }
    cb_tensor *nobody = cb_variable(b.tape, cb_contiguous(cb_slice(b.x, 1, 0, 0, 1)));
    cb_rnn_io io = {.final = final, .lengths = cb_full(b.tape, CB_I32, CB_SHAPE(0), 0)};
    cb_tensor *y = cb_rnn_forward(rnn, nobody, &io);
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(b.tape));
    cr_expect(y->rank == 3 && y->shape[0] == TIME && y->shape[1] == 0 && y->shape[2] == 2 * HIDDEN);
    cr_expect_eq(final[11]->shape[0], 0);
    for (int i = 0; i < cb_params_count(b.params); i++)
        cr_expect(all_zero(cb_params_at(b.params, i)->gradient));
    bench_free(&b);
}

/* ---- Dropout --------------------------------------------------------------------------------- */

/* One run of a two-layer network with dropout, on a new set with that seed; the caller frees y. */
static cb_tensor *dropped(uint64_t seed, int layers, double rate, bool no_grad, int run) {
    cb_params *params = cb_params_new(seed);
    cb_tape *tape = no_grad ? cb_tape_new_no_grad() : cb_tape_new();
    cb_tensor *values = random_tensor(3, CB_SHAPE(TIME, BATCH, INPUT)), *y = NULL;
    cb_rnn *rnn =
        cb_rnn_new(params, "rnn", &cb_lstm, INPUT, HIDDEN, .layers = layers, .dropout = rate);
    for (int i = 0; i <= run; i++)
        y = cb_rnn_forward(rnn, cb_input(tape, values), NULL);
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    cb_tensor *copy = cb_tensor_copy(y, CB_F32);
    cb_tensor_free(values);
    cb_tape_free(tape);
    cb_params_free(params);
    return copy;
}

Test(rnn, dropout_acts_between_layers_on_tapes_that_record) {
    cb_tensor *plain = dropped(5, 2, 0, false, 0), *first = dropped(5, 2, 0.5, false, 0);
    cb_tensor *again = dropped(5, 2, 0.5, false, 0), *second = dropped(5, 2, 0.5, false, 1);
    cb_tensor *quiet = dropped(5, 2, 0.5, true, 0);
    cr_expect_not(same_bits(plain, first), "dropout did nothing");
    cr_expect(same_bits(first, again), "a seed gives one mask");
    cr_expect_not(same_bits(first, second), "the same mask twice");
    cr_expect(same_bits(plain, quiet), "dropout on a no-grad tape");
    cb_tensor *one = dropped(5, 1, 0, false, 0), *last = dropped(5, 1, 0.5, false, 0);
    cr_expect(same_bits(one, last), "dropout after the last layer");
    cb_tensor *all[] = {plain, first, again, second, quiet, one, last};
    for (int i = 0; i < 7; i++)
        cb_tensor_free(all[i]);
}

/* ---- Stacks, modules, threads ---------------------------------------------------------------- */

Test(rnn, a_stack_is_its_layers_one_after_the_other) {
    const cb_stack_layer layers[] = {{.cell = &cb_gru, .hidden = 5},
                                     {.cell = &cb_cerebral_lstm, .hidden = 7},
                                     {.cell = &cb_lstm, .hidden = 4}};
    bench b = bench_new();
    cb_rnn *stack = cb_stack_new(b.params, "stack", INPUT, 3, layers, NULL);
    cr_assert_not_null(stack, "%s", cb_params_error(b.params));
    cr_expect_eq(cb_rnn_output_size(stack), 4);
    const int64_t sizes[] = {5, 7, 7, 7, 4, 4, 0};
    cr_expect_eq(cb_rnn_state_count(stack), 6);
    for (int i = 0; i < 7; i++)
        cr_expect_eq(cb_rnn_state_size(stack, i), sizes[i]);
    cr_expect_eq(cb_rnn_state_size(stack, -1), 0);
    cb_tensor *y = cb_rnn_forward(stack, b.x, NULL), *z = b.x;
    int64_t input = INPUT;
    for (int i = 0; i < 3; i++) {
        char name[8] = {(char)('a' + i), '\0'};
        cb_rnn *alone = cb_rnn_new(b.params, name, layers[i].cell, input, layers[i].hidden);
        for (int k = 0; k < 4; k++)
            cb_tensor_assign(cb_params_at(b.params, 12 + 4 * i + k)->value,
                             cb_params_at(b.params, 4 * i + k)->value);
        z = cb_forward(cb_rnn_module(alone), z);
        input = layers[i].hidden;
    }
    cr_assert_eq(cb_tape_status(b.tape), CB_OK, "%s", cb_tape_error(b.tape));
    cr_expect(same_bits(y, z));
    bench_free(&b);
}

/* Outputs and gradients of one training step with 1, 2 and 4 threads, bit for bit. A batch is cut
   into rows or, when it is small, its products are shared. */
static void expect_same_for_all_threads(int64_t people) {
    enum { STEPS = 4, WIDTH = 48, RUNS = 3 };
    static const int threads[RUNS] = {1, 2, 4};
    cb_tensor *values = random_tensor(1, CB_SHAPE(STEPS, people, WIDTH)), *outputs[RUNS];
    cb_params *params[RUNS];
    for (int k = 0; k < RUNS; k++) {
        cb_tape *tape = cb_tape_new();
        cb_set_threads(threads[k]);
        params[k] = cb_params_new(2);
        cb_rnn *rnn = cb_rnn_new(params[k], "rnn", &cb_cerebral_lstm, WIDTH, WIDTH, .layers = 2,
                                 .bidirectional = true, .dropout = 0.25);
        cb_tensor *lengths = cb_full(tape, CB_I64, CB_SHAPE(people), 3);
        cb_tensor *y =
            cb_rnn_forward(rnn, cb_input(tape, values), &(cb_rnn_io){.lengths = lengths});
        cr_assert_eq(cb_backward(cb_mean(cb_square(y), CB_ALL_AXES, false)), CB_OK, "%s",
                     cb_tape_error(tape));
        outputs[k] = cb_tensor_copy(y, CB_F32);
        cb_tape_free(tape);
    }
    for (int k = 1; k < RUNS; k++) {
        cr_expect(same_bits(outputs[0], outputs[k]), "%d threads, batch %d", threads[k],
                  (int)people);
        for (int i = 0; i < cb_params_count(params[0]); i++)
            cr_expect(same_bits(cb_params_at(params[0], i)->gradient,
                                cb_params_at(params[k], i)->gradient),
                      "%d threads, batch %d: %s", threads[k], (int)people,
                      cb_params_at(params[0], i)->name);
    }
    for (int k = 0; k < RUNS; k++) {
        cb_tensor_free(outputs[k]);
        cb_params_free(params[k]);
    }
    cb_tensor_free(values);
}

Test(rnn, results_do_not_depend_on_the_number_of_threads) {
    static const int64_t batches[] = {1, 2, 3, 5, 8, 13, 32, 67};
    for (int i = 0; i < 8; i++)
        expect_same_for_all_threads(batches[i]);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* That the run failed so, with that in the message, and that all it gives is poisoned. */
static void expect_failed(bench *b, cb_rnn *rnn, cb_tensor *x, cb_rnn_io io, cb_status status,
                          const char *text) {
    cb_tensor *final[2 * CB_CELL_MAX_STATES] = {NULL};
    io.final = final;
    cb_tensor *y = cb_rnn_forward(rnn, x, &io);
    cr_expect_null(y->data, "%s", text);
    cr_expect_eq(cb_tape_status(b->tape), status, "%s: %s", text, cb_tape_error(b->tape));
    cr_expect_not_null(strstr(cb_tape_error(b->tape), text), "'%s' is not in '%s'", text,
                       cb_tape_error(b->tape));
    for (int i = 0; i < cb_rnn_state_count(rnn); i++)
        cr_expect(final[i] != NULL && final[i]->data == NULL, "%s: state %d", text, i);
    cb_tape_reset(b->tape);
    b->x = cb_input(b->tape, b->values);
}

Test(rnn, inputs_that_do_not_fit_fail_on_the_tape) {
    bench b = bench_new();
    cb_rnn *rnn = cb_rnn_new(b.params, "net", &cb_lstm, INPUT, HIDDEN);
    cb_rnn_io none = {0};
    expect_failed(&b, NULL, b.x, none, CB_ERROR_NOT_FOUND, "the network is NULL");
    expect_failed(&b, rnn, cb_select(b.x, 0, 0), none, CB_ERROR_SHAPE,
                  "rnn \"net\": [4,3] is not [time, batch, 3]");
    expect_failed(&b, rnn, cb_slice(b.x, 2, 0, 2, 1), none, CB_ERROR_SHAPE,
                  "rnn \"net\": [5,4,2] is not [time, batch, 3]");
    expect_failed(&b, rnn, cb_cast(b.x, CB_F64), none, CB_ERROR_DTYPE,
                  "rnn \"net\": the input is f64 and the weights are f32");
    expect_failed(&b, rnn, cb_add(b.x, cb_full(b.tape, CB_F32, CB_SHAPE(7), 0)), none,
                  CB_ERROR_SHAPE, "add: [5,4,3] x [7]");
    cr_expect_null(cb_rnn_forward(rnn, NULL, NULL)->data);
    cr_expect_null(cb_rnn_forward(rnn, b.values, NULL)->data);
    bench_free(&b);
}

Test(rnn, lengths_and_states_that_do_not_fit_fail_on_the_tape) {
    bench b = bench_new();
    cb_rnn *rnn = cb_rnn_new(b.params, "net", &cb_lstm, INPUT, HIDDEN);
#define LENGTHS(dtype, count, value)                                                               \
    (cb_rnn_io){.lengths = cb_full(b.tape, dtype, CB_SHAPE(count), value)}
    expect_failed(&b, rnn, b.x, LENGTHS(CB_I64, BATCH, TIME + 1), CB_ERROR_VALUE,
                  "length 6 of sequence 0 is outside 0..5");
    expect_failed(&b, rnn, b.x, LENGTHS(CB_I32, BATCH, -1), CB_ERROR_VALUE,
                  "length -1 of sequence 0 is outside 0..5");
    expect_failed(&b, rnn, b.x, LENGTHS(CB_F32, BATCH, 1), CB_ERROR_DTYPE,
                  "lengths are f32; they must be i32 or i64");
    expect_failed(&b, rnn, b.x, LENGTHS(CB_I64, BATCH + 1, 1), CB_ERROR_SHAPE,
                  "lengths must be [4]");
    int64_t one[BATCH] = {1, 1, 1, 1};
    cb_tensor plain = cb_tensor_wrap(CB_I64, CB_SHAPE(BATCH), one);
    expect_failed(&b, rnn, b.x, (cb_rnn_io){.lengths = &plain}, CB_ERROR_TAPE,
                  "the lengths are not on the tape of the input");
    cb_tensor *states[2];
#define STATES(first, second)                                                                      \
    (states[0] = (first), states[1] = (second), (cb_rnn_io){.initial = states})
    cb_tensor *good = cb_full(b.tape, CB_F32, CB_SHAPE(BATCH, HIDDEN), 0);
    expect_failed(&b, rnn, b.x, STATES(good, NULL), CB_ERROR_VALUE, "initial state 1 is NULL");
    expect_failed(&b, rnn, b.x, STATES(b.values, b.values), CB_ERROR_TAPE,
                  "initial state 0 is not on the tape of the input");
    good = cb_full(b.tape, CB_F32, CB_SHAPE(BATCH, HIDDEN), 0);
    expect_failed(&b, rnn, b.x, STATES(good, cb_full(b.tape, CB_F32, CB_SHAPE(1, HIDDEN), 0)),
                  CB_ERROR_SHAPE, "initial state 1 is [1,6], not [4,6]");
    good = cb_full(b.tape, CB_F32, CB_SHAPE(BATCH, HIDDEN), 0);
    expect_failed(&b, rnn, b.x, STATES(cb_cast(good, CB_F64), good), CB_ERROR_DTYPE,
                  "initial state 0 is f64 and the input is f32");
    bench_free(&b);
}

/* Cells whose steps do not do what they must. */
static void step_forgets(const cb_cell_step *s) {
    s->next[0] = s->state[0];
}

static void step_grows(const cb_cell_step *s) {
    s->next[0] = s->state[0];
    s->next[1] = cb_concat(2, (cb_tensor *[]){s->state[1], s->state[1]}, -1);
}

static void step_fails(const cb_cell_step *s) {
    s->next[0] = s->next[1] = cb_matmul(s->x, s->state[0]);
}

Test(rnn, a_step_that_is_wrong_is_named) {
    static const struct {
        cb_cell cell;
        cb_status status;
        const char *text;
    } cases[] = {
        {{.name = "forgets", .state_count = 2, .full_step = step_forgets},
         CB_ERROR_VALUE,
         "scan \"forgets\": the step left state 1 empty"},
        {{.name = "grows", .state_count = 2, .full_step = step_grows},
         CB_ERROR_SHAPE,
         "scan \"grows\": the step made state 1 [4,12]; it must be [4,6]"},
        {{.name = "fails", .state_count = 2, .full_step = step_fails},
         CB_ERROR_SHAPE,
         "matmul: [4,3] x [4,6]"},
    };
    for (int i = 0; i < 3; i++) {
        bench b = bench_new();
        cb_rnn *rnn = cb_rnn_new(b.params, "rnn", &cases[i].cell, INPUT, HIDDEN, .layers = 2);
        cr_assert_not_null(rnn, "%s", cb_params_error(b.params));
        expect_failed(&b, rnn, b.x, (cb_rnn_io){0}, cases[i].status, cases[i].text);
        bench_free(&b);
    }
}

Test(rnn, a_step_of_another_shape_is_named) {
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "net", &cb_gru, 3, 4);
    cb_tape *tape = cb_tape_new();
    cb_rnn_step(rnn, cb_full(tape, CB_F32, CB_SHAPE(5, 2, 3), 1), NULL);
    cr_expect_str_eq(cb_tape_error(tape), "rnn \"net\": a step's [5,2,3] is not [batch, 3]");
    cb_tape_free(tape);
    cb_params_free(params);
}
