/* Reference vectors, comparison and temporary files for all tests; see support.h. */
#include "tests/support.h"

#include <criterion/logging.h>
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CB_TEST_SOURCE_DIR
#define CB_TEST_SOURCE_DIR "."
#endif

const char *cbt_source_path(const char *relative) {
    static char path[4096];
    const char *root = getenv("CB_TEST_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/%s", root == NULL ? CB_TEST_SOURCE_DIR : root, relative);
    return path;
}

cb_safetensors *cbt_reference(const char *name) {
    char relative[256];
    cb_error error;
    snprintf(relative, sizeof relative, "tests/reference/%s.safetensors", name);
    cb_safetensors *file = cb_safetensors_read(cbt_source_path(relative), &error);
    cr_assert_not_null(file, "%s", error.message);
    return file;
}

const cb_tensor *cbt_find(const cb_safetensors *file, const char *name) {
    const cb_tensor *t = cb_safetensors_find(file, name);
    cr_assert_not_null(t, "the reference file has no tensor \"%s\"", name);
    return t;
}

const char *cbt_metadata(const cb_safetensors *file, const char *key) {
    const char *value = cb_safetensors_metadata(file, key);
    cr_assert_not_null(value, "the reference file has no metadata \"%s\"", key);
    return value;
}

/* The multi-index of an element counted in row-major order, and the element. */
static const char *element(const cb_tensor *t, int64_t position, int64_t *index) {
    const char *data = t->data;
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        index[axis] = position % t->shape[axis];
        position /= t->shape[axis];
        data += index[axis] * t->stride[axis] * (int64_t)cb_dtype_size(t->dtype);
    }
    return data;
}

static double as_double(const cb_tensor *t, int64_t position) {
    int64_t index[CB_MAX_RANK];
    element(t, position, index);
    return cb_tensor_get(t, index);
}

static int64_t as_integer(const cb_tensor *t, int64_t position) {
    int64_t index[CB_MAX_RANK], wide = 0;
    int32_t narrow = 0;
    const char *data = element(t, position, index);
    if (t->dtype == CB_I64)
        memcpy(&wide, data, sizeof wide);
    else
        memcpy(&narrow, data, sizeof narrow);
    return t->dtype == CB_I64 ? wide : narrow;
}

/* Logs a difference with the position in brackets; returns false. */
static bool differs(const cb_tensor *t, int64_t position, double allowed) {
    int64_t index[CB_MAX_RANK];
    char place[CB_MAX_RANK * 24] = "";
    element(t, position, index);
    for (int axis = 0; axis < t->rank; axis++)
        snprintf(place + strlen(place), sizeof place - strlen(place), "%s%" PRId64,
                 axis == 0 ? "" : ", ", index[axis]);
    cr_log_error("first difference at [%s], where %.3g is allowed:", place, allowed);
    return false;
}

static bool close_floats(const cb_tensor *actual, const cb_tensor *expected, double tolerance) {
    int64_t count = cb_tensor_count(expected);
    double largest = 1;
    for (int64_t i = 0; i < count; i++) {
        double magnitude = fabs(as_double(expected, i));
        if (isfinite(magnitude) && magnitude > largest)
            largest = magnitude;
    }
    for (int64_t i = 0; i < count; i++) {
        double a = as_double(actual, i), b = as_double(expected, i);
        bool close = isfinite(a) && isfinite(b) ? fabs(a - b) <= tolerance * largest : a == b;
        if (!close) {
            differs(expected, i, tolerance * largest);
            cr_log_error("%.17g instead of %.17g", a, b);
            return false;
        }
    }
    return true;
}

bool cbt_close(const cb_tensor *actual, const cb_tensor *expected, double tolerance) {
    char shapes[2][200];
    if (actual == NULL || expected == NULL) {
        cr_log_error("cannot compare: %s is NULL", actual == NULL ? "actual" : "expected");
        return false;
    }
    if (!cb_tensor_same_shape(actual, expected)) {
        cr_log_error("shape %s instead of %s", cb_shape_format(actual, shapes[0], sizeof shapes[0]),
                     cb_shape_format(expected, shapes[1], sizeof shapes[1]));
        return false;
    }
    int64_t count = cb_tensor_count(expected);
    if (count > 0 && (actual->data == NULL || expected->data == NULL)) {
        cr_log_error("cannot compare: %s has no data",
                     actual->data == NULL ? "actual" : "expected");
        return false;
    }
    if (cb_dtype_is_float(actual->dtype) || cb_dtype_is_float(expected->dtype))
        return close_floats(actual, expected, tolerance);
    for (int64_t i = 0; i < count; i++) {
        if (as_integer(actual, i) != as_integer(expected, i)) {
            differs(expected, i, 0);
            cr_log_error("%" PRId64 " instead of %" PRId64, as_integer(actual, i),
                         as_integer(expected, i));
            return false;
        }
    }
    return true;
}

void cbt_expect_failure(cb_tape *tape, cb_status status, const char *part) {
    cr_expect_eq(cb_tape_status(tape), status, "%s for %s: %s",
                 cb_status_name(cb_tape_status(tape)), part, cb_tape_error(tape));
    cr_expect(strstr(cb_tape_error(tape), part) != NULL, "\"%s\" has no \"%s\"",
              cb_tape_error(tape), part);
    cb_tape_reset(tape);
}

void cbt_directory_make(char directory[CBT_PATH_SIZE]) {
    const char *parent = getenv("TMPDIR");
    snprintf(directory, CBT_PATH_SIZE, "%s/cerebra-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    cr_assert_not_null(mkdtemp(directory));
}

/* The next entry other than "." and "..", NULL after the last. */
static const struct dirent *next_file(DIR *listing) {
    const struct dirent *file;
    do
        file = readdir(listing);
    while (file != NULL && (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0));
    return file;
}

int cbt_directory_count(const char *directory) {
    DIR *listing = opendir(directory);
    int count = 0;
    cr_assert_not_null(listing);
    while (next_file(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}

void cbt_directory_remove(const char *directory) {
    char path[CBT_PATH_SIZE];
    const struct dirent *file;
    DIR *listing = opendir(directory);
    cr_assert_not_null(listing);
    while ((file = next_file(listing)) != NULL)
        unlink(cbt_join(path, directory, file->d_name));
    closedir(listing);
    cr_assert_eq(rmdir(directory), 0);
}

const char *cbt_join(char path[CBT_PATH_SIZE], const char *directory, const char *name) {
    int length = snprintf(path, CBT_PATH_SIZE, "%s/%s", directory, name);
    cr_assert(length > 0 && length < CBT_PATH_SIZE);
    return path;
}

void cbt_write_file(const char *path, const void *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    cr_assert_not_null(stream, "cannot write %s", path);
    bool ok = size == 0 || fwrite(bytes, size, 1, stream) == 1;
    cr_assert(fclose(stream) == 0 && ok, "cannot write %s", path);
}

unsigned char *cbt_read_file(const char *path, size_t *size) {
    FILE *stream = fopen(path, "rb");
    cr_assert_not_null(stream, "cannot read %s", path);
    cr_assert_eq(fseek(stream, 0, SEEK_END), 0);
    long length = ftell(stream);
    rewind(stream);
    unsigned char *bytes = malloc((size_t)length + 1);
    cr_assert(bytes != NULL && fread(bytes, 1, (size_t)length, stream) == (size_t)length);
    fclose(stream);
    *size = (size_t)length;
    return bytes;
}

/* y_r = x_r, times r + 1 where rows are numbered. */
static cb_status copy_rows(const cb_call *call, bool numbered) {
    int64_t index[CB_MAX_RANK] = {0};
    for (int64_t i = 0; i < cb_tensor_count(call->out); i++) {
        double factor = numbered ? (double)(index[0] + 1) : 1;
        cb_tensor_set(call->out, index, factor * cb_tensor_get(call->in[0], index));
        for (int k = call->out->rank - 1; k >= 0 && ++index[k] == call->out->shape[k]; k--)
            index[k] = 0;
    }
    return CB_OK;
}

cb_status cbt_copy_forward(const cb_call *call) {
    return copy_rows(call, false);
}

cb_status cbt_number_forward(const cb_call *call) {
    return copy_rows(call, true);
}

const cb_setting *cbt_small(const cb_cell *cell) {
    static const cb_setting small[] = {{"projection", 3}, {NULL, 0}};
    for (int i = 0; i < cell->setting_count; i++)
        if (strcmp(cell->settings[i].name, small[0].name) == 0)
            return small;
    return NULL;
}
