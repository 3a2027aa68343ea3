/* The run that the command line asks for. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "train.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "NAME.part.safetensors" of "NAME.safetensors"; false where it is too long. */
static bool beside(const char *path, const char *part, char other[PATH_MAX]) {
    static const char ending[] = ".safetensors";
    size_t length = strlen(path), end = sizeof ending - 1;
    bool has = length > end && strcmp(path + length - end, ending) == 0;
    return snprintf(other, PATH_MAX, "%.*s.%s%s", (int)(has ? length - end : length), path, part,
                    ending) < PATH_MAX;
}

/* How a run ended, for who reads the terminal. */
static void tell(const training_job *job, const training_result *result, const char *stopped) {
    const epoch_record *best = NULL;
    for (int64_t i = 0; i < result->count; i++)
        best = epoch_better(best, &result->records[i]);
    if (stopped != NULL)
        fprintf(stderr, "cerebra train: %s\n", stopped);
    if (result->count > 0) {
        fprintf(stderr, "cerebra train: %s, %lld parameters, loss %#.6g after %lld epochs\n",
                job->label, (long long)result->parameters, result->records[result->count - 1].loss,
                (long long)result->count);
    }
    if (best != NULL) {
        fprintf(stderr, "cerebra train: lowest held-out loss %#.6g, in epoch %lld%s%s\n",
                best->held_out_loss, (long long)best->epoch, job->best == NULL ? "" : ": ",
                job->best == NULL ? "" : job->best);
    }
}

int train_runs(const train_request *asked, training_job *job, char *error) {
    training_result result = {0};
    char best[PATH_MAX];
    if (asked->keep_best && !beside(job->checkpoint, "best", best))
        return command_fail("train", EXIT_FAILURE, "the name of the checkpoint is too long");
    job->best = asked->keep_best ? best : NULL;
    interrupt_watch();
    training_outcome outcome = training_run(job, &result, error);
    int status = training_exit_code(outcome);
    if (status != EXIT_SUCCESS)
        command_fail("train", status, error);
    else if (!asked->quiet)
        tell(job, &result, outcome == TRAINING_OUT_OF_TIME ? error : NULL);
    training_result_free(&result);
    return status;
}
