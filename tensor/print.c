/* Tensors as text: numbers of six digits in rows that are aligned, in a pair of brackets for each
   axis. Text goes to a sink that cuts or streams it, so nothing is allocated. */
#include <cerebra/tensor.h>

#include "tensor/format.h"
#include "tensor/kernels.h"

#include <inttypes.h>
#include <string.h>

/* More than SUMMARISED elements are shown by the first and last EDGE of each axis. */
enum { SUMMARISED = 1000, EDGE = 3, LINE_WIDTH = 80, WORD_SIZE = 32 };

/* Where the text goes: a buffer that it may overflow, or a stream. */
typedef struct sink {
    char *buffer;
    size_t size, length;
    FILE *stream;
    bool failed;
} sink;

static void put(sink *out, const char *text) {
    size_t length = strlen(text);
    if (out->stream != NULL) {
        out->failed = out->failed || fwrite(text, 1, length, out->stream) != length;
    } else if (out->length + 1 < out->size) {
        size_t room = out->size - 1 - out->length;
        memcpy(out->buffer + out->length, text, length < room ? length : room);
    }
    out->length += length;
}

static void put_times(sink *out, const char *text, int times) {
    for (int i = 0; i < times; i++)
        put(out, text);
}

static void terminate(sink *out) {
    if (out->size > 0)
        out->buffer[out->length < out->size ? out->length : out->size - 1] = '\0';
}

/* What is the same for all elements that are shown. */
typedef struct layout {
    const cb_tensor *of;
    bool summarised;
    int width; /* of the longest number */
} layout;

static int write_number(char word[WORD_SIZE], const cb_tensor *t, const char *element) {
    return cb_dtype_is_float(t->dtype)
               ? cbi_format(word, WORD_SIZE, "%.6g", cbi_load(t->dtype, element))
               : cbi_format(word, WORD_SIZE, "%" PRId64, cbi_load_index(t->dtype, element));
}

/* Whether items in the middle of an axis are left out; then there are EDGE before and after them.
 */
static bool is_cut(const layout *l, int axis) {
    return l->summarised && l->of->shape[axis] > 2 * EDGE;
}

static int64_t shown(const layout *l, int axis) {
    return is_cut(l, axis) ? 2 * EDGE : l->of->shape[axis];
}

static const char *item(const layout *l, int axis, const char *data, int64_t k) {
    int64_t index = is_cut(l, axis) && k >= EDGE ? l->of->shape[axis] - 2 * EDGE + k : k;
    return data + index * l->of->stride[axis] * (int64_t)cb_dtype_size(l->of->dtype);
}

static void measure(layout *l, int axis, const char *data) {
    char word[WORD_SIZE];
    for (int64_t k = 0; axis < l->of->rank && k < shown(l, axis); k++)
        measure(l, axis + 1, item(l, axis, data, k));
    int length = axis == l->of->rank ? write_number(word, l->of, data) : 0;
    l->width = length > l->width ? length : l->width;
}

/* The last axis: numbers separated by spaces, in as many lines as they need. */
static void put_row(sink *out, const layout *l, const char *data) {
    int rank = l->of->rank, column = rank;
    for (int64_t k = 0; k < shown(l, rank - 1); k++) {
        char word[WORD_SIZE];
        bool cut = k == EDGE && is_cut(l, rank - 1);
        int length = write_number(word, l->of, item(l, rank - 1, data, k));
        int needed = l->width + 1 + (cut ? 4 : 0);
        if (k > 0 && column + needed + rank > LINE_WIDTH) {
            put(out, "\n");
            put_times(out, " ", rank);
            column = rank;
        } else if (k > 0) {
            put(out, " ");
        }
        put(out, cut ? "... " : "");
        put_times(out, " ", l->width - length);
        put(out, word);
        column += needed;
    }
}

/* One axis and those inside it; matrices have a blank line between them, blocks of them two. */
static void put_axis(sink *out, const layout *l, int axis, const char *data) {
    int rank = l->of->rank;
    put(out, "[");
    if (axis == rank - 1)
        put_row(out, l, data);
    for (int64_t k = 0; axis < rank - 1 && k < shown(l, axis); k++) {
        for (int again = k == EDGE && is_cut(l, axis); again >= 0 && k > 0; again--) {
            put_times(out, "\n", rank - 1 - axis);
            put_times(out, " ", axis + 1);
            put(out, again > 0 ? "..." : "");
        }
        put_axis(out, l, axis + 1, item(l, axis, data, k));
    }
    put(out, "]");
}

static void put_tensor(sink *out, const cb_tensor *t) {
    layout l = {.of = t};
    char word[WORD_SIZE];
    if (t == NULL || (t->data == NULL && cb_tensor_count(t) > 0)) {
        put(out, "(no data)");
    } else if (cb_tensor_count(t) == 0) {
        put(out, "[]");
    } else if (t->rank == 0) {
        write_number(word, t, t->data);
        put(out, word);
    } else {
        l.summarised = cb_tensor_count(t) > SUMMARISED;
        measure(&l, 0, t->data);
        put_axis(out, &l, 0, t->data);
    }
}

size_t cb_tensor_format(const cb_tensor *t, char *buffer, size_t size) {
    sink out = {.buffer = buffer, .size = size};
    put_tensor(&out, t);
    terminate(&out);
    return out.length;
}

cb_status cb_tensor_print(const cb_tensor *t, FILE *stream) {
    sink out = {.stream = stream};
    put_tensor(&out, t);
    put(&out, "\n");
    return out.failed ? CB_ERROR_FILE : CB_OK;
}

char *cb_shape_format(const cb_tensor *t, char *buffer, size_t size) {
    sink out = {.buffer = buffer, .size = size};
    put(&out, "[");
    for (int i = 0; i < t->rank; i++) {
        char extent[24];
        cbi_format(extent, sizeof extent, "%s%" PRId64, i > 0 ? "," : "", t->shape[i]);
        put(&out, extent);
    }
    put(&out, "]");
    terminate(&out);
    return buffer;
}
