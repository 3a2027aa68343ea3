/* NumPy's .npy format (numpy/lib/format.py): magic, version, length of the header (u16 in version
   1.0, u32 in 2.0), a header that is a Python dictionary literal, the elements. Of Python's grammar
   the reader knows what NumPy and other writers use: strings in either kind of
   quotes, True and False, tuples of integers, keys in any order, spaces anywhere. */
#include <cerebra/files.h>

#include "tensor/io/file_data.h"
#include "tensor/io/file_replace.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum { MAGIC = sizeof magic - 1, ALIGNMENT = 64 };

static const struct {
    const char *name;
    cb_dtype dtype;
} dtypes[] = {{"<f4", CB_F32}, {"<f8", CB_F64}, {"<i4", CB_I32}, {"<i8", CB_I64}};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* What the header says. */
typedef struct header {
    bool has_dtype, has_order, has_shape;
    cb_dtype dtype;
    bool fortran_order;
    int rank;
    int64_t shape[CB_MAX_RANK];
} header;

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
static const char *parse_shape(parser *in, header *h) {
    bool comma = true;
    if (!accept(in, '('))
        return "shape is not a tuple";
    while (!accept(in, ')')) {
        if (!comma || h->rank == CB_MAX_RANK)
            return comma ? "shape has more than 8 axes" : "shape is not a tuple";
        if (!accept_integer(in, &h->shape[h->rank++]))
            return "shape has an entry that is not an integer of 0 or more";
        comma = accept(in, ',');
    }
    return h->rank == 1 && !comma ? "shape is not a tuple" : NULL;
}

static const char *parse_dtype(parser *in, header *h) {
    char name[8];
    if (!accept_string(in, name, sizeof name))
        return "descr is not a string";
    for (int i = 0; i < DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            h->dtype = dtypes[i].dtype;
            return NULL;
        }
    }
    return "a dtype other than <f4, <f8, <i4 and <i8";
}

static const char *parse_order(parser *in, header *h) {
    h->fortran_order = accept_word(in, "True");
    return h->fortran_order || accept_word(in, "False") ? NULL
                                                        : "fortran_order is not True or False";
}

static const struct {
    const char *key;
    size_t seen; /* where in struct header it is marked as read */
    const char *(*parse)(parser *in, header *h);
} fields[] = {
    {"descr", offsetof(header, has_dtype), parse_dtype},
    {"fortran_order", offsetof(header, has_order), parse_order},
    {"shape", offsetof(header, has_shape), parse_shape},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* One "key: value"; returns what is wrong or NULL. */
static const char *parse_field(parser *in, header *h) {
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
static const char *parse_dictionary(parser *in, header *h) {
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
    return cbi_shape_valid(h->dtype, h->rank, h->shape) ? NULL : "a shape too large to exist";
}

/* Finds and parses the header. *data becomes the offset of the elements. */
static cb_status read_header(const char *path, const unsigned char *bytes, size_t size, header *h,
                             size_t *data, cb_error *error) {
    if (size < MAGIC + 4 || memcmp(bytes, magic, MAGIC) != 0)
        return cbi_file_error(error, CB_ERROR_FORMAT, path, "not an .npy file");
    int major = bytes[MAGIC], minor = bytes[MAGIC + 1];
    size_t prefix = MAGIC + (major == 1 ? 4 : 6);
    if ((major != 1 && major != 2) || minor != 0)
        return cbi_file_error(error, CB_ERROR_FORMAT, path, ".npy version %d.%d is not 1.0 or 2.0",
                              major, minor);
    if (size < prefix)
        return cbi_file_error(error, CB_ERROR_FORMAT, path, "ends within its header");
    size_t length = 0;
    for (size_t i = prefix; i > MAGIC + 2; i--)
        length = length * 256 + bytes[i - 1];
    if (length > size - prefix)
        return cbi_file_error(error, CB_ERROR_FORMAT, path,
                              "a header of %zu bytes in a file of %zu", length, size);
    parser in = {.text = (const char *)bytes + prefix, .length = length};
    const char *objection = parse_dictionary(&in, h);
    if (objection != NULL)
        return cbi_file_error(error, CB_ERROR_FORMAT, path, "header, byte %zu: %s", in.at,
                              objection);
    *data = prefix + length;
    return CB_OK;
}

/* Copies the elements of the file, which need not be aligned, in Fortran order: the first index
   changes fastest. */
static void copy_fortran(cb_tensor *t, const unsigned char *source) {
    size_t size = cb_dtype_size(t->dtype);
    int64_t index[CB_MAX_RANK] = {0}, count = cb_tensor_count(t), offset = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy((char *)t->data + (size_t)offset * size, source + (size_t)i * size, size);
        for (int axis = 0; axis < t->rank; axis++) {
            offset += t->stride[axis];
            if (++index[axis] < t->shape[axis])
                break;
            offset -= t->shape[axis] * t->stride[axis];
            index[axis] = 0;
        }
    }
}

cb_tensor *cb_npy_read(const char *path, cb_error *error) {
    unsigned char *bytes = NULL;
    size_t size, data = 0;
    header h = {0};
    cb_tensor *t = NULL;
    cbi_file_error_clear(error);
    if (cbi_file_read(path, &bytes, &size, error) != CB_OK ||
        read_header(path, bytes, size, &h, &data, error) != CB_OK)
        goto done;
    cb_tensor described = cb_tensor_wrap(h.dtype, h.rank, h.shape, NULL);
    size_t expected = cb_tensor_bytes(&described);
    if (size - data != expected) {
        cbi_file_error(error, CB_ERROR_FORMAT, path, "%zu bytes of elements instead of %zu",
                       size - data, expected);
        goto done;
    }
    t = cb_tensor_new(h.dtype, h.rank, h.shape);
    if (t == NULL)
        cbi_file_error(error, CB_ERROR_MEMORY, path, "no memory for %zu bytes", expected);
    else if (expected > 0 && h.fortran_order)
        copy_fortran(t, bytes + data);
    else if (expected > 0)
        memcpy(t->data, bytes + data, expected);
done:
    cbi_free(bytes);
    return t;
}

/* The header as NumPy writes it, with its spaces: it leaves room for the first extent to grow to 21
   digits, and pads so that the elements start at a multiple of 64. Returns its length. */
static int write_header(char *text, size_t size, const cb_tensor *t) {
    const char *dtype = "";
    for (int i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == t->dtype)
            dtype = dtypes[i].name;
    int length = snprintf(text, size, "{'descr': '%s', 'fortran_order': False, 'shape': (", dtype);
    int room = 0;
    for (int i = 0; i < t->rank; i++) {
        int digits = snprintf(text + length, size - (size_t)length, "%" PRId64, t->shape[i]);
        room = i == 0 ? 21 - digits : room;
        length += digits;
        length += snprintf(text + length, size - (size_t)length, "%s",
                           t->rank == 1 ? "," : (i + 1 < t->rank ? ", " : ""));
    }
    length += snprintf(text + length, size - (size_t)length, "), }%*s", room, "");
    int total = MAGIC + 4 + length + 1;
    int padding = (ALIGNMENT - total % ALIGNMENT) % ALIGNMENT;
    return length + snprintf(text + length, size - (size_t)length, "%*s\n", padding, "");
}

cb_status cb_npy_write(const char *path, const cb_tensor *t, cb_error *error) {
    cbi_replacement file;
    char text[512]; /* eight extents of at most 19 digits and 150 characters more */
    cbi_file_error_clear(error);
    if (t == NULL || !cbi_shape_valid(t->dtype, t->rank, t->shape) ||
        (t->data == NULL && cb_tensor_count(t) > 0))
        return cbi_file_error(error, CB_ERROR_VALUE, path, "there is no such tensor, or no data");
    cb_status status = cbi_replacement_open(&file, path, error);
    if (status != CB_OK)
        return status;
    int length = write_header(text, sizeof text, t);
    unsigned char prefix[4] = {1, 0, (unsigned char)(length % 256), (unsigned char)(length / 256)};
    fwrite(magic, 1, MAGIC, file.stream);
    fwrite(prefix, 1, sizeof prefix, file.stream);
    fwrite(text, 1, (size_t)length, file.stream);
    cbi_file_write_elements(file.stream, t);
    return cbi_replacement_commit(&file, error);
}
