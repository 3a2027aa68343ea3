/* The safetensors reader. The file is read whole and tensors point into it. What the header says is
   taken for false until checked: JSON is Jansson's to judge (grammar, UTF-8, duplicate keys,
   integers beyond 64 bits), the rest is here. Sorted by offset, tensors must tile the data exactly,
   which excludes overlaps, gaps and trailing bytes at once. Fields of a tensor other than the three
   that the format defines are ignored, as its reference implementation does. */
#include <cerebra/files.h>

#include "tensor/io/file_data.h"
#include "tensor/io/safetensors.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *name; /* owned by the JSON tree */
    uint64_t begin, end;
    cb_tensor tensor;
} entry;

struct cb_safetensors {
    json_t *header;       /* owns all names and metadata */
    unsigned char *bytes; /* the file */
    unsigned char *moved; /* elements that are not aligned in the file, copied to where they are */
    entry *entries;       /* in the order of names */
    int count;
    const char *path; /* while reading, for messages */
};

static const struct {
    const char *name;
    cb_dtype dtype;
} dtypes[] = {{"F32", CB_F32}, {"F64", CB_F64}, {"I32", CB_I32}, {"I64", CB_I64}};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

const char *cbi_safetensors_dtype(cb_dtype dtype) {
    for (int i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return NULL;
}

static cb_status entry_error(const cb_safetensors *file, const char *name, const char *what,
                             cb_error *error) {
    return cbi_file_error(error, CB_ERROR_FORMAT, file->path, "tensor \"%.100s\": %s", name, what);
}

/* Reads the length and the JSON. *data becomes the offset of the tensors' bytes. */
static cb_status parse_header(cb_safetensors *file, size_t size, size_t *data, cb_error *error) {
    uint64_t length;
    if (size < sizeof length)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->path,
                              "not a safetensors file: %zu bytes are too few", size);
    memcpy(&length, file->bytes, sizeof length);
    if (length > CBI_SAFETENSORS_LARGEST_HEADER || length > size - sizeof length)
        return cbi_file_error(
            error, CB_ERROR_FORMAT, file->path,
            "not a safetensors file: a header of %" PRIu64 " bytes in a file of %zu", length, size);
    const char *text = (const char *)file->bytes + sizeof length;
    if (length == 0 || text[0] != '{')
        return cbi_file_error(error, CB_ERROR_FORMAT, file->path,
                              "not a safetensors file: the header does not start with {");
    json_error_t reason;
    file->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &reason);
    if (file->header == NULL)
        return cbi_file_error(error,
                              json_error_code(&reason) == json_error_out_of_memory
                                  ? CB_ERROR_MEMORY
                                  : CB_ERROR_FORMAT,
                              file->path, "header, byte %d: %s", reason.position, reason.text);
    *data = sizeof length + (size_t)length;
    return CB_OK;
}

static cb_status check_metadata(const cb_safetensors *file, const json_t *metadata,
                                cb_error *error) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return cbi_file_error(error, CB_ERROR_FORMAT, file->path,
                              CBI_SAFETENSORS_METADATA " is not an object");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return cbi_file_error(error, CB_ERROR_FORMAT, file->path,
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

/* Fills an entry, all but its data pointer; returns what is wrong or NULL. */
static const char *parse_entry(entry *e, const json_t *description) {
    const char *dtype_name = json_string_value(json_object_get(description, "dtype"));
    const json_t *shape = json_object_get(description, "shape");
    const json_t *offsets = json_object_get(description, "data_offsets");
    int64_t extents[CB_MAX_RANK], begin, end;
    if (dtype_name == NULL || !json_is_array(shape) || !json_is_array(offsets))
        return "needs a dtype, a shape and data_offsets";
    int known = 0;
    while (known < DTYPES && strcmp(dtypes[known].name, dtype_name) != 0)
        known++;
    if (known == DTYPES)
        return "a dtype other than F32, F64, I32 and I64";
    size_t rank = json_array_size(shape);
    if (rank > CB_MAX_RANK)
        return "more than 8 axes";
    for (size_t i = 0; i < rank; i++)
        if (!read_integer(json_array_get(shape, i), &extents[i]))
            return "an extent that is not an integer of 0 or more";
    if (json_array_size(offsets) != 2 || !read_integer(json_array_get(offsets, 0), &begin) ||
        !read_integer(json_array_get(offsets, 1), &end) || begin > end)
        return "data_offsets that are not two integers, 0 <= begin <= end";
    if (!cbi_shape_valid(dtypes[known].dtype, (int)rank, extents))
        return "a shape too large to exist";
    e->tensor = cb_tensor_wrap(dtypes[known].dtype, (int)rank, extents, NULL);
    e->begin = (uint64_t)begin;
    e->end = (uint64_t)end;
    if (cb_tensor_bytes(&e->tensor) != e->end - e->begin)
        return "dtype and shape do not agree with data_offsets";
    return NULL;
}

static cb_status parse_entries(cb_safetensors *file, cb_error *error) {
    size_t capacity = json_object_size(file->header);
    file->entries = cbi_allocate(cbi_multiply(capacity, sizeof *file->entries));
    if (file->entries == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->path, "no memory for %zu entries",
                              capacity);
    const char *name;
    json_t *description;
    json_object_foreach(file->header, name, description) {
        if (strcmp(name, CBI_SAFETENSORS_METADATA) == 0) {
            cb_status status = check_metadata(file, description, error);
            if (status != CB_OK)
                return status;
            continue;
        }
        entry *e = &file->entries[file->count];
        const char *objection = parse_entry(e, description);
        if (objection != NULL)
            return entry_error(file, name, objection, error);
        e->name = name;
        file->count++;
    }
    return CB_OK;
}

static int compare_offsets(const void *left, const void *right) {
    const entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static int compare_names(const void *left, const void *right) {
    const entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Whether the tensors tile `size` bytes of data. Leaves them sorted by offset. */
static cb_status check_tiling(cb_safetensors *file, size_t size, cb_error *error) {
    uint64_t at = 0;
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_offsets);
    for (int i = 0; i < file->count; i++) {
        const entry *e = &file->entries[i];
        if (e->begin != at)
            return entry_error(file, e->name,
                               e->begin < at ? "overlaps another tensor" : "a gap before its data",
                               error);
        if (e->end > size)
            return entry_error(file, e->name, "its data lies beyond the end of the file", error);
        at = e->end;
    }
    if (at != size)
        return cbi_file_error(error, CB_ERROR_FORMAT, file->path,
                              "%" PRIu64 " bytes at the end belong to no tensor", size - at);
    return CB_OK;
}

static bool is_aligned(const entry *e, const unsigned char *data) {
    return (uintptr_t)(data + e->begin) % cb_dtype_size(e->tensor.dtype) == 0;
}

/* Points every tensor at its elements, those that are aligned in the file into it. */
static cb_status place(cb_safetensors *file, unsigned char *data, cb_error *error) {
    size_t moved = 0;
    for (int i = 0; i < file->count; i++)
        if (!is_aligned(&file->entries[i], data))
            moved += cb_tensor_bytes(&file->entries[i].tensor);
    if (moved > 0 && (file->moved = cbi_allocate(moved)) == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->path, "no memory for %zu bytes", moved);
    /* The wide dtypes first, so that each lands on a multiple of its size. */
    size_t used = 0;
    for (size_t size = 8; size >= 4; size /= 2) {
        for (int i = 0; i < file->count; i++) {
            entry *e = &file->entries[i];
            size_t bytes = cb_tensor_bytes(&e->tensor);
            if (bytes == 0 || cb_dtype_size(e->tensor.dtype) != size)
                continue;
            e->tensor.data = data + e->begin;
            if (!is_aligned(e, data)) {
                e->tensor.data = memcpy(file->moved + used, data + e->begin, bytes);
                used += bytes;
            }
        }
    }
    return CB_OK;
}

cb_safetensors *cb_safetensors_read(const char *path, cb_error *error) {
    cbi_file_error_clear(error);
    cb_safetensors *file = cbi_allocate(sizeof *file);
    if (file == NULL) {
        cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory");
        return NULL;
    }
    size_t size, data = 0;
    file->path = path;
    if (cbi_file_read(path, &file->bytes, &size, error) != CB_OK ||
        parse_header(file, size, &data, error) != CB_OK || parse_entries(file, error) != CB_OK ||
        check_tiling(file, size - data, error) != CB_OK ||
        place(file, file->bytes + data, error) != CB_OK) {
        cb_safetensors_free(file);
        return NULL;
    }
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, compare_names);
    file->path = NULL;
    return file;
}

void cb_safetensors_free(cb_safetensors *file) {
    if (file == NULL)
        return;
    json_decref(file->header);
    cbi_free(file->entries);
    cbi_free(file->moved);
    cbi_free(file->bytes);
    cbi_free(file);
}

int cb_safetensors_count(const cb_safetensors *file) {
    return file->count;
}

cb_named_tensor cb_safetensors_at(const cb_safetensors *file, int i) {
    if (i < 0 || i >= file->count)
        return (cb_named_tensor){NULL, NULL};
    return (cb_named_tensor){file->entries[i].name, &file->entries[i].tensor};
}

const cb_tensor *cb_safetensors_find(const cb_safetensors *file, const char *name) {
    if (file->count == 0)
        return NULL;
    entry wanted = {.name = name};
    const entry *found =
        bsearch(&wanted, file->entries, (size_t)file->count, sizeof wanted, compare_names);
    return found == NULL ? NULL : &found->tensor;
}

const char *cb_safetensors_metadata(const cb_safetensors *file, const char *key) {
    return json_string_value(
        json_object_get(json_object_get(file->header, CBI_SAFETENSORS_METADATA), key));
}
