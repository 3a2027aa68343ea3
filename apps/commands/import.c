/* `cerebra import`: a model that another program trained as a checkpoint of ours. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/cli/replacement.h"
#include "apps/model/checkpoint.h"
#include "apps/model/foreign.h"
#include "apps/model/vocabulary_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Makes a checkpoint of a character model that PyTorch trained, or another program with its "
    "names: an embedding (or none, where characters are vectors with a single 1), nn.LSTM, nn.GRU "
    "or "
    "nn.RNN of any number of layers, and a linear layer, saved by safetensors. Sizes and layers "
    "are "
    "found; what does not fit is named. cerebra sample and cerebra eval use the checkpoint.\n";

static const char notes[] =
    "Prints which entry became which weight. Weights of any float type become f32.\n"
    "\n"
    "The vocabulary is JSON: an array of the characters in the order of their numbers, or an "
    "object, "
    "{\"a\": 0, ...} or {\"0\": \"a\", ...}.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

typedef struct request {
    option_list files;
    const char *cell, *set, *vocabulary, *output, *rnn, *embedding, *head;
    int64_t seq_len;
    bool extra;
} request;

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"cell", .string = &asked->cell, .value = "CELL",
         .help = "recurrent cell (lstm, gru or rnn, by the weights)"},
        {"set", .string = &asked->set, .value = "NAME=X", .help = SET_OPTION_HELP, .joined = true},
        {"vocabulary", .string = &asked->vocabulary, .value = "FILE",
         .help = "the characters, as JSON"},
        {"output", .letter = 'o', .string = &asked->output, .value = "FILE",
         .help = "the checkpoint to write"},
        {"rnn", .string = &asked->rnn, .value = "MODULE",
         .help = "module with the recurrent weights (found)"},
        {"embedding", .string = &asked->embedding, .value = "MODULE",
         .help = "module of the embedding (found)"},
        {"head", .string = &asked->head, .value = "MODULE",
         .help = "module of the linear layer (found)"},
        {"extra", .flag = &asked->extra, .help = "leave out entries that have no place"},
        {"seq-len", .whole = &asked->seq_len, .value = "N",
         .help = "characters in a window, for cerebra eval", .low = 1, .high = MODEL_LARGEST},
        {.name = NULL},
    };
    const option_table table = {.command = "import",
                                .synopsis = "FILE --vocabulary FILE --output FILE [OPTION ...]",
                                .about = about,
                                .notes = notes,
                                .rows = rows,
                                .operand = "FILE",
                                .operands = &asked->files};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    if (outcome != OPTIONS_RUN)
        return outcome;
    bool ok = true;
    if (asked->files.count != 1)
        ok = failure(error, FAILURE_SIZE, "one FILE is needed, the model to read");
    else if (asked->vocabulary == NULL)
        ok = failure(error, FAILURE_SIZE, "--vocabulary FILE is needed");
    else if (asked->output == NULL)
        ok = failure(error, FAILURE_SIZE, "--output FILE is needed");
    else if (same_file(asked->output, asked->files.values[0]))
        ok = failure(error, FAILURE_SIZE, "--output would overwrite the model to read");
    else if (same_file(asked->output, asked->vocabulary))
        ok = failure(error, FAILURE_SIZE, "--vocabulary would be overwritten");
    else if (asked->set != NULL && asked->cell == NULL)
        ok = failure(error, FAILURE_SIZE, "--set means nothing without --cell");
    return ok ? OPTIONS_RUN : OPTIONS_BAD;
}

/* A file and the model that is made of it. */
typedef struct import {
    const cb_safetensors *file;
    const foreign_model *found;
    const model *made;
    FILE *list; /* of what became what, printed when all went well */
} import;

/* Reads one entry into a parameter. */
static bool read_entry(const import *i, const char *entry, const char *name, char *error) {
    cb_error reason = {.status = CB_OK};
    const cb_param *param = cb_params_find(i->made->params, name);
    cb_stored_tensor stored =
        cb_safetensors_stored(i->file, cb_safetensors_stored_find(i->file, entry));
    if (stored.name != NULL && stored.objection == NULL && !cb_dtype_is_float(stored.dtype))
        return failure(error, FAILURE_SIZE, "%s is %s, not a float", entry, stored.type);
    if (cb_safetensors_load_into(i->file, entry, param->value, &reason) != CB_OK)
        return failure(error, FAILURE_SIZE, "%s", reason.message);
    char shape[128];
    fprintf(i->list, "%-28s %s %s %s\n", name, entry, stored.type,
            cb_shape_format(param->value, shape, sizeof shape));
    return true;
}

/* Characters as vectors with a single 1. */
static void fill_identity(cb_tensor *embedding) {
    cb_tensor_fill(embedding, 0);
    for (int64_t i = 0; i < embedding->shape[0]; i++)
        ((float *)embedding->data)[i * embedding->shape[1] + i] = 1;
}

static bool read_recurrent(const import *made, char *error) {
    const foreign_model *found = made->found;
    const cb_cell *cell = found->cell->cell;
    for (int64_t layer = 0; layer < found->layers; layer++) {
        for (int i = 0; i < cell->param_count; i++) {
            char name[256], entry[512];
            snprintf(name, sizeof name, "rnn.%s_l%d", cell->params[i].name, (int)layer);
            if (cb_params_find(made->made->params, name) == NULL)
                continue; /* a constant, or a bias that there is not */
            if (!foreign_rnn_name(found, cell->params[i].name, layer, entry, sizeof entry))
                return failure(error, FAILURE_SIZE, "%.100s...: too long a name", found->first);
            if (!read_entry(made, entry, name, error))
                return false;
        }
    }
    return true;
}

static bool read_weights(const import *i, char *error) {
    const foreign_model *found = i->found;
    if (found->embedding == NULL) {
        fill_identity(cb_params_find(i->made->params, "embedding.weight")->value);
        fprintf(i->list, "%-28s vectors with a single 1\n", "embedding.weight");
    } else if (!read_entry(i, found->embedding, "embedding.weight", error)) {
        return false;
    }
    if (!read_recurrent(i, error) || !read_entry(i, found->head, "head.weight", error))
        return false;
    if (found->head_bias == NULL)
        cb_tensor_fill(cb_params_find(i->made->params, "head.bias")->value, 0);
    else if (!read_entry(i, found->head_bias, "head.bias", error))
        return false;
    return model_is_finite(i->made) ||
           failure(error, FAILURE_SIZE, "it has weights that are not finite numbers");
}

/* Says what was made: the list to standard output, a summary to standard error. */
static void report(const foreign_model *found, const model *made, const char *list) {
    fputs(list, stdout);
    fprintf(stderr,
            "cerebra import: %s, %" PRId64 " layer%s, embedding %" PRId64 ", hidden %" PRId64
            ", %" PRId64 " characters, %" PRId64 " parameters\n",
            found->cell->name, found->layers, found->layers == 1 ? "" : "s", found->input,
            found->hidden, made->config.vocabulary, cb_params_elements(made->params));
    if (found->extra > 0)
        fprintf(stderr, "cerebra import: %d entries are left out\n", found->extra);
}

/* Makes the model of an open file and writes it. */
static bool convert(const cb_safetensors *file, const request *asked, const chosen_cell *cell,
                    const vocabulary *characters, char *error) {
    foreign_model found;
    model made = {0};
    const foreign_hints hints = {.cell = cell,
                                 .vocabulary = characters->count,
                                 .rnn = asked->rnn,
                                 .embedding = asked->embedding,
                                 .head = asked->head,
                                 .extra = asked->extra};
    if (!foreign_find(file, &hints, &found, error))
        return false;
    const model_config config = {.cell = found.cell,
                                 .vocabulary = characters->count,
                                 .embedding = found.input,
                                 .hidden = found.hidden,
                                 .layers = found.layers,
                                 .seq_len = asked->seq_len,
                                 .no_bias = found.no_bias};
    if (found.input > MODEL_LARGEST || found.hidden > MODEL_LARGEST)
        return failure(error, FAILURE_SIZE, "more than %d features", MODEL_LARGEST);
    const model_init any = {.equal_halves = true};
    char *list = NULL;
    size_t size = 0;
    const import all = {
        .file = file, .found = &found, .made = &made, .list = open_memstream(&list, &size)};
    bool ok = (all.list != NULL || failure(error, FAILURE_SIZE, "out of memory")) &&
              model_make(&config, &any, 0, &made, error) && read_weights(&all, error) &&
              checkpoint_write(asked->output, &made, characters, NULL, error);
    if (all.list != NULL && fclose(all.list) != 0 && ok)
        ok = failure(error, FAILURE_SIZE, "out of memory");
    if (ok)
        report(&found, &made, list);
    free(list);
    model_free(&made);
    return ok;
}

static int run(const request *asked, char *error) {
    const char *path = asked->files.values[0];
    const chosen_cell *cell = NULL;
    vocabulary characters = {0};
    cb_error reason = {.status = CB_OK};
    char message[FAILURE_SIZE] = "";
    if (asked->cell != NULL && (cell = cell_choose(asked->cell, asked->set, error)) == NULL)
        return command_fail("import", cell_file_is_wrong() ? EXIT_FAILURE : EXIT_USAGE, error);
    bool ok = checkpoint_check_path(asked->output, error) &&
              vocabulary_load(asked->vocabulary, &characters, error);
    cb_safetensors *file = ok ? cb_safetensors_open(path, &reason) : NULL;
    if (ok && file == NULL)
        ok = failure(error, FAILURE_SIZE, "%s", reason.message);
    if (ok && !convert(file, asked, cell, &characters, message)) {
        bool named =
            strncmp(message, path, strlen(path)) == 0 || strncmp(message, "cannot write", 12) == 0;
        ok = failure(error, FAILURE_SIZE, "%s%s%.900s", named ? "" : path, named ? "" : ": ",
                     message);
    }
    cb_safetensors_free(file);
    vocabulary_free(&characters);
    return ok ? EXIT_SUCCESS : command_fail("import", EXIT_FAILURE, error);
}

int cerebra_import(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.seq_len = 20};
    options_outcome outcome = parse(&asked, argc, argv, error);
    int status = outcome == OPTIONS_HELP  ? EXIT_SUCCESS
                 : outcome == OPTIONS_BAD ? command_fail("import", EXIT_USAGE, error)
                                          : run(&asked, error);
    free(asked.files.values);
    return status;
}
