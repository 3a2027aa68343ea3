/* Training: batch, forward, loss, backward, clipped update; and after every epoch a row in the log
   and a checkpoint. One tape serves all steps, so that from the second step on nothing is
   allocated. */
#include "trainer.h"

#include "../command.h"
#include "checkpoint.h"
#include "eager_layers.h"
#include "failure.h"
#include "interrupt.h"
#include "predict.h"
#include "progress.h"
#include "windows.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stream of random numbers that batches are drawn from; initial values have streams chosen by
   their names. */
enum { BATCH_STREAM = 1 };

/* A run in progress. */
typedef struct training {
    const training_job *job;
    model model;
    cb_optimizer *optimizer;
    cb_tape *tape;
    windows windows;
    window_batch batch;
    cb_random random;
    training_log log;
    progress progress;
    bool told;      /* which layers run op by op */
    double seconds; /* in training steps so far */
    training_result *result;
    char *error;
} training;

int training_exit_code(training_outcome outcome) {
    switch (outcome) {
    case TRAINING_DONE:
        return EXIT_SUCCESS;
    case TRAINING_DIVERGED:
        return EXIT_DIVERGED;
    case TRAINING_INTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILURE;
    }
}

static bool holds_out(const training_job *job) {
    return job->data->training < job->data->count;
}

bool training_check(const training_job *job, char *error) {
    windows source;
    window_batch batch = {0};
    bool ok =
        windows_make(job->data->numbers, job->data->training, job->model.seq_len, &source, error) &&
        window_batch_make(&source, job->options.batch, &batch, error);
    window_batch_free(&batch);
    if (ok && job->log != NULL) {
        ok = training_log_check_path(job->log, error);
    }
    if (ok && job->checkpoint != NULL) {
        ok = checkpoint_check_path(job->checkpoint, error);
    }
    return ok;
}

static bool prepare(training *run) {
    const training_job *job = run->job;
    model_config config = job->model;
    config.vocabulary = job->data->characters.count;
    run->result->records = calloc((size_t)job->options.epochs, sizeof(epoch_record));
    if (run->result->records == NULL) {
        return failure(run->error, FAILURE_SIZE, "out of memory");
    }
    if (!windows_make(job->data->numbers, job->data->training, config.seq_len, &run->windows,
                      run->error) ||
        !window_batch_make(&run->windows, job->options.batch, &run->batch, run->error) ||
        !model_make(&config, &job->init, job->options.seed, &run->model, run->error)) {
        return false;
    }
    run->result->parameters = cb_params_elements(run->model.params);
    cb_optimizer_options optimizer_options = job->options.optimizer_options;
    optimizer_options.clip_norm = job->options.clip_norm;
    run->optimizer =
        cb_optimizer_new(job->options.optimizer, run->model.params, &optimizer_options);
    if (run->optimizer == NULL) {
        return failure(run->error, FAILURE_SIZE, "%s", cb_params_error(run->model.params));
    }
    run->tape = cb_tape_new();
    if (run->tape == NULL) {
        return failure(run->error, FAILURE_SIZE, "out of memory");
    }
    cb_random parent = cb_random_seed(job->options.seed);
    run->random = cb_random_split(&parent, BATCH_STREAM);
    run->log = (training_log){
        .path = job->log, .held_out = holds_out(job), .distance = job->record_distance};
    run->progress =
        progress_start(job->label, job->options.epochs, job->options.steps_per_epoch, job->quiet);
    return true;
}

static void release(training *run) {
    progress_end(&run->progress);
    cb_tape_free(run->tape);
    cb_optimizer_free(run->optimizer);
    model_free(&run->model);
    window_batch_free(&run->batch);
}

/* What a checkpoint says of how it was trained. The caller frees it. */
static char *describe(const training *run) {
    const training_job *job = run->job;
    const training_options *options = &job->options;
    int64_t done = run->result->count;
    json_t *object = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "data", job->data->name,
        "optimizer", options->optimizer, "lr", options->optimizer_options.lr, "initial_accumulator",
        options->optimizer_options.initial_accumulator, "momentum",
        options->optimizer_options.momentum, "weight_decay",
        options->optimizer_options.weight_decay, "clip_norm", options->clip_norm, "batch",
        (json_int_t)options->batch, "steps_per_epoch", (json_int_t)options->steps_per_epoch,
        "epochs", (json_int_t)done, "characters", (json_int_t)job->data->training);
    if (object == NULL) { /* a file name that is not UTF-8 */
        object = json_object();
    }
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    json_object_set_new(object, "seed", json_string(seed));
    if (done > 0) {
        json_object_set_new(object, "loss", json_real(run->result->records[done - 1].loss));
    }
    char *dumped = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(object);
    return dumped;
}

static training_outcome save(training *run) {
    if (run->job->checkpoint == NULL) {
        return TRAINING_DONE;
    }
    char *description = describe(run);
    bool ok = description != NULL &&
              checkpoint_write(run->job->checkpoint, &run->model, &run->job->data->characters,
                               description, run->error);
    free(description);
    return ok ? TRAINING_DONE : TRAINING_FAILED;
}

static training_outcome diverged(training *run, int64_t epoch, const char *what) {
    bool kept = run->job->checkpoint != NULL && epoch > 0;
    failure(run->error, FAILURE_SIZE,
            "training diverged in epoch %" PRId64 ": %s is not a finite number%s%s", epoch, what,
            kept ? "; the last good weights are in " : "", kept ? run->job->checkpoint : "");
    return TRAINING_DIVERGED;
}

static training_outcome interrupted(training *run) {
    const char *path = run->job->checkpoint;
    /* Weights that an update has just made infinite must not replace good ones. */
    if (path != NULL && model_is_finite(&run->model)) {
        training_outcome saved = save(run);
        if (saved != TRAINING_DONE) {
            return saved;
        }
        failure(run->error, FAILURE_SIZE, "interrupted; the weights are in %s", path);
    } else {
        failure(run->error, FAILURE_SIZE, "interrupted");
    }
    return TRAINING_INTERRUPTED;
}

static training_outcome step(training *run, int64_t epoch, double *loss) {
    if (!window_batch_draw(&run->windows, &run->random, &run->batch, run->error)) {
        return TRAINING_FAILED;
    }
    cb_tensor x =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.x);
    cb_tensor y =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.y);
    cb_tensor *logits = model_forward(&run->model, cb_input(run->tape, &x), NULL);
    cb_tensor *mean = cb_cross_entropy(logits, cb_input(run->tape, &y));
    *loss = cb_item(mean);
    if (cb_tape_status(run->tape) == CB_OK && !isfinite(*loss)) {
        return diverged(run, epoch, "the loss");
    }
    if (cb_backward(mean) != CB_OK) {
        failure(run->error, FAILURE_SIZE, "%s", cb_tape_error(run->tape));
        return TRAINING_FAILED;
    }
    cb_status status = cb_optimizer_step(run->optimizer);
    cb_tape_reset(run->tape);
    if (status != CB_OK) {
        failure(run->error, FAILURE_SIZE, "the optimizer failed: %s", cb_status_meaning(status));
        return TRAINING_FAILED;
    }
    return TRAINING_DONE;
}

/* Says once which layers run op by op; what a step does from run to run is known after the first.
 */
static void tell_eager(training *run) {
    char lines[1024];
    if (run->told) {
        return;
    }
    run->told = true;
    eager_layers(run->model.rnn, run->job->label, lines, sizeof lines);
    fputs(lines, stderr);
}

static training_outcome train_epoch(training *run, int64_t epoch, double *mean) {
    int64_t steps = run->job->options.steps_per_epoch;
    double started = progress_clock();
    double sum = 0;
    for (int64_t i = 0; i < steps; i++) {
        double loss;
        training_outcome outcome = step(run, epoch, &loss);
        if (outcome != TRAINING_DONE) {
            return outcome;
        }
        tell_eager(run);
        sum += loss;
        if (interrupt_requested()) {
            return interrupted(run);
        }
        progress_step(&run->progress, epoch, i + 1, sum / (double)(i + 1));
    }
    run->seconds += progress_clock() - started;
    *mean = sum / (double)steps;
    return model_is_finite(&run->model) ? TRAINING_DONE : diverged(run, epoch, "a weight");
}

/* Measures and records an epoch that was trained. */
static training_outcome finish_epoch(training *run, int64_t epoch, double loss) {
    const training_job *job = run->job;
    epoch_record record = {epoch, loss, run->seconds, NAN, NAN};
    if (holds_out(job) && !predict_windows(&run->model, job->data->numbers + job->data->training,
                                           job->data->count - job->data->training,
                                           &record.held_out_loss, run->error)) {
        return TRAINING_FAILED;
    }
    if (job->record_distance) {
        record.distance = model_halves_distance(&run->model);
    }
    run->result->records[run->result->count++] = record;
    progress_epoch(&run->progress, epoch + 1, loss, record.held_out_loss);
    training_outcome saved = save(run);
    if (saved != TRAINING_DONE) {
        return saved;
    }
    return training_log_add(&run->log, &record, run->error) ? TRAINING_DONE : TRAINING_FAILED;
}

training_outcome training_run(const training_job *job, training_result *result, char *error) {
    *result = (training_result){0};
    training run = {.job = job, .result = result, .error = error};
    training_outcome outcome = prepare(&run) ? TRAINING_DONE : TRAINING_FAILED;
    for (int64_t epoch = 0; outcome == TRAINING_DONE && epoch < job->options.epochs; epoch++) {
        double loss = NAN;
        outcome = train_epoch(&run, epoch, &loss);
        if (outcome == TRAINING_DONE) {
            outcome = finish_epoch(&run, epoch, loss);
        }
    }
    bool closed = training_log_close(&run.log, outcome == TRAINING_DONE ? error : NULL);
    if (!closed && outcome == TRAINING_DONE) {
        outcome = TRAINING_FAILED;
    }
    release(&run);
    return outcome;
}

void training_result_free(training_result *result) {
    free(result->records);
    *result = (training_result){0};
}
