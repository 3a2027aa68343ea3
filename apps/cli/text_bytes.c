/* Files are read with pread and not mapped: a mapping counts as memory of the process as far as it
   was touched, and a file that someone cuts short while it is mapped ends the process with SIGBUS,
   where pread returns less. */
#include "text_bytes.h"

#include "failure.h"
#include "grow.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_AT_LEAST = 65536 };

static bool cannot_read(const char *name, int reason, char *error) {
    return failure(error, FAILURE_SIZE, "cannot read %s: %s", name, strerror(reason));
}

/* Reads what is no regular file, as far as it can be text: a device may have no end. */
static bool read_all(text_bytes *bytes, char *error) {
    size_t room = 0, size = 0;
    bool text = true;
    ssize_t count = 1;
    while (text && count > 0) {
        unsigned char *grown = grow(bytes->memory, &room, size + READ_AT_LEAST, 1);
        if (grown == NULL)
            return cannot_read(bytes->name, ENOMEM, error);
        bytes->memory = grown;
        do {
            count = read(bytes->file, bytes->memory + size, room - size);
        } while (count < 0 && errno == EINTR);
        if (count < 0)
            return cannot_read(bytes->name, errno, error);
        text = count == 0 || memchr(bytes->memory + size, 0, (size_t)count) == NULL;
        size += (size_t)count;
    }
    bytes->size = size;
    return true;
}

bool text_bytes_open(const char *path, text_bytes *opened, char *error) {
    bool standard_input = strcmp(path, "-") == 0;
    struct stat status;
    *opened = (text_bytes){.name = strdup(text_display_name(path)), .file = -1};
    if (opened->name == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    opened->file = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    bool ok = opened->file >= 0 && fstat(opened->file, &status) == 0;
    if (!ok)
        cannot_read(opened->name, errno, error);
    if (ok && S_ISREG(status.st_mode) && !standard_input) {
        opened->size = (uint64_t)status.st_size;
        opened->changed = status.st_mtim;
    } else if (ok) {
        ok = read_all(opened, error);
        close(opened->file);
        opened->file = -1;
    }
    if (!ok)
        text_bytes_close(opened);
    return ok;
}

bool text_bytes_of_string(const char *string, const char *name, text_bytes *made, char *error) {
    size_t size = strlen(string);
    *made =
        (text_bytes){.name = strdup(name), .memory = malloc(size + 1), .file = -1, .size = size};
    if (made->name == NULL || made->memory == NULL) {
        text_bytes_close(made);
        return failure(error, FAILURE_SIZE, "%s: out of memory", name);
    }
    memcpy(made->memory, string, size);
    return true;
}

/* The file's own clock and size tell of a change. */
static bool check_unchanged(const text_bytes *bytes, char *error) {
    struct stat now;
    if (fstat(bytes->file, &now) != 0)
        return cannot_read(bytes->name, errno, error);
    return ((uint64_t)now.st_size == bytes->size && now.st_mtim.tv_sec == bytes->changed.tv_sec &&
            now.st_mtim.tv_nsec == bytes->changed.tv_nsec) ||
           failure(error, FAILURE_SIZE, "%s was changed while it was read", bytes->name);
}

bool text_bytes_read(const text_bytes *bytes, uint64_t offset, unsigned char *to, size_t size,
                     char *error) {
    if (bytes->memory != NULL) {
        memcpy(to, bytes->memory + offset, size);
        return true;
    }
    while (size > 0) {
        ssize_t count = pread(bytes->file, to, size, (off_t)offset);
        if (count < 0 && errno != EINTR)
            return cannot_read(bytes->name, errno, error);
        if (count == 0)
            return failure(error, FAILURE_SIZE, "%s was changed while it was read", bytes->name);
        if (count > 0) {
            to += count;
            size -= (size_t)count;
            offset += (uint64_t)count;
        }
    }
    return check_unchanged(bytes, error);
}

uint64_t text_bytes_line(const text_bytes *bytes, uint64_t offset) {
    unsigned char piece[4096];
    uint64_t line = 1;
    for (uint64_t at = 0; at < offset;) {
        size_t size = offset - at < sizeof piece ? (size_t)(offset - at) : sizeof piece;
        if (!text_bytes_read(bytes, at, piece, size, NULL))
            return 0;
        for (size_t i = 0; i < size; i++)
            line += piece[i] == '\n';
        at += size;
    }
    return line;
}

void text_bytes_close(text_bytes *bytes) {
    free(bytes->name);
    free(bytes->memory);
    if (bytes->file >= 0)
        close(bytes->file);
    *bytes = (text_bytes){.file = -1};
}
