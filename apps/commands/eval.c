/* `cerebra eval`: how well a trained model predicts a text. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/cli/text.h"
#include "apps/model/checkpoint.h"
#include "apps/model/corpus.h"
#include "apps/model/predict.h"
#include "apps/model/training_state.h"
#include "tensor/io/json_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char about[] =
    "Prints the mean cross entropy of a text under a model from cerebra train, in nats per "
    "character, the same in bits, the perplexity, and the number of characters predicted.\n";

static const char notes[] =
    "The text is cut into the consecutive windows the model was trained on, the state zero at the "
    "start of each; with --carry the state runs on from the first character to the last. It is "
    "read as the model's own was: with --newlines and --normalize of cerebra train.\n"
    "\n"
    "With --held-out, the text is the one that the model was trained on, where it was then or in "
    "--data, and what is measured is the part of it that --held-out of cerebra train left out.\n"
    "\n"
    "--json prints one object: nats, bits, perplexity, characters (predicted), unknown (characters "
    "that the model does not know), text.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

typedef struct request {
    const char *checkpoint, *data, *cell, *unknown;
    const chosen_cell *named; /* what cell names; NULL: nothing */
    int64_t threads;
    bool held_out, carry, json;
} request;

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"checkpoint", .string = &asked->checkpoint, .value = "FILE", .help = "the trained model"},
        {"cell", .string = &asked->cell, .value = "FILE.so[:NAME]",
         .help = "the shared library that its cell is from, if it is"},
        {"data", .string = &asked->data, .value = "FILE",
         .help = "UTF-8 text; \"-\": standard input (the bundled script)"},
        {"held-out", .flag = &asked->held_out,
         .help = "measure the part of the text that training held out"},
        {"unknown", .string = &asked->unknown, .value = "NAME", .help = UNKNOWN_OPTION_HELP,
         .names = text_unknown_names},
        {"carry", .flag = &asked->carry, .help = "carry the state through the whole text"},
        {"json", .flag = &asked->json, .help = "print a JSON object"},
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

static void print_lines(const corpus *data, double nats, int64_t predicted) {
    printf("cross entropy       %#.6g nats per character\n", nats);
    printf("bits per character  %#.6g\n", nats / log(2));
    printf("perplexity          %#.6g\n", exp(nats));
    printf("characters          %lld\n", (long long)predicted);
    if (data->facts.unknown > 0)
        printf("unknown             %lld\n", (long long)data->facts.unknown);
}

static bool print_json(const corpus *data, double nats, int64_t predicted, char *error) {
    /* A perplexity beyond all numbers is null, as JSON has no infinity. */
    json_t *object =
        json_pack("{s:f, s:f, s:o, s:I, s:I, s:s}", "nats", nats, "bits", nats / log(2),
                  "perplexity", isfinite(exp(nats)) ? json_real(exp(nats)) : json_null(),
                  "characters", (json_int_t)predicted, "unknown", (json_int_t)data->facts.unknown,
                  "text", text_is_utf8(data->name) ? data->name : "?");
    char *line = cbi_json_text(object);
    if (line == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    puts(line);
    free(line);
    return true;
}

/* The part that training held out, of the text that it was trained on. */
static bool load_held_out(const request *asked, const checkpoint *trained, corpus *data,
                          char *error) {
    const kept_text *kept = &trained->text;
    const corpus_source source = {.path = asked->data == NULL ? kept->data : asked->data,
                                  .form = kept->form,
                                  .held_out = kept->held_out};
    char message[FAILURE_SIZE] = "";
    if (!(kept->held_out > 0)) {
        return failure(error, FAILURE_SIZE, "%s was trained without --held-out, or does not say so",
                       asked->checkpoint);
    }
    if (!corpus_load(&source, data, error))
        return false;
    cb_safetensors *stored = checkpoint_open(asked->checkpoint, error);
    bool ok = stored != NULL;
    if (ok && !training_state_check_text(stored, data, message))
        ok = failure(error, FAILURE_SIZE, "%s: %.900s", asked->checkpoint, message);
    cb_safetensors_free(stored);
    return ok;
}

static bool load(const request *asked, const checkpoint *trained, corpus *data, char *error) {
    const corpus_source source = {.path = asked->data,
                                  .form = trained->text.form,
                                  .characters = &trained->characters,
                                  .unknown = text_unknown_of(asked->unknown)};
    if (asked->held_out)
        return load_held_out(asked, trained, data, error);
    if (!corpus_load(&source, data, error))
        return false;
    corpus_tell(data, &source, "eval", false);
    return true;
}

static int eval(const request *asked, char *error) {
    checkpoint trained = {0};
    corpus data = {0};
    double nats = 0;
    bool ok =
        checkpoint_read(asked->checkpoint, &trained, error) &&
        checkpoint_check_cell(asked->named, trained.model.config.cell, asked->checkpoint, error) &&
        load(asked, &trained, &data, error);
    int64_t first = asked->held_out ? data.training : 0, count = data.count - first;
    ok = ok && (asked->carry ? predict_carried : predict_windows)(
                   &trained.model, passage_of_corpus(&data, first), count, &nats, error);
    if (ok && !isfinite(nats)) {
        ok = failure(error, FAILURE_SIZE, "%s: the loss of this model is not a finite number",
                     asked->checkpoint);
    }
    if (ok && asked->json)
        ok = print_json(&data, nats, count - 1, error);
    else if (ok)
        print_lines(&data, nats, count - 1);
    corpus_free(&data);
    checkpoint_free(&trained);
    return ok ? EXIT_SUCCESS : command_fail("eval", EXIT_FAILURE, error);
}

static bool check(request *asked, char *error) {
    if (asked->checkpoint == NULL)
        return failure(error, FAILURE_SIZE, "--checkpoint FILE is needed");
    if (asked->held_out && asked->unknown != NULL) {
        return failure(error, FAILURE_SIZE,
                       "--unknown means nothing with --held-out: the model knows its own text");
    }
    return true;
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
    if (outcome == OPTIONS_BAD || !check(&asked, error))
        return command_fail("eval", EXIT_USAGE, error);
    if (asked.threads > 0)
        cb_set_threads((int)asked.threads);
    return eval(&asked, error);
}
