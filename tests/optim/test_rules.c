/* Update rules of a user's program. */
#include "tests/optim/lion.h"
#include "tests/support.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const cb_init one = {.kind = CB_INIT_CONSTANT, .a = 1};

static double first_of(const cb_params *params, const char *name) {
    return cb_tensor_get(cb_params_find(params, name)->value, (int64_t[]){0});
}

Test(rules, a_rule_of_a_users_is_applied_as_ours_are) {
    for (int k = 0; k < 2; k++) {
        cb_params *params = cb_params_new_dtype(1, k == 0 ? CB_F32 : CB_F64);
        /* Large enough for several threads. */
        cb_tensor *a = cb_params_add(params, "a", CB_SHAPE(40000), 0, &one)->gradient;
        cb_tensor *b = cb_params_add(params, "b", CB_SHAPE(3), 0, &one)->gradient;
        cb_optimizer *lion = cb_optimizer_new_rule(
            &lion_rule, params, CB_OPTIMIZER_OPTIONS(.lr = 0.125, .beta1 = 0.5, .beta2 = 0.75));
        cr_assert_not_null(lion, "%s", cb_params_error(params));
        cr_expect_eq(cb_optimizer_group(lion, "b", &(cb_optimizer_options){.weight_decay = 1}), 1);
        cb_tensor_fill(a, 4);
        cb_tensor_fill(b, -4);
        cr_expect_eq(cb_optimizer_step(lion), CB_OK);
        /* m = 1 and -1; 1 - 0.125 and 1 - 0.125 (-1 + 1). */
        cr_expect_eq(first_of(params, "a"), 0.875);
        cr_expect_eq(cb_tensor_get(cb_params_find(params, "a")->value, (int64_t[]){39999}), 0.875);
        cr_expect_eq(first_of(params, "b"), 1);
        cr_expect_eq(cb_tensor_get(a, (int64_t[]){5}), 0);
        /* c = 0.5 - 0.25, of a sign of its own; m = 0.75 - 0.125. */
        cb_tensor_fill(a, -0.5);
        cr_expect_eq(cb_optimizer_step(lion), CB_OK);
        cr_expect_eq(first_of(params, "a"), 0.75);
        cb_named_tensor state = cb_optimizer_state_at(lion, 1);
        cr_expect_str_eq(state.name, "optimizer.a.exp_avg");
        cr_expect_eq(cb_tensor_get(state.tensor, (int64_t[]){7}), 0.625);
        cb_optimizer_free(lion);
        cb_params_free(params);
    }
}

Test(rules, options_of_ones_own_have_defaults_and_may_be_any_number) {
    cb_params *params = cb_params_new(1);
    cb_tensor *g = cb_params_add(params, "a", CB_SHAPE(1), 0, &one)->gradient;
    cb_optimizer *lion =
        cb_optimizer_new_rule(&lion_rule, params, CB_OPTIMIZER_OPTIONS(.lr = 0.5, .own = {-2}));
    cb_tensor_fill(g, 1);
    cr_expect_eq(cb_optimizer_step(lion), CB_OK);
    cr_expect_eq(first_of(params, "a"), 2);
    cb_optimizer_group_options(lion, 0)->own[2] = NAN;
    cr_expect_eq(cb_optimizer_step(lion), CB_ERROR_VALUE);
    cr_expect_not_null(strstr(cb_params_error(params), "lion: own[2] nan"), "%s",
                       cb_params_error(params));
    cb_optimizer_free(lion);
    cb_params_free(params);
}

static bool needs_momentum(const cb_optimizer_options *options, int i) {
    return i == 0 || options->momentum != 0;
}

static double starts(const cb_optimizer_options *options, int i) {
    return i == 0 ? options->alpha : 7;
}

static const char *no_half(const cb_optimizer_options *options) {
    return options->lr == 0.5 ? "a rate of a half" : NULL;
}

/* theta = what its two buffers hold. */
static void copies(const cb_optimizer_update *u) {
    float *theta = u->value, *gradient = u->gradient, *first = u->state[0], *second = u->state[1];
    for (int64_t i = 0; i < u->count; i++) {
        theta[i] = first[i] + (second == NULL ? 0 : second[i]);
        gradient[i] = 0;
    }
}

static const cb_optimizer_rule full = {
    .name = "full",
    .defaults = {.alpha = 0.25},
    .state_names = {"x", "y"},
    .needs_state = needs_momentum,
    .state_start = starts,
    .fault = no_half,
    .update_f32 = copies,
};

Test(rules, a_rule_says_what_it_keeps_and_what_is_wrong) {
    cb_params *params = cb_params_new(1);
    cb_params_add(params, "a", CB_SHAPE(2), 0, &one);
    cb_params_add(params, "b", CB_SHAPE(2), 0, &one);
    cb_optimizer *optimizer = cb_optimizer_new_rule(&full, params, NULL);
    cr_assert_eq(cb_optimizer_group(optimizer, "b", &(cb_optimizer_options){.momentum = 1}), 1);
    cr_expect_eq(cb_optimizer_step(optimizer), CB_OK);
    cr_expect_eq(first_of(params, "a"), 0.25);
    cr_expect_eq(first_of(params, "b"), 7.25);
    cr_expect_eq(cb_optimizer_state_count(optimizer), 5);
    cb_optimizer_group_options(optimizer, 1)->lr = 0.5;
    cr_expect_eq(cb_optimizer_step(optimizer), CB_ERROR_VALUE);
    cr_expect_str_eq(cb_params_error(params), "full: a rate of a half");
    cb_optimizer_free(optimizer);
    cb_params_free(params);
}

static void expect_bad(cb_optimizer_rule rule, cb_dtype dtype, const char *part) {
    cb_params *params = cb_params_new_dtype(1, dtype);
    cr_expect_null(cb_optimizer_new_rule(&rule, params, NULL));
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cr_expect_not_null(strstr(cb_params_error(params), part), "%s", cb_params_error(params));
    cb_params_free(params);
}

Test(rules, bad_rules_are_refused) {
    cb_optimizer_rule nameless = full, twice = full, step = full, gap = full;
    nameless.name = NULL;
    twice.state_names[1] = "x";
    step.state_names[0] = "step";
    gap.state_names[0] = NULL;
    expect_bad(nameless, CB_F32, "no name");
    expect_bad(full, CB_F64, "no update function");
    expect_bad(twice, CB_F32, "state names");
    expect_bad(step, CB_F32, "state names");
    expect_bad(gap, CB_F32, "state names");
    cb_params *params = cb_params_new(1);
    cr_expect_null(cb_optimizer_new_rule(NULL, params, NULL));
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cb_params_free(params);
    cr_expect_null(cb_optimizer_new_rule(&full, NULL, NULL));
}
