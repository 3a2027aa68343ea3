/* Unicode's normalisation form C: accents and the letters below them as one character wherever
   there is one. A text is composed piece by piece, which needs to know where it can be cut. */
#ifndef CEREBRA_APPS_CLI_COMPOSED_H
#define CEREBRA_APPS_CLI_COMPOSED_H

#include <stdbool.h>
#include <stdint.h>

/* Characters below this one are composed as they are, and a text can be cut before each. */
enum { COMPOSED_FIRST = 0x300 };

/* Room for the form C of a run of so many characters. */
enum { COMPOSED_RUN = 256, COMPOSED_ROOM = 4 * COMPOSED_RUN };

/* Whether form C of a text that is cut before this character is form C of its two parts: it never
   becomes one with what is before it. */
bool composed_starts(int32_t code_point);

/* Whether the character alone is in form C. */
bool composed_alone(int32_t code_point);

/* Puts `count` valid code points, at most COMPOSED_RUN, in form C; returns how many they are then,
   -1 when utf8proc fails. The arrays do not overlap. */
int32_t composed_run(const int32_t *code_points, int32_t count, int32_t made[COMPOSED_ROOM]);

/* Whether a text is in form C, as far as it was given. Begins as {0}. */
typedef struct composed_check {
    int32_t run[COMPOSED_RUN]; /* what the next character may become one with */
    int32_t length;
} composed_check;

/* Gives the next code points. Returns the number of those after which it was found that the text is
   not in form C, -1 when it still may be. More than COMPOSED_RUN characters that belong together
   count as not in form C. */
int64_t composed_next(composed_check *check, const int32_t *code_points, int64_t count);
/* Whether the end is in form C. */
bool composed_end(composed_check *check);

#endif
