/* FNV-1a (Fowler, Noll and Vo), 64 bits: numbers for names and bytes, the same in every build. */
#ifndef CEREBRA_TENSOR_HASH_H
#define CEREBRA_TENSOR_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of nothing, which hashes begin with. */
#define CBI_HASH_OF_NOTHING UINT64_C(0xcbf29ce484222325)

/* The hash of what a hash is of, followed by these bytes. */
static inline uint64_t cbi_hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
