/* Option tables: what counts as a number, the range of each option, and the one line that says what
   is wrong. */
#include "apps/cli/options.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <math.h>
#include <string.h>

static int64_t hidden;
static double lr, dropout;
static uint64_t seed;
static const char *cell;
static bool quiet, hidden_given;
static const char *optimizers;
static option_list labels, operands;
static const char *const names[] = {"adagrad", "adam", "sgd", NULL};
static char error[FAILURE_SIZE];

static bool takes_operands;

static options_outcome parse(int argc, const char *const *arguments) {
    option_row rows[] = {
        {"hidden", .whole = &hidden, .value = "N", .help = "size", .low = 1, .high = 65536,
         .given = &hidden_given},
        {"lr", .number = &lr, .value = "X", .help = "rate", .low = 0, .above_low = true,
         .high = INFINITY},
        {"dropout", .number = &dropout, .value = "X", .help = "rate", .low = 0, .high = 1,
         .below_high = true},
        {"seed", .seed = &seed, .value = "N", .help = "seed"},
        {"cell", 'c', .string = &cell, .value = "NAME", .help = "cell"},
        {"optimizers", .string = &optimizers, .value = "NAME,...", .help = "these", .names = names,
         .commas = true},
        {"label", .list = &labels, .value = "TEXT",
         .help = "a text that is so long that it does not fit into what is left of a line of a "
                 "page, and goes on in the next"},
        {"quiet", 'q', .flag = &quiet, .help = "silence"},
        {.name = NULL},
    };
    const option_table table = {.command = "train",
                                .synopsis = "[OPTION ...]",
                                .about = "Trains.\n'x' - \\ it.\n",
                                .rows = rows,
                                .operand = takes_operands ? "FILE" : NULL,
                                .operands = &operands};
    char *argv[16] = {"train"};
    for (int i = 0; i < argc; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    hidden = 512;
    lr = 0.5;
    dropout = 0;
    seed = 1;
    cell = "lstm";
    quiet = hidden_given = false;
    optimizers = NULL;
    labels.count = operands.count = 0;
    error[0] = '\0';
    return options_parse(&table, argc + 1, argv, error);
}

#define PARSE(...)                                                                                 \
    parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                           \
          (const char *const[]){__VA_ARGS__})

Test(options, keeps_defaults_and_takes_values) {
    cr_assert_eq(parse(0, NULL), OPTIONS_RUN);
    cr_assert_eq(hidden, 512);
    cr_assert_not(hidden_given);
    cr_assert_eq(
        PARSE("--hidden", "16", "--lr=1e-3", "--seed", "18446744073709551615", "-c", "gru", "-q"),
        OPTIONS_RUN, "%s", error);
    cr_assert_eq(hidden, 16);
    cr_assert(hidden_given);
    cr_assert_eq(lr, 1e-3);
    cr_assert_eq(seed, UINT64_MAX);
    cr_assert_str_eq(cell, "gru");
    cr_assert(quiet);
}

Test(options, refuses_bad_whole_numbers) {
    static const char *const bad[] = {"0",
                                      "-5",
                                      "12x",
                                      "",
                                      " 12",
                                      "+12",
                                      "1.5",
                                      "65537",
                                      "1e3",
                                      "nan",
                                      "0x10",
                                      "99999999999999999999",
                                      "-99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char expected[FAILURE_SIZE];
        snprintf(expected, sizeof expected,
                 "--hidden must be a whole number from 1 to 65536, not \"%s\"", bad[i]);
        cr_assert_eq(PARSE("--hidden", bad[i]), OPTIONS_BAD, "accepted \"%s\"", bad[i]);
        cr_assert_str_eq(error, expected);
        cr_assert_eq(hidden, 512);
    }
}

Test(options, refuses_bad_numbers) {
    static const char *const bad[] = {"0", "-1", "nan", "inf", "1e999", "0x1p3", "1 ", "", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(PARSE("--lr", bad[i]), OPTIONS_BAD, "accepted \"%s\"", bad[i]);
        cr_assert_eq(strncmp(error, "--lr must be a number greater than 0, not", 41), 0, "%s",
                     error);
    }
    cr_assert_eq(PARSE("--dropout", "1"), OPTIONS_BAD);
    cr_assert_str_eq(error, "--dropout must be a number of at least 0 and less than 1, not \"1\"");
    cr_assert_eq(PARSE("--dropout", "0.999"), OPTIONS_RUN);
    cr_assert_eq(PARSE("--dropout", "0"), OPTIONS_RUN);
}

Test(options, refuses_bad_seeds) {
    static const char *const bad[] = {"-1", "18446744073709551616", "x", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(PARSE("--seed", bad[i]), OPTIONS_BAD, "accepted \"%s\"", bad[i]);
        cr_assert_eq(strncmp(error, "--seed must be", 14), 0, "%s", error);
    }
}

Test(options, names_the_nearest_option_and_refuses_what_is_none) {
    cr_assert_eq(PARSE("--hiden", "5"), OPTIONS_BAD);
    cr_assert_str_eq(error, "unknown option --hiden (did you mean --hidden?)");
    cr_assert_eq(PARSE("--hidden"), OPTIONS_BAD);
    cr_assert_str_eq(error, "option --hidden needs a value");
    cr_assert_eq(PARSE("file.txt"), OPTIONS_BAD);
    cr_assert_str_eq(error, "unexpected argument \"file.txt\"");
    cr_assert_eq(PARSE("--quiet=yes"), OPTIONS_BAD);
}

/* What has been printed so far. */
static const char *printed(void) {
    static char text[8192];
    fflush(stdout);
    size_t length = fread(text, 1, sizeof text - 1, cr_get_redirected_stdout());
    text[length] = '\0';
    return text;
}

Test(options, help_shows_every_option_with_its_default, .init = cr_redirect_stdout) {
    cr_assert_eq(PARSE("--hidden", "0", "--help"), OPTIONS_HELP);
    const char *text = printed();
    cr_assert_not_null(strstr(text, "--hidden N"));
    cr_assert_not_null(strstr(text, "size (512)"));
    cr_assert_not_null(strstr(text, "rate (0.5)"));
    cr_assert_not_null(strstr(text, "-c, --cell NAME"));
    cr_assert_not_null(strstr(text, "these: adagrad, adam or sgd"));
    cr_assert_not_null(strstr(text, "-h, --help"));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        cr_assert_leq(strcspn(line, "\n"), 80, "a line is too long:\n%s", line);
}

Test(options, the_manual_page_has_nothing_that_troff_would_take, .init = cr_redirect_stdout) {
    cr_assert_eq(PARSE("--help=man"), OPTIONS_HELP);
    const char *text = printed();
    cr_assert_not_null(strstr(text, ".TP\n.B \\-c, \\-\\-cell NAME\ncell (lstm)\n"), "%s", text);
    cr_assert_not_null(strstr(text, "\n.PP\n\\&'x' \\- \\e it.\n"), "%s", text);
}

Test(options, words_are_there_for_shells, .init = cr_redirect_stdout) {
    takes_operands = true;
    cr_assert_eq(PARSE("--help=words"), OPTIONS_HELP);
    const char *text = printed();
    cr_assert_not_null(strstr(text, "--optimizers\tNAME,...\tadagrad adam sgd\n"), "%s", text);
    cr_assert_not_null(strstr(text, "--quiet\t\t\n"), "%s", text);
    cr_assert_not_null(strstr(text, "operand\tFILE\t\n"), "%s", text);
}

Test(options, an_unknown_form_of_help_is_refused) {
    cr_assert_eq(PARSE("--help=pdf"), OPTIONS_BAD);
    cr_assert_str_eq(error, "option --help takes no value");
}

Test(options, a_second_value_is_refused_where_one_would_be_lost) {
    cr_assert_eq(PARSE("--hidden", "5", "--lr", "1", "--hidden=5"), OPTIONS_BAD);
    cr_assert_str_eq(error, "--hidden is given twice");
    cr_assert_eq(PARSE("-c", "lstm", "--cell=gru"), OPTIONS_BAD);
    cr_assert_str_eq(error, "--cell is given twice");
    cr_assert_eq(PARSE("-q", "--quiet", "--label", "a", "--label=b"), OPTIONS_RUN, "%s", error);
    cr_assert_eq(labels.count, 2);
    cr_assert_str_eq(labels.values[0], "a");
    cr_assert_str_eq(labels.values[1], "b");
}

Test(options, operands_are_taken_where_they_stand) {
    takes_operands = true;
    cr_assert_eq(PARSE("one", "-q", "two", "--", "--three"), OPTIONS_RUN, "%s", error);
    cr_assert_eq(operands.count, 3);
    cr_assert_str_eq(operands.values[0], "one");
    cr_assert_str_eq(operands.values[1], "two");
    cr_assert_str_eq(operands.values[2], "--three");
}

Test(options, values_are_checked_against_names) {
    cr_assert_eq(PARSE("--optimizers", "adam,sgd"), OPTIONS_RUN, "%s", error);
    cr_assert_str_eq(optimizers, "adam,sgd");
    static const char *const bad[] = {"adam,", ",adam", "adam,sgf", "adam sgd", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(PARSE("--optimizers", bad[i]), OPTIONS_BAD, "accepted \"%s\"", bad[i]);
        cr_assert_eq(strncmp(error, "--optimizers: there is no", 25), 0, "%s", error);
    }
}

Test(options, names_are_checked_against_a_list) {
    cr_assert(options_check_name("optimizer", "adam", names, error));
    cr_assert_not(options_check_name("optimizer", "adagrat", names, error));
    cr_assert_str_eq(error, "--optimizer: there is no \"adagrat\" (did you mean adagrad?)");
    cr_assert_not(options_check_name("optimizer", "lbfgs", names, error));
    cr_assert_str_eq(error, "--optimizer: there is no \"lbfgs\"; there are adagrad, adam, sgd");
}
