/* The import subcommand: models that PyTorch saved give PyTorch's logits
   (tests/reference/import_cases.py), and what does not fit is named. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/model/checkpoint.h"
#include "apps/model/corpus.h"
#include "apps/model/vocabulary_file.h"

#include "tests/support.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER CB_TEST_SOURCE_DIR "/tests/reference/import/"

static char directory[CBT_PATH_SIZE];

static void set_up(void) {
    cbt_directory_make(directory);
    cr_assert_eq(chdir(directory), 0);
    cr_redirect_stderr();
    cr_redirect_stdout();
}

static void tear_down(void) {
    cr_assert_eq(chdir("/"), 0);
    cbt_directory_remove(directory);
}

TestSuite(import, .init = set_up, .fini = tear_down);

/* Runs `cerebra import FILE --output made.safetensors` and more arguments, ended by NULL. */
static int run(const char *const *arguments) {
    static char storage[16][512];
    char *argv[17] = {NULL};
    int argc = 0;
    const char *const first[] = {"import", "--output", "made.safetensors", NULL};
    for (int part = 0; part < 2; part++) {
        for (const char *const *at = part == 0 ? first : arguments; *at != NULL; at++, argc++) {
            snprintf(storage[argc], sizeof storage[argc], "%s", *at);
            argv[argc] = storage[argc];
        }
    }
    return cerebra_import(argc, argv);
}

#define RUN(...)   run((const char *const[]){__VA_ARGS__, NULL})
#define VOCABULARY "--vocabulary", FOLDER "vocabulary.json"

/* The logits of the text under the checkpoint that was made, against PyTorch's. */
static void compare(const char *name) {
    char error[FAILURE_SIZE] = "", path[512];
    checkpoint made;
    corpus source = {0};
    cb_error reason = {.status = CB_OK};
    cr_assert(checkpoint_read("made.safetensors", &made, error), "%s", error);
    const corpus_source from = {.path = FOLDER "text.txt", .characters = &made.characters};
    cr_assert(corpus_load(&from, &source, error), "%s", error);
    snprintf(path, sizeof path, FOLDER "%s.logits.safetensors", name);
    cb_safetensors *expected = cb_safetensors_read(path, &reason);
    cr_assert_not_null(expected, "%s", reason.message);
    const double *right = cb_safetensors_find(expected, "logits")->data;
    int64_t time = source.count;
    cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(time, 1), source.text->numbers);
    cb_tape *tape = cb_tape_new();
    cb_tape_evaluate(tape, true);
    const cb_tensor *logits = model_forward(&made.model, cb_input(tape, &x), NULL);
    cr_assert_eq(cb_tape_status(tape), CB_OK, "%s", cb_tape_error(tape));
    cr_assert_eq(cb_tensor_count(logits), time * made.characters.count);
    for (int64_t i = 0; i < time; i++) {
        for (int64_t k = 0; k < made.characters.count; k++) {
            double found = cb_tensor_get(logits, (int64_t[]){i, 0, k});
            cr_assert_lt(fabs(found - right[i * made.characters.count + k]), 1e-6, "%s", name);
        }
    }
    cb_tape_free(tape);
    cb_safetensors_free(expected);
    corpus_free(&source);
    checkpoint_free(&made);
}

Test(import, logits_are_those_of_pytorch) {
    static const char *const names[] = {"lstm",         "gru_same_sizes", "rnn_one_hot",
                                        "lstm_no_bias", "gru_tied",       "lstm_half"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "%s.safetensors", names[i]);
        cr_assert_eq(RUN(path, VOCABULARY), 0, "%s", names[i]);
        compare(names[i]);
    }
    cr_assert_eq(RUN(FOLDER "lstm.safetensors", VOCABULARY, "--cell", "lstm", "--rnn", "rnn",
                     "--embedding", "encoder", "--head", "decoder"),
                 0);
    compare("lstm");
}

/* Writes a copy of the LSTM with another entry more, or one less. */
static void change(const char *without, const char *name, int64_t rows, int64_t columns) {
    cb_named_tensor entries[16];
    int count = 0;
    cb_safetensors *file = cb_safetensors_read(FOLDER "lstm.safetensors", NULL);
    cb_tensor *more = cb_tensor_new(CB_F32, columns == 0 ? 1 : 2, (int64_t[]){rows, columns});
    for (int i = 0; i < cb_safetensors_count(file); i++)
        if (without == NULL || strcmp(cb_safetensors_at(file, i).name, without) != 0)
            entries[count++] = cb_safetensors_at(file, i);
    if (name != NULL)
        entries[count++] = (cb_named_tensor){name, more};
    cr_assert_eq(cb_safetensors_write("changed.safetensors", count, entries, 0, NULL, NULL), CB_OK);
    cb_tensor_free(more);
    cb_safetensors_free(file);
}

/* That the changed file is refused with a line that names what is wrong. */
static void refused(const char *part, const char *option) {
    static char printed[8192];
    size_t before = strlen(printed);
    FILE *stream = cr_get_redirected_stderr();
    cr_assert_eq(RUN("changed.safetensors", VOCABULARY, option == NULL ? "--seq-len=9" : option),
                 1);
    fflush(stderr);
    size_t size = fread(printed + before, 1, sizeof printed - before - 1, stream);
    printed[before + size] = '\0';
    cr_assert_not_null(strstr(printed + before, part), "\"%s\" does not say \"%s\"",
                       printed + before, part);
    cr_assert_neq(access("made.safetensors", F_OK), 0);
}

Test(import, what_does_not_fit_is_named) {
    change(NULL, "norm.weight", 6, 0);
    refused("no place in a character model: norm.weight", NULL);
    cr_assert_eq(RUN("changed.safetensors", VOCABULARY, "--extra"), 0);
    unlink("made.safetensors");
    change(NULL, "rnn.weight_ih_l0_reverse", 24, 5);
    refused("rnn.weight_ih_l0_reverse: a network that reads text in both", NULL);
    change(NULL, "other.weight_hh_l0", 24, 6);
    refused("two recurrent modules: --rnn", NULL);
    change("decoder.weight", NULL, 0, 0);
    refused("no output layer in it: a linear layer with a weight [12,6]", NULL);
    change("encoder.weight", NULL, 0, 0);
    refused("no embedding in it: a weight [12,5]", NULL);
    change("rnn.weight_hh_l1", NULL, 0, 0);
    refused("there is no tensor \"rnn.weight_hh_l1\"", NULL);
    change("rnn.bias_ih_l1", NULL, 0, 0);
    refused("there is no tensor \"rnn.bias_ih_l1\"", NULL);
    change("rnn.weight_hh_l1", "rnn.weight_hh_l1", 24, 5);
    refused("rnn.weight_hh_l1 has not the shape [24,6] that it has in a layer of lstm with 6",
            NULL);
    change("rnn.weight_hh_l0", "rnn.weight_hh_l0", 24, 7);
    refused("[24,7], which is of no LSTM, GRU or RNN", NULL);
    change(NULL, "more.weight", 12, 5);
    refused("could be the embedding: --embedding", NULL);
    change(NULL, NULL, 0, 0);
    refused("there is no none.weight", "--head=none");
    refused("no recurrent weights in it", "--rnn=none");
}

/* The forms of a vocabulary, and what is none. */
static bool read_vocabulary(const char *json, const char *characters, char *error) {
    vocabulary made;
    FILE *file = fopen("v.json", "w");
    fputs(json, file);
    fclose(file);
    bool ok = vocabulary_load("v.json", &made, error);
    for (size_t i = 0; ok && characters[i] != '\0'; i++)
        cr_assert_eq(made.code_points[i], characters[i]);
    cr_assert(!ok || made.count == (int32_t)strlen(characters));
    vocabulary_free(&made);
    return ok;
}

Test(import, vocabularies) {
    char error[FAILURE_SIZE] = "";
    cr_assert(read_vocabulary("[\"b\", \"a\"]", "ba", error), "%s", error);
    cr_assert(read_vocabulary("{\"a\": 1, \"b\": 0}", "ba", error), "%s", error);
    cr_assert(read_vocabulary("{\"1\": \"a\", \"0\": \"b\"}", "ba", error), "%s", error);
    cr_assert(read_vocabulary("{\"1\": 0, \"0\": 1}", "10", error), "%s", error);
    static const struct {
        const char *json, *part;
    } wrong[] = {{"", "v.json, line"},
                 {"[]", "no array or object"},
                 {"7", "expected near '7'"},
                 {"[\"a\", 1]", "entry 1 is no string"},
                 {"[\"ab\"]", "\"ab\" is not one character"},
                 {"{\"<unk>\": 0}", "\"<unk>\" is not one character"},
                 {"{\"a\": 0, \"b\": 2}", "each once: 2"},
                 {"{\"a\": 0, \"b\": 0}", "each once: 0"},
                 {"{\"a\": -1}", "each once: -1"},
                 {"{\"a\": \"b\"}", "neither a number by character"},
                 {"[\"a\", \"a\"]", "twice"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_not(read_vocabulary(wrong[i].json, "", error), "%s", wrong[i].json);
        cr_assert_not_null(strstr(error, wrong[i].part), "%s: %s", wrong[i].json, error);
    }
}
