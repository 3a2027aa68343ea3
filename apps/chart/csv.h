/* Reading curves out of training logs. */
#ifndef CEREBRA_APPS_CHART_CSV_H
#define CEREBRA_APPS_CHART_CSV_H

#include <stdbool.h>
#include <stddef.h>

/* Two columns of a log, owned by whoever had them read. */
typedef struct csv_series {
    size_t count;
    double *x, *y;         /* count numbers each; NaN is a gap */
    char *x_name, *y_name; /* what the columns are called */
    double *seed;          /* of each row; NULL without a column "seed" */
    double *low, *high;    /* the band around y; NULL where there is none */
    size_t seeds;          /* of which y is the mean; 0 before csv_group_seeds */
} csv_series;

/* Reads two columns of the file at path ("-": standard input), a value for each row.

   Two forms are understood. A table: a header row of column names, then rows of as many fields,
   separated by commas, semicolons or tabs (whichever the header has most of). Fields may be quoted
   and then hold separators, line ends and "" for a quotation mark; blank lines and lines that begin
   with # are skipped. Numbers have a decimal point or, except between commas, a decimal comma, the
   same in the whole file. An empty field, NA, N/A, nan, None, null and - are NaN. A row of names
   that has the columns again, as where one run's log was appended to another's, is a new header.
   And the logs of the paper's author: lines `[12] loss : 3.56`, whose columns are called "epoch"
   and "loss" (the word on the line).

   x_column and y_column name the columns, in any case of ASCII letters. NULL for x takes "epoch",
   "step", "global_step" or "iteration", whichever is there, else the first column that is not y;
   NULL for y takes "loss" or "train_loss", else the only column that is neither x nor the seed. In
   a table of one column x is the row's number, from 0, and is called "row".

   A missing file, a column that is not there or is there twice, or a malformed row is an error,
   "FILE:LINE: what is wrong"; then series is empty and owns nothing. A file without rows is not an
   error: count is 0. */
bool csv_read_series(const char *path, const char *x_column, const char *y_column,
                     csv_series *series, char *error, size_t error_size);

/* The same for `count` columns at once, as curves to draw: series[i] has y_columns[i], which may be
   NULL for the one that csv_read_series would take.

   What differs: a row whose field is empty, but which has a number in another column than x and
   seed, is left out of the series, because logs of several quantities have rows that are of one of
   them only. Where a run that was appended to another begins at an x that was there before, a point
   of NaN separates the two; and seed is filled. */
bool csv_read_curves(const char *path, const char *x_column, const char *const *y_columns,
                     size_t count, csv_series *series, char *error, size_t error_size);

/* Replaces the rows of several seeds by one row for each x, in ascending order: y is the mean over
   the seeds that have a row there, NaN where one of them has NaN; low and high are the lowest and
   the highest of them. A series without seeds or of one seed stays as it is. False when there is no
   memory. */
bool csv_group_seeds(csv_series *series);

/* Frees what series owns and empties it; an empty one is left alone. */
void csv_free_series(csv_series *series);

#endif
