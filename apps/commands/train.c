/* `cerebra train`: trains one character model on one text. The defaults are those of the paper's
   experiments. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/options.h"
#include "apps/cli/settings.h"
#include "apps/model/corpus.h"
#include "apps/model/text_options.h"
#include "apps/model/trainer.h"
#include "apps/model/training_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char about[] =
    "Trains a recurrent network to predict the next character of a text: embedding, recurrent "
    "layers, linear layer, mean cross entropy. The text is cut into consecutive windows, and each "
    "step takes a batch of them, drawn without replacement. An epoch is --steps-per-epoch such "
    "steps.\n";

static const char notes[] =
    "The log has the columns epoch (from 0), loss (mean over the epoch's steps, each before its "
    "update, in nats per character) and seconds (spent training so far), and held_out_loss with "
    "--held-out. It replaces an earlier file when the first epoch is done.\n"
    "\n"
    "The checkpoint holds all that training goes on with. --resume FILE takes the options from it "
    "and goes on as if it had not been stopped: weights and losses are the same to the bit, "
    "whatever the number of threads. Beside it --data, --epochs, --log, --checkpoint (FILE), "
    "--checkpoint-every, --threads and --quiet may be given. Other options have to say what the "
    "checkpoint has: --cell the same equations, wherever the file is, and --set the same values. "
    "SIGINT, SIGTERM and SIGHUP end the step, write the checkpoint and exit; a second one exits at "
    "once.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage, 3 training diverged, 128 + N after signal N "
    "(130: SIGINT).\n";

/* The command line. NaN: not given. */
typedef struct request {
    const char *data, *newlines, *normalize, *cell, *set, *optimizer, *init;
    const chosen_cell *chosen; /* what cell and set name */
    const char *log, *checkpoint, *resume, *every;
    int64_t layers, hidden, embedding, seq_len, recompute, threads;
    double dropout, recurrent_dropout, zoneout, zoneout_cell, lr, initial_accumulator, momentum,
        weight_decay, held_out;
    training_options training;
    checkpoint_interval interval;
    bool detect_anomaly, quiet, cell_given;
} request;

static const request defaults = {
    .cell = "cerebral-lstm",
    .optimizer = "adagrad",
    .init = "glorot-uniform",
    .layers = 1,
    .hidden = 512,
    .embedding = 512,
    .seq_len = 20,
    .lr = NAN,
    .initial_accumulator = NAN,
    .momentum = NAN,
    .weight_decay = NAN,
    .training = {.epochs = 500, .steps_per_epoch = 100, .batch = 128, .seed = 1},
};

/* Adds rows to a table that has room for OPTIONS_MOST of them. */
static void append(option_row *rows, int *count, const option_row *more, size_t bytes) {
    memcpy(rows + *count, more, bytes);
    *count += (int)(bytes / sizeof(option_row));
}

static void add_model_options(request *asked, option_row *rows, int *count) {
    const option_row mine[] = {
        {"data", .string = &asked->data, .value = "FILE",
         .help = "UTF-8 text to train on; \"-\": standard input (the bundled script)",
         .keep = OPTION_KEPT},
        {"newlines", .string = &asked->newlines, .value = "NAME",
         .help = "lf: CR LF, and CR alone, are read as LF; keep: as they are (keep)",
         .names = text_newline_names, .keep = OPTION_FIXED},
        {"normalize", .string = &asked->normalize, .value = "NAME",
         .help = "nfc: letters and their accents are read as one character wherever Unicode has it "
                 "(normalisation form C); none: as they are (none)",
         .names = text_normalize_names, .keep = OPTION_FIXED},
        {"held-out", .number = &asked->held_out, .value = "X",
         .help = "part of the text, at its end, that is only measured on", .low = 0, .high = 1,
         .below_high = true, .keep = OPTION_FIXED},
        {"cell", .string = &asked->cell, .value = "CELL", .help = CELL_OPTION_HELP,
         .keep = OPTION_FIXED, .given = &asked->cell_given},
        {"set", .string = &asked->set, .value = "NAME=X", .help = SET_OPTION_HELP,
         .keep = OPTION_FIXED, .joined = true},
        {"layers", .whole = &asked->layers, .value = "N", .help = "recurrent layers", .low = 1,
         .high = MODEL_MOST_LAYERS, .keep = OPTION_FIXED},
        {"hidden", .whole = &asked->hidden, .value = "N", .help = "hidden size of each layer",
         .low = 1, .high = MODEL_LARGEST, .keep = OPTION_FIXED},
        {"embedding", .whole = &asked->embedding, .value = "N",
         .help = "size of a character's embedding", .low = 1, .high = MODEL_LARGEST,
         .keep = OPTION_FIXED},
        {"seq-len", .whole = &asked->seq_len, .value = "N", .help = "characters in a window",
         .low = 1, .high = MODEL_LARGEST, .keep = OPTION_FIXED},
        {"dropout", .number = &asked->dropout, .value = "X",
         .help = "dropout rate on the output of each recurrent layer", .low = 0, .high = 1,
         .below_high = true, .keep = OPTION_FIXED},
        {"recurrent-dropout", .number = &asked->recurrent_dropout, .value = "X",
         .help = "dropout rate on the state that recurrent weights see, the same units at all "
                 "steps of a sequence",
         .low = 0, .high = 1, .below_high = true, .keep = OPTION_FIXED},
        {"zoneout", .number = &asked->zoneout, .value = "X",
         .help = "probability of a unit of the output state to stay what it was", .low = 0,
         .high = 1, .below_high = true, .keep = OPTION_FIXED},
        {"zoneout-cell", .number = &asked->zoneout_cell, .value = "X",
         .help = "the same of the other states", .low = 0, .high = 1, .below_high = true,
         .keep = OPTION_FIXED},
        {"recompute", .whole = &asked->recompute, .value = "K",
         .help = "keep states every K characters only and compute the rest again: less memory for "
                 "long windows, about 1.5 times the time; 0: keep all",
         .low = 0, .high = MODEL_LARGEST, .keep = OPTION_FIXED},
        {"init", .string = &asked->init, .value = "NAME", .help = "how weights are drawn",
         .names = model_init_names, .keep = OPTION_FIXED},
    };
    append(rows, count, mine, sizeof mine);
}

static void add_optimizer_options(request *asked, option_row *rows, int *count) {
    const option_row mine[] = {
        {"optimizer", .string = &asked->optimizer, .value = "NAME", .help = "optimizer",
         .names = cb_optimizer_names(), .keep = OPTION_FIXED},
        {"lr", .number = &asked->lr, .value = "X",
         .help = "learning rate (adagrad: 0.05, others: the library's default)", .low = 0,
         .above_low = true, .high = INFINITY, .keep = OPTION_FIXED},
        {"initial-accumulator", .number = &asked->initial_accumulator, .value = "X",
         .help = "where adagrad's sums of squares start (0.1)", .low = 0, .high = INFINITY,
         .keep = OPTION_FIXED},
        {"momentum", .number = &asked->momentum, .value = "X",
         .help = "momentum of sgd and rmsprop (0)", .low = 0, .high = 1, .below_high = true,
         .keep = OPTION_FIXED},
        {"weight-decay", .number = &asked->weight_decay, .value = "X",
         .help = "weight decay (adamw: 0.01, others: 0)", .low = 0, .high = INFINITY,
         .keep = OPTION_FIXED},
        {"clip-norm", .number = &asked->training.clip_norm, .value = "X",
         .help = "largest norm of all gradients together; 0: no clipping", .low = 0,
         .high = INFINITY, .keep = OPTION_FIXED},
    };
    append(rows, count, mine, sizeof mine);
}

static void add_run_options(request *asked, option_row *rows, int *count) {
    training_options *training = &asked->training;
    const option_row mine[] = {
        {"batch", .whole = &training->batch, .value = "N", .help = "windows in a step", .low = 1,
         .high = 1000000, .keep = OPTION_FIXED},
        {"epochs", .whole = &training->epochs, .value = "N", .help = "epochs", .low = 1,
         .high = 10000000, .keep = OPTION_KEPT},
        {"steps-per-epoch", .whole = &training->steps_per_epoch, .value = "N",
         .help = "steps in an epoch", .low = 1, .high = 10000000, .keep = OPTION_FIXED},
        {"seed", .seed = &training->seed, .value = "N",
         .help = "determines initial weights, batches and dropout", .keep = OPTION_FIXED},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {"log", .string = &asked->log, .value = "FILE",
         .help = "CSV file for the losses; \"-\": standard output (none)"},
        {"checkpoint", .string = &asked->checkpoint, .value = "FILE",
         .help = "safetensors file for the trained model, and to go on from (none)"},
        {"checkpoint-every", .string = &asked->every, .value = "N",
         .help = "how often it is written: every N steps, or Nm: every N minutes (every epoch)"},
        {"resume", .string = &asked->resume, .value = "FILE",
         .help = "go on from a checkpoint, with its options"},
        {"detect-anomaly", .flag = &asked->detect_anomaly,
         .help = "name the op and the step that give the first NaN; several times slower"},
        {"quiet", 'q', .flag = &asked->quiet, .help = "show no progress"},
    };
    append(rows, count, mine, sizeof mine);
}

/* The table of all options, ended by a row without a name. */
static void fill_rows(request *asked, option_row rows[OPTIONS_MOST]) {
    int count = 0;
    memset(rows, 0, OPTIONS_MOST * sizeof *rows);
    add_model_options(asked, rows, &count);
    add_optimizer_options(asked, rows, &count);
    add_run_options(asked, rows, &count);
}

static options_outcome parse(request *asked, option_row *rows, int argc, char **argv, char *error) {
    const option_table table = {.command = "train",
                                .synopsis = "[OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    asked->newlines = text_option_beyond_default(asked->newlines, text_newline_names);
    asked->normalize = text_option_beyond_default(asked->normalize, text_normalize_names);
    return outcome;
}

/* What a resumed run takes from its checkpoint. */
typedef struct resumed {
    settings settings;
    const chosen_cell *cell;
    const chosen_cell *named; /* what --cell names; NULL: it is not given */
    char *log;
} resumed;

static void resumed_free(resumed *r) {
    settings_free(&r->settings);
    free(r->log);
}

/* The cell that the command line names, with the hyperparameters of the checkpoint where it has
   them: those that are given are compared apart from it. */
static const chosen_cell *name_again(const request *asked, const cb_safetensors *stored,
                                     char *error) {
    const char *set = cb_safetensors_metadata(stored, "cell_set");
    const chosen_cell *named = set != NULL ? cell_choose(asked->cell, set, error) : NULL;
    return named != NULL ? named : cell_choose(asked->cell, NULL, error);
}

/* Returns the exit code, 0 when all is well. */
static int read_resumed(const request *asked, resumed *r, char *error) {
    const char *path = asked->resume;
    char message[FAILURE_SIZE] = "";
    cb_safetensors *stored = checkpoint_open(path, error);
    if (stored == NULL)
        return EXIT_FAILURE;
    /* A shared library is loaded only where the command line names it. */
    r->named = asked->cell_given ? name_again(asked, stored, error) : NULL;
    if (asked->cell_given && r->named == NULL) {
        cb_safetensors_free(stored);
        return cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE;
    }
    r->log = training_state_log(stored, path);
    bool ok = settings_read(cb_safetensors_metadata(stored, "settings"), &r->settings, message);
    /* As it was, whatever has become of a file of equations since. */
    r->cell = ok ? checkpoint_cell(stored, message) : NULL;
    cb_safetensors_free(stored);
    if (r->cell == NULL)
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
    return r->cell != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whether --cell and --set, as far as they are given, say what the checkpoint has. However they are
   written: what counts is the cell. before: --cell as it was given then. */
static bool check_cell(const request *asked, const resumed *r, const char *before, char *error) {
    const char *path = asked->resume;
    if (r->named != NULL && !cell_says_the_same(r->named, r->cell)) {
        return r->named->text != NULL && r->cell->text != NULL
                   ? failure(error, FAILURE_SIZE,
                             "the equations of %s differ from those that %s was trained with; "
                             "without --cell, those in the checkpoint go on",
                             asked->cell, path)
                   : failure(error, FAILURE_SIZE, "%s was made with --cell \"%s\", not \"%s\"",
                             path, before, asked->cell);
    }
    return asked->set == NULL || cell_check_set(r->cell, asked->set, path, error);
}

/* The command line once more, over the options of the run that goes on. Returns the exit code, 0
   when all is well. */
static int resume(request *asked, resumed *r, int argc, char **argv, char *error) {
    const char *path = asked->resume;
    char message[FAILURE_SIZE] = "";
    option_row rows[OPTIONS_MOST];
    request again = defaults;
    int status = read_resumed(asked, r, error);
    if (status != EXIT_SUCCESS)
        return status;
    again.chosen = r->cell;
    again.log = r->log;
    again.checkpoint = path;
    fill_rows(&again, rows);
    if (!settings_apply(&r->settings, rows, message)) {
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
        return EXIT_FAILURE;
    }
    const char *cell = again.cell, *set = again.set;
    if (!check_cell(asked, r, cell, error) || parse(&again, rows, argc, argv, error) != OPTIONS_RUN)
        return EXIT_USAGE;
    again.cell = cell;
    again.set = set;
    settings_outcome outcome = settings_match(&r->settings, rows, path, error);
    if (outcome != SETTINGS_SAME)
        return outcome == SETTINGS_DIFFER ? EXIT_USAGE : EXIT_FAILURE;
    *asked = again;
    return EXIT_SUCCESS;
}

/* An option that the chosen optimizer does not read is a mistake, not something to pass over. */
static bool check_applies(const char *option, double value, bool applies, const char *optimizer,
                          char *error) {
    return isnan(value) || applies ||
           failure(error, FAILURE_SIZE, "--%s means nothing to the optimizer %s", option,
                   optimizer);
}

static double given_or(double value, double otherwise) {
    return isnan(value) ? otherwise : value;
}

static bool set_optimizer(request *asked, char *error) {
    const char *name = asked->optimizer;
    if (!options_check_name("optimizer", name, cb_optimizer_names(), error))
        return false;
    bool adagrad = strcmp(name, "adagrad") == 0;
    bool has_momentum = strcmp(name, "sgd") == 0 || strcmp(name, "rmsprop") == 0;
    if (!check_applies("initial-accumulator", asked->initial_accumulator, adagrad, name, error) ||
        !check_applies("momentum", asked->momentum, has_momentum, name, error))
        return false;
    asked->training.optimizer = name;
    asked->training.optimizer_options = (cb_optimizer_options){
        .named = isnan(asked->weight_decay) ? NULL : ".weight_decay",
        .lr = given_or(asked->lr, adagrad ? 0.05 : 0),
        .initial_accumulator = adagrad ? given_or(asked->initial_accumulator, 0.1) : 0,
        .momentum = given_or(asked->momentum, 0),
        .weight_decay = given_or(asked->weight_decay, 0)};
    return true;
}

static bool same_file(const char *a, const char *b) {
    struct stat a_status, b_status;
    if (a == NULL || b == NULL || strcmp(a, "-") == 0 || strcmp(b, "-") == 0)
        return false;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &a_status) == 0 && stat(b, &b_status) == 0 && S_ISREG(a_status.st_mode) &&
           a_status.st_dev == b_status.st_dev && a_status.st_ino == b_status.st_ino;
}

/* What is wrong with a command line whose values are well-formed one by one. */
static bool check(request *asked, model_init *init, char *error) {
    if (asked->chosen == NULL)
        asked->chosen = cell_choose(asked->cell, asked->set, error);
    if (asked->chosen == NULL || !set_optimizer(asked, error) ||
        !options_check_name("init", asked->init, model_init_names, error) ||
        (asked->newlines != NULL &&
         !options_check_name("newlines", asked->newlines, text_newline_names, error)) ||
        (asked->normalize != NULL &&
         !options_check_name("normalize", asked->normalize, text_normalize_names, error)))
        return false;
    if (asked->checkpoint != NULL && strcmp(asked->checkpoint, "-") == 0)
        return failure(error, FAILURE_SIZE, "--checkpoint must name a file");
    if (asked->every != NULL && !checkpoint_interval_parse(asked->every, &asked->interval))
        return failure(error, FAILURE_SIZE, CHECKPOINT_INTERVAL_FAULT, asked->every);
    if (asked->every != NULL && asked->checkpoint == NULL) {
        return failure(error, FAILURE_SIZE,
                       "--checkpoint-every means nothing without --checkpoint");
    }
    if (same_file(asked->log, asked->checkpoint))
        return failure(error, FAILURE_SIZE, "--log and --checkpoint name the same file");
    if (same_file(asked->log, asked->resume))
        return failure(error, FAILURE_SIZE, "--log would overwrite the checkpoint to go on from");
    if (same_file(asked->data, asked->log) || same_file(asked->data, asked->checkpoint))
        return failure(error, FAILURE_SIZE, "--data would be overwritten");
    return model_init_find(asked->init, init);
}

static int train(const request *asked, const model_init *init, const char *kept, char *error) {
    const corpus_source source = {.path = asked->data,
                                  .form = text_form_of(asked->newlines, asked->normalize),
                                  .held_out = asked->held_out};
    corpus data;
    training_result result = {0};
    if (!corpus_load(&source, &data, error))
        return command_fail("train", EXIT_FAILURE, error);
    corpus_tell(&data, &source, "train", true);
    training_job job = {.label = asked->chosen->name,
                        .data = &data,
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
                        .settings = kept,
                        .resume = asked->resume,
                        .every = asked->interval,
                        .detect_anomaly = asked->detect_anomaly,
                        .quiet = asked->quiet};
    int status = EXIT_FAILURE;
    if (training_check(&job, error)) {
        interrupt_watch();
        status = training_exit_code(training_run(&job, &result, error));
    }
    if (status != EXIT_SUCCESS) {
        command_fail("train", status, error);
    } else if (!asked->quiet) {
        fprintf(stderr, "cerebra train: %s, %lld parameters, loss %#.6g after %lld epochs\n",
                asked->chosen->name, (long long)result.parameters,
                result.records[result.count - 1].loss, (long long)result.count);
    }
    training_result_free(&result);
    corpus_free(&data);
    return status;
}

/* Checks what was asked for and trains. */
static int run(request *asked, char *error) {
    model_init init;
    option_row rows[OPTIONS_MOST];
    fill_rows(asked, rows);
    /* Before options that were not given are filled in. */
    char *kept = settings_text(rows);
    int status = EXIT_FAILURE;
    if (kept == NULL) {
        command_fail("train", EXIT_FAILURE, "out of memory");
    } else if (!check(asked, &init, error)) {
        status = command_fail("train", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    } else {
        if (asked->threads > 0)
            cb_set_threads((int)asked->threads);
        status = train(asked, &init, kept, error);
    }
    free(kept);
    return status;
}

int cerebra_train(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = defaults;
    resumed before = {{NULL}, NULL, NULL, NULL};
    option_row rows[OPTIONS_MOST];
    fill_rows(&asked, rows);
    options_outcome outcome = parse(&asked, rows, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    int status = outcome == OPTIONS_BAD ? EXIT_USAGE : EXIT_SUCCESS;
    if (status == EXIT_SUCCESS && asked.resume != NULL)
        status = resume(&asked, &before, argc, argv, error);
    status = status == EXIT_SUCCESS ? run(&asked, error) : command_fail("train", status, error);
    resumed_free(&before);
    return status;
}
