/* A cell that exists only because the paper's experiments used it. */
#ifndef CEREBRA_APPS_MODEL_PUBLISHED_CELLS_H
#define CEREBRA_APPS_MODEL_PUBLISHED_CELLS_H

#include <cerebra/rnn.h>

/* "lstm-state-bias": the LSTM of the published two-stacked network. Its gates have no biases;
   instead one vector is added to the new cell state and one to the new output:
     c' = f c + i g + b_c;   h' = o tanh(c') + b_h.
   Parameters: weight_ih [4H, I], weight_hh [4H, H] (gates i f g o), bias_c [H], bias_h [H], which
   start at zero. States: h, c. */
extern const cb_cell published_lstm_state_bias;

#endif
