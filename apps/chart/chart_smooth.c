/* The moving average of any width in one pass. Sums over windows come from sums over the parts of
   blocks as long as a window (van Herk 1992), because a running sum from which values are taken
   away again would keep the rounding errors of the largest one for good. */
#include "chart_data.h"

#include <math.h>
#include <stdlib.h>

/* Values and how many of them are finite, added up. */
typedef struct total {
    double sum, count;
} total;

static total one(double y) {
    return isfinite(y) ? (total){y, 1} : (total){0, 0};
}

static total add(total a, total b) {
    return (total){a.sum + b.sum, a.count + b.count};
}

/* The line a + b (i - centre) that fits the values of a window best, and their range. */
typedef struct fitted_line {
    double centre, a, b, lowest, highest;
} fitted_line;

static fitted_line fit(const double *y, size_t start, size_t length) {
    fitted_line line = {.lowest = INFINITY, .highest = -INFINITY};
    double count = 0, mean = 0, products = 0, squares = 0;
    for (size_t i = start; i < start + length; i++) {
        if (isfinite(y[i])) {
            count++;
            line.centre += ((double)i - line.centre) / count;
            mean += (y[i] - mean) / count;
            line.lowest = fmin(line.lowest, y[i]);
            line.highest = fmax(line.highest, y[i]);
        }
    }
    for (size_t i = start; i < start + length; i++) {
        if (isfinite(y[i])) {
            double off = (double)i - line.centre;
            products += off * (y[i] - mean);
            squares += off * off;
        }
    }
    line.a = mean;
    line.b = squares > 0 ? products / squares : 0;
    return line;
}

static void follow(const fitted_line *line, const double *y, size_t start, size_t end,
                   double *out) {
    for (size_t i = start; i < end; i++) {
        double value = line->a + line->b * ((double)i - line->centre);
        out[i] = isfinite(y[i]) ? fmax(line->lowest, fmin(line->highest, value)) : y[i];
    }
}

/* The means over windows of `length` values, around the points from length / 2 on. An even width
   has windows of one value more, whose outer two count half: half the sum of two shorter ones. */
static bool average(const double *y, size_t count, size_t length, bool even, double *out) {
    size_t shorter = even ? length - 1 : length;
    total *before = malloc(count * sizeof *before); /* from the beginning of the block */
    total *after = malloc(count * sizeof *after);   /* to its end */
    bool ok = before != NULL && after != NULL;
    for (size_t i = 0; ok && i < count; i++)
        before[i] = i % shorter == 0 ? one(y[i]) : add(before[i - 1], one(y[i]));
    for (size_t i = count; ok && i-- > 0;)
        after[i] =
            i + 1 == count || (i + 1) % shorter == 0 ? one(y[i]) : add(one(y[i]), after[i + 1]);
    for (size_t start = 0; ok && start + length <= count; start++) {
        size_t at = start + length / 2;
        total sum = {0};
        for (size_t shift = 0; shift <= (even ? 1 : 0); shift++) {
            size_t first = start + shift;
            sum = add(sum, after[first]);
            if (first % shorter != 0)
                sum = add(sum, before[first + shorter - 1]);
        }
        out[at] = isfinite(y[at]) ? sum.sum / sum.count : y[at];
    }
    free(before);
    free(after);
    return ok;
}

bool chart_smooth(const double *y, size_t count, size_t width, double *out) {
    size_t length = width % 2 == 0 ? width + 1 : width;
    if (width <= 1 || count == 0) {
        for (size_t i = 0; i < count; i++)
            out[i] = y[i];
        return true;
    }
    if (length >= count) {
        fitted_line line = fit(y, 0, count);
        follow(&line, y, 0, count, out);
        return true;
    }
    fitted_line first = fit(y, 0, length);
    fitted_line last = fit(y, count - length, length);
    follow(&first, y, 0, length / 2, out);
    follow(&last, y, count - length / 2, count, out);
    return average(y, count, length, width % 2 == 0, out);
}
