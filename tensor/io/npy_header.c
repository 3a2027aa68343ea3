/* The header of NumPy's .npy format (numpy/lib/format.py): magic, version, length of the header
   (u16 in version 1, u32 since 2), a header that is a Python dictionary literal, in Latin-1 or
   since version 3 in UTF-8. Of Python's grammar the reader knows what NumPy and other writers use:
   strings in either kind of quotes, True and False, tuples of integers, keys in any order, spaces
   anywhere; and the L that Python 2 writes after an integer. */
#include "tensor/io/npy.h"

#include "tensor/io/file_data.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <string.h>

enum { LARGEST_HEADER = 1 << 20 };

/* The header's text, and how much of it has been read. */
typedef struct parser {
    const char *text;
    size_t length, at;
} parser;

static char peek(const parser *in) {
    return in->at < in->length ? in->text[in->at] : '\0';
}

static void skip_spaces(parser *in) {
    while (peek(in) == ' ' || peek(in) == '\t' || peek(in) == '\n' || peek(in) == '\r')
        in->at++;
}

/* Takes the character, and spaces before it, if it is next. */
static bool accept(parser *in, char character) {
    skip_spaces(in);
    if (in->at == in->length || in->text[in->at] != character)
        return false;
    in->at++;
    return true;
}

static bool accept_word(parser *in, const char *word) {
    skip_spaces(in);
    size_t length = strlen(word);
    if (in->length - in->at < length || memcmp(in->text + in->at, word, length) != 0)
        return false;
    in->at += length;
    return true;
}

/* A string without escapes, into text (cut to nothing when too long: no known word is). */
static bool accept_string(parser *in, char *text, size_t size) {
    skip_spaces(in);
    char quote = peek(in);
    if (quote != '\'' && quote != '"')
        return false;
    const char *start = in->text + in->at + 1;
    const char *end = memchr(start, quote, in->length - in->at - 1);
    if (end == NULL)
        return false;
    size_t length = (size_t)(end - start);
    if (length >= size)
        length = 0;
    memcpy(text, start, length);
    text[length] = '\0';
    in->at = (size_t)(end - in->text) + 1;
    return true;
}

/* An integer of 0 or more that an int64_t holds. */
static bool accept_integer(parser *in, int64_t *value) {
    skip_spaces(in);
    size_t start = in->at;
    for (*value = 0; peek(in) >= '0' && peek(in) <= '9'; in->at++) {
        int digit = peek(in) - '0';
        if (*value > (INT64_MAX - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return in->at > start;
}

/* (), (3,), (3, 4) or (3, 4,); returns what is wrong or NULL. */
static const char *parse_shape(parser *in, cbi_npy_header *h) {
    bool comma = true;
    if (!accept(in, '('))
        return "shape is not a tuple";
    while (!accept(in, ')')) {
        if (!comma || h->stored.rank == CBI_NPY_MAX_RANK)
            return comma ? "shape has more than 64 axes" : "shape is not a tuple";
        if (!accept_integer(in, &h->shape[h->stored.rank++]))
            return "shape has an entry that is not an integer of 0 or more";
        (void)(peek(in) == 'L' && in->at++);
        comma = accept(in, ',');
    }
    return h->stored.rank == 1 && !comma ? "shape is not a tuple" : NULL;
}

/* A byte order, kind and size: "<f4", "|b1", "=i8", "f2". */
static const char *parse_dtype(parser *in, cbi_npy_header *h) {
    if (!accept_string(in, h->type, sizeof h->type))
        return "descr is not a string";
    bool ordered = h->type[0] != '\0' && strchr("<>=|", h->type[0]) != NULL;
    const char *name = h->type + ordered;
    h->layout.type = cbi_element_type_npy(name[0] == '?' ? "b1" : name);
    h->layout.big_endian = h->type[0] == '>' && h->layout.type != NULL && h->layout.type->bits > 8;
    return NULL;
}

static const char *parse_order(parser *in, cbi_npy_header *h) {
    h->layout.fortran_order = accept_word(in, "True");
    return h->layout.fortran_order || accept_word(in, "False")
               ? NULL
               : "fortran_order is not True or False";
}

static const struct {
    const char *key;
    size_t seen; /* where in the struct it is marked as read */
    const char *(*parse)(parser *in, cbi_npy_header *h);
} fields[] = {
    {"descr", offsetof(cbi_npy_header, has_dtype), parse_dtype},
    {"fortran_order", offsetof(cbi_npy_header, has_order), parse_order},
    {"shape", offsetof(cbi_npy_header, has_shape), parse_shape},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* One "key: value"; returns what is wrong or NULL. */
static const char *parse_field(parser *in, cbi_npy_header *h) {
    char key[24];
    if (!accept_string(in, key, sizeof key) || !accept(in, ':'))
        return "not a dictionary of strings";
    for (int i = 0; i < FIELDS; i++) {
        if (strcmp(key, fields[i].key) != 0)
            continue;
        bool *seen = (bool *)((char *)h + fields[i].seen);
        if (*seen)
            return "a key appears twice";
        *seen = true;
        return fields[i].parse(in, h);
    }
    return "a key other than descr, fortran_order and shape";
}

/* The dictionary; returns what is wrong or NULL. */
static const char *parse_dictionary(parser *in, cbi_npy_header *h) {
    bool comma = true;
    if (!accept(in, '{'))
        return "not a dictionary";
    while (!accept(in, '}')) {
        const char *objection = comma ? parse_field(in, h) : "a comma is missing";
        if (objection != NULL)
            return objection;
        comma = accept(in, ',');
    }
    skip_spaces(in);
    if (in->at != in->length)
        return "text after the dictionary";
    if (!h->has_dtype || !h->has_order || !h->has_shape)
        return "descr, fortran_order or shape is missing";
    return NULL;
}

/* Reads magic, version and length, and sets the header's length and the bytes up to its end. */
static cb_status read_prefix(cbi_stream *stream, uint64_t size, size_t *length, cbi_npy_header *h,
                             cb_error *error) {
    unsigned char prefix[12];
    if (size < 10)
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path, "not an .npy file");
    cb_status status = stream->read(stream, prefix, 10, error);
    if (status != CB_OK)
        return status;
    if (memcmp(prefix, CBI_NPY_MAGIC, CBI_NPY_MAGIC_LENGTH) != 0)
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path, "not an .npy file");
    int major = prefix[6], minor = prefix[7];
    if (major < 1 || major > 3 || minor != 0)
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path,
                              ".npy version %d.%d is not 1.0, 2.0 or 3.0", major, minor);
    size_t end = major == 1 ? 10 : 12;
    if (size < end)
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path, "ends within its header");
    if (major > 1)
        status = stream->read(stream, prefix + 10, 2, error);
    for (size_t i = end; i > 8; i--)
        *length = *length * 256 + prefix[i - 1];
    if (status == CB_OK && (*length > size - end || *length > LARGEST_HEADER))
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path,
                              "a header of %zu bytes in a file of %" PRIu64, *length, size);
    h->elements = end + *length;
    return status;
}

/* What no tensor can be made of is told when it is asked for; a size that is known is checked. */
static cb_status judge(const cbi_stream *stream, uint64_t size, cbi_npy_header *h,
                       cb_error *error) {
    h->stored.name = "";
    h->stored.type = h->type;
    h->stored.shape = h->shape;
    h->stored.bytes = size - h->elements;
    if (h->layout.type == NULL) {
        h->stored.objection = "elements of a type that no tensor holds";
        return CB_OK;
    }
    uint64_t found = h->stored.bytes;
    if (!cbi_stored_bytes(h->layout.type, &h->stored))
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path, "a shape too large to exist");
    if (h->stored.bytes != found)
        return cbi_file_error(error, CB_ERROR_FORMAT, stream->path,
                              "%" PRIu64 " bytes of elements instead of %" PRIu64, found,
                              h->stored.bytes);
    cbi_stored_judge(h->layout.type, &h->stored);
    return CB_OK;
}

cb_status cbi_npy_header_read(cbi_stream *stream, uint64_t size, cbi_npy_header *h,
                              cb_error *error) {
    size_t length = 0;
    memset(h, 0, sizeof *h);
    cb_status status = read_prefix(stream, size, &length, h, error);
    if (status != CB_OK)
        return status;
    char *text = cbi_allocate_unset(length + 1);
    if (text == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, stream->path, "no memory for the header");
    status = stream->read(stream, text, length, error);
    parser in = {.text = text, .length = length};
    const char *objection = status == CB_OK ? parse_dictionary(&in, h) : NULL;
    if (objection != NULL)
        status = cbi_file_error(error, CB_ERROR_FORMAT, stream->path, "header, byte %zu: %s", in.at,
                                objection);
    cbi_free(text);
    return status == CB_OK ? judge(stream, size, h, error) : status;
}
