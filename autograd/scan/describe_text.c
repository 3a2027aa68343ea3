/* Text that grows as it is written. */
#include "autograd/scan/describe_text.h"

#include "tensor/format.h"
#include "tensor/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cbi_text_free(cbi_text *text) {
    cbi_free(text->memory);
    *text = (cbi_text){0};
}

static void add(cbi_text *text, const char *piece, size_t length) {
    if (text->failed || text->length + length + 1 > text->room) {
        size_t room = 2 * text->room > text->length + length + 1 ? 2 * text->room
                                                                 : text->length + length + 1024;
        char *memory = text->failed ? NULL : cbi_allocate(room);
        text->failed = memory == NULL;
        if (text->failed)
            return;
        if (text->length > 0)
            memcpy(memory, text->memory, text->length);
        cbi_free(text->memory);
        text->memory = memory;
        text->room = room;
    }
    memcpy(text->memory + text->length, piece, length);
    for (size_t i = 0; i < length; i++)
        if (piece[i] == '\n')
            text->line = text->length + i + 1;
    text->length += length;
    text->memory[text->length] = '\0';
}

void cbi_write(cbi_text *text, const char *format, ...) {
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    add(text, piece, strlen(piece));
}

void cbi_write_text(cbi_text *text, const cbi_text *other) {
    if (other->length > 0)
        add(text, other->memory, other->length);
    text->failed = text->failed || other->failed;
}

void cbi_write_pad(cbi_text *text, size_t column) {
    do
        cbi_write(text, " ");
    while (!text->failed && text->length - text->line < column);
}

void cbi_write_amount(cbi_text *text, double amount, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    int prefix = 0;
    for (; amount >= 1000 && prefix < 6; prefix++)
        amount /= 1000;
    cbi_write(text, prefix == 0 ? "%.0f %s%s" : "%.4g %s%s", amount, prefixes[prefix], unit);
}
