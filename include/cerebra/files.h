/* Tensors in files: safetensors (several named tensors and string metadata) and .npy (one).

   Writing goes to a temporary file in the target's directory, fsync, then rename: a failure leaves
   what was there. Both formats are little-endian. error may be NULL; else it gets the status and a
   message that names the file, and the entry or offset at fault. */
#ifndef CEREBRA_FILES_H
#define CEREBRA_FILES_H

#include <cerebra/tensor.h>

CB_BEGIN_DECLS

/* An entry of a safetensors file: a name and a tensor, neither owned by the array's struct. */
typedef struct cb_named_tensor {
    const char *name;        /* the key in the file */
    const cb_tensor *tensor; /* a plain tensor */
} cb_named_tensor;

/* An entry of its __metadata__: a map of strings. */
typedef struct cb_metadata {
    const char *key, *value; /* both UTF-8 */
} cb_metadata;

/* Writes tensors (any strides; f32 f64 i32 i64) with keys sorted. CB_ERROR_VALUE: a name twice,
   empty or "__metadata__", no data, or text that is not UTF-8; CB_ERROR_FILE; CB_ERROR_MEMORY. */
CB_API cb_status cb_safetensors_write(const char *path, int count, const cb_named_tensor *tensors,
                                      int metadata_count, const cb_metadata *metadata,
                                      cb_error *error);

/* A file read into memory. The struct and all it returns live until cb_safetensors_free. */
typedef struct cb_safetensors cb_safetensors;

/* Reads and checks a whole file: header at most 100 MB and within the file, JSON without duplicate
   keys, dtypes F32 F64 I32 I64, shapes and offsets that agree, cover the data exactly, and neither
   overlap nor leave gaps, no overflow. NULL with error filled otherwise: CB_ERROR_FILE,
   CB_ERROR_FORMAT, CB_ERROR_MEMORY. */
CB_API cb_safetensors *cb_safetensors_read(const char *path, cb_error *error);
CB_API void cb_safetensors_free(cb_safetensors *file);
/* Number of tensors; the i-th in the order of names; the one of a name (NULL: none). */
CB_API int cb_safetensors_count(const cb_safetensors *file);
CB_API cb_named_tensor cb_safetensors_at(const cb_safetensors *file, int i);
CB_API const cb_tensor *cb_safetensors_find(const cb_safetensors *file, const char *name);
/* A metadata string by key, NULL when there is none. */
CB_API const char *cb_safetensors_metadata(const cb_safetensors *file, const char *key);

/* Writes one tensor as .npy, version 1.0, C order, byte for byte as NumPy does. CB_ERROR_VALUE when
   it has no data, CB_ERROR_FILE, CB_ERROR_MEMORY. */
CB_API cb_status cb_npy_write(const char *path, const cb_tensor *t, cb_error *error);
/* Reads an .npy file, version 1.0 or 2.0, C or Fortran order, <f4 <f8 <i4 <i8, of exactly the size
   its header asks for. The caller owns the tensor (cb_tensor_free). NULL with error filled
   otherwise, as cb_safetensors_read. */
CB_API cb_tensor *cb_npy_read(const char *path, cb_error *error);

CB_END_DECLS

#endif
