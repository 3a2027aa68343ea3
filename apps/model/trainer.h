/* The training loop, and what is kept of a run: a log, a checkpoint and the losses. */
#ifndef CEREBRA_APPS_MODEL_TRAINER_H
#define CEREBRA_APPS_MODEL_TRAINER_H

#include "corpus.h"
#include "learning_rate.h"
#include "model.h"
#include "training_log.h"

/* How to train. */
typedef struct training_options {
    int64_t epochs, batch;
    int64_t steps_per_epoch; /* each on a batch of its own; 0: as many as are one pass over the
                                text, each window once */
    const char *optimizer;   /* a name that cb_optimizer_new knows */
    cb_optimizer_options optimizer_options;
    learning_rate_options rate;
    bool carry;          /* batches follow each other in the text, and the state is carried */
    bool random_offsets; /* windows begin elsewhere each round, see sampler.h */
    int64_t patience;    /* epochs without a lower held-out loss that end training; 0: none do */
    uint64_t seed;       /* of initial values, batches and dropout */
} training_options;

/* How often the checkpoint is written, besides at the end and when training is interrupted. Both 0:
   after every epoch. */
typedef struct checkpoint_interval {
    int64_t steps;
    double seconds;
} checkpoint_interval;

/* What is said of an option that does not parse; the text is to be filled in. */
#define CHECKPOINT_INTERVAL_FAULT                                                                  \
    "--checkpoint-every must be a number of steps, or of minutes such as 10m, not \"%s\""

/* "50": steps; "10m": minutes. False for anything else. */
bool checkpoint_interval_parse(const char *text, checkpoint_interval *interval);

/* A model to train. Everything is borrowed. */
typedef struct training_job {
    const char *label; /* for progress */
    const corpus *data;
    const corpus *validation; /* measured on; NULL: what data holds out */
    model_config model;       /* vocabulary is set from the data */
    model_init init;
    training_options options;
    const char *log;           /* "-": standard output; NULL: none */
    bool log_seeded;           /* the log has runs of several seeds */
    bool log_follows;          /* and those of others are in it already */
    const logged_times *times; /* of the log as it was; NULL: it is read */
    const char *checkpoint;    /* NULL: none */
    const char *best;     /* where the model with the lowest held-out loss is kept; NULL: nowhere */
    const char *settings; /* JSON of the options that the run goes on with (settings.h) */
    const char *resume;   /* the checkpoint to go on from; NULL: a new run */
    checkpoint_interval every;
    double time_limit;    /* seconds after which this call ends; 0: none */
    bool detect_anomaly;  /* says which op makes the first NaN */
    bool record_distance; /* between the halves of a Cerebral cell */
    bool quiet;
} training_job;

typedef enum training_outcome {
    TRAINING_DONE,
    TRAINING_FAILED,      /* error says why */
    TRAINING_DIVERGED,    /* the loss is no finite number or far above a guess; error says when */
    TRAINING_INTERRUPTED, /* by a signal; error says what was saved */
    TRAINING_OUT_OF_TIME, /* the time limit is reached; error says so, and what was saved */
} training_outcome;

/* What a run gave; owns the records. */
typedef struct training_result {
    int64_t count; /* epochs that were completed */
    epoch_record *records;
    int64_t parameters;
} training_result;

/* Checks everything about a job that can be wrong without training: sizes against the text, and
   that its files can be written. Changes nothing. steps, which may be NULL: those of an epoch. */
bool training_check(const training_job *job, int64_t *steps, char *error);

/* Trains, or goes on: whatever has stopped a run (job->resume), and however many threads there were
   before and are now, it comes to the same weights, losses and random numbers as one that was never
   stopped, to the bit. Checkpoint and log are locked against other runs. After a divergence the
   checkpoint still holds the last good weights; interrupt_watch must have been called for signals
   to be noted. result is filled in any case; training_result_free ends it. */
training_outcome training_run(const training_job *job, training_result *result, char *error);
void training_result_free(training_result *result);

/* The exit code that goes with an outcome. */
int training_exit_code(training_outcome outcome);

#endif
