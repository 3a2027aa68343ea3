/* The cells that a command can be asked for: by a name, as a file of equations, or from a shared
   library of the user's. */
#ifndef CEREBRA_APPS_MODEL_CHOSEN_CELL_H
#define CEREBRA_APPS_MODEL_CHOSEN_CELL_H

#include <cerebra/cerebra.h>

#include <stdbool.h>

/* A cell with its hyperparameters. It lasts as long as the process. */
typedef struct chosen_cell {
    const cb_cell *cell;
    const char *name;           /* the cell's */
    const char *text;           /* its equations, when it was read from them; NULL: a cell in C */
    const char *library;        /* the shared library that it is from; NULL: none */
    const char *set;            /* hyperparameters as they were given, "dt=0.2,r=8"; "": none */
    const cb_setting *settings; /* those that the network is to be given; ended by a nameless row */
} chosen_cell;

/* The cell that `which` names:
     NAME           one of the library's, or of this command's own (published_cells.h), or the file
                    NAME.cell of the folder of cells that comes with the command
     FILE.cell      a file of equations; or any other with a "/" in its name
     FILE.so[:NAME] a cell from a shared library, see cb_cell_library
   with hyperparameters "name=value,...", or NULL. NULL, with what is wrong in error: a line, or
   for a file of equations several (room for FAILURE_SIZE bytes). */
const chosen_cell *cell_choose(const char *which, const char *set, char *error);

/* The same from what a checkpoint keeps: the cell's name, its equations or NULL, the library or
   NULL, and hyperparameters or NULL. A library is not loaded because a file says so: it has to have
   been chosen before. */
const chosen_cell *cell_choose_kept(const char *name, const char *text, const char *library,
                                    const char *set, char *error);

/* A list "a,b,./c.cell", at most `most`; how many, or -1 with what is wrong in error. Of the
   hyperparameters, each cell gets those that it has; each has to be one of some cell. */
int cell_choose_list(const char *list, const char *set, const chosen_cell **chosen, int most,
                     char *error);

/* Whether a cell that was named again is the one that was kept, whatever the paths: of texts, what
   the equations say; else the names. Hyperparameters do not count. */
bool cell_says_the_same(const chosen_cell *named, const chosen_cell *kept);

/* Whether hyperparameters "name=value,..." give the cell that was kept what it has, with defaults
   for those that are not named. If not, error names the first that differs, with both values. */
bool cell_check_set(const chosen_cell *kept, const char *set, const char *path, char *error);

/* Whether the last of these that failed did so because of a file, which cannot be read, or is not
   what it should be; else what was asked for is wrong: a name, a hyperparameter. */
bool cell_file_is_wrong(void);

/* The names of all cells that need no path, sorted as they are listed, ended by NULL; the caller
   frees the list, and not the names. NULL: no memory. */
const char **cell_names(void);

/* An option of this name and kind for a table of options. */
#define CELL_OPTION_HELP                                                                           \
    "recurrent cell: a name (see cerebra cells), a file of equations, or FILE.so[:NAME]"
#define SET_OPTION_HELP "hyperparameters of the cell, NAME=VALUE,..."

#endif
