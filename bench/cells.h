/* Cells that are there to be measured: against the library's own, or because the literature has
   them and the language of equations does not say them (bench/cells/). */
#ifndef CEREBRA_BENCH_CELLS_H
#define CEREBRA_BENCH_CELLS_H

#include <cerebra/cerebra.h>

/* "cerebral-lstm-eight": cerebral-lstm with a weight_ih, a weight_hh and a bias for each gate:
   parameters k, 8 + k and 16 + k are those of gate k, in the order upper i f g o, lower i f g o. */
extern const cb_cell bench_cerebral_lstm_eight;

extern const cb_cell bench_mlstm;        /* "mlstm" (Beck et al. 2024) */
extern const cb_cell bench_delta_net;    /* "delta-net" (Schlag et al. 2021) */
extern const cb_cell bench_memory_slots; /* "memory-slots" (after Graves et al. 2014) */
extern const cb_cell bench_s6;           /* "s6" (Gu & Dao 2023) */
extern const cb_cell bench_lmu;          /* "lmu" (Voelker et al. 2019) */
extern const cb_cell bench_ltc;          /* "ltc" (Hasani et al. 2021) */

#endif
