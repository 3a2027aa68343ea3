/* Times training steps of whole models for bench/compare_ops.py.

     models --list       the models as JSON, one a line: name and number of weights
     models [THREADS]    reads "NUMBER MILLISECONDS" from standard input, trains that model for
   about so long, and prints the median of a step in milliseconds; until the end of the input

   A step is the forward pass, the loss, the gradient of all weights, and an update of Adam. The
   models are those of torch_models.py. */
#include "bench/timing.h"

#include <cerebra/cerebra.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = 4 };

typedef struct model model;

typedef struct model_kind {
    const char *name;
    int64_t batch, time, classes;
    void (*make)(model *m);
    cb_tensor *(*logits)(const model *m, cb_tensor *x); /* [..., classes] */
    int input_rank;                                     /* of x, integers; 0: [batch, 784], f32 */
    int64_t input[2], targets;
} model_kind;

struct model {
    const model_kind *kind;
    cb_params *params;
    cb_optimizer *adam;
    cb_tape *tape;
    cb_tensor *x, *targets;
    cb_module *embedding, *out_embedding, *head, *mix, *norm;
    cb_param *positions;
    cb_module *norms[MOST_LAYERS][2], *in[MOST_LAYERS], *out[MOST_LAYERS], *wide[MOST_LAYERS],
        *narrow[MOST_LAYERS];
    cb_rnn *encoder, *decoder;
};

/* ---- A perceptron ---------------------------------------------------------------------------- */

enum { PIXELS = 784, HIDDEN = 512 };

static void make_mlp(model *m) {
    m->wide[0] = cb_linear_new(m->params, "first", PIXELS, HIDDEN);
    m->wide[1] = cb_linear_new(m->params, "second", HIDDEN, HIDDEN);
    m->head = cb_linear_new(m->params, "head", HIDDEN, m->kind->classes);
}

static cb_tensor *run_mlp(const model *m, cb_tensor *x) {
    for (int i = 0; i < 2; i++)
        x = cb_relu(cb_forward(m->wide[i], x));
    return cb_forward(m->head, x);
}

/* ---- A convolutional network ----------------------------------------------------------------- */

enum { SIDE = 28, FILTERS = 16 };

static void make_cnn(model *m) {
    m->wide[0] = cb_conv2d_new(m->params, "first", 1, FILTERS, .size = {3, 3}, .padding = {1, 1});
    m->norms[0][0] = cb_batch_norm_new(m->params, "norm", FILTERS);
    m->wide[1] =
        cb_conv2d_new(m->params, "second", FILTERS, 2 * FILTERS, .size = {3, 3}, .padding = {1, 1});
    m->head = cb_linear_new(m->params, "head", (int64_t)2 * FILTERS * SIDE / 4 * SIDE / 4,
                            m->kind->classes);
}

static cb_tensor *run_cnn(const model *m, cb_tensor *x) {
    int64_t batch = x->shape[0];
    x = cb_forward(m->wide[0], cb_reshape(x, CB_SHAPE(batch, 1, SIDE, SIDE)));
    x = cb_max_pool2d(cb_relu(cb_forward(m->norms[0][0], x)), .size = {2, 2});
    x = cb_max_pool2d(cb_relu(cb_forward(m->wide[1], x)), .size = {2, 2});
    return cb_forward(m->head, cb_reshape(x, CB_SHAPE(batch, -1)));
}

/* ---- A transformer, with normalisation first ------------------------------------------------- */

enum { WIDTH = 128, HEADS = 4, LAYERS = 2 };

static void make_transformer(model *m) {
    static const char *const parts[] = {"norm1", "norm2", "qkv", "proj", "wide", "narrow"};
    const cb_init normal = {.kind = CB_INIT_NORMAL, .b = 0.02};
    char name[32];
    m->embedding = cb_embedding_new(m->params, "embedding", m->kind->classes, WIDTH);
    m->positions =
        cb_params_add(m->params, "positions", CB_SHAPE(m->kind->time, WIDTH), 0, &normal);
    for (int i = 0; i < LAYERS; i++) {
#define NAMED(k) (snprintf(name, sizeof name, "%d.%s", i, parts[k]), name)
        m->norms[i][0] = cb_layer_norm_new(m->params, NAMED(0), WIDTH);
        m->norms[i][1] = cb_layer_norm_new(m->params, NAMED(1), WIDTH);
        m->in[i] = cb_linear_new(m->params, NAMED(2), WIDTH, 3 * WIDTH);
        m->out[i] = cb_linear_new(m->params, NAMED(3), WIDTH, WIDTH);
        m->wide[i] = cb_linear_new(m->params, NAMED(4), WIDTH, 4 * WIDTH);
        m->narrow[i] = cb_linear_new(m->params, NAMED(5), 4 * WIDTH, WIDTH);
#undef NAMED
    }
    m->norm = cb_layer_norm_new(m->params, "norm", WIDTH);
    m->head = cb_linear_new(m->params, "head", WIDTH, m->kind->classes);
}

static cb_tensor *attend(const model *m, int layer, cb_tensor *x) {
    int64_t batch = x->shape[0], time = x->shape[1];
    cb_tensor *all =
        cb_reshape(cb_forward(m->in[layer], x), CB_SHAPE(batch, time, 3, HEADS, WIDTH / HEADS));
    cb_tensor *part[3];
    for (int i = 0; i < 3; i++)
        part[i] = cb_transpose(cb_select(all, 2, i), 1, 2);
    cb_tensor *y = cb_transpose(cb_attention(part[0], part[1], part[2], .causal = true), 1, 2);
    return cb_forward(m->out[layer], cb_reshape(y, CB_SHAPE(batch, time, WIDTH)));
}

static cb_tensor *run_transformer(const model *m, cb_tensor *tokens) {
    cb_tensor *x = cb_forward(m->embedding, tokens);
    x = cb_add(x, cb_parameter(cb_tape_of(x), m->positions));
    for (int i = 0; i < LAYERS; i++) {
        x = cb_add(x, attend(m, i, cb_forward(m->norms[i][0], x)));
        cb_tensor *wide = cb_forward(m->wide[i], cb_forward(m->norms[i][1], x));
        x = cb_add(x, cb_forward(m->narrow[i], cb_gelu(wide)));
    }
    return cb_forward(m->head, cb_forward(m->norm, x));
}

/* ---- Sequence to sequence, with attention over the encoder's outputs ------------------------- */

enum { STATE = 256 };

static void make_translator(model *m) {
    int64_t words = m->kind->classes;
    m->embedding = cb_embedding_new(m->params, "source", words, STATE);
    m->out_embedding = cb_embedding_new(m->params, "target", words, STATE);
    m->encoder = cb_rnn_new(m->params, "encoder", &cb_lstm, STATE, STATE);
    m->decoder = cb_rnn_new(m->params, "decoder", &cb_lstm, STATE, STATE);
    m->mix = cb_linear_new(m->params, "mix", 2 * STATE, STATE);
    m->head = cb_linear_new(m->params, "head", STATE, words);
}

/* tokens: the source above the target, [2 time, batch]. */
static cb_tensor *run_translator(const model *m, cb_tensor *tokens) {
    int64_t time = m->kind->time;
    cb_tensor *state[2];
    cb_tensor *source = cb_forward(m->embedding, cb_slice(tokens, 0, 0, time, 1));
    cb_tensor *read = cb_rnn_forward(m->encoder, source, &(cb_rnn_io){.final = state});
    cb_tensor *target = cb_forward(m->out_embedding, cb_slice(tokens, 0, time, CB_END, 1));
    cb_tensor *written = cb_rnn_forward(m->decoder, target, &(cb_rnn_io){.initial = state});
    cb_tensor *by_sequence = cb_transpose(read, 0, 1);
    cb_tensor *seen = cb_attention(cb_transpose(written, 0, 1), by_sequence, by_sequence);
    cb_tensor *both = cb_concat(2, (cb_tensor *[]){written, cb_transpose(seen, 0, 1)}, -1);
    return cb_forward(m->head, cb_tanh(cb_forward(m->mix, both)));
}

/* ---- The models ------------------------------------------------------------------------------ */

static const model_kind kinds[] = {
    {"mlp", 128, 1, 10, make_mlp, run_mlp, 0, {128, PIXELS}, 128},
    {"cnn", 64, 1, 10, make_cnn, run_cnn, 0, {64, PIXELS}, 64},
    {"transformer, T = 64", 16, 64, 89, make_transformer, run_transformer, 2, {16, 64}, 16 * 64},
    {"transformer, T = 256", 8, 256, 89, make_transformer, run_transformer, 2, {8, 256}, 8 * 256},
    {"seq2seq", 64, 32, 1000, make_translator, run_translator, 2, {64, 64}, 32 * 64},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static cb_tensor *integers(cb_random *random, int rank, const int64_t *shape, int64_t below) {
    cb_tensor *t = need(cb_tensor_new(CB_I64, rank, shape));
    for (int64_t i = 0; i < cb_tensor_count(t); i++)
        ((int64_t *)t->data)[i] = (int64_t)cb_random_below(random, (uint64_t)below);
    return t;
}

static model make(const model_kind *kind) {
    model m = {.kind = kind, .params = need(cb_params_new(1)), .tape = need(cb_tape_new())};
    cb_random random = cb_random_seed(2);
    kind->make(&m);
    m.adam = cb_adam_new(m.params, .lr = 1e-3);
    if (cb_params_error(m.params)[0] != '\0') {
        fprintf(stderr, "models: %s\n", cb_params_error(m.params));
        exit(EXIT_FAILURE);
    }
    if (kind->input_rank > 0) {
        m.x = integers(&random, 2, kind->input, kind->classes);
    } else {
        m.x = need(cb_tensor_new(CB_F32, 2, kind->input));
        cb_random_normal_f32(&random, cb_tensor_count(m.x), m.x->data, 0, 1);
    }
    m.targets = integers(&random, 1, &kind->targets, kind->classes);
    return m;
}

static void end(model *m) {
    cb_tensor_free(m->x);
    cb_tensor_free(m->targets);
    cb_tape_free(m->tape);
    cb_optimizer_free(m->adam);
    cb_params_free(m->params);
}

static void step(void *context) {
    model *m = context;
    cb_tape_reset(m->tape);
    cb_tensor *logits = m->kind->logits(m, cb_input(m->tape, m->x));
    logits = cb_reshape(logits, CB_SHAPE(m->kind->targets, m->kind->classes));
    cb_tensor *loss = cb_cross_entropy(logits, cb_input(m->tape, m->targets));
    cb_params_zero_gradients(m->params);
    if (cb_backward(loss) != CB_OK) {
        fprintf(stderr, "models: %s\n", cb_tape_error(m->tape));
        exit(EXIT_FAILURE);
    }
    cb_optimizer_step(m->adam);
}

int main(int argc, char **argv) {
    static model models[KINDS];
    int number;
    double budget;
    bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
    cb_set_threads(argc > 1 && !list ? atoi(argv[1]) : 2);
    for (int i = 0; i < KINDS; i++) {
        models[i] = make(&kinds[i]);
        if (list)
            printf("{\"model\": \"%s\", \"weights\": %lld}\n", kinds[i].name,
                   (long long)cb_params_elements(models[i].params));
    }
    while (!list && scanf("%d %lf", &number, &budget) == 2)
        if (number >= 0 && number < KINDS) {
            printf("%.6f\n", time_runs(step, &models[number], budget));
            fflush(stdout);
        }
    for (int i = 0; i < KINDS; i++)
        end(&models[i]);
    return EXIT_SUCCESS;
}
