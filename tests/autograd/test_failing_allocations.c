/* Every allocation made to fail in its turn: each function must say so, and leave nothing behind.
 */
#include "tests/support.h"

#include "tensor/memory.h"

#include <cerebra/cerebra.h>

#include <math.h>
#include <unistd.h>

/* Runs body with the first n allocations granted, for n = 0, 1, ... until it succeeds. body frees
   all that it made, and returns whether it had everything that it asked for. */
static void fail_each(const char *name, bool (*body)(void)) {
    for (int64_t n = 0; n < 2000; n++) {
        cbi_allocation_fail_after(n);
        bool succeeded = body();
        cbi_allocation_fail_after(-1);
        if (succeeded) {
            cr_expect_gt(n, 0, "%s allocates nothing", name);
            return;
        }
    }
    cr_assert_fail("%s never succeeds", name);
}

/* Large enough that the arena needs several chunks. */
static bool tape_step(void) {
    cb_tape *tape = cb_tape_new();
    float value = 0.5f;
    cb_tensor plain = cb_tensor_wrap(CB_F32, CB_SCALAR, &value);
    cb_tensor *x = cb_expand(cb_variable(tape, &plain), CB_SHAPE(900, 1200)), *g = NULL;
    cb_tensor *rows = cb_gather_rows(cb_tanh(x), cb_arange(tape, CB_I64, 0, 2, 400));
    cb_tensor *y = cb_sum(cb_stack(2, (cb_tensor *[]){cb_exp(rows), rows}, 0), CB_ALL_AXES, false);
    cb_status status = cb_grad(y, NULL, true, 1, &x, &g);
    if (status == CB_OK)
        status = cb_backward(cb_sum(cb_square(g), CB_ALL_AXES, false));
    else
        cr_expect_eq(status, CB_ERROR_MEMORY);
    cr_expect(status == CB_OK || status == CB_ERROR_MEMORY, "%s", cb_tape_error(tape));
    cr_expect_eq(cb_tape_status(tape), status);
    cr_expect(status == CB_OK || isnan(cb_item(cb_exp(y))));
    if (tape != NULL && status != CB_OK) { /* and it works again */
        cbi_allocation_fail_after(-1);
        cb_tape_reset(tape);
        cr_expect_eq(cb_item(cb_exp(cb_full(tape, CB_F64, CB_SCALAR, 0))), 1);
    }
    cb_tape_free(tape);
    return status == CB_OK;
}

Test(failing_allocations, tape_and_ops) {
    fail_each("tape", tape_step);
}

static bool model_step(void) {
    cb_params *params = cb_params_new(1);
    cb_module *embedding = cb_embedding_new(params, "embedding", 7, 4, .padded = true);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &cb_lstm, 4, 5);
    cb_module *head = cb_linear_new(params, "head", 5, 7);
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    cb_tape *tape = cb_tape_new();
    cb_tensor *ids = cb_arange(tape, CB_I64, 0, 1, 6);
    cb_tensor *x = cb_forward(embedding, cb_reshape(ids, CB_SHAPE(3, 2)));
    cb_tensor *logits = cb_forward(head, cb_rnn_forward(rnn, x, NULL));
    cb_random random = cb_random_seed(2);
    logits = cb_sort(cb_add(logits, cb_gumbel_like(logits, &random)), -1, false, NULL);
    cb_tensor *weight = cb_cumsum(cb_full(tape, CB_F32, CB_SHAPE(7), 1), 0);
    cb_tensor *loss = cb_cross_entropy(cb_reshape(logits, CB_SHAPE(6, 7)), ids, .weight = weight,
                                       CB_IGNORE(2, 5), .label_smoothing = 0.1);
    cb_status status = cb_backward(loss);
    cb_status stepped =
        optimizer != NULL && status == CB_OK ? cb_optimizer_step(optimizer) : status;
    bool complete = embedding != NULL && rnn != NULL && head != NULL && optimizer != NULL;
    cr_expect(complete || cb_params_status(params) == CB_ERROR_MEMORY, "%s",
              cb_params_error(params));
    cr_expect(complete || status != CB_OK || optimizer == NULL);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return complete && status == CB_OK && stepped == CB_OK;
}

Test(failing_allocations, modules_and_optimizers) {
    fail_each("model", model_step);
}

static char file_path[CBT_PATH_SIZE];

static bool write_and_read(void) {
    float values[] = {1, 2, 3, 4, 5, 6};
    cb_tensor t = cb_tensor_wrap(CB_F32, CB_SHAPE(2, 3), values);
    t.stride[0] = 1, t.stride[1] = 2;
    cb_named_tensor entries[] = {{"b", &t}, {"a", &t}};
    cb_metadata metadata = {"key", "value"};
    cb_error error = {CB_OK, ""};
    cb_status status = cb_safetensors_write(file_path, 2, entries, 1, &metadata, &error);
    cr_expect(status == CB_OK || status == CB_ERROR_MEMORY, "%s", error.message);
    cr_expect_eq(status, error.status);
    if (status != CB_OK)
        return false;
    cb_safetensors *file = cb_safetensors_read(file_path, &error);
    cr_expect((file != NULL) == (error.status == CB_OK));
    cr_expect(file != NULL || error.status == CB_ERROR_MEMORY, "%s", error.message);
    bool read = file != NULL && cb_safetensors_count(file) == 2;
    cb_safetensors_free(file);
    return read;
}

Test(failing_allocations, safetensors) {
    char directory[CBT_PATH_SIZE];
    cbt_directory_make(directory);
    cbt_join(file_path, directory, "x.safetensors");
    fail_each("safetensors", write_and_read);
    cr_expect_eq(cbt_directory_count(directory), 1, "a temporary file was left");
    cbt_directory_remove(directory);
}

static bool make_tensors(void) {
    cb_tensor *t = cb_tensor_new(CB_F64, CB_SHAPE(20, 20));
    cb_tensor *copy = t != NULL ? cb_tensor_copy(t, CB_F32) : NULL;
    char text[32];
    if (copy != NULL)
        cr_expect_gt(cb_tensor_format(copy, text, sizeof(text)), 0);
    cb_tensor_free(t);
    cb_tensor_free(copy);
    return copy != NULL;
}

Test(failing_allocations, tensors_and_their_text) {
    fail_each("tensor", make_tensors);
}

static cb_tensor *square(cb_tensor *const *in) {
    return cb_square(in[0]);
}

static bool check_sample(void) {
    const cb_sample sample = {"square", 1, {{1, {3}, -2, 2, CB_NO_KINK, false, false}}, square};
    cb_check_report report;
    bool passed = cb_check_sample(&sample, &(cb_check_options){.second_order = true}, &report);
    cr_expect(passed || report.message[0] != '\0');
    return passed;
}

Test(failing_allocations, the_gradient_checker) {
    fail_each("check", check_sample);
}
