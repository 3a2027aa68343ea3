/* Checkpoints. What a file says of itself is checked before anything is allocated from it: a
   foreign or damaged file ends in a message. */
#include "checkpoint.h"

#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"
#include "tensor/io/json_text.h"
#include "vocabulary_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utf8proc.h>
#include <zlib.h>

static const char format_name[] = "cerebra-character-model";
static const char format_version[] = "2";
static const char old_version[] = "1";
static const char checksum_key[] = "checksum";
/* What the checksum covers, as far as it is there. */
static const char *const covered_keys[] = {"format",    "format_version", "vocabulary", "config",
                                           "training",  "settings",       "position",   "optimizer",
                                           "cell_text", "cell_library",   "cell_set",   "schedule"};
enum { COVERED = sizeof covered_keys / sizeof covered_keys[0], CHECKSUM_SIZE = 9 };

bool checkpoint_check_path(const char *path, char *error) {
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        return failure(error, FAILURE_SIZE, "cannot write %s: %s", path,
                       S_ISDIR(status.st_mode) ? strerror(EISDIR) : "not a regular file");
    }
    replacement probe;
    if (!replacement_open(&probe, path, error, FAILURE_SIZE))
        return false;
    replacement_abandon(&probe);
    return true;
}

static json_t *vocabulary_json(const vocabulary *characters) {
    json_t *array = json_array();
    bool ok = array != NULL;
    for (int32_t i = 0; i < characters->count; i++) {
        utf8proc_uint8_t bytes[4];
        utf8proc_ssize_t length = utf8proc_encode_char(characters->code_points[i], bytes);
        json_t *item = json_stringn((const char *)bytes, (size_t)length);
        ok = ok && json_array_append_new(array, item) == 0;
    }
    if (!ok)
        json_decref(array);
    return ok ? array : NULL;
}

char *checkpoint_vocabulary(const vocabulary *characters) {
    return cbi_json_text(vocabulary_json(characters));
}

static json_t *config_json(const model_config *config) {
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:b}", "cell", config->cell->name, "vocabulary",
        (json_int_t)config->vocabulary, "embedding", (json_int_t)config->embedding, "hidden",
        (json_int_t)config->hidden, "layers", (json_int_t)config->layers, "seq_len",
        (json_int_t)config->seq_len, "dropout", config->dropout, "no_bias", (int)config->no_bias);
    const struct {
        const char *key;
        double rate;
    } rates[] = {{"recurrent_dropout", config->recurrent_dropout},
                 {"zoneout", config->zoneout},
                 {"zoneout_cell", config->zoneout_cell}};
    for (int i = 0; i < 3 && object != NULL; i++) {
        if (rates[i].rate > 0 &&
            json_object_set_new(object, rates[i].key, json_real(rates[i].rate)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* ---- The checksum ---------------------------------------------------------------------------- */

static uLong add_bytes(uLong sum, const void *bytes, size_t size) {
    return crc32_z(sum, bytes, size);
}

/* Names, dtypes, shapes and elements of tensors in the order of their names, which are contiguous;
   then the metadata. */
static void format_checksum(int count, const cb_named_tensor *tensors,
                            const char *const values[COVERED], char digits[CHECKSUM_SIZE]) {
    uLong sum = crc32_z(0, NULL, 0);
    for (int i = 0; i < count; i++) {
        const cb_tensor *t = tensors[i].tensor;
        const int64_t type[2] = {(int64_t)t->dtype, t->rank};
        sum = add_bytes(sum, tensors[i].name, strlen(tensors[i].name) + 1);
        sum = add_bytes(sum, type, sizeof type);
        sum = add_bytes(sum, t->shape, sizeof t->shape[0] * (size_t)t->rank);
        sum = add_bytes(sum, t->data, cb_tensor_bytes(t));
    }
    for (int i = 0; i < COVERED; i++) {
        if (values[i] != NULL) {
            sum = add_bytes(sum, covered_keys[i], strlen(covered_keys[i]) + 1);
            sum = add_bytes(sum, values[i], strlen(values[i]) + 1);
        }
    }
    snprintf(digits, CHECKSUM_SIZE, "%08lx", sum);
}

static bool checksum_is_right(const cb_safetensors *file) {
    const char *stored = cb_safetensors_metadata(file, checksum_key);
    const char *values[COVERED];
    char found[CHECKSUM_SIZE];
    int count = cb_safetensors_count(file);
    cb_named_tensor *tensors = calloc((size_t)count + 1, sizeof *tensors);
    for (int i = 0; i < COVERED; i++)
        values[i] = cb_safetensors_metadata(file, covered_keys[i]);
    for (int i = 0; tensors != NULL && i < count; i++)
        tensors[i] = cb_safetensors_at(file, i);
    if (tensors != NULL)
        format_checksum(count, tensors, values, found);
    bool right = tensors != NULL && stored != NULL && strcmp(stored, found) == 0;
    free(tensors);
    return right;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right) {
    const cb_named_tensor *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* The metadata of the model itself and what comes beside it, and their checksum, which the caller
   gives room for. Returns how many there are. */
static int list_metadata(const cb_metadata *own, int own_count, const checkpoint_extra *extra,
                         int tensor_count, const cb_named_tensor *tensors,
                         char checksum[CHECKSUM_SIZE], cb_metadata *list) {
    const char *values[COVERED] = {NULL};
    int count = 0;
    for (int i = 0; i < own_count; i++)
        if (own[i].value != NULL)
            list[count++] = own[i];
    for (int i = 0; i < extra->metadata_count; i++)
        list[count++] = extra->metadata[i];
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < COVERED; k++)
            if (strcmp(list[i].key, covered_keys[k]) == 0)
                values[k] = list[i].value;
    }
    format_checksum(tensor_count, tensors, values, checksum);
    list[count++] = (cb_metadata){checksum_key, checksum};
    return count;
}

bool checkpoint_write(const char *path, const model *m, const vocabulary *characters,
                      const checkpoint_extra *extra, char *error) {
    static const checkpoint_extra nothing = {0};
    extra = extra == NULL ? &nothing : extra;
    int count = cb_params_count(m->params);
    cb_named_tensor *tensors = calloc((size_t)(count + extra->tensor_count) + 1, sizeof *tensors);
    cb_metadata *metadata = calloc((size_t)extra->metadata_count + 16, sizeof *metadata);
    char *vocabulary_text = checkpoint_vocabulary(characters);
    char *config_text = cbi_json_text(config_json(&m->config));
    bool ok = tensors != NULL && metadata != NULL && vocabulary_text != NULL && config_text != NULL;
    if (!ok) {
        failure(error, FAILURE_SIZE, "cannot write %s: out of memory", path);
        goto cleanup;
    }
    for (int i = 0; i < count; i++) {
        const cb_param *param = cb_params_at(m->params, i);
        tensors[i] = (cb_named_tensor){param->name, param->value};
    }
    for (int i = 0; i < extra->tensor_count; i++)
        tensors[count++] = extra->tensors[i];
    qsort(tensors, (size_t)count, sizeof *tensors, by_name);
    const chosen_cell *cell = m->config.cell;
    const cb_metadata own[] = {{"format", format_name},
                               {"format_version", format_version},
                               {"vocabulary", vocabulary_text},
                               {"config", config_text},
                               {"cell_text", cell->text},
                               {"cell_library", cell->library},
                               {"cell_set", cell->set[0] == '\0' ? NULL : cell->set}};
    char checksum[CHECKSUM_SIZE];
    int metadata_count = list_metadata(own, (int)(sizeof own / sizeof own[0]), extra, count,
                                       tensors, checksum, metadata);
    cb_error reason = {0};
    ok = cb_safetensors_write(path, count, tensors, metadata_count, metadata, &reason) == CB_OK;
    if (!ok)
        failure(error, FAILURE_SIZE, "%s", reason.message);
cleanup:
    free(tensors);
    free(metadata);
    free(vocabulary_text);
    free(config_text);
    return ok;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_vocabulary(const char *json_text, vocabulary *characters, char *error) {
    json_t *array = json_text == NULL ? NULL : json_loads(json_text, JSON_REJECT_DUPLICATES, NULL);
    char reason[FAILURE_SIZE] = "";
    bool ok = json_is_array(array) && vocabulary_of_json(array, characters, reason);
    if (!ok)
        failure(error, FAILURE_SIZE, "its vocabulary is missing or damaged%s%.500s",
                reason[0] == '\0' ? "" : ": ", reason);
    json_decref(array);
    return ok;
}

/* The cell of that name, with what the file keeps of it. */
static const chosen_cell *read_cell(const cb_safetensors *file, const char *name, char *error) {
    return cell_choose_kept(name, cb_safetensors_metadata(file, "cell_text"),
                            cb_safetensors_metadata(file, "cell_library"),
                            cb_safetensors_metadata(file, "cell_set"), error);
}

static bool is_rate(double rate) {
    return rate >= 0 && rate < 1;
}

static bool read_config(const cb_safetensors *file, model_config *config, char *error) {
    const char *json_text = cb_safetensors_metadata(file, "config");
    json_t *object = json_text == NULL ? NULL : json_loads(json_text, JSON_REJECT_DUPLICATES, NULL);
    const char *cell = NULL;
    json_int_t characters, embedding, hidden, layers, seq_len;
    double dropout, recurrent_dropout = 0, zoneout = 0, zoneout_cell = 0;
    int no_bias;
    bool ok = object != NULL &&
              json_unpack(object, "{s:s, s:I, s:I, s:I, s:I, s:I, s:F, s:b, s?F, s?F, s?F}", "cell",
                          &cell, "vocabulary", &characters, "embedding", &embedding, "hidden",
                          &hidden, "layers", &layers, "seq_len", &seq_len, "dropout", &dropout,
                          "no_bias", &no_bias, "recurrent_dropout", &recurrent_dropout, "zoneout",
                          &zoneout, "zoneout_cell", &zoneout_cell) == 0;
    ok = ok && characters >= 1 && characters <= 0x110000 && embedding >= 1 &&
         embedding <= MODEL_LARGEST && hidden >= 1 && hidden <= MODEL_LARGEST && layers >= 1 &&
         layers <= MODEL_MOST_LAYERS && seq_len >= 1 && seq_len <= MODEL_LARGEST && dropout >= 0 &&
         dropout < 1 && is_rate(recurrent_dropout) && is_rate(zoneout) && is_rate(zoneout_cell);
    if (!ok) {
        failure(error, FAILURE_SIZE, "its configuration is missing or damaged");
    } else {
        *config = (model_config){.cell = read_cell(file, cell, error),
                                 .vocabulary = characters,
                                 .embedding = embedding,
                                 .hidden = hidden,
                                 .layers = layers,
                                 .seq_len = seq_len,
                                 .dropout = dropout,
                                 .recurrent_dropout = recurrent_dropout,
                                 .zoneout = zoneout,
                                 .zoneout_cell = zoneout_cell,
                                 .no_bias = no_bias != 0};
        ok = config->cell != NULL;
    }
    json_decref(object);
    return ok;
}

/* Whether the file holds exactly as many weights as the configuration asks for: a small lie in the
   configuration must not make us allocate a large model. */
static bool check_size(const cb_safetensors *file, const model_config *config, char *error) {
    int64_t stored = 0;
    for (int i = 0; i < cb_safetensors_count(file); i++) {
        cb_named_tensor entry = cb_safetensors_at(file, i);
        bool weight =
            strncmp(entry.name, "optimizer.", 10) != 0 && strncmp(entry.name, "training.", 9) != 0;
        stored += weight ? cb_tensor_count(entry.tensor) : 0;
    }
    int64_t wanted = model_parameters(config);
    return stored == wanted || failure(error, FAILURE_SIZE,
                                       "it holds %" PRId64 " weights where its configuration "
                                       "needs %" PRId64,
                                       stored, wanted);
}

static bool read_weights(const cb_safetensors *file, const model *m, char *error) {
    cb_error reason;
    if (cb_params_restore(m->params, file, &reason) != CB_OK)
        return failure(error, FAILURE_SIZE, "%s", reason.message);
    return model_is_finite(m) ||
           failure(error, FAILURE_SIZE, "it has weights that are not finite numbers");
}

/* Whether the file is a checkpoint, whole and of a version that is known. */
static bool check_format(const cb_safetensors *file, char *error) {
    const char *format = cb_safetensors_metadata(file, "format");
    const char *version = cb_safetensors_metadata(file, "format_version");
    if (format == NULL || strcmp(format, format_name) != 0)
        return failure(error, FAILURE_SIZE, "not a checkpoint of cerebra");
    if (version != NULL && strcmp(version, old_version) == 0)
        return true;
    if (version == NULL || strcmp(version, format_version) != 0) {
        return failure(error, FAILURE_SIZE, "a checkpoint of version %.20s, which is not known",
                       version == NULL ? "?" : version);
    }
    return checksum_is_right(file) ||
           failure(error, FAILURE_SIZE, "its checksum is wrong: the file is damaged");
}

cb_safetensors *checkpoint_open(const char *path, char *error) {
    cb_error reason = {0};
    char message[FAILURE_SIZE] = "";
    cb_safetensors *file = cb_safetensors_read(path, &reason);
    if (file == NULL) {
        failure(error, FAILURE_SIZE, "%s", reason.message);
    } else if (!check_format(file, message)) {
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
        cb_safetensors_free(file);
        file = NULL;
    }
    return file;
}

static bool read_model(const cb_safetensors *file, checkpoint *loaded, char *error) {
    model_config config = {0};
    if (!read_config(file, &config, error) ||
        !read_vocabulary(cb_safetensors_metadata(file, "vocabulary"), &loaded->characters, error))
        return false;
    if (loaded->characters.count != config.vocabulary)
        return failure(error, FAILURE_SIZE, "its vocabulary does not fit its configuration");
    /* The initial values are overwritten: any that are cheap to make will do. */
    const model_init any = {.equal_halves = true};
    return check_size(file, &config, error) &&
           model_make(&config, &any, 0, &loaded->model, error) &&
           read_weights(file, &loaded->model, error);
}

const chosen_cell *checkpoint_cell(const cb_safetensors *file, char *error) {
    model_config config = {0};
    return read_config(file, &config, error) ? config.cell : NULL;
}

bool checkpoint_check_cell(const chosen_cell *named, const chosen_cell *kept, const char *path,
                           char *error) {
    return named == NULL ||
           (named->library != NULL && kept->library != NULL &&
            strcmp(named->name, kept->name) == 0) ||
           failure(error, FAILURE_SIZE,
                   "%s has its cell, \"%s\", %s: --cell is for one from a shared library", path,
                   kept->name, kept->library == NULL ? "in it" : "from another library");
}

bool checkpoint_read(const char *path, checkpoint *loaded, char *error) {
    *loaded = (checkpoint){0};
    cb_safetensors *file = checkpoint_open(path, error);
    if (file == NULL)
        return false;
    char message[FAILURE_SIZE] = "";
    bool ok = read_model(file, loaded, message) && kept_text_read(file, &loaded->text, message);
    if (!ok) {
        failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
        checkpoint_free(loaded);
    }
    cb_safetensors_free(file);
    return ok;
}

void checkpoint_free(checkpoint *loaded) {
    model_free(&loaded->model);
    vocabulary_free(&loaded->characters);
    kept_text_free(&loaded->text);
}
