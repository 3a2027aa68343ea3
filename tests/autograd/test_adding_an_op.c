/* What docs/adding-an-op.md shows besides examples/06_own_op.c: a function of ops, and a view. */
#include "tests/support.h"

#include <cerebra/check.h>

static cb_tensor *rms(cb_tensor *x) {
    return cb_sqrt(cb_mean(cb_square(x), CB_AXES(-1), true));
}

static cb_status diagonal_shape(const cb_call *call) {
    const cb_tensor *x = call->in[0];
    cb_tensor *y = call->out;
    if (x->rank != 2 || x->shape[0] != x->shape[1])
        return cb_call_fail(call, CB_ERROR_SHAPE, "not a square matrix");
    y->dtype = x->dtype;
    y->rank = 1;
    y->shape[0] = x->shape[0];
    y->stride[0] = x->stride[0] + x->stride[1];
    y->data = x->data;
    return CB_OK;
}

/* With gradients of gradients: g in the diagonal of zeros. */
static void diagonal_vjp(const cb_call *call, cb_tensor *g, cb_tensor **gradients) {
    cb_tensor *rows = cb_arange(cb_tape_of(g), CB_I64, 0, 1, g->shape[0]);
    cb_tensor *on = cb_equal(cb_unsqueeze(rows, 0), cb_unsqueeze(rows, 1));
    (void)call;
    gradients[0] = cb_where(on, cb_unsqueeze(g, 1), cb_full_like(cb_cast(on, g->dtype), 0));
}

static const cb_op diagonal_op = {.name = "diagonal",
                                  .formula = "y_i = x_ii",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .view = true,
                                  .shape = diagonal_shape,
                                  .vjp = diagonal_vjp};

static cb_tensor *diagonal(cb_tensor *x) {
    return cb_apply(&diagonal_op, 1, &x, NULL);
}

static cb_tensor *rms_sample(cb_tensor *const *in) {
    return rms(in[0]);
}

static cb_tensor *diagonal_sample(cb_tensor *const *in) {
    return cb_square(diagonal(cb_square(in[0])));
}

#define RANGE .low = 0.5, .high = 2, .kink = CB_NO_KINK

Test(adding_an_op, what_the_page_shows_has_right_gradients) {
    static const cb_sample samples[] = {
        {"rms", 1, {{.rank = 2, .shape = {3, 4}, RANGE}}, rms_sample},
        {"diagonal", 1, {{.rank = 2, .shape = {4, 4}, RANGE}}, diagonal_sample},
        {"diagonal of a transposed matrix",
         1,
         {{.rank = 2, .shape = {3, 3}, RANGE, .transposed = true}},
         diagonal_sample},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        cb_check_report report;
        cr_expect(cb_check_sample(&samples[i], &(cb_check_options){.second_order = true}, &report),
                  "%s: %s", samples[i].name, report.message);
    }
}

Test(adding_an_op, a_view_has_the_memory_of_its_input) {
    double values[] = {1, 2, 3, 4};
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 2), values);
    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_input(tape, &plain), *y = diagonal(x);
    cr_assert_eq(cb_tape_status(tape), CB_OK);
    cr_expect_eq(y->data, x->data);
    cr_expect_eq(cb_tensor_get(y, (int64_t[]){1}), 4);
    diagonal(cb_slice(x, 0, 0, 1, 1));
    cr_expect_str_eq(cb_tape_error(tape), "diagonal: f64[1,2]: not a square matrix (op 3)");
    cb_tape_free(tape);
}
