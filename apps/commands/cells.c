/* `cerebra cells`: what cells there are, from their own declarations, and what a file of equations
   says. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/model/chosen_cell.h"
#include "apps/model/model.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Lists the recurrent cells: name, source, equations, and the number of parameters of one "
    "layer of the given sizes, with biases and without. With CELL, a name, a file of equations, "
    "or FILE.so[:NAME], only these; of a file, after checking it, the equations as they were read, "
    "with the size of each, and the parameters with their shapes, roles and first values. What is "
    "wrong with a file is said with line and column.\n";

static const char notes[] = "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

enum { MOST_CELLS = 300 };

typedef struct request {
    int64_t input, hidden;
    const char *set;
    bool json, names;
    option_list which; /* the cells that are named; none: all */
} request;

/* ---- Equations ------------------------------------------------------------------------------- */

/* The setting that a line "let NAME = ..." or "size NAME = ..." declares, NULL; *head: how many
   bytes of the line there are in front of the number. */
static const cb_setting *declared_in(const char *line, const cb_setting *settings, size_t *head) {
    static const char *const words[] = {"let ", "size "};
    for (const cb_setting *s = settings; s->name != NULL; s++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t word = strlen(words[i]), name = strlen(s->name);
            *head = word + name + 3;
            if (strncmp(line, words[i], word) == 0 && strncmp(line + word, s->name, name) == 0 &&
                strncmp(line + word + name, " = ", 3) == 0)
                return s;
        }
    }
    return NULL;
}

/* The equations of a cell in C, with the hyperparameters that were set; NULL without memory. */
static char *with_settings(const char *equations, const cb_setting *settings) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    for (const char *line = equations; stream != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n"), head;
        const cb_setting *set = declared_in(line, settings, &head);
        if (set != NULL)
            fprintf(stream, "%.*s%.15g\n", (int)head, line, set->value);
        else
            fprintf(stream, "%.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (stream == NULL || fclose(stream) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* What is computed with the hyperparameters that were set: of a text, the equations as they were
   read, else as the cell has them. The caller frees it; NULL without memory. */
static char *equations_as_set(const chosen_cell *chosen) {
    const cb_cell *cell = chosen->cell;
    size_t length = cb_cell_equations(cell, NULL, 0);
    char *text = length > 0 ? malloc(length + 1) : NULL;
    if (length == 0)
        return with_settings(cell->equations == NULL ? "" : cell->equations, chosen->settings);
    if (text != NULL)
        cb_cell_equations(cell, text, length + 1);
    return text;
}

/* ---- For people ------------------------------------------------------------------------------ */

static void print_lines(const char *text) {
    for (const char *line = text; *line != '\0';) {
        int length = (int)strcspn(line, "\n");
        printf("%s%.*s\n", length > 0 ? "        " : "", length, line);
        line += length + (line[length] == '\n');
    }
}

/* Equations that were asked for as they were read; others as they are written. */
static bool print_equations(const chosen_cell *chosen, bool asked) {
    char *text = asked ? equations_as_set(chosen) : NULL;
    if (!asked || text != NULL)
        print_lines(asked ? text : chosen->cell->equations);
    free(text);
    return !asked || text != NULL;
}

/* The equations of a text without its comments in front, which are the summary and the source. */
static const char *without_comments(const char *text) {
    while (*text == '#' || *text == '\n') {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

/* Whether a layer of these sizes can be made of a cell. */
static bool check_sizes(const chosen_cell *chosen, const request *asked, char *error) {
    const cb_rnn_options options = {.hidden = asked->hidden, .settings = chosen->settings};
    cb_error reason = {.message = "out of memory"};
    cb_scan *scan = cb_cell_scan_new(chosen->cell, CB_F32, asked->input, &options, &reason);
    cb_scan_free(scan);
    return scan != NULL || failure(error, FAILURE_SIZE, "%s", reason.message);
}

static bool print_cell(const chosen_cell *chosen, const request *asked) {
    const cb_cell *cell = chosen->cell;
    bool alone = asked->which.count > 0;
    printf("%s\n    %s\n", cell->name, cell->summary == NULL ? "" : cell->summary);
    if (chosen->text != NULL && !alone)
        print_lines(without_comments(chosen->text));
    else if (cell->equations != NULL && !print_equations(chosen, alone))
        return false;
    printf("    %" PRId64 " parameters with input %" PRId64 " and hidden %" PRId64 ", %" PRId64
           " without biases\n",
           cb_cell_parameters(cell, asked->input, asked->hidden, false, chosen->settings),
           asked->input, asked->hidden,
           cb_cell_parameters(cell, asked->input, asked->hidden, true, chosen->settings));
    return true;
}

static bool print_cells(const chosen_cell *const *cells, int count, const request *asked) {
    for (int i = 0; i < count; i++) {
        fputs(i == 0 ? "" : "\n", stdout);
        if (!print_cell(cells[i], asked))
            return false;
    }
    return true;
}

/* ---- For programs ---------------------------------------------------------------------------- */

static json_t *cell_json(const chosen_cell *chosen, const request *asked) {
    const cb_cell *cell = chosen->cell;
    char *text = asked->set != NULL ? equations_as_set(chosen) : NULL;
    if (asked->set != NULL && text == NULL)
        return NULL;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", cell->name, "summary",
        cell->summary == NULL ? "" : cell->summary, "equations",
        text != NULL              ? text
        : cell->equations == NULL ? ""
                                  : cell->equations,
        "input", (json_int_t)asked->input, "hidden", (json_int_t)asked->hidden, "parameters",
        (json_int_t)cb_cell_parameters(cell, asked->input, asked->hidden, false, chosen->settings),
        "parameters_without_biases",
        (json_int_t)cb_cell_parameters(cell, asked->input, asked->hidden, true, chosen->settings));
    free(text);
    return object;
}

static bool print_json(const chosen_cell *const *cells, int count, const request *asked) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, cell_json(cells[i], asked));
    bool complete = json_array_size(list) == (size_t)count;
    int written = complete ? json_dumpf(list, stdout, JSON_INDENT(2)) : -1;
    json_decref(list);
    fputc('\n', stdout);
    return written == 0;
}

/* ---- The command ----------------------------------------------------------------------------- */

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"input", .whole = &asked->input, .value = "N", .help = "features of the input", .low = 1,
         .high = MODEL_LARGEST},
        {"hidden", .whole = &asked->hidden, .value = "N", .help = "hidden size", .low = 1,
         .high = MODEL_LARGEST},
        {"set", .string = &asked->set, .value = "NAME=X", .help = SET_OPTION_HELP, .joined = true},
        {"names", .flag = &asked->names, .help = "print the names only, one in a line"},
        {"json", .flag = &asked->json,
         .help =
             "print a JSON array of objects; with --set, the equations with these hyperparameters"},
        {.name = NULL},
    };
    const option_table table = {.command = "cells",
                                .synopsis = "[OPTION ...] [CELL ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows,
                                .operand = "CELL",
                                .operands = &asked->which};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    if (outcome == OPTIONS_RUN && asked->set != NULL && asked->which.count == 0) {
        failure(error, FAILURE_SIZE, "--set means nothing without CELL");
        return OPTIONS_BAD;
    }
    if (outcome == OPTIONS_RUN && asked->which.count > MOST_CELLS) {
        failure(error, FAILURE_SIZE, "more than %d cells", MOST_CELLS);
        return OPTIONS_BAD;
    }
    return outcome;
}

/* The cells that are asked for, or all; how many, or -1 with the exit code in *status. */
static int choose(const request *asked, const chosen_cell **cells, int *status, char *error) {
    const char **names = asked->which.count == 0 ? cell_names() : NULL;
    const char *const *which = asked->which.count == 0 ? names : asked->which.values;
    int count = 0;
    bool good = which != NULL || failure(error, FAILURE_SIZE, "out of memory");
    size_t most = asked->which.count == 0 ? MOST_CELLS : asked->which.count;
    for (; good && (size_t)count < most && which[count] != NULL; count++) {
        cells[count] = cell_choose(which[count], asked->set, error);
        *status = cells[count] != NULL || cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE;
        good = cells[count] != NULL &&
               (asked->which.count == 0 || check_sizes(cells[count], asked, error));
    }
    free(names);
    return good ? count : -1;
}

static int print(const request *asked, char *error) {
    const chosen_cell *cells[MOST_CELLS];
    int status = EXIT_FAILURE, count = choose(asked, cells, &status, error);
    if (count < 0)
        return command_fail("cells", status, error);
    for (int i = 0; i < count && asked->names; i++)
        puts(cells[i]->name);
    bool good = asked->names  ? true
                : asked->json ? print_json(cells, count, asked)
                              : print_cells(cells, count, asked);
    return good && !ferror(stdout)
               ? EXIT_SUCCESS
               : command_fail("cells", EXIT_FAILURE, "cannot write standard output");
}

int cerebra_cells(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.input = 512, .hidden = 512};
    options_outcome outcome = parse(&asked, argc, argv, error);
    int status = outcome == OPTIONS_HELP  ? EXIT_SUCCESS
                 : outcome == OPTIONS_BAD ? command_fail("cells", EXIT_USAGE, error)
                                          : print(&asked, error);
    free(asked.which.values);
    return status;
}
