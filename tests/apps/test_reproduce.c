/* The reproduction's arithmetic: crossings of curves, the widened LSTM, and the two protocols. */
#include "apps/cli/failure.h"
#include "apps/reproduce/reproduce.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static csv_series curve(size_t count, double *losses) {
    return (csv_series){.count = count, .y = losses};
}

Test(reproduce, below_from_looks_at_the_common_epochs_up_to_the_end) {
    double low[] = {5, 2, 4, 1, 1};
    double high[] = {4, 3, 3, 2, 2, 0};
    csv_series a = curve(5, low);
    csv_series b = curve(6, high);
    cr_assert_eq(reproduce_below_from(&a, &b), 3);
    cr_assert_eq(reproduce_below_from(&b, &a), -1);
    b.y[0] = 9;
    b.y[2] = 9;
    cr_assert_eq(reproduce_below_from(&a, &b), 0);
    /* Equal is not below. */
    cr_assert_eq(reproduce_below_from(&a, &a), -1);
}

Test(reproduce, reaches_is_the_first_epoch_below) {
    double losses[] = {3, 2, 1, 2, 0.5};
    csv_series a = curve(5, losses);
    cr_assert_eq(reproduce_reaches(&a, 2), 2);
    cr_assert_eq(reproduce_reaches(&a, 10), 0);
    cr_assert_eq(reproduce_reaches(&a, 0.5), -1);
}

Test(reproduce, widened_lstm_has_nearly_as_many_parameters) {
    char error[FAILURE_SIZE];
    const model_config lstm = {.cell = cell_choose("lstm", NULL, error),
                               .vocabulary = 89,
                               .embedding = 512,
                               .hidden = 512,
                               .layers = 1};
    model_config cerebral = lstm;
    model_config widened = lstm;
    cerebral.cell = cell_choose("cerebral-lstm", NULL, error);
    int64_t wanted = model_parameters(&cerebral);
    widened.hidden = reproduce_widened_hidden(&lstm, wanted);
    int64_t miss = llabs(model_parameters(&widened) - wanted);
    cr_assert_gt(widened.hidden, 512);
    for (int64_t step = -1; step <= 1; step += 2) {
        model_config other = widened;
        other.hidden += step;
        cr_assert_leq(miss, llabs(model_parameters(&other) - wanted));
    }
    cr_assert_eq(reproduce_widened_hidden(&lstm, model_parameters(&lstm)), 512);
}

static reproduce_request request = {.epochs = 3,
                                    .stacked_epochs = 5,
                                    .halves_epochs = 2,
                                    .hidden = 512,
                                    .seq_len = 20,
                                    .training = {.steps_per_epoch = 100, .batch = 128}};
static reproduction run = {.asked = &request, .data = {.characters = {.count = 89}}};

static training_job configured(reproduce_protocol protocol, reproduce_model which) {
    training_job job = {0};
    request.protocol = protocol;
    reproduce_configure(&run, which, &job);
    return job;
}

/* The half width of a gate's uniform distribution under the published protocol. */
static double limit(const cb_init *init) {
    cr_assert_eq(init->kind, CB_INIT_GLOROT_UNIFORM);
    cr_assert_eq(init->gain, 0);
    return sqrt(6 / (init->fan_in + init->fan_out));
}

Test(reproduce, published_initialisation_is_that_of_each_model) {
    static const struct {
        reproduce_model which;
        const char *cell;
        double input, recurrent;
        bool no_bias;
        int64_t layers, epochs;
    } expected[] = {
        {REPRODUCE_LSTM, "lstm", 4, 4, true, 1, 3},
        {REPRODUCE_STACKED, "lstm-state-bias", 8, 8, false, 2, 5},
        {REPRODUCE_CEREBRAL, "cerebral-lstm", 4, 8, true, 1, 3},
        {REPRODUCE_EQUAL_HALVES, "cerebral-lstm", 4, 8, true, 1, 2},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        training_job job = configured(PROTOCOL_PUBLISHED, expected[i].which);
        cr_assert_str_eq(job.model.cell->name, expected[i].cell);
        cr_assert_eq(job.model.no_bias, expected[i].no_bias);
        cr_assert_eq(job.model.layers, expected[i].layers);
        cr_assert_eq(job.options.epochs, expected[i].epochs);
        cr_assert_float_eq(limit(&job.init.input), sqrt(6 / (2 * expected[i].input * 512)), 1e-15);
        cr_assert_float_eq(limit(&job.init.recurrent), sqrt(6 / (2 * expected[i].recurrent * 512)),
                           1e-15);
        cr_assert_eq(job.init.equal_halves, expected[i].which == REPRODUCE_EQUAL_HALVES);
        cr_assert_eq(job.init.head_bias.kind, CB_INIT_ZEROS);
        cr_assert_eq(job.init.head.fan_in, 0);
        cr_assert_eq(job.init.embedding.fan_in, 0);
    }
}

Test(reproduce, published_weights_lie_within_their_limit) {
    training_job job = configured(PROTOCOL_PUBLISHED, REPRODUCE_CEREBRAL);
    char error[1024];
    model made;
    cr_assert(model_make(&job.model, &job.init, 1, &made, error), "%s", error);
    const char *const names[] = {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "embedding.weight"};
    const double limits[] = {sqrt(6.0 / 4096), sqrt(6.0 / 8192), sqrt(6.0 / (89 + 512))};
    for (int i = 0; i < 3; i++) {
        const cb_param *param = cb_params_find(made.params, names[i]);
        const float *values = param->value->data;
        double largest = 0;
        for (int64_t k = 0; k < cb_tensor_count(param->value); k++)
            largest = fmax(largest, fabs((double)values[k]));
        cr_assert(largest <= limits[i] * (1 + 1e-6) && largest > 0.999 * limits[i],
                  "%s: %g, limit %g", names[i], largest, limits[i]);
    }
    /* Embedding, eight gates without biases, output layer. */
    cr_assert_eq(cb_params_count(made.params), 5);
    cr_assert_eq(cb_params_elements(made.params), 89 * 512 + 2 * 8 * 512 * 512 + 89 * 513);
    cr_assert_float_eq(model_halves_distance(&made), sqrt(2), 0.01);
    model_free(&made);
}

Test(reproduce, equal_halves_start_equal) {
    training_job job = configured(PROTOCOL_CONTROLLED, REPRODUCE_EQUAL_HALVES);
    char error[1024];
    model made;
    job.model.hidden = job.model.embedding = 8;
    cr_assert(model_make(&job.model, &job.init, 1, &made, error), "%s", error);
    cr_assert_eq(model_halves_distance(&made), 0);
    model_free(&made);
}

Test(reproduce, controlled_models_start_alike) {
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        training_job job = configured(PROTOCOL_CONTROLLED, (reproduce_model)i);
        cr_assert_not(job.model.no_bias);
        cr_assert_eq(job.init.input.kind, CB_INIT_GLOROT_UNIFORM);
        cr_assert_eq(job.init.recurrent.kind, CB_INIT_GLOROT_UNIFORM);
        cr_assert_eq(job.init.input.fan_in, 0);
        cr_assert_eq(job.init.recurrent.fan_in, 0);
        cr_assert_eq(job.init.bias.kind, CB_INIT_ZEROS);
        cr_assert_eq(strstr(job.model.cell->name, "state-bias"), NULL);
    }
}

/* ---- What became of the claims --------------------------------------------------------------- */

enum { LONG = 800 };

/* A run whose curves fall from 4 as 4 exp(-rate epoch), as long as given. */
static reproduction *falling(const double rate[3], const size_t count[3]) {
    static double losses[3][LONG];
    static reproduction judged;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < LONG; k++)
            losses[i][k] = 4 * exp(-rate[i] * k);
        judged.models[i].curve = curve(count[i], losses[i]);
    }
    return &judged;
}

static void expect_verdicts(const double rate[3], const size_t count[3],
                            const claim_verdict expected[PAPER_CLAIMS]) {
    const reproduction *judged = falling(rate, count);
    for (int i = 0; i < PAPER_CLAIMS; i++) {
        cr_expect_eq(reproduce_judge(judged, (paper_claim_number)i), expected[i], "claim %d: %d", i,
                     (int)reproduce_judge(judged, (paper_claim_number)i));
    }
}

Test(reproduce, claims_are_judged_by_what_was_run) {
    /* Cerebral ends at 0.398 after 500 epochs, and two-stacked is there at epoch 676. */
    double to_last = log(4 / 0.398) / 499, slower = log(4 / 0.398) / 675.5;
    const double as_the_paper[3] = {slower / 2, slower, to_last};
    const size_t whole[3] = {500, 791, 500}, none[3] = {0, 0, 0}, few[3] = {31, 31, 31};
    /* Two curves of 4 at epoch 0 are equal there: Cerebral is below single from epoch 1. */
    expect_verdicts(
        as_the_paper, whole,
        (claim_verdict[]){CLAIM_HELD, CLAIM_NOT_HELD, CLAIM_HELD, CLAIM_HELD, CLAIM_HELD});
    expect_verdicts(as_the_paper, none,
                    (claim_verdict[]){CLAIM_OPEN, CLAIM_OPEN, CLAIM_OPEN, CLAIM_OPEN, CLAIM_OPEN});
    expect_verdicts(
        as_the_paper, few,
        (claim_verdict[]){CLAIM_OPEN, CLAIM_NOT_HELD, CLAIM_HELD, CLAIM_OPEN, CLAIM_OPEN});
    const double reversed[3] = {to_last, slower, slower / 2};
    expect_verdicts(reversed, whole,
                    (claim_verdict[]){CLAIM_NOT_HELD, CLAIM_NOT_HELD, CLAIM_NOT_HELD,
                                      CLAIM_NOT_HELD, CLAIM_NOT_HELD});
    const size_t short_of_the_crossing[3] = {500, 600, 500};
    expect_verdicts(
        as_the_paper, short_of_the_crossing,
        (claim_verdict[]){CLAIM_HELD, CLAIM_NOT_HELD, CLAIM_HELD, CLAIM_HELD, CLAIM_OPEN});
}
