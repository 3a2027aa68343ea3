/* The learning rate at each step, against the formulas written down once more. */
#include "apps/model/learning_rate.h"

#include "apps/cli/failure.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

static char error[FAILURE_SIZE];

static double real(cb_random *random, double low, double high) {
    double value;
    cb_random_uniform_f64(random, 1, &value, low, high);
    return value;
}

static int64_t whole(cb_random *random, int64_t low, int64_t high) {
    return low + (int64_t)cb_random_below(random, (uint64_t)(high - low + 1));
}

/* The formulas of the help text, n from the end of the warm-up; milestones are the text's. */
static double expected(const learning_rate_options *o, const int64_t milestones[2], double lr,
                       int64_t step) {
    double gamma = isnan(o->gamma) ? 0.1 : o->gamma, low = isnan(o->minimum) ? 0 : o->minimum;
    double start = isnan(o->warmup_start) ? 1.0 / 3 : o->warmup_start;
    int64_t n = step - o->warmup;
    if (n < 0)
        return lr * (start + (1 - start) * (double)step / (double)o->warmup);
    if (o->schedule == NULL || strcmp(o->schedule, "constant") == 0)
        return lr;
    if (strcmp(o->schedule, "step") == 0)
        return lr * pow(gamma, (double)(n / o->period));
    if (strcmp(o->schedule, "exponential") == 0)
        return lr * pow(gamma, (double)n);
    if (strcmp(o->schedule, "multi-step") == 0) {
        int passed = (step >= milestones[0]) + (step >= milestones[1]);
        return lr * pow(gamma, passed);
    }
    double phase = (double)n / (double)o->period;
    if (phase >= 1 && !o->repeat)
        return low;
    return low + (lr - low) * (1 + cos(3.14159265358979323846 * phase)) / 2;
}

Test(learning_rate, follows_its_formula_at_each_step) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    cr_log_info("seed %llu", (unsigned long long)seed);
    static const char *const names[] = {NULL,         "constant",    "step",
                                        "multi-step", "exponential", "cosine"};
    for (int trial = 0; trial < 600; trial++) {
        learning_rate_options o = LEARNING_RATE_DEFAULTS;
        const int64_t milestones[2] = {whole(&random, 1, 40), whole(&random, 41, 90)};
        char text[64];
        learning_rate rate;
        o.schedule = names[trial % 6];
        const char *name = o.schedule == NULL ? "constant" : o.schedule;
        bool cosine = strcmp(name, "cosine") == 0, constant = strcmp(name, "constant") == 0;
        if (whole(&random, 0, 1) == 1) {
            o.warmup = whole(&random, 1, 20);
            o.warmup_start = whole(&random, 0, 1) == 1 ? real(&random, 0.01, 1) : (double)NAN;
        }
        if (strcmp(name, "step") == 0 || cosine)
            o.period = whole(&random, 1, 60);
        if (!cosine && !constant)
            o.gamma = real(&random, 0.3, 1.1);
        if (cosine && whole(&random, 0, 1) == 1)
            o.minimum = real(&random, 0, 0.01);
        o.repeat = cosine && whole(&random, 0, 1) == 1;
        snprintf(text, sizeof text, "%lld,%lld", (long long)milestones[0],
                 (long long)milestones[1]);
        o.milestones = strcmp(name, "multi-step") == 0 ? text : NULL;
        cr_assert(learning_rate_check(&o, error), "%s", error);
        cr_assert(learning_rate_make(&o, &rate, error), "%s", error);
        cr_assert_eq(rate.scheduled, !constant || o.warmup > 0);
        cr_assert(rate.each_step);
        for (int64_t step = 0; step < 120; step++) {
            double found = cb_schedule_lr(&rate.schedule, 0.02);
            double wanted = expected(&o, milestones, 0.02, step);
            cr_assert(fabs(found - wanted) <= 1e-12 * (wanted + 0.02), "%s, step %lld: %g, not %g",
                      name, (long long)step, found, wanted);
            cb_schedule_advance(&rate.schedule, NAN);
        }
        learning_rate_free(&rate);
    }
}

/* PyTorch's ReduceLROnPlateau in plain arithmetic, on losses that wander. */
Test(learning_rate, plateau_cuts_where_losses_do_not_fall) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int trial = 0; trial < 200; trial++) {
        learning_rate_options o = LEARNING_RATE_DEFAULTS;
        learning_rate rate;
        o.schedule = "plateau";
        o.patience = whole(&random, 1, 4);
        o.cooldown = whole(&random, 0, 3);
        o.gamma = real(&random, 0.2, 0.9);
        o.threshold = real(&random, 0.001, 0.1);
        o.absolute = trial % 2 == 0;
        o.minimum = 1e-4;
        cr_assert(learning_rate_check(&o, error), "%s", error);
        cr_assert(learning_rate_make(&o, &rate, error), "%s", error);
        cr_assert_not(rate.each_step);
        double lr = 0.02, best = INFINITY, loss = 3;
        int64_t bad = 0, cooling = 0;
        for (int64_t epoch = 0; epoch < 80; epoch++) {
            double found = cb_schedule_lr(&rate.schedule, 0.02);
            cr_assert(fabs(found - lr) <= 1e-12, "epoch %lld: %g, not %g", (long long)epoch, found,
                      lr);
            loss = fmax(0.1, loss + real(&random, -0.2, 0.15));
            cb_schedule_advance(&rate.schedule, loss);
            double target = o.absolute ? best - o.threshold : best * (1 - o.threshold);
            bad = loss < target ? 0 : bad + 1;
            best = loss < target ? loss : best;
            if (cooling > 0) {
                cooling--;
                bad = 0;
            }
            if (bad > o.patience) {
                lr = fmax(lr * o.gamma, o.minimum);
                cooling = o.cooldown;
                bad = 0;
            }
        }
        learning_rate_free(&rate);
    }
}

Test(learning_rate, a_cosine_is_as_long_as_the_run) {
    learning_rate_options o = LEARNING_RATE_DEFAULTS;
    cr_expect_eq(learning_rate_period(&o, 10, 100), 0);
    o.schedule = "cosine";
    cr_expect_eq(learning_rate_period(&o, 10, 100), 1000);
    o.warmup = 30;
    cr_expect_eq(learning_rate_period(&o, 10, 100), 970);
    o.unit = "epoch";
    o.warmup = 3;
    cr_expect_eq(learning_rate_period(&o, 10, 100), 7);
    o.warmup = 12;
    cr_expect_eq(learning_rate_period(&o, 10, 100), 1);
    o.period = 5;
    cr_expect_eq(learning_rate_period(&o, 10, 100), 5);
}

static void refused(learning_rate_options o, const char *message) {
    error[0] = '\0';
    cr_expect_not(learning_rate_check(&o, error), "%s", message);
    cr_expect_not_null(strstr(error, message), "\"%s\" is not in \"%s\"", message, error);
}

Test(learning_rate, refuses_options_that_say_nothing) {
    learning_rate_options o = LEARNING_RATE_DEFAULTS;
    o.schedule = "cosin";
    refused(o, "did you mean cosine?");
    o.schedule = "step";
    refused(o, "the schedule step needs --lr-period");
    o.schedule = "plateau";
    refused(o, "the schedule plateau needs --lr-patience");
    o.patience = 2;
    o.unit = "step";
    refused(o, "the schedule plateau counts epochs, not steps");
    o.unit = "epoch";
    o.gamma = 1;
    refused(o, "--lr-gamma must be less than 1");
    o.gamma = NAN;
    o.threshold = 1.5;
    refused(o, "--lr-threshold must be less than 1");
    o.threshold = NAN;
    o.repeat = true;
    refused(o, "--lr-repeat means nothing to the schedule plateau");
    o = (learning_rate_options)LEARNING_RATE_DEFAULTS;
    o.gamma = 0.5;
    refused(o, "--lr-gamma means nothing to the schedule constant");
    o.schedule = "multi-step";
    refused(o, "the schedule multi-step needs --lr-milestones");
    static const char *const bad[] = {"",    "0",    "5,5",  "9,3", "1,",
                                      ",1",  "a",    "-2,3", "1;2", "99999999999999999999999999",
                                      "1 2", "1,2.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.milestones = bad[i];
        refused(o, "--lr-milestones must be rising whole numbers");
    }
    o = (learning_rate_options)LEARNING_RATE_DEFAULTS;
    o.warmup_start = 0.5;
    refused(o, "--warmup-start means nothing without --warmup");
    o.warmup_start = NAN;
    o.unit = "epoch";
    refused(o, "--lr-unit means nothing to a constant learning rate");
    o.unit = "day";
    refused(o, "there are step, epoch");
}
