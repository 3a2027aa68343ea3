/* Smoothing, the ranges of the axes, and clipping of curves by rectangles. */
#include "apps/chart/chart_data.h"

#include "apps/chart/chart_reduce.h"

#include <cerebra/random.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char error[512];

Test(chart_data, smoothing_is_a_centred_mean) {
    const double y[] = {1, 5, 3, 7, 9};
    double out[5];
    cr_assert(chart_smooth(y, 5, 3, out));
    cr_assert_float_eq(out[1], 3, 1e-12);
    cr_assert_float_eq(out[2], 5, 1e-12);
    /* Width 4 at the middle: (1/2 1 + 5 + 3 + 7 + 1/2 9) / 4. */
    cr_assert(chart_smooth(y, 5, 2, out));
    cr_assert_float_eq(out[1], (0.5 + 5 + 1.5) / 2, 1e-12);
    cr_assert(chart_smooth(y, 5, 1, out));
    cr_assert_arr_eq(out, y, sizeof y);
    /* A straight line stays one, to its very ends, at any width. */
    const double line[] = {0, 2, 4, 6, 8, 10};
    for (size_t width = 1; width < 12; width++) {
        double same[6];
        cr_assert(chart_smooth(line, 6, width, same));
        for (size_t i = 0; i < 6; i++)
            cr_assert_float_eq(same[i], line[i], 1e-12, "width %zu", width);
    }
}

Test(chart_data, smoothing_leaves_out_gaps) {
    const double y[] = {1, NAN, 3, INFINITY, 5};
    double out[5];
    cr_assert(chart_smooth(y, 5, 3, out));
    cr_assert(isnan(out[1]) && isinf(out[3]));
    cr_assert_eq(out[2], 3);
}

static cb_random generator;

static double uniform(void) {
    double value;
    cb_random_uniform_f64(&generator, 1, &value, 0, 1);
    return value;
}

static unsigned long long seed_generator(void) {
    const char *again = getenv("CEREBRA_TEST_SEED");
    unsigned long long seed = again != NULL
                                  ? strtoull(again, NULL, 10)
                                  : (unsigned long long)time(NULL) * 1000003U + (unsigned)getpid();
    printf("chart data: CEREBRA_TEST_SEED=%llu\n", seed);
    generator = cb_random_seed(seed);
    return seed;
}

/* The mean over the window around i by its definition. */
static double plain_mean(const double *y, size_t i, size_t width) {
    size_t half = width / 2;
    double sum = 0, weights = 0;
    for (size_t j = i - half; j <= i + half; j++) {
        double weight = width % 2 == 0 && (j == i - half || j == i + half) ? 0.5 : 1;
        sum += isfinite(y[j]) ? weight * y[j] : 0;
        weights += isfinite(y[j]) ? weight : 0;
    }
    return sum / weights;
}

Test(chart_data, smoothing_is_the_mean_of_each_window) {
    enum { MOST = 60 };
    unsigned long long seed = seed_generator();
    for (int round = 0; round < 3000; round++) {
        double y[MOST], out[MOST];
        size_t count = 1 + (size_t)(uniform() * (MOST - 1));
        size_t width = 2 + (size_t)(uniform() * MOST);
        for (size_t i = 0; i < count; i++) {
            double kind = uniform();
            y[i] = kind < 0.1 ? NAN : kind < 0.12 ? 1e200 : kind < 0.15 ? INFINITY : uniform() * 8;
        }
        cr_assert(chart_smooth(y, count, width, out));
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(isfinite(y[i]), isfinite(out[i]), "seed %llu", seed);
            bool inside = i >= width / 2 && i + width / 2 < count && count > 2 * (width / 2) + 1;
            if (inside && isfinite(y[i])) {
                double mean = plain_mean(y, i, width);
                cr_assert(fabs(out[i] - mean) <= 1e-12 * fabs(mean), "seed %llu: %g, mean %g", seed,
                          out[i], mean);
            }
        }
    }
}

/* Of a noisy line: the ends are as near to it as the fit of a window, and not as the last value. */
Test(chart_data, smoothing_does_not_follow_the_noise_at_its_ends) {
    enum { COUNT = 400, WIDTH = 101 };
    double y[COUNT], out[COUNT];
    unsigned long long seed = seed_generator();
    for (size_t i = 0; i < COUNT; i++)
        y[i] = 10 - 0.01 * (double)i + (uniform() - 0.5);
    y[0] += 3;
    y[COUNT - 1] += 3;
    cr_assert(chart_smooth(y, COUNT, WIDTH, out));
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_lt(fabs(out[i] - (10 - 0.01 * (double)i)), 0.5, "seed %llu: %zu", seed, i);
}

/* The reduced line covers the same pixels: in each column the same extent, first and last point. */
Test(chart_data, no_peak_is_lost_when_points_are_reduced) {
    enum { POINTS = 200000, COLUMNS = 100 };
    static double low[COLUMNS], high[COLUMNS], first[COLUMNS], last[COLUMNS];
    static size_t seen[COLUMNS];
    reducer reduced = {0};
    unsigned long long seed = seed_generator();
    for (size_t i = 0; i < POINTS; i++) {
        double x = (double)i * COLUMNS / POINTS;
        double y = uniform() < 1e-4 ? 1000 * uniform() : uniform();
        size_t column = (size_t)x;
        first[column] = seen[column] == 0 ? y : first[column];
        low[column] = seen[column] == 0 ? y : fmin(low[column], y);
        high[column] = seen[column]++ == 0 ? y : fmax(high[column], y);
        last[column] = y;
        reducer_add(&reduced, (canvas_point){x, y});
    }
    cr_assert(reducer_finish(&reduced));
    cr_assert_leq(reduced.count, 4 * COLUMNS);
    size_t at = 0;
    for (size_t column = 0; column < COLUMNS; column++) {
        double lowest = INFINITY, highest = -INFINITY;
        cr_assert_eq(reduced.points[at].y, first[column], "seed %llu", seed);
        for (; at < reduced.count && (size_t)reduced.points[at].x == column; at++) {
            lowest = fmin(lowest, reduced.points[at].y);
            highest = fmax(highest, reduced.points[at].y);
        }
        cr_assert(lowest == low[column] && highest == high[column], "seed %llu", seed);
        cr_assert_eq(reduced.points[at - 1].y, last[column], "seed %llu", seed);
    }
    free(reduced.points);
}

Test(chart_data, every_other_point_missing_takes_no_more_than_the_columns) {
    reducer reduced = {0};
    for (size_t i = 0; i < 100000; i++)
        reducer_add(&reduced, (canvas_point){(double)(i / 2 * 2) / 1000, i % 2 == 0 ? 1 : NAN});
    cr_assert(reducer_finish(&reduced));
    cr_assert_lt(reduced.count, 100 * 16);
    free(reduced.points);
}

static bool scales(const double *x, const double *y, size_t count, chart_options options,
                   axis_scale *x_scale, axis_scale *y_scale) {
    chart_series series = {.label = "s", .count = count, .x = x, .y = y};
    return chart_find_scales(&series, 1, &options, x_scale, y_scale, error, sizeof error);
}

Test(chart_data, ranges_cover_the_points_that_can_be_shown) {
    const double x[] = {0, 1, 2, 3, 4};
    const double y[] = {2, NAN, 3, INFINITY, 2.5};
    axis_scale xs, ys;
    cr_assert(scales(x, y, 5, (chart_options){0}, &xs, &ys));
    cr_assert(xs.minimum < 0 && xs.minimum > -0.2 && xs.maximum > 4 && xs.maximum < 4.2);
    cr_assert(ys.minimum < 2 && ys.minimum > 1.9 && ys.maximum > 3 && ys.maximum < 3.1);
    cr_assert(xs.integer);
    /* Limits are taken as they are, and y follows the points that x leaves. */
    cr_assert(scales(x, y, 5, (chart_options){.x_min = {true, 1.5}}, &xs, &ys));
    cr_assert_eq(xs.minimum, 1.5);
    cr_assert_gt(ys.minimum, 2.4);
}

Test(chart_data, narrow_ranges_are_shown_as_they_are) {
    const double x[] = {1.7e9, 1.7e9 + 0.5};
    const double y[] = {1, 1 + 4e-16};
    axis_scale xs, ys;
    for (int logarithmic = 0; logarithmic <= 1; logarithmic++) {
        chart_options options = {.log_x = logarithmic, .log_y = logarithmic};
        cr_assert(scales(x, y, 2, options, &xs, &ys), "%s", error);
        cr_assert(xs.minimum >= 1.7e9 - 0.1 && xs.maximum <= 1.7e9 + 0.6);
        cr_assert(ys.minimum >= 1 - 1e-15 && ys.maximum <= 1 + 2e-15);
        cr_assert_eq(axis_fraction(&xs, xs.maximum), 1);
    }
}

Test(chart_data, losses_near_zero_start_at_zero) {
    const double x[] = {0, 1};
    const double y[] = {4, 0.4};
    axis_scale xs, ys;
    cr_assert(scales(x, y, 2, (chart_options){0}, &xs, &ys));
    cr_assert_eq(ys.minimum, 0);
    cr_assert(scales(x, y, 2, (chart_options){.log_y = true}, &xs, &ys));
    cr_assert(ys.minimum > 0.3 && ys.minimum < 0.4);
}

Test(chart_data, one_value_and_extreme_values_get_a_range) {
    const double x[] = {5};
    const double cases[] = {0, 2.5, -1e-300, 1e299, 1e-320};
    axis_scale xs, ys;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(scales(x, &cases[i], 1, (chart_options){0}, &xs, &ys), "%s", error);
        cr_assert(ys.minimum < ys.maximum && isfinite(ys.maximum - ys.minimum));
        cr_assert(ys.minimum <= cases[i] && cases[i] <= ys.maximum);
    }
}

Test(chart_data, impossible_requests_are_errors) {
    const double x[] = {0, 1};
    const double y[] = {-1, 0};
    axis_scale xs, ys;
    cr_assert_not(scales(x, y, 2, (chart_options){.log_y = true}, &xs, &ys));
    cr_assert_not_null(strstr(error, "positive"), "%s", error);
    cr_assert_not(scales(x, y, 0, (chart_options){0}, &xs, &ys));
    cr_assert_str_eq(error, "series \"s\" is empty");
    cr_assert_not(scales(x, y, 2, (chart_options){.y_min = {true, 3}}, &xs, &ys));
    cr_assert_not(
        scales(x, y, 2, (chart_options){.y_min = {true, 3}, .y_max = {true, 1}}, &xs, &ys));
    cr_assert_str_eq(error, "the y axis cannot run from 3 to 1");
    cr_assert_not(scales(x, y, 2, (chart_options){.x_max = {true, NAN}}, &xs, &ys));
}

Test(chart_data, length_inside_a_rectangle) {
    const canvas_rectangle box = {10, 10, 10, 10};
    const canvas_point across[] = {{0, 15}, {100, 15}};
    const canvas_point diagonal[] = {{0, 0}, {30, 30}};
    const canvas_point outside[] = {{0, 0}, {100, 0}, {100, 100}};
    const canvas_point gap[] = {{0, 15}, {NAN, 15}, {100, 15}};
    const canvas_point dot[] = {{15, 15}};
    cr_assert_float_eq(chart_length_inside(across, 2, box), 10, 1e-9);
    cr_assert_float_eq(chart_length_inside(diagonal, 2, box), 10 * sqrt(2), 1e-9);
    cr_assert_eq(chart_length_inside(outside, 3, box), 0);
    cr_assert_eq(chart_length_inside(gap, 3, box), 0);
    cr_assert_eq(chart_length_inside(dot, 1, box), 1);
}
