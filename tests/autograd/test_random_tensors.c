/* Random tensors: what they are drawn from, that nothing else decides what they hold, and gradients
   through functions of them. */
#include "tests/support.h"

#include <cerebra/ops.h>
#include <cerebra/random.h>

#include <math.h>
#include <string.h>

/* ---- Distributions --------------------------------------------------------------------------- */

enum { ROWS = 400, COLUMNS = 501, COUNT = ROWS * COLUMNS };

typedef cb_tensor *drawn_like(cb_tensor *x, cb_random *random);

static cb_tensor *uniform(cb_tensor *x, cb_random *random) {
    return cb_uniform_like(x, -1, 3, random);
}
static cb_tensor *normal(cb_tensor *x, cb_random *random) {
    return cb_normal_like(x, -2, 0.5, random);
}
static cb_tensor *bernoulli(cb_tensor *x, cb_random *random) {
    return cb_bernoulli_like(x, 0.3, random);
}

static const struct {
    const char *name;
    drawn_like *draw;
    double mean, variance, low, high; /* of the distribution */
} rows[] = {
    {"uniform", uniform, 1, 16.0 / 12, -1, 3},
    {"normal", normal, -2, 0.25, -INFINITY, INFINITY},
    {"bernoulli", bernoulli, 0.3, 0.21, 0, 1},
    {"exponential", cb_exponential_like, 1, 1, 0x1p-60, INFINITY},
    /* Euler's constant and pi^2 / 6. */
    {"gumbel", cb_gumbel_like, 0.57721566490153286, 1.6449340668482264, -INFINITY, INFINITY},
};
enum { KINDS = sizeof(rows) / sizeof(rows[0]) };

Test(random_tensors, have_the_moments_and_the_range_of_their_distribution) {
    for (int k = 0; k < 2 * KINDS; k++) {
        int row = k / 2;
        cb_tape *tape = cb_tape_new();
        cb_random random = cb_random_seed(11);
        cb_tensor *x = cb_full(tape, k & 1 ? CB_F64 : CB_F32, CB_SHAPE(ROWS, COLUMNS), 7);
        cb_tensor *y = rows[row].draw(x, &random);
        cb_tensor *wide = cb_cast(y, CB_F64);
        cr_assert(y->dtype == x->dtype && cb_tensor_same_shape(x, y), "%s", rows[row].name);
        double mean = cb_item(cb_mean(wide, CB_ALL_AXES, false));
        double variance = cb_item(cb_var(wide, CB_ALL_AXES, 0, false));
        double least = cb_item(cb_min(wide, CB_ALL_AXES, false));
        double most = cb_item(cb_max(wide, CB_ALL_AXES, false));
        /* Five deviations of a mean of so many, and as much again for the variance, whose own
           deviation is at most three times the variance over the root of their number. */
        double error = 5 * sqrt(rows[row].variance / COUNT);
        cr_expect_float_eq(mean, rows[row].mean, error, "%s: mean %g", rows[row].name, mean);
        cr_expect_float_eq(variance, rows[row].variance, 15 * rows[row].variance / sqrt(COUNT),
                           "%s: variance %g", rows[row].name, variance);
        cr_expect(least >= rows[row].low && most <= rows[row].high && isfinite(least + most),
                  "%s: %g to %g", rows[row].name, least, most);
        cr_expect(random.counter > 0 && random.counter <= COUNT);
        cr_expect_eq(cb_tape_status(tape), CB_OK);
        cb_tape_free(tape);
    }
}

Test(random_tensors, are_the_generators_numbers) {
    float uniforms[10], normals[10], choices[10];
    cb_random random = cb_random_seed(3), again = random;
    cb_tape *tape = cb_tape_new();
    cb_tensor *u = cb_uniform(tape, CB_F32, CB_SHAPE(2, 5), -1, 2, &random);
    cb_random next = random;
    cb_tensor *n = cb_normal(tape, CB_F32, CB_SHAPE(10), 1, 3, &random);
    cb_tensor *b = cb_bernoulli(tape, CB_F32, CB_SHAPE(10, 1), 0.5, &random);
    cb_random_uniform_f32(&again, 10, uniforms, -1, 2);
    cb_random_normal_f32(&next, 10, normals, 1, 3);
    cr_assert_eq(cb_tape_status(tape), CB_OK);
    cr_expect(memcmp(u->data, uniforms, sizeof(uniforms)) == 0);
    cr_expect(memcmp(n->data, normals, sizeof(normals)) == 0);
    cb_random last = cb_random_seed(3);
    last.counter = 20; /* ten numbers each */
    cb_random_bernoulli_f32(&last, 10, choices, 0.5);
    cr_expect(memcmp(b->data, choices, sizeof(choices)) == 0);
    cb_tape_free(tape);
}

Test(random_tensors, depend_on_neither_layout_nor_threads) {
    int threads = cb_threads();
    for (int k = 0; k < 2 * KINDS; k++) {
        cb_tensor *first = NULL;
        for (int t = 1; t <= 4; t++) {
            cb_set_threads(t);
            cb_tape *tape = cb_tape_new();
            cb_random random = cb_random_seed(2);
            cb_tensor *x = cb_full(tape, k & 1 ? CB_F64 : CB_F32, CB_SHAPE(ROWS, COLUMNS), 0);
            if (t & 1)
                x = cb_transpose(cb_reshape(x, CB_SHAPE(COLUMNS, ROWS)), 0, 1);
            cb_tensor *y = rows[k / 2].draw(x, &random);
            if (t == 1)
                first = cb_tensor_copy(y, y->dtype);
            cr_expect(memcmp(y->data, first->data, cb_tensor_bytes(first)) == 0, "%s, %d threads",
                      rows[k / 2].name, t);
            cb_tape_free(tape);
        }
        cb_tensor_free(first);
    }
    cb_set_threads(threads);
}

Test(random_tensors, gumbel_numbers_choose_as_softmax_does) {
    double p[] = {0.1, 0.2, 0.7}, logits[3];
    for (int i = 0; i < 3; i++)
        logits[i] = log(p[i]);
    cb_tensor plain = cb_tensor_wrap(CB_F64, CB_SHAPE(3), logits);
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(8);
    cb_tensor *x = cb_expand(cb_input(tape, &plain), CB_SHAPE(100000, 3));
    cb_tensor *class = cb_argmax(cb_add(x, cb_gumbel_like(x, &random)), -1, false);
    cb_tensor *share = cb_mean(cb_one_hot(class, 3, CB_F64), CB_AXES(0), false);
    for (int64_t i = 0; i < 3; i++)
        cr_expect_float_eq(cb_tensor_get(share, &i), p[i], 0.0075);
    cb_tape_free(tape);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* z = mean + sigma noise: the gradient of sigma is the noise, and none flows to the noise itself.
 */
Test(random_tensors, a_sample_has_gradients_of_its_parameters) {
    cb_tape *tape = cb_tape_new();
    cb_tensor *plain = cb_tensor_new(CB_F64, CB_SHAPE(5, 3));
    cb_tensor *mean = cb_variable(tape, plain), *sigma = cb_variable(tape, plain);
    cb_random random = cb_random_seed(4);
    cb_tensor *noise = cb_normal_like(mean, 0, 1, &random);
    cr_expect_not(cb_requires_grad(noise));
    cb_tensor *z = cb_add(mean, cb_mul(sigma, noise));
    cr_assert_eq(cb_backward(cb_sum(z, CB_ALL_AXES, false)), CB_OK);
    cr_expect(cbt_close(cb_gradient(sigma), noise, 0));
    cr_expect(cbt_close(cb_gradient(mean), cb_full_like(mean, 1), 0));
    cb_tape_free(tape);
    cb_tensor_free(plain);
}

static cb_tensor *noisy(const void *context, cb_tensor *const *in) {
    cb_random *random = *(cb_random *const *)context;
    cb_tensor *y = cb_mul(cb_tanh(in[0]), cb_normal_like(in[0], 1, 0.5, random));
    y = cb_mul(y, cb_bernoulli_like(y, 0.7, random));
    return cb_mul(cb_square(y), cb_gumbel_like(in[0], random));
}

Test(random_tensors, a_checkpoint_draws_the_same_again) {
    cb_tensor *values = cb_tensor_new(CB_F64, CB_SHAPE(7, 9)), *gradients[2];
    cb_tensor_fill(values, 0.7);
    uint64_t counter[2];
    for (int inside = 0; inside < 2; inside++) {
        cb_tape *tape = cb_tape_new();
        cb_random random = cb_random_seed(3), *generator = &random;
        cb_tensor *x = cb_variable(tape, values), *y = x;
        for (int i = 0; i < 2; i++) {
            y = inside ? cb_checkpoint(noisy, &generator, sizeof(generator), 1, &y)
                       : noisy(&generator, &y);
            y = cb_mul(y, cb_uniform_like(y, 0, 1, generator));
        }
        cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
        gradients[inside] = cb_tensor_copy(cb_gradient(x), CB_F64);
        counter[inside] = random.counter;
        cb_tape_free(tape);
    }
    cr_expect_eq(counter[0], counter[1]);
    cr_expect(cbt_close(gradients[1], gradients[0], 1e-15));
    cb_tensor_free(gradients[0]);
    cb_tensor_free(gradients[1]);
    cb_tensor_free(values);
}

/* ---- What they refuse ------------------------------------------------------------------------ */

Test(random_tensors, refuse_what_is_outside_their_range) {
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(1);
    cb_normal(tape, CB_F32, CB_SHAPE(2), 0, -1, &random);
    cbt_expect_failure(
        tape, CB_ERROR_VALUE,
        "normal: [2]: a mean of 0 and a deviation of -1: not finite, or negative (op 2)");
    cb_uniform(tape, CB_F64, CB_SHAPE(2), 1, 0, &random);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "uniform: f64[2]: [1, 0) is no range (op 2)");
    cb_uniform(tape, CB_F64, CB_SHAPE(2), 0, INFINITY, &random);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "uniform: f64[2]: [0, inf) is no range (op 2)");
    cb_uniform(tape, CB_F32, CB_SHAPE(2), -1e300, 1e300, &random);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "uniform: [2]: -1e+300 and 1e+300 are beyond f32");
    cb_normal(tape, CB_F32, CB_SHAPE(2), 1e300, 1, &random);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "normal: [2]: 1e+300 and 1 are beyond f32");
    cb_bernoulli(tape, CB_F32, CB_SHAPE(2), 1.5, &random);
    cbt_expect_failure(tape, CB_ERROR_VALUE,
                       "bernoulli: [2]: a probability of 1.5 is outside [0, 1] (op 2)");
    cb_gumbel(tape, CB_F32, CB_SHAPE(2), NULL);
    cbt_expect_failure(tape, CB_ERROR_VALUE, "gumbel: [2]: the generator is NULL (op 2)");
    cb_normal(tape, CB_I32, CB_SHAPE(2), 0, 1, &random);
    cbt_expect_failure(tape, CB_ERROR_DTYPE,
                       "normal: random: i32[2]: i32 is not accepted; f32 and f64 are (op 2)");
    cb_normal(tape, CB_F32, CB_SHAPE(-2), 0, 1, &random);
    cbt_expect_failure(tape, CB_ERROR_SHAPE, "normal: not a valid dtype and shape");
    cr_expect_eq(random.counter, 0, "a failure draws nothing");
    cb_normal_like(NULL, 0, 1, &random);
    cb_normal(NULL, CB_F32, CB_SHAPE(2), 0, 1, &random);
    cr_expect_eq(cb_tape_status(tape), CB_OK);
    cb_tensor *none = cb_normal(tape, CB_F32, CB_SHAPE(0, 3), 0, 1, &random);
    cr_expect(cb_tape_status(tape) == CB_OK && cb_tensor_count(none) == 0);
    cb_tape_free(tape);
}
