/* LSTM with layer normalization (Ba, Kiros & Hinton 2016, supplementary material):

     z  = LN(x W'; a1, b1) + LN(h U'; a2, b2)     four blocks, in the order i f g o
     i, f, o = sigma(z_i, z_f, z_o)
     g  = tanh(z_g)
     c' = f c + i g
     h' = o tanh(LN(c'; a3, b3))

     LN(v; a, b) = a (v - mean v) / sqrt(var v + 1e-5) + b

   Mean and variance are those of one sequence's vector: of all four blocks together for a product,
   of the hidden units for c'. The state that is carried on is c', not what is normalized. The gains
   a start at 1 and the biases b at 0. The paper's equations have one more bias in z; it would do
   what b1 and b2 do. */
#include <cerebra/rnn.h>

enum { WEIGHT_IH, WEIGHT_HH, GAIN_IH, GAIN_HH, GAIN_C, BIAS_IH, BIAS_HH, BIAS_C };

static const cb_cell_param params[] = {
    {"weight_ih", .rows = {4, CB_HIDDEN}, .columns = {1, CB_INPUT}, .blocks = 4,
     .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {4, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .blocks = 4,
     .role = CB_RECURRENT_WEIGHT},
    {"gain_ih", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_UNIT_WEIGHT,
     .init = {.kind = CB_INIT_CONSTANT, .a = 1}},
    {"gain_hh", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_UNIT_WEIGHT,
     .init = {.kind = CB_INIT_CONSTANT, .a = 1}},
    {"gain_c", .rows = {1, CB_HIDDEN}, .role = CB_UNIT_WEIGHT,
     .init = {.kind = CB_INIT_CONSTANT, .a = 1}},
    {"bias_ih", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS,
     .init = {.kind = CB_INIT_ZEROS}},
    {"bias_hh", .rows = {4, CB_HIDDEN}, .blocks = 4, .role = CB_BIAS,
     .init = {.kind = CB_INIT_ZEROS}},
    {"bias_c", .rows = {1, CB_HIDDEN}, .role = CB_BIAS, .init = {.kind = CB_INIT_ZEROS}},
};

static const double epsilon = 1e-5;

static void step(const cb_cell_step *s) {
    cb_tensor *c = s->state[1];
    cb_tensor *from_x = cb_layer_norm(cb_linear(s->x, s->weights[WEIGHT_IH], NULL),
                                      s->weights[GAIN_IH], s->weights[BIAS_IH], epsilon);
    cb_tensor *from_h = cb_layer_norm(cb_linear(s->recurrent[0], s->weights[WEIGHT_HH], NULL),
                                      s->weights[GAIN_HH], s->weights[BIAS_HH], epsilon);
    cb_tensor *z = cb_add(from_x, from_h);
    cb_tensor *i = cb_sigmoid(cb_chunk(z, -1, 4, 0));
    cb_tensor *f = cb_sigmoid(cb_chunk(z, -1, 4, 1));
    cb_tensor *g = cb_tanh(cb_chunk(z, -1, 4, 2));
    cb_tensor *o = cb_sigmoid(cb_chunk(z, -1, 4, 3));
    s->next[1] = cb_add(cb_mul(f, c), cb_mul(i, g));
    cb_tensor *normalized =
        cb_layer_norm(s->next[1], s->weights[GAIN_C], s->weights[BIAS_C], epsilon);
    s->next[0] = cb_mul(o, cb_tanh(normalized));
}

const cb_cell cb_layernorm_lstm = {
    .name = "layernorm-lstm",
    .summary = "LSTM with layer normalization (Ba, Kiros & Hinton 2016)",
    .equations = "z  = a_x * layernorm(W x) + b_x + a_h * layernorm(U h) + b_h\n"
                 "i, f, g, o = split(z)\n"
                 "c' = sigmoid(f) * c + sigmoid(i) * tanh(g)\n"
                 "h' = sigmoid(o) * tanh(a_c * layernorm(c') + b_c)\n"
                 "init a_x, a_h, a_c = 1\n"
                 "init b_x, b_h, b_c = 0\n",
    .state_count = 2,
    .state_names = (const char *const[]){"h", "c"},
    .param_count = sizeof(params) / sizeof(params[0]),
    .params = params,
    .full_step = step,
};
