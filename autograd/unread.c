/* A private mapping has no pages until one is read or written; mincore tells which are there. All
   tensors of a trace share the range that is large enough for the largest of them: which one was
   touched does not matter. */
#define _DEFAULT_SOURCE /* for MAP_ANONYMOUS, MAP_NORESERVE and mincore */
#include "autograd/unread.h"

#include <stdint.h>
#include <sys/mman.h>

#define SMALLEST ((size_t)1 << 20)
#define PAGE     ((size_t)4096)    /* the smallest there is: room for an answer for each page */
#define PART     ((size_t)1 << 24) /* asked about at a time */

static bool has_pages(const char *memory, size_t size) {
    unsigned char present[PART / PAGE];
    for (size_t at = 0; at < size; at += PART) {
        size_t bytes = size - at < PART ? size - at : PART;
        if (mincore((char *)(uintptr_t)memory + at, bytes, present) != 0)
            return false;
        for (size_t i = 0; i < bytes / PAGE; i++)
            if ((present[i] & 1) != 0)
                return true;
    }
    return false;
}

void *cbi_unread_memory(cbi_unread *unread, size_t bytes) {
    size_t size = SMALLEST;
    for (int i = 0; i < unread->count; i++)
        if (unread->ranges[i].size >= bytes)
            return unread->ranges[i].memory;
    while (size < bytes && size <= SIZE_MAX / 2)
        size *= 2;
    if (size < bytes || unread->count == CBI_UNREAD_RANGES)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    unread->blind = unread->blind || has_pages(memory, size);
    unread->ranges[unread->count].memory = memory;
    unread->ranges[unread->count++].size = size;
    return memory;
}

bool cbi_unread_was_touched(const cbi_unread *unread) {
    for (int i = 0; i < unread->count && !unread->blind; i++)
        if (has_pages(unread->ranges[i].memory, unread->ranges[i].size))
            return true;
    return false;
}

void cbi_unread_free(cbi_unread *unread) {
    for (int i = 0; i < unread->count; i++)
        munmap(unread->ranges[i].memory, unread->ranges[i].size);
    unread->count = 0;
}
