/* Both directions are arrays: a vocabulary is asked once for every character of a text. What of
   them is never used is never touched, and takes no memory. */
#include "vocabulary.h"

#include "failure.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { CODE_POINTS = 0x110000 };

bool vocabulary_start(vocabulary *made, char *error) {
    *made = (vocabulary){0};
    made->code_points = calloc(CODE_POINTS, sizeof *made->code_points);
    made->number_plus_one = calloc(CODE_POINTS, sizeof *made->number_plus_one);
    if (made->code_points == NULL || made->number_plus_one == NULL) {
        vocabulary_free(made);
        return failure(error, FAILURE_SIZE, "out of memory");
    }
    return true;
}

int32_t vocabulary_add(vocabulary *made, int32_t code_point) {
    if (made->number_plus_one[code_point] == 0) {
        made->code_points[made->count++] = code_point;
        made->number_plus_one[code_point] = made->count;
    }
    return made->number_plus_one[code_point] - 1;
}

bool vocabulary_of_list(const int32_t *code_points, size_t count, vocabulary *made, char *error) {
    if (count == 0 || count > CODE_POINTS) {
        *made = (vocabulary){0};
        return failure(error, FAILURE_SIZE, "a vocabulary of %zu characters", count);
    }
    if (!vocabulary_start(made, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!utf8proc_codepoint_valid(code_points[i]) ||
            made->number_plus_one[code_points[i]] != 0) {
            vocabulary_free(made);
            return failure(error, FAILURE_SIZE,
                           "character %zu of the vocabulary is invalid or there twice", i);
        }
        vocabulary_add(made, code_points[i]);
    }
    return true;
}

void vocabulary_free(vocabulary *v) {
    free(v->code_points);
    free(v->number_plus_one);
    *v = (vocabulary){0};
}

int32_t vocabulary_find(const vocabulary *v, int32_t code_point) {
    return code_point < 0 || code_point >= CODE_POINTS ? -1 : v->number_plus_one[code_point] - 1;
}
