/* Files of safetensors that are open and read in parts, and whether a file is taken or refused,
   held to the reference reader (tests/reference/safetensors_cases.py). */
#include "tensor/memory.h"
#include "tests/support.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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

TestSuite(safetensors_parts, .init = setup, .fini = teardown);

/* ---- Decisions ------------------------------------------------------------------------------- */

static int hexadecimal(char digit) {
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

static void write_case(const json_t *row) {
    static unsigned char bytes[4096];
    const char *head = json_string_value(json_object_get(row, "head"));
    size_t length = strlen(head) / 2,
           zeros = (size_t)json_integer_value(json_object_get(row, "zeros"));
    cr_assert(length + zeros <= sizeof bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(hexadecimal(head[2 * i]) * 16 + hexadecimal(head[2 * i + 1]));
    memset(bytes + length, 0, zeros);
    cbt_write_file(path, bytes, length + zeros);
}

Test(safetensors_parts, decides_as_the_reference_reader) {
    json_t *rows =
        json_load_file(cbt_source_path("tests/reference/safetensors_decisions.json"), 0, NULL);
    size_t i;
    json_t *row;
    cr_assert_geq(json_array_size(rows), 200);
    json_array_foreach(rows, i, row) {
        cb_error error;
        bool taken = json_is_true(json_object_get(row, "accepted"));
        bool differs = json_object_get(row, "differs") != NULL;
        write_case(row);
        cb_safetensors *file = cb_safetensors_open(path, &error);
        cr_assert_eq(file != NULL, taken != differs, "%s: %s",
                     json_string_value(json_object_get(row, "head")), error.message);
        cr_assert_eq(error.status, file != NULL ? CB_OK : CB_ERROR_FORMAT);
        cb_safetensors_free(file);
    }
    json_decref(rows);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* A file of 2^40 bytes, most of which are a hole: one large tensor and a small one behind it. */
static void write_large(void) {
    const char *header = "{\"large\":{\"dtype\":\"F32\",\"shape\":[1099511627776],"
                         "\"data_offsets\":[0,4398046511104]},"
                         "\"small\":{\"dtype\":\"U8\",\"shape\":[2,2],"
                         "\"data_offsets\":[4398046511104,4398046511108]}}";
    uint64_t length = strlen(header);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(file >= 0);
    cr_assert_eq(write(file, &length, 8), 8);
    cr_assert_eq(write(file, header, length), (ssize_t)length);
    off_t end = (off_t)(8 + length) + 4398046511104;
    if (ftruncate(file, end + 4) != 0) {
        close(file);
        cr_skip_test("no file of this size here");
    }
    cr_assert_eq(pwrite(file, "\1\2\3\xff", 4, end), 4);
    close(file);
}

Test(safetensors_parts, what_is_not_asked_for_is_not_loaded) {
    cb_error error;
    write_large();
    cb_safetensors *file = cb_safetensors_open(path, &error);
    cr_assert_not_null(file, "%s", error.message);
    cr_assert_eq(cb_safetensors_stored_count(file), 2);
    cr_assert_eq(cb_safetensors_count(file), 0);
    cr_assert_null(cb_safetensors_find(file, "small"));
    cb_tensor *small = cb_safetensors_load(file, "small", &error);
    cr_assert_not_null(small, "%s", error.message);
    cr_assert(small->dtype == CB_I32 && ((int32_t *)small->data)[3] == 255);
    cb_tensor_free(small);
    cr_assert_eq(truncate(path, 1000), 0);
    cr_assert_null(cb_safetensors_load(file, "small", &error));
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_not_null(strstr(error.message, "shorter"), "%s", error.message);
    cb_safetensors_free(file);
}

/* Random tensors, cast and with random strides, against the tensors that were written. */
Test(safetensors_parts, loads_into_any_strides_and_dtypes) {
    uint64_t seed = (uint64_t)time(NULL);
    cb_random random = cb_random_seed(seed);
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int round = 0; round < 100; round++) {
        int64_t shape[3];
        for (int i = 0; i < 3; i++)
            shape[i] = (int64_t)cb_random_below(&random, 30);
        cb_dtype from = (cb_dtype)cb_random_below(&random, 4);
        cb_dtype to = (cb_dtype)cb_random_below(&random, 4);
        cb_tensor *written = cb_tensor_new(from, 3, shape);
        cb_tensor *room = cb_tensor_new(to, CB_SHAPE(30, 30, 30));
        for (int64_t i = 0; i < cb_tensor_count(written); i++) {
            cb_tensor flat =
                cb_tensor_wrap(from, CB_SHAPE(cb_tensor_count(written)), written->data);
            cb_tensor_set(&flat, &i, (double)cb_random_below(&random, 200) - 100);
        }
        cb_tensor target = *room; /* axes in reverse order: strides 1, 30, 900 */
        for (int i = 0; i < 3; i++) {
            target.shape[i] = shape[i];
            target.stride[i] = room->stride[2 - i];
        }
        cb_error error;
        cr_assert_eq(cb_safetensors_write(path, 1, &(cb_named_tensor){"t", written}, 0, NULL, NULL),
                     CB_OK);
        cb_safetensors *file = cb_safetensors_open(path, &error);
        cr_assert_eq(cb_safetensors_load_into(file, "t", &target, &error), CB_OK, "%s",
                     error.message);
        cb_tensor *same = cb_tensor_copy(&target, CB_F64), *right = cb_tensor_copy(written, CB_F64);
        cr_assert(cbt_close(same, right, 0), "seed %llu", (unsigned long long)seed);
        cb_safetensors_free(file);
        cb_tensor_free(same);
        cb_tensor_free(right);
        cb_tensor_free(written);
        cb_tensor_free(room);
    }
}

Test(safetensors_parts, wrong_targets) {
    float numbers[2] = {1, 2};
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(2), numbers), other = t, none = t;
    cb_error error;
    other.shape[0] = 1;
    none.data = NULL;
    cr_assert_eq(cb_safetensors_write(path, 1, &(cb_named_tensor){"t", &t}, 0, NULL, NULL), CB_OK);
    cb_safetensors *file = cb_safetensors_read(path, NULL);
    cr_assert_eq(cb_safetensors_load_into(file, "t", &other, &error), CB_ERROR_SHAPE);
    cr_assert_eq(cb_safetensors_load_into(file, "t", &none, &error), CB_ERROR_VALUE);
    cr_assert_eq(cb_safetensors_load_into(file, NULL, &t, &error), CB_ERROR_NOT_FOUND);
    cr_assert_null(cb_safetensors_stored(file, 1).name);
    cr_assert_null(cb_safetensors_stored(file, -1).name);
    cb_safetensors_free(file);
}

/* ---- Files that are not regular -------------------------------------------------------------- */

static void refused(const char *name) {
    cb_error error;
    cr_assert_null(cb_safetensors_open(name, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE, "%s", error.message);
    cr_assert_null(cb_safetensors_read(name, &error));
    cr_assert_null(cb_npy_read(name, &error));
    cr_assert_eq(error.status, CB_ERROR_FILE, "%s", error.message);
}

Test(safetensors_parts, files_without_an_end, .timeout = 60) {
    cr_assert_eq(mkfifo(path, 0600), 0);
    refused(path); /* nobody writes to it */
    refused("/dev/zero");
    refused(directory);
}

/* ---- Metadata -------------------------------------------------------------------------------- */

Test(safetensors_parts, metadata_in_the_order_of_the_file) {
    const cb_metadata metadata[] = {{"b", "1"}, {"a", "2"}};
    cr_assert_eq(cb_safetensors_write(path, 0, NULL, 2, metadata, NULL), CB_OK);
    cb_safetensors *file = cb_safetensors_open(path, NULL);
    cr_assert_eq(cb_safetensors_metadata_count(file), 2);
    cr_assert_str_eq(cb_safetensors_metadata_at(file, 0).key, "a"); /* keys are written sorted */
    cr_assert_str_eq(cb_safetensors_metadata_at(file, 1).value, "1");
    cr_assert_null(cb_safetensors_metadata_at(file, 2).key);
    cr_assert_null(cb_safetensors_metadata_at(file, -1).key);
    cb_safetensors_free(file);
}

Test(safetensors_parts, no_memory) {
    float numbers[2] = {1, 2};
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(2), numbers);
    cr_assert_eq(cb_safetensors_write(path, 1, &(cb_named_tensor){"t", &t}, 0, NULL, NULL), CB_OK);
    cb_safetensors *file = cb_safetensors_open(path, NULL);
    int failed = 0;
    for (;; failed++) {
        cb_error error;
        cbi_allocation_fail_after(failed);
        cb_tensor *read = cb_safetensors_load_as(file, "t", CB_F64, &error);
        cbi_allocation_fail_after(-1);
        if (read != NULL) {
            cb_tensor_free(read);
            break;
        }
        cr_assert_eq(error.status, CB_ERROR_MEMORY);
    }
    cr_assert_eq(failed, 3);
    cb_safetensors_free(file);
}
