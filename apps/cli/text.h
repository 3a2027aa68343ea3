/* Strings and characters, as messages and files have them. */
#ifndef CEREBRA_APPS_CLI_TEXT_H
#define CEREBRA_APPS_CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* "standard input" for "-", else the path: how messages call it. */
const char *text_display_name(const char *path);

/* Whether all of it is UTF-8, as JSON has to be. */
bool text_is_utf8(const char *string);

enum { CHARACTER_NAME_SIZE = 32 };
/* Writes the character and its number, such as "'é' (U+00E9)", into name, and returns name. Control
   characters are shown by number only. */
char *character_name(int32_t code_point, char name[CHARACTER_NAME_SIZE]);

#endif
