#include "tensor/io/file_data.h"
#include "tensor/format.h"

#include <stdarg.h>
#include <string.h>

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

cb_status cbi_tensor_error(cb_error *error, cb_status status, const char *path, const char *name,
                           const char *what) {
    if (name[0] == '\0')
        return cbi_file_error(error, status, path, "%s", what);
    return cbi_file_error(error, status, path, "tensor \"%.100s\": %s", name, what);
}

void cbi_file_error_clear(cb_error *error) {
    if (error != NULL)
        *error = (cb_error){.status = CB_OK};
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
