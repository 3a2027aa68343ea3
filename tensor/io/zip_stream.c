/* Members of ZIP archives as streams. This is the only file that includes zlib.h. */
#include "tensor/io/file_data.h"
#include "tensor/io/zip.h"
#include "tensor/memory.h"

#include <string.h>

#ifdef CB_WITH_ZLIB
#include <zlib.h>

enum {
    LOCAL_SIZE = 30,
    BUFFER = 1 << 15,
    PIECE = 1 << 30,     /* zlib counts in 32 bits */
    LARGEST_RATIO = 1032 /* deflate makes nothing smaller */
};

typedef struct zip_stream {
    cbi_stream stream;
    const cbi_zip_member *member;
    cbi_file_stream file;
    uint64_t left_compressed,
        left; /* bytes that were not read yet, of the archive and the member */
    bool deflated;
    z_stream inflating;
    uLong checksum;
    unsigned char buffer[BUFFER];
} zip_stream;

static cb_status damaged(const zip_stream *s, const char *what, cb_error *error) {
    return cbi_file_error(error, CB_ERROR_FORMAT, s->stream.path, "member \"%.100s\": %s",
                          s->member->name, what);
}

/* Inflates exactly size bytes. */
static cb_status inflate_next(zip_stream *s, unsigned char *bytes, size_t size, cb_error *error) {
    z_stream *z = &s->inflating;
    z->next_out = bytes;
    z->avail_out = (uInt)size;
    while (z->avail_out > 0) {
        if (z->avail_in == 0 && s->left_compressed > 0) {
            size_t some = s->left_compressed < BUFFER ? (size_t)s->left_compressed : BUFFER;
            cb_status status = s->file.stream.read(&s->file.stream, s->buffer, some, error);
            if (status != CB_OK)
                return status;
            s->left_compressed -= some;
            z->next_in = s->buffer;
            z->avail_in = (uInt)some;
        }
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR)
            return cbi_file_error(error, CB_ERROR_MEMORY, s->stream.path, "no memory to inflate");
        if (result != Z_OK && !(result == Z_STREAM_END && z->avail_out == 0))
            return damaged(s, "its compressed bytes are damaged", error);
    }
    return CB_OK;
}

static cb_status read_next(cbi_stream *stream, void *bytes, size_t size, cb_error *error) {
    zip_stream *s = (zip_stream *)stream;
    if (size > s->left)
        return damaged(s, "ends before its elements do", error);
    for (size_t done = 0; done < size;) {
        size_t some = size - done < PIECE ? size - done : PIECE;
        unsigned char *next = (unsigned char *)bytes + done;
        cb_status status = s->deflated ? inflate_next(s, next, some, error)
                                       : s->file.stream.read(&s->file.stream, next, some, error);
        if (status != CB_OK)
            return status;
        s->checksum = crc32_z(s->checksum, next, some);
        done += some;
    }
    s->left -= size;
    if (s->left == 0 && size > 0 && s->checksum != s->member->checksum)
        return damaged(s, "its checksum is wrong", error);
    return CB_OK;
}

/* Finds the member's bytes behind its local header; returns what is wrong or NULL. */
static const char *locate(zip_stream *s, const cbi_zip *zip, cb_status *status, cb_error *error) {
    const cbi_zip_member *member = s->member;
    unsigned char local[LOCAL_SIZE];
    if (member->encrypted)
        return "is encrypted";
    if (member->method != CBI_ZIP_STORED && member->method != CBI_ZIP_DEFLATED)
        return "is compressed by a method other than deflate";
    if (zip->file->size < LOCAL_SIZE || member->header > zip->file->size - LOCAL_SIZE)
        return "lies beyond the end of the file";
    *status = cbi_file_read_at(zip->file, member->header, local, sizeof local, error);
    if (*status != CB_OK)
        return NULL;
    uint64_t begin = member->header + LOCAL_SIZE + (local[26] | (unsigned)local[27] << 8) +
                     (local[28] | (unsigned)local[29] << 8);
    if (memcmp(local, "PK\3\4", 4) != 0)
        return "has no header of its own";
    if (begin > zip->file->size || member->compressed > zip->file->size - begin)
        return "lies beyond the end of the file";
    if (s->deflated ? member->size / LARGEST_RATIO > member->compressed
                    : member->size != member->compressed)
        return "has sizes that cannot be";
    s->file = cbi_file_stream_at(zip->file, begin);
    return NULL;
}

cbi_stream *cbi_zip_stream_new(const cbi_zip *zip, const cbi_zip_member *member, cb_error *error) {
    zip_stream *s = cbi_allocate(sizeof *s);
    cb_status status = CB_OK;
    if (s == NULL) {
        cbi_file_error(error, CB_ERROR_MEMORY, zip->file->path, "no memory");
        return NULL;
    }
    s->stream = (cbi_stream){.path = zip->file->path, .read = read_next};
    s->member = member;
    s->left_compressed = member->compressed;
    s->left = member->size;
    s->deflated = member->method == CBI_ZIP_DEFLATED;
    s->checksum = crc32_z(0, NULL, 0);
    const char *objection = locate(s, zip, &status, error);
    if (objection != NULL)
        status = damaged(s, objection, error);
    else if (status == CB_OK && s->deflated && inflateInit2(&s->inflating, -MAX_WBITS) != Z_OK)
        status = cbi_file_error(error, CB_ERROR_MEMORY, zip->file->path, "no memory to inflate");
    if (status != CB_OK) {
        cbi_free(s);
        return NULL;
    }
    return &s->stream;
}

void cbi_zip_stream_free(cbi_stream *stream) {
    zip_stream *s = (zip_stream *)stream;
    if (s != NULL && s->deflated)
        inflateEnd(&s->inflating);
    cbi_free(s);
}

#else

cbi_stream *cbi_zip_stream_new(const cbi_zip *zip, const cbi_zip_member *member, cb_error *error) {
    cbi_file_error(error, CB_ERROR_FORMAT, zip->file->path,
                   "member \"%.100s\": this library was built without zlib, which reads it",
                   member->name);
    return NULL;
}

void cbi_zip_stream_free(cbi_stream *stream) {
    (void)stream;
}

#endif
