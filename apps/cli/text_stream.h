/* A text's code points, one after the other or from any place on. A character model predicts code
   points, not bytes, so that it can never print half of an accented letter. */
#ifndef CEREBRA_APPS_CLI_TEXT_STREAM_H
#define CEREBRA_APPS_CLI_TEXT_STREAM_H

#include "text_bytes.h"

/* What is made of a text while it is read. {0}: nothing. */
typedef struct text_form {
    bool line_feeds; /* CR LF, and CR alone, become LF */
    bool composed;   /* Unicode's normalisation form C */
} text_form;

/* A place in a text, between two code points: where to begin in its bytes, and how many code points
   to pass over from there, which is not 0 where several have become others together. */
typedef struct text_position {
    uint64_t offset;
    uint32_t passed;
} text_position;

/* A stream, at the text's beginning; a byte order mark there is not part of the text. The bytes are
   borrowed. NULL without memory, or, with one line in error, when they cannot be read. End it with
   text_stream_free. */
typedef struct text_stream text_stream;
text_stream *text_stream_new(const text_bytes *bytes, text_form form, char *error);
void text_stream_free(text_stream *stream);

/* Whether the text begins with a byte order mark. */
bool text_stream_has_mark(const text_stream *stream);

/* Goes to a place that text_stream_position gave, or fails as reading does. From now on about
   `ahead` bytes of a file are read at a time. */
bool text_stream_seek(text_stream *stream, text_position position, size_t ahead, char *error);
text_position text_stream_position(const text_stream *stream);

/* Reads code points and returns how many: fewer than `most` only at the text's end. -1, with one
   line in error that names the place, where the text is not UTF-8 or is binary (holds a NUL byte),
   or cannot be read. */
int64_t text_stream_read(text_stream *stream, int32_t *code_points, int64_t most, char *error);

#endif
