/* Means, intervals and tests; checked against SciPy's (tests/reference/statistics_cases.py). */
#include "statistics.h"

#include <cerebra/random.h>
#include <math.h>
#include <stdlib.h>

double statistics_mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : NAN;
}

double statistics_deviation(const double *values, size_t count) {
    double mean = statistics_mean(values, count), squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(squares / (double)(count - 1)) : NAN;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of sorted values, interpolated between neighbours. */
static double quantile(const double *sorted, size_t count, double part) {
    double place = part * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

statistics_interval statistics_bootstrap(const double *values, size_t count, double level,
                                         int64_t resamples, uint64_t seed) {
    double *means = count > 0 && resamples > 0 ? malloc((size_t)resamples * sizeof *means) : NULL;
    if (means == NULL)
        return (statistics_interval){NAN, NAN};
    cb_random random = cb_random_seed(seed);
    for (int64_t r = 0; r < resamples; r++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += values[cb_random_below(&random, count)];
        means[r] = sum / (double)count;
    }
    qsort(means, (size_t)resamples, sizeof *means, ascending);
    statistics_interval interval = {quantile(means, (size_t)resamples, (1 - level) / 2),
                                    quantile(means, (size_t)resamples, (1 + level) / 2)};
    free(means);
    return interval;
}

/* ---- Wilcoxon's test ------------------------------------------------------------------------- */

static int by_magnitude(const void *a, const void *b) {
    double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
    return x < y ? -1 : x > y;
}

/* Differences that are not 0, by magnitude, and twice their ranks, which are whole numbers then. */
typedef struct ranked {
    size_t count;
    double *differences;
    int64_t *ranks;
    int64_t positive; /* the sum of the ranks of positive differences */
    double ties;      /* sum of t^3 - t over groups of t equal ranks */
} ranked;

static ranked rank(const double *differences, size_t count) {
    ranked r = {.differences = malloc((count + 1) * sizeof *r.differences),
                .ranks = malloc((count + 1) * sizeof *r.ranks)};
    for (size_t i = 0; i < count && r.differences != NULL && r.ranks != NULL; i++)
        if (differences[i] != 0)
            r.differences[r.count++] = differences[i];
    if (r.count > 0)
        qsort(r.differences, r.count, sizeof *r.differences, by_magnitude);
    for (size_t from = 0, to; from < r.count; from = to) {
        for (to = from; to < r.count && fabs(r.differences[to]) == fabs(r.differences[from]); to++)
            continue;
        double equal = (double)(to - from);
        r.ties += equal * equal * equal - equal;
        for (size_t i = from; i < to; i++) {
            r.ranks[i] = (int64_t)(from + 1 + to);
            r.positive += r.differences[i] > 0 ? r.ranks[i] : 0;
        }
    }
    return r;
}

/* The probability of a sum of ranks at most `sum`, each taken or not with equal chance. */
static double probability_up_to(const ranked *r, int64_t sum) {
    int64_t total = 0;
    for (size_t i = 0; i < r->count; i++)
        total += r->ranks[i];
    double *chance = calloc((size_t)total + 1, sizeof *chance);
    if (chance == NULL)
        return NAN;
    chance[0] = 1;
    total = 0;
    for (size_t i = 0; i < r->count; i++) {
        total += r->ranks[i];
        for (int64_t s = total; s >= 0; s--)
            chance[s] = (chance[s] + (s >= r->ranks[i] ? chance[s - r->ranks[i]] : 0)) / 2;
    }
    double probability = 0;
    for (int64_t s = 0; s <= sum && s <= total; s++)
        probability += chance[s];
    free(chance);
    return probability;
}

static double normal_probability(const ranked *r) {
    double n = (double)r->count;
    double mean = n * (n + 1) / 4, variance = n * (n + 1) * (2 * n + 1) / 24 - r->ties / 48;
    return erfc(fabs((double)r->positive / 2 - mean) / sqrt(2 * variance));
}

double statistics_wilcoxon(const double *differences, size_t count) {
    ranked r = rank(differences, count);
    double probability = r.differences == NULL || r.ranks == NULL ? NAN : 1;
    if (r.count > STATISTICS_EXACT) {
        probability = normal_probability(&r);
    } else if (r.count > 0) {
        int64_t total = (int64_t)(r.count * (r.count + 1)); /* of doubled ranks */
        int64_t rest = total - r.positive;
        double side = probability_up_to(&r, r.positive < rest ? r.positive : rest);
        probability = 2 * side < 1 ? 2 * side : isnan(side) ? NAN : 1;
    }
    free(r.differences);
    free(r.ranks);
    return probability;
}

/* ---- Several tests --------------------------------------------------------------------------- */

typedef struct entry {
    double probability;
    size_t place;
} entry;

static int by_probability(const void *a, const void *b) {
    return ascending(&((const entry *)a)->probability, &((const entry *)b)->probability);
}

bool statistics_holm(double *probabilities, size_t count) {
    entry *sorted = malloc((count + 1) * sizeof *sorted);
    size_t tests = 0;
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!isnan(probabilities[i]))
            sorted[tests++] = (entry){probabilities[i], i};
    qsort(sorted, tests, sizeof *sorted, by_probability);
    double largest = 0;
    for (size_t k = 0; k < tests; k++) {
        double corrected = fmin(1, (double)(tests - k) * sorted[k].probability);
        largest = fmax(largest, corrected);
        probabilities[sorted[k].place] = largest;
    }
    free(sorted);
    return true;
}
