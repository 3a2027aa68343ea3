/* The runs that the command line asks for: one, or one for each of several seeds. Those of several
   are in one log; each has a checkpoint of its own, NAME.seed-K.safetensors, and --resume with any
   of them goes on with all. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/progress.h"
#include "apps/cli/replacement.h"
#include "apps/compare/statistics.h"
#include "train.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ending[] = ".safetensors";

/* Bytes of a path without its ending. */
static int stem(const char *path) {
    size_t length = strlen(path), end = sizeof ending - 1;
    bool has = length > end && strcmp(path + length - end, ending) == 0;
    return (int)(has ? length - end : length);
}

/* "NAME.part.safetensors" of "NAME.safetensors", the length of whose stem is given; NULL where it
   is too long. */
static const char *beside(const char *path, int length, const char *part, char other[PATH_MAX]) {
    int size = snprintf(other, PATH_MAX, "%.*s.%s%s", length, path, part, ending);
    return size < PATH_MAX ? other : NULL;
}

/* The stem of a path without the ".seed-K" that one of several runs has. */
static int family(const char *path) {
    int length = stem(path), digits = length;
    while (digits > 0 && path[digits - 1] >= '0' && path[digits - 1] <= '9')
        digits--;
    bool seed = digits < length && digits >= 6 && strncmp(path + digits - 6, ".seed-", 6) == 0;
    return seed ? digits - 6 : length;
}

/* ---- What is said at the end ----------------------------------------------------------------- */

static const epoch_record *best_of(const training_result *result) {
    const epoch_record *best = NULL;
    for (int64_t i = 0; i < result->count; i++)
        best = epoch_better(best, &result->records[i]);
    return best;
}

/* How a run ended, for who reads the terminal. */
static void tell(const training_job *job, const training_result *result) {
    const epoch_record *best = best_of(result);
    char seed[40] = "";
    if (job->log_seeded)
        snprintf(seed, sizeof seed, "seed %" PRIu64 ": ", job->options.seed);
    if (result->count > 0) {
        fprintf(stderr, "cerebra train: %s%s, %lld parameters, loss %#.6g after %lld epochs\n",
                seed, job->label, (long long)result->parameters,
                result->records[result->count - 1].loss, (long long)result->count);
    }
    if (best != NULL) {
        fprintf(stderr, "cerebra train: %slowest held-out loss %#.6g, in epoch %lld%s%s\n", seed,
                best->held_out_loss, (long long)best->epoch, job->best == NULL ? "" : ": ",
                job->best == NULL ? "" : job->best);
    }
}

/* Mean and standard deviation over runs. */
static void tell_band(const char *what, const double *values, int64_t count) {
    fprintf(stderr, "cerebra train: %s of %lld seeds: mean %#.6g, standard deviation %.3g\n", what,
            (long long)count, statistics_mean(values, (size_t)count),
            statistics_deviation(values, (size_t)count));
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static training_outcome run_one(const train_request *asked, const training_job *job,
                                training_result *result, char *error) {
    training_outcome outcome = training_run(job, result, error);
    bool good = training_exit_code(outcome) == EXIT_SUCCESS;
    if (good && !asked->quiet)
        tell(job, result);
    if (good && !asked->quiet && outcome == TRAINING_OUT_OF_TIME)
        fprintf(stderr, "cerebra train: %s\n", error);
    return outcome;
}

/* The paths of one of several runs; false where they are too long. */
static bool name_files(const train_request *asked, training_job *job, char paths[3][PATH_MAX]) {
    char part[64];
    snprintf(part, sizeof part, "seed-%" PRIu64, job->options.seed);
    if (asked->resume != NULL) {
        job->resume = beside(asked->resume, family(asked->resume), part, paths[0]);
        if (job->resume == NULL)
            return false;
        job->resume = access(job->resume, F_OK) == 0 ? job->resume : NULL;
    }
    if (asked->checkpoint == NULL)
        return true;
    int length = asked->resume != NULL ? family(asked->checkpoint) : stem(asked->checkpoint);
    job->checkpoint = beside(asked->checkpoint, length, part, paths[1]);
    job->best = NULL;
    if (asked->keep_best && job->checkpoint != NULL)
        job->best = beside(job->checkpoint, stem(job->checkpoint), "best", paths[2]);
    return job->checkpoint != NULL && (job->best != NULL || !asked->keep_best);
}

/* Whether a file that a run writes is one that it reads, or the log. */
static bool would_overwrite(const train_request *asked, const char *path, char *error) {
    if (same_file(path, asked->log)) {
        failure(error, FAILURE_SIZE, "--log and --checkpoint name the same file, %s", path);
        return true;
    }
    const char *data = same_file(path, asked->data)         ? "data"
                       : same_file(path, asked->validation) ? "validation"
                                                            : NULL;
    if (data != NULL)
        failure(error, FAILURE_SIZE, "--%s would be overwritten by %s", data, path);
    return data != NULL;
}

/* The files of all runs, before any is written; whether they can be. */
static bool check_names(const train_request *asked, const training_job *job, char *error) {
    const char *resumed = asked->resume;
    char paths[3][PATH_MAX];
    training_job one = *job;
    if (asked->seeds > 1 && resumed != NULL && family(resumed) == stem(resumed)) {
        return failure(error, FAILURE_SIZE,
                       "%s is one of several runs; their files are named NAME.seed-K%s, and this "
                       "one is not",
                       resumed, ending);
    }
    for (int64_t i = 0; i < asked->seeds; i++) {
        one.options.seed = asked->training.seed + (uint64_t)i;
        if (asked->seeds == 1 && asked->keep_best)
            one.best = beside(job->checkpoint, stem(job->checkpoint), "best", paths[2]);
        bool named = asked->seeds > 1 ? name_files(asked, &one, paths)
                                      : !asked->keep_best || one.best != NULL;
        if (!named)
            return failure(error, FAILURE_SIZE, "the name of the checkpoint is too long");
        if (would_overwrite(asked, one.checkpoint, error) ||
            would_overwrite(asked, one.best, error))
            return false;
    }
    return true;
}

/* A run that was never begun, or whose file has gone. */
static void tell_new(const train_request *asked, const training_job *job) {
    if (asked->resume != NULL && job->resume == NULL) {
        fprintf(stderr, "cerebra train: seed %" PRIu64 ": there is no %s; it begins anew\n",
                job->options.seed, job->checkpoint == NULL ? "file of it" : job->checkpoint);
    }
}

/* What remains of the time limit, into the job; false: nothing does. */
static bool time_is_left(const train_request *asked, double began, training_job *job) {
    double left = asked->time_limit - (progress_clock() - began);
    job->time_limit = asked->time_limit > 0 ? left : 0;
    return asked->time_limit == 0 || left > 0;
}

/* The runs of all seeds, from asked->training.seed on. losses and held_out have room for one number
   of each. */
static training_outcome run_seeds(const train_request *asked, training_job *job, double *losses,
                                  double *held_out, char *error) {
    char paths[3][PATH_MAX];
    double began = progress_clock();
    training_outcome outcome = TRAINING_DONE;
    for (int64_t i = 0; i < asked->seeds && outcome == TRAINING_DONE; i++) {
        training_result result = {0};
        job->options.seed = asked->training.seed + (uint64_t)i;
        name_files(asked, job, paths); /* which fit: check_names */
        if (!time_is_left(asked, began, job)) {
            failure(error, FAILURE_SIZE, "the time limit is reached");
            return TRAINING_OUT_OF_TIME;
        }
        tell_new(asked, job);
        outcome = run_one(asked, job, &result, error);
        job->log_follows = job->log_follows || result.count > 0;
        const epoch_record *best = best_of(&result);
        losses[i] = result.count > 0 ? result.records[result.count - 1].loss : (double)NAN;
        held_out[i] = best != NULL ? best->held_out_loss : (double)NAN;
        training_result_free(&result);
    }
    return outcome;
}

static training_outcome run_several(const train_request *asked, training_job *job, char *error) {
    logged_times times = {0};
    double *losses = calloc((size_t)asked->seeds, sizeof *losses);
    double *held_out = calloc((size_t)asked->seeds, sizeof *held_out);
    training_outcome outcome = TRAINING_FAILED;
    job->log_seeded = true;
    /* Before the first run replaces it. */
    if (asked->resume != NULL)
        logged_times_read(job->log, &times);
    job->times = &times;
    if (losses == NULL || held_out == NULL)
        failure(error, FAILURE_SIZE, "out of memory");
    else
        outcome = run_seeds(asked, job, losses, held_out, error);
    if (outcome == TRAINING_DONE && !asked->quiet) {
        tell_band("loss", losses, asked->seeds);
        if (!isnan(held_out[0]))
            tell_band("lowest held-out loss", held_out, asked->seeds);
    }
    logged_times_free(&times);
    free(losses);
    free(held_out);
    return outcome;
}

static training_outcome run_single(const train_request *asked, training_job *job, char *error) {
    training_result result = {0};
    char best[PATH_MAX];
    if (asked->keep_best)
        job->best = beside(job->checkpoint, stem(job->checkpoint), "best", best);
    training_outcome outcome = run_one(asked, job, &result, error);
    training_result_free(&result);
    return outcome;
}

int train_runs(const train_request *asked, training_job *job, char *error) {
    if (!check_names(asked, job, error))
        return command_fail("train", EXIT_USAGE, error);
    interrupt_watch();
    training_outcome outcome =
        asked->seeds > 1 ? run_several(asked, job, error) : run_single(asked, job, error);
    int status = training_exit_code(outcome);
    return status == EXIT_SUCCESS ? status : command_fail("train", status, error);
}
