/* A file of tensors in any of the formats that are read: safetensors, .npy, .npz. */
#ifndef CEREBRA_APPS_MODEL_TENSOR_FILE_H
#define CEREBRA_APPS_MODEL_TENSOR_FILE_H

#include "tensor/io/npy.h"

#include <stdbool.h>

/* An open file; one of the three is there. */
typedef struct tensor_file {
    const char *format; /* "safetensors", "npy" or "npz" */
    cb_safetensors *safetensors;
    cb_npz *npz;
    cbi_npy npy; /* points into itself */
} tensor_file;

/* Opens a file, of the format that its first bytes say. Reads no elements. */
bool tensor_file_open(const char *path, tensor_file *file, char *error);
void tensor_file_close(tensor_file *file);

/* The tensors in it, and the elements of one, a piece at a time. Elements that no number can be
   made of are a failure with CB_ERROR_DTYPE. */
int tensor_file_count(const tensor_file *file);
cb_stored_tensor tensor_file_at(const tensor_file *file, int i);
cb_status tensor_file_visit(const tensor_file *file, int i, cbi_element_visitor *visit,
                            void *context, cb_error *error);

#endif
