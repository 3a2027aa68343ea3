/* ZIP archives, as far as .npz files need them: members that are stored or deflated, ZIP64
   (PKWARE's APPNOTE 6.3.10). Written here over zlib, and not with libzip, because that would be one
   more library to install of which Debian has no static archive. */
#ifndef CEREBRA_TENSOR_IO_ZIP_H
#define CEREBRA_TENSOR_IO_ZIP_H

#include "tensor/io/file_stream.h"

#include <stdbool.h>

/* A member of an archive. */
typedef struct cbi_zip_member {
    const char *name; /* as it is in the archive, ended by NUL */
    int method;       /* CBI_ZIP_STORED or CBI_ZIP_DEFLATED; others cannot be read */
    bool encrypted;
    uint32_t checksum;         /* CRC-32 of its bytes */
    uint64_t compressed, size; /* bytes in the archive, and of the member */
    uint64_t header;           /* where its local header is */
} cbi_zip_member;

enum { CBI_ZIP_STORED = 0, CBI_ZIP_DEFLATED = 8 };

/* The list of members; owns the names. */
typedef struct cbi_zip {
    const cbi_file *file;
    cbi_zip_member *members; /* in the archive's order */
    int count;
    char *names;
} cbi_zip;

/* Reads the list of members of an open file, which must outlive it. Nothing is left to free on
   failure: CB_ERROR_FORMAT, CB_ERROR_FILE, CB_ERROR_MEMORY. */
cb_status cbi_zip_open(cbi_zip *zip, const cbi_file *file, cb_error *error);
void cbi_zip_close(cbi_zip *zip);

/* The bytes of a member. With the last of them its checksum is compared. NULL with error filled:
   CB_ERROR_FORMAT, also of a member that is encrypted or compressed otherwise; CB_ERROR_FILE,
   CB_ERROR_MEMORY. */
cbi_stream *cbi_zip_stream_new(const cbi_zip *zip, const cbi_zip_member *member, cb_error *error);
void cbi_zip_stream_free(cbi_stream *stream);

#endif
