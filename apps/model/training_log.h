/* The CSV file that training writes, a row for each epoch. */
#ifndef CEREBRA_APPS_MODEL_TRAINING_LOG_H
#define CEREBRA_APPS_MODEL_TRAINING_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What is known of an epoch when it is over. NaN: not measured. */
typedef struct epoch_record {
    int64_t epoch;        /* from 0, as in the logs of the paper's author */
    double loss;          /* mean over the epoch's steps, each before its update */
    double seconds;       /* spent in training steps since the first one */
    double held_out_loss; /* at the end of the epoch */
    double distance;      /* between the halves, at the end of the epoch */
    double rate;          /* learning rate of the epoch's last step */
} epoch_record;

/* The one with the lower held-out loss, of equal ones the first; best may be NULL, and is returned
   where the record's was not measured. */
const epoch_record *epoch_better(const epoch_record *best, const epoch_record *record);

/* Columns epoch, loss, seconds, and as wanted held_out_loss, distance and learning_rate. Losses
   have six significant digits. A log of several runs that differ by their seeds has a column seed
   after epoch, and the runs one after the other. */
typedef struct training_log {
    const char *path; /* borrowed; "-": standard output; NULL: no log is kept */
    bool held_out, distance, rate;
    bool seeded;   /* it is one of several runs */
    bool follows;  /* there are rows of the runs before it in the file already */
    uint64_t seed; /* of this run */
    FILE *stream;  /* NULL before the first row */
} training_log;

/* What a log says of the time that was spent. */
typedef struct logged_times {
    size_t count; /* rows */
    double *seed; /* NULL: the log has no such column */
    double *epoch, *loss, *seconds;
} logged_times;

/* Reads the log at path; one that is not there, or is another's, has no rows. Ended by
   logged_times_free. */
void logged_times_read(const char *path, logged_times *read);
void logged_times_free(logged_times *times);

/* Fills in seconds that are not known (NaN) from the rows of the log that are of the same epochs
   and losses, and of the same seed where there are several. */
void logged_times_find(const logged_times *times, uint64_t seed, epoch_record *records,
                       int64_t count);

/* Whether a log can be written at path. Changes nothing. */
bool training_log_check_path(const char *path, char *error);

/* Adds a row and flushes it. The first row replaces the file, so that a run that comes to nothing
   leaves an earlier log as it was. */
bool training_log_add(training_log *log, const epoch_record *record, char *error);

/* Begins a log that goes on after `count` epochs that were recorded before: they are written first,
   in place of what the file has unless this run follows others. */
bool training_log_resume(training_log *log, const epoch_record *records, int64_t count,
                         char *error);

/* Closes the file; false when what was written did not reach it. */
bool training_log_close(training_log *log, char *error);

#endif
