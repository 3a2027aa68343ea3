/* What a run leaves: the last state, to go on from, and the best model. */
#include "apps/cli/failure.h"
#include "apps/cli/text.h"
#include "checkpoint.h"
#include "tensor/io/json_text.h"
#include "training_run.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a checkpoint says of how it was trained. The caller frees it. */
static char *describe(const training *run) {
    const training_job *job = run->job;
    const training_options *options = &job->options;
    int64_t done = run->result->count;
    json_t *object = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "data",
        text_is_utf8(job->data->name) ? job->data->name : "?", "optimizer", options->optimizer,
        "lr", options->optimizer_options.lr, "initial_accumulator",
        options->optimizer_options.initial_accumulator, "momentum",
        options->optimizer_options.momentum, "weight_decay",
        options->optimizer_options.weight_decay, "clip_norm", options->optimizer_options.clip_norm,
        "batch", (json_int_t)options->batch, "steps_per_epoch", (json_int_t)run->steps, "epochs",
        (json_int_t)done, "characters", (json_int_t)job->data->training);
    bool ok = object != NULL &&
              json_object_set_new(object, "seed", json_sprintf("%" PRIu64, options->seed)) == 0;
    if (ok && done > 0) {
        double loss = run->result->records[done - 1].loss;
        ok = json_object_set_new(object, "loss", json_real(loss)) == 0;
    }
    if (!ok)
        json_decref(object);
    return ok ? cbi_json_text(object) : NULL;
}

static bool write(training *run, const char *path) {
    const training_job *job = run->job;
    char *description = describe(run);
    const training_file file = {.model = &run->model,
                                .optimizer = run->optimizer,
                                .rate = &run->rate,
                                .carried = &run->carried,
                                .order = &run->sampler.state,
                                .data = job->data,
                                .validation = job->validation,
                                .description = description,
                                .settings = job->settings == NULL ? "{}" : job->settings,
                                .log = job->log};
    bool ok = description == NULL ? failure(run->error, FAILURE_SIZE, "out of memory")
                                  : training_state_save(path, &file, &run->state, run->error);
    free(description);
    return ok;
}

training_outcome training_save(training *run, bool finished) {
    const char *path = run->job->checkpoint;
    if (path == NULL)
        return TRAINING_DONE;
    run->state.finished = finished;
    bool ok = write(run, path);
    run->saved = progress_clock();
    run->has_good = run->has_good || ok;
    return ok ? TRAINING_DONE : TRAINING_FAILED;
}

training_outcome training_save_best(training *run) {
    if (run->job->best == NULL || run->best == NULL || run->best->epoch != run->state.count - 1)
        return TRAINING_DONE;
    /* As of a finished run: the file does not depend on how long it took. */
    run->state.finished = true;
    return write(run, run->job->best) ? TRAINING_DONE : TRAINING_FAILED;
}

training_outcome training_save_early(training *run) {
    if (run->job->checkpoint == NULL)
        return TRAINING_DONE;
    training_outcome outcome = training_judge_weights(run);
    return outcome == TRAINING_DONE ? training_save(run, false) : outcome;
}
