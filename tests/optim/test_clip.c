/* Gradient clipping against PyTorch, over threads, and with gradients that are not finite. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* A set of zeros whose gradients are those of the file. */
static cb_params *with_gradients(const cb_safetensors *file, cb_dtype dtype) {
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_params *params = cb_params_new_dtype(1, dtype);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "grads.%d", i);
        const cb_tensor *gradient = cbt_find(file, name);
        cb_param *param = cb_params_add(params, name, gradient->rank, gradient->shape, 0, &zeros);
        cr_assert_eq(cb_tensor_assign(param->gradient, gradient), CB_OK);
    }
    return params;
}

static void expect_clipped(const char *name, cb_dtype dtype, double max_norm, double limit) {
    cb_safetensors *file = cbt_reference(name);
    cb_params *params = with_gradients(file, dtype);
    if (max_norm > 0) {
        double norm = cb_clip_gradient_norm(params, max_norm);
        double expected = cb_tensor_get(cbt_find(file, "norm"), NULL);
        cr_expect(fabs(norm - expected) <= 1e-6 * expected, "%s: norm %.9g, not %.9g", name, norm,
                  expected);
    } else {
        cb_clip_gradient_value(params, limit);
    }
    for (int i = 0; i < 2; i++) {
        char clipped[16];
        snprintf(clipped, sizeof clipped, "clipped.%d", i);
        cr_expect(cbt_close(cb_params_at(params, i)->gradient, cbt_find(file, clipped), 1e-6), "%s",
                  name);
    }
    cb_params_free(params);
    cb_safetensors_free(file);
}

Test(clip, equals_pytorch) {
    for (cb_dtype dtype = CB_F32; dtype <= CB_F64; dtype++) {
        expect_clipped("clip_norm", dtype, 2.5, 0);
        expect_clipped("clip_norm_inactive", dtype, 100, 0);
        expect_clipped("clip_value", dtype, 0, 0.5);
    }
}

/* A set with one parameter of n elements, all gradients equal to g. */
static cb_params *filled(int64_t n, float g) {
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_params *params = cb_params_new(1);
    cb_param *param = cb_params_add(params, "w", CB_SHAPE(n), 0, &zeros);
    cr_assert_not_null(param);
    cb_tensor_fill(param->gradient, g);
    return params;
}

Test(clip, the_norm_of_many_elements_does_not_depend_on_threads) {
    /* More elements than pieces of the smallest size, and no multiple of anything. */
    const int64_t n = 2000003;
    cb_params *params = filled(n, 0);
    float *g = cb_params_at(params, 0)->gradient->data;
    double expected = 0;
    for (int64_t i = 0; i < n; i++) {
        g[i] = (float)(i % 1000) / 500 - 1;
        expected += (double)g[i] * (double)g[i];
    }
    int threads = cb_threads();
    cb_set_threads(1);
    double one = cb_clip_gradient_norm(params, HUGE_VAL);
    cb_set_threads(3);
    double three = cb_clip_gradient_norm(params, HUGE_VAL);
    cb_set_threads(threads);
    cr_expect_eq(one, three);
    cr_expect_float_eq(one, sqrt(expected), 1e-9 * one);
    cr_expect_eq(g[1], (float)1 / 500 - 1);
    double before = cb_clip_gradient_norm(params, 1), after = cb_clip_gradient_norm(params, 1);
    cr_expect_float_eq(before, one, 1e-9 * one);
    cr_expect_float_eq(after, 1, 1e-5);
    cb_params_free(params);
}

Test(clip, the_norm_does_not_overflow_in_f32) {
    cb_params *params = filled(4, 1e30F);
    double norm = cb_clip_gradient_norm(params, 1);
    cr_expect_float_eq(norm, 2e30, 1e24);
    cr_expect_float_eq(*(float *)cb_params_at(params, 0)->gradient->data, 0.5, 1e-6);
    cb_params_free(params);
}

/* Squares of f64 leave the range of exponents where the numbers themselves do not. */
Test(clip, the_norm_keeps_its_digits_in_f64) {
    static const double sizes[] = {1e200, 1e300, 1e154, 1, 1e-150, 1e-200, 1e-300};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const cb_init zeros = {.kind = CB_INIT_ZEROS};
        cb_params *params = cb_params_new_dtype(1, CB_F64);
        cb_param *param = cb_params_add(params, "w", CB_SHAPE(2), 0, &zeros);
        double *gradient = param->gradient->data, size = sizes[i];
        gradient[0] = 3 * size, gradient[1] = 4 * size;
        double norm = cb_clip_gradient_norm(params, 2.5 * size);
        cr_expect(fabs(norm / size - 5) < 1e-14, "%g", norm);
        double scale = 2.5 * size / (5 * size + 1e-6);
        cr_expect(size < 1e-150 || fabs(gradient[1] / scale / (4 * size) - 1) < 1e-14, "%g",
                  gradient[1]);
        cb_params_free(params);
    }
}

Test(clip, small_norms_are_scaled_with_the_epsilon_in_the_denominator) {
    cb_params *params = filled(4, 1e-6F);
    double norm = cb_clip_gradient_norm(params, 1e-6);
    cr_expect_float_eq(norm, 2e-6, 1e-12);
    float expected = 1e-6F / 3;
    cr_expect_float_eq(*(float *)cb_params_at(params, 0)->gradient->data, expected, 1e-12);
    cb_params_free(params);
}

Test(clip, norms_that_are_not_finite_change_nothing) {
    const float bad[] = {NAN, HUGE_VALF};
    for (int i = 0; i < 2; i++) {
        cb_params *params = filled(3, 2);
        float *g = cb_params_at(params, 0)->gradient->data;
        g[1] = bad[i];
        cr_expect_not(isfinite(cb_clip_gradient_norm(params, 1)));
        cr_expect_eq(g[0], 2);
        cr_expect_eq(g[2], 2);
        cb_clip_gradient_value(params, 1);
        cr_expect_eq(g[0], 1);
        cr_expect(i == 0 ? isnan(g[1]) : g[1] == 1);
        cb_params_free(params);
    }
}

Test(clip, bad_limits_change_nothing) {
    const double bad[] = {-1, NAN};
    cb_params *params = filled(3, 2);
    float *g = cb_params_at(params, 0)->gradient->data;
    for (int i = 0; i < 2; i++) {
        double norm = cb_clip_gradient_norm(params, bad[i]);
        cr_expect_float_eq(norm, 2 * sqrt(3), 1e-12);
        cb_clip_gradient_value(params, bad[i]);
        cr_expect_eq(g[0], 2);
    }
    cr_expect_eq(cb_clip_gradient_norm(NULL, 1), 0);
    cb_clip_gradient_value(NULL, 1);
    cb_params_free(params);
}
