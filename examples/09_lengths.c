/* Sequences of different lengths in one batch, through a bidirectional network. It marks in each
   sequence of numbers those that are equal to its last one, which only the direction from the end
   can know.

       cc 09_lengths.c -o 09_lengths $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>

enum { TIME = 12, BATCH = 32, KINDS = 6, WIDTH = 8, HIDDEN = 24, STEPS = 300, PADDING = -1 };

static int32_t numbers[TIME * BATCH], marks[TIME * BATCH], lengths[BATCH];

/* Sequences of 1 to TIME numbers, [time, batch]; marks beyond the end are PADDING. */
static void draw(cb_random *random) {
    for (int b = 0; b < BATCH; b++) {
        lengths[b] = 1 + (int32_t)cb_random_below(random, TIME);
        for (int t = TIME - 1, last = 0; t >= 0; t--) {
            numbers[t * BATCH + b] = (int32_t)cb_random_below(random, KINDS);
            if (t == lengths[b] - 1)
                last = numbers[t * BATCH + b];
            marks[t * BATCH + b] = t >= lengths[b] ? PADDING : numbers[t * BATCH + b] == last;
        }
    }
}

typedef struct model {
    cb_module *embedding, *head;
    cb_rnn *rnn;
} model;

/* [time, batch, 2 HIDDEN]: forward features first, then those of the direction from the end. */
static cb_tensor *features(const model *m, cb_tape *tape) {
    const cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(TIME, BATCH), numbers);
    const cb_tensor l = cb_tensor_wrap(CB_I32, CB_SHAPE(BATCH), lengths);
    cb_rnn_io io = {.lengths = cb_input(tape, &l)};
    return cb_rnn_forward(m->rnn, cb_forward(m->embedding, cb_input(tape, &x)), &io);
}

/* The share of marks that are right, of those that count. */
static double accuracy(cb_tensor *logits, cb_tensor *y) {
    cb_tensor *counts = cb_greater_equal(y, cb_full_like(y, 0));
    cb_tensor *guess = cb_cast(cb_argmax(logits, -1, false), y->dtype);
    cb_tensor *right = cb_sum(cb_equal(guess, y), CB_ALL_AXES, false);
    return cb_item(right) / cb_item(cb_sum(counts, CB_ALL_AXES, false));
}

/* The largest feature beyond the ends of sequences. */
static double beyond(cb_tensor *h, cb_tensor *y) {
    cb_tensor *over = cb_cast(cb_less(y, cb_full_like(y, 0)), h->dtype);
    cb_tensor *masked = cb_mul(cb_abs(h), cb_unsqueeze(over, -1));
    return cb_item(cb_max(masked, CB_ALL_AXES, false));
}

int main(void) {
    cb_params *params = cb_params_new(1);
    model m = {cb_embedding_new(params, "embedding", KINDS, WIDTH),
               cb_linear_new(params, "head", 2 * (int64_t)HIDDEN, 2),
               cb_rnn_new(params, "rnn", &cb_gru, WIDTH, HIDDEN, .bidirectional = true)};
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    cb_tape *tape = cb_tape_new(), *no_grad = cb_tape_new_no_grad();
    const cb_tensor targets = cb_tensor_wrap(CB_I32, CB_SHAPE(TIME, BATCH), marks);
    cb_random random = cb_random_seed(1);
    cb_status status = cb_params_status(params);
    printf("features: %lld\n", (long long)cb_rnn_output_size(m.rnn));
    for (int step = 0; step < STEPS && status == CB_OK; step++) {
        cb_tape_reset(tape); /* before what cb_input shared is written to */
        draw(&random);
        cb_tensor *logits = cb_forward(m.head, features(&m, tape));
        cb_tensor *loss = cb_cross_entropy(logits, cb_input(tape, &targets), CB_IGNORE(PADDING));
        status = cb_backward(loss);
        if (status == CB_OK)
            status = cb_optimizer_step(optimizer);
    }
    draw(&random); /* sequences that it has not seen */
    cb_tensor *h = features(&m, no_grad), *y = cb_input(no_grad, &targets);
    printf("more than 95 of 100 right: %s\n",
           accuracy(cb_forward(m.head, h), y) > 0.95 ? "yes" : "no");
    printf("beyond the ends: %g\n", beyond(h, y));

    /* What stands beyond the ends does not matter. */
    cb_tensor *before = cb_tensor_copy(h, CB_F32);
    cb_tape_reset(no_grad);
    for (int i = 0; i < TIME * BATCH; i++)
        numbers[i] = marks[i] == PADDING ? 0 : numbers[i];
    cb_tensor *change = cb_sub(features(&m, no_grad), cb_input(no_grad, before));
    printf("change with other padding: %g\n", cb_item(cb_max(cb_abs(change), CB_ALL_AXES, false)));
    if (status != CB_OK || cb_tape_status(no_grad) != CB_OK)
        fprintf(stderr, "%s%s\n", cb_tape_error(tape), cb_tape_error(no_grad));
    cb_tensor_free(before);
    cb_tape_free(no_grad);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./09_lengths
   features: 48
   more than 95 of 100 right: yes
   beyond the ends: 0
   change with other padding: 0 */
