/* Loading text: code points, not bytes; a message for everything that is no text. */
#include "apps/cli/text.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static char error[FAILURE_SIZE];
static text loaded;

static bool load(const char *bytes, size_t length) {
    snprintf(path, sizeof path, "/tmp/cerebra-test-text-%ld.txt", (long)getpid());
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
    error[0] = '\0';
    bool ok = text_load(path, &loaded, error);
    unlink(path);
    return ok;
}

static void expect_failure(const char *bytes, size_t length, const char *message) {
    cr_assert_not(load(bytes, length), "accepted");
    cr_assert_null(loaded.code_points);
    cr_assert_eq(strncmp(error, path, strlen(path)), 0, "%s", error);
    cr_assert_str_eq(error + strlen(path), message);
}

Test(text, counts_code_points) {
    cr_assert(load("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n", 11), "%s", error);
    cr_assert_eq(loaded.count, 5);
    const int32_t expected[] = {'a', 0xE9, 0x20AC, 0x1F600, '\n'};
    cr_assert_arr_eq(loaded.code_points, expected, sizeof expected);
    text_free(&loaded);
}

Test(text, skips_a_byte_order_mark_only_at_the_start) {
    cr_assert(load("\xEF\xBB\xBFx\xEF\xBB\xBF", 7), "%s", error);
    cr_assert_eq(loaded.count, 2);
    cr_assert_eq(loaded.code_points[1], 0xFEFF);
    text_free(&loaded);
}

Test(text, reads_files_larger_than_its_first_buffer) {
    size_t size = 200001;
    char *bytes = malloc(size);
    memset(bytes, 'x', size);
    bytes[size - 1] = 'y';
    cr_assert(load(bytes, size), "%s", error);
    cr_assert_eq(loaded.count, size);
    cr_assert_eq(loaded.code_points[size - 1], 'y');
    text_free(&loaded);
    free(bytes);
}

Test(text, refuses_what_is_no_text) {
    expect_failure("", 0, ": the file is empty");
    expect_failure("\xEF\xBB\xBF", 3, ": the file is empty");
    expect_failure("ab\0cd", 5, ": a binary file, not text (NUL byte at offset 2)");
    expect_failure("abc\xFFz", 5, ": not valid UTF-8 (byte 0xFF at offset 3)");
    expect_failure("\xC3\xA9\xC3", 3, ": not valid UTF-8 (byte 0xC3 at offset 2)");
    expect_failure("\xED\xA0\x80", 3, ": not valid UTF-8 (byte 0xED at offset 0)");
    expect_failure("\xC0\xAF", 2, ": not valid UTF-8 (byte 0xC0 at offset 0)");
}

Test(text, says_why_a_file_cannot_be_read) {
    cr_assert_not(text_load("/nonexistent/a.txt", &loaded, error));
    cr_assert_str_eq(error, "cannot read /nonexistent/a.txt: No such file or directory");
    cr_assert_not(text_load("/tmp", &loaded, error));
    cr_assert_str_eq(error, "cannot read /tmp: Is a directory");
}

Test(text, vocabulary_is_in_order_of_first_appearance) {
    vocabulary v;
    cr_assert(text_from_string("b\xC3\xA9"
                               "ab\xC3\xA9z",
                               "here", &loaded, error));
    cr_assert(vocabulary_of_text(&loaded, &v, error));
    const int32_t expected[] = {'b', 0xE9, 'a', 'z'};
    cr_assert_eq(v.count, 4);
    cr_assert_arr_eq(v.code_points, expected, sizeof expected);
    cr_assert_eq(vocabulary_find(&v, 'z'), 3);
    cr_assert_eq(vocabulary_find(&v, 'q'), -1);
    cr_assert_eq(vocabulary_find(&v, -1), -1);
    cr_assert_eq(vocabulary_find(&v, 0x110000), -1);
    int32_t *numbers = vocabulary_encode(&v, &loaded, "here", error);
    const int32_t expected_numbers[] = {0, 1, 2, 0, 1, 3};
    cr_assert_arr_eq(numbers, expected_numbers, sizeof expected_numbers);
    free(numbers);
    text_free(&loaded);
    vocabulary_free(&v);
}

Test(text, names_the_character_that_is_not_in_the_vocabulary) {
    vocabulary v;
    text other;
    cr_assert(text_from_string("ab", "here", &loaded, error));
    cr_assert(vocabulary_of_text(&loaded, &v, error));
    cr_assert(text_from_string("aa\xC3\xA9", "there", &other, error));
    cr_assert_null(vocabulary_encode(&v, &other, "there", error));
    cr_assert_str_eq(error,
                     "there: character '\xC3\xA9' (U+00E9) at position 3 is not in the model's "
                     "vocabulary");
    text_free(&other);
    cr_assert(text_from_string("\t", "there", &other, error));
    cr_assert_null(vocabulary_encode(&v, &other, "there", error));
    cr_assert_str_eq(error,
                     "there: character U+0009 at position 1 is not in the model's vocabulary");
    text_free(&other);
    text_free(&loaded);
    vocabulary_free(&v);
}

Test(text, vocabulary_of_list_refuses_doubles_and_bad_code_points) {
    vocabulary v;
    const int32_t doubled[] = {'a', 'b', 'a'};
    const int32_t surrogate[] = {'a', 0xD800};
    const int32_t beyond[] = {0x110000};
    cr_assert_not(vocabulary_of_list(doubled, 3, &v, error));
    cr_assert_not(vocabulary_of_list(surrogate, 2, &v, error));
    cr_assert_not(vocabulary_of_list(beyond, 1, &v, error));
    cr_assert_not(vocabulary_of_list(beyond, 0, &v, error));
    cr_assert(vocabulary_of_list(doubled, 2, &v, error));
    vocabulary_free(&v);
}
