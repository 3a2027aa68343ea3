/* "Did you mean ...?" for mistyped options and values. */
#ifndef CEREBRA_APPS_CLI_SUGGEST_H
#define CEREBRA_APPS_CLI_SUGGEST_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/* One line on what is wrong with the option getopt_long has just refused, for example
   "unknown option --tilte (did you mean --title?)". result is what getopt_long returned: '?' or ':'
   (the short option string starts with ':' and opterr is 0). argument is argv[optind - 1]; options
   is the table, ended by a zero row. Writes at most message_size bytes. */
void suggest_option_message(int result, const char *argument, const struct option *options,
                            char *message, size_t message_size);

/* Whether name is in a list ended by NULL; if not, error (room for FAILURE_SIZE bytes) says that
   WHAT has no such value, and names the nearest, or all. */
bool suggest_name(const char *what, const char *name, const char *const *names, char *error);

#endif
