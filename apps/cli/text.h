/* Texts as sequences of Unicode code points, and the vocabulary of characters that occur in one. */
#ifndef CEREBRA_APPS_CLI_TEXT_H
#define CEREBRA_APPS_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text; the struct owns its array. {0} is an empty one. */
typedef struct text {
    int32_t *code_points;
    size_t count;
} text;

/* Reads the UTF-8 file at path ("-": standard input). A byte order mark at its beginning is not
   part of the text. Fails, with one line in error (room for FAILURE_SIZE bytes) and an empty text,
   when the file cannot be read, is empty, is binary (holds a NUL byte) or is not UTF-8. */
bool text_load(const char *path, text *loaded, char *error);
/* The same from a string in memory; name is what the error calls it. The string may be empty. */
bool text_from_string(const char *string, const char *name, text *loaded, char *error);
void text_free(text *loaded);

/* "standard input" for "-", else the path: how messages call it. */
const char *text_display_name(const char *path);

/* Whether all of it is UTF-8, as JSON has to be. */
bool text_is_utf8(const char *string);

enum { CHARACTER_NAME_SIZE = 32 };
/* Writes the character and its number, such as "'é' (U+00E9)", into name, and returns name. Control
   characters are shown by number only. */
char *character_name(int32_t code_point, char name[CHARACTER_NAME_SIZE]);

/* The characters a model knows. Character number i is code_points[i]. */
typedef struct vocabulary {
    int32_t count;
    int32_t *code_points;
    int32_t *number_plus_one; /* by code point; 0: not in the vocabulary */
} vocabulary;

/* The distinct characters of a text in order of first appearance; a vocabulary from a list of
   characters, none twice. Both fail when there is no memory, the second on bad code points. */
bool vocabulary_of_text(const text *source, vocabulary *made, char *error);
bool vocabulary_of_list(const int32_t *code_points, size_t count, vocabulary *made, char *error);
void vocabulary_free(vocabulary *v);

/* The number of a character, -1 when it is not in the vocabulary. */
int32_t vocabulary_find(const vocabulary *v, int32_t code_point);

/* The text as character numbers, in an array of source->count that the caller frees. NULL, and
   error names the character and its position (from 1), when one is not in the vocabulary; name is
   what the text is called. */
int32_t *vocabulary_encode(const vocabulary *v, const text *source, const char *name, char *error);

#endif
