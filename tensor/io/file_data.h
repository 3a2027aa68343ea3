/* What the readers and writers of files share: messages, and elements as bytes. */
#ifndef CEREBRA_TENSOR_IO_FILE_DATA_H
#define CEREBRA_TENSOR_IO_FILE_DATA_H

#include <cerebra/tensor.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file formats are little-endian and elements are copied as they are in memory"
#endif

/* Fills error (unless NULL) with a status and the message "PATH: ...", the path cut at 200 bytes.
   Returns status. */
cb_status cbi_file_error(cb_error *error, cb_status status, const char *path, const char *format,
                         ...) __attribute__((format(printf, 4, 5)));
/* The same of a tensor in the file; a file of one tensor has no name for it (""). */
cb_status cbi_tensor_error(cb_error *error, cb_status status, const char *path, const char *name,
                           const char *what);
/* Makes error (unless NULL) CB_OK with the message "". */
void cbi_file_error_clear(cb_error *error);

/* Writes the elements of t, any strides, in row-major order. Errors show in ferror(stream). */
void cbi_file_write_elements(FILE *stream, const cb_tensor *t);

#endif
