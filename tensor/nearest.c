/* Nearest names by edit distance. The distance counts a swap of neighbouring characters as one edit
   because that is what fingers do (optimal string alignment: the restricted form of the
   Damerau-Levenshtein distance, by dynamic programming over three rows). */
#include "tensor/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 63 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t bounded_length(const char *word) {
    return strnlen(word, LONGEST);
}

size_t cbi_name_distance(const char *a, const char *b) {
    /* rows[(i) % 3][j] is the distance between the first i bytes of a and the first j of b. */
    size_t rows[3][LONGEST + 1];
    size_t a_length = bounded_length(a);
    size_t b_length = bounded_length(b);
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replaced, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *cbi_nearest_name(const char *word, const char *const *candidates) {
    const char *nearest = NULL;
    size_t nearest_distance = 0;
    size_t word_length = bounded_length(word);
    for (; *candidates != NULL; candidates++) {
        size_t distance = cbi_name_distance(word, *candidates);
        size_t candidate_length = bounded_length(*candidates);
        size_t longer = word_length > candidate_length ? word_length : candidate_length;
        size_t allowed = longer < 3 ? 1 : longer / 3;
        bool beginning = word_length >= 3 && strncmp(word, *candidates, word_length) == 0;
        bool near = word_length > 0 && distance < longer && (distance <= allowed || beginning);
        if (near && (nearest == NULL || distance < nearest_distance)) {
            nearest = *candidates;
            nearest_distance = distance;
        }
    }
    return nearest;
}
