/* A shared library of cells for the command:

     cc -shared -fPIC cell_library.c -o mycells.so $(pkg-config --cflags cerebra)
     cerebra train --cell ./mycells.so:leaky

   It calls the library's functions, which the command has; nothing is linked to it. */
#include <cerebra/rnn.h>

/* h' = (1 - rate) h + rate tanh(W x + U h + b) */
static void leaky_step(const cb_cell_step *s) {
    double rate = s->settings[0];
    cb_tensor *z = cb_add(cb_linear(s->x, s->weights[0], s->weights[2]),
                          cb_linear(s->recurrent[0], s->weights[1], NULL));
    s->next[0] = cb_add(cb_scale(s->state[0], 1 - rate), cb_scale(cb_tanh(z), rate));
}

static const cb_cell_param leaky_params[] = {
    {"weight_ih", .rows = {1, CB_HIDDEN}, .columns = {1, CB_INPUT}, .role = CB_INPUT_WEIGHT},
    {"weight_hh", .rows = {1, CB_HIDDEN}, .columns = {1, CB_HIDDEN}, .role = CB_RECURRENT_WEIGHT},
    {"bias", .rows = {1, CB_HIDDEN}, .role = CB_BIAS},
};

static const cb_cell leaky = {
    .name = "leaky",
    .summary = "leaky integrator (Jaeger et al. 2007)",
    .equations = "let rate = 0.5\n"
                 "h' = (1 - rate) * h + rate * tanh(W x + U h + b)\n",
    .state_count = 1,
    .state_names = (const char *const[]){"h"},
    .param_count = sizeof(leaky_params) / sizeof(leaky_params[0]),
    .params = leaky_params,
    .full_step = leaky_step,
    .setting_count = 1,
    .settings = (const cb_setting[]){{"rate", 0.5}},
};

CB_CELL_LIBRARY(&leaky)
