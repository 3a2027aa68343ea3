/* Drawing of a laid-out chart. */
#include "chart_page.h"

#include "chart_data.h"

#include <math.h>

static const canvas_color ink = {0.13, 0.13, 0.13, 1};
static const canvas_color frame_color = {0.35, 0.35, 0.35, 1};
static const canvas_color major_grid = {0.88, 0.88, 0.88, 1};
static const canvas_color minor_grid = {0.96, 0.96, 0.96, 1};
static const canvas_color mark_color = {0.40, 0.40, 0.40, 1};

/* Where a thin line is sharp: in the middle of a pixel for odd widths, between two for even. */
static double snap(double position, double width) {
    return (long)lround(width) % 2 == 1 ? floor(position) + 0.5 : round(position);
}

static double thin(const chart *c) {
    return fmax(1, round(c->unit * 0.9));
}

static void draw_line(const chart *c, double x0, double y0, double x1, double y1,
                      canvas_color color) {
    canvas_point ends[] = {{x0, y0}, {x1, y1}};
    canvas_polyline(c->page, ends, 2, (canvas_stroke){.width = thin(c), .color = color});
}

static double tick_x(const chart *c, const tick *item) {
    return snap(c->plot.x + axis_fraction(&c->x, item->value) * c->plot.width, thin(c));
}

static double tick_y(const chart *c, const tick *item) {
    return snap(c->plot.y + (1 - axis_fraction(&c->y, item->value)) * c->plot.height, thin(c));
}

static void draw_grid(const chart *c, bool major) {
    const canvas_rectangle *plot = &c->plot;
    canvas_color color = major ? major_grid : minor_grid;
    for (size_t i = 0; i < c->x_ticks.count; i++) {
        if (c->x_ticks.items[i].major == major) {
            double x = tick_x(c, &c->x_ticks.items[i]);
            draw_line(c, x, plot->y, x, plot->y + plot->height, color);
        }
    }
    for (size_t i = 0; i < c->y_ticks.count; i++) {
        if (c->y_ticks.items[i].major == major) {
            double y = tick_y(c, &c->y_ticks.items[i]);
            draw_line(c, plot->x, y, plot->x + plot->width, y, color);
        }
    }
}

/* The frame's left and lower side, ticks and their labels. */
static void draw_axes(const chart *c) {
    double left = snap(c->plot.x, thin(c));
    double bottom = snap(c->plot.y + c->plot.height, thin(c));
    double gap = 4 * c->unit;
    canvas_text_style style = {.size = c->tick_size, .color = ink};
    draw_line(c, left, c->plot.y, left, bottom + thin(c) / 2, frame_color);
    draw_line(c, left - thin(c) / 2, bottom, c->plot.x + c->plot.width, bottom, frame_color);
    style.horizontal = 0.5;
    style.vertical = CANVAS_TOP;
    for (size_t i = 0; i < c->x_ticks.count; i++) {
        const tick *item = &c->x_ticks.items[i];
        double length = item->major ? chart_tick_length(c) : chart_tick_length(c) / 2;
        double x = tick_x(c, item);
        draw_line(c, x, bottom, x, bottom + length, frame_color);
        canvas_text(c->page, (canvas_point){x, bottom + length + gap + c->unit}, item->label,
                    style);
    }
    style.horizontal = 1;
    style.vertical = CANVAS_MIDDLE;
    for (size_t i = 0; i < c->y_ticks.count; i++) {
        const tick *item = &c->y_ticks.items[i];
        double length = item->major ? chart_tick_length(c) : chart_tick_length(c) / 2;
        double y = tick_y(c, item);
        draw_line(c, left, y, left - length, y, frame_color);
        canvas_text(c->page, (canvas_point){left - length - gap, y}, item->label, style);
    }
}

/* Centred, unless the title is so long that it would leave the page. */
static void draw_title(const chart *c, const char *title, double centre) {
    char text[CHART_LONGEST_TEXT];
    double edge = 10 * c->unit;
    chart_fit_text(c, title, c->title_size, true, c->width - 2 * edge, text);
    double half = canvas_text_width(c->page, text, c->title_size, true) / 2;
    double at = fmin(fmax(centre, edge + half), c->width - edge - half);
    canvas_text(c->page, (canvas_point){at, edge}, text,
                (canvas_text_style){.size = c->title_size,
                                    .bold = true,
                                    .horizontal = 0.5,
                                    .vertical = CANVAS_TOP,
                                    .color = ink});
}

void chart_draw_page_title(const chart *c, const char *title) {
    draw_title(c, title, c->width / 2);
}

static void draw_titles(const chart *c) {
    char text[CHART_LONGEST_TEXT];
    const chart_options *options = c->options;
    double centre = c->plot.x + c->plot.width / 2;
    double edge = 10 * c->unit;
    if (chart_has_text(options->title))
        draw_title(c, options->title, centre);
    canvas_text_style style = {.size = c->label_size, .horizontal = 0.5, .color = ink};
    char label[CHART_LONGEST_TEXT];
    chart_axis_text(options->x_label, &c->x_ticks, label);
    if (chart_has_text(label)) {
        chart_fit_text(c, label, c->label_size, false, c->plot.width, text);
        canvas_text(c->page, (canvas_point){centre, c->height - edge}, text, style);
    }
    chart_axis_text(options->y_label, &c->y_ticks, label);
    if (chart_has_text(label)) {
        chart_fit_text(c, label, c->label_size, false, c->plot.height, text);
        style.upwards = true;
        style.vertical = CANVAS_TOP;
        canvas_text(c->page, (canvas_point){edge, c->plot.y + c->plot.height / 2}, text, style);
    }
}

/* The band around a curve, piece by piece: its upper end, and back along the lower one. */
static void draw_band(const chart *c, const curve *one, canvas_color color) {
    size_t high = 0, low = 0;
    color.alpha = 0.2;
    while (high < one->high.count && low < one->low.count) {
        size_t high_end =
            high + chart_piece_length(one->high.points + high, one->high.count - high);
        size_t low_end = low + chart_piece_length(one->low.points + low, one->low.count - low);
        canvas_area(c->page, one->high.points + high, high_end - high, one->low.points + low,
                    low_end - low, color);
        high = high_end + 1;
        low = low_end + 1;
    }
}

static void draw_curves(const chart *c) {
    double dashes[CHART_MOST_DASHES];
    for (size_t i = 0; i < c->series_count; i++) {
        const curve *one = &c->curves[i];
        canvas_stroke stroke = chart_curve_stroke(c, i, dashes);
        draw_band(c, one, stroke.color);
        stroke.dashes = NULL;
        stroke.width *= 0.6;
        stroke.color.alpha = 0.28;
        canvas_polyline(c->page, one->faint.points, one->faint.count, stroke);
    }
    for (size_t i = 0; i < c->series_count; i++) {
        const pixel_line *line = &c->curves[i].line;
        canvas_stroke stroke = chart_curve_stroke(c, i, dashes);
        canvas_polyline(c->page, line->points, line->count, stroke);
        for (size_t j = 0; j < line->count; j++)
            if (chart_point_isolated(line->points, line->count, j))
                canvas_disc(c->page, line->points[j], 2 * stroke.width, stroke.color);
    }
}

static void draw_vlines(const chart *c) {
    double dashes[] = {3 * c->unit, 3 * c->unit};
    for (size_t i = 0; i < c->options->vline_count; i++) {
        const chart_vline *line = &c->options->vlines[i];
        if (chart_vline_shown(c, line)) {
            double x = snap(c->plot.x + axis_fraction(&c->x, line->x) * c->plot.width, thin(c));
            canvas_point ends[] = {{x, c->plot.y}, {x, c->plot.y + c->plot.height}};
            canvas_polyline(c->page, ends, 2, (canvas_stroke){thin(c), mark_color, dashes, 2});
        }
    }
}

/* The notes run upwards along their lines, on white, on the side where there is room. */
static void draw_vline_notes(const chart *c) {
    char text[CHART_LONGEST_TEXT];
    double line_height = canvas_line_height(c->page, c->tick_size);
    for (size_t i = 0; i < c->options->vline_count; i++) {
        const chart_vline *line = &c->options->vlines[i];
        if (!chart_vline_shown(c, line) || !chart_has_text(line->label))
            continue;
        chart_fit_text(c, line->label, c->tick_size, false, c->plot.height * 0.6, text);
        double x = c->plot.x + axis_fraction(&c->x, line->x) * c->plot.width;
        bool on_left = x + line_height + 3 * c->unit > c->plot.x + c->plot.width;
        double start = on_left ? x - line_height - 2 * c->unit : x + 2 * c->unit;
        double length = canvas_text_width(c->page, text, c->tick_size, false);
        double top = c->plot.y + 5 * c->unit;
        canvas_fill(c->page, (canvas_rectangle){start, top - c->unit, line_height, length},
                    (canvas_color){1, 1, 1, 0.8});
        canvas_text(c->page, (canvas_point){start + line_height / 2, top}, text,
                    (canvas_text_style){.size = c->tick_size,
                                        .upwards = true,
                                        .horizontal = 1,
                                        .vertical = CANVAS_MIDDLE,
                                        .color = mark_color});
    }
}

static void draw_legend_entry(const chart *c, size_t index, canvas_point at) {
    double dashes[CHART_MOST_DASHES];
    const curve *one = &c->curves[index];
    canvas_stroke stroke = chart_curve_stroke(c, index, dashes);
    canvas_point ends[] = {at, {at.x + chart_sample_width(c), at.y}};
    if (c->series[index].low != NULL) {
        double height = 0.6 * c->legend_size;
        canvas_color pale = stroke.color;
        pale.alpha = 0.2;
        canvas_fill(c->page,
                    (canvas_rectangle){at.x, at.y - height / 2, chart_sample_width(c), height},
                    pale);
    }
    if (one->line.count == 1) {
        canvas_disc(c->page, (canvas_point){at.x + chart_sample_width(c) / 2, at.y},
                    2 * stroke.width, stroke.color);
    } else {
        canvas_polyline(c->page, ends, 2, stroke);
    }
    canvas_text(
        c->page, (canvas_point){ends[1].x + chart_sample_gap(c), at.y}, one->label,
        (canvas_text_style){.size = c->legend_size, .vertical = CANVAS_MIDDLE, .color = ink});
}

static void draw_legend(const chart *c) {
    const legend *key = &c->legend;
    double padding = 7 * c->unit;
    canvas_point start = {key->box.x + padding, key->box.y + padding - 1.5 * c->unit};
    if (key->above) {
        double used = (double)key->columns * key->column_width - chart_column_gap(c);
        start.x = c->plot.x + fmax(0, (c->plot.width - used) / 2);
        start.y = c->plot.y - (double)key->rows * key->row_height - 6 * c->unit;
    } else {
        canvas_fill(c->page, key->box, (canvas_color){1, 1, 1, 0.88});
        canvas_outline(c->page, key->box, (canvas_stroke){.width = thin(c), .color = major_grid});
    }
    size_t entry = 0;
    for (size_t i = 0; i < c->series_count; i++) {
        if (c->curves[i].label[0] != '\0') {
            double column = (double)(entry % key->columns);
            double row = (double)(entry / key->columns);
            draw_legend_entry(c, i,
                              (canvas_point){start.x + column * key->column_width,
                                             start.y + (row + 0.5) * key->row_height});
            entry++;
        }
    }
}

void chart_draw(const chart *c) {
    draw_grid(c, false);
    draw_grid(c, true);
    canvas_clip(c->page, c->plot);
    draw_vlines(c);
    draw_curves(c);
    draw_vline_notes(c);
    canvas_unclip(c->page);
    draw_axes(c);
    draw_titles(c);
    if (c->legend.shown)
        draw_legend(c);
}
