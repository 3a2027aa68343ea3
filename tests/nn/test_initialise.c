/* Initialisers: the distributions' first moments and bounds, fans and gain, orthogonality.

   Moments of a sample of n values are random themselves; tolerances are five of their standard
   errors, and the seed is fixed. */
#include <cerebra/params.h>
#include <criterion/criterion.h>
#include <math.h>

typedef struct moments {
    double mean, deviation, smallest, largest;
} moments;

static moments measure(const cb_tensor *t) {
    int64_t n = cb_tensor_count(t);
    const double *x = t->data;
    moments m = {0, 0, HUGE_VAL, -HUGE_VAL};
    for (int64_t i = 0; i < n; i++) {
        m.mean += x[i] / (double)n;
        m.smallest = fmin(m.smallest, x[i]);
        m.largest = fmax(m.largest, x[i]);
    }
    for (int64_t i = 0; i < n; i++)
        m.deviation += (x[i] - m.mean) * (x[i] - m.mean) / (double)n;
    m.deviation = sqrt(m.deviation);
    return m;
}

/* A new f64 tensor, initialised. */
static cb_tensor *drawn(int rank, const int64_t *shape, cb_init init) {
    cb_random random = cb_random_seed(42);
    cb_tensor *t = cb_tensor_new(CB_F64, rank, shape);
    cr_assert_eq(cb_initialise(t, &init, &random), CB_OK);
    return t;
}

static void expect_uniform(int rank, const int64_t *shape, cb_init init, double low, double high) {
    cb_tensor *t = drawn(rank, shape, init);
    moments m = measure(t);
    double n = (double)cb_tensor_count(t), width = high - low;
    cr_expect_geq(m.smallest, low);
    cr_expect_leq(m.largest, high);
    cr_expect_leq(m.smallest, low + 20 * width / n);
    cr_expect_geq(m.largest, high - 20 * width / n);
    cr_expect_float_eq(m.mean, (low + high) / 2, 5 * width / sqrt(12 * n));
    cr_expect_float_eq(m.deviation, width / sqrt(12), 5 * 0.26 * width / sqrt(n));
    cb_tensor_free(t);
}

static void expect_normal(int rank, const int64_t *shape, cb_init init, double mean,
                          double deviation) {
    cb_tensor *t = drawn(rank, shape, init);
    moments m = measure(t);
    double n = (double)cb_tensor_count(t);
    cr_expect_float_eq(m.mean, mean, 5 * deviation / sqrt(n));
    cr_expect_float_eq(m.deviation, deviation, 5 * deviation / sqrt(2 * n));
    /* The largest of n values: a bounded distribution would stay under two deviations. */
    cr_expect_geq((m.largest - mean) / deviation, 3);
    cb_tensor_free(t);
}

#define INIT(name, ...)                                                                            \
    (cb_init) {                                                                                    \
        .kind = CB_INIT_##name, __VA_ARGS__                                                        \
    }

Test(initialise, constants) {
    cb_tensor *t = drawn(CB_SHAPE(10), INIT(CONSTANT, .a = 2.5));
    moments m = measure(t);
    cr_expect_eq(m.smallest, 2.5);
    cr_expect_eq(m.largest, 2.5);
    cb_tensor_free(t);
    t = drawn(CB_SHAPE(10), INIT(ZEROS, .a = 1));
    cr_expect_eq(measure(t).largest, 0);
    cr_expect_eq(measure(t).smallest, 0);
    cb_tensor_free(t);
}

Test(initialise, uniform_and_normal) {
    expect_uniform(CB_SHAPE(20000), INIT(UNIFORM, .a = -1, .b = 3), -1, 3);
    expect_normal(CB_SHAPE(20000), INIT(NORMAL, .a = 2, .b = 0.5), 2, 0.5);
}

Test(initialise, glorot) {
    double bound = sqrt(6.0 / 500);
    expect_uniform(CB_SHAPE(200, 300), INIT(GLOROT_UNIFORM, .gain = 0), -bound, bound);
    expect_normal(CB_SHAPE(200, 300), INIT(GLOROT_NORMAL, .gain = 0), 0, sqrt(2.0 / 500));
    expect_normal(CB_SHAPE(200, 300), INIT(GLOROT_NORMAL, .gain = 3), 0, 3 * sqrt(2.0 / 500));
}

Test(initialise, kaiming) {
    double bound = sqrt(3.0 / 300);
    expect_uniform(CB_SHAPE(200, 300), INIT(KAIMING_UNIFORM, .gain = 0), -bound, bound);
    expect_uniform(CB_SHAPE(200, 300), INIT(KAIMING_UNIFORM, .gain = 2), -2 * bound, 2 * bound);
    expect_normal(CB_SHAPE(200, 300), INIT(KAIMING_NORMAL, .gain = 0), 0, 1 / sqrt(300));
}

Test(initialise, further_axes_multiply_both_fans) {
    /* [out, in, 3, 5]: fan_out = 600, fan_in = 450. */
    expect_normal(CB_SHAPE(40, 30, 3, 5), INIT(KAIMING_NORMAL, .gain = 0), 0, 1 / sqrt(450));
    expect_normal(CB_SHAPE(40, 30, 3, 5), INIT(GLOROT_NORMAL, .gain = 0), 0, sqrt(2.0 / 1050));
}

Test(initialise, a_vector_has_its_extent_as_both_fans) {
    expect_normal(CB_SHAPE(20000), INIT(GLOROT_NORMAL, .gain = 0), 0, sqrt(1.0 / 20000));
    expect_normal(CB_SHAPE(20000), INIT(KAIMING_NORMAL, .gain = 0), 0, sqrt(1.0 / 20000));
}

Test(initialise, fans_that_are_given_replace_those_of_the_shape) {
    expect_normal(CB_SHAPE(200, 300), INIT(KAIMING_NORMAL, .fan_in = 25), 0, 0.2);
    expect_normal(CB_SHAPE(200, 300), INIT(GLOROT_NORMAL, .fan_in = 20, .fan_out = 30), 0, 0.2);
    expect_normal(CB_SHAPE(200, 300), INIT(GLOROT_NORMAL, .fan_out = 100), 0, sqrt(2.0 / 400));
}

/* That the vectors along the shorter side of t, seen as a matrix, are orthogonal and of length
   gain. */
static void expect_orthogonal(int rank, const int64_t *shape, double gain) {
    cb_tensor *t = drawn(rank, shape, INIT(ORTHOGONAL, .gain = gain == 1 ? 0 : gain));
    int64_t rows = shape[0], columns = cb_tensor_count(t) / rows;
    bool tall = rows > columns;
    int64_t count = tall ? columns : rows, length = tall ? rows : columns;
    int64_t vector = tall ? 1 : columns, element = tall ? columns : 1;
    const double *x = t->data;
    double worst = 0;
    for (int64_t a = 0; a < count; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double dot = 0;
            for (int64_t i = 0; i < length; i++)
                dot += x[a * vector + i * element] * x[b * vector + i * element];
            worst = fmax(worst, fabs(dot - (a == b ? gain * gain : 0)));
        }
    }
    cr_expect_leq(worst, 1e-11 * gain * gain, "%lld x %lld: %g", (long long)rows,
                  (long long)columns, worst);
    cb_tensor_free(t);
}

Test(initialise, orthogonal_rows_or_columns) {
    expect_orthogonal(CB_SHAPE(1, 1), 1);
    expect_orthogonal(CB_SHAPE(1, 7), 1);
    expect_orthogonal(CB_SHAPE(7, 1), 1);
    expect_orthogonal(CB_SHAPE(30, 50), 1);
    expect_orthogonal(CB_SHAPE(50, 30), 1);
    expect_orthogonal(CB_SHAPE(200, 200), 1);
    expect_orthogonal(CB_SHAPE(20, 3, 5), 1.5);
    expect_orthogonal(CB_SHAPE(10, 3, 5), 0.25);
}

Test(initialise, orthogonal_matrices_are_rotations_and_reflections_alike) {
    /* A uniformly distributed 1 x 1 "matrix" is +1 or -1. */
    cb_random random = cb_random_seed(5);
    cb_tensor *t = cb_tensor_new(CB_F64, CB_SHAPE(1, 1));
    cb_init init = {.kind = CB_INIT_ORTHOGONAL};
    int positive = 0;
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(cb_initialise(t, &init, &random), CB_OK);
        positive += *(double *)t->data > 0;
    }
    cr_expect_geq(positive, 150);
    cr_expect_leq(positive, 250);
    cb_tensor_free(t);
}

Test(initialise, f32_is_drawn_too) {
    cb_random random = cb_random_seed(1);
    cb_tensor *t = cb_tensor_new(CB_F32, CB_SHAPE(2, 2));
    cr_assert_eq(cb_initialise(t, &INIT(ORTHOGONAL, .gain = 2), &random), CB_OK);
    const float *x = t->data;
    cr_expect_float_eq(x[0] * x[0] + x[1] * x[1], 4, 1e-5);
    cr_expect_float_eq(x[0] * x[2] + x[1] * x[3], 0, 1e-5);
    cb_tensor_free(t);
}

Test(initialise, bad_arguments) {
    cb_random random = cb_random_seed(1);
    cb_tensor *t = cb_tensor_new(CB_F32, CB_SHAPE(2, 3));
    cb_tensor *integers = cb_tensor_new(CB_I32, CB_SHAPE(2, 3));
    cb_tensor turned = *t;
    turned.shape[0] = 3, turned.shape[1] = 2, turned.stride[0] = 1, turned.stride[1] = 3;
    const cb_init bad[] = {
        {.kind = CB_INIT_DEFAULT},
        {.kind = CB_INIT_CONSTANT, .a = NAN},
        {.kind = CB_INIT_UNIFORM, .a = 1, .b = 0},
        {.kind = CB_INIT_UNIFORM, .a = -HUGE_VAL, .b = 0},
        {.kind = CB_INIT_NORMAL, .a = 0, .b = -1},
        {.kind = CB_INIT_NORMAL, .a = NAN, .b = 1},
        {.kind = CB_INIT_GLOROT_NORMAL, .gain = -1},
        {.kind = CB_INIT_KAIMING_NORMAL, .fan_in = -1},
        {.kind = CB_INIT_KAIMING_NORMAL, .fan_out = NAN},
        {.kind = (cb_init_kind)99},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(cb_initialise(t, &bad[i], &random), CB_ERROR_VALUE, "case %zu", i);
    cb_init good = INIT(NORMAL, .b = 1);
    cr_expect_eq(cb_initialise(integers, &good, &random), CB_ERROR_DTYPE);
    cr_expect_eq(cb_initialise(&turned, &good, &random), CB_ERROR_SHAPE);
    cr_expect_eq(cb_initialise(NULL, &good, &random), CB_ERROR_VALUE);
    cr_expect_eq(cb_initialise(t, NULL, &random), CB_ERROR_VALUE);
    cr_expect_eq(cb_initialise(t, &good, NULL), CB_ERROR_VALUE);
    cb_tensor_free(t);
    cb_tensor_free(integers);
}
