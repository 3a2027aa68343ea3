/* Memory that is given out piece by piece and taken back all at once. */
#ifndef CEREBRA_AUTOGRAD_ARENA_H
#define CEREBRA_AUTOGRAD_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cbi_chunk cbi_chunk;

typedef struct cbi_arena {
    cbi_chunk *first, *current;
    size_t used;  /* bytes of the current chunk that are given out */
    size_t total; /* bytes of all chunks */
    size_t chunk; /* bytes of a new one, unless more are needed; 0: 8 MiB */
} cbi_arena;

/* Uninitialised memory, aligned to 64 bytes; NULL when there is none. */
void *cbi_arena_allocate(cbi_arena *arena, size_t bytes);
/* Whether memory is known not to be given out: only under AddressSanitizer, for which what is taken
   back is out of bounds. */
bool cbi_arena_took_back(const void *memory);
/* Takes everything back and keeps the chunks: the same requests in the same order will be met
   without a new one. */
void cbi_arena_reset(cbi_arena *arena);
/* Frees the chunks; their size stays as it was set. */
void cbi_arena_free(cbi_arena *arena);

#endif
