/* The formats are told apart by their first bytes, and not by the file's name. */
#include "tensor_file.h"

#include "apps/cli/failure.h"
#include "tensor/io/npz.h"
#include "tensor/io/safetensors.h"

#include <string.h>

static cb_status open_by_start(const char *path, tensor_file *file, cb_error *reason) {
    unsigned char start[CBI_NPY_MAGIC_LENGTH] = {0};
    cbi_file bytes;
    cb_status status = cbi_file_open(&bytes, path, reason);
    if (status == CB_OK && bytes.size >= sizeof start)
        status = cbi_file_read_at(&bytes, 0, start, sizeof start, reason);
    cbi_file_close(&bytes);
    if (status != CB_OK)
        return status;
    if (memcmp(start, CBI_NPY_MAGIC, sizeof start) == 0) {
        file->format = "npy";
        return cbi_npy_open(&file->npy, path, reason);
    }
    if (memcmp(start, "PK\3\4", 4) == 0 || memcmp(start, "PK\5\6", 4) == 0) {
        file->format = "npz";
        file->npz = cb_npz_open(path, reason);
    } else {
        file->format = "safetensors";
        file->safetensors = cb_safetensors_open(path, reason);
    }
    return reason->status;
}

bool tensor_file_open(const char *path, tensor_file *file, char *error) {
    cb_error reason = {.status = CB_OK};
    *file = (tensor_file){.npy = {.file = {.descriptor = -1}}};
    return open_by_start(path, file, &reason) == CB_OK ||
           failure(error, FAILURE_SIZE, "%s", reason.message);
}

void tensor_file_close(tensor_file *file) {
    cb_safetensors_free(file->safetensors);
    cb_npz_free(file->npz);
    cbi_npy_close(&file->npy);
}

int tensor_file_count(const tensor_file *file) {
    return file->safetensors != NULL ? cb_safetensors_stored_count(file->safetensors)
           : file->npz != NULL       ? cb_npz_count(file->npz)
                                     : 1;
}

cb_stored_tensor tensor_file_at(const tensor_file *file, int i) {
    return file->safetensors != NULL ? cb_safetensors_stored(file->safetensors, i)
           : file->npz != NULL       ? cb_npz_stored(file->npz, i)
                                     : file->npy.header.stored;
}

cb_status tensor_file_visit(const tensor_file *file, int i, cbi_element_visitor *visit,
                            void *context, cb_error *error) {
    if (file->safetensors != NULL)
        return cbi_safetensors_visit(file->safetensors, i, visit, context, error);
    if (file->npz != NULL)
        return cbi_npz_visit(file->npz, i, visit, context, error);
    cbi_file_stream elements = cbi_file_stream_at(&file->npy.file, file->npy.header.elements);
    return cbi_elements_visit(&elements.stream, &file->npy.header.layout, &file->npy.header.stored,
                              visit, context, error);
}
