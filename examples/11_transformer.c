/* A transformer (Vaswani et al. 2017) that sorts: it reads six digits and writes them down again in
   their order, one after the other, each seeing only what is before it. Blocks are normalised first
   (Xiong et al. 2020), and made of modules and ops that are there already.

       cc 11_transformer.c -o 11_transformer $(pkg-config --cflags --libs cerebra) */
#include <cerebra/cerebra.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 6, TIME = 2 * COUNT - 1, KINDS = 10, BATCH = 64, STEPS = 300 };
enum { WIDTH = 32, HEADS = 4, HEAD = WIDTH / HEADS, BLOCKS = 2 };

typedef struct block {
    cb_module *norm, *qkv, *out, *norm_mlp, *up, *down;
} block;

typedef struct model {
    cb_module *embedding, *norm, *head;
    cb_param *positions;
    block blocks[BLOCKS];
} model;

static model model_new(cb_params *params) {
    model m = {.embedding = cb_embedding_new(params, "embedding", KINDS, WIDTH),
               .norm = cb_layer_norm_new(params, "norm", WIDTH),
               .head = cb_linear_new(params, "head", WIDTH, KINDS),
               .positions = cb_params_add(params, "positions", CB_SHAPE(TIME, WIDTH), 1,
                                          &(cb_init){CB_INIT_NORMAL, .b = 0.02})};
    for (int i = 0; i < BLOCKS; i++) {
        static const char *const parts[] = {"norm", "qkv", "out", "norm_mlp", "up", "down"};
        char names[6][32];
        for (int k = 0; k < 6; k++)
            snprintf(names[k], sizeof names[k], "blocks.%d.%s", i, parts[k]);
        m.blocks[i] = (block){.norm = cb_layer_norm_new(params, names[0], WIDTH),
                              .qkv = cb_linear_new(params, names[1], WIDTH, 3 * WIDTH),
                              .out = cb_linear_new(params, names[2], WIDTH, WIDTH),
                              .norm_mlp = cb_layer_norm_new(params, names[3], WIDTH),
                              .up = cb_linear_new(params, names[4], WIDTH, 4 * WIDTH),
                              .down = cb_linear_new(params, names[5], 4 * WIDTH, WIDTH)};
    }
    return m;
}

/* Each head attends to what is before: [batch, time, WIDTH] -> the same. */
static cb_tensor *attention(const block *b, cb_tensor *x) {
    cb_tensor *qkv = cb_reshape(cb_forward(b->qkv, x), CB_SHAPE(BATCH, TIME, 3, HEADS, HEAD));
    qkv = cb_permute(qkv, 5, (const int[]){2, 0, 3, 1, 4}); /* [3, batch, head, time, HEAD] */
    cb_tensor *q = cb_select(qkv, 0, 0), *k = cb_select(qkv, 0, 1), *v = cb_select(qkv, 0, 2);
    cb_tensor *seen = cb_transpose(cb_attention(q, k, v, .causal = true), 1, 2);
    return cb_forward(b->out, cb_reshape(seen, CB_SHAPE(BATCH, TIME, WIDTH)));
}

/* tokens [batch, time] -> logits of the next ones, [batch, time, KINDS]. */
static cb_tensor *logits_of(const model *m, cb_tensor *tokens) {
    cb_tape *tape = cb_tape_of(tokens);
    cb_tensor *x = cb_add(cb_forward(m->embedding, tokens), cb_parameter(tape, m->positions));
    for (int i = 0; i < BLOCKS; i++) {
        const block *b = &m->blocks[i];
        x = cb_add(x, attention(b, cb_forward(b->norm, x)));
        cb_tensor *up = cb_gelu(cb_forward(b->up, cb_forward(b->norm_mlp, x)));
        x = cb_add(x, cb_forward(b->down, up));
    }
    return cb_forward(m->head, cb_forward(m->norm, x));
}

/* Six digits and, after them, the same in their order. */
static void draw(cb_random *random, int32_t (*rows)[TIME + 1]) {
    for (int b = 0; b < BATCH; b++) {
        for (int i = 0; i < COUNT; i++)
            rows[b][i] = (int32_t)cb_random_below(random, KINDS);
        for (int kind = 0, at = COUNT; kind < KINDS; kind++)
            for (int i = 0; i < COUNT; i++)
                if (rows[b][i] == kind)
                    rows[b][at++] = kind;
    }
}

int main(void) {
    int32_t rows[BATCH][TIME + 1], true_rows[BATCH][TIME + 1];
    const cb_tensor data = cb_tensor_wrap(CB_I32, CB_SHAPE(BATCH, TIME + 1), rows);
    cb_random random = cb_random_seed(1);
    cb_params *params = cb_params_new(1);
    model m = model_new(params);
    cb_optimizer *optimizer = cb_adamw_new(params, .lr = 0.003, .clip_norm = 1);
    cb_tape *tape = cb_tape_new(), *no_grad = cb_tape_new_no_grad();
    cb_status status = cb_params_status(params);
    for (int step = 0; step < STEPS && status == CB_OK; step++) {
        cb_tape_reset(tape);
        draw(&random, rows);
        cb_tensor *all = cb_input(tape, &data), *logits = logits_of(&m, cb_slice(all, 1, 0, -1, 1));
        cb_tensor *loss = cb_cross_entropy(cb_slice(logits, 1, COUNT - 1, CB_END, 1),
                                           cb_slice(all, 1, COUNT, CB_END, 1));
        status = cb_backward(loss);
        status = status == CB_OK ? cb_optimizer_step(optimizer) : status;
    }

    /* Digits that it has not seen; it writes, and sees what it has written. */
    draw(&random, true_rows);
    for (int b = 0; b < BATCH; b++)
        for (int t = 0; t <= TIME; t++)
            rows[b][t] = t < COUNT ? true_rows[b][t] : 0;
    for (int t = COUNT; t <= TIME && status == CB_OK; t++) {
        cb_tape_reset(no_grad);
        cb_tensor *logits = logits_of(&m, cb_slice(cb_input(no_grad, &data), 1, 0, -1, 1));
        cb_tensor *best = cb_argmax(cb_select(logits, 1, t - 1), -1, false);
        status = cb_tape_status(no_grad);
        for (int b = 0; b < BATCH && status == CB_OK; b++)
            rows[b][t] = (int32_t)((const int64_t *)best->data)[b];
    }
    int right = 0;
    for (int b = 0; b < BATCH; b++)
        right += memcmp(rows[b], true_rows[b], sizeof rows[b]) == 0;
    for (int i = 0; i <= TIME; i++)
        printf("%d%s", rows[0][i], i == COUNT - 1 ? " -> " : i == TIME ? "\n" : " ");
    printf("more than 80 of 100 right: %s\n", right * 100 > 80 * BATCH ? "yes" : "no");
    if (status != CB_OK)
        fprintf(stderr, "%s%s%s\n", cb_params_error(params), cb_tape_error(tape),
                cb_tape_error(no_grad));
    cb_tape_free(no_grad);
    cb_tape_free(tape);
    cb_optimizer_free(optimizer);
    cb_params_free(params);
    return status == CB_OK ? 0 : 1;
}

/* $ ./11_transformer
   0 5 9 4 5 2 -> 0 2 4 5 5 9
   more than 80 of 100 right: yes */
