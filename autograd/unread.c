/* A private mapping that is never written has no pages until one is read; mincore tells which are
   there. */
#define _DEFAULT_SOURCE /* for MAP_ANONYMOUS, MAP_NORESERVE and mincore */
#include "autograd/unread.h"

#include <stddef.h>
#include <sys/mman.h>

/* Enough for what a step would read first: the addresses of a million rows of a thousand floats. A
   read beyond it is a crash. */
#define SIZE ((size_t)1 << 32)
#define PART ((size_t)1 << 26)
#define PAGE ((size_t)4096) /* the smallest there is: room for an answer for each page */

void *cbi_unread_new(void) {
    void *memory = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

void cbi_unread_free(void *memory) {
    if (memory != NULL)
        munmap(memory, SIZE);
}

bool cbi_unread_was_read(const void *memory) {
    unsigned char present[PART / PAGE];
    for (size_t at = 0; memory != NULL && at < SIZE; at += PART) {
        if (mincore((char *)memory + at, PART, present) != 0)
            return false;
        for (size_t i = 0; i < sizeof(present); i++)
            if (present[i] & 1)
                return true;
    }
    return false;
}
