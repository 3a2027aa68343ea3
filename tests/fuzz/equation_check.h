/* What has to hold of any text, and of the cell that it is. */
#ifndef CEREBRA_TESTS_FUZZ_EQUATION_CHECK_H
#define CEREBRA_TESTS_FUZZ_EQUATION_CHECK_H

#include "equation_text.h"

#include <cerebra/cerebra.h>

/* What is wrong; "" is nothing. */
typedef struct fault {
    char what[1200];
} fault;

/* Reads the text: NULL with a message as equations.h says, which is checked, or a cell, of which
   the printed form has to be the same cell. right: it has to be one. The cell is the caller's. */
cb_cell *check_text(const text *t, bool right, fault *found);
/* Runs a cell compiled and op by op, in f64, and compares values and gradients; *reason: why it is
   not compiled, or "". Of a cell that need not be right, sizes and blocks may not come out even,
   and values may be no numbers. */
void check_run(const cb_cell *cell, const cb_rnn_options *options, bool right, uint64_t seed,
               fault *found, char reason[160]);

#endif
