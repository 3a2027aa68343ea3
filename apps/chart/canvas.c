/* Pages by Cairo. It keeps the first error as the state of its context and ignores what is drawn
   after it, so that drawing needs no checks and canvas_save reports.

   Cairo draws text in an SVG as outlines, which look the same where the font is missing; what was
   written is therefore repeated in <title> and <desc>, put behind the root element's tag. A PDF has
   the fonts' letters in it. */
#include "canvas_page.h"

#include "apps/cli/failure.h"
#include "apps/cli/grow.h"
#include "apps/cli/replacement.h"
#include "png_write.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool ends_in(const char *path, const char *ending) {
    size_t length = strlen(path);
    return length > 4 && strcasecmp(path + length - 4, ending) == 0;
}

canvas_format canvas_format_of_path(const char *path) {
    if (strcmp(path, "-") == 0 || ends_in(path, ".png"))
        return CANVAS_PNG;
    return ends_in(path, ".svg") ? CANVAS_SVG : ends_in(path, ".pdf") ? CANVAS_PDF : CANVAS_UNKNOWN;
}

static cairo_status_t append_document(void *closure, const unsigned char *data, unsigned length) {
    canvas *page = closure;
    char *grown = grow(page->document, &page->room, page->length + length, 1);
    if (grown == NULL)
        return CAIRO_STATUS_NO_MEMORY;
    page->document = grown;
    memcpy(page->document + page->length, data, length);
    page->length += length;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *new_surface(canvas *page, int width, int height, double pixels_per_inch) {
    double point = 72 / pixels_per_inch;
    switch (page->format) {
    case CANVAS_SVG:
        return cairo_svg_surface_create_for_stream(append_document, page, width, height);
    case CANVAS_PDF:
        return cairo_pdf_surface_create_for_stream(append_document, page, width * point,
                                                   height * point);
    default:
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    }
}

canvas *canvas_new(canvas_format format, int width, int height, double pixels_per_inch) {
    canvas *page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    page->format = format;
    page->pixels_per_inch = pixels_per_inch;
    page->surface = new_surface(page, width, height, pixels_per_inch);
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
    if (format == CANVAS_PDF)
        cairo_scale(page->cairo, 72 / pixels_per_inch, 72 / pixels_per_inch);
    canvas_fill(page, (canvas_rectangle){0, 0, width, height}, (canvas_color){1, 1, 1, 1});
    return page;
}

void canvas_free(canvas *page) {
    if (page != NULL) {
        canvas_free_fonts(page);
        cairo_destroy(page->cairo);
        cairo_surface_destroy(page->surface);
        free(page->document);
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

void canvas_shift(canvas *page, double right, double down) {
    cairo_translate(page->cairo, right, down);
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

void canvas_area(canvas *page, const canvas_point *there, size_t there_count,
                 const canvas_point *back, size_t back_count, canvas_color color) {
    set_color(page, color);
    cairo_new_path(page->cairo);
    for (size_t i = 0; i < there_count; i++)
        cairo_line_to(page->cairo, there[i].x, there[i].y);
    for (size_t i = back_count; i-- > 0;)
        cairo_line_to(page->cairo, back[i].x, back[i].y);
    cairo_close_path(page->cairo);
    cairo_fill(page->cairo);
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
    raster_image image = {width, height, 3, pixels, page->pixels_per_inch};
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
    for (size_t i = 0; i + 4 <= page->length; i++) {
        if (memcmp(page->document + i, "<svg", 4) == 0) {
            const char *end = memchr(page->document + i, '>', page->length - i);
            return end == NULL ? page->length : (size_t)(end - page->document) + 1;
        }
    }
    return page->length;
}

static bool save_svg(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                     size_t error_size) {
    replacement file;
    if (!replacement_open(&file, path, error, error_size))
        return false;
    size_t head = after_root_tag(page);
    fwrite(page->document, 1, head, file.stream);
    fputc('\n', file.stream);
    write_element(file.stream, "title", metadata->title);
    write_element(file.stream, "desc", metadata->description);
    fwrite(page->document + head, 1, page->length - head, file.stream);
    return replacement_commit(&file, error, error_size);
}

/* Nothing of a PDF depends on when it was made, so that the same chart is the same file. */
static void set_pdf_metadata(canvas *page, const canvas_metadata *metadata) {
    const struct {
        cairo_pdf_metadata_t which;
        const char *text;
    } entries[] = {{CAIRO_PDF_METADATA_TITLE, metadata->title},
                   {CAIRO_PDF_METADATA_SUBJECT, metadata->description},
                   {CAIRO_PDF_METADATA_CREATOR, "cerebra"},
                   {CAIRO_PDF_METADATA_CREATE_DATE, "1970-01-01T00:00:00Z"}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (entries[i].text != NULL)
            cairo_pdf_surface_set_metadata(page->surface, entries[i].which, entries[i].text);
}

static bool save_pdf(canvas *page, const char *path, char *error, size_t error_size) {
    replacement file;
    if (!replacement_open(&file, path, error, error_size))
        return false;
    fwrite(page->document, 1, page->length, file.stream);
    return replacement_commit(&file, error, error_size);
}

bool canvas_save(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                 size_t error_size) {
    cairo_status_t status = cairo_status(page->cairo);
    if (status == CAIRO_STATUS_SUCCESS) {
        cairo_surface_flush(page->surface);
        if (page->format == CANVAS_PDF)
            set_pdf_metadata(page, metadata);
        if (page->format != CANVAS_PNG)
            cairo_surface_finish(page->surface);
        status = cairo_surface_status(page->surface);
    }
    if (status != CAIRO_STATUS_SUCCESS)
        return drawing_failure(status, path, error, error_size);
    if (page->format == CANVAS_PDF)
        return save_pdf(page, path, error, error_size);
    return page->format == CANVAS_SVG ? save_svg(page, path, metadata, error, error_size)
                                      : save_png(page, path, metadata, error, error_size);
}
