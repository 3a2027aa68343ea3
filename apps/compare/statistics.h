/* Statistics of paired runs: two cells on the same seeds. */
#ifndef CEREBRA_APPS_COMPARE_STATISTICS_H
#define CEREBRA_APPS_COMPARE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The arithmetic mean; NaN of nothing. */
double statistics_mean(const double *values, size_t count);
/* The standard deviation of a sample, with count - 1; NaN of fewer than two. */
double statistics_deviation(const double *values, size_t count);

/* An interval of the mean. */
typedef struct statistics_interval {
    double low, high;
} statistics_interval;

/* The bootstrap's percentile interval of the mean at a level such as 0.95 (Efron 1979): `resamples`
   samples of as many values, drawn with replacement; its ends are the quantiles (1 -+ level) / 2 of
   their means, interpolated. {NaN, NaN} of nothing or without memory. */
statistics_interval statistics_bootstrap(const double *values, size_t count, double level,
                                         int64_t resamples, uint64_t seed);

/* Wilcoxon's signed-rank test (1945) of paired differences: the two-sided probability, if each
   difference were as likely of either sign, of a rank sum at least as far from its mean.
   Differences of 0 are left out (Wilcoxon's way), equal ones share their mean rank. Up to
   STATISTICS_EXACT differences the probability is exact, over all assignments of signs, also with
   equal ranks; above, normal, with a correction for equal ranks and none for continuity. 1 when
   nothing is left; NaN without memory. */
enum { STATISTICS_EXACT = 100 };
double statistics_wilcoxon(const double *differences, size_t count);

/* Corrects probabilities of several tests in place, so that the chance of any false one is bounded
   (Holm 1979): the k-th smallest of m (from 1) becomes the largest of min(1, (m - j + 1) p_j), j <=
   k. NaN are left as they are and do not count. False without memory. */
bool statistics_holm(double *probabilities, size_t count);

#endif
