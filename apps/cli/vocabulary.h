/* The characters a model knows. */
#ifndef CEREBRA_APPS_CLI_VOCABULARY_H
#define CEREBRA_APPS_CLI_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Character number i is code_points[i]. Owns its arrays. */
typedef struct vocabulary {
    int32_t count;
    int32_t *code_points;
    int32_t *number_plus_one; /* by code point; 0: not in the vocabulary */
} vocabulary;

/* A vocabulary without characters; one of a list of characters, none twice. Both fail, with one
   line in error, when there is no memory, the second also on bad code points and an empty list. */
bool vocabulary_start(vocabulary *made, char *error);
bool vocabulary_of_list(const int32_t *code_points, size_t count, vocabulary *made, char *error);
void vocabulary_free(vocabulary *v);

/* The number of a valid character, which becomes the last of the vocabulary if it is not in it. */
int32_t vocabulary_add(vocabulary *made, int32_t code_point);

/* The number of a character, -1 when it is not in the vocabulary. */
int32_t vocabulary_find(const vocabulary *v, int32_t code_point);

#endif
