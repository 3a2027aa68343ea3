/* What is wrong with a text: one message, with the place. */
#include "nn/equations/equations.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WIDEST = 100 }; /* bytes of a line that a message shows */

int cbi_line_of(const cbi_equations *e, int at) {
    int line = 1;
    for (int i = 0; i < at; i++)
        line += e->text[i] == '\n';
    return line;
}

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

/* The part of the line around a byte that is shown, without tabs, and the caret below. */
static void show_line(const cbi_equations *e, int at, char *to, size_t size) {
    char shown[WIDEST + 1];
    int first = at, last = at, count = 0;
    while (first > 0 && e->text[first - 1] != '\n' && at - first < 3 * WIDEST / 4)
        first--;
    while (continues_character(e->text[first]))
        first++;
    while (e->text[last] != '\0' && e->text[last] != '\n' && last - first < WIDEST)
        last++;
    while (last > at && continues_character(e->text[last]))
        last--;
    for (int i = first; i < last; i++)
        shown[count++] = (unsigned char)e->text[i] < ' ' ? ' ' : e->text[i];
    shown[count] = '\0';
    snprintf(to, size, "\n    %s\n    %*s^", shown, characters(e->text, first, at), "");
}

bool cbi_equations_fail(cbi_equations *e, int at, const char *format, ...) {
    char what[300], line[2 * WIDEST + 40] = "";
    va_list arguments;
    if (e->error->status != CB_OK)
        return false;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    e->error->status = CB_ERROR_FORMAT;
    if (at < 0) {
        snprintf(e->error->message, sizeof(e->error->message), "%.120s: %s", e->file, what);
        return false;
    }
    int start = at;
    while (start > 0 && e->text[start - 1] != '\n')
        start--;
    show_line(e, at, line, sizeof(line));
    size_t length = strlen(line), room = sizeof(e->error->message);
    snprintf(e->error->message, room - length, "%.120s:%d:%d: %s", e->file, cbi_line_of(e, at),
             characters(e->text, start, at) + 1, what);
    strcat(e->error->message, line);
    return false;
}

bool cbi_equations_no_memory(cbi_equations *e) {
    if (e->error->status == CB_OK) {
        e->error->status = CB_ERROR_MEMORY;
        snprintf(e->error->message, sizeof(e->error->message), "%.120s: out of memory", e->file);
    }
    return false;
}
