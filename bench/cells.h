/* Cells that are there to be measured against the library's own. */
#ifndef CEREBRA_BENCH_CELLS_H
#define CEREBRA_BENCH_CELLS_H

#include <cerebra/rnn.h>

/* "cerebral-lstm-eight": cerebral-lstm with a weight_ih, a weight_hh and a bias for each gate:
   parameters k, 8 + k and 16 + k are those of gate k, in the order upper i f g o, lower i f g o. */
extern const cb_cell bench_cerebral_lstm_eight;

#endif
