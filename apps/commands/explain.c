/* `cerebra explain`: what the compiler makes of a cell.

   A recurrence over the cell's step needs no weights, only their shapes, so that sizes of any
   network can be asked about. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Prints what the compiler makes of a cell: its step and the step's gradient as equations, "
    "what is computed outside of the recurrence, what each pass did, the products and fused "
    "programs of a time step forward and backward, the buffers, and floating-point operations and "
    "bytes for a step and for a sequence. Of a cell that runs op by op, why.\n"
    "Without --cell, lists for every cell whether it is compiled.\n"
    "With --check, runs the cell compiled and op by op on random inputs instead (3 time steps of 5 "
    "sequences, unless --time and --batch say otherwise), forward, in reverse, with lengths and on "
    "rows of a table, and prints the largest relative errors of values and of all gradients.\n";

static const char notes[] =
    "FLOP: a product of [M,K] and [K,N] is 2 M N K, any other op one for each element. Bytes "
    "moved are those of buffers and packed weights; between two products each place counts once.\n"
    "\n"
    "Exit status: 0 done, 1 failure, or a check that did not pass, 2 wrong usage.\n";

enum { MOST_CELLS = 300 };

/* The command line. */
typedef struct request {
    const char *cell, *set, *dtype;
    int64_t input, hidden, batch, time, symbols;
    bool batch_given, time_given, symbols_given, no_bias, check;
} request;

static const request defaults = {
    .dtype = "f32", .input = 512, .hidden = 512, .batch = 128, .time = 20, .symbols = 0};

static const char *const dtypes[] = {"f32", "f64", NULL};

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"cell", .string = &asked->cell, .value = "CELL,...",
         .help = CELL_OPTION_HELP
         "; separated by commas, which no file's name may have (all, in a line each)"},
        {"set", .string = &asked->set, .value = "NAME=X", .help = SET_OPTION_HELP, .joined = true},
        {"input", .whole = &asked->input, .value = "N", .help = "features of the input", .low = 1,
         .high = MODEL_LARGEST},
        {"hidden", .whole = &asked->hidden, .value = "N", .help = "hidden size", .low = 1,
         .high = MODEL_LARGEST},
        {"batch", .whole = &asked->batch, .value = "N", .help = "sequences in a step", .low = 1,
         .high = MODEL_LARGEST, .given = &asked->batch_given},
        {"time", .whole = &asked->time, .value = "N", .help = "time steps", .low = 1,
         .high = MODEL_LARGEST, .given = &asked->time_given},
        {"symbols", .whole = &asked->symbols, .value = "N",
         .help = "the input is looked up in an embedding with so many rows; 0: it is not", .low = 0,
         .high = MODEL_LARGEST, .given = &asked->symbols_given},
        {"dtype", .string = &asked->dtype, .value = "NAME", .help = "dtype", .names = dtypes},
        {"check", .flag = &asked->check, .help = "compare it with its step run op by op"},
        {"no-bias", .flag = &asked->no_bias, .help = "leave the cell's biases out"},
        {.name = NULL},
    };
    const option_table table = {.command = "explain",
                                .synopsis = "[--cell CELL,...] [OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    return options_parse(&table, argc, argv, error);
}

/* Whether a cell is compiled depends on none of the sizes of a run; a check is of all ways to give
   x. */
static bool check_meaning(const request *asked, char *error) {
    bool list = asked->cell == NULL && !asked->check;
    const char *useless = list && asked->batch_given                       ? "batch"
                          : list && asked->time_given                      ? "time"
                          : (list || asked->check) && asked->symbols_given ? "symbols"
                                                                           : NULL;
    return useless == NULL || failure(error, FAILURE_SIZE, "--%s means nothing %s --c%s", useless,
                                      list ? "without" : "with", list ? "ell" : "heck");
}

static bool check(const request *asked, char *error) {
    return check_meaning(asked, error);
}

/* The recurrence that a layer of the cell is; names gets those of the weights. */
static cb_scan *recurrence(const chosen_cell *chosen, const request *asked, const char **names,
                           cb_error *error) {
    const cb_cell *cell = chosen->cell;
    const cb_rnn_options options = {
        .hidden = asked->hidden, .no_bias = asked->no_bias, .settings = chosen->settings};
    for (int i = 0; i < cell->param_count; i++)
        names[i] = cell->params[i].name;
    return cb_cell_scan_new(cell, strcmp(asked->dtype, "f64") == 0 ? CB_F64 : CB_F32, asked->input,
                            &options, error);
}

static bool print_description(cb_scan *scan, const cb_scan_sizes *sizes) {
    size_t length = cb_scan_describe(scan, sizes, NULL, 0);
    char *text = length > 0 ? malloc(length + 1) : NULL;
    bool written = text != NULL && cb_scan_describe(scan, sizes, text, length + 1) == length;
    if (written)
        fputs(text, stdout);
    free(text);
    return written;
}

/* A line for a cell that was checked. Whether it passed. */
static bool check_cell(const cb_cell *cell, cb_scan *scan, const request *asked,
                       const char *const *names) {
    const cb_scan_check_options options = {.time = asked->time_given ? asked->time : 0,
                                           .batch = asked->batch_given ? asked->batch : 0,
                                           .weight_names = names,
                                           .state_names = cell->state_names};
    cb_scan_check_report report;
    bool passed = cb_scan_check(scan, &options, &report);
    printf("%-28s %s, %lld numbers compared, largest relative error of values %.2g, of gradients "
           "%.2g%s%s\n",
           cell->name, report.compiled ? "compiled" : "op by op", (long long)report.compared,
           report.worst_value, report.worst_gradient, passed ? "" : "; FAILED: ", report.message);
    return passed;
}

/* The whole description of a cell, or a line that says whether it is compiled. */
static bool explain(const chosen_cell *chosen, const request *asked, bool *passed, char *error) {
    const cb_cell *cell = chosen->cell;
    const char *names[CB_CELL_MAX_PARAMS];
    cb_error why = {.message = ""};
    cb_scan *scan = recurrence(chosen, asked, names, &why);
    bool explained = scan != NULL;
    if (explained && asked->check) {
        *passed = check_cell(cell, scan, asked, names) && *passed;
    } else if (explained && asked->cell != NULL) {
        const cb_scan_sizes sizes = {.time = asked->time,
                                     .batch = asked->batch,
                                     .table = asked->symbols,
                                     .weight_names = names,
                                     .state_names = cell->state_names};
        explained = print_description(scan, &sizes);
    } else if (explained) {
        const char *reason = cb_scan_reason(scan);
        printf("%-28s %s%s\n", cell->name,
               reason == NULL ? "compiled" : "op by op: ", reason == NULL ? "" : reason);
    }
    cb_scan_free(scan);
    return explained || failure(error, FAILURE_SIZE, "%s",
                                why.message[0] != '\0' ? why.message : "out of memory");
}

int cerebra_explain(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = defaults;
    options_outcome outcome = parse(&asked, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    if (outcome == OPTIONS_BAD || !check(&asked, error))
        return command_fail("explain", EXIT_USAGE, error);
    bool explained = true, passed = true;
    const char **names = asked.cell == NULL ? cell_names() : NULL;
    const chosen_cell *cells[MOST_CELLS];
    int count = 0;
    if (asked.cell != NULL)
        count = cell_choose_list(asked.cell, asked.set, cells, MOST_CELLS, error);
    for (; asked.cell == NULL && count >= 0 && names != NULL && names[count] != NULL; count++) {
        cells[count] = cell_choose(names[count], NULL, error);
        if (cells[count] == NULL)
            count = -2;
    }
    free(names);
    if (count < 0)
        return command_fail("explain", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    for (int i = 0; i < count && explained; i++)
        explained = explain(cells[i], &asked, &passed, error);
    if (explained && !passed)
        return command_fail("explain", EXIT_FAILURE, "a cell differs from its step run op by op");
    return explained ? EXIT_SUCCESS : command_fail("explain", EXIT_FAILURE, error);
}
