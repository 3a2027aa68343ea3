/* Cells in shared libraries of the user's own, see cb_cell_library in <cerebra/rnn.h>. */
#ifndef CEREBRA_APPS_MODEL_CELL_LIBRARY_H
#define CEREBRA_APPS_MODEL_CELL_LIBRARY_H

#include <cerebra/rnn.h>

#include <stdbool.h>

/* The end of the path in FILE.so or FILE.so:NAME; NULL when it is neither. */
const char *cell_library_in(const char *which);
/* The cell. Without a name, the library's only one. NULL, with a line in error; *bad_file: because
   of the library, not of the name. *library is its path, which lasts as long as the process. */
const cb_cell *cell_library_open(const char *which, const char **library, bool *bad_file,
                                 char *error);

#endif
