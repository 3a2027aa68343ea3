/* From series to a file: checks the request, then find the axes from the data, lay out, turn the
   data into pixel positions, find a place for the legend, draw, save (chart_data.c, chart_layout.c,
   chart_legend.c, chart_draw.c, canvas.c). */
#include "chart.h"

#include "apps/cli/failure.h"
#include "canvas.h"
#include "chart_data.h"
#include "chart_page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

bool chart_path_supported(const char *path) {
    return canvas_format_of_path(path) != CANVAS_UNKNOWN;
}

static bool allocate_curves(chart *c) {
    c->curves = calloc(c->series_count, sizeof *c->curves);
    if (c->curves == NULL)
        return false;
    for (size_t i = 0; i < c->series_count; i++) {
        curve *one = &c->curves[i];
        one->count = c->series[i].count;
        one->points = calloc(one->count, sizeof *one->points);
        if (c->options->smooth > 1)
            one->faint = calloc(one->count, sizeof *one->faint);
        if (one->points == NULL || (c->options->smooth > 1 && one->faint == NULL))
            return false;
    }
    return true;
}

static void release(chart *c) {
    for (size_t i = 0; c->curves != NULL && i < c->series_count; i++) {
        free(c->curves[i].points);
        free(c->curves[i].faint);
    }
    free(c->curves);
    canvas_free(c->page);
}
/* A growing string; text is NULL after an allocation has failed. */
static void append_text(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append_text(char **text, const char *format, ...) {
    va_list arguments;
    if (*text == NULL)
        return;
    va_start(arguments, format);
    int added = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t length = strlen(*text);
    char *grown = added < 0 ? NULL : realloc(*text, length + (size_t)added + 1);
    if (grown == NULL) {
        free(*text);
        *text = NULL;
        return;
    }
    va_start(arguments, format);
    vsnprintf(grown + length, (size_t)added + 1, format, arguments);
    va_end(arguments);
    *text = grown;
}

/* Bytes that are not UTF-8, as file names may have, would make the metadata invalid. */
static void replace_invalid_bytes(char *text) {
    utf8proc_uint8_t *at = (utf8proc_uint8_t *)text;
    while (*at != '\0') {
        utf8proc_int32_t code_point;
        utf8proc_ssize_t length = utf8proc_iterate(at, -1, &code_point);
        if (length < 1) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}

/* What the chart shows, in words: for the metadata, and for readers who cannot see it. */
static char *describe(const chart *c) {
    const chart_options *options = c->options;
    char *text = calloc(1, 1);
    if (chart_has_text(options->description))
        append_text(&text, "%s\n", options->description);
    append_text(&text, "Line chart of %s%s over %s%s.",
                chart_has_text(options->y_label) ? options->y_label : "y",
                options->log_y ? " (logarithmic)" : "",
                chart_has_text(options->x_label) ? options->x_label : "x",
                options->log_x ? " (logarithmic)" : "");
    for (size_t i = 0; i < c->series_count; i++) {
        append_text(&text, "%s%s (%zu points)", i == 0 ? " Curves: " : ", ",
                    c->series[i].label == NULL ? "unnamed" : c->series[i].label,
                    c->series[i].count);
    }
    if (options->smooth > 1)
        append_text(&text, "; moving averages over %zu points", options->smooth);
    append_text(&text, ".");
    for (size_t i = 0; i < options->vline_count; i++) {
        if (chart_has_text(options->vlines[i].label)) {
            append_text(&text, " Marked at %g: %s.", options->vlines[i].x,
                        options->vlines[i].label);
        }
    }
    if (text != NULL)
        replace_invalid_bytes(text);
    return text;
}

static bool check_request(const chart *c, const char *path, char *error, size_t error_size) {
    if (c->series_count == 0)
        return failure(error, error_size, "there is no series to draw");
    if (!chart_path_supported(path)) {
        return failure(error, error_size, "cannot write %s: its name must end in .png or .svg",
                       path);
    }
    if (c->width < CHART_SMALLEST || c->width > CHART_LARGEST || c->height < CHART_SMALLEST ||
        c->height > CHART_LARGEST) {
        return failure(error, error_size,
                       "a chart of %.0f x %.0f pixels is not possible (%d to %d each)", c->width,
                       c->height, CHART_SMALLEST, CHART_LARGEST);
    }
    return true;
}

static void choose_sizes(chart *c) {
    c->unit = fmax(0.55, fmin(c->width / 800, c->height / 500));
    c->tick_size = 12 * c->unit;
    c->label_size = 13.5 * c->unit;
    c->title_size = 15.5 * c->unit;
    c->legend_size = 12.5 * c->unit;
}

static bool compose(chart *c, const char *path, char *error, size_t error_size) {
    c->page = canvas_new(canvas_format_of_path(path), (int)c->width, (int)c->height);
    if (c->page == NULL || !allocate_curves(c))
        return failure(error, error_size, "cannot draw %s: out of memory", path);
    choose_sizes(c);
    chart_lay_out(c);
    if (!chart_project_curves(c) || !chart_place_legend(c))
        return failure(error, error_size, "cannot draw %s: out of memory", path);
    chart_draw(c);
    return true;
}

bool chart_write(const chart_series *series, size_t series_count, const chart_options *options,
                 const char *path, char *error, size_t error_size) {
    chart c = {.series = series,
               .series_count = series_count,
               .options = options,
               .width = options->width == 0 ? CHART_WIDTH : options->width,
               .height = options->height == 0 ? CHART_HEIGHT : options->height};
    if (!check_request(&c, path, error, error_size) ||
        !chart_find_scales(series, series_count, options, &c.x, &c.y, error, error_size))
        return false;
    bool ok = compose(&c, path, error, error_size);
    char *description = ok ? describe(&c) : NULL;
    if (ok && description == NULL)
        ok = failure(error, error_size, "cannot draw %s: out of memory", path);
    if (ok) {
        canvas_metadata metadata = {options->title, description, 96 * c.unit};
        ok = canvas_save(c.page, path, &metadata, error, error_size);
    }
    free(description);
    release(&c);
    return ok;
}
