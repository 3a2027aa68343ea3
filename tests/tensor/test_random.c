/* Random numbers: Philox against Random123's published known answers, independence of how a fill is
   split, bounds, and the statistics of large samples.

   Statistics of a sample are random themselves. Seeds are fixed, and tolerances are five standard
   errors (moments) or the 0.9999 quantile (chi-square). */
#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 400000 };

/* Lines "philox4x32 10" of Random123's kat_vectors: counter, key, result. A split uses all four
   counter words, and its key shows the first two of the result. */
Test(random, known_answers) {
    cb_random zero = cb_random_seed(0);
    cr_assert(cb_random_split(&zero, 0).key == 0xe169c58d6627e8d5u);
    cb_random ones = {UINT64_MAX, UINT64_MAX};
    cr_assert(cb_random_split(&ones, UINT64_MAX).key == 0x41c83b0e408f276du);
    cb_random pi = {0x299f31d0a4093822u, 0x85a308d3243f6a88u};
    cr_assert(cb_random_split(&pi, 0x0370734413198a2eu).key == 0x94fdccebd16cfe09u);
}

Test(random, words_reach_fills_in_order) {
    const uint32_t words[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    cb_random random = cb_random_seed(0);
    float f32[4];
    cb_random_uniform_f32(&random, 4, f32, 0, 1);
    for (int i = 0; i < 4; i++)
        cr_expect(f32[i] == (float)((double)words[i] * 0x1p-32));
    random = cb_random_seed(0);
    double f64[2];
    cb_random_uniform_f64(&random, 2, f64, 0, 1);
    for (int i = 0; i < 2; i++) {
        uint64_t word = (uint64_t)words[2 * i + 1] << 32 | words[2 * i];
        cr_expect(f64[i] == (double)(word >> 11) * 0x1p-53);
    }
    random = cb_random_seed(0);
    cr_expect(cb_random_u64(&random) == 0xe169c58d6627e8d5u);
}

Test(random, counter_moves_as_documented) {
    float f32[9];
    double f64[9];
    cb_random random = cb_random_seed(1);
    cb_random_u64(&random);
    cr_expect(random.counter == 1);
    cb_random_split(&random, 7);
    cr_expect(random.counter == 2);
    cb_random_uniform_f32(&random, 9, f32, 0, 1); /* 3 blocks of 4 */
    cr_expect(random.counter == 5);
    cb_random_normal_f64(&random, 9, f64, 0, 1); /* 5 blocks of 2 */
    cr_expect(random.counter == 10);
    cb_random_bernoulli_f64(&random, 8, f64, 0.5);
    cr_expect(random.counter == 12);
    cb_random_normal_f32(&random, 0, f32, 0, 1);
    cb_random_uniform_f64(&random, -1, f64, 0, 1);
    cr_expect(random.counter == 12);
    random.counter = UINT64_MAX;
    cb_random_uniform_f32(&random, 9, f32, 0, 1);
    cr_expect(random.counter == 2, "the counter wraps");
}

/* A prefix and a part of a long fill, made alone, equal the long fill's. */
Test(random, fills_do_not_depend_on_how_they_are_split) {
    enum { N = 100003, START = 4 * 1237, COUNT = 333 };
    float *whole = malloc(N * sizeof *whole), part[COUNT];
    double *whole64 = malloc(N * sizeof *whole64), part64[COUNT];
    cr_assert(whole != NULL && whole64 != NULL);
    for (int kind = 0; kind < 3; kind++) {
        cb_random a = {99, 12345}, b = {99, 12345 + START / 4}, c = {99, 12345 + START / 2};
        cb_random a64 = a;
        if (kind == 0) {
            cb_random_uniform_f32(&a, N, whole, -1, 2);
            cb_random_uniform_f32(&b, COUNT, part, -1, 2);
            cb_random_uniform_f64(&a64, N, whole64, -1, 2);
            cb_random_uniform_f64(&c, COUNT, part64, -1, 2);
        } else if (kind == 1) {
            cb_random_normal_f32(&a, N, whole, 1, 2);
            cb_random_normal_f32(&b, COUNT, part, 1, 2);
            cb_random_normal_f64(&a64, N, whole64, 1, 2);
            cb_random_normal_f64(&c, COUNT, part64, 1, 2);
        } else {
            c.counter = b.counter;
            cb_random_bernoulli_f32(&a, N, whole, 0.3);
            cb_random_bernoulli_f32(&b, COUNT, part, 0.3);
            cb_random_bernoulli_f64(&a64, N, whole64, 0.3);
            cb_random_bernoulli_f64(&c, COUNT, part64, 0.3);
        }
        cr_expect(memcmp(whole + START, part, sizeof part) == 0, "kind %d", kind);
        cr_expect(memcmp(whole64 + START, part64, sizeof part64) == 0, "kind %d", kind);
    }
    free(whole);
    free(whole64);
}

Test(random, fills_write_no_further_than_n) {
    for (int64_t n = 0; n < 600; n += 37) {
        float f32[600];
        double f64[600];
        for (int i = 0; i < 600; i++) {
            f32[i] = -7.0f;
            f64[i] = -7.0;
        }
        cb_random random = cb_random_seed(3);
        cb_random_uniform_f32(&random, n, f32, 0, 1);
        cb_random_uniform_f64(&random, n, f64, 0, 1);
        for (int64_t i = 0; i < 600; i++)
            cr_assert((f32[i] >= 0.0f) == (i < n) && (f64[i] >= 0.0) == (i < n));
    }
}

Test(random, streams_differ) {
    cb_random a = cb_random_seed(5), b = cb_random_seed(5), c = cb_random_seed(6);
    cb_random first = cb_random_split(&a, 0), second = cb_random_split(&a, 0);
    cb_random other = cb_random_split(&b, 1);
    cr_expect(first.key != second.key && first.key != other.key && second.key != other.key);
    cr_expect(cb_random_u64(&first) != cb_random_u64(&second));
    cr_expect(cb_random_u64(&a) != cb_random_u64(&c));
}

/* ---- uniform and normal ---- */

typedef struct moments {
    double mean, variance, skewness, kurtosis, smallest, largest;
} moments;

static moments measure(int64_t n, const double *x) {
    moments m = {0, 0, 0, 0, HUGE_VAL, -HUGE_VAL};
    for (int64_t i = 0; i < n; i++) {
        m.mean += x[i] / (double)n;
        m.smallest = fmin(m.smallest, x[i]);
        m.largest = fmax(m.largest, x[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        double d = x[i] - m.mean;
        m.variance += d * d / (double)n;
        m.skewness += d * d * d / (double)n;
        m.kurtosis += d * d * d * d / (double)n;
    }
    m.skewness /= m.variance * sqrt(m.variance);
    m.kurtosis /= m.variance * m.variance;
    return m;
}

/* A sample as doubles, whichever type it was drawn in. The caller frees it. */
static double *draw(bool single, bool normal, double first, double second, uint64_t seed) {
    double *x = malloc(SAMPLE * sizeof *x);
    float *y = malloc(SAMPLE * sizeof *y);
    cr_assert(x != NULL && y != NULL);
    cb_random random = cb_random_seed(seed);
    if (single && normal)
        cb_random_normal_f32(&random, SAMPLE, y, (float)first, (float)second);
    else if (single)
        cb_random_uniform_f32(&random, SAMPLE, y, (float)first, (float)second);
    else if (normal)
        cb_random_normal_f64(&random, SAMPLE, x, first, second);
    else
        cb_random_uniform_f64(&random, SAMPLE, x, first, second);
    for (int i = 0; single && i < SAMPLE; i++)
        x[i] = (double)y[i];
    free(y);
    return x;
}

/* Pearson's statistic of the counts of 100 cells of equal probability: 99 degrees of freedom,
   0.9999 quantile 161.3; the 0.0001 quantile is 54.7. */
static double chi_square(int64_t n, const double *probability) {
    double counts[100] = {0}, sum = 0, expected = (double)n / 100;
    for (int64_t i = 0; i < n; i++)
        counts[(int)fmin(probability[i] * 100, 99)] += 1;
    for (int cell = 0; cell < 100; cell++)
        sum += (counts[cell] - expected) * (counts[cell] - expected) / expected;
    return sum;
}

Test(random, uniform_statistics) {
    for (int single = 0; single < 2; single++) {
        double *x = draw(single, false, -3, 5, 11);
        moments m = measure(SAMPLE, x);
        double error = 5 * sqrt(64.0 / 12 / SAMPLE);
        cr_expect_float_eq(m.mean, 1, error);
        cr_expect_float_eq(m.variance, 64.0 / 12, 5 * 64.0 / sqrt(180.0 * SAMPLE));
        cr_expect(m.smallest >= -3 && m.largest < 5);
        double lag = 0; /* neighbours are uncorrelated */
        for (int i = 0; i + 1 < SAMPLE; i++)
            lag += (x[i] - 1) * (x[i + 1] - 1) / (64.0 / 12) / SAMPLE;
        cr_expect_float_eq(lag, 0, 5 / sqrt(SAMPLE));
        for (int i = 0; i < SAMPLE; i++)
            x[i] = (x[i] + 3) / 8;
        double chi = chi_square(SAMPLE, x);
        cr_expect(chi > 54.7 && chi < 161.3, "chi-square %g", chi);
        free(x);
    }
}

Test(random, normal_statistics) {
    for (int single = 0; single < 2; single++) {
        double *x = draw(single, true, 2, 3, 12);
        moments m = measure(SAMPLE, x);
        cr_expect_float_eq(m.mean, 2, 5 * 3 / sqrt(SAMPLE));
        cr_expect_float_eq(m.variance, 9, 5 * 9 * sqrt(2.0 / SAMPLE));
        cr_expect_float_eq(m.skewness, 0, 5 * sqrt(6.0 / SAMPLE));
        cr_expect_float_eq(m.kurtosis, 3, 5 * sqrt(24.0 / SAMPLE));
        double pairs = 0; /* the two results of one pair are uncorrelated */
        for (int i = 0; i < SAMPLE; i += 2)
            pairs += (x[i] - 2) * (x[i + 1] - 2) / 9 / (SAMPLE / 2);
        cr_expect_float_eq(pairs, 0, 5 / sqrt(SAMPLE / 2));
        for (int i = 0; i < SAMPLE; i++)
            x[i] = 0.5 * erfc((2 - x[i]) / 3 / sqrt(2.0));
        double chi = chi_square(SAMPLE, x);
        cr_expect(chi > 54.7 && chi < 161.3, "chi-square %g", chi);
        free(x);
    }
}

/* Intervals of a few representable numbers, where rounding would give high in half the draws. */
Test(random, uniform_never_gives_high) {
    float f32[4096];
    double f64[4096];
    cb_random random = cb_random_seed(13);
    cb_random_uniform_f32(&random, 4096, f32, 1.0f, nextafterf(1.0f, 2.0f));
    cb_random_uniform_f64(&random, 4096, f64, 1.0, nextafter(1.0, 2.0));
    for (int i = 0; i < 4096; i++)
        cr_assert(f32[i] == 1.0f && f64[i] == 1.0);
    cb_random_uniform_f32(&random, 4096, f32, 0x1p24f, 0x1p24f + 4);
    cb_random_uniform_f64(&random, 4096, f64, -0x1p53 - 4, -0x1p53);
    for (int i = 0; i < 4096; i++) {
        cr_assert(f32[i] >= 0x1p24f && f32[i] < 0x1p24f + 4);
        cr_assert(f64[i] >= -0x1p53 - 4 && f64[i] < -0x1p53);
    }
    cb_random_uniform_f32(&random, 4096, f32, 0.1f, 0.1f);
    cb_random_uniform_f64(&random, 4096, f64, 0.1, 0.1);
    for (int i = 0; i < 4096; i++)
        cr_assert(f32[i] == 0.1f && f64[i] == 0.1);
    cb_random_uniform_f32(&random, 4096, f32, -FLT_MAX, FLT_MAX);
    cb_random_uniform_f64(&random, 4096, f64, -DBL_MAX, DBL_MAX);
    for (int i = 0; i < 4096; i++)
        cr_assert(isfinite(f32[i]) && isfinite(f64[i]));
}

/* ---- bernoulli ---- */

Test(random, bernoulli_statistics) {
    float *x = malloc(SAMPLE * sizeof *x);
    double *y = malloc(SAMPLE * sizeof *y);
    cr_assert(x != NULL && y != NULL);
    const double probabilities[] = {0.0, 0.1, 0.5, 0.9, 1.0, -1.0, 2.0, NAN};
    for (int k = 0; k < 8; k++) {
        double p = probabilities[k], expected = p > 1 ? 1 : p > 0 ? p : 0, mean = 0;
        cb_random a = cb_random_seed(14), b = a;
        cb_random_bernoulli_f32(&a, SAMPLE, x, p);
        cb_random_bernoulli_f64(&b, SAMPLE, y, p);
        for (int i = 0; i < SAMPLE; i++) {
            cr_assert((x[i] == 0.0f || x[i] == 1.0f) && (double)x[i] == y[i]);
            mean += y[i];
        }
        mean /= SAMPLE;
        cr_expect_float_eq(mean, expected, 5 * sqrt(expected * (1 - expected) / SAMPLE) + 1e-15);
    }
    free(x);
    free(y);
}

/* ---- integers, permutations, choices ---- */

Test(random, below_is_uniform) {
    cb_random random = cb_random_seed(15);
    double counts[7] = {0}, chi = 0;
    for (int i = 0; i < 70000; i++)
        counts[cb_random_below(&random, 7)] += 1;
    for (int i = 0; i < 7; i++)
        chi += (counts[i] - 10000) * (counts[i] - 10000) / 10000;
    cr_expect(chi < 27.9, "chi-square %g", chi); /* 6 degrees of freedom */
    cr_expect(cb_random_below(&random, 0) == 0 && cb_random_below(&random, 1) == 0);
    /* Of n = 3 2^62 the plain remainder would give the lowest third in half the draws. */
    double low = 0;
    for (int i = 0; i < 40000; i++) {
        uint64_t draw = cb_random_below(&random, 3u * ((uint64_t)1 << 62));
        cr_assert(draw < 3u * ((uint64_t)1 << 62));
        low += draw < (uint64_t)1 << 62 ? 1.0 / 40000 : 0;
    }
    cr_expect_float_eq(low, 1.0 / 3, 5 * sqrt(2.0 / 9 / 40000));
}

Test(random, permutation_is_a_permutation) {
    int64_t out[1000];
    bool seen[1000] = {false};
    cb_random random = cb_random_seed(16);
    cb_random_permutation(&random, 1000, out);
    for (int i = 0; i < 1000; i++) {
        cr_assert(out[i] >= 0 && out[i] < 1000 && !seen[out[i]]);
        seen[out[i]] = true;
    }
    cb_random_permutation(&random, 0, NULL);
}

/* Each of the 24 orders of 4 items, from permutation and from choice, and each ordered pair of 4.
 */
Test(random, orders_are_equally_likely) {
    double permutations[256] = {0}, choices[256] = {0}, pairs[16] = {0};
    cb_random random = cb_random_seed(17);
    for (int i = 0; i < 24000; i++) {
        int64_t p[4];
        cb_random_permutation(&random, 4, p);
        permutations[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]] += 1;
        cr_assert(cb_random_choice(&random, 4, 4, p));
        choices[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]] += 1;
        cr_assert(cb_random_choice(&random, 4, 2, p));
        pairs[p[0] * 4 + p[1]] += 1;
    }
    double chi[3] = {0, 0, 0};
    for (int i = 0; i < 256; i++) {
        chi[0] += permutations[i] > 0 ? pow(permutations[i] - 1000, 2) / 1000 : 0;
        chi[1] += choices[i] > 0 ? pow(choices[i] - 1000, 2) / 1000 : 0;
        chi[2] += i < 16 && pairs[i] > 0 ? pow(pairs[i] - 2000, 2) / 2000 : 0;
    }
    cr_expect(chi[0] < 59.4 && chi[1] < 59.4, "%g %g", chi[0], chi[1]); /* 23 degrees of freedom */
    cr_expect(chi[2] < 37.4, "%g", chi[2]);                             /* 11 */
}

Test(random, choice_is_without_replacement) {
    int64_t out[500];
    cb_random random = cb_random_seed(18);
    const int64_t sizes[] = {500, 501, 1000, 1000000, INT64_MAX};
    for (int k = 0; k < 5; k++) {
        cr_assert(cb_random_choice(&random, sizes[k], 500, out));
        for (int i = 0; i < 500; i++) {
            cr_assert(out[i] >= 0 && out[i] < sizes[k]);
            for (int j = 0; j < i; j++)
                cr_assert(out[i] != out[j]);
        }
    }
}

Test(random, choice_refuses_bad_arguments) {
    int64_t out[3] = {-5, -6, -7};
    cb_random random = cb_random_seed(19);
    cr_expect(!cb_random_choice(&random, 2, 3, out));
    cr_expect(!cb_random_choice(&random, 3, -1, out));
    cr_expect(!cb_random_choice(&random, -3, -4, out));
    cr_expect(!cb_random_choice(&random, INT64_MAX, INT64_MAX, out));
    cr_expect(out[0] == -5 && out[1] == -6 && out[2] == -7);
    cr_expect(random.counter == 0);
    cr_expect(cb_random_choice(&random, 0, 0, out));
    cr_expect(out[0] == -5);
}
