/* Compiled recurrences against the same step run eagerly, in a loop: outputs, last states and all
   gradients, for every cell of the library and random sizes. */
#include "tests/support.h"

#include <cerebra/rnn.h>
#include <cerebra/scan.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef struct sizes {
    cb_dtype dtype;
    int64_t time, batch, input, hidden;
    bool reverse, lengths, embedding;
} sizes;

enum { SYMBOLS = 7, MOST_WEIGHTS = CB_CELL_MAX_PARAMS, MOST_STATES = 4 };

/* Random plain tensors that both runs use, and the gradients that each leaves. */
typedef struct problem {
    const cb_cell *cell;
    sizes size;
    int more_sweeps; /* of the gradient, on the same tape */
    cb_tensor *table, *symbols, *x, *lengths, *projection;
    cb_tensor *weights[MOST_WEIGHTS], *initial[MOST_STATES];
    cb_tensor *source_gradient, *weight_gradients[MOST_WEIGHTS], *state_gradients[MOST_STATES];
    cb_tensor *outputs, *final[MOST_STATES];
} problem;

static cb_tensor *drawn(cb_dtype dtype, int rank, const int64_t *shape, cb_random *random) {
    cb_tensor *exact = cb_tensor_new(CB_F64, rank, shape);
    cb_random_uniform_f64(random, cb_tensor_count(exact), exact->data, -0.5, 0.5);
    cb_tensor *t = cb_tensor_copy(exact, dtype);
    cb_tensor_free(exact);
    return t;
}

static cb_tensor *whole(int rank, const int64_t *shape, uint64_t below, cb_random *random) {
    cb_tensor *t = cb_tensor_new(CB_I64, rank, shape);
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(random, below);
    return t;
}

/* 0 where there is no axis. */
static int64_t extent(const cb_cell *cell, const cb_cell_extent *e, const sizes *size) {
    return cb_cell_extent_of(cell, e, size->input, size->hidden, cbt_small(cell));
}

static int64_t state_size(const cb_cell *cell, int i, const sizes *size) {
    return cell->state_sizes != NULL ? extent(cell, &cell->state_sizes[i], size) : size->hidden;
}

static problem problem_new(const cb_cell *cell, const sizes *size) {
    problem p = {.cell = cell, .size = *size};
    cb_random random = cb_random_seed(5);
    cb_dtype dtype = size->dtype;
    p.table = drawn(dtype, CB_SHAPE(SYMBOLS, size->input), &random);
    p.symbols = whole(CB_SHAPE(size->time, size->batch), SYMBOLS, &random);
    p.x = drawn(dtype, CB_SHAPE(size->time, size->batch, size->input), &random);
    p.lengths = whole(CB_SHAPE(size->batch), (uint64_t)size->time + 1, &random);
    p.projection =
        drawn(dtype, CB_SHAPE(size->time, size->batch, state_size(cell, 0, size)), &random);
    const cb_tensor *source = size->embedding ? p.table : p.x;
    p.source_gradient = cb_tensor_new(dtype, source->rank, source->shape);
    for (int i = 0; i < cell->param_count; i++) {
        const cb_cell_param *row = &cell->params[i];
        int64_t shape[2] = {extent(cell, &row->rows, size), extent(cell, &row->columns, size)};
        int rank = shape[1] > 0 ? 2 : 1;
        p.weights[i] = drawn(dtype, rank, shape, &random);
        p.weight_gradients[i] = cb_tensor_new(dtype, rank, shape);
    }
    for (int i = 0; i < cell->state_count; i++) {
        p.initial[i] = drawn(dtype, CB_SHAPE(size->batch, state_size(cell, i, size)), &random);
        p.state_gradients[i] =
            cb_tensor_new(dtype, CB_SHAPE(size->batch, state_size(cell, i, size)));
    }
    return p;
}

static void problem_free(problem *p) {
    cb_tensor *tensors[] = {p->table,      p->symbols,         p->x,      p->lengths,
                            p->projection, p->source_gradient, p->outputs};
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
        cb_tensor_free(tensors[i]);
    for (int i = 0; i < MOST_WEIGHTS; i++) {
        cb_tensor_free(p->weights[i]);
        cb_tensor_free(p->weight_gradients[i]);
    }
    for (int i = 0; i < MOST_STATES; i++) {
        cb_tensor_free(p->initial[i]);
        cb_tensor_free(p->state_gradients[i]);
        cb_tensor_free(p->final[i]);
    }
}

static cb_tensor *eager(const problem *p, cb_tensor *const *weights, cb_tensor *x,
                        cb_tensor **state, cb_tensor *lengths) {
    cb_tensor *outputs[64];
    /* Of all cells, one has a hyperparameter. */
    const cb_setting *setting = cbt_small(p->cell);
    const double settings[] = {setting != NULL ? setting->value : 0};
    cr_assert_eq(p->cell->setting_count, setting != NULL);
    for (int64_t s = 0; s < p->size.time; s++) {
        int64_t t = p->size.reverse ? p->size.time - 1 - s : s;
        cb_tensor *next[MOST_STATES] = {NULL}, *mask = NULL;
        p->cell->full_step(&(cb_cell_step){.cell = p->cell,
                                           .input = p->size.input,
                                           .hidden = p->size.hidden,
                                           .settings = settings,
                                           .weights = weights,
                                           .x = cb_select(x, 0, t),
                                           .state = state,
                                           .recurrent = state,
                                           .next = next});
        if (lengths != NULL)
            mask = cb_unsqueeze(
                cb_cast(cb_greater(lengths, cb_full_like(lengths, (double)t)), p->size.dtype), 1);
        for (int i = 0; i < p->cell->state_count; i++)
            state[i] = mask != NULL ? cb_where(mask, next[i], state[i]) : next[i];
        outputs[t] = mask != NULL ? cb_mul(state[0], mask) : state[0];
    }
    return cb_stack((int)p->size.time, outputs, 0);
}

/* Runs the problem one way and leaves what came of it in p. */
static void run(problem *p, bool compiled) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[MOST_WEIGHTS] = {NULL}, *state[MOST_STATES], *final[MOST_STATES];
    const sizes *size = &p->size;
    cb_tensor *source =
        cb_variable_into(tape, size->embedding ? p->table : p->x, p->source_gradient);
    cb_tensor *x = size->embedding ? cb_gather_rows(source, cb_input(tape, p->symbols)) : source;
    cb_tensor *lengths = size->lengths ? cb_input(tape, p->lengths) : NULL, *y;
    cb_error error;
    for (int i = 0; i < p->cell->param_count; i++)
        weights[i] = cb_variable_into(tape, p->weights[i], p->weight_gradients[i]);
    for (int i = 0; i < p->cell->state_count; i++)
        state[i] = cb_variable_into(tape, p->initial[i], p->state_gradients[i]);
    cb_scan *scan = cb_cell_scan_new(
        p->cell, size->dtype, size->input,
        &(cb_rnn_options){.hidden = size->hidden, .settings = cbt_small(p->cell)}, &error);
    cr_assert_not_null(scan, "%s", error.message);
    cr_assert_null(cb_scan_reason(scan), "%s", cb_scan_reason(scan));
    if (compiled) {
        const cb_scan_io io = {.weights = weights,
                               .initial = state,
                               .final = final,
                               .lengths = lengths,
                               .rows = size->embedding ? cb_input(tape, p->symbols) : NULL,
                               .reverse = size->reverse};
        y = cb_scan_run(scan, size->embedding ? source : x, &io);
    } else {
        y = eager(p, weights, x, state, lengths);
        memcpy(final, state, sizeof(final));
    }
    cb_tensor *loss = cb_sum(cb_mul(y, cb_input(tape, p->projection)), CB_ALL_AXES, false);
    for (int i = 0; i < p->cell->state_count; i++)
        loss =
            cb_add(loss, cb_scale(cb_sum(cb_square(final[i]), CB_ALL_AXES, false), 0.1 * (i + 1)));
    for (int i = 0; i < p->more_sweeps; i++)
        cr_assert_eq(cb_backward(loss), CB_OK);
    cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
    p->outputs = cb_tensor_copy(y, CB_F64);
    for (int i = 0; i < p->cell->state_count; i++)
        p->final[i] = cb_tensor_copy(final[i], CB_F64);
    cb_tape_free(tape);
    cb_scan_free(scan);
}

static void compare(const char *what, const problem *p, const cb_tensor *a, const cb_tensor *b) {
    cb_tensor *x = cb_tensor_copy(a, CB_F64), *y = cb_tensor_copy(b, CB_F64);
    const double *u = x->data, *v = y->data;
    double scale = 1, tolerance = p->size.dtype == CB_F32 ? 1e-5 : 1e-12;
    for (int64_t i = 0; i < cb_tensor_count(x); i++)
        scale = fabs(v[i]) > scale ? fabs(v[i]) : scale;
    for (int64_t i = 0; i < cb_tensor_count(x); i++)
        cr_assert(fabs(u[i] - v[i]) <= tolerance * scale,
                  "%s, %s: element %lld is %.17g compiled and %.17g eager (time %lld, batch %lld, "
                  "input %lld, hidden %lld, reverse %d, lengths %d, embedding %d)",
                  p->cell->name, what, (long long)i, u[i], v[i], (long long)p->size.time,
                  (long long)p->size.batch, (long long)p->size.input, (long long)p->size.hidden,
                  p->size.reverse, p->size.lengths, p->size.embedding);
    cb_tensor_free(x);
    cb_tensor_free(y);
}

static void check_sweeps(const cb_cell *cell, const sizes *size, int more_sweeps) {
    problem a = problem_new(cell, size), b = problem_new(cell, size);
    a.more_sweeps = b.more_sweeps = more_sweeps;
    run(&a, true);
    run(&b, false);
    compare("outputs", &a, a.outputs, b.outputs);
    compare("gradient of the input", &a, a.source_gradient, b.source_gradient);
    for (int i = 0; i < cell->state_count; i++) {
        compare("last state", &a, a.final[i], b.final[i]);
        compare("gradient of an initial state", &a, a.state_gradients[i], b.state_gradients[i]);
    }
    for (int i = 0; i < cell->param_count; i++)
        compare(cell->params[i].name, &a, a.weight_gradients[i], b.weight_gradients[i]);
    problem_free(&a);
    problem_free(&b);
}

static void check(const cb_cell *cell, const sizes *size) {
    check_sweeps(cell, size, 0);
}

Test(scan, equals_the_eager_loop_for_every_cell_and_random_sizes, .timeout = 120) {
    cb_random random = cb_random_seed(11);
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        for (int k = 0; k < 12; k++) {
            bool large = k % 4 == 3;
            sizes size = {.dtype = k % 2 == 0 ? CB_F32 : CB_F64,
                          .time = 1 + (int64_t)cb_random_below(&random, 12),
                          .batch = 1 + (int64_t)cb_random_below(&random, large ? 150 : 20),
                          .input = 1 + (int64_t)cb_random_below(&random, 20),
                          .hidden = 1 + (int64_t)cb_random_below(&random, large ? 120 : 40),
                          .reverse = cb_random_below(&random, 2) == 1,
                          .lengths = cb_random_below(&random, 2) == 1,
                          .embedding = cb_random_below(&random, 2) == 1};
            check(*cell, &size);
        }
}

/* Cerebral LSTM with a matrix and a bias of its own for each of the eight gates, and for each
   half's cell state (a full peephole) in the forget gates: it is merged into few products. */
enum { GATES = 8 };

static void separate_step(const cb_cell_step *s) {
    cb_tensor *gate[GATES], *half[2];
    for (int k = 0; k < GATES; k++) {
        cb_tensor *z = cb_add(cb_linear(s->x, s->weights[k], s->weights[2 * GATES + k]),
                              cb_linear(s->state[0], s->weights[GATES + k], NULL));
        if (k % 4 == 1)
            z = cb_add(z, cb_linear(s->state[1 + k / 4], s->weights[3 * GATES + k / 4], NULL));
        gate[k] = k % 4 == 2 ? cb_tanh(z) : cb_sigmoid(z);
    }
    for (int i = 0; i < 2; i++) {
        cb_tensor **g = gate + 4 * i;
        s->next[1 + i] = cb_add(cb_mul(g[1], s->state[1 + i]), cb_mul(g[0], g[2]));
        half[i] = cb_mul(g[3], cb_tanh(s->next[1 + i]));
    }
    s->next[0] = cb_add(half[0], half[1]);
}

#define INPUT_MATRIX(name)                                                                         \
    { name, .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT }
#define STATE_MATRIX(name)                                                                         \
    { name, .rows = {1, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT }
#define VECTOR(name)                                                                               \
    { name, .rows = {1, CB_HIDDEN}, .role = CB_BIAS }

static const cb_cell_param separate_params[] = {
    INPUT_MATRIX("w0"), INPUT_MATRIX("w1"), INPUT_MATRIX("w2"), INPUT_MATRIX("w3"),
    INPUT_MATRIX("w4"), INPUT_MATRIX("w5"), INPUT_MATRIX("w6"), INPUT_MATRIX("w7"),
    STATE_MATRIX("u0"), STATE_MATRIX("u1"), STATE_MATRIX("u2"), STATE_MATRIX("u3"),
    STATE_MATRIX("u4"), STATE_MATRIX("u5"), STATE_MATRIX("u6"), STATE_MATRIX("u7"),
    VECTOR("b0"),       VECTOR("b1"),       VECTOR("b2"),       VECTOR("b3"),
    VECTOR("b4"),       VECTOR("b5"),       VECTOR("b6"),       VECTOR("b7"),
    STATE_MATRIX("v1"), STATE_MATRIX("v5"),
};

static const cb_cell separate_cell = {
    .name = "separate",
    .state_count = 3,
    .param_count = sizeof(separate_params) / sizeof(separate_params[0]),
    .params = separate_params,
    .full_step = separate_step,
};

Test(scan, equals_the_eager_loop_where_products_are_merged, .timeout = 120) {
    cb_random random = cb_random_seed(12);
    for (int k = 0; k < 8; k++) {
        sizes size = {.dtype = k % 2 == 0 ? CB_F32 : CB_F64,
                      .time = 1 + (int64_t)cb_random_below(&random, 8),
                      .batch = 1 + (int64_t)cb_random_below(&random, 70),
                      .input = 1 + (int64_t)cb_random_below(&random, 20),
                      .hidden = 1 + (int64_t)cb_random_below(&random, 40),
                      .reverse = k % 3 == 1,
                      .lengths = k % 4 >= 2,
                      .embedding = k % 3 == 2};
        check(&separate_cell, &size);
    }
}

/* h' = tanh(h U') + s, s' = s + x W' + h V': the gradients of W and V are sums over that of s',
   which is given to the step and not computed in it. */
static void summing_step(const cb_cell_step *s) {
    s->next[0] = cb_add(cb_tanh(s->state[0]), s->state[1]);
    s->next[1] = cb_add(cb_add(s->state[1], cb_linear(s->x, s->weights[0], s->weights[2])),
                        cb_linear(s->state[0], s->weights[1], NULL));
}

static const cb_cell_param summing_params[] = {INPUT_MATRIX("w"), STATE_MATRIX("v"), VECTOR("b")};

static const cb_cell summing_cell = {
    .name = "summing",
    .state_count = 2,
    .param_count = sizeof(summing_params) / sizeof(summing_params[0]),
    .params = summing_params,
    .full_step = summing_step,
};

Test(scan, equals_the_eager_loop_where_a_given_gradient_is_summed) {
    for (int k = 0; k < 4; k++) {
        sizes size = {CB_F64, 5, 3, 4, 6, k % 2 == 1, k >= 2, k == 3};
        check(&summing_cell, &size);
    }
}

/* The backward pass writes over what the forward pass has kept. */
Test(scan, has_the_same_gradient_when_it_is_asked_for_again) {
    for (int k = 0; k < 4; k++) {
        sizes size = {CB_F64, 6, 5, 4, 9, k % 2 == 1, k >= 2, true};
        check_sweeps(&cb_lstm, &size, 2);
    }
}

/* The state less its mean over the sequences, whose number is among the step's numbers. */
static void centring_step(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *sum = cb_add(cb_linear(x, w[0], NULL), cb_linear(state[0], w[1], NULL));
    next[0] = cb_tanh(cb_sub(sum, cb_mean(sum, CB_AXES(0), true)));
}

Test(scan, is_compiled_for_each_number_of_sequences_that_a_step_depends_on) {
    const int64_t hidden = 4, batches[] = {2, 5, 7, 1, 3, 64, 2, 1, 7};
    cb_tensor w = cb_tensor_wrap(CB_F64, CB_SHAPE(4, 3), NULL);
    cb_tensor u = cb_tensor_wrap(CB_F64, CB_SHAPE(4, 4), NULL);
    cb_scan *scan =
        cb_scan_new(centring_step, &(cb_scan_options){.dtype = CB_F64,
                                                      .input = 3,
                                                      .state_count = 1,
                                                      .state_size = &hidden,
                                                      .weight_count = 2,
                                                      .weights = (cb_tensor *[]){&w, &u}});
    cr_assert_not_null(scan);
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        cb_scan_check_options options = {.batch = batches[i], .seed = i, .tolerance = 1e-12};
        cb_scan_check_report report;
        cr_expect(cb_scan_check(scan, &options, &report), "%s", report.message);
        cr_expect(report.compiled, "%s", cb_scan_reason(scan));
    }
    cr_expect_null(cb_scan_reason(scan));
    cb_scan_free(scan);
}
