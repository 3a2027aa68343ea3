/* The plot subcommand: exit codes, and what it writes for good and bad command lines. */
#include "apps/cli/command.h"

#include "tests/support.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[CBT_PATH_SIZE];

static void set_up(void) {
    cbt_directory_make(directory);
    cr_assert_eq(chdir(directory), 0);
    FILE *log = fopen("a.csv", "w");
    fputs("epoch,loss\n0,4\n1,3\n2,2.5\n", log);
    fclose(log);
    cr_redirect_stderr();
    cr_redirect_stdout();
}

static void tear_down(void) {
    cr_assert_eq(chdir("/"), 0);
    cbt_directory_remove(directory);
}

TestSuite(plot, .init = set_up, .fini = tear_down);

/* Runs `cerebra plot` with up to 15 arguments, ended by NULL. */
static int run(const char *const *arguments) {
    static char storage[16][256];
    char *argv[17] = {NULL};
    int argc = 1;
    strcpy(storage[0], "plot");
    argv[0] = storage[0];
    for (; *arguments != NULL; arguments++, argc++) {
        snprintf(storage[argc], sizeof storage[argc], "%s", *arguments);
        argv[argc] = storage[argc];
    }
    return cerebra_plot(argc, argv);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

Test(plot, draws_to_the_default_output) {
    cr_assert_eq(RUN("a.csv"), 0);
    cr_assert_eq(access("plot.png", R_OK), 0);
    fflush(stderr);
    cr_assert_stderr_eq_str("cerebra plot: wrote plot.png\n");
}

Test(plot, svg_names_the_command_and_the_curves) {
    char text[4096] = "";
    cr_assert_eq(RUN("a.csv", "-q", "--out", "out.svg", "--label", "my model", "--smooth", "2",
                     "--log-y", "--title", "T"),
                 0);
    FILE *svg = fopen("out.svg", "r");
    cr_assert_gt(fread(text, 1, sizeof text - 1, svg), 0);
    fclose(svg);
    cr_assert_not_null(strstr(text, "cerebra plot a.csv -q --out out.svg --label \"my model\""));
    cr_assert_not_null(strstr(text, "my model (3 points)"));
}

static char *svg_text(void) {
    static char text[4096];
    FILE *svg = fopen("out.svg", "r");
    text[fread(text, 1, sizeof text - 1, svg)] = '\0';
    fclose(svg);
    return text;
}

Test(plot, several_columns_are_curves_of_one_chart) {
    FILE *log = fopen("bad.csv", "w");
    fputs("epoch,loss,held_out_loss\n0,4,\n1,3,3.5\n2,2.5,\n", log);
    fclose(log);
    cr_assert_eq(RUN("bad.csv", "-q", "-o", "out.svg", "--y", "loss", "--y", "held_out_loss"), 0);
    cr_assert_not_null(strstr(svg_text(), "loss (3 points), held_out_loss (1 points)"));
    cr_assert_not_null(strstr(svg_text(), "Line chart of loss, held_out_loss over epoch"));
    cr_assert_eq(RUN("bad.csv", "-q", "-o", "out.svg", "--y", "loss", "--y", "held_out_loss",
                     "--label", "a", "--label", "b", "--label", "c"),
                 2);
}

Test(plot, seeds_become_a_mean_with_a_band) {
    FILE *log = fopen("bad.csv", "w");
    fputs("epoch,seed,loss\n0,1,4\n1,1,3\n0,2,5\n1,2,2\n", log);
    fclose(log);
    cr_assert_eq(RUN("bad.csv", "-q", "-o", "out.svg"), 0);
    cr_assert_not_null(strstr(svg_text(), "bad, mean of 2 seeds (2 points, with a band)"));
}

Test(plot, a_pdf_is_one) {
    char start[6] = "";
    cr_assert_eq(RUN("a.csv", "-q", "--out", "out.pdf"), 0);
    FILE *pdf = fopen("out.pdf", "r");
    cr_assert_eq(fread(start, 1, 5, pdf), 5);
    fclose(pdf);
    cr_assert_str_eq(start, "%PDF-");
}

Test(plot, a_million_points_are_a_small_file) {
    static const char *const files[] = {"plot.png", "out.svg", "out.pdf"};
    FILE *log = fopen("bad.csv", "w");
    fputs("step,loss\n", log);
    for (unsigned i = 0; i < 1000000; i++)
        fprintf(log, "%u,%u\n", i, i * 2654435761U >> 16);
    fclose(log);
    for (size_t i = 0; i < 3; i++) {
        struct stat status;
        cr_assert_eq(RUN("bad.csv", "-q", "--smooth", "999", "--out", files[i]), 0);
        cr_assert_eq(stat(files[i], &status), 0);
        cr_assert_lt(status.st_size, 1000000, "%s", files[i]);
    }
}

Test(plot, wrong_usage_is_2) {
    cr_assert_eq(run((const char *const[]){NULL}), 2);
    cr_assert_eq(RUN("a.csv", "--tilte", "x"), 2);
    cr_assert_eq(RUN("a.csv", "--out", "x.gif"), 2);
    cr_assert_eq(RUN("a.csv", "--smooth", "0"), 2);
    cr_assert_eq(RUN("a.csv", "--width", "12.5"), 2);
    cr_assert_eq(RUN("a.csv", "--ymin", "nan"), 2);
    cr_assert_eq(RUN("a.csv", "--ymin", "2", "--ymax", "1"), 2);
    cr_assert_eq(RUN("a.csv", "--log-y", "--ymin", "0"), 2);
    cr_assert_eq(RUN("a.csv", "--label", "a", "--label", "b"), 2);
    cr_assert_eq(RUN("a.csv", "--title"), 2);
    cr_assert_neq(access("plot.png", F_OK), 0);
}

Test(plot, unknown_options_name_the_nearest) {
    cr_assert_eq(RUN("a.csv", "--tilte", "x"), 2);
    fflush(stderr);
    cr_assert_stderr_eq_str("cerebra plot: unknown option --tilte (did you mean --title?) (see "
                            "cerebra plot --help)\n");
}

Test(plot, failures_are_1_and_write_nothing) {
    FILE *bad = fopen("bad.csv", "w");
    fputs("epoch,loss\n", bad);
    fclose(bad);
    cr_assert_eq(RUN("a.csv", "missing.csv"), 1);
    cr_assert_eq(RUN("a.csv", "bad.csv"), 1);
    cr_assert_eq(RUN("a.csv", "--y", "accuracy"), 1);
    cr_assert_eq(RUN("a.csv", "--out", "no/such/x.png"), 1);
    cr_assert_neq(access("plot.png", F_OK), 0);
    fflush(stderr);
    cr_assert_stderr_eq_str(
        "cerebra plot: cannot read missing.csv: No such file or directory\n"
        "cerebra plot: bad.csv: no rows below the header\n"
        "cerebra plot: a.csv:1: no column named \"accuracy\"; the columns are: epoch, loss\n"
        "cerebra plot: cannot write no/such/x.png: No such file or directory\n");
}

Test(plot, help_is_on_standard_output) {
    cr_assert_eq(RUN("--help"), 0);
    fflush(stderr);
    cr_assert_stderr_eq_str("");
}
