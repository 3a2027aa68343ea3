/* The header of a safetensors file. What it says is taken for false until checked: JSON is
   Jansson's to judge (grammar, UTF-8, duplicate keys, integers beyond 64 bits), the rest is here.
   Sorted by offset, tensors must tile the data exactly, which excludes overlaps, gaps and trailing
   bytes at once. Fields of a tensor other than the three that the format defines are ignored, as
   its reference implementation does; docs/files.md says where the two differ. */
#include "tensor/io/safetensors.h"

#include "tensor/io/file_data.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static cb_status entry_error(const cb_safetensors *file, const char *name, const char *what,
                             cb_error *error) {
    return cbi_tensor_error(error, CB_ERROR_FORMAT, file->file.path, name, what);
}

static cb_status parse_json(cb_safetensors *file, const char *text, size_t length,
                            cb_error *error) {
    json_error_t reason;
    file->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &reason);
    if (file->header == NULL && json_error_code(&reason) == json_error_out_of_memory)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->file.path, "no memory for the header");
    if (file->header == NULL)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path, "header, byte %d: %s",
                              reason.position, reason.text);
    if (!json_is_object(file->header))
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              "not a safetensors file: the header is no JSON object");
    return CB_OK;
}

/* "PK\3\4", read as a number of the format's byte order. */
#define ZIP_SIGNATURE UINT64_C(0x04034b50)

/* Reads the length and the JSON, and sets where the data begins. */
static cb_status read_json(cb_safetensors *file, cb_error *error) {
    uint64_t length, size = file->file.size;
    if (size < sizeof length)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              "not a safetensors file: %" PRIu64 " bytes are too few", size);
    cb_status status = cbi_file_read_at(&file->file, 0, &length, sizeof length, error);
    if (status != CB_OK)
        return status;
    if ((length & 0xffffffff) == ZIP_SIGNATURE)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              "a ZIP archive, as torch.save writes, and no safetensors file; "
                              "safetensors.torch.save_file writes those");
    if (length > CBI_SAFETENSORS_LARGEST_HEADER || length > size - sizeof length)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              "not a safetensors file: a header of %" PRIu64
                              " bytes in a file of %" PRIu64,
                              length, size);
    char *text = cbi_allocate_unset((size_t)length + 1);
    if (text == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->file.path, "no memory for the header");
    status = cbi_file_read_at(&file->file, sizeof length, text, (size_t)length, error);
    if (status == CB_OK)
        status = parse_json(file, text, (size_t)length, error);
    cbi_free(text);
    file->data = sizeof length + length;
    return status;
}

static cb_status check_metadata(const cb_safetensors *file, const json_t *metadata,
                                cb_error *error) {
    const char *key;
    json_t *value;
    if (json_is_null(metadata))
        return CB_OK;
    if (!json_is_object(metadata))
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              CBI_SAFETENSORS_METADATA " is not an object");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                                  CBI_SAFETENSORS_METADATA " \"%.100s\": not a string", key);
    }
    return CB_OK;
}

/* A count or offset: a JSON integer of 0 or more. */
static bool read_integer(const json_t *value, int64_t *integer) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *integer = json_integer_value(value);
    return true;
}

/* Reads a shape; returns what is wrong or NULL. */
static const char *parse_shape(cb_stored_tensor *stored, const json_t *shape, int64_t *extents) {
    size_t rank = json_array_size(shape);
    for (size_t i = 0; i < rank; i++)
        if (!read_integer(json_array_get(shape, i), &extents[i]))
            return "an extent that is not an integer of 0 or more";
    stored->rank = (int)rank;
    stored->shape = extents;
    return NULL;
}

/* Fills an entry; returns what is wrong or NULL. */
static const char *parse_entry(cbi_safetensors_entry *e, const json_t *description,
                               int64_t *extents) {
    const char *type = json_string_value(json_object_get(description, "dtype"));
    const json_t *shape = json_object_get(description, "shape");
    const json_t *offsets = json_object_get(description, "data_offsets");
    int64_t begin = 0, end = 0;
    if (type == NULL || !json_is_array(shape) || !json_is_array(offsets))
        return "needs a dtype, a shape and data_offsets";
    e->type = cbi_element_type_safetensors(type);
    if (e->type == NULL)
        return "a dtype that the format does not have";
    const char *wrong = parse_shape(&e->stored, shape, extents);
    if (wrong != NULL)
        return wrong;
    if (json_array_size(offsets) != 2 || !read_integer(json_array_get(offsets, 0), &begin) ||
        !read_integer(json_array_get(offsets, 1), &end) || begin > end)
        return "data_offsets that are not two integers, 0 <= begin <= end";
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    if (!cbi_stored_bytes(e->type, &e->stored) || e->stored.bytes != e->end - e->begin)
        return "dtype and shape do not agree with data_offsets";
    e->stored.type = e->type->safetensors;
    cbi_stored_judge(e->type, &e->stored);
    return NULL;
}

/* Extents of all shapes together. */
static size_t count_extents(json_t *header) {
    size_t extents = 0;
    const char *name;
    json_t *description;
    json_object_foreach(header, name, description) {
        extents += json_array_size(json_object_get(description, "shape"));
    }
    return extents;
}

static cb_status parse_entries(cb_safetensors *file, cb_error *error) {
    size_t capacity = json_object_size(file->header);
    file->entries = cbi_allocate(cbi_multiply(capacity, sizeof *file->entries));
    file->shapes = cbi_allocate(cbi_multiply(count_extents(file->header), sizeof *file->shapes));
    if (file->entries == NULL || file->shapes == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->file.path, "no memory for %zu entries",
                              capacity);
    int64_t *extents = file->shapes;
    const char *name;
    json_t *description;
    json_object_foreach(file->header, name, description) {
        if (strcmp(name, CBI_SAFETENSORS_METADATA) == 0) {
            cb_status status = check_metadata(file, description, error);
            if (status != CB_OK)
                return status;
            continue;
        }
        cbi_safetensors_entry *e = &file->entries[file->count];
        const char *wrong = parse_entry(e, description, extents);
        if (wrong != NULL)
            return entry_error(file, name, wrong, error);
        extents += e->stored.rank;
        e->stored.name = name;
        file->count++;
    }
    return CB_OK;
}

static int compare_offsets(const void *left, const void *right) {
    const cbi_safetensors_entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static int compare_names(const void *left, const void *right) {
    const cbi_safetensors_entry *a = left, *b = right;
    return strcmp(a->stored.name, b->stored.name);
}

/* Whether the tensors tile the data. Leaves them sorted by offset. */
static cb_status check_tiling(cb_safetensors *file, cb_error *error) {
    uint64_t at = 0, size = file->file.size - file->data;
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_offsets);
    for (int i = 0; i < file->count; i++) {
        const cbi_safetensors_entry *e = &file->entries[i];
        if (e->begin != at)
            return entry_error(file, e->stored.name,
                               e->begin < at ? "overlaps another tensor" : "a gap before its data",
                               error);
        if (e->end > size)
            return entry_error(file, e->stored.name, "its data lies beyond the end of the file",
                               error);
        at = e->end;
    }
    if (at != size)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->file.path,
                              "%" PRIu64 " bytes at the end belong to no tensor", size - at);
    return CB_OK;
}

cb_status cbi_safetensors_header(cb_safetensors *file, cb_error *error) {
    cb_status status = read_json(file, error);
    if (status == CB_OK)
        status = parse_entries(file, error);
    if (status == CB_OK)
        status = check_tiling(file, error);
    if (status == CB_OK)
        qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_names);
    return status;
}
