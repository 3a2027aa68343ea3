/* The safetensors writer and reader: what is written is read back, files of other writers are read,
   and no malformed file is accepted. */
#include "tensor/memory.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[CBT_PATH_SIZE];
static char path[CBT_PATH_SIZE];

static void setup(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "file.safetensors");
}

static void teardown(void) {
    cbi_allocation_fail_after(-1);
    cbt_directory_remove(directory);
}

TestSuite(safetensors, .init = setup, .fini = teardown);

/* Writes a file of a header and some bytes of data. */
static void write_raw(uint64_t claimed, const char *header, size_t length, size_t data) {
    unsigned char *bytes = calloc(1, 8 + length + data);
    cr_assert_not_null(bytes);
    memcpy(bytes, &claimed, 8);
    if (length > 0)
        memcpy(bytes + 8, header, length);
    cbt_write_file(path, bytes, 8 + length + data);
    free(bytes);
}

/* That a file of this header and `data` bytes is rejected as malformed, with a message that holds
   `reason` and the file's name. */
static void rejects(const char *header, size_t data, const char *reason) {
    cb_error error = {.status = CB_OK};
    write_raw(strlen(header), header, strlen(header), data);
    cb_safetensors *file = cb_safetensors_read(path, &error);
    cr_assert_null(file, "accepted: %s", header);
    cr_assert_eq(error.status, CB_ERROR_FORMAT, "%s", error.message);
    cr_assert_not_null(strstr(error.message, reason), "%s: \"%s\" does not say \"%s\"", header,
                       error.message, reason);
    cr_assert_not_null(strstr(error.message, path));
    cr_assert_null(cb_safetensors_read(path, NULL));
}

static cb_safetensors *read_good(void) {
    cb_error error;
    cb_safetensors *file = cb_safetensors_read(path, &error);
    cr_assert_not_null(file, "%s", error.message);
    cr_assert_eq(error.status, CB_OK);
    cr_assert_str_empty(error.message);
    return file;
}

static cb_safetensors *accepts(const char *header, size_t data) {
    write_raw(strlen(header), header, strlen(header), data);
    return read_good();
}

static float floats[] = {1, -2.5F, 3e-8F};
static double doubles[] = {0.1, -1e300, 3, 4, 5, 6};
static int32_t narrow[] = {INT32_MIN, 7};
static int64_t wide[] = {INT64_MAX};

static void write_sample(void) {
    cb_tensor a = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_tensor b = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 3), doubles);
    cb_tensor c = cb_tensor_wrap(CB_I32, CB_SHAPE(2, 1), narrow);
    cb_tensor d = cb_tensor_wrap(CB_I64, CB_SCALAR, wide);
    cb_tensor e = cb_tensor_wrap(CB_F32, CB_SHAPE(4, 0), NULL);
    cb_named_tensor tensors[] = {
        {"z", &a}, {"layer.0.weight", &b}, {"\xc3\xa9 \"quoted\"\n", &c}, {"A", &d}, {"empty", &e}};
    cb_metadata metadata[] = {{"step", "12"}, {"empty", ""}, {"\xe2\x82\xac", "\xf0\x9f\x98\x80"}};
    cb_error error;
    cr_assert_eq(cb_safetensors_write(path, 5, tensors, 3, metadata, &error), CB_OK, "%s",
                 error.message);
}

static void check_sample(const cb_safetensors *file) {
    static const char *const names[] = {"A", "empty", "layer.0.weight", "z",
                                        "\xc3\xa9 \"quoted\"\n"};
    cb_tensor a = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_tensor b = cb_tensor_wrap(CB_F64, CB_SHAPE(2, 3), doubles);
    cr_assert_eq(cb_safetensors_count(file), 5);
    for (int i = 0; i < 5; i++) {
        cb_named_tensor entry = cb_safetensors_at(file, i);
        cr_assert_str_eq(entry.name, names[i]);
        cr_assert_eq(cb_safetensors_find(file, names[i]), entry.tensor);
        uintptr_t address = (uintptr_t)entry.tensor->data;
        cr_assert_eq(address % cb_dtype_size(entry.tensor->dtype), 0);
    }
    cr_assert(cbt_close(cbt_find(file, "z"), &a, 0));
    cr_assert_eq(cbt_find(file, "z")->dtype, CB_F32);
    cr_assert(cbt_close(cbt_find(file, "layer.0.weight"), &b, 0));
    cr_assert_eq(cbt_find(file, "layer.0.weight")->dtype, CB_F64);
    const cb_tensor *c = cbt_find(file, names[4]), *d = cbt_find(file, "A");
    cr_assert(c->dtype == CB_I32 && c->rank == 2 && memcmp(c->data, narrow, sizeof narrow) == 0);
    cr_assert(d->dtype == CB_I64 && d->rank == 0 && memcmp(d->data, wide, sizeof wide) == 0);
    const cb_tensor *e = cbt_find(file, "empty");
    cr_assert(e->rank == 2 && e->shape[0] == 4 && e->shape[1] == 0 && e->data == NULL);
    cr_assert_str_eq(cbt_metadata(file, "step"), "12");
    cr_assert_str_eq(cbt_metadata(file, "empty"), "");
    cr_assert_str_eq(cbt_metadata(file, "\xe2\x82\xac"), "\xf0\x9f\x98\x80");
    cr_assert_null(cb_safetensors_metadata(file, "none"));
    cr_assert_null(cb_safetensors_find(file, "none"));
    cr_assert_null(cb_safetensors_at(file, 5).name);
    cr_assert_null(cb_safetensors_at(file, -1).tensor);
}

Test(safetensors, round_trip) {
    write_sample();
    cr_assert_eq(cbt_directory_count(directory), 1);
    cb_safetensors *file = read_good();
    check_sample(file);
    cb_safetensors_free(file);
}

/* Sorted keys, a header padded to a multiple of 8, wide dtypes first: the exact bytes. */
Test(safetensors, layout_of_a_file) {
    cb_tensor a = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_tensor b = cb_tensor_wrap(CB_I64, CB_SCALAR, wide);
    cb_named_tensor tensors[] = {{"b", &b}, {"a", &a}};
    cb_metadata metadata[] = {{"k", "v"}};
    const char *header = "{\"__metadata__\":{\"k\":\"v\"},"
                         "\"a\":{\"data_offsets\":[8,20],\"dtype\":\"F32\",\"shape\":[3]},"
                         "\"b\":{\"data_offsets\":[0,8],\"dtype\":\"I64\",\"shape\":[]}}";
    cr_assert_eq(cb_safetensors_write(path, 2, tensors, 1, metadata, NULL), CB_OK);
    size_t size, padded = (strlen(header) + 7) / 8 * 8;
    unsigned char *bytes = cbt_read_file(path, &size);
    uint64_t length;
    memcpy(&length, bytes, 8);
    cr_assert_eq(length, padded);
    cr_assert_eq(size, 8 + padded + 20);
    cr_assert_eq(memcmp(bytes + 8, header, strlen(header)), 0);
    for (size_t i = strlen(header); i < padded; i++)
        cr_assert_eq(bytes[8 + i], ' ');
    cr_assert_eq(memcmp(bytes + 8 + padded, wide, 8), 0);
    cr_assert_eq(memcmp(bytes + 8 + padded + 8, floats, 12), 0);
    free(bytes);
}

Test(safetensors, nothing_in_it) {
    cr_assert_eq(cb_safetensors_write(path, 0, NULL, 0, NULL, NULL), CB_OK);
    cb_safetensors *file = read_good();
    cr_assert_eq(cb_safetensors_count(file), 0);
    cr_assert_null(cb_safetensors_find(file, "a"));
    cr_assert_null(cb_safetensors_metadata(file, "a"));
    cb_safetensors_free(file);
    cb_safetensors_free(NULL);
}

/* Transposed, flipped, expanded and long strided tensors are written in row-major order. */
Test(safetensors, strided) {
    enum { LONG = 3000 };
    static double numbers[LONG * 2];
    for (int i = 0; i < LONG * 2; i++)
        numbers[i] = i;
    cb_tensor t = {.dtype = CB_F64, .rank = 2, .shape = {3, 2}, .stride = {1, 3}, .data = numbers};
    cb_tensor flipped = {.dtype = CB_F64,
                         .rank = 1,
                         .shape = {LONG},
                         .stride = {-2},
                         .data = numbers + LONG * 2 - 1};
    cb_tensor expanded = {
        .dtype = CB_F64, .rank = 3, .shape = {2, 2, 3}, .stride = {0, 3, 1}, .data = numbers};
    cb_named_tensor tensors[] = {{"t", &t}, {"f", &flipped}, {"e", &expanded}};
    cr_assert_eq(cb_safetensors_write(path, 3, tensors, 0, NULL, NULL), CB_OK);
    cb_safetensors *file = read_good();
    for (int i = 0; i < 3; i++) {
        const cb_tensor *read = cbt_find(file, tensors[i].name);
        cr_assert(cb_tensor_is_contiguous(read));
        cr_assert(cbt_close(read, tensors[i].tensor, 0), "%s", tensors[i].name);
    }
    cb_safetensors_free(file);
}

/* Files that Python wrote: the reference vectors. */
Test(safetensors, of_another_writer) {
    cb_safetensors *file = cbt_reference("optimizer_sgd");
    cr_assert_str_eq(cbt_metadata(file, "optimizer"), "sgd");
    const cb_tensor *t = cbt_find(file, "grads.0");
    cr_assert(t->dtype == CB_F32 && t->rank == 3);
    cr_assert(t->shape[0] == 10 && t->shape[1] == 7 && t->shape[2] == 5);
    cb_safetensors_free(file);
    file = cbt_reference("embedding");
    cr_assert_eq(cbt_find(file, "input")->dtype, CB_I64);
    cb_safetensors_free(file);
    file = cbt_reference("schedule_step");
    cr_assert_eq(cbt_find(file, "lr")->dtype, CB_F64);
    cr_assert_eq(cb_tensor_get(cbt_find(file, "lr"), (int64_t[]){0}),
                 strtod(cbt_metadata(file, "base_lr"), NULL));
    cb_safetensors_free(file);
}

/* A header of any length puts the data at any address; tensors are aligned all the same. */
Test(safetensors, unaligned_data) {
    for (int spaces = 0; spaces < 8; spaces++) {
        char header[256];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                 "\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[4,20]},"
                 "\"c\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[20,24]}}%*s",
                 spaces, "");
        size_t length = strlen(header);
        unsigned char bytes[8 + sizeof header + 24];
        uint64_t claimed = length;
        int32_t seven = 7;
        memcpy(bytes, &claimed, 8);
        memcpy(bytes + 8, header, length);
        memcpy(bytes + 8 + length, floats, 4);
        memcpy(bytes + 12 + length, doubles, 16);
        memcpy(bytes + 28 + length, &seven, 4);
        cbt_write_file(path, bytes, 8 + length + 24);
        cb_safetensors *file = read_good();
        for (int i = 0; i < 3; i++) {
            const cb_tensor *t = cb_safetensors_at(file, i).tensor;
            cr_assert_eq((uintptr_t)t->data % cb_dtype_size(t->dtype), 0);
        }
        cr_assert_eq(*(float *)cbt_find(file, "a")->data, floats[0]);
        cr_assert_eq(((double *)cbt_find(file, "b")->data)[1], doubles[1]);
        cr_assert_eq(*(int32_t *)cbt_find(file, "c")->data, 7);
        cb_safetensors_free(file);
    }
}

#define ENTRY(dtype, shape, begin, end)                                                            \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

Test(safetensors, accepts_what_is_unusual) {
    cb_safetensors_free(accepts("{}", 0));
    cb_safetensors_free(accepts(" {\"__metadata__\":null}", 0));
    cb_safetensors_free(accepts("{\"a\":" ENTRY("F32", "[1]", 0, 4) "}   \n", 4));
    cb_safetensors_free(accepts("{\"b\":" ENTRY("F32", "[1]", 4, 8) ",\"a\":" ENTRY(
                                    "F32", "[0]", 4, 4) ",\"c\":" ENTRY("I32", "[1]", 0, 4) "}",
                                8));
    cb_safetensors_free(accepts("{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1]", 0, 4) "}", 4));
    cb_safetensors_free(
        accepts("{\"a\":{\"more\":1,\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4));
}

Test(safetensors, rejects_header) {
    rejects("", 0, "header, byte");
    rejects("[]", 0, "no JSON object");
    rejects("{", 0, "header, byte");
    rejects("{} x", 0, "header, byte");
    rejects("{\"a\":1", 0, "header, byte");
    rejects("{\"a\xff\":1}", 0, "unable to decode");
    rejects("{\"__metadata__\":{\"a\":\"\xc3\"}}", 0, "header, byte");
    rejects("{\"a\\u0000b\":1}", 0, "header, byte");
    rejects("{\"a\":1}", 0, "\"a\": needs a dtype");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 4) ",\"a\":" ENTRY("F32", "[1]", 4, 8) "}", 8,
            "duplicate");
    rejects("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
            "duplicate");
    rejects("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate");
    rejects("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    rejects("{\"__metadata__\":\"a\"}", 0, "not an object");
}

Test(safetensors, rejects_entry) {
    rejects("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "needs a dtype");
    rejects("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a shape");
    rejects("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets");
    rejects("{\"a\":" ENTRY("F99", "[2]", 0, 4) "}", 4, "dtype that the format does not have");
    rejects("{\"a\":" ENTRY("f32", "[1]", 0, 4) "}", 4, "dtype that the format does not have");
    rejects("{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "needs a dtype");
    rejects("{\"a\":" ENTRY("F32", "{}", 0, 4) "}", 4, "a shape");
    rejects("{\"a\":" ENTRY("F32", "[-1]", 0, 4) "}", 4, "integer of 0 or more");
    rejects("{\"a\":" ENTRY("F32", "[1.0]", 0, 4) "}", 4, "integer of 0 or more");
    rejects("{\"a\":" ENTRY("F32", "[\"1\"]", 0, 4) "}", 4, "integer of 0 or more");
    rejects("{\"a\":" ENTRY("F32", "[4611686018427387905]", 0, 4) "}", 4, "do not agree");
    rejects("{\"a\":" ENTRY("F64", "[4294967296,4294967296]", 0, 0) "}", 0, "do not agree");
    rejects("{\"a\":" ENTRY("F32", "[99999999999999999999]", 0, 4) "}", 4, "header, byte");
}

Test(safetensors, rejects_offsets) {
    rejects("{\"a\":" ENTRY("F32", "[1]", -4, 0) "}", 4, "data_offsets that");
    rejects("{\"a\":" ENTRY("F32", "[1]", 4, 0) "}", 4, "data_offsets that");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0.0, 4) "}", 4, "data_offsets that");
    rejects("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets");
    rejects("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4,
            "data_offsets");
    rejects("{\"a\":" ENTRY("F32", "[2]", 0, 4) "}", 4, "do not agree");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 8) "}", 8, "do not agree");
    rejects("{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 4, "beyond the end");
    rejects("{\"a\":" ENTRY("F32", "[1]", 9223372036854775803, 9223372036854775807) "}", 4, "gap");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 4) "}", 5, "1 bytes at the end");
    rejects("{}", 1, "1 bytes at the end");
    rejects("{\"a\":" ENTRY("F32", "[1]", 4, 8) "}", 8, "gap");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 4) ",\"b\":" ENTRY("F32", "[1]", 8, 12) "}", 12,
            "gap");
    rejects("{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[1]", 4, 8) "}", 8,
            "overlaps");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 4) ",\"b\":" ENTRY("F32", "[1]", 0, 4) "}", 4,
            "overlaps");
    rejects("{\"a\":" ENTRY("F32", "[1]", 0, 4) ",\"b\":" ENTRY("F32", "[0]", 2, 2) "}", 4,
            "overlaps");
}

Test(safetensors, rejects_length_of_header) {
    static const uint64_t lengths[] = {3,         100000000,      100000001,
                                       INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        cb_error error;
        write_raw(lengths[i], "{}", 2, 0);
        cr_assert_null(cb_safetensors_read(path, &error));
        cr_assert_eq(error.status, CB_ERROR_FORMAT);
    }
}

Test(safetensors, rejects_every_truncation_and_extension) {
    write_sample();
    size_t size;
    unsigned char *bytes = cbt_read_file(path, &size);
    bytes[size] = 0;
    for (size_t kept = 0; kept <= size + 1; kept++) {
        cb_error error;
        cbt_write_file(path, bytes, kept);
        cb_safetensors *file = cb_safetensors_read(path, &error);
        cr_assert_eq(file != NULL, kept == size, "%zu of %zu bytes", kept, size);
        cr_assert_eq(error.status, kept == size ? CB_OK : CB_ERROR_FORMAT);
        cb_safetensors_free(file);
    }
    free(bytes);
}

Test(safetensors, cannot_be_opened) {
    cb_error error;
    cr_assert_null(cb_safetensors_read(path, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_null(cb_safetensors_read(directory, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_not_null(strstr(error.message, directory));
}

/* Each write fails with the status, says why, and leaves the file that was there. */
static void refuses(int count, const cb_named_tensor *tensors, int metadata_count,
                    const cb_metadata *metadata, const char *reason) {
    cb_error error = {.status = CB_OK};
    cr_assert_eq(cb_safetensors_write(path, count, tensors, metadata_count, metadata, &error),
                 CB_ERROR_VALUE);
    cr_assert_eq(error.status, CB_ERROR_VALUE);
    cr_assert_not_null(strstr(error.message, reason), "\"%s\" does not say \"%s\"", error.message,
                       reason);
    cr_assert_eq(cbt_directory_count(directory), 1);
    cb_safetensors *file = read_good();
    check_sample(file);
    cb_safetensors_free(file);
}

Test(safetensors, refuses_to_write) {
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_tensor no_data = cb_tensor_wrap(CB_F32, CB_SHAPE(3), NULL);
    write_sample();
    refuses(2, (cb_named_tensor[]){{"a", &t}, {"a", &t}}, 0, NULL, "twice");
    refuses(1, (cb_named_tensor[]){{"", &t}}, 0, NULL, "name");
    refuses(1, (cb_named_tensor[]){{NULL, &t}}, 0, NULL, "name");
    refuses(1, (cb_named_tensor[]){{"__metadata__", &t}}, 0, NULL, "taken");
    refuses(1, (cb_named_tensor[]){{"a\xff", &t}}, 0, NULL, "UTF-8");
    refuses(1, (cb_named_tensor[]){{"a", NULL}}, 0, NULL, "no such tensor");
    refuses(1, (cb_named_tensor[]){{"a", &no_data}}, 0, NULL, "no data");
    refuses(-1, NULL, 0, NULL, "negative");
    refuses(0, NULL, 2, (cb_metadata[]){{"k", "1"}, {"k", "2"}}, "twice");
    refuses(0, NULL, 1, (cb_metadata[]){{"k", "\xed\xa0\x80"}}, "UTF-8");
    refuses(0, NULL, 1, (cb_metadata[]){{"\x80", "v"}}, "UTF-8");
    refuses(0, NULL, 1, (cb_metadata[]){{"k", NULL}}, "UTF-8");
}

Test(safetensors, target_that_cannot_be_written) {
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_named_tensor entry = {"a", &t};
    char missing[CBT_PATH_SIZE];
    cb_error error;
    cr_assert_eq(
        cb_safetensors_write(cbt_join(missing, directory, "none/f"), 1, &entry, 0, NULL, &error),
        CB_ERROR_FILE);
    cr_assert_not_null(strstr(error.message, missing));
    cr_assert_eq(cb_safetensors_write(directory, 1, &entry, 0, NULL, &error), CB_ERROR_FILE);
    cr_assert_eq(cb_safetensors_write("/proc/none", 1, &entry, 0, NULL, NULL), CB_ERROR_FILE);
    cr_assert_eq(cb_safetensors_write("/dev/full", 1, &entry, 0, NULL, &error), CB_ERROR_FILE);
    cr_assert_eq(cbt_directory_count(directory), 0);
    if (geteuid() != 0) { /* root may write anywhere */
        write_sample();
        cr_assert_eq(chmod(directory, 0500), 0);
        cr_assert_eq(cb_safetensors_write(path, 1, &entry, 0, NULL, &error), CB_ERROR_FILE);
        cr_assert_eq(chmod(directory, 0700), 0);
        cb_safetensors *file = read_good();
        check_sample(file);
        cb_safetensors_free(file);
    }
}

/* With every allocation failing in turn, nothing leaks and the file that was there stays. */
Test(safetensors, no_memory_to_write) {
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_named_tensor entry = {"a", &t};
    int failed = 0;
    for (;; failed++) {
        cb_error error;
        write_sample();
        cbi_allocation_fail_after(failed);
        cb_status status = cb_safetensors_write(path, 1, &entry, 0, NULL, &error);
        cbi_allocation_fail_after(-1);
        cr_assert_eq(cbt_directory_count(directory), 1);
        cb_safetensors *file = read_good();
        if (status == CB_OK)
            cr_assert_eq(cb_safetensors_count(file), 1);
        else
            check_sample(file);
        cb_safetensors_free(file);
        if (status == CB_OK)
            break;
        cr_assert_eq(status, CB_ERROR_MEMORY);
        cr_assert_eq(error.status, CB_ERROR_MEMORY);
    }
    cr_assert_geq(failed, 3);
}

Test(safetensors, no_memory_to_read) {
    write_sample();
    int failed = 0;
    for (;; failed++) {
        cb_error error;
        cbi_allocation_fail_after(failed);
        cb_safetensors *file = cb_safetensors_read(path, &error);
        cbi_allocation_fail_after(-1);
        cb_safetensors_free(file);
        if (file != NULL)
            break;
        cr_assert_eq(error.status, CB_ERROR_MEMORY);
    }
    cr_assert_geq(failed, 3);
}

/* Permissions and symbolic links of the target survive its replacement. */
Test(safetensors, keeps_mode_and_link) {
    char link[CBT_PATH_SIZE];
    struct stat status;
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(3), floats);
    cb_named_tensor entry = {"a", &t};
    write_sample();
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(symlink("file.safetensors", cbt_join(link, directory, "link")), 0);
    cr_assert_eq(cb_safetensors_write(link, 1, &entry, 0, NULL, NULL), CB_OK);
    cr_assert(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    cr_assert(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640);
    cb_safetensors *file = read_good();
    cr_assert_eq(cb_safetensors_count(file), 1);
    cb_safetensors_free(file);
}
