/* Random texts of characters of one to four bytes, with all that a text can have that needs care:
   a byte order mark, CR LF, combining marks, Hangul in parts, characters that change when they are
   normalised. And what a text is to be read as, worked out on the whole of it in memory. */
#ifndef CEREBRA_TESTS_APPS_RANDOM_TEXT_H
#define CEREBRA_TESTS_APPS_RANDOM_TEXT_H

#include "apps/model/corpus.h"

#include <cerebra/random.h>

/* Owns its arrays. */
typedef struct random_text {
    unsigned char *bytes;
    size_t size;
    bool has_mark;
    int32_t *points; /* without the mark */
    int64_t count;
} random_text;

/* A number from 0 to below `end`. */
uint32_t random_below(cb_random *random, uint32_t end);

/* A text of up to `most` characters. */
random_text random_text_make(cb_random *random, uint32_t most);
void random_text_free(random_text *text);

/* What a text is in a form, by functions of utf8proc over the whole of it; the caller frees it. */
int32_t *random_text_form(const random_text *text, text_form form, int64_t *count);

/* Puts a sequence that is not UTF-8, or a NUL byte, in a place between two characters, and returns
   the place. */
size_t random_text_spoil(random_text *text, cb_random *random);

/* The line of the byte at offset. */
long random_text_line(const random_text *text, size_t offset);

#endif
