/* From series to a file: checks the request, then find the axes from the data, lay out, turn the
   data into pixel positions, find a place for the legend, draw, save (chart_data.c, chart_layout.c,
   chart_legend.c, chart_draw.c, canvas.c). */
#include "chart.h"

#include "apps/cli/failure.h"
#include "canvas.h"
#include "chart_data.h"
#include "chart_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool chart_path_supported(const char *path) {
    return canvas_format_of_path(path) != CANVAS_UNKNOWN;
}

/* What a panel shows, in words: for the metadata, and for readers who cannot see it. */
static void describe_panel(const chart_series *series, size_t series_count,
                           const chart_options *options, FILE *text) {
    fprintf(text, "Line chart of %s%s over %s%s.",
            chart_has_text(options->y_label) ? options->y_label : "y",
            options->log_y ? " (logarithmic)" : "",
            chart_has_text(options->x_label) ? options->x_label : "x",
            options->log_x ? " (logarithmic)" : "");
    for (size_t i = 0; i < series_count; i++) {
        fprintf(text, "%s%s (%zu points%s)", i == 0 ? " Curves: " : ", ",
                series[i].label == NULL ? "unnamed" : series[i].label, series[i].count,
                series[i].low == NULL ? "" : ", with a band");
    }
    if (options->smooth > 1)
        fprintf(text, "; moving averages over %zu points", options->smooth);
    fprintf(text, ".");
    for (size_t i = 0; i < options->vline_count; i++)
        if (chart_has_text(options->vlines[i].label))
            fprintf(text, " Marked at %g: %s.", options->vlines[i].x, options->vlines[i].label);
}

/* The description of the page, for the caller to free. NULL when there is no memory. */
static char *describe(const chart *panels, size_t count, const chart_options *page) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL)
        return NULL;
    if (chart_has_text(page->description))
        fprintf(stream, "%s\n", page->description);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s", i == 0 ? "" : "\n");
        describe_panel(panels[i].series, panels[i].series_count, panels[i].options, stream);
    }
    bool whole = !ferror(stream); /* else there was no memory */
    whole = fclose(stream) == 0 && whole;
    char *clean = whole ? chart_clean_text(text, true) : NULL;
    free(text);
    return clean;
}

static bool check_request(const chart_panel *panels, size_t count, double width, double height,
                          const char *path, char *error, size_t error_size) {
    for (size_t i = 0; i < count; i++)
        if (panels[i].series_count == 0)
            return failure(error, error_size, "there is no series to draw");
    if (!chart_path_supported(path)) {
        return failure(error, error_size,
                       "cannot write %s: its name must end in .png, .svg or .pdf", path);
    }
    if (width < CHART_SMALLEST || width > CHART_LARGEST || height < CHART_SMALLEST ||
        height > CHART_LARGEST) {
        return failure(error, error_size,
                       "a chart of %.0f x %.0f pixels is not possible (%d to %d each)", width,
                       height, CHART_SMALLEST, CHART_LARGEST);
    }
    return true;
}

static void choose_sizes(chart *c, double unit) {
    c->unit = unit;
    c->tick_size = 12 * unit;
    c->label_size = 13.5 * unit;
    c->title_size = 15.5 * unit;
    c->legend_size = 12.5 * unit;
}

/* Lays the panels out until all have the same left and right end. */
static bool lay_out_panels(chart *panels, size_t count) {
    double left = 0, right = 0;
    for (size_t pass = 0; pass < (count > 1 ? 2 : 1); pass++) {
        for (size_t i = 0; i < count; i++) {
            chart *c = &panels[i];
            c->least_left = left;
            c->least_right = right;
            c->legend = (legend){0};
            chart_lay_out(c);
            if (!chart_project_curves(c) || !chart_place_legend(c))
                return false;
        }
        for (size_t i = 0; i < count; i++) {
            left = fmax(left, panels[i].plot.x);
            right = fmax(right, panels[i].width - panels[i].plot.x - panels[i].plot.width);
        }
    }
    return true;
}

static void notice_missing_letters(const canvas *page, const chart_options *options) {
    static const char missing[] = "some letters are drawn as boxes, because no installed font has "
                                  "them";
    static const char leftward[] =
        "scripts that run to the left are drawn letter by letter, to the "
        "right";
    bool both = canvas_letters_missing(page) && canvas_text_leftward(page);
    if (options->notice != NULL) {
        snprintf(options->notice, CHART_NOTICE_SIZE, "%s%s%s",
                 canvas_letters_missing(page) ? missing : "", both ? "; " : "",
                 canvas_text_leftward(page) ? leftward : "");
    }
}

/* Draws a page whose scales are found; panels have room for a title above them. */
static bool draw_page(chart *panels, size_t count, const chart_options *page, double head,
                      const char *path, char *error, size_t error_size) {
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        panels[i].curves = calloc(panels[i].series_count, sizeof *panels[i].curves);
        ok = panels[i].curves != NULL;
    }
    ok = ok && lay_out_panels(panels, count);
    for (size_t i = 0; i < count && ok; i++) {
        double down = head + (double)i * panels[i].height;
        canvas_shift(panels[i].page, 0, down);
        chart_draw(&panels[i]);
        canvas_shift(panels[i].page, 0, -down);
    }
    if (ok && head > 0)
        chart_draw_page_title(&panels[0], page->title);
    char *description = ok ? describe(panels, count, page) : NULL;
    char *title = ok ? chart_clean_text(page->title == NULL ? "" : page->title, false) : NULL;
    ok = description != NULL && title != NULL;
    if (ok) {
        canvas_metadata metadata = {page->title == NULL ? NULL : title, description};
        ok = canvas_save(panels[0].page, path, &metadata, error, error_size);
        notice_missing_letters(panels[0].page, page);
    } else {
        failure(error, error_size, "cannot draw %s: out of memory", path);
    }
    free(description);
    free(title);
    return ok;
}

bool chart_write_panels(const chart_panel *panels, size_t panel_count, const chart_options *page,
                        const char *path, char *error, size_t error_size) {
    double width = page->width == 0 ? CHART_WIDTH : page->width;
    double height = page->height == 0 ? CHART_HEIGHT : page->height;
    double unit = fmax(0.55, fmin(width / 800, height / 500));
    double head = panel_count > 1 && chart_has_text(page->title) ? round(26 * unit) : 0;
    if (page->notice != NULL)
        *page->notice = '\0';
    if (!check_request(panels, panel_count, width, height, path, error, error_size))
        return false;
    chart *charts = calloc(panel_count, sizeof *charts);
    canvas *sheet = canvas_new(canvas_format_of_path(path), (int)width, (int)height, 96 * unit);
    bool ok = charts != NULL && sheet != NULL;
    if (!ok)
        failure(error, error_size, "cannot draw %s: out of memory", path);
    for (size_t i = 0; i < panel_count && ok; i++) {
        chart *c = &charts[i];
        *c = (chart){.series = panels[i].series,
                     .series_count = panels[i].series_count,
                     .options = &panels[i].options,
                     .page = sheet,
                     .width = width,
                     .height = floor((height - head) / (double)panel_count)};
        choose_sizes(c, unit);
        ok = chart_find_scales(c->series, c->series_count, c->options, &c->x, &c->y, error,
                               error_size);
    }
    ok = ok && draw_page(charts, panel_count, page, head, path, error, error_size);
    for (size_t i = 0; i < panel_count && charts != NULL; i++) {
        chart_free_curves(&charts[i]);
        free(charts[i].curves);
    }
    free(charts);
    canvas_free(sheet);
    return ok;
}

bool chart_write(const chart_series *series, size_t series_count, const chart_options *options,
                 const char *path, char *error, size_t error_size) {
    const chart_panel only = {series, series_count, *options};
    return chart_write_panels(&only, 1, options, path, error, error_size);
}
