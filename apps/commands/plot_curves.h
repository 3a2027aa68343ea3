/* The curves of a chart from the logs that a command line names. */
#ifndef CEREBRA_APPS_COMMANDS_PLOT_CURVES_H
#define CEREBRA_APPS_COMMANDS_PLOT_CURVES_H

#include "apps/chart/chart.h"
#include "apps/chart/csv.h"
#include "apps/cli/options.h"

typedef struct plot_request {
    const char *x_column;  /* NULL: the usual one */
    option_list y_columns; /* none: the usual one */
    option_list files, labels;
} plot_request;

typedef struct plot_curves {
    size_t count; /* the columns of the first file, then those of the second ... */
    chart_series *series;
    csv_series *logs;
    char **labels;
    const char *x_label; /* what the first curve's x is called */
    char *y_label;       /* the names of all columns */
} plot_curves;

/* How many curves there are of each file. */
size_t plot_columns(const plot_request *wanted);

/* Reads all logs; error has room for FAILURE_SIZE bytes. Free with plot_free_curves either way. */
bool plot_read_curves(const plot_request *wanted, plot_curves *curves, char *error);
void plot_free_curves(plot_curves *curves);

#endif
