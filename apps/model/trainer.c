/* A run from its beginning to its end: after every epoch a row in the log, and checkpoints. One
   tape serves all steps, so that from the second step on nothing is allocated.

   All that a step depends on is in the weights, the optimizer, the schedule, the carried state and
   the training_state: a run that goes on restores these and is then like any other. */
#include "trainer.h"

#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/options.h"
#include "checkpoint.h"
#include "predict.h"
#include "training_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stream of random numbers that batches are drawn from; initial values have streams chosen by
   their names. */
enum { BATCH_STREAM = 1 };

int training_exit_code(training_outcome outcome) {
    switch (outcome) {
    case TRAINING_DONE:
    case TRAINING_OUT_OF_TIME:
        return EXIT_SUCCESS;
    case TRAINING_DIVERGED:
        return EXIT_DIVERGED;
    case TRAINING_INTERRUPTED:
        return interrupt_exit_code();
    default:
        return EXIT_FAILURE;
    }
}

bool training_holds_out(const training_job *job) {
    return job->validation != NULL || job->data->training < job->data->count;
}

static bool make_sampler(const training_job *job, sampler *made, char *error) {
    const training_options *options = &job->options;
    const sampling how = {.pass = options->steps_per_epoch == 0,
                          .carried = options->carry,
                          .random_offsets = options->random_offsets};
    return sampler_make(&how, passage_of_corpus(job->data, 0), job->data->training,
                        job->model.seq_len, options->batch, options->steps_per_epoch, made, error);
}

static int64_t steps_of(const training_options *options, const sampler *source) {
    return options->steps_per_epoch == 0 ? source->round : options->steps_per_epoch;
}

bool training_check(const training_job *job, int64_t *steps, char *error) {
    sampler source;
    bool ok = make_sampler(job, &source, error);
    if (ok && steps != NULL)
        *steps = steps_of(&job->options, &source);
    if (ok && job->log != NULL)
        ok = training_log_check_path(job->log, error);
    if (ok && job->checkpoint != NULL)
        ok = checkpoint_check_path(job->checkpoint, error);
    if (ok && job->best != NULL)
        ok = checkpoint_check_path(job->best, error);
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
    if (!make_sampler(job, &run->sampler, run->error) ||
        !window_batch_make(&run->sampler.windows, job->options.batch, &run->batch, run->error) ||
        !model_make(&config, &job->init, job->options.seed, &run->model, run->error) ||
        !learning_rate_make(&job->options.rate, &run->rate, run->error))
        return false;
    run->steps = steps_of(&job->options, &run->sampler);
    if (job->options.carry &&
        !carried_state_make(&run->model, job->options.batch, &run->carried, run->error))
        return false;
    run->result->parameters = cb_params_elements(run->model.params);
    run->optimizer = cb_optimizer_new(job->options.optimizer, run->model.params,
                                      &job->options.optimizer_options);
    return run->optimizer != NULL ||
           failure(run->error, FAILURE_SIZE, "%s", cb_params_error(run->model.params));
}

/* Seconds that a finished run's file does not have are in its log. */
static void find_times(training *run) {
    const training_job *job = run->job;
    logged_times read = {0};
    if (job->times == NULL)
        logged_times_read(job->log, &read);
    logged_times_find(job->times == NULL ? &read : job->times, job->options.seed,
                      run->state.records, run->state.count);
    logged_times_free(&read);
}

/* Takes the place of a run that was stopped. */
static bool restore(training *run) {
    const training_job *job = run->job;
    char message[FAILURE_SIZE] = "";
    cb_safetensors *stored = checkpoint_open(job->resume, run->error);
    if (stored == NULL)
        return false;
    const training_parts parts = {&run->model,   run->optimizer, &run->rate,
                                  &run->carried, job->data,      job->validation};
    bool ok = training_state_restore(stored, &parts, job->options.epochs, &run->state, message);
    cb_safetensors_free(stored);
    if (ok &&
        (run->state.step > run->steps || !sampler_state_is_valid(&run->sampler, &run->state.order)))
        ok = failure(message, sizeof message, "its position is damaged");
    if (!ok)
        return failure(run->error, FAILURE_SIZE, "%s: %.900s", job->resume, message);
    run->sampler.state = run->state.order;
    for (int64_t i = 0; i < run->state.count; i++)
        run->best = epoch_better(run->best, &run->state.records[i]);
    find_times(run);
    if (!training_log_resume(&run->log, run->state.records, run->state.count, run->error))
        return false;
    int64_t done = run->state.count;
    double last = done > 0 ? run->state.records[done - 1].seconds : 0;
    last = isnan(last) ? 0 : last; /* the log that had them is gone */
    run->state.seconds = isnan(run->state.seconds) ? last : run->state.seconds;
    run->has_good = job->checkpoint != NULL && strcmp(job->resume, job->checkpoint) == 0;
    return true;
}

static bool take_locks(training *run) {
    const training_job *job = run->job;
    return run_lock_take(&run->checkpoint_lock, job->checkpoint, run->error) &&
           run_lock_take(&run->best_lock, job->best, run->error) &&
           run_lock_take(&run->log_lock, job->log, run->error);
}

static bool prepare(training *run) {
    const training_job *job = run->job;
    run->checkpoint_lock = run->best_lock = run->log_lock = RUN_LOCK_NONE;
    run->began = progress_clock();
    run->result->records = calloc((size_t)job->options.epochs, sizeof(epoch_record));
    run->tape = cb_tape_new();
    run->judging = cb_tape_new_no_grad();
    if (run->result->records == NULL || run->tape == NULL || run->judging == NULL)
        return failure(run->error, FAILURE_SIZE, "out of memory");
    if (!take_locks(run) || !make_model(run))
        return false;
    cb_random parent = cb_random_seed(job->options.seed);
    run->state = (training_state){.records = run->result->records,
                                  .first_loss = NAN,
                                  .batches = cb_random_split(&parent, BATCH_STREAM)};
    run->log = (training_log){.path = job->log,
                              .seeded = job->log_seeded,
                              .follows = job->log_follows,
                              .seed = job->options.seed,
                              .held_out = training_holds_out(job),
                              .distance = job->record_distance,
                              .rate = run->rate.scheduled};
    if (job->resume != NULL && !restore(run))
        return false;
    run->result->count = run->state.count;
    cb_tape_detect_anomaly(run->tape, job->detect_anomaly);
    run->saved = progress_clock();
    run->progress = progress_start(job->label, job->options.epochs, run->steps, run->state.count,
                                   run->state.step, job->quiet);
    return true;
}

static void release(training *run) {
    progress_end(&run->progress);
    cb_tape_free(run->tape);
    cb_tape_free(run->judging);
    cb_optimizer_free(run->optimizer);
    learning_rate_free(&run->rate);
    carried_state_free(&run->carried);
    model_free(&run->model);
    window_batch_free(&run->batch);
    run_lock_release(&run->checkpoint_lock);
    run_lock_release(&run->best_lock);
    run_lock_release(&run->log_lock);
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

/* Whether there is no more to train: all epochs are done, or the held-out loss has not been lower
   for --patience epochs. */
static bool is_finished(const training *run) {
    const training_state *state = &run->state;
    int64_t patience = run->job->options.patience;
    return state->count >= run->job->options.epochs ||
           (patience > 0 && run->best != NULL && state->step == 0 &&
            state->count - 1 - run->best->epoch >= patience);
}

/* On the text that is held out, as the model is trained: with the state carried or without. */
static training_outcome measure(training *run, double *loss) {
    const corpus *data = run->job->validation != NULL ? run->job->validation : run->job->data;
    passage characters = passage_of_corpus(data, data->training);
    int64_t count = data->count - data->training;
    if (!training_holds_out(run->job))
        return TRAINING_DONE;
    bool ok = (run->job->options.carry ? predict_parts : predict_windows)(&run->model, characters,
                                                                          count, loss, run->error);
    return ok ? training_judge(run, *loss, "of the held-out text") : TRAINING_FAILED;
}

/* Measures and records an epoch that was trained. */
static training_outcome finish_epoch(training *run) {
    const training_job *job = run->job;
    training_state *state = &run->state;
    double loss = state->loss_sum / (double)run->steps;
    epoch_record record = {state->count, loss, state->seconds, NAN, NAN, NAN};
    training_outcome outcome = measure(run, &record.held_out_loss);
    if (outcome != TRAINING_DONE)
        return outcome;
    if (job->record_distance)
        record.distance = model_halves_distance(&run->model);
    if (run->rate.scheduled)
        record.rate = cb_optimizer_group_options(run->optimizer, 0)->lr;
    if (run->rate.scheduled && !run->rate.each_step)
        cb_schedule_advance(&run->rate.schedule,
                            isnan(record.held_out_loss) ? loss : record.held_out_loss);
    state->records[state->count++] = record;
    run->best = epoch_better(run->best, &state->records[record.epoch]);
    state->step = 0;
    state->loss_sum = 0;
    run->result->count = state->count;
    progress_epoch(&run->progress, state->count, loss, record.held_out_loss);
    outcome = training_save_best(run);
    if (outcome != TRAINING_DONE)
        return outcome;
    /* First the row: of a finished run's file, seconds are to be found in the log alone. */
    if (!training_log_add(&run->log, &record, run->error))
        return TRAINING_FAILED;
    bool finished = is_finished(run);
    bool each = job->every.steps == 0 && job->every.seconds == 0;
    return finished || each ? training_save(run, finished) : TRAINING_DONE;
}

training_outcome training_run(const training_job *job, training_result *result, char *error) {
    *result = (training_result){0};
    training run = {.job = job, .result = result, .error = error};
    training_outcome outcome = prepare(&run) ? TRAINING_DONE : TRAINING_FAILED;
    /* A finished run that goes on into another file. */
    if (outcome == TRAINING_DONE && is_finished(&run) && !run.has_good)
        outcome = training_save(&run, true);
    while (outcome == TRAINING_DONE && !is_finished(&run)) {
        outcome = training_epoch(&run);
        if (outcome == TRAINING_DONE)
            outcome = finish_epoch(&run);
    }
    bool good = outcome == TRAINING_DONE || outcome == TRAINING_OUT_OF_TIME;
    if (!training_log_close(&run.log, good ? error : NULL) && good)
        outcome = TRAINING_FAILED;
    release(&run);
    return outcome;
}

void training_result_free(training_result *result) {
    free(result->records);
    *result = (training_result){0};
}
