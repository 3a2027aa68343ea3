/* Schedules against PyTorch's, epoch by epoch, and their options' ranges. */
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* That the schedule gives the rates of tests/reference/schedule_NAME, and that asking twice changes
   nothing. */
static void expect_rates(const char *name, cb_schedule schedule) {
    cb_safetensors *file = cbt_reference(name);
    const cb_tensor *rates = cbt_find(file, "lr");
    const cb_tensor *metrics = cb_safetensors_find(file, "metrics");
    for (int64_t epoch = 0; epoch < rates->shape[0]; epoch++) {
        double expected = cb_tensor_get(rates, &epoch);
        cb_schedule_lr(&schedule, 0.1);
        double rate = cb_schedule_lr(&schedule, 0.1);
        cr_expect(fabs(rate - expected) <= 1e-12, "%s, epoch %d: %.15g, not %.15g", name,
                  (int)epoch, rate, expected);
        cb_schedule_advance(&schedule, metrics == NULL ? NAN : cb_tensor_get(metrics, &epoch));
    }
    cb_safetensors_free(file);
}

Test(schedules, equal_pytorch) {
    const int64_t milestones[] = {4, 11, 12, 25};
    expect_rates("schedule_step",
                 (cb_schedule){.kind = CB_SCHEDULE_STEP, .period = 7, .gamma = 0.5});
    expect_rates("schedule_multi_step", (cb_schedule){.kind = CB_SCHEDULE_MULTI_STEP,
                                                      .gamma = 0.3,
                                                      .milestones = milestones,
                                                      .milestone_count = 4});
    expect_rates("schedule_exponential",
                 (cb_schedule){.kind = CB_SCHEDULE_EXPONENTIAL, .gamma = 0.9});
    expect_rates("schedule_cosine",
                 (cb_schedule){.kind = CB_SCHEDULE_COSINE, .period = 30, .minimum = 0.001});
    expect_rates("schedule_cosine_repeated",
                 (cb_schedule){.kind = CB_SCHEDULE_COSINE, .period = 8, .repeat = true});
    expect_rates("schedule_warmup",
                 (cb_schedule){.kind = CB_SCHEDULE_WARM_UP, .period = 10, .start = 0.1});
}

Test(schedules, plateau_equals_pytorch) {
    expect_rates("schedule_plateau",
                 (cb_schedule){.kind = CB_SCHEDULE_PLATEAU, .gamma = 0.5, .patience = 2});
    expect_rates("schedule_plateau_cooldown", (cb_schedule){.kind = CB_SCHEDULE_PLATEAU,
                                                            .gamma = 0.3,
                                                            .patience = 1,
                                                            .cooldown = 3,
                                                            .minimum = 0.004});
    expect_rates("schedule_plateau_absolute", (cb_schedule){.kind = CB_SCHEDULE_PLATEAU,
                                                            .gamma = 0.5,
                                                            .patience = 1,
                                                            .threshold = 0.05,
                                                            .absolute = true});
    expect_rates("schedule_plateau_max", (cb_schedule){.kind = CB_SCHEDULE_PLATEAU,
                                                       .gamma = 0.5,
                                                       .patience = 1,
                                                       .threshold = 0.01,
                                                       .maximise = true});
}

Test(schedules, defaults) {
    cb_schedule constant = {.kind = CB_SCHEDULE_CONSTANT, .epoch = 5};
    cr_expect_eq(cb_schedule_lr(&constant, 0.3), 0.3);
    cb_schedule exponential = {.kind = CB_SCHEDULE_EXPONENTIAL, .epoch = 2};
    cr_expect_float_eq(cb_schedule_lr(&exponential, 1), 0.01, 1e-15);
    cb_schedule warm_up = {.kind = CB_SCHEDULE_WARM_UP, .period = 2};
    cr_expect_float_eq(cb_schedule_lr(&warm_up, 1), 1.0 / 3, 1e-15);
    warm_up.epoch = 1;
    cr_expect_float_eq(cb_schedule_lr(&warm_up, 1), 2.0 / 3, 1e-15);
    warm_up.epoch = 3;
    cr_expect_float_eq(cb_schedule_lr(&warm_up, 1), 1, 1e-15);
    cb_schedule cosine = {.kind = CB_SCHEDULE_COSINE, .period = 4, .minimum = 0.1, .epoch = 9};
    cr_expect_eq(cb_schedule_lr(&cosine, 1), 0.1);
}

Test(schedules, a_metric_of_nan_is_no_improvement) {
    cb_schedule plateau = {.kind = CB_SCHEDULE_PLATEAU, .gamma = 0.5};
    cb_schedule_advance(&plateau, NAN);
    cr_expect_float_eq(cb_schedule_lr(&plateau, 1), 0.5, 1e-15);
    cb_schedule_advance(&plateau, 3);
    cr_expect_float_eq(cb_schedule_lr(&plateau, 1), 0.5, 1e-15);
    cb_schedule_advance(&plateau, 3);
    cr_expect_float_eq(cb_schedule_lr(&plateau, 1), 0.25, 1e-15);
}

Test(schedules, a_rate_below_the_minimum_stays_as_it_is) {
    cb_schedule plateau = {.kind = CB_SCHEDULE_PLATEAU, .gamma = 0.5, .minimum = 0.2};
    for (int i = 0; i < 5; i++)
        cb_schedule_advance(&plateau, 1);
    cr_expect_eq(cb_schedule_lr(&plateau, 1), 0.2);
    cr_expect_eq(cb_schedule_lr(&plateau, 0.1), 0.1);
}

Test(schedules, options_outside_their_range_give_nan) {
    const int64_t falling[] = {3, 2};
    cb_schedule parts[3] = {{.kind = CB_SCHEDULE_CONSTANT}};
    cb_schedule bad_part[] = {{.kind = CB_SCHEDULE_COSINE}};
    cb_schedule nested[] = {{.kind = CB_SCHEDULE_SEQUENCE, .parts = parts}};
    const cb_schedule bad[] = {
        {.kind = CB_SCHEDULE_STEP},
        {.kind = CB_SCHEDULE_STEP, .period = 1, .gamma = -1},
        {.kind = CB_SCHEDULE_CONSTANT, .epoch = -1},
        {.kind = CB_SCHEDULE_MULTI_STEP, .milestones = falling, .milestone_count = 2},
        {.kind = CB_SCHEDULE_MULTI_STEP, .milestone_count = 2},
        {.kind = CB_SCHEDULE_MULTI_STEP, .milestone_count = -1},
        {.kind = CB_SCHEDULE_EXPONENTIAL, .gamma = NAN},
        {.kind = CB_SCHEDULE_COSINE},
        {.kind = CB_SCHEDULE_COSINE, .period = 5, .minimum = -1},
        {.kind = CB_SCHEDULE_WARM_UP},
        {.kind = CB_SCHEDULE_WARM_UP, .period = 5, .start = 1.5},
        {.kind = CB_SCHEDULE_WARM_UP, .period = 5, .start = -0.5},
        {.kind = CB_SCHEDULE_PLATEAU, .gamma = 1},
        {.kind = CB_SCHEDULE_PLATEAU, .patience = -1},
        {.kind = CB_SCHEDULE_PLATEAU, .cooldown = -1},
        {.kind = CB_SCHEDULE_PLATEAU, .threshold = -1},
        {.kind = CB_SCHEDULE_PLATEAU, .threshold = 1},
        {.kind = CB_SCHEDULE_CONSTANT, .scale = -1},
        {.kind = CB_SCHEDULE_SEQUENCE},
        {.kind = CB_SCHEDULE_SEQUENCE, .parts = parts, .milestones = falling, .milestone_count = 2},
        {.kind = CB_SCHEDULE_SEQUENCE, .parts = bad_part},
        {.kind = CB_SCHEDULE_SEQUENCE, .parts = nested},
        {.kind = (cb_schedule_kind)99},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cb_schedule schedule = bad[i];
        cr_expect(isnan(cb_schedule_lr(&schedule, 0.1)), "case %zu", i);
        cb_schedule_advance(&schedule, 1);
        cr_expect_eq(schedule.epoch, bad[i].epoch, "case %zu", i);
    }
    cr_expect(isnan(cb_schedule_lr(NULL, 0.1)));
    cb_schedule_advance(NULL, 0);
}

/* ---- Sequences ------------------------------------------------------------------------------- */

/* Warm-up, cosine, a tenth: the rates of each epoch are those of the part's own, from 0. */
Test(schedules, a_sequence_gives_the_rates_of_its_parts) {
    const cb_schedule warm_up = {.kind = CB_SCHEDULE_WARM_UP, .period = 4, .start = 0.5};
    const cb_schedule cosine = {.kind = CB_SCHEDULE_COSINE, .period = 6, .minimum = 0.1};
    cb_schedule parts[] = {warm_up, cosine, {.kind = CB_SCHEDULE_CONSTANT, .scale = 0.1}};
    const int64_t milestones[] = {4, 10};
    cb_schedule sequence = {.kind = CB_SCHEDULE_SEQUENCE,
                            .parts = parts,
                            .milestones = milestones,
                            .milestone_count = 2};
    for (int64_t n = 0; n < 14; n++) {
        cb_schedule part = n < 4 ? warm_up : cosine;
        part.epoch = n < 4 ? n : n - 4;
        double expected = n < 10 ? cb_schedule_lr(&part, 0.5) : 0.05;
        cr_expect_eq(cb_schedule_lr(&sequence, 0.5), expected, "epoch %d", (int)n);
        cb_schedule_advance(&sequence, NAN);
    }
    /* Taken up anywhere. */
    cr_expect_eq(sequence.epoch, 14);
    sequence.epoch = 7;
    cr_expect_float_eq(cb_schedule_lr(&sequence, 0.5), 0.3, 1e-15);
    sequence.scale = 2;
    sequence.epoch = 0;
    cr_expect_eq(cb_schedule_lr(&sequence, 0.5), 0.5);
}

/* A warm-up of two epochs, then halved whenever the metric does not fall. */
static const int64_t two[] = {2};
static cb_schedule with_plateau(cb_schedule parts[2]) {
    parts[0] = (cb_schedule){.kind = CB_SCHEDULE_WARM_UP, .period = 2, .start = 0.5};
    parts[1] = (cb_schedule){.kind = CB_SCHEDULE_PLATEAU, .gamma = 0.5};
    return (cb_schedule){
        .kind = CB_SCHEDULE_SEQUENCE, .parts = parts, .milestones = two, .milestone_count = 1};
}

Test(schedules, a_plateau_in_a_sequence_sees_its_own_epochs_only) {
    cb_schedule parts[2], sequence = with_plateau(parts);
    const double metrics[] = {1, 1, 5, 4, 4, 3}, rates[] = {0.5, 0.75, 1, 1, 1, 0.5, 0.5};
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(cb_schedule_lr(&sequence, 1), rates[i], "epoch %d", i);
        cb_schedule_advance(&sequence, metrics[i]);
    }
    cr_expect_eq(cb_schedule_lr(&sequence, 1), rates[6]);
}

/* ---- State ----------------------------------------------------------------------------------- */

Test(schedules, a_state_that_is_restored_goes_on) {
    cb_schedule parts[2], others[2], sequence = with_plateau(parts), other = with_plateau(others);
    char text[1024];
    cb_error error;
    for (int i = 0; i < 9; i++) {
        size_t length = cb_schedule_state(&sequence, text, sizeof text);
        cr_assert(length > 0 && length < sizeof text);
        cr_expect_eq(cb_schedule_state(&sequence, NULL, 0), length);
        cr_expect_eq(cb_schedule_restore(&other, text, &error), CB_OK, "%s", error.message);
        cr_expect_eq(other.epoch, sequence.epoch);
        cr_expect_eq(others[1].best, parts[1].best);
        cr_expect_eq(cb_schedule_lr(&other, 1), cb_schedule_lr(&sequence, 1));
        cb_schedule_advance(&sequence, i % 2);
        cb_schedule_advance(&other, i % 2);
        cr_expect_eq(cb_schedule_lr(&other, 1), cb_schedule_lr(&sequence, 1));
        with_plateau(others);
    }
    /* A best metric that is infinite. */
    cb_schedule plateau = {.kind = CB_SCHEDULE_PLATEAU}, read = plateau;
    cb_schedule_advance(&plateau, NAN);
    cb_schedule_state(&plateau, text, sizeof text);
    cr_expect_eq(cb_schedule_restore(&read, text, NULL), CB_OK);
    cr_expect(isinf(read.best) && read.epoch == 1);
}

Test(schedules, a_state_that_does_not_fit_changes_nothing) {
    cb_schedule parts[2], sequence = with_plateau(parts);
    cb_schedule plateau = {.kind = CB_SCHEDULE_PLATEAU, .epoch = 3};
    char text[1024];
    cb_error error;
    cb_schedule_state(&sequence, text, sizeof text);
    cr_expect_eq(cb_schedule_restore(&plateau, text, &error), CB_ERROR_FORMAT);
    cr_expect_not_null(strstr(error.message, "schedule: its state"), "%s", error.message);
    cr_expect_eq(cb_schedule_restore(&plateau, NULL, &error), CB_ERROR_FORMAT);
    cr_expect_eq(cb_schedule_restore(&plateau, "{}", &error), CB_ERROR_FORMAT);
    const char *negative = "{\"epoch\": -1, \"best\": 0, \"bad\": 0, \"cooling\": 0, "
                           "\"factor\": 0, \"parts\": []}";
    cr_expect_eq(cb_schedule_restore(&plateau, negative, &error), CB_ERROR_VALUE);
    cr_expect_eq(plateau.epoch, 3);
    cr_expect_eq(cb_schedule_restore(NULL, text, &error), CB_ERROR_VALUE);
    cr_expect_eq(cb_schedule_state(NULL, text, sizeof text), 0);
}

/* ---- Of an optimizer ------------------------------------------------------------------------- */

Test(schedules, all_groups_are_scaled_from_their_initial_rates) {
    const cb_init zeros = {.kind = CB_INIT_ZEROS};
    cb_params *params = cb_params_new(1);
    cb_params_add(params, "a", CB_SHAPE(1), 0, &zeros);
    cb_params_add(params, "b", CB_SHAPE(1), 0, &zeros);
    cb_params_add(params, "c", CB_SHAPE(1), 0, &zeros);
    cb_optimizer *adam = cb_adam_new(params, .beta1 = 0.5);
    cr_assert_eq(cb_optimizer_group(adam, "b", &(cb_optimizer_options){.lr = 0.5}), 1);
    cb_schedule schedule = {.kind = CB_SCHEDULE_EXPONENTIAL, .gamma = 0.5};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(cb_optimizer_schedule(adam, &schedule), CB_OK);
        cr_expect_eq(cb_optimizer_group_options(adam, 0)->lr, 1e-3 * pow(0.5, i));
        cr_expect_eq(cb_optimizer_group_options(adam, 1)->lr, 0.5 * pow(0.5, i));
        cb_schedule_advance(&schedule, NAN);
    }
    /* A group that is made later has the initial rate of the first one. */
    cr_assert_eq(cb_optimizer_group(adam, "c", NULL), 2);
    cr_expect_eq(cb_optimizer_group_options(adam, 2)->initial_lr, 1e-3);
    schedule.gamma = -1;
    cr_expect_eq(cb_optimizer_schedule(adam, &schedule), CB_ERROR_VALUE);
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cr_expect_eq(cb_optimizer_group_options(adam, 0)->lr, 1e-3 / 4);
    cr_expect_eq(cb_optimizer_schedule(NULL, &schedule), CB_ERROR_VALUE);
    cb_optimizer_free(adam);
    cb_params_free(params);
}
