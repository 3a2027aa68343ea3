/* What the readers and writers of files share: messages, whole files, elements as bytes. */
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
/* Makes error (unless NULL) CB_OK with the message "". */
void cbi_file_error_clear(cb_error *error);

/* Reads a file, pipe or device to its end. *bytes, from cbi_allocate, becomes the caller's.
   CB_ERROR_FILE, CB_ERROR_MEMORY. */
cb_status cbi_file_read(const char *path, unsigned char **bytes, size_t *size, cb_error *error);

/* Writes the elements of t, any strides, in row-major order. Errors show in ferror(stream). */
void cbi_file_write_elements(FILE *stream, const cb_tensor *t);

#endif
