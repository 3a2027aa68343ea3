/* A text as the numbers that its characters have in a vocabulary, from any character on, without
   being in memory: what is kept is where in its bytes every NUMBERED_BLOCK-th number begins. */
#ifndef CEREBRA_APPS_MODEL_NUMBERED_TEXT_H
#define CEREBRA_APPS_MODEL_NUMBERED_TEXT_H

#include "apps/cli/composed.h"
#include "apps/cli/text_stream.h"
#include "apps/cli/vocabulary.h"

enum { NUMBERED_BLOCK = 256 };

/* What becomes of a character that a vocabulary does not have. */
typedef enum unknown_policy {
    UNKNOWN_ERROR,
    UNKNOWN_SKIP,    /* the text is read as if it were not there */
    UNKNOWN_REPLACE, /* it is read as U+FFFD, or else '?', where the vocabulary has one of them */
    UNKNOWN_ADD,     /* it becomes the last of the vocabulary */
} unknown_policy;

/* What was seen of a text that was read once. */
typedef struct text_facts {
    bool has_mark;            /* it begins with a byte order mark, which is no part of it */
    int64_t carriage_returns; /* in it, after its form was given to it */
    uint64_t uncomposed_line; /* the first line that is not in normalisation form C; 0: none */
    int64_t unknown;          /* characters that the vocabulary did not have */
    uint32_t checksum;        /* CRC-32 of the numbers */
} text_facts;

/* A text that has been read once; owns its parts, and the vocabulary's arrays as well. */
typedef struct numbered_text {
    text_bytes bytes;
    text_stream *stream;
    vocabulary characters;
    unknown_policy unknown;
    int32_t replacement; /* its number */
    int64_t count;       /* of all numbers */
    uint64_t *places;    /* by block: offset * 2^16 + numbers to pass over */
    size_t room;
    int32_t *numbers; /* all, where there are few; the text is not read again then; else NULL */
    size_t numbers_room;
    text_facts facts;
    composed_check check;
} numbered_text;

/* Takes over the bytes, open, also on failure, and reads the text once. known: its vocabulary,
   which is copied; NULL: the distinct characters of the text in order of first appearance, unknown
   being UNKNOWN_ADD. Up to `most` numbers are kept in memory. Fails with one line in error. */
bool numbered_text_make(text_bytes *bytes, text_form form, const vocabulary *known,
                        unknown_policy unknown, int64_t most, numbered_text *made, char *error);
void numbered_text_free(numbered_text *text);

/* Fills `numbers` with `count` of them from the first-th on, all of which the text has. Fails when
   the file cannot be read any more or has changed. */
bool numbered_text_read(numbered_text *text, int64_t first, int64_t count, int32_t *numbers,
                        char *error);

#endif
