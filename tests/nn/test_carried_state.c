/* Truncated back-propagation: a long sequence is run in pieces, each on a tape that has been reset,
   and only the values of the states go from one to the next. docs/adding-a-cell.md quotes the loop.
 */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <math.h>

enum { PIECES = 3, TIME = 4, BATCH = 3, INPUT = 2, HIDDEN = 5, LAYERS = 2 };
enum { STATES = LAYERS * CB_CELL_MAX_STATES };

typedef struct setting {
    cb_params *params;
    cb_rnn *rnn;
    cb_tape *tape;
    double data[PIECES * TIME * BATCH * INPUT];
    cb_tensor x, pieces[PIECES]; /* the whole sequence, and its pieces */
    cb_tensor *kept[STATES];     /* the states between pieces */
} setting;

static void setting_make(setting *s, const cb_cell *cell, bool eager) {
    cb_random random = cb_random_seed(3);
    s->params = cb_params_new_dtype(1, CB_F64);
    s->rnn = cb_rnn_new(s->params, "rnn", cell, INPUT, HIDDEN, .layers = LAYERS, .eager = eager,
                        .settings = cbt_small(cell));
    cr_assert_not_null(s->rnn, "%s", cb_params_error(s->params));
    cr_expect_eq(cb_rnn_eager_reason(s->rnn, 0) != NULL, eager, "%s", cell->name);
    s->tape = cb_tape_new();
    cb_random_normal_f64(&random, sizeof s->data / sizeof s->data[0], s->data, 0, 1);
    s->x = cb_tensor_wrap(CB_F64, CB_SHAPE(PIECES * TIME, BATCH, INPUT), s->data);
    for (int p = 0; p < PIECES; p++)
        s->pieces[p] = cb_tensor_wrap(CB_F64, CB_SHAPE(TIME, BATCH, INPUT),
                                      s->data + p * TIME * BATCH * INPUT);
    for (int i = 0; i < cb_rnn_state_count(s->rnn); i++) {
        s->kept[i] =
            cb_tensor_new(CB_F64, CB_SHAPE(BATCH, cb_rnn_state_size(s->rnn, i))); /* zeros */
        cr_assert_not_null(s->kept[i]);
    }
}

static void setting_free(setting *s) {
    for (int i = 0; i < cb_rnn_state_count(s->rnn); i++)
        cb_tensor_free(s->kept[i]);
    cb_tape_free(s->tape);
    cb_params_free(s->params);
}

static cb_tensor *loss_of(cb_tensor *h) {
    return cb_sum(cb_exp(h), CB_ALL_AXES, false);
}

/* ---- The loop -------------------------------------------------------------------------------- */

/* Leaves the sum of the pieces' gradients with the parameters, and the last states in kept. */
static cb_status run_pieces(cb_tape *tape, const cb_rnn *rnn, const cb_tensor *pieces,
                            cb_tensor *const *kept) {
    cb_tensor *initial[STATES], *final[STATES];
    cb_rnn_io io = {.initial = initial, .final = final};
    cb_status status = CB_OK;
    for (int piece = 0; piece < PIECES && status == CB_OK; piece++) {
        for (int i = 0; i < cb_rnn_state_count(rnn); i++)
            initial[i] = cb_input(tape, kept[i]);
        cb_tensor *h = cb_rnn_forward(rnn, cb_input(tape, &pieces[piece]), &io);
        status = cb_backward(loss_of(h));
        for (int i = 0; i < cb_rnn_state_count(rnn) && status == CB_OK; i++)
            status = cb_tensor_assign(kept[i], final[i]);
        cb_tape_reset(tape);
    }
    return status;
}

/* ---- What it is held to ---------------------------------------------------------------------- */

/* The same on one tape, where cb_stop_gradient cuts between the pieces; final gets the last states.
 */
static cb_tensor *run_cut(setting *s, cb_tensor **final) {
    cb_tensor *initial[STATES], *h[PIECES];
    for (int p = 0; p < PIECES; p++) {
        h[p] = cb_rnn_forward(s->rnn, cb_input(s->tape, &s->pieces[p]),
                              &(cb_rnn_io){.initial = p > 0 ? initial : NULL, .final = final});
        for (int i = 0; i < cb_rnn_state_count(s->rnn); i++)
            initial[i] = cb_stop_gradient(final[i]);
    }
    return cb_concat(PIECES, h, 0);
}

static void expect_cut(const cb_cell *cell, bool eager) {
    setting pieces, cut;
    cb_tensor *final[STATES];
    setting_make(&pieces, cell, eager);
    setting_make(&cut, cell, eager);
    cr_assert_eq(run_pieces(pieces.tape, pieces.rnn, pieces.pieces, pieces.kept), CB_OK);
    cr_assert_eq(cb_backward(loss_of(run_cut(&cut, final))), CB_OK, "%s", cb_tape_error(cut.tape));
    for (int i = 0; i < cb_rnn_state_count(cut.rnn); i++)
        cr_expect(cbt_close(pieces.kept[i], final[i], 1e-13), "%s: state %d", cell->name, i);
    for (int i = 0; i < cb_params_count(cut.params); i++)
        cr_expect(cbt_close(cb_params_at(pieces.params, i)->gradient,
                            cb_params_at(cut.params, i)->gradient, 1e-12),
                  "%s: %s", cell->name, cb_params_at(cut.params, i)->name);
    setting_free(&pieces);
    setting_free(&cut);
}

Test(carried_state, pieces_are_one_run_whose_gradient_is_cut) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        for (int eager = 0; eager < 2; eager++)
            expect_cut(*cell, eager == 1);
}

static double largest_difference(const cb_params *a, const cb_params *b) {
    double largest = 0;
    for (int i = 0; i < cb_params_count(a); i++) {
        const double *of_a = cb_params_at(a, i)->gradient->data;
        const double *of_b = cb_params_at(b, i)->gradient->data;
        for (int64_t k = 0; k < cb_tensor_count(cb_params_at(a, i)->gradient); k++)
            largest = fmax(largest, fabs(of_a[k] - of_b[k]));
    }
    return largest;
}

/* The states are those of the whole sequence; the gradient is not: it is truncated. */
Test(carried_state, states_are_exact_and_gradients_are_truncated) {
    setting pieces, whole;
    cb_tensor *final[STATES];
    setting_make(&pieces, &cb_cerebral_lstm, false);
    setting_make(&whole, &cb_cerebral_lstm, false);
    cr_assert_eq(run_pieces(pieces.tape, pieces.rnn, pieces.pieces, pieces.kept), CB_OK);
    cb_tensor *h =
        cb_rnn_forward(whole.rnn, cb_input(whole.tape, &whole.x), &(cb_rnn_io){.final = final});
    cr_assert_eq(cb_backward(loss_of(h)), CB_OK, "%s", cb_tape_error(whole.tape));
    for (int i = 0; i < cb_rnn_state_count(whole.rnn); i++)
        cr_expect(cbt_close(pieces.kept[i], final[i], 1e-13), "state %d", i);
    cr_expect_gt(largest_difference(pieces.params, whole.params), 1e-3);
    setting_free(&pieces);
    setting_free(&whole);
}
