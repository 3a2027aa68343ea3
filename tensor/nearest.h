/* "Did you mean ...?" for mistyped names. */
#ifndef CEREBRA_TENSOR_NEAREST_H
#define CEREBRA_TENSOR_NEAREST_H

#include <stddef.h>

/* The number of single-character insertions, deletions, replacements and swaps of neighbours that
   turn one string into the other (optimal string alignment distance), in bytes. Strings longer
   than 63 bytes are compared by their first 63. */
size_t cbi_name_distance(const char *a, const char *b);

/* The candidate nearest to word, or NULL when none is near: at most one edit in three characters
   of the longer one, or word is the beginning (three characters or more) of the candidate.
   candidates ends with NULL; the result points into it. The first of equally near ones wins. */
const char *cbi_nearest_name(const char *word, const char *const *candidates);

#endif
