/* A malloc that fails once, for LD_PRELOAD: the FAIL_AT-th request for memory, from 1, gets none.
   At the end the number of requests is written to the file COUNT_TO. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic long requests;
static long fail_at = -1;

static int fails(void) {
    int failed = fail_at > 0 && atomic_fetch_add(&requests, 1) + 1 == fail_at;
    if (fail_at <= 0)
        atomic_fetch_add(&requests, 1);
    if (failed)
        errno = ENOMEM;
    return failed;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
    return fails() ? NULL : __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : __libc_memalign(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = fails() ? NULL : __libc_memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("FAIL_AT");
    atomic_store(&requests, 0);
    fail_at = at == NULL ? 0 : strtol(at, NULL, 10);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("COUNT_TO");
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    if (file != NULL) {
        fprintf(file, "%ld\n", atomic_load(&requests));
        fclose(file);
    }
}
