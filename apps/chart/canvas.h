/* A page to draw on, saved as PNG, SVG or PDF: the few operations of Cairo that a chart needs.
   Lengths and positions are in pixels from the top left corner; in SVG a pixel is a user unit. */
#ifndef CEREBRA_APPS_CHART_CANVAS_H
#define CEREBRA_APPS_CHART_CANVAS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum canvas_format { CANVAS_PNG, CANVAS_SVG, CANVAS_PDF, CANVAS_UNKNOWN } canvas_format;

/* By the path's ending, in any case; "-" (standard output) is PNG. */
canvas_format canvas_format_of_path(const char *path);

typedef struct canvas canvas;

typedef struct canvas_color {
    double red, green, blue, alpha; /* 0 to 1 */
} canvas_color;

typedef struct canvas_point {
    double x, y;
} canvas_point;

typedef struct canvas_rectangle {
    double x, y, width, height;
} canvas_rectangle;

typedef struct canvas_stroke {
    double width;
    canvas_color color;
    const double *dashes; /* lengths of dash, gap, dash ...; NULL for a solid line */
    size_t dash_count;
} canvas_stroke;

typedef struct canvas_text_style {
    double size; /* of the font, in pixels */
    bool bold;
    bool upwards;      /* rotated a quarter turn to the left */
    double horizontal; /* which part of the text lies on the point, along the */
                       /* line of writing: 0 its start, 0.5 its middle, 1 its end */
    enum { CANVAS_BASELINE, CANVAS_MIDDLE, CANVAS_TOP } vertical; /* ... and across it */
    canvas_color color;
} canvas_text_style;

/* A white page; pixels_per_inch says how large a PNG or PDF is in print. Returns NULL when there is
   no memory for it. Free with canvas_free. */
canvas *canvas_new(canvas_format format, int width, int height, double pixels_per_inch);
void canvas_free(canvas *page);

/* Moves the corner from which positions are given. */
void canvas_shift(canvas *page, double right, double down);

/* Only what lies inside the rectangle is drawn until canvas_unclip. Clips do not nest. */
void canvas_clip(canvas *page, canvas_rectangle area);
void canvas_unclip(canvas *page);

void canvas_fill(canvas *page, canvas_rectangle area, canvas_color color);
void canvas_outline(canvas *page, canvas_rectangle area, canvas_stroke stroke);
void canvas_disc(canvas *page, canvas_point centre, double radius, canvas_color color);

/* The area between two lines without gaps, there along one and back along the other. */
void canvas_area(canvas *page, const canvas_point *there, size_t there_count,
                 const canvas_point *back, size_t back_count, canvas_color color);

/* A line through the points; a point with a NaN coordinate is a gap. */
void canvas_polyline(canvas *page, const canvas_point *points, size_t count, canvas_stroke stroke);

/* UTF-8 text on one line in DejaVu Sans, or for letters that it does not have in an installed font
   that does. Text that is not UTF-8 makes canvas_save fail. */
void canvas_text(canvas *page, canvas_point at, const char *text, canvas_text_style style);
/* Whether a text had letters that no installed font has; they are drawn as boxes. */
bool canvas_letters_missing(const canvas *page);
/* Whether a text had letters of a script that runs to the left; they are drawn to the right, one by
   one. */
bool canvas_text_leftward(const canvas *page);
double canvas_text_width(canvas *page, const char *text, double size, bool bold);

/* The height of the font's capitals and digits, and of its lines, for a size. */
double canvas_cap_height(canvas *page, double size);
double canvas_line_height(canvas *page, double size);

typedef struct canvas_metadata {
    const char *title;       /* NULL or UTF-8; PNG's and PDF's Title, SVG's <title> */
    const char *description; /* NULL or UTF-8; PNG's Description, SVG's <desc>, PDF's Subject */
} canvas_metadata;

/* Replaces the file at path by the page, in the format the page was made with. A failure leaves
   what was there. The page can only be freed afterwards. */
bool canvas_save(canvas *page, const char *path, const canvas_metadata *metadata, char *error,
                 size_t error_size);

#endif
