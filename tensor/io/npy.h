/* .npy files: the header, which .npz files have for each of their arrays, and a file that is open.
 */
#ifndef CEREBRA_TENSOR_IO_NPY_H
#define CEREBRA_TENSOR_IO_NPY_H

#include "tensor/io/elements.h"

#define CBI_NPY_MAGIC "\x93NUMPY"
enum { CBI_NPY_MAGIC_LENGTH = 6, CBI_NPY_MAX_RANK = 64 /* NumPy's */ };

/* What a header says. */
typedef struct cbi_npy_header {
    bool has_dtype, has_order, has_shape;
    cbi_layout layout; /* its type is NULL when it is unknown */
    char type[16];     /* as it is written; "" when it is longer */
    int64_t shape[CBI_NPY_MAX_RANK];
    uint64_t elements;       /* bytes in front of the elements */
    cb_stored_tensor stored; /* without a name; points into this struct */
} cbi_npy_header;

/* Reads a header from a stream of size bytes, behind which the elements then begin.
   CB_ERROR_FORMAT, also when the rest of the stream is not exactly as long as the elements; and
   what the stream fails with. */
cb_status cbi_npy_header_read(cbi_stream *stream, uint64_t size, cbi_npy_header *header,
                              cb_error *error);

/* An open file. */
typedef struct cbi_npy {
    cbi_file file;
    cbi_npy_header header;
} cbi_npy;

cb_status cbi_npy_open(cbi_npy *npy, const char *path, cb_error *error);
void cbi_npy_close(cbi_npy *npy);

#endif
