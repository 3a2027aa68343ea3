/* The bytes of a text, where they are: a file is read piece by piece, so that texts larger than
   memory can be used; what cannot be read twice (a pipe, a terminal) is kept in memory. */
#ifndef CEREBRA_APPS_CLI_TEXT_BYTES_H
#define CEREBRA_APPS_CLI_TEXT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Owns what it points to. */
typedef struct text_bytes {
    char *name;            /* what messages call it */
    unsigned char *memory; /* all bytes; NULL: they are in the file */
    int file;              /* open for reading; -1: none */
    uint64_t size;
    struct timespec changed; /* when the file was last written, before any of it was read */
} text_bytes;

/* Opens the file at path ("-": standard input). A regular file is not read yet; anything else is
   read to its end, or to its first NUL byte, which no text has. Fails with one line in error (room
   for FAILURE_SIZE bytes) and nothing to close. */
bool text_bytes_open(const char *path, text_bytes *opened, char *error);

/* A copy of a string, called name. */
bool text_bytes_of_string(const char *string, const char *name, text_bytes *made, char *error);

/* Copies `size` bytes from offset on, all of which the text has. Fails when a file cannot be read
   or was changed since it was opened. */
bool text_bytes_read(const text_bytes *bytes, uint64_t offset, unsigned char *to, size_t size,
                     char *error);

/* The line, from 1, that the byte at offset is in; 0 when the text cannot be read. */
uint64_t text_bytes_line(const text_bytes *bytes, uint64_t offset);

void text_bytes_close(text_bytes *bytes);

#endif
