/* Options as JSON and back. Seeds are strings, for JSON's numbers do not hold 64 bits. */
#include "settings.h"

#include "failure.h"
#include "tensor/io/json_text.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_value(const option_row *row) {
    return (row->string == NULL || (*row->string != NULL && text_is_utf8(*row->string))) &&
           (row->number == NULL || isfinite(*row->number));
}

/* The row's value; NULL without memory, or when it has none. */
static json_t *value_of(const option_row *row) {
    if (row->flag != NULL)
        return json_boolean(*row->flag);
    if (row->string != NULL)
        return has_value(row) ? json_string(*row->string) : NULL;
    if (row->whole != NULL)
        return json_integer(*row->whole);
    if (row->seed != NULL)
        return json_sprintf("%" PRIu64, *row->seed);
    return isfinite(*row->number) ? json_real(*row->number) : NULL;
}

char *settings_text(const option_row *rows) {
    json_t *object = json_object();
    bool ok = object != NULL;
    for (const option_row *row = rows; row->name != NULL && ok; row++)
        if (row->keep != OPTION_FORGOTTEN && has_value(row))
            ok = json_object_set_new(object, row->name, value_of(row)) == 0;
    if (!ok)
        json_decref(object);
    return ok ? cbi_json_text(object) : NULL;
}

bool settings_read(const char *kept, settings *read, char *error) {
    read->object = NULL;
    if (kept == NULL) {
        return failure(error, FAILURE_SIZE,
                       "it has no settings to go on with, as a model has none that was imported or "
                       "written by another program");
    }
    read->object = json_loads(kept, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(read->object)) {
        settings_free(read);
        return failure(error, FAILURE_SIZE, "its settings are damaged");
    }
    return true;
}

void settings_free(settings *read) {
    json_decref(read->object);
    read->object = NULL;
}

static bool set(const option_row *row, const json_t *value) {
    if (row->flag != NULL) {
        *row->flag = json_is_true(value);
        return json_is_boolean(value);
    }
    if (row->string != NULL) {
        *row->string = json_string_value(value);
        return json_is_string(value);
    }
    if (row->whole != NULL) {
        *row->whole = json_integer_value(value);
        return json_is_integer(value) && (double)*row->whole >= row->low &&
               (double)*row->whole <= row->high;
    }
    if (row->seed != NULL)
        return json_is_string(value) && options_parse_seed(json_string_value(value), row->seed);
    *row->number = json_number_value(value);
    return json_is_number(value) && *row->number >= row->low && *row->number <= row->high;
}

bool settings_apply(const settings *read, const option_row *rows, char *error) {
    for (const option_row *row = rows; row->name != NULL; row++) {
        const json_t *value =
            row->keep == OPTION_FORGOTTEN ? NULL : json_object_get(read->object, row->name);
        if (value != NULL && !set(row, value))
            return failure(error, FAILURE_SIZE, "its setting \"%s\" is damaged", row->name);
    }
    return true;
}

/* A value for a message; the caller frees it. */
static char *shown(const json_t *value) {
    return value == NULL ? strdup("its default") : json_dumps(value, JSON_ENCODE_ANY);
}

/* Whether a row has the value that an option has which is not given: all that came after the first
   checkpoints are 0 then. */
static bool is_nothing(const option_row *row) {
    return row->flag != NULL     ? !*row->flag
           : row->string != NULL ? *row->string == NULL
           : row->number != NULL ? *row->number == 0
           : row->whole != NULL  ? *row->whole == 0
                                 : false;
}

settings_outcome settings_match(const settings *read, const option_row *rows, const char *path,
                                char *error) {
    for (const option_row *row = rows; row->name != NULL; row++) {
        json_t *now = row->keep == OPTION_FIXED ? value_of(row) : NULL;
        json_t *before =
            row->keep == OPTION_FIXED ? json_object_get(read->object, row->name) : NULL;
        bool same = (now == NULL && before == NULL) || json_equal(now, before) ||
                    (before == NULL && row->keep == OPTION_FIXED && is_nothing(row));
        if (now == NULL && row->keep == OPTION_FIXED && has_value(row)) {
            failure(error, FAILURE_SIZE, "out of memory");
            return SETTINGS_FAILED;
        }
        if (!same) {
            char *was = shown(before), *is = shown(now);
            failure(error, FAILURE_SIZE, "%s was made with --%s %s, not %s", path, row->name,
                    was == NULL ? "?" : was, is == NULL ? "?" : is);
            free(was);
            free(is);
        }
        json_decref(now);
        if (!same)
            return SETTINGS_DIFFER;
    }
    return SETTINGS_SAME;
}
