/* Describing recurrences: figures computed by hand for small steps, and what is refused. */
#include "tensor/memory.h"

#include <cerebra/ops.h>
#include <cerebra/rnn.h>
#include <cerebra/scan.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT = 3, HIDDEN = 4, BATCH = 2, TIME = 5 };

static cb_scan *recurrence(cb_scan_step *step, int weights, int64_t (*shapes)[2]) {
    cb_tensor shape[8], *pointers[8];
    int64_t hidden = HIDDEN;
    for (int i = 0; i < weights; i++) {
        shape[i] = cb_tensor_wrap(CB_F64, shapes[i][1] > 0 ? 2 : 1, shapes[i], NULL);
        pointers[i] = &shape[i];
    }
    cb_scan *scan = cb_scan_new(step, &(cb_scan_options){.name = "small",
                                                         .dtype = CB_F64,
                                                         .input = INPUT,
                                                         .state_count = 1,
                                                         .state_size = &hidden,
                                                         .weight_count = weights,
                                                         .weights = pointers});
    cr_assert_not_null(scan);
    return scan;
}

/* The description, with names h, W, U, b; the caller's to free. */
static char *described(cb_scan *scan, int64_t table) {
    static const char *const weights[] = {"W", "U", "b", "w3"}, *const states[] = {"h"};
    const cb_scan_sizes sizes = {TIME, BATCH, table, weights, states};
    size_t length = cb_scan_describe(scan, &sizes, NULL, 0);
    char *text = malloc(length + 1);
    cr_assert_gt(length, 0);
    cr_assert_eq(cb_scan_describe(scan, &sizes, text, length + 1), length);
    cr_assert_eq(strlen(text), length);
    return text;
}

/* Whether a line of the text has all of these words, whatever is between them. */
static bool has_line(const char *text, const char *a, const char *b, const char *c) {
    char line[512];
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        size_t taken = length < sizeof(line) ? length : sizeof(line) - 1;
        memcpy(line, at, taken);
        line[taken] = '\0';
        const char *found = strstr(line, a);
        found = found != NULL ? strstr(found + strlen(a), b) : NULL;
        if (found != NULL && strstr(found + strlen(b), c) != NULL)
            return true;
        at += length + (at[length] == '\n');
    }
    return false;
}

#define expect_line(text, a, b, c)                                                                 \
    cr_expect(has_line(text, a, b, c), "no line with \"%s\", \"%s\", \"%s\" in\n%s", a, b, c, text)

/* h' = tanh(x W' + h U' + b) */
static void elman(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    next[0] = cb_tanh(cb_add(cb_linear(x, w[0], w[2]), cb_linear(state[0], w[1], NULL)));
}
static int64_t elman_shapes[3][2] = {{HIDDEN, INPUT}, {HIDDEN, HIDDEN}, {HIDDEN, 0}};

/* h' = u h + v x', with u = sigmoid(h U'), x' = x W' and v = tanh(u + b) */
static void mixed(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *u = cb_sigmoid(cb_linear(state[0], w[1], NULL));
    cb_tensor *kept = cb_mul(u, state[0]);
    cb_tensor *v = cb_tanh(cb_add(u, w[2]));
    next[0] = cb_add(kept, cb_mul(v, cb_linear(x, w[0], NULL)));
}

/* The same. The calls come in another order, as another compiler may order arguments. */
static void mixed_from_the_right(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                 cb_tensor **next) {
    cb_tensor *input = cb_linear(x, w[0], NULL);
    cb_tensor *u = cb_sigmoid(cb_linear(state[0], w[1], NULL));
    cb_tensor *v = cb_tanh(cb_add(u, w[2]));
    cb_tensor *new = cb_mul(v, input);
    next[0] = cb_add(cb_mul(u, state[0]), new);
}

Test(describe, plans_follow_from_the_equations_and_not_from_the_order_of_the_calls) {
    cb_scan *scan = recurrence(mixed, 3, elman_shapes);
    cb_scan *other = recurrence(mixed_from_the_right, 3, elman_shapes);
    char *text = described(scan, 0), *text_of_other = described(other, 0);
    cr_expect_str_eq(text, text_of_other);
    free(text);
    free(text_of_other);
    cb_scan_free(scan);
    cb_scan_free(other);
}

/* An op of the user's, sin x + x, and two ways to write a rule for gradients (not its own: g cos x
 * + tanh g). */
static cb_status wave_shape(const cb_call *call) {
    call->out->dtype = call->in[0]->dtype;
    call->out->rank = call->in[0]->rank;
    memcpy(call->out->shape, call->in[0]->shape, sizeof(call->out->shape));
    return CB_OK;
}

static cb_status wave_forward(const cb_call *call) {
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        double x = ((const double *)call->in[0]->data)[i];
        ((double *)call->out->data)[i] = sin(x) + x;
    }
    return CB_OK;
}

static void wave_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *steep = cb_mul(g, cb_cos(call->in[0]));
    cb_tensor *flat = cb_tanh(g);
    gradients[0] = cb_add(steep, flat);
}

static void wave_vjp_from_the_right(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *flat = cb_tanh(g);
    cb_tensor *cosine = cb_cos(call->in[0]);
    gradients[0] = cb_add(cb_mul(g, cosine), flat);
}

#define WAVE(vjp_of_it)                                                                            \
    {                                                                                              \
        .name = "wave", .formula = "sin x + x", .min_inputs = 1, .max_inputs = 1,                  \
        .shape = wave_shape, .forward = wave_forward, .vjp = vjp_of_it                             \
    }
static const cb_op wave = WAVE(wave_vjp), wave_from_the_right = WAVE(wave_vjp_from_the_right);

static void waves(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *z = cb_add(cb_linear(x, w[0], NULL), state[0]);
    next[0] = cb_apply(&wave, 1, &z, NULL);
}

static void waves_from_the_right(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                 cb_tensor **next) {
    cb_tensor *z = cb_add(cb_linear(x, w[0], NULL), state[0]);
    next[0] = cb_apply(&wave_from_the_right, 1, &z, NULL);
}

Test(describe, gradients_follow_from_the_rule_and_not_from_the_order_of_its_calls) {
    cb_scan *scan = recurrence(waves, 1, elman_shapes);
    cb_scan *other = recurrence(waves_from_the_right, 1, elman_shapes);
    char *text = described(scan, 0), *text_of_other = described(other, 0);
    expect_line(text, "= cos(", "", "");
    cr_expect_str_eq(text, text_of_other);
    free(text);
    free(text_of_other);
    cb_scan_free(scan);
    cb_scan_free(other);
}

Test(describe, equations_have_the_names_of_weights_and_states) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    char *text = described(scan, 0);
    expect_line(text, "small, f64: batch 2, 5 time steps, x [3], h [4]", "", "");
    expect_line(text, "u1 = x W^T", "[4]", "");
    expect_line(text, "u2 = u1 + b", "[4]", "");
    expect_line(text, "o1 = u2", "", "");
    expect_line(text, "v1 = h U^T", "[4]", "");
    expect_line(text, "v2 = o1 + v1", "[4]", "");
    expect_line(text, "v3 = tanh(v2)", "[4]", "");
    expect_line(text, "h' = v3", "", "");
    expect_line(text, "= sum over rows of v", "^T h", "[1, 4, 4]");
    expect_line(text, "dU += v", "", "");
    expect_line(text, "db += u", "", "");
    expect_line(text, "do1 = v", "", "");
    expect_line(text, "rows: the 10 of x", "", "");
    free(text);
    cb_scan_free(scan);
}

/* A step forward: 2 x 4 x 4 x 2 operations in h U', then a sum and a tanh of 8 elements; it reads
   h, U, o1 and h U' and writes h U' and h', of 8 elements each but for 16 of U. Backward: the
   gradient of the output is added, then a square, 1 - it and a product of 8 elements, then a
   product with U. Outside of the loop: 10 rows of x W' + b, and the gradients of all three; after
   it, that of U. */
Test(describe, operations_and_bytes_are_those_counted_by_hand) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    char *text = described(scan, 0);
    expect_line(text, "1 product 2 x 4 x 4 (M N K); b0 ->", "64 FLOP, 256 B moved", "");
    expect_line(text, "2 fused, 2 instructions", "1 add, 1 tanh", "16 FLOP, 192 B moved");
    expect_line(text, "one step forward", "64 FLOP", "16 FLOP");
    expect_line(text, "one step backward", "64 FLOP", "32 FLOP");
    expect_line(text, "before the loop", "240 FLOP", "40 FLOP");
    expect_line(text, "after the loop", "800 FLOP", "40 FLOP");
    expect_line(text, "a sequence forward", "560 FLOP", "120 FLOP");
    expect_line(text, "a sequence backward", "1.12 kFLOP", "200 FLOP");
    expect_line(text, "a sequence, both", "1.68 kFLOP", "320 FLOP");
    expect_line(text, "[4]", "384 B", "all steps and before them: h");
    expect_line(text, "given: o1", "", "");
    expect_line(text, "dU += product 4 x 4 x 10 (M N K)", "", "");
    expect_line(text, "dW += product 4 x 3 x 10 (M N K)", "", "");
    expect_line(text, "db += what was added up of 10 rows of 4 elements", "", "");
    free(text);
    cb_scan_free(scan);
}

Test(describe, a_table_with_fewer_rows_is_projected_instead_of_x) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    char *text = described(scan, 7);
    expect_line(text, "rows: the 7 of the table", "10 of x", "");
    expect_line(text, "before the loop", "168 FLOP", "");
    expect_line(text, "db += what was added up of 7 rows", "", "");
    free(text);
    text = described(scan, 10);
    expect_line(text, "rows: the 10 of x", "", "");
    free(text);
    cb_scan_free(scan);
}

/* Three matrices that multiply h, and a tanh that is written twice. */
static void three(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *a = cb_linear(state[0], w[0], NULL), *b = cb_linear(state[0], w[1], NULL);
    cb_tensor *c = cb_linear(state[0], w[2], NULL);
    (void)x;
    next[0] = cb_mul(cb_add(cb_tanh(a), cb_tanh(a)), cb_mul(cb_sigmoid(b), cb_exp(c)));
}

Test(describe, passes_say_what_they_did) {
    int64_t shapes[3][2] = {{HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}, {HIDDEN, HIDDEN}};
    cb_scan *scan = recurrence(three, 3, shapes);
    char *text = described(scan, 0);
    expect_line(text, "lower", "products forward 3 (4x4, 4x4, 4x4), ",
                "backward 3 (4x4, 4x4, 4x4)");
    expect_line(text, "merge", "products forward 1 (4x12), backward 1 (12x4)", "");
    expect_line(text, "share", "ops that another one computes: 1", "");
    expect_line(text, "deferred gradients", "3", "");
    expect_line(text, "forward   [4, 12]", ": W^T | U^T | b^T", "");
    expect_line(text, "backward  [12, 4]", "; ", "; ");
    free(text);
    cb_scan_free(scan);
}

/* ---- Steps that are not compiled ------------------------------------------------------------- */

/* Which function it is depends on an element. */
static void reading(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w, (void)x;
    next[0] = cb_tensor_get(state[0], (int64_t[]){0, 0}) > 0 ? cb_tanh(state[0]) : cb_neg(state[0]);
}

/* Sequences in another order. */
static void mixing(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w, (void)x;
    next[0] = cb_flip(state[0], 1, (int[]){0});
}

/* A function of how many sequences there are. */
static void counting(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    (void)w, (void)x;
    next[0] = state[0]->shape[0] > 4 ? cb_tanh(state[0]) : cb_neg(state[0]);
}

/* A gate that computes the products of all gates, each time anew, and of their sum its own part. */
static cb_tensor *gate(cb_tensor *const *w, cb_tensor *x, cb_tensor *h, int k) {
    return cb_chunk(cb_add(cb_linear(x, w[0], w[2]), cb_linear(h, w[1], NULL)), -1, 4, k);
}

static void gates(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *h = state[0], *i = cb_sigmoid(gate(w, x, h, 0)), *f = cb_sigmoid(gate(w, x, h, 1));
    cb_tensor *g = cb_tanh(gate(w, x, h, 2)), *o = cb_sigmoid(gate(w, x, h, 3));
    next[0] = cb_mul(o, cb_add(cb_mul(f, h), cb_mul(i, g)));
}

Test(describe, products_written_several_times_are_computed_once) {
    int64_t shapes[3][2] = {{4 * HIDDEN, INPUT}, {4 * HIDDEN, HIDDEN}, {4 * HIDDEN}};
    cb_scan *scan = recurrence(gates, 3, shapes);
    char *text = described(scan, 0);
    expect_line(text, "lower", "products forward 1 (4x16), backward 1 (16x4)", "");
    expect_line(text, "before the loop", "960 FLOP", ""); /* 10 rows of x, 3 x 16 */
    cr_expect_null(strstr(text, "o2 ="), "more is computed outside than once:\n%s", text);
    free(text);
    cb_scan_free(scan);
}

/* q, _, k = x W', h' = tanh((q h') k): slices are read as matrices, and so are their gradients. */
static void sliced(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state, cb_tensor **next) {
    cb_tensor *u = cb_linear(x, w[0], NULL);
    cb_tensor *q = cb_unsqueeze(cb_slice(u, 1, 0, HIDDEN, 1), 2);
    cb_tensor *k = cb_unsqueeze(cb_slice(u, 1, 2 * HIDDEN, 3 * HIDDEN, 1), 2);
    cb_tensor *matrix = cb_matmul(q, cb_unsqueeze(state[0], 1));
    next[0] = cb_tanh(cb_squeeze(cb_matmul(matrix, k), 2));
}

Test(describe, slices_that_are_read_are_all_that_is_passed_on) {
    int64_t shapes[1][2] = {{3 * HIDDEN, INPUT}};
    cb_scan *scan = recurrence(sliced, 1, shapes);
    char *text = described(scan, 0);
    expect_line(text, "o1 = u1[8:12]", "", "");
    expect_line(text, "o2 = u1[0:4]", "", "");
    expect_line(text, "drop unread", "products forward 1 (3x8), backward 1 (8x3)", "");
    cr_expect_null(strstr(text, "on the whole batch"), "%s", text);
    free(text);
    cb_scan_free(scan);
}

/* The same, with slices of what is turned around first. */
static void sliced_backwards(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                             cb_tensor **next) {
    const int64_t parts[] = {x->shape[0], 3, HIDDEN};
    const int axis = 1;
    cb_tensor *u = cb_flip(cb_reshape(cb_linear(x, w[0], NULL), 3, parts), 1, &axis);
    cb_tensor *q = cb_unsqueeze(cb_flip(cb_select(u, 1, 0), 1, &axis), 2);
    cb_tensor *k = cb_unsqueeze(cb_select(u, 1, 2), 2);
    cb_tensor *matrix = cb_matmul(q, cb_unsqueeze(state[0], 1));
    next[0] = cb_tanh(cb_squeeze(cb_matmul(matrix, k), 2));
}

/* h' = norm of each half of h, with one gain for both; what is broadcast is copied first. */
static void norm_of_halves(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                           cb_tensor **next) {
    const int64_t halves[] = {x->shape[0], 2, HIDDEN / 2}, all[] = {x->shape[0], HIDDEN};
    cb_tensor *in = cb_add(state[0], cb_linear(x, w[0], NULL));
    next[0] = cb_reshape(cb_layer_norm(cb_reshape(in, 3, halves), w[1], w[1], 1e-5), 2, all);
}

/* h' = tanh(h + (q q') h), q = x W'. */
static void outer_product(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                          cb_tensor **next) {
    cb_tensor *q = cb_linear(x, w[0], NULL);
    cb_tensor *matrix = cb_matmul(cb_unsqueeze(q, 2), cb_unsqueeze(q, 1));
    cb_tensor *read = cb_squeeze(cb_matmul(matrix, cb_unsqueeze(state[0], 2)), 2);
    next[0] = cb_tanh(cb_add(state[0], read));
}

/* What lies otherwise than the value it is taken from makes no rows see each other, and an outer
   product is not handed from one part to the other, however it is written. */
Test(describe, what_is_row_by_row_stays_so) {
    static const struct {
        cb_scan_step *step;
        int64_t shapes[2][2];
        const char *line;
    } cases[] = {
        {sliced_backwards, {{3 * HIDDEN, INPUT}, {1, 0}}, "o2 = u"},
        {norm_of_halves, {{HIDDEN, INPUT}, {HIDDEN / 2, 0}}, "h' = v"},
        {outer_product, {{HIDDEN, INPUT}, {1, 0}}, "v1 = o1 as [1, 4, 1], times o1 as [1, 1, 4]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t shapes[2][2];
        memcpy(shapes, cases[i].shapes, sizeof(shapes));
        cb_scan *scan = recurrence(cases[i].step, 2, shapes);
        char *text = described(scan, 0);
        expect_line(text, cases[i].line, "", "");
        cr_expect_null(strstr(text, "on the whole batch"), "%s", text);
        cr_expect_null(strstr(text, "when rows see each other: 1"), "%s", text);
        free(text);
        cb_scan_free(scan);
    }
}

/* h' = h c, c the step's own: a row for each of as many sequences as there are. */
static void with_rows_of_its_own(cb_tensor *const *w, cb_tensor *x, cb_tensor *const *state,
                                 cb_tensor **next) {
    static double rows[64 * HIDDEN];
    cb_tensor own = cb_tensor_wrap(CB_F64, CB_SHAPE(x->shape[0], HIDDEN), rows);
    cr_assert_leq(x->shape[0], 64);
    (void)w;
    next[0] = cb_mul(state[0], cb_input(cb_tape_of(x), &own));
}

Test(describe, a_step_that_is_not_compiled_says_why) {
    cb_scan *scan = recurrence(reading, 0, NULL);
    char *text = described(scan, 0);
    expect_line(text, "not compiled and runs op by op: the step reads elements", "", "");
    cr_expect_null(strstr(text, "Buffers"));
    free(text);
    cb_scan_free(scan);
    scan = recurrence(counting, 0, NULL);
    text = described(scan, 0);
    expect_line(text, "not compiled and runs op by op: ", "number of sequences", "");
    free(text);
    cb_scan_free(scan);
    scan = recurrence(with_rows_of_its_own, 0, NULL);
    text = described(scan, 0);
    expect_line(text, "not compiled and runs op by op: ", "puts on the tape", "");
    free(text);
    cr_expect(cb_scan_check(scan, NULL, NULL));
    cb_scan_free(scan);
}

Test(describe, an_op_on_the_whole_batch_is_named) {
    cb_scan *scan = recurrence(mixing, 0, NULL);
    char *text = described(scan, 0);
    expect_line(text, "v1 = flip(h", "on the whole batch", "[4]");
    expect_line(text, "1 when rows see each other: 1", "", "");
    expect_line(text, "call of flip, on the whole batch", "", "");
    free(text);
    cb_scan_free(scan);
}

/* ---- The buffer ------------------------------------------------------------------------------ */

Test(describe, what_does_not_fit_is_cut) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    const cb_scan_sizes sizes = {.time = TIME, .batch = BATCH};
    char text[32];
    size_t length = cb_scan_describe(scan, &sizes, NULL, 0);
    memset(text, '#', sizeof(text));
    cr_expect_eq(cb_scan_describe(scan, &sizes, text, 12), length);
    cr_expect_str_eq(text, "small, f64:");
    cr_expect_eq(text[12], '#');
    cb_scan_free(scan);
}

Test(describe, sizes_out_of_range_are_refused) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    const cb_scan_sizes bad[] = {{.time = 0, .batch = 1},
                                 {.time = 1, .batch = 0},
                                 {.time = CB_SCAN_MOST_DESCRIBED + 1, .batch = 1},
                                 {.time = 1, .batch = 1, .table = -1}};
    char text[4] = "abc";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(cb_scan_describe(scan, &bad[i], text, sizeof(text)), 0);
    cr_expect_str_eq(text, "");
    cr_expect_eq(cb_scan_describe(scan, NULL, NULL, 0), 0);
    cr_expect_eq(cb_scan_describe(NULL, &bad[0], NULL, 0), 0);
    cb_scan_free(scan);
}

Test(describe, without_memory_there_is_no_text) {
    cb_scan *scan = recurrence(elman, 3, elman_shapes);
    const cb_scan_sizes sizes = {.time = TIME, .batch = BATCH};
    size_t length = cb_scan_describe(scan, &sizes, NULL, 0);
    int64_t before = cbi_allocation_count();
    cb_scan_describe(scan, &sizes, NULL, 0);
    int64_t allocations = cbi_allocation_count() - before;
    cr_assert_gt(allocations, 10);
    for (int64_t n = 0; n < allocations; n++) {
        cbi_allocation_fail_after(n);
        cr_expect_eq(cb_scan_describe(scan, &sizes, NULL, 0), 0, "allocation %d", (int)n);
        cbi_allocation_fail_after(-1);
    }
    cr_expect_eq(cb_scan_describe(scan, &sizes, NULL, 0), length);
    cb_scan_free(scan);
}

/* ---- Networks -------------------------------------------------------------------------------- */

Test(describe, a_layer_of_a_network_has_the_names_of_its_cell) {
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 6, 8, .layers = 2);
    char text[16384];
    size_t length = cb_rnn_describe(rnn, 1, 3, 2, 0, text, sizeof(text));
    cr_assert_eq(strlen(text), length);
    expect_line(text, "lstm, f32: batch 2, 3 time steps, x [8], h [8], c [8]", "", "");
    expect_line(text, "= x weight_ih^T", "[32]", "");
    expect_line(text, "c' = v", "", "");
    cr_expect_eq(cb_rnn_describe(rnn, 2, 3, 2, 0, text, sizeof(text)), 0);
    cr_expect_eq(cb_rnn_describe(NULL, 0, 3, 2, 0, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "");
    cb_params_free(params);
}
