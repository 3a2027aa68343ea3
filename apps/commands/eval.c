/* `cerebra eval`: how well a trained model predicts a text. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/model/checkpoint.h"
#include "apps/model/corpus.h"
#include "apps/model/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char about[] =
    "Prints the mean cross entropy of a text under a model from cerebra train, in nats per "
    "character, the same in bits, the perplexity, and the number of characters predicted.\n";

static const char notes[] =
    "The text is cut into the consecutive windows the model was trained on, the state zero at the "
    "start of each; with --carry the state runs on from the first character to the last.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

typedef struct request {
    const char *checkpoint, *data, *cell;
    const chosen_cell *named; /* what cell names; NULL: nothing */
    int64_t threads;
    bool carry;
} request;

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"checkpoint", .string = &asked->checkpoint, .value = "FILE", .help = "the trained model"},
        {"cell", .string = &asked->cell, .value = "FILE.so[:NAME]",
         .help = "the shared library that its cell is from, if it is"},
        {"data", .string = &asked->data, .value = "FILE",
         .help = "UTF-8 text; \"-\": standard input (the bundled script)"},
        {"carry", .flag = &asked->carry, .help = "carry the state through the whole text"},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {.name = NULL},
    };
    const option_table table = {.command = "eval",
                                .synopsis = "--checkpoint FILE [OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    return options_parse(&table, argc, argv, error);
}

static void print_measures(double nats, size_t predicted) {
    printf("cross entropy       %#.6g nats per character\n", nats);
    printf("bits per character  %#.6g\n", nats / log(2));
    printf("perplexity          %#.6g\n", exp(nats));
    printf("characters          %zu\n", predicted);
}

static int eval(const request *asked, char *error) {
    checkpoint trained = {0};
    text source = {0};
    int32_t *numbers = NULL;
    double nats = 0;
    bool ok =
        checkpoint_read(asked->checkpoint, &trained, error) &&
        checkpoint_check_cell(asked->named, trained.model.config.cell, asked->checkpoint, error) &&
        text_load(asked->data, &source, error);
    if (ok) {
        numbers =
            vocabulary_encode(&trained.characters, &source, text_display_name(asked->data), error);
        ok = numbers != NULL && (asked->carry ? predict_carried : predict_windows)(
                                    &trained.model, numbers, (int64_t)source.count, &nats, error);
    }
    if (ok && !isfinite(nats)) {
        ok = failure(error, FAILURE_SIZE, "%s: the loss of this model is not a finite number",
                     asked->checkpoint);
    }
    if (ok)
        print_measures(nats, source.count - 1);
    free(numbers);
    text_free(&source);
    checkpoint_free(&trained);
    return ok ? EXIT_SUCCESS : command_fail("eval", EXIT_FAILURE, error);
}

int cerebra_eval(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {0};
    options_outcome outcome = parse(&asked, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    if (outcome == OPTIONS_RUN && asked.cell != NULL) {
        asked.named = cell_choose(asked.cell, NULL, error);
        if (asked.named == NULL)
            return command_fail("eval", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    }
    if (outcome == OPTIONS_RUN && asked.checkpoint == NULL) {
        failure(error, FAILURE_SIZE, "--checkpoint FILE is needed");
        outcome = OPTIONS_BAD;
    }
    if (outcome == OPTIONS_BAD)
        return command_fail("eval", EXIT_USAGE, error);
    asked.data = asked.data == NULL ? corpus_bundled_path() : asked.data;
    if (asked.data == NULL) {
        return command_fail("eval", EXIT_FAILURE,
                            "the bundled text is not installed; use --data FILE");
    }
    if (asked.threads > 0)
        cb_set_threads((int)asked.threads);
    return eval(&asked, error);
}
