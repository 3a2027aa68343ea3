/* A program around a recurrent cell of one's own. It checks the gradients of custom_cell.c's cell
   and then trains a network of it to predict a text byte by byte, compiled or op by op.

       cc train_custom_cell.c custom_cell.c -o train $(pkg-config --cflags --libs cerebra)
       ./train [TEXT [STEPS [eager]]] */
#include "custom_cell.h"

#include <cerebra/cerebra.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- The check ------------------------------------------------------------------------------- */

/* The states after two steps, side by side. inputs: x of either step, the states before, and the
   parameters in the order of the cell's table. */
static cb_tensor *two_steps(cb_tensor *const *inputs, void *context) {
    cb_tensor *const *state = inputs + 2, *const *weights = state + custom_cell.state_count;
    cb_tensor *after_one[CB_CELL_MAX_STATES], *after_two[CB_CELL_MAX_STATES];
    cb_cell_step s = {.cell = &custom_cell, .weights = weights};
    (void)context;
    s.x = inputs[0], s.state = s.recurrent = state, s.next = after_one;
    custom_cell.full_step(&s);
    s.x = inputs[1], s.state = s.recurrent = after_one, s.next = after_two;
    custom_cell.full_step(&s);
    return cb_concat(custom_cell.state_count, after_two, -1);
}

/* A random matrix, or vector when columns is 0. */
static cb_tensor *drawn(cb_random *random, int64_t rows, int64_t columns) {
    cb_tensor *t = cb_tensor_new(CB_F64, columns > 0 ? 2 : 1, (int64_t[]){rows, columns});
    if (t != NULL)
        cb_random_normal_f64(random, cb_tensor_count(t), t->data, 0, 1);
    return t;
}

/* Compares all gradients of two steps with central differences. */
static bool gradients_right(void) {
    enum { BATCH = 2 };
    const int64_t input = 3, hidden = 4;
    cb_tensor *inputs[2 + CB_CELL_MAX_STATES + CB_CELL_MAX_PARAMS];
    cb_random random = cb_random_seed(1);
    cb_check_report report = {.message = "no memory"};
    int count = 0;
    while (count < 2)
        inputs[count++] = drawn(&random, BATCH, input);
    while (count < 2 + custom_cell.state_count)
        inputs[count++] = drawn(&random, BATCH, hidden);
    for (int i = 0; i < custom_cell.param_count; i++) {
        const cb_cell_param *p = &custom_cell.params[i];
        inputs[count++] =
            drawn(&random, cb_cell_extent_of(&custom_cell, &p->rows, input, hidden, NULL),
                  cb_cell_extent_of(&custom_cell, &p->columns, input, hidden, NULL));
    }
    bool passed = true;
    for (int i = 0; i < count; i++)
        passed = passed && inputs[i] != NULL;
    passed = passed && cb_check_gradient(two_steps, NULL, count, inputs, NULL, &report);
    for (int i = 0; i < count; i++)
        cb_tensor_free(inputs[i]);
    printf("gradients: %lld numbers compared, largest relative error %.1e %s\n",
           (long long)report.compared, report.worst, report.message);
    return passed;
}

/* ---- The task -------------------------------------------------------------------------------- */

enum { BYTES = 256, TIME = 24, BATCH = 16, WIDTH = 16, HIDDEN = 48, MOST_TEXT = 1 << 24 };
enum { MOST_STEPS = 1000000 };

static const char rhyme[] = "The tape has noted what each op has done,\n"
                            "so gradients run backward, one by one.\n"
                            "Two memories, an upper and a lower,\n"
                            "one quick to let things go, the other slower,\n"
                            "are each looked into by the gates they own\n"
                            "before a state is kept, or overthrown.\n";

/* Bytes at random places of the text, and each one's successor: [TIME, BATCH]. */
static void draw(const unsigned char *text, size_t length, cb_random *random, int32_t *inputs,
                 int32_t *targets) {
    for (int b = 0; b < BATCH; b++) {
        size_t start = cb_random_below(random, length - TIME);
        for (int t = 0; t < TIME; t++) {
            inputs[t * BATCH + b] = text[start + (size_t)t];
            targets[t * BATCH + b] = text[start + (size_t)t + 1];
        }
    }
}

static void say_how(const cb_rnn *rnn) {
    const char *reason = cb_rnn_eager_reason(rnn, 0);
    if (reason == NULL)
        printf("the cell is compiled\n");
    else
        printf("the cell runs op by op: %s\n", reason);
    cb_scan_check_report report;
    if (cb_rnn_check(rnn, 0, NULL, &report))
        printf("%lld numbers as op by op, largest relative error of a gradient %.1e\n",
               (long long)report.compared, report.worst_gradient);
    else
        printf("they differ: %s\n", report.message);
}

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int train(const unsigned char *text, size_t length, int steps, bool eager) {
    static int32_t x[TIME * BATCH], y[TIME * BATCH];
    const cb_tensor inputs = cb_tensor_wrap(CB_I32, CB_SHAPE(TIME, BATCH), x);
    const cb_tensor targets = cb_tensor_wrap(CB_I32, CB_SHAPE(TIME, BATCH), y);
    cb_random random = cb_random_seed(1);
    cb_params *params = cb_params_new(1);
    cb_module *embedding = cb_embedding_new(params, "embedding", BYTES, WIDTH);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", &custom_cell, WIDTH, HIDDEN, .eager = eager);
    cb_module *head = cb_linear_new(params, "head", HIDDEN, BYTES);
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    cb_tape *tape = cb_tape_new();
    const char *error = cb_params_error(params);
    cb_status status = cb_params_status(params);
    if (status == CB_OK)
        say_how(rnn);
    double begin = seconds();
    for (int k = 0; k <= steps && status == CB_OK; k++) {
        draw(text, length, &random, x, y);
        cb_tensor *h = cb_rnn_forward(rnn, cb_forward(embedding, cb_input(tape, &inputs)), NULL);
        cb_tensor *loss = cb_cross_entropy(cb_forward(head, h), cb_input(tape, &targets));
        status = cb_backward(loss);
        error = cb_tape_error(tape);
        if (status == CB_OK && k % 20 == 0)
            printf("step %d, loss %.4f\n", k, cb_item(loss));
        if (status == CB_OK) {
            cb_clip_gradient_norm(params, 1);
            status = cb_optimizer_step(optimizer);
            error = cb_params_error(params);
            cb_tape_reset(tape);
        }
    }
    if (status == CB_OK)
        printf("%.2f ms a step\n", 1e3 * (seconds() - begin) / (steps + 1));
    else
        fprintf(stderr, "train_custom_cell: %s\n", error);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* What the command line asks for, but for the text. */
static bool parse(int argc, char **argv, int *steps, bool *eager) {
    char *end = "";
    long value = argc > 2 ? strtol(argv[2], &end, 10) : 200;
    if (argc > 2 && (end == argv[2] || *end != '\0' || value < 0 || value > MOST_STEPS)) {
        fprintf(stderr, "train_custom_cell: STEPS must be a whole number from 0 to %d, not %s\n",
                MOST_STEPS, argv[2]);
        return false;
    }
    if (argc > 4 || (argc > 3 && strcmp(argv[3], "eager") != 0)) {
        fprintf(stderr,
                "train_custom_cell: \"%s\" means nothing here; there is TEXT, STEPS, eager\n",
                argv[argc > 4 ? 4 : 3]);
        return false;
    }
    *steps = (int)value;
    *eager = argc > 3;
    return true;
}

int main(int argc, char **argv) {
    static unsigned char text[MOST_TEXT];
    int steps;
    bool eager;
    if (!parse(argc, argv, &steps, &eager))
        return 2;
    size_t length = sizeof rhyme - 1;
    FILE *stream = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (stream != NULL) {
        length = fread(text, 1, sizeof text, stream);
        fclose(stream);
    }
    if ((argc > 1 && stream == NULL) || length <= TIME) {
        fprintf(stderr, "train_custom_cell: %s cannot be read or is too short\n", argv[1]);
        return 1;
    }
    if (!gradients_right())
        return 1;
    return train(stream != NULL ? text : (const unsigned char *)rhyme, length, steps, eager);
}
