/* The state of a recurrent network between pieces of text that follow each other: plain tensors
   that outlive the tape, on which each piece is computed. No gradient goes from one piece to the
   one before. */
#ifndef CEREBRA_APPS_MODEL_CARRIED_STATE_H
#define CEREBRA_APPS_MODEL_CARRIED_STATE_H

#include "model.h"

/* Owns its arrays and tensors. All zero: nothing is carried. */
typedef struct carried_state {
    int count;
    cb_tensor **kept, **spare;   /* [batch, size] each; what the present piece began with, unless
                                    it is fresh, must stay until its tape is reset */
    cb_tensor **initial, **last; /* the same on the tape of the present piece */
    bool fresh;                  /* the next piece starts from what the cells begin with */
} carried_state;

/* Room for the state of `batch` sequences, which is fresh. Fails without memory. */
bool carried_state_make(const model *m, int64_t batch, carried_state *made, char *error);
void carried_state_free(carried_state *carried);

/* What model_forward is to be given for the next piece on this tape. */
cb_rnn_io carried_state_begin(carried_state *carried, cb_tape *tape);

/* Keeps the state after the piece, as soon as it is computed: before a gradient is. Fails when a
   state has changed its shape. */
bool carried_state_end(carried_state *carried, char *error);

#endif
