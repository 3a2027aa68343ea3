/* Lazy rows: rows without a gradient are as if they had not been there. */
#include "examples/lion.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const cb_init normal = {.kind = CB_INIT_NORMAL, .b = 1};

static cb_optimizer *new_optimizer(const char *name, cb_params *params,
                                   const cb_optimizer_options *options) {
    return strcmp(name, "lion") == 0 ? cb_optimizer_new_rule(&lion_rule, params, options)
                                     : cb_optimizer_new(name, params, options);
}

/* Whether a step touches a row: every one at first, about one in 16 after it. */
static bool is_touched(int64_t row, int step) {
    return step == 0 || (row * 7 + step * 5) % 16 == 0;
}

/* Rows of a table, each also a parameter of its own that is frozen in steps that do not touch it:
   so the dense update is the oracle. But for t: a step is taken by all rows of a table. */
static void expect_as_if_apart(const char *name, const cb_optimizer_options *options,
                               cb_dtype dtype, int64_t rows, int64_t width) {
    cb_params *together = cb_params_new_dtype(5, dtype), *apart = cb_params_new_dtype(5, dtype);
    cb_param *table = cb_params_add(together, "table", CB_SHAPE(rows, width), 0, &normal);
    cb_optimizer_options lazy = *options;
    lazy.lazy_rows = true;
    cb_optimizer *first = new_optimizer(name, together, &lazy);
    for (int64_t i = 0; i < rows; i++) {
        char row[16];
        snprintf(row, sizeof row, "row%d", (int)i);
        cb_param *param = cb_params_add(apart, row, CB_SHAPE(width), 0, &normal);
        for (int64_t k = 0; k < width; k++)
            cb_tensor_set(param->value, &k, cb_tensor_get(table->value, (int64_t[]){i, k}));
    }
    cb_optimizer *second = new_optimizer(name, apart, options);
    for (int step = 0; step < 4; step++) {
        for (int64_t i = 0; i < rows; i++) {
            cb_param *param = cb_params_at(apart, (int)i);
            param->frozen = !is_touched(i, step);
            for (int64_t k = 0; k < width && is_touched(i, step); k++) {
                /* Zeros too, but for one element of the row. */
                double g = k == i % width ? 1 + (double)step : (double)(k % 3) - 1;
                cb_tensor_set(param->gradient, &k, g);
                cb_tensor_set(table->gradient, (int64_t[]){i, k}, g);
            }
        }
        cr_expect_eq(cb_optimizer_step(first), CB_OK);
        cr_expect_eq(cb_optimizer_step(second), CB_OK);
        cr_expect_eq(cb_tensor_get(table->gradient, (int64_t[]){rows - 1, width - 1}), 0);
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < width; k++) {
            double ours = cb_tensor_get(table->value, (int64_t[]){i, k});
            cr_assert_eq(ours, cb_tensor_get(cb_params_at(apart, (int)i)->value, &k), "%s: %d, %d",
                         name, (int)i, (int)k);
        }
    }
    cb_optimizer_free(first);
    cb_optimizer_free(second);
    cb_params_free(together);
    cb_params_free(apart);
}

/* Rules whose update does not depend on t, so that to the bit rows are what they are apart. */
Test(lazy_rows, rows_without_a_gradient_are_left_alone) {
    const cb_optimizer_options decay = {.lr = 0.1, .weight_decay = 0.1, .initial_accumulator = 0.1};
    const cb_optimizer_options momentum = {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1};
    for (int k = 0; k < 2; k++) {
        cb_dtype dtype = k == 0 ? CB_F32 : CB_F64;
        expect_as_if_apart("adagrad", &decay, dtype, 37, 5);
        expect_as_if_apart("adagrad", &decay, dtype, 64, 700); /* several threads, rows cut */
        expect_as_if_apart("adagrad", &decay, dtype, 3, 9000);
        expect_as_if_apart("sgd", &momentum, dtype, 64, 65);
        expect_as_if_apart("rmsprop", &momentum, dtype, 64, 64);
        expect_as_if_apart("lion", &decay, dtype, 64, 1);
    }
}

/* SparseAdam by hand: m, v and theta of a row that is touched in steps 1 and 3. */
Test(lazy_rows, adam_counts_all_steps) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_param *table = cb_params_add(params, "table", CB_SHAPE(2, 1), 0, &zeros);
    cb_optimizer *adam =
        cb_adam_new(params, .lr = 0.5, .beta1 = 0.5, .beta2 = 0.75, .lazy_rows = true);
    double m = 0, v = 0, theta = 0;
    for (int t = 1; t <= 3; t++) {
        double g = t == 2 ? 0 : t;
        cb_tensor_set(table->gradient, (int64_t[]){1, 0}, g);
        cb_tensor_set(table->gradient, (int64_t[]){0, 0}, 1);
        cr_expect_eq(cb_optimizer_step(adam), CB_OK);
        if (g != 0) {
            m = 0.5 * m + 0.5 * g;
            v = 0.75 * v + 0.25 * g * g;
            theta -= 0.5 * m / (1 - pow(0.5, t)) / (sqrt(v / (1 - pow(0.75, t))) + 1e-8);
        }
        cr_expect_float_eq(cb_tensor_get(table->value, (int64_t[]){1, 0}), theta, 1e-14);
    }
    cb_optimizer_free(adam);
    cb_params_free(params);
}

Test(lazy_rows, are_an_option_of_a_group_and_of_what_was_looked_up) {
    cb_params *params = cb_params_new(1);
    cb_module *lazy = cb_embedding_new(params, "lazy", 6, 3);
    cb_module *dense = cb_embedding_new(params, "dense", 6, 3);
    cb_optimizer *adamw = cb_adamw_new(params, .lr = 0.5, .weight_decay = 0.5, .clip_norm = 1e-3);
    cr_expect_eq(cb_optimizer_group(adamw, "lazy", &(cb_optimizer_options){.lazy_rows = true}), 1);
    cb_tensor *before = cb_tensor_copy(cb_params_at(params, 0)->value, CB_F32);
    cb_tensor *other = cb_tensor_copy(cb_params_at(params, 1)->value, CB_F32);
    cb_tape *tape = cb_tape_new();
    int32_t rows[] = {4, 1, 4};
    cb_tensor indices = cb_tensor_wrap(CB_I32, CB_SHAPE(3), rows);
    cb_tensor *x = cb_input(tape, &indices);
    cb_tensor *y = cb_mul(cb_forward(lazy, x), cb_forward(dense, x));
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    cr_expect_eq(cb_optimizer_step(adamw), CB_OK);
    for (int64_t i = 0; i < 6; i++) {
        const int64_t at[] = {i, 2};
        bool same = cb_tensor_get(before, at) == cb_tensor_get(cb_params_at(params, 0)->value, at);
        cr_expect_eq(same, i != 1 && i != 4, "row %d", (int)i);
        cr_expect_neq(cb_tensor_get(other, at), cb_tensor_get(cb_params_at(params, 1)->value, at));
    }
    cb_tape_free(tape);
    cb_tensor_free(before);
    cb_tensor_free(other);
    cb_optimizer_free(adamw);
    cb_params_free(params);
}

/* A NaN is a gradient, and a negative zero is none. */
Test(lazy_rows, a_nan_is_a_gradient) {
    cb_params *params = cb_params_new(1);
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_param *table = cb_params_add(params, "table", CB_SHAPE(2, 2), 0, &zeros);
    cb_optimizer *sgd = cb_sgd_new(params, .lr = 0.5, .lazy_rows = true, .weight_decay = 1);
    cb_tensor_fill(table->value, 1);
    cb_tensor_fill(table->gradient, -0.0);
    cb_tensor_set(table->gradient, (int64_t[]){1, 0}, NAN);
    cr_expect_eq(cb_optimizer_step(sgd), CB_OK);
    cr_expect_eq(cb_tensor_get(table->value, (int64_t[]){0, 0}), 1);
    cr_expect(isnan(cb_tensor_get(table->value, (int64_t[]){1, 0})));
    cb_optimizer_free(sgd);
    cb_params_free(params);
}
