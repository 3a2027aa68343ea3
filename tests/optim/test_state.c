/* The state of optimizers in files: training that was stopped and went on gives the weights of
   training that was not, to the bit. */
#include "tests/support.h"

#include "examples/lion.h"

#include <cerebra/cerebra.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A model, an optimizer with two groups, and how far it has come. */
typedef struct trainee {
    cb_params *params;
    cb_module *first, *dropout, *second;
    cb_optimizer *optimizer;
    cb_schedule schedule;
} trainee;

static trainee begin(const char *name, const cb_optimizer_options *options, cb_dtype dtype) {
    trainee t = {.params = cb_params_new_dtype(3, dtype)};
    t.first = cb_linear_new(t.params, "first", 5, 7);
    t.dropout = cb_dropout_new(t.params, "dropout", 0.25);
    t.second = cb_linear_new(t.params, "second", 7, 2);
    t.schedule = (cb_schedule){.kind = CB_SCHEDULE_PLATEAU, .gamma = 0.5};
    t.optimizer = strcmp(name, lion_rule.name) == 0
                      ? cb_optimizer_new_rule(&lion_rule, t.params, options)
                      : cb_optimizer_new(name, t.params, options);
    cr_assert_not_null(t.optimizer, "%s", cb_params_error(t.params));
    cb_optimizer_options other = *options;
    other.lr = 0.02;
    cr_assert_eq(cb_optimizer_group(t.optimizer, "second", &other), 1);
    return t;
}

static void end(trainee *t) {
    cb_optimizer_free(t->optimizer);
    cb_params_free(t->params);
}

static void train(trainee *t, int from, int to) {
    cb_tape *tape = cb_tape_new();
    for (int i = from; i < to; i++) {
        cb_random random = cb_random_seed((uint64_t)i);
        double numbers[20];
        cb_random_uniform_f64(&random, 20, numbers, -1, 1);
        cb_tensor x = cb_tensor_wrap(CB_F64, CB_SHAPE(4, 5), numbers);
        cb_tensor *y = cb_cast(cb_input(tape, &x), cb_params_dtype(t->params));
        y = cb_forward(t->first, y);
        y = cb_forward(t->second, cb_forward(t->dropout, cb_tanh(y)));
        cr_assert_eq(cb_backward(cb_mean(cb_square(y), CB_ALL_AXES, false)), CB_OK);
        /* Schedules: what they have changed has to come back, too. */
        cr_assert_eq(cb_optimizer_schedule(t->optimizer, &t->schedule), CB_OK);
        cb_optimizer_group_options(t->optimizer, 0)->lr *= 0.9;
        cb_schedule_advance(&t->schedule, i % 2);
        cr_assert_eq(cb_optimizer_step(t->optimizer), CB_OK);
        cb_tape_reset(tape);
    }
    cb_tape_free(tape);
}

static char directory[CBT_PATH_SIZE], path[CBT_PATH_SIZE];

static void set_up(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "state.safetensors");
}

static void tear_down(void) {
    cbt_directory_remove(directory);
}

TestSuite(optimizer_state, .init = set_up, .fini = tear_down);

/* Weights, state and generator in one file. */
static void save(const trainee *t) {
    cb_named_tensor entries[64];
    char settings[4096], random[64], schedule[512];
    int count = 0;
    for (int i = 0; i < cb_params_count(t->params); i++) {
        const cb_param *param = cb_params_at(t->params, i);
        entries[count++] = (cb_named_tensor){param->name, param->value};
    }
    for (int i = 0; i < cb_optimizer_state_count(t->optimizer); i++)
        entries[count++] = cb_optimizer_state_at(t->optimizer, i);
    size_t length = cb_optimizer_settings(t->optimizer, settings, sizeof settings);
    cr_assert(length > 0 && length < sizeof settings);
    cr_assert_eq(cb_optimizer_settings(t->optimizer, NULL, 0), length);
    const cb_random *generator = cb_params_random(t->params);
    snprintf(random, sizeof random, "%" PRIu64 " %" PRIu64, generator->key, generator->counter);
    cr_assert_neq(cb_schedule_state(&t->schedule, schedule, sizeof schedule), 0);
    const cb_metadata metadata[] = {
        {"optimizer", settings}, {"random", random}, {"schedule", schedule}};
    cb_error error;
    cr_assert_eq(cb_safetensors_write(path, count, entries, 3, metadata, &error), CB_OK, "%s",
                 error.message);
}

static cb_status restore(trainee *t, cb_error *error) {
    cb_safetensors *file = cb_safetensors_read(path, error);
    cr_assert_not_null(file, "%s", error->message);
    cb_status status = cb_params_restore(t->params, file, error);
    cr_assert_eq(status, CB_OK, "%s", error->message);
    status = cb_optimizer_restore(t->optimizer, file, error);
    const char *random = cb_safetensors_metadata(file, "random");
    cb_random *generator = cb_params_random(t->params);
    if (random != NULL) {
        cr_assert_eq(sscanf(random, "%" SCNu64 " %" SCNu64, &generator->key, &generator->counter),
                     2);
        cr_assert_eq(
            cb_schedule_restore(&t->schedule, cb_safetensors_metadata(file, "schedule"), error),
            CB_OK, "%s", error->message);
    }
    cb_safetensors_free(file);
    return status;
}

static void expect_same(const trainee *a, const trainee *b) {
    for (int i = 0; i < cb_params_count(a->params); i++) {
        const cb_tensor *x = cb_params_at(a->params, i)->value;
        const cb_tensor *y = cb_params_at(b->params, i)->value;
        cr_assert_arr_eq(x->data, y->data, cb_tensor_bytes(x), "%s differs",
                         cb_params_at(a->params, i)->name);
    }
    cr_assert_eq(cb_optimizer_state_count(a->optimizer), cb_optimizer_state_count(b->optimizer));
    for (int i = 0; i < cb_optimizer_state_count(a->optimizer); i++) {
        cb_named_tensor x = cb_optimizer_state_at(a->optimizer, i);
        cb_named_tensor y = cb_optimizer_state_at(b->optimizer, i);
        cr_assert_str_eq(x.name, y.name);
        cr_assert_arr_eq(x.tensor->data, y.tensor->data, cb_tensor_bytes(x.tensor), "%s differs",
                         x.name);
    }
}

static const struct {
    const char *optimizer;
    cb_optimizer_options options;
    const char *entry; /* one that its file must have */
} kinds[] = {
    {"sgd", {.lr = 0.1}, "optimizer.first.weight.step"},
    {"sgd", {.lr = 0.1, .momentum = 0.9, .dampening = 0.5}, "optimizer.first.bias.momentum_buffer"},
    {"sgd", {.lr = 0.1, .momentum = 0.9, .nesterov = true}, "optimizer.first.bias.momentum_buffer"},
    {"adagrad", {.lr = 0.1, .initial_accumulator = 0.1}, "optimizer.second.weight.sum"},
    {"adagrad", {.lr = 0.1, .lr_decay = 0.3}, "optimizer.second.weight.sum"},
    {"adam", {.lr = 0.1, .clip_norm = 0.5}, "optimizer.first.weight.exp_avg_sq"},
    {"adam",
     {.lr = 0.1, .amsgrad = true, .clip_norm = INFINITY},
     "optimizer.first.weight.max_exp_avg_sq"},
    {"adamw", {.lr = 0.1, .weight_decay = 0.1}, "optimizer.second.bias.exp_avg"},
    {"rmsprop", {.lr = 0.1}, "optimizer.second.bias.square_avg"},
    {"rmsprop", {.lr = 0.1, .centered = true, .momentum = 0.5}, "optimizer.second.bias.grad_avg"},
    {"lion", {.lr = 0.1, .own = {0.5}}, "optimizer.second.bias.exp_avg"},
};

Test(optimizer_state, training_goes_on_to_the_bit) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (int k = 0; k < 2; k++) {
            cb_dtype dtype = k == 0 ? CB_F32 : CB_F64;
            trainee whole = begin(kinds[i].optimizer, &kinds[i].options, dtype);
            trainee stopped = begin(kinds[i].optimizer, &kinds[i].options, dtype);
            trainee resumed = begin(kinds[i].optimizer, &kinds[i].options, dtype);
            cb_error error;
            train(&whole, 0, 7);
            train(&stopped, 0, 3);
            save(&stopped);
            cb_safetensors *file = cb_safetensors_read(path, &error);
            cr_assert_not_null(cb_safetensors_find(file, kinds[i].entry), "%s", kinds[i].entry);
            cb_safetensors_free(file);
            /* Steps that are forgotten again. */
            train(&resumed, 11, 13);
            cr_assert_eq(restore(&resumed, &error), CB_OK, "%s", error.message);
            cr_assert_eq(cb_optimizer_group_options(resumed.optimizer, 0)->clip_norm,
                         kinds[i].options.clip_norm);
            train(&resumed, 3, 7);
            expect_same(&whole, &resumed);
            end(&whole);
            end(&stopped);
            end(&resumed);
        }
    }
}

Test(optimizer_state, before_the_first_step_there_is_none) {
    const cb_optimizer_options options = {.lr = 0.1};
    trainee t = begin("adam", &options, CB_F32), other = begin("adam", &options, CB_F32);
    cb_error error;
    cr_assert_eq(cb_optimizer_state_count(t.optimizer), 0);
    cr_assert_null(cb_optimizer_state_at(t.optimizer, 0).name);
    save(&t);
    train(&other, 0, 2);
    cr_assert_eq(restore(&other, &error), CB_OK, "%s", error.message);
    cr_assert_eq(cb_optimizer_state_count(other.optimizer), 0);
    end(&t);
    end(&other);
}

/* Each is refused with a message that has this part, and changes nothing. */
static void expect_refusal(const char *optimizer, cb_status wanted, const char *part) {
    const cb_optimizer_options options = {.lr = 0.1};
    trainee t = begin(optimizer, &options, CB_F32), untouched = begin(optimizer, &options, CB_F32);
    cb_safetensors *file = cb_safetensors_read(path, NULL);
    cb_error error;
    train(&t, 0, 2);
    train(&untouched, 0, 2);
    cr_assert_not_null(file);
    cr_assert_eq(cb_optimizer_restore(t.optimizer, file, &error), wanted, "%d: %s", error.status,
                 error.message);
    cr_assert_not_null(strstr(error.message, part), "%s", error.message);
    expect_same(&t, &untouched);
    cb_safetensors_free(file);
    end(&t);
    end(&untouched);
}

/* The file of an Adam that has taken two steps, with one entry replaced or left out, or with other
   settings. */
static void write_changed(const char *name, const cb_tensor *instead, const char *settings) {
    const cb_optimizer_options options = {.lr = 0.1};
    trainee t = begin("adam", &options, CB_F32);
    cb_named_tensor entries[64];
    char own[4096];
    int count = 0;
    train(&t, 0, 2);
    for (int i = 0; i < cb_optimizer_state_count(t.optimizer); i++) {
        cb_named_tensor entry = cb_optimizer_state_at(t.optimizer, i);
        if (strcmp(entry.name, name) != 0)
            entries[count++] = entry;
    }
    if (instead != NULL)
        entries[count++] = (cb_named_tensor){name, instead};
    cb_optimizer_settings(t.optimizer, own, sizeof own);
    const cb_metadata metadata = {"optimizer", settings == NULL ? own : settings};
    cr_assert_eq(cb_safetensors_write(path, count, entries,
                                      settings != NULL && *settings == 0 ? 0 : 1, &metadata, NULL),
                 CB_OK);
    end(&t);
}

Test(optimizer_state, refuses_what_does_not_fit) {
    cb_tensor *small = cb_tensor_new(CB_F32, CB_SHAPE(3));
    cb_tensor *wide = cb_tensor_new(CB_F64, CB_SHAPE(7));
    int64_t steps = -2;
    cb_tensor negative = cb_tensor_wrap(CB_I64, 0, NULL, &steps);
    write_changed("", NULL, NULL);
    expect_refusal("adagrad", CB_ERROR_FORMAT, "the file is of the optimizer adam");
    expect_refusal("adamw", CB_ERROR_FORMAT, "the file is of the optimizer adam");
    write_changed("optimizer.first.bias.exp_avg", NULL, NULL);
    expect_refusal("adam", CB_ERROR_NOT_FOUND, "optimizer.first.bias.exp_avg: there is no such");
    write_changed("optimizer.first.bias.exp_avg", small, NULL);
    expect_refusal("adam", CB_ERROR_SHAPE, "optimizer.first.bias.exp_avg: it has another shape");
    write_changed("optimizer.first.bias.exp_avg", wide, NULL);
    expect_refusal("adam", CB_ERROR_DTYPE, "it is f64 where first.bias is f32");
    write_changed("optimizer.first.bias.step", small, NULL);
    expect_refusal("adam", CB_ERROR_DTYPE, "optimizer.first.bias.step: it is no single i64");
    write_changed("optimizer.first.bias.step", &negative, NULL);
    expect_refusal("adam", CB_ERROR_VALUE, "-2 steps");
    write_changed("optimizer.third.bias.exp_avg", small, NULL);
    expect_refusal("adam", CB_ERROR_NOT_FOUND, "optimizer.third.bias.exp_avg");
    write_changed("", NULL, "");
    expect_refusal("adam", CB_ERROR_FORMAT, "missing or damaged");
    write_changed("", NULL, "{\"name\": \"adam\", \"groups\": []}");
    expect_refusal("adam", CB_ERROR_FORMAT, "0 groups, not 2");
    write_changed("", NULL, "{\"name\": \"adam\", \"groups\": [{}, {}]}");
    expect_refusal("adam", CB_ERROR_FORMAT, "group 0 are damaged");
    cb_tensor_free(small);
    cb_tensor_free(wide);
}

/* Settings as the first version wrote them: options that it did not have are 0, and the initial
   rate is the rate. */
Test(optimizer_state, settings_of_the_first_version_are_read) {
#define GROUP(lr)                                                                                  \
    "{\"lr\": " lr ", \"weight_decay\": 0, \"momentum\": 0, \"dampening\": 0, "                    \
    "\"nesterov\": 0, \"lr_decay\": 0, \"beta1\": 0.5, \"initial_accumulator\": 0, "               \
    "\"beta2\": 0.5, \"alpha\": 0, \"epsilon\": 0, \"amsgrad\": 0, \"centered\": 0, "              \
    "\"clip_norm\": 0}"
    write_changed("", NULL,
                  "{\"name\": \"adam\", \"groups\": [" GROUP("0.25") ", " GROUP("0.5") "]}");
    const cb_optimizer_options options = {.lr = 0.1, .own = {3}};
    trainee t = begin("adam", &options, CB_F32);
    cb_error error;
    cb_safetensors *file = cb_safetensors_read(path, &error);
    cr_assert_eq(cb_optimizer_restore(t.optimizer, file, &error), CB_OK, "%s", error.message);
    const cb_optimizer_options *second = cb_optimizer_group_options(t.optimizer, 1);
    cr_expect(second->lr == 0.5 && second->initial_lr == 0.5 && second->own[0] == 0);
    cb_safetensors_free(file);
    end(&t);
}
