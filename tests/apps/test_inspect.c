/* The inspect subcommand: what it prints of each format. */
#include "apps/cli/command.h"

#include <cerebra/files.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FOLDER CB_TEST_SOURCE_DIR "/tests/reference/"

TestSuite(inspect, .init = cr_redirect_stdout);

/* Runs `cerebra inspect OPTION FILE` and gives what it printed. */
static const char *run(const char *option, const char *file) {
    static char printed[65536], storage[3][512];
    char *argv[] = {storage[0], storage[1], storage[2], NULL};
    snprintf(storage[0], sizeof storage[0], "inspect");
    snprintf(storage[1], sizeof storage[1], "%s", option == NULL ? file : option);
    snprintf(storage[2], sizeof storage[2], "%s", file);
    if (option == NULL)
        argv[2] = NULL;
    cr_assert_eq(cerebra_inspect(option == NULL ? 2 : 3, argv), 0);
    fflush(stdout);
    size_t size = fread(printed, 1, sizeof printed - 1, cr_get_redirected_stdout());
    printed[size] = '\0';
    return printed;
}

static void has(const char *printed, const char *part) {
    cr_assert_not_null(strstr(printed, part), "no \"%s\" in\n%s", part, printed);
}

Test(inspect, safetensors_of_every_type) {
    const char *printed = run(NULL, FOLDER "element_types.safetensors");
    has(printed, "safetensors, 43 tensors");
    has(printed, "F8_E4M3     [256]                       -448          448            0      "
                 "100.058  2 not finite\n");
    has(printed, "(complex numbers");
    has(printed, "(a value above 2^63 - 1)");
    has(printed, "(more than 8 axes)");
}

/* Every statistic against a plain computation, and the elements of two statistics that overflow. */
Test(inspect, statistics_as_json) {
    const char *printed = run("--json", FOLDER "element_types.safetensors");
    json_t *whole = json_loads(printed, 0, NULL), *row;
    size_t i;
    cb_safetensors *file = cb_safetensors_open(FOLDER "element_types.safetensors", NULL);
    json_array_foreach(json_object_get(whole, "tensors"), i, row) {
        cb_tensor *t = cb_safetensors_load_as(file, json_string_value(json_object_get(row, "name")),
                                              CB_F64, NULL);
        long double sum = 0, squares = 0;
        double smallest = INFINITY, largest = -INFINITY;
        int64_t finite = 0, count = t == NULL ? 0 : cb_tensor_count(t);
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t k = 0; k < count; k++) {
                double x = ((double *)t->data)[k];
                if (!isfinite(x))
                    continue;
                smallest = fmin(smallest, x);
                largest = fmax(largest, x);
                finite += pass == 0;
                sum += pass == 0 ? (long double)x : 0;
                if (pass == 1)
                    squares += (x - sum / (long double)finite) * (x - sum / (long double)finite);
            }
        }
        double mean = (double)(sum / (long double)finite);
        double deviation = (double)sqrtl(squares / (long double)finite);
        if (finite > 0) {
            cr_assert_eq(json_number_value(json_object_get(row, "smallest")), smallest);
            cr_assert_eq(json_number_value(json_object_get(row, "largest")), largest);
            cr_assert_leq(fabs(json_number_value(json_object_get(row, "mean")) - mean),
                          1e-12 * deviation);
            cr_assert_leq(fabs(json_number_value(json_object_get(row, "deviation")) - deviation),
                          1e-12 * deviation);
            cr_assert_eq(json_integer_value(json_object_get(row, "not_finite")), count - finite);
        }
        cb_tensor_free(t);
    }
    cr_assert_eq(i, 43);
    cb_safetensors_free(file);
    json_decref(whole);
}

Test(inspect, arrays_of_numpy) {
    const char *printed = run(NULL, FOLDER "npy/deflated.npz");
    has(printed, "npz, 7 tensors");
    has(printed, "|u1         [20000]            0          250      124.658      72.3845\n");
    has(printed, "(elements of a type that no tensor holds)");
    printed = run(NULL, FOLDER "npy/f8_big_fortran.npy");
    has(printed, "npy, 1 tensor, 32 bytes");
    has(printed, " 1e+300     2.5e+299 4.33013e+299\n");
    printed = run("--no-statistics", FOLDER "npy/f8_big.npy");
    cr_assert_null(strstr(printed, "1e+300"));
}

Test(inspect, metadata_and_checkpoints) {
    const char *printed = run(NULL, FOLDER "optimizer_sgd.safetensors");
    has(printed, "metadata\n");
    has(printed, "    optimizer: sgd\n");
    cr_assert_null(strstr(printed, "a checkpoint"));
}
