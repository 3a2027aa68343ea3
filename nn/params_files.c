/* Weights in a safetensors file. Loading checks the file against the set, and reads whatever may
   fail to be read, before it writes the first element, so that a failure changes nothing. */
#include "tensor/format.h"
#include "tensor/memory.h"

#include <cerebra/files.h>
#include <cerebra/params.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
static cb_status
fail(cb_error *error, cb_status status, const char *format, ...) {
    if (error != NULL) {
        error->status = status;
        va_list arguments;
        va_start(arguments, format);
        cbi_vformat(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

static void clear(cb_error *error) {
    if (error != NULL) {
        error->status = CB_OK;
        error->message[0] = '\0';
    }
}

cb_status cb_params_save(const cb_params *params, const char *path, cb_error *error) {
    clear(error);
    if (params == NULL || path == NULL)
        return fail(error, CB_ERROR_VALUE, "saving weights: no parameter set or no path");
    int count = cb_params_count(params);
    cb_named_tensor *entries = cbi_allocate(cbi_multiply((size_t)count + 1, sizeof *entries));
    if (entries == NULL)
        return fail(error, CB_ERROR_MEMORY, "%s: no memory for a list of %d weights", path, count);
    for (int i = 0; i < count; i++) {
        const cb_param *param = cb_params_at(params, i);
        entries[i] = (cb_named_tensor){param->name, param->value};
    }
    cb_status status = cb_safetensors_write(path, count, entries, 0, NULL, error);
    cbi_free(entries);
    return status;
}

/* ---- Which entry is whose -------------------------------------------------------------------- */

/* A set to be loaded, and what the file has for it. */
typedef struct loading {
    cb_params *params;
    const char *path; /* for messages */
    const cb_safetensors *file;
    const cb_load_options *options;
    int *entry_of; /* by parameter: the entry in the file, -1: none */
    bool *used;    /* by entry: whether a parameter has it */
    cb_tensor *
        *staged; /* by parameter: its values, until all are there; NULL: in the file's memory */
} loading;

/* Whether an entry's name, with its prefix exchanged, is that of a parameter. */
static bool is_name_of(const loading *l, const char *entry, const char *param) {
    const cb_prefix *row = l->options->prefixes;
    for (; row != NULL && row->from != NULL; row++) {
        size_t from = strlen(row->from), to = strlen(row->to);
        if (strncmp(entry, row->from, from) == 0)
            return strncmp(param, row->to, to) == 0 && strcmp(entry + from, param + to) == 0;
    }
    return strcmp(entry, param) == 0;
}

/* Finds the entry of a parameter. */
static cb_status find_entry(const loading *l, int i, cb_error *error) {
    const char *name = cb_params_at(l->params, i)->name;
    l->entry_of[i] = -1;
    if (l->options->prefixes == NULL) {
        l->entry_of[i] = cb_safetensors_stored_find(l->file, name);
    } else {
        for (int k = 0; k < cb_safetensors_stored_count(l->file); k++) {
            const char *entry = cb_safetensors_stored(l->file, k).name;
            if (!is_name_of(l, entry, name))
                continue;
            if (l->entry_of[i] >= 0) {
                return fail(error, CB_ERROR_VALUE, "%s: entries %s and %s are both for %s", l->path,
                            cb_safetensors_stored(l->file, l->entry_of[i]).name, entry, name);
            }
            l->entry_of[i] = k;
        }
    }
    if (l->entry_of[i] >= 0)
        l->used[l->entry_of[i]] = true;
    return CB_OK;
}

/* Adds a name to a list for people, as long as there is room for it. */
static void add_name(char *list, size_t size, int *count, const char *name) {
    size_t used = strlen(list);
    bool first = (*count)++ == 0;
    if (used + strlen(name) + 8 < size)
        snprintf(list + used, size - used, "%s%s", first ? "" : ", ", name);
    else if (used + 6 < size && (used < 3 || strcmp(list + used - 3, "...") != 0))
        snprintf(list + used, size - used, "%s...", first ? "" : ", ");
}

/* Counts and names what only one of the two has. */
static void compare_names(const loading *l, cb_load_report *report) {
    *report = (cb_load_report){.loaded = 0};
    for (int i = 0; i < cb_params_count(l->params); i++) {
        if (l->entry_of[i] >= 0)
            report->loaded++;
        else
            add_name(report->missing_names, sizeof report->missing_names, &report->missing,
                     cb_params_at(l->params, i)->name);
    }
    for (int k = 0; k < cb_safetensors_stored_count(l->file); k++)
        if (!l->used[k])
            add_name(report->extra_names, sizeof report->extra_names, &report->extra,
                     cb_safetensors_stored(l->file, k).name);
}

/* Whether the names are as strictly the same as is wanted. */
static cb_status check_names(const loading *l, bool extra_allowed, const cb_load_report *report,
                             cb_error *error) {
    bool extra = report->extra > 0 && !extra_allowed;
    if (l->options->partial || (report->missing == 0 && !extra))
        return CB_OK;
    char missing[sizeof report->missing_names + 64] = "",
                                                more[sizeof report->extra_names + 64] = "";
    if (report->missing > 0)
        snprintf(missing, sizeof missing, "there is no entry %s", report->missing_names);
    if (extra)
        snprintf(more, sizeof more, "the model has no parameter for entry %s", report->extra_names);
    return fail(error, CB_ERROR_NOT_FOUND, "%s: %s%s%s", l->path, missing,
                missing[0] != '\0' && extra ? "; " : "", more);
}

/* ---- Whether it fits ------------------------------------------------------------------------- */

static char *format_shape(const cb_stored_tensor *stored, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < stored->rank && used + 24 < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i > 0 ? "," : "",
                                 (long long)stored->shape[i]);
    snprintf(text + used, size - used, "]");
    return text;
}

/* Whether the file's entry fits the parameter. */
static cb_status check_entry(const char *path, const cb_param *param, const cb_stored_tensor *entry,
                             cb_error *error) {
    bool same = entry->rank == param->value->rank;
    if (entry->objection != NULL)
        return fail(error, CB_ERROR_DTYPE, "%s: entry %s: %s", path, entry->name, entry->objection);
    if (!cb_dtype_is_float(entry->dtype)) {
        return fail(error, CB_ERROR_DTYPE, "%s: entry %s is %s, not a float", path, entry->name,
                    entry->type);
    }
    for (int i = 0; same && i < entry->rank; i++)
        same = entry->shape[i] == param->value->shape[i];
    if (!same) {
        char found[128], wanted[128];
        format_shape(entry, found, sizeof found);
        cb_shape_format(param->value, wanted, sizeof wanted);
        return fail(error, CB_ERROR_SHAPE, "%s: entry %s is %s where the model has %s", path,
                    entry->name, found, wanted);
    }
    return CB_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Reads the values of a parameter, unless they are in memory and certain to be held. */
static cb_status stage(const loading *l, int i, cb_error *error) {
    const cb_param *param = cb_params_at(l->params, i);
    if (l->entry_of[i] < 0)
        return CB_OK;
    cb_stored_tensor entry = cb_safetensors_stored(l->file, l->entry_of[i]);
    cb_status status = check_entry(l->path, param, &entry, error);
    const cb_tensor *there = cb_safetensors_find(l->file, entry.name);
    if (status != CB_OK || (there != NULL && there->dtype == param->value->dtype))
        return status;
    cb_error reason = {.status = CB_OK};
    l->staged[i] = cb_safetensors_load_as(l->file, entry.name, param->value->dtype, &reason);
    return l->staged[i] != NULL ? CB_OK : fail(error, reason.status, "%s", reason.message);
}

static void copy(const loading *l) {
    for (int i = 0; i < cb_params_count(l->params); i++) {
        if (l->entry_of[i] < 0)
            continue;
        const char *name = cb_safetensors_stored(l->file, l->entry_of[i]).name;
        const cb_tensor *source =
            l->staged[i] != NULL ? l->staged[i] : cb_safetensors_find(l->file, name);
        cb_tensor_assign(cb_params_at(l->params, i)->value, source);
    }
}

static cb_status load(const loading *l, bool extra_allowed, cb_error *error) {
    cb_load_report report;
    cb_status status = CB_OK;
    int count = cb_params_count(l->params);
    for (int i = 0; i < count && status == CB_OK; i++)
        status = find_entry(l, i, error);
    if (status == CB_OK) {
        compare_names(l, &report);
        if (l->options->report != NULL)
            *l->options->report = report;
        status = check_names(l, extra_allowed, &report, error);
    }
    for (int i = 0; i < count && status == CB_OK; i++)
        status = stage(l, i, error);
    if (status == CB_OK)
        copy(l);
    return status;
}

static cb_status restore(cb_params *params, const char *path, const cb_safetensors *file,
                         const cb_load_options *options, bool extra_allowed, cb_error *error) {
    static const cb_load_options strict = {.partial = false};
    size_t count = (size_t)cb_params_count(params) + 1;
    loading l = {.params = params,
                 .path = path,
                 .file = file,
                 .options = options == NULL ? &strict : options,
                 .entry_of = cbi_allocate(count * sizeof(int)),
                 .used = cbi_allocate((size_t)cb_safetensors_stored_count(file) + 1),
                 .staged = cbi_allocate(count * sizeof(cb_tensor *))};
    cb_status status = l.entry_of == NULL || l.used == NULL || l.staged == NULL
                           ? fail(error, CB_ERROR_MEMORY, "%s: no memory to load it", path)
                           : load(&l, extra_allowed, error);
    for (int i = 0; l.staged != NULL && i < cb_params_count(params); i++)
        cb_tensor_free(l.staged[i]);
    cbi_free(l.entry_of);
    cbi_free(l.used);
    cbi_free(l.staged);
    return status;
}

cb_status cb_params_restore(cb_params *params, const cb_safetensors *file, cb_error *error) {
    clear(error);
    if (params == NULL || file == NULL)
        return fail(error, CB_ERROR_VALUE, "restoring weights: no parameter set or no file");
    return restore(params, "weights", file, NULL, true, error);
}

cb_status cb_params_load_with(cb_params *params, const char *path, const cb_load_options *options,
                              cb_error *error) {
    clear(error);
    if (params == NULL || path == NULL)
        return fail(error, CB_ERROR_VALUE, "loading weights: no parameter set or no path");
    cb_error reading = {CB_OK, ""};
    cb_safetensors *file = cb_safetensors_open(path, &reading);
    if (file == NULL)
        return fail(error, reading.status, "%s", reading.message);
    cb_status status = restore(params, path, file, options, false, error);
    cb_safetensors_free(file);
    return status;
}

cb_status cb_params_load(cb_params *params, const char *path, cb_error *error) {
    return cb_params_load_with(params, path, NULL, error);
}
