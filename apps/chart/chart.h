/* Line charts to put into a paper: curves over a linear or logarithmic axis, as PNG, SVG or PDF. */
#ifndef CEREBRA_APPS_CHART_CHART_H
#define CEREBRA_APPS_CHART_CHART_H

#include <stdbool.h>
#include <stddef.h>

/* A curve; everything is borrowed. Points that cannot be shown (NaN, infinite, beyond 10^300, or
   below 10^-300 on a logarithmic axis) are gaps. A point without neighbours is shown as a dot. */
typedef struct chart_series {
    const char *label; /* for the legend; NULL leaves the curve out of it */
    size_t count;
    const double *x, *y;
    const double *low,
        *high;    /* the ends of a band around the curve, which may be NaN; NULL: none */
    size_t color; /* 0: a colour and dashes that no other series of the chart has, as far as there
                     are (CHART_STYLES); n: the n-th colour, and the dashes that `dash` says */
    size_t dash;  /* 0: solid; others differ up to CHART_DASHES */
} chart_series;

enum { CHART_COLORS = 8, CHART_DASHES = 6, CHART_STYLES = CHART_COLORS * CHART_DASHES };

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

/* {0} is a complete set of options. Bytes of texts that are not UTF-8 are drawn as U+FFFD.

       chart_write(series, 2, &(chart_options){.title = "Loss", .log_y = true}, path, ...);  */
typedef struct chart_options {
    const char *title;   /* NULL: none */
    const char *x_label; /* NULL: none */
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
    char *notice; /* of CHART_NOTICE_SIZE bytes: "", or a line about letters that no font has, or of
                     scripts that run to the left; NULL: not wanted */
} chart_options;

enum { CHART_NOTICE_SIZE = 512 };

/* Draws the series and replaces the file at path (.png, .svg or .pdf; "-" writes PNG to standard
   output).

   Fails, leaving an existing file as it was, when there is no series, a series has no point to
   show, the limits contradict each other or the data, a size is outside CHART_SMALLEST ..
   CHART_LARGEST, path ends in something else, or it cannot be written. error receives one line. */
bool chart_write(const chart_series *series, size_t series_count, const chart_options *options,
                 const char *path, char *error, size_t error_size);

/* One of several plots below each other, of equal heights, with a common left and right end. Of its
   options the title, description, size and notice are the page's to give. */
typedef struct chart_panel {
    const chart_series *series;
    size_t series_count;
    chart_options options;
} chart_panel;

/* Draws panels, top to bottom, below the page's title. Fails as chart_write does. */
bool chart_write_panels(const chart_panel *panels, size_t panel_count, const chart_options *page,
                        const char *path, char *error, size_t error_size);

/* Whether chart_write can tell from the path's ending what to write. */
bool chart_path_supported(const char *path);

#endif
