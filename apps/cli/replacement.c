/* The library's replacement of files, its statuses turned into the command's messages. */
#include "replacement.h"

#include "failure.h"

bool replacement_open(replacement *file, const char *path, char *error, size_t error_size) {
    cb_error reason;
    return cbi_replacement_open_output(file, path, &reason) == CB_OK ||
           failure(error, error_size, "%s", reason.message);
}

bool replacement_commit(replacement *file, char *error, size_t error_size) {
    cb_error reason;
    return cbi_replacement_commit(file, &reason) == CB_OK ||
           failure(error, error_size, "%s", reason.message);
}

void replacement_abandon(replacement *file) {
    cbi_replacement_abandon(file);
}
