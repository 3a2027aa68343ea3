/* `cerebra plot A.csv B.csv ...`: reads a curve from each log and draws them into one chart. All
   logs are read before anything is written, so that a bad one costs nothing. */
#include "apps/chart/chart.h"
#include "apps/chart/csv.h"
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Draws one curve for each FILE, a training log in CSV with a header row (\"-\": standard "
    "input), into a chart. Lines like \"[12] loss : 3.56\" are understood as well.\n";

static const char notes[] =
    "Exit status: 0 done, 1 a file cannot be read or written or holds no points, 2 wrong usage.\n";

/* What the command line asks for. */
typedef struct request {
    const char *out;
    const char *x_column, *y_column;
    option_list labels, files; /* owned */
    int64_t width, height, smooth;
    bool quiet;
    chart_options chart;
} request;

/* Adds rows to a table that has room for them. */
static void append(option_row *rows, int *count, const option_row *more, size_t bytes) {
    memcpy(rows + *count, more, bytes);
    *count += (int)(bytes / sizeof(option_row));
}

static void add_content_options(request *asked, option_row *rows, int *count) {
    const option_row mine[] = {
        {"out", 'o', .string = &asked->out, .value = "FILE",
         .help = "write to FILE.png or FILE.svg; \"-\" is PNG on standard output"},
        {"x", .string = &asked->x_column, .value = "COLUMN",
         .help = "the column along the x axis (epoch, step, iteration, or the first)"},
        {"y", .string = &asked->y_column, .value = "COLUMN",
         .help = "the column along the y axis (loss, or the only other one)"},
        {"label", .list = &asked->labels, .value = "NAME",
         .help = "what the legend calls a curve; once for each FILE, in their order (the file's "
                 "name)"},
        {"title", .string = &asked->chart.title, .value = "TEXT",
         .help = "a title above the chart (none)"},
        {"xlabel", .string = &asked->chart.x_label, .value = "TEXT",
         .help = "the text along the x axis (the column's name)"},
        {"ylabel", .string = &asked->chart.y_label, .value = "TEXT",
         .help = "the text along the y axis (the column's name)"},
        {"smooth", .whole = &asked->smooth, .value = "N",
         .help = "moving average over N points, before the points themselves in pale", .low = 1,
         .high = 1000000},
    };
    append(rows, count, mine, sizeof mine);
}

static void add_axis_options(request *asked, option_row *rows, int *count) {
    chart_options *chart = &asked->chart;
    struct {
        const char *name, *help;
        chart_limit *limit;
    } limits[] = {{"xmin", "where the x axis begins (from the points)", &chart->x_min},
                  {"xmax", "where it ends", &chart->x_max},
                  {"ymin", "where the y axis begins (from the points)", &chart->y_min},
                  {"ymax", "where it ends", &chart->y_max}};
    const option_row mine[] = {
        {"log-x", .flag = &chart->log_x, .help = "logarithmic x axis"},
        {"log-y", .flag = &chart->log_y, .help = "logarithmic y axis"},
        {"width", .whole = &asked->width, .value = "N", .help = "width in pixels",
         .low = CHART_SMALLEST, .high = CHART_LARGEST},
        {"height", .whole = &asked->height, .value = "N", .help = "height in pixels",
         .low = CHART_SMALLEST, .high = CHART_LARGEST},
        {"quiet", 'q', .flag = &asked->quiet, .help = "do not say what was written"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        limits[i].limit->value = NAN;
        rows[(*count)++] = (option_row){limits[i].name,
                                        .number = &limits[i].limit->value,
                                        .given = &limits[i].limit->set,
                                        .value = "X",
                                        .help = limits[i].help,
                                        .low = -INFINITY,
                                        .high = INFINITY};
    }
    append(rows, count, mine, sizeof mine);
}

/* Limits that no data can satisfy are a mistake in the command, not in the files. */
static bool check_limits(const char *axis, chart_limit low, chart_limit high, bool logarithmic,
                         char *error) {
    if (low.set && high.set && low.value >= high.value)
        return failure(error, FAILURE_SIZE, "--%smin must be less than --%smax", axis, axis);
    if (logarithmic && ((low.set && low.value <= 0) || (high.set && high.value <= 0))) {
        return failure(error, FAILURE_SIZE, "--%smin and --%smax must be positive with --log-%s",
                       axis, axis, axis);
    }
    return true;
}

static bool check_request(const request *asked, char *error) {
    const chart_options *chart = &asked->chart;
    if (asked->files.count == 0)
        return failure(error, FAILURE_SIZE, "name at least one log to draw");
    if (asked->labels.count > asked->files.count) {
        return failure(error, FAILURE_SIZE, "more labels (%zu) than files (%zu)",
                       asked->labels.count, asked->files.count);
    }
    if (!chart_path_supported(asked->out))
        return failure(error, FAILURE_SIZE, "--out must end in .png or .svg, not %s", asked->out);
    return check_limits("x", chart->x_min, chart->x_max, chart->log_x, error) &&
           check_limits("y", chart->y_min, chart->y_max, chart->log_y, error);
}

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    int count = 0;
    option_row rows[OPTIONS_MOST] = {{.name = NULL}};
    add_content_options(asked, rows, &count);
    add_axis_options(asked, rows, &count);
    const option_table table = {.command = "plot",
                                .synopsis = "[OPTION ...] FILE ...",
                                .about = about,
                                .notes = notes,
                                .rows = rows,
                                .operand = "FILE",
                                .operands = &asked->files};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    asked->chart.width = (int)asked->width;
    asked->chart.height = (int)asked->height;
    asked->chart.smooth = (size_t)asked->smooth;
    return outcome == OPTIONS_RUN && !check_request(asked, error) ? OPTIONS_BAD : outcome;
}

/* The file's name without directories and ending; with them when another file has the same. */
static char *default_label(const request *asked, size_t index) {
    const char *path = asked->files.values[index];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    size_t length = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    for (size_t i = 0; i < asked->files.count; i++) {
        const char *other = strrchr(asked->files.values[i], '/');
        other = other == NULL ? asked->files.values[i] : other + 1;
        if (i != index && strncmp(other, name, length) == 0 &&
            (other[length] == '.' || other[length] == '\0'))
            return strdup(path);
    }
    return strcmp(path, "-") == 0 ? strdup("standard input") : strndup(name, length);
}

/* The command as it was typed, for the chart's metadata. NULL when there is no memory. */
static char *command_text(int argc, char **argv) {
    size_t size = sizeof "cerebra";
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 3;
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    size_t length = (size_t)snprintf(text, size, "cerebra");
    for (int i = 0; i < argc; i++) {
        const char *quote = argv[i][strcspn(argv[i], " \t\n$*?'\"\\")] != '\0' ? "\"" : "";
        length += (size_t)snprintf(text + length, size - length, " %s%s%s", quote, argv[i], quote);
    }
    return text;
}

/* Reads every file; the arrays have room for all. What was read before a failure stays in them. */
static bool read_logs(const request *asked, csv_series *logs, chart_series *series, char **labels,
                      char *error) {
    for (size_t i = 0; i < asked->files.count; i++) {
        if (!csv_read_series(asked->files.values[i], asked->x_column, asked->y_column, &logs[i],
                             error, FAILURE_SIZE))
            return false;
        if (logs[i].count == 0)
            return failure(error, FAILURE_SIZE, "%s: no rows below the header",
                           asked->files.values[i]);
        labels[i] =
            i < asked->labels.count ? strdup(asked->labels.values[i]) : default_label(asked, i);
        if (labels[i] == NULL)
            return failure(error, FAILURE_SIZE, "out of memory");
        series[i] = (chart_series){
            .label = labels[i], .count = logs[i].count, .x = logs[i].x, .y = logs[i].y};
    }
    return true;
}

static bool draw(request *asked, const char *command, char *error) {
    size_t count = asked->files.count;
    csv_series *logs = calloc(count, sizeof *logs);
    chart_series *series = calloc(count, sizeof *series);
    char **labels = calloc(count, sizeof *labels);
    bool ok = logs != NULL && series != NULL && labels != NULL;
    if (!ok) {
        failure(error, FAILURE_SIZE, "out of memory");
        goto cleanup;
    }
    ok = read_logs(asked, logs, series, labels, error);
    if (!ok)
        goto cleanup;
    chart_options *chart = &asked->chart;
    chart->description = command;
    chart->x_label = chart->x_label == NULL ? logs[0].x_name : chart->x_label;
    chart->y_label = chart->y_label == NULL ? logs[0].y_name : chart->y_label;
    ok = chart_write(series, count, chart, asked->out, error, FAILURE_SIZE);
cleanup:
    for (size_t i = 0; i < count; i++) {
        if (logs != NULL)
            csv_free_series(&logs[i]);
        if (labels != NULL)
            free(labels[i]);
    }
    free(labels);
    free(series);
    free(logs);
    return ok;
}

static int run(request *asked, int argc, char **argv, char *error) {
    /* Before getopt_long moves the files behind the options. */
    char *command = command_text(argc, argv);
    int status = EXIT_SUCCESS;
    if (command == NULL)
        return command_fail("plot", EXIT_FAILURE, "out of memory");
    options_outcome outcome = parse(asked, argc, argv, error);
    if (outcome == OPTIONS_BAD)
        status = command_fail("plot", EXIT_USAGE, error);
    else if (outcome == OPTIONS_RUN && !draw(asked, command, error))
        status = command_fail("plot", EXIT_FAILURE, error);
    else if (outcome == OPTIONS_RUN && !asked->quiet)
        fprintf(stderr, "cerebra plot: wrote %s\n", asked->out);
    free(command);
    return status;
}

int cerebra_plot(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.out = "plot.png", .width = CHART_WIDTH, .height = CHART_HEIGHT, .smooth = 1};
    int status = run(&asked, argc, argv, error);
    free(asked.labels.values);
    free(asked.files.values);
    return status;
}
