/* Steps: batch, forward, loss, backward, update; and what there is to do between two of them. */
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "eager_layers.h"
#include "training_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Losses are judged every so many steps and at the end of an epoch. */
enum { JUDGED_EVERY = 100 };

/* Whether an op has been found that makes a NaN. */
static bool is_anomalous(const training *run) {
    return run->job->detect_anomaly && cb_tape_status(run->tape) == CB_ERROR_VALUE;
}

static training_outcome anomalous(training *run) {
    return training_diverged(run, run->state.step, cb_tape_error(run->tape));
}

/* The loss of the next batch, on the tape. NULL: no memory. */
static cb_tensor *loss_of_batch(training *run) {
    cb_rnn_io io = {0};
    bool carried = run->carried.count > 0;
    run->carried.fresh = run->carried.fresh || run->sampler.state.cursor == 0;
    if (!sampler_next(&run->sampler, &run->state.batches, &run->batch, run->error))
        return NULL;
    run->has_batch = true;
    cb_tensor x =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->sampler.windows.time, run->batch.size), run->batch.x);
    cb_tensor y =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->sampler.windows.time, run->batch.size), run->batch.y);
    if (carried)
        io = carried_state_begin(&run->carried, run->tape);
    cb_tensor *logits = model_forward(&run->model, cb_input(run->tape, &x), &io);
    cb_tensor *mean = cb_cross_entropy(logits, cb_input(run->tape, &y));
    bool ok = !carried || cb_tape_status(run->tape) != CB_OK ||
              carried_state_end(&run->carried, run->error);
    return ok ? mean : NULL;
}

/* Moves the weights, at the rate that the schedule has for this step. */
static training_outcome update(training *run) {
    cb_status status = CB_OK;
    if (run->rate.scheduled)
        status = cb_optimizer_schedule(run->optimizer, &run->rate.schedule);
    if (status == CB_OK)
        status = cb_optimizer_step(run->optimizer);
    if (run->rate.each_step)
        cb_schedule_advance(&run->rate.schedule, NAN);
    cb_tape_reset(run->tape);
    if (status != CB_OK) {
        failure(run->error, FAILURE_SIZE, "the optimizer failed: %s", cb_status_meaning(status));
        return TRAINING_FAILED;
    }
    return TRAINING_DONE;
}

static training_outcome step(training *run, double *loss) {
    cb_tensor *mean = loss_of_batch(run);
    if (mean == NULL)
        return TRAINING_FAILED;
    *loss = cb_item(mean);
    if (is_anomalous(run))
        return anomalous(run);
    if (cb_tape_status(run->tape) == CB_OK && !isfinite(*loss))
        return training_diverged(run, run->state.step, "the loss is not a finite number");
    if (cb_backward(mean) != CB_OK && is_anomalous(run))
        return anomalous(run);
    if (cb_tape_status(run->tape) != CB_OK) {
        failure(run->error, FAILURE_SIZE, "%s", cb_tape_error(run->tape));
        return TRAINING_FAILED;
    }
    return update(run);
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
    int64_t steps = run->state.count * run->steps + run->state.step;
    return run->job->checkpoint != NULL &&
           ((every->steps > 0 && steps % every->steps == 0) ||
            (every->seconds > 0 && progress_clock() - run->saved >= every->seconds));
}

/* A signal, or the time is over. */
static training_outcome stopped(training *run, const char *why, training_outcome outcome) {
    const char *path = run->job->checkpoint;
    training_outcome saved = training_save_early(run);
    if (saved != TRAINING_DONE)
        return saved;
    failure(run->error, FAILURE_SIZE, "%s%s%s%s", why, path == NULL ? "" : "; ",
            path == NULL ? "" : path, path == NULL ? "" : " has all that training goes on with");
    return outcome;
}

/* After a step: is training worthless, is it to stop, is a checkpoint due? */
static training_outcome look_around(training *run) {
    training_state *state = &run->state;
    double mean = state->loss_sum / (double)state->step;
    state->seconds = progress_clock() - run->epoch_started;
    if (state->step % JUDGED_EVERY == 0 || state->step == run->steps) {
        training_outcome outcome = training_judge(run, mean, "of its steps");
        if (outcome != TRAINING_DONE)
            return outcome;
    }
    if (interrupt_requested())
        return stopped(run, "interrupted", TRAINING_INTERRUPTED);
    if (run->job->time_limit > 0 && progress_clock() - run->began >= run->job->time_limit)
        return stopped(run, "the time limit is reached", TRAINING_OUT_OF_TIME);
    progress_step(&run->progress, state->count, state->step, mean);
    if (!is_due(run))
        return TRAINING_DONE;
    training_outcome outcome = training_judge_weights(run);
    return outcome == TRAINING_DONE ? training_save(run, false) : outcome;
}

training_outcome training_epoch(training *run) {
    training_state *state = &run->state;
    run->epoch_started = progress_clock() - state->seconds;
    while (state->step < run->steps) {
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
    return training_judge_weights(run);
}
