/* Weights of a character model that another program saved: which entries of a safetensors file they
   are. The names are those that PyTorch gives to nn.Embedding, nn.LSTM, nn.GRU or nn.RNN, and
   nn.Linear, below names of the program's own: "encoder.weight", "lstm.weight_ih_l0",
   "decoder.bias". */
#ifndef CEREBRA_APPS_MODEL_FOREIGN_H
#define CEREBRA_APPS_MODEL_FOREIGN_H

#include "chosen_cell.h"

/* What is known of a file before it is looked at; names may be NULL, to be found. */
typedef struct foreign_hints {
    const chosen_cell *cell; /* NULL: lstm, gru or rnn, by the number of its gates */
    int64_t vocabulary;      /* characters */
    const char *rnn;         /* the module with the recurrent weights, "lstm" */
    const char *embedding;   /* the embedding, "encoder" */
    const char *head;        /* the linear layer, "decoder" */
    bool extra;              /* entries that have no place are left out */
} foreign_hints;

/* What was found. Names are those of entries and belong to the file. */
typedef struct foreign_model {
    const chosen_cell *cell;
    int64_t layers, input, hidden;
    bool no_bias;
    const char *first;     /* an entry of the recurrent weights, which begins with their prefix */
    size_t prefix;         /* bytes of it: "lstm." */
    bool numbered;         /* names end in "_l0", those of nn.LSTMCell and the like do not */
    const char *embedding; /* NULL: characters are given as vectors with a single 1 */
    const char *head, *head_bias; /* bias NULL: none */
    int extra;                    /* entries left out */
} foreign_model;

/* Finds the parts of a model. Fails, with a line in error that names what does not fit. */
bool foreign_find(const cb_safetensors *file, const foreign_hints *hints, foreign_model *found,
                  char *error);

/* The name that the file gives a recurrent parameter of a layer; false: it does not fit in size. */
bool foreign_rnn_name(const foreign_model *m, const char *param, int64_t layer, char *name,
                      size_t size);

#endif
