/* NumPy's .npy files, read and written. */
#include "tensor/io/npy.h"

#include "tensor/io/file_data.h"
#include "tensor/io/file_replace.h"
#include "tensor/kernels.h"

#include <inttypes.h>
#include <string.h>

enum { ALIGNMENT = 64 };

cb_status cbi_npy_open(cbi_npy *npy, const char *path, cb_error *error) {
    cb_status status = cbi_file_open(&npy->file, path, error);
    if (status != CB_OK)
        return status;
    cbi_file_stream start = cbi_file_stream_at(&npy->file, 0);
    status = cbi_npy_header_read(&start.stream, npy->file.size, &npy->header, error);
    if (status != CB_OK)
        cbi_npy_close(npy);
    return status;
}

void cbi_npy_close(cbi_npy *npy) {
    cbi_file_close(&npy->file);
}

static cb_tensor *load(const char *path, const cb_dtype *dtype, cb_error *error) {
    cbi_npy npy;
    cbi_file_error_clear(error);
    if (cbi_npy_open(&npy, path, error) != CB_OK)
        return NULL;
    cbi_file_stream elements = cbi_file_stream_at(&npy.file, npy.header.elements);
    cb_tensor *t =
        cbi_elements_load(&elements.stream, &npy.header.layout, &npy.header.stored, dtype, error);
    cbi_npy_close(&npy);
    return t;
}

cb_tensor *cb_npy_read(const char *path, cb_error *error) {
    return load(path, NULL, error);
}

cb_tensor *cb_npy_read_as(const char *path, cb_dtype dtype, cb_error *error) {
    return load(path, &dtype, error);
}

/* The header as NumPy writes it, with its spaces: it leaves room for the first extent to grow to 21
   digits, and pads so that the elements start at a multiple of 64. Returns its length. */
static int write_header(char *text, size_t size, const cb_tensor *t) {
    int length = snprintf(text, size, "{'descr': '<%s', 'fortran_order': False, 'shape': (",
                          cbi_element_type_of(t->dtype)->npy);
    int room = 0;
    for (int i = 0; i < t->rank; i++) {
        int digits = snprintf(text + length, size - (size_t)length, "%" PRId64, t->shape[i]);
        room = i == 0 ? 21 - digits : room;
        length += digits;
        length += snprintf(text + length, size - (size_t)length, "%s",
                           t->rank == 1 ? "," : (i + 1 < t->rank ? ", " : ""));
    }
    length += snprintf(text + length, size - (size_t)length, "), }%*s", room, "");
    int total = CBI_NPY_MAGIC_LENGTH + 4 + length + 1;
    int padding = (ALIGNMENT - total % ALIGNMENT) % ALIGNMENT;
    return length + snprintf(text + length, size - (size_t)length, "%*s\n", padding, "");
}

cb_status cb_npy_write(const char *path, const cb_tensor *t, cb_error *error) {
    cbi_replacement file;
    char text[512]; /* eight extents of at most 19 digits and 150 characters more */
    cbi_file_error_clear(error);
    if (t == NULL || !cbi_shape_valid(t->dtype, t->rank, t->shape) ||
        (t->data == NULL && cb_tensor_count(t) > 0))
        return cbi_file_error(error, CB_ERROR_VALUE, path, "there is no such tensor, or no data");
    cb_status status = cbi_replacement_open(&file, path, error);
    if (status != CB_OK)
        return status;
    int length = write_header(text, sizeof text, t);
    unsigned char prefix[4] = {1, 0, (unsigned char)(length % 256), (unsigned char)(length / 256)};
    fwrite(CBI_NPY_MAGIC, 1, CBI_NPY_MAGIC_LENGTH, file.stream);
    fwrite(prefix, 1, sizeof prefix, file.stream);
    fwrite(text, 1, (size_t)length, file.stream);
    cbi_file_write_elements(file.stream, t);
    return cbi_replacement_commit(&file, error);
}
