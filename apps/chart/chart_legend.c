/* A place for the legend: the corner, or the middle of a side, with the least curve under it. When
   there is curve under all of these it goes above the plot instead, in rows. */
#include "chart_page.h"

#include "chart_data.h"

#include <math.h>

double chart_sample_width(const chart *c) {
    return 30 * c->unit;
}

double chart_sample_gap(const chart *c) {
    return 7 * c->unit;
}

double chart_column_gap(const chart *c) {
    return 18 * c->unit;
}

/* Cuts the labels to `width`; returns the number of entries and the width of the widest. */
static size_t measure_legend(chart *c, double width, double *widest) {
    size_t entries = 0;
    *widest = 0;
    for (size_t i = 0; i < c->series_count; i++) {
        c->curves[i].label[0] = '\0';
        if (chart_has_text(c->series[i].label)) {
            char *label = c->curves[i].label;
            chart_fit_text(c, c->series[i].label, c->legend_size, false, width, label);
            *widest = fmax(*widest, canvas_text_width(c->page, label, c->legend_size, false));
            entries++;
        }
    }
    return entries;
}

/* How much is under a rectangle: length of curves, and of the lines' notes. */
static double crowding(const chart *c, canvas_rectangle box) {
    double air = 4 * c->unit;
    canvas_rectangle around = {box.x - air, box.y - air, box.width + 2 * air, box.height + 2 * air};
    double total = 0;
    for (size_t i = 0; i < c->series_count; i++) {
        const curve *one = &c->curves[i];
        const pixel_line *lines[] = {&one->line, &one->faint, &one->low, &one->high};
        for (size_t j = 0; j < sizeof lines / sizeof *lines; j++)
            total += chart_length_inside(lines[j]->points, lines[j]->count, around);
    }
    for (size_t i = 0; i < c->options->vline_count; i++) {
        const chart_vline *line = &c->options->vlines[i];
        if (chart_vline_shown(c, line)) {
            double at = c->plot.x + axis_fraction(&c->x, line->x) * c->plot.width;
            double note = canvas_line_height(c->page, c->tick_size);
            canvas_point across[] = {{at - note, c->plot.y + air}, {at + note, c->plot.y + air}};
            canvas_point down[] = {{at, c->plot.y}, {at, c->plot.y + c->plot.height}};
            total += chart_length_inside(down, 2, around);
            total += chart_has_text(line->label) ? chart_length_inside(across, 2, around) : 0;
        }
    }
    return total;
}

/* Tries the corners, then the middles of the sides; leaves the best in c->legend.box and returns
   how crowded it is. */
static double place_legend_inside(chart *c) {
    static const canvas_point places[] = {{1, 0},   {0, 0},   {0, 1},   {1, 1},
                                          {0.5, 0}, {1, 0.5}, {0.5, 1}, {0, 0.5}};
    double air = 9 * c->unit;
    double best = INFINITY;
    canvas_rectangle box = c->legend.box;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        box.x = c->plot.x + air + places[i].x * (c->plot.width - box.width - 2 * air);
        box.y = c->plot.y + air + places[i].y * (c->plot.height - box.height - 2 * air);
        double crowd = crowding(c, box);
        if (crowd < best) {
            best = crowd;
            c->legend.box = box;
        }
    }
    return best;
}

/* Rows above the plot, the columns as wide as the widest entry. */
static void place_legend_above(chart *c) {
    double widest;
    double room = c->plot.width;
    double other = chart_sample_width(c) + chart_sample_gap(c);
    size_t entries = measure_legend(c, room - other, &widest);
    c->legend.above = true;
    c->legend.column_width = other + widest + chart_column_gap(c);
    double columns = floor((room + chart_column_gap(c)) / c->legend.column_width);
    if (columns < 2 && entries > 3) {
        /* One long label must not make a tower of all. */
        entries = measure_legend(c, (room - chart_column_gap(c)) / 2 - other, &widest);
        c->legend.column_width = other + widest + chart_column_gap(c);
        columns = 2;
    }
    c->legend.columns = columns < 1 ? 1 : columns > (double)entries ? entries : (size_t)columns;
    c->legend.rows = (entries + c->legend.columns - 1) / c->legend.columns;
    /* Even rows: five entries as 3 + 2, not as 4 + 1. */
    c->legend.columns = (entries + c->legend.rows - 1) / c->legend.rows;
}

static void size_legend_inside(chart *c) {
    double widest;
    double padding = 7 * c->unit;
    double other = chart_sample_width(c) + chart_sample_gap(c) + 2 * padding;
    double room = fmax(0, c->plot.width * 0.55 - other);
    size_t entries = measure_legend(c, room, &widest);
    c->legend = (legend){.shown = entries > 0,
                         .rows = entries,
                         .columns = 1,
                         .row_height = canvas_line_height(c->page, c->legend_size) * 1.2};
    c->legend.column_width = widest + other;
    c->legend.box = (canvas_rectangle){.width = c->legend.column_width,
                                       .height = (double)entries * c->legend.row_height +
                                                 2 * padding - 3 * c->unit};
}

/* Decides where the legend goes; lays the chart out again if it needs room above the plot. */
bool chart_place_legend(chart *c) {
    size_legend_inside(c);
    if (!c->legend.shown)
        return true;
    bool fits = c->legend.box.height < c->plot.height * 0.75;
    double crowd = place_legend_inside(c);
    if (fits && crowd <= 0)
        return true;
    legend inside = c->legend;
    place_legend_above(c);
    double needed = (double)c->legend.rows * c->legend.row_height;
    if (needed > 0.35 * c->height && fits) {
        double widest;
        c->legend = inside;
        size_legend_inside(c);
        place_legend_inside(c);
        (void)measure_legend(c, fmax(0, c->plot.width * 0.55 - chart_sample_width(c)), &widest);
        return true;
    }
    if (needed > 0.5 * c->height)
        c->legend.shown = false;
    chart_lay_out(c);
    return chart_project_curves(c);
}
