/* Reading one curve out of a training log. */
#ifndef CEREBRA_APPS_CHART_CSV_H
#define CEREBRA_APPS_CHART_CSV_H

#include <stdbool.h>
#include <stddef.h>

/* Two columns of a log, owned by whoever called csv_read_series. */
typedef struct csv_series {
    size_t count;
    double *x, *y;         /* count numbers each; NaN where the log has "nan" or an empty field */
    char *x_name, *y_name; /* what the columns are called */
} csv_series;

/* Reads two columns of the file at path ("-": standard input).

   Two forms are understood. Comma-separated values: a header row of column names, then a number in
   each field that is read; fields may be quoted, lines may end in CR LF, blank lines and lines that
   begin with # are skipped. And the logs of the paper's author: lines `[12] loss : 3.56`, whose
   columns are called "epoch" and "loss" (the word on the line).

   x_column and y_column name the columns, in any case of ASCII letters. NULL for x takes "epoch",
   "step" or "iteration", whichever is there, else the first column that is not y; NULL for y takes
   "loss", else the only column that is not x. In a table of one column x is the row's number, from
   0, and is called "row".

   A missing file, a column that is not there, or a malformed row is an error, "FILE:LINE: what is
   wrong"; then series is empty and owns nothing. A file without rows is not an error: count is 0.
 */
bool csv_read_series(const char *path, const char *x_column, const char *y_column,
                     csv_series *series, char *error, size_t error_size);

/* Frees what series owns and empties it; an empty one is left alone. */
void csv_free_series(csv_series *series);

#endif
