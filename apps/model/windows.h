/* Training examples: a text cut into consecutive windows, and random batches of them. */
#ifndef CEREBRA_APPS_MODEL_WINDOWS_H
#define CEREBRA_APPS_MODEL_WINDOWS_H

#include "corpus.h"

#include <cerebra/random.h>

#include <stdbool.h>
#include <stdint.h>

/* Window w reads characters w * time ... w * time + time - 1 and is to predict the same stretch
   shifted by one; windows do not overlap and the rest of the text is left out, so there are
   (length - 1) / time of them. The text is borrowed. With an offset all windows begin that much
   later; the text then has to have so many characters more. */
typedef struct windows {
    passage characters;
    int64_t length;
    int64_t time; /* characters in a window */
    int64_t count;
    int64_t offset; /* 0 when made */
} windows;

/* Fails, with one line in error, when the text is shorter than one window and the character after
   it. */
bool windows_make(passage characters, int64_t length, int64_t time, windows *made, char *error);

/* A batch; owns its arrays. */
typedef struct window_batch {
    int64_t size;    /* windows in it */
    int64_t *chosen; /* their numbers */
    int32_t *x, *y;  /* [time, size]: what is read and what is to be predicted */
    int32_t *row;    /* [time + 1]: a window while it is read */
} window_batch;

/* Room for a batch. Fails when there are fewer windows than that, or no memory. */
bool window_batch_make(const windows *source, int64_t size, window_batch *made, char *error);
void window_batch_free(window_batch *batch);

/* Draws the windows of a batch without replacement, every set of them equally likely and
   independent of earlier batches, and fills x and y. */
bool window_batch_draw(const windows *source, cb_random *random, window_batch *batch, char *error);

/* Fills x and y with the windows that batch->chosen already names, the first `size` of them. Fails
   when the text cannot be read any more. */
bool window_batch_fill(const windows *source, int64_t size, window_batch *batch, char *error);

#endif
