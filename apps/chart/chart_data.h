/* The arithmetic of a chart, without any drawing: smoothing, ranges, and whether curves run through
   a rectangle. */
#ifndef CEREBRA_APPS_CHART_CHART_DATA_H
#define CEREBRA_APPS_CHART_CHART_DATA_H

#include "canvas.h"
#include "chart.h"
#include "ticks.h"

/* Whether a coordinate can be shown on an axis. */
bool chart_value_shown(double value, bool logarithmic);

/* out[i] = the mean of `width` values of y centred on i (the classic centred moving average: for an
   even width, width + 1 values of which the outer two count half). Where that window would reach
   beyond an end, out follows the straight line that fits the values of the last whole window best,
   within their range: a smaller window would follow the noise. A series shorter than the window is
   one window. Values that are not finite are left out and stay as they are. y and out do not
   overlap. The time does not depend on width. False when there is no memory. */
bool chart_smooth(const double *y, size_t count, size_t width, double *out);

/* Finds the two axes: the ends that options set, and the others from the points within them, with a
   small margin (and from 0 where a linear y axis would begin just above it). */
bool chart_find_scales(const chart_series *series, size_t series_count,
                       const chart_options *options, axis_scale *x, axis_scale *y, char *error,
                       size_t error_size);

/* The length of the part of a polyline (NaN: a gap) that lies inside a rectangle; a dot, a point
   with no neighbours, counts as one pixel. */
double chart_length_inside(const canvas_point *points, size_t count, canvas_rectangle area);

/* How many points come before the first gap; count if there is none. */
size_t chart_piece_length(const canvas_point *points, size_t count);

/* Whether point i has no neighbour to draw a line to. */
bool chart_point_isolated(const canvas_point *points, size_t count, size_t i);

#endif
