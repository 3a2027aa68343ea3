/* Curves from logs; see plot_curves.h. */
#include "plot_curves.h"

#include "apps/cli/failure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t plot_columns(const plot_request *wanted) {
    return wanted->y_columns.count == 0 ? 1 : wanted->y_columns.count;
}

/* The file's name without directories and ending; with them when another file has the same. */
static char *file_name(const plot_request *wanted, size_t index) {
    const char *path = wanted->files.values[index];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    size_t length = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    for (size_t i = 0; i < wanted->files.count; i++) {
        const char *other = strrchr(wanted->files.values[i], '/');
        other = other == NULL ? wanted->files.values[i] : other + 1;
        if (i != index && strncmp(other, name, length) == 0 &&
            (other[length] == '.' || other[length] == '\0'))
            return strdup(path);
    }
    return strcmp(path, "-") == 0 ? strdup("standard input") : strndup(name, length);
}

/* A text that the caller frees, or NULL. */
static char *join(const char *first, const char *between, const char *second) {
    size_t size = strlen(first) + strlen(between) + strlen(second) + 1;
    char *joined = malloc(size);
    if (joined != NULL)
        snprintf(joined, size, "%s%s%s", first, between, second);
    return joined;
}

/* What curve `column` of a file is called in the legend. */
static char *default_label(const plot_request *wanted, size_t file, const csv_series *log) {
    char mean[64] = "";
    if (log->seeds > 1)
        snprintf(mean, sizeof mean, ", mean of %zu seeds", log->seeds);
    char *name = file_name(wanted, file);
    char *label = name;
    if (name != NULL && plot_columns(wanted) > 1) {
        label = wanted->files.count == 1 ? strdup(log->y_name) : join(name, ", ", log->y_name);
        free(name);
    }
    char *whole = label == NULL ? NULL : join(label, mean, "");
    free(label);
    return whole;
}

/* Reads the curves of one file, from number `first` on. */
static bool read_file(const plot_request *wanted, size_t file, plot_curves *curves, char *error) {
    static const char *const usual[] = {NULL};
    size_t columns = plot_columns(wanted);
    size_t first = file * columns;
    const char *path = wanted->files.values[file];
    if (!csv_read_curves(path, wanted->x_column,
                         wanted->y_columns.count == 0 ? usual : wanted->y_columns.values, columns,
                         curves->logs + first, error, FAILURE_SIZE))
        return false;
    for (size_t i = first; i < first + columns; i++) {
        csv_series *log = &curves->logs[i];
        if (log->count == 0)
            return failure(error, FAILURE_SIZE, "%s: no rows below the header", path);
        bool ok = csv_group_seeds(log);
        curves->labels[i] = !ok                        ? NULL
                            : i < wanted->labels.count ? strdup(wanted->labels.values[i])
                                                       : default_label(wanted, file, log);
        if (curves->labels[i] == NULL)
            return failure(error, FAILURE_SIZE, "out of memory");
        curves->series[i] = (chart_series){.label = curves->labels[i],
                                           .count = log->count,
                                           .x = log->x,
                                           .y = log->y,
                                           .low = log->low,
                                           .high = log->high};
        if (columns > 1) { /* a file is a colour, a column a kind of dashes */
            curves->series[i].color = file % CHART_COLORS + 1;
            curves->series[i].dash = file / CHART_COLORS * columns + i - first;
        }
    }
    return true;
}

/* The columns' names, each once. */
static bool name_y(const plot_request *wanted, plot_curves *curves) {
    curves->y_label = strdup(curves->logs[0].y_name);
    for (size_t i = 1; i < plot_columns(wanted) && curves->y_label != NULL; i++) {
        char *longer = join(curves->y_label, ", ", curves->logs[i].y_name);
        free(curves->y_label);
        curves->y_label = longer;
    }
    return curves->y_label != NULL;
}

bool plot_read_curves(const plot_request *wanted, plot_curves *curves, char *error) {
    size_t count = wanted->files.count * plot_columns(wanted);
    *curves = (plot_curves){.count = count,
                            .series = calloc(count, sizeof *curves->series),
                            .logs = calloc(count, sizeof *curves->logs),
                            .labels = calloc(count, sizeof *curves->labels)};
    if (curves->series == NULL || curves->logs == NULL || curves->labels == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    for (size_t i = 0; i < wanted->files.count; i++)
        if (!read_file(wanted, i, curves, error))
            return false;
    curves->x_label = curves->logs[0].x_name;
    return name_y(wanted, curves) || failure(error, FAILURE_SIZE, "out of memory");
}

void plot_free_curves(plot_curves *curves) {
    for (size_t i = 0; i < curves->count; i++) {
        if (curves->logs != NULL)
            csv_free_series(&curves->logs[i]);
        if (curves->labels != NULL)
            free(curves->labels[i]);
    }
    free(curves->series);
    free(curves->logs);
    free(curves->labels);
    free(curves->y_label);
    *curves = (plot_curves){0};
}
