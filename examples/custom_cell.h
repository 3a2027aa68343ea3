/* The cell of custom_cell.c, for the programs that use it. */
#ifndef CUSTOM_CELL_H
#define CUSTOM_CELL_H

#include <cerebra/rnn.h>

extern const cb_cell custom_cell;

#endif
