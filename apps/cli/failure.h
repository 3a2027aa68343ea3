/* How the parts of the command report that something went wrong: a function returns false and
   leaves one line, without a newline, in a buffer its caller owns. */
#ifndef CEREBRA_APPS_CLI_FAILURE_H
#define CEREBRA_APPS_CLI_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

/* A size for error buffers that holds two long paths and a sentence. */
enum { FAILURE_SIZE = 1024 };

/* Formats a message into error (truncated to error_size bytes with its zero; nothing is written
   when error is NULL or error_size is 0). Always returns false, so that a function can say
   `return failure(error, error_size, "...")`. */
bool failure(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
