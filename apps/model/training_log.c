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
    fprintf(stream, "epoch,loss,seconds%s%s%s\n", log->held_out ? ",held_out_loss" : "",
            log->distance ? ",distance" : "", log->rate ? ",learning_rate" : "");
}

static void write_row(const training_log *log, FILE *stream, const epoch_record *record) {
    fprintf(stream, "%" PRId64 ",%#.6g,", record->epoch, record->loss);
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
    if (!open_log(log, "w", error))
        return false;
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

void training_log_find_seconds(const char *path, epoch_record *records, int64_t count) {
    csv_series losses = {0}, seconds = {0};
    if (csv_read_series(path, "epoch", "loss", &losses, NULL, 0) &&
        csv_read_series(path, "epoch", "seconds", &seconds, NULL, 0)) {
        for (int64_t i = 0; i < count && i < (int64_t)seconds.count; i++) {
            bool same = losses.x[i] == (double)i && same_loss(losses.y[i], records[i].loss);
            if (!same)
                break;
            records[i].seconds = isnan(records[i].seconds) ? seconds.y[i] : records[i].seconds;
        }
    }
    csv_free_series(&losses);
    csv_free_series(&seconds);
}

static void write_all(const training_log *log, FILE *stream, const epoch_record *records,
                      int64_t count) {
    write_header(log, stream);
    for (int64_t i = 0; i < count; i++)
        write_row(log, stream, &records[i]);
}

bool training_log_resume(training_log *log, epoch_record *records, int64_t count, char *error) {
    replacement file;
    if (log->path == NULL || count == 0)
        return true;
    if (!is_regular(log->path)) {
        if (!open_log(log, "w", error))
            return false;
        write_all(log, log->stream, records, count);
        return fflush(log->stream) == 0 || write_failure(log, errno, error);
    }
    training_log_find_seconds(log->path, records, count);
    if (!replacement_open(&file, log->path, error, FAILURE_SIZE))
        return false;
    write_all(log, file.stream, records, count);
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
