/* The library's only way to the heap, so that tests can count allocations and make the n-th fail.
 */
#ifndef CEREBRA_TENSOR_MEMORY_H
#define CEREBRA_TENSOR_MEMORY_H

#include <cerebra/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory aligned to 64 bytes; NULL when there is none. Free with cbi_free. */
void *cbi_allocate(size_t bytes);
/* The same with anything in it: pages that are not used cost nothing then. */
void *cbi_allocate_unset(size_t bytes);
void cbi_free(void *memory);

/* Makes room for `count` entries of a growing array: *list, from cbi_allocate or NULL, may move,
   and what is new in it is zero. False, and nothing changed, when there is no memory. */
bool cbi_grow(void *list, int *room, int count, size_t entry);

/* Memory to work in, aligned to 64 bytes, with anything in it; NULL when there is none. It is the
   calling thread's own: until its next call, which may move it, and until the thread ends. */
void *cbi_scratch(size_t bytes);

/* For tests: how many allocations there were, scratch that was enlarged included, and after how
   many more to fail every one (a negative count: never). Process-wide. */
int64_t cbi_allocation_count(void);
void cbi_allocation_fail_after(int64_t count);

/* a * b, or SIZE_MAX when that overflows, which no allocation grants. */
static inline size_t cbi_multiply(size_t a, size_t b) {
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

#endif
