/* The character model: embedding, recurrent network, linear layer; and everything that has to be
   known to build it again. */
#ifndef CEREBRA_APPS_MODEL_MODEL_H
#define CEREBRA_APPS_MODEL_MODEL_H

#include "chosen_cell.h"

#include <cerebra/cerebra.h>

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_MOST_LAYERS = 64, MODEL_LARGEST = 65536 };

/* What is kept with the weights, but for the last one. */
typedef struct model_config {
    const chosen_cell *cell;
    int64_t vocabulary; /* characters */
    int64_t embedding;  /* features of a character's embedding */
    int64_t hidden;
    int64_t layers;
    int64_t seq_len;                                 /* characters in a training window */
    double dropout;                                  /* on the output of every layer */
    double recurrent_dropout, zoneout, zoneout_cell; /* see cb_rnn_options */
    bool no_bias;                                    /* the recurrent part has no biases */
    int64_t recompute; /* how it is trained, not what it is: see cb_rnn_options */
} model_config;

/* How the weights start; {0} is every module's own choice. */
typedef struct model_init {
    cb_init embedding, input, recurrent, bias, head, head_bias;
    bool equal_halves; /* of Cerebral cells */
} model_init;

/* A model; owns its parameters. */
typedef struct model {
    model_config config;
    cb_params *params;
    cb_module *embedding, *dropout, *head;
    cb_rnn *rnn;
} model;

/* The initialisations by name, for options: fills init for a name from model_init_names (ended by
   NULL); false when there is none.
   "default"         every module's own choice, PyTorch's
   "glorot-uniform"  this rule for every matrix, gate by gate; biases zero; and so on for
   "glorot-normal", "kaiming-uniform", "kaiming-normal"
   "orthogonal"      recurrent matrices orthogonal gate by gate, others glorot-uniform, biases zero
 */
bool model_init_find(const char *name, model_init *init);
extern const char *const model_init_names[];

/* Builds a model. Names of parameters: embedding.weight, rnn.weight_ih_l0 ..., head.weight,
   head.bias. Fails with one line in error (room for FAILURE_SIZE bytes). */
bool model_make(const model_config *config, const model_init *init, uint64_t seed, model *made,
                char *error);
void model_free(model *m);

/* Number of weights that a model of this configuration has. */
int64_t model_parameters(const model_config *config);

/* x: character numbers [time, batch] on a tape -> logits [time, batch, vocabulary]. io as
   cb_rnn_forward takes it; may be NULL. */
cb_tensor *model_forward(const model *m, cb_tensor *x, const cb_rnn_io *io);

/* Whether every weight is a finite number. */
bool model_is_finite(const model *m);

/* How far the two halves of a Cerebral model's recurrent weights are apart:
     d = |U - L| / sqrt((|U|^2 + |L|^2) / 2)   (Frobenius norms over all matrices of all layers),
   0 for equal halves, about sqrt(2) for independent ones. NaN for a cell without halves. */
double model_halves_distance(const model *m);

#endif
