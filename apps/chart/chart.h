/* Line charts to put into a paper: curves over a linear or logarithmic axis, as PNG or SVG. */
#ifndef CEREBRA_APPS_CHART_CHART_H
#define CEREBRA_APPS_CHART_CHART_H

#include <stdbool.h>
#include <stddef.h>

/* A curve; everything is borrowed. Points that cannot be shown (NaN, infinite, beyond 10^300, or
   below 10^-300 on a logarithmic axis) are gaps. A point without neighbours is shown as a dot. */
typedef struct chart_series {
    const char *label; /* UTF-8, for the legend; NULL leaves the curve out of it */
    size_t count;
    const double *x, *y;
    bool companion; /* belongs to the curve before it, as what it is compared with: has its colour,
                       and dashes; then the others are solid */
} chart_series;

/* A vertical line that marks a value of x, with a note at its upper end (NULL: none). */
typedef struct chart_vline {
    double x;
    const char *label;
} chart_vline;

/* An end of an axis: {0} finds it from the points, {true, 0.5} sets it to 0.5. */
typedef struct chart_limit {
    bool set;
    double value;
} chart_limit;

enum {
    CHART_WIDTH = 1600,
    CHART_HEIGHT = 1000,
    CHART_SMALLEST = 100,
    CHART_LARGEST = 10000,
};

/* {0} is a complete set of options:

       chart_write(series, 2, &(chart_options){.title = "Loss", .log_y = true}, path, ...);  */
typedef struct chart_options {
    const char *title;   /* UTF-8; NULL: none */
    const char *x_label; /* UTF-8; NULL: none */
    const char *y_label;
    const char *description;  /* what was run, for the file's metadata; NULL: none */
    int width, height;        /* pixels; 0: CHART_WIDTH, CHART_HEIGHT; letters and lines grow
                                 with the chart */
    bool log_x, log_y;        /* logarithmic axes */
    size_t smooth;            /* moving average over so many points; 0 or 1: none. The points
                                 themselves are drawn faintly behind it */
    chart_limit x_min, x_max; /* curves are cut off at the ends of the axes */
    chart_limit y_min, y_max;
    const chart_vline *vlines; /* vline_count of them; those outside the axis are left out */
    size_t vline_count;
} chart_options;

/* Draws the series and replaces the file at path (.png or .svg; "-" writes PNG to standard output).

   Fails, leaving an existing file as it was, when there is no series, a series has no point to
   show, the limits contradict each other or the data, a size is outside CHART_SMALLEST ..
   CHART_LARGEST, a text is not UTF-8, path ends in something else, or it cannot be written. error
   receives one line. */
bool chart_write(const chart_series *series, size_t series_count, const chart_options *options,
                 const char *path, char *error, size_t error_size);

/* Whether chart_write can tell from the path's ending what to write. */
bool chart_path_supported(const char *path);

#endif
