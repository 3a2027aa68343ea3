/* The folder of cells that comes with the command: files of equations. */
#ifndef CEREBRA_APPS_MODEL_CELL_FOLDER_H
#define CEREBRA_APPS_MODEL_CELL_FOLDER_H

#include <stdbool.h>

enum { CELL_FOLDER_PATH = 4096 };

/* Whether the folder has NAME.cell; its path. */
bool cell_folder_find(const char *name, char path[CELL_FOLDER_PATH]);
/* The names of its cells, sorted, ended by NULL; they last as long as the process. */
const char *const *cell_folder_names(void);

#endif
