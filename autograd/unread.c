/* A private mapping that is never written has no pages until one is read; mincore tells which are
   there. */
#define _DEFAULT_SOURCE /* for MAP_ANONYMOUS, MAP_NORESERVE and mincore */
#include "autograd/unread.h"

#include <stdint.h>
#include <sys/mman.h>

#define LEAST ((size_t)1 << 24) /* the first range: enough for most steps */
#define PART  ((size_t)1 << 26)
#define PAGE  ((size_t)4096) /* the smallest there is: room for an answer for each page */

void *cbi_unread_bytes(cbi_unread *unread, size_t bytes) {
    size_t last = unread->count > 0 ? unread->ranges[unread->count - 1].size : 0;
    if (unread->count > 0 && bytes <= last)
        return unread->ranges[unread->count - 1].memory;
    if (bytes > SIZE_MAX / 4)
        return NULL;
    size_t size = last > 0 ? 2 * last : LEAST;
    while (size < bytes)
        size *= 2;
    void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    unread->ranges[unread->count].memory = memory;
    unread->ranges[unread->count++].size = size;
    return memory;
}

void cbi_unread_free(cbi_unread *unread) {
    for (int i = 0; i < unread->count; i++)
        munmap(unread->ranges[i].memory, unread->ranges[i].size);
    unread->count = 0;
}

static bool range_was_read(char *memory, size_t size) {
    unsigned char present[PART / PAGE];
    for (size_t at = 0; at < size; at += PART) {
        size_t part = size - at < PART ? size - at : PART;
        if (mincore(memory + at, part, present) != 0)
            return false;
        for (size_t i = 0; i < part / PAGE; i++)
            if (present[i] & 1)
                return true;
    }
    return false;
}

bool cbi_unread_was_read(const cbi_unread *unread) {
    bool read = false;
    for (int i = 0; i < unread->count && !read; i++)
        read = range_was_read(unread->ranges[i].memory, unread->ranges[i].size);
    return read;
}
