/* A cell from a file of equations, with further inputs and a value observed: a wave of which most
   samples are missing, and what is next in it.

     cc missing_values.c -o missing_values $(pkg-config --cflags --libs cerebra) -lm
     ./missing_values cookbook/decay.cell */
#include <cerebra/cerebra.h>
#include <math.h>
#include <stdio.h>

enum { TIME = 40, BATCH = 32, HIDDEN = 24, STEPS = 200 };

static float wave[TIME * BATCH], mask[TIME * BATCH], gap[TIME * BATCH], next[TIME * BATCH];

/* Waves that begin anywhere. One of three samples is there; the gap is the time since then. */
static void draw(cb_random *random) {
    for (int b = 0; b < BATCH; b++) {
        double phase = (double)cb_random_below(random, 1000) / 100;
        float since = 0;
        for (int t = 0; t < TIME; t++) {
            int at = t * BATCH + b;
            mask[at] = t == 0 || cb_random_below(random, 3) == 0;
            wave[at] = mask[at] != 0 ? (float)sin(phase + 0.3 * t) : 0;
            next[at] = (float)sin(phase + 0.3 * (t + 1));
            gap[at] = since = t == 0 ? 0 : since + 1;
            since = mask[at] != 0 ? 0 : since;
        }
    }
}

static double mean_of(const cb_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        sum += ((const float *)t->data)[i];
    return sum / (double)cb_tensor_count(t);
}

int main(int argc, char **argv) {
    cb_error error;
    cb_cell *cell = cb_cell_load(argc > 1 ? argv[1] : "cookbook/decay.cell", NULL, &error);
    if (cell == NULL)
        return fprintf(stderr, "%s\n", error.message), 1;

    const cb_setting slow[] = {{"unit", 10}, {NULL, 0}}; /* this network's own */
    const cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, 1), wave);
    const cb_tensor y = cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, 1), next);
    const cb_tensor further[] = {cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, 1), mask),
                                 cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, 1), gap)};
    cb_random random = cb_random_seed(1);
    cb_params *params = cb_params_new(1);
    cb_rnn *rnn = cb_rnn_new(params, "rnn", cell, 1, HIDDEN, .settings = slow);
    cb_module *head = cb_linear_new(params, "head", HIDDEN, 1);
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    cb_tape *tape = cb_tape_new();
    cb_status status = cb_params_status(params);
    if (status != CB_OK)
        fprintf(stderr, "%s\n", cb_params_error(params));

    for (int step = 0; step <= STEPS && status == CB_OK; step++) {
        draw(&random);
        cb_tape_reset(tape);
        cb_tensor *inputs[] = {cb_input(tape, &further[0]), cb_input(tape, &further[1])};
        cb_tensor *observed[1]; /* gamma_h */
        cb_rnn_io io = {.inputs = inputs, .observed = observed};
        cb_tensor *h = cb_rnn_forward(rnn, cb_input(tape, &x), &io);
        cb_tensor *loss = cb_mse(cb_forward(head, h), cb_input(tape, &y), CB_REDUCE_MEAN);
        status = cb_backward(loss);
        if (status != CB_OK)
            fprintf(stderr, "%s\n", cb_tape_error(tape));
        else if (step % 50 == 0)
            printf("step %3d, loss %.4f, mean of gamma_h %.3f\n", step, cb_item(loss),
                   mean_of(observed[0]));
        if (status == CB_OK)
            status = cb_optimizer_step(optimizer);
    }
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    cb_cell_free(cell); /* after the networks that use it */
    return status == CB_OK ? 0 : 1;
}
