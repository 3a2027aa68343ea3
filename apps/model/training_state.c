/* Numbers are kept as they are: reals of JSON with all their digits, tensors in f64. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "training_state.h"

#include "apps/cli/failure.h"
#include "apps/cli/text.h"
#include "tensor/io/json_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the log: the last only where there is a schedule. */
enum { LOG_COLUMNS = 5 };
static const char log_name[] = "training.log";
enum { CARRIED_NAME_SIZE = 32 };

static void carried_name(int i, char name[CARRIED_NAME_SIZE]) {
    snprintf(name, CARRIED_NAME_SIZE, "training.carried.%d", i);
}

static json_t *generator_json(const cb_random *random) {
    return json_sprintf("%" PRIu64 " %" PRIu64, random->key, random->counter);
}

static json_t *order_json(const sampler_state *order) {
    return json_sprintf("%" PRIu64 " %" PRId64 " %" PRId64, order->key, order->offset,
                        order->cursor);
}

static json_t *text_json(const corpus *data) {
    return json_sprintf("%08" PRIx32, data->facts.checksum);
}

/* The log's path as it is kept: its name where it lies beside the checkpoint, so that both may be
   moved together; else from the root. The caller frees it; NULL where it cannot be said in UTF-8.
 */
static char *log_place(const char *path, const char *log) {
    char beside[PATH_MAX], own[PATH_MAX];
    const char *slash = strrchr(log, '/');
    const char *name = slash == NULL ? log : slash + 1;
    int length = slash == NULL ? 0 : (int)(slash - log) + 1;
    snprintf(own, sizeof own, "%.*s.", length, log);
    slash = strrchr(path, '/');
    snprintf(beside, sizeof beside, "%.*s.", slash == NULL ? 0 : (int)(slash - path) + 1, path);
    char *a = realpath(own, NULL), *b = realpath(beside, NULL), *place = NULL;
    if (strcmp(log, "-") == 0 || !text_is_utf8(log) || a == NULL || b == NULL || !text_is_utf8(a)) {
        place = text_is_utf8(log) ? strdup(log) : NULL;
    } else if (strcmp(a, b) == 0) {
        place = strdup(name);
    } else {
        size_t size = strlen(a) + strlen(name) + 2;
        place = malloc(size);
        if (place != NULL)
            snprintf(place, size, "%s/%s", a, name);
    }
    free(a);
    free(b);
    return place;
}

/* The position as text, which the caller frees. */
static char *position_text(const char *path, const training_file *file,
                           const training_state *state) {
    json_t *object = json_pack(
        "{s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:b}", "epoch", (json_int_t)state->count, "step",
        (json_int_t)state->step, "loss_sum", state->loss_sum, "batches",
        generator_json(&state->batches), "dropout",
        generator_json(cb_params_random(file->model->params)), "order", order_json(file->order),
        "text", text_json(file->data), "finished", (int)state->finished);
    bool ok = object != NULL;
    if (ok && file->validation != NULL)
        ok = json_object_set_new(object, "validation", text_json(file->validation)) == 0;
    if (ok && isfinite(state->first_loss))
        ok = json_object_set_new(object, "first_loss", json_real(state->first_loss)) == 0;
    if (ok && !state->finished && isfinite(state->seconds))
        ok = json_object_set_new(object, "seconds", json_real(state->seconds)) == 0;
    if (ok && !state->finished && file->log != NULL) {
        char *place = log_place(path, file->log);
        ok = place == NULL || json_object_set_new(object, "log", json_string(place)) == 0;
        free(place);
    }
    if (!ok)
        json_decref(object);
    return ok ? cbi_json_text(object) : NULL;
}

static void fill_log(const training_state *state, int columns, double *rows) {
    for (int64_t i = 0; i < state->count; i++) {
        const epoch_record *record = &state->records[i];
        const double row[LOG_COLUMNS] = {record->loss, record->held_out_loss, record->distance,
                                         state->finished ? (double)NAN : record->seconds,
                                         record->rate};
        memcpy(rows + i * columns, row, sizeof row[0] * (size_t)columns);
    }
}

static char *optimizer_text(const cb_optimizer *optimizer) {
    size_t length = cb_optimizer_settings(optimizer, NULL, 0);
    char *settings = length == 0 ? NULL : malloc(length + 1);
    if (settings != NULL && cb_optimizer_settings(optimizer, settings, length + 1) != length) {
        free(settings);
        settings = NULL;
    }
    return settings;
}

static char *schedule_text(const cb_schedule *schedule) {
    size_t length = cb_schedule_state(schedule, NULL, 0);
    char *state = length == 0 ? NULL : malloc(length + 1);
    if (state != NULL)
        cb_schedule_state(schedule, state, length + 1);
    return state;
}

/* The tensors beside the weights, into `tensors`; returns how many. rows: the log's numbers. */
static int list_tensors(const training_file *file, const training_state *state, cb_tensor *log,
                        char (*names)[CARRIED_NAME_SIZE], cb_named_tensor *tensors) {
    int count = 0;
    for (; count < cb_optimizer_state_count(file->optimizer); count++)
        tensors[count] = cb_optimizer_state_at(file->optimizer, count);
    for (int i = 0; !file->carried->fresh && i < file->carried->count; i++) {
        carried_name(i, names[i]);
        tensors[count++] = (cb_named_tensor){names[i], file->carried->kept[i]};
    }
    if (state->count > 0)
        tensors[count++] = (cb_named_tensor){log_name, log};
    return count;
}

bool training_state_save(const char *path, const training_file *file, const training_state *state,
                         char *error) {
    bool scheduled = file->rate->scheduled;
    int columns = scheduled ? LOG_COLUMNS : LOG_COLUMNS - 1;
    int most = cb_optimizer_state_count(file->optimizer) + file->carried->count + 1;
    cb_named_tensor *tensors = calloc((size_t)most, sizeof *tensors);
    char(*names)[CARRIED_NAME_SIZE] = calloc((size_t)file->carried->count + 1, sizeof *names);
    double *rows = calloc((size_t)(state->count * columns) + 1, sizeof *rows);
    char *position = position_text(path, file, state);
    char *optimizer = optimizer_text(file->optimizer);
    char *schedule = scheduled ? schedule_text(&file->rate->schedule) : NULL;
    bool ok = tensors != NULL && names != NULL && rows != NULL && position != NULL &&
              optimizer != NULL && (schedule != NULL || !scheduled);
    if (!ok) {
        failure(error, FAILURE_SIZE, "cannot write %s: out of memory", path);
    } else {
        cb_tensor log = cb_tensor_wrap(CB_F64, CB_SHAPE(state->count, columns), rows);
        const cb_metadata metadata[] = {{"training", file->description},
                                        {"settings", file->settings},
                                        {"position", position},
                                        {"optimizer", optimizer},
                                        {"schedule", schedule}};
        fill_log(state, columns, rows);
        const checkpoint_extra extra = {list_tensors(file, state, &log, names, tensors),
                                        scheduled ? 5 : 4, tensors, metadata};
        ok = checkpoint_write(path, file->model, &file->data->characters, &extra, error);
    }
    free(tensors);
    free(names);
    free(rows);
    free(position);
    free(optimizer);
    free(schedule);
    return ok;
}

/* ---- Restoring ------------------------------------------------------------------------------- */

static bool read_generator(const json_t *object, const char *key, cb_random *random) {
    const char *numbers = json_string_value(json_object_get(object, key));
    return numbers != NULL &&
           sscanf(numbers, "%" SCNu64 " %" SCNu64, &random->key, &random->counter) == 2;
}

/* Files of earlier versions have none: windows began at the text's first character. */
static bool read_order(const json_t *object, sampler_state *order) {
    const char *numbers = json_string_value(json_object_get(object, "order"));
    *order = (sampler_state){0};
    return numbers == NULL || sscanf(numbers, "%" SCNu64 " %" SCNd64 " %" SCNd64, &order->key,
                                     &order->offset, &order->cursor) == 3;
}

static double real_or_nan(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* The most epochs that a file is believed to have. */
static const int64_t most_epochs = 100000000;

/* Everything of the position but for the records. */
static bool read_position(const json_t *object, training_state *state) {
    const json_t *epoch = json_object_get(object, "epoch"), *step = json_object_get(object, "step");
    state->count = json_integer_value(epoch);
    state->step = json_integer_value(step);
    state->loss_sum = real_or_nan(object, "loss_sum");
    state->first_loss = real_or_nan(object, "first_loss");
    state->seconds = real_or_nan(object, "seconds");
    state->finished = json_is_true(json_object_get(object, "finished"));
    return json_is_integer(epoch) && json_is_integer(step) && state->count >= 0 &&
           state->count <= most_epochs && state->step >= 0 && isfinite(state->loss_sum) &&
           read_generator(object, "batches", &state->batches) && read_order(object, &state->order);
}

/* Allocates the records; the log's shape is known to be right before. */
static bool read_log(const cb_safetensors *stored, training_state *state) {
    const cb_tensor *log = cb_safetensors_find(stored, log_name);
    bool none = state->count == 0 && log == NULL;
    if (!none &&
        (log == NULL || log->dtype != CB_F64 || log->rank != 2 || log->shape[0] != state->count ||
         log->shape[1] < LOG_COLUMNS - 1 || log->shape[1] > LOG_COLUMNS))
        return false;
    int64_t columns = none ? 0 : log->shape[1];
    state->records = calloc((size_t)state->count + 1, sizeof *state->records);
    for (int64_t i = 0; state->records != NULL && i < state->count; i++) {
        const double *row = (const double *)log->data + i * columns;
        state->records[i] = (epoch_record){.epoch = i,
                                           .loss = row[0],
                                           .held_out_loss = row[1],
                                           .distance = row[2],
                                           .seconds = row[3],
                                           .rate = columns == LOG_COLUMNS ? row[4] : (double)NAN};
    }
    return state->records != NULL;
}

/* The same characters in the same order. */
static bool same_text(const cb_safetensors *stored, const json_t *object, const corpus *data) {
    json_t *now = text_json(data);
    char *characters = checkpoint_vocabulary(&data->characters);
    const char *before = cb_safetensors_metadata(stored, "vocabulary");
    bool same = now != NULL && json_equal(json_object_get(object, "text"), now) &&
                characters != NULL && before != NULL && strcmp(characters, before) == 0;
    json_decref(now);
    free(characters);
    return same;
}

/* The position, which the caller frees; NULL when there is none. */
static json_t *position_of(const cb_safetensors *stored) {
    const char *position = cb_safetensors_metadata(stored, "position");
    return position == NULL ? NULL : json_loads(position, JSON_REJECT_DUPLICATES, NULL);
}

bool training_state_check_text(const cb_safetensors *stored, const corpus *data, char *error) {
    json_t *object = position_of(stored);
    bool same = same_text(stored, object, data);
    json_decref(object);
    return same ||
           failure(error, FAILURE_SIZE, "it was trained on another text than %s", data->name);
}

bool training_state_read(const cb_safetensors *stored, const corpus *data, training_state *state,
                         char *error) {
    json_t *object = position_of(stored);
    bool ok = false;
    *state = (training_state){0};
    if (!json_is_object(object))
        failure(error, FAILURE_SIZE, "there is nothing in it to go on training with");
    else if (!read_position(object, state))
        failure(error, FAILURE_SIZE, "its position is damaged");
    else if (data != NULL && !same_text(stored, object, data))
        failure(error, FAILURE_SIZE, "it was trained on another text than %s", data->name);
    else if (!read_log(stored, state))
        failure(error, FAILURE_SIZE, "its log is missing or damaged");
    else
        ok = true;
    json_decref(object);
    return ok;
}

/* The states after the last step: all of them or, where a pass begins, none. */
static bool restore_carried(const cb_safetensors *stored, carried_state *carried, char *error) {
    int found = 0;
    for (int i = 0; i < carried->count; i++) {
        char name[CARRIED_NAME_SIZE];
        carried_name(i, name);
        const cb_tensor *kept = cb_safetensors_find(stored, name);
        found += kept != NULL;
        if (kept != NULL &&
            (kept->dtype != CB_F32 || cb_tensor_assign(carried->kept[i], kept) != CB_OK))
            return failure(error, FAILURE_SIZE, "%s has another shape or dtype", name);
    }
    carried->fresh = found == 0;
    return found == 0 || found == carried->count ||
           failure(error, FAILURE_SIZE, "some of the states that are carried are missing");
}

/* Whether the text that is measured on is the one that was: its own is in the text itself. */
static bool check_validation(const cb_safetensors *stored, const corpus *validation, char *error) {
    json_t *object = position_of(stored), *now = validation == NULL ? NULL : text_json(validation);
    const json_t *before = json_object_get(object, "validation");
    bool same = (now == NULL && before == NULL) || json_equal(now, before);
    json_decref(object);
    json_decref(now);
    return same || failure(error, FAILURE_SIZE, "it was measured on another text than %s",
                           validation == NULL ? "the held-out part" : validation->name);
}

/* The weights, the optimizer's state, the schedule's, the generator of dropout. */
static bool restore_parts(const cb_safetensors *stored, const training_parts *parts, char *error) {
    json_t *object = position_of(stored);
    cb_random dropout = {0, 0};
    cb_error reason;
    bool ok = false;
    if (!read_generator(object, "dropout", &dropout)) {
        failure(error, FAILURE_SIZE, "its position is damaged");
    } else if (cb_params_restore(parts->model->params, stored, &reason) != CB_OK ||
               cb_optimizer_restore(parts->optimizer, stored, &reason) != CB_OK ||
               (parts->rate->scheduled &&
                cb_schedule_restore(&parts->rate->schedule,
                                    cb_safetensors_metadata(stored, "schedule"),
                                    &reason) != CB_OK)) {
        failure(error, FAILURE_SIZE, "%s", reason.message);
    } else if (!model_is_finite(parts->model)) {
        failure(error, FAILURE_SIZE, "it has weights that are not finite numbers");
    } else {
        ok = restore_carried(stored, parts->carried, error);
        *cb_params_random(parts->model->params) = dropout;
    }
    json_decref(object);
    return ok;
}

bool training_state_restore(const cb_safetensors *stored, const training_parts *parts, int64_t room,
                            training_state *state, char *error) {
    training_state read;
    if (!training_state_read(stored, parts->data, &read, error))
        return false;
    bool ok = read.count + (read.step > 0) <= room;
    if (!ok) {
        failure(error, FAILURE_SIZE,
                "it has come to epoch %" PRId64 ", further than the %" PRId64 " that are asked for",
                read.count + (read.step > 0), room);
    }
    ok = ok && check_validation(stored, parts->validation, error) &&
         restore_parts(stored, parts, error);
    if (ok) {
        epoch_record *records = state->records;
        memcpy(records, read.records, sizeof *records * (size_t)read.count);
        *state = read;
        state->records = records;
    }
    free(read.records);
    return ok;
}

char *training_state_log(const cb_safetensors *stored, const char *path) {
    json_t *object = position_of(stored);
    const char *log = json_string_value(json_object_get(object, "log"));
    const char *slash = strrchr(path, '/');
    bool beside = log != NULL && strcmp(log, "-") != 0 && strchr(log, '/') == NULL && slash != NULL;
    size_t directory = beside ? (size_t)(slash - path) + 1 : 0;
    size_t size = log == NULL ? 0 : directory + strlen(log) + 1;
    char *copy = log == NULL ? NULL : malloc(size);
    if (copy != NULL)
        snprintf(copy, size, "%.*s%s", (int)directory, path, log);
    json_decref(object);
    return copy;
}
