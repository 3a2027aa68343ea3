/* Sequence to sequence with attention: numbers written out are translated into digits, letter by
   letter, "four hundred seven" into 407. It learns from some of the numbers below 1000 and is tried
   on the others. A GRU in both directions reads the letters, to K; another, h, reads the digits so
   far, and its features attend to the letters' (Luong et al. 2015):

     context = softmax(h K') K        logits = W [h, context] + b

       cc 10_translation.c -o 10_translation $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>
#include <string.h>

enum { TIME = 28, DIGITS = 3, BEGIN = 10, LETTERS = 128, WIDTH = 16, HIDDEN = 48, BATCH = 32 };
enum { NUMBERS = 999, LEARNT = 800, STEPS = 250 };

typedef struct model {
    cb_module *letters, *digits, *head;
    cb_rnn *encoder, *decoder;
} model;

static char written[BATCH][64];
/* [time, batch], 0 where a text is over */
static int32_t letters[TIME * BATCH], lengths[BATCH];
static int32_t before[DIGITS * BATCH], digits[DIGITS * BATCH]; /* [digit, batch] */

static void write_out(int n, char *text) {
    static const char *const small[] = {
        "",          "one ",     "two ",     "three ",     "four ",     "five ",    "six ",
        "seven ",    "eight ",   "nine ",    "ten ",       "eleven ",   "twelve ",  "thirteen ",
        "fourteen ", "fifteen ", "sixteen ", "seventeen ", "eighteen ", "nineteen "};
    static const char *const tens[] = {"",       "",       "twenty ",  "thirty ", "forty ",
                                       "fifty ", "sixty ", "seventy ", "eighty ", "ninety "};
    text += n >= 100 ? sprintf(text, "%shundred ", small[n / 100]) : 0;
    sprintf(text, "%s%s", tens[n / 10 % 10], small[n % 100 < 20 ? n % 100 : n % 10]);
}

static void fill(const int64_t *numbers) {
    for (int b = 0; b < BATCH; b++) {
        int n = (int)numbers[b] + 1;
        write_out(n, written[b]);
        lengths[b] = (int32_t)strlen(written[b]);
        for (int t = 0; t < TIME; t++)
            letters[t * BATCH + b] = t < lengths[b] ? written[b][t] : 0;
        for (int d = 0, unit = 100; d < DIGITS; d++, unit /= 10) {
            digits[d * BATCH + b] = n / unit % 10;
            before[d * BATCH + b] = d == 0 ? BEGIN : n / (10 * unit) % 10;
        }
    }
}

/* Logits of the digits, [digit, batch, 10], given the letters and the digit before each. */
static cb_tensor *translate(const model *m, cb_tape *tape) {
    const cb_tensor text = cb_tensor_wrap(CB_I32, CB_SHAPE(TIME, BATCH), letters);
    const cb_tensor length = cb_tensor_wrap(CB_I32, CB_SHAPE(BATCH), lengths);
    const cb_tensor so_far = cb_tensor_wrap(CB_I32, CB_SHAPE(DIGITS, BATCH), before);
    cb_tensor *x = cb_input(tape, &text), *mask = cb_unsqueeze(cb_transpose(x, 0, 1), 1);
    cb_rnn_io io = {.lengths = cb_input(tape, &length)};
    cb_tensor *k = cb_rnn_forward(m->encoder, cb_forward(m->letters, x), &io);
    cb_tensor *h = cb_rnn_forward(m->decoder, cb_forward(m->digits, cb_input(tape, &so_far)), NULL);
    k = cb_transpose(k, 0, 1); /* [batch, time, features]: a product for each sequence */
    h = cb_transpose(h, 0, 1);
    cb_tensor *context = cb_attention(h, k, k, .mask = mask, .scale = 1);
    cb_tensor *both = cb_concat(2, (cb_tensor *[]){h, context}, -1);
    return cb_transpose(cb_forward(m->head, both), 0, 1);
}

/* Translates a batch, each digit fed to the next one. */
static void decode(const model *m, const int64_t *numbers, int *said) {
    cb_tape *tape = cb_tape_new_no_grad();
    fill(numbers);
    for (int d = 0; d < DIGITS; d++) {
        cb_tape_reset(tape);
        for (int b = 0; b < BATCH; b++)
            before[d * BATCH + b] = d == 0 ? BEGIN : said[b] % 10;
        cb_tensor *best = cb_argmax(cb_select(translate(m, tape), 0, d), -1, false);
        for (int b = 0; b < BATCH && best->data != NULL; b++)
            said[b] = 10 * said[b] + (int)((const int64_t *)best->data)[b];
    }
    cb_tape_free(tape);
}

int main(void) {
    int64_t order[NUMBERS];
    cb_random random = cb_random_seed(1);
    cb_random_permutation(&random, NUMBERS, order);
    cb_params *params = cb_params_new(1);
    model m = {.letters = cb_embedding_new(params, "letters", LETTERS, WIDTH),
               .digits = cb_embedding_new(params, "digits", BEGIN + 1, WIDTH),
               .head = cb_linear_new(params, "head", (int64_t)4 * HIDDEN, 10),
               .encoder =
                   cb_rnn_new(params, "encoder", &cb_gru, WIDTH, HIDDEN, .bidirectional = true),
               .decoder = cb_rnn_new(params, "decoder", &cb_gru, WIDTH, 2 * HIDDEN)};
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.005, .clip_norm = 1);
    cb_tape *tape = cb_tape_new();
    cb_status status = cb_params_status(params);
    for (int step = 0; step < STEPS && status == CB_OK; step++) {
        cb_tape_reset(tape);
        fill(order + cb_random_below(&random, LEARNT - BATCH + 1));
        const cb_tensor targets = cb_tensor_wrap(CB_I32, CB_SHAPE(DIGITS, BATCH), digits);
        status = cb_backward(cb_cross_entropy(translate(&m, tape), cb_input(tape, &targets)));
        status = status == CB_OK ? cb_optimizer_step(optimizer) : status;
    }
    int said[BATCH] = {0}, right = 0;
    decode(&m, order + LEARNT, said);
    for (int b = 0; b < BATCH; b++) {
        right += said[b] == order[LEARNT + b] + 1;
        if (b < 4)
            printf("%s-> %d\n", written[b], said[b]);
    }
    printf("more than 95 of 100 right: %s\n", right * 100 > 95 * BATCH ? "yes" : "no");
    if (status != CB_OK)
        fprintf(stderr, "%s%s\n", cb_params_error(params), cb_tape_error(tape));
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./10_translation
   four hundred forty three -> 443
   eight hundred sixty five -> 865
   four hundred forty six -> 446
   eight hundred thirty six -> 836
   more than 95 of 100 right: yes */
