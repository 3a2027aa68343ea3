/* The one file that knows Cairo. Cairo keeps the first error as the state of its context and
   ignores what is drawn after it, so that drawing needs no checks and canvas_save reports.

   Cairo draws text in an SVG as outlines, which look the same where the font is missing; what was
   written is therefore repeated in <title> and <desc>, put behind the root element's tag. */
#include "canvas.h"

#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"
#include "png_write.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char font_family[] = "DejaVu Sans";

struct canvas {
    canvas_format format;
    cairo_surface_t *surface;
    cairo_t *cairo;
    /* the SVG document, as far as it is written */
    char *svg;
    size_t svg_length, svg_capacity;
};

canvas_format canvas_format_of_path(const char *path) {
    size_t length = strlen(path);
    if (strcmp(path, "-") == 0 || (length > 4 && strcasecmp(path + length - 4, ".png") == 0))
        return CANVAS_PNG;
    if (length > 4 && strcasecmp(path + length - 4, ".svg") == 0)
        return CANVAS_SVG;
    return CANVAS_UNKNOWN;
}

static cairo_status_t append_svg(void *closure, const unsigned char *data, unsigned length) {
    canvas *page = closure;
    if (page->svg_capacity - page->svg_length < length) {
        size_t capacity = page->svg_capacity * 2 + length;
        char *grown = capacity > page->svg_capacity ? realloc(page->svg, capacity) : NULL;
        if (grown == NULL)
            return CAIRO_STATUS_NO_MEMORY;
        page->svg = grown;
        page->svg_capacity = capacity;
    }
    memcpy(page->svg + page->svg_length, data, length);
    page->svg_length += length;
    return CAIRO_STATUS_SUCCESS;
}

canvas *canvas_new(canvas_format format, int width, int height) {
    canvas *page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    page->format = format;
    page->surface = format == CANVAS_SVG
                        ? cairo_svg_surface_create_for_stream(append_svg, page, width, height)
                        : cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    page->cairo = cairo_create(page->surface);
    if (cairo_status(page->cairo) != CAIRO_STATUS_SUCCESS) {
        canvas_free(page);
        return NULL;
    }
    /* Unhinted metrics keep the layout the same at every size and in both formats. */
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(page->cairo, options);
    cairo_font_options_destroy(options);
    cairo_set_line_join(page->cairo, CAIRO_LINE_JOIN_ROUND);
    canvas_fill(page, (canvas_rectangle){0, 0, width, height}, (canvas_color){1, 1, 1, 1});
    return page;
}

void canvas_free(canvas *page) {
    if (page != NULL) {
        cairo_destroy(page->cairo);
        cairo_surface_destroy(page->surface);
        free(page->svg);
        free(page);
    }
}

static void set_color(canvas *page, canvas_color color) {
    cairo_set_source_rgba(page->cairo, color.red, color.green, color.blue, color.alpha);
}

static void set_stroke(canvas *page, canvas_stroke stroke) {
    set_color(page, stroke.color);
    cairo_set_line_width(page->cairo, stroke.width);
    cairo_set_dash(page->cairo, stroke.dashes, stroke.dashes == NULL ? 0 : (int)stroke.dash_count,
                   0);
}

void canvas_clip(canvas *page, canvas_rectangle area) {
    cairo_save(page->cairo);
    cairo_rectangle(page->cairo, area.x, area.y, area.width, area.height);
    cairo_clip(page->cairo);
}

void canvas_unclip(canvas *page) {
    cairo_restore(page->cairo);
}

void canvas_fill(canvas *page, canvas_rectangle area, canvas_color color) {
    set_color(page, color);
    cairo_rectangle(page->cairo, area.x, area.y, area.width, area.height);
    cairo_fill(page->cairo);
}

void canvas_outline(canvas *page, canvas_rectangle area, canvas_stroke stroke) {
    set_stroke(page, stroke);
    cairo_rectangle(page->cairo, area.x, area.y, area.width, area.height);
    cairo_stroke(page->cairo);
}

void canvas_disc(canvas *page, canvas_point centre, double radius, canvas_color color) {
    set_color(page, color);
    cairo_new_path(page->cairo);
    cairo_arc(page->cairo, centre.x, centre.y, radius, 0, 2 * 3.14159265358979323846);
    cairo_fill(page->cairo);
}

void canvas_polyline(canvas *page, const canvas_point *points, size_t count, canvas_stroke stroke) {
    bool connected = false;
    set_stroke(page, stroke);
    cairo_new_path(page->cairo);
    for (size_t i = 0; i < count; i++) {
        bool gap = isnan(points[i].x) || isnan(points[i].y);
        if (!gap && connected)
            cairo_line_to(page->cairo, points[i].x, points[i].y);
        else if (!gap)
            cairo_move_to(page->cairo, points[i].x, points[i].y);
        connected = !gap;
    }
    cairo_stroke(page->cairo);
}

static void set_font(canvas *page, double size, bool bold) {
    cairo_select_font_face(page->cairo, font_family, CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(page->cairo, size);
}

double canvas_text_width(canvas *page, const char *text, double size, bool bold) {
    cairo_text_extents_t extents;
    set_font(page, size, bold);
    cairo_text_extents(page->cairo, text, &extents);
    return extents.x_advance;
}

double canvas_cap_height(canvas *page, double size) {
    cairo_text_extents_t extents;
    set_font(page, size, false);
    cairo_text_extents(page->cairo, "0", &extents);
    return extents.height;
}

double canvas_line_height(canvas *page, double size) {
    cairo_font_extents_t extents;
    set_font(page, size, false);
    cairo_font_extents(page->cairo, &extents);
    return extents.ascent + extents.descent;
}

void canvas_text(canvas *page, canvas_point at, const char *text, canvas_text_style style) {
    double width = canvas_text_width(page, text, style.size, style.bold);
    double capital = canvas_cap_height(page, style.size);
    double down = style.vertical == CANVAS_TOP      ? capital
                  : style.vertical == CANVAS_MIDDLE ? capital / 2
                                                    : 0;
    set_font(page, style.size, style.bold);
    set_color(page, style.color);
    cairo_save(page->cairo);
    cairo_translate(page->cairo, at.x, at.y);
    if (style.upwards)
        cairo_rotate(page->cairo, -3.14159265358979323846 / 2);
    cairo_move_to(page->cairo, -style.horizontal * width, down);
    cairo_show_text(page->cairo, text);
    cairo_restore(page->cairo);
}

static bool drawing_failure(cairo_status_t status, const char *path, char *error,
                            size_t error_size) {
    if (status == CAIRO_STATUS_INVALID_STRING) {
        return failure(error, error_size, "cannot draw %s: a title or label is not valid UTF-8",
                       path);
    }
    return failure(error, error_size, "cannot draw %s: %s", path, cairo_status_to_string(status));
}

static bool save_png(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                     size_t error_size) {
    size_t width = (size_t)cairo_image_surface_get_width(page->surface);
    size_t height = (size_t)cairo_image_surface_get_height(page->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(page->surface);
    const unsigned char *data = cairo_image_surface_get_data(page->surface);
    unsigned char *pixels = malloc(width * height * 3);
    if (pixels == NULL)
        return failure(error, error_size, "cannot write %s: out of memory", path);
    unsigned char *to = pixels;
    for (size_t row = 0; row < height; row++) {
        for (size_t column = 0; column < width; column++, to += 3) {
            uint32_t pixel; /* 0xXXRRGGBB in the machine's byte order */
            memcpy(&pixel, data + row * stride + column * sizeof pixel, sizeof pixel);
            to[0] = (unsigned char)(pixel >> 16 & 0xff);
            to[1] = (unsigned char)(pixel >> 8 & 0xff);
            to[2] = (unsigned char)(pixel & 0xff);
        }
    }
    raster_image image = {width, height, 3, pixels, metadata->pixels_per_inch};
    raster_text texts[] = {{"Title", metadata->title},
                           {"Description", metadata->description},
                           {"Software", "cerebra"}};
    bool ok = raster_write_png(path, &image, texts, 3, error, error_size);
    free(pixels);
    return ok;
}

/* <name>text</name>, with what XML reserves escaped and what it forbids left out. */
static void write_element(FILE *stream, const char *name, const char *text) {
    if (text == NULL)
        return;
    fprintf(stream, "<%s>", name);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&' || c == '<' || c == '>')
            fputs(c == '&' ? "&amp;" : c == '<' ? "&lt;" : "&gt;", stream);
        else if (c >= ' ' || c == '\n' || c == '\t')
            fputc(c, stream);
    }
    fprintf(stream, "</%s>\n", name);
}

/* The offset behind the root element's start tag, or the length when there is none. */
static size_t after_root_tag(const canvas *page) {
    for (size_t i = 0; i + 4 <= page->svg_length; i++) {
        if (memcmp(page->svg + i, "<svg", 4) == 0) {
            const char *end = memchr(page->svg + i, '>', page->svg_length - i);
            return end == NULL ? page->svg_length : (size_t)(end - page->svg) + 1;
        }
    }
    return page->svg_length;
}

static bool save_svg(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                     size_t error_size) {
    replacement file;
    if (!replacement_open(&file, path, error, error_size))
        return false;
    size_t head = after_root_tag(page);
    fwrite(page->svg, 1, head, file.stream);
    fputc('\n', file.stream);
    write_element(file.stream, "title", metadata->title);
    write_element(file.stream, "desc", metadata->description);
    fwrite(page->svg + head, 1, page->svg_length - head, file.stream);
    return replacement_commit(&file, error, error_size);
}

bool canvas_save(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                 size_t error_size) {
    cairo_status_t status = cairo_status(page->cairo);
    if (status == CAIRO_STATUS_SUCCESS) {
        cairo_surface_flush(page->surface);
        if (page->format == CANVAS_SVG)
            cairo_surface_finish(page->surface);
        status = cairo_surface_status(page->surface);
    }
    if (status != CAIRO_STATUS_SUCCESS)
        return drawing_failure(status, path, error, error_size);
    return page->format == CANVAS_SVG ? save_svg(page, path, metadata, error, error_size)
                                      : save_png(page, path, metadata, error, error_size);
}
