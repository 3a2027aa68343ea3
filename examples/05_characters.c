/* A character model: an LSTM learns a verse by heart, in pieces with the state carried from one to
   the next, and then says it, one character at a time.

       cc 05_characters.c -o 05_characters $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>
#include <string.h>

enum { BYTES = 128, WIDTH = 16, HIDDEN = 64, PIECE = 32, EPOCHS = 100, MOST_STATES = 8 };

static const char verse[] = "The tape has noted what each op has done,\n"
                            "so gradients run backward, one by one.\n"
                            "A step is over: what it made is gone,\n"
                            "the weights remain, and so the loop goes on.\n";

typedef struct model {
    cb_params *params;
    cb_module *embedding, *head;
    cb_rnn *rnn;
    cb_tensor *state[MOST_STATES]; /* what outlives a tape's step: of an LSTM, h and c */
} model;

/* Sets the states to zero, or to what a run left on its tape. */
static void carry(model *m, cb_tensor *const *from) {
    for (int i = 0; i < cb_rnn_state_count(m->rnn); i++)
        if (from == NULL)
            cb_tensor_fill(m->state[i], 0);
        else
            cb_tensor_assign(m->state[i], from[i]);
}

/* One pass over the verse: truncated back-propagation through time. */
static cb_status learn(model *m, cb_optimizer *optimizer, cb_tape *tape, double *mean_loss) {
    int32_t codes[sizeof verse];
    int64_t count = (int64_t)strlen(verse) - 1, steps = 0;
    for (size_t i = 0; i < sizeof verse; i++)
        codes[i] = verse[i];
    carry(m, NULL);
    *mean_loss = 0;
    for (int64_t at = 0; at < count; at += PIECE, steps++) {
        int64_t length = count - at < PIECE ? count - at : PIECE;
        cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(length, 1), codes + at); /* [time, batch] */
        cb_tensor y = cb_tensor_wrap(CB_I32, CB_SHAPE(length, 1), codes + at + 1);
        cb_tape_reset(tape);
        cb_tensor *initial[MOST_STATES], *final[MOST_STATES];
        for (int i = 0; i < cb_rnn_state_count(m->rnn); i++)
            initial[i] = cb_input(tape, m->state[i]); /* no gradient flows into the piece before */
        cb_rnn_io io = {.initial = initial, .final = final};
        cb_tensor *h = cb_rnn_forward(m->rnn, cb_forward(m->embedding, cb_input(tape, &x)), &io);
        cb_tensor *loss = cb_cross_entropy(cb_forward(m->head, h), cb_input(tape, &y));
        cb_status status = cb_backward(loss);
        if (status == CB_OK)
            status = cb_optimizer_step(optimizer);
        if (status != CB_OK)
            return fprintf(stderr, "%s\n", cb_tape_error(tape)), status;
        *mean_loss += cb_item(loss);
        carry(m, final);
    }
    *mean_loss /= (double)steps;
    return CB_OK;
}

/* Says what follows a character, taking the most likely one each time. */
static void say(model *m, char first, int length) {
    cb_tape *tape = cb_tape_new_no_grad();
    int32_t code = first;
    cb_tensor x = cb_tensor_wrap(CB_I32, CB_SHAPE(1), &code); /* [batch]: one time step */
    carry(m, NULL);
    for (int i = 0; i < length; i++) {
        putchar((char)code);
        cb_tensor *initial[MOST_STATES], *final[MOST_STATES];
        for (int k = 0; k < cb_rnn_state_count(m->rnn); k++)
            initial[k] = cb_input(tape, m->state[k]);
        cb_rnn_io io = {.initial = initial, .final = final};
        cb_tensor *h = cb_rnn_step(m->rnn, cb_forward(m->embedding, cb_input(tape, &x)), &io);
        double best = cb_item(cb_argmax(cb_forward(m->head, h), -1, false));
        code = best >= 0 ? (int32_t)best : '?'; /* NaN: an op has failed */
        carry(m, final);
        cb_tape_reset(tape);
    }
    cb_tape_free(tape);
}

int main(void) {
    model m = {.params = cb_params_new(1)};
    m.embedding = cb_embedding_new(m.params, "embedding", BYTES, WIDTH);
    m.rnn = cb_rnn_new(m.params, "rnn", &cb_lstm, WIDTH, HIDDEN, .layers = 1);
    m.head = cb_linear_new(m.params, "head", HIDDEN, BYTES);
    cb_optimizer *optimizer = cb_adam_new(m.params, .lr = 0.01, .clip_norm = 1);
    cb_tape *tape = cb_tape_new();
    cb_status status = cb_params_status(m.params);
    for (int i = 0; status == CB_OK && i < cb_rnn_state_count(m.rnn); i++)
        m.state[i] = cb_tensor_new(CB_F32, CB_SHAPE(1, cb_rnn_state_size(m.rnn, i)));
    double loss = 0;
    for (int epoch = 0; epoch < EPOCHS && status == CB_OK; epoch++)
        status = learn(&m, optimizer, tape, &loss);
    if (status == CB_OK) {
        printf("loss below 0.05: %s\n", loss < 0.05 ? "yes" : "no");
        say(&m, 'T', (int)strlen(verse));
    }
    for (int i = 0; i < MOST_STATES; i++)
        cb_tensor_free(m.state[i]);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(m.params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./05_characters
   loss below 0.05: yes
   The tape has noted what each op has done,
   so gradients run backward, one by one.
   A step is over: what it made is gone,
   the weights remain, and so the loop goes on. */
