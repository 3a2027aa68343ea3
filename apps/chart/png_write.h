/* PNG files from pixels in memory. */
#ifndef CEREBRA_APPS_CHART_PNG_WRITE_H
#define CEREBRA_APPS_CHART_PNG_WRITE_H

#include <stdbool.h>
#include <stddef.h>

/* A text chunk. keyword: 1 to 79 characters, by the PNG standard one of Title, Author, Description,
   Software ... where one fits. text: UTF-8; text beyond ASCII is stored in an iTXt chunk, the rest
   in tEXt. A NULL text is left out. */
typedef struct raster_text {
    const char *keyword;
    const char *text;
} raster_text;

/* An image of 8 bits a channel, rows from the top, no padding between rows; borrowed. */
typedef struct raster_image {
    size_t width, height;        /* pixels, 1 to 1000000 each */
    size_t channels;             /* 3: red, green, blue;  4: and alpha, not premultiplied */
    const unsigned char *pixels; /* height * width * channels bytes */
    double pixels_per_inch;      /* for programs that print; 0: not stated */
} raster_image;

/* Replaces the file at path by the image (see replacement.h: a failure leaves what was there). */
bool raster_write_png(const char *path, const raster_image *image, const raster_text *texts,
                      size_t text_count, char *error, size_t error_size);

#endif
