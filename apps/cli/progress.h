/* How far training has come, on standard error: a bar on a terminal, as wide as that is at the
   time, else a line now and then. */
#ifndef CEREBRA_APPS_CLI_PROGRESS_H
#define CEREBRA_APPS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Plain data; the label is borrowed. */
typedef struct progress {
    const char *label;       /* what is being trained */
    int64_t epochs;          /* how many there will be */
    int64_t steps_per_epoch; /* in each */
    bool quiet;              /* say nothing */
    bool terminal;           /* draw a bar in place */
    double before;           /* steps that were done when it started */
    double started;          /* seconds on a clock that only runs forward */
    double shown;            /* when something was last shown */
    bool drawn;              /* a bar stands on the current line */
    double held_out_loss;    /* of the last epoch; NaN: not measured */
} progress;

/* epoch and step are those that an earlier run has done. */
progress progress_start(const char *label, int64_t epochs, int64_t steps_per_epoch, int64_t epoch,
                        int64_t step, bool quiet);
/* After each step: epoch and step are those that are done, loss is the mean so far of the epoch. */
void progress_step(progress *p, int64_t epoch, int64_t step, double loss);
/* After each epoch, with its mean loss and, unless it is NaN, that of the held-out text. */
void progress_epoch(progress *p, int64_t epochs_done, double loss, double held_out_loss);
/* At the end, however it came: leaves the terminal's line empty. */
void progress_end(progress *p);

/* The line that progress_step draws, without control characters, into a buffer of that size, at
   most `width` columns of it: without the bar, and then cut, where it would be longer. pace: rate
   and time left. */
void progress_line(const progress *p, int64_t epoch, int64_t step, double loss, const char *pace,
                   int width, char *line, size_t size);

/* Seconds on the clock that progress uses (CLOCK_MONOTONIC). */
double progress_clock(void);

#endif
