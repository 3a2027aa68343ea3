/* Steps that the compiler of recurrences once got wrong, of each kind of fault several: compiled
   against run op by op, in f64, outputs, last states and all gradients. Only what a user may call
   is used, so that these tests do not depend on how the compiler works. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_STATES = 3, MOST_WEIGHTS = 6, MOST_RESULTS = 32, MOST_OWNED = 64 };

typedef struct problem {
    const char *name;
    cb_scan_step *step;
    int64_t input;
    int state_count, weight_count;
    int64_t state_size[MOST_STATES];
    int64_t weight_shape[MOST_WEIGHTS][2]; /* 0 columns: a vector */
    cb_tensor *(*view)(cb_tensor *weight); /* what the step is given of a weight; NULL: itself */
    bool view_input;                       /* and of x, or of the table that it is rows of */
} problem;

typedef struct setting {
    int64_t time, batch;
    int threads;
    bool reverse, lengths, table; /* table: x is rows of one, looked up */
} setting;

static const setting settings[] = {
    {.time = 3, .batch = 2, .threads = 1},
    {.time = 1, .batch = 3, .threads = 2},
    {.time = 2, .batch = 1, .threads = 2, .reverse = true},
    {.time = 4, .batch = 37, .threads = 2, .table = true},
    {.time = 3, .batch = 40, .threads = 1, .lengths = true},
    {.time = 5, .batch = 3, .threads = 2, .reverse = true, .lengths = true, .table = true},
};

/* A step run one way, and what came of it: outputs, last states and gradients. */
typedef struct run {
    cb_tape *tape;
    cb_random random;
    int result_count, owned_count;
    const char *names[MOST_RESULTS];
    const cb_tensor *results[MOST_RESULTS];
    cb_tensor *owned[MOST_OWNED];
} run;

/* A new tensor that lives as long as the run, with random elements. */
static cb_tensor *drawn(run *r, int rank, const int64_t *shape) {
    cb_tensor *t = r->owned[r->owned_count++] = cb_tensor_new(CB_F64, rank, shape);
    cb_random_uniform_f64(&r->random, cb_tensor_count(t), t->data, -1, 1);
    return t;
}

static cb_tensor *drawn_below(run *r, int64_t limit, int rank, const int64_t *shape) {
    cb_tensor *t = r->owned[r->owned_count++] = cb_tensor_new(CB_I64, rank, shape);
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(&r->random, (uint64_t)limit);
    return cb_input(r->tape, t);
}

static void give(run *r, const char *name, const cb_tensor *t) {
    r->names[r->result_count] = name;
    r->results[r->result_count++] = t;
}

static void give_copy(run *r, const char *name, const cb_tensor *t) {
    give(r, name, r->owned[r->owned_count++] = cb_tensor_copy(t, CB_F64));
}

/* A variable with random elements, whose gradient is among the results. */
static cb_tensor *variable(run *r, const char *name, int rank, const int64_t *shape) {
    cb_tensor *value = drawn(r, rank, shape);
    cb_tensor *gradient = r->owned[r->owned_count++] = cb_tensor_new(CB_F64, rank, shape);
    give(r, name, gradient);
    return cb_variable_into(r->tape, value, gradient);
}

static cb_tensor *input_of(run *r, const problem *p, const setting *s) {
    enum { SYMBOLS = 2 };
    cb_tensor *source = s->table ? variable(r, "dx", CB_SHAPE(SYMBOLS, p->input))
                                 : variable(r, "dx", CB_SHAPE(s->time, s->batch, p->input));
    if (p->view_input)
        source = p->view(source);
    return !s->table ? source
                     : cb_gather_rows(source, drawn_below(r, SYMBOLS, CB_SHAPE(s->time, s->batch)));
}

/* A tape whose memory has been used before, so that it shows what is read and never written. */
static cb_tape *used_tape(void) {
    cb_tape *tape = cb_tape_new();
    cb_full(tape, CB_F64, CB_SHAPE(100000), NAN);
    cb_tape_reset(tape);
    return tape;
}

static cb_scan *scan_of(const problem *p, cb_tensor *const *weights, bool eager) {
    cb_scan *scan = cb_scan_new(p->step, &(cb_scan_options){.dtype = CB_F64,
                                                            .input = p->input,
                                                            .state_count = p->state_count,
                                                            .state_size = p->state_size,
                                                            .weight_count = p->weight_count,
                                                            .weights = weights,
                                                            .eager = eager});
    cr_assert_not_null(scan);
    cr_assert(eager || cb_scan_reason(scan) == NULL, "%s: %s", p->name, cb_scan_reason(scan));
    return scan;
}

static void start(run *r, const problem *p, const setting *s, bool eager) {
    static const char *const states[] = {"ds0", "ds1", "ds2"},
                             *const last[] = {"last s0", "last s1", "last s2"},
                             *const of_weights[] = {"dw0", "dw1", "dw2", "dw3", "dw4", "dw5"};
    *r = (run){.tape = used_tape(), .random = cb_random_seed(3)};
    cb_tensor *weights[MOST_WEIGHTS], *state[MOST_STATES], *final[MOST_STATES];
    for (int i = 0; i < p->weight_count; i++) {
        int rank = p->weight_shape[i][1] > 0 ? 2 : 1;
        weights[i] = variable(r, of_weights[i], rank, p->weight_shape[i]);
        if (p->view != NULL)
            weights[i] = p->view(weights[i]);
    }
    for (int i = 0; i < p->state_count; i++)
        state[i] = variable(r, states[i], CB_SHAPE(s->batch, p->state_size[i]));
    cb_tensor *x = input_of(r, p, s);
    cb_scan *scan = scan_of(p, weights, eager);
    cb_scan_io io = {.weights = weights, .initial = state, .final = final, .reverse = s->reverse};
    if (s->lengths)
        io.lengths = drawn_below(r, s->time + 1, CB_SHAPE(s->batch));
    cb_tensor *y = cb_scan_run(scan, x, &io);
    cr_assert_eq(cb_tape_status(r->tape), CB_OK, "%s: %s", p->name, cb_tape_error(r->tape));
    cb_tensor *projection = cb_input(r->tape, drawn(r, y->rank, y->shape));
    cb_tensor *loss = cb_sum(cb_mul(y, projection), CB_ALL_AXES, false);
    give_copy(r, "y", y);
    for (int i = 0; i < p->state_count; i++) {
        loss = cb_add(loss, cb_sum(cb_sin(final[i]), CB_ALL_AXES, false));
        give_copy(r, last[i], final[i]);
    }
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", p->name, cb_tape_error(r->tape));
    cb_scan_free(scan);
}

static void finish(run *r) {
    cb_tape_free(r->tape);
    for (int i = 0; i < r->owned_count; i++)
        cb_tensor_free(r->owned[i]);
}

/* Runs a step both ways, and holds one to the other. */
static void check_setting(const problem *p, const setting *s) {
    static run compiled, eager;
    cb_set_threads(s->threads);
    start(&compiled, p, s, false);
    start(&eager, p, s, true);
    for (int k = 0; k < compiled.result_count; k++)
        cr_expect(cbt_close(compiled.results[k], eager.results[k], 1e-10),
                  "%s: %s (time %lld, batch %lld, threads %d, reverse %d, lengths %d, table %d)",
                  p->name, compiled.names[k], (long long)s->time, (long long)s->batch, s->threads,
                  s->reverse, s->lengths, s->table);
    finish(&compiled);
    finish(&eager);
}

static void check(const problem *p) {
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        check_setting(p, &settings[i]);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

enum { N = 4 };

static cb_tensor *join(cb_tensor *left, cb_tensor *right) {
    return cb_concat(2, (cb_tensor *[]){left, right}, 1);
}

static cb_tensor *part(cb_tensor *t, int64_t begin, int64_t end) {
    return cb_slice(t, 1, begin, end, 1);
}

static cb_tensor *half(cb_tensor *t, int64_t index) {
    return cb_chunk(t, 1, 2, index);
}

static cb_tensor *times(cb_tensor *t, cb_tensor *weight) {
    return cb_linear(t, weight, NULL);
}

/* A step of states h [N], c [N] and d [2 N] on x [N], with weights W [N, N], V [2 N, N], U [N, 2
   N], A [N, N / 2], Q [4 N, N] and b [N]. */
#define STEP(name, next_h, next_c, next_d)                                                         \
    static void name(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,             \
                     cb_tensor **next) {                                                           \
        cb_tensor *W = weights[0], *V = weights[1], *U = weights[2], *A = weights[3],              \
                  *Q = weights[4], *b = weights[5], *h = state[0], *c = state[1], *d = state[2];   \
        (void)x, (void)W, (void)V, (void)U, (void)A, (void)Q, (void)b, (void)c, (void)d;           \
        next[0] = next_h;                                                                          \
        next[1] = next_c;                                                                          \
        next[2] = next_d;                                                                          \
    }

typedef struct named_step {
    const char *name;
    cb_scan_step *step;
} named_step;

static void check_steps(size_t count, const named_step *steps) {
    for (size_t i = 0; i < count; i++)
        check(&(problem){
            .name = steps[i].name,
            .step = steps[i].step,
            .input = N,
            .state_count = 3,
            .state_size = {N, N, 2 * N},
            .weight_count = 6,
            .weight_shape = {{N, N}, {2 * N, N}, {N, 2 * N}, {N, N / 2}, {4 * N, N}, {N, 0}}});
}

#define CHECK_STEPS(steps) check_steps(sizeof(steps) / sizeof((steps)[0]), steps)

/* ---- A state that is a part of a projection -------------------------------------------------- */

STEP(second_half_is_a_state, cb_tanh(cb_add(half(cb_add(times(x, V), times(h, V)), 0), c)),
     half(cb_add(times(x, V), times(h, V)), 1), d)
STEP(projection_of_h_alone, cb_tanh(cb_add(cb_add(half(times(h, V), 0), c), times(x, W))),
     half(times(h, V), 1), d)
STEP(two_parts_are_states, cb_tanh(cb_add(part(times(h, Q), 0, N), cb_mul(c, x))),
     part(times(h, Q), N, 2 * N), part(times(h, Q), 2 * N, 4 * N))
STEP(joined_gradients_meet,
     cb_tanh(cb_mul(half(cb_add(times(x, V), times(c, V)), 1), part(d, 0, N))),
     half(cb_add(times(x, V), times(c, V)), 0), join(h, half(cb_add(times(x, V), times(c, V)), 1)))
STEP(part_of_a_wide_state, cb_tanh(cb_add(half(d, 0), times(x, W))), half(d, 1),
     cb_add(times(h, V), times(c, V)))
STEP(states_change_places, cb_add(half(times(d, cb_reshape(Q, CB_SHAPE(2 * N, 2 * N))), 0), x),
     half(times(d, cb_reshape(Q, CB_SHAPE(2 * N, 2 * N))), 1), join(c, h))

Test(faults, a_state_that_is_a_part_of_a_projection) {
    static const named_step steps[] = {
        {"second_half_is_a_state", second_half_is_a_state},
        {"projection_of_h_alone", projection_of_h_alone},
        {"two_parts_are_states", two_parts_are_states},
        {"joined_gradients_meet", joined_gradients_meet},
        {"part_of_a_wide_state", part_of_a_wide_state},
        {"states_change_places", states_change_places},
    };
    CHECK_STEPS(steps);
}

/* ---- Products whose left operands begin at the same place ------------------------------------ */

STEP(half_after_whole, cb_mul(cb_tanh(cb_add(times(h, W), x)), cb_tanh(times(half(h, 0), A))), c, d)
STEP(whole_after_half, cb_mul(cb_tanh(times(half(h, 0), A)), cb_sigmoid(times(h, W))), times(c, W),
     join(times(half(c, 0), A), x))
STEP(three_widths, cb_tanh(times(d, U)), cb_add(cb_tanh(times(part(d, 0, N), W)), x),
     join(cb_sigmoid(times(part(d, 0, N / 2), A)), h))
STEP(of_computed_values,
     cb_mul(times(cb_tanh(cb_add(h, c)), W), times(half(cb_tanh(cb_add(h, c)), 0), A)), x,
     times(cb_tanh(cb_add(h, c)), V))
STEP(of_a_join, cb_add(cb_tanh(times(join(h, c), U)), cb_tanh(times(h, W))), times(half(h, 0), A),
     join(cb_sigmoid(c), times(h, W)))

Test(faults, products_that_begin_at_the_same_place) {
    static const named_step steps[] = {
        {"half_after_whole", half_after_whole},
        {"whole_after_half", whole_after_half},
        {"three_widths", three_widths},
        {"of_computed_values", of_computed_values},
        {"of_a_join", of_a_join},
    };
    CHECK_STEPS(steps);
}

/* ---- Gates that are not used ----------------------------------------------------------------- */

static cb_tensor *quarter(cb_tensor *t, int64_t index) {
    return cb_chunk(t, 1, 4, index);
}

static cb_tensor *gates(cb_tensor *x, cb_tensor *h, cb_tensor *Q, cb_tensor *b) {
    return cb_add(cb_linear(x, Q, NULL), cb_linear(cb_add(h, b), Q, NULL));
}

/* i g f o, coupled: 1 - f stands for i. */
static void coupled_gates(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *z = gates(x, state[0], weights[4], weights[5]), *all = cb_sigmoid(z);
    cb_tensor *g = cb_tanh(quarter(z, 1)), *f = quarter(all, 2), *o = quarter(all, 3);
    next[1] = cb_add(cb_mul(f, state[1]), cb_mul(cb_affine(f, -1, 1), g));
    next[0] = cb_mul(o, cb_tanh(next[1]));
    next[2] = state[2];
}

STEP(last_two_unused,
     cb_mul(quarter(cb_sigmoid(gates(x, h, Q, b)), 0), cb_tanh(quarter(gates(x, h, Q, b), 1))), c,
     d)
STEP(second_unused,
     cb_mul(quarter(cb_sigmoid(gates(x, h, Q, b)), 0), cb_tanh(quarter(gates(x, h, Q, b), 2))),
     cb_mul(c, quarter(cb_sin(gates(x, h, Q, b)), 3)), d)
STEP(first_gate_alone, cb_tanh(quarter(cb_sigmoid(gates(x, h, Q, b)), 0)), c, d)
STEP(last_gate_alone, cb_mul(quarter(cb_sigmoid(gates(x, h, Q, b)), 3), x), cb_tanh(c), d)
STEP(outer_gates,
     cb_mul(quarter(cb_sigmoid(gates(x, h, Q, b)), 0), quarter(cb_sigmoid(gates(x, h, Q, b)), 3)),
     cb_mul(quarter(cb_tanh(gates(x, h, Q, b)), 3), c), d)
STEP(a_part_of_gates, cb_tanh(part(cb_sigmoid(gates(x, h, Q, b)), 3, 3 + N)),
     cb_mul(c, part(cb_sin(gates(x, h, Q, b)), 2 * N + 1, 3 * N + 1)), d)
STEP(gates_joined_again,
     cb_tanh(times(join(quarter(cb_sigmoid(gates(x, h, Q, b)), 2),
                        quarter(cb_sigmoid(gates(x, h, Q, b)), 0)),
                   U)),
     c, join(quarter(cb_tanh(gates(x, h, Q, b)), 1), quarter(cb_tanh(gates(x, h, Q, b)), 3)))
STEP(gates_normed,
     cb_mul(quarter(cb_layer_norm(gates(x, h, Q, b), NULL, NULL, 1e-3), 1),
            quarter(cb_softmax(gates(x, h, Q, b), 1), 3)),
     quarter(cb_layer_norm(gates(x, c, Q, b), NULL, NULL, 1e-3), 2), d)

Test(faults, gates_that_are_not_used) {
    static const named_step steps[] = {
        {"coupled_gates", coupled_gates},     {"first_gate_alone", first_gate_alone},
        {"last_two_unused", last_two_unused}, {"second_unused", second_unused},
        {"last_gate_alone", last_gate_alone}, {"outer_gates", outer_gates},
        {"a_part_of_gates", a_part_of_gates}, {"gates_joined_again", gates_joined_again},
        {"gates_normed", gates_normed},
    };
    CHECK_STEPS(steps);
}

/* ---- A join of which a part is not used ------------------------------------------------------ */

STEP(x_not_used, cb_scale(cb_add(half(cb_sigmoid(join(x, h)), 1), h), 0.5), c, d)
STEP(x_not_used_after_h, half(cb_tanh(join(h, x)), 0), cb_add(half(cb_tanh(join(c, x)), 0), h), d)
STEP(product_of_x_not_used, cb_mul(half(cb_sigmoid(join(times(x, W), times(h, W))), 1), x), c, d)
STEP(product_of_h_not_used, half(cb_tanh(join(c, times(h, W))), 0), cb_tanh(times(c, W)),
     join(x, half(cb_sigmoid(join(times(h, W), x)), 1)))
STEP(product_of_both_joined, cb_add(half(cb_tanh(join(times(h, W), times(x, W))), 0), h), c, d)
STEP(only_in_a_state, cb_tanh(times(h, W)), half(cb_tanh(join(h, c)), 0),
     join(half(cb_sin(join(c, times(h, W))), 0), part(cb_sigmoid(join(x, d)), N, 2 * N)))
STEP(not_used_before_a_product, times(half(cb_relu(join(h, x)), 0), W), c,
     times(part(cb_tanh(join(d, times(h, V))), 0, N), V))
STEP(weights_not_used, cb_add(half(cb_tanh(join(h, cb_mul(h, b))), 0), times(c, W)),
     half(cb_sigmoid(join(cb_add(c, b), x)), 1), d)
STEP(three_pieces, part(cb_sigmoid(join(join(times(h, W), x), c)), N + 1, 2 * N + 1),
     part(cb_tanh(join(join(c, times(h, W)), x)), N / 2, N + N / 2), d)
STEP(sums_not_used, half(cb_tanh(join(h, cb_mul(x, cb_sum(times(c, W), CB_AXES(1), true)))), 0),
     half(cb_tanh(join(cb_softmax(h, 1), cb_layer_norm(c, NULL, NULL, 1e-2))), 1), d)
STEP(nested_joins, half(cb_tanh(join(half(cb_sigmoid(join(times(c, W), h)), 1), times(x, W))), 0),
     half(cb_sin(half(cb_tanh(join(join(h, x), join(times(c, W), c))), 1)), 1), d)

Test(faults, a_join_of_which_a_part_is_not_used) {
    static const named_step steps[] = {
        {"x_not_used", x_not_used},
        {"x_not_used_after_h", x_not_used_after_h},
        {"product_of_x_not_used", product_of_x_not_used},
        {"product_of_h_not_used", product_of_h_not_used},
        {"product_of_both_joined", product_of_both_joined},
        {"only_in_a_state", only_in_a_state},
        {"not_used_before_a_product", not_used_before_a_product},
        {"weights_not_used", weights_not_used},
        {"three_pieces", three_pieces},
        {"sums_not_used", sums_not_used},
        {"nested_joins", nested_joins},
    };
    CHECK_STEPS(steps);
}

/* The same where the input alone requires a gradient. */
Test(faults, a_gradient_of_the_input_that_is_0) {
    cb_tape *tape = cb_tape_new();
    double ones[4 * N * N];
    for (int i = 0; i < 4 * N * N; i++)
        ones[i] = 1;
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(3, 2, N), ones);
    const int64_t sizes[MOST_STATES] = {N, N, 2 * N};
    cb_tensor *state[MOST_STATES], *input = cb_variable(tape, &x), *weights[MOST_WEIGHTS];
    for (int i = 0; i < MOST_STATES; i++)
        state[i] = cb_full(tape, CB_F64, CB_SHAPE(2, sizes[i]), 1);
    for (int i = 0; i < MOST_WEIGHTS; i++)
        weights[i] = cb_full(tape, CB_F64, CB_SHAPE(N, N), 1);
    cb_scan *scan = cb_scan_new(x_not_used, &(cb_scan_options){.dtype = CB_F64,
                                                               .input = N,
                                                               .state_count = MOST_STATES,
                                                               .state_size = sizes,
                                                               .weight_count = MOST_WEIGHTS,
                                                               .weights = weights});
    cr_assert_null(cb_scan_reason(scan), "%s", cb_scan_reason(scan));
    cb_tensor *y = cb_scan_run(scan, input, &(cb_scan_io){.weights = weights, .initial = state});
    cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
    const cb_tensor *gradient = cb_gradient(input);
    for (int64_t i = 0; gradient != NULL && i < cb_tensor_count(gradient); i++)
        cr_expect_eq(((const double *)gradient->data)[i], 0);
    cb_scan_free(scan);
    cb_tape_free(tape);
}

/* ---- Products of a join's piece that is no value of the step --------------------------------- */

STEP(x_through_a_join, cb_tanh(cb_add(times(part(join(h, x), N, 2 * N), W), h)), c, d)
STEP(x_through_an_op, cb_tanh(times(half(cb_tanh(join(h, x)), 1), W)), c, d)
STEP(half_of_x, cb_tanh(cb_add(times(part(join(x, h), 1, 1 + N / 2), A), h)), c,
     cb_add(d, times(part(join(x, c), 1, N), part(V, 0, N - 1))))
STEP(x_beside_h, cb_tanh(times(part(join(join(h, x), c), N / 2, N / 2 + 2 * N), U)),
     times(part(join(c, x), N, 2 * N), W), d)
STEP(a_weight_through_a_join,
     cb_tanh(times(half(cb_sigmoid(join(h, cb_expand(b, CB_SHAPE(h->shape[0], N)))), 1), W)),
     cb_mul(c, x), d)
STEP(a_number_through_a_join, cb_tanh(times(half(cb_sigmoid(join(h, cb_full_like(h, 0.3))), 1), W)),
     cb_add(cb_mul(c, x), times(half(cb_tanh(join(cb_full_like(h, 0.7), c)), 0), W)), d)
STEP(a_number_beside_h,
     times(half(cb_tanh(join(h, join(cb_full_like(half(h, 0), 2), half(c, 1)))), 1), W),
     cb_add(cb_tanh(c), times(half(cb_sin(join(h, cb_full_like(h, 1))), 1), W)), d)
STEP(x_in_two_products, cb_add(h, x),
     cb_mul(times(part(join(h, x), N, 2 * N), W), times(part(join(h, x), N, 2 * N), W)),
     cb_mul(times(part(join(c, x), N, 2 * N), V), d))

Test(faults, products_of_what_is_not_of_the_step) {
    static const named_step steps[] = {
        {"x_through_a_join", x_through_a_join},
        {"x_through_an_op", x_through_an_op},
        {"half_of_x", half_of_x},
        {"x_beside_h", x_beside_h},
        {"a_weight_through_a_join", a_weight_through_a_join},
        {"a_number_through_a_join", a_number_through_a_join},
        {"a_number_beside_h", a_number_beside_h},
        {"x_in_two_products", x_in_two_products},
    };
    CHECK_STEPS(steps);
}

/* ---- A state that is a part of what is computed before a product ----------------------------- */

STEP(part_of_a_wide_state_only, cb_tanh(times(h, W)), part(cb_tanh(d), 0, N), d)
STEP(part_before_two_products, cb_tanh(times(cb_tanh(times(h, W)), W)),
     part(cb_sigmoid(d), 1, N + 1), cb_add(times(c, V), d))
STEP(part_between_products, cb_tanh(times(cb_tanh(times(h, V)), U)),
     part(cb_tanh(times(h, V)), 2, 2 + N), d)
STEP(parts_of_one_value, part(cb_sin(d), 0, N), part(cb_sin(d), N - 1, 2 * N - 1),
     cb_tanh(cb_add(times(h, V), times(c, V))))
STEP(part_of_a_masked_join, cb_tanh(cb_add(times(c, W), x)),
     half(cb_mul(join(x, x), join(h, c)), 1), d)
STEP(parts_of_a_gradient, cb_add(times(half(d, 0), W), x), cb_mul(half(d, 1), c),
     cb_tanh(join(cb_mul(h, x), times(c, W))))
STEP(a_column, cb_tanh(times(h, W)), join(part(cb_sigmoid(d), 3, 4), part(c, 0, N - 1)),
     join(part(cb_tanh(d), 1, 2 * N), part(cb_sin(c), 2, 3)))

Test(faults, a_state_that_is_a_part_of_what_comes_before_a_product) {
    static const named_step steps[] = {
        {"part_of_a_wide_state_only", part_of_a_wide_state_only},
        {"part_before_two_products", part_before_two_products},
        {"part_between_products", part_between_products},
        {"parts_of_one_value", parts_of_one_value},
        {"part_of_a_masked_join", part_of_a_masked_join},
        {"parts_of_a_gradient", parts_of_a_gradient},
        {"a_column", a_column},
    };
    CHECK_STEPS(steps);
}

/* ---- Parts of no columns --------------------------------------------------------------------- */

STEP(joined_with_nothing, cb_tanh(join(part(h, 2, 2), h)),
     cb_add(cb_sigmoid(join(c, cb_tanh(part(d, 0, 0)))), cb_sum(part(c, 1, 1), CB_AXES(1), true)),
     d)
STEP(product_of_nothing, cb_tanh(cb_add(h, times(part(c, 0, 0), part(W, 0, 0)))),
     cb_add(times(c, W), times(cb_sin(part(x, N, N)), part(W, N, N))), d)
STEP(product_to_nothing, cb_tanh(join(times(h, cb_slice(W, 0, 1, 1, 1)), times(c, W))), cb_sin(c),
     d)

Test(faults, parts_of_no_columns) {
    static const named_step steps[] = {
        {"joined_with_nothing", joined_with_nothing},
        {"product_of_nothing", product_of_nothing},
        {"product_to_nothing", product_to_nothing},
    };
    CHECK_STEPS(steps);
}

/* ---- Weights with strides -------------------------------------------------------------------- */

static cb_tensor *transposed(cb_tensor *weight) {
    return weight->rank == 2 ? cb_transpose(weight, 0, 1) : weight;
}

static cb_tensor *flipped(cb_tensor *weight) {
    return weight->rank > 1 ? cb_flip(weight, CB_AXES(0, -1)) : cb_flip(weight, CB_AXES(0));
}

/* Its first row, or element, in the place of all. */
static cb_tensor *repeated(cb_tensor *weight) {
    return cb_expand(cb_slice(weight, 0, 0, 1, 1), weight->rank, weight->shape);
}

static cb_tensor *every_second_row(cb_tensor *weight) {
    return cb_slice(weight, 0, 0, CB_END, 2);
}

/* A weight's elements in their order, as a matrix of other extents. */
static cb_tensor *as_matrix(cb_tensor *weight, int64_t rows) {
    return cb_reshape(weight, CB_SHAPE(rows, -1));
}

static cb_tensor *as_vector(cb_tensor *weight) {
    return cb_reshape(weight, CB_SHAPE(-1));
}

STEP(as_they_are, cb_tanh(cb_add(cb_linear(x, W, b), times(h, W))), cb_tanh(cb_mul(times(d, U), b)),
     cb_add(times(c, V), cb_concat(2, (cb_tensor *[]){b, b}, 0)))
STEP(reshaped, cb_tanh(cb_add(x, times(h, part(as_matrix(V, N), 0, N)))),
     cb_tanh(times(d, as_matrix(V, N))),
     cb_add(times(c, as_matrix(U, 2 * N)), times(h, as_matrix(cb_tanh(V), 2 * N))))
STEP(reshaped_vectors, cb_add(times(h, W), as_vector(as_matrix(b, 2))),
     cb_mul(c, as_vector(cb_slice(W, 0, 1, 2, 1))),
     cb_sigmoid(cb_add(d, as_vector(cb_slice(as_matrix(W, 2), 0, 1, 2, 1)))))
STEP(input_in_two_heads,
     cb_mul(h, cb_reshape(cb_softmax(cb_reshape(x, CB_SHAPE(-1, 2, N / 2)), 2), CB_SHAPE(-1, N))),
     cb_tanh(times(c, W)), d)

static void check_strided(const char *how, cb_tensor *(*view)(cb_tensor *),
                          const int64_t (*shapes)[2]) {
    static cb_scan_step *const steps[] = {as_they_are, reshaped, reshaped_vectors,
                                          input_in_two_heads};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        problem p = {.name = how,
                     .step = steps[i],
                     .input = N,
                     .state_count = 3,
                     .state_size = {N, N, 2 * N},
                     .weight_count = 6,
                     .view = view,
                     .view_input = view == flipped || view == repeated};
        memcpy(p.weight_shape, shapes, sizeof(p.weight_shape));
        check(&p);
    }
}

Test(faults, weights_with_strides) {
    const int64_t plain[][2] = {{N, N}, {2 * N, N}, {N, 2 * N}, {N, N / 2}, {4 * N, N}, {N, 0}},
                  other[][2] = {{N, N}, {N, 2 * N}, {2 * N, N}, {N / 2, N}, {N, 4 * N}, {N, 0}},
                  twice[][2] = {{2 * N, N},     {4 * N, N}, {2 * N, 2 * N},
                                {2 * N, N / 2}, {8 * N, N}, {2 * N, 0}};
    check_strided("flipped", flipped, plain);
    check_strided("repeated", repeated, plain);
    check_strided("transposed", transposed, other);
    check_strided("every second row", every_second_row, twice);
}

/* ---- Weights with the same gradient ---------------------------------------------------------- */

/* The gradients of A and C are one value, beside which that of B lies. */
static void sum_of_three(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                         cb_tensor **next) {
    cb_tensor *h = state[0], *A = times(h, weights[0]), *B = times(h, weights[1]),
              *C = times(h, weights[2]);
    next[0] = cb_mul(cb_tanh(cb_add(x, cb_add(cb_add(A, B), C))), cb_sigmoid(cb_add(x, B)));
}

static void sums_of_three(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *h = state[0], *A = times(h, weights[0]), *B = times(h, weights[1]),
              *C = times(h, weights[2]), *D = times(h, weights[3]);
    cb_tensor *z = cb_mul(cb_tanh(cb_add(cb_add(D, A), C)), cb_sigmoid(cb_add(A, cb_add(B, C))));
    next[0] = cb_add(cb_mul(z, cb_tanh(cb_add(C, x))), x);
}

Test(faults, weights_with_the_same_gradient) {
    problem p = {.name = "sum_of_three",
                 .step = sum_of_three,
                 .input = N,
                 .state_count = 1,
                 .state_size = {N},
                 .weight_count = 4,
                 .weight_shape = {{N, N}, {N, N}, {N, N}, {N, N}}};
    check(&p);
    p.name = "sums_of_three";
    p.step = sums_of_three;
    check(&p);
}

/* ---- Options with padding -------------------------------------------------------------------- */

/* y = factor x, as an op of a user's own. */
typedef struct multiple_options {
    bool negative;
    double magnitude;
} multiple_options;

static const cb_option multiple_option_list[] = {
    CB_OPTION(multiple_options, negative, CB_OPTION_INT),
    CB_OPTION(multiple_options, magnitude, CB_OPTION_REAL),
};

static double factor_of(const cb_call *call) {
    const multiple_options *options = call->options;
    return options->negative ? -options->magnitude : options->magnitude;
}

static cb_status multiple_forward(const cb_call *call) {
    cb_status status = cb_tensor_assign(call->out, call->in[0]);
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++)
        ((double *)call->out->data)[i] *= factor_of(call);
    return status;
}

static void multiple_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    gradients[0] = cb_scale(g, factor_of(call));
}

static const cb_op multiple_op = {
    .name = "multiple",
    .formula = "y = factor x;  dx = factor g",
    .min_inputs = 1,
    .max_inputs = 1,
    .options_size = sizeof(multiple_options),
    .shape = cb_shape_same,
    .forward = multiple_forward,
    .vjp = multiple_vjp,
    .option_list = multiple_option_list,
    .option_count = 2,
};

/* With other bytes between the fields at each call. */
static cb_tensor *multiple(cb_tensor *x, double factor) {
    static unsigned char between;
    multiple_options options;
    memset(&options, ++between, sizeof(options));
    options.negative = factor < 0;
    options.magnitude = fabs(factor);
    return cb_apply(&multiple_op, 1, &x, &options);
}

STEP(multiples_of_weights,
     cb_tanh(cb_add(times(h, multiple(W, -0.5)), cb_linear(x, multiple(W, -0.5), multiple(b, 2)))),
     cb_mul(c, multiple(multiple(b, 0.7), -1)), cb_add(d, times(h, multiple(V, 0.3))))

Test(faults, options_with_padding) {
    static const named_step steps[] = {{"multiples_of_weights", multiples_of_weights}};
    CHECK_STEPS(steps);
}

static int calls;

STEP(another_multiple_at_each_call, cb_add(h, multiple(b, ++calls)), cb_add(c, x), d)

Test(faults, options_that_differ_from_call_to_call) {
    const int64_t sizes[] = {N, N, 2 * N};
    cb_tensor *vector = cb_tensor_new(CB_F64, CB_SHAPE(N));
    cb_tensor *weights[] = {NULL, NULL, NULL, NULL, NULL, vector};
    cb_scan *scan =
        cb_scan_new(another_multiple_at_each_call, &(cb_scan_options){.dtype = CB_F64,
                                                                      .input = N,
                                                                      .state_count = 3,
                                                                      .state_size = sizes,
                                                                      .weight_count = 6,
                                                                      .weights = weights});
    cr_expect_not_null(cb_scan_reason(scan));
    cb_scan_free(scan);
    cb_tensor_free(vector);
}

/* The cells of the library have ops with such options; they compile with any compiler of C. */
Test(faults, cells_of_the_library_compile) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        cb_params *params = cb_params_new(1);
        cb_rnn *rnn = cb_rnn_new(params, "rnn", *cell, 3, 5);
        cr_assert_not_null(rnn, "%s", cb_params_error(params));
        cr_expect_null(cb_rnn_eager_reason(rnn, 0), "%s: %s", (*cell)->name,
                       cb_rnn_eager_reason(rnn, 0));
        cb_params_free(params);
    }
}

/* ---- Extents that a compiler may take for the batch's ---------------------------------------- */

static const setting short_run = {.time = 2, .batch = 3, .threads = 2},
                     looked_up = {.time = 2, .batch = 2, .threads = 1, .table = true};

static void check_shortly(const problem *p) {
    check_setting(p, &short_run);
    check_setting(p, &looked_up);
}

/* h' = tanh(v h + sum(u x)) */
static void wide_units(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                       cb_tensor **next) {
    cb_tensor *driven = cb_sum(cb_mul(x, weights[0]), CB_AXES(1), true);
    next[0] = cb_tanh(cb_add(cb_mul(state[0], weights[1]), driven));
}

/* c' = h W' + x U', h' = [h x] read from a column on. */
static void wide_join(cb_tensor *const *weights, cb_tensor *x, cb_tensor *const *state,
                      cb_tensor **next) {
    cb_tensor *h = state[0], *hx = cb_tanh(join(h, x));
    next[0] = part(hx, x->shape[1], x->shape[1] + h->shape[1]);
    next[1] = cb_add(times(h, weights[0]), times(part(hx, h->shape[1], CB_END), weights[1]));
}

Test(faults, extents_of_any_size, .timeout = 120) {
    static const int64_t sizes[] = {11,   97,    101,   997,    1009,  1013,
                                    1019, 10007, 65537, 100003, 100019};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t n = sizes[i];
        check_shortly(&(problem){.name = "input",
                                 .step = wide_units,
                                 .input = n,
                                 .state_count = 1,
                                 .state_size = {5},
                                 .weight_count = 2,
                                 .weight_shape = {{n, 0}, {5, 0}}});
        check_shortly(&(problem){.name = "hidden",
                                 .step = wide_units,
                                 .input = 3,
                                 .state_count = 1,
                                 .state_size = {n},
                                 .weight_count = 2,
                                 .weight_shape = {{3, 0}, {n, 0}}});
        check_shortly(&(problem){.name = "join",
                                 .step = wide_join,
                                 .input = 4,
                                 .state_count = 2,
                                 .state_size = {n - 4, 2},
                                 .weight_count = 2,
                                 .weight_shape = {{2, n - 4}, {2, 4}}});
        check_shortly(&(problem){.name = "first column",
                                 .step = wide_join,
                                 .input = n,
                                 .state_count = 2,
                                 .state_size = {7, 2},
                                 .weight_count = 2,
                                 .weight_shape = {{2, 7}, {2, n}}});
    }
}

/* ---- Few addresses --------------------------------------------------------------------------- */

/* AddressSanitizer itself takes more addresses than there may be. */
#if defined(__SANITIZE_ADDRESS__)
#define MANY_ADDRESSES true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MANY_ADDRESSES true
#endif
#endif
#ifndef MANY_ADDRESSES
#define MANY_ADDRESSES false
#endif

/* As `ulimit -v 3000000`; each test is a process of its own. */
static void limit_addresses(bool limited) {
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = limited ? (rlim_t)3000000 * 1024 : limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* The outputs of a network, the caller's. */
static cb_tensor *outputs_of(const cb_cell *cell) {
    enum { STEPS = 3, SEQUENCES = 2, SIZE = 16, HIDDEN = 512 };
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", cell, SIZE, HIDDEN);
    cr_assert_not_null(rnn, "%s", cb_params_error(params));
    cr_expect_null(cb_rnn_eager_reason(rnn, 0), "%s: %s", cell->name, cb_rnn_eager_reason(rnn, 0));
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_full(tape, CB_F32, CB_SHAPE(STEPS, SEQUENCES, SIZE), 0.5);
    cb_tensor *y = cb_tensor_copy(cb_rnn_forward(rnn, x, NULL), CB_F32);
    cr_expect_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    cb_tape_free(tape);
    cb_params_free(params);
    return y;
}

Test(faults, few_addresses) {
    if (MANY_ADDRESSES)
        return;
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++) {
        cb_tensor *outputs[2];
        for (int limited = 0; limited < 2; limited++) {
            limit_addresses(limited);
            outputs[limited] = outputs_of(*cell);
        }
        cr_assert(outputs[0] != NULL && outputs[1] != NULL);
        cr_expect_arr_eq(outputs[0]->data, outputs[1]->data, cb_tensor_bytes(outputs[0]), "%s",
                         (*cell)->name);
        cb_tensor_free(outputs[0]);
        cb_tensor_free(outputs[1]);
    }
}

/* Where compiling takes more, a run fails. It does not give other numbers. */
Test(faults, too_few_addresses) {
    enum { WIDE = 1 << 20 };
    if (MANY_ADDRESSES)
        return;
    cb_tape *tape = cb_tape_new();
    cb_tensor *weights[] = {cb_full(tape, CB_F64, CB_SHAPE(WIDE), 1e-3),
                            cb_full(tape, CB_F64, CB_SHAPE(5), 0.3)};
    cb_tensor *x = cb_full(tape, CB_F64, CB_SHAPE(2, 1, WIDE), 1e-4);
    cb_tensor *state = cb_full(tape, CB_F64, CB_SHAPE(1, 5), 0.1);
    const int64_t size = 5;
    cb_scan *scan = cb_scan_new(wide_units, &(cb_scan_options){.dtype = CB_F64,
                                                               .input = WIDE,
                                                               .state_count = 1,
                                                               .state_size = &size,
                                                               .weight_count = 2,
                                                               .weights = weights});
    limit_addresses(true);
    cb_scan_run(scan, x, &(cb_scan_io){.weights = weights, .initial = &state});
    cb_status status = cb_tape_status(tape);
    const char *reason = cb_scan_reason(scan);
    cr_expect(status == CB_ERROR_MEMORY || (status == CB_OK && reason == NULL), "%d: %s", status,
              reason);
    limit_addresses(false);
    cr_expect_null(cb_scan_reason(scan), "%s", cb_scan_reason(scan));
    cb_scan_free(scan);
    cb_tape_free(tape);
}
