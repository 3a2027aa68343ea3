/* Learning-rate schedules. All but PLATEAU, and sequences with one, are closed formulas of the
   epoch, so that a schedule can be taken up at any epoch; they equal PyTorch's, which multiplies
   step by step, to rounding. PLATEAU is PyTorch's ReduceLROnPlateau. */
#include <cerebra/optim.h>
#include <math.h>

static const double pi = 3.14159265358979323846;

static double gamma_of(const cb_schedule *s) {
    return s->gamma == 0 ? 0.1 : s->gamma;
}

static double start_of(const cb_schedule *s) {
    return s->start == 0 ? 1.0 / 3.0 : s->start;
}

static double threshold_of(const cb_schedule *s) {
    return s->threshold == 0 ? 1e-4 : s->threshold;
}

static bool milestones_good(const cb_schedule *s) {
    if (s->milestone_count < 0 || (s->milestone_count > 0 && s->milestones == NULL))
        return false;
    for (int i = 1; i < s->milestone_count; i++)
        if (s->milestones[i] < s->milestones[i - 1])
            return false;
    return true;
}

static double scale_of(const cb_schedule *s) {
    return s->scale == 0 ? 1 : s->scale;
}

static bool schedule_good(const cb_schedule *s);

static bool parts_good(const cb_schedule *s) {
    bool good = milestones_good(s) && s->parts != NULL;
    for (int i = 0; good && i <= s->milestone_count; i++)
        good = s->parts[i].kind != CB_SCHEDULE_SEQUENCE && schedule_good(&s->parts[i]);
    return good;
}

/* Whether the options that the kind reads are in their ranges. */
static bool schedule_good(const cb_schedule *s) {
    bool gamma = gamma_of(s) > 0 && isfinite(gamma_of(s));
    bool minimum = s->minimum >= 0 && isfinite(s->minimum);
    if (s->epoch < 0 || !(scale_of(s) > 0 && isfinite(scale_of(s))))
        return false;
    switch (s->kind) {
    case CB_SCHEDULE_CONSTANT:
        return true;
    case CB_SCHEDULE_STEP:
        return gamma && s->period >= 1;
    case CB_SCHEDULE_MULTI_STEP:
        return gamma && milestones_good(s);
    case CB_SCHEDULE_EXPONENTIAL:
        return gamma;
    case CB_SCHEDULE_COSINE:
        return minimum && s->period >= 1;
    case CB_SCHEDULE_WARM_UP:
        return s->period >= 1 && start_of(s) > 0 && start_of(s) <= 1;
    case CB_SCHEDULE_PLATEAU:
        return gamma && gamma_of(s) < 1 && minimum && s->patience >= 0 && s->cooldown >= 0 &&
               threshold_of(s) > 0 && (s->absolute || threshold_of(s) < 1);
    case CB_SCHEDULE_SEQUENCE:
        return parts_good(s);
    }
    return false;
}

static int milestones_passed(const cb_schedule *s) {
    int passed = 0;
    while (passed < s->milestone_count && s->epoch >= s->milestones[passed])
        passed++;
    return passed;
}

/* The part of a sequence that its present epoch is in, with the epoch counted from where that part
   began: so a sequence too can be taken up anywhere. */
static cb_schedule part_now(const cb_schedule *s, int *place) {
    *place = milestones_passed(s);
    cb_schedule part = s->parts[*place];
    part.epoch = s->epoch - (*place == 0 ? 0 : s->milestones[*place - 1]);
    return part;
}

double cb_schedule_lr(const cb_schedule *s, double initial_lr) {
    if (s == NULL || !schedule_good(s))
        return NAN;
    double n = (double)s->epoch, period = (double)s->period;
    initial_lr *= scale_of(s);
    switch (s->kind) {
    case CB_SCHEDULE_CONSTANT:
        break;
    case CB_SCHEDULE_STEP:
        return initial_lr * pow(gamma_of(s), (double)(s->epoch / s->period));
    case CB_SCHEDULE_MULTI_STEP:
        return initial_lr * pow(gamma_of(s), milestones_passed(s));
    case CB_SCHEDULE_EXPONENTIAL:
        return initial_lr * pow(gamma_of(s), n);
    case CB_SCHEDULE_COSINE:
        if (n >= period && !s->repeat)
            return s->minimum;
        return s->minimum + (initial_lr - s->minimum) * (1 + cos(pi * n / period)) / 2;
    case CB_SCHEDULE_WARM_UP:
        return initial_lr * (start_of(s) + (1 - start_of(s)) * fmin(1, n / period));
    case CB_SCHEDULE_PLATEAU:
        /* A rate that starts below the minimum is left as it is. */
        return s->factor == 0 ? initial_lr
                              : fmax(initial_lr * s->factor, fmin(initial_lr, s->minimum));
    case CB_SCHEDULE_SEQUENCE: {
        int place;
        cb_schedule part = part_now(s, &place);
        return cb_schedule_lr(&part, initial_lr);
    }
    }
    return initial_lr;
}

/* Whether the metric beats the best so far by more than the threshold. */
static bool improved(const cb_schedule *s, double metric) {
    double sign = s->maximise ? -1 : 1;
    double target =
        s->absolute ? s->best - sign * threshold_of(s) : s->best * (1 - sign * threshold_of(s));
    return sign * metric < sign * target;
}

void cb_schedule_advance(cb_schedule *s, double metric) {
    if (s == NULL || !schedule_good(s))
        return;
    if (s->kind == CB_SCHEDULE_SEQUENCE) {
        int place;
        cb_schedule part = part_now(s, &place);
        cb_schedule_advance(&part, metric);
        s->parts[place] = part;
    }
    if (s->kind == CB_SCHEDULE_PLATEAU) {
        if (s->epoch == 0)
            s->best = s->maximise ? -INFINITY : INFINITY;
        if (improved(s, metric)) {
            s->best = metric;
            s->bad = 0;
        } else {
            s->bad++;
        }
        if (s->cooling > 0) {
            s->cooling--;
            s->bad = 0;
        }
        if (s->bad > s->patience) {
            s->factor = (s->factor == 0 ? 1 : s->factor) * gamma_of(s);
            s->cooling = s->cooldown;
            s->bad = 0;
        }
    }
    s->epoch++;
}
