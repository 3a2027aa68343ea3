/* Logs: columns, six significant digits, and an old file that survives a run without an epoch. */
#include "apps/model/training_log.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static char error[FAILURE_SIZE];

static void expect_file(const char *expected) {
    char content[512] = "";
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    cr_assert_str_eq(content, expected);
}

static void set_up(void) {
    snprintf(path, sizeof path, "/tmp/cerebra-test-log-%ld.csv", (long)getpid());
    FILE *file = fopen(path, "wb");
    fputs("old\n", file);
    fclose(file);
}

static void tear_down(void) {
    unlink(path);
}

TestSuite(training_log, .init = set_up, .fini = tear_down);

Test(training_log, rows_are_on_disk_at_once) {
    training_log log = {.path = path};
    const epoch_record first = {0, 4.25, 1.5, NAN, NAN, NAN};
    const epoch_record second = {1, 0.0123456789, 3, NAN, NAN, NAN};
    cr_assert(training_log_add(&log, &first, error), "%s", error);
    expect_file("epoch,loss,seconds\n0,4.25000,1.500\n");
    cr_assert(training_log_add(&log, &second, error), "%s", error);
    expect_file("epoch,loss,seconds\n0,4.25000,1.500\n1,0.0123457,3.000\n");
    cr_assert(training_log_close(&log, error));
}

Test(training_log, has_the_columns_that_are_asked_for) {
    training_log log = {.path = path, .held_out = true, .distance = true, .rate = true};
    const epoch_record record = {7, 1, 2, 3, 1.41421356, 0.00125};
    cr_assert(training_log_add(&log, &record, error), "%s", error);
    cr_assert(training_log_close(&log, error));
    expect_file(
        "epoch,loss,seconds,held_out_loss,distance,learning_rate\n7,1.00000,2.000,3.00000,1.41421,"
        "0.00125\n");
}

Test(training_log, nothing_is_touched_before_the_first_row) {
    training_log log = {.path = path};
    cr_assert(training_log_check_path(path, error), "%s", error);
    cr_assert(training_log_close(&log, error));
    expect_file("old\n");
}

Test(training_log, says_what_cannot_be_written) {
    cr_assert_not(training_log_check_path("/nonexistent/log.csv", error));
    cr_assert_not_null(strstr(error, "/nonexistent/log.csv"), "%s", error);
    training_log log = {.path = "/dev/full"};
    const epoch_record record = {0, 1, 2, NAN, NAN, NAN};
    cr_assert_not(training_log_add(&log, &record, error));
    cr_assert_str_eq(error, "cannot write /dev/full: No space left on device");
    training_log_close(&log, error);
}
