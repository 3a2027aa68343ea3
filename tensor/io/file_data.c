/* Files are read whole before anything in them is believed: every offset can then be checked
   against a size that is known, and a file that changes meanwhile does no harm. */
#include "tensor/io/file_data.h"
#include "tensor/format.h"

#include "tensor/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* The first size tried for what is not a regular file. */
enum { PIPE_CAPACITY = 1 << 16 };

cb_status cbi_file_error(cb_error *error, cb_status status, const char *path, const char *format,
                         ...) {
    if (error == NULL)
        return status;
    error->status = status;
    int length = snprintf(error->message, sizeof error->message, "%.200s: ", path);
    size_t used = length > 0 ? (size_t)length : 0;
    va_list arguments;
    va_start(arguments, format);
    cbi_vformat(error->message + used, sizeof error->message - used, format, arguments);
    va_end(arguments);
    return status;
}

void cbi_file_error_clear(cb_error *error) {
    if (error != NULL)
        *error = (cb_error){.status = CB_OK};
}

/* Doubles the block; the old one is freed in any case. */
static unsigned char *grow(unsigned char *bytes, size_t size, size_t *capacity) {
    unsigned char *larger = cbi_allocate(cbi_multiply(*capacity, 2));
    if (larger != NULL)
        memcpy(larger, bytes, size);
    cbi_free(bytes);
    *capacity = cbi_multiply(*capacity, 2);
    return larger;
}

cb_status cbi_file_read(const char *path, unsigned char **bytes, size_t *size, cb_error *error) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        return cbi_file_error(error, CB_ERROR_FILE, path, "cannot open: %s", strerror(errno));
    struct stat status;
    size_t capacity = PIPE_CAPACITY;
    if (fstat(fileno(stream), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        capacity = (size_t)status.st_size + 1; /* one more, to meet the end without growing */
    cb_status result = CB_OK;
    size_t used = 0;
    unsigned char *block = cbi_allocate(capacity);
    while (block != NULL) {
        errno = 0;
        used += fread(block + used, 1, capacity - used, stream);
        if (used < capacity)
            break;
        block = grow(block, used, &capacity);
    }
    if (block == NULL)
        result = cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for %zu bytes", capacity);
    else if (ferror(stream))
        result = cbi_file_error(error, CB_ERROR_FILE, path, "cannot read: %s", strerror(errno));
    fclose(stream);
    if (result != CB_OK) {
        cbi_free(block);
        return result;
    }
    *bytes = block;
    *size = used;
    return CB_OK;
}

/* Elements of an innermost run, gathered through a small buffer when they are not adjacent. */
static void write_run(FILE *stream, const char *data, int64_t count, int64_t step, size_t size) {
    char buffer[4096];
    size_t used = 0;
    if (step == 1) {
        fwrite(data, size, (size_t)count, stream);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        memcpy(buffer + used, data + i * step * (int64_t)size, size);
        used += size;
        if (used == sizeof buffer) {
            fwrite(buffer, 1, used, stream);
            used = 0;
        }
    }
    fwrite(buffer, 1, used, stream);
}

static void write_axis(FILE *stream, const cb_tensor *t, int axis, const char *data) {
    size_t size = cb_dtype_size(t->dtype);
    if (axis + 1 >= t->rank) {
        write_run(stream, data, t->rank == 0 ? 1 : t->shape[axis],
                  t->rank == 0 ? 1 : t->stride[axis], size);
        return;
    }
    for (int64_t i = 0; i < t->shape[axis]; i++)
        write_axis(stream, t, axis + 1, data + i * t->stride[axis] * (int64_t)size);
}

void cbi_file_write_elements(FILE *stream, const cb_tensor *t) {
    int64_t count = cb_tensor_count(t);
    if (count == 0)
        return;
    if (cb_tensor_is_contiguous(t))
        fwrite(t->data, cb_dtype_size(t->dtype), (size_t)count, stream);
    else
        write_axis(stream, t, 0, t->data);
}
