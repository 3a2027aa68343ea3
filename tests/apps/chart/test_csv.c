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
    expect_failure("[-1] loss : 3\n", NULL, NULL,
                   ":1: expected a line like \"[12] loss : 3.56\", found: [-1] loss : 3");
    expect_failure("[0] loss : 3\n[+1] loss : 3\n", NULL, NULL,
                   ":2: expected a line like \"[12] loss : 3.56\", found: [+1] loss : 3");
    expect_failure("[] loss : 3\n", NULL, NULL,
                   ":1: expected a line like \"[12] loss : 3.56\", found: [] loss : 3");
    expect_failure("[0] loss : 0x10\n", NULL, NULL,
                   ":1: expected a line like \"[12] loss : 3.56\", found: [0] loss : 0x10");
    expect_failure("epoch,loss\n0,0x10\n", NULL, NULL, ":2: not a number: 0x10");
    expect_failure("epoch,loss\n0,\"1,234\"\n", NULL, NULL, ":2: not a number: 1,234");
    expect_failure("epoch;loss\n0;1,5\n1;1.5\n", NULL, NULL,
                   ":3: a number with another decimal mark than those above: 1.5");
    expect_failure("", NULL, NULL, ": the file is empty");
}

static bool read_curves(const char *text, const char *const *names, size_t count,
                        csv_series *curves) {
    write_bytes(text, strlen(text));
    bool ok = csv_read_curves(path, NULL, names, count, curves, error, sizeof error);
    unlink(path);
    return ok;
}

static void expect_values(const double *values, size_t count, const double *expected) {
    for (size_t i = 0; i < count; i++)
        cr_assert(values[i] == expected[i] || (isnan(values[i]) && isnan(expected[i])),
                  "%zu: %g, expected %g", i, values[i], expected[i]);
}

Test(csv, blanks_of_another_quantitys_rows_join) {
    static const char *const names[] = {"train_loss", "val_loss"};
    csv_series curves[2];
    cr_assert(read_curves("step,train_loss,val_loss\n0,4,\n1,,5\n2,3,\n3,nan,\n4,,\n5,2,1\n", names,
                          2, curves),
              "%s", error);
    cr_assert_eq(curves[0].count, 5);
    expect_values(curves[0].x, 5, (const double[]){0, 2, 3, 4, 5});
    expect_values(curves[0].y, 5, (const double[]){4, 3, NAN, NAN, 2});
    cr_assert_eq(curves[1].count, 4);
    expect_values(curves[1].x, 4, (const double[]){1, 3, 4, 5});
    expect_values(curves[1].y, 4, (const double[]){5, NAN, NAN, 1});
    csv_free_series(&curves[0]);
    csv_free_series(&curves[1]);
}

Test(csv, a_run_appended_to_a_log_is_separated_from_it) {
    csv_series curve;
    const char *name = NULL;
    cr_assert(read_curves("epoch,loss\n0,4\n1,3\nepoch,seconds,loss\n0,9,2\nepoch,loss\n1,1\n",
                          &name, 1, &curve),
              "%s", error);
    cr_assert_eq(curve.count, 5);
    expect_values(curve.x, 5, (const double[]){0, 1, NAN, 0, 1});
    expect_values(curve.y, 5, (const double[]){4, 3, NAN, 2, 1});
    csv_free_series(&curve);
    cr_assert(read_curves("[0] loss : 4\n[1] loss : 3\n[0] loss : 2\n", &name, 1, &curve));
    expect_values(curve.x, 4, (const double[]){0, 1, NAN, 0});
    csv_free_series(&curve);
}

Test(csv, seeds_are_a_mean_and_a_band) {
    csv_series curve;
    const char *name = NULL;
    cr_assert(read_curves("epoch,seed,loss\n0,1,4\n1,1,2\n2,1,1\n0,7,6\n1,7,nan\n0,8,11\n", &name,
                          1, &curve),
              "%s", error);
    cr_assert(csv_group_seeds(&curve));
    cr_assert_eq(curve.seeds, 3);
    cr_assert_eq(curve.count, 3);
    expect_values(curve.x, 3, (const double[]){0, 1, 2});
    expect_values(curve.y, 3, (const double[]){7, NAN, 1});
    expect_values(curve.low, 3, (const double[]){4, NAN, 1});
    expect_values(curve.high, 3, (const double[]){11, NAN, 1});
    csv_free_series(&curve);
    cr_assert(read_curves("epoch,seed,loss\n0,1,4\n1,1,2\n", &name, 1, &curve));
    cr_assert(csv_group_seeds(&curve));
    cr_assert_eq(curve.seeds, 1);
    cr_assert_null(curve.low);
    csv_free_series(&curve);
}

Test(csv, endless_lines_and_quotes_are_refused) {
    csv_series curve;
    cr_assert_not(csv_read_series("/dev/zero", NULL, NULL, &curve, error, sizeof error));
    cr_assert_str_eq(error, "/dev/zero:1: this is not a text file");
    enum { LENGTH = (1 << 20) + 10 };
    static char text[LENGTH + 1];
    memset(text, 'a', LENGTH);
    expect_failure(text, NULL, NULL, ":1: a line is longer than 1 MiB");
    text[0] = '"';
    expect_failure(text, NULL, NULL, ":1: a quotation mark is out of place");
}

Test(csv, missing_columns_are_named) {
    expect_failure("epoch,loss,seconds\n0,4,1\n", NULL, "los",
                   ":1: no column named \"los\" (did you mean \"loss\"?); the columns are: epoch, "
                   "loss, seconds");
    expect_failure("epoch,loss,LOSS\n0,4,1\n", NULL, "loss",
                   ":1: there are two columns named LOSS");
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
