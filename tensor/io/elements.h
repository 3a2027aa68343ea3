/* Elements from streams of bytes: widened, cast and put in their places a few thousand at a time,
   so that reading a tensor takes no more memory than the tensor itself. */
#ifndef CEREBRA_TENSOR_IO_ELEMENTS_H
#define CEREBRA_TENSOR_IO_ELEMENTS_H

#include "tensor/io/element_type.h"
#include "tensor/io/file_stream.h"

#include <cerebra/files.h>

/* How the elements of a tensor lie in a stream. */
typedef struct cbi_layout {
    const cbi_element_type *type;
    bool big_endian;
    bool fortran_order; /* the first index changes fastest */
} cbi_layout;

/* Sets the bytes that the elements of a stored tensor take by its type and shape; false when they
   are no whole number, or more than 64 bits count. */
bool cbi_stored_bytes(const cbi_element_type *type, cb_stored_tensor *stored);
/* Sets the dtype that it is read as, and why no tensor can be made of it, if so. */
void cbi_stored_judge(const cbi_element_type *type, cb_stored_tensor *stored);

/* Reads all elements of a tensor, of any dtype and strides. name: of the tensor, for messages.
   CB_ERROR_VALUE: a value that the dtype does not hold; CB_ERROR_MEMORY, CB_ERROR_FILE,
   CB_ERROR_FORMAT. The tensor may then hold some of the elements. */
cb_status cbi_elements_read(cbi_stream *stream, const cbi_layout *layout, const char *name,
                            cb_tensor *target, cb_error *error);

/* Takes some elements, in the order of the file. */
typedef cb_status cbi_element_visitor(void *context, cb_dtype dtype, const void *elements,
                                      int64_t count, cb_error *error);

/* Gives all elements of a stored tensor to a visitor, piece by piece, in the type's dtype. Ends
   with the visitor's first failure. CB_ERROR_DTYPE: elements that are no numbers. */
cb_status cbi_elements_visit(cbi_stream *stream, const cbi_layout *layout,
                             const cb_stored_tensor *stored, cbi_element_visitor *visit,
                             void *context, cb_error *error);

/* A new tensor with the elements of a stored one, in `dtype` or its own (NULL); NULL on failure. */
cb_tensor *cbi_elements_load(cbi_stream *stream, const cbi_layout *layout,
                             const cb_stored_tensor *stored, const cb_dtype *dtype,
                             cb_error *error);

#endif
