/* Any bytes as a text. The first byte says in which form it is read. A text that is kept in memory
   and one that is read from its file are the same, from wherever it is read. */
#include "apps/cli/failure.h"
#include "apps/model/corpus.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_FEEDS = 1, COMPOSED = 2, TAIL = 600 };

/* The same numbers from all the places where a block begins, and around them. */
static void compare(const corpus *memory, const corpus *file) {
    static int32_t room[TAIL];
    char error[FAILURE_SIZE] = "";
    for (int64_t first = 0; first < memory->count; first += 37) {
        int64_t count = memory->count - first;
        count = count < TAIL ? count : TAIL;
        const int32_t *got = passage_read(passage_of_corpus(file, first), 0, count, room, error);
        fuzz_expect(got != NULL, error);
        fuzz_expect(memcmp(got, memory->numbers + first, (size_t)count * sizeof *got) == 0,
                    "the numbers are the same from anywhere on");
    }
}

static void check(const corpus *memory, const corpus *file, text_form form) {
    fuzz_expect(memory->count == file->count, "lengths are the same");
    fuzz_expect(memory->facts.checksum == file->facts.checksum, "checksums are the same");
    fuzz_expect(memory->characters.count == file->characters.count, "vocabularies are the same");
    fuzz_expect(!form.line_feeds || memory->facts.carriage_returns == 0, "no CR is left");
    fuzz_expect(!form.composed || memory->facts.uncomposed_line == 0, "form C is in form C");
    for (int64_t i = 0; i < memory->count; i++) {
        fuzz_expect(memory->numbers[i] >= 0 && memory->numbers[i] < memory->characters.count,
                    "numbers are the vocabulary's");
    }
    compare(memory, file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char memory_error[FAILURE_SIZE] = "", file_error[FAILURE_SIZE] = "";
    corpus memory, file;
    if (size == 0)
        return 0;
    corpus_source source = {
        .path = fuzz_file(data + 1, size - 1),
        .form = {.line_feeds = (data[0] & LINE_FEEDS) != 0, .composed = (data[0] & COMPOSED) != 0}};
    bool loaded = corpus_load(&source, &memory, memory_error);
    source.most = 1;
    bool same = corpus_load(&source, &file, file_error) == loaded;
    fuzz_expect(same && strcmp(memory_error, file_error) == 0, "one is read as the other");
    fuzz_expect(loaded || strlen(memory_error) > 0, "a failure has a message");
    if (loaded) {
        check(&memory, &file, source.form);
        corpus_free(&memory);
        corpus_free(&file);
    }
    return 0;
}
