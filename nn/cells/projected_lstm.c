/* LSTM with a projection (Sak, Senior & Beaufays 2014), as PyTorch's nn.LSTM with proj_size: what
   is carried on and given out is a product of what the LSTM would give.

     z = x W' + b + h U' + c         four blocks, in the order i f g o
     i, f, o = sigma(z_i, z_f, z_o)
     g  = tanh(z_g)
     c' = f c + i g
     h' = (o tanh(c')) W_r'

   h has as many units as the hyperparameter "projection" says. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, WEIGHT_HR };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {4, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 4,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {4, CB_HIDDEN}, .columns = {1, CB_OWN_SIZE}, .blocks = 4,
     .role = CB_RECURRENT_WEIGHT},
    {"bias_ih", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
    {"bias_hh", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS},
    {"weight_hr", .rows = {1, CB_OWN_SIZE}, .columns = {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
};

static void step(const cb_cell_step *s) {
    cb_tensor *c = s->state[1];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[WEIGHT_IH], s->weights[BIAS_IH]),
                          cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], s->weights[BIAS_HH]));
    cb_tensor *i = cb_sigmoid(cb_chunk(z, -1, 4, 0));
    cb_tensor *f = cb_sigmoid(cb_chunk(z, -1, 4, 1));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    cb_tensor *o = cb_sigmoid(cb_chunk(z, -1, 4, 3));
    s->next[1] = cb_add(cb_mul(f, c), cb_mul(i, g));
    s->next[0] = cb_linear(cb_mul(o, cb_tanh(s->next[1])), s->weights[WEIGHT_HR], NULL);
}

const cb_cell cb_projected_lstm = {
    .name = "projected-lstm",
    .summary = "LSTM whose output is projected to fewer units (Sak, Senior & Beaufays 2014)",
    .equations = "size projection = 128\n"
                 "state h[projection]\n"
                 "i, f, g, o = split(W x + U h + b_x + b_h)\n"
                 "c' = sigmoid(f) * c + sigmoid(i) * tanh(g)\n"
                 "h' = W_r (sigmoid(o) * tanh(c'))\n",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "c"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
    .state_sizes = (const cb_cell_extent[]){{1, CB_OWN_SIZE}, {1, CB_HIDDEN}},
    .size_count = 1,
    .sizes = (const cb_cell_own_size[]){{.setting = "projection"}},
    .setting_count = 1,
    .settings = (const cb_setting[]){{"projection", 128}},
};
