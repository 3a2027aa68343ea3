/* The leaves that a tape has for objects of the program, one each: a parameter that several layers
   read is one variable, with one gradient to ask cb_grad for. A table with open addressing, in the
   tape's arena; it ends with the step. */
#include "autograd/tape_internal.h"

#include <string.h>

struct cbi_leaves {
    size_t room, count; /* room: a power of two */
    struct {
        const void *of;
        cb_tensor *leaf;
    } slots[];
};

static struct cbi_leaves *leaves_new(cb_tape *tape, size_t room) {
    struct cbi_leaves *leaves = NULL;
    size_t bytes = sizeof(*leaves) + room * sizeof(leaves->slots[0]);
    leaves = cbi_arena_allocate(&tape->arena, bytes);
    if (leaves != NULL) {
        memset(leaves, 0, bytes);
        leaves->room = room;
    }
    return leaves;
}

/* Where an object is, or would be. Multiplying by 2^64 / golden ratio spreads neighbours (Knuth,
   volume 3, section 6.4). */
static size_t slot_of(const struct cbi_leaves *leaves, const void *of) {
    size_t i = (size_t)(((uint64_t)(uintptr_t)of * 0x9e3779b97f4a7c15u) >> 32) & (leaves->room - 1);
    while (leaves->slots[i].of != NULL && leaves->slots[i].of != of)
        i = (i + 1) & (leaves->room - 1);
    return i;
}

cb_tensor *cbi_leaf_find(const cb_tape *tape, const void *of) {
    return tape->leaves != NULL ? tape->leaves->slots[slot_of(tape->leaves, of)].leaf : NULL;
}

static void put(struct cbi_leaves *leaves, const void *of, cb_tensor *leaf) {
    size_t i = slot_of(leaves, of);
    leaves->count += leaves->slots[i].of == NULL;
    leaves->slots[i].of = of;
    leaves->slots[i].leaf = leaf;
}

void cbi_leaf_note(cb_tape *tape, const void *of, cb_tensor *leaf) {
    struct cbi_leaves *old = tape->leaves;
    if (old == NULL || old->room < 2 * (old->count + 1)) {
        struct cbi_leaves *larger = leaves_new(tape, old == NULL ? 64 : 2 * old->room);
        if (larger == NULL)
            return; /* it is made again the next time */
        for (size_t i = 0; old != NULL && i < old->room; i++)
            if (old->slots[i].of != NULL)
                put(larger, old->slots[i].of, old->slots[i].leaf);
        tape->leaves = larger;
    }
    put(tape->leaves, of, leaf);
}
