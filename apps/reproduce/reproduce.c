/* `cerebra reproduce`: the paper's experiments in one go. Everything that can be wrong with the
   command line, the text or the output directory is found before the first model is trained. */
#include "reproduce.h"

#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/options.h"
#include "apps/cli/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char about[] =
    "Trains the models of \"Cerebral LSTM\" (R. Kumar, 2020) one after the other under one "
    "protocol: single LSTM, two-stacked LSTM, Cerebral LSTM, and the Cerebral LSTM with equal "
    "initial halves. DIR receives lstm.csv, stacked-lstm.csv, cerebral-lstm.csv and "
    "halves-equal.csv (a row for each epoch as it ends), the trained models (.safetensors), "
    "figure-12.png, figure-13.png, figure-14.png, figure-4.1.png, table-3.md and report.md.\n";

static const char notes[] =
    "Protocols: \"published\" starts each model as its author did, with initialisations and "
    "biases that differ between the models. \"controlled\" starts all alike, with ordinary "
    "biases, adds an LSTM with as many parameters as the Cerebral LSTM (widened-lstm.csv), and "
    "holds out the last tenth of the text for a held_out_loss.\n"
    "\n"
    "With --models, figures, table and report cover what these models allow, and those that are in "
    "DIR already. A run that was stopped is gone on with by the same command: finished models are "
    "not trained again, and the results are those of a run that was not stopped, to the bit. "
    "Models made with other options, or on another text, are refused; more --epochs train "
    "longer. SIGINT, SIGTERM and SIGHUP end the step, save and exit; a second one exits at once. "
    "The learning rate is 0.05 (Adagrad, accumulators from 0.1), as in the paper.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage, 3 training diverged, 128 + N after signal N "
    "(130: SIGINT).\n";

static const char *const protocols[] = {"published", "controlled", NULL};

/* The names of the models that can be asked for, ended by NULL. */
static const char *const *model_ids(void) {
    static const char *ids[REPRODUCE_WIDENED + 2];
    for (int i = 0; i <= REPRODUCE_WIDENED; i++)
        ids[i] = reproduce_names[i].id;
    return ids;
}

static const double controlled_held_out = 0.1;

/* The table of all options, ended by a row without a name; which of two were given. */
static void fill_rows(reproduce_request *asked, bool given[2], option_row rows[OPTIONS_MOST]) {
    training_options *training = &asked->training;
    const option_row mine[] = {
        {"out", .string = &asked->out, .value = "DIR", .help = "directory for the results"},
        {"data", .string = &asked->data, .value = "FILE",
         .help = "UTF-8 text to train on; \"-\": standard input (the bundled script)"},
        {"protocol", .string = &asked->protocol_name, .value = "NAME",
         .help = "how the models start", .names = protocols, .keep = OPTION_FIXED},
        {"models", .string = &asked->models, .value = "NAME,...",
         .help = "only these, with commas between them; the last needs --protocol controlled",
         .names = model_ids(), .commas = true},
        {"epochs", .whole = &asked->epochs, .value = "N", .help = "epochs of each model", .low = 1,
         .high = 10000000},
        {"stacked-epochs", .whole = &asked->stacked_epochs, .value = "N",
         .help = "of the two-stacked model, which the author ran longer (as --epochs)", .low = 1,
         .high = 10000000, .given = &given[0]},
        {"halves-epochs", .whole = &asked->halves_epochs, .value = "N",
         .help = "of the run with equal halves; 0: without it (as --epochs)", .low = 0,
         .high = 10000000, .given = &given[1]},
        {"steps-per-epoch", .whole = &training->steps_per_epoch, .value = "N",
         .help = "steps in an epoch", .low = 1, .high = 10000000, .keep = OPTION_FIXED},
        {"hidden", .whole = &asked->hidden, .value = "N",
         .help = "hidden size, and size of the embedding", .low = 1, .high = MODEL_LARGEST / 4,
         .keep = OPTION_FIXED},
        {"seq-len", .whole = &asked->seq_len, .value = "N", .help = "characters in a window",
         .low = 1, .high = MODEL_LARGEST, .keep = OPTION_FIXED},
        {"batch", .whole = &training->batch, .value = "N", .help = "windows in a step", .low = 1,
         .high = 1000000, .keep = OPTION_FIXED},
        {"seed", .seed = &training->seed, .value = "N",
         .help = "determines initial weights and batches", .keep = OPTION_FIXED},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {"logs", .string = &asked->logs, .value = "DIR",
         .help = "the author's logs, to compare with (single_lstm.txt ...)"},
        {"checkpoint-every", .string = &asked->every, .value = "N",
         .help = "how often the model in training is saved: every N steps, or Nm: every N minutes "
                 "(every epoch)"},
        {"fresh", .flag = &asked->fresh,
         .help = "start over, and remove what earlier runs have left in DIR"},
        {"quiet", 'q', .flag = &asked->quiet, .help = "show no progress"},
    };
    memset(rows, 0, OPTIONS_MOST * sizeof *rows);
    memcpy(rows, mine, sizeof mine);
}

static options_outcome parse(reproduce_request *asked, option_row *rows, const bool given[2],
                             int argc, char **argv, char *error) {
    const option_table table = {.command = "reproduce",
                                .synopsis = "--out DIR [OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    asked->stacked_epochs = given[0] ? asked->stacked_epochs : asked->epochs;
    asked->halves_epochs = given[1] ? asked->halves_epochs : asked->epochs;
    return outcome;
}

/* Marks the models of a comma-separated list, all of them when there is none. */
static bool choose_models(reproduction *run, char *error) {
    const reproduce_request *asked = run->asked;
    bool controlled = asked->protocol == PROTOCOL_CONTROLLED;
    const char *const *ids = model_ids();
    int known = controlled ? REPRODUCE_WIDENED + 1 : REPRODUCE_PAPER_MODELS;
    for (int i = 0; i < known; i++)
        run->models[i].wanted = asked->models == NULL;
    for (const char *at = asked->models; at != NULL;) {
        char id[64];
        int length = (int)strcspn(at, ",");
        snprintf(id, sizeof id, "%.*s", length, at);
        if (!controlled && strcmp(id, ids[REPRODUCE_WIDENED]) == 0)
            return failure(error, FAILURE_SIZE, "--models %s needs --protocol controlled", id);
        for (int i = 0; i < known; i++)
            run->models[i].wanted |= strcmp(id, ids[i]) == 0;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    run->models[REPRODUCE_EQUAL_HALVES].wanted =
        run->models[REPRODUCE_CEREBRAL].wanted && asked->halves_epochs > 0;
    return true;
}

static bool check_request(reproduce_request *asked, char *error) {
    if (asked->out == NULL || asked->out[0] == '\0')
        return failure(error, FAILURE_SIZE, "--out DIR is needed");
    if (asked->every != NULL && !checkpoint_interval_parse(asked->every, &asked->interval))
        return failure(error, FAILURE_SIZE, CHECKPOINT_INTERVAL_FAULT, asked->every);
    asked->protocol =
        strcmp(asked->protocol_name, "controlled") == 0 ? PROTOCOL_CONTROLLED : PROTOCOL_PUBLISHED;
    return true;
}

static bool is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Creates a directory and those above it that are missing. */
static bool make_directory(const char *path, char *error) {
    char part[REPRODUCE_PATH_SIZE];
    if (strlen(path) >= sizeof part)
        return failure(error, FAILURE_SIZE, "--out: the path is too long");
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            int reason = mkdir(part, 0777) == 0 ? 0 : errno;
            if (reason != 0 && !is_directory(part)) {
                return failure(error, FAILURE_SIZE, "cannot create the directory %s: %s", part,
                               strerror(reason));
            }
        }
    }
    return true;
}

bool reproduce_path(const reproduction *run, const char *name, char path[REPRODUCE_PATH_SIZE],
                    char *error) {
    int length = snprintf(path, REPRODUCE_PATH_SIZE, "%s/%s", run->asked->out, name);
    return (length > 0 && length < REPRODUCE_PATH_SIZE) ||
           failure(error, FAILURE_SIZE, "--out: the path is too long");
}

/* Reads the author's logs, where they are asked for. */
static bool read_logs(reproduction *run, char *error) {
    for (int i = 0; run->asked->logs != NULL && i < REPRODUCE_PAPER_MODELS; i++) {
        char path[REPRODUCE_PATH_SIZE];
        int length =
            snprintf(path, sizeof path, "%s/%s", run->asked->logs, reproduce_names[i].author_log);
        if (length < 0 || length >= REPRODUCE_PATH_SIZE)
            return failure(error, FAILURE_SIZE, "--logs: the path is too long");
        if (!csv_read_series(path, NULL, NULL, &run->models[i].author, error, FAILURE_SIZE))
            return false;
    }
    return true;
}

static bool prepare_model(reproduction *run, reproduce_model which, char *error) {
    reproduced *entry = &run->models[which];
    char name[128];
    reproduce_configure(run, which, &entry->job);
    entry->job.label = reproduce_names[which].id;
    entry->job.data = &run->data;
    entry->job.quiet = run->asked->quiet;
    snprintf(name, sizeof name, "%s.csv", reproduce_names[which].id);
    if (!reproduce_path(run, name, entry->log, error))
        return false;
    snprintf(name, sizeof name, "%s.safetensors", reproduce_names[which].id);
    if (!reproduce_path(run, name, entry->checkpoint, error))
        return false;
    entry->job.log = entry->log;
    entry->job.checkpoint = entry->checkpoint;
    entry->job.settings = run->settings;
    entry->job.every = run->asked->interval;
    return true;
}

/* Everything that can fail before training. The text is judged first: a directory is made only for
   a run that can start. */
static bool prepare(reproduction *run, const option_row *rows, char *error) {
    const reproduce_request *asked = run->asked;
    const corpus_source source = {
        .path = asked->data,
        .held_out = asked->protocol == PROTOCOL_CONTROLLED ? controlled_held_out : 0};
    if (!read_logs(run, error) || !corpus_load(&source, &run->data, error))
        return false;
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        training_job probe;
        if (!prepare_model(run, (reproduce_model)i, error))
            return false;
        probe = run->models[i].job;
        probe.log = NULL;
        probe.checkpoint = NULL;
        if (run->models[i].wanted && !training_check(&probe, NULL, error))
            return false;
    }
    char report[REPRODUCE_PATH_SIZE];
    if (!make_directory(asked->out, error) || !reproduce_path(run, "report.md", report, error) ||
        !run_lock_take(&run->lock, report, error) || !reproduce_clean(run, error) ||
        !(asked->fresh ? reproduce_start_over(run, error) : reproduce_find(run, rows, error)))
        return false;
    for (int i = 0; i < REPRODUCE_MODELS; i++)
        if (run->models[i].wanted && !training_check(&run->models[i].job, NULL, error))
            return false;
    return true;
}

static bool write_results(const reproduction *run, char *error) {
    return reproduce_write_figures(run, error) && reproduce_write_samples(run, error) &&
           reproduce_write_report(run, error);
}

/* Trains what is wanted; after each model everything is written that it makes possible, so that a
   run that ends early leaves what it has found. Returns the exit code. */
static int train_all(reproduction *run, char *error) {
    interrupt_watch();
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        reproduced *entry = &run->models[i];
        char reason[FAILURE_SIZE] = "";
        if (!entry->wanted)
            continue;
        training_outcome outcome = training_run(&entry->job, &entry->result, reason);
        if (outcome != TRAINING_DONE) {
            failure(error, FAILURE_SIZE, "%s: %.900s", reproduce_names[i].id, reason);
            return training_exit_code(outcome);
        }
        if (!reproduce_make_curve(entry, error) || !write_results(run, error))
            return EXIT_FAILURE;
        if (!run->asked->quiet) {
            fprintf(stderr, "cerebra reproduce: %s done, loss %.4f after %lld epochs\n",
                    reproduce_names[i].title, entry->curve.y[entry->curve.count - 1],
                    (long long)entry->result.count);
        }
    }
    return EXIT_SUCCESS;
}

static void release(reproduction *run) {
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        training_result_free(&run->models[i].result);
        csv_free_series(&run->models[i].curve);
        csv_free_series(&run->models[i].author);
    }
    run_lock_release(&run->lock);
    corpus_free(&run->data);
    free(run->settings);
    free(run);
}

static int reproduce(const reproduce_request *asked, const option_row *rows, char *error) {
    reproduction *run = calloc(1, sizeof *run);
    if (run == NULL)
        return command_fail("reproduce", EXIT_FAILURE, "out of memory");
    run->asked = asked;
    run->lock = RUN_LOCK_NONE;
    run->settings = settings_text(rows);
    int status = EXIT_USAGE;
    if (choose_models(run, error))
        status = prepare(run, rows, error) ? train_all(run, error) : EXIT_FAILURE;
    if (status != EXIT_SUCCESS) {
        command_fail("reproduce", status, error);
    } else if (!asked->quiet) {
        fprintf(stderr, "cerebra reproduce: the results are in %s; begin with report.md\n",
                asked->out);
    }
    release(run);
    return status;
}

int cerebra_reproduce(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    reproduce_request asked = {
        .protocol_name = "published",
        .epochs = 500,
        .stacked_epochs = -1, /* outside its range: --help prints no number */
        .halves_epochs = -1,
        .hidden = 512,
        .seq_len = 20,
        .training = {.steps_per_epoch = 100,
                     .batch = 128,
                     .seed = 1,
                     .optimizer = "adagrad",
                     .optimizer_options = {.lr = 0.05, .initial_accumulator = 0.1}},
    };
    option_row rows[OPTIONS_MOST];
    bool given[2] = {false, false};
    fill_rows(&asked, given, rows);
    options_outcome outcome = parse(&asked, rows, given, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    if (outcome == OPTIONS_BAD || !check_request(&asked, error))
        return command_fail("reproduce", EXIT_USAGE, error);
    if (asked.threads > 0)
        cb_set_threads((int)asked.threads);
    return reproduce(&asked, rows, error);
}
