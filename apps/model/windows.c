/* Windows and batches of windows. The arrays are time-major, as the recurrent driver reads them. */
#include "windows.h"

#include "apps/cli/failure.h"

#include <inttypes.h>
#include <stdlib.h>

bool windows_make(passage characters, int64_t length, int64_t time, windows *made, char *error) {
    *made = (windows){characters, length, time, 0, 0};
    if (time < 1 || length <= time) {
        return failure(error, FAILURE_SIZE,
                       "the text to train on has %" PRId64 " character%s, fewer than a window of "
                       "%" PRId64 " and the one after it",
                       length, length == 1 ? "" : "s", time);
    }
    made->count = (length - 1) / time;
    return true;
}

bool window_batch_make(const windows *source, int64_t size, window_batch *made, char *error) {
    *made = (window_batch){.size = size};
    if (size < 1 || size > source->count) {
        return failure(error, FAILURE_SIZE,
                       "a batch of %" PRId64 " is larger than the data: the text has %" PRId64
                       " windows of %" PRId64 " characters",
                       size, source->count, source->time);
    }
    /* size * time is less than the text's length, so it cannot overflow. */
    size_t elements = (size_t)(size * source->time);
    made->chosen = calloc((size_t)size, sizeof *made->chosen);
    made->x = calloc(elements, sizeof *made->x);
    made->y = calloc(elements, sizeof *made->y);
    made->row = calloc((size_t)source->time + 1, sizeof *made->row);
    if (made->chosen == NULL || made->x == NULL || made->y == NULL || made->row == NULL) {
        window_batch_free(made);
        return failure(error, FAILURE_SIZE, "out of memory");
    }
    return true;
}

void window_batch_free(window_batch *batch) {
    free(batch->chosen);
    free(batch->x);
    free(batch->y);
    free(batch->row);
    *batch = (window_batch){0};
}

bool window_batch_fill(const windows *source, int64_t size, window_batch *batch, char *error) {
    for (int64_t b = 0; b < size; b++) {
        const int32_t *window =
            passage_read(source->characters, source->offset + batch->chosen[b] * source->time,
                         source->time + 1, batch->row, error);
        if (window == NULL)
            return false;
        for (int64_t t = 0; t < source->time; t++) {
            batch->x[t * size + b] = window[t];
            batch->y[t * size + b] = window[t + 1];
        }
    }
    return true;
}

bool window_batch_draw(const windows *source, cb_random *random, window_batch *batch, char *error) {
    if (!cb_random_choice(random, source->count, batch->size, batch->chosen))
        return failure(error, FAILURE_SIZE, "cannot draw a batch: out of memory");
    return window_batch_fill(source, batch->size, batch, error);
}
