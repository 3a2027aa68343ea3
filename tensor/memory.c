/* The heap. Allocations are counted, and can be made to fail, for the tests of out-of-memory.

   Large ones ask for huge pages: weights and activations are read from one end to the other at
   every step, and finding their pages costs as much as reading them where a machine is virtual. */
#define _DEFAULT_SOURCE /* for madvise */
#include "tensor/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static _Atomic int64_t allocations;
static _Atomic int64_t remaining = -1;

void *cbi_allocate(size_t bytes) {
    atomic_fetch_add(&allocations, 1);
    if (atomic_load(&remaining) >= 0 && atomic_fetch_sub(&remaining, 1) <= 0) {
        atomic_store(&remaining, 0);
        return NULL;
    }
    if (bytes > SIZE_MAX - 64)
        return NULL;
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    size_t rounded = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, rounded) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) /* a wish: whether it is granted makes no difference but to speed */
        (void)madvise(memory, rounded / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    memset(memory, 0, rounded);
    return memory;
}

void cbi_free(void *memory) {
    free(memory);
}

int64_t cbi_allocation_count(void) {
    return atomic_load(&allocations);
}

void cbi_allocation_fail_after(int64_t count) {
    atomic_store(&remaining, count);
}
