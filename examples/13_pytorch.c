/* PyTorch's weights in, and out again. Names and layouts of weights are PyTorch's: where modules
   have the names that they have there, a state_dict in a safetensors file is read as it is.

       cc 13_pytorch.c -o 13_pytorch $(pkg-config --cflags --libs cerebra)
       ./13_pytorch pytorch/tagger.safetensors trained.safetensors

   The first file is from pytorch/tagger.py, which also reads the second. Beside the weights it has
   an input, "x", and what PyTorch makes of it, "logits". */
#include <cerebra/cerebra.h>
#include <math.h>
#include <stdio.h>

enum { KINDS = 12, WIDTH = 6, HIDDEN = 8, TAGS = 3 };

/* self.embedding, self.rnn, self.norm and self.head of tagger.py. */
typedef struct tagger {
    cb_module *embedding, *norm, *head;
    cb_rnn *rnn;
} tagger;

static cb_tensor *logits_of(const tagger *m, cb_tensor *x) {
    cb_tensor *h = cb_rnn_forward(m->rnn, cb_forward(m->embedding, x), NULL);
    return cb_forward(m->head, cb_forward(m->norm, h));
}

/* The largest difference of two tensors of one shape, on a tape. */
static double difference(cb_tensor *a, cb_tensor *b) {
    return cb_item(cb_max(cb_abs(cb_sub(a, b)), CB_ALL_AXES, false));
}

static void list(const cb_params *params) {
    for (int i = 0; i < cb_params_count(params); i++) {
        char shape[64];
        const cb_param *param = cb_params_at(params, i);
        printf("%-25s %s\n", param->name, cb_shape_format(param->value, shape, sizeof shape));
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fprintf(stderr, "usage: 13_pytorch WEIGHTS OUTPUT\n"), 2;
    cb_params *params = cb_params_new(1);
    tagger m;
    m.embedding = cb_embedding_new(params, "embedding", KINDS, WIDTH);
    m.rnn = cb_rnn_new(params, "rnn", &cb_lstm, WIDTH, HIDDEN, .layers = 2, .bidirectional = true);
    m.norm = cb_layer_norm_new(params, "norm", 2 * (int64_t)HIDDEN);
    m.head = cb_linear_new(params, "head", 2 * (int64_t)HIDDEN, TAGS);
    list(params);

    /* cb_params_load wants the set's parameters and no others; cb_params_restore lets a file have
       more. Both check every name and shape before they change anything. */
    cb_error error = {0};
    if (cb_params_load(params, argv[1], &error) != CB_OK)
        printf("cb_params_load: %s\n", cb_status_name(error.status));
    cb_safetensors *file = cb_safetensors_read(argv[1], &error);
    if (file == NULL || cb_params_restore(params, file, &error) != CB_OK)
        return fprintf(stderr, "%s\n", error.message), 1;
    const cb_tensor *input = cb_safetensors_find(file, "x"); /* [time, batch] */
    const cb_tensor *expected = cb_safetensors_find(file, "logits");
    if (input == NULL || expected == NULL)
        return fprintf(stderr, "%s has no x or no logits\n", argv[1]), 1;

    cb_tape *tape = cb_tape_new();
    cb_tensor *x = cb_input(tape, input), *logits = logits_of(&m, x);
    double off = difference(logits, cb_input(tape, expected));
    printf("PyTorch's logits, to 1e-5: %s\n", off < 1e-5 ? "yes" : "no");

    /* A step of training, and the weights are written under the same names. */
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    cb_tensor *tags = cb_argmax(logits, -1, false);
    cb_status status = cb_backward(cb_cross_entropy(logits, tags));
    if (status == CB_OK)
        status = cb_optimizer_step(optimizer);
    if (status == CB_OK)
        status = cb_params_save(params, argv[2], &error);
    cb_tape_reset(tape);
    off = difference(logits_of(&m, cb_input(tape, input)), cb_input(tape, expected));
    printf("after a step: %s\n", off < 1e-5 ? "the same" : "others");
    if (status != CB_OK)
        fprintf(stderr, "%s%s\n", cb_tape_error(tape), error.message);
    cb_safetensors_free(file);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./13_pytorch pytorch/tagger.safetensors trained.safetensors
   embedding.weight          [12,6]
   rnn.weight_ih_l0          [32,6]
   rnn.weight_hh_l0          [32,8]
   rnn.bias_ih_l0            [32]
   rnn.bias_hh_l0            [32]
   rnn.weight_ih_l0_reverse  [32,6]
   rnn.weight_hh_l0_reverse  [32,8]
   rnn.bias_ih_l0_reverse    [32]
   rnn.bias_hh_l0_reverse    [32]
   rnn.weight_ih_l1          [32,16]
   rnn.weight_hh_l1          [32,8]
   rnn.bias_ih_l1            [32]
   rnn.bias_hh_l1            [32]
   rnn.weight_ih_l1_reverse  [32,16]
   rnn.weight_hh_l1_reverse  [32,8]
   rnn.bias_ih_l1_reverse    [32]
   rnn.bias_hh_l1_reverse    [32]
   norm.weight               [16]
   norm.bias                 [16]
   head.weight               [3,16]
   head.bias                 [3]
   cb_params_load: CB_ERROR_NOT_FOUND
   PyTorch's logits, to 1e-5: yes
   after a step: others */
