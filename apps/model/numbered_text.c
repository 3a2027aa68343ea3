/* One pass over the text makes vocabulary, index and checksum. Afterwards a stretch of the text is
   decoded from the block's beginning on, by the same stream that made the pass: whatever the
   characters' sizes, the form and the unknown ones, both see the same numbers. */
#include "numbered_text.h"

#include "apps/cli/failure.h"
#include "apps/cli/grow.h"
#include "apps/cli/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

/* A place in one number: a run never gives as many code points as fit in PASSED_BITS. */
enum { PASSED_BITS = 16, PIECE = 65536, REPLACEMENT = 0xFFFD };

static uint64_t pack(text_position position) {
    return position.offset << PASSED_BITS | position.passed;
}

static text_position unpack(uint64_t place) {
    return (text_position){place >> PASSED_BITS,
                           (uint32_t)(place & ((UINT64_C(1) << PASSED_BITS) - 1))};
}

/* The line of the code point after `count` that were read from an offset on. */
static uint64_t line_after(const numbered_text *text, uint64_t offset, const int32_t *code_points,
                           int64_t count) {
    uint64_t line = text_bytes_line(&text->bytes, offset);
    for (int64_t i = 0; i < count; i++)
        line += code_points[i] == '\n';
    return line;
}

static bool refuse(const numbered_text *text, int64_t number, int32_t code_point, uint64_t line,
                   char *error) {
    char character[CHARACTER_NAME_SIZE];
    return failure(error, FAILURE_SIZE,
                   "%s: character %s at position %" PRId64 ", line %" PRIu64
                   ", is not in the model's vocabulary",
                   text->bytes.name, character_name(code_point, character), number + 1, line);
}

/* What a pass notes of code points, read from an offset on. */
static void note(numbered_text *text, uint64_t offset, const int32_t *code_points, int64_t count) {
    text_facts *facts = &text->facts;
    int32_t returns = 0;
    for (int64_t i = 0; i < count; i++)
        returns += code_points[i] == '\r';
    facts->carriage_returns += returns;
    if (facts->uncomposed_line == 0) {
        int64_t wrong = composed_next(&text->check, code_points, count);
        if (wrong >= 0)
            facts->uncomposed_line = line_after(text, offset, code_points, wrong - 1);
    }
}

/* Makes numbers of code points, in place; first: the number of the first. Returns how many are
   left, -1 when one is refused. */
static int64_t number(numbered_text *text, int64_t first, uint64_t offset, int32_t *points,
                      int64_t count, char *error) {
    const int32_t *found = text->characters.number_plus_one;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t code_point = points[i], at = found[code_point] - 1;
        if (at < 0) {
            text->facts.unknown += text->unknown != UNKNOWN_ADD;
            if (text->unknown == UNKNOWN_SKIP)
                continue;
            if (text->unknown == UNKNOWN_ERROR) {
                for (int64_t k = 0; k < i; k++) /* numbers again become what they were */
                    points[k] = text->characters.code_points[points[k]];
                refuse(text, first + i, code_point, line_after(text, offset, points, i), error);
                return -1;
            }
            at = text->unknown == UNKNOWN_ADD ? vocabulary_add(&text->characters, code_point)
                                              : text->replacement;
        }
        points[kept++] = at;
    }
    return kept;
}

/* The next numbers, `most` or as many as there are; -1 on failure. */
static int64_t read_numbers(numbered_text *text, int64_t first, bool pass, int32_t *numbers,
                            int64_t most, char *error) {
    int64_t count = 0;
    while (count < most) {
        uint64_t offset = text_stream_position(text->stream).offset;
        int64_t more = text_stream_read(text->stream, numbers + count, most - count, error);
        if (more <= 0)
            return more < 0 ? more : count;
        if (pass)
            note(text, offset, numbers + count, more);
        more = number(text, first + count, offset, numbers + count, more, error);
        if (more < 0)
            return more;
        count += more;
    }
    return count;
}

/* Keeps the numbers while they are few. */
static bool keep(numbered_text *text, const int32_t *numbers, int64_t count, int64_t most) {
    size_t wanted = (size_t)(text->count + count);
    if ((int64_t)wanted > most) {
        free(text->numbers);
        text->numbers = NULL;
        return true;
    }
    if (text->count > 0 && text->numbers == NULL)
        return true;
    int32_t *grown = grow(text->numbers, &text->numbers_room, wanted + 1, sizeof *grown);
    if (grown == NULL)
        return false;
    text->numbers = grown;
    for (int64_t i = 0; i < count; i++)
        grown[text->count + i] = numbers[i];
    return true;
}

static bool make_pass(numbered_text *text, int64_t most, char *error) {
    int32_t numbers[NUMBERED_BLOCK];
    int64_t count = NUMBERED_BLOCK;
    uLong sum = crc32_z(0, NULL, 0);
    for (size_t block = 0; count == NUMBERED_BLOCK; block++) {
        uint64_t *grown = grow(text->places, &text->room, block + 1, sizeof *grown);
        if (grown == NULL)
            return failure(error, FAILURE_SIZE, "%s: out of memory", text->bytes.name);
        text->places = grown;
        grown[block] = pack(text_stream_position(text->stream));
        count = read_numbers(text, text->count, true, numbers, NUMBERED_BLOCK, error);
        if (count < 0)
            return false;
        sum = crc32_z(sum, (const Bytef *)numbers, (size_t)count * sizeof *numbers);
        if (!keep(text, numbers, count, most))
            return failure(error, FAILURE_SIZE, "%s: out of memory", text->bytes.name);
        text->count += count;
    }
    text->facts.checksum = (uint32_t)sum;
    if (text->facts.uncomposed_line == 0 && !composed_end(&text->check))
        text->facts.uncomposed_line = text_bytes_line(&text->bytes, text->bytes.size);
    return true;
}

/* The vocabulary, and what stands for characters that are not in it. */
static bool begin(numbered_text *text, const vocabulary *known, char *error) {
    if (known == NULL)
        return vocabulary_start(&text->characters, error);
    if (!vocabulary_of_list(known->code_points, (size_t)known->count, &text->characters, error))
        return false;
    text->replacement = vocabulary_find(known, REPLACEMENT);
    if (text->replacement < 0)
        text->replacement = vocabulary_find(known, '?');
    return text->unknown != UNKNOWN_REPLACE || text->replacement >= 0 ||
           failure(error, FAILURE_SIZE,
                   "--unknown replace: the model's vocabulary has neither U+FFFD nor '?'");
}

static void forget_bytes(numbered_text *text) {
    text_stream_free(text->stream);
    text_bytes_close(&text->bytes);
    free(text->places);
    text->stream = NULL;
    text->places = NULL;
}

bool numbered_text_make(text_bytes *bytes, text_form form, const vocabulary *known,
                        unknown_policy unknown, int64_t most, numbered_text *made, char *error) {
    *made = (numbered_text){.bytes = *bytes, .unknown = unknown};
    *bytes = (text_bytes){.file = -1};
    made->stream = text_stream_new(&made->bytes, form, error);
    bool ok = made->stream != NULL && begin(made, known, error);
    if (ok)
        made->facts.has_mark = text_stream_has_mark(made->stream);
    ok = ok && make_pass(made, most, error);
    made->unknown = unknown == UNKNOWN_ADD ? UNKNOWN_ERROR : unknown;
    if (ok && made->numbers != NULL)
        forget_bytes(made);
    if (!ok)
        numbered_text_free(made);
    return ok;
}

void numbered_text_free(numbered_text *text) {
    forget_bytes(text);
    vocabulary_free(&text->characters);
    free(text->numbers);
    *text = (numbered_text){.bytes.file = -1};
}

/* Bytes that so many numbers are likely to take. */
static size_t bytes_of(const numbered_text *text, int64_t count) {
    double each = (double)text->bytes.size / (double)text->count;
    double bytes = each * (double)count + 64;
    return bytes < PIECE ? (size_t)bytes : PIECE;
}

bool numbered_text_read(numbered_text *text, int64_t first, int64_t count, int32_t *numbers,
                        char *error) {
    int32_t passed[NUMBERED_BLOCK];
    int64_t block = first / NUMBERED_BLOCK, within = first % NUMBERED_BLOCK;
    if (!text_stream_seek(text->stream, unpack(text->places[block]), bytes_of(text, within + count),
                          error))
        return false;
    int64_t got = read_numbers(text, first - within, false, passed, within, error);
    if (got == within)
        got = read_numbers(text, first, false, numbers, count, error);
    else
        got = got < 0 ? -1 : 0;
    return got == count ||
           (got >= 0 &&
            failure(error, FAILURE_SIZE, "%s was changed while it was read", text->bytes.name));
}
