/* The one place where an array is made larger. */
#include "grow.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_ROOM = 16 };

void *grow(void *array, size_t *room, size_t wanted, size_t size) {
    if (array != NULL && wanted <= *room)
        return array;
    size_t next = *room <= SIZE_MAX / 2 && 2 * *room > wanted ? 2 * *room : wanted;
    next = next < FIRST_ROOM ? FIRST_ROOM : next;
    void *grown = next <= SIZE_MAX / size ? realloc(array, next * size) : NULL;
    if (grown != NULL)
        *room = next;
    return grown;
}
