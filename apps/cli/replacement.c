/* The library's replacement of files, its statuses turned into the command's messages. */
#include "replacement.h"

#include "failure.h"

#include <string.h>
#include <sys/stat.h>

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

bool same_file(const char *a, const char *b) {
    struct stat a_status, b_status;
    if (a == NULL || b == NULL || strcmp(a, "-") == 0 || strcmp(b, "-") == 0)
        return false;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &a_status) == 0 && stat(b, &b_status) == 0 && S_ISREG(a_status.st_mode) &&
           a_status.st_dev == b_status.st_dev && a_status.st_ino == b_status.st_ino;
}
