/* The table of schedules. A schedule of the library becomes one of the command by a row. */
#include "learning_rate.h"

#include "apps/cli/failure.h"
#include "apps/cli/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options of a schedule, as bits. */
enum {
    GAMMA = 1 << 0,
    PERIOD = 1 << 1,
    MILESTONES = 1 << 2,
    MINIMUM = 1 << 3,
    REPEAT = 1 << 4,
    PATIENCE = 1 << 5,
    THRESHOLD = 1 << 6,
    COOLDOWN = 1 << 7,
    ABSOLUTE = 1 << 8,
};

typedef struct schedule_row {
    const char *name;
    cb_schedule_kind kind;
    unsigned reads, needs; /* options that it reads, and those that have to be given */
    bool epochs_only;      /* it goes by a measure that is taken once an epoch */
    const char *help;
} schedule_row;

#define CONSTANT_NAME "constant"

static const schedule_row rows[] = {
    {CONSTANT_NAME, CB_SCHEDULE_CONSTANT, 0, 0, false, "lr"},
    {"step", CB_SCHEDULE_STEP, GAMMA | PERIOD, PERIOD, false,
     "lr gamma^floor(n / period); --lr-period, --lr-gamma (0.1)"},
    {"multi-step", CB_SCHEDULE_MULTI_STEP, GAMMA | MILESTONES, MILESTONES, false,
     "lr gamma^(milestones passed); --lr-milestones, --lr-gamma (0.1)"},
    {"exponential", CB_SCHEDULE_EXPONENTIAL, GAMMA, GAMMA, false, "lr gamma^n; --lr-gamma"},
    {"cosine", CB_SCHEDULE_COSINE, PERIOD | MINIMUM | REPEAT, 0, false,
     "half a wave from lr to --lr-min (0) over --lr-period (the run);\n"
     "               --lr-repeat: up again, and so on"},
    {"plateau", CB_SCHEDULE_PLATEAU, GAMMA | MINIMUM | PATIENCE | THRESHOLD | COOLDOWN | ABSOLUTE,
     PATIENCE, true,
     "times --lr-gamma (0.1) when the held-out loss, or without one\n"
     "               the loss, has not fallen for more than --lr-patience epochs\n"
     "               by --lr-threshold (0.0001) of itself, or with --lr-absolute\n"
     "               by that much; then not for --lr-cooldown (0) epochs; down to\n"
     "               --lr-min (0)"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const char *const learning_rate_units[] = {"step", "epoch", NULL};

const char *const *learning_rate_schedules(void) {
    static const char *names[ROWS + 1];
    for (int i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    return names;
}

const char *learning_rate_help(void) {
    static char text[2048];
    size_t length = 0;
    for (int i = 0; i < ROWS && length < sizeof text; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "  %-12s %s\n",
                                   rows[i].name, rows[i].help);
    }
    return text;
}

static const schedule_row *find(const char *name) {
    name = name == NULL ? CONSTANT_NAME : name;
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* The name of an option of `among` that is given, or not: the first there is; NULL: none. */
static const char *option_of(const learning_rate_options *options, unsigned among, bool given) {
    const struct {
        unsigned bit;
        const char *name;
        bool given;
    } list[] = {{GAMMA, "lr-gamma", !isnan(options->gamma)},
                {PERIOD, "lr-period", options->period > 0},
                {MILESTONES, "lr-milestones", options->milestones != NULL},
                {MINIMUM, "lr-min", !isnan(options->minimum)},
                {REPEAT, "lr-repeat", options->repeat},
                {PATIENCE, "lr-patience", options->patience > 0},
                {THRESHOLD, "lr-threshold", !isnan(options->threshold)},
                {COOLDOWN, "lr-cooldown", options->cooldown > 0},
                {ABSOLUTE, "lr-absolute", options->absolute}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if ((among & list[i].bit) != 0 && list[i].given == given)
            return list[i].name;
    return NULL;
}

/* Numbers with commas between them, each larger than the one before, into `numbers`, which has room
   for as many as there are commas and one more, or is NULL; returns how many, 0: wrong. */
static int parse_milestones(const char *text, int64_t *numbers) {
    char one[24];
    int64_t before = 0;
    for (int count = 0;;) {
        size_t length = strcspn(text, ",");
        int64_t number;
        snprintf(one, sizeof one, "%.*s", (int)length, text);
        if (length >= sizeof one || !options_parse_whole(one, &number) || number <= before)
            return 0;
        if (numbers != NULL)
            numbers[count] = number;
        before = number;
        count++;
        if (text[length] == '\0')
            return count;
        text += length + 1;
    }
}

bool learning_rate_check(const learning_rate_options *options, char *error) {
    const char *name = options->schedule == NULL ? CONSTANT_NAME : options->schedule;
    if (!options_check_name("schedule", name, learning_rate_schedules(), error) ||
        (options->unit != NULL &&
         !options_check_name("lr-unit", options->unit, learning_rate_units, error)))
        return false;
    const schedule_row *row = find(name);
    const char *idle = option_of(options, ~row->reads, true);
    if (idle != NULL)
        return failure(error, FAILURE_SIZE, "--%s means nothing to the schedule %s", idle, name);
    const char *missing = option_of(options, row->needs, false);
    if (missing != NULL)
        return failure(error, FAILURE_SIZE, "the schedule %s needs --%s", name, missing);
    if (row->epochs_only && options->unit != NULL && strcmp(options->unit, "epoch") != 0)
        return failure(error, FAILURE_SIZE, "the schedule %s counts epochs, not steps", name);
    if (row->kind == CB_SCHEDULE_PLATEAU && options->gamma >= 1)
        return failure(error, FAILURE_SIZE, "--lr-gamma must be less than 1 for %s", name);
    if (row->kind == CB_SCHEDULE_PLATEAU && options->threshold >= 1 && !options->absolute) {
        return failure(error, FAILURE_SIZE,
                       "--lr-threshold must be less than 1 without --lr-absolute");
    }
    if (!isnan(options->warmup_start) && options->warmup == 0)
        return failure(error, FAILURE_SIZE, "--warmup-start means nothing without --warmup");
    if (options->unit != NULL && row->kind == CB_SCHEDULE_CONSTANT && options->warmup == 0)
        return failure(error, FAILURE_SIZE, "--lr-unit means nothing to a constant learning rate");
    return options->milestones == NULL || parse_milestones(options->milestones, NULL) > 0 ||
           failure(error, FAILURE_SIZE,
                   "--lr-milestones must be rising whole numbers such as 100,200, not \"%s\"",
                   options->milestones);
}

static bool counts_steps(const learning_rate_options *options) {
    return options->unit != NULL ? strcmp(options->unit, "step") == 0
                                 : !find(options->schedule)->epochs_only;
}

int64_t learning_rate_period(const learning_rate_options *options, int64_t epochs,
                             int64_t steps_per_epoch) {
    int64_t run = counts_steps(options) ? epochs * steps_per_epoch : epochs;
    int64_t left = run - options->warmup;
    if (find(options->schedule)->kind != CB_SCHEDULE_COSINE || options->period > 0)
        return options->period;
    return left < 1 ? 1 : left;
}

/* The schedule after the warm-up. */
static bool make_main(const learning_rate_options *options, learning_rate *made, char *error) {
    cb_schedule *s = made->warmup > 0 ? &made->parts[1] : &made->schedule;
    *s = (cb_schedule){.kind = find(options->schedule)->kind,
                       .gamma = isnan(options->gamma) ? 0 : options->gamma,
                       .period = options->period,
                       .minimum = isnan(options->minimum) ? 0 : options->minimum,
                       .threshold = isnan(options->threshold) ? 0 : options->threshold,
                       .patience = options->patience,
                       .cooldown = options->cooldown,
                       .repeat = options->repeat,
                       .absolute = options->absolute};
    if (options->milestones == NULL)
        return true;
    s->milestone_count = parse_milestones(options->milestones, NULL);
    made->milestones = calloc((size_t)s->milestone_count + 1, sizeof *made->milestones);
    if (made->milestones == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    parse_milestones(options->milestones, made->milestones);
    /* They count from the beginning of training, as everything that is not a length does. */
    for (int i = 0; i < s->milestone_count; i++)
        made->milestones[i] =
            made->milestones[i] > made->warmup ? made->milestones[i] - made->warmup : 0;
    s->milestones = made->milestones;
    return true;
}

bool learning_rate_make(const learning_rate_options *options, learning_rate *made, char *error) {
    *made = (learning_rate){.warmup = options->warmup, .each_step = counts_steps(options)};
    made->scheduled = find(options->schedule)->kind != CB_SCHEDULE_CONSTANT || options->warmup > 0;
    if (!make_main(options, made, error))
        return false;
    if (made->warmup > 0) {
        made->parts[0] =
            (cb_schedule){.kind = CB_SCHEDULE_WARM_UP,
                          .period = made->warmup,
                          .start = isnan(options->warmup_start) ? 0 : options->warmup_start};
        made->schedule = (cb_schedule){.kind = CB_SCHEDULE_SEQUENCE,
                                       .parts = made->parts,
                                       .milestones = &made->warmup,
                                       .milestone_count = 1};
    }
    return true;
}

void learning_rate_free(learning_rate *rate) {
    free(rate->milestones);
    *rate = (learning_rate){0};
}
