/* Replacing a file whole (see tensor/io/file_replace.h, which does it), with the error messages of
   the command. Write to file.stream between open and commit or abandon. */
#ifndef CEREBRA_APPS_CLI_REPLACEMENT_H
#define CEREBRA_APPS_CLI_REPLACEMENT_H

#include "tensor/io/file_replace.h"

#include <stdbool.h>
#include <stddef.h>

typedef cbi_replacement replacement;

/* Starts to replace the file at path; "-" is standard output, devices and pipes are written
   directly. Fails when the directory or the existing file cannot be written, or path is a
   directory; then there is nothing to clean up. */
bool replacement_open(replacement *file, const char *path, char *error, size_t error_size);

/* Flushes, syncs and renames; releases file whether or not it succeeds. On failure the target is as
   it was and the temporary file is gone. */
bool replacement_commit(replacement *file, char *error, size_t error_size);

/* Gives up: removes the temporary file, leaves the target as it was, releases file. */
void replacement_abandon(replacement *file);

/* Whether two paths name the same regular file, by name or by links; NULL and "-" name none. */
bool same_file(const char *a, const char *b);

#endif
