/* A training run in progress, as the files of the trainer share it: trainer.c makes and ends it,
   training_step.c takes steps, training_judge.c sees whether they come to anything, and
   training_save.c writes what is kept. */
#ifndef CEREBRA_APPS_MODEL_TRAINING_RUN_H
#define CEREBRA_APPS_MODEL_TRAINING_RUN_H

#include "apps/cli/progress.h"
#include "apps/cli/run_lock.h"
#include "carried_state.h"
#include "learning_rate.h"
#include "sampler.h"
#include "trainer.h"
#include "training_state.h"

typedef struct training {
    const training_job *job;
    model model;
    cb_optimizer *optimizer;
    learning_rate rate;
    cb_tape *tape, *judging; /* of the steps; of looking at what the last one has left */
    sampler sampler;
    window_batch batch;
    carried_state carried; /* all zero: the state is not carried */
    int64_t steps;         /* in an epoch */
    training_state state;
    const epoch_record *best; /* of the state's records; NULL: none is measured */
    training_log log;
    run_lock checkpoint_lock, best_lock, log_lock;
    progress progress;
    bool told;            /* which layers run op by op */
    double began;         /* when, on progress_clock */
    double epoch_started; /* on the same clock, less what the epoch had taken before */
    double saved;         /* when, on the same clock */
    bool has_batch;       /* a step has been taken */
    bool has_good;        /* the checkpoint holds weights that were judged good */
    training_result *result;
    char *error;
} training;

/* Whether a part of the text is only measured on. */
bool training_holds_out(const training_job *job);

/* ---- training_step.c */

/* Takes the steps that the present epoch still has. */
training_outcome training_epoch(training *run);

/* ---- training_judge.c */

/* Whether a mean loss, of what `of` says, is far above a guess. */
training_outcome training_judge(training *run, double mean, const char *of);
/* The same of the model on the last batch, as the last update has left it. */
training_outcome training_judge_weights(training *run);
/* Training has diverged, at this step of the epoch or, -1, at its end; what: what has been seen. */
training_outcome training_diverged(training *run, int64_t step, const char *what);

/* ---- training_save.c */

/* Writes the checkpoint, if there is to be one. finished: there is no more to train. */
training_outcome training_save(training *run, bool finished);
/* Writes the model to where the best one is kept, if its epoch, the last one, is the best. */
training_outcome training_save_best(training *run);
/* Saves what has been reached when training is ended before its time, unless the last update has
   spoilt it. */
training_outcome training_save_early(training *run);

#endif
