/* One run at a time writes a file: while a lock is held, another that wants it is refused. */
#ifndef CEREBRA_APPS_CLI_RUN_LOCK_H
#define CEREBRA_APPS_CLI_RUN_LOCK_H

#include <stdbool.h>

/* {NULL, -1}, or as run_lock_take left it. */
typedef struct run_lock {
    char *path; /* of the lock file, beside what is locked */
    int descriptor;
} run_lock;

#define RUN_LOCK_NONE ((run_lock){NULL, -1})

/* Takes the lock of the file at path, links followed, which need not be there. A process that ends,
   however it does, lets go of its locks. NULL, "-" and what is no regular file need none. Fails,
   with one line in error, when another process has it or the directory cannot be written. */
bool run_lock_take(run_lock *lock, const char *path, char *error);
void run_lock_release(run_lock *lock);

#endif
