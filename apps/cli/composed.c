/* What Unicode calls quick check properties, utf8proc does not have. They follow from the canonical
   decompositions, which it has: a character may become one with those before it if it stands in a
   decomposition anywhere but at its beginning, if its combining class is not 0 (it is sorted), or
   if its own decomposition begins with such a character. */
#include "composed.h"

#include <pthread.h>
#include <string.h>
#include <utf8proc.h>

/* No character from here on has a decomposition or is in one. */
enum { TABLE_END = 0x30000, DECOMPOSITION_ROOM = 16 };
enum { JOINS = 1, CHANGES = 2 };

static unsigned char table[TABLE_END];

static int32_t decompose(int32_t code_point, int32_t parts[DECOMPOSITION_ROOM]) {
    int boundary = 0;
    return (int32_t)utf8proc_decompose_char(code_point, parts, DECOMPOSITION_ROOM,
                                            UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
}

static void fill_table(void) {
    int32_t parts[DECOMPOSITION_ROOM], made[COMPOSED_ROOM];
    for (int32_t c = 0; c < TABLE_END; c++) {
        if (!utf8proc_codepoint_valid(c))
            continue;
        int32_t count = decompose(c, parts);
        for (int32_t i = 1; i < count; i++)
            table[parts[i]] |= JOINS;
        if (utf8proc_get_property(c)->combining_class != 0)
            table[c] |= JOINS;
        if (composed_run(&c, 1, made) != 1 || made[0] != c)
            table[c] |= CHANGES;
    }
    for (int32_t c = 0; c < TABLE_END; c++)
        if (utf8proc_codepoint_valid(c) && decompose(c, parts) >= 1 && (table[parts[0]] & JOINS))
            table[c] |= JOINS;
}

static int properties(int32_t code_point) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (code_point < COMPOSED_FIRST || code_point >= TABLE_END)
        return 0;
    pthread_once(&once, fill_table);
    return table[code_point];
}

bool composed_starts(int32_t code_point) {
    return (properties(code_point) & JOINS) == 0;
}

bool composed_alone(int32_t code_point) {
    return (properties(code_point) & CHANGES) == 0;
}

int32_t composed_run(const int32_t *code_points, int32_t count, int32_t made[COMPOSED_ROOM]) {
    utf8proc_uint8_t bytes[4 * COMPOSED_RUN];
    utf8proc_ssize_t size = 0;
    for (int32_t i = 0; i < count; i++)
        size += utf8proc_encode_char(code_points[i], bytes + size);
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_ssize_t parts = utf8proc_decompose(bytes, size, made, COMPOSED_ROOM, options);
    if (parts < 0 || parts > COMPOSED_ROOM)
        return -1;
    return (int32_t)utf8proc_normalize_utf32(made, parts, options);
}

/* Whether the run that was gathered is in form C; it is empty then. */
bool composed_end(composed_check *check) {
    int32_t made[COMPOSED_ROOM], count = check->length;
    check->length = 0;
    return count < 2 || (composed_run(check->run, count, made) == count &&
                         memcmp(made, check->run, (size_t)count * sizeof *made) == 0);
}

/* Most texts have nothing to look at, which is quickly seen: the largest of many. */
static bool is_plain(const int32_t *code_points, int64_t count) {
    int32_t largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = code_points[i] > largest ? code_points[i] : largest;
    return largest < COMPOSED_FIRST;
}

int64_t composed_next(composed_check *check, const int32_t *code_points, int64_t count) {
    int64_t first = count > 0 && is_plain(code_points, count) ? count - 1 : 0;
    if (first > 0 && !composed_end(check))
        return 0;
    for (int64_t i = first; i < count; i++) {
        int32_t c = code_points[i];
        if (composed_starts(c) && !composed_end(check))
            return i;
        if (!composed_alone(c) || check->length == COMPOSED_RUN)
            return i + 1;
        check->run[check->length++] = c;
    }
    return -1;
}
