/* The paper's text, when CEREBRA_PAPER_DATA names it: its size, and its windows against those that
   the author published beside it (idx_x.npy, idx_y.npy, vocabulary.json). The author numbered the
   characters in another order, so they are compared as characters. */
#include "apps/cli/failure.h"
#include "apps/model/corpus.h"
#include "apps/model/windows.h"

#include <cerebra/files.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHARACTERS = 305190, DISTINCT = 89, TIME = 20, WINDOWS = 15259 };

static corpus paper;

static void load(void) {
    char error[FAILURE_SIZE];
    const char *path = getenv("CEREBRA_PAPER_DATA");
    if (path == NULL || path[0] == '\0')
        cr_skip_test("CEREBRA_PAPER_DATA does not name the paper's text");
    cr_assert(corpus_load(&(corpus_source){.path = path}, &paper, error), "%s", error);
}

static void unload(void) {
    corpus_free(&paper);
}

/* The path of a file beside the text. Skips the test when it is not there. */
static const char *beside(const char *name) {
    static char path[4096];
    const char *data = getenv("CEREBRA_PAPER_DATA");
    const char *slash = strrchr(data, '/');
    int directory = slash == NULL ? 0 : (int)(slash - data) + 1;
    snprintf(path, sizeof path, "%.*s%s", directory, data, name);
    if (access(path, R_OK) != 0)
        cr_skip_test("%s is not beside the paper's text", name);
    return path;
}

/* For each of the author's character numbers, ours. */
static void read_numbering(int32_t ours[DISTINCT]) {
    json_error_t error;
    json_t *file = json_load_file(beside("vocabulary.json"), 0, &error);
    cr_assert_not_null(file, "%s", error.text);
    const json_t *list = json_object_get(file, "idx2ch");
    cr_assert_eq(json_array_size(list), DISTINCT);
    for (size_t i = 0; i < DISTINCT; i++) {
        char reason[FAILURE_SIZE];
        corpus character;
        const char *string = json_string_value(json_array_get(list, i));
        cr_assert_not_null(string);
        cr_assert(
            corpus_of_string(string, "vocabulary.json", &(corpus_source){0}, &character, reason),
            "%s", reason);
        cr_assert_eq(character.count, 1);
        ours[i] = vocabulary_find(&paper.characters, character.characters.code_points[0]);
        cr_assert_geq(ours[i], 0, "the text lacks the character \"%s\"", string);
        corpus_free(&character);
    }
    json_decref(file);
}

/* Compares what is read (or is to be predicted) in every window with a stored array. */
static void compare(const char *name, const window_batch *all, const int32_t *values) {
    int32_t ours[DISTINCT];
    cb_error error;
    read_numbering(ours);
    cb_tensor *stored = cb_npy_read(beside(name), &error);
    cr_assert_not_null(stored, "%s", error.message);
    cr_assert(stored->dtype == CB_I32 && stored->rank == 2);
    cr_assert(stored->shape[0] == WINDOWS && stored->shape[1] == TIME);
    for (int64_t w = 0; w < WINDOWS; w++) {
        for (int64_t t = 0; t < TIME; t++) {
            int64_t number = (int64_t)cb_tensor_get(stored, (int64_t[]){w, t});
            cr_assert(number >= 0 && number < DISTINCT);
            cr_assert_eq(values[t * all->size + w], ours[number],
                         "%s differs in window %lld at character %lld", name, (long long)w,
                         (long long)t);
        }
    }
    cb_tensor_free(stored);
}

/* All windows, in order, as one batch. */
static window_batch take_all(void) {
    char error[FAILURE_SIZE];
    windows source;
    window_batch all;
    cr_assert(windows_make(passage_of_corpus(&paper, 0), paper.training, TIME, &source, error),
              "%s", error);
    cr_assert_eq(source.count, WINDOWS);
    cr_assert(window_batch_make(&source, WINDOWS, &all, error), "%s", error);
    for (int64_t w = 0; w < WINDOWS; w++)
        all.chosen[w] = w;
    cr_assert(window_batch_fill(&source, WINDOWS, &all, error), "%s", error);
    return all;
}

TestSuite(paper_data, .init = load, .fini = unload);

Test(paper_data, has_the_published_size) {
    cr_assert_eq(paper.count, CHARACTERS);
    cr_assert_eq(paper.characters.count, DISTINCT);
}

Test(paper_data, windows_read_what_the_author_stored) {
    window_batch all = take_all();
    compare("idx_x.npy", &all, all.x);
    window_batch_free(&all);
}

Test(paper_data, windows_predict_what_the_author_stored) {
    window_batch all = take_all();
    compare("idx_y.npy", &all, all.y);
    window_batch_free(&all);
}
