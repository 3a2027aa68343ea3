/* Decoding UTF-8 with utf8proc, a stretch of a file at a time. What becomes other code points
   together (a CR and a LF, a letter and its accents) is a run, which is decoded whole; a place
   within what it gives is the run's beginning and a number. */
#include "text_stream.h"

#include "composed.h"
#include "failure.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Two characters of the most bytes fit in NEEDED, so that one can be looked at beyond the next. */
enum { BUFFER = 65536, NEEDED = 8, BYTE_ORDER_MARK = 0xFEFF, MARK_BYTES = 3 };

/* The first byte of the first character that is not below COMPOSED_FIRST, in UTF-8. */
enum { COMPOSED_LEAD = 0xCC };

struct text_stream {
    const text_bytes *bytes;
    text_form form;
    unsigned char *buffer;         /* NULL: all bytes are in memory */
    const unsigned char *at, *end; /* read and not decoded yet */
    uint64_t end_offset;           /* of end in the text */
    size_t ahead;
    uint64_t run_offset; /* of the run that has been decoded */
    int32_t run[COMPOSED_ROOM];
    int32_t run_length, run_taken;
    bool has_mark;
};

static size_t left(const text_stream *stream) {
    return (size_t)(stream->end - stream->at);
}

static uint64_t offset_of(const text_stream *stream) {
    return stream->end_offset - left(stream);
}

/* Whether NEEDED bytes, or all there are, are at hand. */
static bool fill(text_stream *stream, char *error) {
    if (left(stream) >= NEEDED || stream->end_offset == stream->bytes->size)
        return true;
    size_t kept = left(stream);
    uint64_t more = stream->bytes->size - stream->end_offset;
    size_t size = more < stream->ahead ? (size_t)more : stream->ahead;
    memmove(stream->buffer, stream->at, kept);
    stream->at = stream->buffer;
    stream->end = stream->buffer + kept;
    if (!text_bytes_read(stream->bytes, stream->end_offset, stream->buffer + kept, size, error))
        return false;
    stream->end += size;
    stream->end_offset += size;
    return true;
}

static int32_t refuse(const text_stream *stream, char *error) {
    const text_bytes *bytes = stream->bytes;
    uint64_t offset = offset_of(stream), line = text_bytes_line(bytes, offset);
    if (*stream->at == 0) {
        failure(error, FAILURE_SIZE,
                "%s: a binary file, not text (NUL byte at offset %" PRIu64 ", line %" PRIu64 ")",
                bytes->name, offset, line);
    } else {
        failure(error, FAILURE_SIZE,
                "%s: not valid UTF-8 (byte 0x%02X at offset %" PRIu64 ", line %" PRIu64 ")",
                bytes->name, *stream->at, offset, line);
    }
    return -1;
}

/* The next character, of which there is one, and its bytes. */
static int32_t look(const text_stream *stream, size_t *size, char *error) {
    utf8proc_int32_t code_point = *stream->at;
    *size = 1;
    if (code_point > 0 && code_point < 0x80)
        return code_point;
    utf8proc_ssize_t length =
        utf8proc_iterate(stream->at, (utf8proc_ssize_t)left(stream), &code_point);
    if (code_point <= 0 || length < 1)
        return refuse(stream, error);
    *size = (size_t)length;
    return code_point;
}

bool text_stream_seek(text_stream *stream, text_position position, size_t ahead, char *error) {
    int32_t passed[1];
    stream->ahead = ahead < NEEDED ? NEEDED : ahead > BUFFER ? BUFFER : ahead;
    stream->run_length = stream->run_taken = 0;
    if (stream->buffer == NULL) {
        stream->at = stream->bytes->memory + position.offset;
        stream->end = stream->bytes->memory + stream->bytes->size;
        stream->end_offset = stream->bytes->size;
    } else {
        stream->at = stream->end = stream->buffer;
        stream->end_offset = position.offset;
    }
    for (uint32_t i = 0; i < position.passed; i++)
        if (text_stream_read(stream, passed, 1, error) != 1)
            return false;
    return true;
}

text_stream *text_stream_new(const text_bytes *bytes, text_form form, char *error) {
    text_stream *stream = calloc(1, sizeof *stream);
    bool ok = stream != NULL;
    if (ok) {
        stream->bytes = bytes;
        stream->form = form;
        stream->buffer = bytes->memory == NULL ? malloc(BUFFER + NEEDED) : NULL;
        ok = bytes->memory != NULL || stream->buffer != NULL;
    }
    if (!ok)
        failure(error, FAILURE_SIZE, "%s: out of memory", bytes->name);
    ok =
        ok && text_stream_seek(stream, (text_position){0, 0}, BUFFER, error) && fill(stream, error);
    if (!ok) {
        text_stream_free(stream);
        return NULL;
    }
    static const unsigned char mark[MARK_BYTES] = {0xEF, 0xBB, 0xBF};
    stream->has_mark = left(stream) >= MARK_BYTES && memcmp(stream->at, mark, MARK_BYTES) == 0;
    stream->at += stream->has_mark ? MARK_BYTES : 0;
    return stream;
}

void text_stream_free(text_stream *stream) {
    if (stream != NULL)
        free(stream->buffer);
    free(stream);
}

bool text_stream_has_mark(const text_stream *stream) {
    return stream->has_mark;
}

text_position text_stream_position(const text_stream *stream) {
    if (stream->run_taken < stream->run_length)
        return (text_position){stream->run_offset, (uint32_t)stream->run_taken};
    return (text_position){offset_of(stream), 0};
}

/* Whether the next byte is a character that is itself whatever comes after it. */
static bool is_plain(const unsigned char *at, text_form form) {
    return at[0] > 0 && at[0] < 0x80 && (at[0] != '\r' || !form.line_feeds) &&
           (!form.composed || at[1] < COMPOSED_LEAD);
}

/* Copies characters of one byte as far as there are no others. The two characters at the end of
   what has been read are left to read_run. */
static int64_t read_plain(text_stream *stream, int32_t *code_points, int64_t most) {
    const unsigned char *at = stream->at;
    int64_t there = left(stream) >= NEEDED ? (int64_t)left(stream) - NEEDED : 0, count = 0;
    most = most < there ? most : there;
    for (; count < most && is_plain(at + count, stream->form); count++)
        code_points[count] = at[count];
    stream->at += count;
    return count;
}

/* Adds to the run what belongs to its first character; -1 on failure. */
static bool gather(text_stream *stream, int32_t *gathered, int32_t *count, char *error) {
    size_t size;
    while (fill(stream, error)) {
        if (left(stream) == 0 || *stream->at < COMPOSED_LEAD)
            return true;
        int32_t code_point = look(stream, &size, error);
        if (code_point < 0)
            return false;
        if (composed_starts(code_point))
            return true;
        if (*count == COMPOSED_RUN) {
            return failure(error, FAILURE_SIZE,
                           "%s: line %" PRIu64 " has more than %d combining characters in a row, "
                           "too many to normalise",
                           stream->bytes->name, text_bytes_line(stream->bytes, stream->run_offset),
                           COMPOSED_RUN);
        }
        gathered[(*count)++] = code_point;
        stream->at += size;
    }
    return false;
}

static bool compose_run(text_stream *stream, int32_t first, char *error) {
    int32_t gathered[COMPOSED_RUN] = {first}, count = 1;
    if (!gather(stream, gathered, &count, error))
        return false;
    if (count == 1 && composed_alone(first))
        return true;
    stream->run_length = composed_run(gathered, count, stream->run);
    return stream->run_length > 0 ||
           failure(error, FAILURE_SIZE, "%s: cannot be normalised", stream->bytes->name);
}

/* Decodes what comes next, of which there is something. */
static bool read_run(text_stream *stream, char *error) {
    size_t size;
    stream->run_taken = stream->run_length = 0;
    stream->run_offset = offset_of(stream);
    int32_t code_point = look(stream, &size, error);
    if (code_point < 0)
        return false;
    stream->at += size;
    if (code_point == '\r' && stream->form.line_feeds) {
        code_point = '\n';
        if (left(stream) > 0 && *stream->at == '\n')
            stream->at++;
    }
    stream->run[0] = code_point;
    stream->run_length = 1;
    return !stream->form.composed || compose_run(stream, code_point, error);
}

int64_t text_stream_read(text_stream *stream, int32_t *code_points, int64_t most, char *error) {
    int64_t count = 0;
    while (count < most) {
        if (stream->run_taken < stream->run_length) {
            code_points[count++] = stream->run[stream->run_taken++];
            continue;
        }
        if (!fill(stream, error))
            return -1;
        if (left(stream) == 0)
            break;
        int64_t plain = read_plain(stream, code_points + count, most - count);
        count += plain;
        if (plain == 0 && !read_run(stream, error))
            return -1;
    }
    return count;
}
