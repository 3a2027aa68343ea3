/* Texts in DejaVu Sans, and letters that it does not have in whatever installed font has them:
   Cairo's own choice of a font is for a whole text, and draws boxes for such letters. Fontconfig
   knows which letters a font covers. */
#include "canvas_page.h"

#include <cairo-ft.h>
#include <string.h>
#include <utf8proc.h>

static const char font_family[] = "DejaVu Sans";

void canvas_free_fonts(canvas *page) {
    for (size_t i = 0; i < page->font_count; i++) {
        cairo_font_face_destroy(page->fonts[i].face);
        FcPatternDestroy(page->fonts[i].pattern);
    }
}

bool canvas_letters_missing(const canvas *page) {
    return page->letters_missing;
}

bool canvas_text_leftward(const canvas *page) {
    return page->leftward;
}

static bool is_leftward(utf8proc_int32_t code_point) {
    int direction = utf8proc_get_property(code_point)->bidi_class;
    return direction == UTF8PROC_BIDI_CLASS_R || direction == UTF8PROC_BIDI_CLASS_AL;
}

/* Takes over the pattern; NULL, or a font that Cairo cannot use, is no font. */
static const canvas_font *add_font(canvas *page, bool bold, FcPattern *pattern) {
    FcCharSet *covered = NULL;
    if (pattern == NULL)
        return NULL;
    if (page->font_count == CANVAS_MOST_FONTS ||
        FcPatternGetCharSet(pattern, FC_CHARSET, 0, &covered) != FcResultMatch) {
        FcPatternDestroy(pattern);
        return NULL;
    }
    cairo_font_face_t *face = cairo_ft_font_face_create_for_pattern(pattern);
    if (cairo_font_face_status(face) != CAIRO_STATUS_SUCCESS) {
        cairo_font_face_destroy(face);
        FcPatternDestroy(pattern);
        return NULL;
    }
    canvas_font *added = &page->fonts[page->font_count++];
    *added = (canvas_font){bold, pattern, covered, face};
    return added;
}

/* The installed font that is nearest to ours, of those with the letter if code_point is not 0. */
static FcPattern *match_font(bool bold, FcChar32 code_point) {
    FcPattern *wanted = FcPatternCreate();
    FcCharSet *letters = FcCharSetCreate();
    FcPattern *found = NULL;
    FcResult result;
    if (wanted != NULL && letters != NULL) {
        FcPatternAddString(wanted, FC_FAMILY, (const FcChar8 *)font_family);
        FcPatternAddInteger(wanted, FC_WEIGHT, bold ? FC_WEIGHT_BOLD : FC_WEIGHT_REGULAR);
        FcPatternAddBool(wanted, FC_SCALABLE, FcTrue);
        if (code_point != 0) {
            FcCharSetAddChar(letters, code_point);
            FcPatternAddCharSet(wanted, FC_CHARSET, letters);
        }
        FcConfigSubstitute(NULL, wanted, FcMatchPattern);
        FcDefaultSubstitute(wanted);
        /* A family weighs more than letters do: then the best of all that add letters is sought. */
        FcFontSet *sorted =
            code_point == 0 ? NULL : FcFontSort(NULL, wanted, FcTrue, NULL, &result);
        if (code_point == 0)
            found = FcFontMatch(NULL, wanted, &result);
        for (int i = 0; sorted != NULL && i < sorted->nfont && found == NULL; i++) {
            FcCharSet *covered = NULL;
            if (FcPatternGetCharSet(sorted->fonts[i], FC_CHARSET, 0, &covered) == FcResultMatch &&
                FcCharSetHasChar(covered, code_point))
                found = FcFontRenderPrepare(NULL, wanted, sorted->fonts[i]);
        }
        if (sorted != NULL)
            FcFontSetDestroy(sorted);
    }
    if (letters != NULL)
        FcCharSetDestroy(letters);
    if (wanted != NULL)
        FcPatternDestroy(wanted);
    return found;
}

/* Ours, in this weight; NULL where there is no font at all. */
static const canvas_font *own_font(canvas *page, bool bold) {
    /* The first of the weight, because it is the first that any text needs. */
    for (size_t i = 0; i < page->font_count; i++)
        if (page->fonts[i].bold == bold)
            return &page->fonts[i];
    return add_font(page, bold, match_font(bold, 0));
}

/* A font with the letter; ours where none has it. */
static const canvas_font *font_with(canvas *page, bool bold, FcChar32 code_point) {
    const canvas_font *own = own_font(page, bold);
    for (size_t i = 0; i < page->font_count; i++)
        if (page->fonts[i].bold == bold && FcCharSetHasChar(page->fonts[i].covered, code_point))
            return &page->fonts[i];
    const canvas_font *other =
        own == NULL ? NULL : add_font(page, bold, match_font(bold, code_point));
    page->letters_missing = page->letters_missing || other == NULL;
    return other == NULL ? own : other;
}

/* Copies the longest beginning of *text, moving *text behind it, that is in one font, or as much of
   it as fits into run. */
static const canvas_font *take_run(canvas *page, bool bold, const char **text, char *run,
                                   size_t size) {
    const canvas_font *font = NULL;
    size_t length = 0;
    for (bool first = true; **text != '\0'; first = false) {
        utf8proc_int32_t code_point;
        utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)*text, -1, &code_point);
        bytes = bytes < 1 ? 1 : bytes; /* Cairo refuses what is not UTF-8 */
        page->leftward = page->leftward || (code_point >= 0 && is_leftward(code_point));
        if (length + (size_t)bytes >= size)
            break;
        const canvas_font *next =
            code_point < 0 ? own_font(page, bold) : font_with(page, bold, (FcChar32)code_point);
        if (!first && next != font)
            break;
        font = next;
        memcpy(run + length, *text, (size_t)bytes);
        length += (size_t)bytes;
        *text += bytes;
    }
    run[length] = '\0';
    return font;
}

static void set_font(canvas *page, const canvas_font *font, double size, bool bold) {
    if (font != NULL)
        cairo_set_font_face(page->cairo, font->face);
    else
        cairo_select_font_face(page->cairo, font_family, CAIRO_FONT_SLANT_NORMAL,
                               bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(page->cairo, size);
}

double canvas_text_width(canvas *page, const char *text, double size, bool bold) {
    char run[256];
    double width = 0;
    while (*text != '\0') {
        cairo_text_extents_t extents;
        set_font(page, take_run(page, bold, &text, run, sizeof run), size, bold);
        cairo_text_extents(page->cairo, run, &extents);
        width += extents.x_advance;
    }
    return width;
}

double canvas_cap_height(canvas *page, double size) {
    cairo_text_extents_t extents;
    set_font(page, own_font(page, false), size, false);
    cairo_text_extents(page->cairo, "0", &extents);
    return extents.height;
}

double canvas_line_height(canvas *page, double size) {
    cairo_font_extents_t extents;
    set_font(page, own_font(page, false), size, false);
    cairo_font_extents(page->cairo, &extents);
    return extents.ascent + extents.descent;
}

void canvas_text(canvas *page, canvas_point at, const char *text, canvas_text_style style) {
    char run[256];
    double width = canvas_text_width(page, text, style.size, style.bold);
    double capital = canvas_cap_height(page, style.size);
    double down = style.vertical == CANVAS_TOP      ? capital
                  : style.vertical == CANVAS_MIDDLE ? capital / 2
                                                    : 0;
    cairo_set_source_rgba(page->cairo, style.color.red, style.color.green, style.color.blue,
                          style.color.alpha);
    cairo_save(page->cairo);
    cairo_translate(page->cairo, at.x, at.y);
    if (style.upwards)
        cairo_rotate(page->cairo, -3.14159265358979323846 / 2);
    cairo_move_to(page->cairo, -style.horizontal * width, down);
    while (*text != '\0') {
        set_font(page, take_run(page, style.bold, &text, run, sizeof run), style.size, style.bold);
        cairo_show_text(page->cairo, run);
    }
    cairo_restore(page->cairo);
}
