/* Drawing cells in the language of equations that are right. */
#ifndef CEREBRA_TESTS_FUZZ_EQUATION_DRAW_H
#define CEREBRA_TESTS_FUZZ_EQUATION_DRAW_H

#include "equation_text.h"

/* With these sizes (or multiples of them), every drawn cell can be made. */
enum { DRAWN_INPUT = 10, DRAWN_HIDDEN = 12 };

/* A text of equations over states, inputs and parameters of several sizes, with functions,
   products, joins, splits, hyperparameters, first values, blocks and observed values; in any order
   and spelling. Its values are of moderate size. */
void draw_cell(dice *by, text *to);

#endif
