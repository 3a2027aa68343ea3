/* Arrays that grow as they are filled. */
#ifndef CEREBRA_APPS_CLI_GROW_H
#define CEREBRA_APPS_CLI_GROW_H

#include <stddef.h>

/* The array (NULL: none yet) with room for at least `wanted` elements of the given size; *room is
   how many fit. It at least doubles, so that filling it one by one costs a constant time each.
   NULL, and array and *room are as they were, when there is no memory for them. */
void *grow(void *array, size_t *room, size_t wanted, size_t size);

#endif
