/* A list of chunks, filled one after the other. */
#include "autograd/arena.h"

#include "tensor/memory.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#define CLOSE(memory, bytes) __asan_poison_memory_region(memory, bytes)
#define OPEN(memory, bytes)  __asan_unpoison_memory_region(memory, bytes)
#define IS_CLOSED(memory)    (__asan_address_is_poisoned(memory) != 0)
#else
#define CLOSE(memory, bytes) (void)(memory), (void)(bytes)
#define OPEN(memory, bytes)  (void)(memory), (void)(bytes)
#define IS_CLOSED(memory)    ((void)(memory), false)
#endif

struct cbi_chunk {
    cbi_chunk *next;
    size_t size; /* bytes after the header */
};

/* The header's share of a chunk: keeps what follows aligned. */
#define HEADER ((size_t)64)
/* Large against the tensors of a step, so that little is left over at a chunk's end, and small
   against the step as a whole. */
#define CHUNK ((size_t)8 << 20)

static cbi_chunk *chunk_new(cbi_arena *arena, size_t bytes) {
    size_t usual = (arena->chunk > 0 ? arena->chunk : CHUNK) - HEADER;
    size_t size = bytes > usual ? bytes : usual;
    cbi_chunk *chunk = size > SIZE_MAX - HEADER ? NULL : cbi_allocate_unset(size + HEADER);
    if (chunk == NULL)
        return NULL;
    *chunk = (cbi_chunk){.size = size};
    CLOSE((char *)chunk + HEADER, size);
    arena->total += size + HEADER;
    if (arena->current == NULL) {
        arena->first = chunk;
    } else {
        chunk->next = arena->current->next;
        arena->current->next = chunk;
    }
    return chunk;
}

void *cbi_arena_allocate(cbi_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 63) / 64 * 64;
    while (arena->current == NULL || arena->current->size - arena->used < bytes) {
        cbi_chunk *next = arena->current != NULL ? arena->current->next : NULL;
        /* A kept chunk that is too small for this request stays unused until the reset. */
        if (next == NULL || (next->size < bytes && next->next == NULL))
            next = chunk_new(arena, bytes);
        if (next == NULL)
            return NULL;
        arena->current = next;
        arena->used = 0;
    }
    char *memory = (char *)arena->current + HEADER + arena->used;
    arena->used += bytes;
    OPEN(memory, bytes);
    return memory;
}

bool cbi_arena_took_back(const void *memory) {
    return IS_CLOSED(memory);
}

void cbi_arena_reset(cbi_arena *arena) {
    for (cbi_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next)
        CLOSE((char *)chunk + HEADER, chunk->size);
    arena->current = arena->first;
    arena->used = 0;
}

void cbi_arena_free(cbi_arena *arena) {
    for (cbi_chunk *chunk = arena->first; chunk != NULL;) {
        cbi_chunk *next = chunk->next;
        OPEN((char *)chunk + HEADER, chunk->size);
        cbi_free(chunk);
        chunk = next;
    }
    *arena = (cbi_arena){.chunk = arena->chunk};
}
