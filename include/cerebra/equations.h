/* Cells as text: the equations of a paper, read and made a cell.

     # Long short-term memory
     i  = sigmoid(W_i x + U_i h + b_i)
     f  = sigmoid(W_f x + U_f h + b_f)
     g  = tanh(W_g x + U_g h + b_g)
     o  = sigmoid(W_o x + U_o h + b_o)
     c' = f * c + i * g
     h' = o * tanh(c')

   docs/cells.md describes the language. The cell is one like any other (rnn.h): it is compiled, and
   gets layers, directions, lengths and all else from the driver. */
#ifndef CEREBRA_EQUATIONS_H
#define CEREBRA_EQUATIONS_H

#include <cerebra/rnn.h>

CB_BEGIN_DECLS

/* What cb_cell_parse and cb_cell_load may be told; all of it may be left out. */
typedef struct cb_cell_text_options {
    const char *name; /* the cell's; NULL: of a file, its name without folder and ".cell"; else
                         "cell" */
    const char *file; /* how messages call the text; NULL: of a file, its path; else "cell" */
    /* Values for what the text declares with `let` or `size`, ended by a row without a name. */
    const cb_setting *settings;
} cb_cell_text_options;

/* The cell that a text of equations (UTF-8) is. options and error may be NULL. The cell is the
   caller's, ended by cb_cell_free when no network uses it any more; it keeps a copy of the text.
   NULL, with what is wrong in error: CB_ERROR_FORMAT, of which the message is
     FILE:LINE:COLUMN: what is wrong and what to do
         the line
         ^
   without a place where it is about the length of the text; CB_ERROR_VALUE when there is no text,
   and, with such a message or without a place, where the settings are wrong: one that the text does
   not declare, one that is given twice, a number that cannot be; and CB_ERROR_MEMORY. Columns count
   characters from 1. */
CB_API cb_cell *cb_cell_parse(const char *text, const cb_cell_text_options *options,
                              cb_error *error);
/* The same of a file. CB_ERROR_FILE as well: it cannot be read, or is larger than 1 MiB. */
CB_API cb_cell *cb_cell_load(const char *path, const cb_cell_text_options *options,
                             cb_error *error);
/* Ends a cell from cb_cell_parse or cb_cell_load; NULL is none. */
CB_API void cb_cell_free(cb_cell *cell);

/* The equations as they were read: a text of the same cell, with the equations in the order in
   which they are computed, and, in comments, the size of each, and the parameters with their
   shapes, roles and first values. Writes at most size bytes, always terminated, and returns the
   length of the whole text, as snprintf does; buffer may be NULL when size is 0. 0 for a cell that
   is not from text. */
CB_API size_t cb_cell_equations(const cb_cell *cell, char *buffer, size_t size);

CB_END_DECLS

#endif
