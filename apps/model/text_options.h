/* How a text is read, as options say it, and as a checkpoint keeps it. */
#ifndef CEREBRA_APPS_MODEL_TEXT_OPTIONS_H
#define CEREBRA_APPS_MODEL_TEXT_OPTIONS_H

#include "numbered_text.h"

#include <cerebra/files.h>

/* The values of --newlines, --normalize and --unknown, each list ended by NULL. The first of a list
   is the default. */
extern const char *const text_newline_names[], *const text_normalize_names[],
                                                   *const text_unknown_names[];

#define UNKNOWN_OPTION_HELP                                                                        \
    "what becomes of characters that the model does not know: skip leaves them out, replace "      \
    "reads "                                                                                       \
    "them as U+FFFD or else '?' (error)"

/* The value itself, NULL for the first of its list: an option that says what is so anyway is kept
   in a checkpoint as one that is not given. */
const char *text_option_beyond_default(const char *value, const char *const *names);

/* From values of these lists; NULL: the first. */
text_form text_form_of(const char *newlines, const char *normalize);
unknown_policy text_unknown_of(const char *name);

/* What a checkpoint says of the text that its model was trained on. */
typedef struct kept_text {
    text_form form;
    double held_out; /* the part of it; 0: none */
    char *data;      /* as --data named it; NULL: the bundled script */
} kept_text;

/* A checkpoint that says nothing, as older ones do, gives {0}. Fails, with one line in error, when
   what it says is damaged. kept_text_free ends what it owns. */
bool kept_text_read(const cb_safetensors *stored, kept_text *kept, char *error);
void kept_text_free(kept_text *kept);

#endif
