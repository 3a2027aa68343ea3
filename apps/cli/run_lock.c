/* flock on a file of its own, ".cerebra-HASH.lock", because what is locked is replaced by rename.
   It is removed at the end; one that a killed process has left is taken over by the next. */
#include "run_lock.h"

#include "failure.h"
#include "tensor/io/file_replace.h"
#include "tensor/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 100 };

/* Whether the open lock file is still the one of that name: its last holder may have removed it. */
static bool is_current(const run_lock *lock) {
    struct stat held, named;
    return fstat(lock->descriptor, &held) == 0 && stat(lock->path, &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* 0: it is ours; EWOULDBLOCK: another's; else what errno says. */
static int try_lock(run_lock *lock) {
    for (int i = 0; i < ATTEMPTS; i++) {
        lock->descriptor = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (lock->descriptor < 0)
            return errno;
        int reason = flock(lock->descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        /* A file system without locks is no reason to fail. */
        if ((reason == 0 && is_current(lock)) || reason == ENOLCK || reason == EOPNOTSUPP)
            return 0;
        close(lock->descriptor);
        lock->descriptor = -1;
        if (reason != 0 && reason != EINTR)
            return reason;
    }
    return EWOULDBLOCK;
}

bool run_lock_take(run_lock *lock, const char *path, char *error) {
    struct stat status;
    *lock = RUN_LOCK_NONE;
    if (path == NULL || strcmp(path, "-") == 0 ||
        (stat(path, &status) == 0 && !S_ISREG(status.st_mode)))
        return true;
    lock->path = cbi_replacement_side_name(path, "lock");
    int reason = lock->path == NULL ? errno : try_lock(lock);
    if (reason == 0)
        return true;
    cbi_free(lock->path);
    *lock = RUN_LOCK_NONE;
    return reason == EWOULDBLOCK
               ? failure(error, FAILURE_SIZE, "%s is being written by another run", path)
               : failure(error, FAILURE_SIZE, "cannot lock %s: %s", path, strerror(reason));
}

void run_lock_release(run_lock *lock) {
    if (lock->descriptor >= 0) {
        unlink(lock->path);
        close(lock->descriptor);
    }
    cbi_free(lock->path);
    *lock = RUN_LOCK_NONE;
}
