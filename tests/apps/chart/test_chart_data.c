/* Smoothing, the ranges of the axes, and clipping of curves by rectangles. */
#include "apps/chart/chart_data.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static char error[512];

Test(chart_data, smoothing_is_a_centred_mean) {
    const double y[] = {1, 5, 3, 7, 9};
    double out[5];
    chart_smooth(y, 5, 3, out);
    cr_assert_eq(out[0], 1);
    cr_assert_float_eq(out[1], 3, 1e-12);
    cr_assert_float_eq(out[2], 5, 1e-12);
    cr_assert_eq(out[4], 9);
    /* Width 4 at the middle: (1/2 1 + 5 + 3 + 7 + 1/2 9) / 4. */
    chart_smooth(y, 5, 4, out);
    cr_assert_float_eq(out[2], 5, 1e-12);
    chart_smooth(y, 5, 2, out);
    cr_assert_float_eq(out[1], (0.5 + 5 + 1.5) / 2, 1e-12);
    chart_smooth(y, 5, 1, out);
    cr_assert_arr_eq(out, y, sizeof y);
    /* A straight line stays one, to its very ends, at any width. */
    const double line[] = {0, 2, 4, 6, 8, 10};
    for (size_t width = 1; width < 12; width++) {
        double same[6];
        chart_smooth(line, 6, width, same);
        for (size_t i = 0; i < 6; i++)
            cr_assert_float_eq(same[i], line[i], 1e-12, "width %zu", width);
    }
}

Test(chart_data, smoothing_leaves_out_gaps) {
    const double y[] = {1, NAN, 3, INFINITY, 5};
    double out[5];
    chart_smooth(y, 5, 3, out);
    cr_assert(isnan(out[1]) && isinf(out[3]));
    cr_assert_eq(out[2], 3);
}

static bool scales(const double *x, const double *y, size_t count, chart_options options,
                   axis_scale *x_scale, axis_scale *y_scale) {
    chart_series series = {"s", count, x, y, false};
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
