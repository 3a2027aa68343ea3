/* The learning rate of a run: the library's schedules by name, with warm-up, and the options that
   each reads. */
#ifndef CEREBRA_APPS_MODEL_LEARNING_RATE_H
#define CEREBRA_APPS_MODEL_LEARNING_RATE_H

#include <cerebra/optim.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* What is asked for. A NaN or NULL is not given. Steps or epochs are counted in `unit`. */
typedef struct learning_rate_options {
    const char *schedule;   /* NULL: constant */
    const char *unit;       /* "step" or "epoch"; NULL: epoch for a plateau, step for others */
    const char *milestones; /* "10,20" */
    int64_t warmup;         /* 0: none */
    int64_t period;         /* 0: not given */
    int64_t patience;       /* 0: not given */
    int64_t cooldown;
    double warmup_start, gamma, minimum, threshold;
    bool repeat, absolute;
} learning_rate_options;

/* Nothing is given. */
#define LEARNING_RATE_DEFAULTS                                                                     \
    { .warmup_start = NAN, .gamma = NAN, .minimum = NAN, .threshold = NAN }

/* The names of the schedules and of the units, ended by NULL; and what --help says of each
 * schedule. */
const char *const *learning_rate_schedules(void);
extern const char *const learning_rate_units[];
const char *learning_rate_help(void);

/* A schedule that is ready; it may not be copied once made. */
typedef struct learning_rate {
    bool scheduled;       /* else the rate stays what the optimizer has */
    bool each_step;       /* the schedule counts steps; else epochs */
    cb_schedule schedule; /* of these two where there is a warm-up */
    cb_schedule parts[2];
    int64_t warmup, *milestones;
} learning_rate;

/* Whether the options fit together; if not, error says in one line what is wrong. */
bool learning_rate_check(const learning_rate_options *options, char *error);

/* The period that a cosine has where none is given: what remains after the warm-up of a run of so
   many epochs; what is given for other schedules, or when it is. */
int64_t learning_rate_period(const learning_rate_options *options, int64_t epochs,
                             int64_t steps_per_epoch);

/* Makes the schedule from options that have been checked, with a period where one is needed. Ended
   by learning_rate_free. Fails without memory. */
bool learning_rate_make(const learning_rate_options *options, learning_rate *made, char *error);
void learning_rate_free(learning_rate *rate);

#endif
