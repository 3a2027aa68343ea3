/* A vocabulary, which may be wrong, and a text that is read with it: the first byte says what
   becomes of characters that are not in it, then come the vocabulary's code points, 0x100 and above
   in two bytes, high byte first, those below as 1 and a byte, up to a 0; the rest is the text. */
#include "apps/cli/failure.h"
#include "apps/model/corpus.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 1000 };

/* Whether the numbers are those of the text's own characters, without those that are unknown or
   with the replacement in their place. */
static void compare(const corpus *own, const corpus *read, const vocabulary *v,
                    unknown_policy unknown) {
    int32_t other = vocabulary_find(v, 0xFFFD);
    int64_t count = 0, missing = 0;
    other = other < 0 ? vocabulary_find(v, '?') : other;
    for (int64_t i = 0; i < own->count; i++) {
        int32_t at = vocabulary_find(v, own->characters.code_points[own->numbers[i]]);
        missing += at < 0;
        if (at < 0 && unknown == UNKNOWN_SKIP)
            continue;
        fuzz_expect(at >= 0 || unknown == UNKNOWN_REPLACE, "an unknown character is an error");
        fuzz_expect(count < read->count && read->numbers[count++] == (at < 0 ? other : at),
                    "a number is that of its character");
    }
    fuzz_expect(count == read->count && missing == read->facts.unknown, "nothing is added");
}

static void read_text(const char *text, const vocabulary *v, unknown_policy unknown) {
    char error[FAILURE_SIZE] = "";
    corpus own, read;
    const corpus_source plain = {.path = NULL};
    const corpus_source source = {.characters = v, .unknown = unknown};
    if (!corpus_of_string(text, "own", &plain, &own, error)) {
        fuzz_expect(!corpus_of_string(text, "read", &source, &read, error), "it is no text");
        return;
    }
    if (corpus_of_string(text, "read", &source, &read, error)) {
        compare(&own, &read, v, unknown);
        corpus_free(&read);
    } else {
        fuzz_expect(unknown != UNKNOWN_SKIP, error);
    }
    corpus_free(&own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char error[FAILURE_SIZE] = "";
    int32_t points[MOST];
    size_t count = 0, at = 1;
    vocabulary v;
    if (size < 2)
        return 0;
    for (; at + 1 < size && data[at] != 0 && count < MOST; at += 2)
        points[count++] = data[at] == 1 ? data[at + 1] : data[at] << 8 | data[at + 1];
    if (!vocabulary_of_list(points, count, &v, error)) {
        fuzz_expect(strlen(error) > 0 && v.code_points == NULL, "a failure has a message");
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        fuzz_expect(vocabulary_find(&v, points[i]) == (int32_t)i, "a character has its place");
    char *text = calloc(size - at + 1, 1);
    if (text != NULL && at < size)
        memcpy(text, data + at + 1, size - at - 1);
    if (text != NULL)
        read_text(text, &v, (unknown_policy)(data[0] % 3));
    free(text);
    vocabulary_free(&v);
    return 0;
}
