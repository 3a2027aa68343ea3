/* What canvas.c and canvas_text.c share, the two files that know Cairo. */
#ifndef CEREBRA_APPS_CHART_CANVAS_PAGE_H
#define CEREBRA_APPS_CHART_CANVAS_PAGE_H

#include "canvas.h"

#include <cairo.h>
#include <fontconfig/fontconfig.h>

enum { CANVAS_MOST_FONTS = 16 };

typedef struct canvas_font {
    bool bold;
    FcPattern *pattern; /* owned; covered is its */
    const FcCharSet *covered;
    cairo_font_face_t *face; /* owned */
} canvas_font;

struct canvas {
    canvas_format format;
    double pixels_per_inch;
    cairo_surface_t *surface;
    cairo_t *cairo;
    /* the SVG or PDF document, as far as it is written */
    char *document;
    size_t length, room;
    canvas_font fonts[CANVAS_MOST_FONTS]; /* those that were needed so far */
    size_t font_count;
    bool letters_missing, leftward;
};

void canvas_free_fonts(canvas *page);

#endif
