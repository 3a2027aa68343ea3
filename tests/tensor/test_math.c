/* Accuracy and special values of tensor/math.h, run in loops as kernels run them: once compiled for
   the instruction sets of CBI_MULTIVERSION, once for the baseline only.

   Single precision is held against the C library's double precision, every 1009th bit pattern and
   all patterns next to a power of two or a special value; every pattern when
   CEREBRA_TEST_ALL_FLOATS is set (half an hour). Double precision is held against long double on
   random arguments. */
#include "tensor/math.h"
#include "tensor/multiversion.h"

#include <criterion/criterion.h>
#include <float.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

enum { BATCH = 4096 };

typedef void loop_f32(int64_t n, const float *x, float *y);
typedef void loop_f64(int64_t n, const double *x, double *y);

/* Name, and references in double and long double. */
#define FUNCTIONS(X)                                                                               \
    X(exp, exp, expl)                                                                              \
    X(log, log, logl)                                                                              \
    X(tanh, tanh, tanhl)                                                                           \
    X(sigmoid, sigmoid, sigmoidl)                                                                  \
    X(log1p, log1p, log1pl)                                                                        \
    X(expm1, expm1, expm1l)                                                                        \
    X(erf, erf, erfl)                                                                              \
    X(sin, sin, sinl)                                                                              \
    X(cos, cos, cosl)

static double sigmoid(double x) {
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static long double sigmoidl(long double x) {
    return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

#define LOOP(attribute, prefix, name, suffix, type)                                                \
    attribute static void prefix##_##name##_##suffix(int64_t n, const type *restrict x,            \
                                                     type *restrict y) {                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = cbi_##name##_##suffix(x[i]);                                                    \
    }
#define LOOPS(name, reference, long_reference)                                                     \
    LOOP(CBI_MULTIVERSION, test_math_fast, name, f32, float)                                       \
    LOOP(CBI_MULTIVERSION, test_math_fast, name, f64, double)                                      \
    LOOP(, test_math_baseline, name, f32, float)                                                   \
    LOOP(, test_math_baseline, name, f64, double)
FUNCTIONS(LOOPS)

typedef struct function {
    const char *name;
    loop_f32 *f32[2];
    loop_f64 *f64[2];
    double (*reference)(double);
    long double (*long_reference)(long double);
} function;

static const function functions[] = {
#define ROW(name, reference, long_reference)                                                       \
    {#name,                                                                                        \
     {test_math_fast_##name##_f32, test_math_baseline_##name##_f32},                               \
     {test_math_fast_##name##_f64, test_math_baseline_##name##_f64},                               \
     reference,                                                                                    \
     long_reference},
    FUNCTIONS(ROW)
#undef ROW
};
enum { FUNCTION_COUNT = sizeof functions / sizeof functions[0] };

static const function *find(const char *name) {
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

/* Error in units of the last place that a result near the reference has; infinite for a NaN, an
   infinity or a sign of zero that is wrong. digits: bits of the significand. */
static long double error_in_ulps(long double got, long double reference, long double rounded,
                                 int digits, int least_exponent) {
    if (isnan(reference) || isinf(rounded) || isnan(got) || isinf(got)) {
        bool same = isnan(reference) ? isnan(got) : got == rounded;
        return same ? 0 : HUGE_VALL;
    }
    if (got == 0 && !signbit(got) != !signbit(reference))
        return HUGE_VALL;
    int exponent = reference == 0 ? least_exponent : ilogbl(reference);
    exponent = exponent < least_exponent ? least_exponent : exponent;
    return fabsl(got - reference) / ldexpl(1, exponent - digits + 1);
}

typedef struct worst {
    long double ulps;
    double x;
} worst;

static void check_batch_f32(const function *f, int64_t n, const float *x, worst *w) {
    for (int path = 0; path < 2; path++) {
        float y[BATCH];
        f->f32[path](n, x, y);
        for (int64_t i = 0; i < n; i++) {
            double r = f->reference((double)x[i]);
            long double ulps = error_in_ulps((long double)y[i], (long double)r,
                                             (long double)(float)r, FLT_MANT_DIG, FLT_MIN_EXP - 1);
            if (ulps > w->ulps)
                *w = (worst){ulps, (double)x[i]};
        }
    }
}

static void check_f32(const char *name) {
    const function *f = find(name);
    cr_assert_not_null(f);
    worst w = {0, 0};
    float x[BATCH];
    uint64_t step = getenv("CEREBRA_TEST_ALL_FLOATS") != NULL ? 1 : 1009;
    for (uint64_t pattern = 0; pattern <= UINT32_MAX;) {
        int64_t n = 0;
        for (; n < BATCH && pattern <= UINT32_MAX; n++, pattern += step)
            x[n] = cbi_from_bits_f32((uint32_t)pattern);
        check_batch_f32(f, n, x, &w);
    }
    for (uint32_t exponent = 0; exponent < 512; exponent++) { /* each with both signs */
        int64_t n = 0;
        for (uint32_t i = 0; i < 256; i++)
            x[n++] = cbi_from_bits_f32((exponent << 23) + i - 128u);
        check_batch_f32(f, n, x, &w);
    }
    cr_assert(w.ulps <= 2.0L, "%s_f32: %.4Lf ulp at %a", name, w.ulps, w.x);
}

static void check_f64(const char *name) {
    const function *f = find(name);
    cr_assert_not_null(f);
    if (LDBL_MANT_DIG < 64)
        cr_skip_test("long double has no more digits than double");
    worst w = {0, 0};
    uint64_t state = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
    for (int batch = 0; batch < 3 * 32; batch++) {
        double x[BATCH], y[BATCH];
        for (int i = 0; i < BATCH; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            double u = (double)(int64_t)state * 0x1p-63;
            /* any bit pattern; the range of exp; all scales around 0, and near 1 for log */
            double near = ldexp(u, -(int)(state % 40)) + (strcmp(name, "log") == 0 ? 1.0 : 0.0);
            x[i] = batch % 3 == 0 ? cbi_from_bits_f64(state) : batch % 3 == 1 ? 750.0 * u : near;
        }
        for (int path = 0; path < 2; path++) {
            f->f64[path](BATCH, x, y);
            for (int i = 0; i < BATCH; i++) {
                long double r = f->long_reference((long double)x[i]);
                long double ulps = error_in_ulps((long double)y[i], r, (long double)(double)r,
                                                 DBL_MANT_DIG, DBL_MIN_EXP - 1);
                w = ulps > w.ulps ? (worst){ulps, x[i]} : w;
            }
        }
    }
    cr_assert(w.ulps <= 2.5L, "%s_f64: %.4Lf ulp at %a", name, w.ulps, w.x);
}

#define ACCURACY(name, reference, long_reference)                                                  \
    Test(math, name##_f32, .timeout = 3600) {                                                      \
        check_f32(#name);                                                                          \
    }                                                                                              \
    Test(math, name##_f64) {                                                                       \
        check_f64(#name);                                                                          \
    }
FUNCTIONS(ACCURACY)

typedef struct special {
    const char *name;
    double x, y;
} special;

static const special specials[] = {
    {"exp", 0.0, 1.0},
    {"exp", -0.0, 1.0},
    {"exp", HUGE_VAL, HUGE_VAL},
    {"exp", -HUGE_VAL, 0.0},
    {"exp", 1e30, HUGE_VAL},
    {"exp", -1e30, 0.0},
    {"log", 0.0, -HUGE_VAL},
    {"log", -0.0, -HUGE_VAL},
    {"log", HUGE_VAL, HUGE_VAL},
    {"log", -1.0, NAN},
    {"log", -HUGE_VAL, NAN},
    {"log", 1.0, 0.0},
    {"tanh", 0.0, 0.0},
    {"tanh", -0.0, -0.0},
    {"tanh", HUGE_VAL, 1.0},
    {"tanh", -HUGE_VAL, -1.0},
    {"sigmoid", 0.0, 0.5},
    {"sigmoid", -0.0, 0.5},
    {"sigmoid", HUGE_VAL, 1.0},
    {"sigmoid", -HUGE_VAL, 0.0},
    {"log1p", 0.0, 0.0},
    {"log1p", -0.0, -0.0},
    {"log1p", -1.0, -HUGE_VAL},
    {"log1p", -2.0, NAN},
    {"log1p", HUGE_VAL, HUGE_VAL},
    {"log1p", -HUGE_VAL, NAN},
    {"expm1", 0.0, 0.0},
    {"expm1", -0.0, -0.0},
    {"expm1", HUGE_VAL, HUGE_VAL},
    {"expm1", -HUGE_VAL, -1.0},
    {"erf", 0.0, 0.0},
    {"erf", -0.0, -0.0},
    {"erf", HUGE_VAL, 1.0},
    {"erf", -HUGE_VAL, -1.0},
    {"sin", 0.0, 0.0},
    {"sin", -0.0, -0.0},
    {"sin", HUGE_VAL, NAN},
    {"sin", -HUGE_VAL, NAN},
    {"cos", 0.0, 1.0},
    {"cos", -0.0, 1.0},
    {"cos", HUGE_VAL, NAN},
    {"cos", -HUGE_VAL, NAN},
};

static bool same(double got, double expected) {
    return isnan(expected) ? isnan(got) : got == expected && !signbit(got) == !signbit(expected);
}

/* Enough copies that the vector body of the loop runs, and its remainder too. */
enum { COPIES = 37 };

static void check_special(const special *s, int path) {
    const function *f = find(s->name);
    float x32[COPIES], y32[COPIES];
    double x64[COPIES], y64[COPIES];
    for (int i = 0; i < COPIES; i++) {
        x64[i] = s->x;
        x32[i] = (float)s->x;
    }
    f->f32[path](COPIES, x32, y32);
    f->f64[path](COPIES, x64, y64);
    for (int i = 0; i < COPIES; i++) {
        cr_expect(same((double)y32[i], s->y), "%s_f32(%g) = %g", s->name, s->x, (double)y32[i]);
        cr_expect(same(y64[i], s->x == 1e30 || s->x == -1e30 ? f->reference(s->x) : s->y),
                  "%s_f64(%g) = %g", s->name, s->x, y64[i]);
    }
}

Test(math, special_values) {
    for (int path = 0; path < 2; path++) {
        for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
            check_special(&specials[i], path);
        for (int i = 0; i < FUNCTION_COUNT; i++)
            check_special(&(special){functions[i].name, NAN, NAN}, path);
    }
}

Test(math, subnormal_double_results) {
    for (int path = 0; path < 2; path++) {
        double x[2] = {-744.0, 0x1p-1074}, y[2];
        find("exp")->f64[path](1, x, y);
        cr_expect(y[0] == 0x1p-1073);
        find("sigmoid")->f64[path](1, x, y);
        cr_expect(y[0] == 0x1p-1073);
        find("tanh")->f64[path](2, x, y);
        cr_expect(y[1] == 0x1p-1074);
        find("log")->f64[path](2, x, y);
        cr_expect_float_eq(y[1], -744.4400719213812, 1e-12);
    }
}

#if defined(__SSE2__)
/* With subnormals flushed to zero, as in the library's threads, normal arguments with normal
   results give the same bits as without. */
static void check_flushed(const function *f, int path, const float *x) {
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    float y[BATCH], flushed[BATCH];
    f->f32[path](BATCH, x, y);
    unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    f->f32[path](BATCH, x, flushed);
    _mm_setcsr(saved);
    for (int i = 0; i < BATCH; i++) {
        if (isnormal(x[i]) && isnormal(y[i])) {
            cr_assert(cbi_bits_f32(y[i]) == cbi_bits_f32(flushed[i]), "%s(%a)", f->name,
                      (double)x[i]);
        }
    }
}

Test(math, flush_to_zero_changes_no_normal_result) {
    for (uint64_t pattern = 0; pattern <= UINT32_MAX;) {
        float x[BATCH];
        for (int i = 0; i < BATCH; i++, pattern += 4001)
            x[i] = cbi_from_bits_f32((uint32_t)pattern);
        for (int f = 0; f < FUNCTION_COUNT; f++) {
            check_flushed(&functions[f], 0, x);
            check_flushed(&functions[f], 1, x);
        }
    }
}
#endif
