/* Curves from values to pixels: smoothed, projected and reduced, point by point, so that a million
   of them need little memory beyond their own. */
#include "chart_page.h"

#include "chart_data.h"
#include "chart_reduce.h"

#include <math.h>
#include <stdlib.h>

static canvas_point to_pixels(const chart *c, double x, double y) {
    /* Far outside the plot Cairo's fixed-point coordinates would overflow. */
    const double farthest = 1e6;
    if (!chart_value_shown(x, c->x.logarithmic) || !chart_value_shown(y, c->y.logarithmic))
        return (canvas_point){NAN, NAN};
    double right = axis_fraction(&c->x, x) * c->plot.width;
    double up = axis_fraction(&c->y, y) * c->plot.height;
    return (canvas_point){c->plot.x + fmax(-farthest, fmin(farthest, right)),
                          c->plot.y + c->plot.height - fmax(-farthest, fmin(farthest, up))};
}

static bool project_line(const chart *c, const chart_series *series, const double *y,
                         pixel_line *to) {
    reducer reduced = {0};
    for (size_t i = 0; i < series->count; i++)
        reducer_add(&reduced, to_pixels(c, series->x[i], y[i]));
    bool ok = reducer_finish(&reduced);
    *to = (pixel_line){reduced.points, reduced.count};
    return ok;
}

/* Smooths each run by itself: an x that is NaN separates runs. */
static bool smooth_runs(const chart_series *series, const double *y, size_t width, double *out) {
    for (size_t start = 0, end; start < series->count; start = end + 1) {
        for (end = start; end < series->count && !isnan(series->x[end]);)
            end++;
        if (!chart_smooth(y + start, end - start, width, out + start))
            return false;
        if (end < series->count)
            out[end] = NAN;
    }
    return true;
}

static bool project_curve(const chart *c, size_t index) {
    const chart_series *series = &c->series[index];
    curve *to = &c->curves[index];
    const struct {
        const double *values;
        pixel_line *line;
    } lines[] = {{series->y, &to->line}, {series->low, &to->low}, {series->high, &to->high}};
    bool smooth = c->options->smooth > 1;
    double *smoothed = smooth ? malloc(series->count * sizeof *smoothed) : NULL;
    bool ok = !smooth || (smoothed != NULL && project_line(c, series, series->y, &to->faint));
    for (size_t i = 0; ok && i < sizeof lines / sizeof *lines; i++) {
        if (lines[i].values == NULL)
            continue;
        ok = (!smooth || smooth_runs(series, lines[i].values, c->options->smooth, smoothed)) &&
             project_line(c, series, smooth ? smoothed : lines[i].values, lines[i].line);
    }
    free(smoothed);
    return ok;
}

static void free_line(pixel_line *line) {
    free(line->points);
    *line = (pixel_line){0};
}

void chart_free_curves(const chart *c) {
    for (size_t i = 0; c->curves != NULL && i < c->series_count; i++) {
        free_line(&c->curves[i].line);
        free_line(&c->curves[i].faint);
        free_line(&c->curves[i].low);
        free_line(&c->curves[i].high);
    }
}

bool chart_project_curves(const chart *c) {
    chart_free_curves(c);
    for (size_t i = 0; i < c->series_count; i++)
        if (!project_curve(c, i))
            return false;
    return true;
}
