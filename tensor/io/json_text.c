/* Jansson 2.14 leaves pieces out where there is no memory for them, and does not say so. */
#include "tensor/io/json_text.h"

#include <stdlib.h>

char *cbi_json_text(json_t *value) {
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *read = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (read == NULL || !json_equal(read, value)) {
        free(text);
        text = NULL;
    }
    json_decref(read);
    json_decref(value);
    return text;
}
