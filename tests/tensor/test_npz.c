/* The .npz reader, with files that NumPy wrote (tests/reference/numpy_npy.py), and with damaged
   ones. */
#include "tensor/memory.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static char directory[CBT_PATH_SIZE];
static char path[CBT_PATH_SIZE];

static void setup(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "file.npz");
}

static void teardown(void) {
    cbi_allocation_fail_after(-1);
    cbt_directory_remove(directory);
}

TestSuite(npz, .init = setup, .fini = teardown);

static const char *const stored_files[] = {"tests/reference/npy/stored.npz",
                                           "tests/reference/npy/deflated.npz"};
static const char large[] = "a/b \xc3\xa9";

static cb_npz *open_good(const char *name) {
    cb_error error;
    cb_npz *file = cb_npz_open(name, &error);
    cr_assert_not_null(file, "%s", error.message);
    cr_assert_eq(error.status, CB_OK);
    return file;
}

Test(npz, reads_what_numpy_wrote) {
    for (int i = 0; i < 2; i++) {
        cb_error error;
        cb_npz *file = open_good(cbt_source_path(stored_files[i]));
        cr_assert_eq(cb_npz_count(file), 7);
        cr_assert_str_eq(cb_npz_stored(file, 0).name, "f4_matrix");
        cr_assert_null(cb_npz_stored(file, 7).name);
        cr_assert_null(cb_npz_stored(file, -1).name);
        for (int k = 0; k < 6; k++) {
            char alone[CBT_PATH_SIZE];
            cb_stored_tensor stored = cb_npz_stored(file, k);
            snprintf(alone, sizeof alone, "tests/reference/npy/%s.npy", stored.name);
            cb_tensor *expected = cb_npy_read(cbt_source_path(alone), NULL);
            cb_tensor *read = cb_npz_load(file, stored.name, &error);
            cr_assert_eq(read != NULL, stored.objection == NULL, "%s", error.message);
            cr_assert_eq(read != NULL, expected != NULL);
            cr_assert(read == NULL || cbt_close(read, expected, 0), "%s", stored.name);
            cr_assert(read != NULL || error.status == CB_ERROR_DTYPE); /* text */
            cb_tensor_free(expected);
            cb_tensor_free(read);
        }
        cb_tensor *bytes = cb_npz_load_as(file, large, CB_F32, &error);
        cr_assert_not_null(bytes, "%s", error.message);
        cr_assert_eq(cb_tensor_count(bytes), 20000);
        for (int k = 0; k < 20000; k++)
            cr_assert_eq(((float *)bytes->data)[k], (float)(k % 251));
        cb_tensor_free(bytes);
        cr_assert_null(cb_npz_load(file, "none", &error));
        cr_assert_eq(error.status, CB_ERROR_NOT_FOUND);
        cb_npz_free(file);
    }
    cb_npz_free(NULL);
}

/* Opens a file and reads all of it; how many arrays could be read. */
static int read_all(const char *name) {
    int read = 0;
    cb_error error;
    cb_npz *file = cb_npz_open(name, &error);
    cr_assert_eq(file == NULL, error.status != CB_OK);
    for (int i = 0; file != NULL && i < cb_npz_count(file); i++) {
        cb_tensor *t = cb_npz_load(file, cb_npz_stored(file, i).name, &error);
        cr_assert_eq(t == NULL, error.status != CB_OK);
        read += t != NULL;
        cb_tensor_free(t);
    }
    cb_npz_free(file);
    return read;
}

/* A changed byte of an array is found by its checksum, and costs no other array. */
Test(npz, damage_is_found) {
    for (int i = 0; i < 2; i++) {
        size_t size;
        unsigned char *bytes = cbt_read_file(cbt_source_path(stored_files[i]), &size);
        cb_error error;
        size_t at = i == 0 ? 19000 : 1000; /* in the data of the large array */
        bytes[at] ^= 0x10;
        cbt_write_file(path, bytes, size);
        cr_assert_eq(read_all(path), 5);
        cb_npz *file = open_good(path);
        cr_assert_null(cb_npz_load(file, large, &error));
        cr_assert_eq(error.status, CB_ERROR_FORMAT);
        cr_assert_not_null(strstr(error.message, i == 0 ? "checksum" : "\xc3\xa9"), "%s",
                           error.message);
        cb_npz_free(file);
        free(bytes);
    }
}

Test(npz, rejects_every_truncation) {
    size_t size;
    unsigned char *bytes = cbt_read_file(cbt_source_path(stored_files[1]), &size);
    for (size_t kept = 0; kept < size; kept++) {
        cb_error error;
        cbt_write_file(path, bytes, kept);
        cr_assert_null(cb_npz_open(path, &error), "%zu of %zu bytes", kept, size);
        cr_assert_eq(error.status, CB_ERROR_FORMAT);
    }
    free(bytes);
}

/* A comment of any length stands behind the list; in it, what looks like an empty archive's end. */
Test(npz, comment_at_the_end) {
    size_t size, comment = 65535;
    unsigned char *bytes = cbt_read_file(cbt_source_path(stored_files[1]), &size);
    unsigned char *longer = calloc(1, size + comment);
    memcpy(longer, bytes, size);
    memset(longer + size, 'x', comment);
    memset(longer + size + 100, 0, 22);
    memcpy(longer + size + 100, "PK\5\6", 4);
    longer[size - 2] = longer[size - 1] = 0xff;
    cbt_write_file(path, longer, size + comment);
    cr_assert_eq(read_all(path), 6);
    free(bytes);
    free(longer);
}

/* Any byte changed: no crash, and no wrong array where the checksum says that it is right. */
Test(npz, random_damage) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    size_t size;
    unsigned char *bytes = cbt_read_file(cbt_source_path(stored_files[1]), &size);
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int round = 0; round < 2000; round++) {
        size_t at = (size_t)cb_random_below(&random, size);
        unsigned char before = bytes[at];
        bytes[at] = (unsigned char)cb_random_below(&random, 256);
        cbt_write_file(path, bytes, size);
        read_all(path);
        bytes[at] = before;
    }
    free(bytes);
}

Test(npz, files_that_cannot_be) {
    cb_error error;
    cr_assert_null(cb_npz_open(path, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_null(cb_npz_open(directory, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_null(cb_npz_open("/dev/zero", &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_null(cb_npz_open(NULL, &error));
    cr_assert_eq(error.status, CB_ERROR_VALUE);
    cbt_write_file(path, "PK\5\6", 4);
    cr_assert_null(cb_npz_open(path, NULL));
}

Test(npz, no_memory) {
    cb_npz *file = NULL;
    int failed = 0;
    for (; file == NULL; failed++) {
        cb_error error;
        cbi_allocation_fail_after(failed);
        file = cb_npz_open(cbt_source_path(stored_files[1]), &error);
        cbi_allocation_fail_after(-1);
        cr_assert(file != NULL || error.status == CB_ERROR_MEMORY, "%d: %s", failed, error.message);
    }
    cr_assert_gt(failed, 10);
    cb_tensor *t = NULL;
    for (failed = 0; t == NULL; failed++) {
        cb_error error;
        cbi_allocation_fail_after(failed);
        t = cb_npz_load_as(file, large, CB_F64, &error);
        cbi_allocation_fail_after(-1);
        cr_assert(t != NULL || error.status == CB_ERROR_MEMORY, "%d: %s", failed, error.message);
    }
    cr_assert_gt(failed, 4);
    cb_tensor_free(t);
    cb_npz_free(file);
}
