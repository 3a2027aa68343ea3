/* A cell of one's own, twice: as a text of equations, and as a table and a step in C. Both are
   compiled, and give the same numbers.

       cc 08_own_cell.c -o 08_own_cell $(pkg-config --cflags --libs cerebra)

   A leaky integrator (Jaeger et al. 2007): h' = (1 - rate) h + rate tanh(W x + U h + b). */
#include <cerebra/cerebra.h>
#include <math.h>
#include <stdio.h>

enum { TIME = 12, BATCH = 4, INPUT = 3, HIDDEN = 5 };

/* ---- In a text: sizes, roles and first values are inferred ----------------------------------- */

static const char text[] = "let rate = 0.5   # a hyperparameter\n"
                           "h' = (1 - rate) * h + rate * tanh(W x + U h + b)\n";

/* ---- In C ------------------------------------------------------------------------------------ */

static void step(const cb_cell_step *s) {
    double rate = s->settings[0];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[0], s->weights[2]),
                          cb_linear(s->recurrent[0], s->weights[1], NULL));
    s->next[0] = cb_add(cb_scale(s->state[0], 1 - rate), cb_scale(cb_tanh(z), rate));
}

static const cb_cell_param table[] = {
    {"W", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"U", .rows = {1, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"b", .rows = {1, CB_HIDDEN}, .role = CB_BIAS},
};

static const cb_cell in_c = {
    .name = "leaky",
    .state_count = 1,
    .param_count = sizeof(table) / sizeof(table[0]),
    .params = table,
    .full_step = step,
    .setting_count = 1,
    .settings = (const cb_setting[]){{"rate", 0.5}},
};

/* ---- Networks of both ------------------------------------------------------------------------ */

typedef struct network {
    cb_params *params;
    cb_rnn *rnn;
} network;

/* Weights are drawn from the seed and their names: the two networks begin with the same. */
static network network_new(const cb_cell *cell) {
    network made = {.params = cb_params_new(1)};
    const cb_setting slow[] = {{"rate", 0.2}, {NULL, 0}};
    made.rnn = cb_rnn_new(made.params, "rnn", cell, INPUT, HIDDEN, .layers = 2, .settings = slow);
    return made;
}

/* The sum of squared outputs; its gradients are in the set afterwards. */
static double run(const network *n, cb_tape *tape, const cb_tensor *x) {
    cb_tensor *h = cb_rnn_forward(n->rnn, cb_input(tape, x), NULL);
    cb_tensor *loss = cb_sum(cb_square(h), CB_ALL_AXES, false);
    return cb_backward(loss) == CB_OK ? cb_item(loss) : NAN;
}

static double largest_difference(const network *a, const network *b) {
    double largest = 0;
    for (int i = 0; i < cb_params_count(a->params); i++) {
        const cb_param *p = cb_params_at(a->params, i);
        const cb_param *q = cb_params_find(b->params, p->name);
        for (int64_t k = 0; q != NULL && k < cb_tensor_count(p->gradient); k++) {
            const float *g = p->gradient->data, *h = q->gradient->data;
            largest = fmax(largest, fabs((double)g[k] - (double)h[k]));
        }
    }
    return largest;
}

int main(void) {
    cb_error error;
    cb_cell *in_text = cb_cell_parse(text, &(cb_cell_text_options){.name = "leaky"}, &error);
    if (in_text == NULL) /* the message names line and column */
        return fprintf(stderr, "%s\n", error.message), 1;
    network a = network_new(in_text), b = network_new(&in_c);
    if (a.rnn == NULL || b.rnn == NULL)
        return fprintf(stderr, "%s%s\n", cb_params_error(a.params), cb_params_error(b.params)), 1;

    float values[TIME * BATCH * INPUT];
    cb_random random = cb_random_seed(2);
    cb_random_normal_f32(&random, TIME * BATCH * INPUT, values, 0, 1);
    const cb_tensor x = cb_tensor_wrap(CB_F32, CB_SHAPE(TIME, BATCH, INPUT), values);
    cb_tape *tape = cb_tape_new();
    double loss_a = run(&a, tape, &x), loss_b = run(&b, tape, &x);
    printf("same loss: %s\n", fabs(loss_a - loss_b) < 1e-5 * loss_a ? "yes" : "no");
    printf("same gradients: %s\n", largest_difference(&a, &b) < 1e-4 ? "yes" : "no");

    const network *const both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        const char *reason = cb_rnn_eager_reason(both[i]->rnn, 0);
        cb_scan_check_report report;
        bool right = cb_rnn_check(both[i]->rnn, 0, NULL, &report);
        printf("%s: %s; against op by op: %s\n", i == 0 ? "text" : "C",
               reason == NULL ? "compiled" : reason, right ? "the same" : report.message);
    }
    cb_tape_free(tape);
    cb_params_free(a.params);
    cb_params_free(b.params);
    cb_cell_free(in_text); /* after the networks that use it */
    return 0;
}

/* $ ./08_own_cell
   same loss: yes
   same gradients: yes
   text: compiled; against op by op: the same
   C: compiled; against op by op: the same */
