/* Evaluation and generation run on a tape without gradients, with a state that is carried from one
   piece of text to the next. */
#include "predict.h"

#include "apps/cli/failure.h"
#include "carried_state.h"
#include "windows.h"

#include <math.h>
#include <stdlib.h>

/* Windows evaluated together, and characters read in one go with the state carried: enough to keep
   the matrix products efficient, few enough to keep memory small. */
enum { WINDOWS_AT_ONCE = 128, CARRIED_AT_ONCE = 256 };

/* Of a text that is read in parts: the most parts, what each has at least, so that its beginning
   without a state counts little, and the most characters that are read in one go. */
enum { PARTS_MOST = 32, PART_LEAST = 1024, PIECE_MOST = 64 };

/* Sum of the cross entropy over characters x -> y, [time, batch] each; carried: the state that is
   carried, NULL: none. */
static bool add_loss(const model *m, cb_tape *tape, carried_state *carried, int32_t *x, int32_t *y,
                     int64_t time, int64_t batch, double *sum, char *error) {
    cb_tensor x_plain = cb_tensor_wrap(CB_I32, CB_SHAPE(time, batch), x);
    cb_tensor y_plain = cb_tensor_wrap(CB_I32, CB_SHAPE(time, batch), y);
    cb_rnn_io io = {0};
    if (carried != NULL)
        io = carried_state_begin(carried, tape);
    cb_tensor *logits = model_forward(m, cb_input(tape, &x_plain), &io);
    *sum += cb_item(cb_cross_entropy(logits, cb_input(tape, &y_plain), .reduction = CB_REDUCE_SUM));
    bool ok = cb_tape_status(tape) == CB_OK;
    if (!ok)
        failure(error, FAILURE_SIZE, "%s", cb_tape_error(tape));
    ok = ok && (carried == NULL || carried_state_end(carried, error));
    cb_tape_reset(tape);
    return ok;
}

static bool check_length(int64_t count, char *error) {
    return count >= 2 ||
           failure(error, FAILURE_SIZE, "the text has no character that could be predicted");
}

/* All full windows, then the rest. */
static bool add_windows(const model *m, cb_tape *tape, passage characters, int64_t count,
                        double *sum, char *error) {
    int64_t time = m->config.seq_len;
    windows source;
    window_batch batch = {0};
    bool ok = true;
    if (windows_make(characters, count, time, &source, NULL)) {
        int64_t most = source.count < WINDOWS_AT_ONCE ? source.count : WINDOWS_AT_ONCE;
        ok = window_batch_make(&source, most, &batch, error);
        for (int64_t first = 0; ok && first < source.count; first += most) {
            int64_t size = source.count - first < most ? source.count - first : most;
            for (int64_t b = 0; b < size; b++)
                batch.chosen[b] = first + b;
            ok = window_batch_fill(&source, size, &batch, error) &&
                 add_loss(m, tape, NULL, batch.x, batch.y, time, size, sum, error);
        }
        window_batch_free(&batch);
    }
    int64_t done = source.count * time;
    int64_t rest = count - 1 - done;
    if (ok && rest > 0) {
        windows last;
        ok = windows_make(passage_after(characters, done), rest + 1, rest, &last, error) &&
             window_batch_make(&last, 1, &batch, error) &&
             window_batch_fill(&last, 1, &batch, error) &&
             add_loss(m, tape, NULL, batch.x, batch.y, rest, 1, sum, error);
        window_batch_free(&batch);
    }
    return ok;
}

bool predict_windows(const model *m, passage characters, int64_t count, double *loss, char *error) {
    if (!check_length(count, error))
        return false;
    cb_tape *tape = cb_tape_new_no_grad();
    if (tape == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    double sum = 0;
    bool ok = add_windows(m, tape, characters, count, &sum, error);
    *loss = sum / (double)(count - 1);
    cb_tape_free(tape);
    return ok;
}

struct reader {
    const model *model;
    cb_tape *tape;
    carried_state state;
};

reader *reader_new(const model *m, char *error) {
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        failure(error, FAILURE_SIZE, "out of memory");
        return NULL;
    }
    r->model = m;
    r->tape = cb_tape_new_no_grad();
    if (r->tape == NULL)
        failure(error, FAILURE_SIZE, "out of memory");
    if (r->tape == NULL || !carried_state_make(m, 1, &r->state, error)) {
        reader_free(r);
        return NULL;
    }
    return r;
}

void reader_free(reader *r) {
    if (r == NULL)
        return;
    carried_state_free(&r->state);
    cb_tape_free(r->tape);
    free(r);
}

const cb_tensor *reader_feed(reader *r, const int32_t *characters, int64_t time, char *error) {
    cb_tape_reset(r->tape);
    /* The tensor is only read; cb_tensor_wrap has no const form. */
    cb_tensor plain = cb_tensor_wrap(CB_I32, CB_SHAPE(time, 1), (void *)(uintptr_t)characters);
    cb_rnn_io io = carried_state_begin(&r->state, r->tape);
    cb_tensor *logits = cb_contiguous(model_forward(r->model, cb_input(r->tape, &plain), &io));
    if (cb_tape_status(r->tape) != CB_OK) {
        failure(error, FAILURE_SIZE, "%s", cb_tape_error(r->tape));
        return NULL;
    }
    if (!carried_state_end(&r->state, error))
        return NULL;
    const float *scores = logits->data;
    for (int64_t i = 0; i < cb_tensor_count(logits); i++) {
        if (!isfinite(scores[i])) {
            failure(error, FAILURE_SIZE, "what this model computes is not a finite number");
            return NULL;
        }
    }
    return logits;
}

int32_t reader_pick(const cb_tensor *logits, double temperature, cb_random *random) {
    int64_t classes = logits->shape[2];
    const float *row = (const float *)logits->data + (logits->shape[0] - 1) * classes;
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
        best = row[c] > row[best] ? c : best;
    if (!(temperature > 0))
        return (int32_t)best;
    double total = 0;
    for (int64_t c = 0; c < classes; c++)
        total += exp(((double)row[c] - (double)row[best]) / temperature);
    double uniform;
    cb_random_uniform_f64(random, 1, &uniform, 0, 1);
    double left = uniform * total;
    for (int64_t c = 0; c < classes; c++) {
        left -= exp(((double)row[c] - (double)row[best]) / temperature);
        if (left < 0)
            return (int32_t)c;
    }
    return (int32_t)best; /* rounding let the sum end early */
}

/* Cross entropy of the rows of logits [time, 1, classes] against y. */
static double sum_loss(const cb_tensor *logits, const int32_t *y) {
    int64_t classes = logits->shape[2];
    double sum = 0;
    for (int64_t t = 0; t < logits->shape[0]; t++) {
        const float *row = (const float *)logits->data + t * classes;
        double largest = -INFINITY;
        double total = 0;
        for (int64_t c = 0; c < classes; c++)
            largest = fmax(largest, (double)row[c]);
        for (int64_t c = 0; c < classes; c++)
            total += exp((double)row[c] - largest);
        sum += log(total) + largest - (double)row[y[t]];
    }
    return sum;
}

bool predict_carried(const model *m, passage characters, int64_t count, double *loss, char *error) {
    if (!check_length(count, error))
        return false;
    reader *r = reader_new(m, error);
    int32_t room[CARRIED_AT_ONCE + 1];
    double sum = 0;
    bool ok = r != NULL;
    for (int64_t at = 0; ok && at < count - 1; at += CARRIED_AT_ONCE) {
        int64_t left = count - 1 - at;
        int64_t time = left < CARRIED_AT_ONCE ? left : CARRIED_AT_ONCE;
        const int32_t *x = passage_read(characters, at, time + 1, room, error);
        const cb_tensor *logits = x == NULL ? NULL : reader_feed(r, x, time, error);
        ok = logits != NULL;
        sum += ok ? sum_loss(logits, x + 1) : 0;
    }
    *loss = sum / (double)(count - 1);
    reader_free(r);
    return ok;
}

int64_t predict_part_count(int64_t count) {
    int64_t parts = (count - 1) / PART_LEAST;
    return parts < 1 ? 1 : parts > PARTS_MOST ? PARTS_MOST : parts;
}

/* The pieces that follow each other, of all parts at once. */
static bool add_parts(const model *m, cb_tape *tape, carried_state *carried, const windows *source,
                      window_batch *batch, double *sum, char *error) {
    int64_t pieces = source->count / batch->size;
    bool ok = true;
    for (int64_t piece = 0; ok && piece < pieces; piece++) {
        for (int64_t b = 0; b < batch->size; b++)
            batch->chosen[b] = b * pieces + piece;
        ok = window_batch_fill(source, batch->size, batch, error) &&
             add_loss(m, tape, carried, batch->x, batch->y, source->time, batch->size, sum, error);
    }
    return ok;
}

bool predict_parts(const model *m, passage characters, int64_t count, double *loss, char *error) {
    if (!check_length(count, error))
        return false;
    int64_t parts = predict_part_count(count), length = (count - 1) / parts;
    int64_t time = length / ((length + PIECE_MOST - 1) / PIECE_MOST);
    cb_tape *tape = cb_tape_new_no_grad();
    carried_state carried = {0};
    windows source;
    window_batch batch = {0};
    double sum = 0;
    bool ok = tape != NULL || failure(error, FAILURE_SIZE, "out of memory");
    ok = ok && carried_state_make(m, parts, &carried, error) &&
         windows_make(characters, count, time, &source, error) &&
         window_batch_make(&source, parts, &batch, error) &&
         add_parts(m, tape, &carried, &source, &batch, &sum, error);
    if (ok)
        *loss = sum / (double)(source.count / parts * parts * time);
    window_batch_free(&batch);
    carried_state_free(&carried);
    cb_tape_free(tape);
    return ok;
}
