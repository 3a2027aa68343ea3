/* The safetensors writer. A file is the length of its header (u64), the header (JSON, padded with
   spaces to a multiple of 8) and the tensors' bytes without gaps. Keys are sorted; the data of the
   wider dtypes comes first, so that every tensor is aligned in a file that is mapped or read whole.
   Format: https://github.com/huggingface/safetensors, README. */
#include <cerebra/files.h>

#include "tensor/io/file_data.h"
#include "tensor/io/file_replace.h"
#include "tensor/io/json_text.h"
#include "tensor/io/safetensors.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What cannot be written, said of entry `name`; NULL when all is well. */
static const char *objection(const cb_named_tensor *entry) {
    const cb_tensor *t = entry->tensor;
    if (entry->name == NULL || *entry->name == '\0')
        return "a tensor needs a name";
    if (strcmp(entry->name, CBI_SAFETENSORS_METADATA) == 0)
        return "this name is taken by the format";
    if (t == NULL || !cbi_shape_valid(t->dtype, t->rank, t->shape))
        return "there is no such tensor";
    if (t->data == NULL && cb_tensor_count(t) > 0)
        return "the tensor has no data";
    return NULL;
}

static cb_status check_entries(const char *path, int count, const cb_named_tensor *tensors,
                               cb_error *error) {
    for (int i = 0; i < count; i++) {
        const char *reason = objection(&tensors[i]);
        if (reason != NULL)
            return cbi_file_error(error, CB_ERROR_VALUE, path, "tensor %d (\"%.100s\"): %s", i,
                                  tensors[i].name == NULL ? "" : tensors[i].name, reason);
    }
    return CB_OK;
}

static int compare_for_data(const void *left, const void *right) {
    const cb_named_tensor *a = left, *b = right;
    size_t a_size = cb_dtype_size(a->tensor->dtype), b_size = cb_dtype_size(b->tensor->dtype);
    return a_size != b_size ? (a_size < b_size ? 1 : -1) : strcmp(a->name, b->name);
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}; NULL without memory. */
static json_t *describe(const cb_tensor *t, json_int_t begin) {
    json_t *shape = json_array();
    for (int i = 0; shape != NULL && i < t->rank; i++) {
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    /* json_pack takes the reference to shape, also when it fails. */
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", cbi_element_type_of(t->dtype)->safetensors,
                     "shape", shape, "data_offsets", begin, begin + (json_int_t)cb_tensor_bytes(t));
}

/* Adds value, whose reference it takes, under a name that must be new and UTF-8. */
static cb_status add(json_t *object, const char *path, const char *what, const char *name,
                     json_t *value, cb_error *error) {
    json_t *text = json_string(name); /* NULL unless UTF-8 */
    if (text == NULL || value == NULL || json_object_get(object, name) != NULL) {
        const char *reason = text == NULL    ? "not UTF-8 text"
                             : value == NULL ? "no memory"
                                             : "appears twice";
        bool memory = text != NULL && value == NULL;
        json_decref(text);
        json_decref(value);
        return cbi_file_error(error, memory ? CB_ERROR_MEMORY : CB_ERROR_VALUE, path,
                              "%s \"%.100s\": %s", what, name, reason);
    }
    json_decref(text);
    if (json_object_set_new(object, name, value) != 0)
        return cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for the header");
    return CB_OK;
}

static cb_status add_metadata(json_t *header, const char *path, int count,
                              const cb_metadata *metadata, cb_error *error) {
    json_t *map = json_object();
    for (int i = 0; map != NULL && i < count; i++) {
        const char *key = metadata[i].key, *value = metadata[i].value;
        json_t *text = value == NULL ? NULL : json_string(value);
        cb_status status;
        if (key == NULL || text == NULL)
            status = cbi_file_error(error, CB_ERROR_VALUE, path,
                                    "metadata \"%.100s\": not UTF-8 text", key == NULL ? "" : key);
        else
            status = add(map, path, "metadata", key, json_incref(text), error);
        json_decref(text);
        if (status != CB_OK) {
            json_decref(map);
            return status;
        }
    }
    return add(header, path, "entry", CBI_SAFETENSORS_METADATA, map, error);
}

/* The header's text, malloc'd by Jansson, from entries in the order of their data. */
static cb_status make_header(const char *path, int count, const cb_named_tensor *tensors,
                             int metadata_count, const cb_metadata *metadata, char **text,
                             cb_error *error) {
    json_t *header = json_object();
    cb_status status = CB_OK;
    if (header == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for the header");
    if (metadata_count > 0)
        status = add_metadata(header, path, metadata_count, metadata, error);
    json_int_t offset = 0;
    for (int i = 0; status == CB_OK && i < count; i++) {
        const cb_tensor *t = tensors[i].tensor;
        json_int_t bytes = (json_int_t)cb_tensor_bytes(t);
        if (bytes > INT64_MAX - offset)
            status = cbi_file_error(error, CB_ERROR_VALUE, path, "more data than a file can hold");
        else
            status = add(header, path, "tensor", tensors[i].name, describe(t, offset), error);
        offset += status == CB_OK ? bytes : 0;
    }
    if (status == CB_OK) {
        *text = cbi_json_text(json_incref(header));
        if (*text == NULL)
            status = cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for the header");
        else if (strlen(*text) + 8 > CBI_SAFETENSORS_LARGEST_HEADER)
            status = cbi_file_error(error, CB_ERROR_VALUE, path, "the header exceeds 100 MB");
    }
    json_decref(header);
    return status;
}

static cb_status write_file(const char *path, const char *header, int count,
                            const cb_named_tensor *tensors, cb_error *error) {
    cbi_replacement file;
    cb_status status = cbi_replacement_open(&file, path, error);
    if (status != CB_OK)
        return status;
    size_t length = strlen(header);
    uint64_t padded = (length + 7) / 8 * 8;
    fwrite(&padded, sizeof padded, 1, file.stream);
    fprintf(file.stream, "%s%*s", header, (int)(padded - length), "");
    for (int i = 0; i < count && !ferror(file.stream); i++)
        cbi_file_write_elements(file.stream, tensors[i].tensor);
    return cbi_replacement_commit(&file, error);
}

cb_status cb_safetensors_write(const char *path, int count, const cb_named_tensor *tensors,
                               int metadata_count, const cb_metadata *metadata, cb_error *error) {
    cbi_file_error_clear(error);
    if (count < 0 || metadata_count < 0)
        return cbi_file_error(error, CB_ERROR_VALUE, path, "a negative number of entries");
    cb_status status = check_entries(path, count, tensors, error);
    if (status != CB_OK)
        return status;
    char *header = NULL;
    cb_named_tensor *ordered = cbi_allocate(cbi_multiply((size_t)count, sizeof *ordered));
    if (ordered == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for %d entries", count);
    if (count > 0) {
        memcpy(ordered, tensors, (size_t)count * sizeof *ordered);
        qsort(ordered, (size_t)count, sizeof *ordered, compare_for_data);
    }
    status = make_header(path, count, ordered, metadata_count, metadata, &header, error);
    if (status == CB_OK)
        status = write_file(path, header, count, ordered, error);
    free(header);
    cbi_free(ordered);
    return status;
}
