/* Layout of a chart. The margins follow from the labels' sizes, the labels from the ticks, and how
   many ticks there is room for from the margins; two passes settle it. */
#include "chart_page.h"

#include "chart_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool chart_has_text(const char *text) {
    return text != NULL && *text != '\0';
}

void chart_fit_text(const chart *c, const char *text, double size, bool bold, double width,
                    char fitted[CHART_LONGEST_TEXT]) {
    char *clean = chart_clean_text(text, false);
    text = clean == NULL ? "" : clean;
    snprintf(fitted, CHART_LONGEST_TEXT, "%s", text);
    size_t kept = strlen(fitted);
    bool complete = kept == strlen(text);
    while (kept > 0 && (!complete || canvas_text_width(c->page, fitted, size, bold) > width)) {
        do {
            kept--;
        } while (kept > 0 && ((unsigned char)fitted[kept] & 0xc0) == 0x80);
        while (kept > 0 && fitted[kept - 1] == ' ')
            kept--;
        if (kept + sizeof "…" <= CHART_LONGEST_TEXT) {
            snprintf(fitted + kept, CHART_LONGEST_TEXT - kept, "…");
            complete = true;
        }
    }
    free(clean);
}

void chart_axis_text(const char *label, const tick_list *ticks, char text[CHART_LONGEST_TEXT]) {
    bool both = chart_has_text(label) && ticks->offset[0] != '\0';
    snprintf(text, CHART_LONGEST_TEXT, both ? "%s (%s)" : "%s%s", label == NULL ? "" : label,
             ticks->offset);
}

bool chart_vline_shown(const chart *c, const chart_vline *line) {
    return chart_value_shown(line->x, c->x.logarithmic) && line->x >= c->x.minimum &&
           line->x <= c->x.maximum;
}

double chart_tick_length(const chart *c) {
    return 4.5 * c->unit;
}

static double widest_label(const chart *c, const tick_list *ticks) {
    double widest = 0;
    for (size_t i = 0; i < ticks->count; i++) {
        if (ticks->items[i].major) {
            widest = fmax(widest,
                          canvas_text_width(c->page, ticks->items[i].label, c->tick_size, false));
        }
    }
    return widest;
}

/* Whether the labels under the x axis have air between them. */
static bool x_labels_fit(const chart *c, const tick_list *ticks) {
    double last_end = -INFINITY;
    for (size_t i = 0; i < ticks->count; i++) {
        if (ticks->items[i].major) { /* in ascending order among themselves */
            double centre = axis_fraction(&c->x, ticks->items[i].value) * c->plot.width;
            double half =
                canvas_text_width(c->page, ticks->items[i].label, c->tick_size, false) / 2;
            if (centre - half < last_end + 1.1 * c->tick_size)
                return false;
            last_end = centre + half;
        }
    }
    return true;
}

static void make_ticks(chart *c) {
    double air = 3.4 * canvas_cap_height(c->page, c->tick_size);
    double most_y = fmin(10, floor(c->plot.height / air));
    ticks_make(&c->y, most_y < 2 ? 2 : (size_t)most_y, &c->y_ticks);
    size_t most_x = 12;
    do {
        ticks_make(&c->x, most_x, &c->x_ticks);
        most_x--;
    } while (most_x >= 2 && !x_labels_fit(c, &c->x_ticks));
}

/* The margins around the plot from the labels as they are now. */
static void place_plot(chart *c) {
    const double u = c->unit;
    double edge = 10 * u;
    double top = edge;
    double bottom = edge + chart_tick_length(c) + 5 * u + canvas_cap_height(c->page, c->tick_size);
    double left = edge + chart_tick_length(c) + 4 * u + widest_label(c, &c->y_ticks);
    double right = edge;
    char text[CHART_LONGEST_TEXT];
    if (chart_has_text(c->options->title))
        top += canvas_cap_height(c->page, c->title_size) + 11 * u;
    else
        top += canvas_cap_height(c->page, c->tick_size) / 2;
    if (c->legend.shown && c->legend.above)
        top += (double)c->legend.rows * c->legend.row_height + 4 * u;
    chart_axis_text(c->options->x_label, &c->x_ticks, text);
    if (chart_has_text(text))
        bottom += canvas_line_height(c->page, c->label_size) + 3 * u;
    chart_axis_text(c->options->y_label, &c->y_ticks, text);
    if (chart_has_text(text))
        left += canvas_line_height(c->page, c->label_size) + 3 * u;
    left = fmax(left, c->least_left);
    c->plot = (canvas_rectangle){left, top, fmax(1, c->width - left - right),
                                 fmax(1, c->height - top - bottom)};
    /* A label under the last tick may reach beyond the plot's right end. */
    for (size_t i = 0; i < c->x_ticks.count; i++) {
        const tick *item = &c->x_ticks.items[i];
        double half = canvas_text_width(c->page, item->label, c->tick_size, false) / 2;
        double end = left + axis_fraction(&c->x, item->value) * c->plot.width + half;
        right = fmax(right, edge * 0.6 + right + end - c->width);
    }
    right = fmax(right, c->least_right);
    c->plot.width = fmax(1, c->width - left - right);
}

void chart_lay_out(chart *c) {
    c->plot = (canvas_rectangle){0, 0, c->width * 0.85, c->height * 0.75};
    for (int pass = 0; pass < 2; pass++) {
        make_ticks(c);
        place_plot(c);
    }
    make_ticks(c);
}
