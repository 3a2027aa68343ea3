/* Files are opened without waiting, so that a pipe that nobody writes to is refused, too. They are
   read by offset, and not mapped: a file that becomes shorter meanwhile is then an error, and not a
   signal. */
#include "tensor/io/file_stream.h"

#include "tensor/io/file_data.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

cb_status cbi_file_open(cbi_file *file, const char *path, cb_error *error) {
    struct stat status;
    *file = (cbi_file){.path = path, .descriptor = -1};
    if (path == NULL)
        return cbi_file_error(error, CB_ERROR_VALUE, "(no path)", "there is no file to open");
    file->descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file->descriptor < 0 || fstat(file->descriptor, &status) != 0) {
        int reason = errno;
        cbi_file_close(file);
        return cbi_file_error(error, CB_ERROR_FILE, path, "cannot open: %s", strerror(reason));
    }
    if (!S_ISREG(status.st_mode)) {
        cbi_file_close(file);
        return cbi_file_error(error, CB_ERROR_FILE, path, "cannot read: %s",
                              S_ISDIR(status.st_mode) ? strerror(EISDIR) : "not a regular file");
    }
    file->size = (uint64_t)status.st_size;
    return CB_OK;
}

void cbi_file_close(cbi_file *file) {
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

cb_status cbi_file_read_at(const cbi_file *file, uint64_t offset, void *bytes, size_t size,
                           cb_error *error) {
    size_t done = 0;
    while (done < size) {
        ssize_t count =
            pread(file->descriptor, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return cbi_file_error(error, CB_ERROR_FILE, file->path, "cannot read: %s",
                                  strerror(errno));
        if (count == 0)
            return cbi_file_error(error, CB_ERROR_FILE, file->path,
                                  "cannot read: it has become shorter");
        done += (size_t)count;
    }
    return CB_OK;
}

static cb_status read_next(cbi_stream *stream, void *bytes, size_t size, cb_error *error) {
    cbi_file_stream *part = (cbi_file_stream *)stream;
    cb_status status = cbi_file_read_at(part->file, part->at, bytes, size, error);
    part->at += size;
    return status;
}

cbi_file_stream cbi_file_stream_at(const cbi_file *file, uint64_t offset) {
    return (cbi_file_stream){
        .stream = {.path = file->path, .read = read_next}, .file = file, .at = offset};
}

static cb_status copy_next(cbi_stream *stream, void *bytes, size_t size, cb_error *error) {
    cbi_memory_stream *memory = (cbi_memory_stream *)stream;
    (void)error;
    memcpy(bytes, memory->next, size);
    memory->next += size;
    return CB_OK;
}

cbi_memory_stream cbi_memory_stream_of(const char *path, const void *bytes) {
    return (cbi_memory_stream){.stream = {.path = path, .read = copy_next}, .next = bytes};
}
