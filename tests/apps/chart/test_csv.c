/* Reading logs: the two forms, the choice of columns, and the message for each kind of bad row. */
#include "apps/chart/csv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static char error[512];
static csv_series series;

static void write_bytes(const char *bytes, size_t length) {
    snprintf(path, sizeof path, "/tmp/cerebra-test-csv-%ld.csv", (long)getpid());
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static bool read_text(const char *text, const char *x, const char *y) {
    write_bytes(text, strlen(text));
    error[0] = '\0';
    bool ok = csv_read_series(path, x, y, &series, error, sizeof error);
    unlink(path);
    return ok;
}

static void expect_failure(const char *text, const char *x, const char *y, const char *message) {
    cr_assert_not(read_text(text, x, y), "accepted: %s", text);
    cr_assert_null(series.x);
    cr_assert_eq(strncmp(error, path, strlen(path)), 0, "%s", error);
    cr_assert_str_eq(error + strlen(path), message);
}

Test(csv, finds_columns_by_name) {
    cr_assert(read_text("seconds,Epoch,loss\n0.5,0,4.25\n1.0,1,3.5\n", NULL, NULL), "%s", error);
    cr_assert_eq(series.count, 2);
    cr_assert_str_eq(series.x_name, "Epoch");
    cr_assert_eq(series.x[1], 1);
    cr_assert_eq(series.y[1], 3.5);
    csv_free_series(&series);
    cr_assert_eq(series.count, 0);
    cr_assert(read_text("seconds,epoch,loss\n0.5,0,4.25\n", "SECONDS", "epoch"));
    cr_assert_eq(series.x[0], 0.5);
    cr_assert_str_eq(series.y_name, "epoch");
    csv_free_series(&series);
}

Test(csv, accepts_quotes_blank_lines_comments_and_dos_files) {
    cr_assert(read_text("\xef\xbb\xbf\"epoch\",\"the \"\"loss\"\", in nats\"\r\n\r\n"
                        "# restarted\r\n 0 , \"4\" \r\n1,nan\r\n2,\r\n3,inf\r\n4,1e-3",
                        NULL, NULL),
              "%s", error);
    cr_assert_eq(series.count, 5);
    cr_assert_str_eq(series.y_name, "the \"loss\", in nats");
    cr_assert_eq(series.y[0], 4);
    cr_assert(isnan(series.y[1]) && isnan(series.y[2]) && isinf(series.y[3]));
    cr_assert_eq(series.y[4], 1e-3);
    csv_free_series(&series);
}

Test(csv, one_column_is_numbered_by_row) {
    cr_assert(read_text("accuracy\n5\n6\n", NULL, NULL), "%s", error);
    cr_assert_str_eq(series.x_name, "row");
    cr_assert_eq(series.x[1], 1);
    cr_assert_eq(series.y[1], 6);
    csv_free_series(&series);
}

Test(csv, reads_the_logs_of_the_author) {
    cr_assert(read_text("[0] loss : 3.757 \n[1] loss : 3.53\n\n[12] loss : nan", NULL, NULL), "%s",
              error);
    cr_assert_eq(series.count, 3);
    cr_assert_str_eq(series.x_name, "epoch");
    cr_assert_str_eq(series.y_name, "loss");
    cr_assert_eq(series.x[2], 12);
    cr_assert_eq(series.y[1], 3.53);
    cr_assert(isnan(series.y[2]));
    csv_free_series(&series);
}

Test(csv, malformed_rows_are_named_by_line) {
    expect_failure("epoch,loss\n0,4\n1,x3\n", NULL, NULL, ":3: not a number: x3");
    expect_failure("epoch,loss\n0,4\n\n1\n", NULL, NULL,
                   ":4: expected 2 fields as in the header, found 1");
    expect_failure("epoch,loss\n0,4,5\n", NULL, NULL,
                   ":2: expected 2 fields as in the header, found 3");
    expect_failure("epoch,loss\n0,\"4\n", NULL, NULL, ":2: a quotation mark is out of place");
    expect_failure("[0] loss : 3.5\n[1] los\n", NULL, NULL,
                   ":2: expected a line like \"[12] loss : 3.56\", found: [1] los");
    expect_failure("[0] loss : 3.5\n[1] loss : 3.4 3.3\n", NULL, NULL,
                   ":2: expected a line like \"[12] loss : 3.56\", found: [1] loss : 3.4 3.3");
    expect_failure("", NULL, NULL, ": the file is empty");
}

Test(csv, missing_columns_are_named) {
    expect_failure("epoch,loss,seconds\n0,4,1\n", NULL, "los",
                   ":1: no column named \"los\" (did you mean \"loss\"?); the columns are: epoch, "
                   "loss, seconds");
    expect_failure("epoch,a,b\n0,4,1\n", NULL, NULL,
                   ":1: no column named \"loss\"; the columns are: epoch, a, b");
    expect_failure("[0] loss : 3.5\n", "seconds", NULL,
                   ":1: no column named \"seconds\"; the columns are: epoch");
    expect_failure("0,4.5\n1,3.5\n", NULL, NULL,
                   ":1: expected a header row with the names of the columns, found only numbers");
}

Test(csv, binary_and_missing_files_are_refused) {
    write_bytes("epoch,loss\n1,\0002\n", 16);
    cr_assert_not(csv_read_series(path, NULL, NULL, &series, error, sizeof error));
    cr_assert_not_null(strstr(error, ":2: this is not a text file"), "%s", error);
    write_bytes("\x89PNG\r\n\x1a\n", 8);
    cr_assert_not(csv_read_series(path, NULL, NULL, &series, error, sizeof error));
    cr_assert_not_null(strstr(error, "this is not a text file"), "%s", error);
    unlink(path);
    cr_assert_not(csv_read_series(path, NULL, NULL, &series, error, sizeof error));
    cr_assert_not_null(strstr(error, "No such file"), "%s", error);
    cr_assert_not(csv_read_series("/tmp", NULL, NULL, &series, error, sizeof error));
    cr_assert_not_null(strstr(error, "cannot read /tmp: Is a directory"), "%s", error);
}
