/* Tensors in files: safetensors (several named tensors and string metadata), .npy (one) and .npz
   (several); docs/files.md has the formats.

   Files may hold elements of more types than tensors have. Each is widened to the first of f32,
   f64, i32 and i64 that holds all its values: F16, BF16 and the floats of eight bits and less to
   f32, BOOL, U8, I8, U16 and I16 to i32, U32 and U64 to i64. Another dtype can be asked for: floats
   are then rounded, and it is an error where a value is a finite number beyond f32's range, no
   integer, or an integer that the dtype does not hold (U64 above 2^63 - 1).

   Only regular files are read. Writing goes to a temporary file in the target's directory, fsync,
   then rename: a failure leaves what was there. error may be NULL; else it gets the status and a
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

/* What a file says of a tensor in it, known before its elements are read. Belongs to the file. */
typedef struct cb_stored_tensor {
    const char *name;      /* the key in the file; "" in an .npy file, which has one tensor */
    const char *type;      /* of its elements, in the format's words: "BF16", or "<f2" in .npy */
    int rank;              /* number of axes, which may be more than CB_MAX_RANK */
    const int64_t *shape;  /* extents */
    uint64_t bytes;        /* of its elements, as they are in the file, uncompressed */
    cb_dtype dtype;        /* what it is read as, unless another is asked for */
    const char *objection; /* why no tensor can be made of it; NULL: one can */
} cb_stored_tensor;

/* ---- safetensors ----------------------------------------------------------------------------- */

/* Writes tensors (any strides; f32 f64 i32 i64) with keys sorted. CB_ERROR_VALUE: a name twice,
   empty or "__metadata__", no data, or text that is not UTF-8; CB_ERROR_FILE; CB_ERROR_MEMORY. */
CB_API cb_status cb_safetensors_write(const char *path, int count, const cb_named_tensor *tensors,
                                      int metadata_count, const cb_metadata *metadata,
                                      cb_error *error);

/* A file that is open, or read into memory. The struct and all it returns live until
   cb_safetensors_free. */
typedef struct cb_safetensors cb_safetensors;

/* Opens a file: reads and checks its header, and no element. The header has at most 100 MB and lies
   within the file; it is JSON without duplicate keys; types are those of the format; shapes and
   offsets agree, cover the data exactly, and neither overlap nor leave gaps. NULL with error filled
   otherwise: CB_ERROR_FILE, CB_ERROR_FORMAT, CB_ERROR_MEMORY. A tensor that cannot be read (complex
   numbers, more than CB_MAX_RANK axes) is no failure until it is asked for. */
CB_API cb_safetensors *cb_safetensors_open(const char *path, cb_error *error);
/* Opens a file and reads all tensors into memory, but for those that cannot be read, then closes
   it. Where only some are wanted, cb_safetensors_open and _load take memory for these alone. */
CB_API cb_safetensors *cb_safetensors_read(const char *path, cb_error *error);
/* Ends the file and all that it gave; NULL is allowed. */
CB_API void cb_safetensors_free(cb_safetensors *file);

/* How many tensors the file has, and what it says of the i-th in the order of names (all zero when
   out of range); which one a name is, -1: none. */
CB_API int cb_safetensors_stored_count(const cb_safetensors *file);
CB_API cb_stored_tensor cb_safetensors_stored(const cb_safetensors *file, int i);
CB_API int cb_safetensors_stored_find(const cb_safetensors *file, const char *name);
/* One tensor, in its own dtype, or in one of choice. The caller owns it (cb_tensor_free). NULL with
   error filled: CB_ERROR_NOT_FOUND, no tensor of that name; CB_ERROR_DTYPE, one that no tensor can
   be made of; CB_ERROR_VALUE, a value that the dtype does not hold; CB_ERROR_FILE, CB_ERROR_MEMORY.
 */
CB_API cb_tensor *cb_safetensors_load(const cb_safetensors *file, const char *name,
                                      cb_error *error);
CB_API cb_tensor *cb_safetensors_load_as(const cb_safetensors *file, const char *name,
                                         cb_dtype dtype, cb_error *error);
/* The same into a tensor of the caller's, of any dtype and strides, of the stored shape
   (CB_ERROR_SHAPE otherwise). On failure it may hold some of the elements. */
CB_API cb_status cb_safetensors_load_into(const cb_safetensors *file, const char *name,
                                          cb_tensor *target, cb_error *error);

/* What is in memory after cb_safetensors_read: number of tensors; the i-th in the order of names;
   the one of a name (NULL: none). Of a file that is only open there is nothing. */
CB_API int cb_safetensors_count(const cb_safetensors *file);
CB_API cb_named_tensor cb_safetensors_at(const cb_safetensors *file, int i);
CB_API const cb_tensor *cb_safetensors_find(const cb_safetensors *file, const char *name);

/* A metadata string by key, NULL when there is none; how many there are; and the i-th in the order
   of the file ({NULL, NULL} when out of range). */
CB_API const char *cb_safetensors_metadata(const cb_safetensors *file, const char *key);
CB_API int cb_safetensors_metadata_count(const cb_safetensors *file);
CB_API cb_metadata cb_safetensors_metadata_at(const cb_safetensors *file, int i);

/* ---- NumPy's formats ------------------------------------------------------------------------- */

/* Writes one tensor as .npy, version 1.0, C order, byte for byte as NumPy does. CB_ERROR_VALUE when
   it has no data, CB_ERROR_FILE, CB_ERROR_MEMORY. */
CB_API cb_status cb_npy_write(const char *path, const cb_tensor *t, cb_error *error);
/* Reads an .npy file, version 1 to 3, C or Fortran order, of either byte order, of booleans,
   integers or floats of at most 64 bits, and of exactly the size its header asks for; in its own
   dtype, or in one of choice. The caller owns the tensor (cb_tensor_free). NULL with error filled
   otherwise: CB_ERROR_FILE, CB_ERROR_FORMAT, CB_ERROR_DTYPE, CB_ERROR_VALUE, CB_ERROR_MEMORY. */
CB_API cb_tensor *cb_npy_read(const char *path, cb_error *error);
CB_API cb_tensor *cb_npy_read_as(const char *path, cb_dtype dtype, cb_error *error);

/* An .npz file that is open: a ZIP archive of .npy files, stored or deflated. */
typedef struct cb_npz cb_npz;

/* Opens a file: reads its list and the header of each array, and no elements. A member that is no
   array or a damaged one is no failure until it is asked for. NULL with error filled:
   CB_ERROR_FILE, CB_ERROR_FORMAT, CB_ERROR_MEMORY. In a library that was built without zlib no
   array can be read. */
CB_API cb_npz *cb_npz_open(const char *path, cb_error *error);
/* Ends the file and all that it gave; NULL is allowed. */
CB_API void cb_npz_free(cb_npz *file);
/* How many arrays there are, and what the file says of the i-th, in its order (all zero when out of
   range). Names are without the ending ".npy". */
CB_API int cb_npz_count(const cb_npz *file);
CB_API cb_stored_tensor cb_npz_stored(const cb_npz *file, int i);
/* One array, in its own dtype, or in one of choice. The caller owns it (cb_tensor_free). NULL with
   error filled, as cb_safetensors_load; CB_ERROR_FORMAT: a damaged one. */
CB_API cb_tensor *cb_npz_load(const cb_npz *file, const char *name, cb_error *error);
CB_API cb_tensor *cb_npz_load_as(const cb_npz *file, const char *name, cb_dtype dtype,
                                 cb_error *error);

CB_END_DECLS

#endif
