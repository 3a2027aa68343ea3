/* Bytes of a file in order: a part of it as it is, or what a compressed part holds. */
#ifndef CEREBRA_TENSOR_IO_FILE_STREAM_H
#define CEREBRA_TENSOR_IO_FILE_STREAM_H

#include <cerebra/status.h>
#include <stddef.h>
#include <stdint.h>

/* An open regular file. */
typedef struct cbi_file {
    const char *path; /* the caller's, for messages */
    int descriptor;   /* -1: closed */
    uint64_t size;    /* when it was opened */
} cbi_file;

/* Opens a file for reading. Only regular files are: others (pipes, devices, folders) may have no
   end, and cannot be read in parts. CB_ERROR_FILE. */
cb_status cbi_file_open(cbi_file *file, const char *path, cb_error *error);
void cbi_file_close(cbi_file *file);
/* Reads size bytes at an offset. CB_ERROR_FILE, also when the file has become shorter. */
cb_status cbi_file_read_at(const cbi_file *file, uint64_t offset, void *bytes, size_t size,
                           cb_error *error);

/* A stream of bytes; a kind of stream begins with this struct. */
typedef struct cbi_stream {
    const char *path; /* for messages */
    /* Gives the next size bytes, or fails. */
    cb_status (*read)(struct cbi_stream *stream, void *bytes, size_t size, cb_error *error);
} cbi_stream;

/* A part of a file as a stream. */
typedef struct cbi_file_stream {
    cbi_stream stream;
    const cbi_file *file;
    uint64_t at; /* the offset of the next byte */
} cbi_file_stream;

cbi_file_stream cbi_file_stream_at(const cbi_file *file, uint64_t offset);

/* Memory of the caller's as a stream; whoever reads knows where it ends. */
typedef struct cbi_memory_stream {
    cbi_stream stream;
    const unsigned char *next;
} cbi_memory_stream;

cbi_memory_stream cbi_memory_stream_of(const char *path, const void *bytes);

#endif
