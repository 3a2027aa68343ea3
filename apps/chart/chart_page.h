/* What the files that make a chart share: the chart under construction, its layout and its drawing.
   The rest of the program needs only chart.h. */
#ifndef CEREBRA_APPS_CHART_CHART_PAGE_H
#define CEREBRA_APPS_CHART_CHART_PAGE_H

#include "canvas.h"
#include "chart.h"
#include "ticks.h"

enum { CHART_LONGEST_TEXT = 256 };

/* Points in pixels, reduced to what can be seen; owned. */
typedef struct pixel_line {
    canvas_point *points;
    size_t count;
} pixel_line;

typedef struct curve {
    pixel_line line;
    pixel_line faint;               /* the unsmoothed points behind it; without smoothing none */
    pixel_line low, high;           /* the ends of its band; without one none */
    char label[CHART_LONGEST_TEXT]; /* shortened to fit; "" is not in the legend */
} curve;

typedef struct legend {
    bool shown, above; /* above the plot, in rows, or inside it */
    size_t rows;
    double column_width, row_height;
    size_t columns;
    canvas_rectangle box;
} legend;

typedef struct chart {
    const chart_series *series;
    size_t series_count;
    const chart_options *options;
    canvas *page;
    double width, height;
    double unit; /* 1 for a chart of 800 x 500; all sizes are multiples of it */
    double tick_size, label_size, title_size, legend_size; /* of letters */
    double least_left, least_right; /* margins, so that panels have the same */
    axis_scale x, y;
    tick_list x_ticks, y_ticks;
    canvas_rectangle plot;
    curve *curves;
    legend legend;
} chart;

/* chart_layout.c: margins, ticks, positions. */

/* Finds axis ticks and the plot's rectangle from the letters' sizes and the legend's place. */
void chart_lay_out(chart *c);

/* An axis's label with the offset of its ticks, such as "time (+ 1700000000)"; "" is none. */
void chart_axis_text(const char *label, const tick_list *ticks, char text[CHART_LONGEST_TEXT]);

bool chart_has_text(const char *text);
double chart_tick_length(const chart *c);
bool chart_vline_shown(const chart *c, const chart_vline *line);

/* Copies text, cut off with an ellipsis where it is wider than `width`. */
void chart_fit_text(const chart *c, const char *text, double size, bool bold, double width,
                    char fitted[CHART_LONGEST_TEXT]);

/* chart_curves.c: from values to pixels. */

/* Fills the curves' pixels from the series, in place of those that are there. False when there is
   no memory. */
bool chart_project_curves(const chart *c);
void chart_free_curves(const chart *c);

/* chart_text.c: texts of any bytes. */

/* Copies text with U+FFFD for what is not UTF-8 and spaces for control characters, but ends of
   lines only if not kept; the caller frees. NULL when there is no memory. */
char *chart_clean_text(const char *text, bool keep_lines);

/* chart_style.c: how curves look. */

enum { CHART_MOST_DASHES = 6 };

/* The line of series `index`; dashes is where its lengths go. */
canvas_stroke chart_curve_stroke(const chart *c, size_t index, double dashes[CHART_MOST_DASHES]);

/* chart_legend.c: where the legend goes. */

/* Decides where the legend goes and cuts its labels to fit; lays the chart out again when it needs
   room above the plot. Needs projected curves. False when there is no memory. */
bool chart_place_legend(chart *c);

/* The line before a label in the legend, the gap between the two, and between columns. */
double chart_sample_width(const chart *c);
double chart_sample_gap(const chart *c);
double chart_column_gap(const chart *c);

/* chart_draw.c: everything onto the page, from back to front. */
void chart_draw(const chart *c);

/* The title above several panels; c is one of them. */
void chart_draw_page_title(const chart *c, const char *title);

#endif
