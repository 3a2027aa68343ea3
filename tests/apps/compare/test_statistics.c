/* Statistics against SciPy's (tests/reference/statistics_cases.py), and against all assignments of
   signs counted one by one. */
#include "apps/compare/statistics.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <time.h>

enum { MOST = 400 };

static json_t *stored(const char *what) {
    static json_t *file;
    if (file == NULL)
        file = json_load_file(CB_TEST_SOURCE_DIR "/tests/reference/statistics.json", 0, NULL);
    cr_assert_not_null(file);
    return json_object_get(file, what);
}

static size_t numbers(const json_t *list, double values[MOST]) {
    for (size_t i = 0; i < json_array_size(list); i++)
        values[i] = json_number_value(json_array_get(list, i));
    return json_array_size(list);
}

static double field(const json_t *one, const char *name) {
    return json_number_value(json_object_get(one, name));
}

Test(statistics, are_those_of_scipy) {
    size_t index;
    json_t *one;
    json_array_foreach(stored("cases"), index, one) {
        double values[MOST];
        const char *name = json_string_value(json_object_get(one, "name"));
        size_t count = numbers(json_object_get(one, "values"), values);
        double deviation = field(one, "deviation");
        cr_expect_float_eq(statistics_mean(values, count), field(one, "mean"), 1e-12, "%s", name);
        cr_expect_float_eq(statistics_deviation(values, count), deviation, 1e-12, "%s", name);
        cr_expect_float_eq(statistics_wilcoxon(values, count), field(one, "wilcoxon"), 1e-9,
                           "%s: %.12g, not %.12g", name, statistics_wilcoxon(values, count),
                           field(one, "wilcoxon"));
        /* Quantiles of 20,000 draws have an error of 0.02 deviations of the mean; of few values
           they jump. */
        double allowed = (count < 20 ? 0.25 : 0.08) * deviation / sqrt((double)count);
        statistics_interval found = statistics_bootstrap(values, count, 0.95, 20000, 1);
        cr_expect_float_eq(found.low, field(one, "low"), allowed, "%s: %g, not %g", name, found.low,
                           field(one, "low"));
        cr_expect_float_eq(found.high, field(one, "high"), allowed, "%s: %g, not %g", name,
                           found.high, field(one, "high"));
    }
    cr_assert_geq(index, 20);
}

Test(statistics, holm_is_that_of_statsmodels) {
    size_t index;
    json_t *one;
    json_array_foreach(stored("holm"), index, one) {
        double before[MOST], after[MOST];
        size_t count = numbers(json_object_get(one, "before"), before);
        numbers(json_object_get(one, "after"), after);
        cr_assert(statistics_holm(before, count));
        for (size_t i = 0; i < count; i++)
            cr_expect_float_eq(before[i], after[i], 1e-12);
    }
    cr_assert_eq(index, 4);
    double with_nan[] = {0.01, NAN, 0.02};
    cr_assert(statistics_holm(with_nan, 3));
    cr_expect_float_eq(with_nan[0], 0.02, 1e-15);
    cr_expect(isnan(with_nan[1]));
    cr_expect_float_eq(with_nan[2], 0.02, 1e-15);
}

/* The probability by its definition: over all signs, how often is the sum as far from its mean? */
static double counted(const double *differences, int count) {
    double ranks[16], mean = 0, sum = 0;
    int kept = 0, far = 0;
    double values[16];
    for (int i = 0; i < count; i++)
        if (differences[i] != 0)
            values[kept++] = differences[i];
    for (int i = 0; i < kept; i++) {
        ranks[i] = 0.5;
        for (int k = 0; k < kept; k++)
            ranks[i] += fabs(values[k]) < fabs(values[i])    ? 1
                        : fabs(values[k]) == fabs(values[i]) ? 0.5
                                                             : 0;
        mean += ranks[i] / 2;
        sum += values[i] > 0 ? ranks[i] : 0;
    }
    for (int signs = 0; signs < 1 << kept; signs++) {
        double other = 0;
        for (int i = 0; i < kept; i++)
            other += (signs >> i & 1) != 0 ? ranks[i] : 0;
        far += fabs(other - mean) >= fabs(sum - mean) - 1e-9;
    }
    return (double)far / (1 << kept);
}

Test(statistics, wilcoxon_is_exact_with_equal_ranks_and_zeros) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    for (int trial = 0; trial < 300; trial++) {
        double differences[12];
        int count = (int)cb_random_below(&random, 13);
        for (int i = 0; i < count; i++)
            differences[i] = (double)cb_random_below(&random, 9) - 3;
        cr_assert_float_eq(statistics_wilcoxon(differences, (size_t)count),
                           counted(differences, count), 1e-12, "seed %llu, trial %d",
                           (unsigned long long)seed, trial);
    }
}

Test(statistics, of_next_to_nothing) {
    double one = 3;
    cr_expect(isnan(statistics_mean(NULL, 0)));
    cr_expect(isnan(statistics_deviation(&one, 1)));
    cr_expect_eq(statistics_wilcoxon(NULL, 0), 1);
    cr_expect_eq(statistics_wilcoxon(&one, 1), 1);
    cr_expect(isnan(statistics_bootstrap(NULL, 0, 0.95, 100, 1).low));
    cr_expect_eq(statistics_bootstrap(&one, 1, 0.95, 100, 1).high, 3);
    cr_expect(statistics_holm(NULL, 0));
}
