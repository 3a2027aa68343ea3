/* Two threads that train a model each, while a third changes how many threads the library uses: the
   weights are those of training alone, to the bit. Under ThreadSanitizer, without a report. */
#include <cerebra/cerebra.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME = 6, BATCH = 12, INPUT = 10, HIDDEN = 16, STEPS = 40, MODELS = 2 };

typedef struct trained {
    int number;
    double sum; /* of the weights' bits, as whole numbers */
    bool failed;
} trained;

/* Of a cell and an optimizer for each number. */
static void train(trained *t) {
    const cb_cell *const cells[MODELS] = {&cb_lstm, &cb_cerebral_lstm};
    const char *const optimizers[MODELS] = {"adam", "adagrad"};
    cb_params *params = cb_params_new((uint64_t)t->number + 1);
    cb_rnn *rnn =
        cb_rnn_new(params, "rnn", cells[t->number], INPUT, HIDDEN, .layers = 2, .dropout = 0.2);
    cb_module *head = cb_linear_new(params, "head", HIDDEN, 3);
    cb_optimizer *optimizer = cb_optimizer_new(optimizers[t->number], params, NULL);
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(7);
    t->failed = optimizer == NULL || tape == NULL;
    for (int i = 0; i < STEPS && !t->failed; i++) {
        float numbers[TIME * BATCH * INPUT];
        cb_random_uniform_f32(&random, TIME * BATCH * INPUT, numbers, -1, 1);
        cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, INPUT), numbers);
        cb_tensor *y = cb_forward(head, cb_rnn_forward(rnn, cb_input(tape, &x), NULL));
        t->failed = cb_backward(cb_mean(cb_square(y), CB_ALL_AXES, false)) != CB_OK ||
                    cb_optimizer_step(optimizer) != CB_OK;
        cb_tape_reset(tape);
    }
    t->sum = 0;
    for (int i = 0; i < cb_params_count(params); i++) {
        const cb_tensor *value = cb_params_at(params, i)->value;
        for (int64_t k = 0; k < cb_tensor_count(value); k++) {
            uint32_t bits;
            memcpy(&bits, (const float *)value->data + k, sizeof bits);
            t->sum += (double)(bits >> 8) * (double)(1 + k % 7);
        }
    }
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
}

static void *train_in_thread(void *context) {
    train(context);
    return NULL;
}

static _Atomic bool stop;

static void *change_threads(void *context) {
    (void)context;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        cb_set_threads(1 + (int)(i % 4));
        for (volatile int k = 0; k < 2000; k++)
            ;
    }
    return NULL;
}

int main(void) {
    trained alone[MODELS], together[MODELS];
    pthread_t threads[MODELS], changer;
    int wrong = 0;
    cb_set_threads(1);
    for (int i = 0; i < MODELS; i++) {
        alone[i] = together[i] = (trained){.number = i};
        train(&alone[i]);
    }
    if (pthread_create(&changer, NULL, change_threads, NULL) != 0)
        return 1;
    for (int i = 0; i < MODELS; i++)
        if (pthread_create(&threads[i], NULL, train_in_thread, &together[i]) != 0)
            return 1;
    for (int i = 0; i < MODELS; i++) {
        pthread_join(threads[i], NULL);
        bool same = !alone[i].failed && !together[i].failed && alone[i].sum == together[i].sum;
        printf("model %d: %.0f alone, %.0f beside another\n", i, alone[i].sum, together[i].sum);
        wrong += !same;
    }
    atomic_store(&stop, true);
    pthread_join(changer, NULL);
    return wrong > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
