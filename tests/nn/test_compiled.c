/* Whole networks, compiled against run op by op: outputs, last states and all gradients, for every
   cell, over random sizes and everything that the driver can do. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct network {
    const cb_cell *cell;
    cb_dtype dtype;
    int64_t time, batch, input, hidden;
    int layers;
    bool bidirectional, reverse, lengths, embedding, carried, no_bias;
    double dropout;
    int64_t recompute;
    uint64_t seed;
    bool rounded; /* f64, with all values rounded to f32: what an f32 network is an image of */
} network;

/* All numbers that came of a run, as f64. */
typedef struct numbers {
    double *list;
    int64_t count;
} numbers;

static void put(numbers *n, const cb_tensor *t) {
    cb_tensor *exact = cb_tensor_copy(t, CB_F64);
    cr_assert_not_null(exact);
    int64_t count = cb_tensor_count(exact);
    n->list = realloc(n->list, sizeof(double) * (size_t)(n->count + count + 1));
    cr_assert_not_null(n->list);
    memcpy(n->list + n->count, exact->data, sizeof(double) * (size_t)count);
    n->count += count;
    cb_tensor_free(exact);
}

enum { SYMBOLS = 7, MOST_STATES = 2 * 2 * CB_CELL_MAX_STATES, MOST_OWNED = 64 };

/* A run in progress: what it owns besides its set and tape. */
typedef struct run {
    const network *net;
    cb_params *params;
    cb_module *embedding;
    cb_rnn *rnn;
    cb_tape *tape;
    cb_random random;
    cb_tensor *owned[MOST_OWNED];
    int owned_count;
} run;

static cb_tensor *own(run *r, cb_tensor *t) {
    cr_assert_not_null(t);
    cr_assert_lt(r->owned_count, MOST_OWNED);
    return r->owned[r->owned_count++] = t;
}

static void round_to_f32(cb_tensor *t) {
    double *x = t->data;
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        x[i] = (double)(float)x[i];
}

/* A random plain tensor of the network's dtype, and room for its gradient. */
static cb_tensor *drawn(run *r, int rank, const int64_t *shape, cb_tensor **gradient) {
    cb_tensor *exact = cb_tensor_new(CB_F64, rank, shape);
    cr_assert_not_null(exact);
    cb_random_uniform_f64(&r->random, cb_tensor_count(exact), exact->data, -1, 1);
    if (r->net->rounded)
        round_to_f32(exact);
    cb_tensor *t = own(r, cb_tensor_copy(exact, r->net->dtype));
    cb_tensor_free(exact);
    if (gradient != NULL)
        *gradient = own(r, cb_tensor_new(r->net->dtype, rank, shape));
    return t;
}

static cb_tensor *whole(run *r, int rank, const int64_t *shape, int64_t below) {
    cb_tensor *t = own(r, cb_tensor_new(CB_I64, rank, shape));
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(&r->random, (uint64_t)below);
    return t;
}

/* The layers, in a set of that dtype. */
static cb_rnn *make_layers(const network *net, cb_params *params, bool eager, int64_t recompute,
                           cb_module **embedding) {
    *embedding = cb_embedding_new(params, "embedding", SYMBOLS, net->input);
    return cb_rnn_new(params, "rnn", net->cell, net->input, net->hidden, .layers = net->layers,
                      .bidirectional = net->bidirectional, .reverse = net->reverse,
                      .dropout = net->dropout, .no_bias = net->no_bias, .eager = eager,
                      .recompute = recompute, .settings = cbt_small(net->cell));
}

/* Gives a set of f64 the values of an f32 one of the same seed. */
static void take_f32_values(const run *r) {
    cb_module *embedding;
    cb_params *f32 = cb_params_new_dtype(r->net->seed, CB_F32);
    cr_assert_not_null(make_layers(r->net, f32, true, 0, &embedding));
    for (int i = 0; i < cb_params_count(f32); i++) {
        cb_tensor *to = cb_params_at(r->params, i)->value;
        cb_tensor *from = cb_tensor_copy(cb_params_at(f32, i)->value, CB_F64);
        memcpy(to->data, from->data, cb_tensor_bytes(to));
        cb_tensor_free(from);
    }
    cb_params_free(f32);
}

static run run_new(const network *net, bool eager, int64_t recompute) {
    run r = {.net = net, .random = cb_random_seed(net->seed)};
    r.params = cb_params_new_dtype(net->seed, net->dtype);
    r.rnn = make_layers(net, r.params, eager, recompute, &r.embedding);
    cr_assert_not_null(r.rnn, "%s", cb_params_error(r.params));
    for (int i = 0; i < net->layers; i++)
        cr_assert_eq(cb_rnn_eager_reason(r.rnn, i) != NULL, eager, "%s: %s", net->cell->name,
                     cb_rnn_eager_reason(r.rnn, i));
    if (net->rounded)
        take_f32_values(&r);
    r.tape = cb_tape_new();
    return r;
}

static void run_free(run *r) {
    cb_tape_free(r->tape);
    cb_params_free(r->params);
    for (int i = 0; i < r->owned_count; i++)
        cb_tensor_free(r->owned[i]);
}

/* The network over one sequence, from the states in state, which are left with the last ones; the
   loss that is added covers everything that comes out. */
static cb_tensor *piece(run *r, cb_tensor **state, cb_tensor **x_gradient, numbers *n) {
    const network *net = r->net;
    cb_tape *tape = r->tape;
    int states = cb_rnn_state_count(r->rnn);
    cb_tensor *final[MOST_STATES], *x;
    *x_gradient = NULL;
    if (net->embedding)
        x = cb_forward(r->embedding,
                       cb_input(tape, whole(r, CB_SHAPE(net->time, net->batch), SYMBOLS)));
    else {
        cb_tensor *values = drawn(r, CB_SHAPE(net->time, net->batch, net->input), x_gradient);
        x = cb_variable_into(tape, values, *x_gradient);
    }
    cb_rnn_io io = {.initial = state, .final = final};
    if (net->lengths)
        io.lengths = cb_input(tape, whole(r, CB_SHAPE(net->batch), net->time + 1));
    cb_tensor *y = cb_rnn_forward(r->rnn, x, &io);
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    put(n, y);
    cb_tensor *projection = cb_input(tape, drawn(r, y->rank, y->shape, NULL));
    cb_tensor *loss = cb_sum(cb_mul(y, projection), CB_ALL_AXES, false);
    for (int i = 0; i < states; i++) {
        put(n, final[i]);
        loss = cb_add(loss, cb_sum(cb_square(final[i]), CB_ALL_AXES, false));
        state[i] = final[i];
    }
    return loss;
}

static numbers numbers_of(const network *net, bool eager, int64_t recompute) {
    run r = run_new(net, eager, recompute);
    numbers n = {0};
    cb_tensor *state[MOST_STATES], *state_gradient[MOST_STATES], *x_gradient[2] = {NULL};
    int states = cb_rnn_state_count(r.rnn);
    for (int i = 0; i < states; i++) {
        int64_t size = cb_rnn_state_size(r.rnn, i);
        cb_tensor *values = drawn(&r, CB_SHAPE(net->batch, size), &state_gradient[i]);
        state[i] = cb_variable_into(r.tape, values, state_gradient[i]);
    }
    cb_tensor *loss = piece(&r, state, &x_gradient[0], &n);
    if (net->carried)
        loss = cb_add(loss, piece(&r, state, &x_gradient[1], &n));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(r.tape));
    for (int i = 0; i < 2; i++)
        if (x_gradient[i] != NULL)
            put(&n, x_gradient[i]);
    for (int i = 0; i < states; i++)
        put(&n, state_gradient[i]);
    for (int i = 0; i < cb_params_count(r.params); i++)
        put(&n, cb_params_at(r.params, i)->gradient);
    run_free(&r);
    return n;
}

/* The largest difference, as a part of the largest number. */
static double distance(const numbers *n, const numbers *expected) {
    double scale = 1, worst = 0;
    cr_assert_eq(n->count, expected->count);
    for (int64_t i = 0; i < n->count; i++)
        scale = fmax(scale, fabs(expected->list[i]));
    for (int64_t i = 0; i < n->count; i++) {
        double difference = fabs(n->list[i] - expected->list[i]) / scale;
        worst = difference <= worst ? worst : difference; /* NaN is the worst of all */
    }
    return worst;
}

/* That a run gives what is expected. */
static void expect_equal_to(const network *net, const numbers *expected, double tolerance,
                            bool eager, int64_t recompute) {
    numbers n = numbers_of(net, eager, recompute);
    double worst = distance(&n, expected);
    cr_expect(worst <= tolerance,
              "%s %s: %g: time %d, batch %d, input %d, hidden %d, layers %d, bidirectional %d, "
              "reverse %d, lengths %d, embedding %d, carried %d, no bias %d, dropout %g, eager %d, "
              "recompute %d",
              net->cell->name, cb_dtype_name(net->dtype), worst, (int)net->time, (int)net->batch,
              (int)net->input, (int)net->hidden, net->layers, net->bidirectional, net->reverse,
              net->lengths, net->embedding, net->carried, net->no_bias, net->dropout, eager,
              (int)recompute);
    free(n.list);
}

/* In f64, that a run gives what the one op by op gives that keeps everything. In f32, where layer
   norm makes much of roundings, that it is about as near as that one to what f64 gives. */
static void expect_equal(const network *net) {
    numbers expected = numbers_of(net, true, 0);
    double tolerance = 1e-12;
    if (net->dtype == CB_F32) {
        network exact = *net;
        exact.dtype = CB_F64;
        exact.rounded = true;
        numbers of_f64 = numbers_of(&exact, true, 0);
        tolerance = fmax(1e-5, 4 * distance(&expected, &of_f64));
        cr_expect(tolerance < 1e-3, "%s, seed %d: %g", net->cell->name, (int)net->seed, tolerance);
        free(expected.list);
        expected = of_f64;
    }
    expect_equal_to(net, &expected, tolerance, false, 0);
    expect_equal_to(net, &expected, tolerance, false, net->recompute);
    if (net->seed % 4 == 0)
        expect_equal_to(net, &expected, tolerance, true, net->recompute);
    free(expected.list);
}

static cb_random choices;

/* 1 to most; the small ones as often as the large ones. */
static int64_t any_up_to(int64_t most) {
    double exponent;
    cb_random_uniform_f64(&choices, 1, &exponent, 0, log((double)most + 1));
    int64_t n = (int64_t)exp(exponent);
    return n > most ? most : n;
}

static bool one_in(uint64_t n) {
    return cb_random_below(&choices, n) == 0;
}

static void expect_equal_for(const cb_cell *cell, int cases, int64_t time, int64_t batch,
                             int64_t hidden) {
    for (int k = 0; k < cases; k++) {
        network net = {.cell = cell,
                       .dtype = k % 2 == 0 ? CB_F32 : CB_F64,
                       .time = any_up_to(time),
                       .batch = any_up_to(batch),
                       .input = any_up_to(hidden),
                       .hidden = any_up_to(hidden),
                       .layers = one_in(2) ? 2 : 1,
                       .bidirectional = one_in(3),
                       .lengths = one_in(2),
                       .embedding = one_in(2),
                       .carried = one_in(3),
                       .no_bias = one_in(5),
                       .seed = (uint64_t)k};
        /* Layer norm of one number is 0, whatever it is: all that f32 has of its gradient are
           roundings. */
        if (cell == &cb_layernorm_lstm && net.dtype == CB_F32 && net.hidden == 1)
            net.hidden = 2;
        net.recompute = any_up_to(net.time + 2);
        net.reverse = !net.bidirectional && one_in(3);
        net.dropout = net.layers == 2 && one_in(2) ? 0.3 : 0;
        expect_equal(&net);
    }
}

Test(compiled, networks_equal_those_run_op_by_op, .timeout = 900) {
    choices = cb_random_seed(3);
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        expect_equal_for(*cell, 24, 50, 60, 40);
}

Test(compiled, large_networks_equal_those_run_op_by_op, .timeout = 900) {
    choices = cb_random_seed(4);
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        expect_equal_for(*cell, 2, 12, 200, 300);
}

/* ---- What is odd ----------------------------------------------------------------------------- */

/* h' = tanh(x W' + h), W [hidden, input]: where the tests below put what is odd. */
static cb_tensor *plain(cb_tensor *const *w, cb_tensor *x, cb_tensor *h) {
    return cb_tanh(cb_add(cb_linear(x, w[0], NULL), h));
}

static void reads_an_element(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                             cb_tensor **next) {
    float first = *(const float *)state[0]->data;
    next[0] = first > 0 ? plain(w, x, state[0]) : cb_neg(plain(w, x, state[0]));
}

static void reads_an_item(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    double largest = cb_item(cb_max(x, CB_ALL_AXES, false));
    next[0] = largest > 0.5 ? plain(w, x, state[0]) : cb_neg(plain(w, x, state[0]));
}

static void mixes_the_batch(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    next[0] = plain(w, cb_sub(x, cb_mean(x, CB_AXES(0), true)), state[0]);
}

static void adds_up_the_batch(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                              cb_tensor **next) {
    next[0] = cb_sub(plain(w, x, state[0]), cb_scale(cb_sum(state[0], CB_AXES(0), true), 0.1));
}

static void mixes_the_states(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                             cb_tensor **next) {
    next[0] = cb_sub(plain(w, x, state[0]), cb_mean(state[0], CB_AXES(0), true));
}

static cb_random drops;

static void drops_units(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                        cb_tensor **next) {
    next[0] = plain(w, cb_dropout(x, 0.5, &drops), state[0]);
}

static cb_tensor *outside;

static void uses_a_tensor_from_outside(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                       cb_tensor **next) {
    next[0] = plain(w, cb_mul(cb_input(cb_tape_of(x), outside), x), state[0]);
}

static void uses_a_tensor_of_the_tape(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                      cb_tensor **next) {
    next[0] = plain(w, cb_mul(outside, x), state[0]);
}

static const cb_cell_param one_weight[] = {
    {"weight_ih", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
};

static void counts_the_batch(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                             cb_tensor **next) {
    next[0] = cb_scale(plain(w, x, state[0]), 1.0 / (double)x->shape[0]);
}

static void asks_for_the_batch(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                               cb_tensor **next) {
    next[0] = plain(w, x, state[0]);
    if (x->shape[0] > 4)
        next[0] = cb_neg(next[0]);
}

static void compares_pairs(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
    cb_tensor *sum = cb_sum(state[0], CB_AXES(1), false);
    cb_tensor *less = cb_less(sum, cb_unsqueeze(sum, 1));
    next[0] = cb_add(plain(w, x, state[0]), cb_sum(less, CB_AXES(1), true));
}

static void takes_a_gradient(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                             cb_tensor **next) {
    cb_tensor *h = cb_variable(cb_tape_of(x), state[0]);
    cb_backward(cb_sum(cb_square(h), CB_ALL_AXES, false));
    next[0] = plain(w, x, cb_gradient(h) != NULL ? cb_input(cb_tape_of(x), cb_gradient(h)) : h);
}

static void exchanges_heads(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                            cb_tensor **next) {
    cb_tensor *heads = cb_reshape(plain(w, x, state[0]), CB_SHAPE(x->shape[0], 2, 2));
    next[0] = cb_reshape(cb_transpose(heads, 1, 2), CB_SHAPE(x->shape[0], 4));
}

static void has_thousands_of_ops(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                 cb_tensor **next) {
    cb_tensor *h = state[0];
    for (int i = 0; i < 3000; i++)
        h = cb_tanh(h);
    next[0] = plain(w, x, h);
}

/* The sum is formed back to front: all terms are there before the first is used. */
static void needs_hundreds_at_once(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                   cb_tensor **next) {
    enum { TERMS = 300 };
    cb_tensor *term[TERMS], *sum = plain(w, x, state[0]);
    for (int i = 0; i < TERMS; i++)
        term[i] = cb_scale(state[0], 1e-3 * (i + 2));
    for (int i = TERMS - 1; i >= 0; i--)
        sum = cb_mul(sum, cb_sigmoid(term[i]));
    next[0] = sum;
}

/* The step of the cell below: one of those above. */
static cb_scan_step *odd_step;
static void takes_the_odd_step(const cb_cell_step *s) {
    odd_step(s->weights, s->x, s->state, s->next);
}

/* That a step runs op by op for the reason, compiled if it is NULL, with the results of the eager
   network. */
static void expect_reason(cb_scan_step *step, bool on_tape, const char *reason) {
    const cb_cell cell = {.name = "odd",
                          .state_count = 1,
                          .param_count = 1,
                          .params = one_weight,
                          .full_step = takes_the_odd_step};
    odd_step = step;
    float ones[] = {1, 2, 3};
    cb_tensor vector = cb_tensor_wrap(CB_F32, CB_SHAPE(3), ones);
    double sums[2];
    for (int eager = 0; eager < 2; eager++) {
        cb_params *params = cb_params_new(1);
        cb_rnn *rnn = cb_rnn_new(params, "rnn", &cell, 3, 4, .eager = eager == 1);
        cb_tape *tape = cb_tape_new();
        cb_random random = cb_random_seed(2);
        float values[5 * 2 * 3];
        drops = cb_random_seed(1);
        cb_random_uniform_f32(&random, 30, values, -1, 1);
        cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(5, 2, 3), values);
        outside = on_tape ? cb_input(tape, &vector) : &vector;
        cb_tensor *y = cb_rnn_forward(rnn, cb_input(tape, &x), NULL);
        cb_tensor *loss = cb_sum(cb_square(y), CB_ALL_AXES, false);
        cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", reason, cb_tape_error(tape));
        sums[eager] = cb_item(loss);
        const char *given = cb_rnn_eager_reason(rnn, 0);
        if (eager == 0)
            cr_expect(reason == NULL ? given == NULL : given != NULL && strstr(given, reason),
                      "\"%s\" is not \"%s\"", given, reason);
        cb_tape_free(tape);
        cb_params_free(params);
    }
    cr_expect(fabs(sums[0] - sums[1]) <= 1e-5 * fabs(sums[1]), "%s: %g, %g", reason, sums[0],
              sums[1]);
}

Test(compiled, a_step_that_reads_values_is_run_op_by_op) {
    expect_reason(reads_an_element, false, "the step reads elements");
    expect_reason(reads_an_item, false, "the step reads a value");
}

Test(compiled, a_step_may_mix_sequences) {
    expect_reason(adds_up_the_batch, false, NULL);
    expect_reason(compares_pairs, false, NULL);
    expect_reason(exchanges_heads, false, NULL);
    expect_reason(mixes_the_batch, false, NULL);
    expect_reason(mixes_the_states, false, NULL);
}

Test(compiled, a_step_may_draw_random_numbers) {
    expect_reason(drops_units, false, NULL);
}

Test(compiled, a_step_may_put_tensors_on_its_tape) {
    expect_reason(uses_a_tensor_from_outside, false, NULL);
    expect_reason(uses_a_tensor_of_the_tape, true, "another tape");
}

Test(compiled, a_step_may_know_the_batch) {
    expect_reason(counts_the_batch, false, NULL);
    expect_reason(asks_for_the_batch, false, "with the number of sequences");
}

/* y_i = x_i + x_0: an op that sees another row, and says that it does not. */
static cb_status add_first_row(const cb_call *call) {
    const cb_tensor *x = call->in[0];
    for (int64_t i = 0; i < x->shape[0]; i++)
        for (int64_t k = 0; k < x->shape[1]; k++)
            ((double *)call->out->data)[i * x->shape[1] + k] =
                ((double *)x->data)[i * x->stride[0] + k * x->stride[1]] +
                ((double *)x->data)[k * x->stride[1]];
    return CB_OK;
}
static void add_first_row_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    (void)call;
    gradients[0] = g;
}
static const cb_op lying_op = {.name = "add_first_row",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .shape = cb_shape_same,
                               .forward = add_first_row,
                               .vjp = add_first_row_vjp,
                               .row_by_row = cb_row_by_row};

static void lies(const cb_cell_step *s) {
    s->next[0] = plain(s->weights, s->x, cb_apply(&lying_op, 1, &s->state[0], NULL));
}

Test(compiled, a_check_finds_an_op_that_lies_about_rows) {
    const cb_cell cell = {.name = "lying",
                          .state_count = 1,
                          .param_count = 1,
                          .params = one_weight,
                          .full_step = lies};
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cell, 3, 4);
    cb_scan_check_report report;
    cr_expect_not(cb_rnn_check(rnn, 0, NULL, &report));
    cr_expect_not(report.passed);
    cr_expect_not_null(strstr(report.message, "compiled, "), "%s", report.message);
    cr_expect_not_null(strstr(report.message, "op by op"), "%s", report.message);
    cb_params_free(params);
}

Test(compiled, layers_are_checked_with_their_own_weights) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_gru, 6, 8, .layers = 2, .bidirectional = true);
    cb_scan_check_report report;
    for (int layer = 0; layer < 2; layer++) {
        cr_expect(cb_rnn_check(rnn, layer, NULL, &report), "%s", report.message);
        cr_expect(report.passed && report.compiled && report.compared > 1000);
        cr_expect_lt(report.worst_gradient, 1e-12);
    }
    cr_expect_not(cb_rnn_check(rnn, 2, NULL, &report));
    cr_expect_str_eq(report.message, "there is no such layer");
    cr_expect_not(cb_rnn_check(NULL, 0, NULL, NULL));
    cb_params_free(params);
}

Test(compiled, a_step_that_takes_a_gradient_is_run_op_by_op) {
    expect_reason(takes_a_gradient, false, "takes a gradient");
}

/* What is looked up in a table has no gradient of its own, and says so. */
Test(compiled, looked_up_rows_are_no_input_of_cb_grad) {
    int64_t symbols[6 * 2] = {0, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 1};
    cb_tensor rows = cb_tensor_wrap(CB_I64, CB_SHAPE(6, 2), symbols);
    cb_params *params = cb_params_new(1);
    cb_module *embedding = cb_embedding_new(params, "embedding", 3, 4);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 4, 4);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_forward(embedding, cb_input(tape, &rows)), *g;
    cb_tensor *loss = cb_sum(cb_rnn_forward(rnn, x, NULL), CB_ALL_AXES, false);
    cr_expect_eq(cb_grad(loss, NULL, false, 1, &x, &g), CB_ERROR_TAPE);
    cr_expect(strstr(cb_tape_error(tape), "ask for the table's"), "%s", cb_tape_error(tape));
    cb_tape_free(tape);
    cb_params_free(params);
}

Test(compiled, a_step_may_be_long) {
    expect_reason(has_thousands_of_ops, false, NULL);
    expect_reason(needs_hundreds_at_once, false, NULL);
}

/* A gradient of a gradient: refused where it is compiled, there where it is not. */
Test(compiled, second_gradients_need_the_eager_network) {
    for (int eager = 0; eager < 2; eager++) {
        cb_params *params = cb_params_new_dtype(1, CB_F64);
        cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 2, 3, .eager = eager == 1);
        double values[4 * 1 * 2] = {0.5, -0.2, 0.1, 0.7, -0.4, 0.3, 0.9, -0.6};
        cb_tensor plain_x = cb_tensor_wrap(CB_F64, CB_SHAPE(4, 1, 2), values), *g;
        cb_tape *tape = cb_tape_new();
        cb_tensor *x = cb_variable(tape, &plain_x);
        cb_tensor *loss = cb_sum(cb_rnn_forward(rnn, x, NULL), CB_ALL_AXES, false);
        cb_status status = cb_grad(loss, NULL, true, 1, &x, &g);
        cr_expect_eq(status, eager ? CB_OK : CB_ERROR_TAPE);
        if (!eager)
            cr_expect(strstr(cb_tape_error(tape), "make it eager"), "%s", cb_tape_error(tape));
        cb_tape_free(tape);
        cb_params_free(params);
    }
}

/* ---- cb_scan by itself ----------------------------------------------------------------------- */

static void adds(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w;
    next[0] = cb_add(state[0], x);
}

Test(compiled, integers_are_run_op_by_op) {
    int64_t size = 2;
    int32_t ones[3 * 1 * 2] = {1, 2, 3, 4, 5, 6};
    cb_scan *scan = cb_scan_new(
        adds,
        &(cb_scan_options){.dtype = CB_I32, .input = 2, .state_count = 1, .state_size = &size});
    cr_assert_not_null(scan);
    cr_expect_str_eq(cb_scan_reason(scan), "only f32 and f64 are compiled");
    cb_tape *tape = cb_tape_new();
    cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(3, 1, 2), ones), *final;
    cb_tensor *zero = cb_full(tape, CB_I32, CB_SHAPE(1, 2), 0);
    cb_scan_run(scan, cb_input(tape, &x), &(cb_scan_io){.initial = &zero, .final = &final});
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    cr_expect_eq(((const int32_t *) final->data)[0], 9);
    cr_expect_eq(((const int32_t *) final->data)[1], 12);
    cb_tape_free(tape);
    cb_scan_free(scan);
}

Test(compiled, a_recurrence_without_its_arguments_is_an_error) {
    int64_t size = 2;
    cb_scan_options good = {.dtype = CB_F32, .input = 2, .state_count = 1, .state_size = &size};
    cb_scan_options no_sizes = good, no_weights = good;
    no_sizes.state_size = NULL;
    no_weights.weight_count = 1;
    cr_expect_null(cb_scan_new(NULL, &good));
    cr_expect_null(cb_scan_new(adds, NULL));
    cr_expect_null(cb_scan_new(adds, &no_sizes));
    cr_expect_null(cb_scan_new(adds, &no_weights));
    cb_scan *scan = cb_scan_new(adds, &good);
    const cb_scan_io no_states = {.initial = NULL};
    for (int k = 0; k < 3; k++) {
        cb_tape *tape = cb_tape_new();
        cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(3, 1, 2), 1);
        cb_scan_run(k == 0 ? NULL : scan, x, k == 1 ? NULL : &no_states);
        cr_expect_eq(cb_tape_status(tape), CB_ERROR_VALUE);
        cb_tape_free(tape);
    }
    cb_scan_free(scan);
}

/* A dropout module in a step gives x itself on a tape without gradients, and draws a mask while a
   training step computes segments again: each is compiled for what it is. */
static cb_module *dropout_in_step;
static int dropout_calls;
static void dropping_step(const cb_cell_step *s) {
    dropout_calls++;
    s->next[0] =
        cb_tanh(cb_add(cb_linear(s->x, s->weights[0], NULL),
                       cb_linear(cb_forward(dropout_in_step, s->state[0]), s->weights[1], NULL)));
}

Test(compiled, a_dropout_module_in_a_step) {
    static const cb_cell_param params[] = {
        {"wi", {1, CB_HIDDEN}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
        {"wh", {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT}};
    static const char *const states[] = {"h"};
    static const cb_cell cell = {.name = "dropping",
                                 .summary = "a step with a dropout module",
                                 .equations = "h' = tanh(wi x + wh dropout(h))\n",
                                 .state_count = 1,
                                 .state_names = states,
                                 .param_count = 2,
                                 .params = params,
                                 .full_step = dropping_step};
    enum { TIME = 40 };
    for (int recompute = 0; recompute <= 10; recompute += 10) {
        double evaluated[2], trained[2];
        for (int eager = 0; eager < 2; eager++) {
            cb_params *set = cb_params_new_dtype(1, CB_F64);
            dropout_in_step = cb_dropout_new(set, "drop", 0.3);
            cb_rnn *rnn =
                cb_rnn_new(set, "rnn", &cell, 3, 4, .eager = eager == 1, .recompute = recompute);
            cb_tape *tapes[] = {cb_tape_new(), cb_tape_new_no_grad()};
            for (int k = 0; k < 4; k++) {
                cb_tape *tape = tapes[k % 2];
                dropout_calls = 0;
                cb_tensor *x = cb_full(tape, CB_F64, CB_SHAPE(TIME, k < 2 ? 3 : 1, 3), 0.4);
                cb_tensor *loss = cb_sum(cb_rnn_forward(rnn, x, NULL), CB_ALL_AXES, false);
                (k % 2 == 1 ? evaluated : trained)[eager] = cb_item(loss);
                cr_assert_eq(k % 2 == 1 ? cb_tape_status(tape) : cb_backward(loss), CB_OK);
                cr_expect(eager == 1 || dropout_calls < TIME, "run %d, recompute %d: %s", k,
                          recompute, cb_rnn_eager_reason(rnn, 0));
                cb_tape_reset(tape);
            }
            cb_tape_free(tapes[0]);
            cb_tape_free(tapes[1]);
            cb_params_free(set);
        }
        cr_expect_float_eq(evaluated[0], evaluated[1], 1e-12);
        cr_expect_float_eq(trained[0], trained[1], 1e-12);
    }
}
