/* Element types that tensors do not have: every code of the small ones, the edges of the others,
   with values of independent programs (tests/reference/safetensors_cases.py); casts to other
   dtypes. */
#include "tensor/io/element_type.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

TestSuite(element_types);

static cb_safetensors *stored_types(void) {
    cb_error error;
    cb_safetensors *file =
        cb_safetensors_open(cbt_source_path("tests/reference/element_types.safetensors"), &error);
    cr_assert_not_null(file, "%s", error.message);
    return file;
}

static double at(const cb_tensor *t, int64_t i) {
    return cb_tensor_get(t, &i);
}

/* Reads a type as `dtype`, or its own, and compares with what is expected. */
static void compare(const cb_safetensors *file, const char *name, const cb_dtype *dtype) {
    char expected_name[64];
    cb_error error = {.message = ""};
    snprintf(expected_name, sizeof expected_name, "%s.expected", name);
    cb_tensor *expected = cb_safetensors_load(file, expected_name, &error);
    cb_tensor *read = dtype == NULL ? cb_safetensors_load(file, name, &error)
                                    : cb_safetensors_load_as(file, name, *dtype, &error);
    cr_assert(expected != NULL && read != NULL, "%s: %s", name, error.message);
    cb_stored_tensor stored = cb_safetensors_stored(file, cb_safetensors_stored_find(file, name));
    cr_assert_str_eq(stored.type, name);
    cr_assert_eq(read->dtype, dtype == NULL ? stored.dtype : *dtype);
    cr_assert_eq(cb_tensor_count(read), cb_tensor_count(expected));
    for (int64_t i = 0; i < cb_tensor_count(read); i++) {
        double found = at(read, i), right = at(expected, i);
        if (read->dtype == CB_I64)
            cr_assert_eq(((int64_t *)read->data)[i], ((int64_t *)expected->data)[i], "%s", name);
        cr_assert(isnan(right) ? isnan(found) : found == right && signbit(found) == signbit(right),
                  "%s, element %d: %.17g instead of %.17g", name, (int)i, found, right);
    }
    cb_tensor_free(expected);
    cb_tensor_free(read);
}

Test(element_types, values_of_all) {
    cb_safetensors *file = stored_types();
    int compared = 0;
    for (int i = 0; i < cb_safetensors_stored_count(file); i++) {
        cb_stored_tensor stored = cb_safetensors_stored(file, i);
        char expected[64];
        snprintf(expected, sizeof expected, "%s.expected", stored.name);
        if (cb_safetensors_stored_find(file, expected) < 0)
            continue;
        compare(file, stored.name, NULL);
        compare(file, stored.name, &(cb_dtype){CB_F64});
        compared++;
    }
    cr_assert_eq(compared, 20);
    cb_safetensors_free(file);
}

/* What cannot be held is an error that names it; the rest of the file is read all the same. */
Test(element_types, what_no_tensor_holds) {
    cb_safetensors *file = stored_types();
    cb_error error;
    cr_assert_null(cb_safetensors_load(file, "beyond", &error));
    cr_assert_eq(error.status, CB_ERROR_VALUE);
    cr_assert_not_null(strstr(error.message, "\"beyond\": element 1"), "%s", error.message);
    cr_assert_null(cb_safetensors_load(file, "C64", &error));
    cr_assert_eq(error.status, CB_ERROR_DTYPE);
    cr_assert_null(cb_safetensors_load_as(file, "nine_axes", CB_F64, &error));
    cr_assert_eq(error.status, CB_ERROR_DTYPE);
    cr_assert_not_null(strstr(error.message, "more than 8 axes"), "%s", error.message);
    cr_assert_null(cb_safetensors_load(file, "none", &error));
    cr_assert_eq(error.status, CB_ERROR_NOT_FOUND);
    cb_stored_tensor nine =
        cb_safetensors_stored(file, cb_safetensors_stored_find(file, "nine_axes"));
    cr_assert(nine.rank == 9 && nine.shape[8] == 1 && nine.bytes == 4);
    cb_safetensors_free(file);
    file = cb_safetensors_read(cbt_source_path("tests/reference/element_types.safetensors"), NULL);
    cr_assert_not_null(file);
    cr_assert_eq(cb_safetensors_count(file), cb_safetensors_stored_count(file) - 3);
    cr_assert_null(cb_safetensors_find(file, "beyond"));
    cr_assert_eq(cbt_find(file, "BF16")->dtype, CB_F32);
    compare(file, "F8_E4M3", &(cb_dtype){CB_F64}); /* from memory */
    cb_safetensors_free(file);
}

static void casts(cb_dtype from, const void *source, cb_dtype to, bool held) {
    double room;
    cr_assert_eq(cbi_cast_elements(from, source, 1, to, &room), held ? 1 : 0);
}

Test(element_types, casts_that_lose_a_value_fail) {
    casts(CB_F64, &(double){1e300}, CB_F32, false);
    casts(CB_F64, &(double){INFINITY}, CB_F32, true);
    casts(CB_F64, &(double){NAN}, CB_F32, true);
    casts(CB_F64, &(double){3.4e38}, CB_F32, true);
    casts(CB_F64, &(double){0.5}, CB_I32, false);
    casts(CB_F64, &(double){NAN}, CB_I64, false);
    casts(CB_F64, &(double){INFINITY}, CB_I64, false);
    casts(CB_F64, &(double){2147483647}, CB_I32, true);
    casts(CB_F64, &(double){2147483648}, CB_I32, false);
    casts(CB_F64, &(double){-2147483648}, CB_I32, true);
    casts(CB_F64, &(double){0x1p63}, CB_I64, false);
    casts(CB_F64, &(double){-0x1p63}, CB_I64, true);
    casts(CB_F32, &(float){7}, CB_I32, true);
    casts(CB_I64, &(int64_t){INT32_MAX}, CB_I32, true);
    casts(CB_I64, &(int64_t){INT32_MAX + 1LL}, CB_I32, false);
    casts(CB_I64, &(int64_t){INT64_MIN}, CB_I32, false);
    casts(CB_I64, &(int64_t){INT64_MAX}, CB_F32, true);
    casts(CB_I32, &(int32_t){-1}, CB_I64, true);
}

/* All 65,536 halves, by their definition. */
Test(element_types, every_half) {
    const cbi_element_type *type = cbi_element_type_safetensors("F16");
    for (unsigned code = 0; code < 65536; code++) {
        uint16_t half = (uint16_t)code;
        int exponent = code >> 10 & 31, mantissa = code & 1023;
        double magnitude = exponent == 31  ? (mantissa != 0 ? (double)NAN : (double)INFINITY)
                           : exponent == 0 ? ldexp(mantissa, -24)
                                           : ldexp(mantissa + 1024, exponent - 25);
        float found;
        cr_assert_eq(type->widen(type, (unsigned char *)&half, 1, &found), 1);
        cr_assert(isnan(magnitude) ? isnan(found)
                                   : (double)found == (code > 32767 ? -magnitude : magnitude));
    }
}
