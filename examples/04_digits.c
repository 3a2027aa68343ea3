/* Digits: a network with a hidden layer reads handwriting. Data from .npy files, minibatches,
   dropout, weight decay for matrices alone, a schedule, and the accuracy on digits it never saw.

       cc 04_digits.c -o 04_digits $(pkg-config --cflags --libs cerebra)
       ./04_digits digits/images.npy digits/labels.npy

   images: [count, 64], integers from 0 to 16; labels: [count]. digits/README.md says how to draw
   some, and where handwritten ones are. The last fifth is kept for the test. */
#include <cerebra/cerebra.h>
#include <stdio.h>

enum { PIXELS = 64, HIDDEN = 64, CLASSES = 10, BATCH = 25, EPOCHS = 20 };

typedef struct data {
    cb_tensor *images; /* f32, from 0 to 1 */
    cb_tensor *labels; /* i64 */
    int64_t count;
} data;

static bool read_data(const char *images, const char *labels, data *to) {
    cb_error error = {0};
    cb_tensor *pixels = cb_npy_read(images, &error);
    to->labels = pixels == NULL ? NULL : cb_npy_read(labels, &error);
    if (to->labels == NULL)
        return fprintf(stderr, "%s\n", error.message), cb_tensor_free(pixels), false;
    to->images = cb_tensor_copy(pixels, CB_F32); /* from integers */
    to->count = pixels->shape[0];
    bool fits = to->images != NULL && pixels->rank == 2 && pixels->shape[1] == PIXELS &&
                to->labels->rank == 1 && to->labels->shape[0] == to->count;
    for (int64_t i = 0; fits && i < to->count * PIXELS; i++)
        ((float *)to->images->data)[i] /= 16;
    cb_tensor_free(pixels);
    if (!fits)
        fprintf(stderr, "images must be [count,%d], labels [count]\n", PIXELS);
    return fits;
}

/* Which share of the digits from `first` on the network names right; NaN when an op fails. */
static double share_right(cb_module *network, const data *d, int64_t first) {
    cb_tape *tape = cb_tape_new_no_grad(); /* dropout keeps everything here */
    cb_tensor *x = cb_slice(cb_input(tape, d->images), 0, first, CB_END, 1);
    cb_tensor *y = cb_slice(cb_input(tape, d->labels), 0, first, CB_END, 1);
    cb_tensor *guess = cb_cast(cb_argmax(cb_forward(network, x), -1, false), y->dtype);
    double right = cb_item(cb_sum(cb_equal(guess, y), CB_ALL_AXES, false));
    cb_tape_free(tape);
    return right / (double)(d->count - first);
}

static cb_status train(cb_module *network, cb_params *params, const data *d, int64_t train_count) {
    cb_optimizer *adamw = cb_adamw_new(params, .lr = 0.005, .weight_decay = 0.05);
    cb_optimizer_group_where(adamw, cb_param_is_vector, NULL,
                             CB_OPTIMIZER_OPTIONS(.weight_decay = 0)); /* not for biases */
    cb_schedule schedule = {.kind = CB_SCHEDULE_COSINE, .period = EPOCHS};
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(1);
    cb_status status = cb_params_status(params);
    if (status != CB_OK)
        fprintf(stderr, "%s\n", cb_params_error(params));
    for (int epoch = 0; epoch < EPOCHS && status == CB_OK; epoch++) {
        cb_optimizer_schedule(adamw, &schedule); /* the rates of all groups */
        for (int64_t batch = 0; batch < train_count / BATCH && status == CB_OK; batch++) {
            int64_t chosen[BATCH];
            cb_random_choice(&random, train_count, BATCH, chosen);
            cb_tensor which = cb_tensor_wrap(CB_I64, CB_SHAPE(BATCH), chosen);
            cb_tape_reset(tape);
            cb_tensor *rows = cb_input(tape, &which);
            cb_tensor *x = cb_gather_rows(cb_input(tape, d->images), rows);
            cb_tensor *y = cb_gather_rows(cb_input(tape, d->labels), rows);
            status = cb_backward(cb_cross_entropy(cb_forward(network, x), y));
            if (status != CB_OK)
                fprintf(stderr, "%s\n", cb_tape_error(tape));
            else
                status = cb_optimizer_step(adamw);
        }
        cb_schedule_advance(&schedule, 0);
    }
    cb_tape_free(tape);
    cb_optimizer_free(adamw);
    return status;
}

int main(int argc, char **argv) {
    data d = {0};
    if (argc != 3 || !read_data(argv[1], argv[2], &d))
        return fprintf(stderr, "usage: 04_digits IMAGES LABELS\n"), 2;
    int64_t train_count = d.count * 4 / 5, test_count = d.count - train_count;
    cb_params *params = cb_params_new(1);
    cb_module *layers[] = {
        cb_linear_new(params, "hidden", PIXELS, HIDDEN), cb_function_new(params, "relu", cb_relu),
        cb_dropout_new(params, "dropout", 0.2), cb_linear_new(params, "out", HIDDEN, CLASSES)};
    cb_module *network = cb_sequential_new(params, "network", 4, layers);
    printf("%lld parameters, %lld digits to learn from, %lld to test\n",
           (long long)cb_params_elements(params), (long long)train_count, (long long)test_count);
    bool ok = train(network, params, &d, train_count) == CB_OK;
    double right = ok ? share_right(network, &d, train_count) : 0;

    printf("more than 80 of 100 are right: %s\n", right > 0.8 ? "yes" : "no");
    cb_params_free(params);
    cb_tensor_free(d.images);
    cb_tensor_free(d.labels);
    return ok ? 0 : 1;
}

/* $ ./04_digits digits/images.npy digits/labels.npy
   4810 parameters, 400 digits to learn from, 100 to test
   more than 80 of 100 are right: yes */
