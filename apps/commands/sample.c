/* `cerebra sample`: lets a trained model write. Each character is fed back as the next input, and
   printed at once. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/model/checkpoint.h"
#include "apps/model/corpus.h"
#include "apps/model/predict.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char about[] =
    "Prints text that a model from cerebra train writes: the prompt, then --length characters "
    "more, each drawn from softmax(logits / temperature).\n";

static const char notes[] =
    "Without a prompt the model starts as it would after a line's end (or, if its text had none, "
    "after its first character). A prompt is read, and printed, as the text was that the model was "
    "trained on: with --newlines and --normalize of cerebra train. When the reader of the output "
    "goes away, sampling ends.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

typedef struct request {
    const char *checkpoint, *prompt, *cell, *unknown;
    const chosen_cell *named; /* what cell names; NULL: nothing */
    int64_t length, threads;
    double temperature;
    uint64_t seed;
} request;

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"checkpoint", .string = &asked->checkpoint, .value = "FILE", .help = "the trained model"},
        {"cell", .string = &asked->cell, .value = "FILE.so[:NAME]",
         .help = "the shared library that its cell is from, if it is"},
        {"length", .whole = &asked->length, .value = "N", .help = "characters to write", .low = 0,
         .high = 1e15},
        {"temperature", .number = &asked->temperature, .value = "T",
         .help = "0: always the likeliest character; larger is more varied", .low = 0, .high = 1e6},
        {"prompt", .string = &asked->prompt, .value = "TEXT", .help = "text to continue"},
        {"unknown", .string = &asked->unknown, .value = "NAME",
         .help = "in the prompt, " UNKNOWN_OPTION_HELP, .names = text_unknown_names},
        {"seed", .seed = &asked->seed, .value = "N", .help = "another seed, another text"},
        {"threads", .whole = &asked->threads, .value = "N", .help = "threads; 0: all cores",
         .low = 0, .high = 1024},
        {.name = NULL},
    };
    const option_table table = {.command = "sample",
                                .synopsis = "--checkpoint FILE [OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows};
    return options_parse(&table, argc, argv, error);
}

/* How an attempt to print ended. */
typedef enum printing { PRINTED, READER_GONE, CANNOT_PRINT } printing;

static printing print_character(int32_t code_point, char *error) {
    utf8proc_uint8_t bytes[4];
    size_t length = (size_t)utf8proc_encode_char(code_point, bytes);
    /* All bytes of a character go out in one write: a reader never sees half of one. */
    if (fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0)
        return PRINTED;
    if (errno == EPIPE)
        return READER_GONE;
    failure(error, FAILURE_SIZE, "cannot write standard output: %s", strerror(errno));
    return CANNOT_PRINT;
}

/* As the model reads it. */
static printing print_prompt(const corpus *prompt, char *error) {
    printing state = PRINTED;
    for (int64_t i = 0; state == PRINTED && i < prompt->count; i++)
        state = print_character(prompt->characters.code_points[prompt->numbers[i]], error);
    return state;
}

static int write_text(const checkpoint *trained, const request *asked, const corpus *prompt,
                      char *error) {
    int32_t line_end = vocabulary_find(&trained->characters, '\n');
    int32_t start = line_end < 0 ? 0 : line_end;
    bool prompted = prompt->count > 0;
    cb_random random = cb_random_seed(asked->seed);
    reader *r = reader_new(&trained->model, error);
    if (r == NULL)
        return EXIT_FAILURE;
    printing state = print_prompt(prompt, error);
    const cb_tensor *logits =
        reader_feed(r, prompted ? prompt->numbers : &start, prompted ? prompt->count : 1, error);
    for (int64_t i = 0; state == PRINTED && logits != NULL && i < asked->length; i++) {
        int32_t next = reader_pick(logits, asked->temperature, &random);
        state = print_character(trained->characters.code_points[next], error);
        if (state == PRINTED && i + 1 < asked->length)
            logits = reader_feed(r, &next, 1, error);
    }
    reader_free(r);
    return state == READER_GONE || (state == PRINTED && logits != NULL) ? EXIT_SUCCESS
                                                                        : EXIT_FAILURE;
}

static bool read_prompt(const checkpoint *trained, const request *asked, corpus *prompt,
                        char *error) {
    const corpus_source source = {.form = trained->text.form,
                                  .characters = &trained->characters,
                                  .unknown = text_unknown_of(asked->unknown)};
    if (!corpus_of_string(asked->prompt, "--prompt", &source, prompt, error))
        return false;
    corpus_tell(prompt, &source, "sample", false);
    return true;
}

static int sample(const request *asked, char *error) {
    checkpoint trained = {0};
    corpus prompt = {0};
    int status = EXIT_FAILURE;
    if (checkpoint_read(asked->checkpoint, &trained, error) &&
        checkpoint_check_cell(asked->named, trained.model.config.cell, asked->checkpoint, error) &&
        read_prompt(&trained, asked, &prompt, error))
        status = write_text(&trained, asked, &prompt, error);
    corpus_free(&prompt);
    checkpoint_free(&trained);
    return status == EXIT_SUCCESS ? status : command_fail("sample", status, error);
}

int cerebra_sample(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.prompt = "", .length = 500, .temperature = 0.8, .seed = 1};
    options_outcome outcome = parse(&asked, argc, argv, error);
    if (outcome == OPTIONS_HELP)
        return EXIT_SUCCESS;
    if (outcome == OPTIONS_RUN && asked.cell != NULL) {
        asked.named = cell_choose(asked.cell, NULL, error);
        if (asked.named == NULL)
            return command_fail("sample", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    }
    if (outcome == OPTIONS_RUN && asked.checkpoint == NULL) {
        failure(error, FAILURE_SIZE, "--checkpoint FILE is needed");
        outcome = OPTIONS_BAD;
    }
    if (outcome == OPTIONS_BAD)
        return command_fail("sample", EXIT_USAGE, error);
    if (asked.threads > 0)
        cb_set_threads((int)asked.threads);
    signal(SIGPIPE, SIG_IGN);
    int status = sample(&asked, error);
    clearerr(stdout); /* reported above, or of no interest any more */
    return status;
}
