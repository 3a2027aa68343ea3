/* The one file that knows libpng. libpng reports errors by longjmp; everything that must survive
   the jump lives in a struct outside the frame that calls setjmp. */
#include "png_write.h"

#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 16, LARGEST_SIDE = 1000000 };

typedef struct writer {
    png_structp png;
    png_infop info;
    png_text texts[MOST_TEXTS];
    int text_count;
    char message[256];
} writer;

static void on_error(png_structp png, png_const_charp message) {
    writer *state = png_get_error_ptr(png);
    failure(state->message, sizeof state->message, "%s", message);
    png_longjmp(png, 1);
}

/* libpng's warnings are about text it has shortened or the like; none makes the image wrong. */
static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static bool is_ascii(const char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* libpng's struct has no const, though it only reads. */
static void collect_texts(writer *state, const raster_text *texts, size_t text_count) {
    for (size_t i = 0; i < text_count && state->text_count < MOST_TEXTS; i++) {
        if (texts[i].text == NULL)
            continue;
        png_textp row = &state->texts[state->text_count++];
        row->key = (png_charp)(void *)(size_t)texts[i].keyword;
        row->text = (png_charp)(void *)(size_t)texts[i].text;
        row->text_length = strlen(texts[i].text);
        row->compression = PNG_TEXT_COMPRESSION_NONE;
        if (!is_ascii(texts[i].text)) {
            row->compression = PNG_ITXT_COMPRESSION_NONE;
            row->itxt_length = row->text_length;
            row->text_length = 0;
        }
    }
}

/* Everything that may jump. Returns false with state->message set. */
static bool encode(writer *state, const raster_image *image, FILE *stream) {
    if (setjmp(png_jmpbuf(state->png)) != 0)
        return false;
    png_init_io(state->png, stream);
    png_set_IHDR(state->png, state->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 4 ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (image->pixels_per_inch > 0) {
        png_uint_32 per_metre = (png_uint_32)lround(image->pixels_per_inch / 0.0254);
        png_set_pHYs(state->png, state->info, per_metre, per_metre, PNG_RESOLUTION_METER);
    }
    png_set_text(state->png, state->info, state->texts, state->text_count);
    png_write_info(state->png, state->info);
    for (size_t row = 0; row < image->height; row++)
        png_write_row(state->png, image->pixels + row * image->width * image->channels);
    png_write_end(state->png, state->info);
    return true;
}

bool raster_write_png(const char *path, const raster_image *image, const raster_text *texts,
                      size_t text_count, char *error, size_t error_size) {
    if (image->width < 1 || image->width > LARGEST_SIDE || image->height < 1 ||
        image->height > LARGEST_SIDE || (image->channels != 3 && image->channels != 4)) {
        return failure(error, error_size, "cannot write %s: no PNG can be %zu x %zu x %zu", path,
                       image->width, image->height, image->channels);
    }
    replacement file;
    if (!replacement_open(&file, path, error, error_size))
        return false;
    writer state = {.message = "out of memory"};
    collect_texts(&state, texts, text_count);
    state.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    if (state.png != NULL)
        state.info = png_create_info_struct(state.png);
    bool ok = state.info != NULL && encode(&state, image, file.stream);
    png_destroy_write_struct(&state.png, &state.info);
    if (!ok && ferror(file.stream)) /* libpng does not know why: who replaces the file does */
        return replacement_commit(&file, error, error_size);
    if (!ok) {
        replacement_abandon(&file);
        return failure(error, error_size, "cannot write %s: %s", path, state.message);
    }
    return replacement_commit(&file, error, error_size);
}
