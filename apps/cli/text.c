/* Reading text files whole and turning UTF-8 into code points with utf8proc. A character model
   predicts code points, not bytes, so that it can never print half of an accented letter. */
#include "text.h"

#include "failure.h"
#include "grow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { CODE_POINTS = 0x110000, BYTE_ORDER_MARK = 0xFEFF, READ_AT_LEAST = 65536 };

bool text_is_utf8(const char *string) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)string;
    while (*at != '\0') {
        utf8proc_int32_t code_point;
        utf8proc_ssize_t length = utf8proc_iterate(at, -1, &code_point);
        if (length < 1)
            return false;
        at += length;
    }
    return true;
}

const char *text_display_name(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Reads a stream to its end. The caller frees *bytes, also on failure. */
static bool read_stream(FILE *stream, unsigned char **bytes, size_t *size) {
    size_t capacity = 0;
    *size = 0;
    do {
        unsigned char *grown = grow(*bytes, &capacity, *size + READ_AT_LEAST, 1);
        if (grown == NULL) {
            errno = ENOMEM;
            return false;
        }
        *bytes = grown;
        errno = 0;
        *size += fread(*bytes + *size, 1, capacity - *size, stream);
    } while (!feof(stream) && !ferror(stream));
    return !ferror(stream);
}

static bool decode(const unsigned char *bytes, size_t size, const char *name, text *loaded,
                   char *error) {
    loaded->code_points = malloc((size + 1) * sizeof *loaded->code_points);
    if (loaded->code_points == NULL)
        return failure(error, FAILURE_SIZE, "%s: out of memory", name);
    size_t at = 0;
    while (at < size) {
        utf8proc_int32_t code_point = 0;
        if (bytes[at] == 0) {
            return failure(error, FAILURE_SIZE,
                           "%s: a binary file, not text (NUL byte at offset %zu)", name, at);
        }
        utf8proc_ssize_t length =
            utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(size - at), &code_point);
        if (length < 1) {
            return failure(error, FAILURE_SIZE, "%s: not valid UTF-8 (byte 0x%02X at offset %zu)",
                           name, bytes[at], at);
        }
        if (at > 0 || code_point != BYTE_ORDER_MARK)
            loaded->code_points[loaded->count++] = code_point;
        at += (size_t)length;
    }
    return true;
}

bool text_load(const char *path, text *loaded, char *error) {
    const char *name = text_display_name(path);
    unsigned char *bytes = NULL;
    size_t size = 0;
    *loaded = (text){0};
    FILE *stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (stream == NULL)
        return failure(error, FAILURE_SIZE, "cannot read %s: %s", name, strerror(errno));
    bool ok = read_stream(stream, &bytes, &size);
    if (!ok)
        failure(error, FAILURE_SIZE, "cannot read %s: %s", name, strerror(errno));
    if (stream != stdin)
        fclose(stream);
    ok = ok && decode(bytes, size, name, loaded, error);
    if (ok && loaded->count == 0)
        ok = failure(error, FAILURE_SIZE, "%s: the file is empty", name);
    free(bytes);
    if (!ok)
        text_free(loaded);
    return ok;
}

bool text_from_string(const char *string, const char *name, text *loaded, char *error) {
    *loaded = (text){0};
    bool ok = decode((const unsigned char *)string, strlen(string), name, loaded, error);
    if (!ok)
        text_free(loaded);
    return ok;
}

void text_free(text *loaded) {
    free(loaded->code_points);
    *loaded = (text){0};
}

char *character_name(int32_t code_point, char name[CHARACTER_NAME_SIZE]) {
    utf8proc_uint8_t bytes[5] = {0};
    utf8proc_category_t category = utf8proc_category(code_point);
    bool visible = category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
                   category != UTF8PROC_CATEGORY_CN && category != UTF8PROC_CATEGORY_CS &&
                   category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP;
    if (visible && utf8proc_encode_char(code_point, bytes) > 0) {
        snprintf(name, CHARACTER_NAME_SIZE, "'%s' (U+%04X)", (const char *)bytes,
                 (unsigned)code_point);
    } else {
        snprintf(name, CHARACTER_NAME_SIZE, "U+%04X", (unsigned)code_point);
    }
    return name;
}

static bool vocabulary_start(vocabulary *made, size_t most, char *error) {
    *made = (vocabulary){0};
    made->code_points = calloc(most == 0 ? 1 : most, sizeof *made->code_points);
    made->number_plus_one = calloc(CODE_POINTS, sizeof *made->number_plus_one);
    if (made->code_points == NULL || made->number_plus_one == NULL) {
        vocabulary_free(made);
        return failure(error, FAILURE_SIZE, "out of memory");
    }
    return true;
}

static void vocabulary_append(vocabulary *made, int32_t code_point) {
    made->code_points[made->count++] = code_point;
    made->number_plus_one[code_point] = made->count;
}

bool vocabulary_of_text(const text *source, vocabulary *made, char *error) {
    if (!vocabulary_start(made, source->count < CODE_POINTS ? source->count : CODE_POINTS, error))
        return false;
    for (size_t i = 0; i < source->count; i++)
        if (made->number_plus_one[source->code_points[i]] == 0)
            vocabulary_append(made, source->code_points[i]);
    return true;
}

bool vocabulary_of_list(const int32_t *code_points, size_t count, vocabulary *made, char *error) {
    if (count == 0 || count > CODE_POINTS) {
        *made = (vocabulary){0};
        return failure(error, FAILURE_SIZE, "a vocabulary of %zu characters", count);
    }
    if (!vocabulary_start(made, count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!utf8proc_codepoint_valid(code_points[i]) ||
            made->number_plus_one[code_points[i]] != 0) {
            vocabulary_free(made);
            return failure(error, FAILURE_SIZE,
                           "character %zu of the vocabulary is invalid or there twice", i);
        }
        vocabulary_append(made, code_points[i]);
    }
    return true;
}

void vocabulary_free(vocabulary *v) {
    free(v->code_points);
    free(v->number_plus_one);
    *v = (vocabulary){0};
}

int32_t vocabulary_find(const vocabulary *v, int32_t code_point) {
    return code_point < 0 || code_point >= CODE_POINTS ? -1 : v->number_plus_one[code_point] - 1;
}

int32_t *vocabulary_encode(const vocabulary *v, const text *source, const char *name, char *error) {
    int32_t *numbers = malloc((source->count + 1) * sizeof *numbers);
    if (numbers == NULL) {
        failure(error, FAILURE_SIZE, "%s: out of memory", name);
        return NULL;
    }
    for (size_t i = 0; i < source->count; i++) {
        numbers[i] = vocabulary_find(v, source->code_points[i]);
        if (numbers[i] < 0) {
            char character[CHARACTER_NAME_SIZE];
            failure(error, FAILURE_SIZE,
                    "%s: character %s at position %zu is not in the model's vocabulary", name,
                    character_name(source->code_points[i], character), i + 1);
            free(numbers);
            return NULL;
        }
    }
    return numbers;
}
