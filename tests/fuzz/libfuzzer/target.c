/* The file in memory is one of Linux (memfd_create), opened by its path in /proc. */
#define _GNU_SOURCE
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t size) {
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    fuzz_expect(descriptor >= 0 && ftruncate(descriptor, 0) == 0, "no file in memory");
    for (size_t written = 0; written < size;) {
        ssize_t count = pwrite(descriptor, data + written, size - written, (off_t)written);
        fuzz_expect(count > 0, "the file in memory cannot be written");
        written += (size_t)count;
    }
    return path;
}

void fuzz_expect(bool expected, const char *message) {
    if (!expected) {
        fprintf(stderr, "not as expected: %s\n", message);
        abort();
    }
}
