/* The heap. Allocations are counted, and can be made to fail, for the tests of out-of-memory.

   Large ones ask for huge pages: weights and activations are read from one end to the other at
   every step, and finding their pages costs as much as reading them where a machine is virtual. */
#define _DEFAULT_SOURCE /* for madvise */
#include "tensor/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static _Atomic int64_t allocations;
static _Atomic int64_t remaining = -1;

/* What an allocation of so many bytes takes: whole lines. */
static size_t rounded(size_t bytes) {
    return bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
}

void *cbi_allocate_unset(size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    if (atomic_load(&remaining) >= 0 && atomic_fetch_sub(&remaining, 1) <= 0) {
        atomic_store(&remaining, 0);
        return NULL;
    }
    if (bytes > SIZE_MAX - 64)
        return NULL;
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, rounded(bytes)) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) /* a wish: whether it is granted makes no difference but to speed */
        (void)madvise(memory, rounded(bytes) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void *cbi_allocate(size_t bytes) {
    void *memory = cbi_allocate_unset(bytes);
    if (memory != NULL)
        memset(memory, 0, rounded(bytes));
    return memory;
}

void cbi_free(void *memory) {
    free(memory);
}

bool cbi_grow(void *list, int *room, int count, size_t entry) {
    void *old, *new;
    if (count <= *room)
        return true;
    int wanted = *room < 8 ? 8 : *room;
    while (wanted < count)
        wanted *= 2;
    memcpy(&old, list, sizeof(old));
    new = cbi_allocate(cbi_multiply((size_t)wanted, entry));
    if (new == NULL)
        return false;
    if (old != NULL)
        memcpy(new, old, (size_t)*room * entry);
    cbi_free(old);
    memcpy(list, &new, sizeof(new));
    *room = wanted;
    return true;
}

/* ---- A thread's scratch memory: a line with its size, and then the memory -------------------- */

static pthread_key_t scratch_key;
static bool has_scratch_key;

/* free, and no function of the library's: threads may outlive the library, when it was loaded as a
   plugin. */
static void make_scratch_key(void) {
    has_scratch_key = pthread_key_create(&scratch_key, free) == 0;
}

void *cbi_scratch(size_t bytes) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_scratch_key);
    char *kept = has_scratch_key ? pthread_getspecific(scratch_key) : NULL;
    size_t size = 0;
    if (kept != NULL)
        memcpy(&size, kept, sizeof size);
    if (kept != NULL && size >= bytes)
        return kept + 64;
    if (!has_scratch_key || pthread_setspecific(scratch_key, NULL) != 0 || bytes > SIZE_MAX - 128)
        return NULL;
    cbi_free(kept);
    kept = cbi_allocate_unset(bytes + 64);
    if (kept == NULL)
        return NULL;
    memcpy(kept, &bytes, sizeof bytes);
    if (pthread_setspecific(scratch_key, kept) != 0) {
        cbi_free(kept);
        return NULL;
    }
    return kept + 64;
}

/* That of the thread that ends the process: keys are for threads that end before. */
__attribute__((destructor)) static void free_scratch(void) {
    void *kept = has_scratch_key ? pthread_getspecific(scratch_key) : NULL;
    if (kept != NULL && pthread_setspecific(scratch_key, NULL) == 0)
        cbi_free(kept);
}

/* ---- For tests ------------------------------------------------------------------------------- */

int64_t cbi_allocation_count(void) {
    return atomic_load(&allocations);
}

void cbi_allocation_fail_after(int64_t count) {
    atomic_store(&remaining, count);
}
