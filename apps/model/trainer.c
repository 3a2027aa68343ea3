/* Training: batch, forward, loss, backward, clipped update; after every epoch a row in the log; and
   checkpoints. One tape serves all steps, so that from the second step on nothing is allocated.

   All that a step depends on is in the weights, the optimizer and the training_state: a run that
   goes on restores these and is then like any other. */
#include "trainer.h"

#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/options.h"
#include "apps/cli/progress.h"
#include "apps/cli/run_lock.h"
#include "apps/cli/text.h"
#include "checkpoint.h"
#include "eager_layers.h"
#include "predict.h"
#include "tensor/io/json_text.h"
#include "training_state.h"
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

/* A mean loss of so many times what a uniform guess costs, and what the first step cost, is taken
   for a divergence, judged every so many steps and at the end of an epoch. */
enum { DIVERGED_TIMES = 5, JUDGED_EVERY = 100 };

/* A run in progress. */
typedef struct training {
    const training_job *job;
    model model;
    cb_optimizer *optimizer;
    cb_tape *tape, *judging; /* of the steps; of looking at what the last one has left */
    windows windows;
    window_batch batch;
    training_state state;
    training_log log;
    run_lock checkpoint_lock, log_lock;
    progress progress;
    bool told;            /* which layers run op by op */
    double epoch_started; /* on progress_clock, less what the epoch had taken before */
    double saved;         /* when, on the same clock */
    bool has_batch;       /* a step has been taken */
    bool has_good;        /* the checkpoint holds weights that were judged good */
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
        return interrupt_exit_code();
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
    bool ok = windows_make(passage_of_corpus(job->data, 0), job->data->training, job->model.seq_len,
                           &source, error) &&
              window_batch_make(&source, job->options.batch, &batch, error);
    window_batch_free(&batch);
    if (ok && job->log != NULL)
        ok = training_log_check_path(job->log, error);
    if (ok && job->checkpoint != NULL)
        ok = checkpoint_check_path(job->checkpoint, error);
    return ok;
}

bool checkpoint_interval_parse(const char *written, checkpoint_interval *interval) {
    char *end;
    size_t digits = strspn(written, "0123456789.");
    bool minutes = strcmp(written + digits, "m") == 0;
    *interval = (checkpoint_interval){0};
    if (minutes) {
        interval->seconds = 60 * strtod(written, &end);
        return end == written + digits && interval->seconds > 0 && isfinite(interval->seconds);
    }
    return options_parse_whole(written, &interval->steps) && interval->steps > 0;
}

static bool make_model(training *run) {
    const training_job *job = run->job;
    model_config config = job->model;
    config.vocabulary = job->data->characters.count;
    if (!windows_make(passage_of_corpus(job->data, 0), job->data->training, config.seq_len,
                      &run->windows, run->error) ||
        !window_batch_make(&run->windows, job->options.batch, &run->batch, run->error) ||
        !model_make(&config, &job->init, job->options.seed, &run->model, run->error))
        return false;
    run->result->parameters = cb_params_elements(run->model.params);
    cb_optimizer_options optimizer_options = job->options.optimizer_options;
    optimizer_options.clip_norm = job->options.clip_norm;
    run->optimizer =
        cb_optimizer_new(job->options.optimizer, run->model.params, &optimizer_options);
    return run->optimizer != NULL ||
           failure(run->error, FAILURE_SIZE, "%s", cb_params_error(run->model.params));
}

/* Takes the place of a run that was stopped. */
static bool restore(training *run) {
    const training_job *job = run->job;
    char message[FAILURE_SIZE] = "";
    cb_safetensors *stored = checkpoint_open(job->resume, run->error);
    if (stored == NULL)
        return false;
    bool ok = training_state_restore(stored, &run->model, run->optimizer, job->data,
                                     job->options.epochs, &run->state, message);
    cb_safetensors_free(stored);
    if (ok && run->state.step > job->options.steps_per_epoch)
        ok = failure(message, sizeof message, "its position is damaged");
    if (!ok)
        return failure(run->error, FAILURE_SIZE, "%s: %.900s", job->resume, message);
    if (!training_log_resume(&run->log, run->state.records, run->state.count, run->error))
        return false;
    int64_t done = run->state.count;
    double last = done > 0 ? run->state.records[done - 1].seconds : 0;
    last = isnan(last) ? 0 : last; /* the log that had them is gone */
    run->state.seconds = isnan(run->state.seconds) ? last : run->state.seconds;
    run->has_good = job->checkpoint != NULL && strcmp(job->resume, job->checkpoint) == 0;
    return true;
}

static bool prepare(training *run) {
    const training_job *job = run->job;
    run->checkpoint_lock = run->log_lock = RUN_LOCK_NONE;
    run->result->records = calloc((size_t)job->options.epochs, sizeof(epoch_record));
    run->tape = cb_tape_new();
    run->judging = cb_tape_new_no_grad();
    if (run->result->records == NULL || run->tape == NULL || run->judging == NULL)
        return failure(run->error, FAILURE_SIZE, "out of memory");
    if (!run_lock_take(&run->checkpoint_lock, job->checkpoint, run->error) ||
        !run_lock_take(&run->log_lock, job->log, run->error) || !make_model(run))
        return false;
    cb_random parent = cb_random_seed(job->options.seed);
    run->state = (training_state){.records = run->result->records,
                                  .first_loss = NAN,
                                  .batches = cb_random_split(&parent, BATCH_STREAM)};
    run->log = (training_log){
        .path = job->log, .held_out = holds_out(job), .distance = job->record_distance};
    if (job->resume != NULL && !restore(run))
        return false;
    run->result->count = run->state.count;
    cb_tape_detect_anomaly(run->tape, job->detect_anomaly);
    run->saved = progress_clock();
    run->progress = progress_start(job->label, job->options.epochs, job->options.steps_per_epoch,
                                   run->state.count, run->state.step, job->quiet);
    return true;
}

static void release(training *run) {
    progress_end(&run->progress);
    cb_tape_free(run->tape);
    cb_tape_free(run->judging);
    cb_optimizer_free(run->optimizer);
    model_free(&run->model);
    window_batch_free(&run->batch);
    run_lock_release(&run->checkpoint_lock);
    run_lock_release(&run->log_lock);
}

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
        options->optimizer_options.weight_decay, "clip_norm", options->clip_norm, "batch",
        (json_int_t)options->batch, "steps_per_epoch", (json_int_t)options->steps_per_epoch,
        "epochs", (json_int_t)done, "characters", (json_int_t)job->data->training);
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

static training_outcome save(training *run, bool finished) {
    const training_job *job = run->job;
    if (job->checkpoint == NULL)
        return TRAINING_DONE;
    char *description = describe(run);
    run->state.finished = finished;
    const training_file file = {.model = &run->model,
                                .optimizer = run->optimizer,
                                .data = job->data,
                                .description = description,
                                .settings = job->settings == NULL ? "{}" : job->settings,
                                .log = job->log};
    bool ok = description == NULL
                  ? failure(run->error, FAILURE_SIZE, "out of memory")
                  : training_state_save(job->checkpoint, &file, &run->state, run->error);
    free(description);
    run->saved = progress_clock();
    run->has_good = run->has_good || ok;
    return ok ? TRAINING_DONE : TRAINING_FAILED;
}

/* ---- What ends training before its time ------------------------------------------------------ */

/* step: where in the epoch; -1: at its end. */
static training_outcome diverged(training *run, int64_t step, const char *what) {
    char place[48] = "";
    bool kept = run->has_good;
    if (step >= 0)
        snprintf(place, sizeof place, ", step %" PRId64, step);
    failure(run->error, FAILURE_SIZE, "training diverged in epoch %" PRId64 "%s: %s%s%s",
            run->state.count, place, what, kept ? "; the last good weights are in " : "",
            kept ? run->job->checkpoint : "");
    return TRAINING_DIVERGED;
}

/* Whether an op has been found that makes a NaN. */
static bool is_anomalous(const training *run) {
    return run->job->detect_anomaly && cb_tape_status(run->tape) == CB_ERROR_VALUE;
}

static training_outcome anomalous(training *run) {
    return diverged(run, run->state.step, cb_tape_error(run->tape));
}

/* Whether a mean loss is so far above what guessing costs, and above where training began, that the
   weights are worth nothing. */
static bool is_worthless(const training *run, double loss) {
    double guess = log((double)run->job->data->characters.count);
    return loss > DIVERGED_TIMES * guess && loss > DIVERGED_TIMES * run->state.first_loss;
}

static training_outcome judge(training *run, double mean, const char *of) {
    char what[160];
    snprintf(what, sizeof what, "the loss %s is %.4g, where a guess costs %.4g", of, mean,
             log((double)run->job->data->characters.count));
    return !isfinite(mean) || is_worthless(run, mean) ? diverged(run, -1, what) : TRAINING_DONE;
}

/* The model on the last batch, as the last update has left it: losses are measured before updates,
   and what is saved is what comes after. */
static training_outcome judge_weights(training *run) {
    cb_tensor x =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.x);
    cb_tensor y =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.y);
    if (!model_is_finite(&run->model))
        return diverged(run, -1, "a weight is not a finite number");
    if (!run->has_batch) /* what was restored was judged when it was saved */
        return TRAINING_DONE;
    cb_tensor *logits = model_forward(&run->model, cb_input(run->judging, &x), NULL);
    double loss = cb_item(cb_cross_entropy(logits, cb_input(run->judging, &y)));
    bool failed = cb_tape_status(run->judging) != CB_OK;
    if (failed)
        failure(run->error, FAILURE_SIZE, "%s", cb_tape_error(run->judging));
    cb_tape_reset(run->judging);
    return failed ? TRAINING_FAILED : judge(run, loss, "after its last step");
}

static training_outcome interrupted(training *run) {
    const char *path = run->job->checkpoint;
    if (path != NULL) {
        /* Weights that the last update has spoilt must not replace good ones. */
        training_outcome saved = judge_weights(run);
        saved = saved == TRAINING_DONE ? save(run, false) : saved;
        if (saved != TRAINING_DONE)
            return saved;
        failure(run->error, FAILURE_SIZE, "interrupted; %s has all that training goes on with",
                path);
    } else {
        failure(run->error, FAILURE_SIZE, "interrupted");
    }
    return TRAINING_INTERRUPTED;
}

/* ---- Steps and epochs ------------------------------------------------------------------------ */

static training_outcome step(training *run, double *loss) {
    if (!window_batch_draw(&run->windows, &run->state.batches, &run->batch, run->error))
        return TRAINING_FAILED;
    run->has_batch = true;
    cb_tensor x =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.x);
    cb_tensor y =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->windows.time, run->batch.size), run->batch.y);
    cb_tensor *logits = model_forward(&run->model, cb_input(run->tape, &x), NULL);
    cb_tensor *mean = cb_cross_entropy(logits, cb_input(run->tape, &y));
    *loss = cb_item(mean);
    if (is_anomalous(run))
        return anomalous(run);
    if (cb_tape_status(run->tape) == CB_OK && !isfinite(*loss))
        return diverged(run, run->state.step, "the loss is not a finite number");
    if (cb_backward(mean) != CB_OK && is_anomalous(run))
        return anomalous(run);
    if (cb_tape_status(run->tape) != CB_OK) {
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
    if (run->told)
        return;
    run->told = true;
    eager_layers(run->model.rnn, run->job->label, lines, sizeof lines);
    fputs(lines, stderr);
}

/* Whether it is time for a checkpoint within an epoch. */
static bool is_due(const training *run) {
    const checkpoint_interval *every = &run->job->every;
    int64_t steps = run->state.count * run->job->options.steps_per_epoch + run->state.step;
    return run->job->checkpoint != NULL &&
           ((every->steps > 0 && steps % every->steps == 0) ||
            (every->seconds > 0 && progress_clock() - run->saved >= every->seconds));
}

/* After a step: is training worthless, is it to stop, is a checkpoint due? */
static training_outcome look_around(training *run) {
    training_state *state = &run->state;
    double mean = state->loss_sum / (double)state->step;
    state->seconds = progress_clock() - run->epoch_started;
    if (state->step % JUDGED_EVERY == 0 || state->step == run->job->options.steps_per_epoch) {
        training_outcome outcome = judge(run, mean, "of its steps");
        if (outcome != TRAINING_DONE)
            return outcome;
    }
    if (interrupt_requested())
        return interrupted(run);
    progress_step(&run->progress, state->count, state->step, mean);
    if (!is_due(run))
        return TRAINING_DONE;
    training_outcome outcome = judge_weights(run);
    return outcome == TRAINING_DONE ? save(run, false) : outcome;
}

static training_outcome train_epoch(training *run) {
    training_state *state = &run->state;
    run->epoch_started = progress_clock() - state->seconds;
    while (state->step < run->job->options.steps_per_epoch) {
        double loss = NAN;
        training_outcome outcome = step(run, &loss);
        if (outcome != TRAINING_DONE)
            return outcome;
        tell_eager(run);
        state->first_loss = isnan(state->first_loss) ? loss : state->first_loss;
        state->loss_sum += loss;
        state->step++;
        outcome = look_around(run);
        if (outcome != TRAINING_DONE)
            return outcome;
    }
    return judge_weights(run);
}

/* Measures and records an epoch that was trained. */
static training_outcome finish_epoch(training *run) {
    const training_job *job = run->job;
    training_state *state = &run->state;
    double loss = state->loss_sum / (double)job->options.steps_per_epoch;
    epoch_record record = {state->count, loss, state->seconds, NAN, NAN};
    if (holds_out(job) &&
        !predict_windows(&run->model, passage_of_corpus(job->data, job->data->training),
                         job->data->count - job->data->training, &record.held_out_loss, run->error))
        return TRAINING_FAILED;
    if (holds_out(job)) {
        training_outcome outcome = judge(run, record.held_out_loss, "of the held-out text");
        if (outcome != TRAINING_DONE)
            return outcome;
    }
    if (job->record_distance)
        record.distance = model_halves_distance(&run->model);
    state->records[state->count++] = record;
    state->step = 0;
    state->loss_sum = 0;
    run->result->count = state->count;
    progress_epoch(&run->progress, state->count, loss, record.held_out_loss);
    /* First the row: of a finished run's file, seconds are to be found in the log alone. */
    if (!training_log_add(&run->log, &record, run->error))
        return TRAINING_FAILED;
    bool finished = state->count == job->options.epochs;
    bool each = job->every.steps == 0 && job->every.seconds == 0;
    return finished || each ? save(run, finished) : TRAINING_DONE;
}

training_outcome training_run(const training_job *job, training_result *result, char *error) {
    *result = (training_result){0};
    training run = {.job = job, .result = result, .error = error};
    training_outcome outcome = prepare(&run) ? TRAINING_DONE : TRAINING_FAILED;
    /* A finished run that goes on into another file. */
    if (outcome == TRAINING_DONE && run.state.count == job->options.epochs && !run.has_good)
        outcome = save(&run, true);
    while (outcome == TRAINING_DONE && run.state.count < job->options.epochs) {
        outcome = train_epoch(&run);
        if (outcome == TRAINING_DONE)
            outcome = finish_epoch(&run);
    }
    bool closed = training_log_close(&run.log, outcome == TRAINING_DONE ? error : NULL);
    if (!closed && outcome == TRAINING_DONE)
        outcome = TRAINING_FAILED;
    release(&run);
    return outcome;
}

void training_result_free(training_result *result) {
    free(result->records);
    *result = (training_result){0};
}
