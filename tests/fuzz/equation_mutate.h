/* Texts that may be anything: edits of others, and tokens in a row. */
#ifndef CEREBRA_TESTS_FUZZ_EQUATION_MUTATE_H
#define CEREBRA_TESTS_FUZZ_EQUATION_MUTATE_H

#include "equation_text.h"

/* Texts to start from: the files of folders and what the library's cells say. */
typedef struct corpus {
    text *texts;
    int count;
} corpus;

/* Adds the *.cell files of a folder; false when there is none. */
bool corpus_add_folder(corpus *c, const char *folder);
void corpus_add_library(corpus *c);
void corpus_free(corpus *c);

/* One of the texts, or `own`, with a few bytes and tokens changed, deleted, repeated and exchanged,
   and parts of others in it. */
void mutate(dice *d, const corpus *c, const text *own, text *to);
/* Words, names, numbers and signs of the language in any order. */
void soup(dice *d, text *to);
/* Lines that are right one by one: equations and declarations of a few names. */
void wild_lines(dice *by, text *to);

#endif
