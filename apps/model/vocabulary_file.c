/* Vocabularies as JSON: those of checkpoints, and those that other programs write. */
#include "vocabulary_file.h"

#include "apps/cli/failure.h"
#include "tensor/io/file_stream.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LARGEST_FILE = 64 << 20, NO_CHARACTER = -1 };

/* Reads a string of one character. */
static bool read_character(const char *string, size_t length, int32_t *code_point, char *error) {
    utf8proc_int32_t found = NO_CHARACTER;
    bool one =
        length > 0 && utf8proc_iterate((const utf8proc_uint8_t *)string, (utf8proc_ssize_t)length,
                                       &found) == (utf8proc_ssize_t)length;
    *code_point = found;
    return one ||
           failure(error, FAILURE_SIZE, "the vocabulary's \"%.40s\" is not one character", string);
}

/* Puts a character in its place. */
static bool place(int32_t *list, size_t count, json_int_t number, const char *string, size_t length,
                  char *error) {
    int32_t code_point;
    if (!read_character(string, length, &code_point, error))
        return false;
    if (number < 0 || (size_t)number >= count || list[number] != NO_CHARACTER) {
        return failure(
            error, FAILURE_SIZE,
            "the vocabulary's numbers are not 0 to %zu, each once: %" JSON_INTEGER_FORMAT,
            count - 1, number);
    }
    list[number] = code_point;
    return true;
}

static bool read_array(const json_t *array, int32_t *list, size_t count, char *error) {
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item))
            return failure(error, FAILURE_SIZE, "the vocabulary's entry %zu is no string", i);
        if (!place(list, count, (json_int_t)i, json_string_value(item), json_string_length(item),
                   error))
            return false;
    }
    return true;
}

static bool read_object(json_t *object, int32_t *list, size_t count, char *error) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        char *end = NULL;
        json_int_t number = strtoll(key, &end, 10);
        bool ok = false;
        if (json_is_integer(value))
            ok = place(list, count, json_integer_value(value), key, strlen(key), error);
        else if (json_is_string(value) && end != key && *end == '\0')
            ok = place(list, count, number, json_string_value(value), json_string_length(value),
                       error);
        else
            failure(error, FAILURE_SIZE,
                    "the vocabulary's \"%.40s\": neither a number by character nor a character by "
                    "number",
                    key);
        if (!ok)
            return false;
    }
    return true;
}

bool vocabulary_of_json(const json_t *value, vocabulary *made, char *error) {
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    *made = (vocabulary){0};
    if (count == 0)
        return failure(error, FAILURE_SIZE, "the vocabulary is no array or object of characters");
    int32_t *list = malloc(count * sizeof *list);
    if (list == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    for (size_t i = 0; i < count; i++)
        list[i] = NO_CHARACTER;
    bool ok = json_is_array(value) ? read_array(value, list, count, error)
                                   : read_object((json_t *)(uintptr_t)value, list, count, error);
    ok = ok && vocabulary_of_list(list, count, made, error);
    free(list);
    return ok;
}

bool vocabulary_load(const char *path, vocabulary *made, char *error) {
    cb_error reason = {.status = CB_OK};
    json_error_t wrong;
    cbi_file file;
    *made = (vocabulary){0};
    if (cbi_file_open(&file, path, &reason) != CB_OK)
        return failure(error, FAILURE_SIZE, "%s", reason.message);
    char *bytes = file.size <= LARGEST_FILE ? malloc((size_t)file.size + 1) : NULL;
    bool ok =
        bytes != NULL && cbi_file_read_at(&file, 0, bytes, (size_t)file.size, &reason) == CB_OK;
    json_t *value =
        ok ? json_loadb(bytes, (size_t)file.size, JSON_REJECT_DUPLICATES, &wrong) : NULL;
    if (bytes == NULL)
        failure(error, FAILURE_SIZE, "%s: too large for a vocabulary", path);
    else if (!ok)
        failure(error, FAILURE_SIZE, "%s", reason.message);
    else if (value == NULL)
        failure(error, FAILURE_SIZE, "%s, line %d: %s", path, wrong.line, wrong.text);
    char message[FAILURE_SIZE] = "";
    ok = value != NULL && vocabulary_of_json(value, made, message);
    if (value != NULL && !ok)
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
    json_decref(value);
    free(bytes);
    cbi_file_close(&file);
    return ok;
}
