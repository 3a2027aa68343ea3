/* `cerebra train`: trains one character model on one text, or several that differ by their seeds.
 */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/settings.h"
#include "apps/model/corpus.h"
#include "apps/model/text_options.h"
#include "presets.h"

#include <stdlib.h>

/* The texts; the second only with --validation. */
static bool load(const train_request *asked, corpus *data, corpus *validation, char *error) {
    const text_form form = text_form_of(asked->newlines, asked->normalize);
    const corpus_source source = {.path = asked->data, .form = form, .held_out = asked->held_out};
    *validation = (corpus){0};
    if (!corpus_load(&source, data, error))
        return false;
    corpus_tell(data, &source, "train", true);
    if (asked->validation == NULL ||
        corpus_load_known(asked->validation, form, &data->characters, validation, error))
        return true;
    corpus_free(data);
    return false;
}

static training_job make_job(const train_request *asked, const model_init *init) {
    return (training_job){.label = asked->chosen->name,
                          .model = {.cell = asked->chosen,
                                    .embedding = asked->embedding,
                                    .hidden = asked->hidden,
                                    .layers = asked->layers,
                                    .seq_len = asked->seq_len,
                                    .dropout = asked->dropout,
                                    .recurrent_dropout = asked->recurrent_dropout,
                                    .zoneout = asked->zoneout,
                                    .zoneout_cell = asked->zoneout_cell,
                                    .recompute = asked->recompute},
                          .init = *init,
                          .options = asked->training,
                          .log = asked->log,
                          .checkpoint = asked->checkpoint,
                          .resume = asked->resume,
                          .every = asked->interval,
                          .time_limit = asked->time_limit,
                          .detect_anomaly = asked->detect_anomaly,
                          .quiet = asked->quiet};
}

/* A cosine over the whole run is over that run for good, however many epochs it goes on for. */
static void settle_period(train_request *asked, training_job *job, int64_t steps) {
    learning_rate_options *rate = &asked->training.rate;
    rate->period = learning_rate_period(rate, asked->training.epochs, steps);
    job->options.rate.period = rate->period;
}

static int train(train_request *asked, const model_init *init, char *error) {
    corpus data, validation;
    option_row rows[OPTIONS_MOST];
    int64_t steps;
    if (!load(asked, &data, &validation, error))
        return command_fail("train", EXIT_FAILURE, error);
    training_job job = make_job(asked, init);
    char *kept = NULL;
    job.data = &data;
    job.validation = asked->validation != NULL ? &validation : NULL;
    int status = EXIT_FAILURE;
    if (!training_check(&job, &steps, error)) {
        command_fail("train", EXIT_FAILURE, error);
    } else {
        settle_period(asked, &job, steps);
        train_rows(asked, rows);
        kept = settings_text(rows);
        job.settings = kept;
        status = kept == NULL ? command_fail("train", EXIT_FAILURE, "out of memory")
                              : train_runs(asked, &job, error);
    }
    free(kept);
    corpus_free(&data);
    corpus_free(&validation);
    return status;
}

/* Checks what was asked for and trains. */
static int run(train_request *asked, char *error) {
    model_init init;
    if (!train_check(asked, &init, error))
        return command_fail("train", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    if (asked->threads > 0)
        cb_set_threads((int)asked->threads);
    return train(asked, &init, error);
}

/* The command line once more, over the options of the preset. Returns the exit code. */
static int preset(train_request *asked, int argc, char **argv, char *error) {
    train_request again = train_defaults();
    option_row rows[OPTIONS_MOST];
    if (asked->resume != NULL) {
        failure(error, FAILURE_SIZE, "--preset means nothing with --resume");
        return EXIT_USAGE;
    }
    train_rows(&again, rows);
    if (!preset_apply(asked->preset, rows, error) ||
        train_parse(rows, argc, argv, error) != OPTIONS_RUN)
        return EXIT_USAGE;
    *asked = again;
    return EXIT_SUCCESS;
}

int cerebra_train(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    train_request asked = train_defaults();
    option_row rows[OPTIONS_MOST];
    train_rows(&asked, rows);
    options_outcome outcome = train_parse(rows, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    int status = outcome == OPTIONS_BAD ? EXIT_USAGE : EXIT_SUCCESS;
    if (status == EXIT_SUCCESS && asked.preset != NULL)
        status = preset(&asked, argc, argv, error);
    if (status == EXIT_SUCCESS && asked.resume != NULL)
        status = train_resume(&asked, argc, argv, error);
    return status == EXIT_SUCCESS ? run(&asked, error) : command_fail("train", status, error);
}
