/* Steps that no cell of the library takes and a user's might: joins of inputs and states, sums that
   are spread again, numbers in place of tensors, gradients that vanish. Compiled against run op by
   op, in f64. */
#include "tests/support.h"

#include <cerebra/cerebra.h>

enum { TIME = 7, BATCH = 5, SIZE = 4, STATES = 2 };

static cb_tensor *join(cb_tensor *left, cb_tensor *right) {
    return cb_concat(2, (cb_tensor *[]){left, right}, 1);
}

static cb_tensor *half(cb_tensor *t, int64_t index) {
    return cb_chunk(t, 1, 2, index);
}

static cb_tensor *row_sum(cb_tensor *t) {
    return cb_sum(t, CB_AXES(1), true);
}

/* A step of the cells below: what the states h and c become, from W, U, b and x. */
#define STEP(name, next_h, next_c)                                                                 \
    static void name(const cb_cell_step *s) {                                                      \
        cb_tensor *W = s->weights[0], *U = s->weights[1], *b = s->weights[2];                      \
        cb_tensor *x = s->x, *h = s->state[0], *c = s->state[1];                                   \
        cb_tensor *z = cb_add(cb_linear(x, W, NULL), cb_linear(h, U, b));                          \
        (void)h, (void)c, (void)z;                                                                 \
        s->next[0] = next_h;                                                                       \
        s->next[1] = next_c;                                                                       \
    }

STEP(sums_a_join, cb_tanh(z), cb_mul(c, cb_tanh(row_sum(join(half(h, 0), half(z, 0))))))
STEP(spreads_a_sum, cb_tanh(z), cb_add(half(join(c, x), 0), cb_tanh(row_sum(z))))
STEP(joins_numbers, cb_sigmoid(join(cb_full_like(half(h, 0), 1), half(z, 0))), c)
STEP(averages_numbers, cb_mul(z, cb_mean(cb_full_like(h, 0.5), CB_AXES(1), true)),
     cb_mul(cb_tanh(c), cb_sum(cb_full_like(h, 0.2), CB_AXES(1), true)))
STEP(loses_a_gradient, cb_add(h, cb_mul(cb_mul(x, h), cb_full_like(h, 0))), cb_tanh(cb_add(c, z)))
STEP(multiplies_nothing, cb_tanh(z), cb_linear(cb_mul(c, cb_full_like(c, 0)), U, b))
STEP(exchanges, c, cb_tanh(z))

STEP(multiplies_one_join, cb_tanh(cb_linear(join(x, h), join(W, U), b)), cb_add(cb_tanh(c), x))
STEP(reads_x_twice, cb_tanh(cb_linear(x, W, NULL)), cb_mul(cb_linear(x, W, NULL), c))
STEP(reads_b_twice, cb_add(cb_tanh(b), cb_mul(h, b)), cb_linear(cb_tanh(c), U, cb_mul(b, b)))
STEP(is_linear, cb_linear(c, U, NULL), cb_linear(cb_mul(h, x), U, b))
STEP(takes_pieces_of_x, join(half(x, 1), half(h, 0)), cb_add(half(join(x, c), 1), x))

STEP(adds_a_column, cb_add(h, cb_transpose(cb_slice(U, 1, 0, 1, 1), 0, 1)), cb_tanh(c))
STEP(adds_a_spread_number, cb_add(h, cb_expand(cb_slice(b, 0, 0, 1, 1), CB_SHAPE(1, SIZE))), z)
STEP(adds_to_joined_numbers,
     cb_add(join(cb_full_like(half(h, 0), 1), half(h, 0)),
            cb_add(b, join(cb_full_like(half(h, 0), 1), cb_full_like(half(h, 0), 2)))),
     z)

/* More products in one sum than are merged into one. */
static void adds_seventy_products(const cb_cell_step *s) {
    cb_tensor *sum = cb_linear(s->x, s->weights[0], s->weights[2]);
    for (int i = 0; i < 70; i++)
        sum =
            cb_add(sum, cb_linear(s->state[i % 2], cb_scale(s->weights[1], 0.01 * (i + 1)), NULL));
    s->next[0] = cb_tanh(sum);
    s->next[1] = cb_mul(s->state[1], s->next[0]);
}

typedef struct odd_cell {
    const char *name;
    void (*step)(const cb_cell_step *s);
} odd_cell;

static const odd_cell odd_cells[] = {
    {"sums_a_join", sums_a_join},
    {"spreads_a_sum", spreads_a_sum},
    {"joins_numbers", joins_numbers},
    {"averages_numbers", averages_numbers},
    {"loses_a_gradient", loses_a_gradient},
    {"multiplies_nothing", multiplies_nothing},
    {"exchanges", exchanges},
    {"multiplies_one_join", multiplies_one_join},
    {"reads_x_twice", reads_x_twice},
    {"reads_b_twice", reads_b_twice},
    {"is_linear", is_linear},
    {"takes_pieces_of_x", takes_pieces_of_x},
    {"adds_a_column", adds_a_column},
    {"adds_a_spread_number", adds_a_spread_number},
    {"adds_to_joined_numbers", adds_to_joined_numbers},
    {"adds_seventy_products", adds_seventy_products},
};

static const cb_cell_param weights_of_all[] = {
    {"weight_ih", {1, CB_HIDDEN}, {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"weight_hh", {1, CB_HIDDEN}, {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"bias", {1, CB_HIDDEN}, .role = CB_BIAS},
};

/* One layer of a cell over random x from random states, with its gradients. */
typedef struct run {
    cb_params *params;
    cb_tape *tape;
    double x_data[TIME * BATCH * SIZE], state_data[STATES][BATCH * SIZE];
    cb_tensor *x, *initial[STATES], *y, *final[STATES];
} run;

static void start(run *r, const cb_cell *cell, bool eager) {
    cb_random random = cb_random_seed(6);
    r->params = cb_params_new_dtype(2, CB_F64);
    r->tape = cb_tape_new();
    cb_rnn *rnn = cb_rnn_new(r->params, "rnn", cell, SIZE, SIZE, .eager = eager);
    cr_assert_not_null(rnn, "%s", cb_params_error(r->params));
    const char *reason = cb_rnn_eager_reason(rnn, 0);
    cr_assert_eq(reason != NULL, eager, "%s: %s", cell->name, reason != NULL ? reason : "");
    cb_random_normal_f64(&random, TIME * BATCH * SIZE, r->x_data, 0, 1);
    cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, SIZE), r->x_data);
    r->x = cb_variable(r->tape, &x);
    for (int s = 0; s < STATES; s++) {
        cb_random_normal_f64(&random, BATCH * SIZE, r->state_data[s], 0, 1);
        cb_tensor state = cb_tensor_wrap(CB_F64, CB_SHAPE(BATCH, SIZE), r->state_data[s]);
        r->initial[s] = cb_variable(r->tape, &state);
    }
    r->y = cb_rnn_forward(rnn, r->x, &(cb_rnn_io){.initial = r->initial, .final = r->final});
    cb_tensor *loss = cb_add(cb_sum(cb_sin(r->y), CB_ALL_AXES, false),
                             cb_sum(cb_sin(r->final[1]), CB_ALL_AXES, false));
    cr_assert_eq(cb_backward(loss), CB_OK, "%s: %s", cell->name, cb_tape_error(r->tape));
}

static void finish(run *r) {
    cb_tape_free(r->tape);
    cb_params_free(r->params);
}

/* Gradients that are both there and close, or 0 where one is not there. */
static bool same_gradients(const cb_tensor *a, const cb_tensor *b) {
    if (a != NULL && b != NULL)
        return cbt_close(a, b, 1e-12);
    const cb_tensor *only = a != NULL ? a : b;
    for (int64_t i = 0; only != NULL && i < cb_tensor_count(only); i++)
        if (((const double *)only->data)[i] != 0)
            return false;
    return true;
}

Test(odd_cells, equal_themselves_run_op_by_op) {
    for (size_t k = 0; k < sizeof odd_cells / sizeof odd_cells[0]; k++) {
        const char *name = odd_cells[k].name;
        const cb_cell cell = {.name = name,
                              .state_count = STATES,
                              .param_count = 3,
                              .params = weights_of_all,
                              .full_step = odd_cells[k].step};
        static run compiled, eager;
        start(&compiled, &cell, false);
        start(&eager, &cell, true);
        cr_expect(cbt_close(compiled.y, eager.y, 1e-12), "%s", name);
        cr_expect(same_gradients(cb_gradient(compiled.x), cb_gradient(eager.x)), "%s: x", name);
        for (int s = 0; s < STATES; s++) {
            cr_expect(cbt_close(compiled.final[s], eager.final[s], 1e-12), "%s: %d", name, s);
            cr_expect(
                same_gradients(cb_gradient(compiled.initial[s]), cb_gradient(eager.initial[s])),
                "%s: state %d", name, s);
        }
        for (int i = 0; i < 3; i++)
            cr_expect(same_gradients(cb_params_at(compiled.params, i)->gradient,
                                     cb_params_at(eager.params, i)->gradient),
                      "%s: %s", name, weights_of_all[i].name);
        finish(&compiled);
        finish(&eager);
    }
}
