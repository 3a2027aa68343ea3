/* The text that a model is trained on or measured on, ready to use: opened, numbered and split. */
#ifndef CEREBRA_APPS_MODEL_CORPUS_H
#define CEREBRA_APPS_MODEL_CORPUS_H

#include "numbered_text.h"

/* Which text, and how it is read. */
typedef struct corpus_source {
    const char *path; /* "-": standard input; NULL: the bundled script */
    text_form form;
    const vocabulary *characters; /* those that a model knows; NULL: the text's own */
    unknown_policy unknown;       /* of the others */
    double held_out;              /* the part at its end, of the whole, in [0, 1) */
    int64_t most;                 /* so many characters are kept in memory; 0: CORPUS_MOST */
} corpus_source;

/* Longer texts are read from their file as they are needed: 64 MB of numbers. */
enum { CORPUS_MOST = 1 << 24 };

/* Owns what it points to. The vocabulary is that of the whole text, or the model's. */
typedef struct corpus {
    char *name;             /* the path, "standard input", or "tideline.txt (bundled)" */
    vocabulary characters;  /* borrowed from the text */
    const int32_t *numbers; /* the text as numbers in the vocabulary; NULL: not in memory */
    int64_t count;
    int64_t training; /* the first so many are trained on, the rest is held out */
    text_facts facts;
    numbered_text *text;
} corpus;

/* The bundled script, NULL when it cannot be found. */
const char *corpus_bundled_path(void);

/* Reads the text once. Fails with one line in error. */
bool corpus_load(const corpus_source *source, corpus *loaded, char *error);
/* The same of a string, called name, which may be empty; source's path and part are not used. */
bool corpus_of_string(const char *string, const char *name, const corpus_source *source,
                      corpus *loaded, char *error);
/* A text to measure on, whose characters are those of a vocabulary; all of it is held out. Fails
   with one line in error, too where it has others. */
bool corpus_load_known(const char *path, text_form form, const vocabulary *known, corpus *loaded,
                       char *error);
void corpus_free(corpus *loaded);

/* What a user should know of a text, a line each to standard error, for the command of that name:
   a byte order mark that was dropped, and with `offer` what --newlines and --normalize could do;
   and how many characters were skipped or replaced. */
void corpus_tell(const corpus *loaded, const corpus_source *source, const char *command,
                 bool offer);

/* Characters in a row, as numbers, wherever they are: in an array, or in a corpus. */
typedef struct passage {
    const int32_t *numbers; /* NULL: in the text */
    const corpus *text;
    int64_t first; /* where in the text it begins */
} passage;

passage passage_of_array(const int32_t *numbers);
/* From the first-th character of a corpus on. */
passage passage_of_corpus(const corpus *text, int64_t first);
/* The passage that begins so many characters later. */
passage passage_after(passage p, int64_t characters);

/* `count` characters of a passage from `at` on: where they are in memory, or in room, which has
   space for them. NULL, with one line in error, when they cannot be read any more. */
const int32_t *passage_read(passage p, int64_t at, int64_t count, int32_t *room, char *error);

#endif
