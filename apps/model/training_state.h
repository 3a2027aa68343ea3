/* What training needs to go on as if it had not been stopped, in the checkpoint beside the weights.

   Metadata of the file (checkpoint.h has the rest):
     settings    the options that the run was started with, see settings.h
     position    JSON, an object: epoch and step (done of it), loss_sum (of that epoch's steps),
                 first_loss, batches and dropout (the generators: "KEY COUNTER"), order (of windows:
                 "KEY OFFSET CURSOR", see sampler.h), text and validation (CRC-32
                 of the texts as numbers), finished; and only while there is more to train: seconds,
   log optimizer   the optimizer's settings, see cb_optimizer_settings schedule    the learning
   rate's schedule, see cb_schedule_state; where there is one

   Tensors:
     optimizer.*          see cb_optimizer_state_at
     training.log         f64 [epochs, 4]: loss, held_out_loss, distance, seconds; with a schedule
                          [epochs, 5]: learning_rate
     training.carried.N   f32 [batch, size]: state N of the network after the last step, where it is
                          carried and a pass has begun

   Seconds are NaN in the file of a finished run: two runs of one seed end in the same file, byte
   for byte. */
#ifndef CEREBRA_APPS_MODEL_TRAINING_STATE_H
#define CEREBRA_APPS_MODEL_TRAINING_STATE_H

#include "carried_state.h"
#include "checkpoint.h"
#include "corpus.h"
#include "learning_rate.h"
#include "sampler.h"
#include "training_log.h"

typedef struct training_state {
    int64_t count;         /* epochs that are done */
    epoch_record *records; /* of each */
    int64_t step;          /* steps that are done of the next */
    double loss_sum;       /* of those steps */
    double first_loss;     /* of the first step of all; NaN before it */
    double seconds;        /* spent on steps so far; NaN: not known */
    cb_random batches;     /* what batches are drawn from */
    sampler_state order;   /* of windows, as it was read; it is kept in the sampler */
    bool finished;         /* all epochs that were asked for are done */
} training_state;

/* What else goes into a file; everything is borrowed. */
typedef struct training_file {
    const model *model;
    const cb_optimizer *optimizer;
    const learning_rate *rate;
    const carried_state *carried;
    const sampler_state *order;
    const corpus *data, *validation; /* the second may be NULL */
    const char *description;         /* JSON, for people */
    const char *settings;            /* JSON */
    const char *log;                 /* NULL: none */
} training_file;

/* Replaces the checkpoint at path. A failure leaves what was there. */
bool training_state_save(const char *path, const training_file *file, const training_state *state,
                         char *error);

/* What is restored, made from the same configuration; and the texts, to be compared. */
typedef struct training_parts {
    const model *model;
    cb_optimizer *optimizer;
    learning_rate *rate;
    carried_state *carried;
    const corpus *data, *validation; /* the second may be NULL */
} training_parts;

/* Takes everything from a checkpoint (checkpoint_open): fills the parts and the state, whose
   records have room for `room` epochs. Fails, with one line in error without the path, when the
   file has no position, is of another text, or has more epochs. */
bool training_state_restore(const cb_safetensors *stored, const training_parts *parts, int64_t room,
                            training_state *state, char *error);

/* The state alone, its records allocated, which the caller frees. Fails as above; data may be NULL:
   any text. */
bool training_state_read(const cb_safetensors *stored, const corpus *data, training_state *state,
                         char *error);

/* Whether a text is the one that the model was trained on: the same characters in the same order,
   the file anywhere. If not, error has one line without the checkpoint's path. */
bool training_state_check_text(const cb_safetensors *stored, const corpus *data, char *error);

/* The log that an unfinished run was writing into the checkpoint at path, which the caller frees;
   NULL: none. It is kept by its name where it lies beside the checkpoint, else from the root. */
char *training_state_log(const cb_safetensors *stored, const char *path);

#endif
