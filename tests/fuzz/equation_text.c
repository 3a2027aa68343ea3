#include "equation_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t dice_roll(dice *d) {
    uint64_t z = d->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int below(dice *d, int count) {
    return (int)(dice_roll(d) % (uint64_t)count);
}

bool one_in(dice *d, int count) {
    return below(d, count) == 0;
}

static void make_room(text *t, size_t length) {
    if (length < t->room)
        return;
    t->room = 2 * length + 64;
    t->bytes = realloc(t->bytes, t->room);
    if (t->bytes == NULL) {
        fputs("fuzz_equations: out of memory\n", stderr);
        exit(3);
    }
}

void text_replace(text *t, size_t from, size_t count, const char *bytes, size_t length) {
    size_t rest = t->length - from - count;
    make_room(t, t->length + length);
    memmove(t->bytes + from + length, t->bytes + from + count, rest);
    memcpy(t->bytes + from, bytes, length);
    t->length = from + length + rest;
    t->bytes[t->length] = '\0';
}

void text_add(text *t, const char *bytes, size_t length) {
    text_replace(t, t->length, 0, bytes, length);
}

void text_put(text *t, const char *format, ...) {
    char piece[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(piece))
        abort();
    text_add(t, piece, (size_t)length);
}

void text_clear(text *t) {
    text_replace(t, 0, t->length, "", 0);
}

void text_free(text *t) {
    free(t->bytes);
    *t = (text){NULL, 0, 0};
}
