/* The options of `cerebra train`. The defaults are those of the paper's experiments. */
#include "apps/cli/duration.h"
#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"
#include "apps/model/text_options.h"
#include "presets.h"
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char about[] =
    "Trains a recurrent network to predict the next character of a text: embedding, recurrent "
    "layers, linear layer, mean cross entropy. The text is cut into consecutive windows, and each "
    "step takes a batch of them, drawn without replacement. An epoch is --steps-per-epoch such "
    "steps. The defaults are those of the paper's experiment, which compares cells; --preset "
    "char-rnn is for a good model of a text.\n";

static const char notes[] =
    "Presets:\n"
    "\n"
    "%s\n"
    "Schedules of the learning rate lr, of n steps or epochs (--lr-unit) since the end of the "
    "warm-up:\n"
    "\n"
    "%s\n"
    "The log has the columns epoch (from 0), loss (mean over the epoch's steps, each before its "
    "update, in nats per character) and seconds (spent training so far), held_out_loss with "
    "--held-out or --validation, and learning_rate (of the epoch's last step) where it changes. "
    "With --seeds, seed comes after epoch. It replaces an earlier file when the first epoch is "
    "done.\n"
    "\n"
    "The checkpoint holds all that training goes on with. --resume FILE takes the options from it "
    "and goes on as if it had not been stopped: weights and losses are the same to the bit, "
    "whatever the number of threads. Beside it --data, --validation, --epochs, --patience, "
    "--seeds, --time-limit, --log, --checkpoint (FILE), --keep-best, --checkpoint-every, --threads "
    "and --quiet may be given. Other options have to say what the checkpoint has: --cell the same "
    "equations, wherever the file is, and --set the same values. SIGINT, SIGTERM and SIGHUP end "
    "the step, write the checkpoint and exit; a second one exits at once.\n"
    "\n"
    "With --seeds N the models are in NAME.seed-K.safetensors, and --resume with any of these goes "
    "on with all.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage, 3 training diverged, 128 + N after signal N "
    "(130: SIGINT).\n";

train_request train_defaults(void) {
    return (train_request){
        .cell = "cerebral-lstm",
        .optimizer = optimizer_options_default(),
        .init = "glorot-uniform",
        .layers = 1,
        .hidden = 512,
        .embedding = 512,
        .seq_len = 20,
        .seeds = 1,
        .training = {.epochs = 500,
                     .steps_per_epoch = 100,
                     .batch = 128,
                     .seed = 1,
                     .rate = LEARNING_RATE_DEFAULTS},
    };
}

static void add_model_options(train_request *asked, option_row *rows, int *count) {
    const option_row mine[] = {
        {"preset", .string = &asked->preset, .value = "NAME", .names = preset_names(),
         .help = "options that are set before the others of the command line, see below (none)"},
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
        {"validation", .string = &asked->validation, .value = "FILE",
         .help = "UTF-8 text that is only measured on, in place of --held-out (none)",
         .keep = OPTION_KEPT},
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
        {"init", .string = &asked->init, .value = "NAME", .names = model_init_names,
         .help = "how weights are drawn", .keep = OPTION_FIXED},
    };
    options_append(rows, count, mine, sizeof mine);
}

static void add_rate_options(train_request *asked, option_row *rows, int *count) {
    learning_rate_options *rate = &asked->training.rate;
    const option_row mine[] = {
        {"schedule", .string = &rate->schedule, .value = "NAME", .names = learning_rate_schedules(),
         .help = "how the learning rate changes (constant), see below", .keep = OPTION_FIXED},
        {"warmup", .whole = &rate->warmup, .value = "N",
         .help = "steps, or epochs with --lr-unit epoch, in which the rate rises to --lr", .low = 0,
         .high = 1000000000, .keep = OPTION_FIXED},
        {"warmup-start", .number = &rate->warmup_start, .value = "X",
         .help = "what part of --lr the first step has (1/3)", .low = 0, .above_low = true,
         .high = 1, .keep = OPTION_FIXED},
        {"lr-unit", .string = &rate->unit, .value = "UNIT", .names = learning_rate_units,
         .help = "what --warmup and the schedule count (step; plateau: epoch)",
         .keep = OPTION_FIXED},
        {"lr-period", .whole = &rate->period, .value = "N",
         .help = "period of step and cosine; 0: of cosine, the run", .low = 0, .high = 1e15,
         .keep = OPTION_FIXED},
        {"lr-gamma", .number = &rate->gamma, .value = "X",
         .help = "factor of step, multi-step, exponential and plateau", .low = 0, .above_low = true,
         .high = INFINITY, .keep = OPTION_FIXED},
        {"lr-milestones", .string = &rate->milestones, .value = "N,N,...",
         .help = "when multi-step multiplies", .keep = OPTION_FIXED},
        {"lr-min", .number = &rate->minimum, .value = "X",
         .help = "lowest rate of cosine and plateau (0)", .low = 0, .high = INFINITY,
         .keep = OPTION_FIXED},
        {"lr-repeat", .flag = &rate->repeat, .help = "cosine: up again after the period, and down",
         .keep = OPTION_FIXED},
        {"lr-patience", .whole = &rate->patience, .value = "N",
         .help = "epochs without a lower loss that plateau lets pass", .low = 0, .high = 1000000000,
         .keep = OPTION_FIXED},
        {"lr-threshold", .number = &rate->threshold, .value = "X",
         .help = "part of the loss by which it has to fall for plateau (0.0001)", .low = 0,
         .above_low = true, .high = INFINITY, .keep = OPTION_FIXED},
        {"lr-absolute", .flag = &rate->absolute, .help = "--lr-threshold is a loss, not a part",
         .keep = OPTION_FIXED},
        {"lr-cooldown", .whole = &rate->cooldown, .value = "N",
         .help = "epochs after a cut of plateau in which none counts", .low = 0, .high = 1000000000,
         .keep = OPTION_FIXED},
    };
    options_append(rows, count, mine, sizeof mine);
}

static void add_run_options(train_request *asked, option_row *rows, int *count) {
    training_options *training = &asked->training;
    const option_row mine[] = {
        {"batch", .whole = &training->batch, .value = "N", .help = "windows in a step", .low = 1,
         .high = 1000000, .keep = OPTION_FIXED},
        {"epochs", .whole = &training->epochs, .value = "N", .help = "epochs", .low = 1,
         .high = 10000000, .keep = OPTION_KEPT},
        {"steps-per-epoch", .whole = &training->steps_per_epoch, .value = "N",
         .help = "steps in an epoch; 0: as many as are one pass over the text, each window once",
         .low = 0, .high = 10000000, .keep = OPTION_FIXED},
        {"carry", .flag = &training->carry,
         .help = "read the text in --batch parts side by side from their beginnings, the state "
                 "carried from each window to the next",
         .keep = OPTION_FIXED},
        {"random-offsets", .flag = &training->random_offsets,
         .help = "cut the text into windows elsewhere in each epoch, or pass of --carry",
         .keep = OPTION_FIXED},
        {"patience", .whole = &training->patience, .value = "N",
         .help = "end when the held-out loss has not been lower for N epochs; 0: do not", .low = 0,
         .high = 10000000, .keep = OPTION_KEPT},
        {"time-limit", .string = &asked->limit, .value = "TIME",
         .help = "end after TIME, such as 90s, 30m or 2h; --resume goes on (none)"},
        {"seed", .seed = &training->seed, .value = "N",
         .help = "determines initial weights, batches and dropout", .keep = OPTION_FIXED},
        {"seeds", .whole = &asked->seeds, .value = "N",
         .help = "train N models, with seeds from --seed on, one after the other", .low = 1,
         .high = 10000, .keep = OPTION_KEPT},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {"log", .string = &asked->log, .value = "FILE",
         .help = "CSV file for the losses; \"-\": standard output (none)"},
        {"checkpoint", .string = &asked->checkpoint, .value = "FILE",
         .help = "safetensors file for the trained model, and to go on from (none)"},
        {"keep-best", .flag = &asked->keep_best,
         .help = "keep the model with the lowest held-out loss, too: of --checkpoint "
                 "NAME.safetensors in NAME.best.safetensors",
         .keep = OPTION_KEPT},
        {"checkpoint-every", .string = &asked->every, .value = "N",
         .help = "how often it is written: every N steps, or Nm: every N minutes (every epoch)"},
        {"resume", .string = &asked->resume, .value = "FILE",
         .help = "go on from a checkpoint, with its options"},
        {"detect-anomaly", .flag = &asked->detect_anomaly,
         .help = "name the op and the step that give the first NaN; several times slower"},
        {"quiet", 'q', .flag = &asked->quiet, .help = "show no progress"},
    };
    options_append(rows, count, mine, sizeof mine);
}

void train_rows(train_request *asked, option_row rows[OPTIONS_MOST]) {
    int count = 0;
    memset(rows, 0, OPTIONS_MOST * sizeof *rows);
    add_model_options(asked, rows, &count);
    count += optimizer_options_rows(&asked->optimizer, rows + count);
    add_rate_options(asked, rows, &count);
    add_run_options(asked, rows, &count);
}

options_outcome train_parse(option_row *rows, int argc, char **argv, char *error) {
    static char below[8192];
    snprintf(below, sizeof below, notes, preset_help(), learning_rate_help());
    const option_table table = {.command = "train",
                                .synopsis = "[OPTION ...]",
                                .about = about,
                                .notes = below,
                                .rows = rows};
    return options_parse(&table, argc, argv, error);
}

void train_drop_defaults(train_request *asked) {
    asked->newlines = text_option_beyond_default(asked->newlines, text_newline_names);
    asked->normalize = text_option_beyond_default(asked->normalize, text_normalize_names);
}

static bool check_files(const train_request *asked, char *error) {
    if (asked->checkpoint != NULL && strcmp(asked->checkpoint, "-") == 0)
        return failure(error, FAILURE_SIZE, "--checkpoint must name a file");
    if (asked->every != NULL && asked->checkpoint == NULL) {
        return failure(error, FAILURE_SIZE,
                       "--checkpoint-every means nothing without --checkpoint");
    }
    if (asked->keep_best && asked->checkpoint == NULL)
        return failure(error, FAILURE_SIZE, "--keep-best means nothing without --checkpoint");
    if (same_file(asked->log, asked->checkpoint))
        return failure(error, FAILURE_SIZE, "--log and --checkpoint name the same file");
    if (same_file(asked->log, asked->resume))
        return failure(error, FAILURE_SIZE, "--log would overwrite the checkpoint to go on from");
    if (same_file(asked->data, asked->log) || same_file(asked->data, asked->checkpoint))
        return failure(error, FAILURE_SIZE, "--data would be overwritten");
    if (same_file(asked->validation, asked->log) || same_file(asked->validation, asked->checkpoint))
        return failure(error, FAILURE_SIZE, "--validation would be overwritten");
    return true;
}

/* What needs a text that is only measured on. */
static bool check_held_out(const train_request *asked, char *error) {
    bool measured = asked->held_out > 0 || asked->validation != NULL;
    if (asked->held_out > 0 && asked->validation != NULL)
        return failure(error, FAILURE_SIZE, "--held-out and --validation exclude each other");
    if (asked->training.patience > 0 && !measured)
        return failure(error, FAILURE_SIZE, "--patience needs --held-out or --validation");
    return !asked->keep_best || measured ||
           failure(error, FAILURE_SIZE, "--keep-best needs --held-out or --validation");
}

bool train_check(train_request *asked, model_init *init, char *error) {
    training_options *training = &asked->training;
    train_drop_defaults(asked);
    if (asked->chosen == NULL)
        asked->chosen = cell_choose(asked->cell, asked->set, error);
    if (asked->chosen == NULL ||
        !optimizer_options_take(&asked->optimizer, &training->optimizer_options, error) ||
        !learning_rate_check(&training->rate, error))
        return false;
    training->optimizer = asked->optimizer.name;
    if (asked->every != NULL && !checkpoint_interval_parse(asked->every, &asked->interval))
        return failure(error, FAILURE_SIZE, CHECKPOINT_INTERVAL_FAULT, asked->every);
    if (asked->limit != NULL && !duration_parse(asked->limit, &asked->time_limit)) {
        return failure(error, FAILURE_SIZE,
                       "--time-limit must be a time such as 90s, 30m or 2h, not \"%s\"",
                       asked->limit);
    }
    return check_files(asked, error) && check_held_out(asked, error) &&
           model_init_find(asked->init, init);
}
