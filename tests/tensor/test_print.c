/* Tensors as text. */
#include "tests/support.h"

#include "tensor/format.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_SIZE = 1 << 16 };

static void expect_text(const cb_tensor *t, const char *expected) {
    static char text[TEXT_SIZE];
    size_t length = cb_tensor_format(t, text, sizeof text);
    cr_expect_str_eq(text, expected, "\n%s\ninstead of\n%s", text, expected);
    cr_expect_eq(length, strlen(expected));
}

Test(print, numbers_are_aligned_and_have_six_digits) {
    float single[] = {0.1F, -1234567, 1.0F / 3, 1e-20F, 0, 100};
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), single);
    expect_text(&t, "[[         0.1 -1.23457e+06     0.333333]\n"
                    " [       1e-20            0          100]]");
    double special[] = {NAN, INFINITY, -INFINITY, 0.5};
    t = cb_tensor_wrap(CB_F64, CB_SHAPE(4), special);
    expect_text(&t, "[ nan  inf -inf  0.5]");
    t = cb_tensor_wrap(CB_F64, CB_SCALAR, &special[3]);
    expect_text(&t, "0.5");
    int64_t whole = INT64_MIN;
    t = cb_tensor_wrap(CB_I64, CB_SHAPE(1), &whole);
    expect_text(&t, "[-9223372036854775808]");
    t = cb_tensor_wrap(CB_F32, CB_SHAPE(0, 3), NULL);
    expect_text(&t, "[]");
}

Test(print, views_are_followed) {
    int32_t values[] = {1, 2, 3, 4, 5, 6};
    cb_tensor t = cb_tensor_wrap(CB_I32, CB_SHAPE(3, 2), values);
    t.stride[0] = 1;
    t.stride[1] = 3;
    expect_text(&t, "[[1 4]\n [2 5]\n [3 6]]");
}

Test(print, blocks_have_lines_between_them) {
    int32_t values[] = {1, 2, 3, 4, 5, 6, 7, 8};
    cb_tensor t = cb_tensor_wrap(CB_I32, CB_SHAPE(2, 2, 2), values);
    expect_text(&t, "[[[1 2]\n  [3 4]]\n\n [[5 6]\n  [7 8]]]");
    t = cb_tensor_wrap(CB_I32, CB_SHAPE(2, 1, 2, 2), values);
    expect_text(&t, "[[[[1 2]\n   [3 4]]]\n\n\n [[[5 6]\n   [7 8]]]]");
}

Test(print, long_rows_are_broken_and_large_tensors_summarised) {
    int32_t values[1200];
    for (int i = 0; i < 1200; i++)
        values[i] = i;
    cb_tensor t = cb_tensor_wrap(CB_I32, CB_SHAPE(30), values);
    expect_text(&t,
                "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25\n"
                " 26 27 28 29]");
    t = cb_tensor_wrap(CB_I32, CB_SHAPE(1200), values);
    expect_text(&t, "[   0    1    2 ... 1197 1198 1199]");
    t = cb_tensor_wrap(CB_I32, CB_SHAPE(300, 4), values);
    expect_text(&t, "[[   0    1    2    3]\n [   4    5    6    7]\n [   8    9   10   11]\n ...\n"
                    " [1188 1189 1190 1191]\n [1192 1193 1194 1195]\n [1196 1197 1198 1199]]");
}

/* Whatever the shape: every element is there, in order, to six digits; lines have at most 80
   characters, and brackets are closed. */
Test(print, random_tensors_read_back) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    static char text[TEXT_SIZE];
    for (int trial = 0; trial < 200; trial++) {
        int64_t shape[4];
        int rank = 1 + (int)cb_random_below(&random, 4);
        for (int i = 0; i < rank; i++)
            shape[i] = 1 + (int64_t)cb_random_below(&random, 5);
        cb_tensor *t = cb_tensor_new(CB_F64, rank, shape);
        double *values = t->data;
        int64_t count = cb_tensor_count(t);
        for (int64_t i = 0; i < count; i++)
            values[i] = ((double)cb_random_below(&random, 2000001) - 1e6) *
                        pow(10, (double)cb_random_below(&random, 40) - 20);
        cr_assert_lt(cb_tensor_format(t, text, sizeof text), sizeof text);
        int64_t found = 0;
        int depth = 0;
        for (char *at = text; *at != '\0';) {
            char *end = at;
            double value = strtod(at, &end);
            depth += *at == '[' ? 1 : *at == ']' ? -1 : 0;
            if (end == at) {
                at++;
                continue;
            }
            cr_assert_lt(found, count, "seed %llu", (unsigned long long)seed);
            cr_assert_float_eq(value, values[found], 1e-5 * fabs(values[found]), "seed %llu:\n%s",
                               (unsigned long long)seed, text);
            found++;
            at = end;
        }
        cr_assert_eq(found, count, "seed %llu:\n%s", (unsigned long long)seed, text);
        cr_assert_eq(depth, 0);
        for (const char *line = text; line != NULL; line = strchr(line + 1, '\n'))
            cr_assert_leq(strcspn(line + 1, "\n"), 80, "seed %llu:\n%s", (unsigned long long)seed,
                          text);
        cb_tensor_free(t);
    }
}

Test(print, numbers_in_as_few_digits_as_read_back) {
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {-0.0, "-0"},
                 {100000, "100000"},
                 {1e15, "1e+15"},
                 {1.5, "1.5"},
                 {1e-5, "1e-05"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {2e300, "2e+300"},
                 {5e-324, "5e-324"},
                 {123456789012345, "123456789012345"}};
    char text[CBI_NUMBER_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(cbi_format_number(text, cases[i].number), cases[i].text);
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = cb_random_u64(&random);
        double number;
        memcpy(&number, &bits, sizeof number);
        if (isfinite(number))
            cr_assert_eq(strtod(cbi_format_number(text, number), NULL), number, "seed %llu: %s",
                         (unsigned long long)seed, text);
    }
}

Test(print, the_decimal_point_does_not_depend_on_the_locale) {
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL || *localeconv()->decimal_point == '.')
        cr_skip_test("no locale with another decimal point is installed");
    double value = 0.5;
    char text[CBI_NUMBER_SIZE];
    cb_tensor t = cb_tensor_wrap(CB_F64, CB_SHAPE(1), &value);
    expect_text(&t, "[0.5]");
    cr_expect_str_eq(cbi_format_number(text, 0.25), "0.25");
}

Test(print, buffer_is_cut_and_terminated) {
    float values[] = {1, 2.5F, -3};
    const char *expected = "[  1 2.5  -3]";
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(3), values);
    cr_assert_eq(cb_tensor_format(&t, NULL, 0), strlen(expected));
    for (size_t size = 1; size <= strlen(expected) + 2; size++) {
        char buffer[32];
        memset(buffer, '#', sizeof buffer);
        cr_assert_eq(cb_tensor_format(&t, buffer, size), strlen(expected));
        size_t kept = size - 1 < strlen(expected) ? size - 1 : strlen(expected);
        cr_assert_eq(strlen(buffer), kept);
        cr_assert_eq(memcmp(buffer, expected, kept), 0);
        cr_assert_eq(buffer[size], '#', "written past %zu bytes", size);
    }
}

Test(print, to_a_stream) {
    int32_t values[] = {1, -20, 3, 4};
    cb_tensor t = cb_tensor_wrap(CB_I32, CB_SHAPE(2, 2), values);
    char text[64] = "";
    FILE *stream = tmpfile();
    cr_assert_not_null(stream);
    cr_assert_eq(cb_tensor_print(&t, stream), CB_OK);
    rewind(stream);
    cr_assert_lt(fread(text, 1, sizeof text - 1, stream), sizeof text);
    fclose(stream);
    cr_assert_str_eq(text, "[[  1 -20]\n [  3   4]]\n");
}

Test(print, to_a_stream_that_fails) {
    int32_t value = 1;
    cb_tensor t = cb_tensor_wrap(CB_I32, CB_SCALAR, &value);
    FILE *stream = fopen("/dev/null", "r");
    cr_assert_not_null(stream);
    cr_assert_eq(cb_tensor_print(&t, stream), CB_ERROR_FILE);
    fclose(stream);
}

Test(print, tensor_without_data) {
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 2), NULL);
    char text[32];
    cr_assert_eq(cb_tensor_format(&t, text, sizeof text), 9);
    cr_assert_str_eq(text, "(no data)");
    cb_tensor_format(NULL, text, sizeof text);
    cr_assert_str_eq(text, "(no data)");
}

Test(print, shape) {
    char text[256];
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(128, 512), NULL);
    cr_assert_str_eq(cb_shape_format(&t, text, sizeof text), "[128,512]");
    cr_assert_str_eq(cb_shape_format(&t, text, 5), "[128");
    t = cb_tensor_wrap(CB_F32, CB_SHAPE(0), NULL);
    cr_assert_str_eq(cb_shape_format(&t, text, sizeof text), "[0]");
    t = cb_tensor_wrap(CB_F32, CB_SCALAR, NULL);
    cr_assert_str_eq(cb_shape_format(&t, text, sizeof text), "[]");
}
