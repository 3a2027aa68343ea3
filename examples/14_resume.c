/* Training that may be stopped at any moment and goes on as if it had not been: weights, state of
   the optimizer, random numbers and position are in one file, which is replaced whole every 20
   steps. Stopped and begun again, it ends in the same file, byte for byte.

       cc 14_resume.c -o 14_resume $(pkg-config --cflags --libs cerebra) -lm
       ./14_resume FILE STEPS */
#include <cerebra/cerebra.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16, INPUT = 8, HIDDEN = 32, EVERY = 20, MOST_ENTRIES = 64, SETTINGS = 4096 };

typedef struct training {
    cb_params *params;
    cb_module *in, *dropout, *out;
    cb_optimizer *optimizer;
    cb_random batches; /* what batches are drawn from */
    int64_t step;      /* how many are done */
} training;

/* Weights and state side by side: their names do not clash. */
static bool save(const training *t, const char *path, cb_error *error) {
    cb_named_tensor entries[MOST_ENTRIES];
    int weights = cb_params_count(t->params);
    int count = weights + cb_optimizer_state_count(t->optimizer);
    char settings[SETTINGS], position[128];
    if (count > MOST_ENTRIES)
        return false;
    for (int i = 0; i < weights; i++) {
        const cb_param *param = cb_params_at(t->params, i);
        entries[i] = (cb_named_tensor){param->name, param->value};
    }
    for (int i = weights; i < count; i++)
        entries[i] = cb_optimizer_state_at(t->optimizer, i - weights);
    /* A generator is two numbers; dropout draws from one of the set's own. */
    const cb_random *dropout = cb_params_random(t->params);
    snprintf(position, sizeof position, "%" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
             t->step, t->batches.key, t->batches.counter, dropout->key, dropout->counter);
    cb_optimizer_settings(t->optimizer, settings, sizeof settings);
    const cb_metadata metadata[] = {{"optimizer", settings}, {"position", position}};
    return cb_safetensors_write(path, count, entries, 2, metadata, error) == CB_OK;
}

static bool restore(training *t, const char *path, cb_error *error) {
    cb_safetensors *file = cb_safetensors_read(path, error);
    const char *position = file == NULL ? NULL : cb_safetensors_metadata(file, "position");
    cb_random *dropout = cb_params_random(t->params);
    bool ok = position != NULL && cb_params_restore(t->params, file, error) == CB_OK &&
              cb_optimizer_restore(t->optimizer, file, error) == CB_OK &&
              sscanf(position, "%" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &t->step,
                     &t->batches.key, &t->batches.counter, &dropout->key, &dropout->counter) == 5;
    cb_safetensors_free(file);
    return ok;
}

/* One step: the network is to find the sum of its inputs' squares. Returns the loss. */
static double step(training *t, cb_tape *tape) {
    float inputs[BATCH * INPUT];
    cb_random_uniform_f32(&t->batches, BATCH * INPUT, inputs, -1, 1);
    cb_tensor values = cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, INPUT), inputs);
    cb_tensor *x = cb_input(tape, &values);
    cb_tensor *target = cb_sum(cb_square(x), CB_AXES(1), true);
    cb_tensor *y = cb_forward(t->out, cb_forward(t->dropout, cb_tanh(cb_forward(t->in, x))));
    cb_tensor *loss = cb_mse(y, target, CB_REDUCE_MEAN);
    double value = cb_item(loss);
    bool ok = cb_backward(loss) == CB_OK && cb_optimizer_step(t->optimizer) == CB_OK;
    cb_tape_reset(tape);
    t->step++;
    return ok ? value : -1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: 14_resume FILE STEPS\n");
        return 2;
    }
    training t = {.params = cb_params_new(1), .batches = cb_random_seed(2)};
    t.in = cb_linear_new(t.params, "in", INPUT, HIDDEN);
    t.dropout = cb_dropout_new(t.params, "dropout", 0.1);
    t.out = cb_linear_new(t.params, "out", HIDDEN, 1);
    t.optimizer = cb_adam_new(t.params, .lr = 0.01);
    cb_tape *tape = cb_tape_new();
    cb_error error = {CB_OK, "no memory, or no position"};
    FILE *there = fopen(argv[1], "rb");
    bool ok = tape != NULL && t.optimizer != NULL;
    if (there != NULL) {
        fclose(there);
        ok = ok && restore(&t, argv[1], &error);
        printf("going on after step %" PRId64 "\n", t.step);
    }
    double loss = 0;
    for (int64_t steps = strtoll(argv[2], NULL, 10); ok && t.step < steps;) {
        loss = step(&t, tape);
        ok = loss >= 0;
        if (ok && (t.step % EVERY == 0 || t.step == steps))
            ok = save(&t, argv[1], &error);
    }
    printf("step %" PRId64 ", loss %.2f\n", t.step, loss);
    if (!ok)
        fprintf(stderr, "14_resume: %s\n", error.message);
    cb_tape_free(tape);
    cb_optimizer_free(t.optimizer);
    cb_params_free(t.params);
    return ok ? 0 : 1;
}

/* $ ./14_resume training.safetensors 60
   step 60, loss 1.06
   $ ./14_resume training.safetensors 130
   going on after step 60
   step 130, loss 0.67 */
