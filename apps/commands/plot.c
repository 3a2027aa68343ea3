/* `cerebra plot A.csv B.csv ...`: draws curves from logs (plot_curves.c) into one chart. All logs
   are read before anything is written, so that a bad one costs nothing. */
#include "apps/chart/chart.h"
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "plot_curves.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Draws a curve for each FILE, a training log with a header row (\"-\": standard input), into a "
    "chart. Columns are separated by commas, semicolons or tabs; NA, nan, None and the like are "
    "gaps. "
    "An empty field is one too, unless the row has numbers in other columns: then it is theirs, "
    "and "
    "the line goes on. Lines like \"[12] loss : 3.56\" are understood as well.\n"
    "A file with a column \"seed\" becomes one line, the mean over the seeds that have the x, in a "
    "band from the lowest to the highest of them.\n";

static const char notes[] =
    "Exit status: 0 done, 1 a file cannot be read or written or holds no points, 2 wrong usage.\n";

/* What the command line asks for. */
typedef struct request {
    const char *out;
    plot_request wanted; /* owns its lists */
    int64_t width, height, smooth;
    bool quiet;
    chart_options chart;
} request;

static void add_content_options(request *asked, option_row *rows, int *count) {
    const option_row mine[] = {
        {"out", 'o', .string = &asked->out, .value = "FILE",
         .help = "write to FILE.png, FILE.svg or FILE.pdf; \"-\" is PNG on standard output"},
        {"x", .string = &asked->wanted.x_column, .value = "COLUMN",
         .help = "the column along the x axis (epoch, step, iteration, or the first)"},
        {"y", .list = &asked->wanted.y_columns, .value = "COLUMN",
         .help = "the column along the y axis (loss, or the only other one); given again, another "
                 "curve of each FILE, in the same colour and dashed"},
        {"label", .list = &asked->wanted.labels, .value = "NAME",
         .help = "what the legend calls a curve; once for each, all of the first FILE before those "
                 "of the second (the file's name, the column's where there are several)"},
        {"title", .string = &asked->chart.title, .value = "TEXT",
         .help = "a title above the chart (none)"},
        {"xlabel", .string = &asked->chart.x_label, .value = "TEXT",
         .help = "the text along the x axis (the column's name)"},
        {"ylabel", .string = &asked->chart.y_label, .value = "TEXT",
         .help = "the text along the y axis (the column's name)"},
        {"smooth", .whole = &asked->smooth, .value = "N",
         .help =
             "moving average over N points, before the points themselves in pale; at the ends the "
             "straight line that fits the last N best",
         .low = 1, .high = 1000000},
    };
    options_append(rows, count, mine, sizeof mine);
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
    options_append(rows, count, mine, sizeof mine);
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
    const plot_request *wanted = &asked->wanted;
    size_t curves = wanted->files.count * plot_columns(wanted);
    if (curves == 0)
        return failure(error, FAILURE_SIZE, "name at least one log to draw");
    if (wanted->labels.count > curves) {
        return failure(error, FAILURE_SIZE, "more labels (%zu) than curves (%zu)",
                       wanted->labels.count, curves);
    }
    if (!chart_path_supported(asked->out))
        return failure(error, FAILURE_SIZE, "--out must end in .png, .svg or .pdf, not %s",
                       asked->out);
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
                                .operands = &asked->wanted.files};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    asked->chart.width = (int)asked->width;
    asked->chart.height = (int)asked->height;
    asked->chart.smooth = (size_t)asked->smooth;
    return outcome == OPTIONS_RUN && !check_request(asked, error) ? OPTIONS_BAD : outcome;
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

static bool draw(request *asked, const char *command, char notice[CHART_NOTICE_SIZE], char *error) {
    plot_curves curves;
    chart_options *chart = &asked->chart;
    bool ok = plot_read_curves(&asked->wanted, &curves, error);
    if (ok) {
        chart->description = command;
        chart->notice = notice;
        chart->x_label = chart->x_label == NULL ? curves.x_label : chart->x_label;
        chart->y_label = chart->y_label == NULL ? curves.y_label : chart->y_label;
        ok = chart_write(curves.series, curves.count, chart, asked->out, error, FAILURE_SIZE);
    }
    plot_free_curves(&curves);
    return ok;
}

static int run(request *asked, int argc, char **argv, char *error) {
    /* Before getopt_long moves the files behind the options. */
    char *command = command_text(argc, argv);
    int status = EXIT_SUCCESS;
    if (command == NULL)
        return command_fail("plot", EXIT_FAILURE, "out of memory");
    char notice[CHART_NOTICE_SIZE] = "";
    options_outcome outcome = parse(asked, argc, argv, error);
    if (outcome == OPTIONS_BAD)
        status = command_fail("plot", EXIT_USAGE, error);
    else if (outcome == OPTIONS_RUN && !draw(asked, command, notice, error))
        status = command_fail("plot", EXIT_FAILURE, error);
    else if (outcome == OPTIONS_RUN && !asked->quiet)
        fprintf(stderr, "cerebra plot: wrote %s\n", asked->out);
    if (*notice != '\0')
        fprintf(stderr, "cerebra plot: note: %s\n", notice);
    free(command);
    return status;
}

int cerebra_plot(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.out = "plot.png", .width = CHART_WIDTH, .height = CHART_HEIGHT, .smooth = 1};
    int status = run(&asked, argc, argv, error);
    free(asked.wanted.labels.values);
    free(asked.wanted.files.values);
    free(asked.wanted.y_columns.values);
    return status;
}
