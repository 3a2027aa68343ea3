/* Kinds of characters come in stretches, so that texts of one kind, and borders between kinds, are
   both there. */
#include "random_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

uint32_t random_below(cb_random *random, uint32_t end) {
    double number;
    cb_random_uniform_f64(random, 1, &number, 0, 1);
    uint32_t drawn = (uint32_t)(number * end);
    return drawn < end ? drawn : end - 1;
}

/* Ranges of characters by kind; those with marks come with letters that they go with. */
static const int32_t ranges[][2] = {
    {0x20, 0x7E},     {0x20, 0x7E},       {0xA0, 0x24F},    {0x300, 0x36F},     {0x323, 0x345},
    {0x391, 0x3C9},   {0x1100, 0x1112},   {0x1161, 0x1175}, {0x11A7, 0x11C2},   {0xAC00, 0xAC40},
    {0x4E00, 0x9FFF}, {0xF900, 0xFA2D},   {0x2126, 0x212B}, {0x340, 0x344},     {0xF71, 0xF81},
    {0x9BE, 0x9CC},   {0x304B, 0x309A},   {0xFB1D, 0xFB4E}, {0x1D15E, 0x1D172}, {0x1F600, 0x1F64F},
    {0x0E40, 0x0E4E}, {0x11099, 0x110BA}, {0x1EA0, 0x1EF9}, {0x2F800, 0x2FA1D}, {0x1F00, 0x1FFC},
};
enum { KINDS = sizeof ranges / sizeof ranges[0] };

static int32_t draw(cb_random *random, uint32_t kind) {
    if (random_below(random, 12) == 0) {
        static const int32_t ends[] = {'\n', '\r', '\r', 'e', 0x301, 0x323, 0xFEFF, 0xFFFD};
        return ends[random_below(random, sizeof ends / sizeof ends[0])];
    }
    int32_t low = ranges[kind][0], high = ranges[kind][1];
    int32_t drawn =
        high < low ? 'a' : low + (int32_t)random_below(random, (uint32_t)(high - low + 1));
    return utf8proc_codepoint_valid(drawn) ? drawn : 'a';
}

random_text random_text_make(cb_random *random, uint32_t most) {
    random_text text = {.has_mark = random_below(random, 2) == 0};
    int64_t count = 1 + (int64_t)random_below(random, most);
    text.bytes = malloc((size_t)(4 * count) + 16);
    text.points = malloc((size_t)count * sizeof *text.points);
    if (text.has_mark) {
        memcpy(text.bytes, "\xEF\xBB\xBF", 3);
        text.size = 3;
    }
    uint32_t kind = 0;
    while (text.count < count) {
        if (random_below(random, 8) == 0)
            kind = random_below(random, KINDS);
        int32_t drawn = draw(random, kind);
        if (text.count == 0 && drawn == 0xFEFF)
            drawn = 'x';
        text.points[text.count++] = drawn;
        if (drawn == '\r' && text.count < count && random_below(random, 3) > 0)
            text.points[text.count++] = '\n';
    }
    for (int64_t i = 0; i < text.count; i++)
        text.size += (size_t)utf8proc_encode_char(text.points[i], text.bytes + text.size);
    return text;
}

void random_text_free(random_text *text) {
    free(text->bytes);
    free(text->points);
    *text = (random_text){0};
}

int32_t *random_text_form(const random_text *text, text_form form, int64_t *count) {
    int32_t *points = malloc((size_t)(4 * text->count + 4) * sizeof *points);
    int64_t kept = 0;
    for (int64_t i = 0; i < text->count; i++) {
        int32_t point = text->points[i];
        if (form.line_feeds && point == '\n' && i > 0 && text->points[i - 1] == '\r')
            continue;
        points[kept++] = form.line_feeds && point == '\r' ? '\n' : point;
    }
    *count = kept;
    if (!form.composed)
        return points;
    unsigned char *bytes = malloc((size_t)(4 * kept) + 1);
    utf8proc_ssize_t size = 0;
    for (int64_t i = 0; i < kept; i++)
        size += utf8proc_encode_char(points[i], bytes + size);
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_ssize_t parts = utf8proc_decompose(bytes, size, points, 4 * kept + 4, options);
    cr_assert(parts >= 0 && parts <= 4 * kept + 4);
    *count = utf8proc_normalize_utf32(points, parts, options);
    free(bytes);
    return points;
}

size_t random_text_spoil(random_text *text, cb_random *random) {
    static const char *const wrong[] = {
        "\xFF",      "\xC0\xAF",      "\xED\xA0\x80", "\x80", "\xC3(", "\xF5\x80\x80\x80",
        "\xE2\x82 ", "\xF0\x9F\x98 ", "\xE0\x80\x80", ""};
    uint32_t which = random_below(random, sizeof wrong / sizeof wrong[0]);
    size_t length = which + 1 == sizeof wrong / sizeof wrong[0] ? 1 : strlen(wrong[which]);
    size_t place = random_below(random, (uint32_t)text->size + 1);
    place = text->has_mark && place < 3 ? 3 : place;
    while (place < text->size && (text->bytes[place] & 0xC0) == 0x80)
        place++;
    memmove(text->bytes + place + length, text->bytes + place, text->size - place);
    memcpy(text->bytes + place, wrong[which], length);
    text->size += length;
    return place;
}

long random_text_line(const random_text *text, size_t offset) {
    long line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text->bytes[i] == '\n';
    return line;
}
