/* Several seeds of one training as a mean and a band. */
#include "csv.h"

#include <math.h>
#include <stdlib.h>

typedef struct row {
    double x, y;
} row;

static int by_x(const void *left, const void *right) {
    double a = ((const row *)left)->x;
    double b = ((const row *)right)->x;
    return (a > b) - (a < b);
}

static int by_value(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* How many different seeds the rows have; 0 when there is no memory. */
static size_t count_seeds(const csv_series *series) {
    double *sorted = malloc((series->count + 1) * sizeof *sorted);
    size_t count = 0, seeds = 1;
    if (sorted == NULL)
        return 0;
    for (size_t i = 0; i < series->count; i++)
        if (!isnan(series->seed[i]))
            sorted[count++] = series->seed[i];
    qsort(sorted, count, sizeof *sorted, by_value);
    for (size_t i = 1; i < count; i++)
        seeds += sorted[i] != sorted[i - 1];
    free(sorted);
    return seeds;
}

/* The rows of one x, `count` of them, as row `to` of the series. */
static void summarise(const row *rows, size_t count, csv_series *series, size_t to) {
    double sum = 0;
    double low = rows[0].y;
    double high = rows[0].y;
    for (size_t i = 0; i < count; i++) {
        sum += rows[i].y;
        low = fmin(low, rows[i].y);
        high = fmax(high, rows[i].y);
    }
    series->x[to] = rows[0].x;
    double mean = sum / (double)count;
    series->y[to] = isnan(mean) ? NAN : fmax(low, fmin(high, mean));
    series->low[to] = isnan(mean) ? NAN : low;
    series->high[to] = isnan(mean) ? NAN : high;
}

bool csv_group_seeds(csv_series *series) {
    if (series->seed == NULL || series->count == 0)
        return true;
    series->seeds = count_seeds(series);
    if (series->seeds <= 1)
        return series->seeds == 1;
    row *rows = malloc(series->count * sizeof *rows);
    series->low = malloc(series->count * sizeof *series->low);
    series->high = malloc(series->count * sizeof *series->high);
    bool ok = rows != NULL && series->low != NULL && series->high != NULL;
    if (ok) {
        size_t count = 0, groups = 0;
        for (size_t i = 0; i < series->count; i++)
            if (!isnan(series->x[i]))
                rows[count++] = (row){series->x[i], series->y[i]};
        qsort(rows, count, sizeof *rows, by_x);
        for (size_t start = 0, end; start < count; start = end) {
            for (end = start + 1; end < count && rows[end].x == rows[start].x;)
                end++;
            summarise(rows + start, end - start, series, groups++);
        }
        series->count = groups;
    }
    free(rows);
    return ok;
}
