/* The arithmetic of a chart; see chart_data.h. Lengths inside a rectangle come from clipping each
   segment (Liang and Barsky 1984, "A new concept and method for line clipping"). */
#include "chart_data.h"

#include "apps/cli/failure.h"

#include <math.h>

/* Beyond this the span of two values and its margins could overflow. On a logarithmic axis values
   below the inverse are as extreme. */
static const double LARGEST_SHOWN = 1e300;
static const double LARGEST_EXPONENT = 300;

bool chart_value_shown(double value, bool logarithmic) {
    return isfinite(value) && fabs(value) <= LARGEST_SHOWN &&
           (!logarithmic || value >= 1 / LARGEST_SHOWN);
}

typedef struct extent {
    double minimum, maximum;
    size_t count;
    bool integer;
} extent;

static void include_value(extent *range, double value) {
    range->minimum = range->count == 0 ? value : fmin(range->minimum, value);
    range->maximum = range->count == 0 ? value : fmax(range->maximum, value);
    range->integer = (range->count == 0 || range->integer) && value == floor(value);
    range->count++;
}

static bool inside_limits(double value, chart_limit low, chart_limit high) {
    return (!low.set || value >= low.value) && (!high.set || value <= high.value);
}

/* The ends of the band at point j, as far as they can be shown. */
static void include_band(const chart_series *series, size_t j, const chart_options *options,
                         extent *y) {
    const double *const ends[] = {series->low, series->high};
    for (size_t i = 0; i < 2; i++)
        if (ends[i] != NULL && chart_value_shown(ends[i][j], options->log_y) &&
            inside_limits(ends[i][j], options->y_min, options->y_max))
            include_value(y, ends[i][j]);
}

/* The extents of the points that can be shown and lie within the limits. */
static bool find_extents(const chart_series *series, size_t series_count,
                         const chart_options *options, extent *x, extent *y, char *error,
                         size_t error_size) {
    for (size_t i = 0; i < series_count; i++) {
        size_t shown = 0;
        for (size_t j = 0; j < series[i].count; j++) {
            double at_x = series[i].x[j];
            double at_y = series[i].y[j];
            if (!chart_value_shown(at_x, options->log_x) ||
                !chart_value_shown(at_y, options->log_y))
                continue;
            shown++;
            if (inside_limits(at_x, options->x_min, options->x_max) &&
                inside_limits(at_y, options->y_min, options->y_max)) {
                include_value(x, at_x);
                include_value(y, at_y);
                include_band(&series[i], j, options, y);
            }
        }
        if (shown == 0) {
            const char *why = series[i].count == 0 ? "is empty"
                              : options->log_x || options->log_y
                                  ? "has no finite point with positive values to show on a "
                                    "logarithmic axis"
                                  : "has no point to show: none is a number from -1e300 to 1e300";
            return failure(error, error_size, "series \"%s\" %s",
                           series[i].label == NULL ? "" : series[i].label, why);
        }
    }
    return x->count > 0 ||
           failure(error, error_size, "no point lies within the limits of the axes");
}

/* Widens a range by a part of its span at each end that is not set; a range of one value gets a
   span of its own. */
static void add_margin(axis_scale *scale, double margin, bool integer, chart_limit low,
                       chart_limit high) {
    /* Of numbers that are close together the logarithms have too few digits that differ. */
    bool logarithmic = scale->logarithmic &&
                       (scale->maximum / scale->minimum > 1.1 || scale->maximum == scale->minimum);
    double minimum = logarithmic ? log10(scale->minimum) : scale->minimum;
    double maximum = logarithmic ? log10(scale->maximum) : scale->maximum;
    double largest = fmax(fabs(minimum), fabs(maximum));
    double span = maximum - minimum;
    if (span > 0)
        margin *= span;
    else
        margin = logarithmic        ? 0.3
                 : integer          ? fmax(1, largest * 0.1)
                 : largest < 1e-290 ? 1
                                    : largest * 0.1;
    minimum -= margin;
    maximum += margin;
    if (logarithmic) {
        minimum = pow(10, fmax(minimum, -LARGEST_EXPONENT - 1));
        maximum = pow(10, fmin(maximum, LARGEST_EXPONENT + 1));
    }
    scale->minimum = low.set ? low.value : minimum;
    scale->maximum = high.set ? high.value : maximum;
}

static bool check_limits(const char *axis, bool logarithmic, chart_limit low, chart_limit high,
                         char *error, size_t error_size) {
    if ((low.set && !chart_value_shown(low.value, false)) ||
        (high.set && !chart_value_shown(high.value, false)))
        return failure(error, error_size,
                       "a limit of the %s axis is not a number from -1e300 to 1e300", axis);
    if (logarithmic && ((low.set && low.value <= 0) || (high.set && high.value <= 0))) {
        return failure(error, error_size, "the %s axis is logarithmic; its limits must be positive",
                       axis);
    }
    if (low.set && high.set && low.value >= high.value) {
        return failure(error, error_size, "the %s axis cannot run from %g to %g", axis, low.value,
                       high.value);
    }
    return true;
}

/* From the extent of the data to the ends of the axis. */
static axis_scale make_scale(const extent *data, bool logarithmic, double margin, chart_limit low,
                             chart_limit high) {
    axis_scale scale = {.minimum = low.set ? low.value : data->minimum,
                        .maximum = high.set ? high.value : data->maximum,
                        .logarithmic = logarithmic};
    add_margin(&scale, margin, data->integer, low, high);
    return scale;
}

bool chart_find_scales(const chart_series *series, size_t series_count,
                       const chart_options *options, axis_scale *x, axis_scale *y, char *error,
                       size_t error_size) {
    extent x_data = {0};
    extent y_data = {0};
    if (!check_limits("x", options->log_x, options->x_min, options->x_max, error, error_size) ||
        !check_limits("y", options->log_y, options->y_min, options->y_max, error, error_size) ||
        !find_extents(series, series_count, options, &x_data, &y_data, error, error_size))
        return false;
    *x = make_scale(&x_data, options->log_x, 0.015, options->x_min, options->x_max);
    *y = make_scale(&y_data, options->log_y, 0.04, options->y_min, options->y_max);
    x->integer = x_data.integer && x->maximum - x->minimum >= 1;
    if (!options->log_y && !options->y_min.set && y_data.minimum >= 0 &&
        y_data.minimum < 0.15 * y_data.maximum)
        y->minimum = 0;
    if (x->minimum >= x->maximum || y->minimum >= y->maximum) {
        return failure(error, error_size, "the range of the %s axis is too small to be shown",
                       x->minimum >= x->maximum ? "x" : "y");
    }
    return true;
}

static bool is_gap(canvas_point point) {
    return isnan(point.x) || isnan(point.y);
}

size_t chart_piece_length(const canvas_point *points, size_t count) {
    size_t length = 0;
    while (length < count && !is_gap(points[length]))
        length++;
    return length;
}

bool chart_point_isolated(const canvas_point *points, size_t count, size_t i) {
    return !is_gap(points[i]) && (i == 0 || is_gap(points[i - 1])) &&
           (i + 1 == count || is_gap(points[i + 1]));
}

/* Narrows [*enter, *leave], the part of a segment still inside, by the half plane
   start + t * delta >= 0. */
static void clip_half_plane(double start, double delta, double *enter, double *leave) {
    if (delta > 0)
        *enter = fmax(*enter, -start / delta);
    else if (delta < 0)
        *leave = fmin(*leave, -start / delta);
    else if (start < 0)
        *leave = -1;
}

static double segment_length_inside(canvas_point a, canvas_point b, canvas_rectangle area) {
    double enter = 0;
    double leave = 1;
    double dx = b.x - a.x;
    double dy = b.y - a.y;
    clip_half_plane(a.x - area.x, dx, &enter, &leave);
    clip_half_plane(area.x + area.width - a.x, -dx, &enter, &leave);
    clip_half_plane(a.y - area.y, dy, &enter, &leave);
    clip_half_plane(area.y + area.height - a.y, -dy, &enter, &leave);
    return leave > enter ? (leave - enter) * hypot(dx, dy) : 0;
}

double chart_length_inside(const canvas_point *points, size_t count, canvas_rectangle area) {
    double length = 0;
    for (size_t i = 0; i < count; i++) {
        if (chart_point_isolated(points, count, i)) {
            length += points[i].x >= area.x && points[i].x <= area.x + area.width &&
                              points[i].y >= area.y && points[i].y <= area.y + area.height
                          ? 1
                          : 0;
        } else if (i > 0 && !is_gap(points[i]) && !is_gap(points[i - 1])) {
            length += segment_length_inside(points[i - 1], points[i], area);
        }
    }
    return length;
}
