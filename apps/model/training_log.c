/* Rows are appended to the open file rather than written through a temporary one: a log is there to
   be followed while training runs, and survives whatever ends it. */
#include "training_log.h"

#include "apps/chart/csv.h"
#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const epoch_record *epoch_better(const epoch_record *best, const epoch_record *record) {
    bool better = !isnan(record->held_out_loss) &&
                  (best == NULL || record->held_out_loss < best->held_out_loss);
    return better ? record : best;
}

static bool is_regular(const char *path) {
    struct stat status;
    return strcmp(path, "-") != 0 && (stat(path, &status) != 0 || S_ISREG(status.st_mode));
}

static bool is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool training_log_check_path(const char *path, char *error) {
    replacement probe;
    /* Who reads a pipe would take its being closed again for the end. */
    if (!is_regular(path) && !is_directory(path))
        return true;
    if (!replacement_open(&probe, path, error, FAILURE_SIZE))
        return false;
    replacement_abandon(&probe);
    return true;
}

static bool write_failure(const training_log *log, int reason, char *error) {
    return failure(error, FAILURE_SIZE, "cannot write %s: %s",
                   strcmp(log->path, "-") == 0 ? "standard output" : log->path, strerror(reason));
}

static void write_header(const training_log *log, FILE *stream) {
    fprintf(stream, "epoch%s,loss,seconds%s%s%s\n", log->seeded ? ",seed" : "",
            log->held_out ? ",held_out_loss" : "", log->distance ? ",distance" : "",
            log->rate ? ",learning_rate" : "");
}

static void write_row(const training_log *log, FILE *stream, const epoch_record *record) {
    fprintf(stream, "%" PRId64 ",", record->epoch);
    if (log->seeded)
        fprintf(stream, "%" PRIu64 ",", log->seed);
    fprintf(stream, "%#.6g,", record->loss);
    if (!isnan(record->seconds))
        fprintf(stream, "%.3f", record->seconds);
    if (log->held_out)
        fprintf(stream, ",%#.6g", record->held_out_loss);
    if (log->distance)
        fprintf(stream, ",%#.6g", record->distance);
    if (log->rate)
        fprintf(stream, ",%.9g", record->rate);
    fputc('\n', stream);
}

static bool open_log(training_log *log, const char *mode, char *error) {
    log->stream = strcmp(log->path, "-") == 0 ? stdout : fopen(log->path, mode);
    return log->stream != NULL || write_failure(log, errno, error);
}

static bool start(training_log *log, char *error) {
    if (!open_log(log, log->follows ? "a" : "w", error))
        return false;
    if (!log->follows)
        write_header(log, log->stream);
    return true;
}

/* ---- Going on -------------------------------------------------------------------------------- */

/* Whether a loss of the file, of six digits, is that of a record. */
static bool same_loss(double written, double loss) {
    char text[32];
    snprintf(text, sizeof text, "%#.6g", loss);
    return written == strtod(text, NULL);
}

/* The column of a log; NULL: there is none of that name, or not as many rows. */
static double *read_column(const char *path, const char *name, size_t count) {
    csv_series series = {0};
    double *values = NULL;
    if (csv_read_series(path, "epoch", name, &series, NULL, 0) && series.count == count) {
        values = series.y;
        series.y = NULL;
    }
    csv_free_series(&series);
    return values;
}

void logged_times_read(const char *path, logged_times *read) {
    csv_series losses = {0};
    *read = (logged_times){0};
    if (path == NULL || !is_regular(path) ||
        !csv_read_series(path, "epoch", "loss", &losses, NULL, 0))
        return;
    double *seconds = read_column(path, "seconds", losses.count);
    if (seconds != NULL) {
        *read = (logged_times){losses.count, read_column(path, "seed", losses.count), losses.x,
                               losses.y, seconds};
        losses.x = losses.y = NULL;
    }
    csv_free_series(&losses); /* what has not been taken */
}

void logged_times_free(logged_times *times) {
    free(times->seed);
    free(times->epoch);
    free(times->loss);
    free(times->seconds);
    *times = (logged_times){0};
}

void logged_times_find(const logged_times *times, uint64_t seed, epoch_record *records,
                       int64_t count) {
    int64_t found = 0;
    for (size_t i = 0; i < times->count && found < count; i++) {
        if (times->seed != NULL && times->seed[i] != (double)seed)
            continue;
        epoch_record *record = &records[found];
        if (times->epoch[i] != (double)found || !same_loss(times->loss[i], record->loss))
            return;
        record->seconds = isnan(record->seconds) ? times->seconds[i] : record->seconds;
        found++;
    }
}

static bool write_rows(const training_log *log, FILE *stream, const epoch_record *records,
                       int64_t count) {
    for (int64_t i = 0; i < count; i++)
        write_row(log, stream, &records[i]);
    return fflush(stream) == 0;
}

bool training_log_resume(training_log *log, const epoch_record *records, int64_t count,
                         char *error) {
    replacement file;
    if (log->path == NULL || count == 0)
        return true;
    if (log->follows || !is_regular(log->path)) {
        return start(log, error) &&
               (write_rows(log, log->stream, records, count) || write_failure(log, errno, error));
    }
    if (!replacement_open(&file, log->path, error, FAILURE_SIZE))
        return false;
    write_header(log, file.stream);
    write_rows(log, file.stream, records, count);
    return replacement_commit(&file, error, FAILURE_SIZE) && open_log(log, "a", error);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

bool training_log_add(training_log *log, const epoch_record *record, char *error) {
    if (log->path == NULL)
        return true;
    if (log->stream == NULL && !start(log, error))
        return false;
    errno = 0;
    write_row(log, log->stream, record);
    if (fflush(log->stream) != 0 || ferror(log->stream))
        return write_failure(log, errno, error);
    return true;
}

bool training_log_close(training_log *log, char *error) {
    FILE *stream = log->stream;
    log->stream = NULL;
    if (stream == NULL || stream == stdout)
        return true;
    return fclose(stream) == 0 || write_failure(log, errno, error);
}
