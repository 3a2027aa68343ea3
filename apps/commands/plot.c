/* `cerebra plot A.csv B.csv ...`: reads a curve from each log and draws them into one chart. All
   logs are read before anything is written, so that a bad one costs nothing. */
#include "plot.h"

#include "apps/chart/chart.h"
#include "apps/chart/csv.h"
#include "apps/cli/failure.h"
#include "apps/cli/suggest.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const char help_text[] =
    "Usage: cerebra plot [OPTION ...] FILE ...\n"
    "Draws one curve for each FILE, a training log in CSV with a header row (\"-\": standard\n"
    "input), into a chart. Lines like \"[12] loss : 3.56\" are understood as well.\n"
    "\n"
    "  -o, --out FILE      write to FILE.png or FILE.svg (plot.png; \"-\" is PNG on standard "
    "output)\n"
    "      --x COLUMN      the column along the x axis (epoch, step, iteration, or the first)\n"
    "      --y COLUMN      the column along the y axis (loss, or the only other one)\n"
    "      --label NAME    what the legend calls a curve; once for each FILE, in their order\n"
    "                      (the file's name)\n"
    "      --title TEXT    a title above the chart (none)\n"
    "      --xlabel TEXT   the text along the x axis (the column's name)\n"
    "      --ylabel TEXT   the text along the y axis (the column's name)\n"
    "      --log-x         logarithmic x axis\n"
    "      --log-y         logarithmic y axis\n"
    "      --smooth N      moving average over N points, before the points themselves in pale\n"
    "      --xmin, --xmax, --ymin, --ymax NUMBER\n"
    "                      the ends of the axes (from the points)\n"
    "      --width N       width in pixels, 100 to 10000 (1600)\n"
    "      --height N      height in pixels, 100 to 10000 (1000)\n"
    "  -q, --quiet         do not say what was written\n"
    "  -h, --help          this text\n"
    "\n"
    "Exit status: 0 done, 1 a file cannot be read or written or holds no points, 2 wrong usage.\n";

enum option_code {
    OPTION_X = 256,
    OPTION_Y,
    OPTION_LABEL,
    OPTION_TITLE,
    OPTION_X_LABEL,
    OPTION_Y_LABEL,
    OPTION_LOG_X,
    OPTION_LOG_Y,
    OPTION_SMOOTH,
    OPTION_X_MIN,
    OPTION_X_MAX,
    OPTION_Y_MIN,
    OPTION_Y_MAX,
    OPTION_WIDTH,
    OPTION_HEIGHT,
};

static const struct option long_options[] = {
    {"out", required_argument, NULL, 'o'},
    {"x", required_argument, NULL, OPTION_X},
    {"y", required_argument, NULL, OPTION_Y},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"title", required_argument, NULL, OPTION_TITLE},
    {"xlabel", required_argument, NULL, OPTION_X_LABEL},
    {"ylabel", required_argument, NULL, OPTION_Y_LABEL},
    {"log-x", no_argument, NULL, OPTION_LOG_X},
    {"log-y", no_argument, NULL, OPTION_LOG_Y},
    {"smooth", required_argument, NULL, OPTION_SMOOTH},
    {"xmin", required_argument, NULL, OPTION_X_MIN},
    {"xmax", required_argument, NULL, OPTION_X_MAX},
    {"ymin", required_argument, NULL, OPTION_Y_MIN},
    {"ymax", required_argument, NULL, OPTION_Y_MAX},
    {"width", required_argument, NULL, OPTION_WIDTH},
    {"height", required_argument, NULL, OPTION_HEIGHT},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* What the command line asks for; the arrays are owned, what they point to is argv's. */
typedef struct request {
    const char *out;
    const char *x_column, *y_column;
    const char **labels; /* argc of them fit */
    size_t label_count;
    char **files;
    size_t file_count;
    bool quiet, help;
    chart_options chart;
} request;

static bool parse_whole(const char *option, const char *text, long low, long high, long *value,
                        char *error) {
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || *value < low || *value > high) {
        return failure(error, FAILURE_SIZE, "--%s must be a whole number from %ld to %ld, not %s",
                       option, low, high, text);
    }
    return true;
}

static bool parse_limit(const char *option, const char *text, chart_limit *limit, char *error) {
    char *end;
    limit->set = true;
    limit->value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(limit->value))
        return failure(error, FAILURE_SIZE, "--%s must be a number, not %s", option, text);
    return true;
}

/* The options that hold a number. */
static bool take_number(request *asked, int code, const char *text, char *error) {
    long whole;
    chart_options *chart = &asked->chart;
    switch (code) {
    case OPTION_SMOOTH:
        if (!parse_whole("smooth", text, 1, 1000000, &whole, error))
            return false;
        chart->smooth = (size_t)whole;
        return true;
    case OPTION_WIDTH:
    case OPTION_HEIGHT:
        if (!parse_whole(code == OPTION_WIDTH ? "width" : "height", text, CHART_SMALLEST,
                         CHART_LARGEST, &whole, error))
            return false;
        *(code == OPTION_WIDTH ? &chart->width : &chart->height) = (int)whole;
        return true;
    case OPTION_X_MIN:
        return parse_limit("xmin", text, &chart->x_min, error);
    case OPTION_X_MAX:
        return parse_limit("xmax", text, &chart->x_max, error);
    case OPTION_Y_MIN:
        return parse_limit("ymin", text, &chart->y_min, error);
    default:
        return parse_limit("ymax", text, &chart->y_max, error);
    }
}

static bool take_option(request *asked, int code, const char *value, char *error) {
    switch (code) {
    case 'o':
        asked->out = value;
        return true;
    case 'q':
        asked->quiet = true;
        return true;
    case 'h':
        asked->help = true;
        return true;
    case OPTION_X:
        asked->x_column = value;
        return true;
    case OPTION_Y:
        asked->y_column = value;
        return true;
    case OPTION_LABEL:
        asked->labels[asked->label_count++] = value;
        return true;
    case OPTION_TITLE:
        asked->chart.title = value;
        return true;
    case OPTION_X_LABEL:
        asked->chart.x_label = value;
        return true;
    case OPTION_Y_LABEL:
        asked->chart.y_label = value;
        return true;
    case OPTION_LOG_X:
        asked->chart.log_x = true;
        return true;
    case OPTION_LOG_Y:
        asked->chart.log_y = true;
        return true;
    default:
        return take_number(asked, code, value, error);
    }
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
    if (asked->file_count == 0)
        return failure(error, FAILURE_SIZE, "name at least one log to draw");
    if (asked->label_count > asked->file_count) {
        return failure(error, FAILURE_SIZE, "more labels (%zu) than files (%zu)",
                       asked->label_count, asked->file_count);
    }
    if (!chart_path_supported(asked->out))
        return failure(error, FAILURE_SIZE, "--out must end in .png or .svg, not %s", asked->out);
    return check_limits("x", chart->x_min, chart->x_max, chart->log_x, error) &&
           check_limits("y", chart->y_min, chart->y_max, chart->log_y, error);
}

static bool parse_command_line(int argc, char **argv, request *asked, char *error) {
    opterr = 0;
    optind = 0; /* glibc: start afresh, whatever the caller has parsed before */
    int code;
    while ((code = getopt_long(argc, argv, ":o:qh", long_options, NULL)) != -1) {
        if (code == '?' || code == ':') {
            suggest_option_message(code, argv[optind - 1], long_options, error, FAILURE_SIZE);
            return false;
        }
        if (!take_option(asked, code, optarg, error))
            return false;
    }
    asked->files = argv + optind;
    asked->file_count = (size_t)(argc - optind);
    return asked->help || check_request(asked, error);
}

/* The file's name without directories and ending; with them when another file has the same. */
static char *default_label(const request *asked, size_t index) {
    const char *path = asked->files[index];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    size_t length = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    for (size_t i = 0; i < asked->file_count; i++) {
        const char *other = strrchr(asked->files[i], '/');
        other = other == NULL ? asked->files[i] : other + 1;
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
    for (size_t i = 0; i < asked->file_count; i++) {
        if (!csv_read_series(asked->files[i], asked->x_column, asked->y_column, &logs[i], error,
                             FAILURE_SIZE))
            return false;
        if (logs[i].count == 0)
            return failure(error, FAILURE_SIZE, "%s: no rows below the header", asked->files[i]);
        labels[i] = i < asked->label_count ? strdup(asked->labels[i]) : default_label(asked, i);
        if (labels[i] == NULL)
            return failure(error, FAILURE_SIZE, "out of memory");
        series[i] = (chart_series){
            .label = labels[i], .count = logs[i].count, .x = logs[i].x, .y = logs[i].y};
    }
    return true;
}

static bool draw(request *asked, const char *command, char *error) {
    size_t count = asked->file_count;
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
    if (command == NULL) {
        fprintf(stderr, "cerebra plot: out of memory\n");
        return EXIT_FAILURE;
    }
    if (!parse_command_line(argc, argv, asked, error)) {
        fprintf(stderr, "cerebra plot: %s; see cerebra plot --help\n", error);
        status = EXIT_USAGE;
    } else if (asked->help) {
        fputs(help_text, stdout);
    } else if (!draw(asked, command, error)) {
        fprintf(stderr, "cerebra plot: %s\n", error);
        status = EXIT_FAILURE;
    } else if (!asked->quiet) {
        fprintf(stderr, "cerebra plot: wrote %s\n", asked->out);
    }
    free(command);
    return status;
}

int cerebra_plot(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.out = "plot.png"};
    asked.labels = calloc((size_t)argc + 1, sizeof *asked.labels);
    if (asked.labels == NULL) {
        fprintf(stderr, "cerebra plot: out of memory\n");
        return EXIT_FAILURE;
    }
    int status = run(&asked, argc, argv, error);
    free(asked.labels);
    return status;
}
