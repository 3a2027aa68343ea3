/* Weights in a safetensors file. Loading checks the whole file against the set before it writes the
   first element, so that a failure changes nothing. */
#include "tensor/format.h"
#include "tensor/memory.h"

#include <cerebra/files.h>
#include <cerebra/params.h>
#include <stdarg.h>
#include <stdio.h>

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

/* Whether the file's entry fits the parameter. */
static cb_status check_entry(const char *path, const cb_param *param, const cb_tensor *entry,
                             cb_error *error) {
    if (entry == NULL)
        return fail(error, CB_ERROR_NOT_FOUND, "%s: there is no entry %s", path, param->name);
    if (!cb_dtype_is_float(entry->dtype)) {
        return fail(error, CB_ERROR_DTYPE, "%s: entry %s is %s, not a float", path, param->name,
                    cb_dtype_name(entry->dtype));
    }
    if (!cb_tensor_same_shape(entry, param->value)) {
        char found[128], wanted[128];
        cb_shape_format(entry, found, sizeof found);
        cb_shape_format(param->value, wanted, sizeof wanted);
        return fail(error, CB_ERROR_SHAPE, "%s: entry %s is %s where the model has %s", path,
                    param->name, found, wanted);
    }
    return CB_OK;
}

/* Whether the file holds nothing but parameters of the set. */
static cb_status check_rest(const cb_params *params, const char *path, const cb_safetensors *file,
                            cb_error *error) {
    for (int i = 0; i < cb_safetensors_count(file); i++) {
        const char *name = cb_safetensors_at(file, i).name;
        if (cb_params_find(params, name) == NULL) {
            return fail(error, CB_ERROR_NOT_FOUND, "%s: the model has no parameter for entry %s",
                        path, name);
        }
    }
    return CB_OK;
}

/* Whether the file holds every parameter of the set. */
static cb_status check_params(const cb_params *params, const char *path, const cb_safetensors *file,
                              cb_error *error) {
    cb_status status = CB_OK;
    for (int i = 0; status == CB_OK && i < cb_params_count(params); i++) {
        const cb_param *param = cb_params_at(params, i);
        status = check_entry(path, param, cb_safetensors_find(file, param->name), error);
    }
    return status;
}

static cb_status copy(cb_params *params, const char *path, const cb_safetensors *file,
                      cb_error *error) {
    cb_status status = CB_OK;
    for (int i = 0; status == CB_OK && i < cb_params_count(params); i++) {
        cb_param *param = cb_params_at(params, i);
        status = cb_tensor_assign(param->value, cb_safetensors_find(file, param->name));
        if (status != CB_OK)
            fail(error, status, "%s: entry %s cannot be copied", path, param->name);
    }
    return status;
}

cb_status cb_params_restore(cb_params *params, const cb_safetensors *file, cb_error *error) {
    clear(error);
    if (params == NULL || file == NULL)
        return fail(error, CB_ERROR_VALUE, "restoring weights: no parameter set or no file");
    cb_status status = check_params(params, "weights", file, error);
    return status == CB_OK ? copy(params, "weights", file, error) : status;
}

cb_status cb_params_load(cb_params *params, const char *path, cb_error *error) {
    clear(error);
    if (params == NULL || path == NULL)
        return fail(error, CB_ERROR_VALUE, "loading weights: no parameter set or no path");
    cb_error reading = {CB_OK, ""};
    cb_safetensors *file = cb_safetensors_read(path, &reading);
    if (file == NULL)
        return fail(error, reading.status, "%s", reading.message);
    cb_status status = check_params(params, path, file, error);
    if (status == CB_OK)
        status = check_rest(params, path, file, error);
    if (status == CB_OK)
        status = copy(params, path, file, error);
    cb_safetensors_free(file);
    return status;
}
