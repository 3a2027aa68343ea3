/* An optimizer's state as entries of a safetensors file, and back. Restoring checks and copies
   everything before it changes the first slot. */
#include "optim/optimizer_internal.h"
#include "optim/options.h"

#include "tensor/io/file_data.h"
#include "tensor/io/json_text.h"
#include "tensor/memory.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char settings_key[] = "optimizer";

/* ---- Reading the state ----------------------------------------------------------------------- */

/* Entry `wanted` of a slot's; counts down past those that it has. */
static cb_named_tensor entry_of(const cbi_slot *s, int *wanted) {
    if (s->steps > 0 && (*wanted)-- == 0)
        return (cb_named_tensor){s->step_name, &s->step_tensor};
    for (int k = 0; k < CB_OPTIMIZER_STATES; k++)
        if (s->steps > 0 && s->state[k] != NULL && (*wanted)-- == 0)
            return (cb_named_tensor){s->state_entry_name[k], s->state[k]};
    return (cb_named_tensor){NULL, NULL};
}

int cb_optimizer_state_count(const cb_optimizer *optimizer) {
    int count = 0;
    for (int i = 0; optimizer != NULL && i < optimizer->slot_count; i++) {
        const cbi_slot *s = optimizer->slots[i];
        count += s->steps > 0;
        for (int k = 0; k < CB_OPTIMIZER_STATES; k++)
            count += s->steps > 0 && s->state[k] != NULL;
    }
    return count;
}

cb_named_tensor cb_optimizer_state_at(const cb_optimizer *optimizer, int i) {
    cb_named_tensor found = {NULL, NULL};
    for (int k = 0; optimizer != NULL && i >= 0 && k < optimizer->slot_count; k++) {
        found = entry_of(optimizer->slots[k], &i);
        if (found.name != NULL)
            break;
    }
    return found;
}

/* ---- Settings -------------------------------------------------------------------------------- */

static char *settings_text(const cb_optimizer *optimizer) {
    json_t *groups = json_array();
    bool ok = groups != NULL;
    for (int i = 0; ok && i < optimizer->group_count; i++)
        ok = json_array_append_new(groups, cbi_options_json(optimizer->groups[i])) == 0;
    if (!ok) {
        json_decref(groups);
        return NULL;
    }
    /* json_pack takes the reference to groups, also when it fails. */
    json_t *object = json_pack("{s:s, s:o}", "name", optimizer->rule->name, "groups", groups);
    return cbi_json_text(object);
}

size_t cb_optimizer_settings(const cb_optimizer *optimizer, char *buffer, size_t size) {
    return cbi_text_copy(optimizer == NULL ? NULL : settings_text(optimizer), buffer, size);
}

/* Fills as many options as the optimizer has groups. */
static cb_status read_settings(const cb_optimizer *optimizer, const char *text,
                               cb_optimizer_options *options, cb_error *error) {
    json_t *object = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(object, "name"));
    const json_t *groups = json_object_get(object, "groups");
    size_t count = json_array_size(groups);
    cb_status status = CB_OK;
    if (name == NULL || !json_is_array(groups)) {
        status = cbi_file_error(error, CB_ERROR_FORMAT, "optimizer",
                                "the file's settings are missing or damaged");
    } else if (strcmp(name, optimizer->rule->name) != 0) {
        status = cbi_file_error(error, CB_ERROR_FORMAT, optimizer->rule->name,
                                "the file is of the optimizer %.40s", name);
    } else if (count != (size_t)optimizer->group_count) {
        status = cbi_file_error(error, CB_ERROR_FORMAT, optimizer->rule->name,
                                "the file has %zu groups, not %d", count, optimizer->group_count);
    }
    for (size_t i = 0; status == CB_OK && i < count; i++) {
        if (!cbi_options_read(json_array_get(groups, i), &options[i])) {
            status = cbi_file_error(error, CB_ERROR_FORMAT, optimizer->rule->name,
                                    "the options of the file's group %zu are damaged", i);
        } else if (!cbi_optimizer_options_good(optimizer->rule, NULL, &options[i])) {
            status = cbi_file_error(error, CB_ERROR_VALUE, optimizer->rule->name,
                                    "an option of the file's group %zu is out of range", i);
        }
    }
    json_decref(object);
    return status;
}

/* ---- Restoring ------------------------------------------------------------------------------- */

/* What a slot is to have. */
typedef struct restored {
    int64_t steps;
    cb_tensor *state[CB_OPTIMIZER_STATES];
} restored;

static cb_status read_steps(const cb_safetensors *file, const cbi_slot *s, restored *r,
                            cb_error *error) {
    int found = cb_safetensors_stored_find(file, s->step_name);
    cb_stored_tensor stored = cb_safetensors_stored(file, found);
    if (found < 0)
        return CB_OK; /* no step yet */
    if (stored.dtype != CB_I64 || stored.rank != 0)
        return cbi_file_error(error, CB_ERROR_DTYPE, s->step_name, "it is no single i64");
    cb_tensor steps = cb_tensor_wrap(CB_I64, CB_SCALAR, &r->steps);
    cb_status status = cb_safetensors_load_into(file, s->step_name, &steps, error);
    if (status != CB_OK)
        return status;
    return r->steps > 0 ? CB_OK
                        : cbi_file_error(error, CB_ERROR_VALUE, s->step_name,
                                         "%lld steps cannot have been taken", (long long)r->steps);
}

static bool same_shape(const cb_stored_tensor *stored, const cb_tensor *t) {
    bool same = stored->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = stored->shape[i] == t->shape[i];
    return same;
}

/* Whether no element is NaN. */
static cb_status check_numbers(const cb_tensor *t, const char *name, cb_error *error) {
    for (int64_t i = 0; i < cb_tensor_count(t); i++) {
        double element =
            t->dtype == CB_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
        if (isnan(element))
            return cbi_file_error(error, CB_ERROR_VALUE, name, "element %lld is nan", (long long)i);
    }
    return CB_OK;
}

static cb_status read_state(const cb_optimizer *optimizer, const cb_optimizer_options *options,
                            const cb_safetensors *file, const cbi_slot *s, int k, restored *r,
                            cb_error *error) {
    const char *name = s->state_entry_name[k];
    int found = name == NULL ? -1 : cb_safetensors_stored_find(file, name);
    cb_stored_tensor stored = cb_safetensors_stored(file, found);
    const cb_tensor *value = s->param->value;
    if (found >= 0 && r->steps == 0)
        return cbi_file_error(error, CB_ERROR_NOT_FOUND, s->step_name, "there is no such entry");
    if (found < 0) {
        bool needed = r->steps > 0 && cbi_rule_needs(optimizer->rule, options, k);
        return !needed ? CB_OK
                       : cbi_file_error(error, CB_ERROR_NOT_FOUND, name, "there is no such entry");
    }
    if (!same_shape(&stored, value)) {
        return cbi_file_error(error, CB_ERROR_SHAPE, name, "it has another shape than %s",
                              s->param->name);
    }
    if (stored.dtype != value->dtype) {
        return cbi_file_error(error, CB_ERROR_DTYPE, name, "it is %s where %s is %s",
                              cb_dtype_name(stored.dtype), s->param->name,
                              cb_dtype_name(value->dtype));
    }
    r->state[k] = cb_tensor_new(value->dtype, value->rank, value->shape);
    if (r->state[k] == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, name, "no memory");
    cb_status status = cb_safetensors_load_into(file, name, r->state[k], error);
    return status == CB_OK ? check_numbers(r->state[k], name, error) : status;
}

/* Whether an entry is one that some parameter may have. */
static bool is_known(const cb_optimizer *optimizer, const char *name) {
    for (int i = 0; i < optimizer->slot_count; i++) {
        const cbi_slot *s = optimizer->slots[i];
        bool same = strcmp(name, s->step_name) == 0;
        for (int k = 0; k < CB_OPTIMIZER_STATES; k++) {
            same = same ||
                   (s->state_entry_name[k] != NULL && strcmp(name, s->state_entry_name[k]) == 0);
        }
        if (same)
            return true;
    }
    return false;
}

static cb_status read_slots(const cb_optimizer *optimizer, const cb_safetensors *file,
                            const cb_optimizer_options *options, restored *all, cb_error *error) {
    cb_status status = CB_OK;
    for (int i = 0; i < cb_safetensors_stored_count(file) && status == CB_OK; i++) {
        const char *name = cb_safetensors_stored(file, i).name;
        if (strncmp(name, CBI_STATE_PREFIX, sizeof CBI_STATE_PREFIX - 1) == 0 &&
            !is_known(optimizer, name)) {
            status = cbi_file_error(error, CB_ERROR_NOT_FOUND, name,
                                    "there is no such parameter, or no such state");
        }
    }
    for (int i = 0; i < optimizer->slot_count && status == CB_OK; i++) {
        const cbi_slot *s = optimizer->slots[i];
        status = read_steps(file, s, &all[i], error);
        for (int k = 0; k < CB_OPTIMIZER_STATES && status == CB_OK; k++)
            status = read_state(optimizer, &options[s->group], file, s, k, &all[i], error);
    }
    return status;
}

/* Gives the slots what was read, and takes what they had in exchange. */
static void exchange(cb_optimizer *optimizer, restored *all) {
    for (int i = 0; i < optimizer->slot_count; i++) {
        cbi_slot *s = optimizer->slots[i];
        s->steps = all[i].steps;
        for (int k = 0; k < CB_OPTIMIZER_STATES; k++) {
            cb_tensor *before = s->state[k];
            s->state[k] = all[i].state[k];
            all[i].state[k] = before;
        }
    }
}

cb_status cb_optimizer_restore(cb_optimizer *optimizer, const cb_safetensors *file,
                               cb_error *error) {
    cbi_file_error_clear(error);
    if (optimizer == NULL || file == NULL)
        return cbi_file_error(error, CB_ERROR_VALUE, "optimizer", "no optimizer or no file");
    if (!cbi_slots_take(optimizer))
        return cbi_file_error(error, CB_ERROR_MEMORY, "optimizer", "no memory");
    restored *all = cbi_allocate(sizeof *all * ((size_t)optimizer->slot_count + 1));
    cb_optimizer_options *options =
        cbi_allocate(sizeof *options * ((size_t)optimizer->group_count + 1));
    cb_status status =
        all == NULL || options == NULL
            ? cbi_file_error(error, CB_ERROR_MEMORY, "optimizer", "no memory")
            : read_settings(optimizer, cb_safetensors_metadata(file, settings_key), options, error);
    if (status == CB_OK)
        status = read_slots(optimizer, file, options, all, error);
    if (status == CB_OK) {
        exchange(optimizer, all);
        for (int i = 0; i < optimizer->group_count; i++)
            *optimizer->groups[i] = options[i];
    }
    for (int i = 0; all != NULL && i < optimizer->slot_count; i++)
        for (int k = 0; k < CB_OPTIMIZER_STATES; k++)
            cb_tensor_free(all[i].state[k]);
    cbi_free(all);
    cbi_free(options);
    return status;
}
