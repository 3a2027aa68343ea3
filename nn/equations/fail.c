/* What is wrong with a text: one message of three lines, with the place. It is UTF-8 without
   control characters, whatever the text is. */
#include "nn/equations/equations.h"

#include "tensor/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WIDEST = 100 }; /* bytes of a line that a message shows */

/* ---- Characters ------------------------------------------------------------------------------ */

static const char byte_order_mark[] = "\xEF\xBB\xBF";

static bool continues_character(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Characters between two bytes. */
static int characters(const char *text, int from, int to) {
    int count = 0;
    for (int i = from; i < to; i++)
        count += !continues_character(text[i]);
    return count;
}

/* The same without accents, which stand above others. */
static int columns(const char *text, int from, int to) {
    int count = 0, bytes = 1;
    for (int i = from; i < to; i += bytes) {
        int32_t c = cbi_character_at(text + i, &bytes);
        count += c < 0x300 || c > 0x36F;
    }
    return count;
}

/* Control characters become blanks, and bytes that are no character question marks. */
static void make_readable(char *text) {
    int bytes;
    for (; *text != '\0'; text += bytes) {
        int32_t c = cbi_character_at(text, &bytes);
        if (c < ' ' || (c >= 0x7F && c < 0xA0))
            memset(text, c < 0 ? '?' : ' ', (size_t)bytes);
    }
}

/* As many whole characters as there are within so many bytes. */
static int whole_characters(const char *text, int bytes) {
    while (bytes > 0 && continues_character(text[bytes]))
        bytes--;
    return bytes;
}

/* ---- Places ---------------------------------------------------------------------------------- */

int cbi_line_of(const cbi_equations *e, int at) {
    int line = 1;
    for (int i = 0; i < at; i++)
        line += e->text[i] == '\n';
    return line;
}

/* The first byte of the line that a byte is in. */
static int line_start(const cbi_equations *e, int at) {
    int start = at;
    while (start > 0 && e->text[start - 1] != '\n')
        start--;
    bool marked = start == 0 && strncmp(e->text, byte_order_mark, 3) == 0;
    return marked && at >= 3 ? 3 : start;
}

/* Adds the part of the line around a byte that there is room for, without tabs, and the caret
   below. */
static void show_line(const cbi_equations *e, int at, char *message, size_t size) {
    char shown[WIDEST + 1], *to = message + strlen(message);
    int room = (int)(size - strlen(message)), first = line_start(e, at);
    int widest = (room - 12) * 4 / 7 < WIDEST ? (room - 12) * 4 / 7 : WIDEST;
    if (at - first > 3 * widest / 4)
        first = at - 3 * widest / 4;
    while (first < at && continues_character(e->text[first]))
        first++;
    int length = (int)strcspn(e->text + first, "\n");
    length = length > widest ? whole_characters(e->text + first, widest) : length;
    memcpy(shown, e->text + first, (size_t)length);
    if (length > 0 && shown[length - 1] == '\r')
        length--;
    shown[length] = '\0';
    make_readable(shown);
    snprintf(to, (size_t)room, "\n    %s\n    %*s^", shown, columns(shown, 0, at - first), "");
}

const char *cbi_quote(const cbi_equations *e, int start, int end, char text[CBI_QUOTE_SIZE]) {
    static const char dots[] = " ...";
    int most = CBI_QUOTE_SIZE - (int)sizeof(dots), count = 0, at = start;
    bool comment = false, blank = false;
    for (; at < end && count < most; at++) {
        char c = e->text[at];
        comment = c != '\n' && (comment || c == '#');
        if (comment || c == ' ' || (c >= '\t' && c <= '\r')) {
            blank = count > 0;
            continue;
        }
        if (blank && count + 1 < most)
            text[count++] = ' ';
        text[count++] = c;
        blank = false;
    }
    if (at < end && continues_character(e->text[at]))
        for (count--; count > 0 && continues_character(text[count]);)
            count--;
    snprintf(text + count, CBI_QUOTE_SIZE - (size_t)count, "%s", at < end ? dots : "");
    return text;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void record(cbi_equations *e, cb_status status, int at, const char *format,
                   va_list arguments) {
    char *message = e->error->message, what[320];
    enum { SIZE = sizeof(e->error->message) };
    if (e->error->status != CB_OK)
        return;
    cbi_vformat(what, sizeof(what), format, arguments);
    e->error->status = status;
    if (at < 0)
        snprintf(message, SIZE, "%.120s: %s", e->file, what);
    else
        snprintf(message, SIZE, "%.120s:%d:%d: %s", e->file, cbi_line_of(e, at),
                 characters(e->text, line_start(e, at), at) + 1, what);
    make_readable(message);
    if (at >= 0)
        show_line(e, at, message, SIZE);
}

bool cbi_equations_fail(cbi_equations *e, int at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(e, CB_ERROR_FORMAT, at, format, arguments);
    va_end(arguments);
    return false;
}

bool cbi_equations_refuse(cbi_equations *e, int at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(e, CB_ERROR_VALUE, at, format, arguments);
    va_end(arguments);
    return false;
}

bool cbi_equations_no_memory(cbi_equations *e) {
    if (e->error->status == CB_OK) {
        e->error->status = CB_ERROR_MEMORY;
        snprintf(e->error->message, sizeof(e->error->message), "%.120s: out of memory", e->file);
    }
    return false;
}
