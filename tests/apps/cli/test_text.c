/* Reading text: code points, not bytes; a message for everything that is no text; vocabularies; and
   how a character is named. */
#include "apps/cli/text.h"

#include "apps/cli/failure.h"
#include "apps/cli/text_stream.h"
#include "apps/cli/vocabulary.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 300000 };

static char path[64];
static char error[FAILURE_SIZE];
static int32_t points[ROOM];

/* Reads a file of these bytes; returns how many code points it has, -1 on failure. */
static int64_t load(const char *bytes, size_t length, text_form form) {
    text_bytes opened;
    snprintf(path, sizeof path, "/tmp/cerebra-test-text-%ld.txt", (long)getpid());
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
    error[0] = '\0';
    cr_assert(text_bytes_open(path, &opened, error), "%s", error);
    cr_assert_null(opened.memory, "a file is not read into memory");
    text_stream *stream = text_stream_new(&opened, form, error);
    int64_t count = stream == NULL ? -1 : text_stream_read(stream, points, ROOM, error);
    text_stream_free(stream);
    text_bytes_close(&opened);
    unlink(path);
    return count;
}

static void expect_failure(const char *bytes, size_t length, const char *message) {
    cr_assert_eq(load(bytes, length, (text_form){0}), -1, "accepted");
    cr_assert_eq(strncmp(error, path, strlen(path)), 0, "%s", error);
    cr_assert_str_eq(error + strlen(path), message);
}

Test(text, counts_code_points) {
    cr_assert_eq(load("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n", 11, (text_form){0}), 5);
    const int32_t expected[] = {'a', 0xE9, 0x20AC, 0x1F600, '\n'};
    cr_assert_arr_eq(points, expected, sizeof expected);
}

Test(text, skips_a_byte_order_mark_only_at_the_start) {
    cr_assert_eq(load("\xEF\xBB\xBFx\xEF\xBB\xBF", 7, (text_form){0}), 2);
    cr_assert_eq(points[1], 0xFEFF);
}

Test(text, reads_files_larger_than_its_buffer) {
    size_t size = 200001;
    char *bytes = malloc(size);
    memset(bytes, 'x', size);
    bytes[size - 1] = 'y';
    cr_assert_eq(load(bytes, size, (text_form){0}), (int64_t)size);
    cr_assert_eq(points[size - 1], 'y');
    free(bytes);
}

Test(text, line_ends_become_line_feeds_when_asked) {
    const char bytes[] = "a\r\nb\rc\n\r\r\n";
    cr_assert_eq(load(bytes, strlen(bytes), (text_form){0}), 10);
    cr_assert_eq(load(bytes, strlen(bytes), (text_form){.line_feeds = true}), 8);
    const int32_t expected[] = {'a', '\n', 'b', '\n', 'c', '\n', '\n', '\n'};
    cr_assert_arr_eq(points, expected, sizeof expected);
}

Test(text, letters_and_accents_become_one_when_asked) {
    const char bytes[] =
        "e\xCC\x81"
        "e\xCC\xA7\xCC\x81\xE2\x84\xAB"; /* e, acute; e, cedilla, acute; Angstrom */
    cr_assert_eq(load(bytes, strlen(bytes), (text_form){0}), 6);
    cr_assert_eq(load(bytes, strlen(bytes), (text_form){.composed = true}), 4);
    const int32_t expected[] = {0xE9, 0x229, 0x301, 0xC5};
    cr_assert_arr_eq(points, expected, sizeof expected);
}

Test(text, refuses_what_is_no_text) {
    expect_failure("ab\0cd", 5, ": a binary file, not text (NUL byte at offset 2, line 1)");
    expect_failure("a\nc\xFFz", 5, ": not valid UTF-8 (byte 0xFF at offset 3, line 2)");
    expect_failure("\xC3\xA9\xC3", 3, ": not valid UTF-8 (byte 0xC3 at offset 2, line 1)");
    expect_failure("\xED\xA0\x80", 3, ": not valid UTF-8 (byte 0xED at offset 0, line 1)");
    expect_failure("\xC0\xAF", 2, ": not valid UTF-8 (byte 0xC0 at offset 0, line 1)");
}

Test(text, too_many_accents_in_a_row_are_refused_only_where_they_are_composed) {
    enum { ACCENTS = 300 };
    char bytes[2 * ACCENTS + 2] = "\nx";
    for (int i = 0; i < ACCENTS; i++)
        memcpy(bytes + 2 + 2 * i, "\xCC\x81", 2);
    cr_assert_eq(load(bytes, sizeof bytes, (text_form){0}), ACCENTS + 2);
    cr_assert_eq(load(bytes, sizeof bytes, (text_form){.composed = true}), -1);
    cr_assert_str_eq(error + strlen(path),
                     ": line 2 has more than 256 combining characters in a row, too many to "
                     "normalise");
}

Test(text, says_why_a_file_cannot_be_read) {
    text_bytes opened;
    cr_assert_not(text_bytes_open("/nonexistent/a.txt", &opened, error));
    cr_assert_str_eq(error, "cannot read /nonexistent/a.txt: No such file or directory");
    cr_assert_not(text_bytes_open("/tmp", &opened, error));
    cr_assert_str_eq(error, "cannot read /tmp: Is a directory");
}

Test(text, a_device_without_an_end_is_read_to_its_first_zero, .timeout = 20) {
    text_bytes opened;
    cr_assert(text_bytes_open("/dev/zero", &opened, error), "%s", error);
    text_stream *stream = text_stream_new(&opened, (text_form){0}, error);
    cr_assert_eq(text_stream_read(stream, points, ROOM, error), -1);
    cr_assert_str_eq(error, "/dev/zero: a binary file, not text (NUL byte at offset 0, line 1)");
    text_stream_free(stream);
    text_bytes_close(&opened);
}

Test(text, a_file_that_changes_while_it_is_read_is_refused) {
    text_bytes opened;
    unsigned char byte;
    snprintf(path, sizeof path, "/tmp/cerebra-test-text-%ld.txt", (long)getpid());
    FILE *file = fopen(path, "wb");
    fputs("abcdef", file);
    fclose(file);
    cr_assert(text_bytes_open(path, &opened, error));
    cr_assert(text_bytes_read(&opened, 5, &byte, 1, error));
    cr_assert_eq(byte, 'f');
    cr_assert_eq(truncate(path, 3), 0);
    cr_assert_not(text_bytes_read(&opened, 5, &byte, 1, error));
    cr_assert_str_eq(error + strlen(path), " was changed while it was read");
    cr_assert_not(text_bytes_read(&opened, 0, &byte, 1, error));
    text_bytes_close(&opened);
    unlink(path);
}

Test(text, names_characters) {
    char name[CHARACTER_NAME_SIZE];
    cr_assert_str_eq(character_name(0xE9, name), "'\xC3\xA9' (U+00E9)");
    cr_assert_str_eq(character_name('\t', name), "U+0009");
    cr_assert_str_eq(character_name(0x2028, name), "U+2028");
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
    cr_assert_eq(vocabulary_find(&v, 'b'), 1);
    cr_assert_eq(vocabulary_find(&v, 'q'), -1);
    cr_assert_eq(vocabulary_find(&v, -1), -1);
    cr_assert_eq(vocabulary_find(&v, 0x110000), -1);
    vocabulary_free(&v);
}
