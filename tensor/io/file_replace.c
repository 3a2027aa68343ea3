/* Temporary file, fsync, rename. The temporary name is made with O_EXCL rather than mkstemp, whose
   0600 permissions would have to be widened again by reading the process-wide umask. The directory
   is synced too, as far as it can be, for the rename to outlive a crash.

   A temporary file's name follows from its target's, and its writer holds a lock on it. So what a
   killed process has left is found by the next that writes the target: it can be locked, and is
   removed. */
#define _DEFAULT_SOURCE /* flock */

#include "tensor/io/file_replace.h"

#include "tensor/hash.h"
#include "tensor/io/file_data.h"
#include "tensor/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_ATTEMPTS = 100, MOST_LINKS = 40, PAGE = 4096 };

static void release(cbi_replacement *file) {
    cbi_free(file->target);
    cbi_free(file->temporary);
    *file = (cbi_replacement){0};
}

/* A copy; NULL with errno set. */
static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = cbi_allocate(size);
    if (copy == NULL)
        errno = ENOMEM;
    else
        memcpy(copy, text, size);
    return copy;
}

/* Bytes of the path that name its directory, with the last slash; 0 for the current one. */
static size_t directory_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* What a link at path points to, as a path from here; NULL with errno set: EINVAL, it is no link.
 */
static char *read_link(const char *path) {
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    size_t directory = target[0] == '/' ? 0 : directory_length(path);
    char *joined = cbi_allocate(directory + (size_t)length + 1);
    if (joined == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(joined, path, directory);
    memcpy(joined + directory, target, (size_t)length + 1);
    return joined;
}

/* The path with symbolic links of its last part followed, also where the file that they lead to is
   not there yet; NULL with errno set. */
static char *resolve(const char *path) {
    char *at = copy_text(path);
    for (int i = 0; i < MOST_LINKS && at != NULL; i++) {
        char *next = read_link(at);
        bool end = next == NULL && (errno == EINVAL || errno == ENOENT);
        if (end)
            return at;
        cbi_free(at);
        at = next;
    }
    if (at != NULL)
        errno = ELOOP;
    cbi_free(at);
    return NULL;
}

/* "DIRECTORY/.cerebra-HASH.WHAT", the hash that of the target's name: short whatever the target is
   called, so that one whose name is as long as the file system allows has one, too. */
static char *side_name(const char *target, const char *what) {
    size_t directory = directory_length(target), size = directory + strlen(what) + 32;
    char *name = cbi_allocate(size);
    if (name == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(name, target, directory);
    snprintf(name + directory, size - directory, ".cerebra-%016" PRIx64 ".%s",
             cbi_hash_bytes(CBI_HASH_OF_NOTHING, target + directory, strlen(target + directory)),
             what);
    return name;
}

char *cbi_replacement_side_name(const char *path, const char *what) {
    char *target = resolve(path), *name = target == NULL ? NULL : side_name(target, what);
    int reason = errno;
    cbi_free(target);
    errno = reason;
    return name;
}

/* Removes a temporary file whose writer is gone. */
static void remove_stale(const char *name) {
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        (void)unlink(name);
    close(descriptor);
}

void cbi_replacement_clean(const char *path) {
    char what[16];
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        snprintf(what, sizeof what, "%d.tmp", attempt);
        char *name = cbi_replacement_side_name(path, what);
        bool there = name != NULL && access(name, F_OK) == 0;
        if (there)
            remove_stale(name);
        cbi_free(name);
        if (!there)
            return;
    }
}

/* Locks a temporary file that was just made. False when another process has taken it for one that
   was left, in the moment before, and removed it. */
static bool lock_temporary(int descriptor, const char *name) {
    struct stat held, named;
    while (flock(descriptor, LOCK_EX) != 0)
        if (errno != EINTR)
            return true; /* a file system without locks: then nobody removes it, either */
    return fstat(descriptor, &held) == 0 && stat(name, &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* Creates the temporary file; returns its descriptor or -1 with errno set. */
static int create_temporary(cbi_replacement *file) {
    char what[16];
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        cbi_free(file->temporary);
        snprintf(what, sizeof what, "%d.tmp", attempt);
        file->temporary = side_name(file->target, what);
        if (file->temporary == NULL)
            return -1;
        remove_stale(file->temporary);
        int descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST)
            return -1;
        if (descriptor >= 0 && lock_temporary(descriptor, file->temporary))
            return descriptor;
        if (descriptor >= 0)
            close(descriptor);
        errno = EEXIST;
    }
    return -1;
}

/* Opens the descriptor that the new contents go to; -1 with errno set. */
static int open_descriptor(cbi_replacement *file, const char *path) {
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    bool direct = exists && !S_ISREG(status.st_mode);
    if (exists && access(path, W_OK) != 0)
        return -1;
    file->target = direct ? copy_text(path) : resolve(path);
    if (file->target == NULL)
        return -1;
    if (direct)
        return open(path, O_WRONLY | O_CLOEXEC);
    int descriptor = create_temporary(file);
    if (descriptor >= 0 && exists) {
        /* Best effort: a file system without permissions is no reason to fail. */
        (void)fchmod(descriptor, status.st_mode & 0777);
    }
    return descriptor;
}

/* Fills error with "cannot write PATH: ..." and what errno `reason` means; returns its status. */
static cb_status write_error(cb_error *error, const char *path, int reason) {
    cb_status status = reason == ENOMEM ? CB_ERROR_MEMORY : CB_ERROR_FILE;
    if (error != NULL) {
        error->status = status;
        snprintf(error->message, sizeof error->message, "cannot write %.400s: %s", path,
                 reason != 0 ? strerror(reason) : "write error");
    }
    return status;
}

/* Makes the descriptor (-1: errno says why there is none) the stream to write to. */
static cb_status open_stream(cbi_replacement *file, int descriptor, const char *path,
                             cb_error *error) {
    if (descriptor >= 0)
        file->stream = fdopen(descriptor, "wb");
    if (file->stream != NULL) {
        cbi_file_error_clear(error);
        return CB_OK;
    }
    int reason = errno;
    if (descriptor >= 0) {
        close(descriptor);
        if (file->temporary != NULL)
            unlink(file->temporary);
    }
    release(file);
    return write_error(error, path, reason);
}

cb_status cbi_replacement_open(cbi_replacement *file, const char *path, cb_error *error) {
    *file = (cbi_replacement){0};
    return open_stream(file, open_descriptor(file, path), path, error);
}

cb_status cbi_replacement_open_output(cbi_replacement *file, const char *path, cb_error *error) {
    if (strcmp(path, "-") != 0)
        return cbi_replacement_open(file, path, error);
    *file = (cbi_replacement){.target = copy_text("standard output")};
    return open_stream(file, file->target == NULL ? -1 : dup(STDOUT_FILENO), "standard output",
                       error);
}

/* Not every file system can sync a directory; the file itself is safe by now. */
static void sync_directory(const char *target) {
    size_t length = directory_length(target);
    char *name = copy_text(length == 0 ? "." : target);
    if (name == NULL)
        return;
    if (length > 0)
        name[length] = '\0';
    int descriptor = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    cbi_free(name);
}

/* What an earlier write has failed of, which stdio does not keep: another is tried on the temporary
   file, which will not be used. 0: that one did not fail. */
static int reason_of(int descriptor) {
    static const char page[PAGE];
    return write(descriptor, page, sizeof page) < 0 ? errno : 0;
}

cb_status cbi_replacement_commit(cbi_replacement *file, cb_error *error) {
    bool direct = file->temporary == NULL, ok = !ferror(file->stream);
    int reason = ok || direct ? 0 : reason_of(fileno(file->stream));
    if (ok && (fflush(file->stream) != 0 || (!direct && fsync(fileno(file->stream)) != 0))) {
        reason = errno;
        ok = false;
    }
    if (fclose(file->stream) != 0 && ok) {
        reason = errno;
        ok = false;
    }
    if (ok && !direct && rename(file->temporary, file->target) != 0) {
        reason = errno;
        ok = false;
    }
    cb_status status = CB_OK;
    if (ok) {
        if (!direct)
            sync_directory(file->target);
        cbi_file_error_clear(error);
    } else {
        status = write_error(error, file->target, reason);
        if (!direct)
            unlink(file->temporary);
    }
    release(file);
    return status;
}

void cbi_replacement_abandon(cbi_replacement *file) {
    if (file->stream != NULL)
        fclose(file->stream);
    if (file->temporary != NULL)
        unlink(file->temporary);
    release(file);
}
