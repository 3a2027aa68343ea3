/* The names of the options' values, and their way back from a checkpoint's settings. */
#include "text_options.h"

#include "apps/cli/failure.h"
#include "apps/cli/settings.h"

#include <stdlib.h>
#include <string.h>

const char *const text_newline_names[] = {"keep", "lf", NULL};
const char *const text_normalize_names[] = {"none", "nfc", NULL};
const char *const text_unknown_names[] = {"error", "skip", "replace", NULL};

const char *text_option_beyond_default(const char *value, const char *const *names) {
    return value == NULL || strcmp(value, names[0]) == 0 ? NULL : value;
}

text_form text_form_of(const char *newlines, const char *normalize) {
    return (text_form){.line_feeds = newlines != NULL && strcmp(newlines, "lf") == 0,
                       .composed = normalize != NULL && strcmp(normalize, "nfc") == 0};
}

unknown_policy text_unknown_of(const char *name) {
    bool skip = name != NULL && strcmp(name, "skip") == 0;
    bool replace = name != NULL && strcmp(name, "replace") == 0;
    return skip ? UNKNOWN_SKIP : replace ? UNKNOWN_REPLACE : UNKNOWN_ERROR;
}

bool kept_text_read(const cb_safetensors *stored, kept_text *kept, char *error) {
    const char *written = cb_safetensors_metadata(stored, "settings");
    settings read;
    *kept = (kept_text){0};
    if (written == NULL)
        return true;
    if (!settings_read(written, &read, error))
        return false;
    const char *newlines = NULL, *normalize = NULL, *data = NULL;
    bool ok = json_unpack(read.object, "{s?s, s?s, s?F, s?s}", "newlines", &newlines, "normalize",
                          &normalize, "held-out", &kept->held_out, "data", &data) == 0 &&
              kept->held_out >= 0 && kept->held_out < 1;
    kept->form = text_form_of(newlines, normalize);
    kept->data = data == NULL ? NULL : strdup(data);
    ok = ok && (data == NULL || kept->data != NULL);
    settings_free(&read);
    if (!ok)
        kept_text_free(kept);
    return ok || failure(error, FAILURE_SIZE, "its settings are damaged");
}

void kept_text_free(kept_text *kept) {
    free(kept->data);
    *kept = (kept_text){0};
}
