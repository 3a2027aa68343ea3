/* A module of one's own: a block with a normalisation that has a parameter of its own, a gated
   network of three modules, dropout, and a residual connection. It is used like any other module.

     r = x / sqrt(mean(x^2) + epsilon) * gain                   (Zhang & Sennrich 2019)
     y = x + dropout(W_out (silu(W_gate r) * (W_in r)))         (Shazeer 2020)

       cc 07_own_module.c -o 07_own_module $(pkg-config --cflags --libs cerebra) -lm */
#include <cerebra/cerebra.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH = 8, BATCH = 64, STEPS = 1500 };

/* What a module begins with is a cb_module: cb_forward calls its function. */
typedef struct gated_block {
    cb_module base;
    cb_param *gain;
    cb_module *gate, *in, *out;
    double dropout;
    cb_random *random;
} gated_block;

static cb_tensor *gated_block_forward(const cb_module *module, cb_tensor *x) {
    const gated_block *block = (const gated_block *)module;
    cb_tape *tape = cb_tape_of(x);
    cb_tensor *mean = cb_mean(cb_square(x), CB_AXES(-1), true);
    cb_tensor *r = cb_mul(x, cb_rsqrt(cb_shift(mean, 1e-6)));
    r = cb_mul(r, cb_parameter(tape, block->gain)); /* the parameter on this tape */
    cb_tensor *gate = cb_silu(cb_forward(block->gate, r));
    cb_tensor *change = cb_forward(block->out, cb_mul(gate, cb_forward(block->in, r)));
    if (!cb_tape_evaluates(tape))
        change = cb_dropout(change, block->dropout, block->random);
    return cb_add(x, change);
}

/* The set owns the struct, as it owns parameters. Failures are recorded on it: a NULL module or
   parameter in the block fails on the tape where it is used. */
static cb_module *gated_block_new(cb_params *params, const char *name, int64_t width,
                                  double dropout) {
    gated_block *block = cb_params_allocate(params, sizeof *block);
    char names[4][64];
    const char *const parts[] = {"gain", "gate", "in", "out"};
    if (block == NULL)
        return NULL;
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "%s.%s", name, parts[i]);
    const cb_init ones = {.kind = CB_INIT_CONSTANT, .a = 1};
    *block = (gated_block){
        .base = {.name = "gated block", .forward = gated_block_forward},
        .gain = cb_params_add(params, names[0], CB_SHAPE(width), 1, &ones),
        .gate = cb_linear_new(params, names[1], width, 2 * width, .no_bias = true),
        .in = cb_linear_new(params, names[2], width, 2 * width, .no_bias = true),
        .out = cb_linear_new(params, names[3], 2 * width, width, .no_bias = true),
        .dropout = dropout,
        .random = cb_params_random(params),
    };
    return &block->base;
}

/* Whether two runs on a tape give the same: with dropout they do not. */
static bool same_twice(const cb_module *network, cb_tape *tape, const cb_tensor *x) {
    cb_tensor *a = cb_forward(network, cb_input(tape, x));
    cb_tensor *b = cb_forward(network, cb_input(tape, x));
    return cb_item(cb_max(cb_abs(cb_sub(a, b)), CB_ALL_AXES, false)) == 0;
}

int main(void) {
    cb_params *params = cb_params_new(1);
    cb_module *layers[] = {cb_linear_new(params, "first", 2, WIDTH),
                           gated_block_new(params, "block", WIDTH, 0.1),
                           cb_linear_new(params, "last", WIDTH, 1)};
    cb_module *network = cb_sequential_new(params, "network", 3, layers);
    cb_optimizer *optimizer = cb_adam_new(params, .lr = 0.01);
    for (int i = 0; i < cb_params_count(params); i++) {
        char shape[64];
        const cb_param *param = cb_params_at(params, i);
        printf("%-17s %s\n", param->name, cb_shape_format(param->value, shape, sizeof shape));
    }

    /* It learns y = sin(2 a) b. */
    float inputs[BATCH * 2], outputs[BATCH];
    const cb_tensor xs = cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, 2), inputs);
    const cb_tensor ys = cb_tensor_wrap(CB_F32, CB_SHAPE(BATCH, 1), outputs);
    cb_random random = cb_random_seed(2);
    cb_tape *tape = cb_tape_new(), *no_grad = cb_tape_new_no_grad();
    cb_status status = cb_params_status(params);
    for (int step = 0; step < STEPS && status == CB_OK; step++) {
        cb_tape_reset(tape);
        cb_random_uniform_f32(&random, (int64_t)BATCH * 2, inputs, -2, 2);
        for (int i = 0; i < BATCH; i++)
            outputs[i] = sinf(2 * inputs[2 * i]) * inputs[2 * i + 1];
        cb_tensor *y = cb_forward(network, cb_input(tape, &xs));
        status = cb_backward(cb_mse(y, cb_input(tape, &ys), CB_REDUCE_MEAN));
        if (status == CB_OK)
            status = cb_optimizer_step(optimizer);
    }
    cb_tensor *y = cb_forward(network, cb_input(no_grad, &xs));
    double loss = cb_item(cb_mse(y, cb_input(no_grad, &ys), CB_REDUCE_MEAN));
    printf("loss below 0.05: %s\n", loss < 0.05 ? "yes" : "no");
    printf("the same twice: in training %s, in evaluation %s\n",
           same_twice(network, tape, &xs) ? "yes" : "no",
           same_twice(network, no_grad, &xs) ? "yes" : "no");
    if (status != CB_OK)
        fprintf(stderr, "%s%s\n", cb_params_error(params), cb_tape_error(tape));
    cb_tape_free(no_grad);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./07_own_module
   first.weight      [8,2]
   first.bias        [8]
   block.gain        [8]
   block.gate.weight [16,8]
   block.in.weight   [16,8]
   block.out.weight  [8,16]
   last.weight       [1,8]
   last.bias         [1]
   loss below 0.05: yes
   the same twice: in training no, in evaluation yes */
