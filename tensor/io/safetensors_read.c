/* The safetensors reader: files that are open, and what is read of them. */
#include "tensor/io/safetensors.h"

#include "tensor/io/file_data.h"
#include "tensor/memory.h"

#include <stdlib.h>
#include <string.h>

cb_safetensors *cb_safetensors_open(const char *path, cb_error *error) {
    cbi_file_error_clear(error);
    const char *named = path == NULL ? "(no path)" : path;
    size_t length = strlen(named) + 1;
    cb_safetensors *file = cbi_allocate(sizeof *file + length);
    if (file == NULL) {
        cbi_file_error(error, CB_ERROR_MEMORY, named, "no memory");
        return NULL;
    }
    if (cbi_file_open(&file->file, path, error) != CB_OK) {
        cbi_free(file);
        return NULL;
    }
    file->file.path = memcpy(file + 1, named, length);
    if (cbi_safetensors_header(file, error) != CB_OK) {
        cb_safetensors_free(file);
        return NULL;
    }
    return file;
}

void cb_safetensors_free(cb_safetensors *file) {
    if (file == NULL)
        return;
    cbi_file_close(&file->file);
    for (int i = 0; i < file->count; i++)
        cb_tensor_free(file->entries[i].tensor);
    json_decref(file->header);
    cbi_free(file->entries);
    cbi_free(file->shapes);
    cbi_free(file->in_memory);
    cbi_free(file);
}

/* ---- What is stored -------------------------------------------------------------------------- */

int cb_safetensors_stored_count(const cb_safetensors *file) {
    return file->count;
}

cb_stored_tensor cb_safetensors_stored(const cb_safetensors *file, int i) {
    if (i < 0 || i >= file->count)
        return (cb_stored_tensor){.name = NULL};
    return file->entries[i].stored;
}

static int compare_name(const void *name, const void *entry) {
    const cbi_safetensors_entry *e = entry;
    return strcmp(name, e->stored.name);
}

int cb_safetensors_stored_find(const cb_safetensors *file, const char *name) {
    if (file->count == 0 || name == NULL)
        return -1;
    const cbi_safetensors_entry *found =
        bsearch(name, file->entries, (size_t)file->count, sizeof *file->entries, compare_name);
    return found == NULL ? -1 : (int)(found - file->entries);
}

static const cbi_safetensors_entry *entry_of(const cb_safetensors *file, const char *name,
                                             cb_error *error) {
    cbi_file_error_clear(error);
    int found = cb_safetensors_stored_find(file, name);
    if (found >= 0)
        return &file->entries[found];
    cbi_file_error(error, CB_ERROR_NOT_FOUND, file->file.path, "there is no tensor \"%.100s\"",
                   name == NULL ? "" : name);
    return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The elements of an entry as a stream: of the file, or of what is in memory. */
typedef struct source {
    cbi_file_stream file;
    cbi_memory_stream memory;
    cbi_stream *stream;
    cbi_layout layout;
} source;

static void source_open(source *s, const cb_safetensors *file, const cbi_safetensors_entry *e) {
    if (e->tensor != NULL) {
        s->memory = cbi_memory_stream_of(file->file.path, e->tensor->data);
        s->stream = &s->memory.stream;
        s->layout = (cbi_layout){.type = cbi_element_type_of(e->tensor->dtype)};
    } else {
        s->file = cbi_file_stream_at(&file->file, file->data + e->begin);
        s->stream = &s->file.stream;
        s->layout = (cbi_layout){.type = e->type};
    }
}

static cb_tensor *load(const cb_safetensors *file, const char *name, const cb_dtype *dtype,
                       cb_error *error) {
    const cbi_safetensors_entry *e = entry_of(file, name, error);
    source elements;
    if (e == NULL)
        return NULL;
    source_open(&elements, file, e);
    return cbi_elements_load(elements.stream, &elements.layout, &e->stored, dtype, error);
}

cb_tensor *cb_safetensors_load(const cb_safetensors *file, const char *name, cb_error *error) {
    return load(file, name, NULL, error);
}

cb_tensor *cb_safetensors_load_as(const cb_safetensors *file, const char *name, cb_dtype dtype,
                                  cb_error *error) {
    return load(file, name, &dtype, error);
}

static bool same_shape(const cb_stored_tensor *stored, const cb_tensor *t) {
    bool same = stored->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = stored->shape[i] == t->shape[i];
    return same;
}

cb_status cb_safetensors_load_into(const cb_safetensors *file, const char *name, cb_tensor *target,
                                   cb_error *error) {
    const cbi_safetensors_entry *e = entry_of(file, name, error);
    source elements;
    if (e == NULL)
        return CB_ERROR_NOT_FOUND;
    if (e->stored.objection != NULL)
        return cbi_tensor_error(error, CB_ERROR_DTYPE, file->file.path, name, e->stored.objection);
    if (!same_shape(&e->stored, target)) {
        char wanted[128];
        return cbi_file_error(error, CB_ERROR_SHAPE, file->file.path,
                              "tensor \"%.100s\" has not the shape %s", name,
                              cb_shape_format(target, wanted, sizeof wanted));
    }
    if (target->data == NULL && cb_tensor_count(target) > 0)
        return cbi_file_error(error, CB_ERROR_VALUE, file->file.path,
                              "tensor \"%.100s\": the tensor to read it into has no data", name);
    source_open(&elements, file, e);
    return cbi_elements_read(elements.stream, &elements.layout, name, target, error);
}

cb_status cbi_safetensors_visit(const cb_safetensors *file, int i, cbi_element_visitor *visit,
                                void *context, cb_error *error) {
    const cbi_safetensors_entry *e = &file->entries[i];
    cb_stored_tensor stored = e->stored;
    source elements;
    source_open(&elements, file, e);
    if (e->tensor != NULL)
        stored.bytes = cb_tensor_bytes(e->tensor);
    return cbi_elements_visit(elements.stream, &elements.layout, &stored, visit, context, error);
}

/* Reads one tensor into memory. One that no tensor can be made of, or that has a value which its
   dtype does not hold, is left out; both are found when it is asked for. */
static cb_status read_entry(cb_safetensors *file, cbi_safetensors_entry *e, cb_error *error) {
    cb_error reason = {.status = CB_OK};
    if (e->stored.objection != NULL)
        return CB_OK;
    e->tensor = cb_safetensors_load(file, e->stored.name, &reason);
    if (e->tensor != NULL) {
        file->in_memory[file->in_memory_count++] = (cb_named_tensor){e->stored.name, e->tensor};
    } else if (reason.status == CB_ERROR_VALUE) {
        e->stored.objection = "a value that i64 does not hold";
    } else {
        if (error != NULL)
            *error = reason;
        return reason.status;
    }
    return CB_OK;
}

cb_safetensors *cb_safetensors_read(const char *path, cb_error *error) {
    cb_safetensors *file = cb_safetensors_open(path, error);
    if (file == NULL)
        return NULL;
    cb_status status = CB_OK;
    file->in_memory = cbi_allocate(cbi_multiply((size_t)file->count, sizeof *file->in_memory));
    if (file->in_memory == NULL)
        status = cbi_file_error(error, CB_ERROR_MEMORY, file->file.path, "no memory for %d entries",
                                file->count);
    for (int i = 0; i < file->count && status == CB_OK; i++)
        status = read_entry(file, &file->entries[i], error);
    cbi_file_close(&file->file);
    if (status != CB_OK) {
        cb_safetensors_free(file);
        return NULL;
    }
    return file;
}

/* ---- What is in memory ----------------------------------------------------------------------- */

int cb_safetensors_count(const cb_safetensors *file) {
    return file->in_memory_count;
}

cb_named_tensor cb_safetensors_at(const cb_safetensors *file, int i) {
    if (i < 0 || i >= file->in_memory_count)
        return (cb_named_tensor){NULL, NULL};
    return file->in_memory[i];
}

const cb_tensor *cb_safetensors_find(const cb_safetensors *file, const char *name) {
    int found = cb_safetensors_stored_find(file, name);
    return found < 0 ? NULL : file->entries[found].tensor;
}

/* ---- Metadata -------------------------------------------------------------------------------- */

static json_t *metadata_of(const cb_safetensors *file) {
    return json_object_get(file->header, CBI_SAFETENSORS_METADATA);
}

const char *cb_safetensors_metadata(const cb_safetensors *file, const char *key) {
    return json_string_value(json_object_get(metadata_of(file), key));
}

int cb_safetensors_metadata_count(const cb_safetensors *file) {
    return (int)json_object_size(metadata_of(file));
}

cb_metadata cb_safetensors_metadata_at(const cb_safetensors *file, int i) {
    void *at = i < 0 ? NULL : json_object_iter(metadata_of(file));
    for (; at != NULL && i > 0; i--)
        at = json_object_iter_next(metadata_of(file), at);
    if (at == NULL)
        return (cb_metadata){NULL, NULL};
    return (cb_metadata){json_object_iter_key(at), json_string_value(json_object_iter_value(at))};
}
