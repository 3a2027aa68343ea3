/* What ends training because it has come to nothing. */
#include "apps/cli/failure.h"
#include "training_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* A mean loss of so many times what a uniform guess costs, and what the first step cost, is taken
   for a divergence. */
enum { DIVERGED_TIMES = 5 };

training_outcome training_diverged(training *run, int64_t step, const char *what) {
    char place[48] = "";
    bool kept = run->has_good;
    if (step >= 0)
        snprintf(place, sizeof place, ", step %" PRId64, step);
    failure(run->error, FAILURE_SIZE, "training diverged in epoch %" PRId64 "%s: %s%s%s",
            run->state.count, place, what, kept ? "; the last good weights are in " : "",
            kept ? run->job->checkpoint : "");
    return TRAINING_DIVERGED;
}

/* Whether a mean loss is so far above what guessing costs, and above where training began, that the
   weights are worth nothing. */
static bool is_worthless(const training *run, double loss) {
    double guess = log((double)run->job->data->characters.count);
    return loss > DIVERGED_TIMES * guess && loss > DIVERGED_TIMES * run->state.first_loss;
}

training_outcome training_judge(training *run, double mean, const char *of) {
    char what[160];
    snprintf(what, sizeof what, "the loss %s is %.4g, where a guess costs %.4g", of, mean,
             log((double)run->job->data->characters.count));
    return !isfinite(mean) || is_worthless(run, mean) ? training_diverged(run, -1, what)
                                                      : TRAINING_DONE;
}

/* The model on the last batch, as the last update has left it: losses are measured before updates,
   and what is saved is what comes after. */
training_outcome training_judge_weights(training *run) {
    cb_tensor x =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->sampler.windows.time, run->batch.size), run->batch.x);
    cb_tensor y =
        cb_tensor_wrap(CB_I32, CB_SHAPE(run->sampler.windows.time, run->batch.size), run->batch.y);
    if (!model_is_finite(&run->model))
        return training_diverged(run, -1, "a weight is not a finite number");
    if (!run->has_batch) /* what was restored was judged when it was saved */
        return TRAINING_DONE;
    cb_tensor *logits = model_forward(&run->model, cb_input(run->judging, &x), NULL);
    double loss = cb_item(cb_cross_entropy(logits, cb_input(run->judging, &y)));
    bool failed = cb_tape_status(run->judging) != CB_OK;
    if (failed)
        failure(run->error, FAILURE_SIZE, "%s", cb_tape_error(run->judging));
    cb_tape_reset(run->judging);
    return failed ? TRAINING_FAILED : training_judge(run, loss, "after its last step");
}
