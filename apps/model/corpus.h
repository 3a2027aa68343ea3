/* The text that a model is trained on, ready to use: loaded, numbered and split. */
#ifndef CEREBRA_APPS_MODEL_CORPUS_H
#define CEREBRA_APPS_MODEL_CORPUS_H

#include "apps/cli/text.h"

/* Owns what it points to. The vocabulary is that of the whole text. */
typedef struct corpus {
    char *name; /* the path, "standard input", or "tideline.txt (bundled)" */
    vocabulary characters;
    int32_t *numbers; /* the text as numbers in the vocabulary */
    int64_t count;
    int64_t training; /* the first so many are trained on, the rest is held out */
} corpus;

/* The bundled script, NULL when it cannot be found. */
const char *corpus_bundled_path(void);

/* Loads the text at path ("-": standard input; NULL: the bundled script) and holds out its last
   part, held_out of the whole, in [0, 1). Fails with one line in error. */
bool corpus_load(const char *path, double held_out, corpus *loaded, char *error);
/* Loads a text whose characters are those of a vocabulary, which it gets a copy of; all of it is
   held out. Fails with one line in error, too where it has others. */
bool corpus_load_known(const char *path, const vocabulary *known, corpus *loaded, char *error);
void corpus_free(corpus *loaded);

#endif
