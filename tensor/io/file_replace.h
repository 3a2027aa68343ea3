/* Writing a file so that readers see the old contents or the new, never half of either: the bytes
   go to a temporary file in the same directory, which is synced and renamed over the target. */
#ifndef CEREBRA_TENSOR_IO_FILE_REPLACE_H
#define CEREBRA_TENSOR_IO_FILE_REPLACE_H

#include <cerebra/export.h>
#include <cerebra/status.h>
#include <stdio.h>

CB_BEGIN_DECLS

/* A file being replaced. Between open and commit or abandon, write to stream; the rest is private.
 */
typedef struct cbi_replacement {
    FILE *stream;
    char *target;    /* owned; the path, of a regular file with symbolic links followed */
    char *temporary; /* owned; NULL when a device, pipe or standard output is written directly */
} cbi_replacement;

/* Starts to replace the file at path. A target that does not exist gets the umask's permissions, an
   existing one keeps its own; a symbolic link is followed. Devices and pipes (/dev/null) are
   written directly. CB_ERROR_FILE when the directory or the existing file cannot be written or path
   is a directory, CB_ERROR_MEMORY; then there is nothing to clean up. error may be NULL, here and
   below. */
cb_status cbi_replacement_open(cbi_replacement *file, const char *path, cb_error *error);

/* The same, but the path "-" is standard output. */
cb_status cbi_replacement_open_output(cbi_replacement *file, const char *path, cb_error *error);

/* Flushes, syncs and renames; releases file whether or not it succeeds. On failure (CB_ERROR_FILE)
   the target is as it was and the temporary file is gone. */
cb_status cbi_replacement_commit(cbi_replacement *file, cb_error *error);

/* Removes what killed processes have left of replacing the file at path, as opening one does. */
void cbi_replacement_clean(const char *path);

/* The name of a file beside the one at path, symbolic links followed, that belongs to it:
   "DIRECTORY/.cerebra-HASH.WHAT". From cbi_allocate; NULL with errno set. */
char *cbi_replacement_side_name(const char *path, const char *what);

/* Gives up: removes the temporary file, leaves the target as it was, releases file. */
void cbi_replacement_abandon(cbi_replacement *file);

CB_END_DECLS

#endif
