/* Which windows of the text a step of training reads, and in which order. */
#ifndef CEREBRA_APPS_MODEL_SAMPLER_H
#define CEREBRA_APPS_MODEL_SAMPLER_H

#include "windows.h"

/* How windows follow each other. With neither of the first two, each batch is drawn by itself,
   without replacement. */
typedef struct sampling {
    bool pass;    /* each window once in random order before any comes again */
    bool carried; /* sequence b of a batch goes on where sequence b of the batch before ended,
                     so that the state may be carried; goes before pass */
    bool random_offsets; /* at the beginning of each round, windows begin at a random one of the
                            first `time` characters */
} sampling;

/* What goes into a checkpoint beside the generator. */
typedef struct sampler_state {
    uint64_t key;   /* decides the order of a pass */
    int64_t offset; /* of the windows in this round */
    int64_t cursor; /* batches done of this round */
} sampler_state;

/* A round is what comes before the sampler starts again: steps_per_epoch batches when they are
   drawn by themselves, else all batches of one pass. What remains of the text, less than a batch of
   windows, is left out of a pass. */
typedef struct sampler {
    sampling how;
    windows windows;
    int64_t round; /* batches in it */
    sampler_state state;
} sampler;

/* The text is borrowed. steps_per_epoch is read when batches are drawn by themselves. Fails, with
   one line in error, when the text has fewer windows than a batch. */
bool sampler_make(const sampling *how, passage characters, int64_t length, int64_t time,
                  int64_t batch, int64_t steps_per_epoch, sampler *made, char *error);

/* Fills the next batch. Fails when there is no memory, or the text cannot be read any
   more. */
bool sampler_next(sampler *s, cb_random *random, window_batch *batch, char *error);

/* Whether a state, read from a file, is one that this sampler can be in. */
bool sampler_state_is_valid(const sampler *s, const sampler_state *state);

/* The place of element i in a pseudo-random order of 0 .. count - 1 that the key decides: for i =
   0 .. count - 1 each place once. It needs no memory, however many windows there are. */
int64_t sampler_permuted(uint64_t key, int64_t count, int64_t i);

#endif
