/* The options that a run goes on with: kept in its checkpoint as a JSON object, {"hidden": 512,
   ...}, by the options' names. */
#ifndef CEREBRA_APPS_CLI_SETTINGS_H
#define CEREBRA_APPS_CLI_SETTINGS_H

#include "options.h"

#include <jansson.h>

/* The values of the rows that are kept (option_row.keep), those without a value left out. The
   caller frees the text; NULL without memory. */
char *settings_text(const option_row *rows);

/* Settings as they were read; strings that options were set to live as long. */
typedef struct settings {
    json_t *object;
} settings;

/* Reads a text of settings_text. Fails with one line in error. */
bool settings_read(const char *kept, settings *read, char *error);
void settings_free(settings *read);

/* Sets the options that are kept to what they were. Fails when one is of another kind. */
bool settings_apply(const settings *read, const option_row *rows, char *error);

typedef enum settings_outcome {
    SETTINGS_SAME,
    SETTINGS_DIFFER,
    SETTINGS_FAILED, /* no memory */
} settings_outcome;

/* Whether the options that may not change are as they were; if not, error names one, with both
   values: "PATH was made with --hidden 64, not 128". */
settings_outcome settings_match(const settings *read, const option_row *rows, const char *path,
                                char *error);

#endif
