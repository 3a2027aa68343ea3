/* Texts as corpora: random ones, in memory and from their files, against the whole text in memory;
   characters that a model does not know; and what cannot be text. */
#include "apps/model/corpus.h"

#include "../../support.h"
#include "apps/cli/failure.h"
#include "random_text.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { TEXTS = 400, LONG_TEXTS = 6 };

static char error[FAILURE_SIZE], directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];

static void set_up(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "text.txt");
}

static void tear_down(void) {
    cbt_directory_remove(directory);
}

TestSuite(corpus, .init = set_up, .fini = tear_down);

/* A new one each time, which is printed: as information, for a warning makes the program fail. */
static cb_random new_seed(void) {
    const char *given = getenv("CB_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    cr_log_info("CB_TEST_SEED=%" PRIu64, seed);
    return cb_random_seed(seed);
}

/* What a text's numbers are to be. */
typedef struct expected {
    int32_t *numbers, *characters;
    int64_t count, unknown;
    int32_t distinct;
} expected;

/* The numbers of code points; known: the model's characters, 0 of them: the text's own. */
static expected number(int32_t *points, int64_t count, const int32_t *known, int32_t known_count,
                       unknown_policy unknown) {
    expected made = {.numbers = points,
                     .characters = calloc((size_t)(count + known_count) + 1, sizeof(int32_t)),
                     .distinct = known_count};
    if (known_count > 0)
        memcpy(made.characters, known, (size_t)known_count * sizeof *known);
    for (int64_t i = 0; i < count; i++) {
        int32_t at = 0, other = -1;
        while (at < made.distinct && made.characters[at] != points[i])
            at++;
        for (int32_t k = made.distinct - 1; k >= 0; k--)
            if (made.characters[k] == 0xFFFD || (made.characters[k] == '?' && other < 0))
                other = k;
        if (at == made.distinct && known_count == 0) {
            made.characters[made.distinct++] = points[i];
        } else if (at == made.distinct) {
            made.unknown++;
            if (unknown == UNKNOWN_SKIP)
                continue;
            at = other;
        }
        points[made.count++] = at;
    }
    return made;
}

static void expected_free(expected *made) {
    free(made->numbers);
    free(made->characters);
}

/* Stretches from anywhere, the ends included. */
static void compare_stretches(const corpus *loaded, const expected *right, cb_random *random) {
    int32_t *room = malloc((size_t)(right->count + 1) * sizeof *room);
    for (int i = 0; i < 20; i++) {
        uint32_t whole = (uint32_t)right->count;
        int64_t first = i == 0 ? 0 : (int64_t)random_below(random, whole + 1);
        int64_t count = i == 0 ? whole : (int64_t)random_below(random, whole - (uint32_t)first + 1);
        int64_t base = (int64_t)random_below(random, (uint32_t)first + 1);
        passage part = passage_after(passage_of_corpus(loaded, base), first - base);
        if (i % 2 == 1) {
            part = passage_of_corpus(loaded, base);
            base = first - base;
        } else {
            base = 0;
        }
        const int32_t *got = passage_read(part, base, count, room, error);
        cr_assert_not_null(got, "%s", error);
        for (int64_t k = 0; k < count; k++) {
            cr_assert_eq(got[k], right->numbers[first + k], "number %" PRId64 ": %d, not %d",
                         first + k, got[k], right->numbers[first + k]);
        }
    }
    free(room);
}

static bool is_composed(const random_text *text, text_form form) {
    int64_t count, other_count;
    int32_t *points = random_text_form(text, form, &count);
    int32_t *other = random_text_form(
        text, (text_form){.line_feeds = form.line_feeds, .composed = true}, &other_count);
    bool same = count == other_count && memcmp(points, other, (size_t)count * sizeof *points) == 0;
    free(points);
    free(other);
    return same;
}

/* One text, loaded as `source` says, is as it should be. */
static void compare(const random_text *text, const corpus_source *source, const int32_t *known,
                    int32_t known_count, cb_random *random) {
    int64_t count;
    int32_t *points = random_text_form(text, source->form, &count);
    int64_t returns = 0;
    for (int64_t i = 0; i < count; i++)
        returns += points[i] == '\r';
    expected right = number(points, count, known, known_count, source->unknown);
    corpus loaded;
    bool ok = corpus_load(source, &loaded, error);
    if (right.count == 0) {
        cr_assert_not(ok);
        expected_free(&right);
        return;
    }
    cr_assert(ok, "%s", error);
    cr_assert_eq(loaded.count, right.count, "%" PRId64 " characters, not %" PRId64, loaded.count,
                 right.count);
    cr_assert_eq(loaded.characters.count, right.distinct);
    cr_assert_arr_eq(loaded.characters.code_points, right.characters,
                     (size_t)right.distinct * sizeof(int32_t));
    cr_assert_eq(loaded.numbers == NULL, source->most == 1 && right.count > 1);
    cr_assert_eq(loaded.facts.has_mark, text->has_mark);
    cr_assert_eq(loaded.facts.unknown, right.unknown);
    cr_assert_eq(loaded.facts.carriage_returns, returns);
    cr_assert_eq(loaded.facts.uncomposed_line == 0, is_composed(text, source->form));
    cr_assert_eq(loaded.facts.checksum,
                 crc32_z(0, (const Bytef *)right.numbers, (size_t)right.count * sizeof(int32_t)));
    compare_stretches(&loaded, &right, random);
    corpus_free(&loaded);
    expected_free(&right);
}

static corpus_source draw_source(cb_random *random) {
    return (corpus_source){.path = path,
                           .form = {.line_feeds = random_below(random, 2) == 0,
                                    .composed = random_below(random, 2) == 0},
                           .most = random_below(random, 3) > 0 ? 1 : 0};
}

Test(corpus, random_texts_are_read_as_the_whole_text_says) {
    cb_random random = new_seed();
    for (int i = 0; i < TEXTS; i++) {
        random_text text =
            random_text_make(&random, i % (TEXTS / LONG_TEXTS) == 0 ? 60000 : 1 + 3 * (uint32_t)i);
        corpus_source source = draw_source(&random);
        cbt_write_file(path, text.bytes, text.size);
        compare(&text, &source, NULL, 0, &random);
        random_text_free(&text);
    }
}

Test(corpus, unknown_characters_are_skipped_or_replaced) {
    cb_random random = new_seed();
    for (int i = 0; i < TEXTS; i++) {
        random_text text = random_text_make(&random, 2000);
        corpus_source source = draw_source(&random);
        vocabulary v;
        int32_t known[64];
        int32_t count = 0;
        known[count++] = random_below(&random, 2) == 0 ? 0xFFFD : '?';
        for (int32_t c = 'a'; c < 'a' + 10 + (int32_t)random_below(&random, 40); c++)
            known[count++] = c;
        cr_assert(vocabulary_of_list(known, (size_t)count, &v, error));
        source.characters = &v;
        source.unknown = random_below(&random, 2) == 0 ? UNKNOWN_SKIP : UNKNOWN_REPLACE;
        cbt_write_file(path, text.bytes, text.size);
        compare(&text, &source, known, count, &random);
        vocabulary_free(&v);
        random_text_free(&text);
    }
}

Test(corpus, what_is_not_utf8_is_named_with_its_place_and_line) {
    cb_random random = new_seed();
    for (int i = 0; i < TEXTS; i++) {
        random_text text = random_text_make(&random, 1 + (uint32_t)(i * i) / 4);
        corpus_source source = draw_source(&random);
        size_t place = random_text_spoil(&text, &random);
        char said[128];
        corpus loaded;
        cbt_write_file(path, text.bytes, text.size);
        cr_assert_not(corpus_load(&source, &loaded, error), "accepted");
        snprintf(said, sizeof said, "at offset %zu, line %ld)", place,
                 random_text_line(&text, place));
        cr_assert_not_null(strstr(error, said), "%s, where it should be %s", error, said);
        random_text_free(&text);
    }
}

Test(corpus, an_unknown_character_is_an_error_that_names_its_place) {
    vocabulary v;
    corpus loaded;
    const int32_t known[] = {'a', '\n'};
    cr_assert(vocabulary_of_list(known, 2, &v, error));
    const corpus_source source = {.characters = &v};
    cr_assert_not(corpus_of_string("aa\n\xC3\xA9", "there", &source, &loaded, error));
    cr_assert_str_eq(error, "there: character '\xC3\xA9' (U+00E9) at position 4, line 2, is not in "
                            "the model's vocabulary");
    cr_assert_not(corpus_of_string("\t", "there", &source, &loaded, error));
    cr_assert_str_eq(error, "there: character U+0009 at position 1, line 1, is not in the model's "
                            "vocabulary");
    const corpus_source replace = {.characters = &v, .unknown = UNKNOWN_REPLACE};
    cr_assert_not(corpus_of_string("a", "there", &replace, &loaded, error));
    cr_assert_str_eq(error, "--unknown replace: the model's vocabulary has neither U+FFFD nor '?'");
    vocabulary_free(&v);
}

Test(corpus, a_text_without_characters_is_refused_but_not_a_prompt) {
    corpus loaded;
    cbt_write_file(path, "\xEF\xBB\xBF", 3);
    cr_assert_not(corpus_load(&(corpus_source){.path = path}, &loaded, error));
    cr_assert_not_null(strstr(error, "text.txt: the file is empty"), "%s", error);
    cr_assert(corpus_of_string("", "--prompt", &(corpus_source){0}, &loaded, error));
    cr_assert_eq(loaded.count, 0);
    corpus_free(&loaded);
}

Test(corpus, the_first_line_that_is_not_composed_is_named) {
    corpus loaded;
    char text[3000];
    memset(text, 'x', sizeof text);
    for (size_t i = 9; i < sizeof text; i += 10)
        text[i] = '\n';
    memcpy(text + 1500, "e\xCC\x81", 3); /* line 151 */
    cbt_write_file(path, text, sizeof text);
    cr_assert(corpus_load(&(corpus_source){.path = path}, &loaded, error));
    cr_assert_eq(loaded.facts.uncomposed_line, 151, "%" PRIu64, loaded.facts.uncomposed_line);
    corpus_free(&loaded);
}

Test(corpus, a_part_is_held_out) {
    corpus loaded;
    cbt_write_file(path, "0123456789", 10);
    cr_assert(corpus_load(&(corpus_source){.path = path, .held_out = 0.3}, &loaded, error));
    cr_assert_eq(loaded.training, 7);
    corpus_free(&loaded);
    cr_assert_not(corpus_load(&(corpus_source){.path = path, .held_out = 0.1}, &loaded, error));
    cr_assert_not_null(strstr(error, "too short to hold out a part of it"), "%s", error);
}
