/* The .npy writer and reader, with files that NumPy wrote (tests/reference/numpy_npy.py). */
#include "tensor/memory.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

static char directory[CBT_PATH_SIZE];
static char path[CBT_PATH_SIZE];

static void setup(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "file.npy");
}

static void teardown(void) {
    cbi_allocation_fail_after(-1);
    cbt_directory_remove(directory);
}

TestSuite(npy, .init = setup, .fini = teardown);

/* The path of a stored file. */
static const char *stored(const char *name) {
    char relative[128];
    snprintf(relative, sizeof relative, "tests/reference/npy/%s.npy", name);
    return cbt_source_path(relative);
}

static cb_tensor *read_good(const char *file) {
    cb_error error;
    cb_tensor *t = cb_npy_read(file, &error);
    cr_assert_not_null(t, "%s", error.message);
    cr_assert_eq(error.status, CB_OK);
    cr_assert_str_empty(error.message);
    return t;
}

/* The array that the script stored: element k is k / 2 - 3 or 1000 k - 3. */
static cb_tensor *expected_array(cb_dtype dtype, int rank, const int64_t *shape) {
    cb_tensor *t = cb_tensor_new(dtype, rank, shape);
    cr_assert_not_null(t);
    for (int64_t k = 0; k < cb_tensor_count(t); k++)
        if (dtype == CB_F32)
            ((float *)t->data)[k] = (float)k / 2 - 3;
        else if (dtype == CB_F64)
            ((double *)t->data)[k] = (double)k / 2 - 3;
        else if (dtype == CB_I32)
            ((int32_t *)t->data)[k] = (int32_t)(1000 * k - 3);
        else
            ((int64_t *)t->data)[k] = 1000 * k - 3;
    return t;
}

/* Reads a stored file; when it is one we would write (C order, version 1.0), also writes it and
   compares all bytes. */
static void check_stored(const char *name, bool same_bytes, cb_dtype dtype, int rank,
                         const int64_t *shape) {
    cb_tensor *expected = expected_array(dtype, rank, shape), *read = read_good(stored(name));
    cr_assert_eq(read->dtype, dtype, "%s", name);
    cr_assert(cb_tensor_is_contiguous(read), "%s", name);
    cr_assert(cbt_close(read, expected, 0), "%s", name);
    cb_tensor_free(read);
    if (same_bytes) {
        size_t size, written_size;
        unsigned char *bytes = cbt_read_file(stored(name), &size);
        cr_assert_eq(cb_npy_write(path, expected, NULL), CB_OK);
        unsigned char *written = cbt_read_file(path, &written_size);
        cr_assert_eq(written_size, size, "%s", name);
        cr_assert_eq(memcmp(written, bytes, size), 0, "%s", name);
        free(written);
        free(bytes);
    }
    cb_tensor_free(expected);
}

Test(npy, reads_and_writes_as_numpy) {
    check_stored("f4_matrix", true, CB_F32, CB_SHAPE(3, 4));
    check_stored("f8_vector", true, CB_F64, CB_SHAPE(5));
    check_stored("i4_cube", true, CB_I32, CB_SHAPE(2, 3, 4));
    check_stored("i8_column", true, CB_I64, CB_SHAPE(6, 1));
    check_stored("f4_scalar", true, CB_F32, CB_SCALAR);
    check_stored("f8_empty", true, CB_F64, CB_SHAPE(2, 0, 3));
    check_stored("i8_eight_axes", true, CB_I64, CB_SHAPE(1, 2, 1, 2, 1, 2, 1, 2));
    check_stored("f4_fortran", false, CB_F32, CB_SHAPE(3, 4));
    check_stored("i8_fortran_cube", false, CB_I64, CB_SHAPE(2, 3, 4));
    check_stored("f8_fortran_wide", false, CB_F64, CB_SHAPE(2, 5, 1, 3));
    check_stored("version_2", false, CB_F32, CB_SHAPE(3, 4));
    check_stored("version_3", false, CB_F32, CB_SHAPE(3, 4));
}

Test(npy, writes_strided) {
    float numbers[12];
    for (int i = 0; i < 12; i++)
        numbers[i] = (float)i;
    cb_tensor t = {
        .dtype = CB_F32, .rank = 2, .shape = {4, 3}, .stride = {-1, 4}, .data = numbers + 3};
    cr_assert_eq(cb_npy_write(path, &t, NULL), CB_OK);
    cb_tensor *read = read_good(path);
    cr_assert(cbt_close(read, &t, 0));
    cb_tensor_free(read);
}

/* That the file is rejected with a status, and a message that holds `reason` and the file's name.
 */
static void rejects_with(const char *file, cb_status status, const char *reason) {
    cb_error error = {.status = CB_OK};
    cr_assert_null(cb_npy_read(file, &error), "accepted, in spite of \"%s\"", reason);
    cr_assert_eq(error.status, status, "%s", error.message);
    cr_assert_not_null(strstr(error.message, reason), "\"%s\" does not say \"%s\"", error.message,
                       reason);
    cr_assert_eq(strncmp(error.message, file, strlen(file)), 0);
    cr_assert_null(cb_npy_read(file, NULL));
}

static void rejects_file(const char *file, const char *reason) {
    rejects_with(file, CB_ERROR_FORMAT, reason);
}

Test(npy, rejects_what_numpy_can_do_but_we_cannot) {
    rejects_with(stored("nine_axes"), CB_ERROR_DTYPE, "more than 8 axes");
    rejects_with(stored("complex"), CB_ERROR_DTYPE, "complex");
    rejects_with(stored("text"), CB_ERROR_DTYPE, "a type that no tensor holds");
    rejects_file(stored("structured"), "descr is not a string");
}

/* Elements of other types are widened, and bytes reversed; values are those of NumPy. */
Test(npy, reads_every_type_of_number) {
    static const struct {
        const char *name;
        cb_dtype dtype;
        double values[4];
    } cases[] = {
        {"u1", CB_I32, {0, 1, 254, 255}},
        {"i1", CB_I32, {-128, -1, 0, 127}},
        {"u2", CB_I32, {0, 1, 258, 65535}},
        {"u2_big", CB_I32, {0, 1, 258, 65535}},
        {"i2", CB_I32, {-32768, -2, 258, 32767}},
        {"i2_big", CB_I32, {-32768, -2, 258, 32767}},
        {"u4", CB_I64, {0, 1, 16909060, 4294967295}},
        {"u8", CB_I64, {0, 1, 258, 4294967296}},
        {"i4_big", CB_I32, {-2, 0, 16909060, 2147483647}},
        {"i8_big", CB_I64, {-2, 0, 258, 4294967296}},
        {"f2", CB_F32, {0.5, -65504, 0.00006103515625, 3}},
        {"f2_big", CB_F32, {0.5, -65504, 0.00006103515625, 3}},
        {"f4_big", CB_F32, {0.5, -65504, 0.00006103515625, 3}},
        {"f8_big", CB_F64, {0.5, -65504, 1e300, 3}},
        {"f8_big_fortran", CB_F64, {0.5, -65504, 1e300, 3}},
        {"b1", CB_I32, {0, 1, 1, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cb_tensor *t = read_good(stored(cases[i].name));
        cr_assert_eq(t->dtype, cases[i].dtype, "%s", cases[i].name);
        cr_assert_eq(cb_tensor_count(t), 4);
        for (int64_t k = 0; k < 4; k++) {
            int64_t index[2] = {k / 2, k % 2};
            cr_assert_eq(cb_tensor_get(t, index), cases[i].values[k], "%s", cases[i].name);
        }
        cb_tensor_free(t);
        t = cb_npy_read_as(stored(cases[i].name), CB_F64, NULL);
        cr_assert_eq(cb_tensor_get(t, (int64_t[]){1, 0}), cases[i].values[2], "%s", cases[i].name);
        cb_tensor_free(t);
    }
    cb_error error;
    cr_assert_null(cb_npy_read_as(stored("f8_big"), CB_F32, &error));
    cr_assert_eq(error.status, CB_ERROR_VALUE);
    cr_assert_not_null(strstr(error.message, "npy: element 2 is a value that f32"), "%s",
                       error.message);
}

static void write_raw(int major, size_t claimed, const char *header, size_t data) {
    unsigned char bytes[1024] = "\x93NUMPY";
    size_t length = strlen(header), at = major == 2 ? 12 : 10;
    cr_assert(at + length + data <= sizeof bytes);
    bytes[6] = (unsigned char)major;
    for (size_t i = 8; i < at; i++)
        bytes[i] = (unsigned char)(claimed >> 8 * (i - 8));
    memcpy(bytes + at, header, length);
    cbt_write_file(path, bytes, at + length + data);
}

static void accepts(const char *header, size_t data) {
    write_raw(1, strlen(header), header, data);
    cb_tensor_free(read_good(path));
}

static void rejects(const char *header, size_t data, const char *reason) {
    write_raw(1, strlen(header), header, data);
    rejects_file(path, reason);
}

#define START "{'descr': '<f4', 'fortran_order': False, 'shape': "

Test(npy, accepts_other_spellings) {
    accepts(START "(2,)}", 8);
    accepts(START "(2 , 1 , ) , } \n", 8);
    accepts(START "(0,)}", 0);
    accepts(START "(1L, 2L)}", 8);
    accepts("{'descr': '=f4', 'fortran_order': False, 'shape': (2,)}", 8);
    accepts("{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}", 8);
    accepts("{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", 2);
    accepts("{'descr': '?', 'fortran_order': False, 'shape': (2,)}", 2);
    accepts("{\"shape\":(1,1),\"fortran_order\":True,\"descr\":\"<i8\"}", 8);
    accepts("{ 'shape' : ( ) , 'descr' : '<f8' , 'fortran_order' : True }", 8);
}

Test(npy, rejects_header) {
    rejects("", 0, "not a dictionary");
    rejects("{}", 0, "missing");
    rejects("()", 0, "not a dictionary");
    rejects(START "(2,)", 8, "comma");
    rejects(START "(2,), ", 8, "dictionary of strings");
    rejects(START "(2,)} x", 8, "after the dictionary");
    rejects("{'descr': '<f4', 'fortran_order': False}", 4, "missing");
    rejects("{'descr': '<f4', 'shape': (1,)}", 4, "missing");
    rejects("{'fortran_order': False, 'shape': (1,)}", 4, "missing");
    rejects(START "(1,), 'shape': (1,)}", 4, "twice");
    rejects(START "(1,), 'more': 1}", 4, "a key other than");
    rejects(START "(1,) 'descr': '<f4'}", 4, "comma");
    rejects("{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}", 4, "header, byte");
    rejects("{'descr': '<f4", 4, "not a string");
    rejects("{'descr': '<f4\", 'fortran_order': False, \"shape\": (1,)}", 4, "header, byte");
    rejects("{'descr': 4, 'fortran_order': False, 'shape': (1,)}", 4, "not a string");
    rejects("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, "True or False");
}

Test(npy, rejects_shape) {
    rejects(START "(2)}", 8, "not a tuple");
    rejects(START "[2]}", 8, "not a tuple");
    rejects(START "(1 2)}", 8, "not a tuple");
    rejects(START "(,)}", 4, "integer of 0 or more");
    rejects(START "(-1,)}", 4, "integer of 0 or more");
    rejects(START "(1.0,)}", 4, "not a tuple");
    rejects(START "(2,", 8, "integer of 0 or more");
    rejects(START "(9223372036854775808,)}", 4, "integer of 0 or more");
    rejects(START "(9223372036854775807,)}", 4, "too large");
    rejects(START "(4294967296,4294967296)}", 0, "too large");
    rejects(START "(3,)}", 8, "8 bytes of elements instead of 12");
    rejects(START "(1,)}", 8, "8 bytes of elements instead of 4");
}

Test(npy, rejects_prefix) {
    const char *header = START "(2,)}";
    write_raw(1, strlen(header) + 100, header, 8);
    rejects_file(path, "a header of");
    write_raw(2, 0xffffffff, header, 8);
    rejects_file(path, "a header of");
    write_raw(0, strlen(header), header, 8);
    rejects_file(path, "version 0.0");
    write_raw(4, strlen(header), header, 8);
    rejects_file(path, "version 4.0");
    cbt_write_file(path, "\x93NUMPX\1\0\0\0\0\0", 12);
    rejects_file(path, "not an .npy file");
}

Test(npy, rejects_every_truncation_and_extension) {
    static const char *const names[] = {"f4_matrix", "i8_fortran_cube", "version_2", "f4_scalar"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        unsigned char *bytes = cbt_read_file(stored(names[i]), &size);
        bytes[size] = 0;
        for (size_t kept = 0; kept <= size + 1; kept++) {
            cb_error error;
            cbt_write_file(path, bytes, kept);
            cb_tensor *t = cb_npy_read(path, &error);
            cr_assert_eq(t != NULL, kept == size, "%s: %zu of %zu bytes", names[i], kept, size);
            cr_assert_eq(error.status, kept == size ? CB_OK : CB_ERROR_FORMAT);
            cb_tensor_free(t);
        }
        free(bytes);
    }
}

Test(npy, files_that_cannot_be) {
    float value = 1;
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SCALAR, &value);
    cb_tensor no_data = cb_tensor_wrap(CB_F32, CB_SCALAR, NULL);
    cb_error error;
    cr_assert_null(cb_npy_read(path, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_eq(cb_npy_write(directory, &t, &error), CB_ERROR_FILE);
    cr_assert_eq(cb_npy_write("/dev/full", &t, &error), CB_ERROR_FILE);
    cr_assert_eq(cb_npy_write(path, &no_data, &error), CB_ERROR_VALUE);
    cr_assert_eq(cb_npy_write(path, NULL, &error), CB_ERROR_VALUE);
    cr_assert_eq(cbt_directory_count(directory), 0);
}

Test(npy, no_memory) {
    cb_tensor *t = expected_array(CB_F32, CB_SHAPE(3, 4));
    cr_assert_eq(cb_npy_write(path, t, NULL), CB_OK);
    for (int failed = 0; failed < 2; failed++) {
        cb_error error;
        cbi_allocation_fail_after(failed);
        cr_assert_null(cb_npy_read(path, &error));
        cr_assert_eq(error.status, CB_ERROR_MEMORY);
        cbi_allocation_fail_after(failed);
        cr_assert_eq(cb_npy_write(path, t, &error), CB_ERROR_MEMORY);
        cbi_allocation_fail_after(-1);
        cr_assert_eq(cbt_directory_count(directory), 1);
    }
    cb_tensor *read = read_good(path);
    cr_assert(cbt_close(read, t, 0));
    cb_tensor_free(read);
    cb_tensor_free(t);
}
