/* The simple recurrent network (Elman 1990), as PyTorch's nn.RNN:

     h' = tanh(x W' + b + h U' + c) */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {1, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {1, CB_HIDDEN}, .role = CB_BIAS},
    {"bias_hh", .rows = {1, CB_HIDDEN}, .role = CB_BIAS},
};

static void step(const cb_cell_step *s) {
    s->next[0] =
        cb_tanh(cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]),
                       cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH])));
}

const cb_cell cb_rnn_tanh = {
    .name = "rnn",
    .summary = "simple recurrent network (Elman 1990)",
    .equations = "h' = tanh(W x + U h + b_x + b_h)\n",
    .state_count = 1,
    .state_names = (const char *const[]){"h"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
