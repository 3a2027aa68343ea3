/* Trained models in files: safetensors with PyTorch's names for the weights, and in its metadata
   the vocabulary and the configuration, so that nothing else is needed to use one. */
#ifndef CEREBRA_APPS_MODEL_CHECKPOINT_H
#define CEREBRA_APPS_MODEL_CHECKPOINT_H

#include "apps/cli/vocabulary.h"
#include "model.h"
#include "text_options.h"

/* Metadata of the file:
     format          "cerebra-character-model"
     format_version  "2"; "1" had no checksum and nothing to go on training with
     vocabulary      JSON, an array of strings of one character each
     config          JSON, an object: cell, vocabulary, embedding, hidden, layers, seq_len, dropout,
                     no_bias, and recurrent_dropout, zoneout, zoneout_cell where not 0
     cell_text       the cell's equations, when it was read from a file
     cell_library    the shared library that the cell is from, when it is
     cell_set        hyperparameters of the cell that were set, "name=value,..."
     training        JSON, an object for people: how the model was trained
     settings, position, optimizer, schedule   what training goes on with, see training_state.h
     checksum        CRC-32 of all tensors and of the metadata above, eight hexadecimal digits
   Tensors whose names begin with "optimizer." or "training." are no weights. */

/* What a file holds beside the model. */
typedef struct checkpoint_extra {
    int tensor_count, metadata_count;
    const cb_named_tensor *tensors;
    const cb_metadata *metadata; /* with keys of the list above */
} checkpoint_extra;

/* The vocabulary as it is in a file; the caller frees it. NULL without memory. */
char *checkpoint_vocabulary(const vocabulary *characters);

/* Whether a checkpoint can be written at path: its directory is writable and what is there, if
   anything, is a regular file. Changes nothing. */
bool checkpoint_check_path(const char *path, char *error);

/* Replaces the file at path. extra may be NULL. A failure leaves what was there. */
bool checkpoint_write(const char *path, const model *m, const vocabulary *characters,
                      const checkpoint_extra *extra, char *error);

/* The file, once its format and checksum are known to be right; the caller ends it with
   cb_safetensors_free. NULL, with one line in error, otherwise. */
cb_safetensors *checkpoint_open(const char *path, char *error);

/* The cell of the model in a file; NULL, with one line in error, otherwise. */
const chosen_cell *checkpoint_cell(const cb_safetensors *file, char *error);

/* Whether a cell that was named for a checkpoint, or NULL, is the one in it, and from a library. */
bool checkpoint_check_cell(const chosen_cell *named, const chosen_cell *kept, const char *path,
                           char *error);

/* A model read from a file; owns everything. */
typedef struct checkpoint {
    model model;
    vocabulary characters;
    kept_text text; /* that it was trained on */
} checkpoint;

/* Fails, with one line in error and nothing to free, when the file cannot be read, is truncated or
   damaged, is no safetensors file, is one of something else, or has weights that are no finite
   numbers. */
bool checkpoint_read(const char *path, checkpoint *loaded, char *error);
void checkpoint_free(checkpoint *loaded);

#endif
