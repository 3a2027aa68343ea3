/* Times training steps of the paper's models: batch to optimizer, everything included.

     step [--cell NAME] [--layers N] [--steps N] [--threads N]

   prints one line a step, its milliseconds, and last the peak resident memory in MB. The model is
   that of the paper's experiments: 89 symbols, embedding and hidden size 512, 20 time steps, a
   batch of 128, Adagrad. `cerebra bench` says more, but of the command's own cells only.

   NAME is a cell of the library's, "custom-cell" (examples/custom_cell.c) or "cerebral-lstm-eight"
   (cerebral_lstm_eight.c). */
#include "bench/cells.h"
#include "bench/timing.h"
#include "examples/custom_cell.h"

#include <cerebra/cerebra.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS = 89, HIDDEN = 512, TIME = 20, BATCH = 128 };
enum { MOST = 1000 }; /* of whatever is counted on the command line */

/* Peak resident memory. Not getrusage's, which a process inherits from the one that starts it. */
static double peak_megabytes(void) {
    char line[256];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (sscanf(line, "VmHWM: %lf kB", &kilobytes) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kilobytes / 1024;
}

typedef struct model {
    cb_params *params;
    cb_module *embedding, *head;
    cb_rnn *rnn;
    cb_optimizer *optimizer;
} model;

static model model_new(const cb_cell *cell, int layers) {
    model m = {.params = cb_params_new(1)};
    m.embedding = cb_embedding_new(m.params, "embedding", SYMBOLS, HIDDEN);
    m.rnn = cb_rnn_new(m.params, "rnn", cell, HIDDEN, HIDDEN, .layers = layers);
    m.head = cb_linear_new(m.params, "head", HIDDEN, SYMBOLS);
    m.optimizer = cb_adagrad_new(m.params, .lr = 0.05, .initial_accumulator = 0.1);
    return m;
}

static cb_status step(model *m, cb_tape *tape, cb_random *random, cb_tensor *x, cb_tensor *y) {
    int64_t *inputs = x->data, *targets = y->data;
    for (int i = 0; i < TIME * BATCH; i++) {
        inputs[i] = (int64_t)cb_random_below(random, SYMBOLS);
        targets[i] = (int64_t)cb_random_below(random, SYMBOLS);
    }
    cb_tape_reset(tape);
    cb_tensor *h = cb_rnn_forward(m->rnn, cb_forward(m->embedding, cb_input(tape, x)), NULL);
    cb_tensor *loss = cb_cross_entropy(cb_forward(m->head, h), cb_input(tape, y));
    cb_status status = cb_backward(loss);
    return status == CB_OK ? cb_optimizer_step(m->optimizer) : status;
}

static const cb_cell *find_cell(const char *name) {
    const cb_cell *const others[] = {&custom_cell, &bench_cerebral_lstm_eight};
    const cb_cell *found = cb_cell_find(name);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && found == NULL; i++)
        if (strcmp(others[i]->name, name) == 0)
            found = others[i];
    return found;
}

/* ---- The command line ------------------------------------------------------------------------ */

typedef struct request {
    const cb_cell *cell;
    int layers, steps, threads; /* threads 0: all cores */
} request;

static bool parse_count(const char *option, const char *text, int *count) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > MOST) {
        fprintf(stderr, "step: %s must be a whole number from 1 to %d, not \"%s\"\n", option, MOST,
                text);
        return false;
    }
    *count = (int)value;
    return true;
}

static bool parse(request *asked, int argc, char **argv) {
    bool good = true;
    for (int i = 1; i < argc && good; i += 2) {
        const char *option = argv[i], *text = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(option, "--layers") == 0) {
            good = parse_count(option, text, &asked->layers);
        } else if (strcmp(option, "--steps") == 0) {
            good = parse_count(option, text, &asked->steps);
        } else if (strcmp(option, "--threads") == 0) {
            good = parse_count(option, text, &asked->threads);
        } else if (strcmp(option, "--cell") == 0) {
            asked->cell = find_cell(text);
            good = asked->cell != NULL;
            if (!good)
                fprintf(stderr, "step: there is no cell \"%s\"\n", text);
        } else {
            fprintf(stderr, "step: there is no option \"%s\"\n", option);
            good = false;
        }
    }
    return good;
}

int main(int argc, char **argv) {
    request asked = {.cell = &cb_lstm, .layers = 1, .steps = 10};
    if (!parse(&asked, argc, argv))
        return 2;
    if (asked.threads > 0)
        cb_set_threads(asked.threads);
    model m = model_new(asked.cell, asked.layers);
    cb_tape *tape = cb_tape_new();
    cb_random random = cb_random_seed(2);
    cb_tensor *x = cb_tensor_new(CB_I64, CB_SHAPE(TIME, BATCH));
    cb_tensor *y = cb_tensor_new(CB_I64, CB_SHAPE(TIME, BATCH));
    cb_status status = x != NULL && y != NULL ? cb_params_status(m.params) : CB_ERROR_MEMORY;
    for (int i = 0; i < asked.steps && status == CB_OK; i++) {
        double begin = milliseconds();
        status = step(&m, tape, &random, x, y);
        printf("%.2f\n", milliseconds() - begin);
    }
    if (status != CB_OK)
        fprintf(stderr, "step: %s %s\n", cb_status_name(status), cb_tape_error(tape));
    printf("peak %.0f MB\n", peak_megabytes());
    cb_optimizer_free(m.optimizer);
    cb_params_free(m.params);
    cb_tape_free(tape);
    cb_tensor_free(x);
    cb_tensor_free(y);
    return status == CB_OK ? 0 : 1;
}
