/* The parameter set: names, initial values that depend on names alone, errors, files. */
#include "tests/support.h"

#include "nn/params_internal.h"
#include "tensor/memory.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cb_init normal = {.kind = CB_INIT_NORMAL, .a = 0, .b = 1};
static const cb_init zeros = {.kind = CB_INIT_ZEROS};

static bool same_bytes(const cb_tensor *a, const cb_tensor *b) {
    return a->dtype == b->dtype && cb_tensor_same_shape(a, b) &&
           memcmp(a->data, b->data, cb_tensor_bytes(a)) == 0;
}

Test(params, a_parameter_has_a_name_a_value_and_a_gradient_of_zeros) {
    cb_params *params = cb_params_new(1);
    char name[] = "w";
    cb_param *w = cb_params_add(params, name, CB_SHAPE(2, 3), 0, &normal);
    cr_assert_not_null(w);
    name[0] = 'x';
    cr_expect_str_eq(w->name, "w");
    cr_expect_eq(w->value->dtype, CB_F32);
    cr_expect(cb_tensor_same_shape(w->value, w->gradient));
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(((float *)w->gradient->data)[i], 0);
        cr_expect_neq(((float *)w->value->data)[i], 0);
    }
    cr_expect_not(w->frozen);
    cr_expect_eq(cb_params_find(params, "w"), w);
    cr_expect_null(cb_params_find(params, "x"));
    cr_expect_eq(cb_params_count(params), 1);
    cr_expect_eq(cb_params_at(params, 0), w);
    cr_expect_null(cb_params_at(params, 1));
    cr_expect_null(cb_params_at(params, -1));
    cr_expect_eq(cb_params_elements(params), 6);
    cr_expect_eq(cb_params_status(params), CB_OK);
    cr_expect_str_eq(cb_params_error(params), "");
    cb_params_free(params);
}

Test(params, pointers_to_parameters_stay_good_while_the_set_grows) {
    cb_params *params = cb_params_new(1);
    cb_param *first = cb_params_add(params, "first", CB_SHAPE(1), 0, &zeros);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        cr_assert_not_null(cb_params_add(params, name, CB_SHAPE(3), 0, &zeros));
    }
    cr_expect_eq(cb_params_at(params, 0), first);
    cr_expect_str_eq(first->name, "first");
    cr_expect_str_eq(cb_params_at(params, 100)->name, "p99");
    cr_expect_eq(cb_params_elements(params), 301);
    cb_params_free(params);
}

Test(params, initial_values_depend_on_seed_and_name_but_not_on_order) {
    cb_params *one = cb_params_new(7), *two = cb_params_new(7), *other = cb_params_new(8);
    cb_param *a1 = cb_params_add(one, "a", CB_SHAPE(50), 0, &normal);
    cb_param *b1 = cb_params_add(one, "b", CB_SHAPE(50), 0, &normal);
    cb_param *b2 = cb_params_add(two, "b", CB_SHAPE(50), 0, &normal);
    cb_param *a2 = cb_params_add(two, "a", CB_SHAPE(50), 0, &normal);
    cb_param *a3 = cb_params_add(other, "a", CB_SHAPE(50), 0, &normal);
    cr_expect(same_bytes(a1->value, a2->value));
    cr_expect(same_bytes(b1->value, b2->value));
    cr_expect_not(same_bytes(a1->value, b1->value));
    cr_expect_not(same_bytes(a1->value, a3->value));
    cb_params_free(one);
    cb_params_free(two);
    cb_params_free(other);
}

Test(params, blocks_have_fans_and_values_of_their_own) {
    cb_params *params = cb_params_new(3);
    /* Four blocks of [100, 50]: the bound is sqrt(6 / 150), not sqrt(6 / 450). */
    cb_init glorot = {.kind = CB_INIT_GLOROT_UNIFORM};
    cb_param *w = cb_params_add(params, "w", CB_SHAPE(400, 50), 4, &glorot);
    const float *x = w->value->data;
    for (int i = 0; i < 4; i++) {
        float largest = 0;
        for (int j = 0; j < 5000; j++)
            largest = x[i * 5000 + j] > largest ? x[i * 5000 + j] : largest;
        cr_expect_float_eq(largest, 0.2, 0.001, "block %d", i);
    }
    for (int i = 1; i < 4; i++)
        cr_expect_neq(memcmp(x, x + i * 5000, 5000 * sizeof *x), 0, "block %d equals block 0", i);
    cb_params_free(params);
}

Test(params, f64_sets_hold_f64) {
    cb_params *params = cb_params_new_dtype(1, CB_F64);
    cr_expect_eq(cb_params_dtype(params), CB_F64);
    cb_param *w = cb_params_add(params, "w", CB_SHAPE(4), 0, &normal);
    cr_expect_eq(w->value->dtype, CB_F64);
    cr_expect_eq(w->gradient->dtype, CB_F64);
    cb_params_free(params);
    cr_expect_null(cb_params_new_dtype(1, CB_I32));
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* That adding fails with the status, and that the message holds the text. */
static void expect_refused(const char *name, int rank, const int64_t *shape, int64_t blocks,
                           const cb_init *init, cb_status status, const char *text) {
    cb_params *params = cb_params_new(1);
    cb_params_add(params, "taken", CB_SHAPE(1), 0, &zeros);
    cr_expect_null(cb_params_add(params, name, rank, shape, blocks, init));
    cr_expect_eq(cb_params_status(params), status, "%s: %s", text, cb_params_error(params));
    cr_expect_not_null(strstr(cb_params_error(params), text), "'%s' is not in '%s'", text,
                       cb_params_error(params));
    cr_expect_eq(cb_params_count(params), 1);
    cb_params_free(params);
}

Test(params, bad_arguments_are_refused_with_a_message) {
    const cb_init orthogonal = {.kind = CB_INIT_ORTHOGONAL}, none = {0};
    const cb_init backwards = {.kind = CB_INIT_UNIFORM, .a = 1, .b = 0};
    expect_refused("taken", CB_SHAPE(2), 0, &zeros, CB_ERROR_VALUE, "taken: the name is in use");
    expect_refused("", CB_SHAPE(2), 0, &zeros, CB_ERROR_VALUE, "name");
    expect_refused(NULL, CB_SHAPE(2), 0, &zeros, CB_ERROR_VALUE, "name");
    expect_refused("w", CB_SCALAR, 0, &zeros, CB_ERROR_SHAPE, "rank 0");
    expect_refused("w", CB_SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1), 0, &zeros, CB_ERROR_SHAPE, "rank 9");
    expect_refused("w", CB_SHAPE(2, 0), 0, &zeros, CB_ERROR_SHAPE, "extent 0 of axis 1");
    expect_refused("w", CB_SHAPE(-2), 0, &zeros, CB_ERROR_SHAPE, "extent -2 of axis 0");
    expect_refused("w", CB_SHAPE(6, 2), 4, &zeros, CB_ERROR_VALUE, "6 rows");
    expect_refused("w", CB_SHAPE(6, 2), -1, &zeros, CB_ERROR_VALUE, "-1 blocks");
    expect_refused("w", CB_SHAPE(6), 0, &orthogonal, CB_ERROR_VALUE, "two axes");
    expect_refused("w", CB_SHAPE(6), 0, &none, CB_ERROR_VALUE, "no initialiser");
    expect_refused("w", CB_SHAPE(6), 0, NULL, CB_ERROR_VALUE, "no initialiser");
    expect_refused("w", CB_SHAPE(6), 0, &backwards, CB_ERROR_VALUE, "range");
    expect_refused("w", CB_SHAPE(INT64_MAX / 8, 4), 0, &zeros, CB_ERROR_MEMORY, "w: no memory");
}

Test(params, the_first_failure_is_kept) {
    cb_params *params = cb_params_new(1);
    cbi_params_fail(params, CB_ERROR_INDEX, "first %d", 1);
    cbi_params_fail(params, CB_ERROR_VALUE, "second");
    cr_expect_eq(cb_params_status(params), CB_ERROR_INDEX);
    cr_expect_str_eq(cb_params_error(params), "first 1");
    cb_params_free(params);
}

Test(params, a_failure_stays_until_it_is_cleared) {
    cb_params *params = cb_params_new(1);
    cr_expect_null(cb_params_add(params, "", CB_SHAPE(2), 0, &zeros));
    cr_expect_null(cb_params_add(params, "a", CB_SHAPE(0), 0, &zeros));
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cb_params_clear_error(params);
    cr_expect_eq(cb_params_status(params), CB_OK);
    cr_expect_str_eq(cb_params_error(params), "");
    cr_expect_not_null(cb_params_add(params, "a", CB_SHAPE(2), 0, &zeros));
    cr_expect_null(cb_params_add(params, "b", CB_SHAPE(0), 0, &zeros));
    cr_expect_eq(cb_params_status(params), CB_ERROR_SHAPE);
    cb_params_clear_error(NULL);
    cb_params_free(params);
}

Test(params, a_null_set_is_an_error_and_never_a_crash) {
    cr_expect_eq(cb_params_status(NULL), CB_ERROR_MEMORY);
    cr_expect_neq(strlen(cb_params_error(NULL)), 0);
    cr_expect_null(cb_params_add(NULL, "w", CB_SHAPE(1), 0, &zeros));
    cr_expect_null(cb_params_find(NULL, "w"));
    cr_expect_null(cb_params_at(NULL, 0));
    cr_expect_null(cb_params_allocate(NULL, 1));
    cr_expect_null(cb_params_random(NULL));
    cr_expect_eq(cb_params_elements(NULL), 0);
    cb_params_zero_gradients(NULL);
    cb_params_free(NULL);
}

Test(params, every_allocation_may_fail) {
    const cb_init orthogonal = {.kind = CB_INIT_ORTHOGONAL};
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        cbi_allocation_fail_after(n);
        cb_params *params = cb_params_new(1);
        cb_params_add(params, "w", CB_SHAPE(3, 3), 0, &orthogonal);
        cb_params_allocate(params, 10);
        cb_status status = cb_params_status(params);
        cbi_allocation_fail_after(-1);
        cb_params_free(params);
        if (status == CB_OK)
            break;
        cr_expect_eq(status, CB_ERROR_MEMORY);
        failures++;
    }
    /* The set, the array, the parameter, its two tensors, the matrix, the block. */
    cr_expect_geq(failures, 7);
}

/* ---- On a tape ------------------------------------------------------------------------------- */

Test(params, gradients_are_added_unless_frozen) {
    cb_params *params = cb_params_new(1);
    const cb_init two = {.kind = CB_INIT_CONSTANT, .a = 2};
    cb_param *a = cb_params_add(params, "a", CB_SHAPE(1), 0, &two);
    cb_param *b = cb_params_add(params, "b", CB_SHAPE(1), 0, &two);
    b->frozen = true;
    cb_tape *tape = cb_tape_new();
    for (int step = 1; step <= 2; step++) {
        cb_tensor *y = cb_mul(cb_square(cb_parameter(tape, a)), cb_parameter(tape, b));
        cr_expect_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK, "%s", cb_tape_error(tape));
        cr_expect_eq(*(float *)a->gradient->data, (float)(8 * step));
        cr_expect_eq(*(float *)b->gradient->data, 0);
        cb_tape_reset(tape);
    }
    cb_params_zero_gradients(params);
    cr_expect_eq(*(float *)a->gradient->data, 0);
    cb_tape_free(tape);
    cb_params_free(params);
}

Test(params, a_buffer_is_found_and_never_trained) {
    cb_params *params = cb_params_new(1);
    cb_param *weight = cb_params_add(params, "w", CB_SHAPE(2), 0, &normal);
    cb_param *kept = cb_params_add_buffer(params, "kept", CB_SHAPE(2), &normal);
    cr_assert_not_null(kept, "%s", cb_params_error(params));
    cr_expect(kept->buffer && !weight->buffer);
    cr_expect_eq(cb_params_find(params, "kept"), kept);
    cr_expect_eq(cb_params_elements(params), 2);
    cb_tape *tape = cb_tape_new();
    cb_tensor *y = cb_mul(cb_parameter(tape, weight), cb_parameter(tape, kept));
    cr_expect_not(cb_requires_grad(cb_parameter(tape, kept)));
    cr_assert_eq(cb_backward(cb_sum(y, CB_ALL_AXES, false)), CB_OK);
    const int64_t at[] = {1};
    cr_expect_eq(cb_tensor_get(kept->gradient, at), 0);
    cr_expect_eq(cb_tensor_get(weight->gradient, at), cb_tensor_get(kept->value, at));
    cr_expect_null(cb_params_add_buffer(params, "w", CB_SHAPE(2), &normal));
    cr_expect_eq(cb_params_status(params), CB_ERROR_VALUE);
    cb_tape_free(tape);
    cb_params_free(params);
}

Test(params, a_null_parameter_fails_on_the_tape) {
    cb_tape *tape = cb_tape_new();
    cr_expect_null(cb_parameter(tape, NULL)->data);
    cr_expect_eq(cb_tape_status(tape), CB_ERROR_NOT_FOUND);
    cb_tape_free(tape);
}

Test(params, modules_own_memory_is_zeroed_and_aligned) {
    cb_params *params = cb_params_new(1);
    for (size_t bytes = 0; bytes < 200; bytes += 33) {
        unsigned char *memory = cb_params_allocate(params, bytes);
        cr_assert_not_null(memory);
        cr_expect_eq((uintptr_t)memory % 64, 0);
        for (size_t i = 0; i < bytes; i++)
            cr_expect_eq(memory[i], 0);
        memset(memory, 1, bytes);
    }
    cr_expect_null(cb_params_allocate(params, SIZE_MAX));
    cr_expect_eq(cb_params_status(params), CB_ERROR_MEMORY);
    cb_params_free(params);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static char directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];

static void make_path(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "params.safetensors");
}

static void remove_path(void) {
    cbt_directory_remove(directory);
}

static cb_params *small_model(uint64_t seed, cb_dtype dtype, int64_t width, const char *second) {
    cb_params *params = cb_params_new_dtype(seed, dtype);
    cb_params_add(params, "head.weight", CB_SHAPE(3, width), 0, &normal);
    if (second != NULL)
        cb_params_add(params, second, CB_SHAPE(3), 0, &normal);
    cr_assert_eq(cb_params_status(params), CB_OK);
    return params;
}

TestSuite(params_files, .init = make_path, .fini = remove_path);

Test(params_files, what_was_saved_is_loaded) {
    cb_params *saved = small_model(1, CB_F32, 4, "head.bias");
    cb_params *loaded = small_model(2, CB_F32, 4, "head.bias");
    cb_params *wide = small_model(3, CB_F64, 4, "head.bias");
    cb_error error;
    cr_assert_eq(cb_params_save(saved, path, &error), CB_OK, "%s", error.message);
    cr_expect_not(same_bytes(cb_params_at(saved, 0)->value, cb_params_at(loaded, 0)->value));
    cr_assert_eq(cb_params_load(loaded, path, &error), CB_OK, "%s", error.message);
    cr_assert_eq(cb_params_load(wide, path, NULL), CB_OK);
    for (int i = 0; i < 2; i++) {
        cr_expect(same_bytes(cb_params_at(saved, i)->value, cb_params_at(loaded, i)->value));
        float first = *(float *)cb_params_at(saved, i)->value->data;
        cr_expect_eq(*(double *)cb_params_at(wide, i)->value->data, (double)first);
    }
    cb_params_free(saved);
    cb_params_free(loaded);
    cb_params_free(wide);
}

/* That loading the saved file into the model fails, says so, and changes nothing. */
static void expect_load_refused(cb_params *model, cb_status status, const char *text) {
    cb_tensor *before = cb_tensor_copy(cb_params_at(model, 0)->value, CB_F32);
    cb_error error = {CB_OK, ""};
    cr_expect_eq(cb_params_load(model, path, &error), status);
    cr_expect_eq(error.status, status);
    cr_expect_not_null(strstr(error.message, path), "no path in '%s'", error.message);
    cr_expect_not_null(strstr(error.message, text), "'%s' is not in '%s'", text, error.message);
    cr_expect(same_bytes(before, cb_params_at(model, 0)->value));
    cb_tensor_free(before);
    cb_params_free(model);
}

Test(params_files, a_file_that_does_not_fit_changes_nothing) {
    cb_params *saved = small_model(1, CB_F32, 4, "head.bias");
    cr_assert_eq(cb_params_save(saved, path, NULL), CB_OK);
    cb_params_free(saved);
    expect_load_refused(small_model(2, CB_F32, 5, "head.bias"), CB_ERROR_SHAPE, "[3,4]");
    expect_load_refused(small_model(2, CB_F32, 4, "head.gain"), CB_ERROR_NOT_FOUND, "head.gain");
    expect_load_refused(small_model(2, CB_F32, 4, NULL), CB_ERROR_NOT_FOUND, "head.bias");
}

/* A file whose names have another prefix, that lacks a weight and has one too many. */
Test(params_files, a_part_of_the_names_and_prefixes) {
    static const cb_prefix prefixes[] = {{"module.top.", "head."}, {"module.", ""}, {NULL, NULL}};
    cb_params *loaded = small_model(2, CB_F32, 4, "head.bias");
    cb_tensor *weight = cb_tensor_new(CB_F64, CB_SHAPE(3, 4));
    cb_tensor_fill(weight, 7);
    cb_named_tensor entries[] = {{"module.top.weight", weight}, {"module.other", weight}};
    cb_load_report report;
    cb_error error;
    cr_assert_eq(cb_safetensors_write(path, 2, entries, 0, NULL, NULL), CB_OK);
    cb_load_options options = {.prefixes = prefixes, .report = &report};
    cr_expect_eq(cb_params_load_with(loaded, path, &options, &error), CB_ERROR_NOT_FOUND);
    cr_expect_not_null(strstr(error.message, "there is no entry head.bias; the model has no "
                                             "parameter for entry module.other"),
                       "%s", error.message);
    cr_expect(report.loaded == 1 && report.missing == 1 && report.extra == 1);
    options.partial = true;
    cr_assert_eq(cb_params_load_with(loaded, path, &options, &error), CB_OK, "%s", error.message);
    cr_expect_str_eq(report.missing_names, "head.bias");
    cr_expect_str_eq(report.extra_names, "module.other");
    cr_expect_eq(*(float *)cb_params_at(loaded, 0)->value->data, 7);
    entries[1].name = "head.weight"; /* no prefix of the list: also the parameter's */
    cr_assert_eq(cb_safetensors_write(path, 2, entries, 0, NULL, NULL), CB_OK);
    cr_expect_eq(cb_params_load_with(loaded, path, &options, &error), CB_ERROR_VALUE);
    cr_expect_not_null(strstr(error.message, "are both for head.weight"), "%s", error.message);
    cb_tensor_free(weight);
    cb_params_free(loaded);
}

/* A list of names ends in "..." where it is too long. */
Test(params_files, many_names_that_do_not_fit) {
    cb_params *few = small_model(2, CB_F32, 4, NULL), *many = small_model(3, CB_F32, 4, NULL);
    cb_load_report report;
    cb_error error;
    for (int i = 0; i < 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "layers.%d.weight", i);
        cb_params_add(many, name, CB_SHAPE(1), 0, &normal);
    }
    cr_assert_eq(cb_params_save(many, path, NULL), CB_OK);
    cb_load_options options = {.report = &report};
    cr_expect_eq(cb_params_load_with(few, path, &options, &error), CB_ERROR_NOT_FOUND);
    cr_expect_eq(report.extra, 100);
    cr_expect_str_eq(report.extra_names + strlen(report.extra_names) - 3, "...");
    cr_expect_null(strstr(report.extra_names, "......"));
    cb_params_free(few);
    cb_params_free(many);
}

/* A value that the set's dtype does not hold, in the last of the entries. */
Test(params_files, a_value_that_is_not_held_changes_nothing) {
    cb_params *wide = small_model(1, CB_F64, 4, "head.zeta");
    *(double *)cb_params_at(wide, 1)->value->data = 1e300;
    cr_assert_eq(cb_params_save(wide, path, NULL), CB_OK);
    expect_load_refused(small_model(2, CB_F32, 4, "head.zeta"), CB_ERROR_VALUE, "\"head.zeta\"");
    cb_params_free(wide);
}

Test(params_files, a_file_of_integers_or_of_nothing_is_refused) {
    cb_tensor *integers = cb_tensor_new(CB_I64, CB_SHAPE(3, 4));
    cb_named_tensor entry = {"head.weight", integers};
    cr_assert_eq(cb_safetensors_write(path, 1, &entry, 0, NULL, NULL), CB_OK);
    cb_tensor_free(integers);
    expect_load_refused(small_model(2, CB_F32, 4, NULL), CB_ERROR_DTYPE, "I64");
    cr_assert_eq(truncate(path, 5), 0);
    expect_load_refused(small_model(2, CB_F32, 4, NULL), CB_ERROR_FORMAT, "");
    unlink(path);
    expect_load_refused(small_model(2, CB_F32, 4, NULL), CB_ERROR_FILE, "");
    cb_error error;
    cr_expect_eq(cb_params_save(NULL, path, &error), CB_ERROR_VALUE);
    cr_expect_eq(cb_params_load(NULL, path, &error), CB_ERROR_VALUE);
}
