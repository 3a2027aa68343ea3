/* Checkpoints: the same values and gradients as without them, less memory, and every way to go
   wrong. */
#include "tests/support.h"

#include "autograd/ops/list.h"
#include "tensor/memory.h"

#include <cerebra/cerebra.h>
#include <math.h>
#include <string.h>

static int runs; /* of the functions below */

/* tanh(x w) + the row of a table that an index selects, the index an integer. */
static cb_tensor *product(const void *context, cb_tensor *const *in) {
    runs++;
    cb_tensor *y = cb_tanh(cb_matmul(in[0], in[1]));
    return cb_add(cb_scale(y, *(const double *)context), cb_gather_rows(in[2], in[3]));
}

static cb_tensor *nested(const void *context, cb_tensor *const *in) {
    cb_tensor *y = cb_checkpoint(product, context, sizeof(double), 4, in);
    return cb_concat(2, (cb_tensor *[]){cb_square(y), in[0]}, 1);
}

static cb_tensor *check_product(cb_tensor *const *in, void *context) {
    return cb_checkpoint(product, context, sizeof(double), 4, in);
}

static cb_tensor *check_nested(cb_tensor *const *in, void *context) {
    return cb_checkpoint(nested, context, sizeof(double), 4, in);
}

/* One input used twice, part of another, and a result that is used twice. */
static cb_tensor *check_shared(cb_tensor *const *in, void *context) {
    cb_tensor *x = cb_transpose(cb_matmul(in[1], cb_transpose(in[0], 0, 1)), 0, 1);
    cb_tensor *const other[] = {cb_add(in[0], x), in[1], cb_slice(in[2], 0, 1, 5, 1), in[3]};
    cb_tensor *y = cb_checkpoint(product, context, sizeof(double), 4, other);
    cb_tensor *z = cb_checkpoint(product, context, sizeof(double), 4, other);
    return cb_mul(y, cb_add(z, y));
}

Test(checkpoint, gradients_are_right) {
    cb_random random = cb_random_seed(1);
    cb_tensor *in[] = {cb_tensor_new(CB_F64, CB_SHAPE(2, 3)), cb_tensor_new(CB_F64, CB_SHAPE(3, 3)),
                       cb_tensor_new(CB_F64, CB_SHAPE(6, 3)), cb_tensor_new(CB_I64, CB_SHAPE(2))};
    cb_check_function *const functions[] = {check_product, check_nested, check_shared};
    double factor = 1.5;
    for (int i = 0; i < 3; i++)
        cb_random_uniform_f64(&random, cb_tensor_count(in[i]), in[i]->data, -1, 1);
    ((int64_t *)in[3]->data)[0] = 3;
    for (int i = 0; i < 3; i++) {
        cb_check_report report;
        cr_expect(cb_check_gradient(functions[i], &factor, 4, in, NULL, &report), "%d: %s", i,
                  report.message);
        cr_expect_gt(report.compared, 0);
    }
    for (int i = 0; i < 4; i++)
        cb_tensor_free(in[i]);
}

/* ---- Parameters ------------------------------------------------------------------------------ */

typedef struct model {
    cb_params *params;
    cb_module *embedding, *head;
} model;

static model model_new(void) {
    model m = {.params = cb_params_new(1)};
    m.embedding = cb_embedding_new(m.params, "embedding", 5, 4);
    m.head = cb_linear_new(m.params, "head", 4, 3);
    cr_assert_eq(cb_params_status(m.params), CB_OK);
    return m;
}

static cb_tensor *forward(const void *context, cb_tensor *const *in) {
    const model *m = context;
    return cb_tanh(cb_forward(m->head, cb_forward(m->embedding, in[0])));
}

static cb_tensor *forward_nested(const void *context, cb_tensor *const *in) {
    return cb_checkpoint(forward, context, sizeof(model), 1, in);
}

/* Parameters that the function uses get the gradients that they get without a checkpoint, though
   none of its inputs requires one. */
Test(checkpoint, parameters_inside_get_their_gradients) {
    cb_checkpoint_function *const inside[] = {forward, forward_nested};
    for (int k = 0; k < 2; k++) {
        model m = model_new();
        cb_tensor *expected[4];
        cb_tape *tape = cb_tape_new();
        for (int again = 0; again < 2; again++) {
            cb_tape_reset(tape);
            cb_params_zero_gradients(m.params);
            cb_tensor *ids = cb_arange(tape, CB_I64, 0, 1, 5);
            cb_tensor *y =
                again ? cb_checkpoint(inside[k], &m, sizeof(m), 1, &ids) : forward(&m, &ids);
            cr_expect(cb_requires_grad(y));
            cr_assert_eq(cb_backward(cb_sum(cb_square(y), CB_ALL_AXES, false)), CB_OK, "%s",
                         cb_tape_error(tape));
            for (int i = 0; i < cb_params_count(m.params); i++) {
                const cb_tensor *gradient = cb_params_at(m.params, i)->gradient;
                if (!again)
                    expected[i] = cb_tensor_copy(gradient, CB_F32);
                else
                    cr_expect(cbt_close(gradient, expected[i], 1e-6));
            }
        }
        for (int i = 0; i < cb_params_count(m.params); i++)
            cb_tensor_free(expected[i]);
        cb_tape_free(tape);
        cb_params_free(m.params);
    }
}

static cb_tensor *scaled_head(const void *context, cb_tensor *const *in) {
    return cb_forward(((const model *)context)->head, in[0]);
}

/* cb_grad promises to add nothing to variables. */
Test(checkpoint, chosen_gradients_leave_parameters_alone) {
    model m = model_new();
    cb_tape *tape = cb_tape_new();
    float values[] = {1, -2, 3, -4};
    cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SHAPE(1, 4), values), *g;
    cb_tensor *x = cb_variable(tape, &plain);
    cb_tensor *y = cb_sum(cb_checkpoint(scaled_head, &m, sizeof(m), 1, &x), CB_ALL_AXES, false);
    cr_assert_eq(cb_grad(y, NULL, false, 1, &x, &g), CB_OK, "%s", cb_tape_error(tape));
    const cb_tensor *weight = cb_params_find(m.params, "head.weight")->value;
    for (int64_t c = 0; c < 4; c++) {
        double sum = 0;
        for (int64_t r = 0; r < 3; r++)
            sum += cb_tensor_get(weight, (int64_t[]){r, c});
        cr_expect_float_eq(cb_tensor_get(g, (int64_t[]){0, c}), sum, 1e-6);
    }
    for (int i = 0; i < cb_params_count(m.params); i++) {
        const cb_tensor *gradient = cb_params_at(m.params, i)->gradient;
        for (int64_t k = 0; k < cb_tensor_count(gradient); k++)
            cr_expect_eq(((const float *)gradient->data)[k], 0);
    }
    cb_tape_free(tape);
    cb_params_free(m.params);
}

/* ---- Random numbers -------------------------------------------------------------------------- */

static cb_tensor *drops(const void *context, cb_tensor *const *in) {
    cb_random *random = *(cb_random *const *)context;
    cb_random own = cb_random_seed(5);
    cb_tensor *y = cb_tanh(cb_dropout(in[0], 0.5, random));
    return cb_square(cb_dropout(cb_dropout(y, 0.3, random), 0.2, &own));
}

static cb_tensor *drops_nested(const void *context, cb_tensor *const *in) {
    cb_tensor *y = cb_dropout(in[0], 0.1, *(cb_random *const *)context);
    y = cb_checkpoint(drops, context, sizeof(cb_random *), 1, &y);
    return cb_dropout(y, 0.1, *(cb_random *const *)context);
}

static cb_tensor *drops_more_and_more(const void *context, cb_tensor *const *in) {
    cb_tensor *y = in[0];
    for (int i = 0; i <= runs; i++)
        y = cb_dropout(y, 0.5, *(cb_random *const *)context);
    runs++;
    return y;
}

/* Dropout inside draws what it draws outside, and the same again for the gradient. */
Test(checkpoint, dropout_is_repeated) {
    cb_checkpoint_function *const functions[] = {drops, drops_nested};
    cb_tape *tape = cb_tape_new();
    cb_tensor *values = cb_tensor_new(CB_F64, CB_SHAPE(64, 64)), *gradients[2];
    cb_tensor_fill(values, 0.7);
    for (int k = 0; k < 2; k++) {
        double losses[2];
        cb_random after[2];
        for (int inside = 0; inside < 2; inside++) {
            cb_random random = cb_random_seed(3), *generator = &random;
            gradients[inside] = cb_tensor_new(CB_F64, CB_SHAPE(64, 64));
            cb_tape_reset(tape);
            cb_tensor *x = cb_variable_into(tape, values, gradients[inside]), *y = x;
            for (int i = 0; i < 3; i++) {
                y = inside ? cb_checkpoint(functions[k], &generator, sizeof(generator), 1, &y)
                           : functions[k](&generator, &y);
                y = cb_dropout(y, 0.2, generator);
            }
            cb_tensor *loss = cb_sum(y, CB_ALL_AXES, false);
            cr_assert_eq(cb_backward(loss), CB_OK, "%s", cb_tape_error(tape));
            losses[inside] = cb_item(loss);
            after[inside] = random;
        }
        cr_expect(losses[0] == losses[1] && losses[0] > 0, "%g, %g", losses[0], losses[1]);
        cr_expect_eq(after[0].counter, after[1].counter);
        cr_expect(cbt_close(gradients[1], gradients[0], 1e-15));
        cb_tensor_free(gradients[0]);
        cb_tensor_free(gradients[1]);
    }
    cb_random random = cb_random_seed(3), *generator = &random;
    cb_tape_reset(tape);
    cb_tensor *x = cb_variable(tape, values);
    runs = 0;
    x = cb_checkpoint(drops_more_and_more, &generator, sizeof(generator), 1, &x);
    cr_expect_eq(cb_backward(cb_sum(x, CB_ALL_AXES, false)), CB_ERROR_VALUE);
    cr_expect(strstr(cb_tape_error(tape), "not done the same"), "%s", cb_tape_error(tape));
    cb_tape_free(tape);
    cb_tensor_free(values);
}

Test(checkpoint, a_tape_without_gradients_runs_the_function_once) {
    for (int record = 0; record < 2; record++) {
        cb_tape *tape = record ? cb_tape_new() : cb_tape_new_no_grad();
        double factor = 2;
        cb_tensor *square = cb_full(tape, CB_F64, CB_SHAPE(3, 3), 0.1);
        cb_tensor *x = record ? cb_variable(tape, square) : square;
        cb_tensor *in[] = {x, square, square, cb_full(tape, CB_I64, CB_SHAPE(3), 1)};
        runs = 0;
        cb_tensor *y = cb_checkpoint(product, &factor, sizeof(factor), 4, in);
        cr_expect_float_eq(cb_tensor_get(y, (int64_t[]){0, 0}), 2 * tanh(0.03) + 0.1, 1e-15);
        cr_expect_eq(runs, 1);
        cr_expect_eq(cb_requires_grad(y), record == 1);
        if (record)
            cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
        cr_expect_eq(runs, 1 + record);
        cb_tape_free(tape);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static cb_tensor *many(const void *context, cb_tensor *const *in) {
    cb_tensor *y = in[0];
    for (int i = 0; i < *(const int *)context; i++)
        y = cb_tanh(y);
    return y;
}

/* 100 values of 1 MB: all of them are 100 MB, 10 of each of 10 pieces about 20 and what a sweep
   needs. */
Test(checkpoint, memory_is_that_of_the_largest_piece_and_stays) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *plain = cb_tensor_new(CB_F32, CB_SHAPE(512, 512));
    const int count = 10;
    size_t first = 0;
    for (int step = 0; step < 3; step++) {
        cb_tape_reset(tape);
        cb_tensor *y = cb_variable(tape, plain);
        for (int i = 0; i < 10; i++)
            y = cb_checkpoint(many, &count, sizeof(count), 1, &y);
        cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
        first = step == 0 ? cb_tape_bytes(tape) : first;
    }
    cr_expect_eq(cb_tape_bytes(tape), first);
    cr_expect_lt(first, (size_t)48 << 20);
    cr_expect_gt(first, (size_t)20 << 20, "the scratch tape counts");
    cb_tape_free(tape);
    cb_tensor_free(plain);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static cb_tensor *outside;

static cb_tensor *fails(const void *context, cb_tensor *const *in) {
    (void)context;
    return cb_matmul(in[0], in[0]);
}

static cb_tensor *gives_nothing(const void *context, cb_tensor *const *in) {
    (void)context;
    (void)in;
    return NULL;
}

static cb_tensor *gives_what_is_outside(const void *context, cb_tensor *const *in) {
    (void)context;
    (void)in;
    return outside;
}

static cb_tensor *adds_what_is_outside(const void *context, cb_tensor *const *in) {
    (void)context;
    return cb_add(in[0], outside);
}

static cb_tensor *nests_what_is_outside(const void *context, cb_tensor *const *in) {
    (void)in;
    return cb_checkpoint(fails, context, 0, 1, &outside);
}

static cb_tensor *grows(const void *context, cb_tensor *const *in) {
    (void)context;
    return ++runs == 1 ? cb_square(in[0]) : cb_stack(2, (cb_tensor *[]){in[0], in[0]}, 0);
}

static cb_tensor *squares(const void *context, cb_tensor *const *in) {
    (void)context;
    return cb_square(in[0]);
}

Test(checkpoint, errors_come_from_inside_with_their_message) {
    const struct {
        cb_checkpoint_function *function;
        cb_status status;
        const char *message;
    } cases[] = {
        {fails, CB_ERROR_SHAPE, "checkpoint: matmul: [2,3] x [2,3]"},
        {gives_nothing, CB_ERROR_TAPE, "result is not on its inputs' tape"},
        {gives_what_is_outside, CB_ERROR_TAPE, "result is not on its inputs' tape"},
        {adds_what_is_outside, CB_ERROR_TAPE, "another tape"},
        {nests_what_is_outside, CB_ERROR_TAPE, "tensors that are not its inputs"},
        {grows, CB_ERROR_VALUE, "has not done the same again"},
        {NULL, CB_ERROR_VALUE, "the function is NULL"},
    };
    cb_tape *tape = cb_tape_new();
    float values[6] = {1, 2, 3, 4, 5, 6};
    cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), values);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cb_tape_reset(tape);
        cb_tensor *x = cb_variable(tape, &plain);
        outside = cb_square(x);
        runs = 0;
        cb_tensor *y = cb_checkpoint(cases[i].function, NULL, 0, 1, &x);
        cb_status status = cb_backward(cb_sum(y, CB_ALL_AXES, false));
        cr_expect_eq(status, cases[i].status, "%d: %s", (int)i, cb_tape_error(tape));
        cr_expect(strstr(cb_tape_error(tape), cases[i].message), "%d: \"%s\"", (int)i,
                  cb_tape_error(tape));
        /* and it works again */
        cb_tape_reset(tape);
        x = cb_variable(tape, &plain);
        y = cb_checkpoint(squares, NULL, 0, 1, &x);
        cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
        cr_expect_eq(cb_tensor_get(cb_gradient(x), (int64_t[]){1, 2}), 12);
    }
    cr_expect_null(cb_checkpoint(squares, NULL, 0, 0, NULL)->data);
    cb_tape_free(tape);
}

Test(checkpoint, gradients_of_gradients_are_refused) {
    cb_tape *tape = cb_tape_new();
    double value = 3;
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SCALAR, &value), *g;
    cb_tensor *x = cb_variable(tape, &plain), *y = cb_checkpoint(squares, NULL, 0, 1, &x);
    cr_expect_eq(cb_grad(y, NULL, true, 1, &x, &g), CB_ERROR_TAPE);
    cr_expect(strstr(cb_tape_error(tape), "gradient of its gradient"), "%s", cb_tape_error(tape));
    cb_tape_free(tape);
}

/* ---- Allocations that fail ------------------------------------------------------------------- */

static cb_status step_with_allocations(cb_tape *tape) {
    double factor = 2;
    cb_tensor *square = cb_full(tape, CB_F64, CB_SHAPE(3, 3), 0.1);
    cb_tensor *in[] = {square, square, square, cb_full(tape, CB_I64, CB_SHAPE(3), 1)};
    in[0] = square != NULL && square->data != NULL ? cb_variable(tape, square) : square;
    cb_tensor *y = cb_checkpoint(nested, &factor, sizeof(factor), 4, in);
    return cb_backward(cb_sum(y, CB_ALL_AXES, false));
}

Test(checkpoint, allocations_may_fail) {
    cb_status status = CB_ERROR_MEMORY;
    int64_t n = 0;
    for (; status != CB_OK && n < 100; n++) {
        cbi_allocation_fail_after(n);
        cb_tape *tape = cb_tape_new();
        status = step_with_allocations(tape);
        cbi_allocation_fail_after(-1);
        cr_expect(status == CB_OK || status == CB_ERROR_MEMORY, "%s", cb_tape_error(tape));
        if (tape != NULL) {
            cb_tape_reset(tape);
            cr_expect_eq(step_with_allocations(tape), CB_OK, "%s", cb_tape_error(tape));
        }
        cb_tape_free(tape);
    }
    cr_expect_gt(n, 4, "the scratch tapes allocate");
    cr_expect_eq(status, CB_OK);
}
