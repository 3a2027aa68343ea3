/* Checkpoints: everything comes back, and nothing else is taken for one. */
#include "apps/model/checkpoint.h"

#include "apps/cli/failure.h"

#include "tests/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];
static char error[FAILURE_SIZE];
static model trained;
static vocabulary characters;

static void set_up(void) {
    const model_config config = {.cell = cell_choose("cerebral-lstm", NULL, error),
                                 .vocabulary = 4,
                                 .embedding = 3,
                                 .hidden = 5,
                                 .layers = 2,
                                 .seq_len = 7,
                                 .dropout = 0.25};
    const int32_t list[] = {'"', '\n', 0xE9, 0x1F600};
    model_init init;
    cbt_directory_make(directory);
    cbt_join(path, directory, "model.safetensors");
    cr_assert(model_init_find("glorot-uniform", &init));
    cr_assert(model_make(&config, &init, 3, &trained, error), "%s", error);
    cr_assert(vocabulary_of_list(list, 4, &characters, error));
    cr_assert(checkpoint_write(path, &trained, &characters, NULL, error), "%s", error);
}

static void tear_down(void) {
    model_free(&trained);
    vocabulary_free(&characters);
    unlink(path);
    cr_assert_eq(rmdir(directory), 0, "something was left in the directory");
}

TestSuite(checkpoint, .init = set_up, .fini = tear_down);

static void expect_failure(const char *part) {
    checkpoint loaded;
    cr_assert_not(checkpoint_read(path, &loaded, error), "accepted");
    cr_assert_not_null(strstr(error, part), "%s", error);
    cr_assert_null(strchr(error, '\n'), "%s", error);
    cr_assert_null(loaded.model.params);
}

/* Writes the model's tensors under metadata of our choosing. */
static void write_with(int count, const cb_metadata *metadata) {
    cb_named_tensor tensors[64];
    int tensor_count = cb_params_count(trained.params);
    for (int i = 0; i < tensor_count; i++) {
        const cb_param *param = cb_params_at(trained.params, i);
        tensors[i] = (cb_named_tensor){param->name, param->value};
    }
    cr_assert_eq(cb_safetensors_write(path, tensor_count, tensors, count, metadata, NULL), CB_OK);
}

Test(checkpoint, gives_back_what_was_written) {
    checkpoint loaded;
    cr_assert(checkpoint_read(path, &loaded, error), "%s", error);
    cr_assert_str_eq(loaded.model.config.cell->name, "cerebral-lstm");
    cr_assert_eq(loaded.model.config.embedding, 3);
    cr_assert_eq(loaded.model.config.hidden, 5);
    cr_assert_eq(loaded.model.config.layers, 2);
    cr_assert_eq(loaded.model.config.seq_len, 7);
    cr_assert_eq(loaded.model.config.dropout, 0.25);
    cr_assert_not(loaded.model.config.no_bias);
    cr_assert_eq(loaded.characters.count, 4);
    cr_assert_arr_eq(loaded.characters.code_points, characters.code_points, 4 * sizeof(int32_t));
    cr_assert_eq(cb_params_count(loaded.model.params), cb_params_count(trained.params));
    for (int i = 0; i < cb_params_count(trained.params); i++) {
        const cb_param *before = cb_params_at(trained.params, i);
        const cb_param *after = cb_params_find(loaded.model.params, before->name);
        cr_assert_not_null(after);
        cr_assert_arr_eq(after->value->data, before->value->data, cb_tensor_bytes(before->value));
    }
    checkpoint_free(&loaded);
}

Test(checkpoint, weights_have_pytorch_names) {
    cb_safetensors *file = cb_safetensors_read(path, NULL);
    cr_assert_not_null(cb_safetensors_find(file, "embedding.weight"));
    cr_assert_not_null(cb_safetensors_find(file, "rnn.weight_ih_l0"));
    cr_assert_not_null(cb_safetensors_find(file, "rnn.weight_hh_l1"));
    cr_assert_not_null(cb_safetensors_find(file, "head.weight"));
    cr_assert_not_null(cb_safetensors_find(file, "head.bias"));
    cb_safetensors_free(file);
}

Test(checkpoint, parameters_are_counted_from_the_configuration) {
    cr_assert_eq(model_parameters(&trained.config), cb_params_elements(trained.params));
}

Test(checkpoint, refuses_every_truncation) {
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    for (off_t length = status.st_size - 1; length >= 0; length -= length > 64 ? 61 : 1) {
        cr_assert_eq(truncate(path, length), 0);
        expect_failure(path);
    }
}

Test(checkpoint, refuses_other_files) {
    FILE *file = fopen(path, "wb");
    fputs("Zo\xC3\xAB: this is a script, not a model.\n", file);
    fclose(file);
    expect_failure(path);
    unlink(path);
    expect_failure("No such file or directory");
    const cb_metadata foreign[] = {{"format", "pt"}};
    write_with(1, foreign);
    expect_failure("not a checkpoint of cerebra");
    write_with(0, NULL);
    expect_failure("not a checkpoint of cerebra");
}

Test(checkpoint, refuses_metadata_that_does_not_fit) {
    static const char good_config[] =
        "{\"cell\":\"cerebral-lstm\",\"vocabulary\":4,\"embedding\":3,\"hidden\":5,\"layers\":2,"
        "\"seq_len\":7,\"dropout\":0.0,\"no_bias\":false}";
    static const struct {
        const char *version, *vocabulary, *config, *message;
    } cases[] = {
        {"3", "[\"a\",\"b\",\"c\",\"d\"]", good_config, "version 3"},
        {"2", "[\"a\",\"b\",\"c\",\"d\"]", good_config, "its checksum is wrong"},
        {"1", "[\"a\",\"b\",\"c\"]", good_config, "does not fit"},
        {"1", "[\"a\",\"b\",\"c\",\"a\"]", good_config, "twice"},
        {"1", "[\"a\",\"b\",\"c\",\"de\"]", good_config, "vocabulary is missing or damaged"},
        {"1", "[\"a\",\"b\",\"c\",4]", good_config, "vocabulary is missing or damaged"},
        {"1", "nonsense", good_config, "vocabulary is missing or damaged"},
        {"1", "[\"a\",\"b\",\"c\",\"d\"]", "{}", "configuration is missing or damaged"},
        {"1", "[\"a\",\"b\",\"c\",\"d\"]",
         "{\"cell\":\"cerebral-lstm\",\"vocabulary\":4,\"embedding\":3,\"hidden\":60000,"
         "\"layers\":64,\"seq_len\":7,\"dropout\":0.0,\"no_bias\":false}",
         "weights where its configuration needs"},
        {"1", "[\"a\",\"b\",\"c\",\"d\"]",
         "{\"cell\":\"cerebral-lstm\",\"vocabulary\":4,\"embedding\":3,\"hidden\":-5,"
         "\"layers\":2,\"seq_len\":7,\"dropout\":0.0,\"no_bias\":false}",
         "configuration is missing or damaged"},
        {"1", "[\"a\",\"b\",\"c\",\"d\"]",
         "{\"cell\":\"quantum\",\"vocabulary\":4,\"embedding\":3,\"hidden\":5,\"layers\":2,"
         "\"seq_len\":7,\"dropout\":0.0,\"no_bias\":false}",
         "\"quantum\" is unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cb_metadata metadata[] = {{"format", "cerebra-character-model"},
                                        {"format_version", cases[i].version},
                                        {"vocabulary", cases[i].vocabulary},
                                        {"config", cases[i].config}};
        write_with(4, metadata);
        expect_failure(cases[i].message);
    }
}

Test(checkpoint, path_is_checked_without_touching_anything) {
    char other[CBT_PATH_SIZE];
    struct stat before, after;
    cr_assert_eq(stat(path, &before), 0);
    cr_assert(checkpoint_check_path(path, error), "%s", error);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_eq(before.st_size, after.st_size);
    cbt_join(other, directory, "new.safetensors");
    cr_assert(checkpoint_check_path(other, error), "%s", error);
    cr_assert_neq(access(other, F_OK), 0);
    cr_assert_not(checkpoint_check_path(directory, error));
    cr_assert_not(checkpoint_check_path("/dev/null", error));
    cr_assert_not(checkpoint_check_path("/nonexistent/model", error));
}

Test(checkpoint, a_failing_write_leaves_the_old_file) {
    checkpoint loaded;
    cr_assert_not(checkpoint_write("/nonexistent/model", &trained, &characters, NULL, error));
    cr_assert_not_null(strstr(error, "/nonexistent/model"), "%s", error);
    /* Text that is not UTF-8 cannot become metadata. */
    const cb_metadata damaged = {"training", "\xFF"};
    const checkpoint_extra extra = {.metadata_count = 1, .metadata = &damaged};
    cr_assert_not(checkpoint_write(path, &trained, &characters, &extra, error));
    cr_assert(checkpoint_read(path, &loaded, error), "%s", error);
    checkpoint_free(&loaded);
}

/* Weights are finite numbers. */
Test(checkpoint, refuses_weights_that_are_no_numbers) {
    float *weight = cb_params_find(trained.params, "head.bias")->value->data;
    weight[2] = NAN;
    cr_assert(checkpoint_write(path, &trained, &characters, NULL, error), "%s", error);
    expect_failure("weights that are not finite numbers");
    weight[2] = INFINITY;
    cr_assert(checkpoint_write(path, &trained, &characters, NULL, error), "%s", error);
    expect_failure("weights that are not finite numbers");
    weight[2] = 0;
}

Test(checkpoint, refuses_weights_that_are_integers) {
    cb_safetensors *file = cb_safetensors_read(path, NULL);
    const char *const keys[] = {"format", "vocabulary", "config"};
    cb_metadata metadata[4] = {{"format_version", "1"}};
    cb_named_tensor tensors[64];
    int32_t numbers[4] = {1, 2, 3, 4};
    cb_tensor integers = cb_tensor_wrap(CB_I32, CB_SHAPE(4), numbers);
    for (int i = 0; i < 3; i++)
        metadata[1 + i] = (cb_metadata){keys[i], cb_safetensors_metadata(file, keys[i])};
    for (int i = 0; i < cb_safetensors_count(file); i++) {
        tensors[i] = cb_safetensors_at(file, i);
        if (strcmp(tensors[i].name, "head.bias") == 0)
            tensors[i].tensor = &integers;
    }
    cr_assert_eq(cb_safetensors_write(path, cb_safetensors_count(file), tensors, 4, metadata, NULL),
                 CB_OK);
    cb_safetensors_free(file);
    expect_failure("head.bias is I32, not a float");
}

/* Of what is not in a weight: the checksum covers all of it. */
Test(checkpoint, refuses_every_changed_byte) {
    struct stat status;
    checkpoint loaded;
    cr_assert_eq(stat(path, &status), 0);
    FILE *file = fopen(path, "r+b");
    for (long at = 8; at < (long)status.st_size; at += at < 1500 ? 7 : 97) {
        fseek(file, at, SEEK_SET);
        int byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 1, file);
        fflush(file);
        bool read = checkpoint_read(path, &loaded, error);
        /* Spaces behind the header mean nothing. */
        cr_expect(!read || byte == ' ', "byte %ld", at);
        if (read)
            checkpoint_free(&loaded);
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
    }
    fclose(file);
}
