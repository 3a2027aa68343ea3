/* Vocabularies as JSON. */
#ifndef CEREBRA_APPS_MODEL_VOCABULARY_FILE_H
#define CEREBRA_APPS_MODEL_VOCABULARY_FILE_H

#include "apps/cli/vocabulary.h"

#include <jansson.h>

/* The vocabulary that a value says: an array of strings of one character each, in the order of
   their numbers; or an object of numbers by character, {"a": 0, ...}, or of characters by number,
   {"0": "a", ...}, in any order. Fails, with a line in error that names the entry. */
bool vocabulary_of_json(const json_t *value, vocabulary *made, char *error);

/* The same from a file, of at most 64 MB. */
bool vocabulary_load(const char *path, vocabulary *made, char *error);

#endif
