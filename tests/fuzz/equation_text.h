/* Texts that grow, and dice to draw them by. */
#ifndef CEREBRA_TESTS_FUZZ_EQUATION_TEXT_H
#define CEREBRA_TESTS_FUZZ_EQUATION_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A generator of its own (splitmix64, Steele et al. 2014): a seed means the same text in any
   version of the library. */
typedef struct dice {
    uint64_t state;
} dice;

uint64_t dice_roll(dice *d);
/* In 0..count-1; count is at least 1. */
int below(dice *d, int count);
bool one_in(dice *d, int count);
#define ONE_OF(d, list) ((list)[below(d, (int)(sizeof(list) / sizeof((list)[0])))])

/* Bytes, followed by one that is 0. {0} is the empty text until something is added. Where there is
   no memory, the process ends. */
typedef struct text {
    char *bytes;
    size_t length, room;
} text;

void text_add(text *t, const char *bytes, size_t length);
void text_put(text *t, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;
/* Replaces a part; it and `bytes` may not be of one text. */
void text_replace(text *t, size_t from, size_t count, const char *bytes, size_t length);
void text_clear(text *t);
void text_free(text *t);

#endif
