/* A command line: arguments that end in line feeds, for a table with an option of every kind. What
   is accepted has to be within the table's ranges, and a failure has one line. */
#include "apps/cli/options.h"
#include "apps/cli/failure.h"
#include "target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

static const char *const names[] = {"adam", "adagrad", "sgd", NULL};

/* Whether a text is some of the names with commas between them. */
static bool is_list(const char *text) {
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        bool known = false;
        for (int i = 0; names[i] != NULL; i++)
            known = known || (strlen(names[i]) == length && strncmp(names[i], at, length) == 0);
        if (!known)
            return false;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}

static void parse(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    bool quiet = false, given = false;
    const char *text = "", *list = "adam", *set = NULL;
    option_list labels = {NULL, 0, 0}, operands = {NULL, 0, 0};
    int64_t whole = 3;
    uint64_t seed = 1;
    double number = 0.5, any = NAN;
    option_row rows[] = {
        {"quiet", 'q', .flag = &quiet, .help = "flag"},
        {"text", 't', .string = &text, .value = "TEXT", .help = "text"},
        {"names", .string = &list, .value = "NAME,...", .help = "names", .names = names,
         .commas = true},
        {"set", .string = &set, .value = "X", .help = "joined", .joined = true},
        {"label", 'l', .list = &labels, .value = "TEXT", .help = "list"},
        {"whole", 'w', .whole = &whole, .value = "N", .help = "whole", .low = -5, .high = 1e6,
         .given = &given},
        {"seed", .seed = &seed, .value = "N", .help = "seed"},
        {"number", 'n', .number = &number, .value = "X", .help = "number", .low = 0,
         .above_low = true, .high = 1, .below_high = true},
        {"any", .number = &any, .value = "X", .help = "any", .low = -INFINITY, .high = INFINITY},
        {.name = NULL},
    };
    const option_table table = {.command = "fuzz",
                                .synopsis = "[OPTION ...] [FILE ...]",
                                .about = "Fuzzes.\n",
                                .rows = rows,
                                .operand = "FILE",
                                .operands = &operands};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    fuzz_expect((outcome == OPTIONS_BAD) == (error[0] != '\0'), "what is bad has a message");
    fuzz_expect(whole >= -5 && whole <= 1000000, "a whole number is in its range");
    fuzz_expect(number > 0 && number < 1, "a number is in its range");
    fuzz_expect(isnan(any) || isfinite(any), "a number is finite");
    fuzz_expect(is_list(list), "a list has names only");
    fuzz_expect(operands.count + labels.count < (size_t)argc, "nothing is taken twice");
    free(labels.values);
    free(operands.values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), *argv[MOST + 2] = {"fuzz"};
    int argc = 1;
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; at < text + size && argc <= MOST; at += strlen(at) + 1) {
        at[strcspn(at, "\n")] = '\0';
        /* Help is printed, which is not what is tried here. */
        if (strncmp(at, "--h", 3) != 0 && strchr(at, 'h') != at + (at[0] == '-'))
            argv[argc++] = at;
    }
    parse(argc, argv);
    free(text);
    return 0;
}
