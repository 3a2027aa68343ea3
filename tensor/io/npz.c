/* NumPy's .npz files: ZIP archives whose members are .npy files. Opening reads the headers of all
   members, and no elements; a member that is no array, or a damaged one, is told of when it is
   asked for, and hides none of the others. */
#include "tensor/io/npz.h"

#include "tensor/io/file_data.h"
#include "tensor/io/npy.h"
#include "tensor/io/zip.h"
#include "tensor/memory.h"

#include <string.h>

/* A member. The header points into itself, so that it stays where it is. */
typedef struct array {
    cbi_npy_header header;
    char *objection; /* why the member cannot be read; NULL: it can, or its type is the reason */
} array;

struct cb_npz {
    cbi_file file;
    cbi_zip zip;
    array *arrays; /* one a member */
};

/* "weights.npy" is called "weights", as NumPy does. The name is the archive's own, cut. */
static void cut_ending(char *name) {
    size_t length = strlen(name), ending = strlen(".npy");
    if (length > ending && strcmp(name + length - ending, ".npy") == 0)
        name[length - ending] = '\0';
}

/* Keeps what is wrong with a member. */
static cb_status object(array *a, const cb_npz *file, const cb_error *reason, cb_error *error) {
    const char *text = reason->message;
    size_t path = strlen(file->file.path), length;
    if (strncmp(text, file->file.path, path) == 0 && strncmp(text + path, ": ", 2) == 0)
        text += path + 2;
    length = strlen(text) + 1;
    a->objection = cbi_allocate(length);
    if (a->objection == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->file.path, "no memory");
    memcpy(a->objection, text, length);
    a->header.stored.objection = a->objection;
    return CB_OK;
}

/* Reads the header of a member. */
static cb_status examine(cb_npz *file, int i, cb_error *error) {
    array *a = &file->arrays[i];
    cbi_zip_member *member = &file->zip.members[i];
    cb_error reason = {.status = CB_OK};
    cbi_stream *stream = cbi_zip_stream_new(&file->zip, member, &reason);
    if (stream != NULL)
        cbi_npy_header_read(stream, member->size, &a->header, &reason);
    cbi_zip_stream_free(stream);
    cut_ending(file->zip.names + (member->name - file->zip.names));
    if (reason.status == CB_ERROR_MEMORY) {
        if (error != NULL)
            *error = reason;
        return reason.status;
    }
    if (reason.status != CB_OK) {
        a->header.stored = (cb_stored_tensor){.type = "", .bytes = member->size};
        cb_status status = object(a, file, &reason, error);
        if (status != CB_OK)
            return status;
    }
    a->header.stored.name = member->name;
    return CB_OK;
}

cb_npz *cb_npz_open(const char *path, cb_error *error) {
    cbi_file_error_clear(error);
    const char *named = path == NULL ? "(no path)" : path;
    size_t length = strlen(named) + 1;
    cb_npz *file = cbi_allocate(sizeof *file + length);
    if (file == NULL) {
        cbi_file_error(error, CB_ERROR_MEMORY, named, "no memory");
        return NULL;
    }
    cb_status status = cbi_file_open(&file->file, path, error);
    if (status == CB_OK) {
        file->file.path = memcpy(file + 1, named, length);
        status = cbi_zip_open(&file->zip, &file->file, error);
    }
    if (status == CB_OK) {
        file->arrays = cbi_allocate(cbi_multiply((size_t)file->zip.count, sizeof *file->arrays));
        if (file->arrays == NULL)
            status = cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for its list");
    }
    for (int i = 0; status == CB_OK && i < file->zip.count; i++)
        status = examine(file, i, error);
    if (status != CB_OK) {
        cb_npz_free(file);
        return NULL;
    }
    return file;
}

void cb_npz_free(cb_npz *file) {
    if (file == NULL)
        return;
    for (int i = 0; file->arrays != NULL && i < file->zip.count; i++)
        cbi_free(file->arrays[i].objection);
    cbi_free(file->arrays);
    cbi_zip_close(&file->zip);
    cbi_file_close(&file->file);
    cbi_free(file);
}

int cb_npz_count(const cb_npz *file) {
    return file->zip.count;
}

cb_stored_tensor cb_npz_stored(const cb_npz *file, int i) {
    if (i < 0 || i >= file->zip.count)
        return (cb_stored_tensor){.name = NULL};
    return file->arrays[i].header.stored;
}

/* A stream of an array's elements; the caller frees it. NULL with error filled. */
static cbi_stream *elements_of(const cb_npz *file, int i, cb_error *error) {
    cbi_npy_header header;
    const cbi_zip_member *member = &file->zip.members[i];
    cbi_stream *stream = cbi_zip_stream_new(&file->zip, member, error);
    if (stream != NULL && cbi_npy_header_read(stream, member->size, &header, error) != CB_OK) {
        cbi_zip_stream_free(stream);
        stream = NULL;
    }
    return stream;
}

static int find(const cb_npz *file, const char *name) {
    for (int i = 0; name != NULL && i < file->zip.count; i++)
        if (strcmp(file->zip.members[i].name, name) == 0)
            return i;
    return -1;
}

static cb_tensor *load(const cb_npz *file, const char *name, const cb_dtype *dtype,
                       cb_error *error) {
    cbi_file_error_clear(error);
    int i = find(file, name);
    if (i < 0) {
        cbi_file_error(error, CB_ERROR_NOT_FOUND, file->file.path, "there is no array \"%.100s\"",
                       name == NULL ? "" : name);
        return NULL;
    }
    const cbi_npy_header *header = &file->arrays[i].header;
    if (header->stored.objection != NULL) {
        cbi_tensor_error(error,
                         file->arrays[i].objection == NULL ? CB_ERROR_DTYPE : CB_ERROR_FORMAT,
                         file->file.path, name, header->stored.objection);
        return NULL;
    }
    cbi_stream *stream = elements_of(file, i, error);
    cb_tensor *t = stream == NULL
                       ? NULL
                       : cbi_elements_load(stream, &header->layout, &header->stored, dtype, error);
    cbi_zip_stream_free(stream);
    return t;
}

cb_tensor *cb_npz_load(const cb_npz *file, const char *name, cb_error *error) {
    return load(file, name, NULL, error);
}

cb_tensor *cb_npz_load_as(const cb_npz *file, const char *name, cb_dtype dtype, cb_error *error) {
    return load(file, name, &dtype, error);
}

cb_status cbi_npz_visit(const cb_npz *file, int i, cbi_element_visitor *visit, void *context,
                        cb_error *error) {
    const array *a = &file->arrays[i];
    if (a->objection != NULL)
        return cbi_tensor_error(error, CB_ERROR_DTYPE, file->file.path, a->header.stored.name,
                                a->objection);
    cb_error reason = {.status = CB_OK};
    cbi_stream *stream = elements_of(file, i, &reason);
    cb_status status = stream == NULL
                           ? reason.status
                           : cbi_elements_visit(stream, &a->header.layout, &a->header.stored, visit,
                                                context, &reason);
    cbi_zip_stream_free(stream);
    if (error != NULL)
        *error = reason;
    return status;
}
