/* The state of schedules as text, and schedules for the groups of an optimizer. */
#include "optim/optimizer_internal.h"

#include "nn/params_internal.h"
#include "optim/options.h"
#include "tensor/io/file_data.h"
#include "tensor/io/json_text.h"
#include "tensor/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

cb_status cb_optimizer_schedule(cb_optimizer *optimizer, const cb_schedule *schedule) {
    if (optimizer == NULL)
        return CB_ERROR_VALUE;
    if (isnan(cb_schedule_lr(schedule, 1))) {
        cbi_params_fail(optimizer->params, CB_ERROR_VALUE,
                        "%s: an option of the schedule is outside its range",
                        optimizer->rule->name);
        return CB_ERROR_VALUE;
    }
    for (int i = 0; i < optimizer->group_count; i++) {
        cb_optimizer_options *group = optimizer->groups[i];
        group->lr = cb_schedule_lr(schedule, group->initial_lr);
    }
    return CB_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int part_count(const cb_schedule *s) {
    bool sequence = s->kind == CB_SCHEDULE_SEQUENCE && s->parts != NULL && s->milestone_count >= 0;
    return sequence ? s->milestone_count + 1 : 0;
}

/* The state of a schedule without its parts; NULL without memory. */
static json_t *own_state(const cb_schedule *s) {
    return json_pack("{s:I, s:f, s:I, s:I, s:f}", "epoch", (json_int_t)s->epoch, "best",
                     cbi_finite(s->best), "bad", (json_int_t)s->bad, "cooling",
                     (json_int_t)s->cooling, "factor", s->factor);
}

static char *state_text(const cb_schedule *s) {
    json_t *object = own_state(s), *parts = json_array();
    bool ok = object != NULL && parts != NULL;
    for (int i = 0; ok && i < part_count(s); i++)
        ok = json_array_append_new(parts, own_state(&s->parts[i])) == 0;
    ok = ok && json_object_set(object, "parts", parts) == 0;
    json_decref(parts);
    if (!ok) {
        json_decref(object);
        return NULL;
    }
    return cbi_json_text(object);
}

size_t cb_schedule_state(const cb_schedule *schedule, char *buffer, size_t size) {
    return cbi_text_copy(schedule == NULL ? NULL : state_text(schedule), buffer, size);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Puts the state of an object into a schedule that has its options. */
static cb_status read_state(const json_t *object, cb_schedule *s) {
    json_int_t epoch, bad, cooling;
    double best, factor;
    if (json_unpack((json_t *)(uintptr_t)object, "{s:I, s:F, s:I, s:I, s:F}", "epoch", &epoch,
                    "best", &best, "bad", &bad, "cooling", &cooling, "factor", &factor) != 0)
        return CB_ERROR_FORMAT;
    s->epoch = epoch;
    s->best = cbi_infinite(best);
    s->bad = bad;
    s->cooling = cooling;
    s->factor = factor;
    bool good = epoch >= 0 && bad >= 0 && cooling >= 0 && factor >= 0 && factor <= 1;
    return good ? CB_OK : CB_ERROR_VALUE;
}

/* The same for a sequence's parts, in a copy of them. */
static cb_status read_parts(const json_t *array, cb_schedule *parts, int count) {
    cb_status status = json_array_size(array) == (size_t)count ? CB_OK : CB_ERROR_FORMAT;
    for (int i = 0; status == CB_OK && i < count; i++)
        status = read_state(json_array_get(array, (size_t)i), &parts[i]);
    return status;
}

cb_status cb_schedule_restore(cb_schedule *schedule, const char *text, cb_error *error) {
    cbi_file_error_clear(error);
    if (schedule == NULL)
        return cbi_file_error(error, CB_ERROR_VALUE, "schedule", "there is none");
    int count = part_count(schedule);
    cb_schedule *parts = cbi_allocate(((size_t)count + 1) * sizeof *parts);
    if (parts == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, "schedule", "no memory");
    if (count > 0)
        memcpy(parts, schedule->parts, (size_t)count * sizeof *parts);
    json_t *object = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    cb_schedule read = *schedule;
    cb_status status = object == NULL ? CB_ERROR_FORMAT : read_state(object, &read);
    if (status == CB_OK)
        status = read_parts(json_object_get(object, "parts"), parts, count);
    json_decref(object);
    if (status == CB_OK) {
        *schedule = read;
        if (count > 0)
            memcpy(schedule->parts, parts, (size_t)count * sizeof *parts);
    } else {
        cbi_file_error(error, status, "schedule",
                       status == CB_ERROR_VALUE
                           ? "a number of its state is out of range"
                           : "its state is missing or damaged, or that of another one");
    }
    cbi_free(parts);
    return status;
}
